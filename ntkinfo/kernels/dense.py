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

from typing import NamedTuple

import numpy as np

from dualib.core.arrays import finite_array, positive, whole
from dualib.core.typing import ArrayLike, Float, FloatArray
from ntkinfo.activations import Activation
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
        As of :func:`ntkinfo.mlp`.

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
    phi, depth = Activation.named(activation), whole(hidden_layers, "hidden_layers")
    w2, b2 = positive(w_std, "w_std") ** 2, positive(b_std, "b_std", zero=True) ** 2
    k: FloatArray = w2 * (x @ x.T) / x.shape[1] + b2
    theta = k
    omega = k if phi.has_third_kernel or not depth else None
    for _ in range(depth):
        variance = np.diagonal(k)
        f, f1, f2 = phi.expectations(variance[:, None], variance[None, :], k)
        k = w2 * f + b2
        if omega is not None:
            omega = k + w2 * (2 * f1 * theta + f2 * theta**2 + f1 * omega)
        theta = k + w2 * f1 * theta
    theta, k = (0.5 * (a + a.T) for a in (theta, k))
    return Recursion(theta, k, None if omega is None else 0.5 * (omega + omega.T))


def points(x_train: ArrayLike, x_test: ArrayLike | None) -> tuple[FloatArray, int]:
    """All points, training points first, shape (n + m, d), and n.

    Raises
    ------
    ValueError
        If they are no patterns in rows, or do not match (both shapes are printed).
    """
    given = {"x_train": x_train} if x_test is None else {"x_train": x_train, "x_test": x_test}
    arrays = [finite_array(value, name) for name, value in given.items()]
    for name, array in zip(given, arrays, strict=True):
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"{name} must have shape (points, features), got {array.shape}")
    if arrays[-1].shape[1] != arrays[0].shape[1]:
        raise ValueError(
            f"x_test has shape {arrays[-1].shape}, but x_train of shape {arrays[0].shape} has other features"
        )
    return np.concatenate(arrays), len(arrays[0])


def blocks(whole_matrix: FloatArray, n: int) -> tuple[FloatArray, ...]:
    """The train–train block of a matrix of all points, and with test points the test–train and the test–test block."""
    if n == len(whole_matrix):
        return (whole_matrix,)
    return whole_matrix[:n, :n], whole_matrix[n:, :n], whole_matrix[n:, n:]


def dense_kernels(
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Activation = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
) -> Kernels:
    """Θ and K of a fully connected network by :func:`recursion`, without JAX.

    Parameters
    ----------
    x_train, x_test : arrays, shapes (n, d) and (m, d)
    hidden_layers, activation, w_std, b_std :
        As of :func:`recursion`.

    Returns
    -------
    Kernels

    Raises
    ------
    ValueError
        As of :func:`recursion`, and if the inputs do not match (both shapes are printed).
    """
    x, n = points(x_train, x_test)
    found = recursion(x, hidden_layers=hidden_layers, activation=activation, w_std=w_std, b_std=b_std)
    return Kernels(*(b for pair in zip(blocks(found.ntk, n), blocks(found.nngp, n), strict=True) for b in pair))
