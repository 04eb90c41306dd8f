"""Weights and atoms evaluated at very many pairs of cluster and x, part by part: what fits of e^{−βd} is kept, and no table of all.

The objective and the sums that an alternating step or a gradient takes are of all pairs, in double precision. Kept are the pairs whose share of
their x counts in the Hessian, which only says where to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.special import TINY
from dualib.core.typing import BoolArray, Float, FloatArray, IntArray, NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGE_PAIRS = 2e7  # of cluster and x from which on there is no table: 160 MB
MOST_SYMBOLS = 12  # up to which the Hessian needs none
LIKELY = 1e-5  # q(t|x) from which on a pair counts in the Hessian; of light clusters, as if of average weight
LARGEST_KEPT = 40_000_000  # pairs kept: 0.6 GB
PART = 1 << 19  # pairs at a time, 4 MiB
ROUNDING = 1e-11  # of a sum, below which what is left of it is that of β d in a product
GATHERED = 20_000  # pairs at a time where the factors of each are gathered, 4 MiB too
LEAST = 1e-20  # r below which a symbol is left to plain steps: 1/√r is too large for single precision
LARGEST_EXPONENT = 300.0  # whose exponential can be squared
LARGEST_SINGLE = 1e30  # entry in single precision: of clusters of next to no weight there are larger ones


@dataclass(frozen=True, eq=False)
class Parts:
    """What is kept of an evaluation.

    Attributes
    ----------
    log_z : array, shape (n_x,)
    sums : array, shape (n_t, n_sums)
        Σ_x p(x) e^{−βd}/z_x of 1 and of the statistic of x.
    likely : sparse array, shape (n_t, n_x)
        e^{−βd}/z_x in single precision, where it counts.
    far : Far or None
        What the others add, where these only were looked at.
    """

    log_z: Float[np.ndarray, " n_x"]
    sums: Float[np.ndarray, "n_t n_sums"]
    likely: csr_array
    far: Far | None = None


@dataclass(frozen=True, eq=False)
class Far:
    """What the pairs that do not count add, to first order in the weights and atoms, so that only those that count are looked at.

    Attributes
    ----------
    log_z : array, shape (n_x,)
        Where they were looked at.
    rest : array, shape (n_x,)
        Their q(t|x) there, together.
    sums : array, shape (n_t, n_sums)
        Their part of the sums there.
    slope : array, shape (n_t, n_y)
        How that of 1 changes with the atom,
    origin : array, shape (n_t,)
        slope · atom there.
    total : float
        Their q(t|x) of all x, on average.
    """

    log_z: Float[np.ndarray, " n_x"]
    rest: Float[np.ndarray, " n_x"]
    sums: Float[np.ndarray, "n_t n_sums"]
    slope: Float[np.ndarray, "n_t n_y"]
    origin: Float[np.ndarray, " n_t"]
    total: float

    def of(self, kept: BoolArray | IntArray) -> Far:
        """That of some clusters."""
        return replace(self, sums=self.sums[kept], slope=self.slope[kept], origin=self.origin[kept])

    def beside(self, other: Far) -> Far:
        """That of both's clusters."""
        return replace(
            self,
            sums=np.concatenate([self.sums, other.sums]),
            slope=np.concatenate([self.slope, other.slope]),
            origin=np.concatenate([self.origin, other.origin]),
        )

    def counting(
        self, problem: Bottleneck, beta: float, weights: FloatArray, atoms: FloatArray, more: csr_array
    ) -> Far:
        """The same where further pairs count, those that have an entry in `more`."""
        ratio, t, x = shares_of(problem, beta, atoms, more, self.log_z)
        sums = _weighted(ratio, more) @ (problem.sums * problem.p_x[:, None])
        left = self.sums - sums
        left[np.abs(left) < ROUNDING * np.abs(self.sums)] = 0.0
        # columns that are sums of what is positive, wherever the atoms have moved to
        positive = slice(None) if problem.statistics.min() >= 0.0 else slice(1)
        np.maximum(left[:, positive], 0.0, out=left[:, positive])
        slope = slope_of(problem, beta, atoms, sums)
        return replace(
            self,
            rest=np.maximum(self.rest - np.bincount(x, weights[t] * ratio, len(self.rest)), 0.0),
            sums=left,
            slope=self.slope - slope,
            origin=self.origin - (slope * atoms).sum(axis=1),
            total=self.total - float(weights @ sums[:, 0]),
        )

    def value(self, weights: FloatArray, atoms: FloatArray) -> float:
        """By how much they lower Φ, less what they did where they were looked at."""
        each = self.sums[:, 0] + (self.slope * atoms).sum(axis=1) - self.origin
        return float(weights @ each) - self.total


