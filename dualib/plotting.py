"""Figures of bottleneck curves: the information plane, the bifurcation diagram, the objective with its proven bracket.

Each function draws into `ax`, or into a new column-wide figure where that is None, and returns the axes: save with
``ax.figure.savefig(path)``. No pyplot state and no rcParams are touched, and a second call on the same axes adds to the
first. Colours are Okabe and Ito's. What is computed is drawn solid; between points that lie far apart, and along the jump of
a first-order transition, lines are thin and dashed. Proven points are part of the line, the others hollow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .gap import gap_at_equal_rate, gap_runs
from .measures import Units, to_units
from .plotting_clusters import plot_bifurcation
from .plotting_parts import (
    DASHED,
    GREY,
    LABEL,
    SMALL,
    axes_of,
    beta_axis,
    child,
    curve_line,
    few_decades,
    hollow,
    legend_above,
    limits,
    shown,
    styles,
    ticks_on_curve,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .curve import InformationCurve

GAP_FLOOR = 1e-16  # nats: gaps of exactly 0 are drawn here on the log axis
BAND = 5e-3  # of I(X;Y): a band of relevance that is nowhere wider is not drawn
CEILING = "ceiling of "


def plot_information_plane(
    curves: InformationCurve | Iterable[InformationCurve],
    ax: Axes | None = None,
    units: Units = "bits",
    inset: bool = True,
    labels: Sequence[str] | None = None,
) -> Axes:
    r"""Relevance I(T;Y) against rate I(X;T), under the two bounds every representation obeys.

    .. math:: I(T;Y) \le I(X;T), \qquad I(T;Y) \le I(X;Y)

    Small bars on the curve mark transitions; points whose optimality is not proven are hollow (as many as can be told
    apart). The band above an IB curve is what the proofs leave open. Each joint has its own line I(X;Y).

    Parameters
    ----------
    curves : one curve or several. For dualIB the relevance is that of the Markov decoder.
    ax : axes to draw into, linear or logarithmic, or None for a new figure.
    units : "bits" or "nats".
    inset : with an IB curve and others of its joint, draw how far below it they lie at equal rate, where both are computed.
    labels : a name for each curve; by default that of its problem.

    Returns
    -------
    matplotlib Axes.
    """
    curves = _several(curves)
    ax, again = axes_of(ax, 2.9)
    drawn = styles(curves, ax, labels)
    top = to_units(max(curve.mutual_information for curve in curves), units)
    right = max(max(float(np.max(to_units(curve.rate, units))) for curve in curves), top)
    _bounds(ax, curves, [name for name, *_ in drawn], units)
    data = []
    for curve, (name, colour, marker) in zip(curves, drawn, strict=True):
        x, y = shown(ax, "x", to_units(curve.rate, units)), shown(ax, "y", to_units(curve.relevance, units))
        data.append((x, y))
        _band(ax, curve, colour, units)
        curve_line(ax, x, y, curve.resolved, colour, name, curve.problem)
        reach = (right, top)
        hollow(ax, x[~curve.certified], y[~curve.certified], colour, marker, reach)
        ticks_on_curve(ax, curve, x, y, colour, reach)
    limits(ax, "x", -0.02 * right, 1.04 * right, again, [x for x, _ in data])
    limits(ax, "y", -0.03 * top, 1.08 * top, again, [y for _, y in data])
    ax.set_xlabel(f"rate I(X;T) [{units}]", fontsize=LABEL)
    ax.set_ylabel(f"relevance I(T;Y) [{units}]", fontsize=LABEL)
    legend_above(ax, ax)
    if inset:
        _gap_inset(ax, curves, [colour for _, colour, _ in drawn], units)
    return ax


def plot_objective(
    curves: InformationCurve | Iterable[InformationCurve],
    ax: Axes | None = None,
    units: Units = "bits",
    labels: Sequence[str] | None = None,
) -> Axes:
    r"""The optimal trade-off F(β) with its proven bracket, and above it the width of the bracket on a log axis.

    .. math:: F(\beta) = \min\; I(X;T) + \beta\, E\, d(x, r_T), \qquad \text{lower bound} \le F \le \text{objective}

    The band is the proven bracket, the line in the strip above its width; points wider than the tolerance are hollow.
    Crosses, at points that are not certified, are the gap estimated by ascent, which proves nothing; where the ascent
    found none there is no cross.

    Parameters
    ----------
    curves : one curve or several.
    ax : axes to draw F into, or None for a new figure.
    units : "bits" or "nats".
    labels : a name for each curve; by default that of its problem.

    Returns
    -------
    matplotlib Axes; the strip is its first child axes.
    """
    curves = _several(curves)
    ax, again = axes_of(ax, 3.0, strip=True)
    strip, used = child(ax, "bracket", (0.0, 1.06, 1.0, 0.42), sharex=ax)
    strip.set_yscale("log")
    beta_axis(ax, np.concatenate([curve.beta for curve in curves]), again)
    lowest, highest = 1.0, GAP_FLOOR
    for curve, (name, colour, marker) in zip(curves, styles(curves, ax, labels), strict=True):
        objective, lower = to_units(curve.objective, units), to_units(curve.lower_bound, units)
        ax.fill_between(curve.beta, lower, objective, color=colour, alpha=0.2, lw=0, zorder=1)
        ax.plot(curve.beta, objective, color=colour, lw=1.2, label=name, gid=curve.problem, zorder=3)
        gap = np.maximum(to_units(curve.gap, units), GAP_FLOOR)
        strip.plot(curve.beta, gap, color=colour, lw=0.8, zorder=3)
        place, open_ = np.log(curve.beta), ~curve.certified
        reach = (float(np.ptp(place)) or 1.0, np.inf)
        hollow(ax, curve.beta[open_], objective[open_], colour, marker, reach, at=(place[open_], 0 * place[open_]))
        hollow(strip, curve.beta[open_], gap[open_], colour, marker, reach, at=(place[open_], 0 * place[open_]))
        open_ &= curve.estimated_gap > GAP_FLOOR
        guess = to_units(curve.estimated_gap[open_], units)
        strip.plot(curve.beta[open_], guess, "x", ms=2.5, mew=0.7, color=colour)
        lowest, highest = min(lowest, gap.min(), *guess), max(highest, gap.max(), *guess)
    limits(strip, "y", lowest / 5, highest * 5, used)
    strip.set_ylabel(f"bracket [{units}]", fontsize=SMALL)
    strip.tick_params(labelsize=SMALL, labelbottom=False)
    strip.spines[["top", "right"]].set_visible(False)
    few_decades(strip)
    ax.set_ylabel(f"objective F(β) [{units}]", fontsize=LABEL)
    legend_above(strip, ax)
    return ax


# --- helpers ---


def _several(curves: Any) -> list[InformationCurve]:
    listed = list(curves) if isinstance(curves, Iterable) else [curves]
    if not listed:
        raise ValueError("no curve to draw: give an InformationCurve or a list of them")
    return listed


def _bounds(ax: Axes, curves: list[InformationCurve], names: list[str], units: Units) -> None:
    """The line I(T;Y) = I(X;T), and one line I(X;Y) for each joint, named where there are several."""
    there = {line.get_gid(): line for line in ax.get_lines() if str(line.get_gid()).startswith(CEILING)}
    for curve, name in zip(curves, names, strict=True):
        value = to_units(curve.mutual_information, units)
        same = next((line for line in there.values() if abs(line.get_ydata()[0] - value) < 1e-9), None)  # type: ignore[index]
        if same is None:
            same = ax.axhline(value, color=GREY, lw=0.8, ls=(0, (4, 2)), zorder=1)
            same.set_gid(CEILING + name)
        else:
            there.pop(same.get_gid())
            same.set_gid(f"{same.get_gid()}, {name}")
        there[same.get_gid()] = same
    dashes = (DASHED, (0, (8, 2)), (0, (8, 2, 1, 2)), (0, (1, 2)))
    for i, (gid, line) in enumerate(there.items()):
        line.set_label("I(X;Y)" if len(there) == 1 else f"I(X;Y) of {str(gid).removeprefix(CEILING)}")
        line.set_linestyle(dashes[i % len(dashes)])
    top = max(float(np.max(line.get_ydata())) for line in there.values())
    diagonal = next((line for line in ax.get_lines() if line.get_label() == "I(T;Y) = I(X;T)"), None)
    values = np.append(0.0, np.geomspace(1e-6 * top, top, 200))  # many, so that it bends as it must on log axes
    if diagonal is None:
        ax.plot(values, values, color=GREY, lw=0.8, ls=":", label="I(T;Y) = I(X;T)", zorder=1)
    else:
        diagonal.set_data(values, values)


def _band(ax: Axes, curve: InformationCurve, colour: str, units: Units) -> None:
    """Between the relevance of an IB curve and what is proven to be out of reach at its rate."""
    if curve.problem != "ib":
        return
    rate = np.linspace(0.0, float(curve.rate.max()), 300)
    below = ((curve.lower_bound - rate[:, None]) / curve.beta).max(axis=1)  # E d ≥ (F − I(X;T)) / β at every β
    above = np.minimum(curve.mutual_information - below, np.minimum(rate, curve.mutual_information))
    order = np.argsort(curve.rate, kind="stable")
    reached = np.interp(rate, curve.rate[order], curve.relevance[order])
    if (above - reached).max() > BAND * curve.mutual_information:
        x, low, high = (to_units(v, units) for v in (rate, reached, np.maximum(above, reached)))
        ax.fill_between(x, low, high, color=colour, alpha=0.12, lw=0, zorder=0)


def _gap_inset(ax: Axes, curves: list[InformationCurve], colours: list[str], units: Units) -> None:
    """How far below the IB curve the others lie at equal rate, where the plane is empty: lower right."""
    reference = next((curve for curve in curves if curve.problem == "ib"), None)
    others = [
        (curve, colour)
        for curve, colour in zip(curves, colours, strict=True)
        if reference is not None and curve.problem != "ib"
        if abs(curve.mutual_information - reference.mutual_information) < 1e-9
    ]
    if reference is None or not others:
        return
    panel, used = child(ax, "below IB", (0.58, 0.13, 0.40, 0.25))
    for curve, colour in others:
        runs = [(np.append(x, np.nan), np.append(y, np.nan)) for x, y in gap_runs(reference, curve)]
        rate, gap = (np.concatenate(v) for v in zip(*runs, strict=True)) if runs else (np.zeros(0), np.zeros(0))
        panel.plot(to_units(rate, units), to_units(gap, units), color=colour, lw=1.0)
    if used:
        return
    panel.axhline(0.0, color=GREY, lw=0.6, zorder=1)
    panel.set_title(f"I(T;Y) below IB [{units}]\nat equal I(X;T) [{units}]", fontsize=SMALL - 1, pad=2)
    panel.tick_params(labelsize=SMALL - 1, length=2, pad=1)
    panel.spines[["top", "right"]].set_visible(False)
    panel.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    panel.yaxis.get_offset_text().set_fontsize(SMALL - 1)
    panel.locator_params(nbins=3)


__all__ = ["gap_at_equal_rate", "plot_bifurcation", "plot_information_plane", "plot_objective"]
