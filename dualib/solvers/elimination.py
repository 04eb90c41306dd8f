r"""Newton's method on weights and atoms where there are at most some hundred x: the clusters are eliminated one by one.

In the coordinates of :mod:`dualib.solvers.newton` the Hessian of Φ is J Jᵀ, of rank n_x, and a block for each atom,

.. math:: B_t = C_t - \sum_x p\, S_{tx}\, a_{tx} a_{tx}^T, \qquad C_t = \text{curvature},

apart from terms between an atom and its own weight, which vanish with the gradient and are left out. B_t is positive definite
exactly where cluster t is stable, β λ_max(C(t)) < 1, as every one of an optimum is; elsewhere the directions in which it bends downwards
are bent upwards. With λ = Jᵀ s a step s solves

.. math:: M \lambda - J_\nu^T w = -\sum_t J_t^T B_t^{-1} g_t, \quad J_\nu \lambda = -g_\nu, \quad
          M = 1 + \sum_t J_t^T B_t^{-1} J_t,

a matrix of the size of x and one of the size of t, whatever the number of symbols y. Pairs with a small q(t|x) are left out of the
Hessian, not of the gradient: an atom's block has the size of its few x, or of y where these are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf, dpotrs

from dualib.bottleneck import Atoms
from dualib.core.typing import Bool, Float, FloatArray, IntArray
from dualib.solvers.atoms import coalesce
from dualib.solvers.blocks import Blocks, Group, applied
from dualib.solvers.exchange import after, along_valleys
from dualib.solvers.hessian import System
from dualib.solvers.iterate import Iterate

MOST_X = 512  # rows up to which M is factored: 4 ms
SCATTERED = 50  # multiplications that take as long as to add a pair of x where it belongs
PADDED = 1.5  # clusters of up to so many times as many pairs as the smallest are treated at once
MEETING = 1e-7  # of Φ, gained by a step, from which on clusters nearer than
NEAR = 1.0  # in β times a squared Fisher distance are tried as one where a step needs a shift
LEAST_CURVATURE = 1e-3  # of Φ along a symbol, where next to none of the cluster has it
LEAST_WEIGHT = 1e-9  # curvature along the weights, which is summed in double precision
DOUBLINGS = 5  # of the power of a block that finds its largest eigenvalue
NOTHING = 1e-30  # in single precision

Pairs = Bool[np.ndarray, "n_t n_x"]


@dataclass(frozen=True)
class Precision:
    """How exact the Hessian is: q(t|x) from which on a pair is part of it, and rounding of a block over its curvature.

    Where clusters exchange weight at next to no cost, the curvature is far below the rounding of single precision.
    """

    type: type[np.floating]
    kept: float
    least: float
    shifts: tuple[float, ...]
    least_y: int  # symbols from which on products with the Hessian take longer
    products: float  # of a cluster, (n_x, n_y) each, that a step may take as long as: so many take conjugate gradients
    settled: float  # of Φ, gained by a step, from which on a cluster that is unstable is left to be split
    small: float  # multiplications that a step may take with any number of symbols: some hundredths of a second


ROUGH = Precision(np.float32, 3e-5, 1e-3, (0.0, 1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0), 40, 100, 1e-9, 0.0)
FINE = Precision(np.float64, 1e-10, 1e-9, (0.0, *(10.0**k for k in range(-8, 2))), 40, 3000, 0.0, 1e8)


@dataclass(frozen=True)
class Elimination:
    """The system of a Newton step at an iterate."""

    system: System
    whiten: FloatArray  # C^{−1/2}, (n_t, n_y)
    force: FloatArray  # −C^{−1/2} times the gradient of the atoms, along the simplex
    groups: list[Group]
    precision: Precision

    @classmethod
    def of(cls, it: Iterate, kept: Pairs, precision: Precision = ROUGH) -> Elimination:
        """The system of the pairs that are kept."""
        system, ratio = System(it), it.ratio
        whiten = 1.0 / np.sqrt(np.maximum(system.exact_curvature, LEAST_CURVATURE))
        rounded = partial(np.asarray, dtype=precision.type)
        scale, offset = (rounded(part * whiten) for part in system.slope)
        normal = system.tangent * whiten
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        mean = system.mean * whiten
        mean -= (mean * normal).sum(axis=1, keepdims=True) * normal
        normal = rounded(normal)
        share, root_q = np.sqrt(it.problem.p_x * ratio), np.sqrt(it.weights[:, None] * ratio)
        statistics = rounded(it.problem.near_sums[:, 1:])
        groups = []
        for t, size in _alike(kept.sum(axis=1)):
            x = np.argsort(~kept[t], axis=1, kind="stable")[:, :size]
            there = kept[t[:, None], x]
            slopes = statistics[x]
            slopes *= scale[t][:, None, :]
            slopes += offset[t][:, None, :]
            slopes -= applied(slopes, normal[t])[:, :, None] * normal[t][:, None, :]
            on, root = (rounded(np.where(there, part[t[:, None], x], 0.0)) for part in (share, root_q))
            slopes *= on[:, :, None]
            groups.append(Group(t, x, root, slopes))
        return cls(system, whiten, system.root * mean, groups, precision)

    def step(self, shift: float) -> tuple[FloatArray, bool] | None:
        """The Newton step of the Hessian with a shift, and whether no block needed more; None where rounding leaves it indefinite."""
        it, root = self.system.it, self.system.root
        n_t, n_x = it.kernel.shape
        precision = self.precision
        blocks = [Blocks.of(group, shift, precision.least) for group in self.groups]
        matrix, right, begun = np.zeros(n_x * n_x), np.zeros(n_x), []
        for block in blocks:
            g = block.group
            terms = block.among_x * g.root_q[:, :, None] * g.root_q[:, None, :]
            matrix += np.bincount((g.x[:, :, None] * n_x + g.x[:, None, :]).ravel(), terms.ravel(), n_x * n_x)
            begun.append(block.solved(self.force[g.t].astype(precision.type)))
            right += np.bincount(g.x.ravel(), (g.root_q * applied(g.slopes, begun[-1])).ravel(), n_x)
        matrix[:: n_x + 1] += 1.0
        factor, failed = dpotrf(matrix.reshape(n_x, n_x).T, lower=1)
        if failed:
            return None
        columns = it.ratio.T * (root[:, 0] * np.sqrt(it.problem.p_x)[:, None])
        solved = dtrsm(1.0, factor, np.column_stack([columns, right]), lower=1)
        among_t = solved[:, :-1].T @ solved[:, :-1]
        among_t[np.arange(n_t), np.arange(n_t)] += max(shift, LEAST_WEIGHT)
        inner, failed = dpotrf(among_t, lower=1)
        if failed:
            return None
        weights = dpotrs(inner, root[:, 0] * (it.gain - 1.0) - solved[:, :-1].T @ solved[:, -1], lower=1)[0]
        along = dtrsm(1.0, factor, (solved @ np.append(weights, 1.0))[:, None], lower=1, trans_a=1)[:, 0]
        out = np.column_stack([weights, np.empty_like(it.atoms)])
        for block, first in zip(blocks, begun, strict=True):
            g = block.group
            back = np.asarray(g.root_q * along[g.x], dtype=precision.type)
            out[g.t, 1:] = first - block.solved(applied(g.slopes.transpose(0, 2, 1), back))
        out[:, 1:] *= self.whiten
        return out, all(block.stable for block in blocks)


def pairs_of(it: Iterate, precision: Precision = ROUGH) -> Pairs | None:
    """Which pairs are part of the Hessian; None where conjugate gradients are faster than to eliminate the clusters."""
    n_t, n_y = it.atoms.shape
    n_x = len(it.log_z)
    if n_x > MOST_X or (n_y < precision.least_y and not precision.small):
        return None
    kept = it.encoder > precision.kept
    sizes = kept.sum(axis=1).astype(np.float64)
    work = (2.0 * sizes**2 * n_y + 6.0 * sizes * np.minimum(sizes, n_y) ** 2).sum()
    taken = n_y >= precision.least_y and work <= precision.products * n_t * n_x * n_y
    return np.asarray(kept) if taken or work + SCATTERED * (sizes**2).sum() <= precision.small else None


def instability_by_pairs(it: Iterate, kept: Pairs) -> tuple[Float[np.ndarray, " n_t"], Atoms]:
    """:func:`dualib.solvers.stability.instability` from the pairs that are kept: β λ_max(C(t)), from below, and δr_t/√r_t."""
    found = Elimination.of(it, kept)
    largest, direction = np.empty(len(it.weights)), np.empty_like(it.atoms)
    for group in found.groups:
        square, power = group.square, group.square
        for _ in range(DOUBLINGS):
            power = power @ power
            power /= np.maximum(np.trace(power, axis1=1, axis2=2), NOTHING)[:, None, None]
        heaviest = np.diagonal(power, axis1=1, axis2=2).argmax(axis=1)
        v = applied(power, power[np.arange(len(power)), heaviest])
        v /= np.maximum(np.linalg.norm(v, axis=1, keepdims=True), NOTHING)
        largest[group.t] = (v * applied(square, v)).sum(axis=1)
        direction[group.t] = v if group.by_symbols else applied(group.slopes.transpose(0, 2, 1), v)
    return largest, direction * found.whiten


def newton_by_elimination(
    it: Iterate, tolerance: float, max_steps: int, level: int = 0, precision: Precision = ROUGH
) -> tuple[Iterate, float, bool, int]:
    """Minimise Φ over weights and atoms; Φ never rises. An iterate of which :func:`pairs_of` is None is handed back.

    Returns the iterate, the norm of the gradient before the last step, whether that step was to gain less than the
    tolerance, nats, and the `level` of the shift to go on with. Rough steps end where they gain hardly more than that and
    a cluster would rather split.
    """
    size, noise = np.inf, it.noise
    for _ in range(max_steps):
        kept = pairs_of(it, precision)
        if kept is None:
            return it, size, False, level
        found = Elimination.of(it, kept, precision)
        gradient = found.system.gradient
        size = float(np.linalg.norm(gradient))
        if size < 1e-14:
            return it, size, True, level
        for tried in range(level, len(precision.shifts)):
            step = found.step(precision.shifts[tried])
            if step is None:
                continue
            expected = -0.5 * float((gradient * step[0]).sum())
            new = next((new for new in _after(it, step[0]) if it.value - new.value >= 0.1 * expected - noise), None)
            if new is not None:
                break
            if expected < 100.0 * noise:  # no more digits
                return it, size, True, level
        else:
            return it, size, False, level
        level = max(tried - (tried == level and it.value - new.value > 0.5 * expected), 0)
        it = new if expected > MEETING * abs(it.value) or not tried else coalesce(new, NEAR)
        if expected < (tolerance if step[1] else max(tolerance, precision.settled * abs(it.value))):
            return it, size, step[1] or expected < tolerance, level
    return it, size, False, level


def _after(it: Iterate, step: FloatArray) -> Iterator[Iterate]:
    """The iterate after a step, straight; then along the valleys, where there are some."""
    yield after(it, step)[0]
    valleys = along_valleys(it, step)
    if valleys is not None:
        yield valleys


def _alike(sizes: IntArray) -> list[tuple[IntArray, int]]:
    """Clusters in groups of about as many pairs, each with the largest number of it."""
    order, found, i = np.argsort(sizes, kind="stable"), [], 0
    while i < len(order):
        j = int(np.searchsorted(sizes[order], max(PADDED * sizes[order[i]], 4.0), side="right"))
        found.append((order[i:j], max(1, int(sizes[order[j - 1]]))))
        i = j
    return found
