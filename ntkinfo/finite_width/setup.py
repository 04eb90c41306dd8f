"""What is checked and known before any quadrature: the network, its kernels layer by layer, and the derivatives of φ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dualib.core.arrays import positive, whole
from dualib.core.typing import ArrayLike
from ntkinfo.activations import Activation
from ntkinfo.activations.closed_forms import Function
from ntkinfo.kernels import Kernels, dense
from ntkinfo.kernels.blocks import points
from ntkinfo.kernels.recursion import Recursion, layers


@dataclass(frozen=True, eq=False)
class Setup:
    """A checked network on its points."""

    limit: Kernels
    below: tuple[Recursion, ...]
    """The kernels below each hidden layer's activation."""
    derivatives: tuple[Function, ...]
    ratios: tuple[float, ...]
    w_std: float
    settings: Mapping[str, object]


def checked_setup(
    x_train: ArrayLike,
    x_test: ArrayLike | None,
    hidden_layers: int,
    activation: str | Activation,
    w_std: float,
    b_std: float,
    width_ratios: Sequence[float] | None,
) -> Setup:
    """The checked network of :func:`ntkinfo.finite_width.corrections`, whose parameters and errors these are."""
    phi, depth = Activation.named(activation), whole(hidden_layers, "hidden_layers", 1)
    if not phi.is_smooth:
        raise ValueError(
            f"{phi.name} has a kink: corrections of finite width take five derivatives of φ. Use a smooth activation, such as gelu"
        )
    derivatives = tuple(phi.derivative(order) for order in range(6))
    for order, f in enumerate(derivatives):
        if np.asarray(f(np.zeros(2))).dtype != np.float64:
            raise TypeError(
                f"derivative {order} of {phi.name} is not float64: turn JAX's 64-bit mode on (IB_NTK_X64=1)"
            )
    ratios = tuple(positive(r, "width_ratios") for r in (width_ratios if width_ratios is not None else [1.0] * depth))
    if len(ratios) != depth:
        raise ValueError(f"width_ratios has {len(ratios)} entries for {depth} hidden layers: give one for each")
    limit = dense(x_train, x_test, hidden_layers=depth, activation=phi, w_std=w_std, b_std=b_std)
    x = np.concatenate(points(x_train, x_test))
    *below, _ = layers(x, hidden_layers=depth, activation=phi, w_std=w_std, b_std=b_std)
    settings = {**limit.settings, "width_ratios": ratios}
    return Setup(limit, tuple(below), derivatives, ratios, float(w_std), settings)


def check_memory(p: int, depth: int, memory_gib: float) -> None:
    """Refuse more points than the arrays of four points leave room for; the number of arrays is an upper estimate."""
    arrays = 16 * depth + 90
    if 8 * arrays * p**4 > memory_gib * 2**30:
        most = int((memory_gib * 2**30 / (8 * arrays)) ** 0.25)
        raise ValueError(
            f"the four-point functions of {p} points take {8 * arrays * p**4 / 2**30:.3g} GiB, more than memory_gib = {memory_gib:g} "
            f"(it grows with the fourth power): use at most {most} points, or pair_corrections, whose arrays are ({p}, {p})"
        )


def check_pair_memory(p: int, depth: int, memory_gib: float) -> None:
    """Refuse more points than the arrays of pairs of points leave room for; the number of arrays is an upper estimate."""
    arrays = 100 * depth + 40
    if 8 * arrays * p**2 > memory_gib * 2**30:
        most = int((memory_gib * 2**30 / (8 * arrays)) ** 0.5)
        raise ValueError(
            f"expectations over all pairs of {p} points take {8 * arrays * p**2 / 2**30:.3g} GiB, more than memory_gib = "
            f"{memory_gib:g}: use at most {most} points, or some of them at a time"
        )
