"""What kernels have to be: double precision, symmetric, positive semi-definite together, and of one network."""

from __future__ import annotations

import numpy as np

from dualib.core.arrays import (
    PSD_TOLERANCE,
    check_positive_semidefinite,
    finite_array,
    of_shape,
    symmetric,
)
from dualib.core.typing import ArrayLike, Float, FloatArray

LARGEST, SMALLEST = 1e100, 1e-200
"""Largest entries that kernels and labels may have."""

ROUNDING = 1e-12
"""Part of a matrix's 1-norm that the difference of two kernels may lose."""


def double(value: ArrayLike, name: str) -> FloatArray:
    """`value` as a finite array that was computed in double precision.

    Raises
    ------
    TypeError
        If it is of single precision or no array of real numbers: spectra of kernels span ten and more orders of magnitude, and
        single precision keeps seven.
    ValueError
        If it has entries that are not finite (the message says how many).
    """
    array = np.asarray(value)
    if array.dtype in (np.float32, np.float16) or array.dtype.name == "bfloat16":
        raise TypeError(
            f"{name} is {array.dtype}: its eigenvalues below 1e-7 of the largest would be rounding noise. Compute it in "
            "float64 (importing ntkinfo turns JAX's 64-bit mode on, unless IB_NTK_X64=0), or convert it with "
            ".astype(float) if you accept that."
        )
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    return finite_array(array, name)


def check_size(array: FloatArray, name: str, advice: str) -> None:
    """Refuse numbers of whose products double precision has none: beyond 1e100, or none above 1e-200 but zero."""
    largest = float(np.abs(array).max(initial=0.0))
    if largest > LARGEST or 0 < largest < SMALLEST:
        raise ValueError(
            f"{name} has the largest entry {largest:.3g}, products of which are no numbers in double precision (it may have {SMALLEST:g} to "
            f"{LARGEST:g}): {advice}"
        )


def kernel_matrix(value: ArrayLike, name: str, size: int | None = None, like: str = "") -> FloatArray:
    """`value` as a symmetric matrix of double precision, (size, size) where `like` asks for it."""
    array = double(value, name)
    check_size(array, name, "divide all kernels by some c, labels by √c, and multiply times by c")
    return symmetric(array if size is None else of_shape(array, name, (size, size), like), name)


def variances(value: ArrayLike, name: str, size: int, like: str) -> FloatArray:
    """`value` as the diagonal of a kernel, shape (size,), no entry of which is negative."""
    array = of_shape(double(value, name), name, (size,), like)
    if (array < 0).any():
        raise ValueError(f"{name} must have no negative variance, but {name}[{array.argmin()}] = {array.min():.3e}")
    return array


def check_above(larger: FloatArray, smaller: FloatArray, names: str, why: str) -> None:
    """Refuse two kernels, or two diagonals, whose difference is not positive semi-definite, within rounding; `why` says what they are not."""
    if larger.ndim == 1:
        low = larger - smaller + ROUNDING * float(larger.max())
        if (low < 0).any():
            raise ValueError(f"{why}: {names} is {low.min():.3e} at test point {low.argmin()}")
        return
    rounding = ROUNDING * float(np.abs(larger).sum(axis=0).max())
    difference = larger - smaller
    difference[np.diag_indices_from(difference)] += rounding
    try:
        check_positive_semidefinite(difference, names)
    except ValueError as error:
        raise ValueError(f"{why}: {error}") from None


def third_kernel(value: ArrayLike, ntk: FloatArray, name: str) -> FloatArray:
    """Ω as a symmetric matrix of Θ's shape, or as a diagonal where Θ is one.

    Raises
    ------
    ValueError
        If it is not that, or not Ω ⪰ Θ up to rounding, which the kernels of one network have: Ω - Θ = Σ q(q-1) K_q.
    """
    check = kernel_matrix if ntk.ndim == 2 else variances
    omega = check(value, name, len(ntk), f"ntk of shape {ntk.shape}")
    why = f"{name} and ntk are not of one network, where Ω - Θ = Σ q(q-1) K_q is positive semi-definite"
    check_above(omega, ntk, f"{name} - ntk", why)
    return omega


