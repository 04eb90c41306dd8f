"""To a local minimum of Φ over weights and atoms: which method takes the steps, and what is done where they crawl."""

from __future__ import annotations

import numpy as np

from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import coalesce, merge_atoms
from dualib.solvers.elimination import FINE, ROUGH, newton_by_elimination, pairs_of
from dualib.solvers.iterate import Iterate
from dualib.solvers.krylov import newton_cg
from dualib.solvers.mesh import meshed
from dualib.solvers.near import newton_near
from dualib.solvers.newton import MAX_UNKNOWNS, newton

ACCURACY = 1e-12  # of Φ, gained by a step of Newton's method by conjugate gradients when it is the last,
LARGE_ACCURACY = 1e-10  # and by such steps between two looks at all pairs, where one look takes a second
LAST_DIGITS = 1e-24  # the same where the gradient, whose square that is, has to be small for a proof, in few steps
LAST_STEPS = 3
CG_STEPS = 12  # then clusters that have met are merged
ELIMINATIONS = 20  # the same for Newton's method by elimination,
FINE_STEPS = 6  # where it crawls, and the weights on a mesh take it farther;
LAST_STEP = 1e-15  # whose last steps take less time than a look at G that finds the gradient
CRAWLING = 1e-6  # of Φ, gained by a round of steps, from which on they are too slow
CRAWL = 1e-14  # of Φ, gained by a round, up to which there is nothing more to gain
NEIGHBOURS = 1.0  # clusters nearer than this, in β times a squared Fisher distance, are tried as one


def minimise(it: Iterate, largest: int = MAX_UNKNOWNS) -> tuple[Iterate, float]:
    """To a local minimum over weights and atoms: Newton's method, above `largest` unknowns by elimination or conjugate gradients.

    Where steps crawl, as on smooth joints, they are exact from there on, and in turns with the best weights on a mesh of atoms.
    """
    residual, level, shift, crawls = np.inf, 0, 0, False
    for rounds in range(30):
        before, precision = it.value, FINE if crawls and pairs_of(it, FINE) is not None else ROUGH
        if it.atoms.size > largest and pairs_of(it, precision) is not None:
            it, residual, done, level = newton_by_elimination(
                iterate(it, 1), LAST_STEP * abs(it.value), FINE_STEPS if crawls else ELIMINATIONS, level, precision
            )
        elif it.parts is not None:
            it, residual, done = newton_near(it, LARGE_ACCURACY * abs(it.value), CG_STEPS)
        elif it.atoms.size > largest:
            it, residual, done = newton_cg(it, ACCURACY * abs(it.value), CG_STEPS)
        else:
            it, residual, shift = newton(it, max_steps=12, level=max(shift - 1, 0))
            done = residual < 1e-11
            if not done:  # too many clusters, it may be
                it = coalesce(it, NEIGHBOURS)
        if it.parts is not None:  # they have been tried
            break
        merged = merge_atoms(it, 3e-2)
        # Atoms on their way into each other get there slowly: take them there, where that does not raise Φ.
        if len(merged.weights) < len(it.weights) and merged.value <= it.value + 1e-13:
            it = merged
        elif done:
            break
        if crawls or (not done and (before - it.value < CRAWLING * abs(it.value) or rounds >= 2)):
            level = level if crawls else 0  # of another ladder from here on
            crawls, it = True, meshed(it)
            if before - it.value < CRAWL * abs(it.value):
                break
    return it, residual


def to_last_digits(it: Iterate) -> tuple[Iterate, float]:
    """The iterate nearer to its local minimum, and the norm of the gradient."""
    if it.parts is not None:
        return newton_near(it, ACCURACY * abs(it.value), LAST_STEPS)[:2]
    tolerance = LAST_DIGITS * abs(it.value)
    for precision in (FINE, ROUGH):
        if pairs_of(it, precision) is not None:
            return newton_by_elimination(it, tolerance, LAST_STEPS, 0, precision)[:2]
    return newton_cg(it, tolerance, LAST_STEPS)[:2]
