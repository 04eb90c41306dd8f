"""The training loss as a function of packed parameters, for every replica on its own training patterns."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jax.flatten_util import ravel_pytree

from deepnets.backend import jax, jnp
from deepnets.networks import Network, Params
from deepnets.recordings.run import Run
from deepnets.training.losses import LOSSES, trained_on
from deepnets.training.settings import Loss
from dualib.core.typing import Float

LossAt = Callable[[jax.Array], jax.Array]
"""Packed parameters (P,) → the loss, a number in double precision."""


class Patterns(NamedTuple):
    """Training patterns of R replicas: x (R, N, d), and y, labels (R, N) or targets (R, N, k)."""

    x: jax.Array
    y: jax.Array


class Packing(NamedTuple):
    """How the parameters of a network lie in one vector of P numbers.

    Attributes
    ----------
    unravel : callable
        (P,) → the parameters, layer by layer.
    layer : int array, shape (P,)
        The layer of each number.
    """

    unravel: Callable[[jax.Array], Params]
    layer: np.ndarray


@lru_cache(maxsize=16)
def packing(network: Network) -> Packing:
    """The packing of a network's parameters, that of training too."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    zeros = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
    numbered = [{kind: np.full(a.shape, i) for kind, a in layer.items()} for i, layer in enumerate(zeros)]
    return Packing(ravel_pytree(zeros)[1], np.concatenate([a.ravel() for a in jax.tree.leaves(numbered)]))


def packed(run: Run, snapshot: int) -> Float[np.ndarray, "n_replicas n_parameters"]:
    """The parameters of all replicas at a snapshot, one row each."""
    params = [{kind: jnp.asarray(a) for kind, a in layer.items()} for layer in run.parameters(snapshot)]
    return np.asarray(jax.vmap(lambda one: ravel_pytree(one)[0])(params))


def training_patterns(run: Run) -> Patterns:
    """What each replica was trained on."""
    x = np.asarray(run.task.x, run.network.dtype)[run.train_patterns]
    y = trained_on(run.task, run.loss, run.network.dtype)[run.train_patterns]
    return Patterns(jnp.asarray(x), jnp.asarray(y))


def loss_on(network: Network, loss: Loss, x: jax.Array, y: jax.Array) -> LossAt:
    """The mean loss on patterns x (n, d), summed in double precision: steps are accepted on differences of it."""
    unravel, losses = packing(network).unravel, LOSSES[loss]

    def at(vector: jax.Array) -> jax.Array:
        return losses(network.columns(unravel(vector), x.T)[-1], y).mean(dtype=jnp.float64)

    return at


@lru_cache(maxsize=16)
def _losses(network: Network, loss: Loss) -> Callable[[jax.Array, Patterns], jax.Array]:
    return jax.jit(jax.vmap(lambda v, p: loss_on(network, loss, p.x, p.y)(v)))


def losses_at(network: Network, loss: Loss, vectors: jax.Array, patterns: Patterns) -> jax.Array:
    """The loss of every replica, shape (R,)."""
    return _losses(network, loss)(vectors, patterns)


@lru_cache(maxsize=16)
def hessian_product(network: Network, loss: Loss) -> Callable[..., jax.Array]:
    """(vector, x, y, direction) → the second derivative of the loss in that direction, shape (P,); compiled."""

    def product(vector: jax.Array, x: jax.Array, y: jax.Array, direction: jax.Array) -> jax.Array:
        gradient = jax.grad(loss_on(network, loss, x, y))
        along: jax.Array = jax.jvp(gradient, (vector,), (direction,))[1]
        return along

    return jax.jit(product)


@lru_cache(maxsize=16)
def gradient_variance(network: Network, loss: Loss) -> Callable[[jax.Array, Patterns], jax.Array]:
    """(vectors, patterns) → the trace of the covariance of one pattern's gradient, all parameters, shape (R,); compiled."""

    def of_replica(vector: jax.Array, patterns: Patterns) -> jax.Array:
        def one(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
            x, y = pair
            found: jax.Array = jax.grad(loss_on(network, loss, x[None], y[None]))(vector)
            return found

        def step(
            sums: tuple[jax.Array, jax.Array], pair: tuple[jax.Array, jax.Array]
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            g = one(pair).astype(jnp.float64)
            return (sums[0] + g, sums[1] + g @ g), None

        n = len(patterns.x)
        zero = jnp.zeros(vector.shape, jnp.float64)
        (total, square), _ = jax.lax.scan(step, (zero, jnp.float64(0)), (patterns.x, patterns.y))
        trace: jax.Array = (square - total @ total / n) / (n - 1)
        return trace

    return jax.jit(jax.vmap(of_replica))
