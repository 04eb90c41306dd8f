r"""The alternating minimisation at fixed β, with fixed or moving atoms, and its acceleration.

A measure ν = Σ_t ν_t δ(r_t) has the value Φ(ν) = −Σ_x p(x) log Σ_t ν_t e^{−βd(x, r_t)} ≥ F(β). One iteration is

.. math:: q(t|x) = \nu_t e^{-\beta d(x,r_t)} / z_x, \qquad \nu_t = \sum_x p(x) q(t|x), \qquad r_t = \text{decoder of } p(x|t)

and never raises Φ. With the atoms held fixed Φ is convex in ν and the iteration reaches its global minimum from any start
with full support ([blahut1972]_, [csiszar1974]_, [tishby1999]_ eqs. 28-30).
"""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms
from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray
from dualib.solvers.iterate import Iterate, evaluate

MEMORY = 10  # differences kept by the acceleration


def step(it: Iterate, fixed_atoms: bool = False) -> tuple[Float[np.ndarray, " n_t"], Atoms]:
    """One alternating step: new weights and, unless fixed, new atoms; clusters nobody uses are dropped."""
    joint = it.encoder * it.problem.p_x
    weights = joint.sum(axis=1)
    if fixed_atoms:
        return weights, it.atoms
    used = weights > 1e-14
    weights, joint = weights[used], joint[used]
    return weights / weights.sum(), it.problem.decode(joint)


def iterate(it: Iterate, steps: int, fixed_atoms: bool = False) -> Iterate:
    """The iterate after a number of alternating steps."""
    for _ in range(steps):
        it = evaluate(it.problem, it.beta, *step(it, fixed_atoms))
    return it


def accelerate(it: Iterate, tolerance: float, max_steps: int) -> tuple[Iterate, float]:
    """Anderson acceleration of the alternating steps with a monotone safeguard ([walker2011]_).

    The unknowns are log ν and log r, residuals weighted by the Fisher metric √ν_t, √(β ν_t r_t), in which a plain step is a
    gradient step of unit length. An extrapolation that raises Φ is replaced by the plain step and clears the memory.

    Returns the iterate and its residual norm (the step still being made, in that metric).
    """
    size, memory, last = np.inf, None, None
    for _ in range(max_steps):
        weights, atoms = step(it)
        if len(weights) != len(it.weights):
            it, memory, last = evaluate(it.problem, it.beta, weights, atoms), None, None
            continue
        point = _log(weights, atoms)
        residual = point - _log(it.weights, it.atoms)
        metric = np.concatenate([np.sqrt(weights), np.sqrt(it.beta * weights[:, None] * atoms).ravel()])
        size = float(np.linalg.norm(metric * residual))
        if size < tolerance:
            return evaluate(it.problem, it.beta, weights, atoms), size
        if memory is None:
            memory = _Memory(len(point))
        elif last is not None:
            memory.add(point - last[0], residual - last[1])
        last = point, residual
        candidate = memory.extrapolate(point, residual, metric)
        new = None if candidate is None else evaluate(it.problem, it.beta, *_exp(candidate, atoms.shape))
        if new is None or not new.value <= it.value:
            if new is not None:
                memory = None
            new = evaluate(it.problem, it.beta, weights, atoms)
        it = new
    return it, size


class _Memory:
    """The last MEMORY differences of points and of residuals."""

    def __init__(self, size: int):
        self.points, self.residuals = np.empty((MEMORY, size)), np.empty((MEMORY, size))
        self.count = 0

    def add(self, point: FloatArray, residual: FloatArray) -> None:
        self.points[self.count % MEMORY], self.residuals[self.count % MEMORY] = point, residual
        self.count += 1

    def extrapolate(self, point: FloatArray, residual: FloatArray, metric: FloatArray) -> FloatArray | None:
        """The combination of the last points whose residual is least; None where there is none or it runs away."""
        n = min(self.count, MEMORY)
        if n == 0:
            return None
        scaled = self.residuals[:n] * metric
        gram = scaled @ scaled.T
        gram += 1e-12 * np.trace(gram) * np.eye(n)
        shift = np.linalg.solve(gram, scaled @ (metric * residual)) @ self.points[:n]
        return point - shift if np.abs(shift).max() < 20.0 else None


def _log(weights: FloatArray, atoms: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(np.concatenate([weights, atoms.ravel()]), TINY)))


def _exp(log: FloatArray, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    weights, atoms = np.exp(log[: shape[0]]), np.exp(log[shape[0] :].reshape(shape))
    return weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True)
