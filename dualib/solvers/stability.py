"""Which clusters are locally unstable, β λ_max(C(t)) > 1, and the atoms to add there."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms, Bottleneck, Rows, Table
from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray, IntArray
from dualib.solvers.elimination import instability_by_pairs, pairs_of
from dualib.solvers.iterate import Iterate
from dualib.solvers.newton import MAX_UNKNOWNS, curvature, tangent_basis
from dualib.solvers.parts import PART

MIXED = 0.999  # largest p(x|t) from which on a cluster is that of a single x, which cannot split
MAX_SPLIT_WORK = 2e10  # multiplications; beyond, splits are left to the ascents, and Solution.left_out says so
MAX_SLOPES = 1e6  # slopes of all pairs of cluster and x (8 MB); beyond, from moments, several times as fast, with half the digits
SPLITS = np.multiply.outer([-1.0, 1.0], [1e-3, 1e-2, 0.03, 0.1, 0.3]).ravel()  # largest changes of log r that are tried
WIDTHS = np.array([0.5, 1.0, 2.0])  # moves in units of the width of e^{−βd}, to where a stable cluster may have a rival
BROAD = 0.3  # β λ_max(C(t)) from which on a cluster may have one
MOST_BROAD = 1000  # of them, the broadest
LEFT_OUT = 1e-3  # what the pairs left out may add to β λ_max(C(t))
LANCZOS = 24  # products that find the largest eigenvalue of each cluster's matrix
MANY_SYMBOLS = 40  # from which on they are cheaper than the matrix itself


def splits(it: Iterate) -> Float[np.ndarray, "n n_y"]:
    """Atoms to try where a cluster is locally unstable, β λ_max(C(t)) > 1: the step along the unstable direction at which G is largest.

    Of many unknowns also on both sides of stable clusters that are broad: what is better than one of these may lie at a finite
    distance, beyond a valley of G that ascents from rows do not cross.
    """
    size = max(1, PART // len(it.log_z)) if it.parts is not None else len(it.weights)
    mixed = np.flatnonzero(_largest(it) < MIXED)
    if not len(mixed) or too_many_mixed(it.problem, len(mixed)):
        return it.atoms[:0]
    atoms = it.atoms[mixed]
    if (kept := pairs_of(it)) is not None:
        largest, direction = (part[mixed] for part in instability_by_pairs(it, kept))
        largest += LEFT_OUT
    else:
        found = instability if it.atoms.shape[1] < MANY_SYMBOLS else instability_by_products
        parts = np.split(mixed, range(size, len(mixed), size))
        unstable = [found(it.problem, it.beta, it.atoms[part], _posterior(it, part)) for part in parts]
        largest, direction = (np.concatenate(both) for both in zip(*unstable, strict=True))
    length = np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), TINY)
    steps = direction / length / np.sqrt(it.beta * np.maximum(atoms, TINY))
    near = steps / np.maximum(np.abs(steps).max(axis=1, keepdims=True), TINY)
    starts = [_displaced(it, atoms[largest > 1.0 + 1e-7], near[largest > 1.0 + 1e-7], SPLITS)]
    if it.atoms.size > MAX_UNKNOWNS:
        broad = np.flatnonzero(largest > BROAD)
        broad = broad[np.argsort(-largest[broad], kind="stable")[:MOST_BROAD]]
        starts += [_displaced(it, atoms[broad], steps[broad], sign * WIDTHS) for sign in (-1.0, 1.0)]
    return np.concatenate(starts)


def _largest(it: Iterate) -> Float[np.ndarray, " n_t"]:
    """The largest p(x|t) of each cluster."""
    if it.parts is None:
        return np.asarray(it.posterior.max(axis=1))
    joint = it.parts.likely.multiply(it.problem.p_x)
    return np.asarray(joint.max(axis=1).toarray().ravel() / np.maximum(it.gain, TINY))


def _posterior(it: Iterate, clusters: IntArray) -> Table:
    """p(x|t) of some clusters."""
    if len(clusters) == len(it.weights):
        return it.posterior
    joint = it.shares(clusters) * it.problem.p_x
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def too_many_mixed(problem: Bottleneck, n: int) -> bool:
    """Whether it takes too many multiplications to find which of n clusters of several x are unstable."""
    n_x, n_y = problem.p_y_given_x.shape
    work = float(n) * n_y * (n_y * max(n_y, n_x) if n_y < MANY_SYMBOLS else 4 * LANCZOS * n_x)
    return bool(work > MAX_SPLIT_WORK)


def _displaced(it: Iterate, atoms: Atoms, steps: Atoms, lengths: FloatArray) -> Atoms:
    """The atoms moved along their steps of log r, each by that of the lengths at which G is largest."""
    tried = atoms * np.exp(np.clip(np.multiply.outer(lengths, steps), -30.0, 30.0))
    tried /= tried.sum(axis=2, keepdims=True)
    log_g = np.stack([it.dual.log_in_parts(some) for some in tried])
    return np.asarray(tried[log_g.argmax(axis=0), np.arange(len(atoms))])


def instability(
    problem: Bottleneck, beta: float, atoms: Atoms, posterior: Table
) -> tuple[Float[np.ndarray, " n_t"], Atoms]:
    """β λ_max(C(t)) of each atom and its direction δr_t/√r_t, from the posterior p(x|t)."""
    basis = tangent_basis(atoms)
    if posterior.size * atoms.shape[1] <= MAX_SLOPES:
        a = problem.slope(atoms) @ basis
        a = a - posterior[:, None, :] @ a
        covariance = (a * posterior[:, :, None]).transpose(0, 2, 1) @ a
    else:
        scale, _ = problem.slope_parts(atoms)
        spread = scale[:, :, None] * moments(posterior, problem.near_sums[:, 1:]) * scale[:, None, :]
        covariance = basis.transpose(0, 2, 1) @ spread @ basis
    diagonal = curvature(problem, atoms, posterior)
    factor = np.linalg.cholesky((basis * diagonal[:, :, None]).transpose(0, 2, 1) @ basis)
    inverse = np.linalg.inv(factor)
    values, vectors = np.linalg.eigh(inverse @ covariance @ inverse.transpose(0, 2, 1))
    top = inverse.transpose(0, 2, 1) @ vectors[:, :, -1:]
    return beta * values[:, -1], (basis @ top)[:, :, 0]


def instability_by_products(
    problem: Bottleneck, beta: float, atoms: Atoms, posterior: Table, steps: int = LANCZOS
) -> tuple[Float[np.ndarray, " n_t"], Atoms]:
    """:func:`instability` by Lanczos' iteration of all clusters at once, which never forms a matrix; from below.

    With the slopes a_x = scale ∘ S_x + offset of a cluster, C is their covariance relative to the curvature, a diagonal, so
    that a product takes two multiplications by the statistics S.
    """
    scale, _ = problem.slope_parts(atoms)
    statistics = problem.near_sums[:, 1:]
    seen = atoms > 1e-200
    scale = scale * seen / np.sqrt(np.maximum(curvature(problem, atoms, posterior), TINY))
    centre = posterior @ statistics
    normal = np.sqrt(atoms * seen / np.maximum(curvature(problem, atoms, posterior), TINY))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)

    def product(v: FloatArray) -> FloatArray:
        left = scale * v
        along = left @ statistics.T - (left * centre).sum(axis=1, keepdims=True)
        along *= posterior
        return np.asarray(scale * (along @ statistics - along.sum(axis=1, keepdims=True) * centre))

    def along_simplex(v: FloatArray, others: list[FloatArray]) -> FloatArray:
        for _ in range(2):
            for other in (normal, *others):
                v = v - other * (v * other).sum(axis=1, keepdims=True)
        return v

    steps = min(steps, atoms.shape[1] - 1)
    v = along_simplex(np.random.default_rng(0).normal(size=atoms.shape), [])
    basis, tridiagonal = [], np.zeros((len(atoms), steps, steps))
    for k in range(steps):
        size = np.linalg.norm(v, axis=1, keepdims=True)
        if k:
            tridiagonal[:, k, k - 1] = tridiagonal[:, k - 1, k] = size[:, 0] * (size[:, 0] > 1e-13)
        basis.append(v / np.maximum(size, 1e-13))
        v = product(basis[-1])
        tridiagonal[:, k, k] = (v * basis[-1]).sum(axis=1)
        v = along_simplex(v, basis)
    values, vectors = np.linalg.eigh(tridiagonal)
    direction = np.einsum("kty,tk->ty", np.array(basis), vectors[:, :, -1])
    return beta * values[:, -1], direction / np.sqrt(np.maximum(curvature(problem, atoms, posterior), TINY))


def moments(posterior: Table, statistics: Rows) -> Float[np.ndarray, "n_t n_y n_y"]:
    """Covariances of the statistics of x under each posterior, by one matrix product."""
    n_t, n_y = len(posterior), statistics.shape[1]
    i, j = np.triu_indices(n_y)
    mean = posterior @ statistics
    found = np.empty((n_t, n_y, n_y))
    found[:, i, j] = posterior @ (statistics[:, i] * statistics[:, j]) - mean[:, i] * mean[:, j]
    found[:, j, i] = found[:, i, j]
    return found
