"""Kernels block by block, in memory that is bounded, the last block filled up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from dualib.core.arrays import finite_array, symmetric, whole
from dualib.core.progress import progress_bar
from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo.kernels.checks import double
from ntkinfo.resources import column_blocks

WORKING_COPIES = 24
"""Arrays of a block's size that a kernel function of a few layers keeps at once (an upper estimate)."""

LARGEST_SIDE = 1024

_DIAGONAL_SIDE = 32


Evaluate = Callable[[FloatArray, FloatArray | None], tuple[FloatArray, ...]]
"""(x1, x2 or None for x1) → Θ, K (and Ω) between them."""


def points(x_train: ArrayLike, x_test: ArrayLike | None) -> tuple[FloatArray, ...]:
    """Training points, and test points where there are any.

    Raises
    ------
    ValueError
        If an array has no points or features, or the features do not match (both shapes are printed).
    """
    given = {"x_train": x_train} if x_test is None else {"x_train": x_train, "x_test": x_test}
    arrays = tuple(finite_array(value, name) for name, value in given.items())
    for name, array in zip(given, arrays, strict=True):
        if array.ndim < 2 or array.size == 0:
            raise ValueError(f"{name} must have shape (points, features...), got {array.shape}")
    if arrays[-1].shape[1:] != arrays[0].shape[1:]:
        raise ValueError(
            f"x_test has shape {arrays[-1].shape}, but x_train of shape {arrays[0].shape} has other features"
        )
    return arrays


