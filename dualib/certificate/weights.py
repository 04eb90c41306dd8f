r"""The maximum of log G by branch and bound over the posterior weights q of few x, instead of over the decoders r.

.. math:: \max_r \log G(r) = \max_q f(q), \qquad f(q) = H(q) + \sum_x q_x \log w_x - \beta \min_r \sum_x q_x d(x, r)

because log Σ e^{t_x} = max_q H(q) + ⟨q, t⟩. The last part is convex in q (a minimum of linear functions, negated), so over a
simplex of q with vertices v_i it lies below its interpolation, and with H(q) ≤ −⟨q, log q₀⟩ for any distribution q₀

.. math:: f \le \max_i \Big[ \langle v_i, \log w - \log q_0 \rangle - \beta \min_r \sum_x v_{ix} d(x, r) \Big].

The search has the dimension |X| − 1 and does not know how small a p(y|x) is.
"""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms
from dualib.certificate.dual_function import Ceiling, DualFunction
from dualib.core.special import TINY, entropy_nats
from dualib.core.typing import Float, FloatArray

CELLS = 1 << 12  # at a time
STEPS = 3  # towards the best q₀ of a cell


def max_log_g_over_weights(g: DualFunction, atoms: Atoms, tolerance: float, max_cells: int) -> Ceiling:
    """Rigorous maximum of log G; arguments and result as for :func:`dualib.certificate.simplex.max_log_g`."""
    log_g = g.log(atoms)
    best, argmax = float(log_g.max()), atoms[log_g.argmax()]
    cells = np.eye(len(g.log_weights))[None]
    convex = convex_part(g, cells)
    examined, upper = 0, max(best, 0.0)
    while len(cells):
        take, cells_left, convex_left = slice(CELLS), cells[CELLS:], convex[CELLS:]
        cells, convex = cells[take], convex[take]
        bound, q0 = cell_bound(g, cells, convex)
        examined += len(cells)
        r = g.problem.decode(q0)
        value = g.log(r)
        if value.max() > best:
            best, argmax = float(value.max()), r[value.argmax()]
        ceiling = max(best, 0.0) + tolerance
        if examined >= max_cells:
            rest = [
                cell_bound(g, cells_left[i : i + CELLS], convex_left[i : i + CELLS])[0].max()
                for i in range(0, len(cells_left), CELLS)
            ]
            upper = max([upper, float(bound.max()), *map(float, rest)])
            break
        keep = bound > ceiling
        upper = max(upper, float(bound[~keep].max(initial=-np.inf)))
        halves, values = _bisect(g, cells[keep], convex[keep])
        # The new cells first: the search goes deep before it goes wide, and keeps few cells.
        cells, convex = np.concatenate([halves, cells_left]), np.concatenate([values, convex_left])
    upper = max(upper, best)
    return Ceiling(upper, best, argmax, examined, upper <= max(best, 0.0) + tolerance)


def convex_part(g: DualFunction, q: Float[np.ndarray, "*shape n_x"]) -> Float[np.ndarray, "*shape"]:
    """⟨q, log w⟩ − β min_r Σ_x q_x d(x, r) for weights (..., n_x)."""
    flat = q.reshape(-1, q.shape[-1])
    distortion = g.problem.distortion_at(g.beta, g.problem.decode(flat))
    value = flat @ g.log_weights - g.beta * (flat * distortion).sum(axis=1)
    return np.asarray(value.reshape(q.shape[:-1]))


def cell_bound(
    g: DualFunction, cells: Float[np.ndarray, "n v n_x"], convex: Float[np.ndarray, "n v"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n_x"]]:
    """Upper bounds of f over cells (N, v, n_x), and the q₀ that gave them.

    The best q₀ maximises H(q) + Σ_i b_i convex_i over q = Σ_i b_i v_i: the capacity of a channel with costs, towards which
    the steps of Arimoto and Blahut go ([blahut1972]_); every q₀ on the way gives a bound.
    """
    b = np.full(cells.shape[:2], 1.0 / cells.shape[1])
    best, best_q = np.full(len(cells), np.inf), cells.mean(axis=1)
    for _ in range(STEPS):
        q = (b[:, None, :] @ cells)[:, 0]
        score = convex - (cells @ np.log(np.maximum(q, TINY))[:, :, None])[:, :, 0]
        bound = score.max(axis=1)
        better = bound < best
        best, best_q = np.where(better, bound, best), np.where(better[:, None], q, best_q)
        spread = np.maximum(bound - score.min(axis=1), TINY)
        b = b * np.exp((score - bound[:, None]) * np.maximum(1.0, 0.7 / spread)[:, None])
        b = np.maximum(b, 1e-3)
        b /= b.sum(axis=1, keepdims=True)
    return best, best_q


def _bisect(g: DualFunction, cells: FloatArray, convex: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both halves of every cell, cut across the edge along which the bound loses most, with the convex parts at their vertices."""
    first, second = np.triu_indices(cells.shape[1], 1)
    middle = 0.5 * (cells[:, first] + cells[:, second])
    at_middle = convex_part(g, middle)
    entropy = entropy_nats(cells)
    loss = 0.5 * (convex[:, first] + convex[:, second]) - at_middle
    loss = loss + entropy_nats(middle) - 0.5 * (entropy[:, first] + entropy[:, second])
    worst = loss.argmax(axis=1)
    rows, a, b = np.arange(len(cells)), first[worst], second[worst]
    left, right, left_value, right_value = cells.copy(), cells.copy(), convex.copy(), convex.copy()
    left[rows, a], right[rows, b] = middle[rows, worst], middle[rows, worst]
    left_value[rows, a], right_value[rows, b] = at_middle[rows, worst], at_middle[rows, worst]
    return np.concatenate([left, right]), np.concatenate([left_value, right_value])
