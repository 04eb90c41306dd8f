"""The objective F(β) with its proven bracket."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import LABEL, SMALL, panels, plain_axes
from dualib.core.units import Units, to_units
from dualib.curves.curve import TITLES, InformationCurve
from dualib.plotting.parts import (
    PATH,
    beta_axis,
    child,
    few_decades,
    has_data,
    hollow,
    legend_above,
    limits,
    listed,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACE = (0.16, 0.15, 0.8, 0.49)  # of the axes in a new figure, under the strip
GAP_FLOOR = 1e-16  # nats: gaps of exactly 0 are drawn here on the log axis


def plot_objective(
    curves: InformationCurve | Iterable[InformationCurve],
    *,
    ax: Axes | None = None,
    units: Units = "bits",
    labels: Sequence[str] | None = None,
) -> Axes:
    r"""Plot the optimal trade-off F(β) with its proven bracket, and above it the width of the bracket on a log axis.

    .. math:: F(\beta) = \min\; I(X;T) + \beta\, E\, d(x, r_T), \qquad \text{lower bound} \le F \le \text{objective}

    The band is the proven bracket, the line in the strip above its width; points wider than the tolerance are hollow.
    Crosses, at points that are not certified, are the gap estimated by ascent, which proves nothing; where the ascent
    found none there is no cross.

    Parameters
    ----------
    curves : InformationCurve or several
    ax : Axes or None
        Axes to draw F into; None makes a new figure.
    units : {"bits", "nats"}
    labels : sequence of str or None
        A name for each curve; by default that of its problem.

    Returns
    -------
    Axes
        The strip is its first child axes.

    Examples
    --------
    >>> from dualib import IB, Joint, information_curve
    >>> curve = information_curve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), [1.0, 5.0, 20.0], progress=False)
    >>> plot_objective(curve, units="nats").get_ylabel()
    'objective F(β) [nats]'
    """
    given = listed(curves)
    again = has_data(ax)
    if ax is None:
        figure, (ax,) = panels(height=3.0)
        figure.set_layout_engine("none")  # constrained layout leaves no room for the strip's legend
        ax.set_position(PLACE)
    plain_axes(ax)
    strip, used = child(ax, "bracket", (0.0, 1.06, 1.0, 0.42), sharex=ax)
    strip.set_yscale("log")
    beta_axis(ax, np.concatenate([curve.beta for curve in given]), again)
    lowest, highest = 1.0, GAP_FLOOR
    names = [TITLES[curve.problem] for curve in given]
    for curve, name, (label, colour, marker) in zip(given, names, styles(names, ax, labels), strict=True):
        objective, lower = to_units(curve.objective, units), to_units(curve.lower_bound, units)
        ax.fill_between(curve.beta, lower, objective, color=colour, alpha=0.2, lw=0, zorder=1)
        ax.plot(curve.beta, objective, color=colour, lw=1.2, label=label, gid=PATH + name, zorder=3)
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
    plain_axes(strip).tick_params(labelbottom=False)
    few_decades(strip)
    ax.set_ylabel(f"objective F(β) [{units}]", fontsize=LABEL)
    legend_above(strip, ax)
    return ax
