"""Networks of other libraries as :class:`ntkinfo.Architecture`: functions, stax, flax and equinox.

Only what stax's networks bring along has analytic kernels; for the others there is :func:`ntkinfo.kernels.empirical`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ntkinfo.activations.arrays import Array
from ntkinfo.architectures import Architecture, Parameters, no_analytic_kernels


def functions(
    init: Callable[[Array, Array], Parameters],
    apply: Callable[..., Array],
    kernel_fn: Callable[..., Any] = no_analytic_kernels,
) -> Architecture:
    """A network given by two functions.

    Parameters
    ----------
    init : (key, x) -> parameters
        Draws the parameters of one network for points like `x`.
    apply : (parameters, x) -> outputs, shape (n, n_outputs)
    kernel_fn : (x1, x2, get) -> kernels
        Gives the kernels of the infinitely wide network, where they are known.

    Returns
    -------
    Architecture
    """

    def init_fn(key: Array, input_shape: Sequence[int]) -> tuple[tuple[int, ...], Parameters]:
        import jax.numpy as jnp

        x = jnp.zeros((1, *input_shape[1:]))
        parameters = init(key, x)
        return (-1, *apply(parameters, x).shape[1:]), parameters

    return Architecture(init_fn, apply, kernel_fn)


def stax(network: Sequence[Callable[..., Any]]) -> Architecture:
    """A network of ``neural_tangents.stax`` (three functions, with its analytic kernels) or of ``jax.example_libraries.stax`` (two).

    Raises
    ------
    ValueError
        If there are not two or three functions.
    """
    if len(network) not in (2, 3) or not all(map(callable, network)):
        raise ValueError(f"a stax network is (init_fn, apply_fn) or (init_fn, apply_fn, kernel_fn), got {network!r}")
    return Architecture(network[0], network[1], network[2] if len(network) == 3 else no_analytic_kernels)


class FlaxModule(Protocol):
    """What is used of a module of ``flax.linen``."""

    @property
    def init(self) -> Callable[..., Parameters]:
        """(key, x) → parameters."""

    @property
    def apply(self) -> Callable[..., Array]:
        """(parameters, x) → outputs."""


def flax(module: FlaxModule) -> Architecture:
    """A module of ``flax.linen`` whose call takes points and gives outputs, shape (n, n_outputs)."""
    return functions(module.init, module.apply)


def equinox(build: Callable[[Array], Callable[[Array], Array]]) -> Architecture:
    """A network of equinox, given by what builds it.

    Parameters
    ----------
    build : key -> module
        The module takes one point and gives its outputs, shape (n_outputs,).
    """
    import equinox as eqx
    import jax

    _, static = eqx.partition(build(jax.random.PRNGKey(0)), eqx.is_inexact_array)

    def init(key: Array, x: Array) -> Parameters:
        return eqx.filter(build(key), eqx.is_inexact_array)

    def apply(parameters: Parameters, x: Array) -> Array:
        outputs: Array = jax.vmap(eqx.combine(parameters, static))(x)
        return outputs

    return functions(init, apply)
