"""Solutions at neighbouring β, each started from the next higher one, and looked at again from the next lower one."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.typing import FloatArray
from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import coalesce
from dualib.solvers.columns import Found, generate_columns, start
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.minimum import NEIGHBOURS
from dualib.solvers.newton import MAX_UNKNOWNS
from dualib.solvers.options import Certify

LONG = 1.1  # ratio of β up to which a solution is a start for the next


def swept(
    core: Bottleneck, betas: FloatArray, options: Certify, top: Found | None = None, below: Found | None = None
) -> list[Found]:
    """Solutions at ascending β, each started from the atoms of the next higher one; from `top` where it is solved already.

    On the way back each is set against the atoms of the next lower one, the lowest against those of `below`, and solved
    again from them where it is worse there or knows a G > 1.
    """
    found = [] if top is None else [top]
    it = start(core, float(betas[-1])) if top is None else top.iterate
    for beta in betas[::-1][len(found) :]:
        it = walked(it, float(beta))
        found.append(_small(generate_columns(it, options, None)))
        it = found[-1].iterate
    found.reverse()
    for i, here in enumerate(found):
        lower = found[i - 1] if i else below
        if lower is None:
            continue
        beta, unsettled = here.iterate.beta, here.worth_another(options.tolerance)
        other = begun(lower.iterate, beta)
        if unsettled or other.value < here.iterate.value - 1e-12:
            found[i] = min(
                here, _small(generate_columns(other, options, None)), key=lambda result: result.iterate.value
            )
    return found


def walked(it: Iterate, beta: float) -> Iterate:
    """The iterate at a smaller β; over a long way step by step, so that of many clusters one meets after the other."""
    steps = int(np.ceil(np.log(it.beta / beta) / np.log(LONG)))
    for one in np.geomspace(it.beta, beta, steps + 1)[1:-1]:
        if it.atoms.size <= MAX_UNKNOWNS:
            break
        new = evaluate(it.problem, one, it.weights, it.atoms, it.log_z * (one / it.beta))
        it = coalesce(iterate(new.nearby(), 1), NEIGHBOURS)
    return begun(it, beta)


def begun(it: Iterate, beta: float) -> Iterate:
    """Its weights and atoms at another β, after a plain step where that takes no time."""
    new = evaluate(it.problem, beta, it.weights, it.atoms, it.log_z * (beta / it.beta))
    return new if new.parts is not None else iterate(new, 1)


def _small(found: Found) -> Found:
    """What is kept and sent to workers: without what has an entry for each cluster and x."""
    return found._replace(iterate=found.iterate.without_tables())
