"""Natural gradient on minibatches: a second-order optimiser that is as stochastic as descent."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jax.flatten_util import ravel_pytree

import deepnets
from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.recordings.run import SCORES
from deepnets.training.losses import trained_on
from deepnets.training.machine import Machine
from deepnets.training.orders import batches, splits
from deepnets.training.presets import WIDTHS
from dualib.core.progress import counted

STEP = 0.3
DAMPING = 0.1  # of the mean diagonal of the Fisher matrix
TRUST = 1e-4
"""Nats: a step's gᵀ(F + λ)^{-1}g η², twice the divergence by which it moves the outputs, is cut down to this."""


def natural_gradient(training: deepnets.Training, widths: tuple[int, ...] = WIDTHS) -> deepnets.Run:
    r"""Replicas trained by θ ← θ - η u, u = (F + λ)^{-1} g, g the gradient of a minibatch and F the Fisher matrix of all training patterns.

    .. math:: F = \frac1n \sum_x p(1|x)\, p(0|x)\, J(x) J(x)^T, \qquad J = \nabla_\theta (f_1 - f_0)

    the Gauss-Newton matrix of the cross-entropy of two classes ([amari1998]_), computed once an epoch. η is 0.3, less where η² g·u would exceed
    a ten-thousandth of a nat; λ is 10 % of F's mean diagonal. Starts, splits and batches are those of :func:`deepnets.train`.
    """
    task, network = deepnets.icosahedral_task(), Network(widths)
    patterns = splits(training, task.n)
    machine = Machine(network, task, training, patterns)
    state, epochs, kept = machine.start(), training.snapshot_epochs, []
    invert, step = _functions(network)
    x, y = jnp.asarray(task.x, network.dtype), jnp.asarray(trained_on(task, training.loss, network.dtype))
    vectors = jnp.asarray(machine.joined(state).vectors)
    for epoch in counted(range(training.epochs + 1), "natural gradient"):
        if epoch in epochs:
            kept.append(machine.snapshot(machine.placed(state, np.asarray(vectors))))
        if epoch == training.epochs:
            break
        order, weights = batches(training, patterns, epoch, network.dtype)
        inverse = invert(vectors, x[patterns])
        for chosen, weight in zip(order, weights, strict=True):
            vectors = step(vectors, inverse, x[chosen], y[chosen], weight)
    stacked = {name: np.stack([one[name] for one in kept]) for name in kept[0]}
    params = [{kind: stacked[f"{kind}{i}"] for kind in ("w", "b")} for i in range(len(widths) - 1)]
    scores = {name: stacked[name] for name in SCORES}
    failed = np.where(np.isfinite(scores["train_loss"][-1]), -1, training.epochs)
    return deepnets.Run(network, task, training, np.array(epochs), params, scores, patterns, failed)


@lru_cache(maxsize=2)
def _functions(network: Network):  # type: ignore[no-untyped-def]
    """Of all replicas, compiled: inverse of the damped Fisher matrix, and the step of a minibatch."""
    unravel = ravel_pytree(network.init(jax.random.key(0)))[1]

    def margin(vector: jax.Array, x: jax.Array) -> jax.Array:
        outputs = network.columns(unravel(vector), x.T)[-1]
        found: jax.Array = outputs[1] - outputs[0]
        return found

    def inverse(vector: jax.Array, x: jax.Array) -> jax.Array:
        jacobian = jax.vmap(lambda one: jax.grad(lambda v: margin(v, one[None])[0])(vector))(x)
        p = jax.nn.sigmoid(margin(vector, x))
        fisher = (jacobian * (p * (1 - p))[:, None]).T @ jacobian / len(x)
        damping = DAMPING * jnp.trace(fisher) / len(fisher)
        found: jax.Array = jnp.linalg.inv(fisher + damping * jnp.eye(len(fisher), dtype=fisher.dtype))
        return found

    def step(vector: jax.Array, inverse: jax.Array, x: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
        def loss(at: jax.Array) -> jax.Array:
            losses: jax.Array = jax.nn.softplus(-jnp.where(y > 0, 1.0, -1.0) * margin(at, x))
            return (losses * weight).sum()

        gradient = jax.grad(loss)(vector)
        moved = inverse @ gradient
        size = jnp.minimum(STEP, jnp.sqrt(TRUST / jnp.maximum(gradient @ moved, 1e-12)))
        after: jax.Array = (vector - size * moved).astype(vector.dtype)
        return after

    return jax.jit(jax.vmap(inverse)), jax.jit(jax.vmap(step, (0, 0, 0, 0, None)))
