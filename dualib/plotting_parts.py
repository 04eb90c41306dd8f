"""What the figures share: axes, colours, lines that show where they are interpolated, ticks, legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .measures import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .curve import InformationCurve

STYLES = {"ib": ("IB", "#0072B2", "o"), "dual": ("dualIB", "#D55E00", "s"), "alpha": ("α-IB", "#009E73", "^")}
OTHERS = ("#CC79A7", "#E69F00", "#56B4E9")  # further curves of one problem
GREY = "#666666"
DASHED = (0, (4, 2))
MARKER = 3.2
SMALL, LABEL = 7, 8  # points
APART = 0.06  # of the axes: hollow markers nearer to each other than this are left out
ROUNDING = 1e-6  # of the largest value: what is less is drawn as 0
TICKS_APART = 0.012  # of the axes: likewise the bars of transitions


def axes_of(ax: Axes | None, height: float, strip: bool = False) -> tuple[Axes, bool]:
    """The given axes, or those of a new column-wide figure that pyplot does not know of; whether they hold data already."""
    again = ax is not None and ax.has_data()
    if ax is None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.4, height), dpi=200, layout=None if strip else "constrained")
        ax = figure.add_axes((0.16, 0.15, 0.8, 0.49)) if strip else figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    return ax, again


def child(ax: Axes, name: str, place: tuple[float, float, float, float], **options: Any) -> tuple[Axes, bool]:
    """The inset axes of that name, made where they are missing; whether they were there."""
    from matplotlib.axes import Axes

    for found in ax.child_axes:
        if isinstance(found, Axes) and found.get_gid() == name:
            return found, True
    made = ax.inset_axes(place, **options)
    made.set_gid(name)
    return made, False


def styles(
    curves: Sequence[InformationCurve], ax: Axes, labels: Sequence[str] | None = None
) -> list[tuple[str, str, str]]:
    """(label, colour, marker) of each curve; a problem that is there already gets a further colour and a number."""
    if labels is not None and len(labels) != len(curves):
        raise ValueError(f"labels has {len(labels)} names for {len(curves)} curves")
    found: list[tuple[str, str, str]] = []
    seen = [str(line.get_gid()) for line in ax.get_lines()]
    for i, curve in enumerate(curves):
        name, colour, marker = STYLES[curve.problem]
        n = seen.count(curve.problem) + 1
        seen.append(curve.problem)
        if n > 1:
            name, colour = f"{name} ({n})", OTHERS[(n - 2) % len(OTHERS)]
        found.append((labels[i] if labels is not None else name, colour, marker))
    return found


def curve_line(
    ax: Axes, x: FloatArray, y: FloatArray, resolved: np.ndarray, colour: str, name: str, problem: str
) -> None:
    """Solid where neighbours are near, thin and dashed with a dot at each end where they are not."""
    gaps = np.flatnonzero(~resolved) + 1
    ax.plot(*(np.insert(v, gaps, np.nan) for v in (x, y)), color=colour, lw=1.2, label=name, gid=problem, zorder=3)
    if len(gaps):
        dashed = [np.column_stack([v[gaps - 1], v[gaps], np.full(len(gaps), np.nan)]).ravel() for v in (x, y)]
        ax.plot(*dashed, color=colour, lw=0.7, ls=(0, (3, 2)), gid="interpolated", zorder=2)
        ends = np.unique(np.append(gaps - 1, gaps))
        ax.plot(x[ends], y[ends], ".", ms=2.5, mew=0, color=colour, zorder=3)


def hollow(
    ax: Axes,
    x: FloatArray,
    y: FloatArray,
    colour: str,
    marker: str,
    reach: tuple[float, float],
    at: tuple[FloatArray, FloatArray] | None = None,
) -> None:
    """Hollow markers at points that are not proven: as many of them as can be told apart."""
    keep = thinned(*(at or (x, y)), reach, APART)
    if len(keep):
        ax.plot(
            x[keep], y[keep], marker, ms=MARKER, mfc="white", mec=colour, mew=0.7, ls="none", gid="hollow", zorder=4
        )


def ticks_on_curve(
    ax: Axes, curve: InformationCurve, x: FloatArray, y: FloatArray, colour: str, reach: tuple[float, float]
) -> None:
    """A small bar at every transition within the range, interpolated in β; at both ends of a jump."""
    betas = [t.beta for t in curve.transitions if curve.beta[0] <= t.beta <= curve.beta[-1]]
    ends = np.flatnonzero(curve.jumps)
    px, py = (np.append(np.interp(betas, curve.beta, v), v[np.append(ends, ends + 1)]) for v in (x, y))
    keep = thinned(px, py, reach, TICKS_APART)
    if len(keep):
        ax.plot(px[keep], py[keep], "|", ms=6, mew=0.6, color=colour, gid="transition", zorder=3)


def thinned(x: FloatArray, y: FloatArray, reach: tuple[float, float], apart: float) -> np.ndarray:
    """Indices of points that lie apart from those kept before them, by a share of the reach of the axes."""
    kept: list[int] = []
    scaled = np.column_stack([np.asarray(x) / reach[0], np.asarray(y) / reach[1]])
    for i, point in enumerate(scaled):
        if np.isnan(point).any():
            continue
        if not kept or np.hypot(*(scaled[kept] - point).T).min() >= apart:
            kept.append(i)
    return np.array(kept, dtype=int)


def shown(ax: Axes, axis: str, values: FloatArray) -> FloatArray:
    """The values, without those that are 0 up to rounding where the axis is logarithmic."""
    if getattr(ax, f"get_{axis}scale")() != "log":
        return values
    return np.where(values > ROUNDING * np.nanmax(values), values, np.nan)


def limits(ax: Axes, axis: str, low: float, high: float, again: bool, data: Sequence[FloatArray] = ()) -> None:
    """Limits that hold the new data, and what was there before; on a log axis from below the least value shown."""
    get, set_ = (getattr(ax, f"{verb}_{axis}lim") for verb in ("get", "set"))
    if low <= 0.0 and getattr(ax, f"get_{axis}scale")() == "log":
        kept = np.concatenate([shown(ax, axis, values) for values in data])
        low = 0.7 * float(np.min(kept[kept > 0.0], initial=high))
    if again:
        low, high = min(low, get()[0]), max(high, get()[1])
    set_(low, high)


def legend_above(ax: Axes, source: Axes) -> None:
    """A legend outside the data, each name once, with what bars and hollow markers mean where there are any."""
    from matplotlib.lines import Line2D

    handles, names = source.get_legend_handles_labels()
    entries = dict(zip(names, handles, strict=True))
    there = {line.get_gid() for line in source.get_lines()}
    if "transition" in there:
        entries["transition"] = Line2D([], [], ls="none", marker="|", ms=6, mew=0.8, color=GREY)
    if "hollow" in there:
        entries["not proven"] = Line2D([], [], ls="none", marker="o", ms=MARKER, mec=GREY, mfc="white")
    ax.legend(
        entries.values(), entries.keys(), loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=3 if len(entries) > 4 else 4,
        frameon=False, fontsize=SMALL, handlelength=1.5, columnspacing=1.0, handletextpad=0.5, borderaxespad=0.0,
        labelspacing=0.3,
    )  # fmt: skip


def beta_axis(ax: Axes, beta: FloatArray, again: bool = False) -> None:
    """A log axis of β with a few plain numbers and no unlabelled ticks."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = float(np.min(beta)), float(np.max(beta))
    high = high if high > low else 1.01 * low
    if again and ax.get_xlim()[0] > 0:
        low, high = min(low, ax.get_xlim()[0]), max(high, ax.get_xlim()[1])
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


def few_decades(ax: Axes) -> None:
    """At most four labelled powers of ten on a log y axis."""
    from matplotlib.ticker import LogLocator, NullLocator

    ax.yaxis.set_major_locator(LogLocator(numticks=4))
    ax.yaxis.set_minor_locator(NullLocator())
