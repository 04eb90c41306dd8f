"""The input-compression bound √((2^I(X;T) + ln 1/δ) / 2m) of the last hidden layer against the gap of the accuracies."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import bootstrap, share
from dualib.core.typing import FloatArray
from dualib.core.units import NATS_PER_BIT, Unit
from ntkinfo.bounds import input_compression
from papers.experiments.program import Arrays

DELTA = 0.05  # the bound may fail with this probability
LAST_HIDDEN = -2


def percentages(f: Arrays, prefix: str = "") -> list[int]:
    """The sample sizes that were run and estimated, in percent of the patterns."""
    every = sorted(int(name.removesuffix("_n")) for name in f if name.endswith("_n"))
    return [p for p in every if f"{p}_{prefix}input" in f]


def compression_bound(f: Arrays, prefix: str) -> dict[str, Estimate]:
    """How often the gap keeps the bound where that says anything, and whether the gap falls by 2^-k with k bits.

    The slope is that of the mean log2(2 m gap²) against the mean I(X;T) over the sample sizes, 1 by the claim.
    """
    bits, gaps, sizes, bounds = [], [], [], []
    for p in percentages(f, prefix):
        m = int(f[f"{p}_n"])
        bits.append(f[f"{p}_{prefix}input"][:, -1, LAST_HIDDEN])
        gaps.append(f[f"{p}_gap"][: len(bits[-1]), -1])
        sizes.append(m)
        bounds.append(np.array([input_compression(one * NATS_PER_BIT, m, DELTA).value for one in bits[-1]]))
    said = [bound < 1.0 for bound in bounds]
    within = [gap[s] <= bound[s] for gap, bound, s in zip(gaps, bounds, said, strict=True)]
    effect = [np.log2(2 * m * np.maximum(gap, 1 / m) ** 2) for gap, m in zip(gaps, sizes, strict=True)]
    pairs = [np.stack(pair, axis=1) for pair in zip(bits, effect, strict=True)]
    kept = np.concatenate(within)
    return {
        **({"gap_within_bound": share(kept)} if kept.size else {}),
        "bound_is_vacuous": share(~np.concatenate(said)),
        "compression_slope": bootstrap(_slope, pairs, Unit.ONE),
        "compression_slope_within": bootstrap(_slope_within, pairs, Unit.ONE),
    }


def _slope(pairs: list[FloatArray]) -> float:
    """Of the means of the groups."""
    means = np.array([pair.mean(axis=0) for pair in pairs])
    return _least_squares(means - means.mean(axis=0))


def _slope_within(pairs: list[FloatArray]) -> float:
    """Over the replicas of each size, about the size's means: what is left when the size is held fixed."""
    return _least_squares(np.concatenate([pair - pair.mean(axis=0) for pair in pairs]))


def _least_squares(centred: FloatArray) -> float:
    spread = float((centred[:, 0] ** 2).sum())
    return float((centred[:, 0] * centred[:, 1]).sum() / spread) if spread > 0 else 0.0
