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

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dualib.core.arrays import positive, whole
from dualib.core.typing import ArrayLike, Float, FloatArray
from ntkinfo.activations import Activation
from ntkinfo.kernels.blocks import points
from ntkinfo.kernels.kernels import Kernels


class Recursion(NamedTuple):
    """Kernels of all pairs of p points: Θ, K, and Ω or None without third kernel."""

    ntk: Float[np.ndarray, "p p"]
    nngp: Float[np.ndarray, "p p"]
    omega: Float[np.ndarray, "p p"] | None


def recursion(
    x: Float[np.ndarray, "p d"],
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
) -> Recursion:
    """Θ, K and Ω of a fully connected network, that of :func:`ntkinfo.mlp` with the same arguments, on the points `x`.

    Parameters
    ----------
    x : array, shape (p, d)
        Patterns, one a row.
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
    *_, (theta, k, omega) = layers(x, hidden_layers=hidden_layers, activation=activation, w_std=w_std, b_std=b_std)
    theta, k = (0.5 * (a + a.T) for a in (theta, k))
    return Recursion(theta, k, None if omega is None else 0.5 * (omega + omega.T))


def layers(
    x: Float[np.ndarray, "p d"], *, hidden_layers: int, activation: str | Activation, w_std: float, b_std: float
) -> Iterator[Recursion]:
    """The kernels of the first 0, 1, ... `hidden_layers` hidden layers with a readout; arguments as of :func:`recursion`."""
    phi, depth = Activation.named(activation), whole(hidden_layers, "hidden_layers")
    w2, b2 = positive(w_std, "w_std") ** 2, positive(b_std, "b_std", zero=True) ** 2
    k: FloatArray = w2 * (x @ x.T) / x.shape[1] + b2
    theta = k
    omega = k if phi.has_third_kernel or not depth else None
    yield Recursion(theta, k, omega)
    for _ in range(depth):
        variance = np.diagonal(k)
        f, f1, f2 = map(np.asarray, phi.expectations(variance[:, None], variance[None, :], k))
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
) -> Kernels:
    """Θ, K and Ω of a fully connected network by :func:`recursion`, without JAX; no Ω where φ has a kink.

    Parameters
    ----------
    x_train, x_test : array, shapes (n, d) and (m, d)
    hidden_layers, activation, w_std, b_std :
        The same as for :func:`recursion`.

    Returns
    -------
    Kernels

    Raises
    ------
    ValueError
        As in :func:`recursion`, and if the inputs do not match (both shapes are printed).

    Examples
    --------
    >>> kernels = dense([[1.0, 0.0], [0.0, 1.0]], hidden_layers=0, w_std=1.0, b_std=0.0)
    >>> kernels.omega
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    given = points(x_train, x_test)
    if given[0].ndim != 2:
        raise ValueError(f"x_train must have shape (points, features), got {given[0].shape}: flatten its features")
    phi, n = Activation.named(activation), len(given[0])
    settings = {"hidden_layers": hidden_layers, "activation": phi.name, "w_std": w_std, "b_std": b_std}
    found = recursion(np.concatenate(given), hidden_layers=hidden_layers, activation=phi, w_std=w_std, b_std=b_std)
    blocks: dict[str, FloatArray] = {}
    for name, whole_matrix in found._asdict().items():
        if whole_matrix is not None:
            blocks[name] = whole_matrix[:n, :n]
            if x_test is not None:
                blocks |= {f"{name}_test_train": whole_matrix[n:, :n], f"{name}_test": whole_matrix[n:, n:]}
    return Kernels(**blocks, settings={"architecture": "mlp", **settings})
