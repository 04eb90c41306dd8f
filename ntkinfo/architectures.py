"""Architectures: one definition gives a finite network and the kernels of its infinitely wide limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from dualib.core.arrays import positive, whole
from dualib.core.result import Brief
from ntkinfo.activations import Activation
from ntkinfo.activations.arrays import Array
from ntkinfo.kernels import neural_tangents

Parameters: TypeAlias = object
"""The parameters of a finite network: whatever tree of arrays its library makes."""

StaxLayer: TypeAlias = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]
"""(init_fn, apply_fn, kernel_fn) of a layer of ``stax``."""


def no_analytic_kernels(x1: object, x2: object = None, get: object = None) -> NoReturn:
    """Refuse a network of which only finite ones are known."""
    raise ValueError(
        "this architecture has no analytic kernels: give it its kernel_fn, or use ntkinfo.kernels.empirical for finite networks"
    )


@dataclass(frozen=True)
class Architecture(Brief):
    """An infinitely wide network and the finite ones that approach it, in neural-tangents' conventions (NTK parameterisation).

    Attributes
    ----------
    init_fn : (key, input_shape) -> (output_shape, parameters)
        Draws a finite network.
    apply_fn : (parameters, x) -> outputs, shape (n, n_outputs)
        Evaluates the finite network.
    kernel_fn : (x1, x2, get) -> kernels
        Gives the kernels of the infinitely wide network; ``get`` is "ntk", "nngp" or a tuple of them. Without it there are empirical kernels only.
    settings : dict
        What it was built from.

    Examples
    --------
    >>> import ntkinfo
    >>> network = ntkinfo.mlp(hidden_layers=1, activation="erf")
    >>> network.settings["hidden_layers"], network.settings["w_std"]
    (1, 1.5)
    """

    init_fn: Callable[..., tuple[tuple[int, ...], Parameters]]
    apply_fn: Callable[..., Array]
    kernel_fn: Callable[..., Any] = no_analytic_kernels
    settings: dict[str, Any] = field(default_factory=dict)


def mlp(
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    *,
    width: int = 512,
    n_outputs: int = 1,
) -> Architecture:
    """Build a fully connected network of `hidden_layers` hidden layers and a linear readout, all with the same scales.

    Parameters
    ----------
    hidden_layers : int
        At least 0. The networks of [shwartzziv2019]_ have three fully connected layers: two hidden ones and the readout.
    activation : str or Activation
        A name of :func:`ntkinfo.activations.names`, or an activation of one's own.
    w_std, b_std : float
        Standard deviations of weights (times 1/sqrt(fan-in)) and of biases at initialisation.
    width, n_outputs : int
        Sizes of the finite network; the kernels do not depend on them.

    Returns
    -------
    Architecture

    Raises
    ------
    ValueError
        If the activation is unknown, or a scale or size is out of range.

    References
    ----------
    [jacot2018]_, [novak2020]_

    Examples
    --------
    >>> network = mlp(hidden_layers=1, activation="erf")
    >>> network.settings["activation"], network.settings["w_std"]
    ('erf', 1.5)
    """
    settings = {
        "architecture": "mlp",
        "hidden_layers": whole(hidden_layers, "hidden_layers"),
        **_common(activation, w_std, b_std, width, n_outputs),
    }
    stax = neural_tangents.load().stax
    layers: list[StaxLayer] = []
    for _ in range(hidden_layers):
        layers += [stax.Dense(width, W_std=w_std, b_std=b_std), elementwise(activation)]
    return _read_out(layers, settings)


def cnn(
    conv_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    *,
    filter_shape: tuple[int, int] = (5, 5),
    channels: int = 128,
    n_outputs: int = 1,
) -> Architecture:
    """Build a convolutional network without pooling: `conv_layers` layers of 5×5 filters, then a linear readout of all pixels.

    Inputs have shape (n, height, width, colours). Parameters are those of :func:`mlp`, with `channels` for the width;
    the default is the two-layer network of the MNIST parity experiment of [shwartzziv2019]_.

    Examples
    --------
    >>> import numpy as np
    >>> network = cnn(conv_layers=1, filter_shape=(3, 3), channels=16)
    >>> network.settings["conv_layers"], network.settings["filter_shape"]
    (1, [3, 3])
    """
    settings = {
        "architecture": "cnn",
        "conv_layers": whole(conv_layers, "conv_layers"),
        **_common(activation, w_std, b_std, channels, n_outputs),
        "filter_shape": list(filter_shape),
    }
    if len(filter_shape) != 2 or min(filter_shape) < 1:
        raise ValueError(f"filter_shape must be two sizes of at least 1, got {filter_shape}")
    stax = neural_tangents.load().stax
    layers: list[StaxLayer] = []
    for _ in range(conv_layers):
        convolution = stax.Conv(channels, filter_shape, padding="SAME", W_std=w_std, b_std=b_std)
        layers += [convolution, elementwise(activation)]
    return _read_out([*layers, stax.Flatten()], settings)


def elementwise(activation: str | Activation) -> StaxLayer:
    """The layer of neural-tangents that applies an activation; it goes between any of ``stax``'s layers.

    Parameters
    ----------
    activation : str or Activation

    Returns
    -------
    (init_fn, apply_fn, kernel_fn)

    Raises
    ------
    ValueError
        If the activation is unknown.
    """
    activation = Activation.named(activation)
    expectations, apply = activation.expectations, activation.phi

    def phi(x: Array) -> Array:
        return apply(x)

    def nngp(q: Array, a: Array, b: Array) -> Array:
        return expectations(a, b, q)[0]

    def slopes(q: Array, a: Array, b: Array) -> Array:
        return expectations(a, b, q)[1]

    phi.__name__ = activation.name
    layer: StaxLayer = neural_tangents.load().stax.Elementwise(phi, nngp, slopes)
    return layer


def _common(
    activation: str | Activation, w_std: float, b_std: float, width: int, n_outputs: int
) -> dict[str, str | float | int]:
    return {
        "activation": Activation.named(activation).name,
        "w_std": positive(w_std, "w_std"),
        "b_std": positive(b_std, "b_std", zero=True),
        "width": whole(width, "width", 1),
        "n_outputs": whole(n_outputs, "n_outputs", 1),
    }


def _read_out(layers: list[StaxLayer], settings: Mapping[str, str | float | list[int]]) -> Architecture:
    stax = neural_tangents.load().stax
    readout = stax.Dense(settings["n_outputs"], W_std=settings["w_std"], b_std=settings["b_std"])
    init_fn, apply_fn, kernel_fn = stax.serial(*layers, readout)
    return Architecture(init_fn, apply_fn, kernel_fn, dict(settings))
