r"""Newton's method on weights and atoms together.

In the coordinates √ν_t · δν_t/ν_t and √(β ν_t) · δr_t/√r_t (orthogonal to √r_t), a plain alternating step is a gradient step
of unit length, and the Hessian of Φ is that of the EM algorithm: identity less the information the missing T carries.
With a_tx = √β √r_t ∘ ∂(−d)/∂r in an orthonormal basis of the tangent space, S = e^{−βd}/z:

* weights-weights  Σ_x p S_t S_t' √(ν_t ν_t')
* atoms-atoms      Σ_x p S_t S_t' √(ν_t ν_t') a_t a_t'ᵀ + δ_tt' Σ_x p S_t (curvature − a_t a_tᵀ)
* weights-atoms    Σ_x p S_t S_t' √(ν_t ν_t') a_t'   − δ_tt' Σ_x p S_t a_t
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from .blahut_arimoto import Iterate, evaluate, step
from .measures import FloatArray
from .problems import TINY

MAX_UNKNOWNS = 800  # above, one factorisation costs more than the accelerated alternation needs
SHIFTS = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)


def newton(it: Iterate, tolerance: float = 1e-11, max_steps: int = 60) -> tuple[Iterate, float]:
    """Minimise Φ over weights and atoms from a start; Φ never rises.

    Returns the iterate and the norm of the gradient there (in the coordinates above).
    """
    level, size = 0, np.inf
    for _ in range(max_steps):
        if not size < 1e-4:  # far off, a plain step first: it is robust and drops dead clusters
            it = evaluate(it.problem, it.beta, *step(it))
        gradient, hessian, basis = _system(it)
        size = float(np.linalg.norm(gradient))
        if size < tolerance:
            break
        trial, level = _descend(it, gradient, hessian, basis, max(level - 1, 0))
        if trial is None:
            if size < 1e-4:
                size = np.nextafter(1e-4, 1)  # take plain steps again before giving up
                new = evaluate(it.problem, it.beta, *step(it))
                if not new.value < it.value - 1e-15:
                    break
                it = new
            continue
        it = trial
    return it, size


def _system(it: Iterate) -> tuple[FloatArray, FloatArray, FloatArray]:
    problem, p_x, atoms = it.problem, it.problem.p_x, it.atoms
    n_t, n_y = atoms.shape
    basis = _tangent_basis(atoms)  # (n_t, n_y, k)
    a = np.sqrt(it.beta) * (problem.slope(atoms) @ basis)  # (n_t, n_x, k)
    root = np.sqrt(it.weights)
    p_ratio = it.ratio * p_x
    share = it.ratio * np.sqrt(p_x) * root[:, None]
    jacobian = np.concatenate([share[:, None, :], (share[:, :, None] * a).transpose(0, 2, 1)], axis=1)
    flat = jacobian.reshape(n_t * n_y, -1)
    hessian = flat @ flat.T
    mean = np.einsum("tx,txk->tk", p_ratio, a)
    curvature = (p_ratio @ problem.features) * np.maximum(atoms, TINY) ** -problem.power
    blocks = hessian.reshape(n_t, n_y, n_t, n_y)
    t = np.arange(n_t)
    blocks[t, 0, t, 1:] -= mean
    blocks[t, 1:, t, 0] -= mean
    second = (a * p_ratio[:, :, None]).transpose(0, 2, 1) @ a
    blocks[t, 1:, t, 1:] += (basis * curvature[:, :, None]).transpose(0, 2, 1) @ basis - second
    gradient = -np.concatenate([(root * (p_ratio.sum(axis=1) - 1.0))[:, None], root[:, None] * mean], axis=1)
    return gradient, hessian, basis


def _descend(
    it: Iterate, gradient: FloatArray, hessian: FloatArray, basis: FloatArray, level: int
) -> tuple[Iterate | None, int]:
    """A Newton step with the least shift of the Hessian that makes it positive definite and lowers Φ."""
    root = np.sqrt(it.weights)
    scale = np.sqrt(np.maximum(it.atoms, TINY) * it.beta * it.weights[:, None])
    diagonal = np.arange(len(hessian))
    for trial in range(level, len(SHIFTS)):
        shifted = hessian.copy()
        shifted[diagonal, diagonal] += SHIFTS[trial]
        try:
            factor = cho_factor(shifted, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            continue
        move = -cho_solve(factor, gradient.ravel(), check_finite=False).reshape(gradient.shape)
        log_weights = move[:, 0] / root
        log_atoms = (basis @ move[:, 1:, None])[:, :, 0] / scale
        largest = max(np.abs(log_weights).max(), np.abs(log_atoms).max())
        if not np.isfinite(largest):
            continue
        damping = min(1.0, 2.0 / max(largest, TINY))
        weights = it.weights * np.exp(damping * log_weights)
        atoms = it.atoms * np.exp(damping * log_atoms)
        new = evaluate(it.problem, it.beta, weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True))
        if new.value <= it.value + 4e-16 * abs(it.value):
            return new, trial
    return None, 0


def _tangent_basis(atoms: FloatArray) -> FloatArray:
    """Orthonormal basis of the complement of √r_t by a Householder reflection, shape (n_t, n_y, n_y − 1)."""
    root = np.sqrt(atoms)
    n_t, n_y = root.shape
    if n_y == 2:
        return np.stack([-root[:, 1], root[:, 0]], axis=1)[:, :, None]
    pivot = root.argmax(axis=1)
    v = root.copy()
    v[np.arange(n_t), pivot] += 1.0
    reflection = np.eye(n_y) - 2.0 * v[:, :, None] * v[:, None, :] / (v**2).sum(axis=1)[:, None, None]
    columns = np.argsort(np.arange(n_y) == pivot[:, None], axis=1, kind="stable")[:, :-1]
    return np.take_along_axis(reflection, columns[:, None, :], axis=2)
