"""More noise in the second phase: bits of the last hidden layer, and accuracy, a step of the noise's strength."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import mean
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays

KINDS = {"dropout": "dropout", "units": "noise_std"}
WIDTHS = {"": "narrow", "_wide": "wide"}
LEVELS = 4
LAST_HIDDEN = -2


def noise(n: Arrays) -> dict[str, Estimate]:
    """By kind and width: how many bits I(X;T) ends lower, and how much accuracy is lost, a step up in strength."""
    found: dict[str, Estimate] = {}
    for suffix in ("", "_noise"):
        doses: dict[tuple[str, str], FloatArray] = {}
        for kind, name in KINDS.items():
            for wide, width in WIDTHS.items():
                arms = [f"{width}_{name}_{k}_" for k in range(LEVELS)]
                end = np.array(
                    [n[f"{arm}second_end"] if suffix else n[f"{arm}input"][:, -1, LAST_HIDDEN] for arm in arms]
                )
                doses[kind, wide] = -per_step(end)
                found[f"dose_{kind}{wide}{suffix}"] = mean(doses[kind, wide], Unit.BITS)
                if not suffix:
                    accuracy = np.array([n[f"{arm}accuracy"][:, -1] for arm in arms])
                    found[f"cost_{kind}{wide}"] = mean(-per_step(accuracy), Unit.ONE)
        by_kind = [doses["units", wide] - doses["dropout", wide] for wide in WIDTHS]
        by_width = [doses[kind, "_wide"] - doses[kind, ""] for kind in KINDS]
        found[f"dose_by_kind{suffix}"] = mean(np.mean(by_kind, axis=0), Unit.BITS)
        found[f"dose_by_width{suffix}"] = mean(np.mean(by_width, axis=0), Unit.BITS)
    return found


def per_step(values: FloatArray) -> FloatArray:
    """The slope of each replica's values, shape (levels, R), in the number of the level."""
    levels = np.arange(len(values)) - (len(values) - 1) / 2
    return np.asarray(levels @ values / (levels**2).sum())
