"""Steps among the pairs of cluster and x that count, the others to first order, against all pairs."""

import numpy as np
import pytest
from joints import PROBLEMS, smooth_joint

from dualib import local_critical_beta
from dualib.solvers import near, parts
from dualib.solvers.atoms import coalesce, start_from
from dualib.solvers.hessian import System
from dualib.solvers.iterate import evaluate
from dualib.solvers.minimum import minimise
from dualib.solvers.near import newton_near

SPOILT = {"nothing": 1e-5, "little": 1e-2, "most": 0.3}


def large(name, weak, monkeypatch, likely=1e-2, n_x=60, factor=4.0):
    """An iterate in parts, of which few pairs count, and the same near by."""
    monkeypatch.setattr(parts, "LARGE_PAIRS", 0)
    monkeypatch.setattr(parts, "LIKELY", likely)
    problem = PROBLEMS[name](smooth_joint(n_x, 5, weak))
    it = start_from(problem, factor * local_critical_beta(problem))
    return it, it.nearby()


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_what_is_left_out_is_there_to_first_order(name, weak, monkeypatch):
    """Value and gradient where it was looked at; at a distance ε the error of the value is of ε², that of the gradient of ε."""
    it, few = large(name, weak, monkeypatch)
    assert few.parts.likely.nnz < 0.3 * len(it.weights) * len(it.log_z)
    assert few.parts.far.rest.max() > 0.05
    assert few.value == pytest.approx(it.value, abs=1e-12)
    np.testing.assert_allclose(System(few).gradient, System(it).gradient, atol=1e-10)  # ROUNDING, of sums that cancel
    rng = np.random.default_rng(1)
    along, across = rng.normal(size=len(it.weights)), rng.normal(size=it.atoms.shape)
    values, gradients = [], []
    for size in (1e-2, 1e-3):
        weights, atoms = it.weights * (1 + size * along), it.atoms * (1 + size * across)
        weights, atoms = weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True)
        exact, found = it.moved(weights, atoms), few.moved(weights, atoms)
        assert exact.parts.far is None
        values.append(abs(found.value - exact.value))
        gradients.append(np.abs(System(found).gradient - System(exact).gradient).max())
    assert values[1] < 0.03 * values[0]
    assert values[0] < 0.1 * abs(exact.value)
    assert gradients[1] < 0.15 * gradients[0]


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_clusters_are_dropped_and_joined_with_what_they_left_out(name, monkeypatch):
    """Where two clusters have one atom, to take them for one changes nothing, whatever counts of either."""
    it, _ = large(name, False, monkeypatch)
    atoms = it.atoms.copy()
    first, second = np.array([0, 2]), np.array([1, 3])
    atoms[second] = atoms[first]
    weights = it.weights * np.where(np.isin(np.arange(len(it.weights)), second), 0.01, 1.0)  # so that fewer pairs count
    few = evaluate(it.problem, it.beta, weights / weights.sum(), atoms).nearby()
    kept = np.arange(len(weights)) > 3
    together = np.append(few.weights[kept], few.weights[first] + few.weights[second])
    joined = few.joined(together, np.concatenate([atoms[kept], atoms[first]]), kept, first, second)
    assert joined.value == pytest.approx(few.value, abs=1e-12)
    np.testing.assert_allclose(joined.log_z, few.log_z, atol=1e-13)
    np.testing.assert_allclose(joined.sums[: kept.sum()], few.sums[kept], atol=1e-13)
    np.testing.assert_allclose(joined.sums[-2:], few.sums[first], atol=1e-13)
    order = np.arange(len(weights))[::-1]
    back = few.moved(few.weights[order], atoms[order], order)
    assert back.value == pytest.approx(few.value, abs=1e-13)
    assert coalesce(few, 10.0).value <= few.value


@pytest.mark.parametrize("likely", sorted(SPOILT))
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_the_same_minimum_is_reached_however_few_pairs_count(name, likely, monkeypatch):
    it, _ = large(name, False, monkeypatch, SPOILT[likely], factor=6.0)
    values = [it.value]
    for _ in range(30):
        it, _, done = newton_near(it, 1e-12, 12)
        assert it.parts.far is None
        assert it.value == pytest.approx(evaluate(it.problem, it.beta, it.weights, it.atoms).value, abs=1e-13)
        np.testing.assert_allclose(it.atoms.sum(axis=1), 1.0, rtol=1e-14)
        assert it.weights.sum() == pytest.approx(1.0, abs=1e-14)
        values.append(it.value)
        if done:
            break
    assert done
    assert (np.diff(values) <= 1e-14).all()
    monkeypatch.undo()
    end, _ = minimise(evaluate(it.problem, it.beta, it.weights, it.atoms))
    assert end.value == pytest.approx(it.value, abs=1e-9)


def test_steps_that_raise_the_objective_are_not_taken(monkeypatch):
    """Where what is left out says nothing, fewer steps are tried, then one among all pairs."""
    it, _ = large("ib", False, monkeypatch)
    tried = []

    def nowhere(found, tolerance, steps):
        tried.append((found.parts.far is None, steps))
        if found.parts.far is None:
            return it, 1.0, False
        worse = found.moved(np.full(len(found.weights), 1.0 / len(found.weights)), found.atoms)
        worse = type(worse)(worse.problem, worse.beta, worse.weights, worse.atoms, found.value - 1.0, worse.log_z)
        return worse, 1.0, True

    monkeypatch.setattr(near, "newton_cg", nowhere)
    end, _, done = newton_near(it, 1e-12, 12)
    assert end is it
    assert not done
    assert tried == [(False, 12), (False, 3), (True, 1)]


@pytest.mark.parametrize(("more", "far"), [(0, True), (-1, False)])
def test_pairs_that_are_not_few_are_all_looked_at(more, far, monkeypatch):
    it, _ = large("ib", False, monkeypatch)
    monkeypatch.setattr(near, "MOST_NEAR", it.parts.likely.nnz + more)
    seen = []
    whole = near.newton_cg
    monkeypatch.setattr(
        near, "newton_cg", lambda found, *rest: seen.append(found.parts.far is not None) or whole(found, *rest)
    )
    newton_near(it, 1e-10, 3)
    assert seen[0] is far
