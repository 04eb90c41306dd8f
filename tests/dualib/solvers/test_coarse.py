"""Merging symbols y bounds F from below: against the problem itself where that is proven, and where boxes have too many symbols."""

import numpy as np
import pytest
from joints import random_joint

import dualib
from dualib.certificate.ceiling import Method
from dualib.solvers import coarse, prove
from dualib.solvers.coarse import can_be_coarser, coarser, merged_symbols
from dualib.solvers.prove import Status


def test_the_cheapest_symbols_are_merged_and_equal_ones_cost_nothing():
    rng = np.random.default_rng(0)
    joint = random_joint(1, 6, 4)
    share = rng.dirichlet(np.ones(3))
    doubled = np.concatenate([joint.p_xy[:, :3], joint.p_xy[:, [3]] * share], axis=1)  # three symbols with one p(x|y)
    merged = dualib.Joint(merged_symbols(doubled, 4))
    assert merged.mutual_information() == pytest.approx(joint.mutual_information(), abs=1e-12)
    losses = []
    for i in range(4):
        for j in range(i):
            rest = np.delete(joint.p_xy, [i, j], axis=1)
            losses.append(
                dualib.Joint(np.column_stack([rest, joint.p_xy[:, i] + joint.p_xy[:, j]])).mutual_information()
            )
    best = dualib.Joint(merged_symbols(joint.p_xy, 3)).mutual_information()
    assert best == pytest.approx(max(losses), abs=1e-12)
    np.testing.assert_allclose(merged_symbols(joint.p_xy, 1)[:, 0], joint.p_x)


@pytest.mark.parametrize("make", [dualib.IB, dualib.DualIB])
@pytest.mark.parametrize("beta", [2.0, 9.0])
def test_the_coarser_problem_is_below(make, beta):
    for seed in range(5):
        problem = make(random_joint(seed, 8, 5))
        coarse = dualib.solve(coarser(problem, 3), beta)
        assert coarse.lower_bound <= dualib.solve(problem, beta).objective
        assert coarse.problem.p_y_given_x.shape[1] == 3


def test_with_too_many_symbols_for_boxes_a_coarser_problem_beats_pairs():
    rng = np.random.default_rng(2)
    rows = 0.9 * np.eye(20)[rng.integers(0, 3, 9)] + 0.1 * rng.dirichlet(np.ones(20), 9)
    problem = dualib.IB(dualib.Joint.from_conditional(rng.dirichlet(np.ones(9)), rows))
    solved = dualib.solve(problem, 2.0, certify=dualib.Certify(max_work=10**7))
    assert solved.method is Method.COARSE
    assert solved.lower_bound <= solved.objective
    without = dualib.solve(problem, 2.0, certify=dualib.Certify(max_work=0))
    assert without.gap > solved.gap


def test_both_sides_of_what_is_merged_and_of_the_pairs(monkeypatch):
    """Beyond a limit the bound is looser and sound, and the status says that a gap is left."""
    rng = np.random.default_rng(2)
    rows = 0.9 * np.eye(20)[rng.integers(0, 3, 9)] + 0.1 * rng.dirichlet(np.ones(20), 9)
    problem = dualib.IB(dualib.Joint.from_conditional(rng.dirichlet(np.ones(9)), rows))
    limits = dualib.Certify(max_work=10**6)
    n_x, n_y = problem.p_y_given_x.shape
    monkeypatch.setattr(coarse, "MERGING", n_x * n_y**2)
    assert can_be_coarser(problem, 12)
    merged = dualib.solve(problem, 2.0, certify=limits)
    monkeypatch.setattr(coarse, "MERGING", n_x * n_y**2 - 1)
    assert not can_be_coarser(problem, 12)
    monkeypatch.setattr(prove, "PAIR_WORK", n_x**2 * n_y)
    pairs = dualib.solve(problem, 2.0, certify=limits)
    monkeypatch.setattr(prove, "PAIR_WORK", n_x**2 * n_y - 1)
    neither = dualib.solve(problem, 2.0, certify=limits)
    assert neither.lower_bound <= pairs.lower_bound <= merged.lower_bound <= merged.objective
    assert neither.method not in (Method.COARSE, Method.PAIRS)
    assert neither.status not in (Status.CERTIFIED, Status.NOT_ASKED)
