"""Architectures: one definition gives a finite network and the kernels of its infinitely wide limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ntkinfo import _neural_tangents
from ntkinfo._arrays import positive

ACTIVATIONS = ("erf", "relu", "gelu", "sin", "linear")


@dataclass(frozen=True)
class Network:
    """A network and its infinitely wide limit, in neural-tangents' conventions (NTK parameterisation).

    Attributes
    ----------
    init_fn : (key, input_shape) -> (output_shape, parameters), of the finite network.
    apply_fn : (parameters, x) -> outputs, shape (n, n_outputs).
    kernel_fn : (x1, x2, get) -> kernels of the infinitely wide network; ``get`` is "ntk", "nngp" or a tuple of them.
    settings : what it was built from.
    """

    init_fn: Callable[..., Any]
    apply_fn: Callable[..., Any]
    kernel_fn: Callable[..., Any]
    settings: dict[str, Any] = field(default_factory=dict)


def mlp(
    hidden_layers: int = 2,
    activation: str = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    *,
    width: int = 512,
    n_outputs: int = 1,
) -> Network:
    """A fully connected network: `hidden_layers` hidden layers and a linear readout, all with the same weight and bias
    scales.

    Parameters
    ----------
    hidden_layers : int >= 0. The networks of [shwartzziv2019]_ have three fully connected layers: two hidden ones and
        the readout.
    activation : "erf", "relu", "gelu", "sin" or "linear".
    w_std, b_std : standard deviations of weights (times 1/sqrt(fan-in)) and of biases at initialisation.
    width, n_outputs : of the finite network; the kernels do not depend on them.

    Returns
    -------
    Network

    Raises
    ------
    ValueError: an unknown activation, or a scale or size out of range.

    References
    ----------
    [jacot2018]_, [novak2020]_
    """
    settings = _settings("mlp", hidden_layers, "hidden_layers", activation, w_std, b_std, width, n_outputs)
    stax = _neural_tangents.load().stax
    layers: list[Any] = []
    for _ in range(hidden_layers):
        layers += [stax.Dense(width, W_std=w_std, b_std=b_std), *_activation(stax, activation)]
    layers.append(stax.Dense(n_outputs, W_std=w_std, b_std=b_std))
    init_fn, apply_fn, kernel_fn = stax.serial(*layers)
    return Network(init_fn, apply_fn, kernel_fn, settings)


def cnn(
    conv_layers: int = 2,
    activation: str = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    *,
    filter_shape: tuple[int, int] = (5, 5),
    channels: int = 128,
    n_outputs: int = 1,
) -> Network:
    """A convolutional network without pooling: `conv_layers` layers of 5×5 filters, then a linear readout of all
    pixels.

    Inputs have shape (n, height, width, colours). Parameters are those of :func:`mlp`, with `channels` for the width;
    the default is the two-layer network of the MNIST parity experiment of [shwartzziv2019]_.
    """
    settings = _settings("cnn", conv_layers, "conv_layers", activation, w_std, b_std, channels, n_outputs)
    if len(filter_shape) != 2 or min(filter_shape) < 1:
        raise ValueError(f"filter_shape must be two sizes of at least 1, got {filter_shape}")
    stax = _neural_tangents.load().stax
    layers: list[Any] = []
    for _ in range(conv_layers):
        convolution = stax.Conv(channels, filter_shape, padding="SAME", W_std=w_std, b_std=b_std)
        layers += [convolution, *_activation(stax, activation)]
    layers += [stax.Flatten(), stax.Dense(n_outputs, W_std=w_std, b_std=b_std)]
    init_fn, apply_fn, kernel_fn = stax.serial(*layers)
    return Network(init_fn, apply_fn, kernel_fn, {**settings, "filter_shape": list(filter_shape)})


def _settings(
    kind: str, depth: int, depth_name: str, activation: str, w_std: float, b_std: float, width: int, n_outputs: int
) -> dict[str, Any]:
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
    if int(depth) != depth or depth < 0:
        raise ValueError(f"{depth_name} must be a whole number >= 0, got {depth!r}")
    if width < 1 or n_outputs < 1:
        raise ValueError(f"sizes must be at least 1, got width {width} and n_outputs {n_outputs}")
    return {
        "architecture": kind,
        depth_name: int(depth),
        "activation": activation,
        "w_std": positive("w_std", w_std),
        "b_std": positive("b_std", b_std, zero=True),
        "width": width,
        "n_outputs": n_outputs,
    }


def _activation(stax: Any, name: str) -> list[Any]:
    if name == "linear":
        return []
    return [{"erf": stax.Erf, "relu": stax.Relu, "gelu": stax.Gelu, "sin": stax.Sin}[name]()]
