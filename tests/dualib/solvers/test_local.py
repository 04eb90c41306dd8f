"""Few clusters at a minimum among others that stay: its objective and gradient are those of all clusters."""

import numpy as np
import pytest

from dualib import IB, AlphaIB, DualIB, Joint, local_critical_beta
from dualib.solvers import krylov, local, parts
from dualib.solvers.alternating import iterate
from dualib.solvers.hessian import System
from dualib.solvers.iterate import evaluate
from dualib.solvers.krylov import newton_cg
from dualib.solvers.local import Place, minimum, places, settled


def some_iterate(make, n_x=60, n_y=4, factor=4.0, seed=0):
    rows = np.random.default_rng(seed).dirichlet(np.ones(n_y), n_x)
    problem = make(Joint.from_conditional(np.full(n_x, 1 / n_x), 0.95 * rows + 0.05 / n_y))
    beta = factor * local_critical_beta(problem)
    return iterate(evaluate(problem, beta, problem.p_x, problem.p_y_given_x), 20)


PROBLEMS = [IB, DualIB, lambda joint: AlphaIB(joint, 0.5)]


def moved(it, members, change, direction):
    """The iterate with some clusters elsewhere, weights not normalised, and Φ + Σν of all."""
    weights, atoms = it.weights.copy(), it.atoms.copy()
    weights[members] *= 1.0 + change
    atoms[members] *= 1.0 + direction
    atoms[members] /= atoms[members].sum(axis=1, keepdims=True)
    new = evaluate(it.problem, it.beta, weights, atoms)
    return new, new.value + weights.sum()


@pytest.mark.parametrize("make", PROBLEMS)
def test_its_objective_changes_as_that_of_all(make):
    it, members = some_iterate(make), np.array([3, 4, 17])
    place = Place.of(it, members, it.log_z)
    rng = np.random.default_rng(1)
    for size in (0.3, 0.03):
        change, direction = size * rng.uniform(-1, 1, 3), size * rng.uniform(-1, 1, (3, 4))
        new, value = moved(it, members, change, direction)
        here = place.moved(new.weights[members], new.atoms[members])
        difference = here.value - place.value
        assert abs(difference - (value - it.value - it.weights.sum())) < 1e-3 * abs(difference)


@pytest.mark.parametrize("make", PROBLEMS)
def test_gradient_and_hessian_are_those_of_all(make):
    it, members = some_iterate(make), np.array([0, 5, 9, 30])
    place = Place.of(it, members, it.log_z)
    gradient, hessian, root = place.system()
    system = System(it)
    np.testing.assert_allclose(gradient, system.gradient[members], atol=1e-9)
    np.testing.assert_allclose(root, np.sqrt(it.weights[members]))
    v = np.zeros_like(system.gradient)
    v[members] = np.random.default_rng(2).normal(size=gradient.shape)
    tangent = np.sqrt(it.atoms[members])
    v[members, 1:] -= tangent * (tangent * v[members, 1:]).sum(axis=1, keepdims=True)
    found = (hessian @ v[members].ravel()).reshape(gradient.shape)
    np.testing.assert_allclose(found, system.product(v)[members], atol=2e-4)


@pytest.mark.parametrize("make", PROBLEMS)
def test_a_minimum_of_a_place_has_no_gradient_and_lowers_all(make):
    it = some_iterate(make)
    members = places(it, np.array([7]))[0]
    assert 7 in members
    place = minimum(Place.of(it, members, it.log_z), 1e-14)
    assert np.linalg.norm(place.system()[0]) < 1e-6
    assert place.value < Place.of(it, members, it.log_z).value
    new = settled(it, np.array([7]), 1e-14)
    assert new.value < it.value
    assert new.weights.sum() == pytest.approx(1.0, abs=1e-14)
    # at a minimum of all nothing is gained by a place
    best, _, _ = newton_cg(it, 1e-15, 60)
    again = settled(best, np.arange(min(5, len(best.weights))), 1e-15)
    assert again is None or best.value - again.value < 1e-13


def test_places_hold_each_cluster_once_and_as_many_as_fit(monkeypatch):
    it = some_iterate(IB)
    for most in (1, 6, 48):
        monkeypatch.setattr(local, "MOST", most)
        found = places(it, np.arange(0, len(it.weights), 2))
        members = np.concatenate(found)
        assert len(members) == len(set(members.tolist()))
        assert set(range(0, len(it.weights), 2)) <= set(members.tolist())
    monkeypatch.setattr(local, "BATCH", 7)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(places(it, np.arange(0, len(it.weights), 2)))), np.sort(members)
    )


@pytest.mark.parametrize("pairs", [2e7, 0])
def test_newton_with_places_ends_where_it_does_without(pairs, monkeypatch):
    """From a cluster that has been pulled apart, which is a minimum of a few clusters."""
    monkeypatch.setattr(parts, "LARGE_PAIRS", pairs)
    it = some_iterate(IB, n_x=80, n_y=5, factor=3.0)
    best, _, _ = newton_cg(it, 1e-15, 60)
    calls = []
    monkeypatch.setattr(krylov, "settled", lambda *args: calls.append(args) or settled(*args))
    monkeypatch.setattr(krylov, "LARGE", 0)
    monkeypatch.setattr(krylov, "FEW", 0.5)
    found, _, _ = newton_cg(it, 1e-15, 60)
    assert calls
    assert found.value <= best.value + 1e-12
