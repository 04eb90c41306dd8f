"""Panels of the line for the quadrature of mixtures: none wider than one of the densities inside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import Bool, BoolArray, Float, FloatArray, IntArray
from ntkinfo.quantities.scalar_mixture import REACH, Mixtures

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_EDGES = np.array([-REACH, -5.0, -3.0, -1.0, 1.0, 3.0, 5.0, REACH])


@dataclass(frozen=True, eq=False)
class Panels:
    """Panels in the order of time: the density and the offset from its mean of the left edge, the width, and the rounding of places there
    in units of the narrowest density of its place.
    """

    base: IntArray
    left: FloatArray
    width: FloatArray
    noise: FloatArray

    def __getitem__(self, some: BoolArray) -> Panels:
        return Panels(self.base[some], self.left[some], self.width[some], self.noise[some])

    def cut(self, parts: int) -> Panels:
        """Each in some parts, side by side, so that few densities count at the points that are looked at together."""
        left = self.left[:, None] + np.outer(self.width, np.arange(parts) / parts)
        width, noise = (self.width / parts).repeat(parts), self.noise.repeat(parts)
        return Panels(self.base.repeat(parts), left.ravel(), width, noise)

    def nodes(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Densities, offsets and weights of the Gauss-Legendre nodes of all panels."""
        offset = self.left[:, None] + np.outer(self.width, (_NODES + 1) / 2)
        return self.base.repeat(_NODES.size), offset.ravel(), np.outer(self.width, _WEIGHTS / 2).ravel()

    def sums(self, mixtures: Mixtures) -> Float[np.ndarray, "panels 2"]:
        """The integrals over each panel."""
        base, offset, weight = self.nodes()
        found = mixtures.integrands(base, offset) * weight[:, None]
        return np.asarray(found.reshape(-1, _NODES.size, 2).sum(axis=1))


def panels_of(mixtures: Mixtures, lying: Bool[np.ndarray, "t n"]) -> Panels:
    """Panels where some of the densities lie, none of which is wider than one of them inside it."""
    n, (time, point) = mixtures.n, np.nonzero(lying)
    if not time.size:
        return Panels(time, *np.zeros((3, 0)))
    sigma = mixtures.sigma[time, point]
    rank, own = np.empty((time.size, _EDGES.size), dtype=int), np.outer(sigma, np.diff(_EDGES))
    base, offset = np.repeat(time * n + point, _EDGES.size), np.outer(sigma, _EDGES).ravel()
    where = np.stack([mixtures.place.ravel()[base], mixtures.rest.ravel()[base], offset])  # an edge is their sum
    order = np.lexsort((where[1:].sum(axis=0), where.sum(axis=0), base // n))
    rank.ravel()[order] = np.arange(order.size)
    base, where = base[order], where[:, order]
    most = _least_over(rank[:, :-1].ravel(), rank[:, 1:].ravel(), own.ravel(), order.size - 1)
    chosen = _merged(np.diff(where).sum(axis=0), most)
    base, where, most = base[chosen], where[:, chosen], most[chosen[:-1]]
    width = np.diff(where).sum(axis=0)
    kept = np.flatnonzero((width > 0) & np.isfinite(most))
    _, group = np.unique(mixtures.place, return_inverse=True)
    narrowest, group = np.full((len(lying), group.max() + 1), np.inf), group.reshape(lying.shape)
    np.minimum.at(narrowest, (time, group[time, point]), sigma)
    base, offset = base[kept], where[2, kept]
    return Panels(base, offset, width[kept], 8 * EPS * np.abs(offset) / narrowest[base // n, group.ravel()[base]])


def _least_over(start: IntArray, stop: IntArray, value: FloatArray, size: int) -> FloatArray:
    """At each of `size` places the least value of the ranges that it lies in, inf where it is in none."""
    # two overlapping ranges of 2^level places are one of any length
    level = np.frexp(np.maximum(stop - start, 1))[1] - 1
    found = np.full((int(level.max()) + 1, size), np.inf)
    some = stop > start
    for first in (start, stop - 2**level):
        np.minimum.at(found, (level[some], first[some]), value[some])
    for upper in range(len(found) - 1, 0, -1):
        half = 2 ** (upper - 1)
        np.minimum(found[upper - 1], found[upper], out=found[upper - 1])
        np.minimum(found[upper - 1, half:], found[upper, :-half], out=found[upper - 1, half:])
    return np.asarray(found[0])


def _merged(width: FloatArray, most: FloatArray) -> IntArray:
    """The edges of intervals merged with their neighbours as long as they are together no wider than the least `most` of them; those
    of which that is infinite are gaps, and stay as they are.
    """
    edges, total, least = [], 0.0, 0.0
    for i, (own, limit) in enumerate(zip(width.tolist(), most.tolist(), strict=True)):
        total, least = total + own, min(least, limit)
        if total > least or limit == np.inf or not i:
            edges.append(i)
            total, least = own, limit if limit < np.inf else -np.inf
    return np.array([*edges, width.size])
