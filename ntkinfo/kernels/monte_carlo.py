r"""Kernels of finite networks of any library that JAX differentiates, by Monte Carlo over initialisations.

.. math:: \hat\Theta(x, x') = \frac1k \sum_o \nabla_\theta z_o(x) \cdot \nabla_\theta z_o(x'), \qquad
          \hat K(x, x') = \frac1k \sum_o z_o(x) z_o(x')

averaged over independent draws of the parameters. They are positive semi-definite, and K has at most rank k times the number of
draws. Finite networks have kernels of order 1/width beside those of the infinitely wide one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import whole
from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo.activations.arrays import Array
from ntkinfo.kernels import neural_tangents
from ntkinfo.kernels.blocks import all_blocks, points
from ntkinfo.kernels.kernels import Kernels

if TYPE_CHECKING:
    from ntkinfo.architectures import Architecture, Parameters


@dataclass(frozen=True, eq=False)
class EmpiricalKernels(Result):
    """Kernels as means over initialisations, and their standard errors.

    Attributes
    ----------
    kernels : Kernels
        The means, without third kernel.
    errors : dict of str to array
        The standard error of every entry, by the name of its block.
    replicas : int
        How many initialisations were drawn.
    """

    kernels: Kernels
    errors: dict[str, FloatArray]
    replicas: int

    def distance(self, other: Kernels) -> dict[str, float]:
        """How far each block is from another's, ‖A - B‖ / ‖B‖ in the Frobenius norm, such as the analytic one's."""
        found = {}
        for name in self.errors:
            block = getattr(other, name)
            found[name] = float(np.linalg.norm(getattr(self.kernels, name) - block) / np.linalg.norm(block))
        return found


def empirical(
    architecture: Architecture,
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    replicas: int = 32,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> EmpiricalKernels:
    """Θ and K of finite networks, averaged over initialisations.

    Parameters
    ----------
    architecture : Architecture
        Made by :func:`ntkinfo.mlp`, or of one's own functions by :mod:`ntkinfo.adapters`. Parameters are taken in double
        precision.
    x_train, x_test : array, shapes (n, ...) and (m, ...)
    replicas : int
        Number of initialisations, at least 2.
    batch_size : int or None
        Points on the side of a block; a block keeps the derivatives of its outputs by all parameters.
    seed : int
        Seed of the initialisations.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    EmpiricalKernels

    Raises
    ------
    ValueError
        If inputs do not match (both shapes are printed), outputs do not have shape (points, n_outputs), or there are fewer than two
        replicas.

    References
    ----------
    [novak2020]_
    """
    whole(replicas, "replicas", 2)
    arrays = points(x_train, x_test)
    both = _compiled(architecture)
    import jax

    mean: dict[str, FloatArray] = {}
    square: dict[str, FloatArray] = {}
    for count, key in enumerate(counted(jax.random.split(jax.random.PRNGKey(seed), replicas), "networks", progress), 1):
        parameters = _doubles(architecture.init_fn(key, (-1, *arrays[0].shape[1:]))[1])

        def evaluate(
            a: FloatArray, b: FloatArray | None, drawn: Parameters = parameters
        ) -> tuple[FloatArray, FloatArray]:
            ntk, nngp = both(a, a if b is None else b, drawn)
            return np.asarray(ntk), np.asarray(nngp)

        for name, block in all_blocks(evaluate, arrays, batch_size, progress=False).items():
            last = mean.setdefault(name, np.zeros_like(block))
            mean[name] = last + (block - last) / count
            square[name] = square.get(name, 0.0) + (block - last) * (block - mean[name])
    errors = {name: np.sqrt(value / (replicas - 1) / replicas) for name, value in square.items()}
    settings = {**architecture.settings, "replicas": replicas, "seed": seed}
    return EmpiricalKernels(Kernels(**mean, settings=settings), errors, replicas)


def _compiled(architecture: Architecture) -> Callable[[Array, Array, Parameters], tuple[Array, Array]]:
    """(x1, x2, parameters) → Θ̂, K̂ of one network."""
    import jax

    theta = neural_tangents.load().empirical_ntk_fn(architecture.apply_fn, trace_axes=(-1,), vmap_axes=None)

    def both(a: Array, b: Array, parameters: Parameters) -> tuple[Array, Array]:
        left, right = (architecture.apply_fn(parameters, x) for x in (a, b))
        if left.ndim != 2:
            raise ValueError(
                f"the network gives shape {left.shape} for {len(a)} points; it must be (points, n_outputs)"
            )
        return theta(a, b, parameters), left @ right.T / left.shape[1]

    return jax.jit(both)


def _doubles(parameters: Parameters) -> Parameters:
    """The parameters with every array of real numbers in double precision."""
    import jax
    import jax.numpy as jnp

    def double(leaf: Array) -> Array:
        return leaf.astype(jnp.float64) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf

    doubled: Parameters = jax.tree_util.tree_map(double, parameters)
    return doubled
