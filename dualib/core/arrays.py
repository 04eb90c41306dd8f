"""Checks of arrays and numbers from outside, value first and then its name; every error says what, by how much, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dualib.core.typing import ArrayLike, FloatArray, IntArray

SUM_TOLERANCE: float = 1e-9
"""How far a distribution's sum may be from 1 before it is refused."""

SYMMETRY_TOLERANCE = 1e-8
"""Largest asymmetry |K - K^T| that is put down to rounding, relative to max |K|."""

PSD_TOLERANCE = 1e-9
"""Largest negative eigenvalue that is put down to rounding, relative to the 1-norm of the matrix."""


# --- numbers ---


def positive(value: Any, name: str, *, zero: bool = False) -> float:
    """`value` as a finite float above zero (or at zero, with ``zero=True``)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    if not np.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be finite and {'>= 0' if zero else '> 0'}, got {number:g}")
    return number


def whole(value: object, name: str, least: int = 0) -> int:
    """`value` as an int of at least `least`; NumPy's integers are welcome, 1.5 and True are not."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def choice(value: Any, name: str, allowed: Iterable[str]) -> str:
    """`value` as one of the names in `allowed`, which the message lists."""
    names = [str(item) for item in allowed]
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(names)}")
    return value


def times(value: ArrayLike, name: str = "taus") -> FloatArray:
    """Training times as a float64 array, each >= 0; infinity is a time, NaN is not."""
    array = np.asarray(value, dtype=np.float64)
    bad = np.isnan(array) | (array < 0)
    if bad.any():
        raise ValueError(f"{name} must be >= 0 and not NaN, got {array[bad][:3]}")
    return array


# --- arrays ---


def real_array(value: ArrayLike, name: str) -> FloatArray:
    """`value` as float64, refused when it holds anything that is not a real number."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries: fill or drop them, for example {name}.filled(0)")
    if array.dtype.kind == "c":
        raise ValueError(f"{name} is complex; a real array is needed")
    if array.dtype.kind not in "biuf":
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be an array of numbers: {error}") from None
    return array.astype(np.float64, copy=False)


def finite_array(value: ArrayLike, name: str) -> FloatArray:
    """`value` as float64 without NaN or infinities; the message says how many there are, and where the first is."""
    array = real_array(value, name)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = f" at [{', '.join(map(str, bad[0]))}]" if array.ndim else ""
        raise ValueError(
            f"{name} has {len(bad)} entries that are not finite, the first, {array[tuple(bad[0])]:g}{place}: fill or remove them"
        )
    return array


def of_shape(value: ArrayLike, name: str, shape: tuple[int, ...], like: str) -> FloatArray:
    """`value` as finite float64 of exactly `shape`, which follows from `like` (named in the message, with both shapes)."""
    array = finite_array(value, name)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but {like} asks for shape {shape}")
    return array


def columns(value: ArrayLike, name: str, n_rows: int, like: str) -> FloatArray:
    """Labels as an array of shape (n_rows, k): a vector becomes one column."""
    array = finite_array(value, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != n_rows or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {np.shape(value)}, but {like} asks for shape ({n_rows},) or ({n_rows}, k)")
    return array


def read_only(array: FloatArray) -> FloatArray:
    """A view of `array` that cannot be written through."""
    view = array.view()
    view.flags.writeable = False
    return view


# --- distributions ---


def check_entries(array: FloatArray, name: str, place: Callable[..., str] | None = None) -> None:
    """Refuse an empty array, and the first entry that is not finite or is negative; `place(*index)` words it."""
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape})")
    bad = ~((array >= 0) & np.isfinite(array))
    if not bad.any():
        return
    where = np.argwhere(bad)[0].tolist()
    problem = "negative" if array[tuple(where)] < 0 and np.isfinite(array[tuple(where)]) else "not finite"
    raise ValueError(
        f"{name}{where if place is None else ' at ' + place(*where)} is {array[tuple(where)]:.6g}, which is {problem} "
        f"({int(bad.sum())} bad entries in all); correct or remove it"
    )


def sums(array: FloatArray, axis: int | None = None, *, keepdims: bool = False) -> FloatArray:
    """Sums of what is not negative; one that overflows is infinite, and whoever compares it says so."""
    with np.errstate(over="ignore"):
        return np.asarray(array.sum(axis=axis, keepdims=keepdims))


def distribution(value: ArrayLike, name: str, axis: int = -1) -> FloatArray:
    """`value` as float64, every slice along `axis` a distribution, or a ValueError with the entry and the amount."""
    array = real_array(value, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got the number {array}")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis {axis} does not exist in {name} of shape {array.shape}")
    check_entries(array, name)
    excess = np.atleast_1d(sums(array, axis) - 1.0)
    if (np.abs(excess) > SUM_TOLERANCE).any():
        where = np.unravel_index(int(np.abs(excess).argmax()), excess.shape)
        at = "" if array.ndim == 1 else f" at {tuple(int(i) for i in where)} of the other axes"
        raise ValueError(
            f"{name} sums to {1.0 + excess[where]:.12g} along axis {axis}{at}, off 1 by {excess[where]:.3g} "
            f"(allowed: {SUM_TOLERANCE:g}); divide it by its sum"
        )
    return array


def joint_distribution(value: ArrayLike, name: str = "p_xy") -> FloatArray:
    """`value` as a float64 table over (x, y) that sums to 1, or a ValueError with the entry and the amount."""
    array = real_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have two axes (x, y), got shape {array.shape}")
    check_entries(array, name)
    excess = float(sums(array)) - 1.0
    if abs(excess) > SUM_TOLERANCE:
        raise ValueError(
            f"{name} sums to {1.0 + excess:.12g}, off 1 by {excess:.3g} (allowed: {SUM_TOLERANCE:g}); "
            f"divide it by its sum: {name} / {name}.sum()"
        )
    return array


# --- matrices ---


def symmetric(value: ArrayLike, name: str) -> FloatArray:
    """`value` as a square float64 matrix, its rounding asymmetry averaged away.

    Raises
    ------
    ValueError
        If it is not square, or asymmetric beyond :data:`SYMMETRY_TOLERANCE` (the message gives the largest difference and
        its place).
    """
    array = finite_array(value, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise ValueError(f"{name} must be a square matrix, got shape {array.shape}")
    worst, place = 0.0, (0, 0)
    for rows in _row_blocks(len(array)):
        gap = np.abs(array[rows] - array[:, rows].T)
        if float(gap.max()) > worst:
            row, column = divmod(int(gap.argmax()), len(array))
            worst, place = float(gap.max()), (rows.start + row, column)
    if worst == 0.0:
        return array
    if worst > SYMMETRY_TOLERANCE * max(float(array.max()), -float(array.min())):
        i, j = place
        raise ValueError(
            f"{name} is not symmetric: {name}[{i}, {j}] = {array[i, j]:.6g} but {name}[{j}, {i}] = {array[j, i]:.6g}. "
            "Check that rows and columns are the same points in the same order."
        )
    mean = np.empty_like(array)
    for rows in _row_blocks(len(array)):
        mean[rows] = 0.5 * (array[rows] + array[:, rows].T)
    return mean


def _row_blocks(n: int, size: int = 512) -> list[slice]:
    """Slices of rows, so that a large matrix has no second of its size beside it."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def check_positive_semidefinite(matrix: FloatArray, name: str) -> None:
    """Refuse a symmetric matrix with eigenvalues below −:data:`PSD_TOLERANCE` of its 1-norm (n³/3 operations)."""
    from scipy.linalg import eigvalsh

    from dualib.core.factor import cholesky_factor

    tolerance = PSD_TOLERANCE * float(np.abs(matrix).sum(axis=0).max())
    if cholesky_factor(matrix, tolerance + np.finfo(float).tiny) is None:
        smallest = float(eigvalsh(matrix, subset_by_index=[0, 0], check_finite=False)[0])
        if smallest < -tolerance:
            raise ValueError(
                f"{name} is not positive semi-definite: its smallest eigenvalue is {smallest:.3e} (rounding would explain "
                f"{-tolerance:.1e}). If it is a Monte Carlo or float32 kernel, use more samples or float64, or add "
                f"{-2 * smallest:.1e} to its diagonal."
            )


