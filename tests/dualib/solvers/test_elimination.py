"""Newton steps by elimination against the Hessian and against conjugate gradients; both sides of where they are taken."""

from dataclasses import replace

import numpy as np
import pytest
from joints import PROBLEMS, smooth_joint

from dualib import local_critical_beta
from dualib.solvers import elimination, minimum, stability
from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import start_from
from dualib.solvers.blocks import Blocks
from dualib.solvers.elimination import FINE, ROUGH, Elimination, instability_by_pairs, newton_by_elimination, pairs_of
from dualib.solvers.iterate import evaluate


def near_a_minimum(problem, factor=3.0):
    """An iterate whose clusters are stable, with a gradient."""
    it = iterate(start_from(problem, factor * local_critical_beta(problem)), 200)
    return evaluate(problem, it.beta, it.weights, it.atoms * 0.99 + 0.01 * problem.joint.p_y)


EVERYWHERE = replace(ROUGH, least_y=0, products=np.inf)  # any number of symbols, however long it takes


@pytest.mark.parametrize(("precision", "error"), [(ROUGH, 1e-3), (FINE, 1e-9)])
@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("shape", [(24, 5), (6, 9)])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_the_step_solves_newtons_equations(name, shape, weak, precision, error):
    """(H + shift) s = −g without the terms between an atom and its own weight, with blocks of the size of y (24×5) or x (6×9)."""
    shift = 0.1
    it = near_a_minimum(PROBLEMS[name](smooth_joint(*shape, weak=weak)))
    found = Elimination.of(it, np.ones_like(it.kernel, dtype=bool), precision)
    assert found.groups[0].by_symbols == (shape[0] > shape[1])
    step, stable = found.step(shift)
    assert stable
    system = found.system
    product = hessian_product(it, system, step)
    added = shift * np.column_stack([step[:, 0], system.exact_curvature * step[:, 1:]])
    added[:, 1:] -= system.tangent * (system.tangent * added[:, 1:]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(product + added, -system.gradient, atol=error * np.abs(system.gradient).max())
    assert (system.tangent * step[:, 1:]).sum(axis=1) == pytest.approx(0.0, abs=1e-6)


def hessian_product(it, system, step):
    """The Hessian times a step from all slopes, in double precision, without the terms between an atom and its own weight."""
    scale, offset = system.slope
    slopes = scale[:, None, :] * it.problem.near_sums[:, 1:] + offset[:, None, :]
    slopes -= (slopes @ system.tangent[:, :, None]) * system.tangent[:, None, :]
    p_ratio = it.problem.p_x * it.ratio
    along = np.einsum("txy,ty->tx", slopes, step[:, 1:])
    back = (system.root * it.ratio * (step[:, :1] + along)).sum(axis=0)
    out = np.column_stack([system.root[:, 0] * (p_ratio @ back), system.exact_curvature * step[:, 1:]])
    out[:, 1:] += np.einsum("txy,tx->ty", slopes, p_ratio * (system.root * back - along))
    out[:, 1:] -= system.tangent * (system.tangent * out[:, 1:]).sum(axis=1, keepdims=True)
    return out


@pytest.mark.parametrize(("precision", "error"), [(ROUGH, 1e-4), (FINE, 1e-11)])
@pytest.mark.parametrize("shape", [(24, 5), (6, 9)])
def test_eigenvalues_of_a_block_below_0_are_turned_upwards(shape, precision, error):
    """One cluster below and above its critical β: β λ_max(C) is the largest eigenvalue, and B⁻¹ that of |B|."""
    problem = PROBLEMS["ib"](smooth_joint(*shape))
    for factor in (0.9, 1.1, 3.0):
        it = evaluate(problem, factor * local_critical_beta(problem), np.ones(1), problem.single_decoder)
        group = Elimination.of(it, np.ones_like(it.kernel, dtype=bool), precision).groups[0]
        assert np.linalg.eigvalsh(group.square)[0, -1] == pytest.approx(factor, rel=1e-4)
        blocks = Blocks.of(group, 0.0, precision.least)
        assert blocks.stable == (factor < 1.0)
        a = group.slopes[0].astype(float)
        values, vectors = np.linalg.eigh(np.eye(a.shape[1]) - a.T @ a)
        inverse = vectors / np.abs(values) @ vectors.T
        np.testing.assert_allclose(blocks.among_x[0], a @ inverse @ a.T, atol=100 * error)
        v = np.random.default_rng(0).normal(size=(1, a.shape[1])).astype(precision.type)
        np.testing.assert_allclose(blocks.solved(v)[0], inverse @ v[0], atol=100 * error)


@pytest.mark.parametrize("factor", [1.2, 3.0, 10.0])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_it_reaches_the_minimum_of_conjugate_gradients(name, factor, monkeypatch):
    monkeypatch.setattr(minimum, "ROUGH", EVERYWHERE)
    for joint in (smooth_joint(20, 5), smooth_joint(12, 45, seed=1), smooth_joint(20, 5, weak=True)):
        problem = PROBLEMS[name](joint)
        it = start_from(problem, factor * local_critical_beta(problem))
        found, _ = minimum.minimise(it, 0)
        assert found.value <= it.value + 1e-13
        with monkeypatch.context() as other:
            other.setattr(minimum, "pairs_of", lambda *_: None)
            expected, _ = minimum.minimise(it, 0)
        assert found.value == pytest.approx(expected.value, abs=1e-9 * expected.value)


def test_pairs_of_small_weight_are_left_out_of_the_hessian_not_of_the_gradient():
    problem = PROBLEMS["ib"](smooth_joint(40, 6))
    it = start_from(problem, 8.0 * local_critical_beta(problem))
    values = []
    for kept in (0.0, 1e-3, 0.01):
        precision = replace(EVERYWHERE, kept=kept)
        end, size, done, _ = newton_by_elimination(it, 1e-13, 200, 0, precision)
        assert done
        assert size < 1e-5
        values.append(end.value)
        left = pairs_of(it, precision).mean()
    assert left < 0.9
    np.testing.assert_allclose(values, values[0], rtol=1e-11)


def test_where_it_is_taken(monkeypatch):
    """Both sides of the fewest symbols, the most x and the most work; of little work with any number of symbols."""
    problem = PROBLEMS["ib"](smooth_joint(12, 8))
    it = start_from(problem, 3.0 * local_critical_beta(problem))
    for least_y, most_x, taken in ((8, 12, True), (9, 12, False), (8, 11, False)):
        monkeypatch.setattr(elimination, "MOST_X", most_x)
        precision = replace(ROUGH, least_y=least_y, products=1e6)
        assert (pairs_of(it, precision) is not None) == taken
    assert newton_by_elimination(it, 1e-12, 5, 0, precision)[0] is it
    monkeypatch.setattr(elimination, "MOST_X", 12)
    sizes = pairs_of(it, replace(ROUGH, least_y=8, products=1e6)).sum(axis=1)
    work = (2.0 * sizes**2 * 8 + 6.0 * sizes * np.minimum(sizes, 8) ** 2).sum()
    small = work + elimination.SCATTERED * (sizes**2).sum()
    for factor, taken in ((1.001, True), (0.999, False)):
        products = factor * work / it.kernel.size / 8
        assert (pairs_of(it, replace(ROUGH, least_y=8, products=products)) is not None) == taken
        assert (pairs_of(it, replace(ROUGH, least_y=9, small=factor * small)) is not None) == taken


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
