r"""A lower bound of F(β) from a coarser Y: where there are too many symbols for boxes, some are merged.

For IB and dualIB d(x, r) is a divergence, which does not grow when symbols y are merged, so that every point of the problem is
one of the coarser problem with no larger objective:

.. math:: F(\beta) \ge F_{\text{coarse}}(\beta).

Which are merged decides how much is lost: two at a time, those that cost least of I(X;Y) ([slonim2000]_, the other way round).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray
from dualib.joint import Joint

SYMBOLS = 12  # with more the boxes of the coarser problem seldom close, with fewer it says less
MERGING = 2e8  # numbers n_x n_y² up to which symbols are merged: a second


def can_be_coarser(problem: Bottleneck, n_y: int) -> bool:
    """Whether the symbols of a problem are more than n_y, and not too many to be merged."""
    n_x, many = problem.p_y_given_x.shape
    return bool(many > n_y and n_x * many**2 <= MERGING)


@lru_cache(maxsize=8)
def coarser(problem: Bottleneck, n_y: int) -> Bottleneck:
    """The problem with its symbols merged to n_y, equal rows merged."""
    joint = Joint(merged_symbols(problem.joint.p_xy, n_y))
    return replace(problem, joint=joint).reduced


def rounding(problem: Bottleneck, beta: float) -> float:
    """What the rounding of merged probabilities may have added to F of the coarser problem, nats."""
    seen = problem.p_y_given_x[problem.p_y_given_x > 0]
    return float(8 * EPS * problem.joint.n_y * (1.0 + beta * (1.0 - np.log(seen.min()))))


def merged_symbols(p_xy: Float[np.ndarray, "n_x n_y"], n_y: int) -> Float[np.ndarray, "n_x k"]:
    """The joint with columns added up until n_y are left, each time the two that cost least of I(X;Y)."""
    columns = p_xy.T.copy()
    own = _negative_entropy(columns)
    cost = np.array([_cost(columns, own, i) for i in range(len(columns))])
    left = np.ones(len(columns), dtype=bool)
    for _ in range(len(columns) - n_y):
        i, j = map(int, np.unravel_index(cost.argmin(), cost.shape))
        columns[i] += columns[j]
        left[j] = False
        own[i] = _negative_entropy(columns[[i]])[0]
        new = np.where(left, _cost(columns, own, i), np.inf)
        cost[i] = cost[:, i] = new
        cost[j] = cost[:, j] = np.inf
    return np.asarray(columns[left].T)


def _negative_entropy(columns: FloatArray) -> FloatArray:
    """Σ_x p log p − P log P for P = Σ_x p, of every column: what it brings to I(X;Y), but for H(X)."""
    total = columns.sum(axis=1)
    inner = (columns * np.log(np.maximum(columns, 1e-300))).sum(axis=1)
    return np.asarray(inner - total * np.log(np.maximum(total, 1e-300)))


def _cost(columns: FloatArray, own: FloatArray, i: int) -> FloatArray:
    cost = own[i] + own - _negative_entropy(columns + columns[i])
    cost[i] = np.inf
    return np.asarray(cost)
