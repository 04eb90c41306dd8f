"""Ascents of G, and its values at every row."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Rows
from dualib.certificate.dual_function import PAIRS, DualFunction
from dualib.core.special import TINY
from dualib.core.typing import FloatArray

SCREENED = 4000  # rows from which on G is looked at in single precision first,
SINGLE = 1e4  # where rounding then leaves β d three digits after the point,
FAR_BELOW = -0.01  # and in double precision where log G may be above this
FARTHEST = 30.0  # how many times as far as two plain steps an extrapolation goes
STILL = 1e-4  # an atom that a step moves by less has arrived, in units of the width of e^{−βd}


def ascended(g: DualFunction, starts: Rows, rounds: int) -> Rows:
    """Ascents of any number of atoms, in pieces that fit in memory."""
    size = max(1, PAIRS // len(g.log_weights))
    return np.concatenate(
        [starts[:0], *(_climbed(g, starts[i : i + size], rounds) for i in range(0, len(starts), size))]
    )


def _climbed(g: DualFunction, atoms: Rows, rounds: int) -> Rows:
    """Atoms after rounds of two alternating steps r ← decoder of the posterior and an extrapolation of them; G never falls.

    With √r the plain steps move by v₁, then v₂; the extrapolation by 2s v₁ + s² (v₂ − v₁), s = |v₁|/|v₂ − v₁| ([varadhan2008]_),
    is taken where G is above that after the first step.
    """
    atoms, moving = atoms.copy(), np.arange(len(atoms))
    for _ in range(rounds):
        first, _ = _step(g, atoms[moving])
        second, log_g = _step(g, first)
        start, v = np.sqrt(atoms[moving]), np.sqrt(first)
        v, change = v - start, np.sqrt(second) - 2.0 * v + start
        size, bend = np.linalg.norm(v, axis=1), np.linalg.norm(change, axis=1)
        s = np.clip(size / np.maximum(bend, TINY), 1.0, FARTHEST)[:, None]
        far = np.maximum(start + 2.0 * s * v + s**2 * change, 0.1 * start) ** 2
        third, log_far = _step(g, far / far.sum(axis=1, keepdims=True))
        atoms[moving] = np.where((log_far > log_g)[:, None], third, second)
        moving = moving[np.sqrt(2.0 * g.beta) * size > STILL]
        if not len(moving):
            break
    return atoms


def _step(g: DualFunction, atoms: Rows) -> tuple[Rows, FloatArray]:
    """The decoder of the posterior w_x e^{−βd} / G at atoms, and log G there."""
    terms = g.log_terms(atoms)
    top = terms.max(axis=1)
    np.subtract(terms, top[:, None], out=terms)
    sums = np.exp(terms, out=terms) @ g.problem.sums
    return g.problem.decode_sums(sums), top + np.log(sums[:, 0])


def largest_at_rows(g: DualFunction) -> float:
    """The largest log G at the rows p(y|x), all of them."""
    return float(log_at_rows(g).max())


def log_at_rows(g: DualFunction) -> FloatArray:
    """The values log G at all rows p(y|x); of very many, those that are far below 0 in single precision only."""
    problem, rows = g.problem, g.problem.p_y_given_x
    if len(rows) <= SCREENED or g.beta * problem.rounding_scale > SINGLE:
        return g.log_in_parts(rows)
    left = np.column_stack([-g.beta * problem.of_atoms(rows), np.ones(len(rows))]).astype(np.float32)
    right = np.column_stack([problem.of_rows, g.log_weights]).T.astype(np.float32)
    found, size = np.empty(len(rows)), max(1, PAIRS // len(rows))
    ones = np.ones(len(rows), dtype=np.float32)
    with np.errstate(over="ignore", divide="ignore"):
        for i in range(0, len(rows), size):
            terms = left[i : i + size] @ right
            found[i : i + size] = np.log((np.exp(terms, out=terms) @ ones).astype(np.float64))
    large = np.flatnonzero(~(found < FAR_BELOW))
    found[large] = g.log_in_parts(rows[large])
    return found
