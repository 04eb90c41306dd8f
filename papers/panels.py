"""Figures of a column's (3.4 in) or a page's (7 in) width with text of 7 to 8 points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualib.core.figure import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.4, 7.0
STYLES = ("-", "--", "-.", ":")
SMALL, LABEL = 7, 8  # points


def panels(
    columns: int = 1, height: float = 2.7, width: float | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure that pyplot does not know of, and its axes side by side: a column wide for one, a page wide for more."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width or (COLUMN if columns == 1 else PAGE), height), layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False, **options)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=SMALL, which="both")
    return figure, axes


def describe(ax: Axes, x: str, y: str, title: str = "", legend: bool = True, **options: Any) -> None:
    """Labels, title and a legend (its place and columns in `options`) in sizes that stay readable in a column."""
    ax.set_xlabel(x, fontsize=LABEL)
    ax.set_ylabel(y, fontsize=LABEL)
    if title:
        ax.set_title(title, fontsize=LABEL)
    if legend:
        ax.legend(**{"fontsize": SMALL, "frameon": False, "handlelength": 1.8, "labelspacing": 0.3, **options})


def style(i: int) -> dict[str, Any]:
    """Colour and dashes of the i-th line."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)], "lw": 1.2}
