"""How good an iterate is: the search for an atom that it lacks, and the lower bound of F(β) where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from dualib.certificate.ceiling import Ceiling, Method
from dualib.certificate.dual_function import pairwise_log_ceiling
from dualib.certificate.search import (
    Begun,
    boxes_first,
    boxes_fit,
    fewer_shares_known,
    least_work,
    more_work_helps,
    rounding_of_search,
    search_in_any_dimension,
    search_maximum,
)
from dualib.core.special import EPS, entropy_nats
from dualib.problems import IB, DualIB
from dualib.solvers.ascents import largest_at_rows
from dualib.solvers.atoms import LARGEST_START, SEPARATE, add_atoms, merge_atoms, start_from, trivial
from dualib.solvers.coarse import SYMBOLS, can_be_coarser, coarser, rounding
from dualib.solvers.columns import best_start, generate_columns
from dualib.solvers.iterate import Iterate
from dualib.solvers.minimum import minimise, to_last_digits
from dualib.solvers.newton import MAX_UNKNOWNS
from dualib.solvers.options import AUTO_WORK, Certify

QUICK_PAIRS = 1e6  # pairs of x times |Y| up to which the pairwise bound is tried before the search
FIRST_TURN = 0.03, 0.01  # of the work for boxes and of the cells of simplices, where both are tried: about a second
ALL = 1.0, 1.0
PAIR_WORK = 2e8  # the same work up to which the pairwise lower bound is computed: some five seconds


class Status(StrEnum):
    """What came of a proof and, where it fell short, which knob to turn."""

    CERTIFIED = "certified: the interval is proven"
    NOT_ASKED = "not certified: certify=False"
    TOO_LARGE = 'not certified: certify="auto" tries no search where the joint is so large; certify=True does'
    ROUNDING = "not certified: rounding alone may exceed the tolerance; raise tolerance, or lower beta"
    DIMENSION = "not certified: there is no search for the maximum of G in this dimension and with so many y; raise max_dimension"
    CELLS = "not certified: the proof stopped at its number of cells; raise max_cells"
    WORK = "not certified: boxes of decoders or cells of rows leave a gap, or were too many to try; raise max_work"
    ROWS = (
        "not certified: boxes of decoders leave a gap, a wider one as with more than 4096 distinct rows the contraction "
        "coefficient is taken as 1; merge rows, or raise max_work"
    )
    GAP = "not certified: cells of rows, pairs of x and boxes of a coarser Y, all that is known with so many y, leave a gap"
    ROUNDS = "not certified: an atom is known at which G exceeds 1; raise max_rounds"


@dataclass(frozen=True)
class Proof:
    """A proven lower bound of F(β), nats, where it comes from, what came of it, and what was done for it.

    `cells` were examined, and `work` entries of tables (n_x, n_y) computed.
    """

    lower_bound: float
    method: Method
    status: Status
    cells: int
    work: float = 0.0


def prove(
    it: Iterate, options: Certify, residual: float, begun: Begun | None = None
) -> tuple[Iterate, Ceiling | None, float, Begun | None]:
    """Rigorous maximum of G; where it shows an atom that is missing, add it and go on. None where nothing can be proven of it.

    The ceiling is the least of those tried at the iterate returned, its work that of all that were tried on the way; the last
    is where its search stopped, and `begun` where one stopped with less work at this iterate.
    """
    if it.atoms.size > MAX_UNKNOWNS and begun is None:
        it, residual = minimise(it, 3 * MAX_UNKNOWNS)
        if float(it.dual.log(it.atoms).max()) > 0.1 * options.tolerance:  # which is what would be proven
            it, residual = to_last_digits(it)
    max_cells, work = options.max_cells, 0.0
    ceiling: Ceiling | None = None
    if options.affordable_only:
        max_cells = min(max_cells, int(2 * AUTO_WORK / it.problem.p_y_given_x.size))
    for left in range(options.max_rounds, -1, -1):
        g = it.dual
        # What rounding hides is not searched for.
        tolerance = max(0.3 * options.tolerance, min(rounding_of_search(g), 1.0))
        ceiling, begun = _searched(it, tolerance, max_cells, options, begun)
        work += 0.0 if ceiling is None else ceiling.work
        if ceiling is None or ceiling.lower <= 0.5 * options.tolerance or left == 0:
            break
        missing = g.log(ceiling.argmax[None])
        if missing[0] <= 0.5 * options.tolerance:  # the search's own rounding, where β is huge
            break
        added = add_atoms(it, ceiling.argmax[None], missing, 0.0)
        better, _ = minimise(added, 3 * MAX_UNKNOWNS)
        if better.value < it.value:
            it, _, residual, _ = generate_columns(better, options, None)
        elif (ceiling.complete or ceiling.exhausted) and added.value <= it.value + it.noise:
            it = added  # its weight, 1e-7 beside a first-order transition, takes less from Φ than rounding, and all that it needs from G
        else:
            break
        begun = None
    return it, None if ceiling is None else replace(ceiling, work=work), residual, begun


def _searched(
    it: Iterate, tolerance: float, max_cells: int, options: Certify, begun: Begun | None
) -> tuple[Ceiling | None, Begun | None]:
    """The least ceiling of the searches that its dimension has, with the work of all; and what boxes leave to do.

    Where there are boxes and simplices, either may close at once what takes the other very long: both get a little first.
    """
    beyond = it.problem.dimension > options.max_dimension
    both = not beyond and boxes_first(it.problem)
    least: Ceiling | None = None
    work = 0.0
    for of_work, of_cells in (FIRST_TURN, ALL) if both else (ALL,):
        found = [least]
        if beyond or both:
            boxes, begun = search_in_any_dimension(it.dual, it.atoms, tolerance, of_work * options.max_work, begun)
            work += 0.0 if boxes is None else boxes.work
            found.append(boxes)
        if not beyond and not any(one is not None and one.complete for one in found):
            found.append(search_maximum(it.dual, it.atoms, tolerance, int(of_cells * max_cells)))
        least = min(filter(None, found), key=lambda one: one.log_bound, default=None)
        if least is not None and least.complete:
            break
    return None if least is None else replace(least, work=work), begun


def prove_where_needed(
    it: Iterate, estimate: float, residual: float, options: Certify, begun: Begun | None = None
) -> tuple[Iterate, float, float, Ceiling | None, Begun | None]:
    """:func:`prove`, and the new estimate of max log G; no ceiling where data processing or pairs do as well."""
    if it.problem.dimension < 1:
        return it, estimate, residual, None, None
    proven = processing_bound(it) + 0.3 * options.tolerance
    if it.value > proven and trivial_value(it) <= proven:  # where G is flat a search is long, and leads nowhere
        it, residual = min(trivial(it.problem, it.beta), key=lambda one: one.value), 0.0
        estimate = max(0.0, largest_at_rows(it.dual))
    if it.value <= proven:
        return it, estimate, residual, None, None
    # At high β, where each x is its own cluster, the pairs prove it at once, whatever the rounding of β d elsewhere.
    few = _pair_work(it) <= QUICK_PAIRS
    if few and max(0.0, pairwise_log_ceiling(it.dual)) <= 0.3 * options.tolerance:
        return it, estimate, residual, None, None
    if _too_large(it, options):
        return it, estimate, residual, None, None
    it, ceiling, residual, begun = prove(it, options, residual, begun)
    if ceiling is None:
        return it, estimate, residual, None, None
    return it, max(0.0, ceiling.lower, largest_at_rows(it.dual)), residual, ceiling, begun


def processing_bound(it: Iterate) -> float:
    r"""A lower bound of F(β) from data processing, nats, rounding subtracted; 0 where the problem is not IB.

    .. math:: F(\beta) = \min I(X;T) - \beta I(T;Y) + \beta I(X;Y) \ge \min(1, \beta)\, I(X;Y)

    as I(T;Y) is at most I(X;T) and I(X;Y). It is F where Y is a function of X, whose G is flat at β = 1, and below β = 1.
    """
    if not isinstance(it.problem, IB):
        return 0.0
    information = it.problem.joint.mutual_information()
    rounding = EPS * (16 + sum(it.problem.p_y_given_x.shape)) * (1.0 + information)
    return max(0.0, min(1.0, it.beta) * information - rounding)


def trivial_value(it: Iterate) -> float:
    """The lesser objective of T = X and of one cluster, nats; inf where there are too many x for the former."""
    core = it.problem
    if len(core.p_x) > LARGEST_START:
        return np.inf
    return min(float(entropy_nats(core.p_x)), it.beta * float(core.p_x @ core.distortion(core.single_decoder)[0]))


def proof_of(it: Iterate, objective: float, ceiling: Ceiling | None, options: Certify) -> Proof:
    """The best lower bound of F(β) from data processing, the ceiling of log G, if there is one, and pairs of x, rounding subtracted."""
    g, base = it.dual, it.value - EPS * (16.0 + 8.0 * abs(it.value))
    bounds = {Method.SIGN: 0.0, Method.PROCESSING: processing_bound(it)}
    if ceiling is not None:
        bounds[ceiling.method] = base - ceiling.log_bound
    cells, work = (0, 0.0) if ceiling is None else (ceiling.cells, ceiling.work)
    if objective - max(bounds.values()) > options.tolerance and _pair_work(it) <= PAIR_WORK:
        bounds[Method.PAIRS] = base - max(pairwise_log_ceiling(g), 0.0)
    if objective - max(bounds.values()) > options.tolerance and not boxes_fit(it.problem):
        coarse = _coarse_proof(it, replace(options, max_work=max(0, options.max_work - int(work))))
        if coarse is not None:
            bounds[Method.COARSE] = coarse.lower_bound
            cells, work = cells + coarse.cells, work + coarse.work
    method = max(bounds, key=bounds.__getitem__)
    lower = bounds[method]
    status = Status.CERTIFIED if objective - lower <= options.tolerance else _shortfall(it, ceiling, options)
    return Proof(lower, method, status, cells, work)


def _coarse_proof(it: Iterate, options: Certify) -> Proof | None:
    """The lower bound from the same problem with fewer symbols y; None where there is none."""
    if not isinstance(it.problem, IB | DualIB) or not can_be_coarser(it.problem, SYMBOLS):
        return None
    if _too_large(it, options) or it.problem.dimension <= options.max_dimension:
        return None
    problem = coarser(it.problem, SYMBOLS)
    found, estimate, residual, _ = best_start(merge_atoms(start_from(problem, it.beta), SEPARATE), options, None)
    found, _, _, ceiling, _ = prove_where_needed(found, estimate, residual, options)
    proof = proof_of(found, found.upper_value, ceiling, options)
    return replace(proof, lower_bound=proof.lower_bound - rounding(it.problem, it.beta))


def _too_large(it: Iterate, options: Certify) -> bool:
    return options.affordable_only and least_work(it.problem, options.max_dimension) > AUTO_WORK


def _pair_work(it: Iterate) -> int:
    return it.problem.p_y_given_x.size * len(it.problem.p_x)


def _shortfall(it: Iterate, ceiling: Ceiling | None, options: Certify) -> Status:
    beyond = it.problem.dimension > options.max_dimension
    if _too_large(it, options):
        return Status.TOO_LARGE
    if ceiling is not None and not ceiling.complete and ceiling.exhausted:
        return Status.ROUNDING
    if beyond and ceiling is not None and not ceiling.complete and fewer_shares_known(it.problem):
        return Status.ROWS
    if beyond and (ceiling is None or not ceiling.complete) and more_work_helps(it.problem, options.max_work):
        return Status.WORK
    if ceiling is None:
        return Status.DIMENSION if beyond else Status.ROUNDING
    if rounding_of_search(it.dual) > options.tolerance:
        return Status.ROUNDING
    if not ceiling.complete:
        return Status.GAP if beyond else Status.CELLS
    missing = float(it.dual.log(ceiling.argmax[None])[0])  # the ceiling's own value has the rounding of the search
    return Status.ROUNDS if missing > options.tolerance else Status.ROUNDING
