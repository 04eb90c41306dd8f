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
from itertools import chain, combinations, pairwise, product
from math import comb
from typing import TypeAlias

import numpy as np

from dualib.core.result import Brief
from dualib.core.typing import Float, FloatArray
from ntkinfo.activations.closed_forms import Function
from ntkinfo.finite_width.nodes import Nodes
from ntkinfo.finite_width.pairs import PairMoments, price
from ntkinfo.finite_width.ring import Ring, add, multiply, scaled

Epsilons: TypeAlias = tuple[frozenset[tuple[int, int]], ...]
"""For each ε the pairs i < j of the points 0..3 whose correlation has it; no pair stands in two."""

Orders: TypeAlias = tuple[int, int, int, int]
"""A number for each of the four points: powers of φ, or how often it is differentiated."""

Entry: TypeAlias = tuple[int, int]
Key: TypeAlias = tuple[Entry, Entry, Entry, Entry]
"""(power, derivatives) of φ at each of the four points: E Π_i ∂^k_i φ(u_i)^{power_i}."""

LEFT: tuple[Orders, ...] = ((1, 1, 0, 0), (2, 0, 0, 0), (0, 2, 0, 0))
RIGHT: tuple[Orders, ...] = ((0, 0, 1, 1), (0, 0, 2, 0), (0, 0, 0, 2))
TILE = 2**16
"""Numbers in an array of products at some of the nodes."""

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
                    a, b, c, d = zip(powers, orders, strict=True)
                    found.append((sum(1 << k for k in chosen), pairs, (a, b, c, d)))
    return tuple(found)


def needed(all_epsilons: Iterable[Epsilons]) -> frozenset[Key]:
    """The moments, each as :func:`arranged`, that four-point functions of these ε's take."""
    return frozenset(
        arranged(key)
        for epsilons in all_epsilons
        for f, g in product(LEFT, RIGHT)
        for _, _, key in expansion(_sum(f, g), epsilons)
    )


