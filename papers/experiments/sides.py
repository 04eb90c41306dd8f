"""Runs beside a paper's first: other settings, and planes by binning alone, where the second estimator takes longer than the training."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np

import deepnets
from dualib.core.typing import FloatArray
from dualib.core.units import NATS_PER_BIT
from papers.experiments.planes import SECOND, TrainSettings
from papers.experiments.program import Arrays

SettingsOfRuns = TypeVar("SettingsOfRuns", bound=TrainSettings)


def changed(settings: SettingsOfRuns, **changes: int) -> SettingsOfRuns:
    """The settings with some of their entries changed."""
    return msgspec.structs.replace(settings, **changes)


def binned_arrays(run: deepnets.Run, prefix: str = "") -> Arrays:
    """The arrays of `plane_arrays` but for the second estimator's: epochs (S,), input and label (R, S, L) in bits, accuracy (R, S)."""
    plane = deepnets.information_plane(run)
    found = {
        "epochs": plane.epochs,
        "input": plane.rate.value / NATS_PER_BIT,
        "label": plane.relevance.value / NATS_PER_BIT,
        "accuracy": plane.accuracy,
    }
    return {prefix + name: value for name, value in found.items()}


def second_rate_at_the_end(run: deepnets.Run, layer: int, replicas: int) -> FloatArray:
    """I(X;T) of one layer at the last snapshot by the second estimator, bits, of the first replicas."""
    last = len(run.epochs) - 1
    rows = [run.activations(last, r)[layer] for r in range(min(replicas, run.n_replicas))]
    return np.array([SECOND.layer(t, run.task.p_y_given_x).rate.value for t in rows]) / NATS_PER_BIT
