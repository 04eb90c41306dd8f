r"""Polynomials in infinitesimal ε_1, ε_2, ... with ε_k² = 0: one array of coefficients for each set of them.

Outputs of networks whose parameters have correlation 1 + ε have kernels in this ring; products of gradients are coefficients
of moments of such outputs (:mod:`ntkinfo.finite_width.four_points`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from dualib.core.typing import FloatArray

Ring: TypeAlias = dict[int, FloatArray | float]
"""From a set of ε's, as the bits of a number (ε_1 is 1, ε_2 is 2, ε_1ε_2 is 3), to its coefficient; what is missing is 0."""


def add(terms: Iterable[Ring]) -> Ring:
    """The sum."""
    found: Ring = {}
    for term in terms:
        for mask, value in term.items():
            found[mask] = found[mask] + value if mask in found else value
    return found


def multiply(*factors: Ring) -> Ring:
    """The product: sets that share an ε vanish."""
    found: Ring = {0: 1.0}
    for factor in factors:
        found = add({a | b: x * y} for a, x in found.items() for b, y in factor.items() if not a & b)
    return found


def scaled(factor: float, ring: Ring) -> Ring:
    """`ring` times a number."""
    return {mask: factor * value for mask, value in ring.items()}
