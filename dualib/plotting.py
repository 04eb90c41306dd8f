"""Figures of bottleneck curves: the information plane, the bifurcation diagram, the objective with its proven bracket.

Each function draws into `ax`, or into a new column-wide figure where that is None, and returns the axes: save with
``ax.figure.savefig(path)``. No pyplot state and no rcParams are touched. Colours are Okabe and Ito's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .measures import FloatArray, Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .curve import InformationCurve

STYLES = {"ib": ("IB", "#0072B2", "o"), "dual": ("dualIB", "#D55E00", "s"), "alpha": ("α-IB", "#009E73", "^")}
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9")  # further curves of one problem
GREY = "#666666"
MARKER = 3.2
SMALL, LABEL = 7, 8  # points
GAP_FLOOR = 1e-16  # nats: gaps of exactly 0 are drawn here on the log axis


def plot_information_plane(
    curves: InformationCurve | Iterable[InformationCurve],
    ax: Axes | None = None,
    units: Units = "bits",
    inset: bool = True,
) -> Axes:
    r"""Relevance I(T;Y) against rate I(X;T), under the two bounds every representation obeys.

    .. math:: I(T;Y) \le I(X;T), \qquad I(T;Y) \le I(X;Y)

    Points whose optimality is not proven are hollow; small bars on the curve mark transitions, the first at the origin,
    the others interpolated in β between the points.

    Parameters
    ----------
    curves : one curve or several of one joint. For dualIB the relevance is that of the Markov decoder.
    ax : axes to draw into, or None for a new figure.
    units : "bits" or "nats".
    inset : with an IB curve and others, draw how far below it they lie at equal rate.

    Returns
    -------
    matplotlib Axes.
    """
    ax, curves = _axes(ax, 2.9), _several(curves)
    top = to_units(max(curve.mutual_information for curve in curves), units)
    right = max(max(float(np.max(to_units(curve.rate, units))) for curve in curves), top)
    ax.axhline(top, color=GREY, lw=0.8, ls=(0, (4, 2)), label="I(X;Y)", zorder=1)
    ax.plot([0, top], [0, top], color=GREY, lw=0.8, ls=":", label="I(T;Y) = I(X;T)", zorder=1)
    for curve, (name, colour, marker) in zip(curves, _styles(curves), strict=True):
        x, y = to_units(curve.rate, units), to_units(curve.relevance, units)
        _points(ax, x, y, curve.certified, name, colour, marker)
        for transition in curve.transitions:
            if curve.beta[0] <= transition.beta <= curve.beta[-1]:
                at = [0.0 if transition.n_before == 1 else np.interp(transition.beta, curve.beta, v) for v in (x, y)]
                ax.plot(*at, marker="|", ms=8, mew=_thin(curve), color=colour, ls="none", zorder=2)
    ax.set_xlim(-0.02 * right, 1.04 * right)
    ax.set_ylim(-0.03 * top, 1.08 * top)
    ax.set_xlabel(f"rate I(X;T) [{units}]", fontsize=LABEL)
    ax.set_ylabel(f"relevance I(T;Y) [{units}]", fontsize=LABEL)
    _legend_above(ax, curves)
    if inset:
        _gap_inset(ax, curves, units, top)
    return ax


def plot_bifurcation(curve: InformationCurve, ax: Axes | None = None, y: int = 0) -> Axes:
    r"""The decoder's p(y|t) of every cluster against β: clusters split or are born at the transitions.

    The area of a dot is proportional to p(t). Vertical lines are transitions, labelled with the number of clusters
    before and after where there is room: dashed if continuous, solid if of first order.

    Parameters
    ----------
    curve : the curve; for dualIB its decoder is the geometric one.
    ax : axes to draw into, or None for a new figure.
    y : the symbol (column of p(y|x)) to follow.

    Returns
    -------
    matplotlib Axes.
    """
    n_y = curve.decoders[0].shape[1]
    if not 0 <= y < n_y:
        raise ValueError(f"y = {y} is not a column of p(y|x); there are {n_y}: 0 to {n_y - 1}")
    ax = _axes(ax, 2.6)
    name, colour, _ = _styles([curve])[0]
    counts = [len(weights) for weights in curve.weights]
    beta = np.repeat(curve.beta, counts)
    value = np.concatenate([decoder[:, y] for decoder in curve.decoders])
    area = 40.0 * np.concatenate(curve.weights)
    ax.scatter(beta, value, s=area, color=colour, alpha=0.75, lw=0, zorder=3)
    _beta_axis(ax, curve.beta)
    _transition_lines(ax, curve)
    ax.set_ylabel(f"decoder p(y={y}|t) of {name}", fontsize=LABEL)
    return ax


def plot_objective(
    curves: InformationCurve | Iterable[InformationCurve], ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    r"""The optimal trade-off F(β) with its proven bracket, and above it the width of the bracket on a log axis.

    .. math:: F(\beta) = \min\; I(X;T) + \beta\, E\, d(x, r_T), \qquad \text{lower bound} \le F \le \text{objective}

    The band is the proven bracket. In the strip above, points are the proven width (hollow where it is wider than the
    tolerance). Crosses, at points that are not certified, are the gap estimated by ascent, which proves nothing; where
    the ascent found none there is no cross.

    Parameters
    ----------
    curves : one curve or several.
    ax : axes to draw F into, or None for a new figure.
    units : "bits" or "nats".

    Returns
    -------
    matplotlib Axes; the strip is its first child axes.
    """
    ax, curves = _axes(ax, 3.0, strip=True), _several(curves)
    strip = ax.inset_axes((0.0, 1.06, 1.0, 0.42), sharex=ax)
    strip.set_yscale("log")
    lowest, highest = 1.0, GAP_FLOOR
    for curve, (name, colour, marker) in zip(curves, _styles(curves), strict=True):
        objective, lower = to_units(curve.objective, units), to_units(curve.lower_bound, units)
        ax.fill_between(curve.beta, lower, objective, color=colour, alpha=0.2, lw=0, zorder=1)
        _points(ax, curve.beta, objective, curve.certified, name, colour, marker)
        gap = np.maximum(to_units(curve.gap, units), GAP_FLOOR)
        _points(strip, curve.beta, gap, curve.certified, None, colour, marker, lw=0)
        open_ = ~curve.certified & (curve.estimated_gap > GAP_FLOOR)
        guess = to_units(curve.estimated_gap[open_], units)
        strip.plot(curve.beta[open_], guess, "x", ms=2.5, mew=0.7, color=colour)
        lowest, highest = min(lowest, gap.min(), *guess), max(highest, gap.max(), *guess)
    strip.set_ylim(lowest / 5, highest * 5)
    strip.set_ylabel(f"bracket [{units}]", fontsize=SMALL)
    strip.tick_params(labelsize=SMALL, labelbottom=False)
    strip.spines[["top", "right"]].set_visible(False)
    _few_decades(strip)
    _beta_axis(ax, np.concatenate([curve.beta for curve in curves]))
    ax.set_ylabel(f"objective F(β) [{units}]", fontsize=LABEL)
    _legend_above(strip, curves, source=ax)
    return ax


# --- helpers ---


def _axes(ax: Axes | None, height: float, strip: bool = False) -> Axes:
    """The given axes, or those of a new column-wide figure that pyplot does not know of."""
    if ax is None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.4, height), dpi=200, layout=None if strip else "constrained")
        ax = figure.add_axes((0.16, 0.15, 0.8, 0.49)) if strip else figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    return ax


def _several(curves: Any) -> list[InformationCurve]:
    listed = list(curves) if isinstance(curves, Iterable) else [curves]
    if not listed:
        raise ValueError("no curve to draw: give an InformationCurve or a list of them")
    return listed


def _styles(curves: list[InformationCurve]) -> list[tuple[str, str, str]]:
    """(label, colour, marker) of each curve; a repeated problem gets a further colour and a number."""
    styles: list[tuple[str, str, str]] = []
    seen: dict[str, int] = {}
    for curve in curves:
        name, colour, marker = STYLES.get(curve.problem, (curve.problem, OTHERS[0], "D"))
        n = seen[curve.problem] = seen.get(curve.problem, 0) + 1
        styles.append((name, colour, marker) if n == 1 else (f"{name} ({n})", OTHERS[(n - 2) % 3], marker))
    return styles


def _points(
    ax: Axes, x: FloatArray, y: FloatArray, proven: Any, label: str | None, colour: str, marker: str, lw: float = 1.0
) -> None:
    """A line with a marker at every point, hollow where nothing is proven."""
    ax.plot(x, y, color=colour, lw=lw, label=label, zorder=3)
    for mask, face in ((proven, colour), (~proven, "white")):
        if mask.any():
            ax.plot(x[mask], y[mask], marker, ms=MARKER, mfc=face, mec=colour, mew=0.7, ls="none", zorder=4)


def _legend_above(ax: Axes, curves: list[InformationCurve], source: Axes | None = None) -> None:
    """A legend outside the data, with what filled and hollow markers mean."""
    from matplotlib.lines import Line2D

    handles, _ = (source or ax).get_legend_handles_labels()
    proven = np.concatenate([curve.certified for curve in curves])
    for present, face, label in ((proven.any(), GREY, "proven"), (not proven.all(), "white", "estimated")):
        if present:
            handles.append(Line2D([], [], ls="none", marker="o", ms=MARKER, mec=GREY, mfc=face, label=label))
    columns = min(len(handles), 4) if len(handles) != 5 else 3
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=columns, frameon=False, fontsize=SMALL,
        handlelength=1.5, columnspacing=1.0, handletextpad=0.5, borderaxespad=0.0, labelspacing=0.3,
    )  # fmt: skip


def _beta_axis(ax: Axes, beta: FloatArray) -> None:
    """A log axis of β with a few plain numbers and no unlabelled ticks."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = float(np.min(beta)), float(np.max(beta))
    ax.set_xscale("log")
    ax.set_xlim(low / (high / low) ** 0.03, high * (high / low) ** 0.03)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [s * 10.0**d for d in decades for s in steps if low * 0.97 <= s * 10.0**d <= high * 1.03]
        if len(ticks) >= 4:
            break
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("trade-off β (no unit)", fontsize=LABEL)


