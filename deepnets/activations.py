"""Activations of finite networks: the function and its first two derivatives, written in JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import jax
import jax.numpy as jnp

Function = Callable[[jax.Array], jax.Array]


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes
    ----------
    name : str
    phi, first : callable
        The function and its derivative, elementwise.
    second : callable or None
        The second derivative; None where there is none.
    saturates : bool
        Whether its values fill a bounded interval, [-1, 1].
    """

    name: str
    phi: Function
    first: Function
    second: Function | None
    saturates: bool = False


_ERF_SLOPE = 2 / sqrt(pi)


def _normal_density(x: jax.Array) -> jax.Array:
    return jnp.exp(-(x**2) / 2) / sqrt(2 * pi)


def _tanh_slope(x: jax.Array) -> jax.Array:
    return 1 - jnp.tanh(x) ** 2


def _gelu(x: jax.Array) -> jax.Array:
    return jax.nn.gelu(x, approximate=False)


ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("tanh", jnp.tanh, _tanh_slope, lambda x: -2 * jnp.tanh(x) * _tanh_slope(x), saturates=True),
        Activation("relu", jax.nn.relu, lambda x: (x > 0).astype(x.dtype), None),
        Activation(
            "erf",
            jax.scipy.special.erf,
            lambda x: _ERF_SLOPE * jnp.exp(-(x**2)),
            lambda x: -2 * _ERF_SLOPE * x * jnp.exp(-(x**2)),
            saturates=True,
        ),
        Activation("linear", lambda x: x, jnp.ones_like, jnp.zeros_like),
        Activation("sin", jnp.sin, jnp.cos, lambda x: -jnp.sin(x)),
        Activation(
            "gelu",
            _gelu,
            lambda x: jax.scipy.stats.norm.cdf(x) + x * _normal_density(x),
            lambda x: (2 - x**2) * _normal_density(x),
        ),
    )
}
"""Every activation, by its name."""