def side(sizes: tuple[int, ...], shape: tuple[int, ...], memory_gib: float) -> int:
    """The side of all blocks: the work of one fits in `memory_gib`, and as little as may be is filled up.

    A convolutional kernel keeps one entry for each pixel and pair of points.
    """
    pixels = int(np.prod(shape[:-1])) if len(shape) > 1 else 1
    largest = min(int(np.sqrt(memory_gib * 2**30 / (8 * WORKING_COPIES * pixels))), LARGEST_SIDE)
    most = max(sizes)
    return -(-most // -(-most // max(1, largest)))


def all_blocks(
    evaluate: Evaluate,
    arrays: tuple[FloatArray, ...],
    batch_size: int | None = None,
    memory_gib: float = 2.0,
    progress: bool | None = None,
    *,
    names: tuple[str, ...] = ("ntk", "nngp"),
    devices: int = 1,
    filled: bool = True,
    test_variances: bool = False,
) -> dict[str, FloatArray]:
    """The kernels of training points and test points by the names of :class:`ntkinfo.Kernels`, each block written into its place.

    Parameters
    ----------
    evaluate : Evaluate
        What gives the kernels called `names` between two blocks of points; with several `devices`, of that many pairs at once.
    arrays : (x_train,) or (x_train, x_test)
    batch_size, memory_gib, progress :
        Those of :meth:`ntkinfo.Kernels.compute`.
    names : tuple of str
    devices : int
    filled : bool
        Whether the last block is filled up, so that all have one shape.
    test_variances : bool
        Whether of the kernels between test points the diagonals alone are wanted.

    Raises
    ------
    ValueError
        If `batch_size` is below 1, or the kernel function gives another shape than (points, points).
    TypeError
        If it gives single precision.
    """
    sizes = tuple(map(len, arrays))
    size = side(sizes, arrays[0].shape[1:], memory_gib)
    if batch_size is not None:
        size = min(whole(batch_size, "batch_size", 1), max(sizes))
    train, test = arrays[0], arrays[-1]
    parts: list[tuple[str, FloatArray, FloatArray | None]] = [("", train, None)]
    if len(arrays) > 1:
        parts += [("_test_train", test, train)] + ([] if test_variances else [("_test", test, None)])
    found: dict[str, FloatArray] = {}
    if test_variances and len(arrays) > 1:
        found = _diagonals(evaluate, test, names, devices, filled)
    with progress_bar(sum(_count(a, b, size) for _, a, b in parts), "kernel blocks", progress) as done:
        for suffix, a, b in parts:
            whole_matrices = [np.empty((len(a), len(a if b is None else b))) for _ in names]
            found |= {name + suffix: matrix for name, matrix in zip(names, whole_matrices, strict=True)}
            for group in _groups(_places(len(a), None if b is None else len(b), size), devices):
                if not filled:
                    blocks = [evaluate(a[r], None if own else (a if b is None else b)[c]) for r, c, own in group]
                else:
                    blocks = _at_once(evaluate, a, b, group, size, devices)
                for place, block in zip(group, blocks, strict=True):
                    _write(whole_matrices, place, block, b is None, size if filled else None)
                done(len(group))
    return found


def _diagonals(
    evaluate: Evaluate, x: FloatArray, names: tuple[str, ...], devices: int, filled: bool
) -> dict[str, FloatArray]:
    """The kernels of each test point with itself, from small blocks of points with one another."""
    found, size = {f"{name}_test": np.empty(len(x)) for name in names}, min(_DIAGONAL_SIDE, len(x))
    places = ((rows, rows, True) for rows in column_blocks(len(x), size))
    for group in _groups(places, devices):
        blocks = (
            _at_once(evaluate, x, None, group, size, devices) if filled else [evaluate(x[r], None) for r, _, _ in group]
        )
        for (rows, _, _), block in zip(group, blocks, strict=True):
            for variance, kernel in zip(found.values(), block, strict=True):
                _check_block(kernel, (size, size) if filled else (rows.stop - rows.start,) * 2)
                variance[rows] = np.diagonal(kernel)[: rows.stop - rows.start]
    return found


Place = tuple[slice, slice, bool]
"""Rows and columns of a block, and whether it is one of points with themselves."""


def _places(n_rows: int, n_columns: int | None, size: int) -> Iterator[Place]:
    """The blocks of a matrix; without columns of a symmetric one, of which those below the diagonal are left out."""
    for top in range(0, n_rows, size):
        rows = slice(top, min(top + size, n_rows))
        last = n_rows if n_columns is None else n_columns
        for left in range(top if n_columns is None else 0, last, size):
            yield rows, slice(left, min(left + size, last)), n_columns is None and left == top


def _groups(places: Iterable[Place], devices: int) -> Iterator[list[Place]]:
    """As many blocks as there are devices, those of points with themselves apart."""
    waiting: dict[bool, list[Place]] = {True: [], False: []}
    for place in places:
        kind = waiting[place[2]]
        kind.append(place)
        if len(kind) == devices:
            yield kind.copy()
            kind.clear()
    yield from (kind for kind in waiting.values() if kind)


def _at_once(
    evaluate: Evaluate, a: FloatArray, b: FloatArray | None, group: list[Place], size: int, devices: int
) -> list[tuple[FloatArray, ...]]:
    """The kernels of each place, from blocks that are filled up with copies of their last point."""
    each = group + group[-1:] * (devices - len(group))
    x = [_filled(a[rows], size) for rows, _, _ in each]
    y = None if group[0][2] else [_filled((a if b is None else b)[columns], size) for _, columns, _ in each]
    if devices == 1:
        return [tuple(evaluate(x[0], None if y is None else y[0]))]
    kernels = evaluate(np.stack(x), None if y is None else np.stack(y))
    return list(zip(*kernels, strict=True))[: len(group)]


def _filled(x: FloatArray, size: int) -> FloatArray:
    return np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])


def _count(a: FloatArray, b: FloatArray | None, size: int) -> int:
    rows = -(-len(a) // size)
    return rows * (rows + 1) // 2 if b is None else rows * -(-len(b) // size)


def _write(
    matrices: list[FloatArray], place: Place, block: Sequence[FloatArray], mirrored: bool, size: int | None
) -> None:
    rows, columns, own = place
    height, width = rows.stop - rows.start, columns.stop - columns.start
    for matrix, part in zip(matrices, block, strict=True):
        _check_block(part, (height, width) if size is None else (size, size))
        kept = part[:height, :width]
        matrix[rows, columns] = symmetric(kept, "a kernel of points with themselves") if own else kept
        if mirrored and not own:
            matrix[columns, rows] = kept.T


def _check_block(block: FloatArray, shape: tuple[int, int]) -> None:
    if block.dtype != np.float64:
        double(block, "the kernel function's result")
    if block.shape != shape:
        raise ValueError(
            f"kernel_fn returned shape {block.shape} for {shape[0]} and {shape[1]} points; it must be {shape}. "
            "End the network in a readout (Flatten or pooling, then Dense), with the output axis traced out."
        )
