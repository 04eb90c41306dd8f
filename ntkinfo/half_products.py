r"""Test rows times K among the modes, at many times: the products that a table spends most on, as few of them as there are.

Of P_τ = S diag(a_τ) with the rows S = Θ_x V of test points, P_τ K P_τ^T = P_τ U P_τ^T + (P_τ U P_τ^T)^T where U is the upper triangle of
V^T K V with half its diagonal. The responses a_τ(λ) of all times to rates λ within a factor of a few are combinations of some eight of
them, however many times there are, so P_τ U is made of the products of these few, one group of neighbouring modes after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from dualib.core.typing import Float, FloatArray
from ntkinfo.resources import batch_size, column_blocks

_GROUPS = 8  # of modes, at least, where there are enough
_LEAST, _MOST = 64, 512  # modes in a group
_TOLERANCE = 1e-15  # of a response's size over all modes, in units of their standard deviations


@dataclass(frozen=True)
class _Group:
    modes: slice
    pivots: FloatArray  # responses of these modes at some times, (r, modes)
    weights: FloatArray  # of which those at all times consist, (T, r)


def half_products(
    rows: Float[np.ndarray, "m n"], matrix: Float[np.ndarray, "n n"], responses: Float[np.ndarray, "t n"]
) -> Iterator[tuple[slice, Float[np.ndarray, "t p n"]]]:
    """Products (rows * response) U at all times, some rows after others; U + U^T is the symmetric `matrix`, U an upper triangle.

    Yields
    ------
    slice
        Which rows.
    array, shape (T, p, n)
        Their products, which the caller may overwrite.

    Examples
    --------
    >>> matrix, times = np.array([[2.0, 1.0], [1.0, 4.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    >>> ((where, found),) = half_products(np.ones((1, 2)), matrix, times)
    >>> found[:, 0]
    array([[1., 3.],
           [0., 2.]])
    """
    n, groups = (
        len(matrix),
        _groups(responses, np.abs(rows).max(axis=0) * np.sqrt(np.maximum(np.diagonal(matrix), 0.0))),
    )
    weights = np.concatenate([group.weights for group in groups], axis=1)
    step = max(1, 2 * batch_size(n) // (sum(weights.shape) * n))
    for where in column_blocks(len(rows), step):
        count = len(rows[where])
        products, end = np.zeros((weights.shape[1], count, n)), 0
        found = np.empty((len(weights), count, n))
        for group in groups:
            these, own = group.modes, np.triu(matrix[group.modes, group.modes])
            own[np.diag_indices_from(own)] *= 0.5
            left = (group.pivots[:, None] * rows[where, these]).reshape(-1, len(own))
            mine = products[end : end + len(group.pivots)]
            mine[..., these] = (left @ own).reshape(len(mine), count, len(own))
            mine[..., these.stop :] = (left @ matrix[these, these.stop :]).reshape(len(mine), count, n - these.stop)
            end += len(mine)
            found[..., these] = np.tensordot(weights[:, :end], products[:end, :, these], axes=1)
        yield where, found


def _groups(responses: FloatArray, size: FloatArray) -> list[_Group]:
    """Neighbouring modes with what the responses of all times to them consist of, to the rounding of the responses to all modes."""
    sized = responses * size
    norms = np.linalg.norm(sized, axis=1)
    norms[norms == 0] = 1.0
    found, n = [], responses.shape[1]
    for modes in column_blocks(n, min(max(-(-n // _GROUPS), _LEAST), _MOST)):
        chosen, weights = _span(sized[:, modes] / norms[:, None])
        found.append(_Group(modes, responses[chosen, modes], weights * norms[:, None] / norms[chosen]))
    return found


def _span(rows: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Which rows span all, each of norm at most one, and the coefficients: rows ≈ coefficients @ rows[chosen]."""
    _, triangle, order = qr(rows.T, mode="economic", pivoting=True)
    rank = int((np.abs(np.diagonal(triangle)) > _TOLERANCE).sum())
    coefficients = np.zeros((len(rows), rank))
    coefficients[order[:rank]] = np.eye(rank)
    if rank:
        coefficients[order[rank:]] = solve_triangular(triangle[:rank, :rank], triangle[:rank, rank:]).T
    return order[:rank], coefficients
