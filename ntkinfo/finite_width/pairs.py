r"""Expectations over pairs of inputs, and the biases of both kernels that follow from them.

With u, v ~ N(0, K^l) on two inputs and Price's theorem ([price1958]_), the mean of a kernel of width n is K + m/n, where

.. math:: m^{l+1}_p = \sum_{p'} J_{p,p'} C_{p'} m^l_{p'} + \tfrac12 \sum_{p',p''} H_{p,p'p''} C_{p'} C_{p''} V^l_{p',p''}

over the pairs p = 11, 12, 22 of two networks whose parameters have correlation 1 + ε: J and H are the first and second derivatives
of σ_w² E φφ in the kernel below, V the kernel's covariance. The coefficient of ε is the bias of the tangent kernel. Derived here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from dualib.core.result import Brief
from dualib.core.typing import Float, FloatArray, Int
from ntkinfo.activations.closed_forms import Function
from ntkinfo.finite_width.nodes import Nodes, root
from ntkinfo.finite_width.ring import Ring, add, multiply, scaled

PAIRS = ((1, 1), (2, 0), (0, 2))
"""Products φ(u)^i φ(v)^j of two virtual points: the kernel's entries 12, 11 and 22; and, by Price's theorem, ∂_u^i ∂_v^j."""

TILE = 2**17
"""Numbers in an array of the quadrature."""


@dataclass(frozen=True, eq=False)
class PairMoments(Brief):
    """Expectations at one layer, all pairs of p points.

    Attributes
    ----------
    slopes : array, shape (6, 6, p, p)
        E φ^(i)(u) φ^(j)(v).
    powers, power_slopes : arrays, shape (5, p, p)
        E φ(u)^i φ(v)^(4-i), and of its derivative ∂_u∂_v.
    """

    slopes: Float[np.ndarray, "6 6 *batch p p"]
    powers: Float[np.ndarray, "5 *batch p p"]
    power_slopes: Float[np.ndarray, "5 *batch p p"]

    def of(self, ends: Int[np.ndarray, "b 2"]) -> PairMoments:
        """The same for pairs of points, each by itself: arrays (..., b, 2, 2)."""
        chosen = (..., ends[:, :, None], ends[:, None, :])
        return PairMoments(self.slopes[chosen], self.powers[chosen], self.power_slopes[chosen])

    def square(self, order: int) -> Float[np.ndarray, "*batch p"]:
        """E of the derivative, `order` times, of φ², at each point."""
        parts = (comb(order, i) * np.diagonal(self.slopes[i, order - i], axis1=-2, axis2=-1) for i in range(order + 1))
        found: FloatArray = np.sum(list(parts), axis=0)
        return found


def pair_moments(covariance: Float[np.ndarray, "p p"], derivatives: Sequence[Function], nodes: Nodes) -> PairMoments:
    """Expectations over all pairs by a rule in two dimensions, φ and its `derivatives` up to the fifth."""
    p, (points, weights) = len(covariance), nodes
    rows, columns = np.triu_indices(p)
    slopes, powers, power_slopes = np.zeros((6, 6, p, p)), np.zeros((5, p, p)), np.zeros((5, p, p))
    pairs_at_once = max(1, TILE // len(weights))
    for start in range(0, len(rows), pairs_at_once):
        i, j = rows[start : start + pairs_at_once], columns[start : start + pairs_at_once]
        ends = np.stack([i, j], axis=1)
        roots = np.swapaxes(root(covariance[ends[:, :, None], ends[:, None, :]]), 1, 2)
        for first in range(0, len(weights), TILE):
            u, weight = points[first : first + TILE] @ roots, weights[first : first + TILE]
            left, right = (np.stack([np.asarray(f(u[..., k])) for f in derivatives], axis=1) for k in (0, 1))
            slopes[:, :, i, j] += np.moveaxis(left @ np.swapaxes(right * weight, 1, 2), 0, 2)
            for k in range(5):
                powers[k, i, j] += (left[:, 0] ** k * right[:, 0] ** (4 - k)) @ weight
                if 0 < k < 4:
                    slope = left[:, 0] ** (k - 1) * left[:, 1] * right[:, 0] ** (3 - k) * right[:, 1]
                    power_slopes[k, i, j] += k * (4 - k) * (slope @ weight)
    slopes[:, :, columns, rows] = np.swapaxes(slopes[:, :, rows, columns], 0, 1)
    powers[:, columns, rows], power_slopes[:, columns, rows] = (a[::-1, rows, columns] for a in (powers, power_slopes))
    return PairMoments(slopes, powers, power_slopes)


def price(orders: Sequence[int]) -> float:
    """The factor of Price's theorem: ∂E f/∂Σ_ij = E ∂_i∂_j f, ∂E f/∂Σ_ii = ½ E ∂_i² f."""
    return 0.5 if 2 in orders else 1.0


