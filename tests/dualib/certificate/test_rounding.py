"""Rounding of the bounds over boxes: allowed for at many rows and high β, and no more than hides a proof."""

import numpy as np
import pytest
from joints import exact_f, exact_log_g

import dualib
from dualib.certificate.boxes.bounds import Relaxation, bound_at, log_sum_exp
from dualib.certificate.boxes.rows import IBRowCells, max_log_g_over_row_cells
from dualib.certificate.boxes.second_order import second_order_bound
from dualib.certificate.boxes.splits import Chords
from dualib.solvers.iterate import evaluate


def counted_rows(rng, n, k):
    """Rows of counts, with zeros, some of which nearly agree."""
    return np.array([rng.multinomial(50, p) for p in rng.dirichlet(np.full(k, 0.5), n)]) / 50


@pytest.mark.parametrize("beta", [3.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("n", [20, 600])
def test_the_allowance_covers_the_rounding_of_boxes_without_width(n, beta):
    rng = np.random.default_rng([n, int(np.log10(beta))])
    for zeros in (False, True):
        k = int(rng.integers(3, 10))
        rows = counted_rows(rng, n, k) if zeros else rng.dirichlet(np.full(k, 0.4), n)
        log_weights = np.log(rng.dirichlet(np.ones(n))) + rng.normal(size=n)
        relaxation = Relaxation.of(log_weights, rows, beta)
        r = rows[:2]
        for _ in range(10):
            log_r = np.log(np.maximum(r, 1e-300))
            q = log_sum_exp(relaxation.log_a + beta * log_r @ rows.T)[1]
            r = q @ rows
        low, high, base = r * (1 - 1e-15), r * (1 + 1e-15), np.maximum(r, 1e-300)
        point = bound_at(relaxation, Chords.of(relaxation.split, low, high), beta * np.log(base))
        second = second_order_bound(relaxation, low, high, base)
        allowance = relaxation.rounding(rows.min(axis=0)[None], rows[:0])
        for i, shares in enumerate(q):
            exact = float(exact_f(log_weights, rows, beta, shares))
            assert point.bound[i] + allowance >= exact
            assert second[i] + allowance >= exact
            # What is allowed for is far more than the rounding.
            behind = float(exact_f(log_weights, rows, beta, point.posterior[i]))
            assert abs(point.value[i] - behind) < 0.1 * allowance


@pytest.mark.parametrize(("n", "k", "beta"), [(500, 5, 1000.0), (400, 5, 1000.0), (300, 6, 2000.0)])
def test_many_rows_at_high_beta_are_proven_with_little_work(n, k, beta):
    """Rounding of sums over x is not multiplied by the size of β log r, atoms are brought to their last digits, and no work goes
    into what rounding hides: the gaps were 5e-9 to 1e-8 here, whatever the work."""
    rows = counted_rows(np.random.default_rng(3), n, k)
    problem = dualib.IB(dualib.Joint.from_conditional(np.full(n, 1 / n), rows))
    solution = dualib.solve(problem, beta, certify=dualib.Certify(max_work=20_000_000))
    assert solution.certified
    assert solution.work < 1e7
    assert 0.0 <= solution.gap <= 1e-9


@pytest.mark.parametrize(("n", "k", "beta"), [(250, 7, 55.0), (220, 6, 60.0), (260, 7, 40.0)])
def test_a_gradient_that_moves_no_digit_of_the_objective_does_not_open_the_gap(n, k, beta):
    """G at the clusters themselves was 1.6e-9 to 3e-9 above 1, and the advice to raise max_rounds."""
    rng = np.random.default_rng(7)
    problem = dualib.IB(dualib.Joint.from_conditional(rng.dirichlet(np.full(n, 3.0)), counted_rows(rng, n, k)))
    solution = dualib.solve(problem, beta, certify=dualib.Certify(max_work=20_000_000))
    assert solution.certified
    it = evaluate(problem.reduced, beta, solution.p_t, solution.p_y_given_t)
    assert np.abs(it.dual.log(it.atoms)).max() < 1e-10


def test_cells_of_many_rows_prove_what_their_rounding_leaves():
    """The allowance was above the tolerance (7e-10), so that cells of 500 rows proved nothing at such a β."""
    rows = np.random.default_rng(1).dirichlet(np.ones(10), 500)
    problem = dualib.IB(dualib.Joint.from_conditional(np.full(500, 1 / 500), rows))
    solution = dualib.solve(problem, 400.0, certify=False)
    it = evaluate(problem.reduced, 400.0, solution.p_t, solution.p_y_given_t)
    cells = IBRowCells(it.dual.log_weights, it.problem.p_y_given_x, 400.0)
    assert max_log_g_over_row_cells(cells, it.atoms, 3e-10).complete
    # The rounding itself, on some rows, against 50 digits.
    for i in range(0, 500, 100):
        log_g = exact_log_g(it.dual.log_weights, it.problem.p_y_given_x, 400.0, it.problem.p_y_given_x[i])
        assert cells.ceiling_of(i) + cells.rounding() >= float(log_g)
