"""Kick and project: random changes of all parameters, each followed by descent to the loss of the start."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.relaxation.energy import Patterns, loss_on, losses_at, packing
from deepnets.relaxation.methods import KickAndProject
from deepnets.relaxation.walk import GRADIENT, compiled, replica_keys
from deepnets.training.settings import Loss


class Kicked(NamedTuple):
    """R replicas between kicks.

    Attributes
    ----------
    vector : array, shape (R, P)
        Where descent is.
    kept : array, shape (R, P)
        The last parameters with L ≤ ε: the state.
    tries : array, shape (R,)
        Steps since the last kick.
    kicks, failures : arrays, shape (R,)
    ceiling, step : arrays, shape (R,)
        ε and the learning rate.
    """

    vector: jax.Array
    kept: jax.Array
    tries: jax.Array
    kicks: jax.Array
    failures: jax.Array
    ceiling: jax.Array
    step: jax.Array


class KickWalk:
    """Kicks and projections of all replicas, a gradient a step."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        vectors: jax.Array,
        patterns: Patterns,
        method: KickAndProject,
        step: np.ndarray,
        seed: int,
    ) -> None:
        self._network, self._loss, self._method, self._step = network, loss, method, jnp.asarray(step)
        self._vectors, self._patterns, self._keys = vectors, patterns, replica_keys(seed, len(vectors))

    def start(self) -> Kicked:
        """Before the first kick."""
        ceiling = losses_at(self._network, self._loss, self._vectors, self._patterns)
        none = jnp.zeros(len(self._vectors), int)
        return Kicked(self._vectors, self._vectors, none, none, none, ceiling, self._step)

    def advance(self, state: Kicked, begin: int, end: int) -> Kicked:
        """The replicas after the steps `begin` … `end` − 1."""
        moved: Kicked = _compiled(self._network, self._loss, self._method)(
            state, self._keys, self._patterns, begin, end
        )
        return moved

    def vectors(self, state: Kicked) -> np.ndarray:
        """The last parameters with L ≤ ε."""
        return np.asarray(state.kept)

    def cost(self, steps: int) -> float:
        """A gradient a step, which also tells whether descent has arrived."""
        return GRADIENT * steps

    def counts(self, state: Kicked) -> dict[str, np.ndarray]:
        """Kicks, and how many of them were undone."""
        return {"kicks": np.asarray(state.kicks), "failures": np.asarray(state.failures)}


@lru_cache(maxsize=16)
def _compiled(network: Network, loss: Loss, method: KickAndProject) -> Callable[..., Kicked]:
    layer = jnp.asarray(packing(network).layer)
    sizes = jnp.bincount(layer)

    def kick(vector: jax.Array, key: jax.Array) -> jax.Array:
        rms = jnp.sqrt(jax.ops.segment_sum(vector**2, layer, len(sizes)) / sizes).astype(vector.dtype)
        return vector + method.scale * rms[layer] * jax.random.normal(key, vector.shape, vector.dtype)

    def step(k: Kicked, key: jax.Array, number: jax.Array, own: Patterns) -> Kicked:
        value, gradient = jax.value_and_grad(loss_on(network, loss, own.x, own.y))(k.vector)
        arrived = value <= k.ceiling
        failed = ~arrived & (k.tries >= method.steps)
        ended = arrived | failed
        kept = jnp.where(arrived, k.vector, k.kept)
        descended = k.vector - k.step.astype(k.vector.dtype) * gradient
        return k._replace(
            vector=jnp.where(ended, kick(kept, key), descended),
            kept=kept,
            tries=jnp.where(ended, 0, k.tries + 1),
            kicks=k.kicks + ended,
            failures=k.failures + failed,
        )

    return compiled(step)
