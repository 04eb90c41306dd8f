"""Kernel functions as functions of arrays: compiled once, and for several devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from dualib.core.arrays import whole
from dualib.core.typing import FloatArray
from ntkinfo.activations.arrays import Array
from ntkinfo.kernels.blocks import Evaluate
from ntkinfo.kernels.cache import compile_on_disk
from ntkinfo.kernels.convolutions import pad_first_on_cpu

Applied = TypeVar("Applied")


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


def applied(call: Callable[[], Applied], point_shape: tuple[int, ...]) -> Applied:
    """What a network's function gives for points of that shape; where it fails, the shape is said with its own error.

    Raises
    ------
    ValueError
        If it fails in whatever way its library has.
    """
    try:
        return call()
    except Exception as error:  # of any library
        raise ValueError(
            f"the network fails on points of shape {point_shape} ({type(error).__name__}: {error}); images have shape (height, "
            "width, colours): images=True of data sets, --images of the command"
        ) from error


def evaluator(kernel_fn: KernelFunction, jit: bool = True, devices: int = 1) -> Evaluate:
    """Θ and K of a kernel function as arrays; with `jit` compiled, once for each shape of its arguments in all calls.

    With several devices its arguments and results have a first axis of their number: a pair of points' blocks for each.
    """
    if not jit:
        return _plain(kernel_fn)
    try:
        return _compiled(kernel_fn, devices)
    except TypeError:  # a callable without hash is compiled again
        return _compiled.__wrapped__(kernel_fn, devices)


def local_devices(devices: int | None) -> int:
    """How many of JAX's devices to use: all for None.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    import jax

    there = int(jax.local_device_count())
    if devices is not None and whole(devices, "devices", 1) > there:
        raise ValueError(f"devices = {devices}, but JAX has {there} on this machine")
    return there if devices is None else devices


def _both(kernel_fn: KernelFunction) -> Callable[[Array, Array | None], tuple[Array, Array]]:
    def both(a: Array, b: Array | None) -> tuple[Array, Array]:
        kernels = applied(lambda: kernel_fn(a, b, ("nngp", "ntk")), np.shape(a)[1:])
        return kernels.ntk, kernels.nngp

    return both


def _plain(kernel_fn: KernelFunction) -> Evaluate:
    both = _both(kernel_fn)

    def evaluate(a: FloatArray, b: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        ntk, nngp = both(a, b)
        return np.asarray(ntk), np.asarray(nngp)

    return evaluate


@lru_cache(maxsize=16)
def _compiled(kernel_fn: KernelFunction, devices: int) -> Evaluate:
    import jax

    compile_on_disk()
    pad_first_on_cpu()
    both = _both(kernel_fn)

    def alone(a: Array) -> tuple[Array, Array]:
        return both(a, None)

    pair, single = (jax.jit(f if devices == 1 else _on_each(f, devices)) for f in (both, alone))

    def evaluate(a: FloatArray, b: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        ntk, nngp = single(a) if b is None else pair(a, b)
        return np.asarray(ntk), np.asarray(nngp)

    return evaluate


def _on_each(function: Callable[..., tuple[Array, Array]], devices: int) -> Callable[..., tuple[Array, Array]]:
    """The function on each device, of its part of the first axis: the program of one device, so that the numbers are its."""
    import jax
    from jax.sharding import Mesh, PartitionSpec

    shard_map: Any = getattr(jax, "shard_map", None)
    unchecked = {"check_vma": False}
    if shard_map is None:  # JAX below 0.6
        from jax.experimental import shard_map as module

        shard_map, unchecked = module.shard_map, {"check_rep": False}

    def part(*arrays: Array) -> tuple[Array, Array]:
        ntk, nngp = function(*(array[0] for array in arrays))
        return ntk[None], nngp[None]

    mesh, split = Mesh(np.array(jax.local_devices()[:devices]), ("blocks",)), cast(Any, PartitionSpec)("blocks")
    spread: Callable[..., tuple[Array, Array]] = shard_map(
        part, mesh=mesh, in_specs=split, out_specs=split, **unchecked
    )
    return spread
