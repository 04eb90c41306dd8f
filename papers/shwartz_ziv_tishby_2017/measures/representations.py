"""How far the labels are apart in the layers, and what an invertible map of a layer does to estimates of its information."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import mean
from dualib.core.units import Unit
from papers.experiments.program import Arrays
from papers.experiments.readings import mean_share


def representations(m: Arrays) -> dict[str, Estimate]:
    """Steps from layer to layer along which separation grows, its rise over that in the untrained network; changes by a map."""
    after, before = m["separation"], m["separation_before"]
    rise = (after[:, -1] - after[:, 0]) - (before[:, -1] - before[:, 0])
    changed, null = (np.abs(m[f"map_{name}"] - m["map_own"]) for name in ("mapped", "null"))
    distinct = np.abs(np.diff(m["map_distinct"], axis=1)[:, 0])
    return {
        "separation_grows": mean_share((np.diff(after, axis=1) > 0).mean(axis=1)),
        "separation_over_untrained": mean(rise, Unit.ONE),
        "patterns_merged_by_map": mean(distinct, Unit.ONE),
        "changed_by_map": mean((changed - null)[:, 0], Unit.BITS),
        "changed_by_map_noise": mean((changed - null)[:, 1], Unit.BITS),
    }
