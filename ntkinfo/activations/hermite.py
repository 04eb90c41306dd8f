r"""Gaussian expectations of any smooth activation, by its Hermite series [daniely2016]_.

.. math:: E f(u) f(v) = \sum_d \rho^d\, h_d(\sqrt a)\, h_d(\sqrt b), \qquad
          h_d(s) = E\, f(s z)\, \mathrm{He}_d(z) / \sqrt{d!}, \qquad \rho = q / \sqrt{ab}

of f = φ, φ' and φ''. The coefficients are integrals over z ~ N(0, 1), by the trapezoid rule ([trefethen2014]_).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from dualib.core.arrays import finite_array
from dualib.core.extras import extra
from dualib.core.typing import FloatArray, IntArray
from ntkinfo.activations.arrays import Array, of_jax
from ntkinfo.activations.closed_forms import Expectations, Function

REACH = 12.0
"""Where the quadrature over z stops: e^{-z²/4}, with which the integrands fall, is there 2e-16."""

TILE = 2**14
"""Numbers in a piece of the sum."""

ROWS = 256
"""Degrees of Hermite polynomials that are in memory at once."""

LEFT_OUT = 1e-12
"""The part of E f² that the series may leave out."""


def series(functions: Sequence[Function], max_degree: int) -> Expectations:
    """Expectations of the products of each of `functions`, which are φ, φ' and φ''.

    What the series leaves out is at most the geometric mean of E f² - Σ h_d² at the two variances, and has to be below
    :data:`LEFT_OUT` of E f²; if it is not at `max_degree`, evaluation raises a ValueError with the part that is left out.
    On arrays of JAX, traced ones included, NumPy evaluates it in a callback.
    """

    def expectation(f: Function, a: Array, b: Array, q: Array) -> FloatArray:
        a, b, q = (np.asarray(value, dtype=np.float64) for value in (a, b, q))
        variances, index = np.unique(np.concatenate([a.ravel(), b.ravel()]), return_inverse=True)
        left, right = index[: a.size].reshape(a.shape), index[a.size :].reshape(b.shape)
        scale = np.sqrt(a * b)
        rho = np.divide(q, scale, out=np.zeros(np.broadcast_shapes(q.shape, scale.shape)), where=scale > 0)
        return _horner(_coefficients(f, variances, max_degree), left, right, np.clip(rho, -1, 1))

    def expectations(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
        first, second, third = (partial(expectation, f) for f in functions)
        if of_jax(q):
            return _called_back(first, a, b, q), _called_back(second, a, b, q), _called_back(third, a, b, q)
        return first(a, b, q), second(a, b, q), third(a, b, q)

    return expectations


def _called_back(expectation: Callable[..., FloatArray], a: Array, b: Array, q: Array) -> Array:
    import jax

    result = jax.eval_shape(lambda *given: sum(given), a, b, q)
    found: Array = jax.pure_callback(
        lambda *given: expectation(*given).astype(q.dtype), result, a, b, q, vmap_method="expand_dims"
    )
    return found


def _horner(h: FloatArray, left: IntArray, right: IntArray, rho: FloatArray) -> FloatArray:
    """Σ_d ρ^d h[d, left] h[d, right], in pieces along the first axis that stay in the processor's cache.

    By Cauchy and Schwarz, degrees from d on add at most the geometric mean of the tails Σ_{e≥d} h_e² at the two variances: a piece
    takes as many degrees as leave out 1e-14 of its values where u = v. Even and odd activations have every second degree only.
    """
    if rho.ndim == 0:
        return np.asarray(_horner(h, left[None], right[None], rho[None])[0])
    parity = next((p for p in (0, 1) if np.abs(h[1 - p :: 2]).max(initial=0.0) <= 1e-13 * np.abs(h).max()), None)
    power, h = (rho, h) if parity is None else (rho * rho, h[parity::2])
    tails = np.cumsum((h**2)[::-1], axis=0)[::-1]
    tails = np.divide(tails, tails[0], out=np.zeros(h.shape), where=tails[0] > 0)
    tails *= tails.max(axis=1, keepdims=True)
    found = np.zeros(rho.shape)
    size = max(1, TILE * len(rho) // max(1, rho.size))
    for start in range(0, len(rho), size):
        piece = slice(start, start + size)
        total, factor = found[piece], power[piece]
        i, j = (index if len(index) == 1 else index[piece] for index in (left, right))
        degrees = np.count_nonzero((tails[:, np.unique(i)] > 1e-28).any(axis=1))
        for row in h[:degrees][::-1]:
            total *= factor
            total += row[i] * row[j]
    return found * rho if parity == 1 else found


def _coefficients(f: Function, variances: FloatArray, max_degree: int) -> FloatArray:
    """h_d(√variance), shape (degrees, variances), of as many degrees as convergence takes."""
    degrees = min(64, max_degree + 1)
    while True:
        z = np.linspace(-REACH, REACH, max(512, 2 * degrees))
        weights = np.exp(-0.5 * z**2)
        weights /= weights.sum()
        values: FloatArray = np.asarray(f(z[:, None] * np.sqrt(variances)))
        found = np.concatenate([(rows * weights) @ values for rows in _hermite(z, degrees)])
        missing = _missing(values, found, weights)
        if missing <= LEFT_OUT:
            return found
        if degrees > max_degree:
            raise ValueError(
                f"the Hermite series of the activation or of its derivatives has not converged at degree {max_degree}: "
                f"{missing:.1e} of E φ², E φ'² or E φ''² is left out, at variances up to {variances[-1]:.3g}. The activation "
                "has a kink (then there is no third kernel), or it needs a higher max_degree or a lower w_std"
            )
        degrees = min(2 * degrees, max_degree + 1)


def _missing(f: FloatArray, h: FloatArray, weights: FloatArray) -> float:
    """The largest part of E f² that is not in the series, or lies at the ends of the quadrature."""
    power = weights @ f**2
    ends = weights[0] * (f[0] ** 2 + f[-1] ** 2)
    left_out = np.maximum(np.abs(power - (h**2).sum(axis=0)), ends)
    return float(np.divide(left_out, power, out=np.zeros(power.shape), where=power > 0).max())


def _hermite(z: FloatArray, degrees: int) -> Iterator[FloatArray]:
    """He_d(z)/√d! for d < degrees, shape (degrees, z), in blocks of :data:`ROWS` degrees."""
    last = np.stack([np.zeros(z.size), np.ones(z.size)])  # of degrees -1 and 0
    for start in range(0, degrees, ROWS):
        rows = np.empty((min(ROWS, degrees - start), z.size))
        for row, d in zip(rows, range(start, start + len(rows)), strict=True):
            row[:] = last[1]
            last = np.stack([last[1], (z * last[1] - np.sqrt(d) * last[0]) / np.sqrt(d + 1)])
        yield rows


# --- derivatives ---


def check_derivatives(derivatives: Sequence[Function]) -> None:
    """Refuse functions that are not each the derivative of the one before it, by central differences.

    Raises
    ------
    ValueError
        The message gives the place and both numbers.
    TypeError
        If a function gives single precision.
    """
    x, step = np.linspace(-2.9, 2.9, 24), 1e-4
    for i, (f, slope) in enumerate(pairwise(derivatives)):
        ends = [np.asarray(f(x + s)) for s in (step, -step)]
        if ends[0].dtype != np.float64:
            raise TypeError(f"the activation's values are {ends[0].dtype}: its expectations need float64")
        numeric = (ends[0] - ends[1]) / (2 * step)
        given = finite_array(np.asarray(slope(x)), f"function {i + 1}")
        gap = np.abs(numeric - given)
        if gap.max() > 1e-5 * (1 + np.abs(given).max()):
            at = int(gap.argmax())
            raise ValueError(
                f"function {i + 1} is not the derivative of function {i}: at {x[at]:.3g} it is {given[at]:.6g}, but "
                f"differences give {numeric[at]:.6g}. Give φ, φ' and φ'' in this order"
            )


def differentiated(f: Function, times: int) -> Function:
    """The derivative of `f`, that many times, by JAX; NumPy's arrays in give NumPy's arrays out.

    Raises
    ------
    ValueError
        If JAX cannot differentiate `f`.
    """
    with extra("networks", "derivatives of activations need JAX"):
        import jax

    derivative = f
    for _ in range(times):
        derivative = jax.grad(derivative)
    compiled = jax.jit(jax.numpy.vectorize(derivative))
    try:
        compiled(np.zeros(1))
    except TypeError as error:
        raise ValueError(
            f"JAX cannot differentiate this activation: write it in jax.numpy, or give φ, φ' and φ'' ({error})"
        ) from None

    def evaluated(x: Array) -> Array:
        return compiled(x) if of_jax(x) else np.asarray(compiled(x))

    return evaluated
