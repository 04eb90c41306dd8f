"""Checks of covariances, and the canonical correlations of two vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cholesky, solve_triangular

from dualib.core.arrays import real_array
from dualib.core.special import EPS
from dualib.core.typing import FloatArray


def finite_entries(array: FloatArray, name: str) -> FloatArray:
    """The array, refused with the place of its first entry that is not finite."""
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{name}{where} = {array[tuple(where)]} is not finite")
    return array


def vector(mean: ArrayLike, name: str, n: int) -> FloatArray:
    """A mean of n entries, refused if it has another shape than its covariance asks for."""
    vector = np.atleast_1d(real_array(mean, name))
    if vector.shape != (n,):
        raise ValueError(f"{name} has shape {vector.shape}; its covariance has shape {(n, n)}, so {(n,)} is needed")
    return finite_entries(vector, name)


def covariance(cov: ArrayLike, name: str) -> tuple[FloatArray, FloatArray]:
    """The covariance, symmetrised, and its lower Cholesky factor; refused unless numerically positive definite."""
    matrix = real_array(cov, name)
    if matrix.ndim == 0:
        matrix = matrix.reshape(1, 1)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix (or a number, for a scalar), got shape {matrix.shape}")
    scale = np.sqrt(np.abs(np.diag(finite_entries(matrix, name))))
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
        if smallest > len(matrix) * EPS:
            return matrix, cholesky(matrix, lower=True)
    raise ValueError(
        f"{name} of shape {matrix.shape} is not positive definite: its smallest eigenvalue is "
        f"{np.linalg.eigvalsh(matrix)[0]:.6g}; remove linearly dependent coordinates or add noise to its diagonal"
    )


def whitened_svd(cov_x: ArrayLike, cov_y: ArrayLike, cov_xy: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cholesky factor of cov_x, and the left singular vectors and singular values of the whitened cross-covariance."""
    x, factor_x = covariance(cov_x, "cov_x")
    y, factor_y = covariance(cov_y, "cov_y")
    cross = np.atleast_2d(real_array(cov_xy, "cov_xy"))
    if cross.shape != (len(x), len(y)):
        raise ValueError(
            f"cov_xy has shape {np.shape(cov_xy)}; with cov_x of shape {x.shape} and cov_y of shape {y.shape}, "
            f"{(len(x), len(y))} is needed"
        )
    half = solve_triangular(factor_x, finite_entries(cross, "cov_xy"), lower=True)
    white = solve_triangular(factor_y, half.T, lower=True).T
    u, rho, _ = np.linalg.svd(white, full_matrices=True)
    tolerance = (len(x) + len(y)) * EPS
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
