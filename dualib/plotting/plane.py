"""The information plane: relevance against rate, under the two bounds every representation obeys.

What is computed is drawn solid; between points that lie far apart, and along the jump of a first-order transition, lines are
thin and dashed. Proven points are part of the line, the others hollow. Where points have a time, it is their colour. A second
call on the same axes adds to the first.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import GREY, LABEL, SMALL, axes_or_new
from dualib.core.units import Units, to_units
from dualib.curves.curve import InformationCurve
from dualib.curves.gap import gap_runs
from dualib.plane import InPlane, PlanePath
from dualib.plotting.clock import clocked
from dualib.plotting.parts import (
    DASHED,
    MARKER,
    PATH,
    bars,
    child,
    curve_line,
    has_data,
    hollow,
    legend_above,
    limits,
    listed,
    shown,
    styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = 5e-3  # of I(X;Y): a band of relevance that is nowhere wider is not drawn
CEILING = "ceiling of "
WRAP, NARROW = 52, 40  # characters of a line beside the axes of a printed column, and over them beside a colour bar

NOTHING = 1e-9
"""Nats: relevances below it in all lines do not set the scale of the axis."""


def plot_information_plane(
    curves: InPlane | Iterable[InPlane],
    *,
    ax: Axes | None = None,
    units: Units = "bits",
    inset: bool = True,
    labels: Sequence[str] | None = None,
) -> Axes:
    r"""Plot relevance I(T;Y) against rate I(X;T), under the two bounds every representation obeys.

    .. math:: I(T;Y) \le I(X;T), \qquad I(T;Y) \le I(X;Y)

    Small bars on the curve mark transitions; points whose optimality is not proven are hollow (as many as can be told
    apart). The band above an IB curve is what the proofs leave open. Each joint has its own line I(X;Y). The last point of a
    line in time has bars, where its interval can be seen.

    Parameters
    ----------
    curves : one or several
        Whatever has ``plane_paths()``: bottleneck curves, of finite alphabets and of Gaussians, infinite ensembles in time,
        layers of networks in training. For dualIB the relevance is that of the Markov decoder.
    ax : Axes or None
        Axes to draw into, linear or logarithmic; None makes a new figure.
    units : {"bits", "nats"}
    inset : bool
        With an IB curve and others of its joint, draw how far below it they lie at equal rate, where both are computed.
    labels : sequence of str or None
        A name for each line; by default its own.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is nothing to draw, or not one label for each line.

    Examples
    --------
    >>> from dualib import IB, Joint, information_curve, plot_information_plane
    >>> curve = information_curve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), [1.0, 5.0, 20.0], progress=False)
    >>> plot_information_plane(curve).get_xlabel()
    'rate I(X;T) [bits]'
    """
    given = listed(curves)
    again = has_data(ax)
    paths = [path for one in given for path in one.plane_paths()]
    ax = axes_or_new(ax, 2.9 if all(path.clock is None for path in paths) else 3.3)
    drawn = styles([path.name for path in paths], ax, labels)
    top, right = (float(to_units(v, units)) for v in _reach(paths))
    _bounds(ax, paths, [label for label, *_ in drawn], top, units)
    data = []
    for path, (label, colour, marker) in zip(paths, drawn, strict=True):
        x, y = shown(ax, "x", to_units(path.rate, units)), shown(ax, "y", to_units(path.relevance, units))
        data.append((x, y))
        if path.clock is not None:
            clocked(ax, path, (x, y), (label, marker), (right, top), units)
            continue
        if not path.joined:  # each smaller than those before, so that what lies under it is seen
            size = max(MARKER, 5.5 - 0.8 * sum(not p.joined for p in paths[: paths.index(path)]))
            ax.plot(x, y, marker, ms=size, mew=0, color=colour, label=label, gid=PATH + path.name, zorder=4)
            continue
        _band(ax, path, colour, units)
        curve_line(ax, x, y, path.resolved, colour, label, path.name)
        reach = (right, top)
        hollow(ax, x[~path.proven], y[~path.proven], colour, marker, reach)
        at_rate, at_relevance = to_units(path.marks, units).T
        bars(ax, at_rate, at_relevance, colour, reach)
    limits(ax, "x", -0.02 * right, 1.04 * right, again, [x for x, _ in data])
    limits(ax, "y", -0.03 * top, 1.08 * top, again, [y for _, y in data])
    named = list(zip([label for label, *_ in drawn], paths, strict=True))
    ax.set_xlabel(_axis(f"rate I(X;T) [{units}]", [(n, p.rate_is) for n, p in named]), fontsize=LABEL)
    ax.set_ylabel(_axis(f"relevance I(T;Y) [{units}]", [(n, p.relevance_is) for n, p in named]), fontsize=LABEL)
    caveats = dict.fromkeys(path.caveat for path in paths if path.caveat and len(paths) > 1)
    legend_above(ax, ax, title="\n".join(textwrap.fill(text, NARROW) for text in caveats))
    if inset:
        _gap_inset(ax, given, [colour for _, colour, _ in drawn], units)
    return ax


def _reach(paths: list[PlanePath]) -> tuple[float, float]:
    """How far the axes go, nats: lines in time decide where there are any, as a frontier goes on and on."""
    timed = [path for path in paths if path.clock is not None] or paths
    right = max(float(path.rate.max()) for path in timed)
    top = max([*(float(path.relevance.max()) for path in timed), *(p.information_xy for p in paths if _finite(p))])
    if top < NOTHING:
        top = right if right > NOTHING else 1.0
    return top, max(top, right)


def _finite(path: PlanePath) -> bool:
    return bool(np.isfinite(path.information_xy))


def _axis(name: str, more: list[tuple[str, str]]) -> str:
    """The name of an axis, and what it is for those lines for which it is something else."""
    lines = {what: [line for line, is_what in more if is_what == what] for _, what in more if what}
    said = [f"{of[0]}: {what}" if len(of) == 1 < len(more) else what for what, of in lines.items()]
    return "\n".join((name, *(textwrap.fill(text, WRAP) for text in said)))


def _bounds(ax: Axes, paths: list[PlanePath], names: list[str], top: float, units: Units) -> None:
    """The line I(T;Y) = I(X;T), and one line I(X;Y) for each joint, named where there are several."""
    there = {line.get_gid(): line for line in ax.get_lines() if str(line.get_gid()).startswith(CEILING)}
    for path, name in zip(paths, names, strict=True):
        if not _finite(path):
            continue
        value = to_units(path.information_xy, units)
        same = next((line for line in there.values() if abs(np.ravel(line.get_ydata())[0] - value) < 1e-9), None)
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
    top = max([top, *(float(np.max(line.get_ydata())) for line in there.values())])
    diagonal = next((line for line in ax.get_lines() if line.get_label() == "I(T;Y) = I(X;T)"), None)
    values = np.append(0.0, np.geomspace(1e-6 * top, top, 200))  # many, so that it bends as it must on log axes
    if diagonal is None:
        ax.plot(values, values, color=GREY, lw=0.8, ls=":", label="I(T;Y) = I(X;T)", zorder=1)
    else:
        diagonal.set_data(values, values)


def _band(ax: Axes, path: PlanePath, colour: str, units: Units) -> None:
    """Between the relevance of a path and what is proven to be out of reach at its rate."""
    if path.ceiling is None:
        return
    rate, above = path.ceiling.T
    order = np.argsort(path.rate, kind="stable")
    reached = np.interp(rate, path.rate[order], path.relevance[order])
    if (above - reached).max() > BAND * path.information_xy:
        x, low, high = (to_units(v, units) for v in (rate, reached, np.maximum(above, reached)))
        ax.fill_between(x, low, high, color=colour, alpha=0.12, lw=0, zorder=0)


def _gap_inset(ax: Axes, given: list[InPlane], colours: list[str], units: Units) -> None:
    """How far below the IB curve the others lie at equal rate, where the plane is empty: lower right."""
    pairs = zip(given, colours, strict=False)  # a curve has one line
    curves = [(one, colour) for one, colour in pairs if isinstance(one, InformationCurve)]
    reference = next((curve for curve, _ in curves if curve.problem == "ib"), None)
    others = [
        (curve, colour)
        for curve, colour in curves
        if reference is not None and curve.problem != "ib"
        if abs(curve.information_xy - reference.information_xy) < 1e-9
    ]
    found = [
        (runs, colour)
        for curve, colour in others
        if reference is not None
        if (runs := [(x, y) for x, y in gap_runs(reference, curve) if len(x) > 1])
    ]
    if not found:  # or no rate of theirs lies between computed points of IB
        return
    panel, used = child(ax, "below IB", (0.58, 0.13, 0.40, 0.25))
    for runs, colour in found:
        ended = [(np.append(x, np.nan), np.append(y, np.nan)) for x, y in runs]
        rate, gap = (np.concatenate(v) for v in zip(*ended, strict=True))
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
