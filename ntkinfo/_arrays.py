"""Checks of arrays from outside: every error says what was wrong, by how much, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]

_SINGLE = (np.float32, np.float16)

SYMMETRY_TOLERANCE = 1e-8
"""Largest asymmetry |K - K^T| that is put down to rounding, relative to max |K|."""

PSD_TOLERANCE = 1e-9
"""Largest negative eigenvalue that is put down to rounding, relative to the 1-norm of the matrix."""


def as_float64(name: str, value: ArrayLike) -> FloatArray:
    """`value` as a finite float64 array.

    Raises
    ------
    TypeError: `value` is single precision or not a real number array. Spectra of kernels span ten and more orders of
        magnitude, and single precision keeps seven, so that a float32 kernel is not positive semi-definite in general.
    ValueError: `value` has entries that are not finite (the message says how many).
    """
    array = np.asarray(value)
    if array.dtype in _SINGLE or array.dtype.name == "bfloat16":
        raise TypeError(
            f"{name} is {array.dtype}: its eigenvalues below 1e-7 of the largest would be rounding noise. Compute it in "
            "float64 (importing ntkinfo turns JAX's 64-bit mode on, unless IB_NTK_X64=0), or convert it with "
            ".astype(float) if you accept that."
        )
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {np.count_nonzero(~np.isfinite(array))} entries that are not finite")
    return array


def as_shape(name: str, value: ArrayLike, shape: tuple[int, ...], like: str) -> FloatArray:
    """`value` as float64 of exactly `shape`, which follows from `like` (named in the message, with both shapes)."""
    array = as_float64(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but {like} asks for shape {shape}")
    return array


def as_columns(name: str, value: ArrayLike, n_rows: int, like: str) -> FloatArray:
    """Labels as an array of shape (n_rows, k): a vector becomes one column. Whole numbers, booleans and single precision
    are taken as they are, for labels have no spectrum that would lose digits.
    """
    array = np.asarray(value)
    if array.dtype == np.bool_ or array.dtype in _SINGLE or array.dtype.name == "bfloat16":
        array = array.astype(np.float64)
    array = as_float64(name, array)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != n_rows or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {np.shape(value)}, but {like} asks for shape ({n_rows},) or ({n_rows}, k)")
    return array


def as_symmetric(name: str, value: ArrayLike) -> FloatArray:
    """`value` as a square float64 matrix, its rounding asymmetry averaged away.

    Raises
    ------
    ValueError: not square, or asymmetric beyond :data:`SYMMETRY_TOLERANCE` (the message gives the largest difference
        and its place).
    """
    array = as_float64(name, value)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise ValueError(f"{name} must be a square matrix, got shape {array.shape}")
    difference = np.abs(array - array.T)
    worst = float(difference.max())
    if worst == 0.0:
        return array
    if worst > SYMMETRY_TOLERANCE * float(np.abs(array).max()):
        i, j = np.unravel_index(int(difference.argmax()), array.shape)
        raise ValueError(
            f"{name} is not symmetric: {name}[{i}, {j}] = {array[i, j]:.6g} but {name}[{j}, {i}] = {array[j, i]:.6g}. "
            "Check that rows and columns are the same points in the same order."
        )
    return 0.5 * (array + array.T)


def check_positive_semidefinite(name: str, matrix: FloatArray) -> None:
    """Raise unless the symmetric `matrix` is positive semi-definite within :data:`PSD_TOLERANCE` of its 1-norm (n³/3
    operations).
    """
    from scipy.linalg import LinAlgError, cholesky, eigvalsh

    tolerance = PSD_TOLERANCE * float(np.abs(matrix).sum(axis=0).max())
    shifted = matrix.copy()
    shifted[np.diag_indices_from(shifted)] += tolerance + np.finfo(float).tiny
    try:
        cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        smallest = float(eigvalsh(matrix, subset_by_index=[0, 0], check_finite=False)[0])
        if smallest < -tolerance:
            raise ValueError(
                f"{name} is not positive semi-definite: its smallest eigenvalue is {smallest:.3e} (rounding would explain "
                f"{-tolerance:.1e}). If it is a Monte Carlo or float32 kernel, use more samples or float64, or add "
                f"{-2 * smallest:.1e} to its diagonal."
            ) from None


def check_joint_positive_semidefinite(name: str, train: FloatArray, cross: FloatArray, test: FloatArray) -> None:
    """Raise unless `train` (n, n), and [[train, cross^T], [cross, test]] with test points, are positive semi-definite
    within :data:`PSD_TOLERANCE` of the whole block's 1-norm t, by one block Cholesky factorisation of the whole plus t.

    Raises
    ------
    ValueError: as of :func:`check_positive_semidefinite` for the diagonal blocks; else the smallest eigenvalue of the
        whole, and the points that have most of it.
    """
    from scipy.linalg import LinAlgError, cholesky, solve_triangular

    check_positive_semidefinite(f"{name}_test", test)
    columns = [np.abs(block).sum(axis=0) for block in (train, cross, cross.T, test)]
    norm = max(float((columns[0] + columns[1]).max()), float((columns[2] + columns[3]).max()))
    tolerance = PSD_TOLERANCE * norm + np.finfo(float).tiny
    shifted = train.copy()
    shifted[np.diag_indices_from(shifted)] += tolerance
    try:
        factor = cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return check_positive_semidefinite(name, train)
    white = solve_triangular(factor, cross.T, lower=True, check_finite=False)
    complement = test - white.T @ white
    complement[np.diag_indices_from(complement)] += tolerance
    try:
        cholesky(complement, lower=True, check_finite=False)
    except LinAlgError:
        raise ValueError(
            _where_not_joint(name, np.block([[train, cross.T], [cross, test]]), len(train), tolerance)
        ) from None


def _where_not_joint(name: str, joint: FloatArray, n: int, tolerance: float) -> str:
    from scipy.linalg import eigh

    value, vector = eigh(joint, subset_by_index=[0, 0], check_finite=False)
    i, x = int(np.abs(vector[:n]).argmax()), int(np.abs(vector[n:]).argmax())
    return (
        f"{name}_test_train does not belong to {name} and {name}_test: together they have the eigenvalue {value[0]:.3e} "
        f"(rounding would explain {-tolerance:.1e}), mostly of training point {i} and test point {x}. Check that the "
        f"columns of {name}_test_train are the training points in the order of {name}, that its rows are the test points "
        "in theirs, and that all blocks come from one kernel function."
    )


def read_only(array: FloatArray) -> FloatArray:
    """A view of `array` that cannot be written through."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_times(taus: ArrayLike) -> FloatArray:
    """Training times as a float64 array, each >= 0; infinity is a time, NaN is not."""
    array = np.asarray(taus, dtype=np.float64)
    if np.isnan(array).any() or (array < 0).any():
        raise ValueError(f"training times must be >= 0 and not NaN, got {array[np.isnan(array) | (array < 0)][:3]}")
    return array


def positive(name: str, value: Any, *, zero: bool = False) -> float:
    """`value` as a finite float above zero (or at zero, with ``zero=True``)."""
    number = float(value)
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be finite and {'>= 0' if zero else '> 0'}, got {value!r}")
    return number
