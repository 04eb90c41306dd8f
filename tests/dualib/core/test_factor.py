"""The blocked Cholesky factor against LAPACK's, on both sides of a block."""

import numpy as np
import pytest

from dualib.core.factor import BLOCK, cholesky_in_place


def positive_matrix(n, seed=0):
    root = np.random.default_rng(seed).normal(size=(n, n + 2))
    return root @ root.T


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 17, 50])
@pytest.mark.parametrize("block", [1, 8, 100])
def test_it_is_lapacks_factor_and_reads_the_lower_triangle_alone(n, block):
    matrix = positive_matrix(n)
    read = np.tril(matrix) + np.triu(np.full((n, n), np.nan), 1)
    factor = np.tril(cholesky_in_place(read, block))
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), rtol=0, atol=1e-12 * np.abs(matrix).max())


@pytest.mark.parametrize("n", [BLOCK, BLOCK + 1])
def test_a_matrix_of_one_block_and_one_larger(n):
    matrix = positive_matrix(n)
    factor = np.tril(cholesky_in_place(matrix.copy()))
    assert np.abs(factor @ factor.T - matrix).max() < 1e-13 * n * np.abs(matrix).max()


@pytest.mark.parametrize("row", [0, 7, 8, 29])
def test_a_minor_that_is_not_positive_is_refused_in_whichever_block(row):
    matrix = positive_matrix(30)
    matrix[row, row] = -1.0
    with pytest.raises(np.linalg.LinAlgError):
        cholesky_in_place(matrix, 8)


def test_it_works_in_place():
    matrix = positive_matrix(5)
    assert cholesky_in_place(matrix) is matrix
