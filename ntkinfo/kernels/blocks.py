"""Kernel functions evaluated block by block: compiled once, in memory that is bounded, the last block filled up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np

from dualib.core.arrays import finite_array, whole
from dualib.core.progress import progress_bar
from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo.activations.arrays import Array
from ntkinfo.kernels.cache import compile_on_disk
from ntkinfo.kernels.checks import double
from ntkinfo.kernels.convolutions import pad_first_on_cpu

WORKING_COPIES = 24
"""Arrays of a block's size that a kernel function of a few layers keeps at once (an upper estimate)."""

LARGEST_SIDE = 1024


class BothKernels(Protocol):
    """What a kernel function gives when both kernels are asked for."""

    @property
    def ntk(self) -> Array:
        """The tangent kernel Θ."""

    @property
    def nngp(self) -> Array:
        """The kernel K of the outputs at initialisation."""


KernelFunction: TypeAlias = Callable[..., BothKernels]
"""(x1, x2 or None for x1, ("nngp", "ntk")) → the kernels of an infinitely wide network."""

Evaluate = Callable[[FloatArray, FloatArray | None], tuple[FloatArray, FloatArray]]
"""(x1, x2 or None for x1) → Θ, K between them."""


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


def evaluator(kernel_fn: KernelFunction, jit: bool = True) -> Evaluate:
    """Θ and K of a kernel function as arrays; with `jit` compiled, once for each shape of its arguments in all calls."""
    try:
        return _compiled(kernel_fn) if jit else _plain(kernel_fn)
    except TypeError:  # a callable without hash is compiled again
        return _compiled.__wrapped__(kernel_fn)


def _both(kernel_fn: KernelFunction) -> Callable[[Array, Array | None], tuple[Array, Array]]:
    def both(a: Array, b: Array | None) -> tuple[Array, Array]:
        kernels = kernel_fn(a, b, ("nngp", "ntk"))
        return kernels.ntk, kernels.nngp

    return both


def _plain(kernel_fn: KernelFunction) -> Evaluate:
    both = _both(kernel_fn)

    def evaluate(a: FloatArray, b: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        ntk, nngp = both(a, b)
        return np.asarray(ntk), np.asarray(nngp)

    return evaluate


@lru_cache(maxsize=16)
def _compiled(kernel_fn: KernelFunction) -> Evaluate:
    import jax

    compile_on_disk()
    pad_first_on_cpu()
    both = _both(kernel_fn)
    pair, single = jax.jit(both), jax.jit(lambda a: both(a, None))

    def evaluate(a: FloatArray, b: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        ntk, nngp = single(a) if b is None else pair(a, b)
        return np.asarray(ntk), np.asarray(nngp)

    return evaluate


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
) -> dict[str, FloatArray]:
    """Θ and K of training points and test points by the names of :class:`ntkinfo.Kernels`.

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
    jobs: list[tuple[str, FloatArray, FloatArray | None]] = [("", train, None)]
    if len(arrays) > 1:
        jobs += [("_test_train", test, train), ("_test", test, None)]
    found: dict[str, FloatArray] = {}
    with progress_bar(sum(_count(a, b, size) for _, a, b in jobs), "kernel blocks", progress) as done:
        for suffix, a, b in jobs:
            found["ntk" + suffix], found["nngp" + suffix] = _blockwise(evaluate, a, b, size, done)
    return found


def _count(a: FloatArray, b: FloatArray | None, size: int) -> int:
    rows = -(-len(a) // size)
    return rows * (rows + 1) // 2 if b is None else rows * -(-len(b) // size)


def _blockwise(
    evaluate: Evaluate, a: FloatArray, b: FloatArray | None, size: int, done: Callable[[int], object]
) -> tuple[FloatArray, FloatArray]:
    """Both kernels between `a` and `b` (None: a with itself, where the blocks below the diagonal are mirrored)."""
    other = a if b is None else b
    ntk, nngp = (np.empty((len(a), len(other))) for _ in range(2))
    for rows, x in _blocks(a, size):
        for columns, y in _blocks(other, size):
            if b is None and columns.start < rows.start:
                continue
            blocks = evaluate(x, None if b is None and rows == columns else y)
            for full, block in zip((ntk, nngp), blocks, strict=True):
                _check_block(block, size)
                full[rows, columns] = block[: rows.stop - rows.start, : columns.stop - columns.start]
                if b is None:
                    full[columns, rows] = full[rows, columns].T
            done(1)
    return ntk, nngp


def _blocks(x: FloatArray, size: int) -> Iterator[tuple[slice, FloatArray]]:
    """Slices of at most `size` points; the last is filled up with copies of the last point, so that all have one shape."""
    for start in range(0, len(x), size):
        block = x[start : start + size]
        filled = np.concatenate([block, np.repeat(block[-1:], size - len(block), axis=0)])
        yield slice(start, start + len(block)), filled


def _check_block(block: FloatArray, size: int) -> None:
    if block.dtype != np.float64:
        double(block, "the kernel function's result")
    if block.shape != (size, size):
        raise ValueError(
            f"kernel_fn returned shape {block.shape} for {size} and {size} points; it must be ({size}, {size}). "
            "End the network in a readout (Flatten or pooling, then Dense), with the output axis traced out."
        )
