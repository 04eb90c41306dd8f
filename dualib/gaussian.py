"""Entropies of Gaussian vectors, and the Gaussian information bottleneck in closed form; all in nats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, solve_triangular

from .measures import FloatArray, Units, _real_array, to_units

if TYPE_CHECKING:
    import pandas as pd

# --- checks ---


def _finite(array: FloatArray, name: str) -> FloatArray:
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{name}{where} = {array[tuple(where)]} is not finite")
    return array


def _vector(mean: ArrayLike, name: str, n: int) -> FloatArray:
    vector = np.atleast_1d(_real_array(mean, name))
    if vector.shape != (n,):
        raise ValueError(f"{name} has shape {vector.shape}; its covariance has shape {(n, n)}, so {(n,)} is needed")
    return _finite(vector, name)


def _covariance(cov: ArrayLike, name: str) -> tuple[FloatArray, FloatArray]:
    """The covariance, symmetrised, and its lower Cholesky factor; refused unless numerically positive definite."""
    matrix = _real_array(cov, name)
    if matrix.ndim == 0:
        matrix = matrix.reshape(1, 1)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix (or a number, for a scalar), got shape {matrix.shape}")
    scale = np.sqrt(np.abs(np.diag(_finite(matrix, name))))
    asymmetry = np.abs(matrix - matrix.T)
    if (asymmetry > 1e-8 * np.maximum(np.outer(scale, scale), np.finfo(float).tiny)).any():
        i, j = (int(k) for k in np.unravel_index(int(asymmetry.argmax()), matrix.shape))
        raise ValueError(
            f"{name} is not symmetric: {name}[{i}, {j}] = {matrix[i, j]:.6g} and {name}[{j}, {i}] = {matrix[j, i]:.6g}"
        )
    matrix = (matrix + matrix.T) / 2
    # Judged on the correlation matrix, so that the units of the coordinates do not matter.
    if (np.diag(matrix) > 0).all():
        smallest = np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0]
        if smallest > len(matrix) * np.finfo(float).eps:
            return matrix, cholesky(matrix, lower=True)
    raise ValueError(
        f"{name} of shape {matrix.shape} is not positive definite: its smallest eigenvalue is "
        f"{np.linalg.eigvalsh(matrix)[0]:.6g}; remove linearly dependent coordinates or add noise to its diagonal"
    )


def _whitened_svd(cov_x: ArrayLike, cov_y: ArrayLike, cov_xy: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cholesky factor of cov_x, and the left singular vectors and singular values of the whitened cross-covariance."""
    x, factor_x = _covariance(cov_x, "cov_x")
    y, factor_y = _covariance(cov_y, "cov_y")
    cross = np.atleast_2d(_real_array(cov_xy, "cov_xy"))
    if cross.shape != (len(x), len(y)):
        raise ValueError(
            f"cov_xy has shape {np.shape(cov_xy)}; with cov_x of shape {x.shape} and cov_y of shape {y.shape}, "
            f"{(len(x), len(y))} is needed"
        )
    half = solve_triangular(factor_x, _finite(cross, "cov_xy"), lower=True)
    white = solve_triangular(factor_y, half.T, lower=True).T
    u, rho, _ = np.linalg.svd(white, full_matrices=True)
    tolerance = (len(x) + len(y)) * np.finfo(float).eps
    if rho[0] > 1.0 + 1e-9:
        raise ValueError(
            f"the three blocks are not one covariance: the largest canonical correlation is {rho[0]:.6g} > 1, so the "
            "joint covariance has a negative eigenvalue"
        )
    if rho[0] >= 1.0 - tolerance:
        raise ValueError(
            f"the largest canonical correlation is {rho[0]:.17g}: a combination of y is a linear function of x, their "
            "mutual information is infinite and the joint covariance has smallest eigenvalue 0; add noise to cov_y"
        )
    return factor_x, u, np.where(rho > tolerance, rho, 0.0)


# --- measures ---


