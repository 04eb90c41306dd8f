r"""Log-determinants of Gaussian informations whose gains e^{τλ} do not fit into a floating-point number."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from dualib.core.arrays import check_positive_semidefinite, of_shape, symmetric
from dualib.core.factor import cholesky_factor
from dualib.core.special import EPS
from dualib.core.typing import ArrayLike, Float, FloatArray

_LARGE = 600.0  # e^600 and its square root's products still fit


def covariance_root(label_covariance: ArrayLike, n: int) -> Float[np.ndarray, "n p"]:
    """G with G G^T a covariance of n labels, its eigenvalues below rounding left out.

    Raises
    ------
    ValueError
        If `label_covariance` is not symmetric positive semi-definite of shape (n, n).

    Examples
    --------
    >>> import numpy as np
    >>> covariance_root(4 * np.eye(2), 2)
    array([[2., 0.],
           [0., 2.]])
    """
    name = "label_covariance"
    covariance = symmetric(of_shape(label_covariance, name, (n, n), f"{n} training points"), name)
    check_positive_semidefinite(covariance, name)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > n * EPS * max(float(values[-1]), 0.0)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def log_det_gain(
    noise: Float[np.ndarray, "n n"] | None, log_gain: Float[np.ndarray, " n"], root: Float[np.ndarray, "n p"]
) -> float:
    r"""The log det(I + N^{-1} W G G^T W) with W = diag(e^{log_gain}): twice what Gaussian noise N leaves of a signal W G g.

    Small gains by singular values of N^{-1/2} W G, which keep relative accuracy. Large ones by a QR factorisation of
    [N^{1/2} D^{-1}; G^T W D^{-1}], D² being the diagonal of N + W G G^T W: its rows are kept with logarithmic scales, so
    that nothing overflows, and row sorting with column pivoting makes it accurate row by row [cox1998]_.

    Parameters
    ----------
    noise : array, shape (n, n), or None
        N, positive definite; None for the identity.
    log_gain : array, shape (n,)
        -inf for what is not passed on, +inf where nothing but the signal is left.
    root : array, shape (n, p)
        G.

    Returns
    -------
    float
        +inf where a gain is, NaN where N is not positive definite in floating point.

    Examples
    --------
    >>> import numpy as np
    >>> round(log_det_gain(None, np.zeros(2), np.eye(2)), 6)  # 2 log 2
    1.386294
    """
    if root.size == 0 or np.isneginf(log_gain).all():
        return 0.0
    size = np.sqrt((root**2).sum(axis=1))
    if np.any(np.isposinf(log_gain) & (size > 0)):
        return float("inf")
    n = log_gain.size
    spread = np.ones(n) if noise is None else np.sqrt(np.maximum(np.diagonal(noise), 0.0))
    if not (spread > 0).all():
        return float("nan")
    with np.errstate(divide="ignore"):
        log_scale = np.logaddexp(2 * np.log(spread), 2 * (log_gain + np.log(size))) / 2
    order = np.argsort(log_scale)
    log_scale, log_gain, root = log_scale[order], log_gain[order], root[order]
    factor = np.eye(n) if noise is None else cholesky_factor(noise[np.ix_(order, order)], overwrite=True)
    if factor is None:
        return float("nan")
    if log_gain.max() < _LARGE:
        gained = np.exp(log_gain)[:, None] * root
        white = gained if noise is None else lapack.dtrtrs(factor, gained, lower=1)[0]
        if np.isfinite(white).all() and np.abs(white).max() < 1e100:
            singular = np.linalg.svd(white, compute_uv=False)
            if singular[0] <= 1.0:
                return float(np.log1p(singular**2).sum())
    # row i of N^{1/2} D^{-1} is 1/d_i times numbers of order one, for d ascends
    upper = factor.T * np.exp(np.minimum(log_scale[:, None] - log_scale, 0.0))
    lower = root.T * np.exp(log_gain - log_scale)
    rows = np.vstack([lower, upper])
    log_rows = np.concatenate([np.zeros(lower.shape[0]), -log_scale])
    total = _log_abs_det_of_graded(rows, log_rows) + float(log_scale.sum())
    return max(2 * (total - float(np.log(np.diagonal(factor)).sum())), 0.0)


def _log_abs_det_of_graded(rows: FloatArray, log_rows: FloatArray) -> float:
    """½ log det Z^T Z of Z = diag(e^{log_rows}) rows, by Householder reflections with column pivoting; overwrites `rows`."""
    log_rows = log_rows.copy()
    total = 0.0
    n = rows.shape[1]
    for step in range(n):
        active = rows[step:, step:]
        largest = np.abs(active).max(axis=1)
        with np.errstate(divide="ignore"):
            logs = log_rows[step:] + np.log(largest)
        top = float(logs.max())
        if np.isneginf(top):
            return -np.inf
        order = np.argsort(-logs, kind="stable")  # rows sorted by size
        active[:] = active[order]
        log_rows[step:] = log_rows[step:][order]
        weights = np.exp(np.maximum(log_rows[step:] - top, -800.0))
        pivot = int((weights[:, None] * np.abs(active)).max(axis=0).argmax())
        if pivot:
            active[:, [0, pivot]] = active[:, [pivot, 0]]
        first = int(np.abs(weights * active[:, 0]).argmax())
        if first:  # the largest entry of the pivot column to the front
            active[[0, first]] = active[[first, 0]]
            log_rows[[step, step + first]] = log_rows[[step + first, step]]
            weights[[0, first]] = weights[[first, 0]]
        column = weights * active[:, 0]
        norm = float(np.linalg.norm(column))
        total += top + float(np.log(norm))
        shifted = np.append(column[0] + np.copysign(norm, column[0]), column[1:])
        # each row of the reflector has the row's own scale, which is left to it: v_i = weight_i u_i
        scaled = active[:, 0].copy()
        scaled[0] = shifted[0] / weights[0]
        beta = 2.0 / float(shifted @ shifted)
        active[:, 1:] -= np.outer(scaled, beta * ((shifted * weights) @ active[:, 1:]))
    return total
