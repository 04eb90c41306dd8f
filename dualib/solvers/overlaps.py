r"""Clusters that nearly coincide: the blocks of the Hessian that conjugate gradients take long for, each solved on its own.

Two clusters on their way into each other, or out of one, have directions in which Φ hardly bends: what one gains the other loses.
In the coordinates of :mod:`dualib.solvers.newton` all other eigenvalues are between 0.01 and 1. So the blocks of neighbours precondition
the conjugate gradients, and where such a block bends downwards or too little, it is bent upwards, so that no direction moves an atom by
more than REACH: the Hessian that the path is followed on is H + Σ_g V (|λ|′ − λ) Vᵀ, V and λ of the blocks of H.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dualib.bottleneck import Atoms
from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray, IntArray
from dualib.solvers.distances import close_pairs
from dualib.solvers.hessian import System
from dualib.solvers.parts import LARGEST_SINGLE

WITHIN = 2.0  # clusters nearer than this, in β times a squared Fisher distance, are neighbours
LARGEST_GROUP = 3
LARGEST_BLOCK = 64  # unknowns of a group
REACH = 1.0  # the same distance, not squared, by which a step moves a cluster where the block says nothing
CHANGE = 1.0  # by what share a step may change a weight,
GROWTH = 0.3  # of the average weight, by which it may always raise one
LEAST_BEND = 1e-6  # rounding of the blocks


def neighbours(atoms: Atoms, beta: float) -> list[IntArray]:
    """Groups of clusters, the nearest joined first, as arrays (n, m) of their indices for each size m > 1."""
    largest = min(LARGEST_GROUP, LARGEST_BLOCK // (atoms.shape[1] + 1))
    if largest < 2 or len(atoms) < 2:
        return []
    group = np.arange(len(atoms))
    members: dict[int, list[int]] = {}
    for first, second in close_pairs(atoms, beta, WITHIN):
        a, b = int(group[first]), int(group[second])
        both = members.get(a, [a]) + members.get(b, [b])
        if a != b and len(both) <= largest:
            group[both] = a
            members[a] = both
            members.pop(b, None)
    sizes = {len(found) for found in members.values()}
    return [np.array([found for found in members.values() if len(found) == size]) for size in sorted(sizes)]


@dataclass(frozen=True)
class Overlaps:
    """Blocks of the Hessian for groups of neighbours: for each size of group, indices (n, m), eigenvectors V and values λ, |λ|′."""

    parts: Sequence[tuple[IntArray, FloatArray, FloatArray, FloatArray]]
    weights: FloatArray  # the diagonal of the Hessian for the weights, a column

    @classmethod
    def of(cls, system: System, groups: Sequence[IntArray]) -> Overlaps:
        """The blocks of a system."""
        found = [_bent(system, members, *np.linalg.eigh(blocks(system, members))) for members in groups]
        return cls(found, of_weights(system))

    def bent_at(self, system: System) -> Overlaps:
        """The same blocks, bent upwards by the gradient of another system of as many clusters."""
        found = [_bent(system, members, values, vectors) for members, vectors, values, _ in self.parts]
        return Overlaps(found, of_weights(system))

    def solved(self, v: FloatArray) -> FloatArray:
        """The v with which |blocks|′ give v; the same v outside the groups."""
        out = v.copy()
        out[:, :1] /= self.weights
        for members, vectors, _, bent in self.parts:
            out[members] = _applied(vectors, 1.0 / bent, v[members])
        return out

    def bent(self, v: FloatArray) -> FloatArray:
        """|blocks|′ times v; v itself outside the groups."""
        out = v.copy()
        out[:, :1] *= self.weights
        for members, vectors, _, bent in self.parts:
            out[members] = _applied(vectors, bent, v[members])
        return out

    def by_group(self, shares: FloatArray) -> Float[np.ndarray, " n_t"]:
        """The sums over y, those of a group's clusters added up and given to each."""
        sums = np.asarray(shares.sum(axis=1))
        for members, *_ in self.parts:
            sums[members] = sums[members].sum(axis=1, keepdims=True)
        return sums

    def largest(self, values: Float[np.ndarray, " n_t"]) -> Float[np.ndarray, " n_t"]:
        """The largest value in the group of each cluster."""
        found = values.copy()
        for members, *_ in self.parts:
            found[members] = found[members].max(axis=1, keepdims=True)
        return found

    def added(self, v: FloatArray) -> FloatArray:
        """What (|blocks|′ − blocks) add to a product with the Hessian."""
        out = np.zeros_like(v)
        for members, vectors, values, bent in self.parts:
            out[members] = _applied(vectors, bent - values, v[members])
        return out


