"""On the information bottleneck theory of deep learning [saxe2018]_: activations, full batches with and without momentum (Adam and
plain descent), generalisation.
"""

from __future__ import annotations

from pathlib import Path

from papers.experiments.planes import PlaneSettings as Settings
from papers.experiments.planes import plane_arrays, train
from papers.experiments.program import Arrays, Experiment

RUNS: dict[str, dict[str, object]] = {
    "tanh": {},
    "relu": {"activation": "relu"},
    "linear": {"activation": "linear"},
    "full_batch": {"batch_size": None, "learning_rate": 4e-3},
    "sgd": {"optimiser": "sgd", "learning_rate": 0.1, "replicas": 12},
    "sgd_full_batch": {"optimiser": "sgd", "learning_rate": 1.0, "batch_size": None, "replicas": 12},
    "five_percent": {"train_fraction": 0.05, "batch_size": 64},
}


def experiment(name: str) -> Experiment[Settings]:
    """One of the runs above, as a plane."""

    def run(settings: Settings, seed: int, work: Path) -> Arrays:
        return plane_arrays(train(settings, seed, work, **RUNS[name]), settings)

    return run


EXPERIMENTS = {name: experiment(name) for name in RUNS}
