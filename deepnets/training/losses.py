"""What training minimises, and how outputs are scored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.tasks import Task
from deepnets.training.settings import Loss


def cross_entropies(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """-log softmax(outputs)[y] of each column of outputs (k, n), in nats, shape (n,)."""
    chosen = jnp.where(jnp.arange(len(outputs))[:, None] == y, outputs, 0)  # no gather, which does not fuse
    return jax.nn.logsumexp(outputs, axis=0) - chosen.sum(axis=0)


def squared_errors(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Squared difference of each column of outputs (k, n) from its target, of targets (n, k): means over k, shape (n,)."""
    return ((outputs.T - y) ** 2).mean(axis=1)


def hits(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Whether the class of each column of outputs (k, n) is that of its label (n,) or target (n, k): shape (n,)."""
    if y.ndim == 1:
        return outputs.argmax(axis=0) == y
    if y.shape[1] == 1:
        return (outputs[0] > 0) == (y[:, 0] > 0)
    return outputs.argmax(axis=0) == y.argmax(axis=1)


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    Loss.CROSS_ENTROPY: cross_entropies,
    Loss.SQUARED_ERROR: squared_errors,
}
"""The loss of each column of outputs, by its name in :class:`deepnets.Training`."""


def trained_on(task: Task, loss: str, dtype: str) -> np.ndarray:
    """What outputs are compared with: labels (n,), or for squared error targets (n, k)."""
    return task.y if loss == Loss.CROSS_ENTROPY else task.regression_targets().astype(dtype)