def large(n_t: int, problem: Bottleneck) -> bool:
    """Whether so many clusters are evaluated part by part."""
    n_x, n_y = problem.p_y_given_x.shape
    return bool(n_t * n_x > LARGE_PAIRS and n_y <= MOST_SYMBOLS)


def in_parts(
    problem: Bottleneck, beta: float, weights: FloatArray, atoms: FloatArray, near: FloatArray | None
) -> Parts:
    """Evaluate; `near`, log z of an iterate near by, saves two passes. Where too many pairs count, the least do not."""
    from scipy.sparse import coo_array

    n_t, n_x = len(weights), len(problem.p_x)
    log_z, sums = np.empty(n_x), np.zeros((problem.sums.shape[1], n_t))
    least, found = LIKELY / np.maximum(weights, 1.0 / n_t), []
    kept, size = 0, max(1, PART // n_t)
    exponents = _exponents(problem, beta, atoms)
    for i in range(0, n_x, size):
        part = slice(i, min(i + size, n_x))
        kernel, z, log_z[part] = _kernel(exponents, weights, near, part)
        sums += (problem.sums[part] * (problem.p_x[part] / z)[:, None]).T @ kernel
        at = np.flatnonzero(kernel > least * z.min())
        rows, clusters = np.divmod(at, n_t)
        data = kernel.ravel()[at] / z[rows]
        found.append(
            _those(data > least[clusters], single(data), clusters.astype(np.int32), (rows + i).astype(np.int32))
        )
        kept += len(found[-1][0])
        while kept > LARGEST_KEPT:
            least *= 3.0
            found = [_those(data > least[clusters], data, clusters, rows) for data, clusters, rows in found]
            kept = sum(len(data) for data, _, _ in found)
    data, clusters, rows = (np.concatenate(column) for column in zip(*found, strict=True))
    return Parts(log_z, sums.T, coo_array((data, (clusters, rows)), shape=(n_t, n_x)).tocsr())


def _those(where: BoolArray, *columns: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return tuple(column[where] for column in columns)


def nearby(
    problem: Bottleneck, beta: float, weights: FloatArray, atoms: FloatArray, parts: Parts
) -> tuple[csr_array, Far]:
    """Which pairs count at an evaluation, and what the others add."""
    slope = slope_of(problem, beta, atoms, parts.sums)
    far = Far(parts.log_z, np.ones(len(parts.log_z)), parts.sums, slope, (slope * atoms).sum(axis=1), 1.0)
    return parts.likely, far.counting(problem, beta, weights, atoms, parts.likely)


def slope_of(problem: Bottleneck, beta: float, atoms: FloatArray, sums: FloatArray) -> FloatArray:
    """How Σ_x p e^{−βd}/z changes with each atom, from the sums over the same x; up to a constant over y."""
    scale, offset = problem.slope_parts(atoms)
    mean = scale * (sums[:, 1:] - sums[:, :1] * problem.mean_where_weak) + offset * sums[:, :1]
    return np.where(atoms > LEAST, beta * mean / np.sqrt(np.maximum(atoms, LEAST)), 0.0)


def united(
    problem: Bottleneck,
    beta: float,
    weights: FloatArray,
    atoms: FloatArray,
    near: csr_array,
    far: Far,
    kept: BoolArray,
    first: IntArray,
    second: IntArray,
) -> tuple[csr_array, Far]:
    """Which pairs count of the clusters kept and of unions of two, those of either, and what the others add."""
    from scipy.sparse import vstack

    both, sides, share = near[first] + near[second], [], weights[first] / (weights[first] + weights[second])
    for members in (first, second):
        more = _weighted(np.ones(both.nnz), both) - _weighted(np.ones(near[members].nnz), near[members])
        more.eliminate_zeros()
        one = far.of(members).counting(problem, beta, weights[members], atoms[members], more)
        far = replace(far, rest=one.rest, total=one.total)
        sides.append(one)
    one, other = sides
    mean = replace(
        far,
        sums=_mean(share, one.sums, other.sums),
        slope=_mean(share, one.slope, other.slope),
        origin=share * one.origin + (1.0 - share) * other.origin,
    )
    return vstack([near[kept], both], format="csr"), far.of(kept).beside(mean)


def _mean(share: FloatArray, one: FloatArray, other: FloatArray) -> FloatArray:
    return share[:, None] * one + (1.0 - share[:, None]) * other


def single(values: FloatArray) -> FloatArray:
    """In single precision, for the Hessian."""
    return np.asarray(np.minimum(values, LARGEST_SINGLE), dtype=np.float32)


def _weighted(values: FloatArray, pairs: csr_array) -> csr_array:
    """The pairs that have an entry, with other values."""
    from scipy.sparse import csr_array

    return csr_array((values, pairs.indices, pairs.indptr), shape=pairs.shape)


def in_near(
    problem: Bottleneck, beta: float, weights: FloatArray, atoms: FloatArray, near: csr_array, far: Far
) -> tuple[Parts, float]:
    """Evaluate the pairs that count, those of the entries of `near`; also Φ."""
    ratio, t, x = shares_of(problem, beta, atoms, near, far.log_z)
    z = np.maximum(far.rest + np.bincount(x, weights[t] * ratio, len(far.rest)), TINY)
    ratio /= z[x]
    log_z = far.log_z + np.log(z)
    sums = far.sums + _weighted(ratio, near) @ (problem.sums * problem.p_x[:, None])
    likely = _weighted(single(ratio), near)
    return Parts(log_z, sums, likely, far), -float(problem.p_x @ log_z) - far.value(weights, atoms)


def shares_of(
    problem: Bottleneck, beta: float, atoms: FloatArray, near: csr_array, log_z: FloatArray
) -> tuple[FloatArray, NDArray[np.int32], NDArray[np.int32]]:
    """The e^{−βd − log z} of the pairs that have an entry in `near`, and their clusters and x."""
    left, right, x = -beta * problem.of_atoms(atoms), problem.of_rows, near.indices
    t = np.repeat(np.arange(len(atoms), dtype=np.int32), np.diff(near.indptr))
    found = np.empty(len(x))
    for i in range(0, len(x), GATHERED):
        some = slice(i, i + GATHERED)
        np.einsum("nk,nk->n", np.take(left, t[some], axis=0), np.take(right, x[some], axis=0), out=found[some])
    found -= log_z[x]
    return np.exp(np.minimum(found, LARGEST_EXPONENT, out=found), out=found), t, x


def _exponents(problem: Bottleneck, beta: float, atoms: FloatArray) -> Callable[[slice, FloatArray], FloatArray]:
    """What gives the exponents offset − βd (n, n_t) of a part of the x."""
    if problem.term_by_term(beta):
        return lambda part, offset: (problem.exponents(beta, atoms, None, part) + offset).T.copy()
    left = np.vstack([-beta * problem.of_atoms(atoms).T, np.ones(len(atoms))])
    return lambda part, offset: np.asarray(np.column_stack([problem.of_rows[part], offset]) @ left)


def _kernel(
    exponents: Callable[[slice, FloatArray], FloatArray],
    weights: FloatArray,
    near: FloatArray | None,
    part: slice,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The e^{−βd} (n, n_t) of a part of the x up to a factor, its sum z with the weights, and log z without the factor."""
    if near is not None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            table = exponents(part, -near[part])
            z = np.exp(table, out=table) @ weights
        if z.min() > 1e-100 and z.max() < 1e100:
            return table, z, near[part] + np.log(z)
    table = exponents(part, np.zeros(part.stop - part.start))
    top = table.max(axis=1)
    z = np.exp(np.subtract(table, top[:, None], out=table), out=table) @ weights
    return table, z, top + np.log(z)
