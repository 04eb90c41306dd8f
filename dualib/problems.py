r"""The bottleneck problems: the only place where IB, dualIB and the family between them differ.

All are one rate-distortion problem whose reproduction alphabet is the simplex of distributions r over y:

.. math:: F(\beta) = \min_{q(t|x),\,\{r_t\}} I(X;T) + \beta\, E\, d(x, r_T)

========  ==================================================  =============================================
problem   distortion d(x, r)                                  decoder of a cluster with weights w(x) = p(x|t)
========  ==================================================  =============================================
IB        D(p_x ‖ r)                                          Σ_x w(x) p_x
DualIB    D(r ‖ p_x)                                          ∝ exp Σ_x w(x) log p_x
AlphaIB   [1 − Σ_y p_x^α r^{1−α}] / (α(1−α)), 0 < α < 1       ∝ (Σ_x w(x) p_x^α)^{1/α}
========  ==================================================  =============================================

where p_x = p(·|x). −d is concave in r for all of them, with a diagonal Hessian; solver and certificate need nothing else.
α → 1 gives IB and α → 0 dualIB. Where rows are nearly equal, β d is the product of a large and a small number, and d as a
difference of entropies has lost its digits. There each symbol's share is written so that it vanishes at r = p_x, for IB
p log(p/r) − p + r ≥ 0, which changes the sum only by the square of the rounding in Σp and Σr. Sources: [tishby1999]_ eqs. 16 and 28 (IB), [piran2020]_ eqs. 7-9 (dualIB).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from dualib.charts import Chart, MixtureChart, MomentChart, affine_rank
from dualib.core.typing import FloatArray
from dualib.joint import Joint, Merged
from dualib.special import expm1_remainder, kl_terms, log_ratio, remainder_given_log

EPS = float(np.finfo(float).eps)
TINY = 1e-300  # below every probability that can matter, above what would make log or 1/r overflow
WEAK = 0.25  # a symbol y whose p(y|x)/p(y) all stay this near 1 is weak: its share of d is expanded around p(y)
ACCURATE = 1e-12  # rounding of β d, nats, from which on d is summed term by term
CHUNK = 1 << 20  # (t, x, y) at a time where d is summed term by term
PAIRS_KEPT = 2048  # rows up to which the distances of all pairs are kept (32 MiB)


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """What solver and certificate know of a problem. Arrays of atoms r_t are (n_t, n_y), all results atoms-first.

    Use one of :class:`IB`, :class:`DualIB`, :class:`AlphaIB`.
    """

    joint: Joint
    name: ClassVar[str] = "bottleneck"
    power: ClassVar[float]  # α of the family: −∂²d/∂r_y² = features / r_y^{1+α}

    def __post_init__(self) -> None:
        if not isinstance(self.joint, Joint):
            raise TypeError(f"{type(self).__name__} takes a dualib.Joint, got {type(self.joint).__name__}: Joint(p_xy)")

    # --- what the problems define ---

    def distortion(self, r: FloatArray) -> FloatArray:
        """d(x, r_t), shape (n_t, n_x), nats, by one matrix product."""
        raise NotImplementedError

    def terms(self, rows: FloatArray, r: FloatArray) -> FloatArray:
        """d between rows p(y|x) and atoms r (broadcast, (..., n_y)), every y's share, at least 0 and to relative accuracy."""
        raise NotImplementedError

    def slope(self, r: FloatArray) -> FloatArray:
        """−∂d(x, r_t)/∂r_y up to a constant over y, times √r_y; shape (n_t, n_x, n_y)."""
        raise NotImplementedError

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        """−∂d(x, r_t)/∂r · step for steps (n_t, n_v, n_y); shape (n_t, n_v, n_x)."""
        raise NotImplementedError

    def decode(self, weights: FloatArray) -> FloatArray:
        """The best decoder of clusters with non-negative `weights` over x (n_t, n_x), of any sum; (n_t, n_y)."""
        raise NotImplementedError

    @cached_property
    def features(self) -> FloatArray:
        """c_x(y) with −∂²(−d)/∂r_y² = c_x(y) / r_y^{1 + power}; shape (n_x, n_y)."""
        raise NotImplementedError

    def chart(self) -> Chart:
        """Coordinates of the set in which every maximum of G lies, with the bound over a cell of it."""
        return MixtureChart(self, self.joint.p_y_given_x)

    # --- shared ---

    @property
    def p_x(self) -> FloatArray:
        """p(x), shape (n_x,)."""
        return self.joint.p_x

    @property
    def p_y_given_x(self) -> FloatArray:
        """p(y|x), shape (n_x, n_y)."""
        return self.joint.p_y_given_x

    @cached_property
    def merged(self) -> Merged:
        """The joint with equal rows merged: the same curve, fewer x."""
        return self.joint.merge_equal_rows()

    @cached_property
    def reduced(self) -> Self:
        """This problem on the merged joint; solving it solves this one."""
        return self if self.merged.joint is self.joint else replace(self, joint=self.merged.joint)

    @cached_property
    def dimension(self) -> int:
        """Intrinsic dimension of the search for the maximum of G: the rank of the rows (IB) or log-rows (dual), less 1."""
        return affine_rank(self.p_y_given_x)

    @cached_property
    def single_decoder(self) -> FloatArray:
        """The best decoder when all x are one cluster, shape (1, n_y)."""
        return self.decode(self.p_x[None])

    @cached_property
    def weak(self) -> NDArray[np.bool_]:
        """Which y have p(y|x) within a factor 1 ± WEAK of p(y) for every x, shape (n_y,)."""
        centre = self.joint.p_y
        weak: NDArray[np.bool_] = (np.abs(self.p_y_given_x - centre) <= WEAK * centre).all(axis=0)
        return weak

    @cached_property
    def _any_weak(self) -> bool:
        return bool(self.weak.any())

    @cached_property
    def rounding_scale(self) -> float:
        """Size of the parts that d and its bounds over cells are summed from, nats; times 2⁻⁵²β, the rounding error of β d."""
        weak = float(np.abs(self.p_y_given_x[:, self.weak] / self.joint.p_y[self.weak] - 1.0).max(initial=0.0))
        return self._strong_scale + weak ** (1 if isinstance(self.chart(), MomentChart) else 2)

    @cached_property
    def _strong_scale(self) -> float:
        strong = float(self.p_y_given_x[:, ~self.weak].sum(axis=1).max())
        return strong * float(1.0 + 2.0 * np.log((~self.weak).sum() / strong)) if strong > 0 else 0.0

    def product_rounding(self, beta: float) -> float:
        """The rounding error of β d by one matrix product, nats: in the weak columns it is relative, and left out here."""
        return EPS * beta * self._strong_scale

    def distortion_at(self, beta: float, r: FloatArray) -> FloatArray:
        """d(x, r_t), shape (n_t, n_x), by one matrix product where β leaves that its digits, else term by term."""
        return self.distortion(r) if self.product_rounding(beta) < ACCURATE else self.accurate_distortion(r)

    def accurate_distortion(self, r: FloatArray) -> FloatArray:
        """d(x, r_t) summed term by term to relative accuracy, shape (n_t, n_x); slower by a factor n_y."""
        table = np.empty((len(r), len(self.p_x)))
        size = max(1, CHUNK // self.p_y_given_x.size)
        for i in range(0, len(r), size):
            table[i : i + size] = self.terms(self.p_y_given_x, r[i : i + size, None, :]).sum(axis=2)
        return table

    def pair_distortions(self, i: int) -> FloatArray:
        r"""min_r ½[d(x_i, r) + d(x', r)] for every x', shape (n_x,), nats.

        The Jensen-Shannon divergence for IB, the Bhattacharyya distance for dualIB. To relative accuracy.
        """
        if len(self.p_x) <= PAIRS_KEPT:
            return self._all_pair_distortions[i]
        return self._pairs_with(i)

    @cached_property
    def _all_pair_distortions(self) -> FloatArray:
        return np.stack([self._pairs_with(i) for i in range(len(self.p_x))])

    def _pairs_with(self, i: int) -> FloatArray:
        rows = self.p_y_given_x
        middle = self.middle(rows[i], rows)
        distance: FloatArray = 0.5 * (self.terms(rows[i], middle) + self.terms(rows, middle)).sum(axis=1)
        distance[i] = 0.0  # whatever the rounding of the middle
        return distance

    def middle(self, row: FloatArray, rows: FloatArray) -> FloatArray:
        """The best decoder of a row and each of others at equal weights, shape (n, n_y)."""
        raise NotImplementedError

    def distortion_of_rows(self, rows: FloatArray, r: FloatArray) -> FloatArray:
        """d between new rows p(y|x) (n, n_y) and atoms (n_t, n_y), shape (n_t, n)."""
        both = np.concatenate([rows, self.p_y_given_x])
        joint = Joint.from_conditional(np.full(len(both), 1.0 / len(both)), both, y_labels=self.joint.y_labels)
        return replace(self, joint=joint).distortion(r)[:, : len(rows)]


@dataclass(frozen=True, eq=False)
class IB(Bottleneck):
    r"""The information bottleneck, d(x, r) = D(p_x ‖ r).

    .. math:: F(\beta) = \min\; I(X;T) - \beta I(T;Y) + \beta I(X;Y)

    Parameters
    ----------
    joint : Joint, p(x, y).

    References
    ----------
    [tishby1999]_
    """

    name: ClassVar[str] = "ib"
    power: ClassVar[float] = 1.0

    @cached_property
    def _negative_entropy(self) -> FloatArray:
        return xlogy(self.p_y_given_x, self.p_y_given_x).sum(axis=1)

    @cached_property
    def features(self) -> FloatArray:
        return self.p_y_given_x

    def distortion(self, r: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)
        if not self._any_weak:
            return self._negative_entropy - np.log(safe) @ self.p_y_given_x.T
        rows, right = self._expansion
        b, log = log_ratio(np.where(self.weak, self.joint.p_y, 1.0), safe)
        of_atoms = np.where(self.weak, self.joint.p_y * remainder_given_log(b, log), r).sum(axis=1, keepdims=True)
        return rows + of_atoms - log @ right.T

    @cached_property
    def _expansion(self) -> tuple[FloatArray, FloatArray]:
        """With p = c(1+a), r = c(1+b): p log(p/r) − p + r = c[a log(1+a) − rem a] + c rem b − ca log(1+b), rem x = x − log(1+x)."""
        p, c = self.p_y_given_x, self.joint.p_y
        a, log = log_ratio(c, np.maximum(p, TINY))
        rows = np.where(self.weak, c * (a * log - remainder_given_log(a, log)), xlogy(p, p) - p).sum(axis=1)
        return rows, np.where(self.weak, p - c, p)

    def terms(self, rows: FloatArray, r: FloatArray) -> FloatArray:
        return kl_terms(rows, r)

    def slope(self, r: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)[:, None, :]
        return (self.p_y_given_x - safe if self._any_weak else self.p_y_given_x) / np.sqrt(safe)

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)[:, None, :]
        share = steps / safe
        if not self._any_weak:
            return share @ self.p_y_given_x.T
        centre = self.joint.p_y
        return share @ (self.p_y_given_x - centre).T + (share * (centre - safe)).sum(axis=2, keepdims=True)

    def decode(self, weights: FloatArray) -> FloatArray:
        return (weights @ self.p_y_given_x) / weights.sum(axis=1, keepdims=True)

    def middle(self, row: FloatArray, rows: FloatArray) -> FloatArray:
        return 0.5 * (row + rows)


