"""Figures: one panel is drawn on the axes given, which are returned; several panels, one unit each, are a new figure.

Labels come from the quantities' records. The information plane is that of :func:`dualib.plot_information_plane`, which draws
timelines beside bottleneck curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import GREY, LABEL, SMALL, axes_or_new, describe, legend_above, line_style, panels
from dualib.core.quantity import Relation
from dualib.core.typing import FloatArray
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

_INFORMATION_GROUPS = (Group.INPUTS, Group.LABELS, Group.DATA, Group.PARAMETERS)
_GROWING = (Group.DATA, Group.PARAMETERS)
"""Groups with informations that grow without limit as training goes on: they get a logarithmic axis."""


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
        zero prove no information, and are drawn at zero; infinities end a line.

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
    legend_above(ax, title=title + (" (at 0: none proven)" if unproven else ""), columns=1)


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
            smallest = min(float(v[v > 1e-6 * largest].min(initial=largest)) for v, _ in series)
            ax.set_yscale("log")
            ax.set_ylim(0.5 * smallest, 2 * largest)
        else:
            ax.set_ylim(bottom=0.0)
        ax.set_xscale("log")
        describe(ax, "mode, largest eigenvalue first", "", title, legend=len(series) > 1)
    figure.suptitle(f"τ = {table.tau:.3g}", fontsize=LABEL)
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
        value, vacuous = table.risk_bound(name), table.vacuous(name)
        said = f": {row[0].relation}" + (", vacuous throughout" if vacuous.all() else "")
        ax.plot(table.tau, np.where(vacuous, np.nan, value), label=name + said, **line_style(i))
    ax.axhspan(1.0, 1.08, color="0.85", zorder=0)
    ax.text(0.5, 1.04, "vacuous", ha="center", va="center", fontsize=SMALL, transform=ax.get_yaxis_transform())
    ax.set(xscale="log", ylim=(0, 1.08))
    describe(ax, TIME, f"risk ({table.loss.replace('_', ' ')} loss)", legend=False)
    legend_above(ax, columns=2)
    return ax
