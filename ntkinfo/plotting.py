"""Figures: one panel is drawn on the axes given, which are returned; several panels, one unit each, are a new figure.

Labels come from the quantities' records. The frontier of a Gaussian bottleneck stands in the plane of its ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.figure import GREY, SMALL, axes_or_new, describe, line_style, panels
from dualib.core.quantity import Relation
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from ntkinfo.quantities import TITLES, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dualib.gaussian import GaussianIB
    from ntkinfo.bounds.table import BoundsTable
    from ntkinfo.modes import ModeTable
    from ntkinfo.setting import Column
    from ntkinfo.timelines import Timeline

TIME = "training time τ"

_INFORMATION_GROUPS = (Group.INPUTS, Group.LABELS, Group.DATA, Group.PARAMETERS)
_GROWING = (Group.DATA, Group.PARAMETERS)
"""Groups with informations that grow without limit as training goes on: they get a logarithmic axis."""


def _legend_above(ax: Axes, title: str | None = None, columns: int = 1) -> None:
    """A legend over the panel, where it covers no line at any width, with the panel's title."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "alignment": "left"}
    look: dict[str, Any] = {"fontsize": SMALL, "title_fontsize": SMALL + 1, "frameon": False, "handlelength": 1.8}
    ax.legend(title=title, ncols=columns, **place, **look)


