"""Orders of patterns: splits and batches, random functions of (seed, replica, epoch) alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepnets.training.settings import Training
from dualib.core.typing import Float, Int, IntArray

SPLIT, ORDER = 1, 2  # purposes of random streams


def permutation(seed: int, replica: int, purpose: int, epoch: int, n: int) -> Int[np.ndarray, " n"]:
    """A random order of n patterns, a function of all its arguments."""
    stream = np.random.Philox(key=[seed, replica], counter=[0, 0, purpose, epoch])
    return np.random.Generator(stream).permutation(n)


def splits(training: Training, n: int) -> Int[np.ndarray, "n_replicas n_train"]:
    """The training patterns of each replica, of n patterns."""
    n_train = training.n_train(n)
    return np.stack([permutation(training.seed, r, SPLIT, 0, n)[:n_train] for r in range(training.replicas)])


def batch_order(training: Training, replica: int, patterns: IntArray, epoch: int) -> IntArray:
    """A replica's training patterns in the order of the epoch after `epoch` epochs; full batches are in no other order."""
    n = len(patterns)
    if (training.batch_size or n) >= n:
        return patterns
    order: IntArray = patterns[permutation(training.seed, replica, ORDER, epoch, n)]
    return order


def batches(
    training: Training,
    train_patterns: Int[np.ndarray, "n_replicas n_train"],
    epoch: int,
    dtype: str,
    *,
    replicas: Sequence[int] | None = None,
) -> tuple[Int[np.ndarray, "n_batches n_replicas size"], Float[np.ndarray, "n_batches size"]]:
    """Patterns of one epoch in its order, and their weights, of type `dtype`, each batch's summing to 1.

    The last batch is filled up with patterns of weight 0. `replicas` are the rows' numbers, by default 0, 1, ….
    """
    n = train_patterns.shape[1]
    size = training.batch_size or n
    count = -(-n // size)
    patterns = np.empty((count, len(train_patterns), size), np.int32)
    for i, replica in enumerate(range(len(train_patterns)) if replicas is None else replicas):
        order = batch_order(training, replica, train_patterns[i], epoch)
        patterns[:, i] = np.append(order, order[: count * size - n]).reshape(count, size)
    weights = (np.arange(count * size) < n).reshape(count, size).astype(dtype)
    return patterns, weights / weights.sum(axis=1, keepdims=True)
