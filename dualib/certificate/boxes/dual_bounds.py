r"""Upper bounds of log G over boxes of log-odds: the dual information bottleneck without its decoder.

With H(q) + ⟨q, t⟩ ≤ log Σ e^t and min_r Σ_x q_x D(r‖p_x) = −log Σ_y exp Σ_x q_x log p_x(y), for any distribution m over y,

.. math:: \max_r \log G(r) = \max_q f(q), \qquad f(q) = H(q) + ⟨q, \log a⟩ + \beta \log\Big(1 + \sum_y m_y h(t_y(q))\Big), \qquad t(q) = \sum_x q_x t_x,

where t_x = log(p_x/m) + D(m‖p_x) are the log-odds of row x, so that Σ_y m_y t_x(y) = 0, h(t) = e^t − 1 − t, and
log a_x = log w_x − β D(m‖p_x). Each h is convex in one number, so that on a box l ≤ t ≤ u a chord for every y leaves a concave
maximisation (the logarithm of an affine function is concave), whose dual has one multiplier a symbol, and τ for the logarithm.
(Derived here; the counterpart of :mod:`dualib.certificate.boxes.bounds`.)

Where the rows are nearly equal, m is their mean: β may be as large as 1/t², and log a, β h and β D are then made of β t², with no
1 that would cancel. Elsewhere m is uniform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dualib.certificate.boxes.bounds import log_sum_exp
from dualib.certificate.boxes.splits import NARROW
from dualib.core.special import EPS, expm1_gap, kl_terms, log_ratio
from dualib.core.typing import Bool, Float, FloatArray, IntArray

SLACK = 1e-12  # relative, for the rounding of what a box of log-odds says of the decoder
NEAR = 0.25  # rows are nearly equal where all p(y|x) are this near their mean, relative to it
FAR = 4.0  # times the largest |t|: so far may log(r/m) be for what rounding is allowed


@dataclass(frozen=True, eq=False)
class DualRelaxation:
    """G's log-odds and weights at one β.

    Attributes
    ----------
    log_weights : log w_x, shape (n,), nats.
    log_rows : log p(y|x), shape (n, K).
    beta : β.
    near : whether the rows are nearly equal.
    centre : m, shape (K,).
    odds : t_x, shape (n, K).
    largest : the largest |t_x(y)| of every y, shape (K,).
    log_a : log w_x − β D(m‖p_x), shape (n,), nats.
    products : t_x(y) t_x(y') for y ≤ y', shape (n, K(K + 1)/2); `unpack` (K, K) are the places of (y, y') in it.
    """

    log_weights: FloatArray
    log_rows: FloatArray
    beta: float
    near: bool
    centre: FloatArray
    odds: FloatArray
    largest: FloatArray
    log_a: FloatArray
    products: FloatArray
    unpack: IntArray

    @classmethod
    def of(cls, log_weights: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], beta: float) -> Self:
        """The relaxation of G(r) = Σ_x w_x e^{−βD(r‖p_x)}, every p(y|x) > 0."""
        centre, k = rows.mean(axis=0), rows.shape[1]
        near = bool((np.abs(rows - centre) <= NEAR * centre).all())
        if not near:
            centre = np.full(k, 1.0 / k)
        log = log_ratio(centre, rows)[1]
        odds = log - (log @ centre)[:, None]
        upper = np.triu_indices(k)
        unpack = np.empty((k, k), dtype=np.int64)
        unpack[upper] = unpack[upper[::-1]] = np.arange(len(upper[0]))
        return cls(
            log_weights=log_weights,
            log_rows=np.log(rows),
            beta=beta,
            near=near,
            centre=centre,
            odds=odds,
            largest=np.abs(odds).max(axis=0),
            log_a=log_weights - beta * kl_terms(centre, rows).sum(axis=1),
            products=odds[:, upper[0]] * odds[:, upper[1]],
            unpack=unpack,
        )

    def log_terms(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m n"]:
        """The terms log w_x − β D(r‖p_x) + β D(r‖m), for decoders r."""
        return np.asarray(self.log_a + self.beta * ((r - self.centre) @ self.odds.T))

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders r > 0 (shape (m, K)), nats."""
        return np.asarray(log_sum_exp(self.log_terms(r))[0] - self.beta * kl_terms(r, self.centre).sum(axis=1))

    def decoders(self, t: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
        """The decoders r ∝ m e^t."""
        r = self.centre * np.exp(t - t.max(axis=1, keepdims=True))
        return np.asarray(r / r.sum(axis=1, keepdims=True))

    def log_partition(self, t: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The part β log Σ_y m_y e^{t_y} of f where Σ m t = 0."""
        return np.asarray(self.beta * np.log1p(self.convex(t).sum(axis=1)))

    def convex(self, t: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
        """The parts m h(t), to relative accuracy where rows are nearly equal; elsewhere to that of 1, in a quarter of the time."""
        return np.asarray(self.centre * (expm1_gap(t) if self.near else np.expm1(t) - t))

    @property
    def unit(self) -> float:
        """The rounding error of sums over x and y relative to the size of their terms."""
        return float(EPS * len(self.odds) + self.unit_of_y)

    @property
    def unit_of_y(self) -> float:
        """The rounding error of sums over y, and of what is done with them, relative to the size of their terms."""
        return float(EPS * (4 * self.odds.shape[1] + 16))

    @property
    def rounding(self) -> float:
        """Allowance for floating-point error in log G, in f and in second-order bounds, at all decoders that :meth:`allows`; nats.

        Exponents are sums over y; sums over x err by n units relative to themselves, and log G by as much. What large multipliers
        add to a bound is in it already. D and (r − m)·t are of the size of t² where rows are nearly equal.
        """
        furthest = float(self.largest.max())
        depth = 4.0 * furthest**2 if self.near else 1.0 + furthest + float(np.log(len(self.centre)))
        of_y = self.unit_of_y * (1.0 + float(np.abs(self.log_weights).max()) + 4.0 * self.beta * depth)
        return float(of_y + EPS * len(self.odds))

    def allows(self, r: Float[np.ndarray, "m k"]) -> Bool[np.ndarray, " m"]:
        """Decoders that are not much farther from m than the hull of nearly equal rows, where |log(r/m)| ≤ 2 max |t|; else all."""
        furthest = FAR * self.largest.max() if self.near else np.inf
        return np.asarray((np.abs(log_ratio(self.centre, r)[1]) <= furthest).all(axis=1))


@dataclass(frozen=True, eq=False)
class DualChords:
    """Boxes l ≤ t ≤ u (N, K) with m_y h(t) ≤ slope · t + offset on them, every y; `size` (N,) is what the offsets are made of."""

    low: FloatArray
    high: FloatArray
    slope: FloatArray
    offset: FloatArray
    size: FloatArray

    @classmethod
    def of(cls, relaxation: DualRelaxation, low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> Self:
        """Chords over boxes; the offset is the larger of what the two ends ask for, so that rounding cannot hurt."""
        at_low, at_high = relaxation.convex(low), relaxation.convex(high)
        width = high - low
        narrow = width < NARROW
        slope = np.where(narrow, relaxation.centre * np.expm1(high), (at_high - at_low) / np.where(narrow, 1.0, width))
        offset = np.maximum(at_low - slope * low, at_high - slope * high)
        size = np.maximum(at_low, at_high) + np.abs(slope) * np.maximum(np.abs(low), np.abs(high))
        return cls(low, high, slope, offset, size.sum(axis=1))

    def take(self, index: IntArray | np.ndarray) -> Self:
        """The chords of some of the boxes."""
        return type(self)(self.low[index], self.high[index], self.slope[index], self.offset[index], self.size[index])

    def gaps(self, relaxation: DualRelaxation, t: FloatArray) -> FloatArray:
        """How far the chords are above m h at t (N, K), every y."""
        return np.asarray(self.slope * t + self.offset - relaxation.convex(t))


@dataclass(frozen=True, eq=False)
class DualPoint:
    """What multipliers give: bounds of f over boxes and the q behind them.

    Attributes
    ----------
    excess : e (N, K), whose sign says at which end of [l, u] the bound is taken; `log_tau` : log τ, (N,).
    bound : (N,), upper bounds of f(q), over every q with t(q) in the box, rounding included.
    linear : (N,), H(q) + ⟨q, log a⟩ at q itself.
    mean : t(q), (N, K).
    posterior : q, (N, n).
    """

    excess: FloatArray
    log_tau: FloatArray
    bound: FloatArray
    linear: FloatArray
    mean: FloatArray
    posterior: FloatArray

    def replaced(self, index: np.ndarray, other: DualPoint, chosen: np.ndarray) -> None:
        """Overwrite the places `index[chosen]` with the places `chosen` of `other`."""
        at = index[chosen]
        for name in ("excess", "log_tau", "bound", "linear", "mean", "posterior"):
            getattr(self, name)[at] = getattr(other, name)[chosen]


def dual_bound_at(
    relaxation: DualRelaxation,
    chords: DualChords,
    excess: Float[np.ndarray, "N k"],
    log_tau: Float[np.ndarray, " N"],
) -> DualPoint:
    r"""The bound of f over boxes that multipliers e and τ give; it holds for every e and every τ > 0.

    .. math:: f \le \log \sum_x a_x e^{\mu \cdot t_x} + \beta\Big(\tau \sum_y c_y + h(\log\tau)\Big)
              + \sum_y \max_{t \in \{l_y, u_y\}} e_y t, \qquad \mu = \beta \tau g - e

    For q with t = t(q) in the box, log(1 + Σ m h) ≤ τ(1 + S) − 1 − log τ with S = Σ (g_y t_y + c_y), and H(q) + ⟨q, log a⟩ + μ·t
    is at most the first term.
    """
    r, tau = relaxation, np.exp(log_tau)
    mu = r.beta * tau[:, None] * chords.slope - excess
    log_sum, posterior = log_sum_exp(r.log_a + mu @ r.odds.T)
    mean = posterior @ r.odds
    linear = log_sum - (mean * mu).sum(axis=1)
    level = expm1_gap(log_tau)
    at_low, at_high = excess * chords.low, excess * chords.high
    bound = log_sum + r.beta * (tau * chords.offset.sum(axis=1) + level) + np.maximum(at_low, at_high).sum(axis=1)
    size = np.abs(mu) @ r.largest + np.maximum(np.abs(at_low), np.abs(at_high)).sum(axis=1)
    size += r.beta * (tau * chords.size + level)
    return DualPoint(excess, log_tau, bound + r.unit_of_y * size, linear, mean, posterior)


def balanced(
    relaxation: DualRelaxation, low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
) -> tuple[FloatArray, FloatArray]:
    """Boxes cut down to what Σ m t = 0 leaves of them, with room for rounding; high < low where that is nothing."""
    m = relaxation.centre
    slack = SLACK * (m @ relaxation.largest)
    at_low, at_high = m * low, m * high
    high = np.minimum(high, (slack - (at_low.sum(axis=1, keepdims=True) - at_low)) / m)
    at_high = m * high
    low = np.maximum(low, (-slack - (at_high.sum(axis=1, keepdims=True) - at_high)) / m)
    return low, high


def decoders_of(
    centre: Float[np.ndarray, " k"], low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
) -> tuple[FloatArray, FloatArray]:
    """The box of decoders r ∝ m e^t, l ≤ t ≤ u: smallest and largest r_y (N, K), rounded outwards."""
    top = high.max(axis=1, keepdims=True)
    at_low, at_high = centre * np.exp(low - top), centre * np.exp(high - top)
    others = 1.0 - np.eye(low.shape[1])  # by products, not by differences, which would lose the small ones
    least = at_low / np.maximum(at_low + at_high @ others, 1e-300)
    most = at_high / np.maximum(at_high + at_low @ others, 1e-300)
    return least * (1.0 - SLACK), np.minimum(most * (1.0 + SLACK), 1.0)
