"""A search over boxes in turns is the search in one, to the same bits, and looks at no box twice."""

import pickle
from dataclasses import fields

import numpy as np
import pytest
from joints import random_joint

import dualib
from dualib.certificate import search
from dualib.certificate.boxes.dual_family import DualBoxes
from dualib.certificate.boxes.families import IBBoxes
from dualib.certificate.boxes.search import max_log_g_over_boxes
from dualib.certificate.ceiling import Budget
from dualib.certificate.search import search_in_any_dimension
from dualib.solvers.iterate import evaluate


def solved(problem, factor):
    """The iterate that a solution is, at a multiple of the local critical β."""
    solution = dualib.solve(problem, factor * dualib.local_critical_beta(problem), certify=False)
    return evaluate(problem.reduced, solution.beta, solution.p_t, solution.p_y_given_t)


CASES = {
    "ib": (dualib.IB, IBBoxes, (3, 20, 6), 1.5),
    "ib, with pauses": (dualib.IB, IBBoxes, (1, 40, 7), 2.0),
    "dual": (dualib.DualIB, DualBoxes, (8, 12, 6), 3.0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_search_in_turns_is_the_search_in_one(case, monkeypatch):
    """Also when it stops in the middle of a batch, and with what is left sent to another process."""
    kind, boxes, size, factor = CASES[case]
    it = solved(kind(random_joint(*size)), factor)
    g = it.dual
    monkeypatch.setattr(f"{boxes.__module__}.ENTRIES", 40 * len(it.problem.p_x))  # parts of 20 boxes
    monkeypatch.setattr("dualib.certificate.boxes.search.LEAST_BATCH", 64)

    def bounds():
        return boxes(g.log_weights, it.problem.p_y_given_x, it.beta)

    left, middle = None, 0
    for cells in (1, 150, 151, 333, 700, 1100):
        turn = max_log_g_over_boxes(bounds(), it.atoms, 1e-9, Budget(cells=cells), left)
        whole = max_log_g_over_boxes(bounds(), it.atoms, 1e-9, Budget(cells=cells))
        for name in ("upper", "lower", "cells", "complete", "exhausted"):
            assert getattr(turn, name) == getattr(whole, name)
        np.testing.assert_array_equal(turn.argmax, whole.argmax)
        if turn.exhausted:
            assert turn.unfinished is None
            break
        assert turn.upper >= turn.unfinished.highest > 0
        assert turn.unfinished.nbytes == whole.unfinished.nbytes
        middle += bool(turn.unfinished.ahead)
        left = pickle.loads(pickle.dumps(turn.unfinished))
    assert middle
    if not turn.exhausted and case != "ib, with pauses":
        done = max_log_g_over_boxes(bounds(), it.atoms, 1e-9, Budget(cells=200_000), left)
        assert done.complete
        assert done.exhausted


def test_the_work_of_turns_is_that_of_one_turn():
    """Boxes, and cells of rows, which are looked at once: given up at the first row that leaves a gap, and in full behind."""
    it = solved(dualib.IB(random_joint(1, 40, 7)), 2.0)
    n, k = it.problem.p_y_given_x.shape
    a_box, all_rows = k * (n + search.BOX_SYMBOLS * k), search.ROW_CELLS * n**2
    left, spent = None, 0.0
    for max_work in (0.5 * all_rows, 2.5 * all_rows, 4.0 * all_rows):
        ceiling, left = search_in_any_dimension(it.dual, it.atoms, 1e-9, max_work, left)
        spent += ceiling.work
        assert not ceiling.complete
        assert left.work == pytest.approx(spent)
        rows = 0.0 if left.one_by_one is None else all_rows * left.one_by_one.cells / n
        rows += 0.0 if left.all_rows is None else all_rows
        assert spent == pytest.approx(a_box * left.boxes.examined + rows)
        assert spent <= max_work + 600 * a_box  # a batch is finished
    assert left.one_by_one.least > 0


def test_cells_of_rows_are_not_looked_at_in_full_where_boxes_do_better(monkeypatch):
    it = solved(dualib.IB(random_joint(1, 40, 7)), 2.0)
    work = 3.0 * search.ROW_CELLS * len(it.problem.p_x) ** 2
    known, left = search_in_any_dimension(it.dual, it.atoms, 1e-9, work)
    assert known.upper < left.one_by_one.least  # no ceiling over all rows could be as low
    assert left.all_rows is None
    rows = search.max_log_g_over_row_cells

    def low(*args, **kwargs):
        found = rows(*args, **kwargs)
        return type(found)(**{f.name: getattr(found, f.name) for f in fields(found)} | {"least": 0.0})

    monkeypatch.setattr(search, "max_log_g_over_row_cells", low)
    full, left = search_in_any_dimension(it.dual, it.atoms, 1e-9, work)
    assert left.all_rows is not None
    assert left.all_rows.upper >= known.upper
    assert full.work > known.work


@pytest.mark.slow
def test_boxes_that_do_not_touch_a_face_are_cut_in_the_middle(monkeypatch):
    """Near the mean, where there is nothing to get away from, takes a third more of them on handwritten digits."""
    pytest.importorskip("sklearn")
    it = solved(dualib.IB(dualib.examples.digits().smoothed(pseudocount=0.1)), 1.04)
    cells = []
    for midway in (IBBoxes.midway, lambda self, low: np.zeros(low.shape, dtype=bool)):
        monkeypatch.setattr(IBBoxes, "midway", midway)
        bounds = IBBoxes(it.dual.log_weights, it.problem.p_y_given_x, it.beta)
        ceiling = max_log_g_over_boxes(bounds, it.atoms, 1e-9, Budget(cells=20_000))
        assert ceiling.complete
        cells.append(ceiling.cells)
    assert cells[0] < 0.85 * cells[1]