def gaussian_entropy(cov: ArrayLike) -> float:
    r"""Differential entropy of a Gaussian vector.

    .. math:: h(X) = \tfrac12 \log\left((2\pi e)^n \det\Sigma\right)

    Parameters
    ----------
    cov : array, shape (n, n), symmetric and positive definite; or a number, the variance of a scalar.

    Returns
    -------
    float, in nats (differential: it may be negative).

    Raises
    ------
    ValueError: cov is not square, finite, symmetric and positive definite (the message gives the smallest eigenvalue).

    References
    ----------
    [cover2006]_ theorem 8.4.1
    """
    _, factor = _covariance(cov, "cov")
    return 0.5 * len(factor) * math.log(2 * math.pi * math.e) + float(np.log(np.diag(factor)).sum())


def gaussian_kl(mean_p: ArrayLike, cov_p: ArrayLike, mean_q: ArrayLike, cov_q: ArrayLike) -> float:
    r"""Kullback-Leibler divergence of two Gaussians.

    .. math:: D(p\|q) = \tfrac12\left[\operatorname{tr}\Sigma_q^{-1}\Sigma_p - n
              + (\mu_p-\mu_q)^\top\Sigma_q^{-1}(\mu_p-\mu_q) + \log\frac{\det\Sigma_q}{\det\Sigma_p}\right]

    Parameters
    ----------
    mean_p, mean_q : arrays, shape (n,).
    cov_p, cov_q : arrays, shape (n, n), symmetric and positive definite.

    Returns
    -------
    float, in nats, at least 0.

    Raises
    ------
    ValueError: shapes do not fit (both are given), or a covariance is not symmetric and positive definite.

    References
    ----------
    [cover2006]_ section 8.5
    """
    p, factor_p = _covariance(cov_p, "cov_p")
    q, factor_q = _covariance(cov_q, "cov_q")
    if p.shape != q.shape:
        raise ValueError(f"cov_p has shape {p.shape} and cov_q has shape {q.shape}; they must be equal")
    shift = _vector(mean_p, "mean_p", len(p)) - _vector(mean_q, "mean_q", len(q))
    ratio = solve_triangular(factor_q, factor_p, lower=True)  # lower triangular: its diagonal holds the determinants
    distance = solve_triangular(factor_q, shift, lower=True)
    diagonal = np.diag(ratio)
    # tr - n - log det, summed entry by entry so that nearly equal covariances cancel before they are added up.
    spread = (diagonal - 1.0) * (diagonal + 1.0) - 2.0 * np.log(diagonal)
    return max(0.0, 0.5 * float(spread.sum() + (np.tril(ratio, -1) ** 2).sum() + distance @ distance))


def gaussian_mutual_information(cov_x: ArrayLike, cov_y: ArrayLike, cov_xy: ArrayLike) -> float:
    r"""Mutual information of jointly Gaussian vectors, from their canonical correlations.

    .. math:: I(X;Y) = \tfrac12 \log\frac{\det\Sigma_x \det\Sigma_y}{\det\Sigma} = -\tfrac12 \sum_i \log(1-\rho_i^2)

    Parameters
    ----------
    cov_x, cov_y : arrays, shapes (n_x, n_x) and (n_y, n_y), symmetric and positive definite.
    cov_xy : array, shape (n_x, n_y), the cross-covariance.

    Returns
    -------
    float, in nats, at least 0.

    Raises
    ------
    ValueError: shapes do not fit, a covariance is not positive definite, or the joint one is not (then I is infinite).

    Examples
    --------
    >>> round(gaussian_mutual_information(1.0, 1.0, 0.6), 6)  # -log(1 - 0.36) / 2
    0.223144

    References
    ----------
    [cover2006]_ section 8.5
    """
    _, _, rho = _whitened_svd(cov_x, cov_y, cov_xy)
    return -0.5 * float(np.log1p(-(rho**2)).sum())


# --- the bottleneck ---


