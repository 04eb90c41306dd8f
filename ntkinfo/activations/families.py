"""Derivatives of every order of two families of functions, by the algebra of their polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from numpy.polynomial import Polynomial

from ntkinfo.activations.arrays import Array, namespace
from ntkinfo.activations.closed_forms import Function


def polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """Σ_k c_k x^k by Horner's rule, in the precision of x: the coefficients are Python's numbers."""
    *others, last = coefficients
    total: Array = last + 0 * x
    for c in reversed(others):
        total = c + total * x
    return total


def times_gaussian(coefficients: Sequence[float], rate: float, order: int) -> Function:
    """The derivative, `order` times, of P(x) e^{-rate x²}, with P(x) = Σ_k c_k x^k; by (P e)' = (P' - 2 rate x P) e."""
    p = Polynomial(list(coefficients))
    for _ in range(order):
        p = p.deriv() - 2 * rate * Polynomial([0.0, 1.0]) * p
    return partial(_times_gaussian, coefficients=p.coef.tolist(), rate=rate)


def of_tanh(coefficients: Sequence[float], rate: float, order: int) -> Function:
    """The derivative, `order` times, of P(tanh(rate x)), with P(t) = Σ_k c_k t^k; by t' = rate (1 - t²)."""
    p = Polynomial(list(coefficients))
    for _ in range(order):
        p = rate * p.deriv() * Polynomial([1.0, 0.0, -1.0])
    return partial(_of_tanh, coefficients=p.coef.tolist(), rate=rate)


def _times_gaussian(x: Array, coefficients: Sequence[float], rate: float) -> Array:
    return polynomial(x, coefficients) * namespace(x).exp(-rate * x * x)


def _of_tanh(x: Array, coefficients: Sequence[float], rate: float) -> Array:
    return polynomial(namespace(x).tanh(rate * x), coefficients)
