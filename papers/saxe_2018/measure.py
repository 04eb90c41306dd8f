"""Compression of the last hidden layer under both estimators (_noise: the second), and final accuracy, over replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from papers.frame import Measurement
from papers.intervals import t_interval
from papers.readings import compression

LAST_HIDDEN = -2


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    for suffix, prefix in (("", ""), ("_noise", "second_")):
        fall = {name: compression(r[prefix + "input"][:, :, LAST_HIDDEN]) for name, r in results.items()}
        found |= {f"compression_{name}{suffix}": t_interval(values, "bits") for name, values in fall.items()}
        reference = float(fall["tanh"].mean())
        if reference > 0:  # else there is nothing to have a share of
            found[f"full_batch_share{suffix}"] = t_interval(fall["full_batch"] / reference, "1")
    for name, r in results.items():
        found[f"accuracy_{name}"] = t_interval(r["accuracy"][:, -1], "1")
    return found