@dataclass(frozen=True, eq=False)
class GaussianCurve:
    """Points of a Gaussian IB curve.

    Attributes
    ----------
    beta : shape (n,).
    rate : I(X;T), shape (n,), nats.
    relevance : I(T;Y), shape (n,), nats.
    n_active : shape (n,), the dimension of T.
    """

    beta: FloatArray
    rate: FloatArray
    relevance: FloatArray
    n_active: NDArray[np.intp]

    def to_frame(self, units: Units = "nats") -> pd.DataFrame:
        """One row a β; the unit is part of the column's name."""
        import pandas as pd

        information = {f"{name}_{units}": to_units(getattr(self, name), units) for name in ("rate", "relevance")}
        return pd.DataFrame({"beta": self.beta, **information, "n_active": self.n_active})


@dataclass(frozen=True, eq=False)
class GaussianIB:
    r"""The information bottleneck of jointly Gaussian X and Y, exact.

    With ρ_i the canonical correlations and λ_i = 1 - ρ_i², mode i becomes active at β_i = 1/ρ_i². Over the active ones

    .. math:: I(X;T) = \tfrac12\sum_i \log\frac{(\beta-1)\rho_i^2}{\lambda_i}, \qquad
              I(T;Y) = I(X;T) - \tfrac12\sum_i \log(\beta\rho_i^2)

    Parameters
    ----------
    cov_x, cov_y : arrays, shapes (n_x, n_x) and (n_y, n_y), symmetric and positive definite (a number for a scalar).
    cov_xy : array, shape (n_x, n_y).

    Raises
    ------
    ValueError: shapes do not fit (they are given), a matrix is not a covariance (its smallest eigenvalue is given), or
        Y has a component that is a linear function of X, so that I(X;Y) is infinite.

    Examples
    --------
    >>> problem = GaussianIB(1.0, 1.0, 0.5)
    >>> problem.critical_betas
    array([4.])

    References
    ----------
    [chechik2005]_ theorem 3.1 and section 5
    """

    cov_x: FloatArray
    cov_y: FloatArray
    cov_xy: FloatArray

    def __post_init__(self) -> None:
        for name in ("cov_x", "cov_y", "cov_xy"):
            array = np.atleast_2d(_real_array(getattr(self, name), name)).copy()
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        _ = self._modes

    @cached_property
    def _modes(self) -> tuple[FloatArray, FloatArray]:
        """Canonical correlations, shape (n_x,), descending, and as rows the directions b with b x of unit variance."""
        factor, u, rho = _whitened_svd(self.cov_x, self.cov_y, self.cov_xy)
        rho = np.concatenate([rho, np.zeros(len(factor) - len(rho))])
        return rho, solve_triangular(factor, u, lower=True, trans="T").T

    @property
    def correlations(self) -> FloatArray:
        """Canonical correlations ρ_i, shape (n_x,), descending; 0 for a direction of x that says nothing about y."""
        return self._modes[0]

    @property
    def eigenvalues(self) -> FloatArray:
        """λ_i = 1 - ρ_i², the eigenvalues of Σ_{x|y} Σ_x⁻¹, shape (n_x,), ascending."""
        return (1.0 - self.correlations) * (1.0 + self.correlations)

    @property
    def critical_betas(self) -> FloatArray:
        """β_i = 1/ρ_i² from which mode i is active, shape (n_x,), ascending; inf for an irrelevant direction."""
        with np.errstate(divide="ignore"):
            return 1.0 / self.correlations**2

    @property
    def mutual_information(self) -> float:
        """I(X;Y), in nats: what I(T;Y) tends to as β grows."""
        return -0.5 * float(np.log1p(-(self.correlations**2)).sum())

    @cached_property
    def critical_rates(self) -> FloatArray:
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
        return 0.5 * (signal[:1] - signal)

    def _mode_rates(self, beta: FloatArray) -> FloatArray:
        """Rate of every mode at every β, shape (..., n_x)."""
        excess = np.maximum(beta[..., None] * self.correlations**2 - 1.0, 0.0)
        return 0.5 * np.log1p(excess / self.eigenvalues)

    def _mode_relevance(self, rates: FloatArray, correlations: FloatArray) -> FloatArray:
        # A scalar Gaussian channel: I(T;Y) = -log(1 - ρ² + ρ² exp(-2 I(X;T))) / 2, in the form that loses no digits.
        return -0.5 * np.log1p(correlations**2 * np.expm1(-2.0 * rates))

    def curve(self, betas: ArrayLike) -> GaussianCurve:
        """The exact rate, relevance and dimension of T at every β.

        Parameters
        ----------
        betas : array, shape (n,), or a number; positive and finite. Up to the first critical β nothing is transmitted.
        """
        beta = _positive(np.atleast_1d(_real_array(betas, "betas")), "betas")
        rates = self._mode_rates(beta)
        relevance = self._mode_relevance(rates, self.correlations).sum(axis=-1)
        return GaussianCurve(beta, rates.sum(axis=-1), relevance, (rates > 0).sum(axis=-1))

    def _first_rate(self, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Rate of every relevant mode where the rates sum to `rate`, shape (..., n), and the rate of the first."""
        offset, cumulative = self._offsets, np.cumsum(self._offsets)
        m = np.maximum(np.searchsorted(self.critical_rates, rate, side="right"), 1)
        first = (rate + cumulative[m - 1]) / m
        return np.maximum(first[..., None] - offset, 0.0), first

    def relevance_at(self, rate: ArrayLike) -> FloatArray | float:
        r"""The IB curve itself: the largest I(T;Y) at a given I(X;T), exact.

        With m active modes, from c_m (`critical_rates`) on,

        .. math:: I_Y = I_X - \tfrac{m}{2} \log\left[\prod_{i \le m}(1-\lambda_i)^{1/m}
                  + e^{2 I_X/m} \prod_{i \le m} \lambda_i^{1/m}\right]

        Parameters
        ----------
        rate : array or number, I(X;T) in nats, at least 0 (inf gives I(X;Y)).

        Returns
        -------
        Array of the same shape (a number for a number), in nats.

        References
        ----------
        [chechik2005]_ equation 29
        """
        rates = _not_negative(_real_array(rate, "rate"), "rate")
        if not len(self._offsets):
            return np.zeros(rates.shape)[()]
        per_mode, _ = self._first_rate(rates)
        return self._mode_relevance(per_mode, self.correlations[: len(self._offsets)]).sum(axis=-1)

    def beta_at(self, rate: ArrayLike) -> FloatArray | float:
        """The β whose optimum has the given rate in nats; one over it is the slope of the curve there.

        At rate 0 it is the first critical β; where X and Y are independent it is inf.
        """
        rates = _not_negative(_real_array(rate, "rate"), "rate")
        if not len(self._offsets):
            return np.full(rates.shape, np.inf)[()]
        _, first = self._first_rate(rates)
        return (1.0 + self.eigenvalues[0] * np.expm1(2.0 * first)) / self.correlations[0] ** 2

    def projection(self, beta: float) -> FloatArray:
        r"""The matrix A of the optimal representation T = A X + ξ, with ξ standard normal and independent of X.

        .. math:: A_i = \sqrt{\frac{\beta\rho_i^2-1}{\lambda_i}}\; b_i, \qquad b_i \Sigma_x b_i^\top = 1

        Parameters
        ----------
        beta : positive number.

        Returns
        -------
        array, shape (n_active, n_x); no row up to the first critical β. Unique up to an orthogonal change of T's basis.

        References
        ----------
        [chechik2005]_ theorem 3.1
        """
        (value,) = _positive(np.atleast_1d(_real_array(beta, "beta")), "beta")
        excess = value * self.correlations**2 - 1.0
        active = excess > 0
        return np.sqrt(excess[active] / self.eigenvalues[active])[:, None] * self._modes[1][active]


def _positive(values: FloatArray, name: str) -> FloatArray:
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
