"""Trained icosahedral networks and their information planes under two estimators, for the papers on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import deepnets
from deepnets.training.presets import WIDTHS
from papers.experiments import counted

BITS = 1 / np.log(2)
SECOND = deepnets.SmoothedPlugin(0.1, n_mc=2)
"""The second estimator of deterministic networks: Gaussian noise of std 0.1 added when measuring (not in training), as in the
critics' kernel density estimate, but with the mixture's exact entropy up to a Monte Carlo error below 0.01 bits
[goldfeld2019]_ in place of its pairwise bounds."""


def train(settings: Mapping[str, Any], seed: int, work: Path, **changes: Any) -> deepnets.Run:
    """Replicas of the icosahedral network: a paper's settings, with `changes` to network and training.

    The run lies in `work` under a name of its own: interrupted, it goes on there; asked for again, it is read.
    """
    about = {name: changes.pop(name) for name in ("widths", "activation", "noise_std", "dropout") if name in changes}
    network = deepnets.Network(**{"widths": WIDTHS, **about})
    asked = {name: settings[name] for name in ("replicas", "epochs", "snapshots")}
    training = deepnets.Training(**{**asked, "seed": seed, **changes})
    key = json.dumps([network.settings(), training.settings()], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    return deepnets.train(network, deepnets.icosahedral_task(), training, out=work / name)


def plane_arrays(run: deepnets.Run, settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A deterministic run's plane, binned at all its snapshots, and by the second estimator at some; names with a prefix.

    epochs (S,), input and label (R, S, L) in bits, accuracy (R, S); second_epochs (S',), second_input and second_label
    (R', S', L) of the first R' replicas.
    """
    plane = deepnets.information_plane(run)
    arrays: dict[str, Any] = {
        "epochs": plane.epochs,
        "input": plane.input * BITS,
        "label": plane.label * BITS,
        "accuracy": plane.accuracy,
    }
    times = np.unique(np.linspace(0, len(run.epochs) - 1, settings["second_snapshots"]).round().astype(int))
    replicas = range(min(run.n_replicas, settings["second_replicas"]))
    values = np.zeros((len(replicas), len(times), len(plane.layers), 2))
    for r, s in counted([(r, s) for r in replicas for s in range(len(times))], "second estimator"):
        for j, t in enumerate(run.activations(int(times[s]), r)):
            found = SECOND.layer(t, run.task.p_y_given_x)
            values[r, s, j] = found.input.value, found.label.value
    arrays |= {
        "second_epochs": run.epochs[times],
        "second_input": values[..., 0] * BITS,
        "second_label": values[..., 1] * BITS,
    }
    return {prefix + name: value for name, value in arrays.items()}