def plot_loss(timeline: Timeline, *, ax: Axes | None = None) -> Axes:
    """Squared errors per point against training time: of one network, of the ensemble's mean, and on the training set.

    The axis ends a factor 100 below the least error outside the training set, where the training error goes on falling.

    Parameters
    ----------
    timeline : Timeline
    ax : Axes or None
        Axes to draw into; None makes a new figure.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    names = [n for n in ("expected_square_error", "ensemble_square_error", "train_square_error") if n in timeline]
    for i, name in enumerate(names):
        column = timeline.column(name)
        where = "training" if name.startswith("train") or timeline.settings["on"] == "train" else "test"
        noise = f", output noise {column.output_noise:g}" if column.output_noise else ""
        label = f"{column.symbol.removeprefix('training, ')}, {where} points{noise}"
        ax.plot(timeline.tau, timeline[name], label=label, **line_style(i))
    outside = [timeline[name][timeline[name] > 0] for name in names[:-1] or names]
    least = min((float(values.min()) for values in outside if values.size), default=1.0)
    largest = max(float(timeline[name].max()) for name in names)
    ax.set(xscale="log", yscale="log", ylim=(least / 100, max(2 * largest, least)))
    describe(ax, TIME, "squared error per point")
    return ax


def plot_information_plane(
    timeline: Timeline, gaussian_ib: GaussianIB | None = None, *, ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    """I(Z;Y|D) against I(Z;X|D), coloured by training time, with the exact Gaussian bottleneck curve where one is given.

    The labels of the axes say which bounds they are. A lower bound on I(Z;Y|D) that is negative proves no information:
    it is drawn hollow, at zero. With a frontier a note says that a point left of it is no violation where the
    horizontal axis is not an upper bound.

    Parameters
    ----------
    timeline : Timeline
    gaussian_ib : GaussianIB or None
    ax : Axes or None
        Axes to draw into; None makes a new figure.
    units : {"bits", "nats"}

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no labels at the points, or no point of the plane is finite.
    """
    from matplotlib.colors import LogNorm

    (path,), (rate, relevance, kept) = timeline.plane_paths(), timeline.plane()
    ax = axes_or_new(ax)
    x, y, tau, proven = to_units(path.rate, units), to_units(path.relevance, units), timeline.tau[kept], path.proven
    ax.plot(x, y, color="0.7", linewidth=1, zorder=1)
    norm = LogNorm(tau.min(), tau.max() * (1 + 1e-9))
    points = ax.scatter(x[proven], y[proven], c=tau[proven], norm=norm, cmap="cividis", s=22, zorder=2)
    if not proven.all():
        colours = points.cmap(norm(tau[~proven]))
        look: dict[str, Any] = {"facecolors": "none", "edgecolors": colours, "clip_on": False}
        ax.scatter(x[~proven], y[~proven], s=22, zorder=3, label="no information proven", **look)
    ax.figure.colorbar(points, ax=ax, label=TIME)
    if gaussian_ib is not None:
        _frontier(ax, gaussian_ib, float(x.max()), units)
    top = max(ax.get_ylim()[1], float(to_units(0.01, units)))
    ax.set_ylim(-0.02 * top, top)
    describe(ax, f"I(Z;X|D)  [{units}]\n{rate.legend}", f"I(Z;Y|D)  [{units}]\n{relevance.legend}")
    return ax


def _frontier(ax: Axes, gaussian_ib: GaussianIB, largest: float, units: Units) -> None:
    rates = np.linspace(0, max(largest * 1.1, 1e-3), 300)
    relevance = to_units(gaussian_ib.relevance_at(rates / to_units(1.0, units)), units)
    ax.plot(rates, relevance, **line_style(1) | {"linestyle": "-"}, label="Gaussian IB frontier")
    ax.axhline(to_units(gaussian_ib.mutual_information(), units), color="0.4", linestyle=":", label="I(X;Y)")
    ax.set_title("a point left of the frontier\nis no violation: its rate is no upper bound", fontsize=SMALL)


def plot_quantities(
    timeline: Timeline, names: Sequence[str] | None = None, *, columns: int = 2, units: Units = "bits"
) -> Figure:
    """Informations against training time: one panel for each of inputs, labels, training data and parameters.

    Parameters
    ----------
    timeline : Timeline
    names : sequence of str or None
        Names of the columns; None draws all informations. Columns of one group share a panel, and must have one unit.
    columns : int
        Panels side by side: one for the width of a printed column, two for that of a page.
    units : {"bits", "nats"}

    Returns
    -------
    Figure
        Training data and parameters, whose informations grow without limit, have a logarithmic axis. Lower bounds below
        zero prove no information, and are drawn at zero; infinities end a line.

    Raises
    ------
    ValueError
        If there is no column to plot, or a name is unknown.
    """
    chosen = [timeline.column(name) for name in names] if names is not None else timeline.columns
    chosen = [c for c in chosen if names is not None or c.group in _INFORMATION_GROUPS]
    groups = [group for group in Group if any(c.group is group for c in chosen)]
    if not groups:
        raise ValueError("no quantity to plot")
    columns = min(columns, len(groups))
    figure, axes = panels(columns, -(-len(groups) // columns), height=3.0)
    for ax in axes[len(groups) :]:
        ax.remove()
    for ax, group in zip(axes, groups, strict=False):
        _panel(ax, timeline, [c for c in chosen if c.group is group], units)
    return figure


def _panel(ax: Axes, timeline: Timeline, columns: Sequence[Column], units: Units) -> None:
    above: list[FloatArray] = []
    unproven = False
    for i, column in enumerate(columns):
        values = timeline.shown(column.name, units)
        values = np.where(np.isfinite(values), values, np.nan)
        if column.relation in (Relation.LOWER, Relation.ESTIMATE) and (values < 0).any():
            values, unproven = np.maximum(values, 0.0), True
        ax.plot(timeline.tau, values, label=column.legend, **line_style(i))
        above += [values[values > 0]] if (values > 0).any() else []
    unit = columns[0].unit.shown_in(units).suffix.strip()
    ax.set_xscale("log")
    describe(ax, TIME, f"[{unit}]" if unit else "", legend=False)
    tops = [float(values.max()) for values in above]
    if tops and (columns[0].group in _GROWING or max(tops) > 50 * min(tops)):
        bottom = max(min(float(values.min()) for values in above), 1e-6 * max(tops), 1e-4 * min(tops))
        ax.set_yscale("log")
        ax.set_ylim(bottom, 2 * max(tops))
    else:
        ax.set_ylim(0.0, 1.05 * max(tops, default=1.0))
    title = "" if columns[0].group is None else TITLES[Group(columns[0].group)]
    _legend_above(ax, title + (" (at 0: none proven)" if unproven else ""))


def plot_mode_table(table: ModeTable, *, units: Units = "bits") -> Figure:
    """What each eigenmode contributes at one time, one unit a panel.

    The panels show its eigenvalue, how much of it is fitted, its part of the labels and of the training error, and of the
    informations in the parameters.

    Parameters
    ----------
    table : ModeTable
    units : {"bits", "nats"}

    Returns
    -------
    Figure
    """
    figure, axes = panels(2, 2)
    kl, information = (to_units(v, units) for v in (table.parameter_kl, table.parameter_label_information))
    errors = ((table.label_power, "labels ‖y_j‖²"), (table.training_error, "training error, one network"))
    informations = ((kl, "KL, linearised"), (information, "I(θ;Y|X), linearised"))
    contents: tuple[tuple[str, bool, tuple[tuple[FloatArray, str], ...]], ...] = (
        ("eigenvalue λ of Θ", True, ((table.eigenvalue, "λ"),)),
        ("fraction fitted λa", False, ((table.fitted, "λa"),)),
        ("squared output", True, errors),
        (f"information [{units}]", False, informations),
    )
    mode = np.arange(1, table.eigenvalue.size + 1)
    for ax, (title, logarithmic, series) in zip(axes, contents, strict=True):
        for i, (values, label) in enumerate(series):
            look = line_style(i) | {"marker": "o", "markersize": 2.5, "linewidth": 0.8}
            ax.plot(mode, np.where(np.isfinite(values), values, np.nan), label=label, **look)
        largest = max(float(v[np.isfinite(v)].max(initial=0.0)) for v, _ in series)
        if logarithmic and largest > 0:
            smallest = min(float(v[v > 1e-6 * largest].min(initial=largest)) for v, _ in series)
            ax.set_yscale("log")
            ax.set_ylim(0.5 * smallest, 2 * largest)
        else:
            ax.set_ylim(bottom=0.0)
        ax.set_xscale("log")
        describe(ax, "mode, largest eigenvalue first", "", title, legend=len(series) > 1)
    figure.suptitle(f"τ = {table.tau:.3g}", fontsize="medium")
    return figure


def plot_bounds(table: BoundsTable, *, ax: Axes | None = None) -> Axes:
    """Bounds on the risk against training time, with the risks.

    Where a bound is vacuous (1 or more) is shaded and cut off. The legend says which are estimates; heuristics, which may
    lie below the risk, are not drawn.

    Parameters
    ----------
    table : BoundsTable
    ax : Axes or None
        Axes to draw into; None makes a new figure.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    ax.plot(table.tau, table.train_risk, color=GREY, linewidth=2, label="training risk")
    if table.test_risk is not None:
        ax.plot(table.tau, table.test_risk, color="black", linewidth=2, label="test risk")
    for i, (name, row) in enumerate(table.bounds.items()):
        value, vacuous = table.risk_bound(name), table.vacuous(name)
        said = f": {row[0].relation}" + (", vacuous throughout" if vacuous.all() else "")
        ax.plot(table.tau, np.where(vacuous, np.nan, value), label=name + said, **line_style(i))
    ax.axhspan(1.0, 1.08, color="0.85", zorder=0)
    ax.text(0.5, 1.04, "vacuous", ha="center", va="center", fontsize=SMALL, transform=ax.get_yaxis_transform())
    ax.set(xscale="log", ylim=(0, 1.08))
    describe(ax, TIME, f"risk ({table.loss.replace('_', ' ')} loss)", legend=False)
    _legend_above(ax, columns=1 if ax.bbox.width < 4 * ax.figure.dpi else 2)
    return ax