def moments(
    keys: Iterable[Key], root: Float[np.ndarray, "*batch p r"], derivatives: Sequence[Function], nodes: Nodes
) -> dict[Key, FloatArray]:
    """The expectations of `keys`, an axis a point (of size 1 where φ does not occur), for u = root·z on p points.

    Each is a product of two matrices (pairs of points, nodes)(nodes, pairs of points).
    """
    chosen, p, batch = sorted(keys), root.shape[-2], root.shape[:-2]
    sums: dict[Key, FloatArray] = {}
    step = max(1, TILE // (p * p * int(np.prod(batch))))
    for start in range(0, len(nodes.weights), step):
        piece = slice(start, start + step)
        phi = [np.asarray(f(root @ nodes.points[piece].T)) for f in derivatives[:4]]
        values = {entry: _power(phi, *entry) for entry in {entry for key in chosen for entry in key}}
        halves = {half for key in chosen for half in (key[:2], key[2:])}
        products = {(a, b): _products(values[a], values[b], a == b) for a, b in halves}
        weighted = {
            half: np.swapaxes(nodes.weights[piece] * products[half], -1, -2) for half in {key[2:] for key in chosen}
        }
        for key in chosen:
            part = products[key[:2]] @ weighted[key[2:]]
            sums[key] = sums[key] + part if key in sums else part
    return {key: _unfolded(value, key, p) for key, value in sums.items()}


def arranged(key: Key) -> Key:
    """The key in the order in which its moment is kept: equal entries first, so that the pairs of their points are half as many."""
    ordered = sorted(key)
    twice = next((a for a, b in pairwise(ordered) if a == b), ordered[0])
    if ordered.count(twice) > 1:
        ordered.remove(twice)
        ordered.remove(twice)
        ordered = [twice, twice, *ordered]
    a, b, c, d = ordered
    return a, b, c, d


def _power(phi: Sequence[FloatArray], power: int, order: int) -> FloatArray:
    """The derivative of φ^power, power 0, 1 or 2."""
    if power == 0:
        return np.ones((*phi[0].shape[:-2], 1, phi[0].shape[-1]))
    if power == 1:
        return phi[order]
    return reduce(np.add, (comb(order, i) * phi[i] * phi[order - i] for i in range(order + 1)))


def _products(a: FloatArray, b: FloatArray, same: bool) -> FloatArray:
    """Products of the values at all pairs of points, or at the pairs i ≤ j where both factors are the same."""
    if same:
        i, j = np.triu_indices(a.shape[-2])
        return a[..., i, :] * a[..., j, :]
    return (a[..., :, None, :] * b[..., None, :, :]).reshape(*a.shape[:-2], -1, a.shape[-1])


def _unfolded(value: FloatArray, key: Key, p: int) -> FloatArray:
    """A matrix over pairs of points as an array with an axis for each point."""
    for axis, (a, b) in ((-2, key[:2]), (-1, key[2:])):
        if a == b:
            size = p if a[0] else 1
            i, j = np.triu_indices(size)
            place = np.empty((size, size), dtype=np.intp)
            place[i, j] = place[j, i] = np.arange(len(i))
            value = np.take(value, place.ravel(), axis=axis)
    return value.reshape(*value.shape[:-2], *(p if power else 1 for power, _ in key))


@dataclass(frozen=True, eq=False)
class LayerMoments(Brief):
    """What a layer adds to the four-point function: its kernel Θ and expectations over two and over four points."""

    theta: Float[np.ndarray, "*batch p p"]
    pairs: PairMoments
    fours: dict[Key, FloatArray]
    ratio: float
    """The layer's width over n."""

    def expected(self, powers: Orders, epsilons: Epsilons) -> Ring:
        """E φ_1^{power_1} ... φ_4^{power_4} in the ring."""

        def terms() -> Iterator[Ring]:
            for mask, pairs, key in expansion(powers, epsilons):
                kept = arranged(key)
                value, left = self.fours[kept], list(range(4))
                axes = [left.pop(next(n for n, i in enumerate(left) if kept[i] == entry)) for entry in key]
                value = value.transpose(*range(value.ndim - 4), *(value.ndim - 4 + i for i in axes))
                yield {mask: reduce(np.multiply, (_on_axes(self.theta, *pair) for pair in pairs), value)}

        return add(terms())

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
            (f, p): scaled(w2 * price(p), layer.of_pair(f, p, epsilons))
            for side in (LEFT, RIGHT)
            for f, p in product(side, side)
        }
        means = {f: layer.of_pair(f, NONE, epsilons) for f in (*LEFT, *RIGHT)}
        moved = {(p, q): multiply(_correlation(p, epsilons), _correlation(q, epsilons), v[p, q]) for p, q in v}
        v = {
            (f, g): add(
                chain(
                    [scaled(w2**2 / layer.ratio, layer.expected(_sum(f, g), epsilons))],
                    [scaled(-(w2**2) / layer.ratio, multiply(means[f], means[g]))],
                    _carried(f, g, jacobian, moved),
                )
            )
            for f, g in v
        }
    return v[LEFT[0], RIGHT[0]]


def _carried(
    f: Orders, g: Orders, jacobian: dict[tuple[Orders, Orders], Ring], moved: dict[tuple[Orders, Orders], Ring]
) -> Iterator[Ring]:
    """The terms one by one, as each may take eight arrays of p⁴ entries."""
    for (p, q), below in moved.items():
        if below and jacobian[f, p] and jacobian[g, q]:
            yield multiply(jacobian[f, p], jacobian[g, q], below)


def _correlation(orders: Orders, epsilons: Epsilons) -> Ring:
    """C of a pair: 1 plus its ε."""
    pair = tuple(i for i, order in enumerate(orders) if order)
    found: Ring = {0: 1.0}
    return found | {1 << k: 1.0 for k, pairs in enumerate(epsilons) if pair in pairs}


def _sum(f: Orders, g: Orders) -> Orders:
    a, b, c, d = (x + y for x, y in zip(f, g, strict=True))
    return a, b, c, d


# --- products of kernels, as coefficients of four-point functions ---

COVARIANCES: Epsilons = (frozenset({(0, 1)}), frozenset({(2, 3)}))
"""∇z_1·∇z_2 and ∇z_3·∇z_4."""

HIERARCHY: Epsilons = (frozenset({(0, 1)}), frozenset({(0, 2), (1, 2)}), frozenset({(0, 3), (1, 3), (2, 3)}))
"""∇z_1·∇z_2, the gradient of that along ∇z_3, and the gradient of this along ∇z_4."""


