r"""Nodes and weights of Gaussian expectations.

The trapezoid rule in independent normal coordinates: for integrands that are analytic and fall like a Gaussian its error falls
like e^{-cN} in the number N of nodes a dimension ([trefethen2014]_), faster than that of Gauss and Hermite's nodes. In more than
three dimensions, scrambled Sobol points ([owen1998]_), whose error is told by independent scrambles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray

REACH = 12.0
"""Where grids end at most: the normal density is there 2e-31 of its maximum."""


class Nodes(NamedTuple):
    """Points of independent standard normals, and weights that sum to 1."""

    points: Float[np.ndarray, "s r"]
    weights: Float[np.ndarray, " s"]


def grid(dimensions: int, count: int) -> Nodes:
    """The trapezoid rule with `count` nodes a dimension.

    Step and reach of the grid are chosen together: the step's error e^{-π²/(3h²)} of integrands like e^{-3z²}, and what is
    left out beyond the reach, e^{-R²/2}, are then equal.
    """
    line = np.linspace(-1.0, 1.0, count) * min(REACH, (np.pi**2 * count**2 / 6) ** 0.25)
    weight = np.exp(-0.5 * line**2)
    weight /= weight.sum()
    points = np.stack(np.meshgrid(*[line] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    weights = np.ones(1)
    for _ in range(dimensions):
        weights = np.multiply.outer(weights, weight).ravel()
    kept = weights > EPS**2 * weights.max()
    return Nodes(points[kept], weights[kept] / weights[kept].sum())


def draws(dimensions: int, power: int, seed: Sequence[int]) -> Nodes:
    """2^power scrambled Sobol points and their mirror images."""
    from scipy.stats import qmc

    uniform = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random_base2(power)
    z = ndtri(np.clip(uniform, EPS / 2, 1 - EPS / 2))
    return Nodes(np.concatenate([z, -z]), np.full(2 * len(z), 0.5 / len(z)))


def root(covariance: Float[np.ndarray, "*batch p p"]) -> Float[np.ndarray, "*batch p r"]:
    """A with AAᵀ = covariance, the largest direction first; directions without variance are left out where there is no batch."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    kept = values.shape[-1]
    if covariance.ndim == 2:
        kept = max(1, int((values > 16 * len(values) * EPS * values[0]).sum()))
    scaled: FloatArray = vectors[..., :kept] * np.sqrt(np.maximum(values[..., None, :kept], 0.0))
    return scaled
