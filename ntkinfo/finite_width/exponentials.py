r"""Integrals of products of exponentials over ordered times, to relative precision.

.. math:: \psi(x_0, ..., x_k) = \int_{s_0 + ... + s_k = \tau} e^{-x_0 s_0 - ... - x_k s_k},

the divided difference of e^{-τx} up to its sign, is the corner of the exponential of a bidiagonal matrix. It is computed by Taylor's
series at a fraction of τ and squaring: all its entries are positive, and the diagonal is known, so that nothing cancels.
"""

from __future__ import annotations

import numpy as np

from dualib.core.typing import FloatArray

TERMS = 18
"""Of the series, whose argument is at most 1/2: what is left out is below rounding."""

TILE = 2**15
"""Matrices at once."""


def ordered_integral(tau: float, *rates: FloatArray | float) -> FloatArray:
    """ψ at the `rates` ≥ 0, which broadcast; symmetric in them. At τ = ∞ with one rate 0 it is the product of the others' inverses.

    Raises
    ------
    ValueError
        If it is infinite: at τ = ∞ with two rates 0.
    """
    x = np.stack(np.broadcast_arrays(*(np.asarray(rate, dtype=np.float64) for rate in rates)), axis=-1)
    if np.isinf(tau):
        return _without_end(x)
    flat = x.reshape(-1, x.shape[-1])
    found = np.empty(len(flat))
    for start in range(0, len(flat), TILE):
        found[start : start + TILE] = _corner(flat[start : start + TILE], tau)
    return found.reshape(x.shape[:-1])


def _without_end(x: FloatArray) -> FloatArray:
    zeros = (x == 0).sum(axis=-1)
    if x.shape[-1] > 1 and (zeros > 1).any():
        raise ValueError(
            "the kernel has a null space, along which training to τ = ∞ moves without end: take a finite τ"
        )
    return np.where(zeros > 0, 1 / np.where(x > 0, x, 1.0).prod(axis=-1), 0.0)


def _corner(x: FloatArray, tau: float) -> FloatArray:
    """ψ of the rows of x."""
    size = x.shape[1]
    halvings = max(0, int(np.ceil(np.log2(max(2 * tau * float(x.max(initial=0.0)), 1.0)))))
    step = tau / 2.0**halvings
    matrix = np.zeros((len(x), size, size))
    index = np.arange(size)
    matrix[:, index, index] = -x * step
    matrix[:, index[:-1], index[1:]] = step
    term = np.broadcast_to(np.eye(size), matrix.shape)
    total = term.copy()
    for k in range(1, TERMS):
        term = term @ matrix / k
        total += term
    for k in range(halvings + 1):
        total[:, index, index] = np.exp(-x * (step * 2.0**k))
        if k < halvings:
            total = total @ total
    return np.asarray(total[:, 0, -1])
