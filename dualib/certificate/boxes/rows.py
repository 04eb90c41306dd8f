r"""A ceiling of log G from the cells of the rows, for β at which nearly every x has a cluster of its own; any number of symbols.

The cell of x* is where the term of x* is the largest. It is cut into shells of δ = d(x*, r). There, for every λ in [0, 1),

.. math:: d(x, r) \ge \frac{J_\lambda(x, x^*) - \lambda\delta}{1-\lambda}, \qquad
          J_\lambda = \min_r\, (1-\lambda)\, d(x, r) + \lambda\, d(x^*, r),

so that every term is bounded, by this and by the term of x*. J is the weighted Jensen-Shannon divergence for IB and the Chernoff
distance −log Σ_y p_x^{1−λ} p_{x*}^λ for dualIB. On the ball δ ≤ δ_in, the ratios of terms ρ_x ≥ q_x/q_{x*} that follow prove log G
concave if β Σ_x ρ_x χ²(p_x‖p_{x*}) ≤ 1 (IB) or β Σ_x ρ_x Var_r(log p_x − log p_{x*}) ≤ 1 for the r of the ball (dualIB), and a
tangent at one point bounds it. (Derived here.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from dualib.certificate.ceiling import Ceiling, Method
from dualib.core.special import EPS, entropy_nats, kl_nats
from dualib.core.typing import Float, FloatArray

LAMBDAS = np.r_[0.0, 0.02, 0.05, np.arange(0.1, 0.95, 0.1), 0.95]
RADII = 40  # shells, and radii of balls, tried for every row
EXPONENTS = np.geomspace(0.02, 50.0, 12)  # s of the bound of Var_r, in units of 1/range²
ASCENTS = 30  # steps to the maximum next to a row


@dataclass(frozen=True, eq=False)
class RowCells(ABC):
    """G(r) = Σ_x w_x e^{−βd(x,r)} by its rows (n, K)."""

    log_weights: FloatArray
    rows: FloatArray
    beta: float

    @abstractmethod
    def distance(self, r: FloatArray) -> FloatArray:
        """d(x, r) for one r (K,), every x, (n,)."""

    @abstractmethod
    def joint_minimum(self, i: int) -> FloatArray:
        """J_λ(x, x_i), shape (λ, n)."""

    @abstractmethod
    def spread(self, i: int, radii: FloatArray) -> FloatArray:
        """What is multiplied by β ρ_x in the condition for concavity on the balls d(x_i, r) ≤ radius, (radii, n)."""

    @abstractmethod
    def ascend(self, r: FloatArray) -> FloatArray:
        """The best decoder of the shares of the terms at r."""

    @abstractmethod
    def tangent_rise(self, r: FloatArray, posterior: FloatArray) -> float:
        """How far the tangent plane of log G at r rises above log G(r) anywhere on the simplex."""

    def terms(self, r: FloatArray) -> FloatArray:
        """The terms log w_x − β d(x, r), (n,)."""
        return self.log_weights - self.beta * self.distance(r)

    def rounding(self) -> float:
        """Allowance for floating-point error in every bound, nats: of sums over x, and of exponents, J/(1 − λ) among them."""
        n, k = self.rows.shape
        depth = 1.0 - float(np.log(self.rows[self.rows > 0].min())) + float(np.log(k))
        return float(EPS * (n + (8 * k + 32) * (1.0 + np.abs(self.log_weights).max() + self.beta * depth)))

    def ceiling_of(self, i: int) -> float:
        """An upper bound of log G over the cell of x_i, nats, without rounding."""
        n, beta = len(self.rows), self.beta
        top = float(self.log_weights[i])
        furthest = (top + np.log(n)) / beta  # beyond, all n terms together are below 1
        if furthest <= 0:
            return top + float(np.log(n))
        radii = np.geomspace(1e-4, 1.0, RADII) * furthest
        joint = self.joint_minimum(i)
        least = ((joint[:, None, :] - (LAMBDAS[:, None] * radii)[:, :, None]) / (1.0 - LAMBDAS)[:, None, None]).max(
            axis=0
        )
        own = self.log_weights - beta * np.maximum(least, 0.0)
        own[:, i] = np.inf
        shells = _log_sum_exp(np.minimum(own, (top - beta * np.r_[0.0, radii[:-1]])[:, None]))
        ceiling = float(shells.max())
        inner, inside = self._ball(i, joint, radii)
        if inside is not None:  # the shells within the ball may be replaced by it
            ceiling = min(ceiling, max(inner, float(shells[inside + 1 :].max(initial=-np.inf))))
        return max(ceiling, 0.0)

    def _ball(self, i: int, joint: FloatArray, radii: FloatArray) -> tuple[float, int | None]:
        """The bound of log G on the largest ball on which it is proven concave, and which radius that is (None: on no ball)."""
        apart = ((joint[:, None, :] - radii[:, None]) / (1.0 - LAMBDAS)[:, None, None]).max(axis=0)
        ratio = np.exp(np.minimum(self.log_weights - self.log_weights[i] - self.beta * apart, 700.0))
        ratio[:, i] = 0.0
        concave = self.beta * (ratio * self.spread(i, radii)).sum(axis=1) <= 1.0 - 1e-9
        if not concave.any():
            return -np.inf, None
        largest = int(np.flatnonzero(concave)[-1])
        radius = float(radii[largest])
        r = self.rows[i]
        for _ in range(ASCENTS):
            further = self.ascend(r)
            if not self.distance(further)[i] <= radius * (1 - 1e-9):
                break
            r = further
        terms = self.terms(r)
        value = float(_log_sum_exp(terms[None])[0])
        return value + max(0.0, self.tangent_rise(r, np.exp(terms - value))), largest


class IBRowCells(RowCells):
    """The cells for d(x, r) = D(p_x‖r)."""

    def distance(self, r: FloatArray) -> FloatArray:
        """D(p_x‖r), (n,)."""
        return np.asarray(kl_nats(self.rows, r))

    def joint_minimum(self, i: int) -> FloatArray:
        """The Jensen-Shannon divergence with weights 1 − λ and λ."""
        other = self.rows[i]
        mixture = (1.0 - LAMBDAS)[:, None, None] * self.rows + (LAMBDAS[:, None] * other)[:, None, :]
        own = (1.0 - LAMBDAS)[:, None] * entropy_nats(self.rows) + (LAMBDAS * entropy_nats(other))[:, None]
        return np.asarray(entropy_nats(mixture) - own)

    def spread(self, i: int, radii: FloatArray) -> FloatArray:
        """χ²(p_x‖p_i), for every radius."""
        row = self.rows[i]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(self.rows != row, (self.rows - row) ** 2 / row, 0.0)
        return np.broadcast_to(np.minimum(share.sum(axis=1), 1e300), (len(radii), len(self.rows)))

    def ascend(self, r: FloatArray) -> FloatArray:
        """The mixture Σ_x q_x p_x."""
        terms = self.terms(r)
        weights = np.exp(terms - terms.max())
        return np.asarray(weights @ self.rows / weights.sum())

    def tangent_rise(self, r: FloatArray, posterior: FloatArray) -> float:
        """β (max_y p_q(y)/r_y − 1)."""
        seen = r > 0
        return self.beta * float(((posterior @ self.rows)[seen] / r[seen]).max() - 1.0)


class DualRowCells(RowCells):
    """The cells for d(x, r) = D(r‖p_x), every p(y|x) > 0."""

    def distance(self, r: FloatArray) -> FloatArray:
        """D(r‖p_x), (n,)."""
        return np.asarray(kl_nats(r, self.rows))

    def joint_minimum(self, i: int) -> FloatArray:
        """The Chernoff distance −log Σ_y p_x^{1−λ} p_i^λ."""
        log_rows = np.log(self.rows)
        ratio = log_rows[i] - log_rows
        # −log E_{p_x} e^{λ log(p_i/p_x)}
        return np.asarray(-np.log((self.rows * np.exp(LAMBDAS[:, None, None] * ratio)).sum(axis=2)))

    def spread(self, i: int, radii: FloatArray) -> FloatArray:
        r"""Bounds of Var_r(k) of k = log p_x − log p_i: at most ¼ range², and E_r φ ≤ (δ + log E_{p_i} e^{sφ})/s for φ = (k − mean)²."""
        log_rows = np.log(self.rows)
        k = log_rows - log_rows[i]
        width = np.maximum(np.ptp(k, axis=1), 1e-300)
        square = ((k - (k @ self.rows[i])[:, None]) / width[:, None]) ** 2  # at most 1
        moments = np.log(np.exp(EXPONENTS[:, None, None] * square) @ self.rows[i])
        by_ball = ((radii[:, None, None] + moments) / EXPONENTS[:, None]).min(axis=1)
        return np.asarray(np.minimum(by_ball, 0.25) * width**2)

    def ascend(self, r: FloatArray) -> FloatArray:
        """The normalised exp Σ_x q_x log p_x."""
        terms = self.terms(r)
        weights = np.exp(terms - terms.max())
        log_r = weights @ np.log(self.rows) / weights.sum()
        r = np.exp(log_r - log_r.max())
        return np.asarray(r / r.sum())

    def tangent_rise(self, r: FloatArray, posterior: FloatArray) -> float:
        """β (max_y s_y − r·s) with s = Σ_x q_x log p_x − log r."""
        slope = posterior @ np.log(self.rows) - np.log(r)
        return self.beta * float(slope.max() - r @ slope)


def max_log_g_over_row_cells(
    cells: RowCells, atoms: Float[np.ndarray, "m k"], tolerance: float, *, give_up_above: float = np.inf
) -> Ceiling:
    """Bound the maximum of log G over the whole simplex by the cells of all rows; O(n²) for every one of some 40 shells.

    Parameters
    ----------
    cells : RowCells
        :class:`IBRowCells` or :class:`DualRowCells`.
    atoms : array, shape (m, K)
        Decoders where G is known to be large, at least one.
    tolerance : float
        Nats; what `complete` asks for.
    give_up_above : float
        A ceiling that another method has: once a row's exceeds it, the others are not looked at, and `upper` is infinite; `least`
        is what that row's is.

    Returns
    -------
    Ceiling
        `cells` is the number of rows whose cells were bounded.
    """
    log_g = np.array([_log_sum_exp(cells.terms(atom)[None])[0] for atom in atoms])
    best, allowance = float(log_g.max()), cells.rounding()
    upper, done, least = best, 0, -np.inf
    for i in np.argsort(-cells.log_weights, kind="stable"):
        upper, done = max(upper, cells.ceiling_of(int(i))), done + 1
        if upper + allowance > give_up_above:
            upper, least = np.inf, upper + allowance
            break
    complete = upper + allowance <= max(best, 0.0) + tolerance
    return Ceiling(upper + allowance, best, atoms[log_g.argmax()], done, complete, Method.ROWS, least=least)


def _log_sum_exp(terms: FloatArray) -> FloatArray:
    top = terms.max(axis=1)
    return np.asarray(top + np.log(np.exp(terms - top[:, None]).sum(axis=1)))
