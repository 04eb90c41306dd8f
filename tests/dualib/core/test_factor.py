"""The blocked Cholesky factor against LAPACK's, on both sides of a block."""

import numpy as np
import pytest

from dualib.core.factor import BLOCK, cholesky_factor, cholesky_in_place


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


def test_a_factor_beside_its_matrix_or_in_its_place():
    matrix, before = positive_matrix(40), positive_matrix(40)
    factor = cholesky_factor(matrix, 2.0)
    np.testing.assert_array_equal(matrix, before)
    assert not np.triu(factor, 1).any()
    np.testing.assert_allclose(factor @ factor.T, matrix + 2.0 * np.eye(40), rtol=1e-12)
    assert cholesky_factor(matrix, 2.0, overwrite=True) is matrix
    np.testing.assert_array_equal(matrix, factor)


def test_what_is_not_positive_definite_has_none():
    least = np.linalg.eigvalsh(positive_matrix(12))[0]
    assert cholesky_factor(positive_matrix(12), -0.99 * least) is not None
    assert cholesky_factor(positive_matrix(12), -1.01 * least) is None
