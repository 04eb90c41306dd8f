"""Steps of two clusters that nearly coincide, along the valley in which they exchange weight.

For two atoms m + (1 − α) δ and m − α δ with shares α and 1 − α of a weight M, Φ depends on M, M m, M σσᵀ and M κ σ³, ever less, with
σ = √(α(1 − α)) δ and the skewness κ = (1 − 2α)/√(α(1 − α)). So when weight goes from one to the other the atoms have to follow at
a fixed σ, a path that bends in weights and atoms: a step along the straight line climbs out of the valley after 1/100 of it.
"""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms
from dualib.core.special import TINY
from dualib.core.typing import Bool, Float, FloatArray, IntArray
from dualib.solvers.alternating import heavy
from dualib.solvers.distances import partners
from dualib.solvers.iterate import Iterate

NEAR = 0.5  # clusters nearer than this, in β times a squared Fisher distance, are taken as two
LEAST_LEFT = 0.1  # share of a weight or a symbol of an atom that a step leaves
MOST = 1e4  # skewness up to which the weights are above rounding


def exchanged(
    it: Iterate, change: Float[np.ndarray, " n_t"], moved: Atoms, weights: Float[np.ndarray, " n_t"], atoms: Atoms
) -> tuple[Float[np.ndarray, " n_t"], Atoms] | None:
    """The weights and atoms after a step, those of each near two taken along its valley; None where there are none.

    `change` is δν, `moved` δr of the step, and `weights` and `atoms` where it leads to otherwise: the same to first order.
    """
    first, second = partners(it.atoms, it.beta, NEAR)
    if not len(first):
        return None
    with np.errstate(all="ignore"):  # of weights that have vanished
        both = _pair(it, change, moved, first, second)
    least = LEAST_LEFT * np.minimum(it.atoms[first], it.atoms[second])
    kept = np.isfinite(both[0]) & ((both[2] >= least) & (both[3] >= least)).all(axis=1)
    weights, atoms = weights.copy(), atoms.copy()
    for t, new_weight, new_atom in ((first, both[0], both[2]), (second, both[1], both[3])):
        weights[t[kept]], atoms[t[kept]] = new_weight[kept], new_atom[kept]
    return weights, atoms


def after(it: Iterate, step: FloatArray) -> tuple[Iterate, Bool[np.ndarray, " n_t"]]:
    """The iterate after a step, and which clusters it keeps: those that it takes below 0 are dropped where they weigh little."""
    change, _ = _changes(it, step)
    keep = (it.weights + change > 0.0) | heavy(it)
    return _at(it, *_limited(it, step), keep), keep


def along_valleys(it: Iterate, step: FloatArray) -> Iterate | None:
    """The iterate after the same step, each two clusters that nearly coincide taken along their valley; None where there are none."""
    change, shift = _changes(it, step)
    both = exchanged(it, change, shift, *_limited(it, step))
    return None if both is None else _at(it, *both, (it.weights + change > 0.0) | heavy(it))


def _changes(it: Iterate, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The changes of weights and atoms, to first order."""
    root = np.sqrt(it.weights)
    return step[:, 0] * root, step[:, 1:] * np.sqrt(np.maximum(it.atoms, TINY) / it.beta) / root[:, None]


def _limited(it: Iterate, step: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights and atoms after a step, no entry of which changes by more than a factor."""
    change, shift = _changes(it, step)
    atoms = np.clip(it.atoms + shift, LEAST_LEFT * it.atoms, it.atoms / LEAST_LEFT)
    return np.maximum(it.weights + change, LEAST_LEFT * it.weights), atoms


def _at(it: Iterate, weights: FloatArray, atoms: FloatArray, keep: Bool[np.ndarray, " n_t"]) -> Iterate:
    weights, atoms = weights[keep], atoms[keep]
    return it.moved(weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True), keep)


def _pair(
    it: Iterate, change: FloatArray, moved: FloatArray, first: IntArray, second: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The weights of the first and the second, and their atoms: M, m, σ and κ moved as far as the step moves them to first order."""
    total = it.weights[first] + it.weights[second]
    more = (change[first] + change[second]) / total
    share = it.weights[first] / total
    share_more = change[first] / total - share * more
    root = np.sqrt(share * (1.0 - share))
    between = it.atoms[first] - it.atoms[second]
    alpha, alpha_more, sigma = share[:, None], share_more[:, None], root[:, None]
    mean = alpha * (it.atoms[first] + moved[first]) + (1.0 - alpha) * (it.atoms[second] + moved[second])
    mean += alpha_more * between
    spread = sigma * (between + moved[first] - moved[second]) + (0.5 - alpha) * alpha_more / sigma * between
    skewness = np.clip((1.0 - 2.0 * share) / root - 0.5 * share_more / root**3, -MOST, MOST)
    root = 1.0 / np.sqrt(skewness**2 + 4.0)
    share = 0.5 - 0.5 * skewness * root
    between = spread / root[:, None]
    total = total * np.exp(np.clip(more, -1.0, 1.0))
    return (
        share * total,
        (1.0 - share) * total,
        mean + (1.0 - share)[:, None] * between,
        mean - share[:, None] * between,
    )
