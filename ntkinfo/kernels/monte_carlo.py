r"""Kernels of finite networks of any library that JAX differentiates, by Monte Carlo over initialisations.

.. math:: \hat\Theta(x, x') = \frac1k \sum_o \nabla_\theta z_o(x) \cdot \nabla_\theta z_o(x'), \qquad
          \hat K(x, x') = \frac1k \sum_o z_o(x) z_o(x')

averaged over independent draws of the parameters. They are positive semi-definite, and K has at most rank k times the number of
draws. Finite networks have kernels of order 1/width beside those of the infinitely wide one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import whole
from dualib.core.estimate import Estimate, Kind
from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.statistics import LEVEL
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import Unit
from ntkinfo.activations.arrays import Array
from ntkinfo.kernels import neural_tangents
from ntkinfo.kernels.blocks import Evaluate, all_blocks, points
from ntkinfo.kernels.compiled import applied
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

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> found = EmpiricalKernels(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), {"ntk": 0.1 * np.ones((2, 2))}, replicas=32)
    >>> float(found.errors["ntk"].max()), found.replicas
    (0.1, 32)
    """

    kernels: Kernels
    errors: dict[str, FloatArray]
    replicas: int

    def distance(self, other: Kernels) -> dict[str, Estimate]:
        r"""How far the kernels of these networks are from others, such as the analytic ones: ‖A - B‖/‖B‖ of each block.

        The norm is Frobenius's, and the value that of the means over the replicas. With standard errors s the distance of the
        expected kernels is within t ‖s‖/‖B‖ of it at least as often as a single normal number is within t standard errors: of all
        Gaussian quadratic forms of one mean, that of one square has the heaviest tail [szekely2003]_.

        Parameters
        ----------
        other : Kernels
            On the same points.

        Returns
        -------
        dict of str to Estimate
            Without unit, by the name of the block.

        Raises
        ------
        ValueError
            If `other` is on other points (both shapes are printed), or a block of it is zero.
        """
        return {name: self._distance(name, other) for name in self.errors}

    def _distance(self, name: str, other: Kernels) -> Estimate:
        from scipy import stats

        own, block = getattr(self.kernels, name), getattr(other, name)
        if np.shape(block) != own.shape:
            raise ValueError(f"{name} has shape {own.shape} here and {np.shape(block)} in the other kernels")
        size = float(np.linalg.norm(block))
        if size == 0:
            raise ValueError(f"{name} of the other kernels is zero: no distance relative to it can be had")
        value, error = float(np.linalg.norm(own - block)) / size, float(np.linalg.norm(self.errors[name])) / size
        half = float(stats.t.ppf(0.5 + LEVEL / 2, self.replicas - 1)) * error
        method = f"relative Frobenius distance of the mean of {self.replicas} networks"
        low, kind = max(value - half, 0.0), Kind.STATISTICAL
        return Estimate(value, low, value + half, kind, Unit.ONE, LEVEL, self.replicas, method, std_error=error)


@dataclass(frozen=True)
class FiniteNetworks:
    """Networks that are known by the kernels of single draws: of libraries that JAX does not differentiate.

    Attributes
    ----------
    draw : (seed, point_shape, replicas) -> iterator
        Gives for each draw of the parameters a function (x1, x2 or None for x1) → Θ̂, K̂ of that network.
    settings : dict
        What they were built from.
    """

    draw: Callable[[int, tuple[int, ...], int], Iterator[Evaluate]]
    settings: dict[str, object] = field(default_factory=dict)


def empirical(
    architecture: Architecture | FiniteNetworks,
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    replicas: int = 32,
    batch_size: int | None = None,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> EmpiricalKernels:
    """Θ and K of finite networks, averaged over initialisations.

    Parameters
    ----------
    architecture : Architecture or FiniteNetworks
        Made by :func:`ntkinfo.mlp`, or of one's own functions by :mod:`ntkinfo.adapters`. Parameters are taken in double
        precision.
    x_train, x_test : array, shapes (n, ...) and (m, ...)
    replicas : int
        Number of initialisations, at least 2.
    batch_size : int or None
        Points on the side of a block; a block keeps the derivatives of its outputs by all parameters.
    seed : int
        Seed of the initialisations.
    settings : mapping or None
        More entries for the settings of the kernels.
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

    Examples
    --------
    >>> network = ntkinfo.mlp(hidden_layers=1)  # doctest: +SKIP
    >>> found = empirical(network, x_train, replicas=32)  # doctest: +SKIP
    >>> found.kernels.ntk, found.errors["ntk"]  # doctest: +SKIP
    """
    whole(replicas, "replicas", 2)
    arrays = points(x_train, x_test)
    networks = architecture if isinstance(architecture, FiniteNetworks) else differentiated(architecture)
    mean: dict[str, FloatArray] = {}
    square: dict[str, FloatArray] = {}
    draws = networks.draw(seed, arrays[0].shape[1:], replicas)
    for count, evaluate in enumerate(counted(draws, "networks", progress, total=replicas), 1):
        for name, block in all_blocks(evaluate, arrays, batch_size, progress=False).items():
            last = mean.setdefault(name, np.zeros_like(block))
            mean[name] = last + (block - last) / count
            square[name] = square.get(name, 0.0) + (block - last) * (block - mean[name])
    errors = {name: np.sqrt(value / (replicas - 1) / replicas) for name, value in square.items()}
    relative = {
        name: float(np.linalg.norm(errors[name]) / size)
        for name in ("ntk", "nngp")
        if (size := np.linalg.norm(mean[name])) > 0
    }
    made = {
        **networks.settings,
        "replicas": replicas,
        "seed": seed,
        "relative_error": relative,
        **(settings or {}),
    }
    return EmpiricalKernels(Kernels(**mean, settings=made), errors, replicas)


def differentiated(architecture: Architecture) -> FiniteNetworks:
    """The finite networks of an architecture, their kernels by JAX's derivatives."""

    def draw(seed: int, point_shape: tuple[int, ...], replicas: int) -> Iterator[Evaluate]:
        import jax

        both = _compiled(architecture)
        for key in jax.random.split(jax.random.PRNGKey(seed), replicas):
            found = applied(partial(architecture.init_fn, key, (-1, *point_shape)), point_shape)
            parameters = _doubles(found[1])

            def evaluate(
                a: FloatArray, b: FloatArray | None, drawn: Parameters = parameters
            ) -> tuple[FloatArray, FloatArray]:
                ntk, nngp = both(a, a if b is None else b, drawn)
                return np.asarray(ntk), np.asarray(nngp)

            yield evaluate

    return FiniteNetworks(draw, dict(architecture.settings))


def _compiled(architecture: Architecture) -> Callable[[Array, Array, Parameters], tuple[Array, Array]]:
    """(x1, x2, parameters) → Θ̂, K̂ of one network."""
    import jax

    theta = neural_tangents.load().empirical_ntk_fn(architecture.apply_fn, trace_axes=(-1,), vmap_axes=None)

    def both(a: Array, b: Array, parameters: Parameters) -> tuple[Array, Array]:
        left, right = applied(lambda: [architecture.apply_fn(parameters, x) for x in (a, b)], np.shape(a)[1:])
        check_outputs(left.shape, len(a))
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


def check_outputs(shape: tuple[int, ...], n_points: int) -> None:
    """Refuse outputs that are not one row a point."""
    if len(shape) != 2 or shape[0] != n_points:
        raise ValueError(f"the network gives shape {shape} for {n_points} points; it must be (points, n_outputs)")