def exchanged(epsilons: Epsilons) -> Epsilons:
    """The same with points 1 and 2 (of 0..3) exchanged: V_{12,34} is then V_{13,24}, with the axes exchanged."""
    other = (0, 2, 1, 3)
    return tuple(frozenset((min(other[i], other[j]), max(other[i], other[j])) for i, j in pairs) for pairs in epsilons)


OF_COVARIANCES = (COVARIANCES, exchanged(COVARIANCES))
OF_HIERARCHY = (HIERARCHY, exchanged(HIERARCHY))
ONE, TWO, THREE = 1, 2, 4
"""The bits of ε_1, ε_2 and ε_3."""


def covariances(layers: Sequence[LayerMoments], w_std: float) -> dict[str, FloatArray]:
    r"""Covariances of both kernels, shapes (..., p, p, p, p), by the names of :class:`~ntkinfo.finite_width.Corrections`.

    With [·]_m the coefficient of the ε's in m, which stand in C_12 and C_34,

    .. math:: n\,\mathrm{Cov}(\hat K_{ab}, \hat K_{cd}) &= [V_{12,34}]_0, \qquad
              n\,\mathrm{Cov}(\hat\Theta_{ab}, \hat K_{cd}) = [C_{12}V_{12,34}]_{\epsilon_1}, \\
              n\,\mathrm{Cov}(\hat\Theta_{ab}, \hat\Theta_{cd})
                &= [C_{12}C_{34}V_{12,34} + V_{13,24} + V_{14,23}]_{\epsilon_1\epsilon_2}, \\
              n\,\mathrm{Cov}(\hat\Theta_{ab}, z_c z_d) &= [C_{12}V_{12,34} + V_{13,24} + V_{14,23}]_{\epsilon_1}
    """
    v12, v13 = (_full(layers, epsilons, w_std) for epsilons in OF_COVARIANCES)
    v13 = {mask: value.swapaxes(-3, -2) for mask, value in v13.items()}
    v14 = {mask: value.swapaxes(-2, -1) for mask, value in v13.items()}  # points 3 and 4 are alike
    both = v12[0] + v12[ONE]
    return {
        "nngp_covariance": v12[0] + 0.0,
        "ntk_nngp_covariance": both,
        "ntk_output": both + v13[ONE] + v14[ONE],
        "ntk_covariance": both + v12[TWO] + v12[ONE | TWO] + v13[ONE | TWO] + v14[ONE | TWO],
    }


def hierarchy(layers: Sequence[LayerMoments], w_std: float) -> dict[str, FloatArray]:
    r"""The next two kernels of the hierarchy ([huang2020]_), O_3 = ∇Θ·∇z and O_4 = ∇O_3·∇z, shapes (..., p, p, p, p).

    With ε_1 in C_12, ε_2 in C_13 and C_23, ε_3 in C_14, C_24 and C_34,

    .. math:: n\,E\,O_{3,abc}\,z_d &= [C_{12}V_{12,34} + C_{13}V_{13,24} + C_{23}V_{14,23}]_{\epsilon_1\epsilon_2}, \\
              n\,E\,O_{4,abcd} &= [C_{12}C_{34}V_{12,34} + C_{13}C_{24}V_{13,24} + C_{14}C_{23}V_{14,23}]_{\epsilon_1\epsilon_2\epsilon_3} .
    """
    v12, v13 = (_full(layers, epsilons, w_std) for epsilons in OF_HIERARCHY)
    v13 = {mask: value.swapaxes(-3, -2) for mask, value in v13.items()}
    v14 = {mask: value.swapaxes(-4, -3) for mask, value in v13.items()}  # points 1 and 2 are alike
    third = v12[ONE | TWO] + v12[TWO]
    fourth = v12[ONE | TWO | THREE] + v12[TWO | THREE] + v12[ONE | TWO] + v12[TWO]
    for v in (v13, v14):
        third = third + v[ONE | TWO] + v[ONE]
        fourth = fourth + v[ONE | TWO | THREE] + v[ONE | THREE] + v[ONE | TWO] + v[ONE]
    return {"third": third, "fourth": fourth}


def _full(layers: Sequence[LayerMoments], epsilons: Epsilons, w_std: float) -> dict[int, FloatArray]:
    shape = (*layers[0].theta.shape, *layers[0].theta.shape[-2:])
    return {mask: np.broadcast_to(value, shape) for mask, value in four_point(layers, epsilons, w_std).items()}
