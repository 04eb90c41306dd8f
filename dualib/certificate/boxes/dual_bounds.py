r"""Upper bounds of log G over boxes of log-odds: the dual information bottleneck without its decoder.

With H(q) + ⟨q, t⟩ ≤ log Σ e^t and min_r Σ_x q_x D(r‖p_x) = −log Σ_y exp Σ_x q_x log p_x(y),

.. math:: \max_r \log G(r) = \max_q f(q), \qquad f(q) = H(q) + ⟨q, \log a⟩ + \beta \log \sum_y e^{t_y(q)}, \qquad t(q) = \sum_x q_x t_x,

where t_x = log p_x − mean_y log p_x are the log-odds of row x and log a_x = log w_x + β mean_y log p_x. Each e^{t_y} is convex in one
number, so that on a box l ≤ t ≤ u a chord for every y leaves a concave maximisation (the logarithm of an affine function is concave),
whose dual has one multiplier a symbol, and τ for the logarithm. (Derived here; the counterpart of :mod:`dualib.certificate.boxes.bounds`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dualib.certificate.boxes.bounds import log_sum_exp
from dualib.certificate.boxes.splits import NARROW
from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray, IntArray

SLACK = 1e-12  # relative, for the rounding of what a box of log-odds says of the decoder


@dataclass(frozen=True, eq=False)
class DualRelaxation:
    """G's log-odds and weights at one β.

    Attributes
    ----------
    log_weights : log w_x, shape (n,), nats.
    log_rows : log p(y|x), shape (n, K).
    beta : β.
    odds : t_x, shape (n, K); every row sums to 0.
    log_a : log w_x + β mean_y log p_x(y), shape (n,), nats.
    products : t_x(y) t_x(y') for y ≤ y', shape (n, K(K + 1)/2); `unpack` (K, K) are the places of (y, y') in it.
    """

    log_weights: FloatArray
    log_rows: FloatArray
    beta: float
    odds: FloatArray
    log_a: FloatArray
    products: FloatArray
    unpack: IntArray

    @classmethod
    def of(cls, log_weights: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], beta: float) -> Self:
        """The relaxation of G(r) = Σ_x w_x e^{−βD(r‖p_x)}, every p(y|x) > 0."""
        log_rows, k = np.log(rows), rows.shape[1]
        mean = log_rows.mean(axis=1)
        odds = log_rows - mean[:, None]
        upper = np.triu_indices(k)
        unpack = np.empty((k, k), dtype=np.int64)
        unpack[upper] = unpack[upper[::-1]] = np.arange(len(upper[0]))
        products = odds[:, upper[0]] * odds[:, upper[1]]
        return cls(log_weights, log_rows, beta, odds, log_weights + beta * mean, products, unpack)

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders r > 0 (shape (m, K)), nats."""
        own = (r * np.log(r)).sum(axis=1)
        log_g: FloatArray = log_sum_exp(self.log_weights + self.beta * (r @ self.log_rows.T))[0] - self.beta * own
        return log_g

    @property
    def unit(self) -> float:
        """The rounding error of sums over x and y relative to the size of their terms."""
        n, k = self.odds.shape
        return float(EPS * (n + 4 * k + 16))

    @property
    def rounding(self) -> float:
        """Allowance for floating-point error in log G, in f and in second-order bounds, nats.

        What large multipliers add to a bound is in it already.
        """
        depth = 1.0 + float(np.abs(self.log_rows).max()) + float(np.log(self.odds.shape[1]))
        return self.unit * (1.0 + float(np.abs(self.log_weights).max()) + 4.0 * self.beta * depth)


@dataclass(frozen=True, eq=False)
class DualChords:
    """Boxes l ≤ t ≤ u (N, K) with e^{t − shift} ≤ slope · t + offset on them, every y; shift (N,) is the largest u of each box."""

    low: FloatArray
    high: FloatArray
    slope: FloatArray
    offset: FloatArray
    shift: FloatArray

    @classmethod
    def of(cls, low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> Self:
        """Chords over boxes; the offset is the larger of what the two ends ask for, so that rounding cannot hurt."""
        shift = high.max(axis=1)
        at_low, at_high = np.exp(low - shift[:, None]), np.exp(high - shift[:, None])
        width = high - low
        narrow = width < NARROW
        slope = np.where(narrow, at_high, (at_high - at_low) / np.where(narrow, 1.0, width))
        return cls(low, high, slope, np.maximum(at_low - slope * low, at_high - slope * high), shift)

    def take(self, index: IntArray | np.ndarray) -> Self:
        """The chords of some of the boxes."""
        return type(self)(self.low[index], self.high[index], self.slope[index], self.offset[index], self.shift[index])

    def gaps(self, t: FloatArray) -> FloatArray:
        """How far the chords are above e^{t − shift} at t (N, K), every y."""
        return self.slope * t + self.offset - np.exp(t - self.shift[:, None])


@dataclass(frozen=True, eq=False)
class DualPoint:
    """What multipliers give: bounds of f over boxes and the q behind them.

    Attributes
    ----------
    excess : e (N, K), whose sign says at which end of [l, u] the bound is taken; `log_tau` : log τ − shift, (N,).
    bound : (N,), upper bounds of f(q), over every q with t(q) in the box, rounding included.
    value : (N,), f at q itself, a lower bound of max log G (t(q) need not be in the box).
    mean : t(q), (N, K).
    posterior : q, (N, n).
    """

    excess: FloatArray
    log_tau: FloatArray
    bound: FloatArray
    value: FloatArray
    mean: FloatArray
    posterior: FloatArray

    def replaced(self, index: np.ndarray, other: DualPoint, chosen: np.ndarray) -> None:
        """Overwrite the places `index[chosen]` with the places `chosen` of `other`."""
        at = index[chosen]
        for name in ("excess", "log_tau", "bound", "value", "mean", "posterior"):
            getattr(self, name)[at] = getattr(other, name)[chosen]


def dual_bound_at(
    relaxation: DualRelaxation,
    chords: DualChords,
    excess: Float[np.ndarray, "N k"],
    log_tau: Float[np.ndarray, " N"],
) -> DualPoint:
    r"""The bound of f over boxes that multipliers e and τ give; it holds for every e and every τ > 0.

    .. math:: f \le \log \sum_x a_x e^{\mu \cdot t_x} + \beta\Big(\sigma + \tau \sum_y c_y - 1 - \log\tau\Big)
              + \sum_y \max_{t \in \{l_y, u_y\}} e_y t, \qquad \mu = \beta \tau g - e

    For q with t = t(q) in the box, log Σ e^t ≤ σ + log S ≤ σ + τS − 1 − log τ with S = Σ (g_y t_y + c_y), and
    H(q) + ⟨q, log a⟩ + μ·t is at most the first term. `log_tau` is log τ − σ, which does not depend on the shift σ.
    """
    r, tau = relaxation, np.exp(log_tau + chords.shift)
    mu = r.beta * tau[:, None] * chords.slope - excess
    log_sum, posterior = log_sum_exp(r.log_a + mu @ r.odds.T)
    mean = posterior @ r.odds
    level = tau * chords.offset.sum(axis=1) - 1.0 - log_tau  # σ and the shift of log τ cancel
    at_low, at_high = excess * chords.low, excess * chords.high
    bound = log_sum + r.beta * level + np.maximum(at_low, at_high).sum(axis=1)
    size = np.abs(mu).sum(axis=1) * np.abs(r.odds).max() + np.maximum(np.abs(at_low), np.abs(at_high)).sum(axis=1)
    size += r.beta * (1.0 + tau * np.abs(chords.offset).sum(axis=1) + np.abs(log_tau) + np.abs(chords.shift))
    top = mean.max(axis=1)
    value = log_sum - (mean * mu).sum(axis=1) + r.beta * (top + np.log(np.exp(mean - top[:, None]).sum(axis=1)))
    return DualPoint(excess, log_tau, bound + r.unit * size, value, mean, posterior)


def balanced(low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> tuple[FloatArray, FloatArray]:
    """Boxes cut down to what Σ t = 0 leaves of them, with room for rounding; high < low where that is nothing."""
    slack = SLACK * (1.0 + np.maximum(np.abs(low), np.abs(high)).sum(axis=1, keepdims=True))
    high = np.minimum(high, slack - (low.sum(axis=1, keepdims=True) - low))
    low = np.maximum(low, -slack - (high.sum(axis=1, keepdims=True) - high))
    return low, high


def decoders_of(low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> tuple[FloatArray, FloatArray]:
    """The box of decoders r ∝ e^t, l ≤ t ≤ u: smallest and largest r_y (N, K), rounded outwards."""
    top = high.max(axis=1, keepdims=True)
    at_low, at_high = np.exp(low - top), np.exp(high - top)
    others = 1.0 - np.eye(low.shape[1])  # by products, not by differences, which would lose the small ones
    least = at_low / np.maximum(at_low + at_high @ others, 1e-300)
    most = at_high / np.maximum(at_high + at_low @ others, 1e-300)
    return least * (1.0 - SLACK), np.minimum(most * (1.0 + SLACK), 1.0)
