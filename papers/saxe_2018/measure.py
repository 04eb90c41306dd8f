"""Compression of the last hidden layer under both estimators (_noise: the second), and final accuracy, over replicas."""

from __future__ import annotations

from dualib.core.estimate import Estimate
from dualib.core.statistics import mean, ratio
from dualib.core.units import Unit
from papers.experiments.program import Results
from papers.experiments.readings import compression

LAST_HIDDEN = -2


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    found: dict[str, Estimate] = {}
    for suffix, prefix in (("", ""), ("_noise", "second_")):
        fall = {name: compression(r[prefix + "input"][:, :, LAST_HIDDEN]) for name, r in results.items()}
        found |= {f"compression_{name}{suffix}": mean(values, Unit.BITS) for name, values in fall.items()}
        for name, full, batches in (
            ("full_batch_share", "full_batch", "tanh"),
            ("sgd_full_batch_share", "sgd_full_batch", "sgd"),
        ):
            if fall[batches].mean() > 0:  # else there is nothing to have a share of
                found[name + suffix] = ratio(fall[full], fall[batches])
    for name, r in results.items():
        found[f"accuracy_{name}"] = mean(r["accuracy"][:, -1], Unit.ONE)
    return found
