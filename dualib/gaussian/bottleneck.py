"""The Gaussian information bottleneck and its dual, in closed form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from dualib.core.arrays import real_array
from dualib.core.result import Brief, Result
from dualib.core.typing import Float, FloatArray, Int
from dualib.core.units import Units, to_units
from dualib.gaussian.covariance import whitened_svd
from dualib.plane import PlanePath

if TYPE_CHECKING:
    import pandas as pd

PATH_POINTS = 300  # of the line in the plane, dense at small rates
MOST = 0.999  # of I(X;Y): where that line ends


@dataclass(frozen=True, eq=False)
class GaussianCurve(Result):
    """Points of a Gaussian bottleneck curve; informations in nats.

    Attributes
    ----------
    beta : array, shape (n,)
    rate : array, shape (n,)
        I(X;T).
    relevance : array, shape (n,)
        I(T;Y).
    objective : array, shape (n,)
        F(β) = I(X;T) + β E d at the optimum.
    n_active : array of int, shape (n,)
        The dimension of T.

    Examples
    --------
    >>> import numpy as np
    >>> from dualib import GaussianIB
    >>> curve = GaussianIB([[1.0]], [[1.0]], [[0.8]]).curve([1.0, 10.0])
    >>> curve.n_active, curve.rate.round(6)  # nats
    (array([0, 1]), array([0.      , 1.386294]))
    """

    beta: Float[np.ndarray, " n"]
    rate: Float[np.ndarray, " n"]
    relevance: Float[np.ndarray, " n"]
    objective: Float[np.ndarray, " n"]
    n_active: Int[np.ndarray, " n"]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a β; the unit is part of the column's name."""
        import pandas as pd

        names = ("rate", "relevance", "objective")
        information = {f"{name}_{units}": to_units(getattr(self, name), units) for name in names}
        return pd.DataFrame({"beta": self.beta, **information, "n_active": self.n_active})


