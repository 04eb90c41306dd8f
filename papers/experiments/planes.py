"""Trained icosahedral networks and their information planes under two estimators, for the papers on them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

import deepnets
from deepnets.training.presets import WIDTHS
from dualib.core.estimate import Estimates, Kind
from dualib.core.progress import counted
from dualib.core.units import NATS_PER_BIT
from papers.experiments.program import Arrays, Settings

SECOND = deepnets.SmoothedPlugin(0.1, n_mc=2)
"""The second estimator of deterministic networks: Gaussian noise of std 0.1 added when measuring (not in training), as in the
critics' kernel density estimate, but with the mixture's exact entropy up to a Monte Carlo error below 0.01 bits
[goldfeld2019]_ in place of its pairwise bounds."""


class TrainSettings(Settings, frozen=True):
    """How many networks, how long, and at how many epochs they are looked at."""

    replicas: int
    epochs: int
    snapshots: int


class PlaneSettings(TrainSettings, frozen=True):
    """Also how many of the replicas and snapshots the second estimator sees."""

    second_replicas: int
    second_snapshots: int


def train(settings: TrainSettings, seed: int, work: Path, **changes: Any) -> deepnets.Run:
    """Replicas of the icosahedral network: a paper's settings, with `changes` to network and training.

    The run lies in `work` under a name of its own: interrupted, it goes on there; asked for again, it is read.
    """
    names = ("widths", "activation", "noise_std", "dropout")
    chosen = {"widths": WIDTHS, **{k: changes.pop(k) for k in names if k in changes}}
    training = {
        "replicas": settings.replicas,
        "epochs": settings.epochs,
        "snapshots": settings.snapshots,
        "learning_rate": 4e-4,
        "batch_size": 256,
        "train_fraction": 0.8,
        "seed": seed,
        **changes,
    }
    name = hashlib.sha256(json.dumps([chosen, training], sort_keys=True).encode()).hexdigest()[:12]
    return deepnets.train(deepnets.Network(**chosen), deepnets.icosahedral_task(), out=work / name, **training)


def plane_arrays(run: deepnets.Run, settings: PlaneSettings, prefix: str = "") -> Arrays:
    """A deterministic run's plane, binned at all its snapshots, and by the second estimator at some; names with a prefix.

    epochs (S,), input and label (R, S, L) in bits, accuracy (R, S); second_epochs (S',), second_input and second_label
    (R', S', L) of the first R' replicas.
    """
    plane = deepnets.information_plane(run)
    times = np.unique(np.linspace(0, len(run.epochs) - 1, settings.second_snapshots).round().astype(int))
    replicas = range(min(run.n_replicas, settings.second_replicas))
    values = np.zeros((len(replicas), len(times), len(plane.layers), 2))
    for r, s in counted([(r, s) for r in replicas for s in range(len(times))], "second estimator"):
        for j, t in enumerate(run.activations(int(times[s]), r)):
            found = SECOND.layer(t, run.task.p_y_given_x)
            values[r, s, j] = found.rate.value, found.relevance.value
    arrays = {
        "epochs": plane.epochs,
        "input": plane.rate.value / NATS_PER_BIT,
        "label": plane.relevance.value / NATS_PER_BIT,
        "accuracy": plane.accuracy,
        "second_epochs": run.epochs[times],
        "second_input": values[..., 0] / NATS_PER_BIT,
        "second_label": values[..., 1] / NATS_PER_BIT,
    }
    return {prefix + name: value for name, value in arrays.items()}


def plane_from(arrays: Arrays, prefix: str = "", second: bool = False) -> deepnets.InformationPlane:
    """The plane of a result's arrays, for a figure: the estimates without their intervals."""
    which = "second_" if second else ""
    x, y = (np.asarray(arrays[prefix + which + name]) * NATS_PER_BIT for name in ("input", "label"))
    layers = (*(f"hidden {i}" for i in range(1, x.shape[2])), "output")
    epochs, accuracy = arrays[prefix + which + "epochs"], arrays[prefix + "accuracy"]
    if second:
        accuracy = accuracy[: len(x), np.searchsorted(arrays[prefix + "epochs"], epochs)]
    method = "noise of std 0.1 added, smoothed plug-in" if second else "binned activations, 30 edges"
    rate, relevance = (Estimates(v, v, v, Kind.EXACT, method=method) for v in (x, y))
    both = deepnets.icosahedral_task().joint.mutual_information()
    values = (epochs, np.arange(len(x)), rate, relevance, accuracy, layers)
    return deepnets.InformationPlane(*values, float(np.log(4096)), both)
