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

from deepnets.gradient_flow import FlowNetwork, StartSample, basis_of, network_key, phi, signal
from dualib.measures import FloatArray

_BATCH = 2**21
_STREAM = 2**31 - 1  # random numbers other than those of the networks that are trained


def start_law_sample(network: FlowNetwork, x: FloatArray, *, replicas: int, seed: int) -> StartSample:
    """Draws with the law of :func:`~deepnets.gradient_flow.start_sample`, on the points x of shape (p, d)."""
    size = max(1, min(replicas, _BATCH // (network.width * len(x))))
    run = _compiled(network)
    parts = []
    for first in range(0, replicas, size):
        found = run(np.asarray(x, np.float32), np.arange(first, first + size), seed)
        parts.append(StartSample(*(np.asarray(v, np.float64)[: replicas - first] for v in found)))
    return StartSample.concatenate(parts)


@lru_cache(maxsize=32)
def _compiled(network: FlowNetwork) -> Any:
    import jax
    import jax.numpy as jnp

    value, slope, _ = phi(network.activation)
    width, w2, b2 = network.width, network.w_std**2, network.b_std**2
    scale = network.w_std / sqrt(width)

    def one(x: Any, number: Any, seed: Any) -> Any:
        key = jax.random.fold_in(network_key(seed, width, number), _STREAM)
        points = len(x)

        layers = network.hidden_layers
        # One draw for all: each draw takes long to compile.
        numbers = jax.random.normal(key, ((2 * points + 1) * (layers - 1) + x.shape[1] + 2, width), "float32")
        taken = 0

        def normal(rows: int) -> Any:
            nonlocal taken
            taken += rows
            return numbers[taken - rows : taken]

        h = network.w_std / sqrt(x.shape[1]) * (x @ normal(x.shape[1])) + network.b_std * normal(1)
        grams, d1s, bases, drawn = [w2 / x.shape[1] * (x @ x.T) + b2], [slope(h)], [], []
        a = value(h)
        for i in range(1, layers):
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

    return jax.jit(jax.vmap(one, (None, 0, None)))
