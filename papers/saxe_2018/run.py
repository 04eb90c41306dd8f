"""On the information bottleneck theory of deep learning [saxe2018]_: activations, full batches, generalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import deepnets
from deepnets import plotting
from papers.frame import Measurement
from papers.intervals import t_interval
from papers.planes import compression, plane_arrays, plane_from, train

LAST_HIDDEN = -2

RUNS: dict[str, dict[str, Any]] = {
    "tanh": {},
    "relu": {"activation": "relu"},
    "linear": {"activation": "linear"},
    "full_batch": {"batch_size": None, "learning_rate": 4e-3},
    "five_percent": {"train_fraction": 0.05, "batch_size": 64},
}


def experiment(name: str) -> Callable[[Mapping[str, Any], int], dict[str, Any]]:
    """One of the runs above, as a plane."""

    def run(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
        return plane_arrays(deepnets.information_plane(train(settings, seed, **RUNS[name])))

    return run


EXPERIMENTS = {name: experiment(name) for name in RUNS}


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    """Compression of the last hidden layer and final accuracy, over replicas."""
    fall = {name: compression(r["input"][:, :, LAST_HIDDEN]) for name, r in results.items()}
    accuracy = {name: r["accuracy"][:, -1] for name, r in results.items()}
    reference = float(fall["tanh"].mean())
    return {
        **{f"compression_{name}": t_interval(fall[name], "bits") for name in ("tanh", "relu", "linear", "full_batch")},
        "compression_at_5": t_interval(fall["five_percent"], "bits"),
        "full_batch_share": t_interval(fall["full_batch"] / reference, "1"),
        "accuracy_relu": t_interval(accuracy["relu"], "1"),
        "accuracy_at_5": t_interval(accuracy["five_percent"], "1"),
    }


def figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The planes side by side, and each activation's informations against the epoch."""
    planes = {name: plane_from(r) for name, r in results.items()}
    labels = {"tanh": "tanh", "relu": "ReLU", "linear": "linear"}
    other = {"tanh": "batches of 256", "full_batch": "full batches", "five_percent": "5% of the patterns"}
    return {
        "activations": plotting.plot_planes({label: planes[name] for name, label in labels.items()}),
        "batches_and_generalisation": plotting.plot_planes({label: planes[name] for name, label in other.items()}),
        "relu_against_epochs": plotting.plot_against_epochs(planes["relu"]),
    }
