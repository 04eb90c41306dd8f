r"""The weights at fixed atoms to the last digits, so that G = 1 at each: the largest G elsewhere can be told from 1 then.

A gradient of norm g in the coordinates √ν_t · δν_t/ν_t leaves log G up to g/√ν_t at an atom, far more than what is left to gain,
of the order of g². The residual of the atoms' own gradient, at an atom, is one of second order in log G.
"""

from __future__ import annotations

import numpy as np

from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray
from dualib.solvers.iterate import Iterate
from dualib.solvers.parts import single

STEPS = 4  # of Newton's method, of which each gains some four digits
ENOUGH = 1e-13  # of G − 1
PRODUCTS = 60  # of conjugate gradients in a step
SHARE = 1e-4  # of the gradient that they leave
LEAST = 1e-6  # curvature, where weights of several clusters can be exchanged; rounding of single precision is below


def balanced(it: Iterate) -> Iterate:
    """The iterate with its weights nearer to their minimum; Φ rises by no more than rounding."""
    if it.parts is not None:
        return it
    for _ in range(STEPS):
        if np.abs(it.gain - 1.0).max() < ENOUGH:
            break
        with np.errstate(over="ignore", invalid="ignore"):  # of single precision, and of what BLAS pads with
            change = _newton(it)
        if not np.abs(change).max() < 0.5:  # or is not finite
            break
        weights = it.weights * (1.0 + change)
        new = it.moved(weights / weights.sum(), it.atoms)
        if not new.value <= it.value + it.noise:
            break
        it = new
    return it


def _newton(it: Iterate) -> Float[np.ndarray, " n_t"]:
    """The relative changes of the weights by a Newton step: conjugate gradients with the diagonal of the Hessian."""
    root = np.sqrt(it.weights)
    share = single(it.kernel * (np.sqrt(it.problem.p_x) / it.z))  # (n_t, n_x), times root a square root of the Hessian
    diagonal = LEAST + it.weights * np.einsum("tx,tx->t", share, share)
    residual: FloatArray = root * (it.gain - 1.0)
    x, direction = np.zeros_like(residual), residual / diagonal
    square = float(residual @ direction)
    goal = SHARE**2 * square
    for _ in range(PRODUCTS):
        if not square > goal:
            break
        ahead = LEAST * direction + root * (share @ ((root * direction).astype(np.float32) @ share))
        length = square / max(float(direction @ ahead), TINY)
        x += length * direction
        residual = residual - length * ahead
        solved = residual / diagonal
        before, square = square, float(residual @ solved)
        direction = solved + square / before * direction
    return np.asarray(x / root)
