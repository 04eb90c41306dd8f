"""Minibatch gradients of the replicas of a run at one snapshot, compiled once a network and loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from deepnets.backend import jax, jnp
from deepnets.networks import Network, Params
from deepnets.training.losses import LOSSES


@lru_cache(maxsize=8)
def batch_gradients(network: Network, loss_name: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """‖ḡ‖² of all patterns, and tr Cov of the minibatch gradients, of each layer's weights: shape (R, L) each."""
    losses = LOSSES[loss_name]

    def loss(params: Params, x: jax.Array, y: jax.Array, key: jax.Array | None) -> jax.Array:
        return losses(network.columns(params, x.T, key)[-1], y).mean()

    def of_replica(
        params: Params, x: jax.Array, y: jax.Array, patterns: jax.Array, batches: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def one(chosen: jax.Array, noise: jax.Array) -> list[jax.Array]:
            found = jax.grad(loss)(params, x[chosen], y[chosen], noise if network.noise_std else None)
            return [layer["w"] for layer in found]

        full_key, key = jax.random.split(key)
        squares = jnp.stack([(g**2).sum() for g in one(patterns, full_key)])
        each = jax.vmap(one)(batches, jax.random.split(key, len(batches)))
        traces = jnp.stack([((g - g.mean(axis=0)) ** 2).sum() / (len(batches) - 1) for g in each])
        return squares, traces

    def run(
        params: Params, x: jax.Array, y: jax.Array, patterns: jax.Array, batches: jax.Array, seed: int
    ) -> tuple[jax.Array, jax.Array]:
        keys = jax.random.split(jax.random.key(seed), len(batches))
        x = jnp.asarray(x, network.dtype)
        return jax.vmap(of_replica, (0, None, None, 0, 0, 0))(params, x, y, patterns, batches, keys)

    compiled: Callable[..., tuple[jax.Array, jax.Array]] = jax.jit(run)
    return compiled
