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

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from dualib.bottleneck import Along, Atoms, Bottleneck, Features, Rows, Slopes, Steps, Terms
from dualib.core.special import TINY, expm1_gap, kl_terms, log1p_gap_given, log_ratio
from dualib.core.typing import Float, FloatArray
from dualib.hull import Hull, HullKind

__all__ = ["IB", "AlphaIB", "Bottleneck", "DualIB"]


@dataclass(frozen=True, eq=False)
class IB(Bottleneck):
    r"""The information bottleneck, d(x, r) = D(p_x ‖ r).

    .. math:: F(\beta) = \min\; I(X;T) - \beta I(T;Y) + \beta I(X;Y)

    Parameters
    ----------
    joint : Joint

    References
    ----------
    [tishby1999]_

    Examples
    --------
    >>> from dualib import IB, Joint, solve
    >>> solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta=1.0).n_clusters
    1
    """

    name: ClassVar[str] = "ib"
    power: ClassVar[float] = 1.0

    @cached_property
    def _negative_entropy(self) -> FloatArray:
        return np.asarray(xlogy(self.p_y_given_x, self.p_y_given_x).sum(axis=1))

    @cached_property
    def hull(self) -> Hull:
        """Mixtures of the rows."""
        return Hull(HullKind.MIXTURES, self.p_y_given_x)

    def of_atoms(self, r: Atoms) -> FloatArray:
        """Σ_y p log(p/r), the weak y expanded around p(y)."""
        safe = np.maximum(r, TINY)
        if not self.any_weak:
            left = np.zeros((len(r), r.shape[1] + 2))
            np.negative(np.log(safe), out=left[:, :-2])
            left[:, -2] = 1.0
            return left
        b, log = log_ratio(self.centre, safe)
        own = np.where(self.weak, self.joint.p_y * log1p_gap_given(b, log), r).sum(axis=1)
        return np.column_stack([-log, np.ones(len(r)), own])

    @cached_property
    def of_rows(self) -> FloatArray:
        """With p = c(1+a), r = c(1+b): p log(p/r) − p + r = c[a log(1+a) − rem a] + c rem b − ca log(1+b), rem x = x − log(1+x)."""
        p, c = self.p_y_given_x, self.joint.p_y
        if not self.any_weak:
            return np.column_stack([p, self._negative_entropy, np.ones(len(p))])
        a, log = log_ratio(c, np.maximum(p, TINY))
        own = np.where(self.weak, c * (a * log - log1p_gap_given(a, log)), xlogy(p, p) - p).sum(axis=1)
        return np.column_stack([np.where(self.weak, p - c, p), own, np.ones(len(p))])

    def terms(self, rows: Float[np.ndarray, "*rows n_y"], r: Float[np.ndarray, "*atoms n_y"]) -> Terms:
        """Shares p log(p/r) − p + r."""
        return kl_terms(rows, r)

    def slope(self, r: Atoms) -> Slopes:
        """p/r − 1 times √r; the 1 keeps digits where p is near r."""
        safe = np.maximum(r, TINY)[:, None, :]
        return np.asarray((self.p_y_given_x - safe if self.any_weak else self.p_y_given_x) / np.sqrt(safe))

    def slope_parts(self, r: Atoms) -> tuple[Atoms, Atoms]:
        """p/r − 1 times √r, from p, less p(y) where weak."""
        root = np.sqrt(np.maximum(r, TINY))
        return 1.0 / root, (self.mean_where_weak - r) / root

    def pull(self, r: Atoms) -> Slopes:
        """p/r − 1."""
        return log_ratio(np.maximum(r, TINY)[:, None, :], np.maximum(self.p_y_given_x, TINY))[0]

    def slope_along(self, r: Atoms, steps: Steps) -> Along:
        """Σ_y step p/r."""
        safe = np.maximum(r, TINY)[:, None, :]
        share = steps / safe
        if not self.any_weak:
            return np.asarray(share @ self.p_y_given_x.T)
        c = self.joint.p_y
        return np.asarray(share @ (self.p_y_given_x - c).T + (share * (c - safe)).sum(axis=2, keepdims=True))

    def statistic(self, rows: Features) -> Features:
        """p(y|x)."""
        return rows

    def decoder_of(self, mean: Rows) -> Rows:
        """Σ_x w(x) p_x; divided by its own sum, as sums over 10⁵ x leave 4e-13, which β d would take for a gain."""
        return np.asarray(mean / mean.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class DualIB(Bottleneck):
    r"""The dual information bottleneck, d(x, r) = D(r ‖ p_x).

    .. math:: F(\beta) = \min\; I(X;T) + \beta\, E\, D(r_T \| p_X), \qquad
              r_t(y) = \frac1{Z_t} \prod_x p(y|x)^{p(x|t)}

    Parameters
    ----------
    joint : Joint
        Every p(y|x) has to be above 0; a zero makes d infinite.

    Raises
    ------
    ValueError
        If some p(y|x) is 0; the message names the entry and the two smoothing rules of :meth:`Joint.smoothed`.

    References
    ----------
    [piran2020]_ eqs. 7-9

    Examples
    --------
    >>> from dualib import DualIB, Joint, solve
    >>> problem = DualIB(Joint([[0.4, 0.1], [0.1, 0.4]]))
    >>> solve(problem, beta=10.0).n_clusters
    2
    """

    name: ClassVar[str] = "dual"
    power: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        zeros = np.argwhere(self.p_y_given_x <= 0.0)
        if len(zeros):
            (i, j), joint = map(int, zeros[0]), self.joint
            x = f"x = {joint.x_labels[i]!r} (row {i})" if joint.x_labels is not None else f"row {i}"
            y = f"y = {joint.y_labels[j]!r} (column {j})" if joint.y_labels is not None else f"column {j}"
            rule = "epsilon=0.01" if joint.n_samples is None else "pseudocount=0.5"
            raise ValueError(
                f"p(y|x) is 0 at {x}, {y} ({len(zeros)} zeros in all): the dual distortion D(r || p_x) is infinite there. "
                f"Smooth explicitly, for example joint.smoothed({rule}), or use IB or AlphaIB"
            )

    @cached_property
    def features(self) -> Features:
        """All are 1."""
        return np.ones_like(self.p_y_given_x)

    @cached_property
    def hull(self) -> Hull:
        """Log-linear mixtures of the rows, unless those are all distributions."""
        log_rows = np.log(self.p_y_given_x)
        mixtures = Hull(HullKind.LOG_MIXTURES, log_rows - log_rows.mean(axis=1, keepdims=True))
        return mixtures if mixtures.dimension < self.joint.n_y - 1 else Hull.simplex_above(self.p_y_given_x)

    def of_atoms(self, r: Atoms) -> FloatArray:
        """Σ_y r log(r/p), the weak y expanded around p(y)."""
        if not self.any_weak:
            left = np.zeros((len(r), r.shape[1] + 2))
            np.negative(r, out=left[:, :-2])
            left[:, -1] = xlogy(r, r).sum(axis=1)
            return left
        c = self.joint.p_y
        b, log = log_ratio(self.centre, np.maximum(r, TINY))
        own = np.where(self.weak, c * (b * log - log1p_gap_given(b, log)), xlogy(r, r) - r).sum(axis=1)
        return np.column_stack([-np.where(self.weak, r - c, r), np.ones(len(r)), own])

    @cached_property
    def of_rows(self) -> FloatArray:
        """With p = c(1+a), r = c(1+b): r log(r/p) − r + p = c rem a + c[b log(1+b) − rem b] − cb log(1+a)."""
        p, c = self.p_y_given_x, self.joint.p_y
        own = np.where(self.weak, c * log1p_gap_given(*log_ratio(c, p)), p).sum(axis=1)
        return np.column_stack([self.statistics, own, np.ones(len(p))])

    def terms(self, rows: Float[np.ndarray, "*rows n_y"], r: Float[np.ndarray, "*atoms n_y"]) -> Terms:
        """Shares r log(r/p) − r + p."""
        return kl_terms(r, rows)

    def slope(self, r: Atoms) -> Slopes:
        """log(p/r) times √r."""
        safe = np.maximum(r, TINY)
        log = log_ratio(self.centre, safe)[1] if self.any_weak else np.log(safe)
        return np.asarray(np.sqrt(safe)[:, None, :] * (self.statistics - log[:, None, :]))

    def slope_parts(self, r: Atoms) -> tuple[Atoms, Atoms]:
        """log(p/r) times √r, from the statistic."""
        safe = np.maximum(r, TINY)
        log = log_ratio(self.centre, safe)[1] if self.any_weak else np.log(safe)
        return np.sqrt(safe), np.sqrt(safe) * (self.mean_where_weak - log)

    def pull(self, r: Atoms) -> Slopes:
        """log(p/r)."""
        return log_ratio(np.maximum(r, TINY)[:, None, :], self.p_y_given_x)[1]

    def slope_along(self, r: Atoms, steps: Steps) -> Along:
        """Σ_y step log(p/r), up to the same constant for all x."""
        safe = np.maximum(r, TINY)
        log = log_ratio(self.centre, safe)[1] if self.any_weak else np.log(safe) + 1.0
        return np.asarray(steps @ self.statistics.T - np.einsum("tvy,ty->tv", steps, log)[:, :, None])

    def statistic(self, rows: Features) -> Features:
        """log(p(y|x)/p(y)) for the weak y, log p(y|x) for the others."""
        return log_ratio(self.centre, rows)[1]

    def decoder_of(self, mean: Rows) -> Rows:
        """∝ exp Σ_x w(x) log p_x."""
        r = np.exp(mean - mean.max(axis=1, keepdims=True))
        if self.any_weak:
            r = r * self.centre
        return np.asarray(r / r.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class AlphaIB(Bottleneck):
    r"""The bottleneck with Amari's α-divergence, between dualIB (α → 0) and IB (α → 1).

    .. math:: d(x, r) = \frac{1 - \sum_y p(y|x)^\alpha r(y)^{1-\alpha}}{\alpha(1-\alpha)}

    Parameters
    ----------
    joint : Joint
        Zeros in p(y|x) are allowed: d stays finite.
    alpha : float
        Within (0, 1).

    Raises
    ------
    ValueError
        If alpha is outside (0, 1).

    Examples
    --------
    >>> from dualib import AlphaIB, Joint, solve
    >>> solve(AlphaIB(Joint([[0.4, 0.1], [0.1, 0.4]]), alpha=0.5), beta=10.0).n_clusters
    2
    """

    alpha: float = 0.5
    name: ClassVar[str] = "alpha"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"alpha = {self.alpha} is outside (0, 1); use IB for alpha = 1 and DualIB for alpha = 0")

    @property
    def power(self) -> float:  # type: ignore[override]
        """α."""
        return self.alpha

    @property
    def divisor(self) -> float:
        """α(1 − α)."""
        return self.alpha * (1.0 - self.alpha)

    @cached_property
    def hull(self) -> Hull:
        """Every distribution."""
        return Hull.simplex_above(self.p_y_given_x)

    def of_atoms(self, r: Atoms) -> FloatArray:
        """(1 − Σ_y p^α r^{1−α}) / (α(1−α)), the weak y expanded around p(y)."""
        power = 1.0 - self.alpha
        if not self.any_weak:
            return np.column_stack([-(r**power), np.zeros(len(r)), np.ones(len(r))]) / self.divisor
        c = self.joint.p_y
        b, log = log_ratio(self.centre, np.maximum(r, TINY))
        near = c * (power * log1p_gap_given(b, log) - expm1_gap(power * log))
        own = np.where(self.weak, near, power * r).sum(axis=1)
        left = np.where(self.weak, np.expm1(power * log), r**power)
        return np.column_stack([-left, np.ones(len(r)), own]) / self.divisor

    @cached_property
    def of_rows(self) -> FloatArray:
        """As for IB, of αp + (1−α)r − p^α r^{1−α}."""
        p, c = self.p_y_given_x, self.joint.p_y
        a, log = log_ratio(c, np.maximum(p, TINY))
        near = c * (self.alpha * log1p_gap_given(a, log) - expm1_gap(self.alpha * log))
        own = np.where(self.weak, near, self.alpha * p).sum(axis=1)
        right = np.where(self.weak, c * np.expm1(self.alpha * log), self.features)
        return np.column_stack([right, own, np.ones(len(p))])

    def terms(self, rows: Float[np.ndarray, "*rows n_y"], r: Float[np.ndarray, "*atoms n_y"]) -> Terms:
        """[αp + (1−α)r − p^α r^{1−α}] / (α(1−α))."""
        power = 1.0 - self.alpha
        seen = rows > TINY
        v, log = log_ratio(np.where(seen, rows, 1.0), np.maximum(r, TINY))
        share = rows * (power * log1p_gap_given(v, log) - expm1_gap(power * log))
        return np.where(seen, np.maximum(share, 0.0), power * r) / self.divisor

    def slope(self, r: Atoms) -> Slopes:
        """(p^α r^{−α} − 1)/α times √r."""
        safe = np.maximum(r, TINY)[:, None, :]
        return np.asarray(np.sqrt(safe) * (self.features * safe**-self.alpha - 1.0) / self.alpha)

    def slope_parts(self, r: Atoms) -> tuple[Atoms, Atoms]:
        """(p^α r^{−α} − 1)/α times √r, from p^α."""
        safe = np.maximum(r, TINY)
        root, power = np.sqrt(safe), safe**-self.alpha
        return root * power / self.alpha, root * (self.mean_where_weak * power - 1.0) / self.alpha

    def pull(self, r: Atoms) -> Slopes:
        """(p^α r^{−α} − 1)/α."""
        log = log_ratio(np.maximum(r, TINY)[:, None, :], np.maximum(self.p_y_given_x, TINY))[1]
        return np.asarray(np.expm1(self.alpha * log) / self.alpha)

    def slope_along(self, r: Atoms, steps: Steps) -> Along:
        """Σ_y step (p^α r^{−α} − 1)/α."""
        share = steps * np.maximum(r, TINY)[:, None, :] ** -self.alpha
        if not self.any_weak:
            return np.asarray(share @ self.features.T / self.alpha)
        centre = self.joint.p_y**self.alpha
        common = (share * centre - steps).sum(axis=2, keepdims=True)
        return np.asarray((share @ (self.features - centre).T + common) / self.alpha)

    def statistic(self, rows: Features) -> Features:
        """p(y|x)^α."""
        return rows**self.alpha

    def decoder_of(self, mean: Rows) -> Rows:
        """∝ (Σ_x w(x) p_x^α)^{1/α}, the largest set to 1 first: the power 1/α of a small number underflows."""
        r = (mean / mean.max(axis=1, keepdims=True)) ** (1.0 / self.alpha)
        return np.asarray(r / r.sum(axis=1, keepdims=True))
