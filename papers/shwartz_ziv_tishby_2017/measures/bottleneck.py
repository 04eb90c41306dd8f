"""The layers against the bottleneck's equations and its curve."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import mean
from dualib.core.units import NATS_PER_BIT, Unit
from papers.experiments.program import Arrays

LAYERS = {"output": -1, "last_hidden": -2}


def bottleneck(r: Arrays) -> dict[str, Estimate]:
    """Residual of the outputs' equations over a random encoder's of the same sizes; rates above the exact curve, and since the start."""
    found: dict[str, Estimate] = {}
    for suffix, prefix in (("", ""), ("_100_bins", "finer_")):
        fits = r[f"{prefix}fits"]
        excess, start = (r[f"{prefix}{name}excess_rate"] / NATS_PER_BIT for name in ("", "start_"))
        output, below = LAYERS["output"], LAYERS["last_hidden"]
        found |= {
            f"residual_ratio{suffix}": mean(fits[:, output, 1] / fits[:, output, 3], Unit.ONE),
            f"residual_ratio_shared{suffix}": mean(fits[:, output, 2] / fits[:, output, 3], Unit.ONE),
            f"excess_rate_by_layer{suffix}": mean(excess[:, below] - excess[:, output], Unit.BITS),
            f"beta_apart{suffix}": mean(np.log10(fits[:, below, 0] / fits[:, output, 0]), Unit.LOG10),
        }
        for name, j in LAYERS.items():
            found[f"excess_rate_{name}{suffix}"] = mean(excess[:, j], Unit.BITS)
            found[f"approach_{name}{suffix}"] = mean(start[:, j] - excess[:, j], Unit.BITS)
    return found