def check_joint(
    train: Float[np.ndarray, "n n"], cross: Float[np.ndarray, "m n"], test: Float[np.ndarray, "m m"], name: str
) -> None:
    """Refuse blocks that do not belong together.

    [[train, crossᵀ], [cross, test]] is positive semi-definite within :data:`dualib.core.arrays.PSD_TOLERANCE` of its 1-norm t: one
    block Cholesky factorisation of the whole plus t.

    Raises
    ------
    ValueError
        As in :func:`dualib.core.arrays.check_positive_semidefinite` for the diagonal blocks; else the message gives the smallest eigenvalue of
        the whole, and the points that have most of it.
    """
    from scipy.linalg import solve_triangular

    from dualib.core.factor import BLOCK, cholesky_factor

    check_positive_semidefinite(test, f"{name}_test")
    sums = [np.abs(block).sum(axis=0) for block in (train, cross, cross.T, test)]
    norm = max(float((sums[0] + sums[1]).max()), float((sums[2] + sums[3]).max()))
    tolerance = PSD_TOLERANCE * norm + np.finfo(float).tiny
    factor = cholesky_factor(train, tolerance)
    if factor is None:
        return check_positive_semidefinite(train, name)
    white = solve_triangular(factor, cross.T, lower=True, check_finite=False)
    complement = test.copy()
    for start in range(0, len(test), BLOCK):  # not white.T @ white: threaded dsyrk crashes, too
        complement[start : start + BLOCK] -= white[:, start : start + BLOCK].T @ white
    if cholesky_factor(complement, tolerance, overwrite=True) is None:
        raise ValueError(_where(np.block([[train, cross.T], [cross, test]]), len(train), tolerance, name))


def check_points(
    train: Float[np.ndarray, "n n"], cross: Float[np.ndarray, "m n"], variance: Float[np.ndarray, " m"], name: str
) -> None:
    """Refuse test points that do not belong to the training points: :func:`check_joint` of one of them at a time.

    Raises
    ------
    ValueError
        The message gives the first point whose variance, of those given, the training points exceed.
    """
    from scipy.linalg import solve_triangular

    from dualib.core.factor import BLOCK, cholesky_factor

    norm = max(float(np.abs(train).sum(axis=0).max() + np.abs(cross).max()), float(variance.max(initial=0.0)))
    tolerance = PSD_TOLERANCE * norm + np.finfo(float).tiny
    factor = cholesky_factor(train, tolerance)
    if factor is None:
        return check_positive_semidefinite(train, name)
    for start in range(0, len(cross), BLOCK):
        white = solve_triangular(factor, cross[start : start + BLOCK].T, lower=True, check_finite=False)
        left = variance[start : start + BLOCK] - (white**2).sum(axis=0)
        if (left < -tolerance).any():
            x = int((left < -tolerance).argmax())
            raise ValueError(
                f"{name}_test_train does not belong to {name} and {name}_test: given the training points, test point "
                f"{start + x} has the variance {left[x]:.3e} (rounding would explain {-tolerance:.1e}). Check the order of "
                "points, and that all blocks come from one kernel function."
            )


def _where(joint: FloatArray, n: int, tolerance: float, name: str) -> str:
    from scipy.linalg import eigh

    value, vector = eigh(joint, subset_by_index=[0, 0], check_finite=False)
    i, x = int(np.abs(vector[:n]).argmax()), int(np.abs(vector[n:]).argmax())
    return (
        f"{name}_test_train does not belong to {name} and {name}_test: together they have the eigenvalue {value[0]:.3e} "
        f"(rounding would explain {-tolerance:.1e}), mostly of training point {i} and test point {x}. Check that the "
        f"columns of {name}_test_train are the training points in the order of {name}, that its rows are the test points "
        "in theirs, and that all blocks come from one kernel function."
    )
