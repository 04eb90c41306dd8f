r"""The formulas of finite dense networks in the NTK parameterisation: passes, kernels, and the divergence of the parameters.

One output z, loss ½‖z - y‖² (a sum), parameters θ ~ N(0, I) at the start. With the layers' pre-activations h^l, activations
a^l, s_l = σ_w/√fan_in and the backward signals δ^l = ∂z/∂h^l everything is a few products of matrices:

.. math:: \hat\Theta_{ij} = \sum_l (\delta^l_i \cdot \delta^l_j)(s_l^2\, a^{l-1}_i \cdot a^{l-1}_j + \sigma_b^2), \qquad
          \theta\cdot\nabla z = \sum_l \delta^l \cdot h^l, \qquad
          \Delta_\theta z = \sum_l (s_l^2 \|a^{l-1}\|^2 + \sigma_b^2)\, \mathrm{tr}\,\nabla^2_{h^l} z

(the readout is a layer with δ = 1). The trace over the last hidden layer is exact; over earlier ones it is one random
second derivative vᵀ∇²v, v = ±1, fresh at every step, whose expectation is the trace.

The KL divergence of the parameters from their start is integrated without any fit of a density: p_s is carried by the flow v
= -Jᵀr, so that

.. math:: \frac{d}{ds} KL(p_s \| p_0) = E[-\mathrm{div}\, v + \theta\cdot v]
          = E\left[\mathrm{Tr}\,\hat\Theta_s + \sum_i r_i (\Delta_\theta - \theta\cdot\nabla) z_i\right].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import cast

from deepnets.backend import jax, jnp
from deepnets.networks import Map, Network

Theta = list[tuple[jax.Array, jax.Array]]
"""(W (in, out), b (out,)) of every layer, the readout last."""


def network_key(seed: int | jax.Array, width: int, number: int | jax.Array) -> jax.Array:
    """Random key of a network; widths have keys of their own, as else the first units of all widths would be alike."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), width), number)


def hidden_width(network: Network) -> int:
    """The width of the hidden layers of a network that the formulas are for.

    Raises
    ------
    ValueError
        If it has several outputs or none but a readout, is noisy, of the standard parameterisation or of several widths.
    """
    network.check_ntk()
    if network.hidden_layers < 1 or network.widths[-1] != 1:
        raise ValueError(f"gradient flow takes one hidden layer at least, and one output, got widths {network.widths}")
    return network.widths[1]


@dataclass(frozen=True)
class Pass:
    """One pass over all points: h^l, a^0 … a^L, δ^l, and the outputs z."""

    h: list[jax.Array]
    a: list[jax.Array]
    delta: list[jax.Array]
    z: jax.Array


