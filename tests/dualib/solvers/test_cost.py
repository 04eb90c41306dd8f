"""Time and memory stated before work: which sizes they follow, and that they are of the right order."""

import tracemalloc

import numpy as np
import pytest

from dualib import IB, Joint, local_critical_beta, solve
from dualib.solvers.cost import expected_cost


def joint(n_x, n_y=3, copies=1):
    rows = np.random.default_rng(0).dirichlet(np.ones(n_y), n_x)
    return Joint.from_conditional(np.full(n_x * copies, 1 / (n_x * copies)), np.tile(rows, (copies, 1)))


def test_cost_grows_with_what_it_should():
    one = expected_cost(IB(joint(50)), 1)
    assert expected_cost(IB(joint(50)), 7).seconds == pytest.approx(7 * one.seconds)
    assert expected_cost(IB(joint(50)), 7).bytes == one.bytes
    assert expected_cost(IB(joint(100))).seconds == pytest.approx(4 * one.seconds)
    assert expected_cost(IB(joint(50, 9))).seconds > one.seconds
    assert expected_cost(IB(joint(50, copies=4))) == one  # equal rows are one
    assert "50 distinct rows, 3 symbols, 1 β" in one.describe()


def test_memory_is_of_the_stated_order():
    problem = IB(joint(600, 10))
    tracemalloc.start()
    solve(problem, 10 * local_critical_beta(problem), certify=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.3 * peak <= expected_cost(problem).bytes <= 5 * peak


def test_number_of_betas_is_checked():
    with pytest.raises(ValueError, match="n_betas"):
        expected_cost(IB(joint(5)), 0)
