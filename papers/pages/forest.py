"""Every condition as a dot with its interval, at its distance from the threshold: a claim's forest, and all claims at a glance."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.figure import COLOURS, GREY, SMALL, panels
from papers.ledger.claim import Party
from papers.ledger.condition import Condition, Op, Role, Side
from papers.ledger.verdict import Outcome
from papers.pages.verdicts import VerdictRow, pooled_estimate, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE_COLOURS = {Side.HOLDS: COLOURS[0], Side.FAILS: COLOURS[1], Side.OPEN: GREY}
ROLE_MARKERS = {Role.CORE: "o", Role.ROBUSTNESS: "s", Role.SIDE: "D"}
EDGE = 1e2  # what lies farther is drawn at the edge
AXIS = "distance from the threshold (claimed side to the right)"


@dataclass(frozen=True)
class Margin:
    """How far an estimate lies on the claimed side of its threshold, with the ends of its interval; negative: on the other."""

    value: float
    low: float
    high: float


def margin(condition: Condition, estimate: Estimate, scale: float | None = None) -> Margin:
    """The distance in units of the threshold, or of the tolerance; of the interval's half width where the threshold is zero.

    Parameters
    ----------
    condition : Condition
    estimate : Estimate
    scale : float or None
        Another unit, for estimates to be shown beside one another where the threshold is zero.
    """
    found = estimate.to(condition.unit)
    ends = np.array([found.value, found.low, found.high])
    if condition.op is Op.WITHIN and condition.tolerance is not None:
        off = np.abs(ends - condition.value)
        nearest = 0.0 if found.low <= condition.value <= found.high else off[1:].min()
        value, low, high = condition.tolerance - np.array([off[0], off[1:].max(), nearest])
        unit = condition.tolerance
    else:
        sign = 1.0 if condition.op is Op.ABOVE else -1.0
        value, low, high = sign * (ends - condition.value)
        low, high = min(low, high), max(low, high)
        unit = abs(condition.value)
    unit = unit or scale or half_width(found)
    return Margin(*(float(np.clip(v / unit, -EDGE, EDGE)) for v in (value, low, high)))


def half_width(estimate: Estimate) -> float:
    """Half the interval's width, or the value's size where that is zero or infinite, or one."""
    half = (estimate.high - estimate.low) / 2
    return half if 0.0 < half < np.inf else abs(estimate.value) or 1.0


def forest(row: VerdictRow) -> Figure:
    """Every condition of a claim: all seeds together with the interval, and a small dot a seed (open: seen before the freeze)."""
    conditions, sides = row.claim.conditions, dict(row.verdict.sides)
    labels = ["\n".join(textwrap.wrap(c.label or c.measure, 46)) for c in conditions]
    lines = np.array([label.count("\n") + 1 for label in labels])
    height = 0.75 + 0.15 * float(np.sum(lines + 0.9))
    figure, (ax,) = panels(width=7.0, height=height)
    places = -np.cumsum((np.r_[0, lines[:-1]] + lines) / 2 + 0.9)
    for y, c in zip(places, conditions, strict=True):
        whole = pooled_estimate(row.measured, c.measure)
        if whole is None:
            ax.text(0, y, "not measured", fontsize=SMALL, color=GREY, ha="center", va="center")
            continue
        scale = half_width(whole.to(c.unit))
        for seeds, filled, shift in ((row.seeds, True, 0.45), (row.explored, False, -0.45)):
            found = [s.estimates[c.measure] for s in seeds if c.measure in s.estimates]
            at = [margin(c, e, scale).value for e in found]
            face = SIDE_COLOURS[sides[c]] if filled else "none"
            ax.plot(at, np.full(len(at), y - shift), ".", ms=4, mfc=face, mec=SIDE_COLOURS[sides[c]], mew=0.5)
        _dot(ax, y, margin(c, whole, scale), sides[c], c.role)
    _threshold(ax)
    ax.set_yticks(places, labels, fontsize=SMALL)
    ax.set_ylim(places[-1] - 1, 0)
    ax.set_title(f"claim {row.claim.number}: {words(row.verdict, plain=True)}", fontsize=SMALL)
    _legend(figure)
    return figure


def overview(rows: Sequence[VerdictRow]) -> Figure:
    """One row a claim, the dots of its core conditions with their intervals; originals and critics side by side."""
    parties = [[r for r in rows if r.paper.party is party] for party in Party]
    height = 0.9 + 0.2 * max(map(len, parties))
    figure, axes = panels(2, width=7.0, height=height, sharex=True)
    for ax, party, own in zip(axes, Party, parties, strict=True):
        for y, row in enumerate(own):
            sides = dict(row.verdict.sides)
            found = [(c, pooled_estimate(row.measured, c.measure)) for c in row.claim.core]
            shown = [(c, e) for c, e in found if e is not None]
            for k, (c, e) in enumerate(shown):
                _dot(
                    ax,
                    y + 0.5 * (k / max(len(shown) - 1, 1) - 0.5) * (len(shown) > 1),
                    margin(c, e),
                    sides[c],
                    c.role,
                    3,
                )
            if not shown:
                text = "not measured" if row.verdict.outcome is Outcome.NOT_MEASURED else "to be measured"
                ax.text(0, y, text, fontsize=SMALL - 1, color=GREY, ha="center", va="center")
        _threshold(ax)
        ax.set_yticks(range(len(own)), [_tick(row) for row in own], fontsize=SMALL - 1)
        ax.set_ylim(len(own) - 0.4, -0.6)
        ax.set_title(party, fontsize=SMALL)
        ax.grid(axis="y", lw=0.3, color="0.9")
    _legend(figure, roles=False)
    return figure


def _tick(row: VerdictRow) -> str:
    return f"{row.claim.number} {row.verdict.outcome}"


def _dot(ax: Axes, y: float, m: Margin, side: Side, role: Role, size: float = 4.5) -> None:
    colour = SIDE_COLOURS[side]
    ax.plot([m.low, m.high], [y, y], "-", color=colour, lw=1.2, solid_capstyle="butt")
    ax.plot(m.value, y, ROLE_MARKERS[role], color=colour, ms=size, mew=0)


def _threshold(ax: Axes) -> None:
    """A symmetric scale, linear up to one, with the threshold at zero."""
    ax.axvline(0.0, color="k", lw=0.8)
    ax.set_xscale("symlog", linthresh=1.0, linscale=1.0)
    ax.set_xlim(-1.3 * EDGE, 1.3 * EDGE)
    ticks = [-100, -10, -1, 0, 1, 10, 100]
    ax.set_xticks(ticks, [f"{t:+g}".replace("-", "−") if t else "0" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel(AXIS, fontsize=SMALL)


def _legend(figure: Figure, roles: bool = True) -> None:
    from matplotlib.lines import Line2D

    kinds = [Line2D([], [], ls="", marker="o", color=c, mew=0, ms=4.5, label=s) for s, c in SIDE_COLOURS.items()]
    shapes = [Line2D([], [], ls="", marker=m, color="k", mew=0, ms=4.5, label=r) for r, m in ROLE_MARKERS.items()]
    handles = kinds + shapes * roles
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=SMALL, frameon=False)
