r"""Gaussian expectations of activations, from which kernels of dense networks are built.

For u, v jointly Gaussian of zero mean, variances a, b and covariance q, with F(q) = E φ(u)φ(v): by Price's theorem
([price1958]_) F' = E φ'(u)φ'(v) and F'' = E φ''(u)φ''(v). In closed form for erf ([williams1997]_), sine, cosine, the
Gaussian and polynomials; by Hermite series for any smooth activation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import factorial, pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkinfo import _arrays
from ntkinfo._arrays import FloatArray

Function = Callable[[FloatArray], ArrayLike]
Expectations = Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
"""(var u, var v, cov) → (E φφ, E φ'φ', E φ''φ''), elementwise over arrays that broadcast."""


def activation_expectations(activation: str | Expectations) -> Expectations:
    """The expectations of an activation by name; what :func:`polynomial` or :func:`smooth` returned goes through."""
    if callable(activation):
        return activation
    if activation == "relu":
        raise ValueError(
            "relu has no third kernel: E φ''(u)φ''(v) is the density of (u, v) at 0, which diverges where u = v, on the "
            "diagonal. Use a smooth activation (gelu), or the linearised parameter information"
        )
    known = {"erf": _erf, "sin": _sin, "cos": _cos, "gaussian": _gaussian, "linear": polynomial((0.0, 1.0))}
    if activation in known:
        return known[activation]
    if activation in ("tanh", "gelu"):
        return _by_series(activation)
    raise ValueError(
        f"unknown activation {activation!r}: choose one of {', '.join(known)}, tanh, gelu, or give its expectations"
    )


def _by_series(name: str) -> Expectations:
    import jax

    return smooth(jax.numpy.tanh if name == "tanh" else lambda x: jax.nn.gelu(x, approximate=False))


def _erf(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    scale = (1 + 2 * a) * (1 + 2 * b)
    g = np.maximum(scale - 4 * q**2, 1.0)  # at least 1 + 2a + 2b
    return 2 / pi * np.arcsin(2 * q / np.sqrt(scale)), 4 / (pi * np.sqrt(g)), 16 / pi * q / g**1.5


def _sin(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    plus, minus = np.exp(q - (a + b) / 2) / 2, np.exp(-q - (a + b) / 2) / 2
    return plus - minus, plus + minus, plus - minus


def _cos(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    odd, even, _ = _sin(a, b, q)
    return even, odd, even


def _gaussian(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    g = (1 + a) * (1 + b) - q**2
    return g**-0.5, q * g**-1.5, g**-1.5 + 3 * q**2 * g**-2.5


def polynomial(coefficients: Sequence[float]) -> Expectations:
    r"""Expectations of φ(x) = Σ_k c_k x^k, exact: E φ(u)φ(v) = Σ_k (q^k/k!) E φ^{(k)}(u) E φ^{(k)}(v).

    Parameters
    ----------
    coefficients : c_0, c_1, ...
    """
    phi = np.polynomial.Polynomial(np.asarray(coefficients, dtype=np.float64))
    derivatives = [phi.deriv(k) if k else phi for k in range(phi.degree() + 1)]

    def mean(p: np.polynomial.Polynomial, variance: FloatArray) -> FloatArray:
        """E p(u), u ~ N(0, variance): E u^{2m} = (2m)!/(2^m m!) variance^m."""
        terms = ((float(c), i // 2) for i, c in enumerate(p.coef) if i % 2 == 0)
        return sum(
            (c * factorial(2 * m) / (2**m * factorial(m)) * variance**m for c, m in terms), np.zeros(np.shape(variance))
        )

    def expectations(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        products = [mean(p, a) * mean(p, b) for p in derivatives]

        def taken(times: int) -> FloatArray:
            terms = (q ** (k - times) / factorial(k - times) * m for k, m in enumerate(products) if k >= times)
            return sum(terms, np.zeros(np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(q))))

        return taken(0), taken(1), taken(2)

    return expectations


def smooth(activation: Function | Sequence[Function], max_degree: int = 2048) -> Expectations:
    r"""Expectations of any smooth activation, by its Hermite series.

    .. math:: E f(u) f(v) = \sum_d \rho^d\, h_d(\sqrt a)\, h_d(\sqrt b), \qquad
              h_d(s) = E\, f(s z)\, \mathrm{He}_d(z) / \sqrt{d!}, \qquad \rho = q / \sqrt{ab}

    of f = φ, φ' and φ''. The coefficients are integrals over z ~ N(0, 1), by the trapezoid rule ([trefethen2014]_). What
    is left out is at most the geometric mean of E f² - Σ h_d² at the two variances, and has to be below 1e-12 of E f².

    Parameters
    ----------
    activation : a function written in ``jax.numpy``, differentiated automatically; or the three functions φ, φ' and φ''
        on arrays.
    max_degree : of the series. Large variances need high degrees: a thousand for tanh at variances near 20.

    Raises
    ------
    ValueError: functions that are not each other's derivatives (with the place and both numbers); a function that JAX
        cannot differentiate; and, when evaluated, a series that has not converged (with the part left out): the
        activation has a kink, or the variances are too large.
    TypeError: functions in single precision.

    References
    ----------
    [daniely2016]_
    """
    functions = _differentiated(activation) if callable(activation) else list(activation)
    if len(functions) != 3:
        raise ValueError(f"give φ, φ' and φ'', or φ alone written in jax.numpy; got {len(functions)} functions")
    if max_degree < 1:
        raise ValueError(f"max_degree must be at least 1, got {max_degree}")
    _check_derivatives(functions)

    def expectations(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        a, b, q = np.asarray(a), np.asarray(b), np.asarray(q)
        variances, index = np.unique(np.concatenate([a.ravel(), b.ravel()]), return_inverse=True)
        left, right = index[: a.size].reshape(a.shape), index[a.size :].reshape(b.shape)
        scale = np.sqrt(a * b)
        rho = np.clip(
            np.divide(q, scale, out=np.zeros(np.broadcast_shapes(q.shape, scale.shape)), where=scale > 0), -1, 1
        )
        series = _hermite_series(functions, variances, max_degree)
        return tuple(_horner(h, left, right, rho) for h in series)  # type: ignore[return-value]

    return expectations


def _horner(h: FloatArray, left: NDArray[np.intp], right: NDArray[np.intp], rho: FloatArray) -> FloatArray:
    """Σ_d ρ^d h[d, left] h[d, right]."""
    total = np.zeros(rho.shape)
    for row in h[::-1]:
        total *= rho
        total += row[left] * row[right]
    return total


def _hermite_series(functions: Sequence[Function], variances: FloatArray, max_degree: int) -> list[FloatArray]:
    """h_d(√variance) of each function, shape (degrees, variances), of as many degrees as convergence takes."""
    degrees = min(64, max_degree + 1)
    while True:
        z = np.linspace(-_REACH, _REACH, max(512, 2 * degrees))
        weights = np.exp(-0.5 * z**2)
        weights /= weights.sum()
        basis = _hermite(z, degrees) * weights
        values = [np.asarray(f(z[:, None] * np.sqrt(variances))) for f in functions]
        series = [basis @ f for f in values]
        missing = max(_missing(f, h, weights) for f, h in zip(values, series, strict=True))
        if missing <= 1e-12:
            return series
        if degrees > max_degree:
            raise ValueError(
                f"the Hermite series of the activation or of its derivatives has not converged at degree {max_degree}: "
                f"{missing:.1e} of E φ², E φ'² or E φ''² is left out, at variances up to {variances[-1]:.3g}. The activation "
                "has a kink (then there is no third kernel), or it needs a higher max_degree or a lower w_std"
            )
        degrees = min(2 * degrees, max_degree + 1)


_REACH = 12.0
"""Where the quadrature over z stops: e^{-z²/4}, with which the integrands fall, is there 2e-16."""


def _missing(f: FloatArray, h: FloatArray, weights: FloatArray) -> float:
    """The largest part of E f² that is not in the series, or lies at the ends of the quadrature."""
    power = weights @ f**2
    ends = weights[0] * (f[0] ** 2 + f[-1] ** 2)
    left_out = np.maximum(np.abs(power - (h**2).sum(axis=0)), ends)
    return float(np.divide(left_out, power, out=np.zeros(power.shape), where=power > 0).max())


def _hermite(z: FloatArray, degrees: int) -> FloatArray:
    """He_d(z)/√d! for d < degrees, shape (degrees, z)."""
    found = np.ones((degrees, z.size))
    if degrees > 1:
        found[1] = z
    for d in range(1, degrees - 1):
        found[d + 1] = (z * found[d] - np.sqrt(d) * found[d - 1]) / np.sqrt(d + 1)
    return found


def _check_derivatives(derivatives: Sequence[Function]) -> None:
    """Raise unless each function is the derivative of the one before it, by central differences."""
    x, step = np.linspace(-2.9, 2.9, 24), 1e-4
    for i, (f, slope) in enumerate(pairwise(derivatives)):
        ends = [_arrays.as_float64("the activation's value", f(x + s)) for s in (step, -step)]
        numeric, given = (ends[0] - ends[1]) / (2 * step), np.asarray(slope(x))
        gap = np.abs(numeric - given)
        if gap.max() > 1e-5 * (1 + np.abs(given).max()):
            at = int(gap.argmax())
            raise ValueError(
                f"function {i + 1} is not the derivative of function {i}: at {x[at]:.3g} it is {given[at]:.6g}, but "
                f"differences give {numeric[at]:.6g}. Give φ, φ' and φ'' in this order"
            )


def _differentiated(phi: Callable[..., Any]) -> list[Function]:
    """φ, φ' and φ'' by automatic differentiation."""
    import jax
    import jax.numpy as jnp

    first = jax.grad(phi)
    functions: list[Function] = [jax.jit(jnp.vectorize(f)) for f in (phi, first, jax.grad(first))]
    try:
        functions[2](np.zeros(1))
    except TypeError as error:
        raise ValueError(
            f"JAX cannot differentiate this activation: write it in jax.numpy, or give φ, φ' and φ'' ({error})"
        ) from None
    return functions
