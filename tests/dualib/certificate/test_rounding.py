"""Rounding of the bounds over boxes: allowed for at many rows and high β, and no more than hides a proof."""

import numpy as np
import pytest
from joints import exact_f

import dualib
from dualib.certificate.boxes.bounds import Relaxation, bound_at, deepest, log_sum_exp
from dualib.certificate.boxes.second_order import second_order_bound
from dualib.certificate.boxes.splits import Chords


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
        allowance = relaxation.rounding(deepest(rows.min(axis=0)[None]))
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
