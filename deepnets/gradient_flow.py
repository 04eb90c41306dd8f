r"""Gradient flow of finite dense networks in the NTK parameterisation, with the quantities that theory predicts.

One output, loss ½‖f - y‖² (a sum), parameters θ ~ N(0, I) at the start. Time steps are by the midpoint rule, of second order,
and so are the integrals along the path. With the layers' pre-activations h^l, activations a^l, s_l = σ_w/√fan_in and the
backward signals δ^l = ∂z/∂h^l everything is a few products of matrices:

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dualib.core.typing import FloatArray

_BATCH_BYTES = 2**26  # parameters beyond the caches take longer

ACTIVATIONS = ("erf", "sin", "tanh", "gelu", "linear")


@dataclass(frozen=True)
class FlowNetwork:
    """A dense network of one output in the NTK parameterisation, that of :func:`ntkinfo.mlp` with these settings.

    Parameters
    ----------
    hidden_layers, width : at least 1 each.
    activation : "erf", "sin", "tanh", "gelu" or "linear": with a second derivative.
    w_std, b_std : scales.
    """

    hidden_layers: int
    width: int
    activation: str = "erf"
    w_std: float = 1.5
    b_std: float = 0.1

    def __post_init__(self) -> None:
        if self.hidden_layers < 1 or self.width < 1:
            raise ValueError(f"hidden_layers and width must be at least 1, got {self.hidden_layers} and {self.width}")
        if self.activation == "relu":
            raise ValueError(
                "relu has no second derivative, which the parameters' KL divergence needs: use gelu, erf or sin"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.activation!r}: choose one of {', '.join(ACTIVATIONS)}")


@dataclass(frozen=True, eq=False)
class FlowSample:
    """What R trained networks came to at T times, on n training and m test points.

    Attributes
    ----------
    start : array, shape (R, n + m): outputs before training, training points first.
    outputs : array, shape (R, T, n + m).
    kernel : array, shape (R, n, n): the empirical NTK at the start.
    fisher_trace, fisher_trace_test : arrays, shape (R, T): trace of the empirical NTK on training and on test points.
    distance_squared : array, shape (R, T): ‖θ_τ - θ_0‖².
    kl, kl_rate : arrays, shape (R, T), whose mean over networks is KL(p_τ ‖ p_0) in nats, and its rate dKL/dτ.
    length, action : arrays, shape (R, T): ∫‖dz/ds‖ ds and ∫‖dz/ds‖² ds on the training points.
    """

    start: FloatArray
    outputs: FloatArray
    kernel: FloatArray
    fisher_trace: FloatArray
    fisher_trace_test: FloatArray
    distance_squared: FloatArray
    kl: FloatArray
    kl_rate: FloatArray
    length: FloatArray
    action: FloatArray

    @classmethod
    def concatenate(cls, samples: Sequence[FlowSample]) -> FlowSample:
        """The networks of several samples as one."""
        return cls(*(np.concatenate([getattr(s, f.name) for s in samples]) for f in fields(cls)))

    def part(self, chosen: ArrayLike) -> FlowSample:
        """Some of the networks."""
        return FlowSample(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @property
    def n_networks(self) -> int:
        """The number R of networks."""
        return len(self.start)


def gradient_flow(
    network: FlowNetwork,
    x: FloatArray,
    y: FloatArray,
    taus: tuple[float, ...],
    step: float,
    *,
    replicas: int,
    seed: int,
    first: int = 0,
    mirrored: bool = False,
    done: Callable[[int], object] = lambda count: None,
) -> FlowSample:
    """Train networks number `first`, …, first + replicas - 1 of a seed by gradient flow.

    Parameters
    ----------
    x : array, shape (n + m, d): training points first, then test points.
    y : array, shape (n,) for all networks, or (replicas, n), one row a network.
    taus : increasing times.
    step : the longest step; each stretch between two times is divided evenly.
    mirrored : start with the readout's weights and bias negated: the outputs change sign, their NTK stays.
    done : called with the number of networks that have been trained since the last call; what it raises ends the training.

    Returns
    -------
    FlowSample; computed in single precision, whose rounding is far below the spread of networks.
    """
    stretches, counts = steps_of(taus, step)
    labels = np.broadcast_to(np.asarray(y, np.float32), (replicas, np.shape(y)[-1]))
    size = min(replicas, batch_size(network, np.shape(x)[1]))
    run = _compiled(network, labels.shape[1])
    lengths = np.asarray(stretches, np.float32) / np.asarray(counts, np.float32)
    sign, parts = np.float32(-1 if mirrored else 1), []
    for begin in range(0, replicas, size):  # all of one shape, so that one compilation serves every call
        chosen = np.minimum(np.arange(begin, begin + size), replicas - 1)
        found = run(np.asarray(x, np.float32), labels[chosen], first + chosen, seed, sign, np.asarray(counts), lengths)
        parts.append(FlowSample(*(np.asarray(value, np.float64)[: replicas - begin] for value in found)))
        done(parts[-1].n_networks)
    return FlowSample.concatenate(parts)


def batch_size(network: FlowNetwork, d: int) -> int:
    """Networks that are trained at once, as many as fit the caches, at most 100."""
    parameters = network.width * (d + 2 + (network.hidden_layers - 1) * (network.width + 1))
    return max(1, min(100, _BATCH_BYTES // (24 * parameters)))


def steps_of(taus: tuple[float, ...], step: float) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The stretches between times, and the number of steps in each."""
    stretches = np.diff(np.r_[0.0, taus])
    if not (np.all(stretches > 0) and 0 < step < np.inf):
        raise ValueError(f"taus must increase from above 0 and step be positive, got {taus} and {step}")
    counts = tuple(max(1, int(np.ceil(length / step - 1e-9))) for length in stretches)
    return tuple(float(s) for s in stretches), counts


