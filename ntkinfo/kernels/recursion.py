r"""Kernels of dense networks by recursion: K, Θ, and the third kernel Ω.

The outputs at initialisation are functions of θ ~ N(0, I); their parts of Wiener-chaos degree q (of q-th order in θ) are
uncorrelated between degrees, with kernels K_q. Then

.. math:: K = \sum_q K_q, \qquad \Theta = \sum_q q K_q, \qquad \Omega = \sum_q q^2 K_q .

With correlation c between two copies of the parameters the outputs' covariance is K(c) = Σ c^q K_q, so that Θ = K'(1) and
Ω = K'(1) + K''(1). A layer maps K(c) to c [σ_w² F(K(c)) + σ_b²], where F(q) = E φ(u)φ(v) for u, v of covariance q; two
derivatives at c = 1 give the recursion, derived here,

.. math:: K^+ &= \sigma_w^2 F + \sigma_b^2, \qquad \Theta^+ = K^+ + \sigma_w^2 \dot K \Theta, \\
          \Omega^+ &= K^+ + \sigma_w^2 (2 \dot K \Theta + \ddot K \Theta^2 + \dot K \Omega)

(products elementwise), with \dot K = F' = E φ'φ' and \ddot K = F'' = E φ''φ'', from Ω = Θ = K at the first layer. A network
that is linear in its parameters has Ω = Θ = K.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from dualib.core.arrays import positive, whole
from dualib.core.typing import ArrayLike, Float, FloatArray
from ntkinfo.activations import Activation
from ntkinfo.kernels.blocks import LARGEST_SIDE, all_blocks
from ntkinfo.kernels.kernels import Kernels


class Recursion(NamedTuple):
    """Kernels of all pairs of p and q points: Θ, K, and Ω or None without third kernel."""

    ntk: Float[np.ndarray, "p q"]
    nngp: Float[np.ndarray, "p q"]
    omega: Float[np.ndarray, "p q"] | None


def recursion(
    x: Float[np.ndarray, "p d"],
    y: Float[np.ndarray, "q d"] | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
) -> Recursion:
    """Θ, K and Ω of a fully connected network, that of :func:`ntkinfo.mlp` with the same arguments, between points.

    Parameters
    ----------
    x, y : array, shapes (p, d) and (q, d)
        Patterns, one a row; None for y between x and itself.
    hidden_layers : int
        At least 0.
    activation : str or Activation
        A name of :func:`ntkinfo.activations.names`, or an activation of one's own.
    w_std, b_std : float
        The same as for :func:`ntkinfo.mlp`.

    Returns
    -------
    Recursion

    Raises
    ------
    ValueError
        If the activation is unknown, a parameter is out of range, or a series has not converged.

    References
    ----------
    Ω: derived here; K and Θ: [jacot2018]_, [lee2019]_
    """
    scales = {"w_std": w_std, "b_std": b_std}
    *_, last = layers(x, y, hidden_layers=hidden_layers, activation=activation, **scales)
    if y is not None:
        return last
    theta, k, omega = last
    theta, k = (0.5 * (a + a.T) for a in (theta, k))
    return Recursion(theta, k, None if omega is None else 0.5 * (omega + omega.T))


def layers(
    x: Float[np.ndarray, "p d"],
    y: Float[np.ndarray, "q d"] | None = None,
    *,
    hidden_layers: int,
    activation: str | Activation,
    w_std: float,
    b_std: float,
) -> Iterator[Recursion]:
    """The kernels of the first 0, 1, ... `hidden_layers` hidden layers with a readout; arguments as of :func:`recursion`."""
    phi, depth = Activation.named(activation), whole(hidden_layers, "hidden_layers")
    w2, b2 = positive(w_std, "w_std") ** 2, positive(b_std, "b_std", zero=True) ** 2
    k: FloatArray = w2 * (x @ (x if y is None else y).T) / x.shape[1] + b2
    ends = [] if y is None else [w2 * np.einsum("ij,ij->i", z, z) / z.shape[1] + b2 for z in (x, y)]
    theta = k
    omega = k if phi.has_third_kernel or not depth else None
    yield Recursion(theta, k, omega)
    for _ in range(depth):
        left, right = ends or [np.diagonal(k)] * 2
        f, f1, f2 = map(np.asarray, phi.expectations(left[:, None], right[None, :], k))
        ends = [w2 * np.asarray(phi.expectations(z, z, z)[0]) + b2 for z in ends]
        k = w2 * f + b2
        if omega is not None:
            omega = k + w2 * (2 * f1 * theta + f2 * theta**2 + f1 * omega)
        theta = k + w2 * f1 * theta
        yield Recursion(theta, k, omega)


def dense(
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
    third_kernel: bool | None = None,
    batch_size: int = LARGEST_SIDE,
    test_variances: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Kernels:
    """Θ, K and Ω of a fully connected network by :func:`recursion`, without JAX; no Ω where φ has a kink.

    Parameters
    ----------
    x_train, x_test : array, shapes (n, d) and (m, d)
    hidden_layers, activation, w_std, b_std :
        The same as for :func:`recursion`.
    third_kernel : bool or None
        Whether to have Ω; None where φ has no kink.
    batch_size : int
        Points on the side of a block.
    test_variances : bool
        Whether the test points have their variances alone; see :meth:`ntkinfo.Kernels.compute`.
    cache : path or None
        An .npz file that keeps the result; see :meth:`ntkinfo.Kernels.compute`.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    Kernels

    Raises
    ------
    ValueError
        As in :func:`recursion`, if the inputs do not match (both shapes are printed), `cache` holds other kernels, or Ω is
        asked for where φ has a kink.

    Examples
    --------
    >>> kernels = dense([[1.0, 0.0], [0.0, 1.0]], hidden_layers=0, w_std=1.0, b_std=0.0)
    >>> kernels.omega
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    phi, depth = Activation.named(activation), whole(hidden_layers, "hidden_layers")
    there = phi.has_third_kernel or depth == 0
    if third_kernel and not there:
        raise ValueError(f"{phi.name} has a kink: its third kernel is infinite on the diagonal. Leave third_kernel out")
    names = ("ntk", "nngp", "omega") if there and third_kernel is not False else ("ntk", "nngp")
    scales = {"w_std": w_std, "b_std": b_std}

    def evaluate(x: FloatArray, y: FloatArray | None) -> tuple[FloatArray, ...]:
        found = recursion(x, y, hidden_layers=depth, activation=phi, **scales)
        return tuple(getattr(found, name) for name in names)

    def compute(given: tuple[FloatArray, ...], settings: dict[str, object]) -> Kernels:
        if given[0].ndim != 2:
            raise ValueError(f"x_train must have shape (points, features), got {given[0].shape}: flatten its features")
        options: dict[str, Any] = {"names": names, "filled": False, "test_variances": test_variances}
        found = all_blocks(evaluate, given, batch_size, progress=progress, **options)
        made = {"architecture": "mlp", "hidden_layers": depth, "activation": phi.name, **scales}
        return Kernels(**found, settings=made | settings)

    return Kernels.kept(cache, x_train, x_test, compute=compute)
