r"""One four-point function, from which all leading corrections of networks of finite width follow. Derived here.

Take outputs at four virtual points 1..4, whose networks have parameters of correlations C_ij = 1 + (sums of ε_k), ε_k² = 0.
Derivatives of the outputs in their parameters are then coefficients of the ε's, as ∇f·∇g is what a correlation between the
parameters of f and of g does. With V_{12,34} = lim n Cov(K̂_12, K̂_34) in this ring,

.. math:: V^{l+1}_{p,q} = \sigma_w^4 \mathrm{Cov}_l(\phi_i\phi_j, \phi_k\phi_m)
              + \sum_{p',q'} J_{p,p'} C_{p'} C_{q'} V^l_{p',q'} J_{q,q'}, \qquad V^0 = 0,

with J the derivatives of the layer's map by Price's theorem, and an expectation in the ring is that of
Π_k (1 + ε_k Σ_{ij} Θ_ij ∂_i ∂_j) acting on the product. Given the layer below, units are independent, which is where the
recursion of V comes from ([yaida2020]_, [roberts2022]_); the ring gives the tangent kernel's part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import combinations, product
from math import comb
from typing import TypeAlias

import numpy as np

from dualib.core.typing import Float, FloatArray
from ntkinfo.activations.closed_forms import Function
from ntkinfo.finite_width.nodes import Nodes
from ntkinfo.finite_width.pairs import TILE, PairMoments, price
from ntkinfo.finite_width.ring import Ring, add, multiply, scaled

Epsilons: TypeAlias = tuple[frozenset[tuple[int, int]], ...]
"""For each ε the pairs i < j of the points 0..3 whose correlation has it; no pair stands in two."""

Orders: TypeAlias = tuple[int, int, int, int]
"""A number for each of the four points: powers of φ, or how often it is differentiated."""

Key: TypeAlias = tuple[tuple[int, int], ...]
"""(power, derivatives) of φ at each of the four points: E Π_i ∂^k_i φ(u_i)^{power_i}."""

LEFT: tuple[Orders, ...] = ((1, 1, 0, 0), (2, 0, 0, 0), (0, 2, 0, 0))
RIGHT: tuple[Orders, ...] = ((0, 0, 1, 1), (0, 0, 2, 0), (0, 0, 0, 2))
NONE: Orders = (0, 0, 0, 0)


@lru_cache(maxsize=256)
def expansion(powers: Orders, epsilons: Epsilons) -> tuple[tuple[int, tuple[tuple[int, int], ...], Key], ...]:
    """Terms (set of ε's, pairs of the Θ's, moment) of the ring-valued expectation of Π_i φ(u_i)^{power_i}."""
    found = []
    for size in range(len(epsilons) + 1):
        for chosen in combinations(range(len(epsilons)), size):
            for pairs in product(*(sorted(epsilons[k]) for k in chosen)):
                orders = [sum(i in pair for pair in pairs) for i in range(4)]
                if all(power or not order for power, order in zip(powers, orders, strict=True)):
                    found.append((sum(1 << k for k in chosen), pairs, tuple(zip(powers, orders, strict=True))))
    return tuple(found)


def needed(all_epsilons: Iterable[Epsilons]) -> frozenset[Key]:
    """The moments, each in sorted order, that four-point functions of these ε's take."""
    return frozenset(
        tuple(sorted(key))
        for epsilons in all_epsilons
        for f, g in product(LEFT, RIGHT)
        for _, _, key in expansion(_sum(f, g), epsilons)
    )


