"""The weights at fixed atoms to the last digits, and clusters of next to no weight that grow to what they should have."""

import numpy as np
import pytest
from joints import PROBLEMS, random_joint, smooth_joint

from dualib import IB, Joint, local_critical_beta, solve
from dualib.solvers.atoms import start_from
from dualib.solvers.balance import ENOUGH, balanced
from dualib.solvers.iterate import evaluate
from dualib.solvers.krylov import newton_cg
from dualib.solvers.newton import newton_weights


def minimum(name, tolerance=1e-8):
    problem = PROBLEMS[name](smooth_joint(60, 5))
    it = start_from(problem, 3.0 * local_critical_beta(problem))
    return newton_cg(it, tolerance, 40)[0]


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_balanced_weights_are_the_minimum_at_their_atoms(name):
    it = minimum(name)
    found, exact = balanced(it), newton_weights(it, 50)
    assert np.abs(it.gain - 1.0).max() > 1e3 * ENOUGH
    assert np.abs(found.gain - 1.0).max() < 10 * ENOUGH
    assert found.value == pytest.approx(exact.value, abs=1e-14)
    np.testing.assert_array_equal(found.atoms, it.atoms)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_balance_never_raises_the_objective(name):
    it = minimum(name, 1e-4)
    far = evaluate(it.problem, it.beta, np.geomspace(1e-9, 1.0, len(it.weights)), it.atoms)
    far = evaluate(it.problem, it.beta, far.weights / far.weights.sum(), it.atoms)
    for start in (it, far):
        assert balanced(start).value <= start.value + 1e-14


def test_estimates_of_large_problems_reach_the_tolerance():
    """With a gradient of 1e-9 the largest G was read 1e-8 too large at light clusters, above any tolerance."""
    problem = PROBLEMS["ib"](smooth_joint(400, 6))
    found = solve(problem, 3.0 * local_critical_beta(problem), certify=False)
    assert found.p_y_given_t.size > 200
    assert found.estimated_gap < 1e-9


@pytest.mark.parametrize("light", [1e-2, 1e-5])
def test_a_light_cluster_grows_in_a_few_steps(light):
    problem = PROBLEMS["ib"](random_joint(0, 80, 5))
    end = newton_cg(start_from(problem, 4.0 * local_critical_beta(problem)), 1e-14, 60)[0]
    weights = end.weights.copy()
    weights[np.argsort(-weights)[15]] *= light
    start = evaluate(problem, end.beta, weights / weights.sum(), end.atoms)
    found, _, _ = newton_cg(start, 1e-14, 12)  # that double it at most need 17 from 1e-5
    assert start.value > end.value + 1e-2
    assert found.value == pytest.approx(end.value, abs=1e-10)


def test_a_weight_that_has_vanished_stays_where_it_is():
    rng = np.random.default_rng(0)
    problem = IB(Joint(rng.dirichlet(np.ones(12)).reshape(4, 3)))
    atoms = problem.p_y_given_x
    it = evaluate(problem, 5.0, np.array([0.5, 0.3, 0.2, 0.0]), atoms)
    found = newton_weights(it, 50)
    assert found.value < it.value
    assert found.weights[3] == 0.0
