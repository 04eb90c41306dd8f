"""Figures. One panel: drawn on an Axes, which is returned; several panels, one unit each: a Figure. matplotlib is imported
on first use and its settings are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.units import Units, to_units
from ntkinfo._arrays import FloatArray
from ntkinfo._quantity import Relation
from ntkinfo.columns import STANDARD_ERROR, TITLES, Column, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dualib.gaussian import GaussianIB
    from ntkinfo.bounds.table import BoundsTable
    from ntkinfo.curve import InformationCurve
    from ntkinfo.modes import ModeTable

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

STYLES = ("-", "--", "-.", ":")


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _style(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)]}


def _panels(n: int, figure: Figure | None) -> tuple[Figure, list[Axes]]:
    """`figure` with `n` axes, in two columns where it is at least 5 inches wide; a new one by default."""
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(7.2, 3.0 * ((n + 1) // 2)), layout="constrained")
    columns = 1 if n == 1 or figure.get_figwidth() < 5 else 2
    return figure, [figure.add_subplot(-(-n // columns), columns, i + 1) for i in range(n)]


def _legend(ax: Axes) -> None:
    ax.legend(fontsize="x-small", framealpha=0.8, handlelength=1.8)


def _legend_above(ax: Axes, title: str | None = None, columns: int = 1) -> None:
    """A legend over the panel, where it covers no line at any width, with the panel's title."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "frameon": False, "alignment": "left"}
    ax.legend(fontsize="x-small", handlelength=1.8, title=title, title_fontsize="small", ncols=columns, **place)


def plot_loss(curve: InformationCurve, ax: Axes | None = None) -> Axes:
    """Squared errors per point against training time: of one network, of the ensemble's mean, and on the training set.

    The axis ends a factor 100 below the least error outside the training set, where the training error goes on falling.
    """
    ax = _axes(ax)
    names = [name for name in ("square_error", "ensemble_square_error", "train_square_error") if name in curve.values]
    where = {name: "training points" if name.startswith("train") else curve.settings["x"] + " points" for name in names}
    for i, name in enumerate(names):
        column = curve.column(name)
        label = f"{column.symbol.removeprefix('training, ')}, {where[name]}"
        label += f", output noise {column.output_noise:g}" if column.output_noise else ""
        ax.plot(curve.tau, curve[name], label=label, **_style(i))
    ax.set(xscale="log", yscale="log", xlabel="training time τ", ylabel="squared error per point")
    outside = [curve[name][curve[name] > 0] for name in names[:-1] or names]
    least = min((float(values.min()) for values in outside if values.size), default=1.0)
    largest = max(float(curve[name].max()) for name in names)
    ax.set_ylim(least / 100, max(2 * largest, least))
    _legend(ax)
    return ax


