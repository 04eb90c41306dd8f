"""Which search bounds the maximum of log G: by the dimension of the decoders' hull, and by the number of x and y.

Up to a small dimension simplices are cut, over the decoders or over the posteriors of the few x. Beyond, for IB and dualIB, cells
of rows come first, which prove it where nearly every x is a cluster of its own, and then boxes of decoders. With four symbols these
are tried before simplices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dualib.bottleneck import Atoms, Bottleneck
from dualib.certificate.boxes.contraction import MOST_ROWS
from dualib.certificate.boxes.dual_family import DualBoxes
from dualib.certificate.boxes.families import BoxBounds, IBBoxes
from dualib.certificate.boxes.rows import DualRowCells, IBRowCells, RowCells, max_log_g_over_row_cells
from dualib.certificate.boxes.search import max_log_g_over_boxes
from dualib.certificate.boxes.unfinished import Unfinished
from dualib.certificate.ceiling import Budget, Ceiling, Method
from dualib.certificate.charts import chart_of
from dualib.certificate.dual_function import DualFunction
from dualib.certificate.simplex import max_log_g
from dualib.certificate.weights import max_log_g_over_weights
from dualib.hull import HullKind
from dualib.problems import IB, DualIB

ROW_CELLS = 520  # evaluations of every pair of rows: 40 shells, 13 mixtures
LEAST_CELLS, LEAST_BOXES = 30, 500  # simplices for each dimension, boxes: fewer bound hardly anything
BOX_SYMBOLS = 8  # a box costs as much as that many times n_y more x: its Newton steps
MOST_SYMBOLS = 16  # symbols y up to which boxes are tried: their Newton steps cost n_y³


def search_for(problem: Bottleneck) -> Method:
    """The search in a small dimension: of two of the same one that which does not know how small a p(y|x) is."""
    hull = problem.hull
    few = hull.kind is HullKind.LOG_MIXTURES and len(problem.p_x) == hull.dimension + 1
    return Method.POSTERIORS if few else Method.DECODERS


def search_maximum(g: DualFunction, atoms: Atoms, tolerance: float, max_cells: int) -> Ceiling:
    """Rigorous maximum of log G in a small dimension; arguments as for :func:`dualib.certificate.simplex.max_log_g`."""
    if search_for(g.problem) is Method.POSTERIORS:
        found = max_log_g_over_weights(g, atoms, tolerance, max_cells)
    else:
        found = max_log_g(g, chart_of(g.problem), atoms, tolerance, max_cells)
    return replace(found, rounding=rounding_of_search(g))


def rounding_of_search(g: DualFunction) -> float:
    """Allowance for floating-point error in what :func:`search_maximum` finds, beyond that which its bounds contain, nats.

    Terms that count are known to relative accuracy where β is large, but for log-linear mixtures searched by their moments.
    """
    by_moments = g.problem.hull.kind is HullKind.LOG_MIXTURES and search_for(g.problem) is Method.DECODERS
    return g.relative_rounding() if g.term_by_term and not by_moments else g.rounding()


def more_work_helps(problem: Bottleneck, max_work: float) -> bool:
    """Whether :func:`search_in_any_dimension` would do more with more work: more boxes, or cells of rows at all."""
    n_x, n_y = problem.p_y_given_x.shape
    return isinstance(problem, IB | DualIB) and (n_y <= MOST_SYMBOLS or ROW_CELLS * n_x**2 > max_work)


def fewer_shares_known(problem: Bottleneck) -> bool:
    """Whether boxes are tried with γ = 1, as the rows are too many for their contraction coefficient."""
    n_x, n_y = problem.p_y_given_x.shape
    return isinstance(problem, IB) and n_x > MOST_ROWS and n_y <= MOST_SYMBOLS


def boxes_fit(problem: Bottleneck) -> bool:
    """Whether boxes are tried: not with too many symbols y."""
    return isinstance(problem, IB | DualIB) and problem.p_y_given_x.shape[1] <= MOST_SYMBOLS


def boxes_first(problem: Bottleneck) -> bool:
    """Whether boxes are tried before simplices: in three dimensions, unless the decoders of more symbols lie in a flat of them.

    Boxes do not know the flat: of 64 rows of rank 3 over ten symbols, simplices prove in a second what boxes leave open.
    """
    return problem.dimension == 3 == problem.p_y_given_x.shape[1] - 1 and boxes_fit(problem)


def least_work(problem: Bottleneck, max_dimension: int) -> float:
    """Entries of tables (n_x, n_y) below which a search is not worth its start."""
    dimension = problem.dimension
    cells = LEAST_CELLS ** max(dimension, 1) if dimension <= max_dimension else LEAST_BOXES
    return float(cells * problem.p_y_given_x.size)


@dataclass(frozen=True, eq=False)
class Begun:
    """What :func:`search_in_any_dimension` leaves where its work was too little, to go on with.

    Attributes
    ----------
    boxes : Unfinished
        Where the search over boxes stopped.
    one_by_one, all_rows : Ceiling or None
        What cells of rows gave, given up at the first row that left a gap, and in full; None where they were not tried.
    work : float
        Entries of tables (n_x, n_y) that were computed so far.
    """

    boxes: Unfinished
    one_by_one: Ceiling | None
    all_rows: Ceiling | None
    work: float


def search_in_any_dimension(
    g: DualFunction, atoms: Atoms, tolerance: float, max_work: float, begun: Begun | None = None
) -> tuple[Ceiling | None, Begun | None]:
    """The least ceiling that cells of rows and boxes prove within some work, and what to go on with.

    Parameters
    ----------
    g : DualFunction
    atoms : array, shape (n_t, n_y)
        Where G is known to be large.
    tolerance : float
        Nats; cells that cannot exceed max(best log G, 0) + tolerance are dropped.
    max_work : float
        Entries of tables (n_x, n_y) that may be computed, in all turns together: as many boxes as that makes. Cells of rows are
        tried before, and, where boxes leave a gap that they may lessen, in full behind, if they take no more than half of it.
    begun : Begun or None
        What an earlier turn with the same g, atoms and tolerance left.

    Returns
    -------
    tuple
        The ceiling, with the work of this turn, or None where neither can be tried; and what is left to do, or None where
        boxes were not tried or all are closed.
    """
    problem = g.problem
    if not isinstance(problem, IB | DualIB):
        return None, None
    rows, of_ib = problem.p_y_given_x, isinstance(problem, IB)
    boxes_known = rows.shape[1] <= MOST_SYMBOLS
    rows_work = float(ROW_CELLS * len(rows) ** 2)
    rows_too = rows_work <= (0.5 * max_work if boxes_known else max_work)
    cells: RowCells = (IBRowCells if of_ib else DualRowCells)(g.log_weights, rows, g.beta)
    before = 0.0 if begun is None else begun.work
    one_by_one, all_rows = (None, None) if begun is None else (begun.one_by_one, begun.all_rows)
    if rows_too and one_by_one is None:
        # Given up at the first row that leaves a gap, where boxes may do better.
        limit = max(float(g.log(atoms).max()), 0.0) + tolerance if boxes_known else np.inf
        one_by_one = max_log_g_over_row_cells(cells, atoms, tolerance, give_up_above=limit)
    work = 0.0 if one_by_one is None else rows_work * one_by_one.cells / len(rows)
    left, found, exhausted = None, [one_by_one], False
    if boxes_known and not (one_by_one and one_by_one.complete):
        boxes: BoxBounds = (IBBoxes if of_ib else DualBoxes)(g.log_weights, rows, g.beta)
        a_box = rows.shape[1] * (len(rows) + BOX_SYMBOLS * rows.shape[1])
        work += 0.0 if all_rows is None else rows_work
        # In full behind, unless boxes are known to do better.
        known = begun is not None and one_by_one is not None and begun.boxes.highest <= one_by_one.least
        room = rows_work if rows_too and all_rows is None and not known else 0.0
        budget = Budget(cells=max(1, int((max_work - work - room) / a_box)))
        ceiling = max_log_g_over_boxes(boxes, atoms, tolerance, budget, None if begun is None else begun.boxes)
        work += a_box * ceiling.cells
        if room and not ceiling.complete and one_by_one is not None and one_by_one.least < ceiling.upper:
            all_rows = max_log_g_over_row_cells(cells, atoms, tolerance)
            work += rows_work
        found, exhausted = [one_by_one, ceiling, all_rows], ceiling.exhausted
        if ceiling.unfinished is not None:
            left = Begun(ceiling.unfinished, one_by_one, all_rows, work)
    tried = [ceiling for ceiling in found if ceiling is not None]
    if not tried:
        return None, None
    best = min(tried, key=lambda ceiling: ceiling.log_bound)
    return replace(best, work=work - before, unfinished=None, exhausted=exhausted), left
