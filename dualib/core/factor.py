"""Cholesky factors of matrices of any size."""

from __future__ import annotations

import numpy as np

from dualib.core.typing import Float

BLOCK = 512
"""Columns that LAPACK factors at once. Threaded dpotrf of OpenBLAS, NumPy's and SciPy's, ends in a segmentation fault from about 16 000
rows on."""


def cholesky_factor(
    matrix: Float[np.ndarray, "n n"], shift: float = 0.0, *, overwrite: bool = False
) -> Float[np.ndarray, "n n"] | None:
    """The lower Cholesky factor of ``matrix + shift * identity``, zeros above its diagonal; None where it is not positive definite.

    With `overwrite` it takes the place of the matrix, which then need not fit twice.

    Examples
    --------
    >>> cholesky_factor(np.array([[3.0, 2.0], [2.0, 4.0]]), shift=1.0)
    array([[2., 0.],
           [1., 2.]])
    >>> cholesky_factor(np.array([[1.0, 2.0], [2.0, 1.0]])) is None
    True
    """
    factor = matrix if overwrite else np.array(matrix, dtype=np.float64)
    factor[np.diag_indices_from(factor)] += shift
    try:
        cholesky_in_place(factor)
    except np.linalg.LinAlgError:
        return None
    for start in range(0, len(factor), 64):
        rows = factor[start : start + 64, start:]
        rows[:, : len(rows)] = np.tril(rows[:, : len(rows)])
        rows[:, len(rows) :] = 0.0
    return factor


def panel_columns(n: int) -> int:
    """Columns of a panel of an n × n matrix, of which two are held beside it: all up to :data:`BLOCK`, then a thirty-second of them,
    at most that many.

    Examples
    --------
    >>> panel_columns(200), panel_columns(2048), panel_columns(20_000)
    (200, 64, 512)
    """
    return n if n <= BLOCK else min(n // 32, BLOCK)


def cholesky_in_place(matrix: Float[np.ndarray, "n n"], block: int | None = None) -> Float[np.ndarray, "n n"]:
    """The lower Cholesky factor L of a symmetric positive definite matrix, L Lᵀ = matrix, written over its lower triangle.

    Left-looking [golub2013]_, Section 4.2.9: a panel of `block` columns loses what the panels before it explain, one product of
    matrices, and its diagonal block is factored by LAPACK. The upper triangle keeps what was there.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Only the lower triangle is read. It is overwritten, and so is some of the upper one.
    block : int or None
        Columns of a panel; by default :func:`panel_columns`.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a leading minor is not positive; `matrix` is then partly overwritten.

    Examples
    --------
    >>> np.tril(cholesky_in_place(np.array([[4.0, 2.0], [2.0, 5.0]])))
    array([[2., 0.],
           [1., 2.]])
    """
    from scipy.linalg import cholesky, solve_triangular

    block = block or panel_columns(len(matrix))
    for start in range(0, len(matrix), block):
        stop = start + block
        panel, before = matrix[start:, start:stop], matrix[start:, :start]
        if start:
            panel -= before @ before[: panel.shape[1]].T
        top = panel[: panel.shape[1]]
        top[:] = cholesky(top, lower=True, check_finite=False)
        if stop < len(matrix):
            panel[len(top) :] = solve_triangular(top, panel[len(top) :].T, lower=True, check_finite=False).T
    return matrix
