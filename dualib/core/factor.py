"""Cholesky factors of matrices of any size."""

from __future__ import annotations

import numpy as np

from dualib.core.typing import Float

BLOCK = 512
"""Columns that LAPACK factors at once. Threaded dpotrf of OpenBLAS ends in a segmentation fault from about 16 000 rows on."""


def cholesky_in_place(matrix: Float[np.ndarray, "n n"], block: int = BLOCK) -> Float[np.ndarray, "n n"]:
    """The lower Cholesky factor L of a symmetric positive definite matrix, L Lᵀ = matrix, written over its lower triangle.

    Left-looking [golub2013]_, Section 4.2.9: a panel of `block` columns loses what the panels before it explain, one product of
    matrices, and its diagonal block is factored by LAPACK. The upper triangle keeps what was there.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Only the lower triangle is read. It is overwritten, and so is some of the upper one.
    block : int
        Columns of a panel.

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

    for start in range(0, len(matrix), block):
        stop = start + block
        panel, before = matrix[start:, start:stop], matrix[start:, :start]
        if start:
            panel -= before @ before[: panel.shape[1]].T
        top = panel[: panel.shape[1]]
        top[:] = cholesky(top, lower=True, check_finite=False)
        panel[len(top) :] = solve_triangular(top, panel[len(top) :].T, lower=True, check_finite=False).T
    return matrix
