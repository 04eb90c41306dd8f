"""Atoms that are added: at the share that lowers the objective most, and what that takes from it."""

import numpy as np
import pytest
from joints import PROBLEMS, random_joint

import dualib
from dualib.solvers import atoms, columns
from dualib.solvers.iterate import evaluate
from dualib.solvers.mesh import between


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("times", [1.5, 4.0])
def test_added_atoms_get_the_share_that_lowers_the_objective_most(kind, times, monkeypatch):
    core = PROBLEMS[kind](random_joint(3, 8, 4))
    beta = times * dualib.local_critical_beta(core)
    it = evaluate(core, beta, np.ones(1), core.single_decoder)
    log_g = np.log(np.exp(core.exponents(beta, core.p_y_given_x, -it.log_z)) @ core.p_x)
    assert log_g.max() > 0
    gain = atoms.possible_gain(it, core.p_y_given_x, log_g)
    monkeypatch.setattr(atoms, "MAX_WEIGHTS_WORK", -1)  # what has been added keeps the share it is given
    assert atoms.add_atoms(it, core.p_y_given_x, log_g, 0.0).value < it.value - gain  # where a cluster is parted
    monkeypatch.setattr(atoms, "PARTS", ())
    added = atoms.add_atoms(it, core.p_y_given_x, log_g, 0.0)
    assert added.value == pytest.approx(it.value - gain, abs=1e-12)
    share, mixture = 1.0 - added.weights[0], added.weights[1:] / added.weights[1:].sum()
    for other in np.append(share + np.array([-1e-3, 1e-3]), np.linspace(0.0, 0.5, 11)):
        if 0.0 <= other <= 0.5:
            moved = evaluate(core, beta, np.concatenate([[1.0 - other], other * mixture]), added.atoms)
            assert moved.value >= added.value - 1e-6  # a share is found to six digits
    assert gain > 0


def test_nothing_is_gained_where_no_g_exceeds_1():
    core = PROBLEMS["ib"](random_joint(3, 8, 4))
    it = evaluate(core, 2.0, np.ones(1), core.single_decoder)
    assert atoms.possible_gain(it, core.p_y_given_x, np.full(8, -0.1)) == 0.0


def test_an_atom_between_two_that_overlap_is_found():
    """No row leads there; without it the lower of these two β ends 8e-10 nats too high, with an estimated gap of 0."""
    rng = np.random.default_rng(2120)
    rows = rng.dirichlet(np.full(4, 0.3), 120) + 1e-9
    joint = dualib.Joint.from_conditional(rng.dirichlet(np.full(120, 3.0)), rows / rows.sum(axis=1, keepdims=True))
    problem = dualib.IB(joint)
    betas = np.geomspace(0.8, 15.0, 24)[17:19] * dualib.local_critical_beta(problem)
    curve = dualib.information_curve(problem, betas, certify=False)
    proven = dualib.solve(problem, betas[0])
    assert proven.gap < 1e-10
    assert curve.objective[0] < proven.lower_bound + 1e-10


def test_of_very_many_neighbours_the_nearest_are_looked_between():
    core = PROBLEMS["ib"](random_joint(3, 40, 4))
    it = evaluate(core, 1.0, np.full(40, 1 / 40), core.p_y_given_x)
    whole = between(it, len(it.weights) ** 2)
    assert len(whole) > columns.AMONG
    np.testing.assert_array_equal(between(it, columns.AMONG), whole[: columns.AMONG])