def plot_information_plane(
    curve: InformationCurve, gaussian_ib: GaussianIB | None = None, ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    """I(Z;Y|D) against I(Z;X|D), coloured by training time, with the exact Gaussian bottleneck curve where one is
    given.

    The labels of the axes say which bounds they are. A lower bound on I(Z;Y|D) that is negative proves no information:
    it is drawn hollow, at zero. With a frontier a note says that a point left of it is no violation where the
    horizontal axis is not an upper bound.
    """
    from matplotlib.colors import LogNorm

    ax = _axes(ax)
    x_name = _first(curve, ("i_zx_exact", "i_zx_infonce_lower"))
    y_name = _first(curve, ("i_zy_affine_lower", "i_zy_discrete_lower", "i_zy_best_noise_lower"))
    x, y = to_units(curve[x_name], units), to_units(curve[y_name], units)
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(curve.tau) & (curve.tau > 0)
    if not finite.any():
        raise ValueError("no point of the plane is finite")
    x, y, tau = np.maximum(x[finite], 0), y[finite], curve.tau[finite]
    proven = y > 0
    ax.plot(x, np.maximum(y, 0), color="0.7", linewidth=1, zorder=1)
    norm = LogNorm(tau.min(), tau.max() * (1 + 1e-9))
    points = ax.scatter(x[proven], y[proven], c=tau[proven], norm=norm, cmap="cividis", s=22, zorder=2)
    if not proven.all():
        hollow = points.cmap(norm(tau[~proven]))
        ax.scatter(
            x[~proven],
            np.zeros(np.count_nonzero(~proven)),
            facecolors="none",
            edgecolors=hollow,
            s=22,
            zorder=3,
            clip_on=False,
            label="no information proven",
        )
    ax.figure.colorbar(points, ax=ax, label="training time τ")
    if gaussian_ib is not None:
        _frontier(ax, gaussian_ib, float(x.max()), units)
    top = max(ax.get_ylim()[1], float(to_units(0.01, units)))
    ax.set_ylim(-0.02 * top, top)
    ax.set_xlabel(_plane_label("I(Z;X|D)", curve.column(x_name), units))
    ax.set_ylabel(_plane_label("I(Z;Y|D)", curve.column(y_name), units))
    if ax.get_legend_handles_labels()[0]:
        _legend(ax)
    return ax


def _frontier(ax: Axes, gaussian_ib: GaussianIB, largest: float, units: Units) -> None:
    rates = np.linspace(0, max(largest * 1.1, 1e-3), 300)
    relevance = to_units(gaussian_ib.relevance_at(rates / to_units(1.0, units)), units)
    ax.plot(rates, relevance, color=COLOURS[1], label="Gaussian IB frontier")
    ax.axhline(to_units(gaussian_ib.mutual_information(), units), color="0.4", linestyle=":", label="I(X;Y)")
    ax.set_title("a point left of the frontier\nis no violation: its rate is no upper bound", fontsize="x-small")


def _plane_label(information: str, column: Column, units: Units) -> str:
    return f"{information}  [{units}]\n{column.legend}"


def _first(curve: InformationCurve, names: Sequence[str]) -> str:
    for name in names:
        if name in curve.values:
            return name
    raise ValueError(f"the curve has none of {', '.join(names)}: give y_test to information_curve")


_INFORMATION_GROUPS = (Group.INPUTS, Group.LABELS, Group.DATA, Group.PARAMETERS)

_GROWING = (Group.DATA, Group.PARAMETERS)
"""Groups with informations that grow without limit as training goes on: they get a logarithmic axis."""


def plot_quantities(
    curve: InformationCurve, names: Sequence[str] | None = None, figure: Figure | None = None, units: Units = "bits"
) -> Figure:
    """Informations against training time: one panel for each of inputs, labels, training data and parameters.

    Parameters
    ----------
    names : of the columns; by default all informations. Columns of one group share a panel, and must have one unit.
    figure : an empty one; two panels stand side by side where it is 5 inches wide or more.

    Returns
    -------
    Figure. Training data and parameters, whose informations grow without limit, have a logarithmic axis. Lower bounds below zero prove no
    information, and are drawn at zero; infinities end a line.

    Raises
    ------
    ValueError: no column to plot, or an unknown one.
    """
    unknown = [name for name in names or () if name not in curve.values]
    if unknown:
        raise ValueError(f"the curve has no column {', '.join(unknown)}")
    columns = [c for c in curve.columns if (c.name in names if names is not None else c.group in _INFORMATION_GROUPS)]
    columns = [c for c in columns if not c.name.endswith(STANDARD_ERROR)]
    groups = [group for group in Group if any(c.group is group for c in columns)]
    if not groups:
        raise ValueError("no quantity to plot")
    figure, axes = _panels(len(groups), figure)
    for ax, group in zip(axes, groups, strict=True):
        _panel(ax, curve, [c for c in columns if c.group is group], units)
    return figure


def _panel(ax: Axes, curve: InformationCurve, columns: Sequence[Column], units: Units) -> None:
    unit = columns[0].unit.replace("nats", units)
    positive: list[FloatArray] = []
    unproven = False
    for i, column in enumerate(columns):
        values = to_units(curve[column.name], units) if unit else curve[column.name]
        values = np.where(np.isfinite(values), values, np.nan)
        if column.relation in (Relation.LOWER, Relation.ESTIMATE) and (values < 0).any():
            values, unproven = np.maximum(values, 0.0), True
        ax.plot(curve.tau, values, label=column.legend, **_style(i))
        positive += [values[values > 0]] if (values > 0).any() else []
    ax.set(xscale="log", xlabel="training time τ", ylabel=f"[{unit}]" if unit else "")
    tops = [float(values.max()) for values in positive]
    if tops and (columns[0].group in _GROWING or max(tops) > 50 * min(tops)):
        bottom = max(min(float(values.min()) for values in positive), 1e-6 * max(tops), 1e-4 * min(tops))
        ax.set_yscale("log")
        ax.set_ylim(bottom, 2 * max(tops))
    else:
        ax.set_ylim(0.0, 1.05 * max(tops, default=1.0))
    _legend_above(ax, TITLES[columns[0].group] + (" (at 0: none proven)" if unproven else ""))


def plot_mode_ledger(ledger: ModeTable, figure: Figure | None = None, units: Units = "bits") -> Figure:
    """What each eigenmode contributes at one time, one unit a panel: its eigenvalue, how much of it is fitted, its part
    of the labels and of the training error, and of the informations in the parameters.
    """
    figure, axes = _panels(4, figure)
    kl, information = (to_units(v, units) for v in (ledger.parameter_kl, ledger.parameter_label_information))
    panels: tuple[tuple[str, str, tuple[tuple[FloatArray, str], ...]], ...] = (
        ("eigenvalue λ of Θ", "log", ((ledger.eigenvalue, "λ"),)),
        ("fraction fitted λa", "linear", ((ledger.fitted, "λa"),)),
        (
            "squared output",
            "log",
            ((ledger.label_power, "labels ‖y_j‖²"), (ledger.training_error, "training error, one network")),
        ),
        (f"information [{units}]", "linear", ((kl, "KL, linearised"), (information, "I(θ;Y|X), linearised"))),
    )
    mode = np.arange(1, ledger.eigenvalue.size + 1)
    for ax, (title, scale, series) in zip(axes, panels, strict=True):
        for i, (values, label) in enumerate(series):
            ax.plot(
                mode,
                np.where(np.isfinite(values), values, np.nan),
                label=label,
                marker="o",
                markersize=2.5,
                linewidth=0.8,
                **_style(i),
            )
        largest = max(float(v[np.isfinite(v)].max(initial=0.0)) for v, _ in series)
        if scale == "log" and largest > 0:
            smallest = min((float(v[v > 1e-6 * largest].min(initial=largest)) for v, _ in series))
            ax.set_yscale("log")
            ax.set_ylim(0.5 * smallest, 2 * largest)
        else:
            ax.set_ylim(bottom=0.0)
        ax.set(xscale="log", xlabel="mode, largest eigenvalue first")
        ax.set_title(title, fontsize="small")
        if len(series) > 1:
            _legend(ax)
    figure.suptitle(f"τ = {ledger.tau:.3g}", fontsize="medium")
    return figure


def plot_bounds(table: BoundsTable, ax: Axes | None = None) -> Axes:
    """Bounds on the risk against training time, with the risks; where a bound is vacuous (1 or more) is shaded and cut
    off. The legend says which are estimates; heuristics, which may lie below the risk, are not drawn.
    """
    ax = _axes(ax)
    ax.plot(table.tau, table.train_risk, color="0.5", linewidth=2, label="training risk")
    if table.test_risk is not None:
        ax.plot(table.tau, table.test_risk, color="black", linewidth=2, label="test risk")
    for i, (name, row) in enumerate(table.bounds.items()):
        value, vacuous = table.risk_bound(name), table.vacuous(name)
        said = f": {row[0].relation}" + (", vacuous throughout" if vacuous.all() else "")
        ax.plot(table.tau, np.where(vacuous, np.nan, value), label=name + said, **_style(i))
    ax.axhspan(1.0, 1.08, color="0.85", zorder=0)
    ax.text(0.5, 1.04, "vacuous", ha="center", va="center", fontsize="x-small", transform=ax.get_yaxis_transform())
    ax.set(xscale="log", ylim=(0, 1.08), xlabel="training time τ", ylabel=f"risk ({table.loss.replace('_', ' ')} loss)")
    _legend_above(ax, columns=1 if ax.bbox.width < 4 * ax.figure.dpi else 2)
    return ax
