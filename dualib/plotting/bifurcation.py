"""The bifurcation diagram: how clusters appear with β, as p(y|t) of one symbol or as stacked p(t)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, GREY, LABEL, MANY_COLOURS, SMALL, axes_or_new
from dualib.core.typing import FloatArray, IntArray
from dualib.curves.curve import TITLES, InformationCurve
from dualib.curves.locate import Transition
from dualib.plotting.parts import DASHED, FIXED, beta_axis, has_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_SYMBOLS = 3  # up to here one symbol tells the clusters apart
FEW_TRANSITIONS = 12  # up to here each has a line across the axes
CROWD = 0.055  # of the axes: transitions nearer to each other than this share one label


def plot_bifurcation(curve: InformationCurve, *, ax: Axes | None = None, y: int | None = None) -> Axes:
    r"""Plot how clusters split or are born with growing β.

    With up to three symbols, or for a given `y`: the decoder's p(y|t) of every cluster, the area of a dot proportional to
    p(t), hollow where the point is not proven. With more: the clusters stacked, each as high as its p(t), in the colour of
    its most probable y, the paler the less probable that is; symbols that share clusters at low β lie beside each other.
    Half of the width of that axis goes to log β, half to the rate, so that transitions crowded into little β stay apart.

    Marks above the axes are transitions, labelled with the number of clusters before and after; the label of a crowd has
    their number in brackets. First-order ones are solid, continuous ones dashed.

    Parameters
    ----------
    curve : InformationCurve
        For dualIB its decoder is the geometric one.
    ax : Axes or None
        Axes to draw into; None makes a new figure.
    y : int or None
        The symbol (column of p(y|x)) to follow.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no symbol `y`.

    Examples
    --------
    >>> from dualib import IB, Joint, information_curve
    >>> curve = information_curve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), [1.0, 5.0, 20.0], progress=False)
    >>> plot_bifurcation(curve).get_xlabel()
    'trade-off β (no unit)'
    """
    n_y = curve.decoders[0].shape[1]
    if y is not None and not 0 <= y < n_y:
        raise ValueError(f"y = {y} is not a column of p(y|x); there are {n_y}: 0 to {n_y - 1}")
    again = has_data(ax)
    ax = axes_or_new(ax, 2.6)
    if y is None and n_y > FEW_SYMBOLS:
        if not again:
            stretched_beta_axis(ax, curve)
        _stack(ax, curve)
    else:
        beta_axis(ax, curve.beta, again)
        _dots(ax, curve, y or 0)
    _transition_marks(ax, curve)
    return ax


def _dots(ax: Axes, curve: InformationCurve, y: int) -> None:
    name = TITLES[curve.problem]
    colour = COLOURS[FIXED.index(name)]
    counts = [len(weights) for weights in curve.weights]
    beta = np.repeat(curve.beta, counts)
    value = np.concatenate([decoder[:, y] for decoder in curve.decoders])
    area = 40.0 * np.concatenate(curve.weights)
    proven = np.repeat(curve.certified, counts)
    for mask, face, edge in ((proven, colour, 0.0), (~proven, "white", 0.7)):
        if mask.any():
            ax.scatter(beta[mask], value[mask], s=area[mask], fc=face, ec=colour, alpha=0.75, lw=edge, zorder=3)
    ax.set_ylabel(f"decoder p(y = {curve.symbol_names[y]} | t) of {name}", fontsize=LABEL)


# --- stacked clusters ---


def symbol_order(curve: InformationCurve) -> IntArray:
    """Symbols in an order in which those that share clusters are neighbours; a permutation, shape (n_y,).

    Average linkage of 1 − mean over β of Σ_t min(p(t|y), p(t|y')).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    n_y = curve.decoders[0].shape[1]
    shared = np.zeros((n_y, n_y))
    for weights, rows in zip(curve.weights, curve.decoders, strict=True):
        joint = weights[:, None] * rows
        given = joint / np.maximum(joint.sum(axis=0), 1e-300)
        shared += np.minimum(given[:, :, None], given[:, None, :]).sum(axis=0)
    distance = np.maximum(1.0 - shared / len(curve.beta), 0.0)
    np.fill_diagonal(distance, 0.0)
    order: IntArray = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return order


def _stack(ax: Axes, curve: InformationCurve) -> None:
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.colors import to_rgb

    rank = np.argsort(symbol_order(curve))
    palette = np.array([to_rgb(MANY_COLOURS[i % len(MANY_COLOURS)]) for i in range(len(rank))])
    columns = [_column(weights, rows, rank) for weights, rows in zip(curve.weights, curve.decoders, strict=True)]
    edges = np.sqrt(curve.beta[1:] * curve.beta[:-1])
    polygons, colours, borders = [], [], []
    for i, (tops, likeliest, share) in enumerate(columns):
        left = _side(columns, i, i - 1, edges, curve.beta) if i else (curve.beta[0], tops)
        right = _side(columns, i, i + 1, edges, curve.beta) if i < len(edges) else (curve.beta[-1], tops)
        x = [left[0], curve.beta[i], right[0]]
        heights = np.array([left[1], tops, right[1]])  # (3, n_t)
        floors = np.column_stack([np.zeros(3), heights[:, :-1]])
        for t in range(len(tops)):
            upper, lower = list(zip(x, heights[:, t], strict=True)), list(zip(x, floors[:, t], strict=True))
            polygons.append(upper + lower[::-1])
            colours.append(1.0 - share[t] * (1.0 - palette[likeliest[t]]))
            borders.append(upper)
    # Without antialiasing, which would draw a seam between any two neighbours.
    ax.add_collection(PolyCollection(polygons, facecolors=colours, linewidths=0, antialiaseds=False, zorder=2))
    ax.add_collection(LineCollection(borders, colors="white", linewidths=0.4, zorder=3))
    ax.set_ylim(0.0, 1.0)
    ax.set_ylabel(f"p(t) of {TITLES[curve.problem]}, stacked\ncolour: likeliest y", fontsize=LABEL)
    _name_symbols(ax, columns[-1], palette, curve.symbol_names)


def stretched_beta_axis(ax: Axes, curve: InformationCurve) -> None:
    """An axis of β whose places are the mean of log β and the rate, each scaled to [0, 1]."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    log_beta = np.log(curve.beta)
    rate = np.maximum.accumulate(curve.rate) - curve.rate[0]
    place = (log_beta - log_beta[0]) / max(float(np.ptp(log_beta)), 1e-12) + rate / max(float(rate.max()), 1e-12)
    # Beyond the ends it goes on with log β.
    ends = log_beta[0] - 1.0, *log_beta, log_beta[-1] + 1.0
    places = place[0] - 1.0, *place, place[-1] + 1.0

    def forward(beta: FloatArray) -> FloatArray:
        return np.asarray(np.interp(np.log(np.maximum(beta, 1e-300)), ends, places))

    def inverse(at: FloatArray) -> FloatArray:
        return np.asarray(np.exp(np.interp(at, places, ends)))

    ax.set_xscale("function", functions=(forward, inverse))
    left, right = forward(curve.beta[[0, -1]])
    ax.set_xlim(*inverse(np.array([left - 0.03 * (right - left), right + 0.03 * (right - left)])))
    ax.xaxis.set_major_locator(FixedLocator(_round_numbers(curve.beta[[0, -1]], forward)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("trade-off β (no unit), stretched with the rate", fontsize=LABEL)


def _round_numbers(ends: FloatArray, forward: Callable[[FloatArray], FloatArray]) -> list[float]:
    """β with few digits between the ends, a tenth of the axis apart; the roundest first."""
    low, high = ends
    left, right = forward(ends)
    kept: list[float] = []
    for step in (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01):
        for decade in 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1):
            numbers = decade * np.arange(1.0, 10.0, step)
            for beta in np.round(numbers[(numbers >= low) & (numbers <= high)], 12):
                places = forward(np.array([beta, *kept]))
                if not kept or np.abs(places[1:] - places[0]).min() >= 0.1 * (right - left):
                    kept.append(float(beta))
    return sorted(kept)


Column = tuple[FloatArray, IntArray, FloatArray]


def _column(weights: FloatArray, rows: FloatArray, rank: IntArray) -> Column:
    """Upper edges of the clusters at one β, from the bottom up; the likeliest y of each, and how deep its colour is."""
    sort = np.argsort(rows @ rank, kind="stable")
    weights, rows = weights[sort], rows[sort]
    low = 1.0 / rows.shape[1]
    share = 0.15 + 0.85 * np.clip((rows.max(axis=1) - low) / (1.0 - low), 0.0, 1.0)
    return np.cumsum(weights), rows.argmax(axis=1), share


def _side(columns: list[Column], i: int, j: int, edges: FloatArray, beta: FloatArray) -> tuple[float, FloatArray]:
    """Where the clusters of point i end towards its neighbour j, and their upper edges there: half way, where they match."""
    here, there = columns[i], columns[j]
    match = len(here[0]) == len(there[0]) and bool((here[1] == there[1]).all())
    return float(edges[min(i, j)]), 0.5 * (here[0] + there[0]) if match else here[0]


def _name_symbols(ax: Axes, column: Column, palette: FloatArray, names: tuple[str, ...]) -> None:
    """The name of every symbol beside its clusters at the largest β, where there is room."""
    tops, likeliest, _ = column
    heights = np.diff(np.append(0.0, tops))
    centres = tops - 0.5 * heights
    places = []
    for symbol in range(len(names)):
        own = likeliest == symbol
        if heights[own].sum() > 0.0:
            places.append((float(np.average(centres[own], weights=heights[own])), symbol))
    taken = -np.inf
    for place, symbol in sorted(places):
        if place - taken >= 0.045:
            ax.text(
                1.015,
                place,
                names[symbol],
                color=tuple(palette[symbol]),
                transform=ax.get_yaxis_transform(),
                ha="left",
                va="center",
                fontsize=SMALL,
            )
            taken = place


# --- transitions ---


def crowds(found: list[tuple[float, Transition]], width: float) -> list[list[tuple[float, Transition]]]:
    """(place, transition) in groups no wider than `width`, in the order of their places."""
    groups: list[list[tuple[float, Transition]]] = []
    for place, transition in sorted(found, key=lambda item: item[0]):
        if groups and place - groups[-1][0][0] < width:
            groups[-1].append((place, transition))
        else:
            groups.append([(place, transition)])
    return groups


def _transition_marks(ax: Axes, curve: InformationCurve) -> None:
    """A mark at every transition above the axes (across them where there are few), a label for each crowd of them."""
    scaled = ax.transScale + ax.transLimits
    found = [(float(scaled.transform((t.beta, 0.5))[0]), t) for t in curve.transitions]
    found = [(place, t) for place, t in found if 0.0 <= place <= 1.0]
    across = len(found) <= FEW_TRANSITIONS
    for _, t in found:
        ls = "-" if t.kind == "first-order" else DASHED
        if across:
            ax.axvline(t.beta, color=GREY, lw=0.6, ls=ls, zorder=1)
        ax.plot([t.beta] * 2, [1.0, 1.025], color=GREY, lw=0.6, transform=ax.get_xaxis_transform(), clip_on=False)
    for group in crowds(found, CROWD):
        many = f" ({len(group)})" if len(group) > 1 else ""
        text = f"{group[0][1].n_before}→{group[-1][1].n_after}{many}"
        place = 0.5 * (group[0][0] + group[-1][0])
        ax.text(place, 1.035, text, transform=ax.transAxes, rotation=90, ha="center", va="bottom", fontsize=SMALL - 1)
