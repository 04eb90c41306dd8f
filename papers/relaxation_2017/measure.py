"""The numbers that claims.toml judges: differences paired by replica, at equal cost."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import share
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays, Results
from papers.experiments.readings import of_finite

CHAINS = ("metropolis", "gibbs", "wide_prior", "narrow_prior")
"""Metropolis chains with a law; random search has none."""
TENTH = 0.1


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges; measures of 30 % of the patterns and of noisy labels by their names."""
    main = results["main"]
    return (
        _best_chain(main)
        | _reached(main)
        | of_finite("test_loss_over_sgd", _over(main, best_chain(main), "sgd", "test_loss"), Unit.NATS)
        | _targets(main)
        | of_finite("targets_over_continued_at_a_tenth", _at_a_tenth(main), Unit.NATS)
        | _compression(main)
        | {"started_in_diffusion": share(np.isfinite(main["diffusion_start"]))}
        | {f"{name}_{key}": value for name in ("small", "noisy") for key, value in _regime(results[name]).items()}
    )


def best_chain(r: Arrays) -> str:
    """The Metropolis chain with the lowest mean test loss where the budget ends: what speaks most for the claim."""
    there = [name for name in CHAINS if f"{name}_cost" in r]
    return min(there, key=lambda name: float(np.nanmean(r[f"{name}_test_loss"][-1])))


def change(r: Arrays, method: str, noise: bool = False) -> FloatArray:
    """The change of I(X;T) of the last hidden layer since the start, bits, (R,): binned, or by the second estimator."""
    if noise:
        return np.asarray(r[f"{method}_noise"] - r["start_noise"])
    return np.asarray(r[f"{method}_input"][-1] - r[f"{method}_input"][0])


def _over(r: Arrays, method: str, other: str, score: str) -> FloatArray:
    """A score where the budget ends, less the other method's, (R,)."""
    return np.asarray(r[f"{method}_{score}"][-1] - r[f"{other}_{score}"][-1])


def _best_chain(r: Arrays) -> dict[str, Estimate]:
    """Test loss and accuracy where the budget ends: less continued training's, and less what stopping at the start has."""
    best = best_chain(r)
    loss = r[f"{best}_test_loss"]
    found = of_finite("test_loss_over_continued", _over(r, best, "continued", "test_loss"), Unit.NATS)
    found |= of_finite("accuracy_over_continued", _over(r, best, "continued", "test_accuracy"), Unit.ONE)
    found |= of_finite("test_loss_over_stopping", loss[-1] - loss[0], Unit.NATS)
    return {name: e.with_warnings(f"the best chain is {best}") for name, e in found.items()}


def _targets(r: Arrays) -> dict[str, Estimate]:
    return of_finite(
        "targets_over_class_means", _over(r, "targets", "class_means", "test_loss"), Unit.NATS
    ) | of_finite("targets_over_continued", _over(r, "targets", "continued", "test_loss"), Unit.NATS)


def _regime(r: Arrays) -> dict[str, Estimate]:
    found = _best_chain(r) | _targets(r)
    if "law_targets_cost" in r:
        over = _over(r, "law_targets", "continued", "test_loss")
        found |= of_finite("law_targets_over_continued", over, Unit.NATS)
    return found


def _compression(r: Arrays) -> dict[str, Estimate]:
    """Changes of I(X;T) under the neutral prior and those beside it, of continued training and of targets."""
    names = {"metropolis": "", "wide_prior": "_wide_prior", "narrow_prior": "_narrow_prior"}
    names |= {"continued": "_continued", "targets": "_targets"}
    found: dict[str, Estimate] = {}
    for ending, noise in (("", False), ("_noise", True)):
        for method, name in names.items():
            found |= of_finite(f"change_of_rate{name}{ending}", change(r, method, noise), Unit.BITS)
        apart = change(r, "wide_prior", noise) - change(r, "narrow_prior", noise)
        found |= of_finite(f"change_of_rate_by_prior{ending}", apart, Unit.BITS)
    return found


def _reached(r: Arrays) -> dict[str, Estimate]:
    """The share of replicas in which the best chain has, within the budget, continued training's test loss at a tenth of it."""
    cost, trace = r["continued_trace_cost"], r["continued_trace_test_loss"]
    wanted = trace[:, int(np.searchsorted(cost, TENTH * cost[-1]))]
    least = np.nanmin(r[f"{best_chain(r)}_trace_test_loss"], axis=1)
    return {"reached_within_ten_times": share(least <= wanted)}


def _at_a_tenth(r: Arrays) -> FloatArray:
    """Test loss of targets less that of continued training at the record of a tenth of the budget, (R,)."""
    at = int(np.abs(r["continued_cost"] - TENTH * r["continued_cost"][-1]).argmin())
    return np.asarray(r["targets_test_loss"][at] - r["continued_test_loss"][at])
