r"""The best weights on a mesh of atoms, a convex problem solved to its global optimum, and the few atoms that carry them.

Where p(y|x) is smooth in x, clusters overlap along a curve or a surface on which G is 1 but for 10⁻⁸, and the ways in which some
exchange weight and move at next to no cost bend, so that Newton's method on atoms and weights takes hundreds of steps. On a mesh of
fixed atoms, those of the iterate and the middles of neighbours, there is nothing that bends: with k_tx = e^{−βd(x, r_t)}

.. math:: \min_{\nu \ge 0} \; \sum_t \nu_t - \sum_x p(x) \log \sum_t \nu_t k_{tx}

is the likelihood of a mixture ([lindsay1983]_), solved by a primal-dual interior point method ([koenker2014]_). Its optimal z is that of
at most n_x atoms, found as the non-negative least squares solution of Σ_t ν_t k_tx = z_x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from dualib.bottleneck import Rows
from dualib.core.typing import Float, FloatArray
from dualib.solvers.ascents import ascended
from dualib.solvers.atoms import coalesce
from dualib.solvers.distances import close_pairs
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.overlaps import WITHIN

MOST_WORK = 3e9  # multiplications of all steps: two tenths of a second
MOST_STEPS = 40
USUAL_STEPS = 15
GAP = 1e-15  # between primal and dual, nats
NEW = 1e-4  # weight of a new atom at the start,
LEAST = 1e-8  # least weight,
SLACK = 1e-3  # and least 1 − G
SHORT_OF = 0.995  # of the way to the next bound that a step takes
UNUSED = 1e-12  # weight up to which an atom carries nothing


def between(it: Iterate, most: int) -> Rows:
    """The middle of each two neighbours, of very many the nearest: a third may belong there, where no ascent from a row leads."""
    pairs = close_pairs(it.atoms, it.beta, WITHIN)[:most]
    return np.asarray(0.5 * (it.atoms[pairs[:, 0]] + it.atoms[pairs[:, 1]]))


def meshed(it: Iterate) -> Iterate:
    """The iterate with the best weights on its atoms and on those between them; the same where that takes too long, or Φ does not fall."""
    n_t, n_x = len(it.weights), len(it.log_z)
    room = most_atoms(n_x) - n_t
    if room < 0 or it.parts is not None:
        return it
    middles = between(it, room)
    atoms = np.concatenate([it.atoms, ascended(it.dual, middles, 1)]) if len(middles) else it.atoms
    exponents = it.problem.exponents(it.beta, atoms, -it.log_z)
    weights = np.concatenate([it.weights, np.full(len(middles), NEW)])
    with np.errstate(all="ignore"):
        kernel = np.exp(exponents, out=exponents)
        weights = sparsest(kernel, it.problem.p_x, best_weights(kernel, it.problem.p_x, weights))
    used = weights > UNUSED
    if not used.any() or not np.isfinite(weights).all():
        return it
    new = evaluate(it.problem, it.beta, weights[used] / weights[used].sum(), atoms[used], it.log_z)
    return coalesce(new, WITHIN) if new.value < it.value else it


def most_atoms(n_x: int) -> int:
    """The largest mesh that is affordable."""
    each = MOST_WORK / USUAL_STEPS / n_x
    return int(np.sqrt(each) if each < n_x**2 else each / n_x)


def best_weights(
    kernel: Float[np.ndarray, "m n_x"], p_x: Float[np.ndarray, " n_x"], weights: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """The weights ν ≥ 0 that minimise Σ_t ν_t − Σ_x p(x) log Σ_t ν_t k_tx.

    Newton steps on 1 − G_t(ν) = s_t and ν_t s_t = μ ↓ 0 with Mehrotra's corrector ([mehrotra1992]_); 0 where 1 − G is larger at the end.
    """
    nu = np.maximum(weights, LEAST)
    slack = np.maximum(1.0 - kernel @ (p_x / (nu @ kernel)), SLACK)
    for _ in range(MOST_STEPS):
        z = nu @ kernel
        mean = float(nu @ slack) / len(nu)
        if mean * len(nu) < GAP:
            break
        system = _System.of(kernel * (np.sqrt(p_x) / z), slack / nu)
        if system is None:
            break
        force = kernel @ (p_x / z) - 1.0
        step = system.solved(force)
        back = -slack - slack / nu * step
        length = min(_length(nu, step), _length(slack, back))
        target = mean * (float((nu + length * step) @ (slack + length * back)) / len(nu) / mean) ** 3
        wanted = target - step * back
        step = system.solved(force + wanted / nu)
        back = (wanted - slack * step) / nu - slack
        length = min(_length(nu, step), _length(slack, back))
        if not np.isfinite(length):
            break
        nu, slack = nu + length * step, slack + length * back
    return np.where(nu > slack, nu, 0.0)


def sparsest(
    kernel: Float[np.ndarray, "m n_x"], p_x: Float[np.ndarray, " n_x"], weights: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Weights of at most n_x atoms with the same z; the same weights where none are found."""
    from scipy.optimize import nnls

    some = np.flatnonzero(weights)
    root = np.sqrt(p_x)
    try:
        found = nnls((kernel[some] * (root / (weights @ kernel))).T, root)[0]
    except (RuntimeError, ValueError):  # it cycles, or is not finite
        return weights
    out = np.zeros(len(weights))
    out[some] = found
    return out


@dataclass(frozen=True)
class _System:
    """The matrix A Aᵀ + diag(d), factored in the smaller of its two sizes."""

    a: FloatArray
    diagonal: FloatArray
    factor: FloatArray

    @classmethod
    def of(cls, a: FloatArray, diagonal: FloatArray) -> _System | None:
        m, n = a.shape
        if m <= n:
            matrix = a @ a.T
            matrix[np.arange(m), np.arange(m)] += diagonal
        else:
            matrix = a.T @ (a / diagonal[:, None])
            matrix[np.arange(n), np.arange(n)] += 1.0
        factor, failed = dpotrf(matrix, lower=1, overwrite_a=1)
        return None if failed else cls(a, diagonal, factor)

    def solved(self, v: FloatArray) -> FloatArray:
        if len(self.factor) == len(self.a):
            return np.asarray(dpotrs(self.factor, v, lower=1)[0])
        scaled = v / self.diagonal
        inner = dpotrs(self.factor, self.a.T @ scaled, lower=1)[0]
        return np.asarray(scaled - (self.a @ inner) / self.diagonal)


def _length(values: FloatArray, step: FloatArray) -> float:
    """How much of a step leaves all values positive."""
    down = step < 0.0
    return float(min(1.0, SHORT_OF * (-values[down] / step[down]).min(initial=np.inf)))
