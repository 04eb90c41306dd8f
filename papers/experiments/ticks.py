"""Ticks of axes that count epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def epochs_upwards(ax: Axes) -> None:
    """A logarithmic vertical axis with numbers such as 150, which are narrower than 1.5 × 10²."""
    from matplotlib.ticker import LogFormatter

    ax.set_yscale("log")
    for put in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        put(LogFormatter())
