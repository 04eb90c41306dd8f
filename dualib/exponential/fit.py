"""Maximum-likelihood fit of an exponential family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from dualib.core.arrays import check_entries, real_array
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, FloatArray
from dualib.exponential.family import ExponentialFamily, matrix
from dualib.joint import Joint


@dataclass(frozen=True, eq=False)
class ExponentialFit(Result):
    """A maximum-likelihood fit.

    Attributes
    ----------
    family : ExponentialFamily
        The fitted ExponentialFamily, with λ_r(y) summing to 0 over y.
    log_likelihood : float
        Mean of log p(y|x) over the samples, nats (without the ridge).
    gradient_norm : float
        Largest entry of the gradient at the end, of the mean log-likelihood, statistics scaled to 1.
    converged : bool
        gradient_norm is at most the tolerance and every parameter is finite.
    n_iterations : int
        Newton steps taken.

    Examples
    --------
    >>> fit = fit_exponential_family([[30, 10], [5, 15]], [[0.0], [1.0]])
    >>> fit.converged, round(fit.log_likelihood, 6)
    (True, -0.649543)
    """

    family: ExponentialFamily
    log_likelihood: float
    gradient_norm: float
    converged: bool
    n_iterations: int


def fit_exponential_family(
    counts: Joint | ArrayLike,
    statistics: ArrayLike,
    *,
    intercept: bool = False,
    ridge: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 100,
) -> ExponentialFit:
    r"""Fit the natural parameters of p(y|x) by maximum likelihood, a convex problem, with Newton's method.

    .. math:: \max_\lambda \sum_{xy} \frac{n(x,y)}{N} \log p_\lambda(y|x) - \tfrac{\text{ridge}}{2} \|\lambda\|^2

    Parameters
    ----------
    counts : Joint or ArrayLike
        n(x,y), shape (n_x, n_y), non-negative (an x without samples is allowed), or a Joint as weights.
    statistics : array
        A_r(x), shape (n_x, d).
    intercept : bool
        Append a column of ones to the statistics.
    ridge : float
        Strength of the penalty on λ, for statistics scaled to a root mean square of 1; 0 is maximum likelihood.
    tol : float
        Largest gradient entry at which the fit has converged.
    max_iterations : int
        Newton steps allowed.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is wrong, or, without ridge, the samples separate: infinite parameters can take pairs
        never seen to probability 0, so that no maximum exists. Remedies: ridge > 0, or counts + 0.1.

    References
    ----------
    [piran2020]_ section 5; [albert1984]_ for separation

    Examples
    --------
    >>> fit = fit_exponential_family([[30, 10], [5, 15]], [[0.0], [1.0]])
    >>> fit.family.natural_parameters.ravel().round(6)  # ±½ log(15/5): of x = 1
    array([ 0.549306, -0.549306])
    """
    table = counts.p_xy if isinstance(counts, Joint) else real_array(counts, "counts")
    if table.ndim != 2:
        raise ValueError(f"counts must have two axes (x, y), got shape {table.shape}")
    check_entries(table, "counts")
    features = matrix(statistics, "statistics")
    if len(features) != len(table):
        raise ValueError(f"statistics of shape {features.shape} and counts of shape {table.shape} differ in their x")
    if table.sum() == 0:
        raise ValueError("counts are all zero: there is nothing to fit")
    if not 0.0 <= ridge < np.inf:
        raise ValueError(f"ridge = {ridge} must be at least 0 and finite")
    if intercept:
        features = np.column_stack([features, np.ones(len(features))])
    weights = table / table.sum()
    scale = np.sqrt((features**2).mean(axis=0))
    scale[scale == 0] = 1.0
    scaled = features / scale
    if ridge == 0.0 and (table == 0).any() and _separates(weights, scaled):
        raise ValueError(
            f"the samples separate ({int((table == 0).sum())} of {table.size} pairs were never seen): the likelihood "
            "grows without end as parameters go to infinity; use ridge > 0, fewer statistics, or counts + 0.1"
        )
    theta, value, norm, step_count = _newton(weights, scaled, ridge, tol, max_iterations)
    parameters = (theta - theta.mean(axis=1, keepdims=True)) / scale[:, None]
    converged = bool(np.isfinite(parameters).all() and norm <= tol)
    log_likelihood = -value + 0.5 * ridge * float((theta**2).sum())
    return ExponentialFit(ExponentialFamily(features, parameters), log_likelihood, norm, converged, step_count)


def _newton(
    weights: FloatArray, scaled: FloatArray, ridge: float, tol: float, max_iterations: int
) -> tuple[FloatArray, float, float, int]:
    """The parameters of least loss, the loss, the largest entry of its gradient, and the steps taken."""
    d, n_y = scaled.shape[1], weights.shape[1]
    p_x = weights.sum(axis=1)

    def loss(theta: FloatArray) -> float:
        energy = -scaled @ theta
        return float(p_x @ logsumexp(energy, axis=1) - (weights * energy).sum() + 0.5 * ridge * (theta**2).sum())

    theta = np.zeros((d, n_y))
    value, norm, step_count = loss(theta), np.inf, 0
    for step_count in range(max_iterations + 1):
        p = softmax(-scaled @ theta, axis=1)
        gradient = scaled.T @ (weights - p_x[:, None] * p) + ridge * theta
        norm = float(np.abs(gradient).max())
        if not norm > tol or step_count == max_iterations:
            break
        spread = p[:, :, None] * (np.eye(n_y) - p[:, None, :])
        hessian = np.einsum("x,xr,xs,xab->rasb", p_x, scaled, scaled, spread, optimize=True).reshape(d * n_y, d * n_y)
        # Least squares: a constant over y, and collinear statistics, leave p(y|x) alone: take the shortest step.
        step = -np.linalg.lstsq(hessian + ridge * np.eye(d * n_y), gradient.ravel(), rcond=1e-13)[0].reshape(d, n_y)
        length, slope = 1.0, float((gradient * step).sum())
        while length > 1e-10 and not loss(theta + length * step) <= value + 1e-4 * length * slope + 1e-15:
            length /= 2
        theta = theta + length * step
        value = loss(theta)
    return theta, value, norm, step_count


def _separates(weights: FloatArray, features: FloatArray) -> bool:
    """Whether a direction of the parameters raises no seen pair's competitors and lowers one: a linear program."""
    from scipy.optimize import linprog  # here, for it doubles the time of importing the package

    n_y = weights.shape[1]
    rows = []
    for x, y in np.argwhere(weights > 0):
        for other in np.delete(np.arange(n_y), y):
            row = np.zeros((features.shape[1], n_y))
            row[:, other], row[:, y] = features[x], -features[x]
            rows.append(row.ravel())
    margins = np.array(rows)
    result = linprog(-margins.sum(axis=0), A_ub=-margins, b_ub=np.zeros(len(margins)), bounds=(-1, 1), method="highs")
    return bool(result.status == 0 and -result.fun > 1e-7)
