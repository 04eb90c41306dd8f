"""Entropies and divergences of Gaussian vectors, in nats."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solve_triangular

from dualib.gaussian.covariance import covariance, vector, whitened_svd


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

    Examples
    --------
    >>> import numpy as np
    >>> round(gaussian_entropy(np.eye(1)), 6)  # ½ log 2πe
    1.418939
    """
    _, factor = covariance(cov, "cov")
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

    Examples
    --------
    >>> import numpy as np
    >>> round(gaussian_kl([1.0], np.eye(1), [0.0], np.eye(1)), 6)  # half the square of the distance
    0.5
    """
    p, factor_p = covariance(cov_p, "cov_p")
    q, factor_q = covariance(cov_q, "cov_q")
    if p.shape != q.shape:
        raise ValueError(f"cov_p has shape {p.shape} and cov_q has shape {q.shape}; they must be equal")
    shift = vector(mean_p, "mean_p", len(p)) - vector(mean_q, "mean_q", len(q))
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
    _, _, rho = whitened_svd(cov_x, cov_y, cov_xy)
    return -0.5 * float(np.log1p(-(rho**2)).sum())
