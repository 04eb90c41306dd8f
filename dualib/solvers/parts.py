"""Weights and atoms evaluated at very many pairs of cluster and x, part by part: what fits of e^{−βd} is kept, and no table of all.

The objective and the sums that an alternating step or a gradient takes are of all pairs, in double precision. Kept are the pairs whose share of
their x counts in the Hessian, which only says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.typing import Float, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGE_PAIRS = 2e7  # of cluster and x from which on there is no table: 160 MB
MOST_SYMBOLS = 12  # up to which the Hessian needs none
LIKELY = 1e-5  # q(t|x) from which on a pair counts in the Hessian; of light clusters, as if of average weight
LARGEST_KEPT = 60_000_000  # pairs kept: 0.7 GB
PART = 1 << 19  # pairs at a time, 4 MiB


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
    """

    log_z: Float[np.ndarray, " n_x"]
    sums: Float[np.ndarray, "n_t n_sums"]
    likely: csr_array


def large(n_t: int, problem: Bottleneck) -> bool:
    """Whether so many clusters are evaluated part by part."""
    n_x, n_y = problem.p_y_given_x.shape
    return bool(n_t * n_x > LARGE_PAIRS and n_y <= MOST_SYMBOLS)


def in_parts(
    problem: Bottleneck, beta: float, weights: FloatArray, atoms: FloatArray, near: FloatArray | None
) -> Parts:
    """Evaluate; `near`, log z of an iterate near by, saves two passes.

    Raises
    ------
    ValueError
        If more than LARGEST_KEPT pairs count.
    """
    from scipy.sparse import coo_array

    n_t, n_x = len(weights), len(problem.p_x)
    log_z, sums = np.empty(n_x), np.zeros((n_t, problem.sums.shape[1]))
    least = (LIKELY / np.maximum(weights, 1.0 / n_t))[:, None]
    found = []
    kept, size = 0, max(1, PART // n_t)
    for i in range(0, n_x, size):
        part = slice(i, i + size)
        kernel, z, log_z[part] = _kernel(problem, beta, weights, atoms, near, part)
        sums += kernel @ (problem.sums[part] * (problem.p_x[part] / z)[:, None])
        clusters, rows = np.nonzero(kernel > least * z)
        kept += len(rows)
        if kept > LARGEST_KEPT:
            raise ValueError(
                f"at beta = {beta:g} more than {LARGEST_KEPT} pairs of {n_t} clusters and {n_x} distinct rows p(y|x) count, which do "
                "not fit in 2 GB: take other beta, or fewer rows (group rows that are nearly equal)"
            )
        data = (kernel[clusters, rows] / z[rows]).astype(np.float32)
        found.append((data, clusters.astype(np.int32), (rows + i).astype(np.int32)))
    data, clusters, rows = (np.concatenate(column) for column in zip(*found, strict=True))
    return Parts(log_z, sums, coo_array((data, (clusters, rows)), shape=(n_t, n_x)).tocsr())


def _kernel(
    problem: Bottleneck,
    beta: float,
    weights: FloatArray,
    atoms: FloatArray,
    near: FloatArray | None,
    part: slice,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The e^{−βd} (n_t, n) of a part of the x up to a factor, its sum z with the weights, and log z without the factor."""
    if near is not None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            table = problem.exponents(beta, atoms, -near, part)
            z = weights @ np.exp(table, out=table)
        if z.min() > 1e-100 and z.max() < 1e100:
            return table, z, near[part] + np.log(z)
    table = problem.exponents(beta, atoms, None, part)
    top = table.max(axis=0)
    z = weights @ np.exp(np.subtract(table, top, out=table), out=table)
    return table, z, top + np.log(z)