# --- rows ---


def group_rows(rows: FloatArray, rtol: float) -> tuple[IntArray, IntArray]:
    """First member of every group of rows equal within `rtol`, ascending, and the group of every row; O(n log n) a column."""
    n = len(rows)
    group = np.zeros(n, dtype=np.int64)
    for column in rows.T:
        order = np.argsort(column)
        values = column[order]
        level = np.empty(n, dtype=np.int64)
        level[order] = np.cumsum(np.r_[False, np.diff(values) > rtol * values[1:]])
        _, first, group = np.unique(group * n + level, return_index=True, return_inverse=True)
        if len(first) == n:
            return np.arange(n), np.arange(n)
    order = np.argsort(first)
    return first[order], np.argsort(order)[group]


def row_codes(rows: Any) -> tuple[IntArray, IntArray]:
    """The number of every row among the distinct rows in their order, (n,), and how often each occurs; equal numbers are equal.

    Exact, without hashing: the columns' ranks are packed into 64-bit words with mixed radix; after a full word the rows seen
    so far are numbered, and the numbers become the first digit of the next.
    """
    array = np.asarray(rows)
    word, size = np.zeros(len(array), dtype=np.uint64), 1
    for column in array.T:
        digit, radix = _ranks(column)
        if size * radix > 2**64:
            numbers, _ = _numbered(word)
            word, size = numbers.astype(np.uint64), len(array)
        word = word * np.uint64(radix) + digit
        size *= radix
    return _numbered(word)


def _ranks(column: Any) -> tuple[Any, int]:
    """A column as digits of its order, and their radix: integers less the least of them, or the ranks of the values."""
    if column.dtype.kind in "iu" and len(column):
        least = int(column.min())
        radix = int(column.max()) - least + 1
        if radix <= 2**32:
            return (column - least).astype(np.uint64), radix
    values, digit = np.unique(column, return_inverse=True)
    return digit.ravel().astype(np.uint64), max(1, len(values))


def _numbered(word: Any) -> tuple[IntArray, IntArray]:
    order = np.argsort(word)
    ordered = word[order]
    rank = np.zeros(len(word), dtype=np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=rank[1:])
    numbers = np.empty_like(rank)
    numbers[order] = rank
    return numbers, np.bincount(rank).astype(np.int64)