def _few_decades(ax: Axes) -> None:
    """At most four labelled powers of ten on a log y axis."""
    from matplotlib.ticker import LogLocator, NullLocator

    ax.yaxis.set_major_locator(LogLocator(numticks=4))
    ax.yaxis.set_minor_locator(NullLocator())


def _thin(curve: InformationCurve) -> float:
    """Line width of the marks of transitions: finer where there are many."""
    return 0.7 if len(curve.transitions) <= 12 else 0.35


def _transition_lines(ax: Axes, curve: InformationCurve) -> None:
    """Vertical lines at the transitions, labelled above the axes where the labels do not touch."""
    low, high = np.log(ax.get_xlim())
    taken = -np.inf
    for transition in sorted(curve.transitions, key=lambda t: t.beta):
        place = (np.log(transition.beta) - low) / (high - low)
        if not 0.0 <= place <= 1.0:
            continue
        style = "-" if transition.kind == "first-order" else (0, (4, 2))
        ax.axvline(transition.beta, color=GREY, lw=_thin(curve), ls=style, zorder=1)
        ax.axvspan(transition.lower, transition.upper, color=GREY, alpha=0.15, lw=0, zorder=0)
        if place - taken >= 0.06:
            text = f"{transition.n_before}→{transition.n_after}"
            ax.text(
                place, 1.02, text, transform=ax.transAxes, rotation=90, ha="center", va="bottom", fontsize=SMALL - 1
            )
            taken = place


