r"""Upper bounds of log G over boxes of decoders, in any dimension: the information bottleneck without its decoder.

With H(q) + ⟨q, t⟩ ≤ log Σ e^t and Σ_x q_x D(p_x‖r) = H(p_q) − Σ_x q_x H(p_x) + D(p_q‖r), p_q = Σ_x q_x p_x,

.. math:: \max_r \log G(r) = \max_q f(q), \qquad f(q) = H(q) + ⟨q, \log a⟩ - \beta H(p_q), \quad \log a_x = \log w_x + \beta H(p_x).

−H is a sum of one-dimensional convex functions s_y log s_y, so that on a box l ≤ p_q ≤ u a chord for every y leaves a concave
maximisation, whose dual has one multiplier μ_y a symbol and no decoder. The part γ of β for which H(q) − γ H(p_q) is concave
in q anyway, γ = 1/η with the contraction coefficient η of the rows ([ordentlich2021]_), needs no chord.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dualib.certificate.boxes.splits import Chords, Split
from dualib.core.special import EPS, entropy_nats
from dualib.core.typing import Float, FloatArray, IntArray

SMALLEST = 1e-200  # probabilities below are as good as 0: what they multiply is, or the term is e^−460β
LARGEST_MULTIPLIER = 40.0  # |μ_y| ≤ 40 β: beyond, rounding would eat the bound
SPARED = (
    0.01  # of the largest γ, where the relaxation may be flat and Newton's steps singular; room for γ's rounding, too
)
PAIRS_AT_A_TIME, PAIRS_REFINED = 1 << 20, 512  # entries of the table of pairs of rows; pairs bounded exactly at a time
MOST_ROWS = 4096  # up to which all pairs are looked at: a second


@dataclass(frozen=True, eq=False)
class Relaxation:
    """G's rows and weights at one β, with the share γ of β that needs no chords.

    Attributes
    ----------
    rows : p(y|x), shape (n, K), every symbol with a positive entry.
    log_a : log w_x + β H(p_x), shape (n,), nats.
    beta, gamma : β, and γ in [0, β] with H(q) − γ H(p_q) concave.
    products : p_x(y) p_x(y') for y ≤ y', shape (n, K(K + 1)/2); `unpack` (K, K) are the places of (y, y') in it.
    """

    rows: FloatArray
    log_a: FloatArray
    beta: float
    gamma: float
    products: FloatArray
    unpack: IntArray

    @classmethod
    def of(cls, log_weights: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], beta: float) -> Self:
        """The relaxation of G(r) = Σ_x w_x e^{−βD(p_x‖r)}."""
        k = rows.shape[1]
        upper = np.triu_indices(k)
        unpack = np.empty((k, k), dtype=np.int64)
        unpack[upper] = unpack[upper[::-1]] = np.arange(len(upper[0]))
        return cls(
            rows=rows,
            log_a=log_weights + beta * entropy_nats(rows),
            beta=beta,
            gamma=_usable_share(beta, concave_share(rows)),
            products=rows[:, upper[0]] * rows[:, upper[1]],
            unpack=unpack,
        )

    @property
    def split(self) -> Split:
        """The split of β Σ s log s that γ gives, for all boxes."""
        return Split.of(self.beta, np.full((1, 1), self.gamma), np.zeros((1, 1)))

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders r > 0 (shape (m, K)), nats."""
        log_g: FloatArray = log_sum_exp(self.log_a + self.beta * np.log(r) @ self.rows.T)[0]
        return log_g

    @property
    def unit(self) -> float:
        """The rounding error of sums over x and y relative to the size of their terms."""
        return float(EPS * len(self.rows) + self.unit_of_y)

    @property
    def unit_of_y(self) -> float:
        """The rounding error of sums over y, and of what is done with them, relative to the size of their terms."""
        return float(EPS * (4 * self.rows.shape[1] + 16))

    def depth(self, r: Float[np.ndarray, "m k"]) -> float:
        """The largest Σ_y E_y abs(log r_y) of decoders r > 0 (shape (m, K)), E the mean of the rows by the shares of G's terms."""
        shares = log_sum_exp(self.log_a + self.beta * np.log(r) @ self.rows.T)[1]
        return float(((shares @ self.rows) * np.abs(np.log(r))).sum(axis=1).max())

    def rounding(self, depth: float) -> float:
        """Allowance for floating-point error, nats, in log G and in bounds over boxes where abs(log r_y) is at most `depth`.

        Exponents are sums over y of the size of log a and β log r; a sum over x errs by n units relative to itself, and log G by
        as much. What large multipliers and the rounding of E add is in the bounds already.
        """
        n, k = self.rows.shape
        of_y = self.unit_of_y * (1.0 + np.abs(self.log_a).max() + self.beta * (1.0 + np.log(k) + depth))
        return float(of_y + EPS * n)


def deepest(r: Float[np.ndarray, "m k"]) -> float:
    """The largest abs(log r_y) of decoders, zeros apart."""
    return float(np.abs(np.log(r[r > SMALLEST])).max(initial=0.0))


def concave_share(rows: Float[np.ndarray, "n k"]) -> float:
    r"""A γ for which H(q) − γ H(p_q) is concave in q: one over the KL contraction coefficient of the rows.

    .. math:: 1/\gamma = \max_{x,x'} \max_{0<\alpha<1} c(\alpha), \qquad
              c(\alpha) = \alpha(1-\alpha) \sum_y \frac{(p_x - p_{x'})^2}{\alpha p_x + (1-\alpha) p_{x'}} \le h^2 - h^4/4

    with h² = Σ_y (√p_x − √p_x')². The coefficient is reached on two rows: [ordentlich2021]_. c is concave in α, so that its
    tangent at any α bounds it. Above 4096 rows, 1, which always holds.
    """
    if len(rows) > MOST_ROWS:
        return 1.0
    root = np.sqrt(rows)
    size, largest = max(1, PAIRS_AT_A_TIME // rows.size), 1e-15
    for i in range(0, len(rows), size):
        # By differences: 1 − Σ√(pp') loses the digits where the rows are nearly equal.
        squared = ((root[i : i + size, None, :] - root) ** 2).sum(axis=2)
        bound = squared - 0.25 * squared**2
        first, second = np.nonzero(bound > largest)
        order = np.argsort(-bound[first, second])
        for k in range(0, len(order), PAIRS_REFINED):
            worst = order[k : k + PAIRS_REFINED]
            here, other = first[worst], second[worst]
            if bound[here[0], other[0]] <= largest:
                break
            refined = np.minimum(bound[here, other], _two_row_contraction(rows[i + here], rows[other]))
            largest = max(largest, float(refined.max()))
    return float((1.0 - 1e-12) / largest)


def _usable_share(beta: float, largest: float) -> float:
    """γ ≤ min(β, largest): all of β where that may be, a little less than the largest where chords are needed anyway."""
    return beta if beta <= largest else largest * (1.0 - min(SPARED, 0.1 * (beta / largest - 1.0)))


def _two_row_contraction(p: FloatArray, other: FloatArray) -> FloatArray:
    """Upper bounds of max_α c(α) of pairs of rows (N, K), by bisection for the maximum and the tangent there."""
    squared, low, high = (p - other) ** 2, np.zeros((len(p), 1)), np.ones((len(p), 1))
    for _ in range(16):
        middle = 0.5 * (low + high)
        mixture = np.maximum(middle * p + (1.0 - middle) * other, 1e-300)
        share = squared / mixture
        slope = ((1.0 - 2.0 * middle) * share - middle * (1.0 - middle) * share * (p - other) / mixture).sum(axis=1)
        low, high = np.where(slope[:, None] > 0, middle, low), np.where(slope[:, None] > 0, high, middle)
    value = (middle * (1.0 - middle) * share).sum(axis=1)
    return np.asarray(value + np.abs(slope) * (high - low)[:, 0])


@dataclass(frozen=True, eq=False)
class Point:
    """What multipliers μ (N, K) give: bounds of f over boxes and the mixtures q ∝ a e^{μ·p} behind them.

    Attributes
    ----------
    bound : (N,), upper bounds of f(q), over every q with p_q in the box.
    value : (N,), f at q itself, a lower bound of max log G (p_q need not be in the box).
    mean : E = p_q, (N, K); `excess` : e_y, whose sign says at which end of [l, u] the bound is taken.
    posterior : q, (N, n).
    """

    mu: FloatArray
    bound: FloatArray
    value: FloatArray
    mean: FloatArray
    excess: FloatArray
    posterior: FloatArray

    def covariance(self, relaxation: Relaxation) -> FloatArray:
        """Cov_q(p), the derivative of E by μ, shape (N, K, K)."""
        second = (self.posterior @ relaxation.products)[:, relaxation.unpack]
        return np.asarray(second - self.mean[:, :, None] * self.mean[:, None, :])

    def replaced(self, index: np.ndarray, other: Point, chosen: np.ndarray) -> None:
        """Overwrite the places `index[chosen]` with the places `chosen` of `other`."""
        at = index[chosen]
        for name in ("mu", "bound", "value", "mean", "excess", "posterior"):
            getattr(self, name)[at] = getattr(other, name)[chosen]

    def take(self, index: np.ndarray) -> Point:
        """The points at some places."""
        return Point(*(getattr(self, name)[index] for name in ("mu", "bound", "value", "mean", "excess", "posterior")))


def bound_at(relaxation: Relaxation, chords: Chords, mu: Float[np.ndarray, "N k"]) -> Point:
    r"""The bound of f over boxes that multipliers μ give; it holds for every μ.

    .. math:: f \le A(\mu) + \sum_y \Big[\psi_y(E_y) - \psi_y'(E_y) E_y + c_y + \max_{s \in \{l_y, u_y\}} e_y s\Big], \qquad
              A = \log \sum_x a_x e^{\mu \cdot p_x}, \quad e_y = g_y - \mu_y + \psi_y'(E_y)

    with the chords g_y s + c_y. For q' with s' = p_{q'} in the box, H(q') + ⟨q', log a⟩ + μ·s' = A − D(q'‖q), and what D(q'‖q) is
    at least, Σ ψ(s') − ψ(E) − ψ'(E)(s' − E), makes ψ(s') a tangent: what is left is linear in s'.
    """
    r = relaxation
    mu = np.clip(mu, -LARGEST_MULTIPLIER * r.beta, LARGEST_MULTIPLIER * r.beta)
    log_sum, posterior = log_sum_exp(r.log_a + mu @ r.rows.T)
    mean = np.maximum(posterior @ r.rows, 1e-300)
    intercept, slope = chords.split.tangents(mean)
    excess = chords.slope - mu + slope
    relaxed = intercept + chords.offset + np.maximum(excess * chords.low, excess * chords.high)
    # Rounding of μ·p_x, of which the terms' shares make μ·E, of μ_y s, and of E: as ψ'' E ≤ β, its tangent turns by n β units.
    large = np.abs(mu) * np.maximum(mean, chords.high)
    away = np.maximum(np.abs(mean - chords.low), np.abs(mean - chords.high))
    bound = log_sum + relaxed.sum(axis=1) + r.unit_of_y * large.sum(axis=1) + r.unit * r.beta * away.sum(axis=1)
    value = log_sum + (mean * (r.beta * np.log(mean) - mu)).sum(axis=1)
    return Point(mu, bound, value, mean, excess, posterior)


def tighten(low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> tuple[FloatArray, FloatArray]:
    """Boxes cut down to what Σ s = 1 leaves of them, with 1e-12 for rounding; high < low − 1e-12 where that is nothing."""
    slack = 1.0 + 1e-12
    high = np.minimum(high, slack - (low.sum(axis=1, keepdims=True) - low))
    low = np.maximum(low, 2.0 - slack - (high.sum(axis=1, keepdims=True) - high))
    return low, high


def log_sum_exp(terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The sum log Σ e^terms over the last axis, (N,), and the shares of the terms; overwrites `terms`."""
    top = terms.max(axis=1)
    terms -= top[:, None]
    np.exp(terms, out=terms)
    total = terms.sum(axis=1)
    terms /= total[:, None]
    return top + np.log(total), terms
