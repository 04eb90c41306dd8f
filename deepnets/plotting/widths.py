"""Figures of finite networks against infinitely wide ones, from a comparison alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from deepnets.widths.comparison import Comparison
from dualib.core.figure import (
    COLUMN,
    DPI,
    LABEL,
    PAGE,
    SMALL,
    axes_or_new,
    check_matplotlib,
    colour,
    describe,
    legend_above,
    marker,
    plain_axes,
)
from dualib.core.quantity import Relation
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dualib import GaussianIB

_SIGN = {Relation.LOWER: ", a lower bound", Relation.UPPER: ", an upper bound"}


def plot_quantity(comparisons: Mapping[str, Comparison], quantity: str, units: Units = "bits") -> Figure:
    """One quantity against 1/width, a panel a comparison, up to three a row.

    Networks with three standard errors, the fitted line, and the prediction at 1/width = 0.

    Raises
    ------
    ValueError
        If there is no comparison.

    Examples
    --------
    >>> import deepnets
    >>> finite = {64: 0.216, 128: 0.208, 256: 0.204}
    >>> rows = tuple(deepnets.widths.Row("train_square_error", 0.5, n, 0.2, value, 0.001) for n, value in finite.items())
    >>> figure = plot_quantity({"one layer": deepnets.Comparison(rows, (), {})}, "train_square_error")
    >>> figure.axes[0].get_ylabel()
    'value'
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    if not comparisons:
        raise ValueError("give at least one comparison")
    columns = min(len(comparisons), 3)
    rows = -(-len(comparisons) // columns)
    width, height = COLUMN if columns == 1 else PAGE, 0.6 + 2.7 * rows
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    # Fixed margins: measuring the texts takes as long as drawing them.
    inches = {"left": 0.65 / width, "right": 1 - 0.15 / width, "bottom": 0.55 / height, "top": 1 - 0.58 / height}
    figure.subplots_adjust(**inches, wspace=0.34, hspace=0.48)
    for ax in axes[len(comparisons) :]:
        ax.set_visible(False)
    for ax, (name, comparison) in zip(axes, comparisons.items(), strict=False):
        _plot_panel(plain_axes(ax), comparison, quantity, units)
        ax.set_title(name, fontsize=LABEL)
    row = next(r for c in comparisons.values() for r in c.select(quantity))
    figure.suptitle(f"{quantity}{_SIGN.get(row.relation, '')} (★ infinite width; bars: 3 standard errors)", fontsize=9)
    unit = row.unit.shown_in(units).suffix.strip()
    for ax in axes[::columns]:
        ax.set_ylabel(f"value  [{unit}]" if unit else "value", fontsize=LABEL)
    axes[0].legend(fontsize=SMALL, frameon=False)
    return figure


def _plot_panel(ax: Axes, comparison: Comparison, quantity: str, units: Units) -> None:
    rows = comparison.select(quantity)

    scale = to_units(1.0, units) if rows[0].unit.is_information else 1.0
    for i, tau in enumerate(dict.fromkeys(r.tau for r in rows)):
        chosen = comparison.select(quantity, tau)
        inverse = np.array([1 / r.width for r in chosen])
        value, error = (scale * np.array([getattr(r, name) for r in chosen]) for name in ("finite", "std_error"))
        label = f"τ = {tau:g}"
        ax.errorbar(inverse, value, 3 * error, capsize=2, markersize=4, label=label, color=colour(i), fmt=marker(i))
        if np.isfinite(chosen[0].infinite):
            a = scale * comparison.extrapolated(quantity, tau).value
            slope = np.polyfit(inverse, value, 1, w=1 / np.maximum(error, 1e-300))[0] if len(chosen) > 1 else 0.0
            ax.plot([0, inverse.max()], [a, a + slope * inverse.max()], color=colour(i), linewidth=0.8)
            at = scale * chosen[0].infinite
            ax.plot([0], [at], "*", color=colour(i), markersize=12, markeredgecolor="black", clip_on=False)
    widths = sorted({r.width for r in rows}, reverse=True)
    turned = 90 * (len(widths) > 3)  # or 512 and 256 would run into one another
    ax.set_xticks([0, *(1 / w for w in widths)], ["∞", *map(str, widths)], fontsize=SMALL, rotation=turned)
    ax.get_xticklabels()[0].set_rotation(0)  # ∞ is no 8
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.set_xlabel("width (linear in 1/width)", fontsize=LABEL)
    ax.set_xlim(0, None)


def plot_finite_plane(
    comparison: Comparison, gaussian_ib: GaussianIB | None = None, units: Units = "bits", ax: Axes | None = None
) -> Axes:
    """I(Z;Y|D) against I(Z;X|D) of finite and of infinitely wide networks, at the decoder of their real or class labels.

    Parameters
    ----------
    comparison : Comparison
    gaussian_ib : dualib.GaussianIB or None
        Whose exact frontier is drawn.
    units : {"bits", "nats"}
    ax : Axes or None

    Examples
    --------
    >>> plot_finite_plane(comparison).figure.savefig("finite.pdf")  # doctest: +SKIP
    """
    ax = axes_or_new(ax)
    x, real, classes = (
        comparison.select(name)
        for name in ("input_information", "label_information_unit_noise", "label_information_discrete")
    )
    y = real or classes
    for i, tau in enumerate(dict.fromkeys(r.tau for r in x)):
        at = [(a, b) for a, b in zip(x, y, strict=True) if a.tau == tau]
        for a, b in at:
            place = [to_units(v, units) for v in (a.finite, b.finite, 2 * a.std_error, 2 * b.std_error)]
            ax.errorbar(place[0], place[1], place[3], place[2], fmt="o", color=colour(i), markersize=3, alpha=0.7)
        star = [to_units(r.infinite, units) for r in at[0]]
        label = f"τ = {tau:g}: ★ infinite, ● finite width"
        ax.plot(*star, "*", color=colour(i), markersize=9, markeredgecolor="black", label=label)
    if gaussian_ib is not None:
        rates = np.linspace(0, 1.1 * max(r.infinite for r in x), 200)
        frontier = (to_units(v, units) for v in (rates, gaussian_ib.relevance_at(rates)))
        ax.plot(*frontier, color="0.3", label="Gaussian IB frontier")
    describe(ax, f"I(Z;X|D)  [{units}]", f"I(Z;Y|D), lower bound  [{units}]", legend=False)
    legend_above(ax, columns=1)
    return ax
