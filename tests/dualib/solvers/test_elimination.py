"""Newton steps by elimination against the Hessian and against conjugate gradients; both sides of where they are taken."""

import numpy as np
import pytest
from joints import PROBLEMS, smooth_joint

from dualib import local_critical_beta
from dualib.solvers import columns, elimination, stability
from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import start_from
from dualib.solvers.elimination import Blocks, Elimination, instability_by_pairs, newton_by_elimination, pairs_of
from dualib.solvers.iterate import evaluate


def near_a_minimum(problem, factor=3.0):
    """An iterate whose clusters are stable, with a gradient."""
    it = iterate(start_from(problem, factor * local_critical_beta(problem)), 200)
    return evaluate(problem, it.beta, it.weights, it.atoms * 0.99 + 0.01 * problem.joint.p_y)


@pytest.fixture
def everywhere(monkeypatch):
    """Any number of symbols, however long it takes."""
    monkeypatch.setattr(elimination, "LEAST_Y", 0)
    monkeypatch.setattr(elimination, "PRODUCTS", np.inf)


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("shape", [(24, 5), (6, 9)])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_the_step_solves_newtons_equations(name, shape, weak):
    """(H + shift) s = −g without the terms between an atom and its own weight, with blocks of the size of y (24×5) or x (6×9)."""
    shift = 0.1
    it = near_a_minimum(PROBLEMS[name](smooth_joint(*shape, weak=weak)))
    found = Elimination.of(it, np.ones_like(it.kernel, dtype=bool))
    assert found.groups[0].by_symbols == (shape[0] > shape[1])
    step, stable = found.step(shift)
    assert stable
    system = found.system
    product = system.product(step)
    product[:, 0] += (system.mean * step[:, 1:]).sum(axis=1)
    product[:, 1:] += system.mean * step[:, :1]
    added = shift * np.column_stack([step[:, 0], system.exact_curvature * step[:, 1:]])
    added[:, 1:] -= system.tangent * (system.tangent * added[:, 1:]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(product + added, -system.gradient, atol=1e-3 * np.abs(system.gradient).max())
    assert (system.tangent * step[:, 1:]).sum(axis=1) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(24, 5), (6, 9)])
def test_blocks_that_are_not_positive_definite_are_shifted(shape):
    """One cluster above its critical β: β λ_max(C) > 1 is the largest eigenvalue, and the inverse is positive definite."""
    problem = PROBLEMS["ib"](smooth_joint(*shape))
    for factor in (0.9, 1.1, 3.0):
        it = evaluate(problem, factor * local_critical_beta(problem), np.ones(1), problem.single_decoder)
        group = Elimination.of(it, np.ones_like(it.kernel, dtype=bool)).groups[0]
        assert np.linalg.eigvalsh(group.square)[0, -1] == pytest.approx(factor, rel=1e-4)
        blocks = Blocks.of(group, 0.0)
        assert blocks.scale[0] == pytest.approx(1.0 if factor < 1.0 else factor + max(factor - 1.0, 0.01), rel=1e-3)
        assert np.linalg.eigvalsh(blocks.inverse).min() > 0.0


@pytest.mark.parametrize("factor", [1.2, 3.0, 10.0])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_it_reaches_the_minimum_of_conjugate_gradients(name, factor, everywhere, monkeypatch):
    for joint in (smooth_joint(20, 5), smooth_joint(12, 45, seed=1), smooth_joint(20, 5, weak=True)):
        problem = PROBLEMS[name](joint)
        it = start_from(problem, factor * local_critical_beta(problem))
        found, _ = columns.minimise(it, 0)
        assert found.value <= it.value + 1e-13
        with monkeypatch.context() as other:
            other.setattr(columns, "pairs_of", lambda it: None)
            expected, _ = columns.minimise(it, 0)
        assert found.value == pytest.approx(expected.value, abs=1e-9 * expected.value)


def test_pairs_of_small_weight_are_left_out_of_the_hessian_not_of_the_gradient(everywhere, monkeypatch):
    problem = PROBLEMS["ib"](smooth_joint(40, 6))
    it = start_from(problem, 8.0 * local_critical_beta(problem))
    values = []
    for kept in (0.0, 1e-3, 0.01):
        monkeypatch.setattr(elimination, "KEPT", kept)
        end, size, done, _ = newton_by_elimination(it, 1e-13, 200)
        assert done
        assert size < 1e-5
        values.append(end.value)
        left = pairs_of(it).mean()
    assert left < 0.9
    np.testing.assert_allclose(values, values[0], rtol=1e-11)


def test_where_it_is_taken(monkeypatch):
    """Both sides of the fewest symbols, the most x and the most work."""
    problem = PROBLEMS["ib"](smooth_joint(12, 8))
    it = start_from(problem, 3.0 * local_critical_beta(problem))
    monkeypatch.setattr(elimination, "PRODUCTS", 1e6)
    for least_y, most_x, taken in ((8, 12, True), (9, 12, False), (8, 11, False)):
        monkeypatch.setattr(elimination, "LEAST_Y", least_y)
        monkeypatch.setattr(elimination, "MOST_X", most_x)
        assert (pairs_of(it) is not None) == taken
    monkeypatch.setattr(elimination, "MOST_X", 12)
    monkeypatch.setattr(elimination, "LEAST_Y", 8)
    sizes = pairs_of(it).sum(axis=1)
    work = (2.0 * sizes**2 * 8 + 6.0 * sizes * np.minimum(sizes, 8) ** 2).sum() / it.kernel.size / 8
    for most, taken in ((1.001 * work, True), (0.999 * work, False)):
        monkeypatch.setattr(elimination, "PRODUCTS", most)
        assert (pairs_of(it) is not None) == taken
    assert newton_by_elimination(it, 1e-12, 5)[0] is it


@pytest.mark.parametrize("shape", [(30, 6), (6, 12)])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_unstable_clusters_from_pairs(name, shape):
    """The largest eigenvalue and its direction as from the matrices of :func:`dualib.solvers.stability.instability`."""
    problem = PROBLEMS[name](smooth_joint(*shape))
    it = start_from(problem, 2.0 * local_critical_beta(problem))
    largest, direction = stability.instability(problem, it.beta, it.atoms, it.posterior)
    found, along = instability_by_pairs(it, np.ones_like(it.kernel, dtype=bool))
    np.testing.assert_allclose(found, largest, rtol=1e-3)
    one = int(largest.argmax())
    cosine = direction[one] @ along[one] / np.linalg.norm(direction[one]) / np.linalg.norm(along[one])
    assert abs(cosine) == pytest.approx(1.0, abs=1e-2)
