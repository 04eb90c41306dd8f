"""Figures: one panel is drawn on the axes given, which are returned; several panels, one unit each, are a new figure.

Labels come from the quantities' records. The information plane is that of :func:`dualib.plot_information_plane`, which draws
timelines beside bottleneck curves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import GREY, LABEL, SMALL, axes_or_new, describe, legend_above, line_style, panels
from dualib.core.quantity import Relation
from dualib.core.typing import BoolArray, FloatArray
from dualib.core.units import Units, to_units
from ntkinfo.quantities import TITLES, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ntkinfo.bounds.table import BoundsTable
    from ntkinfo.modes import ModeTable
    from ntkinfo.setting import Column
    from ntkinfo.timelines import Timeline

TIME = "training time τ"

VACUOUS = 1.08
"""Where the band of vacuous bounds ends, which begins at 1."""

_INFORMATION_GROUPS = (Group.INPUTS, Group.LABELS, Group.DATA, Group.PARAMETERS)
_GROWING = (Group.DATA, Group.PARAMETERS)
"""Groups with informations that grow without limit as training goes on: they get a logarithmic axis."""

_ABOVE = (Relation.UPPER, Relation.UPPER_IN_EXPECTATION)

_RUNAWAY = 10.0
"""Times the largest of the other columns: an upper bound that goes higher leaves its panel, which shows the others."""

_WRAP = 50
"""Characters of a legend's line above a printed column."""

_FEW = 9
"""Modes up to which their axis is linear."""

_SPANS = 1e-12
"""Of the largest eigenvalue or squared output: what is smaller is below the axis of its panel."""


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

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> timeline = ntkinfo.timeline(ensemble, [0.1, 1.0], progress=False)
    >>> plot_loss(timeline).get_xlabel()
    'training time τ'
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
        zero prove no information, and are drawn at zero; infinities end a line; an upper bound that runs away from the
        others leaves its panel. The legends say so.

    Raises
    ------
    ValueError
        If there is no column to plot, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> timeline = ntkinfo.timeline(ensemble, [0.1, 1.0], progress=False)
    >>> plot_quantities(timeline, ["parameter_kl"], columns=1).axes[0].get_xlabel()
    'training time τ'
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
    notes: dict[str, None] = {}
    lines = [_line(timeline, column, units, notes) for column in columns]
    grows = columns[0].group in _GROWING
    highest = [float(np.nanmax(values, initial=0.0)) for _, values in lines]
    settled = [top for top, c in zip(highest, columns, strict=True) if c.relation not in _ABOVE and top > 0]
    limit = np.inf if grows or not settled else _RUNAWAY * max(settled)
    tops = [top for top in highest if 0 < top <= limit] or [1.0]
    for i, ((label, values), top) in enumerate(zip(lines, highest, strict=True)):
        if top > limit:
            notes["↑: leaves the panel"] = None
        ax.plot(timeline.tau, values, label=label + " ↑" * (top > limit), **line_style(i))
    unit = columns[0].unit.shown_in(units).suffix.strip()
    _time_axis(ax, timeline.tau)
    describe(ax, TIME, f"[{unit}]" if unit else "", legend=False)
    if grows or max(tops) > 50 * min(tops):
        ax.set_yscale("log")
        ax.set_ylim(_bottom([values for _, values in lines], tops), 2 * max(tops))
    else:
        ax.set_ylim(0.0, 1.05 * max(tops))
    title = "" if columns[0].group is None else TITLES[Group(columns[0].group)]
    legend_above(ax, title="\n".join(filter(None, (title, textwrap.fill("; ".join(notes), _WRAP)))), columns=1)


def _line(timeline: Timeline, column: Column, units: Units, notes: dict[str, None]) -> tuple[str, FloatArray]:
    """The legend and the numbers of a column as they are drawn, NaN where they are infinite; what must be said goes to `notes`."""
    values, label = timeline.shown(column.name, units), column.legend
    if not np.isfinite(values).all():
        label += " ∞"
        notes["∞: infinite where its line is missing"] = None
    values = np.where(np.isfinite(values), values, np.nan)
    if column.relation in (Relation.LOWER, Relation.ESTIMATE) and (values < 0).any():
        notes["at 0: no information proven"] = None
        values = np.maximum(values, 0.0)
    return label, values


