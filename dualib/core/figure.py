"""The figures' common look: Okabe and Ito's colours, sizes of a printed column, and axes that pyplot does not know of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Paul Tol's "muted" scheme with black for grey (to protanopes its grey is its rose), for more kinds than Okabe and Ito have colours.
MANY_COLOURS = (
    "#332288",
    "#88CCEE",
    "#117733",
    "#DDCC77",
    "#CC6677",
    "#AA4499",
    "#44AA99",
    "#882255",
    "#999933",
    "#000000",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
GREY = "#666666"
COLUMN, PAGE = 3.4, 7.0  # inches
SMALL, LABEL = 7, 8  # points
DPI = 200
PANELS_A_ROW = 3
WIDEST = 1.05  # of the width of the axes: what a legend may take


def colour(i: int) -> str:
    """The i-th colour, over and over."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """The i-th marker, over and over."""
    return MARKERS[i % len(MARKERS)]


def line_style(i: int) -> dict[str, Any]:
    """Colour, dashes and width of the i-th line."""
    return {"color": colour(i), "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.2}


def check_matplotlib() -> None:
    """Without matplotlib, which the package computes without, one line that names the extra; before long work, not after it."""
    with extra("plot", "figures need matplotlib"):
        import matplotlib.figure  # noqa: F401


def panels(
    columns: int = 1, rows: int = 1, *, height: float = 2.7, width: float | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A new figure, a column wide for one panel and a page wide for more, and its axes row by row.

    Parameters
    ----------
    columns, rows : int
    height : float
        The height of one row, in inches.
    width : float or None
        The width of the figure, in inches.
    options
        What is passed to matplotlib's ``subplots``.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    size = (width or (COLUMN if columns == 1 else PAGE), rows * height)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes: list[Axes] = list(np.ravel(figure.subplots(rows, columns, squeeze=False, **options)))
    for ax in axes:
        plain_axes(ax)
    return figure, axes


def rows_of_panels(count: int, *, height: float = 2.7, **options: Any) -> tuple[Figure, list[Axes]]:
    """A new figure of `count` panels, up to PANELS_A_ROW a row: a column wide for one of them, a page wide for more.

    Of shared axes, the lowest of each column bear the ticks' labels.
    """
    columns = min(count, PANELS_A_ROW)
    figure, axes = panels(columns, -(-count // columns), height=height, **options)
    for i, ax in enumerate(axes):
        ax.set_visible(i < count)
        if options.get("sharex"):
            ax.tick_params(labelbottom=i + columns >= count)
    return figure, axes[:count]


def axes_or_new(ax: Axes | None, height: float = 2.7) -> Axes:
    """The given axes, or those of a new figure of a column's width."""
    return panels(height=height)[1][0] if ax is None else plain_axes(ax)


def plain_axes(ax: Axes) -> Axes:
    """The axes without a frame at the top and the right, and with small tick labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL, which="both")
    return ax


def describe(ax: Axes, x: str, y: str, title: str = "", legend: bool = True, **options: Any) -> None:
    """Set labels, title and a legend (its place and columns in `options`) in sizes that stay readable in a column."""
    ax.set_xlabel(x, fontsize=LABEL)
    ax.set_ylabel(y, fontsize=LABEL)
    if title:
        ax.set_title(title, fontsize=LABEL)
    if legend and ax.get_legend_handles_labels()[0]:
        ax.legend(**{"fontsize": SMALL, "frameon": False, "handlelength": 1.8, "labelspacing": 0.3, **options})


def legend_above(
    ax: Axes, source: Axes | None = None, *, entries: Mapping[str, Any] | None = None, title: str = "", columns: int = 4
) -> None:
    """A legend over the panel, where it covers no line, in as many columns as its width allows.

    Parameters
    ----------
    ax : Axes
        Whose legend it is.
    source : Axes or None
        Axes whose width counts, and whose names it shows; None means `ax`.
    entries : mapping from name to artist, or None
        In place of the names that lines of the source bear.
    title : str
    columns : int
        At most so many.
    """
    source = ax if source is None else source
    handles, names = source.get_legend_handles_labels()
    shown = dict(zip(names, handles, strict=True)) if entries is None else entries
    for n in range(columns, 0, -1):
        legend = ax.legend(
            list(shown.values()),
            list(shown),
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.01),
            ncols=n,
            title=title or None,
            title_fontsize=SMALL,
            alignment="left",
            frameon=False,
            fontsize=SMALL,
            handlelength=1.5,
            columnspacing=1.0,
            handletextpad=0.5,
            borderaxespad=0.0,
            labelspacing=0.3,
        )
        if legend.get_window_extent().width <= WIDEST * source.bbox.width:
            break
