"""Layers in decimal arithmetic of any length: whether patterns that meet in floating point are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, localcontext

import numpy as np

from dualib.core.typing import Float, FloatArray


def lost_bits(
    weights: Sequence[Float[np.ndarray, "n_in n_out"]],
    biases: Sequence[Float[np.ndarray, " n_out"]],
    x: Float[np.ndarray, "n n_x"],
    digits: int,
) -> FloatArray:
    """log2 n less the entropy of the n patterns' activations, in bits, after each tanh layer, computed in `digits` digits.

    Weights and patterns are taken as the exact numbers that their floating-point values are; zero means that no two of the
    patterns meet.
    """
    lost = []
    with localcontext() as context:
        context.prec = digits
        rows = [[Decimal(float(v)) for v in row] for row in x]
        for w, b in zip(weights, biases, strict=True):
            columns = [[Decimal(float(v)) for v in column] for column in w.T]
            offsets = [Decimal(float(v)) for v in b]
            rows = [
                [
                    tanh(sum(map(Decimal.__mul__, row, column), offset))
                    for column, offset in zip(columns, offsets, strict=True)
                ]
                for row in rows
            ]
            shares = np.array(list(Counter(map(tuple, rows)).values())) / len(rows)
            lost.append(np.log2(len(rows)) + float(np.sum(shares * np.log2(shares))))
    return np.array(lost)


def tanh(x: Decimal) -> Decimal:
    """The hyperbolic tangent in the digits of the context."""
    return 1 - 2 / ((2 * x).exp() + 1)
