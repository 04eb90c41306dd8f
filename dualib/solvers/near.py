r"""Newton's method where there are very many pairs of cluster and x: most steps look at those only that count.

What the others add is taken to first order at an iterate (:class:`dualib.solvers.parts.Far`); after some steps all are looked at again.
"""

from __future__ import annotations

from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.krylov import newton_cg

ROUNDS = 6  # of looks at all pairs
WITHIN = 0.01  # of what a round has to gain to be followed by another: what the last step of a round gains
STEEP = 100.0  # times the tolerance, the square of a gradient that is not that of a minimum
MOST_NEAR = 20_000_000  # pairs that count, up to which those are looked at alone: more are no longer few, and take 1 GB


def newton_near(it: Iterate, tolerance: float, max_steps: int) -> tuple[Iterate, float, bool]:
    """:func:`dualib.solvers.krylov.newton_cg` with its steps among the pairs that count; Φ never rises.

    Between two looks at all pairs the objective falls by what the steps have promised, but for an error of second order; where
    it rises, fewer steps are taken, and where none lowers it, one among all pairs.
    """
    size = 0.0
    for _ in range(ROUNDS):
        if not _worthwhile(it):
            return newton_cg(it, tolerance, max_steps)
        near = it.nearby()
        found, size, _ = newton_cg(near, WITHIN * tolerance, max_steps)
        new = evaluate(it.problem, it.beta, found.weights, found.atoms, found.log_z)
        promised, gained = near.value - found.value, it.value - new.value
        if gained < 0.0 and promised > tolerance:
            max_steps //= 4
            if not max_steps:
                return newton_cg(it, tolerance, 1)
            continue
        it = new if gained > 0.0 else it
        if gained <= tolerance and size**2 > STEEP * tolerance:  # no step among few pairs is one down
            return newton_cg(it, tolerance, 1)
        if gained <= tolerance:  # the gradient is that of all pairs then
            return it, size, True
    return it, size, False


def _worthwhile(it: Iterate) -> bool:
    """Whether few pairs count, and β d keeps its digits in a product."""
    few = it.parts is not None and it.parts.likely.nnz <= MOST_NEAR
    return few and not it.problem.term_by_term(it.beta)
