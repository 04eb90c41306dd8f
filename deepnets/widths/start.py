r"""Networks at their start, and what in their kernels is pure fluctuation; wide ones without their weight matrices.

On p points a layer's weights W enter the forward pass by qᵀ = QᵀW alone, Q an orthonormal basis of the activations below,
and the backward pass by Wδ = Q q δ + (I - QQᵀ) W δ, where the second part is independent of all else given δ: drawing both
takes N p normal numbers instead of N².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.widths.flow import batch_size
from deepnets.widths.formulas import Formulas, Pass, Theta, hidden_width, network_key
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray

_BATCH = 2**21
_STREAM = 2**31 - 1  # random numbers other than those of the networks that are trained


@dataclass(frozen=True, eq=False)
class StartSample(Result):
    """What theory of the widths needs of R networks at their start: the kernel, and fluctuations of exactly zero mean.

    Attributes
    ----------
    kernel : array, shape (R, p, p)
        The empirical NTK on p points.
    grams, slopes : arrays, shape (R, layers, p, p)
        σ_w²/N φφᵀ + σ_b² and σ_w²/N φ'φ'ᵀ of every hidden layer.
    signals : array, shape (R, layers, p, p)
        What is new in δ^l_i·δ^l_j when the weights above layer l are drawn: see :func:`signal`; below the readout w,
        s² Σ_u φ'_{ui} φ'_{uj} (w_u² - 1).
    """

    kernel: Float[np.ndarray, "n_networks n_points n_points"]
    grams: Float[np.ndarray, "n_networks n_layers n_points n_points"]
    slopes: Float[np.ndarray, "n_networks n_layers n_points n_points"]
    signals: Float[np.ndarray, "n_networks n_layers n_points n_points"]

    @classmethod
    def concatenate(cls, samples: Sequence[StartSample]) -> StartSample:
        """The networks of several samples as one."""
        return cls(*(np.concatenate([getattr(s, f.name) for s in samples]) for f in fields(cls)))


def start_sample(network: Network, x: FloatArray, *, replicas: int, seed: int) -> StartSample:
    """Networks number 0, …, replicas - 1 at their start on the points x, shape (p, d).

    They are those of :func:`~deepnets.widths.flow.gradient_flow`.
    """
    run, size, parts = _compiled_start(network, len(x)), batch_size(network), []
    for begin in range(0, replicas, size):
        found = run(np.asarray(x, network.dtype), np.arange(begin, begin + size), seed)
        parts.append(StartSample(*(np.asarray(value, np.float64)[: replicas - begin] for value in found)))
    return StartSample.concatenate(parts)


@lru_cache(maxsize=32)
def _compiled_start(network: Network, n: int) -> Callable[..., tuple[jax.Array, ...]]:
    formulas = Formulas(network, n)

    def one(x: jax.Array, number: jax.Array, seed: int) -> tuple[jax.Array, ...]:
        key = network_key(seed, formulas.width, number)
        theta = formulas.init(jax.random.fold_in(key, 0))
        at = formulas.passes(theta, x)
        return formulas.kernel(at), *_fluctuations(formulas, theta, at)

    run: Callable[..., tuple[jax.Array, ...]] = jax.jit(jax.vmap(one, (None, 0, None)))
    return run


def _fluctuations(formulas: Formulas, theta: Theta, at: Pass) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Grams, slopes and signals of :class:`StartSample`."""
    last, grams, slopes, signals = len(at.h) - 1, [], [], []
    for i, h in enumerate(at.h):
        d1, scale, w = formulas.d1(h), formulas.scale(i + 1), theta[i + 1][0]
        grams.append(formulas.gram(at, i + 1))
        slopes.append(scale**2 * (d1 @ d1.T))
        if i == last:
            signals.append(scale**2 * ((d1 * (w[:, 0] ** 2 - 1)) @ d1.T))
            continue
        basis, above = basis_of(at.a[i + 1]), at.delta[i + 1]
        back = scale * (above @ w.T)
        along = (back @ basis) @ basis.T
        signals.append(signal(d1, back, along, basis, scale**2 * (above @ above.T)))
    return jnp.stack(grams), jnp.stack(slopes), jnp.stack(signals)


