"""Networks of other libraries: functions, stax, flax and equinox as :class:`ntkinfo.Architecture`, torch as finite networks.

Only what stax's networks bring along has analytic kernels; for the others there is :func:`ntkinfo.kernels.empirical`. Their
parameters are drawn and scaled as their libraries do: with weights of variance 1/fan-in and no factor in front, Θ grows with the width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from dualib.core.typing import FloatArray
from ntkinfo.activations.arrays import Array
from ntkinfo.architectures import Architecture, Parameters, no_analytic_kernels
from ntkinfo.kernels.blocks import Evaluate
from ntkinfo.kernels.monte_carlo import FiniteNetworks, check_outputs


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

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> init = lambda key, x: jax.random.normal(key, (x.shape[-1], 1))
    >>> network = functions(init, lambda parameters, x: jnp.asarray(x) @ parameters)
    >>> bool(callable(network.apply_fn))
    True
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

    Examples
    --------
    >>> from neural_tangents import stax as layers
    >>> network = stax(layers.serial(layers.Dense(8), layers.Erf(), layers.Dense(1)))
    >>> network.init_fn is not None
    True
    """
    if len(network) not in (2, 3) or not all(map(callable, network)):
        raise ValueError(f"a stax network is (init_fn, apply_fn) or (init_fn, apply_fn, kernel_fn), got {network!r}")
    return Architecture(network[0], network[1], network[2] if len(network) == 3 else no_analytic_kernels)


@runtime_checkable
class FlaxModule(Protocol):
    """What is used of a module of ``flax.linen``.

    Examples
    --------
    >>> from flax import linen  # doctest: +SKIP
    >>> module: FlaxModule = linen.Dense(1)  # doctest: +SKIP
    >>> parameters = module.init(key, x)  # doctest: +SKIP
    """

    @property
    def init(self) -> Callable[..., Parameters]:
        """(key, x) → parameters."""

    @property
    def apply(self) -> Callable[..., Array]:
        """(parameters, x) → outputs."""


def flax(module: FlaxModule) -> Architecture:
    """A module of ``flax.linen`` whose call takes points and gives outputs, shape (n, n_outputs).

    Examples
    --------
    >>> from flax import linen  # doctest: +SKIP
    >>> network = flax(linen.Sequential([linen.Dense(8), linen.tanh, linen.Dense(1)]))  # doctest: +SKIP
    >>> found = ntkinfo.kernels.empirical(network, x_train, replicas=8)  # doctest: +SKIP
    """
    return functions(module.init, module.apply)


def equinox(build: Callable[[Array], Callable[[Array], Array]]) -> Architecture:
    """A network of equinox, given by what builds it.

    Parameters
    ----------
    build : key -> module
        The module takes one point and gives its outputs, shape (n_outputs,).

    Examples
    --------
    >>> import equinox as eqx  # doctest: +SKIP
    >>> network = equinox(lambda key: eqx.nn.MLP(2, 1, width_size=8, depth=1, key=key))  # doctest: +SKIP
    >>> found = ntkinfo.kernels.empirical(network, x_train, replicas=8)  # doctest: +SKIP
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


def torch(build: Callable[[], Any]) -> FiniteNetworks:
    """Networks of torch, whose kernels ``torch.func`` gives.

    Parameters
    ----------
    build : () -> torch.nn.Module
        Makes a module with parameters drawn from torch's global generator, which is seeded for each draw and left as it was. The module
        takes points, shape (n, ...), and gives outputs, shape (n, n_outputs); it is put in evaluation mode and double precision,
        and must treat each point by itself. Parameters that need no gradient count as fixed.

    Returns
    -------
    FiniteNetworks
        For :func:`ntkinfo.kernels.empirical`; a block keeps the derivatives of its outputs by all parameters.

    Examples
    --------
    >>> from torch import nn  # doctest: +SKIP
    >>> networks = torch(lambda: nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)))  # doctest: +SKIP
    >>> found = ntkinfo.kernels.empirical(networks, x_train, replicas=8)  # doctest: +SKIP
    """

    def draw(seed: int, point_shape: tuple[int, ...], replicas: int) -> Iterator[Evaluate]:
        import torch as library

        for replica in range(replicas):
            with library.random.fork_rng(devices=[]):
                library.manual_seed(int(np.random.SeedSequence((seed, replica)).generate_state(1)[0]))
                module = build()
            yield _torch_kernels(module.double().eval())

    return FiniteNetworks(draw)


def _torch_kernels(module: Any) -> Evaluate:
    """(x1, x2 or None for x1) → Θ̂, K̂ of one module of torch."""
    from torch import as_tensor, einsum
    from torch.func import functional_call, jacrev, vmap

    everything = {name: value.detach() for name, value in module.named_parameters()} | dict(module.named_buffers())
    trained = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}

    def outputs(parameters: Any, points: Any) -> Any:
        return functional_call(module, {**everything, **parameters}, (points,))

    def at(x: FloatArray) -> tuple[Any, Any]:
        points = as_tensor(x)
        z = outputs(trained, points).detach()
        check_outputs(tuple(z.shape), len(x))
        return z, vmap(jacrev(lambda p, point: outputs(p, point[None])[0]), (None, 0))(trained, points)

    def evaluate(a: FloatArray, b: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        (left, by_left), (right, by_right) = (one := at(a)), (one if b is None else at(b))
        k = left.shape[1]
        pairs = [(by_left[name].flatten(2), by_right[name].flatten(2)) for name in trained]
        theta = sum(einsum("iop,jop->ij", left, right) for left, right in pairs) / k
        return np.asarray(theta), np.asarray(left @ right.T / k)

    return evaluate
