"""Figures of relaxations against their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepnets.relaxation.comparison import RelaxationComparison
from dualib.core.figure import GREY, SMALL, describe, line_style, marker, panels
from dualib.core.units import Units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COST = "cost (forward passes)"
SCORES = ("train loss", "test loss", "test accuracy", "norm of the parameters")


def plot_relaxations(comparison: RelaxationComparison, units: Units = "bits") -> Figure:
    """Changes since the start against cost: losses, accuracy, norm, and I(X;T) of the last hidden layer by estimator.

    Means over replicas with Student's 95 % intervals; the horizontal line is no change.

    Examples
    --------
    >>> plot_relaxations(comparison).savefig("relaxations.pdf")  # doctest: +SKIP
    """
    wanted = [q for q in comparison.quantities if q in SCORES]
    rates = [q for q in comparison.quantities if q.startswith("I(X;T)")]
    for kind in dict.fromkeys(q.split(",")[0] for q in rates):
        layers = [q for q in rates if q.startswith(f"{kind},")]
        wanted.append(layers[-2] if len(layers) > 1 else layers[-1])
    rows = -(-len(wanted) // 3)
    figure, axes = panels(min(3, len(wanted)), rows, height=2.2)
    for ax, quantity in zip(axes, wanted, strict=False):
        _draw(ax, comparison, quantity, units)
    for ax in axes[len(wanted) :]:
        ax.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=SMALL, frameon=False)
    return figure


def _draw(ax: Axes, comparison: RelaxationComparison, quantity: str, units: Units) -> None:
    suffix = ""
    for i, method in enumerate(comparison.methods):
        found = comparison.of(quantity, method)
        shown = [d.to_start.shown_in(units) for d in found]
        cost = np.array([0.0, *(d.cost for d in found)])
        value, low, high = (np.array([0.0, *(getattr(s, end) for s in shown)]) for end in ("value", "low", "high"))
        ax.plot(cost, value, **line_style(i), marker=marker(i), markersize=3, label=method)
        ax.fill_between(cost, low, high, color=line_style(i)["color"], alpha=0.12, linewidth=0)
        suffix = f" [{shown[0].unit}]" if shown[0].unit.suffix else ""
    ax.axhline(0.0, color=GREY, linewidth=0.6)
    describe(ax, COST, "change since the start", f"{quantity}{suffix}", legend=False)
