r"""What is left of a box when only maxima of G count: the decoder is the mean of the rows by the shares of their terms.

A global maximum r* of G is a fixed point of the alternating iteration: with the shares q_x = w_x e^{−βd(x,r*)} / G(r*) of the terms, r* is
Σ_x q_x p_x (IB), or its log-odds are Σ_x q_x t_x (dualIB). In a box that holds it, and given a value log G ≥ L that was met somewhere,

.. math:: q_x \le T_x = w_x \exp\Big(-\beta \min_{r \in \text{box}} d(x, r) - L\Big),

which says how large and how small Σ_x q_x p_x(y) can be. The box is cut down to that, which makes T smaller, and so on. Where
Σ_x T_x < 1, no maximum is in the box. (Derived here.) Far from a maximum, and wherever the rows that count are few, this leaves little
or nothing of boxes whose bounds by chords are still nats above the goal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dualib.core.typing import Float, FloatArray, IntArray

STEPS = 6  # of regula falsi
FURTHEST = 1e3  # λ and 1/λ, from which it starts
SMALLEST = 1e-300
ROUNDS = 8  # of tightening a box
WORTH = 0.8  # a round that leaves more than this share of the sides, in the geometric mean, is the last


def narrowed(
    low: Float[np.ndarray, "N k"],
    high: Float[np.ndarray, "N k"],
    once: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
) -> tuple[FloatArray, FloatArray]:
    """Boxes cut down by `once`, again and again as long as that takes much of them; high < low − 1e-12 where nothing is left."""
    low, high = low.copy(), high.copy()
    left = np.arange(len(low))
    for _ in range(ROUNDS):
        before = high[left] - low[left]
        low[left], high[left] = once(low[left], high[left])
        width = high[left] - low[left]
        volume = np.divide(width, before, out=np.ones_like(width), where=before > 0).prod(axis=1)
        left = left[(volume < WORTH ** low.shape[1]) & (width >= -1e-12).all(axis=1)]
        if not len(left):
            break
    return low, high


def capped_means(
    columns: Float[np.ndarray, "n k"], order: IntArray, log_caps: Float[np.ndarray, "N n"]
) -> tuple[Float[np.ndarray, "N k"], Float[np.ndarray, "N k"]]:
    """The least and the largest Σ_x q_x columns[x, y] over distributions q ≤ caps, every y.

    Parameters
    ----------
    columns : numbers for every x, shape (n, K).
    order : (n, K), what sorts each column upwards.
    log_caps : logarithms of the caps, (N, n). Where the caps' sum is below 1 there is no q, and the least is above the largest.
    """
    caps = np.exp(np.minimum(log_caps, 0.0))
    total = caps.sum(axis=1)
    least, most = (np.empty((len(caps), columns.shape[1])) for _ in range(2))
    for y in range(columns.shape[1]):
        value = columns[order[:, y], y]
        # Mass on the values up to each, if as much as can be lies low, and if as much as can be lies high.
        below = np.cumsum(caps[:, order[:, y]], axis=1)[:, :-1]
        step = np.diff(value)
        least[:, y] = value[-1] - np.minimum(below, 1.0) @ step
        below += (1.0 - total)[:, None]
        most[:, y] = value[-1] - np.maximum(below, 0.0) @ step
    none = total < 1.0
    least[none], most[none] = np.inf, -np.inf
    return least, most


def nearest_mixture(
    rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
) -> Float[np.ndarray, "N n"]:
    r"""Lower bounds of D(p_x‖r) over distributions low ≤ r ≤ high.

    .. math:: D(p\|r) \ge \sum_y \min_{l \le r_y \le u} \Big[ p_y \log\frac{p_y}{r_y} + \lambda r_y \Big] - \lambda

    for every λ, nearly the minimum where Σ_y r_y = 1; r_y is p_y/λ, or the end of [l, u] next to it.
    """
    scale = _scale(rows, low, high)
    log_scale = np.log(scale)
    log_rows, log_low, log_high = (np.log(np.maximum(array, SMALLEST)) for array in (rows, low, high))
    distance = np.empty((len(low), len(rows)))
    distance[:] = np.where(rows > 0, rows * log_rows, 0.0).sum(axis=1)
    total, r = np.full_like(distance, -1.0), np.empty_like(distance)
    for y in range(rows.shape[1]):
        np.divide(rows[:, y], scale, out=r)
        np.minimum(np.maximum(r, low[:, y, None], out=r), high[:, y, None], out=r)
        total += r
        np.subtract(log_rows[:, y], log_scale, out=r)
        np.minimum(np.maximum(r, log_low[:, y, None], out=r), log_high[:, y, None], out=r)
        r *= rows[:, y]
        distance -= r
    total *= scale
    distance += total
    return distance


def nearest_deviation(
    p: Float[np.ndarray, "n k"],
    deviations: Float[np.ndarray, "n k"],
    step: float,
    low: Float[np.ndarray, "N k"],
    high: Float[np.ndarray, "N k"],
) -> Float[np.ndarray, "N n"]:
    r"""Lower bounds of D(p_x‖r)/h² over r = m + h c, low ≤ c ≤ high, where the rows p are m + h c_x, too, and nearly equal.

    .. math:: \frac{D(p\|r)}{h^2} \ge \sum_y \min_{l \le c_y \le u} \Big[ p_y \frac{\xi_y - \log(1 + h\xi_y)/h}{h} + \lambda c_y \Big], \qquad r = p (1 + h\xi),

    for every λ, as Σ c = 0; ξ_y is −λ/(1 + hλ), or at an end of [l, u]. And x − log(1 + x) ≥ 3x²/(6 + 4x).
    """
    level = _level(p, deviations, low, high)
    multiplier = -level / (1.0 + step * level)
    distance, total = np.zeros_like(level), np.zeros_like(level)
    for y in range(p.shape[1]):
        c, scale = deviations[:, y], p[:, y]
        xi = np.clip(level, (low[:, y, None] - c) / scale, (high[:, y, None] - c) / scale)
        distance += scale * 3.0 * xi * xi / (6.0 + 4.0 * step * xi)
        total += c + scale * xi
    distance += multiplier * total
    return distance


def nearest_log_mixture(
    log_rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
) -> Float[np.ndarray, "N n"]:
    r"""Lower bounds of D(r‖p_x) over distributions low ≤ r ≤ high, with the same r.

    .. math:: D(r\|p) \ge \sum_y \min_{l \le r_y \le u} \Big[ r_y \log\frac{r_y}{p_y} + (\log\lambda - 1)\, r_y \Big] - \log\lambda + 1
    """
    log_scale = np.log(_scale(np.exp(log_rows), low, high))
    log_low, log_high = np.log(np.maximum(low, SMALLEST)), np.log(np.maximum(high, SMALLEST))
    distance, log_r = 1.0 - log_scale, np.empty_like(log_scale)
    for y in range(log_rows.shape[1]):
        np.subtract(log_rows[:, y], log_scale, out=log_r)
        np.minimum(np.maximum(log_r, log_low[:, y, None], out=log_r), log_high[:, y, None], out=log_r)
        r = np.exp(log_r)
        log_r += log_scale
        log_r -= log_rows[:, y] + 1.0
        log_r *= r
        distance += log_r
    return distance


def _level(rows: FloatArray, deviations: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """ξ (N, n) for which the sum over y of c_x + p ξ, clipped to [low, high], is nearly 0, in single precision."""
    far = 2.0 * float((np.abs(deviations) / rows).max())
    p, own = (np.ascontiguousarray(array.T.astype(np.float32)) for array in (rows, deviations))
    low, high = low.astype(np.float32), high.astype(np.float32)

    def excess(level: np.ndarray) -> np.ndarray:
        total, c = np.zeros_like(level), np.empty_like(level)
        for y in range(len(own)):
            np.subtract(own[y], np.multiply(p[y], level, out=c), out=c)
            total += np.minimum(np.maximum(c, low[:, y, None], out=c), high[:, y, None], out=c)
        return total

    ends = (end.sum(axis=1, keepdims=True) for end in (high, low))
    return -_zero_of(excess, (len(low), len(rows)), far, *ends)


def _scale(rows: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """λ (N, n) for which the sum over y of p_y/λ, clipped to [low, high], is nearly 1, in single precision."""
    columns = np.ascontiguousarray(rows.T.astype(np.float32))
    low, high = low.astype(np.float32), high.astype(np.float32)

    def excess(log_scale: np.ndarray) -> np.ndarray:
        inverse, total = np.exp(-log_scale), np.full_like(log_scale, -1.0)
        r = np.empty_like(inverse)
        for y in range(rows.shape[1]):
            np.multiply(columns[y], inverse, out=r)
            np.minimum(np.maximum(r, low[:, y, None], out=r), high[:, y, None], out=r)
            total += r
        return total

    ends = (end.sum(axis=1, keepdims=True) - 1 for end in (high, low))
    return np.exp(_zero_of(excess, (len(low), len(rows)), float(np.log(FURTHEST)), *ends))


def _zero_of(
    falling: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, int],
    far: float,
    above: FloatArray,
    below: FloatArray,
) -> FloatArray:
    """Nearly the zeros of functions on [−far, far], given their values at the ends: regula falsi, in single precision."""
    left, right, middle = (np.full(shape, at, np.float32) for at in (-far, far, 0.0))
    above, below = np.broadcast_to(above, shape), np.broadcast_to(below, shape)
    for step in range(STEPS - 1):
        total = falling(middle)
        up = total > 0
        above, below = np.where(up, total, 0.5 * above), np.where(up, 0.5 * below, total)
        left, right = np.where(up, middle, left), np.where(up, right, middle)
        if step == 0:  # the next is near 1, not half of the way to the far end
            middle = np.where(up, np.float32(1.0), np.float32(-1.0))
        else:
            share = above / np.maximum(above - below, np.float32(1e-30))
            middle = left + (right - left) * np.clip(share, np.float32(0.05), np.float32(0.95))
    return middle.astype(np.float64)