def network_key(seed: Any, width: int, number: Any) -> Any:
    """Random key of a network; widths have keys of their own, as else the first units of all widths would be alike."""
    import jax

    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), width), number)


def phi(name: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]:
    """φ, φ' and φ'' as JAX functions."""
    import jax
    import jax.numpy as jnp

    c = 2 / sqrt(np.pi)
    if name == "erf":
        return jax.scipy.special.erf, lambda x: c * jnp.exp(-(x**2)), lambda x: -2 * c * x * jnp.exp(-(x**2))
    if name == "sin":
        return jnp.sin, jnp.cos, lambda x: -jnp.sin(x)
    if name == "tanh":
        return jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2, lambda x: -2 * jnp.tanh(x) * (1 - jnp.tanh(x) ** 2)
    if name == "linear":
        return lambda x: x, jnp.ones_like, jnp.zeros_like

    def density(x: Any) -> Any:
        return jnp.exp(-(x**2) / 2) / sqrt(2 * np.pi)

    cdf = jax.scipy.stats.norm.cdf
    return lambda x: x * cdf(x), lambda x: cdf(x) + x * density(x), lambda x: (2 - x**2) * density(x)


@lru_cache(maxsize=32)
def _compiled(network: FlowNetwork, n: int) -> Any:
    import jax
    import jax.numpy as jnp

    machine = _Flow(network, n)

    def one(x: Any, y: Any, number: Any, seed: Any, sign: Any, counts: Any, lengths: Any) -> Any:
        key = network_key(seed, network.width, number)
        theta0 = machine.init(jax.random.fold_in(key, 0), x.shape[1])
        theta0[-1] = tuple(sign * p for p in theta0[-1])
        layers = machine.passes(theta0, x)

        def stretch(state: Any, of: Any) -> Any:
            count, h = of

            def step(_: Any, carry: Any) -> Any:
                theta, kl, length, action, number = carry
                middle = machine.moved(theta, machine.passes(theta, x), y, h / 2)
                at = machine.passes(middle, x)
                kernel = machine.kernel(at)
                speed2 = ((kernel @ (at.z[:n] - y)) ** 2).sum()
                rate = machine.kl_rate(middle, at, kernel, y, jax.random.fold_in(key, number))
                integrals = (kl + h * rate, length + h * jnp.sqrt(speed2), action + h * speed2)
                return machine.moved(theta, at, y, h), *integrals, number + 1

            theta, *integrals, number = state = jax.lax.fori_loop(0, count, step, state)
            at = machine.passes(theta, x)
            distance = sum(
                ((a - b) ** 2).sum() for a, b in zip(jax.tree.leaves(theta), jax.tree.leaves(theta0), strict=True)
            )
            rate = machine.kl_rate(theta, at, machine.kernel(at), y, jax.random.fold_in(key, number))
            traces = machine.traces(at)
            kl, length, action = integrals
            row = (at.z, traces[:n].sum(), traces[n:].sum(), distance, kl, rate, length, action)
            return (theta, *integrals, number + 1), row

        zero = jnp.float32(0.0)
        _, rows = jax.lax.scan(stretch, (theta0, zero, zero, zero, jnp.int32(1)), (counts, lengths))
        return layers.z, rows[0], machine.kernel(layers), *rows[1:]

    return jax.jit(jax.vmap(one, (None, 0, 0, None, None, None, None)))


@dataclass(frozen=True)
class _Layers:
    """One pass over all points: h^l, a^0 … a^L, δ^l, and the outputs z."""

    h: list[Any]
    a: list[Any]
    delta: list[Any]
    z: Any