class Formulas:
    """The formulas of the module for one network, of which the first n points are trained on."""

    def __init__(self, network: Network, n: int) -> None:
        self.network, self.n, self.width = network, n, hidden_width(network)
        self.phi, self.d1 = cast(Map, network.phi.phi), cast(Map, network.phi.first)
        self.d2 = cast(Map, network.phi.second) if network.phi.has_third_kernel else None

    def scale(self, i: int) -> float:
        """σ_w/√fan_in of layer i."""
        return self.network.w_std / sqrt(self.network.widths[i])

    def init(self, key: jax.Array) -> Theta:
        """Parameters drawn at the start."""
        shapes = [(fan_in + 1, fan_out) for fan_in, fan_out in pairwise(self.network.widths)]
        # One draw for all: each draw takes long to compile.
        flat = jax.random.normal(key, (sum(a * b for a, b in shapes),), self.network.dtype)
        theta: Theta = []
        used = 0
        for a, b in shapes:
            block = flat[used : used + a * b].reshape(a, b)
            theta.append((block[:-1], block[-1]))
            used += a * b
        return theta

    def affine(self, theta: Theta, i: int, a: jax.Array) -> jax.Array:
        """Pre-activations h of layer i, given the activations below."""
        return self.scale(i) * (a @ theta[i][0]) + self.network.b_std * theta[i][1]

    def passes(self, theta: Theta, x: jax.Array) -> Pass:
        """Forward and backward through all points x, (p, d)."""
        h: list[jax.Array] = []
        a = [x]
        for i in range(len(theta) - 1):
            h.append(self.affine(theta, i, a[-1]))
            a.append(self.phi(h[-1]))
        z = self.affine(theta, len(theta) - 1, a[-1])[:, 0]
        delta: list[jax.Array] = []
        above = self.scale(len(theta) - 1) * theta[-1][0][:, 0]
        for i in range(len(theta) - 2, -1, -1):
            delta.insert(0, self.d1(h[i]) * above)
            if i:
                above = self.scale(i) * (delta[0] @ theta[i][0].T)
        return Pass(h, a, delta, z)

    def moved(self, theta: Theta, at: Pass, y: jax.Array, h: float | jax.Array) -> Theta:
        """θ - h Jᵀr."""
        n, r = self.n, at.z[: self.n] - y
        signals = [*(r[:, None] * d[:n] for d in at.delta), r[:, None]]
        return [
            (
                w - h * self.scale(i) * (at.a[i][:n].T @ signal),
                b - h * self.network.b_std * jnp.sum(signal, axis=0),
            )
            for i, ((w, b), signal) in enumerate(zip(theta, signals, strict=True))
        ]

    def gram(self, at: Pass, i: int) -> jax.Array:
        """s_l² a^{l-1}·a^{l-1} + σ_b², of the training points."""
        a = at.a[i][: self.n]
        return self.network.w_std**2 / a.shape[1] * (a @ a.T) + self.network.b_std**2

    def kernel(self, at: Pass) -> jax.Array:
        """The empirical NTK on the training points."""
        total = self.gram(at, len(at.h))
        for i, d in enumerate(at.delta):
            total = total + (d[: self.n] @ d[: self.n].T) * self.gram(at, i)
        return total

    def traces(self, at: Pass) -> jax.Array:
        """The diagonal of the empirical NTK on all points."""
        norms = [self.network.w_std**2 / a.shape[1] * (a**2).sum(axis=1) + self.network.b_std**2 for a in at.a]
        return norms[-1] + sum((d**2).sum(axis=1) * g for d, g in zip(at.delta, norms[:-1], strict=True))

    def kl_rate(self, theta: Theta, at: Pass, kernel: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        """What this network adds to dKL(p_s ‖ p_0)/ds, in expectation over the random second derivatives.

        NaN where the activation has a kink: the second derivatives, which are then densities at the kink, are no numbers.
        """
        d2 = self.d2
        if d2 is None:
            return jnp.full((), jnp.nan, at.z.dtype)
        n, last = self.n, len(theta) - 2
        r, z = at.z[:n] - y, at.z[:n]
        along = z + sum((d[:n] * h[:n]).sum(axis=1) for d, h in zip(at.delta, at.h, strict=True))
        laplacian = jnp.zeros(n, z.dtype)
        signs = jax.random.rademacher(key, (last, n, self.width), z.dtype)
        for i in range(last + 1):
            if i == last:
                trace = d2(at.h[i][:n]) @ (self.scale(i + 1) * theta[-1][0][:, 0])
            else:
                trace = self._second_derivative(d2, theta, at, i, signs[i])
            a = at.a[i][:n]
            laplacian = (
                laplacian + (self.network.w_std**2 / a.shape[1] * (a**2).sum(axis=1) + self.network.b_std**2) * trace
            )
        return jnp.trace(kernel) + (r * (laplacian - along)).sum()

    def _second_derivative(self, phi2: Map, theta: Theta, at: Pass, i: int, v: jax.Array) -> jax.Array:
        """vᵀ ∇²_{h^l} z v: the second-order Taylor coefficients carried through the layers above."""
        n = self.n
        first, second = v, jnp.zeros_like(v)
        for k in range(i, len(theta) - 1):
            d1, d2 = self.d1(at.h[k][:n]), phi2(at.h[k][:n])
            first, second = d1 * first, d2 * first**2 + d1 * second
            scale, w = self.scale(k + 1), theta[k + 1][0]
            first, second = scale * (first @ w), scale * (second @ w)
        return second[:, 0]
