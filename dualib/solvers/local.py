r"""Newton's method among few clusters, all others left as they are.

Far from where clusters meet or part Φ is quadratic, and a few steps of all clusters reach its minimum; there dozens are
needed. So these clusters A are taken by themselves, with the rest R of each z_x fixed,

.. math:: \min_{\nu_A, r_A} -\sum_x p(x) \log\Big(R_x + \sum_{t \in A} \nu_t e^{-\beta d(x, r_t)}\Big) + \sum_{t \in A} \nu_t ,

whose gradient is that of Φ. The x of which they have next to nothing are taken to first order; Φ of all clusters decides.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from dualib.bottleneck import ACCURATE
from dualib.core.special import TINY
from dualib.core.typing import FloatArray, IntArray
from dualib.solvers.distances import separations
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.newton import SHIFTS
from dualib.solvers.place import Place

COUPLED = 0.015  # Σ_x p q(t|x) q(u|x) / √(ν_t ν_u) from which on a cluster moves with another
MOST = 48  # clusters at once
BATCH = 256  # clusters whose neighbours are found at once
STEPS = 40  # of Newton's method
REACH = 1.0  # by how many widths of e^{−βd} a step may move a cluster,
CHANGE = 2.0  # and by how much the logarithm of a weight
NEAR = 1.0  # clusters nearer than this, in β times a squared Fisher distance, are tried as one
LIGHT = 1e-4  # of the largest weight: a cluster that may be dropped


def settled(it: Iterate, some: IntArray, tolerance: float) -> Iterate | None:
    """The iterate with some clusters, each with those around it, at a minimum one after the other; None where Φ does not fall."""
    if it.problem.product_rounding(it.beta) >= ACCURATE:
        return None
    log_z, found = it.log_z.copy(), []
    left = np.ones(len(it.weights), bool)
    for members in places(it, some):
        begun = Place.of(it, members, log_z)
        place = minimum(begun, tolerance)
        log_z[place.around.rows] += np.log(place.z)
        left[members] = False
        found.append(place)
    weights = np.concatenate([it.weights[left], *(place.weights for place in found)])
    atoms = np.concatenate([it.atoms[left], *(place.atoms for place in found)])
    new = evaluate(it.problem, it.beta, weights / weights.sum(), atoms, log_z)
    return new if new.value < it.value else None


def places(it: Iterate, some: IntArray) -> list[IntArray]:
    """The clusters with those that share their x with them, in groups of up to MOST that share as few as possible."""
    root = np.sqrt(it.weights)
    place = np.full(len(it.weights), -1)
    groups: list[list[int]] = []
    for i in range(0, len(some), BATCH):
        batch = some[i : i + BATCH]
        if it.parts is None:
            shares = it.kernel * (np.sqrt(it.problem.p_x) / it.z)
            coupled = shares[batch] @ shares.T
        else:
            both = it.parts.likely
            coupled = ((both[batch] * it.problem.p_x.astype(np.float32)) @ both.T).toarray()
        near = root[batch, None] * coupled * root > COUPLED
        near[np.arange(len(batch)), batch] = True
        for row in near:
            members = np.flatnonzero(row)
            taken = place[members]
            new = members[taken < 0]
            where = {int(g) for g in taken[taken >= 0]}
            while where and len(new) + sum(len(groups[g]) for g in where) > MOST:
                where.remove(min(where, key=lambda g: int((taken == g).sum())))
            joined = [t for g in where for t in groups[g]] + new.tolist()
            for g in where:
                groups[g] = []
            place[joined] = len(groups)
            groups.append(joined)
    return [np.array(sorted(members)) for members in groups if members]


def minimum(place: Place, tolerance: float) -> Place:
    """A local minimum near by; its Φ never rises."""
    level = 0
    for _ in range(STEPS):
        place = merged(place)
        gradient, hessian, root = place.system()
        new, level, promise = descended(place, gradient, hessian, root, max(level - 1, 0))
        if new is None:
            break
        place = new
        if promise < tolerance and level == 0:
            break
    return place


def descended(
    place: Place, gradient: FloatArray, hessian: FloatArray, root: FloatArray, level: int
) -> tuple[Place | None, int, float]:
    """A Newton step with the least shift of the Hessian that makes it positive definite and lowers Φ, and what it promised."""
    diagonal = np.arange(len(hessian))
    noise = 4e-16 * abs(place.value)
    width = np.sqrt(np.maximum(place.atoms, TINY) * place.around.beta * place.weights[:, None])
    for trial in range(level, len(SHIFTS)):
        shifted = hessian.copy()
        shifted[diagonal, diagonal] += SHIFTS[trial]
        factor, failed = dpotrf(shifted, lower=1, overwrite_a=1)
        if failed:
            continue
        move = -dpotrs(factor, gradient.ravel(), lower=1)[0].reshape(gradient.shape)
        promise = -float((gradient * move).sum())
        log_weights = move[:, 0] / root
        reached = np.linalg.norm(move[:, 1:], axis=1) / root / REACH
        limit = CHANGE * np.maximum(1.0, 0.3 * place.around.average / np.maximum(place.weights, TINY))
        if not np.isfinite(promise):
            continue
        share = 1.0 / np.maximum(1.0, np.maximum(reached.max(), (log_weights / limit).max()))
        kept = (1.0 + share * log_weights > 0.0) | (place.weights > LIGHT * place.weights.max())
        change = np.maximum(1.0 + share * log_weights, 0.1)
        atoms = place.atoms * np.clip(1.0 + share * move[:, 1:] / width, 0.1, 10.0)
        new = place.moved((place.weights * change)[kept], atoms[kept], place.outside.of(kept))
        if new.value <= place.value + noise:
            return new, trial, promise
    return None, 0, 0.0


def merged(place: Place) -> Place:
    """With clusters near each other taken for one where that lowers Φ."""
    while len(place.weights) > 1:
        apart = separations(place.atoms, place.atoms, place.around.beta)
        pairs = np.argwhere(apart < NEAR)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        pairs = pairs[np.argsort(apart[pairs[:, 0], pairs[:, 1]], kind="stable")]
        for i, j in pairs.tolist():
            better = union(place, i, j)
            if better.value <= place.value:
                place = better
                break
        else:
            return place
    return place


def union(place: Place, i: int, j: int) -> Place:
    """With two clusters taken for one."""
    weights, problem = place.weights, place.around.problem
    near = weights[[i, j]] @ place.sums[[i, j]]
    mean = near[1:] + near[0] * problem.mean_where_weak
    atom = problem.decoder_of((mean / near[0])[None])[0]
    new_weights, atoms = np.delete(weights, j), np.delete(place.atoms, j, axis=0)
    at = i - (j < i)
    new_weights[at], atoms[at] = weights[i] + weights[j], atom
    return place.moved(new_weights, atoms, place.outside.joined(i, j, weights[i] / (weights[i] + weights[j])))
