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
α → 1 gives IB and α → 0 dualIB. Sources: [tishby1999]_ eqs. 16 and 28 (IB), [piran2020]_ eqs. 7-9 (dualIB).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from scipy.special import xlogy

from .charts import Chart, MixtureChart, MomentChart, affine_rank
from .joint import Joint, Merged
from .measures import FloatArray

TINY = 1e-300  # below every probability that can matter, above what would make log or 1/r overflow


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
        """d(x, r_t), shape (n_t, n_x), nats."""
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
    def pair_distortion(self) -> FloatArray:
        r"""min_r ½[d(x, r) + d(x', r)] for every pair, shape (n_x, n_x), nats.

        The Jensen-Shannon divergence for IB, the Bhattacharyya distance for dualIB.
        """
        n = len(self.p_x)
        table = np.zeros((n, n))
        for i in range(n - 1):
            others = np.arange(i + 1, n)
            pairs = np.zeros((len(others), n))
            pairs[:, i] = pairs[np.arange(len(others)), others] = 0.5
            table[i, i + 1 :] = (pairs * self.distortion(self.decode(pairs))).sum(axis=1)
        return table + table.T

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
        return self._negative_entropy - np.log(np.maximum(r, TINY)) @ self.p_y_given_x.T

    def slope(self, r: FloatArray) -> FloatArray:
        return self.p_y_given_x / np.sqrt(np.maximum(r, TINY))[:, None, :]

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        return (steps / np.maximum(r, TINY)[:, None, :]) @ self.p_y_given_x.T

    def decode(self, weights: FloatArray) -> FloatArray:
        return (weights @ self.p_y_given_x) / weights.sum(axis=1, keepdims=True)


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
            return MixtureChart(self, np.eye(self.joint.n_y))
        return MomentChart(self, self._log_rows)

    def distortion(self, r: FloatArray) -> FloatArray:
        return xlogy(r, r).sum(axis=1, keepdims=True) - r @ self._log_rows.T

    def slope(self, r: FloatArray) -> FloatArray:
        safe = np.maximum(r, TINY)
        return np.sqrt(safe)[:, None, :] * (self._log_rows - np.log(safe)[:, None, :])

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        common = np.einsum("tvy,ty->tv", steps, np.log(np.maximum(r, TINY)) + 1.0)
        return steps @ self._log_rows.T - common[:, :, None]

    def decode(self, weights: FloatArray) -> FloatArray:
        log_r = (weights @ self._log_rows) / weights.sum(axis=1, keepdims=True)
        r = np.exp(log_r - log_r.max(axis=1, keepdims=True))
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
        return MixtureChart(self, np.eye(self.joint.n_y))

    def distortion(self, r: FloatArray) -> FloatArray:
        return (1.0 - r ** (1.0 - self.alpha) @ self.features.T) / (self.alpha * (1.0 - self.alpha))

    def slope(self, r: FloatArray) -> FloatArray:
        return (np.maximum(r, TINY) ** (0.5 - self.alpha))[:, None, :] * self.features / self.alpha

    def slope_along(self, r: FloatArray, steps: FloatArray) -> FloatArray:
        return (steps * np.maximum(r, TINY)[:, None, :] ** -self.alpha) @ self.features.T / self.alpha

    def decode(self, weights: FloatArray) -> FloatArray:
        r = ((weights @ self.features) / weights.sum(axis=1, keepdims=True)) ** (1.0 / self.alpha)
        return r / r.sum(axis=1, keepdims=True)


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
