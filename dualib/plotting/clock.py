"""Points that have a time: their colour, on one scale for all lines with the same clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.figure import GREY, LABEL, SMALL
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.plane import PlanePath
from dualib.plotting.parts import MARKER, PATH, hollow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

INTERVAL = "interval of "  # begins the gid of the bars at the last point
LEAST_BAR = 0.01  # of the axis: a shorter one would hide behind its point
CLOCK = "clock of "  # begins the gid of points whose colour is a time
COLOUR_MAPS = ("cividis", "plasma")  # for the first and for further clocks


def clocked(
    ax: Axes,
    path: PlanePath,
    points: tuple[FloatArray, FloatArray],
    style: tuple[str, str],
    reach: tuple[float, float],
    units: Units,
) -> None:
    """Draw points, in the units of the axes, coloured by their clock and joined in its order; (label, marker) is the style.

    The last point has bars where its interval is wide enough to be seen.
    """
    (x, y), (label, marker), proven = points, style, path.proven
    assert path.clock is not None
    if path.within is not None:
        _bars_at_the_last(ax, path.name, (x[-1], y[-1]), to_units(path.within[:, -1], units), reach)
    ax.plot(x, y, color="0.75", lw=0.7, zorder=2)
    ax.plot([], [], marker, color=GREY, ms=MARKER, mew=0, ls="none", label=label, gid=PATH + path.name)
    hollow(ax, x[~proven], y[~proven], GREY, marker, reach, means=path.unproven_is)
    look: dict[str, Any] = {"marker": marker, "s": 14, "linewidths": 0, "zorder": 4, "gid": CLOCK + path.clock_name}
    _on_one_scale(ax, ax.scatter(x[proven], y[proven], c=path.clock[proven], **look), path.clock_name, path.clock)


def _bars_at_the_last(
    ax: Axes, name: str, point: tuple[float, float], ends: FloatArray, reach: tuple[float, float]
) -> None:
    (x, y), wide = point, np.ptp(ends, axis=1) > LEAST_BAR * np.array(reach)
    look: dict[str, Any] = {"color": "0.55", "lw": 0.7, "zorder": 1.5, "gid": INTERVAL + name}
    if wide[0]:
        ax.plot(ends[0], [y, y], **look)
    if wide[1]:
        ax.plot([x, x], ends[1], **look)


def _on_one_scale(ax: Axes, drawn: PathCollection, name: str, times: FloatArray) -> None:
    """Give the points the scale of those with the same clock, widened to hold their times; a new clock gets a colour bar."""
    from matplotlib.collections import PathCollection
    from matplotlib.colors import SymLogNorm

    timed = [c for c in ax.collections if isinstance(c, PathCollection) and str(c.get_gid()).startswith(CLOCK)]
    same = next((c for c in timed if c is not drawn and c.get_gid() == drawn.get_gid()), None)
    if same is not None:
        low, high = same.get_clim()
        drawn.set(cmap=same.get_cmap(), norm=same.norm)
        drawn.set_clim(min(low, float(times.min())), max(high, float(times.max())))
        return
    positive = times[times > 0]
    least = float(positive.min()) if positive.size else 1.0
    top = max(float(times.max()), least * (1 + 1e-9))
    clocks = {c.get_gid() for c in timed}
    cmap = COLOUR_MAPS[min(len(clocks), len(COLOUR_MAPS)) - 1]
    drawn.set(cmap=cmap, norm=SymLogNorm(linthresh=least, vmin=float(times.min()), vmax=top))
    bar = ax.figure.colorbar(drawn, ax=ax)
    bar.set_label(name, fontsize=LABEL)
    bar.ax.tick_params(labelsize=SMALL)
