"""Weights that are computed: the least-squares solution of the network linearised about its start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.linalg import cho_factor, cho_solve

import deepnets
from deepnets.backend import jax
from deepnets.networks import Network
from dualib.core.typing import Float, FloatArray

RIDGES = (1e-6, 1e-4, 1e-2, 1.0)  # of the mean diagonal of the kernel
HELD_OUT = 0.1  # share of the training patterns that chooses the ridge


def kernel_weights(run: deepnets.Run, replica: int) -> dict[str, float]:
    r"""Test accuracies of a replica's start with weights added that no descent has found.

    With the margin f(x, θ) = output 1 - output 0 and its gradients J at the start θ₀, on the training patterns with z = ±1,

    .. math:: \delta = J^T (J J^T + \lambda)^{-1} (z - f(\theta_0)), \qquad \hat f(x) = f(x, \theta_0) + J(x) \delta

    is kernel regression with the network's own tangent kernel ([jacot2018]_). λ is the one of a few with which the network of
    weights θ₀ + δ is most accurate on a tenth of the training patterns, which the fit that chooses leaves out.

    Returns
    -------
    dict
        "network": of the network with weights θ₀ + δ; "predictor": of f̂; "start": of the start.
    """
    start = run.parameters(0, replica)
    vector, _ = ravel_pytree(start)
    margin, gradients = _functions(run.network)
    x, z = run.task.x, np.where(run.task.y > 0, 1.0, -1.0)
    at_start = np.asarray(margin(vector, x), np.float64)
    jacobian = np.asarray(gradients(vector, x), np.float64)
    trained = run.train_patterns[replica]
    test = np.setdiff1d(np.arange(len(x)), trained)

    def shifted(patterns: np.ndarray, *ridges: float) -> list[FloatArray]:
        moved = solutions(jacobian[patterns], (z - at_start)[patterns], ridges)
        return [np.asarray(vector, np.float64) + one for one in moved]

    def accuracy(values: FloatArray, where: np.ndarray) -> float:
        return float(((np.asarray(values) > 0) == (z > 0))[where].mean())

    count = round(HELD_OUT * len(trained))
    fitted, held = trained[count:], trained[:count]
    found = [accuracy(margin(one, x), held) for one in shifted(fitted, *RIDGES)]
    (best,) = shifted(trained, RIDGES[int(np.argmax(found))])
    linear = at_start + jacobian @ (best - np.asarray(vector, np.float64))
    return {
        "network": accuracy(margin(best, x), test),
        "predictor": accuracy(linear, test),
        "start": accuracy(at_start, test),
    }


def solutions(
    jacobian: Float[np.ndarray, "n p"], target: Float[np.ndarray, " n"], ridges: Sequence[float]
) -> list[Float[np.ndarray, " p"]]:
    """For each ridge the least δ of ‖Jδ - target‖² + λ‖δ‖², λ = ridge times the mean of the diagonal of JJᵀ; by the smaller of two systems."""
    n, p = jacobian.shape
    mean = float((jacobian**2).sum()) / n
    wide = p >= n
    gram, right = (jacobian @ jacobian.T, target) if wide else (jacobian.T @ jacobian, jacobian.T @ target)
    found = [cho_solve(cho_factor(gram + ridge * mean * np.eye(len(gram))), right) for ridge in ridges]
    return [np.asarray(jacobian.T @ one if wide else one) for one in found]


@lru_cache(maxsize=4)
def _functions(network: Network):  # type: ignore[no-untyped-def]
    """The margins of patterns, and their gradients in the packed parameters, compiled."""
    unravel = ravel_pytree(network.init(jax.random.key(0)))[1]

    def margin(vector: jax.Array, x: jax.Array) -> jax.Array:
        outputs = network.apply(unravel(vector.astype(network.dtype)), x)
        return outputs[:, 1] - outputs[:, 0]

    def one(vector: jax.Array, pattern: jax.Array) -> jax.Array:
        return margin(vector, pattern[None])[0]

    return jax.jit(margin), jax.jit(jax.vmap(jax.grad(one), (None, 0)))