def signal(d1: jax.Array, back: jax.Array, along: jax.Array, basis: jax.Array, gram: jax.Array) -> jax.Array:
    r"""δ_i·δ_j of a layer less its mean over the part ξ of the weights W above that no activation sees; (p, p).

    .. math:: \sum_u \varphi'_{ui}\varphi'_{uj}\, [b_{ui} b_{uj} - c_{ui} c_{uj} - P_{uu}\, s^2 \delta^+_i\cdot\delta^+_j],
              \qquad b = s W \delta^+, \quad c = Q Q^\top b, \quad P = 1 - Q Q^\top

    with Q (N, ≤ p) a basis of the layer's activations: all later layers see W through QᵀW alone, so that their signals
    δ^+ are independent of ξ = P W, and the mean of this is exactly zero.

    Parameters
    ----------
    d1, back, along : array, shape (p, N)
        φ', b and c.
    basis : array, shape (N, ≤ p)
        Q.
    gram : array, shape (p, p)
        s² δ^+_i·δ^+_j.
    """
    b, c = d1 * back, d1 * along
    return b @ b.T - c @ c.T - gram * ((d1 * (1 - (basis**2).sum(axis=1))) @ d1.T)


def basis_of(rows: jax.Array) -> jax.Array:
    """Orthonormal columns (N, p) that span the rows (p, N), or zeros for rows that add nothing, by Gram-Schmidt twice.

    Not ``jnp.linalg.qr``: two of these at once stop for ever where XLA has two threads.
    """

    def add(i: jax.Array, basis: jax.Array) -> jax.Array:
        length = jnp.linalg.norm(rows[i])
        v = rows[i] - basis @ (rows[i] @ basis)
        keep = jnp.linalg.norm(v) > 1e-6 * length
        v = v / jnp.where(keep, jnp.linalg.norm(v), 1.0)
        v = v - basis @ (v @ basis)
        return basis.at[:, i].set(jnp.where(keep, v / jnp.linalg.norm(v), 0.0))

    found: jax.Array = jax.lax.fori_loop(0, len(rows), add, jnp.zeros_like(rows.T))
    return found


def start_law_sample(network: Network, x: FloatArray, *, replicas: int, seed: int) -> StartSample:
    """Draws with the law of :func:`~deepnets.widths.flow.start_sample`, on the points x of shape (p, d)."""
    size = max(1, min(replicas, _BATCH // (hidden_width(network) * len(x))))
    run = _compiled_law(network)
    parts = []
    for first in range(0, replicas, size):
        found = run(np.asarray(x, network.dtype), np.arange(first, first + size), seed)
        parts.append(StartSample(*(np.asarray(v, np.float64)[: replicas - first] for v in found)))
    return StartSample.concatenate(parts)


@lru_cache(maxsize=32)
def _compiled_law(network: Network) -> Callable[..., tuple[jax.Array, ...]]:
    formulas = Formulas(network, 0)
    value, slope, width, layers = formulas.phi, formulas.d1, formulas.width, network.hidden_layers
    w2, b2, scale = network.w_std**2, network.b_std**2, formulas.scale(1)

    def one(x: jax.Array, number: jax.Array, seed: int) -> tuple[jax.Array, ...]:
        key = jax.random.fold_in(network_key(seed, width, number), _STREAM)
        points = len(x)
        # One draw for all: each draw takes long to compile.
        numbers = jax.random.normal(key, ((2 * points + 1) * (layers - 1) + x.shape[1] + 2, width), network.dtype)
        taken = 0

        def normal(rows: int) -> jax.Array:
            nonlocal taken
            taken += rows
            return numbers[taken - rows : taken]

        h = formulas.scale(0) * (x @ normal(x.shape[1])) + network.b_std * normal(1)
        grams, d1s, bases, drawn = [w2 / x.shape[1] * (x @ x.T) + b2], [slope(h)], [], []
        a = value(h)
        for _ in range(1, layers):
            basis = basis_of(a)
            q = normal(points)
            grams.append(scale**2 * (a @ a.T) + b2)
            h = scale * (a @ basis @ q) + network.b_std * normal(1)
            d1s.append(slope(h))
            bases.append(basis)
            drawn.append(q)
            a = value(h)
        grams.append(scale**2 * (a @ a.T) + b2)
        w = normal(1)[0]
        above, total, signals = d1s[-1] * (scale * w), grams[-1], []
        signals.append(scale**2 * ((d1s[-1] * (w**2 - 1)) @ d1s[-1].T))
        for i in range(layers - 1, -1, -1):
            gram = above @ above.T
            total = total + gram * grams[i]
            if i:
                basis = bases[i - 1]
                along = scale * (above @ drawn[i - 1].T) @ basis.T
                mixed = above @ basis_of(above) @ normal(points)
                back = along + scale * (mixed - (mixed @ basis) @ basis.T)
                signals.insert(0, signal(d1s[i - 1], back, along, basis, scale**2 * gram))
                above = d1s[i - 1] * back
        slopes = jnp.stack([scale**2 * (d @ d.T) for d in d1s])
        return total, jnp.stack(grams[1:]), slopes, jnp.stack(signals)

    run: Callable[..., tuple[jax.Array, ...]] = jax.jit(jax.vmap(one, (None, 0, None)))
    return run
