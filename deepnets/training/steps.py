"""The compiled steps of training: functions of states, random keys and data, compiled once a network and optimiser."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from deepnets.backend import jax, jnp
from deepnets.networks import Network, Params
from deepnets.training.losses import LOSSES, hits
from deepnets.training.settings import Loss, Optimiser


class State(NamedTuple):
    """R replicas in training.

    Attributes
    ----------
    vectors : array, shape (R, P)
        Parameters, packed, so that an optimiser's step is a few operations on one array.
    inner : pytree
        What the optimiser remembers.
    failed : array, shape (R,)
        The epoch in which a replica's loss was no longer finite, -1 where it stayed so.
    """

    vectors: jax.Array
    inner: optax.OptState
    failed: jax.Array


_Carry = tuple[jax.Array, optax.OptState, jax.Array, jax.Array, jax.Array]  # vectors, inner, loss, gradients' moments


@lru_cache(maxsize=16)
def steps_of(network: Network, optimiser: Optimiser, learning_rate: float, orthonormality: float, loss: Loss) -> Steps:
    """The steps of these settings; asked for again, they are compiled already."""
    return Steps(network, optimiser_of(optimiser, learning_rate), orthonormality, loss)


class Steps:
    """Compiled functions of a state and keys (R,).

    By squared error, y are targets (n, k), by cross-entropy labels (n,).

    Attributes
    ----------
    start : callable
        keys → the state before the first epoch.
    epoch : callable
        (state, keys, x, y, patterns, weights, epoch) → the state after it, and its gradients' moments.
    scores : callable
        (vectors, trained, x, y) → loss and accuracy on training and test patterns, (R,) each.
    params : callable
        vectors → the parameters of all replicas, layer by layer.
    """

    def __init__(
        self, network: Network, optimiser: optax.GradientTransformation, orthonormality: float, loss: Loss
    ) -> None:
        self._network, self._optimiser, self._orthonormality = network, optimiser, orthonormality
        self._losses = LOSSES[loss]
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        self._unravel = ravel_pytree(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes))[1]
        self.start = jax.jit(self._start)
        self.epoch = jax.jit(self._epoch)  # no donation: an interrupt must find the last state whole
        self.scores = jax.jit(jax.vmap(self._scores, (0, 0, None, None)))
        self.params = jax.jit(jax.vmap(self._unravel))

    def _start(self, keys: jax.Array) -> State:
        def vector(key: jax.Array) -> jax.Array:
            return ravel_pytree(self._network.init(jax.random.fold_in(key, 0)))[0]

        vectors = jax.vmap(vector)(keys)
        return State(vectors, jax.vmap(self._optimiser.init)(vectors), jnp.full(len(keys), -1))

    def _epoch(
        self,
        state: State,
        keys: jax.Array,
        x: jax.Array,
        y: jax.Array,
        patterns: jax.Array,
        weights: jax.Array,
        epoch: jax.Array,
    ) -> tuple[State, list[jax.Array]]:
        keys = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, 1), epoch))(keys)

        def step(carry: _Carry, batch: tuple[jax.Array, ...]) -> tuple[_Carry, None]:
            vectors, inner, loss, mean, square = carry
            chosen, weight, share, index = batch
            one = jax.vmap(self._step, in_axes=(0, 0, None, None, 0, None, 0, None))
            vectors, inner, value, gradient = one(vectors, inner, x, y, chosen, weight, keys, index)
            return (vectors, inner, loss + value, mean + share * gradient, square + share * gradient**2), None

        vectors, inner, failed = state
        none = jnp.zeros_like(vectors)
        carry: _Carry = (vectors, inner, none[:, 0], none, none)
        shares = ((weights > 0).sum(axis=1) / (weights > 0).sum()).astype(weights.dtype)
        batches = (patterns, weights, shares, jnp.arange(len(weights)))
        (vectors, inner, loss, mean, square), _ = jax.lax.scan(step, carry, batches)
        broken = ~jnp.isfinite(loss) | ~jnp.isfinite(vectors).all(axis=1)
        gradients = [jax.vmap(self._layer_sums)(moment) for moment in (mean**2, square)]
        return State(vectors, inner, jnp.where((failed < 0) & broken, epoch + 1, failed)), gradients

    def _step(
        self,
        vector: jax.Array,
        inner: optax.OptState,
        x: jax.Array,
        y: jax.Array,
        chosen: jax.Array,
        weight: jax.Array,
        key: jax.Array,
        index: jax.Array,
    ) -> tuple[jax.Array, optax.OptState, jax.Array, jax.Array]:
        network = self._network
        noise, drop = jax.random.split(jax.random.fold_in(key, index)) if network.random_in_training else (None, None)

        def loss(at: jax.Array) -> jax.Array:
            outputs = network.columns(self._unravel(at), x[chosen].T, noise, drop)[-1]
            return (self._losses(outputs, y[chosen]) * weight).sum()

        value, gradient = jax.value_and_grad(loss)(vector)
        update, inner = self._optimiser.update(gradient, inner, vector)
        return self._orthonormalised(vector + update), inner, value, gradient

    def _orthonormalised(self, vector: jax.Array) -> jax.Array:
        """One step W ← W - α(WWᵀ - I)W of each hidden layer's W = wᵀ."""
        alpha = self._orthonormality
        if alpha == 0:
            return vector
        *hidden, readout = self._unravel(vector)
        for layer in hidden:
            w = layer["w"]
            layer["w"] = w - alpha * (w @ (w.T @ w) - w)
        return ravel_pytree([*hidden, readout])[0]

    def _layer_sums(self, vector: jax.Array) -> jax.Array:
        """The sum over each layer's weights, shape (L,)."""
        params: Params = self._unravel(vector)
        return jnp.stack([layer["w"].sum() for layer in params])

    def _scores(self, vector: jax.Array, trained: jax.Array, x: jax.Array, y: jax.Array) -> list[jax.Array]:
        """Loss and accuracy, without noise, on the training and on the test patterns."""
        outputs = self._network.columns(self._unravel(vector), x.T)[-1]
        loss, right = self._losses(outputs, y), hits(outputs, y).astype(outputs.dtype)
        values = [
            jnp.where(where, value, 0).sum() / where.sum()  # 0/0, NaN, without test patterns
            for where in (trained, ~trained)
            for value in (loss, right)
        ]
        finite = jnp.isfinite(loss).all()
        return [jnp.where(finite, value, jnp.nan) for value in values]


def optimiser_of(name: Optimiser, learning_rate: float) -> optax.GradientTransformation:
    """The rule of an optimiser of :class:`deepnets.Training`."""
    if name is Optimiser.ADAM:
        return optax.adam(learning_rate)
    return optax.sgd(learning_rate, momentum=0.9 if name is Optimiser.MOMENTUM else None)
