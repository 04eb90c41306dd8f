"""Langevin chains over the parameters of a network: overdamped, underdamped, or corrected by Metropolis's rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.relaxation.energy import LossAt, Patterns, gradient_variance, loss_on
from deepnets.relaxation.methods import Langevin, Noise
from deepnets.relaxation.walk import GRADIENT, compiled, replica_keys
from deepnets.training.settings import Loss


class Drift(NamedTuple):
    """R replicas of a chain.

    Attributes
    ----------
    vector, velocity, gradient : arrays, shape (R, P)
    loss : array, shape (R,)
    step, temperature : arrays, shape (R,)
        h and T.
    batch_noise : array, shape (R,)
        What a minibatch's gradient less the full one is multiplied by to have a step's variance; 0 without such noise.
    moved : array, shape (R,)
        Steps that were accepted, of a corrected chain.
    """

    vector: jax.Array
    velocity: jax.Array
    gradient: jax.Array
    loss: jax.Array
    step: jax.Array
    temperature: jax.Array
    batch_noise: jax.Array
    moved: jax.Array


def overdamped(d: Drift, key: jax.Array, at: LossAt, corrected: bool) -> Drift:
    """θ − h∇L + √(2hT) ξ, and, corrected, accepted with the rule of Metropolis and Hastings, which keeps exp(−L/T)."""
    draw, chance = jax.random.split(key)
    noise = jax.random.normal(draw, d.vector.shape, d.vector.dtype)
    h, spread = d.step.astype(d.vector.dtype), jnp.sqrt(2 * d.step * d.temperature).astype(d.vector.dtype)
    proposal = d.vector - h * d.gradient + spread * noise
    loss, gradient = jax.value_and_grad(at)(proposal)
    new = d._replace(vector=proposal, loss=loss, gradient=gradient)
    if not corrected:
        return new
    back = d.vector - proposal + h * gradient  # the noise that would lead back
    ways = (jnp.sum(noise.astype(jnp.float64) ** 2) / 2) - jnp.sum(back.astype(jnp.float64) ** 2) / (
        4 * d.step * d.temperature
    )
    accept = jnp.log(jax.random.uniform(chance, (), jnp.float64)) < ways - (loss - d.loss) / d.temperature
    kept: Drift = jax.tree.map(lambda a, b: jnp.where(accept, a, b), new, d)
    return kept._replace(moved=d.moved + accept)


def underdamped(d: Drift, key: jax.Array, at: LossAt, friction: float) -> Drift:
    """One step of BAOAB [leimkuhler2013]_: half a kick, half a drift, the bath, half a drift, half a kick."""
    dtype = d.vector.dtype
    time = jnp.sqrt(2 * d.step)
    kept = jnp.exp(-friction * time)
    bath = jnp.sqrt(d.temperature * (1 - kept**2)).astype(dtype) * jax.random.normal(key, d.vector.shape, dtype)
    half = (time / 2).astype(dtype)
    velocity = d.velocity - half * d.gradient
    middle = d.vector + half * velocity
    velocity = kept.astype(dtype) * velocity + bath
    vector = middle + half * velocity
    loss, gradient = jax.value_and_grad(at)(vector)
    return d._replace(vector=vector, velocity=velocity - half * gradient, loss=loss, gradient=gradient)


def by_minibatches(d: Drift, key: jax.Array, network: Network, loss: Loss, own: Patterns, size: int) -> Drift:
    """θ − h∇L + a (g_B − ∇L): the noise of minibatches, of `size` patterns drawn with replacement, and no order of data."""
    chosen = jax.random.randint(key, (size,), 0, len(own.x))
    noise = jax.grad(loss_on(network, loss, own.x[chosen], own.y[chosen]))(d.vector) - d.gradient
    dtype = d.vector.dtype
    vector = d.vector - d.step.astype(dtype) * d.gradient + d.batch_noise.astype(dtype) * noise
    value, gradient = jax.value_and_grad(loss_on(network, loss, own.x, own.y))(vector)
    return d._replace(vector=vector, loss=value, gradient=gradient)


class LangevinWalk:
    """Langevin chains of all replicas.

    Parameters
    ----------
    step, temperature : arrays, shape (R,)
        h and T of each.
    batch_size : int
        Of the minibatches that noise is taken from.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        vectors: jax.Array,
        patterns: Patterns,
        method: Langevin,
        step: np.ndarray,
        temperature: np.ndarray,
        batch_size: int,
        seed: int,
    ) -> None:
        self._network, self._loss, self._method, self._size = network, loss, method, batch_size
        self._vectors, self._patterns, self._keys = vectors, patterns, replica_keys(seed, len(vectors))
        self._step, self._temperature = jnp.asarray(step), jnp.asarray(temperature)

    def start(self) -> Drift:
        """The chains at rest."""
        loss, gradient = _gradients(self._network, self._loss)(self._vectors, self._patterns)
        none = jnp.zeros(len(self._vectors))
        scale = none
        if self._method.noise is Noise.MINIBATCH:
            trace = gradient_variance(self._network, self._loss)(self._vectors, self._patterns) / self._size
            parameters = self._vectors.shape[1]
            scale = jnp.sqrt(2 * self._step * self._temperature * parameters / trace)
        rest = jnp.zeros_like(self._vectors)
        return Drift(self._vectors, rest, gradient, loss, self._step, self._temperature, scale, none.astype(int))

    def advance(self, state: Drift, begin: int, end: int) -> Drift:
        """The chains after the steps `begin` … `end` − 1."""
        advance = _compiled(self._network, self._loss, self._method, self._size)
        moved: Drift = advance(state, self._keys, self._patterns, begin, end)
        return moved

    def vectors(self, state: Drift) -> np.ndarray:
        """Where the chains are."""
        return np.asarray(state.vector)

    def cost(self, steps: int) -> float:
        """A gradient of all patterns a step, and with minibatch noise one of a minibatch."""
        share = self._size / self._patterns.x.shape[1] if self._method.noise is Noise.MINIBATCH else 0.0
        return GRADIENT * (1 + share) * steps

    def counts(self, state: Drift) -> dict[str, np.ndarray]:
        """Step and temperature, and of a corrected chain its acceptances."""
        found = {"step": np.asarray(state.step), "temperature": np.asarray(state.temperature)}
        return found | ({"moved": np.asarray(state.moved)} if self._method.corrected else {})


@lru_cache(maxsize=16)
def _gradients(network: Network, loss: Loss) -> Callable[..., tuple[jax.Array, jax.Array]]:
    def one(vector: jax.Array, own: Patterns) -> tuple[jax.Array, jax.Array]:
        found: tuple[jax.Array, jax.Array] = jax.value_and_grad(loss_on(network, loss, own.x, own.y))(vector)
        return found

    return jax.jit(jax.vmap(one))


@lru_cache(maxsize=16)
def _compiled(network: Network, loss: Loss, method: Langevin, size: int) -> Callable[..., Drift]:
    def step(d: Drift, key: jax.Array, number: jax.Array, own: Patterns) -> Drift:
        at = loss_on(network, loss, own.x, own.y)
        if method.friction is not None:
            return underdamped(d, key, at, method.friction)
        if method.noise is Noise.MINIBATCH:
            return by_minibatches(d, key, network, loss, own, size)
        return overdamped(d, key, at, method.corrected)

    return compiled(step)
