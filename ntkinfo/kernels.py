"""Kernels of an infinitely wide network on given points: checked, frozen float64 arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dualib import _io
from ntkinfo import _arrays
from ntkinfo._arrays import FloatArray

_WORKING_COPIES = 24
"""Arrays of a block's size that a kernel function of a few layers keeps at once (an upper estimate)."""


@dataclass(frozen=True, eq=False)
class Kernels:
    r"""The NTK Θ and the NNGP kernel K on n training points and m test points.

    Outputs are independent and alike: with k outputs the kernels of all outputs are Θ⊗I_k and K⊗I_k.

    Parameters
    ----------
    ntk, nngp : arrays, shape (n, n), symmetric positive semi-definite, float64.
    ntk_test_train, nngp_test_train : arrays, shape (m, n), or both None.
    ntk_test, nngp_test : arrays, shape (m, m), or both None.

    Raises
    ------
    TypeError: single-precision or non-real input (with the reason).
    ValueError: shapes that do not match (both are printed), entries that are not finite, a kernel that is not
        symmetric, one that is not positive semi-definite (with its smallest eigenvalue and the remedy), or blocks that
        do not belong together: [[K, K_x^T], [K_x, K_xx]] of either kernel is positive semi-definite within 1e-9 of its
        1-norm.
    """

    ntk: FloatArray
    nngp: FloatArray
    ntk_test_train: FloatArray | None = None
    nngp_test_train: FloatArray | None = None
    ntk_test: FloatArray | None = None
    nngp_test: FloatArray | None = None
    omega: FloatArray | None = None
    omega_test_train: FloatArray | None = None
    omega_test: FloatArray | None = None

    def __post_init__(self) -> None:
        checked = {"ntk": _arrays.as_symmetric("ntk", self.ntk)}
        n = checked["ntk"].shape[0]
        like = f"ntk of shape ({n}, {n})"
        checked["nngp"] = _arrays.as_symmetric("nngp", _arrays.as_shape("nngp", self.nngp, (n, n), like))
        checked |= self._checked_test_blocks(n, like)
        for name in ("ntk", "nngp"):
            if "ntk_test" in checked:
                _arrays.check_joint_positive_semidefinite(
                    name, *(checked[name + s] for s in ("", "_test_train", "_test"))
                )
            else:
                _arrays.check_positive_semidefinite(name, checked[name])
        for name, array in checked.items():
            object.__setattr__(self, name, _arrays.read_only(array))

    def _checked_test_blocks(self, n: int, like: str) -> dict[str, FloatArray]:
        names = ("ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")
        missing = [name for name in names if getattr(self, name) is None]
        if len(missing) == len(names):
            return {}
        if missing:
            raise ValueError(f"give all four test blocks or none: {', '.join(missing)} missing")
        ntk_test_train = _arrays.as_float64("ntk_test_train", self.ntk_test_train)  # type: ignore[arg-type]
        if ntk_test_train.ndim != 2 or ntk_test_train.shape[1] != n or ntk_test_train.shape[0] == 0:
            raise ValueError(f"ntk_test_train has shape {ntk_test_train.shape}, but {like} asks for shape (m, {n})")
        m = ntk_test_train.shape[0]
        like = f"ntk_test_train of shape ({m}, {n})"
        blocks = {
            "ntk_test_train": ntk_test_train,
            "nngp_test_train": _arrays.as_shape("nngp_test_train", self.nngp_test_train, (m, n), like),  # type: ignore[arg-type]
        }
        for name in ("ntk_test", "nngp_test"):
            blocks[name] = _arrays.as_symmetric(name, _arrays.as_shape(name, getattr(self, name), (m, m), like))
        return blocks

    def check_ntk_above_nngp(self) -> None:
        """Raise unless Θ ⪰ K on the training points and on the test points, within 1e-9 of the 1-norm of Θ - K.

        Every network that trains its last layer in the NTK parameterisation has it: Θ - K = Σ (q - 1) K_q with the
        chaos degrees q >= 1 of the outputs. Kernels in general need not.
        """
        for suffix in ("", "_test") if self.n_test else ("",):
            ntk, nngp = getattr(self, "ntk" + suffix), getattr(self, "nngp" + suffix)
            rounding = 1e-12 * float(np.abs(ntk).sum(axis=0).max())
            try:
                _arrays.check_positive_semidefinite(
                    f"ntk{suffix} - nngp{suffix}", ntk - nngp + rounding * np.eye(len(ntk))
                )
            except ValueError as error:
                raise ValueError(
                    f"ntk{suffix} and nngp{suffix} are not of one network that trains all layers, where Θ - K is positive "
                    f"semi-definite (are they in each other's place?): {error}"
                ) from None

    @property
    def n_train(self) -> int:
        """The number n of training points."""
        return self.ntk.shape[0]

    @property
    def n_test(self) -> int:
        """The number m of test points, 0 without test blocks."""
        return 0 if self.ntk_test_train is None else self.ntk_test_train.shape[0]

    @classmethod
    def compute(
        cls,
        kernel_fn: Callable[..., Any],
        x_train: ArrayLike,
        x_test: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
        working_memory_gib: float = 2.0,
        jit: bool = True,
        progress: bool | None = None,
    ) -> Kernels:
        """Evaluate an analytic kernel function block by block.

        Parameters
        ----------
        kernel_fn : (x1, x2, get) -> object with attributes ``ntk`` and ``nngp``, as from :func:`ntkinfo.mlp` or
            ``stax.serial``; x2 may be None for x1.
        x_train, x_test : arrays, shapes (n, ...) and (m, ...).
        batch_size : points on the side of a block; by default the largest for which a block's work fits in
            `working_memory_gib`. The results take 16 (n² + nm + m²) bytes besides.
        jit : compile `kernel_fn` with JAX; False for a kernel function written in NumPy.
        progress : show a progress bar; by default only on a terminal.

        Returns
        -------
        Kernels

        Raises
        ------
        ValueError: inputs of test and train that do not match (both shapes are printed), or as on construction.
        """
        train = _inputs("x_train", x_train)
        points = [train]
        if x_test is not None:
            test = _inputs("x_test", x_test)
            if test.shape[1:] != train.shape[1:]:
                raise ValueError(
                    f"x_test has shape {test.shape}, but x_train of shape {train.shape} has other features"
                )
            points.append(test)
        size = batch_size if batch_size is not None else _block_side(train.shape, working_memory_gib)
        if size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        jobs = (
            [("", train, None)]
            if x_test is None
            else [("", train, None), ("_test_train", points[1], train), ("_test", points[1], None)]
        )
        evaluate = _evaluator(kernel_fn, jit)
        results: dict[str, FloatArray] = {}
        with _io.progress_bar(sum(_count_blocks(a, b, size) for _, a, b in jobs), "kernel blocks", progress) as done:
            for suffix, a, b in jobs:
                results["ntk" + suffix], results["nngp" + suffix] = _blockwise(evaluate, a, b, size, done)
        return cls(**results)

    def save(self, path: str | Path) -> None:
        """Write all arrays to an .npz file, atomically."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        _io.write_npz(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Kernels:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(**{name: file[name] for name in file.files})


def _inputs(name: str, value: ArrayLike) -> FloatArray:
    array = _arrays.as_float64(name, np.asarray(value, dtype=np.float64))
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (points, features...), got {array.shape}")
    return array


def _block_side(shape: tuple[int, ...], memory_gib: float) -> int:
    """The side of a block whose work fits in `memory_gib`: a convolutional kernel keeps one entry per pixel and pair of
    points.
    """
    pixels = int(np.prod(shape[1:-1])) if len(shape) > 2 else 1
    side = int(np.sqrt(memory_gib * 2**30 / (8 * _WORKING_COPIES * pixels)))
    return max(1, min(side, 1024))


def _evaluator(
    kernel_fn: Callable[..., Any], jit: bool
) -> Callable[[FloatArray, FloatArray | None], tuple[FloatArray, FloatArray]]:
    def both(a: Any, b: Any) -> tuple[Any, Any]:
        kernels = kernel_fn(a, b, ("nngp", "ntk"))
        return kernels.ntk, kernels.nngp

    if not jit:
        return lambda a, b: tuple(np.asarray(k) for k in both(a, b))  # type: ignore[return-value]
    import jax

    pair, single = jax.jit(both), jax.jit(lambda a: both(a, None))

    def evaluate(a: FloatArray, b: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        ntk, nngp = single(a) if b is None else pair(a, b)
        return np.asarray(ntk), np.asarray(nngp)

    return evaluate


def _count_blocks(a: FloatArray, b: FloatArray | None, size: int) -> int:
    rows = -(-a.shape[0] // size)
    return rows * (rows + 1) // 2 if b is None else rows * -(-b.shape[0] // size)


def _blockwise(
    evaluate: Callable[..., Any], a: FloatArray, b: FloatArray | None, size: int, done: Callable[[int], object]
) -> tuple[FloatArray, FloatArray]:
    """Both kernels between `a` and `b` (None: a with itself, where the blocks below the diagonal are mirrored)."""
    columns = a if b is None else b
    ntk, nngp = (np.empty((a.shape[0], columns.shape[0])) for _ in range(2))
    for rows, x in _blocks(a, size):
        for cols, y in _blocks(columns, size):
            if b is None and cols.start < rows.start:
                continue
            blocks = evaluate(x, None if b is None and rows == cols else y)
            for whole, block in zip((ntk, nngp), blocks, strict=True):
                _check_block(block, x.shape[0], y.shape[0])
                whole[rows, cols] = block[: rows.stop - rows.start, : cols.stop - cols.start]
                if b is None:
                    whole[cols, rows] = whole[rows, cols].T
            done(1)
    return ntk, nngp


def _blocks(x: FloatArray, size: int) -> Iterator[tuple[slice, FloatArray]]:
    """Slices of at most `size` points; the last is filled up with copies of the last point, so that all are compiled
    once.
    """
    size = min(size, x.shape[0])
    for start in range(0, x.shape[0], size):
        stop = min(start + size, x.shape[0])
        block = x[start:stop]
        if stop - start < size:
            block = np.concatenate([block, np.repeat(x[-1:], size - (stop - start), axis=0)])
        yield slice(start, stop), block


def _check_block(block: FloatArray, rows: int, columns: int) -> None:
    if block.dtype != np.float64:
        _arrays.as_float64("the kernel function's result", block)
    if block.shape != (rows, columns):
        raise ValueError(
            f"kernel_fn returned shape {block.shape} for {rows} and {columns} points; it must be ({rows}, {columns}). "
            "End the network in a readout (Flatten or pooling, then Dense), with the output axis traced out."
        )
