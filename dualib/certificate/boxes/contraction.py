"""The share γ of β for which H(q) − γ H(p_q) is concave in q: one over the contraction coefficient of the rows."""

from __future__ import annotations

import numpy as np

from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray

SPARED = (
    0.01  # of the largest γ, where the relaxation may be flat and Newton's steps singular; room for γ's rounding, too
)
PAIRS_AT_A_TIME, PAIRS_REFINED = 1 << 20, 512  # entries of the table of pairs of rows; pairs bounded exactly at a time
MOST_ROWS = 4096  # up to which all pairs are looked at: a second


def concave_share(
    rows: Float[np.ndarray, "n k"], deviations: Float[np.ndarray, "n k"] | None = None, step: float = 1.0
) -> float:
    r"""A γ for which H(q) − γ H(p_q) is concave in q: one over the KL contraction coefficient of the rows.

    .. math:: 1/\gamma = \max_{x,x'} \max_{0<\alpha<1} c(\alpha), \qquad
              c(\alpha) = \alpha(1-\alpha) \sum_y \frac{(p_x - p_{x'})^2}{\alpha p_x + (1-\alpha) p_{x'}} \le h^2 - h^4/4

    with h² = Σ_y (√p_x − √p_x')². The coefficient is reached on two rows: [ordentlich2021]_. c is concave in α, so that its
    tangent at any α bounds it. Above 4096 rows, 1, which always holds.

    Parameters
    ----------
    rows : p(y|x).
    deviations, step : the rows are something they have in common + step · deviations; γ step² is returned. Default the rows, and 1.
    """
    if len(rows) > MOST_ROWS:
        return step**2
    root, largest = np.sqrt(rows), 1e-15
    size = max(1, PAIRS_AT_A_TIME // rows.size)
    apart = rows if deviations is None else deviations
    for i in range(0, len(rows), size):
        # By differences of deviations: both 1 − Σ√(pp') and those of roots lose digits where the rows are nearly equal.
        between = (apart[i : i + size, None, :] - apart) / np.maximum(root[i : i + size, None, :] + root, TINY)
        squared = (between**2).sum(axis=2)
        bound = squared - 0.25 * (step * squared) ** 2
        first, second = np.nonzero(bound > largest)
        order = np.argsort(-bound[first, second])
        for k in range(0, len(order), PAIRS_REFINED):
            worst = order[k : k + PAIRS_REFINED]
            here, other = first[worst], second[worst]
            if bound[here[0], other[0]] <= largest:
                break
            squares = (apart[i + here] - apart[other]) ** 2
            refined = np.minimum(bound[here, other], _two_row_contraction(rows[i + here], rows[other], squares))
            largest = max(largest, float(refined.max()))
    return float((1.0 - 1e-12) / largest)


def usable_share(beta: float, largest: float) -> float:
    """γ ≤ min(β, largest): all of β where that may be, a little less than the largest where chords are needed anyway."""
    return beta if beta <= largest else largest * (1.0 - min(SPARED, 0.1 * (beta / largest - 1.0)))


def _two_row_contraction(p: FloatArray, other: FloatArray, squares: FloatArray) -> FloatArray:
    """Upper bounds of max_α c(α) of pairs of rows (N, K), given (p − p')², by bisection for the maximum and the tangent there."""
    low, high = np.zeros((len(p), 1)), np.ones((len(p), 1))
    for _ in range(16):
        middle = 0.5 * (low + high)
        mixture = np.maximum(middle * p + (1.0 - middle) * other, 1e-300)
        share = squares / mixture
        slope = ((1.0 - 2.0 * middle) * share - middle * (1.0 - middle) * share * (p - other) / mixture).sum(axis=1)
        low, high = np.where(slope[:, None] > 0, middle, low), np.where(slope[:, None] > 0, high, middle)
    value = (middle * (1.0 - middle) * share).sum(axis=1)
    return np.asarray(value + np.abs(slope) * (high - low)[:, 0])