def _gap_inset(ax: Axes, curves: list[InformationCurve], units: Units, top: float) -> None:
    """How far below the IB curve the others lie at equal rate, where the plane is empty: lower right."""
    reference = next((curve for curve in curves if curve.problem == "ib"), None)
    others = [
        (curve, style[1])
        for curve, style in zip(curves, _styles(curves), strict=True)
        if reference is not None and curve.problem != "ib"
        if abs(curve.mutual_information - reference.mutual_information) < 1e-9
    ]
    if reference is None or not others:
        return
    panel = ax.inset_axes((0.58, 0.13, 0.40, 0.25))
    for curve, colour in others:
        rate, gap = gap_at_equal_rate(reference, curve)
        panel.plot(to_units(rate, units), to_units(gap, units), color=colour, lw=1.0)
    panel.axhline(0.0, color=GREY, lw=0.6, zorder=1)
    panel.set_title(f"I(T;Y) below IB [{units}]\nat equal I(X;T) [{units}]", fontsize=SMALL - 1, pad=2)
    panel.tick_params(labelsize=SMALL - 1, length=2, pad=1)
    panel.spines[["top", "right"]].set_visible(False)
    panel.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    panel.yaxis.get_offset_text().set_fontsize(SMALL - 1)
    panel.locator_params(nbins=3)


def gap_at_equal_rate(reference: InformationCurve, other: InformationCurve) -> tuple[FloatArray, FloatArray]:
    r"""How much relevance `other` gives away to the IB curve `reference`, at the rates of its own points.

    .. math:: I^{IB}(T;Y)\big|_{I(X;T) = R} - I(T;Y)

    Between its points the IB curve is interpolated by cubics with the exact slopes dI(T;Y)/dI(X;T) = 1/β.

    Returns
    -------
    rate, gap : arrays, shape (n,), nats; the rates of `other` within the range of `reference`, and some along the
        straight segments of its first-order transitions.
    """
    from scipy.interpolate import CubicHermiteSpline

    # One point for every rate: the last, since of the points at zero rate it is nearest to the first transition.
    rate = reference.rate
    keep = np.append(np.diff(rate) > 1e-9, True)
    if keep.sum() < 2:
        return np.zeros(0), np.zeros(0)
    spline = CubicHermiteSpline(rate[keep], reference.relevance[keep], 1.0 / reference.beta[keep])
    # On the straight segment of a first-order transition there are points only at its ends.
    jumps = [t.beta for t in other.transitions if t.kind == "first-order" and other.beta[0] < t.beta < other.beta[-1]]
    ends = [int(np.searchsorted(other.beta, beta)) for beta in jumps]
    segments = [np.linspace(other.rate[i - 1], other.rate[i], 20)[1:-1] for i in dict.fromkeys(ends)]
    at = np.sort(np.concatenate([other.rate, *segments]))
    at = at[(at >= rate[keep][0]) & (at <= rate[keep][-1])]
    return at, spline(at) - np.interp(at, other.rate, other.relevance)