def _bottom(lines: Sequence[FloatArray], tops: Sequence[float]) -> float:
    """Where a logarithmic axis begins: six decades below the middle of the highest line, or with the least number."""
    positive = [values[values > 0] for values in lines if (values > 0).any()]
    least = min((float(values.min()) for values in positive), default=1e-2 * max(tops))
    middle = max((float(np.median(values)) for values in positive), default=max(tops))
    return max(least, 1e-6 * middle)


def _time_axis(ax: Axes, tau: FloatArray) -> None:
    """The same decades in every panel, whatever is drawn there."""
    ax.set_xscale("log")
    there = tau[(tau > 0) & np.isfinite(tau)]
    if there.size and there.max() > there.min():
        edge = (there.max() / there.min()) ** 0.04
        ax.set_xlim(there.min() / edge, there.max() * edge)


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

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> figure = plot_mode_table(ntkinfo.mode_table(ensemble, 0.5))
    >>> figure.axes[-1].get_xlabel()
    'mode, largest eigenvalue first'
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
            smallest = min(float(v[v > _SPANS * largest].min(initial=largest)) for v, _ in series)
            ax.set_yscale("log")
            ax.set_ylim(0.5 * smallest, 2 * largest)
        else:
            ax.set_ylim(bottom=0.0)
        if mode.size > _FEW:
            ax.set_xscale("log")
        else:
            ax.set_xticks(mode)
        describe(ax, "mode, largest eigenvalue first", "", title, legend=len(series) > 1)
    figure.suptitle(f"τ = {table.tau:.3g}", fontsize=LABEL)
    return figure


def plot_bounds(table: BoundsTable, *, ax: Axes | None = None) -> Axes:
    """Bounds on the risk against training time, with the risks.

    Where a bound is vacuous (1 or more) is shaded: a line goes there, and is cut off. The legend says which are estimates; heuristics, which may
    lie below the risk, are not drawn.

    Parameters
    ----------
    table : BoundsTable
    ax : Axes or None
        Axes to draw into; None makes a new figure.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> plot_bounds(ntkinfo.generalisation_bounds(ensemble, [0.1, 1.0])).get_ylabel()
    'risk (clipped square loss)'
    """
    ax = axes_or_new(ax)
    ax.plot(table.tau, table.train_risk, color=GREY, linewidth=2, label="training risk")
    if table.test_risk is not None:
        ax.plot(table.tau, table.test_risk, color="black", linewidth=2, label="test risk")
    for i, (name, row) in enumerate(table.bounds.items()):
        vacuous = table.vacuous(name)
        said = f"{name}: {row[0].relation}" + (", vacuous throughout" if vacuous.all() else "")
        ax.plot(
            table.tau,
            _up_to_vacuous(table.risk_bound(name), vacuous),
            label=textwrap.fill(said, _WRAP),
            **line_style(i),
        )
    ax.axhspan(1.0, VACUOUS, color="0.85", zorder=0)
    ax.text(0.99, 1.04, "vacuous", ha="right", va="center", fontsize=SMALL, transform=ax.get_yaxis_transform())
    ax.set(xscale="log", ylim=(0, VACUOUS))
    describe(ax, TIME, f"risk ({table.loss.replace('_', ' ')} loss)", legend=False)
    legend_above(ax, columns=2)
    return ax


def _up_to_vacuous(values: FloatArray, vacuous: BoolArray) -> FloatArray:
    """A bound where it says something, and at the times next to these, in the shaded band; NaN elsewhere."""
    near = np.zeros_like(vacuous)
    near[1:] |= ~vacuous[:-1]
    near[:-1] |= ~vacuous[1:]
    return np.where(vacuous, np.where(near, np.clip(values, 1.0, VACUOUS), np.nan), values)
