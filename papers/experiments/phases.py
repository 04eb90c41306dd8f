"""When a layer begins to compress, how long it takes, and whether there are two phases; the layer where something is extreme."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import LEVEL, mean
from dualib.core.typing import BoolArray, Float, Int
from dualib.core.units import Unit

LEAST = 0.25
"""Bits: a fall of I(X;T) by less is no compression whose onset could be told."""


def passage_epoch(
    epochs: Int[np.ndarray, " n_snapshots"], values: Float[np.ndarray, "n_replicas n_snapshots"], part: float
) -> Float[np.ndarray, " n_replicas"]:
    """The epoch after its peak at which each replica has first gone a `part` of its way from the peak to the end.

    Between snapshots linear in log(1 + epoch); NaN where the whole way is less than :data:`LEAST`. part = 0.1 is the
    onset of compression, 1/2 its half-way point.
    """
    time, found = np.log1p(epochs), np.full(len(values), np.nan)
    for r, row in enumerate(values):
        top = int(row.argmax())
        if row[top] - row[-1] < LEAST:
            continue
        level = row[top] - part * (row[top] - row[-1])
        k = top + int(np.flatnonzero(row[top:] <= level)[0])
        share = (row[k - 1] - level) / (row[k - 1] - row[k])
        found[r] = np.expm1(time[k - 1] + share * (time[k] - time[k - 1]))
    return found


def length_of_compression(
    epochs: Int[np.ndarray, " n_snapshots"], values: Float[np.ndarray, "n_replicas n_snapshots"]
) -> Float[np.ndarray, " n_replicas"]:
    """log10 of the epochs from a tenth to half of the way from the peak to the end: how long the compression takes."""
    early, late = (passage_epoch(epochs, values, part) for part in (0.1, 0.5))
    return np.asarray(np.log10(np.maximum(late - early, 1.0)))


def has_two_phases(
    rate: Float[np.ndarray, "n_replicas n_snapshots"], relevance: Float[np.ndarray, "n_replicas n_snapshots"]
) -> BoolArray:
    """Whether a layer fits first, I(T;Y) up by LEAST until the peak of I(X;T), and compresses after it, I(X;T) down by it."""
    top, rows = rate.argmax(axis=1), np.arange(len(rate))
    fitted = relevance[rows, top] - relevance[:, 0] > LEAST
    return np.asarray(fitted & (rate[rows, top] - rate[:, -1] > LEAST))


def extreme_layer(values: Float[np.ndarray, "n_replicas n_layers"], *, least: bool) -> Estimate:
    """The mean of the layer whose mean is least (largest), its interval widened to hold for all layers at once (Bonferroni)."""
    means = values.mean(axis=0)
    layer = int(means.argmin() if least else means.argmax())
    return mean(values[:, layer], Unit.LOG10, 1 - (1 - LEVEL) / values.shape[1])
