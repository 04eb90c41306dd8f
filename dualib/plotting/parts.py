"""What the figures share: axes, colours, lines that show where they are interpolated, ticks, legends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from dualib.core import figure
from dualib.core.figure import GREY, LABEL
from dualib.core.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Drawn = TypeVar("Drawn")
Style = tuple[str, str, str]

FIXED = ("IB", "dualIB", "α-IB")  # these have the first colours, whatever stands beside them
PATH = "path of "  # begins the gid of a line that is one
DASHED = (0, (4, 2))
MARKER = 3.2
HOLLOW, UNPROVEN = "hollow: ", "not proven"
APART = 0.06  # of the axes: hollow markers nearer to each other than this are left out
ROUNDING = 1e-6  # of the largest value: what is less is drawn as 0
TICKS_APART = 0.012  # of the axes: likewise the bars of transitions


def listed(given: Drawn | Iterable[Drawn]) -> list[Drawn]:
    """One thing to draw, or several, as a list."""
    found = list(given) if isinstance(given, Iterable) else [given]
    if not found:
        raise ValueError("no curve to draw: give an InformationCurve or a list of them")
    return found


def has_data(ax: Axes | None) -> bool:
    """Whether axes were given that hold data already."""
    return ax is not None and ax.has_data()


def child(
    ax: Axes, name: str, place: tuple[float, float, float, float], sharex: Axes | None = None
) -> tuple[Axes, bool]:
    """The inset axes of that name, made where they are missing; whether they were there."""
    from matplotlib.axes import Axes

    for found in ax.child_axes:
        if isinstance(found, Axes) and found.get_gid() == name:
            return found, True
    made = ax.inset_axes(place, sharex=sharex)
    made.set_gid(name)
    return made, False


def styles(names: Sequence[str], ax: Axes, labels: Sequence[str] | None = None) -> list[Style]:
    """(label, colour, marker) of each line; a name that is there already gets a further colour and a number."""
    if labels is not None and len(labels) != len(names):
        raise ValueError(f"labels has {len(labels)} names for {len(names)} curves")
    gids = (str(line.get_gid()) for line in ax.get_lines())
    seen = [gid.removeprefix(PATH) for gid in gids if gid.startswith(PATH)]
    found: list[Style] = []
    for i, name in enumerate(names):
        n = seen.count(name) + 1
        own = name in FIXED and n == 1
        k = FIXED.index(name) if own else len(FIXED) + len(seen) - len(set(seen) & set(FIXED))
        seen.append(name)
        text = name if n == 1 else f"{name} ({n})"
        found.append((labels[i] if labels is not None else text, figure.colour(k), figure.marker(k)))
    return found


def curve_line(ax: Axes, x: FloatArray, y: FloatArray, resolved: BoolArray, colour: str, label: str, name: str) -> None:
    """Solid where neighbours are near, thin and dashed with a dot at each end where they are not."""
    gaps = np.flatnonzero(~resolved) + 1
    ax.plot(*(np.insert(v, gaps, np.nan) for v in (x, y)), color=colour, lw=1.2, label=label, gid=PATH + name, zorder=3)
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
    means: str = UNPROVEN,
) -> None:
    """Hollow markers at points that are not proven, or what else they mean: as many of them as can be told apart."""
    keep = thinned(*(at or (x, y)), reach, APART)
    if len(keep):
        ax.plot(
            x[keep],
            y[keep],
            marker,
            ms=MARKER,
            mfc="white",
            mec=colour,
            mew=0.7,
            ls="none",
            gid=HOLLOW + means,
            zorder=4,
        )


def bars(ax: Axes, x: FloatArray, y: FloatArray, colour: str, reach: tuple[float, float]) -> None:
    """A small bar at every transition: as many of them as can be told apart."""
    keep = thinned(x, y, reach, TICKS_APART)
    if len(keep):
        ax.plot(x[keep], y[keep], "|", ms=6, mew=0.6, color=colour, gid="transition", zorder=3)


def thinned(x: FloatArray, y: FloatArray, reach: tuple[float, float], apart: float) -> IntArray:
    """Indices of points that lie apart from those kept before them, by a share of the reach of the axes."""
    kept: list[int] = []
    scaled = np.column_stack([np.asarray(x) / reach[0], np.asarray(y) / reach[1]])
    for i, point in enumerate(scaled):
        if np.isnan(point).any():
            continue
        if not kept or np.hypot(*(scaled[kept] - point).T).min() >= apart:
            kept.append(i)
    return np.array(kept, dtype=np.int64)


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


def legend_above(ax: Axes, source: Axes, *, title: str = "") -> None:
    """A legend outside the data, each name once, with what bars and hollow markers mean where there are any."""
    from matplotlib.lines import Line2D

    handles, names = source.get_legend_handles_labels()
    entries = dict(zip(names, handles, strict=True))
    there = {line.get_gid() for line in source.get_lines()}
    if "transition" in there:
        entries["transition"] = Line2D([], [], ls="none", marker="|", ms=6, mew=0.8, color=GREY)
    for means in sorted(str(gid).removeprefix(HOLLOW) for gid in there if str(gid).startswith(HOLLOW)):
        entries[means] = Line2D([], [], ls="none", marker="o", ms=MARKER, mec=GREY, mfc="white")
    figure.legend_above(ax, source, entries=entries, title=title)


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