@dataclass(frozen=True, eq=False)
class Biases(Brief):
    """Coefficients of 1/width of the means of K and Θ, and of the variance of K's entries, shapes (p, p)."""

    nngp: Float[np.ndarray, "p p"]
    ntk: Float[np.ndarray, "p p"]
    nngp_variance: Float[np.ndarray, "p p"]


def biases(
    moments: Sequence[PairMoments], thetas: Sequence[FloatArray], w_std: float, ratios: Sequence[float]
) -> Biases:
    """Biases after the layers whose expectations are `moments`, each of width n·ratio; `thetas` are the kernels Θ below each."""
    w2 = w_std**2
    mean: dict[tuple[int, int], Ring] = {p: {} for p in PAIRS}
    v: dict[tuple[tuple[int, int], tuple[int, int]], Ring] = {(p, q): {} for p in PAIRS for q in PAIRS}
    one = {p: Ring({0: 1.0, 1: 1.0} if p == (1, 1) else {0: 1.0}) for p in PAIRS}
    for of_layer, theta, ratio in zip(moments, thetas, ratios, strict=True):
        expected = _expectation(of_layer, theta)
        shifts = {f: {p: scaled(w2 * price(p), expected(f, p)) for p in PAIRS} for f in PAIRS}
        moved = {(p, q): multiply(one[p], one[q], v[p, q]) for p, q in v}
        bends = {
            f: [
                multiply(scaled(0.5 * w2 * price(p) * price(q), expected(f, (p[0] + q[0], p[1] + q[1]))), moved[p, q])
                for p, q in v
            ]
            for f in PAIRS
        }
        mean = {f: add([*(multiply(shifts[f][p], one[p], mean[p]) for p in PAIRS), *bends[f]]) for f in PAIRS}
        v = {
            (f, g): add(
                [
                    scaled(w2**2 / ratio, _fresh(of_layer, theta, expected, f, g)),
                    *(multiply(shifts[f][p], shifts[g][q], moved[p, q]) for p, q in v),
                ]
            )
            for f, g in v
        }
    shape, both = thetas[-1].shape, mean[1, 1]
    nngp, slope, variance = (
        np.broadcast_to(x.get(k, 0.0), shape) for x, k in ((both, 0), (both, 1), (v[(1, 1), (1, 1)], 0))
    )
    return Biases(nngp + 0.0, nngp + slope, variance + 0.0)


def _expectation(moments: PairMoments, theta: FloatArray) -> Callable[[tuple[int, int], tuple[int, int]], Ring]:
    """(f, orders) → E ∂_u^i ∂_v^j f in the ring, where the covariance is K + εΘ."""

    def plain(f: tuple[int, int], i: int, j: int) -> FloatArray | float:
        if f == (1, 1):
            slopes: FloatArray = moments.slopes[i, j]
            return slopes
        if f == (2, 0):
            return moments.square(i)[:, None] if j == 0 else 0.0
        return moments.square(j)[None, :] if i == 0 else 0.0

    return lambda f, orders: {0: plain(f, *orders), 1: theta * plain(f, orders[0] + 1, orders[1] + 1)}


def _fresh(
    moments: PairMoments,
    theta: FloatArray,
    expected: Callable[[tuple[int, int], tuple[int, int]], Ring],
    f: tuple[int, int],
    g: tuple[int, int],
) -> Ring:
    """Cov(f, g) of one unit."""
    power = f[0] + g[0]
    product: Ring = {0: moments.powers[power], 1: theta * moments.power_slopes[power]}
    return add([product, scaled(-1.0, multiply(expected(f, (0, 0)), expected(g, (0, 0))))])
