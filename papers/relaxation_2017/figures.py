"""Figures from the results alone: change against cost, compression against the prior, and the regimes beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepnets.plotting.relaxation import plot_relaxations
from deepnets.relaxation import RelaxationComparison
from deepnets.relaxation.comparison import Difference
from dualib.core.figure import COLOURS, MARKERS, describe, panels
from dualib.core.statistics import mean
from dualib.core.typing import FloatArray
from dualib.core.units import NATS_PER_BIT, Unit
from papers.experiments.program import Arrays, Results
from papers.relaxation_2017.measure import change

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = {
    "continued": "continued",
    "metropolis": "Metropolis, neutral λ",
    "wide_prior": "Metropolis, λ/6",
    "narrow_prior": "Metropolis, 3λ",
    "langevin": "Langevin",
    "targets": "IB targets",
    "class_means": "class means",
}
QUANTITIES = {
    "train_loss": ("train loss", Unit.NATS),
    "test_loss": ("test loss", Unit.NATS),
    "test_accuracy": ("test accuracy", Unit.ONE),
    "norm": ("norm of the parameters", Unit.ONE),
    "input": ("I(X;T) binned, last hidden", Unit.BITS),
}
PRIORS = {"wide_prior": 1 / 6, "metropolis": 1.0, "narrow_prior": 3.0}
REGIMES = {"main": "80 %", "small": "30 %", "noisy": "80 %, noisy labels"}
IN_REGIMES = ("metropolis", "gibbs", "targets", "class_means", "law_targets")


def figures(results: Results) -> dict[str, Figure]:
    """Every figure, by its name."""
    return {
        "cost": plot_relaxations(comparison(results["main"])),
        "prior": _prior(results["main"]),
        "regimes": _regimes(results),
    }


def comparison(r: Arrays) -> RelaxationComparison:
    """The changes since the start at every record, of the methods that are shown."""
    differences = []
    for method, name in SHOWN.items():
        cost = r[f"{method}_cost"]
        for key, (quantity, unit) in QUANTITIES.items():
            values = r[f"{method}_{key}"]
            kept = np.isfinite(values).all(axis=0)
            for s in range(1, len(cost)):
                moved = mean((values[s] - values[0])[kept], unit)
                differences.append(Difference(name, quantity, float(cost[s]), moved, None))
    return RelaxationComparison(tuple(differences), ())


def _prior(r: Arrays) -> Figure:
    """Change of I(X;T) by both estimates, and of the norm, against the prior's factor: a point a replica, and the mean."""
    figure, (left, right) = panels(2, height=2.6)
    for k, (name, noise) in enumerate((("30 edges", False), ("noise of std 0.1", True))):
        _points(left, {f: change(r, m, noise) for m, f in PRIORS.items()}, k, name)
    _points(right, {f: r[f"{m}_norm"][-1] / r[f"{m}_norm"][0] - 1 for m, f in PRIORS.items()}, 2, "norm")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xticks(list(PRIORS.values()), ["λ/6", "λ = P/‖θ‖²", "3λ"])
        ax.minorticks_off()
        ax.set_xlim(0.13, 4.0)
        ax.axhline(0.0, color="0.6", lw=0.6)
    describe(left, "prior", "change of I(X;T), last hidden  [bits]", "constrained Metropolis", loc="upper right")
    describe(right, "prior", "relative change of ‖θ‖", legend=False)
    return figure


def _points(ax: Axes, groups: dict[float, FloatArray], k: int, name: str) -> None:
    """Replicas as dots, and their mean with Student's interval, of each group at its place on a logarithmic axis."""
    at = np.array(list(groups)) * 1.08 ** (k % 2 - 0.5)
    for x, values in zip(at, groups.values(), strict=True):
        ax.plot(np.full(len(values), x), values, ".", color=COLOURS[k], ms=3, alpha=0.6)
    means = [mean(values[np.isfinite(values)], Unit.ONE) for values in groups.values()]
    value = np.array([m.value for m in means])
    error = [value - [m.low for m in means], [m.high for m in means] - value]
    ax.errorbar(at, value, error, fmt=MARKERS[k] + "-", color=COLOURS[k], ms=4, lw=1, label=name)


def _regimes(results: Results) -> Figure:
    """Test loss where the budget ends, less that of continued training, paired by replica: means with 95 % intervals."""
    figure, (ax,) = panels(height=2.8, width=4.2)
    for k, (regime, name) in enumerate(REGIMES.items()):
        r = results[regime]
        for j, method in enumerate(m for m in IN_REGIMES if f"{m}_cost" in r):
            over = r[f"{method}_test_loss"][-1] - r["continued_test_loss"][-1]
            found = mean(over[np.isfinite(over)] / NATS_PER_BIT, Unit.BITS)
            ends = [[found.value - found.low], [found.high - found.value]]
            at = IN_REGIMES.index(method) + 0.2 * (k - 1)
            ax.errorbar(at, found.value, ends, fmt=MARKERS[k], color=COLOURS[k], ms=4, lw=1, label=None if j else name)
    ax.axhline(0.0, color="0.6", lw=0.6)
    labels = ["Metropolis", "Gibbs", "IB\ntargets", "class\nmeans", "IB targets,\nknown p(y|x)"]
    ax.set_xticks(range(len(IN_REGIMES)), labels, fontsize=7)
    text = "test loss at the end − continued  [bits]"
    describe(ax, "", text, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)  # no corner is free
    return figure