@dataclass(frozen=True, eq=False)
class GaussianBottleneck(Brief, ABC):
    """Jointly Gaussian X and Y in canonical coordinates; use :class:`GaussianIB` or :class:`GaussianDualIB`.

    The two have the same curve, reached at different β: the optimum of the dual at β is that of the IB at β + 1.

    Parameters
    ----------
    cov_x, cov_y : arrays, shapes (n_x, n_x) and (n_y, n_y)
        Symmetric and positive definite; a number for a scalar.
    cov_xy : array, shape (n_x, n_y)
        Cross-covariance.

    Raises
    ------
    ValueError
        If shapes do not fit (they are given), a matrix is not a covariance (its smallest eigenvalue is given), or Y has a
        component that is a linear function of X, so that I(X;Y) is infinite.
    """

    cov_x: FloatArray
    cov_y: FloatArray
    cov_xy: FloatArray
    title: ClassVar[str]
    shift: ClassVar[float]
    """What is added to β to give the β of the IB with the same optimum."""

    def __post_init__(self) -> None:
        for name in ("cov_x", "cov_y", "cov_xy"):
            array = np.atleast_2d(real_array(getattr(self, name), name)).copy()
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        _ = self._modes

    @cached_property
    def _modes(self) -> tuple[FloatArray, FloatArray]:
        """Canonical correlations, shape (n_x,), descending, and as rows the directions b with b x of unit variance."""
        factor, u, rho = whitened_svd(self.cov_x, self.cov_y, self.cov_xy)
        rho = np.concatenate([rho, np.zeros(len(factor) - len(rho))])
        return rho, solve_triangular(factor, u, lower=True, trans="T").T

    @property
    def correlations(self) -> Float[np.ndarray, " n_x"]:
        """Canonical correlations ρ_i, descending; 0 for a direction of x that says nothing about y."""
        return self._modes[0]

    @property
    def eigenvalues(self) -> Float[np.ndarray, " n_x"]:
        """λ_i = 1 − ρ_i², the eigenvalues of Σ_{x|y} Σ_x⁻¹, ascending."""
        return (1.0 - self.correlations) * (1.0 + self.correlations)

    @property
    def critical_betas(self) -> Float[np.ndarray, " n_x"]:
        """The β from which mode i is active, ascending: 1/ρ_i² (IB), λ_i/ρ_i² (dual); inf for an irrelevant direction."""
        first = self.eigenvalues if self.shift else np.ones_like(self.correlations)
        with np.errstate(divide="ignore"):
            critical: FloatArray = first / self.correlations**2
        return critical

    def mutual_information(self) -> float:
        """I(X;Y), in nats: what I(T;Y) tends to as β grows."""
        return -0.5 * float(np.log1p(-(self.correlations**2)).sum())

    @cached_property
    def critical_rates(self) -> Float[np.ndarray, " n"]:
        r"""I(X;T) at every finite critical β, nats: where the segments of the curve begin.

        .. math:: c_m = \tfrac12 \sum_{i<m} \log\frac{\lambda_m \rho_i^2}{\lambda_i \rho_m^2}
        """
        offset = self._offsets
        return np.cumsum(offset) * -1.0 + offset * np.arange(1, len(offset) + 1)

    @cached_property
    def _offsets(self) -> FloatArray:
        """How far each relevant mode's rate lags behind the first one's: ½ log of the ratio of ρ²/λ, ascending."""
        relevant = self.correlations > 0
        signal = np.log(self.correlations[relevant] ** 2 / self.eigenvalues[relevant])
        behind: FloatArray = 0.5 * (signal[:1] - signal)
        return behind

    def _excess(self, beta: FloatArray) -> FloatArray:
        """β_IB ρ_i² − 1 = β ρ_i² − (1 − shift ρ_i²), at least 0, shape (..., n_x); nothing is added to a small β."""
        first = self.eigenvalues if self.shift else 1.0
        excess: FloatArray = np.maximum(beta[..., None] * self.correlations**2 - first, 0.0)
        return excess

    def _mode_rates(self, beta: FloatArray) -> FloatArray:
        """Rate of every mode at every β, shape (..., n_x)."""
        rates: FloatArray = 0.5 * np.log1p(self._excess(beta) / self.eigenvalues)
        return rates

    def _mode_relevance(self, rates: FloatArray, correlations: FloatArray) -> FloatArray:
        # A scalar Gaussian channel: I(T;Y) = -log(1 - ρ² + ρ² exp(-2 I(X;T))) / 2, in the form that loses no digits.
        relevance: FloatArray = -0.5 * np.log1p(correlations**2 * np.expm1(-2.0 * rates))
        return relevance

    @abstractmethod
    def _mode_distortion(self, beta: FloatArray, rates: FloatArray) -> FloatArray:
        """E d of every mode at every β, shape (..., n_x), nats."""

    def curve(self, betas: ArrayLike) -> GaussianCurve:
        """The exact rate, relevance, objective and dimension of T at every β.

        Parameters
        ----------
        betas : array, shape (n,), or a number
            Positive and finite. Up to the first critical β nothing is transmitted.
        """
        beta = _positive_vector(np.atleast_1d(real_array(betas, "betas")), "betas")
        rates = self._mode_rates(beta)
        relevance = self._mode_relevance(rates, self.correlations).sum(axis=-1)
        rate = rates.sum(axis=-1)
        objective = rate + beta * self._mode_distortion(beta, rates).sum(axis=-1)
        return GaussianCurve(beta, rate, relevance, objective, (rates > 0).sum(axis=-1))

    def plane_paths(self) -> list[PlanePath]:
        """The curve as a line of the information plane, up to where all but .1 % of I(X;Y) is reached; marked: new modes."""
        total, end = self.mutual_information(), 1.0
        while np.asarray(self.relevance_at(end)) < MOST * total:
            end *= 2.0
        rate = end * np.linspace(0.0, 1.0, PATH_POINTS) ** 2
        relevance = np.asarray(self.relevance_at(rate))
        rate = rate[: int(np.searchsorted(relevance, MOST * total)) + 1]
        known = np.ones(len(rate), dtype=bool)
        marks = self.critical_rates[(self.critical_rates > 0) & (self.critical_rates < rate[-1])]
        at = np.column_stack([marks, np.asarray(self.relevance_at(marks))])
        return [PlanePath(self.title, rate, relevance[: len(rate)], known[1:], known, total, at)]

    def _first_rate(self, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Rate of every relevant mode where the rates sum to `rate`, shape (..., n), and the rate of the first."""
        offset, cumulative = self._offsets, np.cumsum(self._offsets)
        m = np.maximum(np.searchsorted(self.critical_rates, rate, side="right"), 1)
        first = (rate + cumulative[m - 1]) / m
        return np.maximum(first[..., None] - offset, 0.0), first

    def relevance_at(self, rate: ArrayLike) -> FloatArray | float:
        r"""The curve itself: the largest I(T;Y) at a given I(X;T), exact.

        With m active modes, from c_m (`critical_rates`) on,

        .. math:: I_Y = I_X - \tfrac{m}{2} \log\left[\prod_{i \le m}(1-\lambda_i)^{1/m}
                  + e^{2 I_X/m} \prod_{i \le m} \lambda_i^{1/m}\right]

        Parameters
        ----------
        rate : array or number
            I(X;T) in nats, at least 0 (inf gives I(X;Y)).

        Returns
        -------
        array of the same shape, or a number for a number
            In nats.

        References
        ----------
        [chechik2005]_ equation 29
        """
        rates = _not_negative(real_array(rate, "rate"), "rate")
        if not len(self._offsets):
            return np.zeros(rates.shape)[()]
        per_mode, _ = self._first_rate(rates)
        total: FloatArray = self._mode_relevance(per_mode, self.correlations[: len(self._offsets)]).sum(axis=-1)
        return total

    def beta_at(self, rate: ArrayLike) -> FloatArray | float:
        """The β whose optimum has the given rate in nats; for the IB one over it is the slope of the curve there.

        At rate 0 it is the first critical β; where X and Y are independent it is inf.
        """
        rates = _not_negative(real_array(rate, "rate"), "rate")
        if not len(self._offsets):
            return np.full(rates.shape, np.inf)[()]
        _, first = self._first_rate(rates)
        grown = self.eigenvalues[0] * np.expm1(2.0 * first)
        beta: FloatArray = self.critical_betas[0] + grown / self.correlations[0] ** 2
        return beta

    def projection(self, beta: float) -> Float[np.ndarray, "n_active n_x"]:
        r"""The matrix A of the optimal representation T = A X + ξ, with ξ standard normal and independent of X.

        .. math:: A_i = \sqrt{\frac{\beta\rho_i^2-1}{\lambda_i}}\; b_i, \qquad b_i \Sigma_x b_i^\top = 1

        at the β of the IB; unique up to an orthogonal change of T's basis.

        Parameters
        ----------
        beta : float
            Positive.

        Returns
        -------
        array, shape (n_active, n_x)
            No row up to the first critical β.

        References
        ----------
        [chechik2005]_ theorem 3.1
        """
        excess = self._excess(_positive_vector(np.atleast_1d(real_array(beta, "beta")), "beta"))[0]
        active = excess > 0
        rows: FloatArray = np.sqrt(excess[active] / self.eigenvalues[active])[:, None] * self._modes[1][active]
        return rows


@dataclass(frozen=True, eq=False)
class GaussianIB(GaussianBottleneck):
    r"""The information bottleneck of jointly Gaussian X and Y, exact.

    With ρ_i the canonical correlations and λ_i = 1 − ρ_i², mode i becomes active at β_i = 1/ρ_i². Over the active ones

    .. math:: I(X;T) = \tfrac12\sum_i \log\frac{(\beta-1)\rho_i^2}{\lambda_i}, \qquad
              I(T;Y) = I(X;T) - \tfrac12\sum_i \log(\beta\rho_i^2)

    Parameters, errors and methods are those of :class:`GaussianBottleneck`.

    Examples
    --------
    >>> problem = GaussianIB(1.0, 1.0, 0.5)
    >>> problem.critical_betas
    array([4.])

    References
    ----------
    [chechik2005]_ theorem 3.1 and section 5
    """

    title: ClassVar[str] = "Gaussian IB"
    shift: ClassVar[float] = 0.0

    def _mode_distortion(self, beta: FloatArray, rates: FloatArray) -> FloatArray:
        # I(X;Y) − I(T;Y) of the mode.
        lost = self._mode_relevance(np.full_like(self.correlations, np.inf), self.correlations)
        return lost - self._mode_relevance(rates, self.correlations)


@dataclass(frozen=True, eq=False)
class GaussianDualIB(GaussianBottleneck):
    r"""The dual information bottleneck of jointly Gaussian X and Y, exact: the IB at β + 1.

    The geometric mean of Gaussians of one covariance is Gaussian, so that with :math:`v_i = \rho_i^2/\lambda_i` the dual
    is a quadratic rate-distortion problem, solved by reverse water-filling, :math:`D_i = \min(v_i, 1/\beta)`:

    .. math:: F(\beta) = \sum_i \tfrac12\log^+(\beta v_i) + \tfrac12\min(\beta v_i, 1), \qquad
              I(X;T) = \tfrac12\sum_i\log^+(\beta v_i)

    The IB has :math:`I(X;T) = \tfrac12\sum_i\log^+((\beta-1)v_i)`: the same encoder at β + 1, hence the same curve.

    Parameters, errors and methods are those of :class:`GaussianBottleneck`.

    Examples
    --------
    >>> GaussianDualIB(1.0, 1.0, 0.5).critical_betas
    array([3.])

    References
    ----------
    [piran2020]_ (the dual), [cover2006]_ theorem 10.3.3 (water-filling); their combination is derived here
    """

    title: ClassVar[str] = "Gaussian dualIB"
    shift: ClassVar[float] = 1.0

    def _mode_distortion(self, beta: FloatArray, rates: FloatArray) -> FloatArray:
        signal = self.correlations**2 / self.eigenvalues
        distortion: FloatArray = 0.5 * np.minimum(signal, 1.0 / beta[..., None])
        return distortion


def _positive_vector(values: FloatArray, name: str) -> FloatArray:
    bad = ~(np.isfinite(values) & (values > 0))
    if values.ndim != 1 or not values.size:
        raise ValueError(f"{name} must be a number or a non-empty one-dimensional array, got shape {values.shape}")
    if bad.any():
        raise ValueError(f"{name}[{int(bad.argmax())}] = {values[bad][0]} must be positive and finite")
    return values


def _not_negative(values: FloatArray, name: str) -> FloatArray:
    bad = ~(values >= 0)
    if bad.any():
        raise ValueError(f"{name} = {values[bad][0]} must be at least 0")
    return values