def moments(
    keys: Iterable[Key], root: Float[np.ndarray, "*batch p r"], derivatives: Sequence[Function], nodes: Nodes
) -> dict[Key, FloatArray]:
    """The expectations of `keys`, an axis a point (of size 1 where φ does not occur), for u = root·z on p points.

    Each is a product of two matrices (p², nodes)(nodes, p²).
    """
    chosen, p = sorted(keys), root.shape[-2]
    functions = sorted({entry for key in chosen for entry in key})
    found: dict[Key, FloatArray] = {}
    step = max(1, TILE // (p * p * int(np.prod(root.shape[:-2]))))
    for start in range(0, len(nodes.weights), step):
        piece = slice(start, start + step)
        u = nodes.points[piece] @ np.swapaxes(root, -1, -2)
        phi = [np.asarray(f(u)) for f in derivatives[:4]]
        values = {entry: _power(phi, *entry) for entry in functions}
        for key in chosen:
            a, b, c, d = (values[entry] for entry in key)
            left, right = _outer(a, b), _outer(c, d) * nodes.weights[piece, None]
            part = (np.swapaxes(left, -1, -2) @ right).reshape(*root.shape[:-2], *(p if power else 1 for power, _ in key))
            found[key] = found[key] + part if key in found else part
    return found


def _power(phi: Sequence[FloatArray], power: int, order: int) -> FloatArray:
    """The derivative of φ^power, power 0, 1 or 2."""
    if power == 0:
        return np.ones((*phi[0].shape[:-1], 1))
    if power == 1:
        return phi[order]
    return reduce(np.add, (comb(order, i) * phi[i] * phi[order - i] for i in range(order + 1)))


def _outer(a: FloatArray, b: FloatArray) -> FloatArray:
    return (a[..., :, None] * b[..., None, :]).reshape(*a.shape[:-1], -1)


@dataclass(frozen=True, eq=False)
class LayerMoments:
    """What a layer adds to the four-point function: its kernel Θ and expectations over two and over four points."""

    theta: Float[np.ndarray, "*batch p p"]
    pairs: PairMoments
    fours: dict[Key, FloatArray]
    ratio: float
    """The layer's width over n."""

    def expected(self, powers: Orders, epsilons: Epsilons) -> Ring:
        """E φ_1^{power_1} ... φ_4^{power_4} in the ring."""
        terms: list[Ring] = []
        for mask, pairs, key in expansion(powers, epsilons):
            order = np.argsort([power * 8 + k for power, k in key], kind="stable")
            value = self.fours[tuple(sorted(key))]
            lead = value.ndim - 4
            value = value.transpose(*range(lead), *(lead + int(i) for i in np.argsort(order)))
            terms.append({mask: reduce(np.multiply, (_on_axes(self.theta, *pair) for pair in pairs), value)})
        return add(terms)

    def of_pair(self, powers: Orders, orders: Orders, epsilons: Epsilons) -> Ring:
        """E of the derivative of φ_iφ_j, by the expectations over two points."""
        points = [i for i, power in enumerate(powers) if power]
        if len(points) == 1:
            (i,) = points
            if any(order for j, order in enumerate(orders) if j != i):
                return {}
            square = self.pairs.square(orders[i])
            return {0: square.reshape(*square.shape[:-1], *(square.shape[-1] if j == i else 1 for j in range(4)))}
        i, j = points
        slopes, a, b = self.pairs.slopes, orders[i], orders[j]
        found: Ring = {0: _on_axes(slopes[a, b], i, j)}
        for k, pairs in enumerate(epsilons):
            if (i, j) in pairs:
                found[1 << k] = _on_axes(self.theta * slopes[a + 1, b + 1], i, j)
        return found


def _on_axes(matrix: FloatArray, i: int, j: int) -> FloatArray:
    """A matrix over the points i < j as an array with an axis for each of four."""
    p = matrix.shape[-1]
    return matrix.reshape(*matrix.shape[:-2], *(p if axis in (i, j) else 1 for axis in range(4)))


def four_point(layers: Iterable[LayerMoments], epsilons: Epsilons, w_std: float) -> Ring:
    """V_{12,34} of the output kernel: the coefficients have shape (..., p, p, p, p), those that vanish may have axes of size 1."""
    w2 = w_std**2
    v: dict[tuple[Orders, Orders], Ring] = {pair: {} for pair in product(LEFT, RIGHT)}
    for layer in layers:
        jacobian = {
            (f, p): scaled(w2 * price(p), layer.of_pair(f, p, epsilons)) for side in (LEFT, RIGHT) for f, p in product(side, side)
        }
        means = {f: layer.of_pair(f, NONE, epsilons) for f in (*LEFT, *RIGHT)}
        moved = {(p, q): multiply(_correlation(p, epsilons), _correlation(q, epsilons), v[p, q]) for p, q in v}
        v = {
            (f, g): add(
                [
                    scaled(w2**2 / layer.ratio, layer.expected(_sum(f, g), epsilons)),
                    scaled(-(w2**2) / layer.ratio, multiply(means[f], means[g])),
                    *_carried(f, g, jacobian, moved),
                ]
            )
            for f, g in v
        }
    return v[LEFT[0], RIGHT[0]]


def _carried(
    f: Orders, g: Orders, jacobian: dict[tuple[Orders, Orders], Ring], moved: dict[tuple[Orders, Orders], Ring]
) -> Iterator[Ring]:
    for (p, q), below in moved.items():
        if below and jacobian[f, p] and jacobian[g, q]:
            yield multiply(jacobian[f, p], below, jacobian[g, q])


def _correlation(orders: Orders, epsilons: Epsilons) -> Ring:
    """C of a pair: 1 plus its ε."""
    pair = tuple(i for i, order in enumerate(orders) if order)
    return {0: 1.0} | {1 << k: 1.0 for k, pairs in enumerate(epsilons) if pair in pairs}


def _sum(f: Orders, g: Orders) -> Orders:
    a, b, c, d = (x + y for x, y in zip(f, g, strict=True))
    return a, b, c, d