def of_weights(system: System) -> FloatArray:
    """The diagonal ν Σ_x p ratio² of the Hessian for the weights, a column: hardly more than 0 for a cluster of next to no weight.

    It is at least ν G², also where pairs that do not count are left out.
    """
    kernel = system.kernel
    with np.errstate(over="ignore", invalid="ignore"):  # of single precision
        p = system.it.problem.p_x.astype(np.float32)
        squares = np.fmax(kernel * kernel @ p, system.it.gain**2)
    return np.asarray(np.maximum(system.root**2 * np.minimum(squares, LARGEST_SINGLE)[:, None], TINY))


def most_change(weights: FloatArray) -> FloatArray:
    """By what share a step may raise each weight: a light one by many times, which is little of any z_x."""
    return np.asarray(np.maximum(CHANGE, GROWTH / (len(weights) * weights)))


def blocks(system: System, members: IntArray) -> FloatArray:
    """The blocks (n, m (n_y + 1), m (n_y + 1)) of the Hessian; 1 along √r, in which no step goes."""
    it, (n, m) = system.it, members.shape
    scale, offset = (part[members] for part in system.slope)
    size = scale.shape[2] + 1
    inside = np.eye(size - 1) - system.tangent[members][..., :, None] * system.tangent[members][..., None, :]
    left = np.zeros((n, m, size, size))  # by what a vector is turned into coefficients of 1 and the statistics
    left[..., 0, 0] = 1.0
    left[..., 0, 1:] = (offset[..., None, :] @ inside)[..., 0, :]
    left[..., 1:, 1:] = scale[..., None] * inside
    found = np.empty((n, m, size, m, size))
    right, kernel = _squares(system), system.kernel
    p, root = it.problem.p_x.astype(np.float32), system.root[:, 0]
    for i in range(m):
        for j in range(i, m):
            t, u = members[:, i], members[:, j]
            scales = (root[t] * root[u]).astype(np.float32)[:, None]
            with np.errstate(over="ignore", invalid="ignore"):  # where single precision ends
                if system.it.parts is None:
                    pairs = kernel[t] * kernel[u] * scales * p
                    if i == j:
                        pairs -= kernel[t] * p
                    sums = pairs @ right
                else:
                    sums = scales * (kernel[t] * kernel[u] @ (right * p[:, None]))
                    if i == j:
                        sums -= kernel[t] @ (right * p[:, None])
            moments = _symmetric(np.clip(np.nan_to_num(sums), -LARGEST_SINGLE, LARGEST_SINGLE), size)
            found[:, i, :, j] = left[:, i].transpose(0, 2, 1) @ moments @ left[:, j]
            found[:, j, :, i] = found[:, i, :, j].transpose(0, 2, 1)
        found[:, i, 0, i, 0] += system.sums[members[:, i], 0]
        bend = system.curvature[members[:, i]]
        found[:, i, 1:, i, 1:] += inside[:, i] * bend[:, None, :] @ inside[:, i] + (np.eye(size - 1) - inside[:, i])
    return found.reshape(n, m * size, m * size)


def _squares(system: System) -> FloatArray:
    """Products of each two of 1 and the statistics, (n_x, k), in single precision."""
    s = system.it.problem.near_sums
    i, j = np.triu_indices(s.shape[1])
    return np.asarray(s[:, i] * s[:, j], dtype=np.float32)


def _symmetric(upper: FloatArray, size: int) -> FloatArray:
    i, j = np.triu_indices(size)
    out = np.empty((len(upper), size, size))
    out[:, i, j] = upper
    out[:, j, i] = upper
    return out


def _bent(
    system: System, members: IntArray, values: FloatArray, vectors: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    slope = (system.gradient[members].reshape(len(members), 1, -1) @ vectors)[:, 0]
    limits = np.repeat(system.root[members], system.gradient.shape[1], axis=2)  # of each coordinate, (n, m, n_y + 1)
    limits[:, :, 0] *= most_change(system.it.weights)[members]
    over = np.linalg.norm(vectors / np.maximum(limits, TINY).reshape(len(members), -1, 1), axis=1)
    bent = np.maximum(np.maximum(np.abs(values), LEAST_BEND), np.abs(slope) * over / REACH)
    return members, vectors, values, bent


def _applied(vectors: FloatArray, values: FloatArray, v: FloatArray) -> FloatArray:
    along = (v.reshape(len(v), 1, -1) @ vectors) * values[:, None, :]
    return np.asarray((vectors @ along.transpose(0, 2, 1)).reshape(v.shape))
