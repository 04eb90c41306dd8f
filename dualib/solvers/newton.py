r"""Newton's method on weights and atoms together.

In the coordinates √ν_t · δν_t/ν_t and √(β ν_t) · δr_t/√r_t (orthogonal to √r_t), a plain alternating step is a gradient step
of unit length, and the Hessian of Φ is that of the EM algorithm: identity less the information the missing T carries.
With a_tx = √β √r_t ∘ ∂(−d)/∂r in an orthonormal basis of the tangent space, S = e^{−βd}/z:

* weights-weights  Σ_x p S_t S_t' √(ν_t ν_t')
* atoms-atoms      Σ_x p S_t S_t' √(ν_t ν_t') a_t a_t'ᵀ + δ_tt' Σ_x p S_t (curvature − a_t a_tᵀ)
* weights-atoms    Σ_x p S_t S_t' √(ν_t ν_t') a_t'   − δ_tt' Σ_x p S_t a_t
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from dualib.bottleneck import Atoms, Bottleneck
from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray
from dualib.solvers.alternating import heavy, step
from dualib.solvers.exchange import exchanged
from dualib.solvers.iterate import Iterate, evaluate

MAX_UNKNOWNS = 300  # above, conjugate gradients are faster; up to 3 times as many for a proof
# Shifts of the Hessian: where it is flat, ten times too much is ten times the steps.
SHIFTS = (0.0, *(10.0 ** (k / 2) for k in range(-16, 3)))


def newton(it: Iterate, tolerance: float = 1e-11, max_steps: int = 60, level: int = 0) -> tuple[Iterate, float, int]:
    """Minimise Φ over weights and atoms from a start; Φ never rises.

    Returns the iterate, the norm of the gradient there (in the coordinates above), and the `level` of the shift to go on with.
    """
    size = np.inf
    for _ in range(max_steps):
        if not size < 1e-4:  # far off, a plain step first: it is robust and drops dead clusters
            it = evaluate(it.problem, it.beta, *step(it))
        if level:
            it = _without_light(it)
        gradient, hessian, basis = _system(it)
        size = float(np.linalg.norm(gradient))
        if size < tolerance:
            break
        trial, level = _descend(it, gradient, hessian, basis, max(level - 1, 0))
        if trial is None:
            break
        it = trial
    return it, size, level


def newton_weights(it: Iterate, max_steps: int = 8) -> Iterate:
    """Minimise Φ over the weights with the atoms held fixed, a convex problem; Φ never rises."""
    for _ in range(max_steps):
        root = np.sqrt(it.weights)
        share = it.ratio * np.sqrt(it.problem.p_x) * root[:, None]
        gradient = root * (1.0 - it.ratio @ it.problem.p_x)
        new, _ = _descend(it, gradient[:, None], share @ share.T, None, 0)
        if new is None:
            break
        done, it = it.value - new.value < 1e-13, new
        if done:
            break
    return it


def _system(it: Iterate) -> tuple[FloatArray, FloatArray, FloatArray]:
    problem, p_x, atoms = it.problem, it.problem.p_x, it.atoms
    n_t, n_y = atoms.shape
    basis = tangent_basis(atoms)  # (n_t, n_y, k)
    a = np.sqrt(it.beta) * (problem.slope(atoms) @ basis)  # (n_t, n_x, k)
    root = np.sqrt(it.weights)
    p_ratio = it.ratio * p_x
    share = it.ratio * np.sqrt(p_x) * root[:, None]
    jacobian = np.concatenate([share[:, None, :], (share[:, :, None] * a).transpose(0, 2, 1)], axis=1)
    flat = jacobian.reshape(n_t * n_y, -1)
    hessian = flat @ flat.T
    mean = np.einsum("tx,txk->tk", p_ratio, a)
    bend = curvature(problem, atoms, p_ratio)
    blocks = hessian.reshape(n_t, n_y, n_t, n_y)
    t = np.arange(n_t)
    blocks[t, 0, t, 1:] -= mean
    blocks[t, 1:, t, 0] -= mean
    second = (a * p_ratio[:, :, None]).transpose(0, 2, 1) @ a
    blocks[t, 1:, t, 1:] += (basis * bend[:, :, None]).transpose(0, 2, 1) @ basis - second
    gradient = -np.concatenate([(root * (p_ratio.sum(axis=1) - 1.0))[:, None], root[:, None] * mean], axis=1)
    return gradient, hessian, basis


def _descend(
    it: Iterate, gradient: FloatArray, hessian: FloatArray, basis: FloatArray | None, level: int
) -> tuple[Iterate | None, int]:
    """A Newton step with the least shift of the Hessian that makes it positive definite and lowers Φ.

    Without a `basis` only the weights move.
    """
    diagonal = np.arange(len(hessian))
    for trial in range(level, len(SHIFTS)):
        shifted = hessian.copy()
        shifted[diagonal, diagonal] += SHIFTS[trial]
        factor, failed = dpotrf(shifted, lower=1, overwrite_a=1)
        if failed:
            continue
        move = -dpotrs(factor, gradient.ravel(), lower=1)[0].reshape(gradient.shape)
        for new in _after(it, move, basis):
            if new.value <= it.value + it.noise:
                return new, trial
    return None, 0


def _without_light(it: Iterate) -> Iterate:
    """Without the clusters on their way to weight 0, for which the Hessian bends downwards, where Φ then is lower."""
    kept = heavy(it) | (it.gain >= 1.0)
    if kept.all():
        return it
    new = _normalised(it, it.weights[kept], it.atoms[kept])
    return new if new.value < it.value - it.noise else it


def _after(it: Iterate, move: FloatArray, basis: FloatArray | None) -> Iterator[Iterate]:
    """Where a step leads: along the straight line in log ν and log r; then with clusters that nearly coincide along their valley."""
    root = np.sqrt(it.weights)
    # A weight that has vanished stays 0.
    log_weights = np.divide(move[:, 0], root, out=np.zeros(len(root)), where=root > 0)
    scale = np.sqrt(np.maximum(it.atoms, TINY) * it.beta * it.weights[:, None])
    log_atoms = np.zeros_like(it.atoms) if basis is None else (basis @ move[:, 1:, None])[:, :, 0] / scale
    largest = max(np.abs(log_weights).max(), np.abs(log_atoms).max())
    if not np.isfinite(largest):
        return
    damping = min(1.0, 2.0 / max(largest, TINY))
    weights, atoms = it.weights * np.exp(damping * log_weights), it.atoms * np.exp(damping * log_atoms)
    yield _normalised(it, weights, atoms)
    if basis is not None:
        both = exchanged(it, damping * it.weights * log_weights, damping * it.atoms * log_atoms, weights, atoms)
        if both is not None:
            yield _normalised(it, *both)


def _normalised(it: Iterate, weights: FloatArray, atoms: FloatArray) -> Iterate:
    return evaluate(it.problem, it.beta, weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True))


def curvature(problem: Bottleneck, atoms: FloatArray, weights: FloatArray) -> FloatArray:
    """Σ_x weights_tx (−∂²(−d)/∂r²) r, (n_t, n_y); 1 where r is 0 because no x of the cluster has that y."""
    found = (weights @ problem.features) * np.maximum(atoms, TINY) ** -problem.power
    return np.where(atoms > 1e-200, found, 1.0)


def tangent_basis(atoms: Atoms) -> Float[np.ndarray, "n_t n_y n_y-1"]:
    """Orthonormal basis of the complement of √r_t by a Householder reflection."""
    root = np.sqrt(atoms)
    n_t, n_y = root.shape
    if n_y == 2:
        return np.stack([-root[:, 1], root[:, 0]], axis=1)[:, :, None]
    pivot, t = root.argmax(axis=1), np.arange(n_t)  # so that a symbol whose r is 0 has a direction of its own
    v = root.copy()
    v[t, pivot] += 1.0
    reflection = np.eye(n_y) - v[:, :, None] * (2.0 * v / (v**2).sum(axis=1, keepdims=True))[:, None, :]
    reflection[t, :, pivot] = reflection[:, :, 0]
    return np.asarray(reflection[:, :, 1:])
