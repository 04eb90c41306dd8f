"""Depth: which layer begins to compress first, how long the same layer takes, and whether there are two phases at all."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import bootstrap, share
from dualib.core.typing import Float, FloatArray, Int
from dualib.core.units import Unit
from papers.experiments.phases import has_two_phases, passage_epoch
from papers.experiments.program import Arrays
from papers.experiments.readings import mean_share, of_finite

ONSET, HALF = 0.1, 0.5  # parts of the way from the peak of I(X;T) to its end
SAME = {"4": {4: 3, 5: 3, 6: 4}, "5": {4: 2, 5: 2, 6: 3}, "output": {4: -1, 5: -1, 6: -1}}
"""Where the layer of width 4, of width 5, and the outputs stand in networks of four, five and six hidden layers."""
MOST = 6


def onset_order(
    epochs: Int[np.ndarray, " n_snapshots"], rate: Float[np.ndarray, "n_replicas n_snapshots n_layers"]
) -> dict[str, Estimate]:
    """Whether of two neighbouring layers the upper one begins first, and whether the lower one begins later where the upper one does.

    upper_first: share of neighbours, both of which compress, in which the onset of the upper one comes first. pull: the correlation of their
    onsets over replicas, each layer's own mean onset taken away.
    """
    onset = np.log10(np.maximum([passage_epoch(epochs, x, ONSET) for x in rate.transpose(2, 0, 1)], 1.0)).T  # (R, L)
    lag = onset[:, :-1] - onset[:, 1:]
    there = np.isfinite(lag)
    counted = there.any(axis=1)
    first = np.where(there, lag > 0, False).sum(axis=1)[counted] / there.sum(axis=1)[counted]
    found = of_finite("onset_lag", np.where(counted, _row_means(lag), np.nan), Unit.LOG10)
    if counted.sum() > 1:
        found |= {"upper_first": mean_share(first), "pull": bootstrap(_pull, [onset], Unit.ONE)}
    return found


def _row_means(lag: FloatArray) -> FloatArray:
    there = np.isfinite(lag)
    return np.asarray(np.where(there, lag, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _pull(groups: list[FloatArray]) -> float:
    """Correlation of neighbouring layers' onsets, pooled over the neighbours; 0 where nothing varies."""
    lower, upper = [], []
    for below, above in zip(groups[0].T[:-1], groups[0].T[1:], strict=True):
        there = np.isfinite(below) & np.isfinite(above)
        if there.sum() > 1:
            lower.append(below[there] - below[there].mean())
            upper.append(above[there] - above[there].mean())
    a, b = (np.concatenate(parts) if parts else np.zeros(1) for parts in (lower, upper))
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 else 0.0


def same_layer(d: Arrays) -> dict[str, Estimate]:
    """log10 of how much later the same layer is half-way with four hidden layers than with five and six, replica by replica."""
    found: dict[str, Estimate] = {}
    for layer, places in SAME.items():
        half = {
            count: np.log10(np.maximum(passage_epoch(d[f"{count}_epochs"], d[f"{count}_input"][:, :, j], HALF), 1.0))
            for count, j in places.items()
        }
        for count, word in ((5, "five"), (6, "six")):
            found |= of_finite(f"four_against_{word}_layer_{layer}", half[4] - half[count], Unit.LOG10)
    return found


def phases_at_every_depth(d: Arrays) -> dict[str, Estimate]:
    """The share of replicas whose outputs pass through both phases, for one to six hidden layers."""
    return {
        f"two_phases_{count}{suffix}": share(
            has_two_phases(*(d[f"{count}_{prefix}{name}"][:, :, -1] for name in ("input", "label")))
        )
        for count in range(1, MOST + 1)
        for suffix, prefix in (("", ""), ("_noise", "second_"))
        if f"{count}_{prefix}input" in d
    }


def phases_of_rules(r: Arrays) -> dict[str, Estimate]:
    """The same for the paper's network on random rules."""
    return {"two_phases_rules": share(has_two_phases(r["input"][:, :, -1], r["label"][:, :, -1]))}
