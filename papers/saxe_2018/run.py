"""On the information bottleneck theory of deep learning [saxe2018]_: activations, full batches, generalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from papers.planes import plane_arrays, train

RUNS: dict[str, dict[str, Any]] = {
    "tanh": {},
    "relu": {"activation": "relu"},
    "linear": {"activation": "linear"},
    "full_batch": {"batch_size": None, "learning_rate": 4e-3},
    "five_percent": {"train_fraction": 0.05, "batch_size": 64},
}


def experiment(name: str) -> Callable[[Mapping[str, Any], int, Path], dict[str, Any]]:
    """One of the runs above, as a plane."""

    def run(settings: Mapping[str, Any], seed: int, work: Path) -> dict[str, Any]:
        return plane_arrays(train(settings, seed, work, **RUNS[name]), settings)

    return run


EXPERIMENTS = {name: experiment(name) for name in RUNS}
