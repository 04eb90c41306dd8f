r"""Gaussian expectations of activations in closed form.

For u, v jointly Gaussian of zero mean, variances a, b and covariance q, each function gives F = E φ(u)φ(v), F' = E φ'(u)φ'(v) and
F'' = E φ''(u)φ''(v), elementwise over arrays of NumPy or JAX that broadcast. By Price's theorem ([price1958]_) F' and F'' are the
derivatives of F in q, which is how they were found. They are written with ab - q² so that nothing cancels where u = v.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial, pi
from typing import TypeAlias

import numpy as np

from ntkinfo.activations.arrays import Array, namespace

Function: TypeAlias = "Callable[[Array], Array]"
"""An activation or one of its derivatives, elementwise, on arrays of NumPy or of JAX."""

Expectations: TypeAlias = "Callable[[Array, Array, Array], tuple[Array, Array, Array]]"
"""(var u, var v, cov) → (E φφ, E φ'φ', E φ''φ''), elementwise over arrays that broadcast."""


def gap(a: Array, b: Array, q: Array) -> Array:
    """Determinant ab - q² ≥ 0, exactly zero where a = b = q."""
    return namespace(q).maximum(a * b - q * q, 0.0)


def erf(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
    """F = 2/π arcsin(2q/√((1+2a)(1+2b))) of the error function [williams1997]_."""
    xp = namespace(q)
    g = 1 + 2 * (a + b) + 4 * gap(a, b, q)
    return 2 / pi * xp.arctan2(2 * q, xp.sqrt(g)), 4 / pi * g**-0.5, 16 / pi * q * g**-1.5


def leaky_relu(slope: float) -> Expectations:
    r"""Expectations of φ(x) = x for x > 0 and slope·x below, from those of relu [cho2009]_.

    .. math:: F = \alpha q + \frac{(1-\alpha)^2}{2\pi} (\sqrt{ab - q^2} + q(\pi - \theta)), \quad
              F' = \alpha + \frac{(1-\alpha)^2}{2\pi} (\pi - \theta), \quad F'' = \frac{(1-\alpha)^2}{2\pi\sqrt{ab - q^2}}

    with cos θ = q/√(ab). F'', the density of (u, v) at 0, is infinite where u = ±v.
    """
    kink = (1 - slope) ** 2 / (2 * pi)

    def expectations(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
        xp = namespace(q)
        left = gap(a, b, q)
        # θ is the root of what is left of ab: equal points, whose covariances differ by rounding, are to have θ = 0.
        sine = xp.sqrt(xp.where(left > 16 * xp.finfo(xp.result_type(q, 1.0)).eps * a * b, left, 0.0))
        angle = pi - xp.arctan2(sine, q)
        density = xp.where(sine > 0, 1 / xp.where(sine > 0, sine, 1.0), np.inf)
        return slope * q + kink * (sine + q * angle), slope + kink * angle, kink * density

    return expectations


def gelu(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
    r"""Expectations of φ(x) = x P(z ≤ x), z ~ N(0, 1), derived here with Stein's lemma; F is in [tsuchida2021]_.

    .. math:: F = q S + \frac{ab - q^2 + q^2 c}{2\pi\sqrt D}, \quad F' = S + \frac{q (c + 1/D)}{2\pi\sqrt D}, \quad
              F'' = \frac{(1 + \frac{1+a}{D})(1 + \frac{1+b}{D}) + 2 q^2/D^2}{2\pi\sqrt D}

    with D = (1+a)(1+b) - q², c = 1/(1+a) + 1/(1+b) and S = 1/4 + arcsin(q/√((1+a)(1+b)))/2π.
    """
    xp = namespace(q)
    left = gap(a, b, q)
    d = 1 + a + b + left
    root, c = 2 * pi * xp.sqrt(d), 1 / (1 + a) + 1 / (1 + b)
    s = 0.25 + xp.arctan2(q, xp.sqrt(d)) / (2 * pi)
    third = ((1 + (1 + a) / d) * (1 + (1 + b) / d) + 2 * (q / d) ** 2) / root
    return q * s + (left + q * q * c) / root, s + q * (c + 1 / d) / root, third


def sin(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
    """F = e^{-(a+b)/2} sinh q of the sine, to relative precision also where q is small."""
    xp = namespace(q)
    size = xp.abs(q)
    larger = xp.exp(size - (a + b) / 2) / 2
    odd = -xp.sign(q) * larger * xp.expm1(-2 * size)
    return odd, larger * (1 + xp.exp(-2 * size)), odd


def cos(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
    """F = e^{-(a+b)/2} cosh q of the cosine."""
    odd, even, _ = sin(a, b, q)
    return even, odd, even


def gaussian(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
    """F = 1/√((1+a)(1+b) - q²) of φ(x) = e^{-x²/2}."""
    g = 1 + a + b + gap(a, b, q)
    return g**-0.5, q * g**-1.5, g**-1.5 + 3 * q * q * g**-2.5


def polynomial(coefficients: Sequence[float]) -> Expectations:
    r"""Expectations of φ(x) = Σ_k c_k x^k: F = Σ_k (q^k/k!) E φ^{(k)}(u) E φ^{(k)}(v).

    With E φ^{(k)}(u) = Σ_m c_{k+2m} (k+2m)!/(2^m m!) a^m.
    """
    c = [float(value) for value in coefficients]

    def mean(k: int, variance: Array) -> Array:
        factors = (c[j] * factorial(j) / (2**m * factorial(m)) for m, j in enumerate(range(k, len(c), 2)))
        return sum((factor * variance**m for m, factor in enumerate(factors)), 0.0 * variance)

    def expectations(a: Array, b: Array, q: Array) -> tuple[Array, Array, Array]:
        products = [mean(k, a) * mean(k, b) for k in range(len(c))]

        def derivative(times: int) -> Array:
            terms = (q ** (k - times) / factorial(k - times) * products[k] for k in range(times, len(c)))
            return sum(terms, 0.0 * (a + b + q))

        return derivative(0), derivative(1), derivative(2)

    return expectations
