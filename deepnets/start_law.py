r"""Kernels at the start of wide networks without drawing their weight matrices: the same law at cost N instead of N².

On p points a layer's weights W enter the forward pass by qᵀ = QᵀW alone, Q an orthonormal basis of the activations below,
and the backward pass by Wδ = Q q δ + (I - QQᵀ) W δ, where the second part is independent of all else given δ: both are
drawn with N p normal numbers.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np

from deepnets.gradient_flow import FlowNetwork, StartSample, phi, signal
from dualib.measures import FloatArray

_BATCH = 2**21


def start_law_sample(network: FlowNetwork, x: FloatArray, *, replicas: int, seed: int) -> StartSample:
    """Draws with the law of :func:`~deepnets.gradient_flow.start_sample`, on the points x of shape (p, d)."""
    size = max(1, min(replicas, _BATCH // (network.width * len(x))))
    run = _compiled(network, size)
    parts = []
    for first in range(0, replicas, size):
        found = run(np.asarray(x, np.float32), np.arange(first, first + size), seed)
        parts.append(StartSample(*(np.asarray(v, np.float64)[: replicas - first] for v in found)))
    return StartSample.concatenate(parts)


@lru_cache(maxsize=32)
def _compiled(network: FlowNetwork, size: int) -> Any:
    import jax
    import jax.numpy as jnp

    value, slope, _ = phi(network.activation)
    width, w2, b2 = network.width, network.w_std**2, network.b_std**2
    scale = network.w_std / sqrt(width)

    def one(x: Any, number: Any, seed: Any) -> Any:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), number), 1)
        points = len(x)

        def normal(place: int, *shape: int) -> Any:
            return jax.random.normal(jax.random.fold_in(key, place), shape, "float32")

        weights = network.w_std / sqrt(x.shape[1]) * normal(0, width, x.shape[1])
        h = x @ weights.T + network.b_std * normal(1, width)
        grams, d1s, bases, drawn = [w2 / x.shape[1] * (x @ x.T) + b2], [slope(h)], [], []
        a = value(h)
        for i in range(1, network.hidden_layers):
            basis, upper = jnp.linalg.qr(a.T)
            q = normal(4 * i, basis.shape[1], width)
            grams.append(scale**2 * (a @ a.T) + b2)
            h = scale * (upper.T @ q) + network.b_std * normal(4 * i + 1, width)
            d1s.append(slope(h))
            bases.append(basis)
            drawn.append(q)
            a = value(h)
        grams.append(scale**2 * (a @ a.T) + b2)
        w = normal(2, width)
        above, total, signals = d1s[-1] * (scale * w), grams[-1], []
        signals.append(scale**2 * ((d1s[-1] * (w**2 - 1)) @ d1s[-1].T))
        for i in range(network.hidden_layers - 1, -1, -1):
            gram = above @ above.T
            total = total + gram * grams[i]
            if i:
                basis = bases[i - 1]
                along = scale * (above @ drawn[i - 1].T) @ basis.T
                # δ is (p, N): its p rows span what W is multiplied with.
                mixed = jnp.linalg.qr(above.T)[1].T @ normal(4 * i + 2, min(points, width), width)
                back = along + scale * (mixed - (mixed @ basis) @ basis.T)
                signals.insert(0, signal(d1s[i - 1], back, along, basis, scale**2 * gram))
                above = d1s[i - 1] * back
        slopes = jnp.stack([scale**2 * (d @ d.T) for d in d1s])
        return total, jnp.stack(grams[1:]), slopes, jnp.stack(signals)

    return jax.jit(jax.vmap(one, (None, 0, None)))
