r"""Upper bounds of log G over boxes of decoders, in any dimension: the information bottleneck without its decoder.

With H(q) + ⟨q, t⟩ ≤ log Σ e^t and Σ_x q_x D(p_x‖r) = H(p_q) − Σ_x q_x H(p_x) + D(p_q‖r), p_q = Σ_x q_x p_x,

.. math:: \max_r \log G(r) = \max_q f(q), \qquad f(q) = H(q) + ⟨q, \log a⟩ - \beta H(p_q), \quad \log a_x = \log w_x + \beta H(p_x).

−H is a sum of one-dimensional convex functions s_y log s_y, so that on a box l ≤ p_q ≤ u a chord for every y leaves a concave
maximisation, whose dual has one multiplier μ_y a symbol and no decoder. The part γ of β for which H(q) − γ H(p_q) is concave
in q anyway, γ = 1/η with the contraction coefficient η of the rows ([ordentlich2021]_), needs no chord. Where the rows are nearly
equal, s is written as its deviation from their mean (:mod:`dualib.certificate.boxes.deviations`): the same with c for s, β h² for β.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from dualib.certificate.boxes.contraction import concave_share, usable_share
from dualib.certificate.boxes.coordinates import Coordinates
from dualib.certificate.boxes.deviations import coordinates_of
from dualib.certificate.boxes.splits import AnySplit, Chords
from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray, IntArray

LARGEST_MULTIPLIER = 40.0  # times β: beyond, rounding would eat the bound


@dataclass(frozen=True, eq=False)
class Relaxation:
    """G's rows and weights at one β, with the share γ of β that needs no chords.

    Attributes
    ----------
    coordinates : what the decoders' boxes are boxes of; where they are deviations, β and γ are in their units.
    rows : coordinates of p(y|x), shape (n, K), every symbol with a positive p(y|x).
    log_a : log w_x + β H(p_x), or less β D(p_x‖m), shape (n,), nats.
    beta, gamma : β, and γ in [0, β] with H(q) − γ H(p_q) concave.
    products : c_x(y) c_x(y') for y ≤ y', shape (n, K(K + 1)/2); `unpack` (K, K) are the places of (y, y') in it.
    """

    coordinates: Coordinates
    rows: FloatArray
    log_a: FloatArray
    beta: float
    gamma: float
    products: FloatArray
    unpack: IntArray

    @classmethod
    def of(cls, log_weights: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], beta: float) -> Self:
        """The relaxation of G(r) = Σ_x w_x e^{−βD(p_x‖r)}."""
        coordinates, k = coordinates_of(rows), rows.shape[1]
        c, beta = coordinates.of_rows(rows), beta * coordinates.step**2
        share = concave_share(rows, c, coordinates.step)
        upper = np.triu_indices(k)
        unpack = np.empty((k, k), dtype=np.int64)
        unpack[upper] = unpack[upper[::-1]] = np.arange(len(upper[0]))
        return cls(
            coordinates=coordinates,
            rows=c,
            log_a=log_weights - beta * coordinates.convex(c).sum(axis=1),
            beta=beta,
            gamma=usable_share(beta, share),
            products=c[:, upper[0]] * c[:, upper[1]],
            unpack=unpack,
        )

    @property
    def split(self) -> AnySplit:
        """The split of the convex part of f that γ gives, for all boxes."""
        return self.split_by(self.gamma)

    def split_by(self, gamma: float) -> AnySplit:
        """The split with some γ, for all boxes."""
        return self.coordinates.split(self.beta, np.full((1, 1), gamma))

    def parabolas(self, curvature: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> AnySplit:
        """The split with parabolas, as far as they are not steeper on boxes up to `high` than what they are taken from."""
        return self.coordinates.parabolas(self.beta, curvature, high)

    def log_terms(self, logs: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m n"]:
        """The terms of log G without what they have in common, given the decoders' logarithms."""
        return np.asarray(self.log_a + self.beta * logs @ self.rows.T)

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders r > 0 (shape (m, K)), nats."""
        log_g = log_sum_exp(self.log_terms(self.coordinates.logs_at(r)))[0]
        return np.asarray(log_g - self.beta * self.coordinates.excess(self.coordinates.of(r)))

    @cached_property
    def steepest(self) -> float:
        """The scale of multipliers, β or what β log r is up to."""
        return self.beta * self.coordinates.steepest(self.rows)

    @cached_property
    def turning(self) -> FloatArray:
        """How much the slope of the convex part of f turns by a relative error of c, in units of β: 1 where c is r, shape (K,)."""
        return self.coordinates.turning(self.rows)

    @property
    def unit(self) -> float:
        """The rounding error of sums over x and y relative to the size of their terms."""
        return float(EPS * len(self.rows) + self.unit_of_y)

    @property
    def unit_of_y(self) -> float:
        """The rounding error of sums over y, and of what is done with them, relative to the size of their terms."""
        return float(EPS * (4 * self.rows.shape[1] + 16))

    def sizes(self, mean: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> FloatArray:
        """What Σ_x q_x abs(c_x) and abs(c) are at most in boxes, given Σ_x q_x c_x, every y."""
        return self.coordinates.sizes(self.rows, mean, high)

    def rounding(self, low: Float[np.ndarray, "N k"], decoders: Float[np.ndarray, "m k"]) -> float:
        """Allowance for floating-point error, nats, in log G at decoders r > 0 and in bounds over boxes above `low`.

        Exponents are sums over y of the size of log a and β log r, or of β h² where c are deviations; a sum over x errs by n units
        relative to itself, and log G by as much. What large multipliers and the rounding of E add is in the bounds already.
        """
        mean = log_sum_exp(self.log_terms(self.coordinates.logs_at(decoders)))[1] @ self.rows
        depth = self.coordinates.depth(self.rows, low, mean, decoders)
        exponents = 1.0 + np.abs(self.log_a).max() + self.beta * (1.0 + depth)
        return float(self.unit_of_y * exponents + EPS * len(self.rows))


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
    mu = np.clip(mu, -LARGEST_MULTIPLIER * r.steepest, LARGEST_MULTIPLIER * r.steepest)
    log_sum, posterior = log_sum_exp(r.log_a + mu @ r.rows.T)
    mean = r.coordinates.usable(posterior @ r.rows)
    intercept, slope = chords.split.tangents(mean)
    excess = chords.slope - mu + slope
    relaxed = intercept + chords.offset + np.maximum(excess * chords.low, excess * chords.high)
    # Rounding of μ·c_x, of which the terms' shares make μ·E, of μ_y s, and of E, with which its tangent turns.
    large = np.abs(mu) * r.sizes(mean, chords.high)
    away = r.turning * np.maximum(np.abs(mean - chords.low), np.abs(mean - chords.high))
    bound = log_sum + relaxed.sum(axis=1) + r.unit_of_y * large.sum(axis=1) + r.unit * r.beta * away.sum(axis=1)
    value = log_sum + (r.beta * r.coordinates.convex(mean) - mean * mu).sum(axis=1)
    return Point(mu, bound, value, mean, excess, posterior)


def tighten(
    low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"], total: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Boxes cut down to what a Σ c leaves of them, with 1e-12 for rounding; high < low − 1e-12 where that is nothing."""
    high = np.minimum(high, total + 1e-12 - (low.sum(axis=1, keepdims=True) - low))
    low = np.maximum(low, total - 1e-12 - (high.sum(axis=1, keepdims=True) - high))
    return low, high


def log_sum_exp(terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The sum log Σ e^terms over the last axis, (N,), and the shares of the terms; overwrites `terms`."""
    top = terms.max(axis=1)
    terms -= top[:, None]
    np.exp(terms, out=terms)
    total = terms.sum(axis=1)
    terms /= total[:, None]
    return top + np.log(total), terms