class _Flow:
    """The formulas of the module for one network. θ is a list of (W (in, out), b (out,)), the readout last."""

    def __init__(self, network: FlowNetwork, n: int) -> None:
        self.network, self.n = network, n
        self.phi, self.d1, self.d2 = phi(network.activation)

    def scale(self, i: int, theta: Any) -> float:
        return self.network.w_std / sqrt(theta[i][0].shape[0])

    def init(self, key: Any, d: int) -> Any:
        import jax

        sizes = [d, *[self.network.width] * self.network.hidden_layers, 1]
        shapes = [(fan_in + 1, fan_out) for fan_in, fan_out in pairwise(sizes)]
        # One draw for all: each draw takes long to compile.
        flat = jax.random.normal(key, (sum(a * b for a, b in shapes),), "float32")
        theta, used = [], 0
        for a, b in shapes:
            block = flat[used : used + a * b].reshape(a, b)
            theta.append((block[:-1], block[-1]))
            used += a * b
        return theta

    def affine(self, theta: Any, i: int, a: Any) -> Any:
        return self.scale(i, theta) * (a @ theta[i][0]) + self.network.b_std * theta[i][1]

    def passes(self, theta: Any, x: Any) -> _Layers:
        h, a = [], [x]
        for i in range(len(theta) - 1):
            h.append(self.affine(theta, i, a[-1]))
            a.append(self.phi(h[-1]))
        z = self.affine(theta, len(theta) - 1, a[-1])[:, 0]
        delta: list[Any] = []
        above = self.scale(len(theta) - 1, theta) * theta[-1][0][:, 0]
        for i in range(len(theta) - 2, -1, -1):
            delta.insert(0, self.d1(h[i]) * above)
            above = self.scale(i, theta) * (delta[0] @ theta[i][0].T) if i else None
        return _Layers(h, a, delta, z)

    def moved(self, theta: Any, at: _Layers, y: Any, h: float) -> Any:
        """θ - h Jᵀr."""
        import jax.numpy as jnp

        n, r = self.n, at.z[: self.n] - y
        signals = [*(r[:, None] * d[:n] for d in at.delta), r[:, None]]
        return [
            (
                w - h * self.scale(i, theta) * (at.a[i][:n].T @ signal),
                b - h * self.network.b_std * jnp.sum(signal, axis=0),
            )
            for i, ((w, b), signal) in enumerate(zip(theta, signals, strict=True))
        ]

    def gram(self, at: _Layers, i: int) -> Any:
        """s_l² a^{l-1}·a^{l-1} + σ_b², of the training points."""
        a = at.a[i][: self.n]
        return self.network.w_std**2 / a.shape[1] * (a @ a.T) + self.network.b_std**2

    def kernel(self, at: _Layers) -> Any:
        total = self.gram(at, len(at.h))
        for i, d in enumerate(at.delta):
            total = total + (d[: self.n] @ d[: self.n].T) * self.gram(at, i)
        return total

    def traces(self, at: _Layers) -> Any:
        """The diagonal of the empirical NTK on all points."""
        norms = [self.network.w_std**2 / a.shape[1] * (a**2).sum(axis=1) + self.network.b_std**2 for a in at.a]
        return norms[-1] + sum((d**2).sum(axis=1) * g for d, g in zip(at.delta, norms[:-1], strict=True))

    def kl_rate(self, theta: Any, at: _Layers, kernel: Any, y: Any, key: Any) -> Any:
        import jax
        import jax.numpy as jnp

        n, last = self.n, len(theta) - 2
        r, z = at.z[:n] - y, at.z[:n]
        along = z + sum((d[:n] * h[:n]).sum(axis=1) for d, h in zip(at.delta, at.h, strict=True))
        laplacian = jnp.zeros(n, z.dtype)
        signs = jax.random.rademacher(key, (last, n, self.network.width), z.dtype)
        for i in range(last + 1):
            if i == last:
                trace = self.d2(at.h[i][:n]) @ (self.scale(i + 1, theta) * theta[-1][0][:, 0])
            else:
                trace = self._second_derivative(theta, at, i, signs[i])
            a = at.a[i][:n]
            laplacian = (
                laplacian + (self.network.w_std**2 / a.shape[1] * (a**2).sum(axis=1) + self.network.b_std**2) * trace
            )
        return jnp.trace(kernel) + (r * (laplacian - along)).sum()

    def _second_derivative(self, theta: Any, at: _Layers, i: int, v: Any) -> Any:
        """vᵀ ∇²_{h^l} z v: the second-order Taylor coefficients carried through the layers above."""
        import jax.numpy as jnp

        n = self.n
        first, second = v, jnp.zeros_like(v)
        for k in range(i, len(theta) - 1):
            d1, d2 = self.d1(at.h[k][:n]), self.d2(at.h[k][:n])
            first, second = d1 * first, d2 * first**2 + d1 * second
            scale, w = self.scale(k + 1, theta), theta[k + 1][0]
            first, second = scale * (first @ w), scale * (second @ w)
        return second[:, 0]
