"""What the papers on trained networks have in common: runs of the icosahedral network, and numbers read off their planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import deepnets

WIDTHS = (12, 10, 7, 5, 4, 3, 2)
BITS = 1 / np.log(2)


def train(settings: Mapping[str, Any], seed: int, **changes: Any) -> deepnets.Run:
    """Replicas of the icosahedral network: a paper's settings, with `changes` to network and training."""
    names = ("widths", "activation", "noise_std", "dropout")
    network = deepnets.Network(**{"widths": WIDTHS, **{k: changes.pop(k) for k in names if k in changes}})
    training = {
        "replicas": settings["replicas"],
        "epochs": settings["epochs"],
        "snapshots": settings["snapshots"],
        "learning_rate": 4e-4,
        "batch_size": 256,
        "train_fraction": 0.8,
    }
    return deepnets.train(network, deepnets.icosahedral_task(), seed=seed, **{**training, **changes})


def plane_arrays(plane: deepnets.InformationPlane, prefix: str = "") -> dict[str, Any]:
    """epochs (S,), input and label (R, S, L) in bits, accuracy (R, S), under names with a prefix."""
    arrays = {
        "epochs": plane.epochs,
        "input": plane.input * BITS,
        "label": plane.label * BITS,
        "accuracy": plane.accuracy,
    }
    return {prefix + name: value for name, value in arrays.items()}


def plane_from(arrays: Mapping[str, Any], prefix: str = "") -> deepnets.InformationPlane:
    """What :func:`plane_arrays` took apart, for a figure: the estimates without their intervals."""
    x, y = (np.asarray(arrays[prefix + name]) / BITS for name in ("input", "label"))
    layers = (*(f"hidden {i}" for i in range(1, x.shape[2])), "output")
    return deepnets.InformationPlane(
        arrays[prefix + "epochs"], np.arange(len(x)), x, x, x, y, y, y, arrays[prefix + "accuracy"], layers,
        float(np.log(4096)), deepnets.icosahedral_task().joint.mutual_information(), "binned activations, 30 edges", {}, {},
    )  # fmt: skip


def compression(values: np.ndarray) -> np.ndarray:
    """How far I(X;T) falls from its largest value over the epochs to the last: (R, S) to (R,)."""
    return values.max(axis=1) - values[:, -1]


def peak_epoch(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The epoch of the largest value of each replica."""
    return epochs[values.argmax(axis=1)]


def half_way_epoch(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The first epoch after its peak at which each replica's I(X;T) has made half of its way from the peak to the end."""
    found = []
    for row in values:
        top = int(row.argmax())
        below = np.flatnonzero(row[top:] <= (row[top] + row[-1]) / 2)
        found.append(epochs[top + int(below[0])])
    return np.array(found, float)


def ordered_share(values: np.ndarray) -> np.ndarray:
    """Share of neighbouring layers along which each replica's value does not rise: (R, L) to (R,)."""
    return (np.diff(values, axis=1) <= 1e-9).mean(axis=1)


def pick(epochs: np.ndarray, wanted: Sequence[float]) -> list[int]:
    """Indices of the snapshots nearest to some epochs on a logarithmic scale."""
    return [int(np.abs(np.log1p(epochs) - np.log1p(e)).argmin()) for e in wanted]