@dataclass(frozen=True, eq=False)
class DualIB(Bottleneck):
    r"""The dual information bottleneck, d(x, r) = D(r ‖ p_x).

    .. math:: F(\beta) = \min\; I(X;T) + \beta\, E\, D(r_T \| p_X), \qquad
              r_t(y) = \frac1{Z_t} \prod_x p(y|x)^{p(x|t)}

    Parameters
    ----------
    joint : Joint with every p(y|x) > 0 (a zero makes d infinite).

    Raises
    ------
    ValueError: some p(y|x) is 0; the message names the entry and the two smoothing rules of :meth:`Joint.smoothed`.

    References
    ----------
    [piran2020]_ eqs. 7-9
    """

    name: ClassVar[str] = "dual"
    power: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_zeros(self.joint, "the dual distortion D(r || p_x) is infinite there")

    @cached_property
    def _log_rows(self) -> FloatArray:
        return np.log(self.p_y_given_x)

    @cached_property
    def features(self) -> FloatArray:
        return np.ones_like(self.p_y_given_x)

    @cached_property
    def dimension(self) -> int:
        return affine_rank(self._log_rows - self._log_rows.mean(axis=1, keepdims=True))

    def chart(self) -> Chart:
        if self.dimension == self.joint.n_y - 1:
            return MixtureChart(self, _corners(self.p_y_given_x))
        return MomentChart(self, self._log_rows)

    def distortion(self, r: FloatArray) -> FloatArray:
        if not self._any_weak:
            return xlogy(r, r).sum(axis=1, keepdims=True) - r @ self._log_rows.T
        c = self.joint.p_y
        b, log = log_ratio(np.where(self.weak, c, 1.0), np.maximum(r, TINY))
        near = c * (b * log - remainder_given_log(b, log))
        of_atoms = np.where(self.weak, near, xlogy(r, r) - r).sum(axis=1, keepdims=True)
        return self._expanded_rows + of_atoms - np.where(self.weak, r - c, r) @ self._log_ratios.T

    @cached_property
    def _log_ratios(self) -> FloatArray:
        """log(p(y|x)/p(y)) for the weak y, log p(y|x) for the others."""
        return log_ratio(np.where(self.weak, self.joint.p_y, 1.0), self.p_y_given_x)[1]

    @cached_property
    def _expanded_rows(self) -> FloatArray:
        """With p = c(1+a), r = c(1+b): r log(r/p) − r + p = c rem a + c[b log(1+b) − rem b] − cb log(1+a)."""
        p, c = self.p_y_given_x, self.joint.p_y
        return np.asarray(np.where(self.weak, c * remainder_given_log(*log_ratio(c, p)), p).sum(axis=1))

    def terms(self, rows: FloatArray, r: FloatArray) -> FloatArray:
        return kl_terms(r, rows)

    def slope(self, r: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)
        log = log_ratio(np.where(self.weak, self.joint.p_y, 1.0), safe)[1] if self._any_weak else np.log(safe)
        return np.asarray(np.sqrt(safe)[:, None, :] * (self._log_ratios - log[:, None, :]))

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)
        log = log_ratio(np.where(self.weak, self.joint.p_y, 1.0), safe)[1] if self._any_weak else np.log(safe) + 1.0
        return steps @ self._log_ratios.T - np.einsum("tvy,ty->tv", steps, log)[:, :, None]

    def decode(self, weights: FloatArray) -> FloatArray:
        log_r = (weights @ self._log_ratios) / weights.sum(axis=1, keepdims=True)
        return self._normalise(log_r)

    def middle(self, row: FloatArray, rows: FloatArray) -> FloatArray:
        return self._normalise(0.5 * (log_ratio(np.where(self.weak, self.joint.p_y, 1.0), row)[1] + self._log_ratios))

    def _normalise(self, log_r: FloatArray) -> FloatArray:
        r = np.exp(log_r - log_r.max(axis=1, keepdims=True))
        if self._any_weak:
            r = r * np.where(self.weak, self.joint.p_y, 1.0)
        return r / r.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class AlphaIB(Bottleneck):
    r"""The bottleneck with Amari's α-divergence, between dualIB (α → 0) and IB (α → 1).

    .. math:: d(x, r) = \frac{1 - \sum_y p(y|x)^\alpha r(y)^{1-\alpha}}{\alpha(1-\alpha)}

    Parameters
    ----------
    joint : Joint, p(x, y).
    alpha : in (0, 1). Zeros in p(y|x) are allowed: d stays finite.
    """

    alpha: float = field(default=0.5)
    name: ClassVar[str] = "alpha"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"alpha = {self.alpha} is outside (0, 1); use IB for alpha = 1 and DualIB for alpha = 0")

    @property
    def power(self) -> float:  # type: ignore[override]
        """α."""
        return self.alpha

    @cached_property
    def features(self) -> FloatArray:
        return self.p_y_given_x**self.alpha

    @cached_property
    def dimension(self) -> int:
        return self.joint.n_y - 1

    def chart(self) -> Chart:
        return MixtureChart(self, _corners(self.p_y_given_x))

    def distortion(self, r: FloatArray) -> FloatArray:
        power = 1.0 - self.alpha
        if not self._any_weak:
            return (1.0 - r**power @ self.features.T) / (self.alpha * power)
        c = self.joint.p_y
        b, log = log_ratio(np.where(self.weak, c, 1.0), np.maximum(r, TINY))
        near = c * (power * remainder_given_log(b, log) - expm1_remainder(power * log))
        of_atoms = np.where(self.weak, near, power * r).sum(axis=1, keepdims=True)
        rows, right = self._expansion
        left = np.where(self.weak, np.expm1(power * log), r**power)
        return (rows + of_atoms - left @ right.T) / (self.alpha * power)

    @cached_property
    def _expansion(self) -> tuple[FloatArray, FloatArray]:
        """As for IB, of αp + (1−α)r − p^α r^{1−α}."""
        p, c = self.p_y_given_x, self.joint.p_y
        a, log = log_ratio(c, np.maximum(p, TINY))
        near = c * (self.alpha * remainder_given_log(a, log) - expm1_remainder(self.alpha * log))
        rows = np.where(self.weak, near, self.alpha * p).sum(axis=1)
        return rows, np.where(self.weak, c * np.expm1(self.alpha * log), self.features)

    @cached_property
    def rounding_scale(self) -> float:
        return super().rounding_scale / (self.alpha * (1.0 - self.alpha))

    def product_rounding(self, beta: float) -> float:
        return super().product_rounding(beta) / (self.alpha * (1.0 - self.alpha))

    def terms(self, rows: FloatArray, r: FloatArray) -> FloatArray:
        power = 1.0 - self.alpha
        seen = rows > TINY
        v, log = log_ratio(np.where(seen, rows, 1.0), np.maximum(r, TINY))
        share = rows * (power * remainder_given_log(v, log) - expm1_remainder(power * log))
        return np.where(seen, np.maximum(share, 0.0), power * r) / (self.alpha * power)

    def slope(self, r: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)[:, None, :]
        return np.sqrt(safe) * (self.features * safe**-self.alpha - 1.0) / self.alpha

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        share = steps * np.maximum(r, TINY)[:, None, :] ** -self.alpha
        if not self._any_weak:
            return share @ self.features.T / self.alpha
        centre = self.joint.p_y**self.alpha
        common = (share * centre - steps).sum(axis=2, keepdims=True)
        return (share @ (self.features - centre).T + common) / self.alpha

    def decode(self, weights: FloatArray) -> FloatArray:
        return self._mean((weights @ self.features) / weights.sum(axis=1, keepdims=True))

    def middle(self, row: FloatArray, rows: FloatArray) -> FloatArray:
        return self._mean(0.5 * (row**self.alpha + rows**self.alpha))

    def _mean(self, features: FloatArray) -> FloatArray:
        # The largest is set to 1 first: the power 1/α of a small number underflows.
        r = (features / features.max(axis=1, keepdims=True)) ** (1.0 / self.alpha)
        return np.asarray(r / r.sum(axis=1, keepdims=True))


def _corners(rows: FloatArray) -> FloatArray:
    """Corners of the smallest simplex r_y ≥ min_x p_x(y), with a little more for rounding."""
    floor = rows.min(axis=0) * (1 - 1e-9)
    return np.asarray(floor + (1 - floor.sum()) * np.eye(len(floor)))


def _refuse_zeros(joint: Joint, consequence: str) -> None:
    zeros = np.argwhere(joint.p_y_given_x <= 0.0)
    if len(zeros):
        i, j = map(int, zeros[0])
        x = f"x = {joint.x_labels[i]!r} (row {i})" if joint.x_labels is not None else f"row {i}"
        y = f"y = {joint.y_labels[j]!r} (column {j})" if joint.y_labels is not None else f"column {j}"
        rule = "epsilon=0.01" if joint.n_samples is None else "pseudocount=0.5"
        raise ValueError(
            f"p(y|x) is 0 at {x}, {y} ({len(zeros)} zeros in all): {consequence}. "
            f"Smooth explicitly, for example joint.smoothed({rule}), or use IB or AlphaIB"
        )
