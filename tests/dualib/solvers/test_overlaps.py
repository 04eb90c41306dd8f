"""Blocks of neighbouring clusters against the dense Hessian, and the minimum that they lead to against that without them."""

import numpy as np
import pytest
from joints import PROBLEMS, smooth_joint

from dualib import IB, DualIB, Joint, local_critical_beta
from dualib.solvers import columns, krylov, minimum, newton, overlaps
from dualib.solvers.atoms import EDGE, inside, start_from
from dualib.solvers.distances import separations
from dualib.solvers.hessian import System
from dualib.solvers.iterate import evaluate
from dualib.solvers.overlaps import Overlaps, neighbours


def rough(problem, factor=3.0):
    """An iterate that is no minimum, two of its clusters near each other."""
    it = start_from(problem, factor * local_critical_beta(problem))
    atoms = it.atoms * 0.7 + 0.3 * problem.joint.p_y
    atoms[1] = 0.97 * atoms[0] + 0.03 * atoms[1]
    return evaluate(problem, it.beta, it.weights, atoms)


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_blocks_are_those_of_the_dense_hessian(name, weak):
    it = rough(PROBLEMS[name](smooth_joint(weak=weak)))
    _, hessian, basis = newton._system(it)
    n_t, n_y = it.atoms.shape
    members = np.array([[0, 1, 3], [5, 4, 2]])
    found = overlaps.blocks(System(it), members).reshape(2, 3, n_y + 1, 3, n_y + 1)
    dense = hessian.reshape(n_t, n_y, n_t, n_y)
    for group, block in zip(members, found, strict=True):
        for i, t in enumerate(group):
            normal = np.r_[0.0, np.sqrt(it.atoms[t])]
            np.testing.assert_allclose(block[i, :, i] @ normal, normal, atol=1e-4)
            for j, u in enumerate(group):
                left, right = (np.zeros((n_y + 1, n_y)) for _ in range(2))
                left[0, 0] = right[0, 0] = 1.0
                left[1:, 1:], right[1:, 1:] = basis[t], basis[u]
                scale = np.abs(hessian).max()
                np.testing.assert_allclose(left.T @ block[i, :, j] @ right, dense[t, :, u], atol=2e-5 * scale)


def test_what_is_solved_and_added_fits_together():
    """|blocks|′ = blocks + added, inverse to solved; nothing outside the groups; each |λ|′ is positive."""
    it = rough(IB(smooth_joint(14, 5)))
    system = System(it)
    groups = [np.array([[0, 1], [4, 7]]), np.array([[2, 3, 9]])]
    found = Overlaps.of(system, groups)
    v = np.random.default_rng(0).normal(size=system.gradient.shape)
    solved, alone = found.solved(v), [t for t in range(len(v)) if t not in (0, 1, 2, 3, 4, 7, 9)]
    back = found.added(solved)
    np.testing.assert_array_equal(solved[alone, 1:], v[alone, 1:])
    diagonal = [block[0, 0] for block in overlaps.blocks(system, np.arange(len(v))[:, None])]
    np.testing.assert_allclose(solved[alone, 0] * np.array(diagonal)[alone], v[alone, 0], rtol=1e-5)
    np.testing.assert_allclose(found.bent(solved), v, atol=1e-6 * np.abs(solved).max())
    np.testing.assert_array_equal(back[alone], 0.0)
    for members in groups:
        for group, block in zip(members, overlaps.blocks(system, members), strict=True):
            back[group] += (block @ solved[group].ravel()).reshape(len(group), -1)
            np.testing.assert_allclose(back[group], v[group], atol=1e-6 * np.abs(solved).max())
    assert all((bent > 0).all() for *_, bent in found.parts)


def test_no_block_moves_a_cluster_far(monkeypatch):
    """The step of a block alone, along each of its directions, is at most REACH; with a small reach it binds.

    A light cluster's weight may grow to a share of the average one.
    """
    system = System(rough(DualIB(smooth_joint(14, 5))))
    limits = np.repeat(system.root, system.gradient.shape[1], axis=1)
    limits[:, 0] *= overlaps.most_change(system.it.weights)
    assert (limits[:, 0] ** 2 >= system.it.weights * (1 - 1e-12)).all()
    np.testing.assert_allclose(overlaps.most_change(np.array([1e-6, 1.0 - 1e-6])), [0.15e6, 1.0])
    for reach in (1.0, 1e-3):
        monkeypatch.setattr(overlaps, "REACH", reach)
        members, vectors, _, bent = Overlaps.of(system, [np.array([[0, 1], [4, 7]])]).parts[0]
        steps = np.abs((system.gradient[members].reshape(2, 1, -1) @ vectors)[:, 0] / bent)
        largest = steps * np.linalg.norm(vectors / limits[members].reshape(2, -1, 1), axis=1)
        assert largest.max() <= reach * (1 + 1e-12)
    assert largest.max() == pytest.approx(reach)


def test_neighbours_are_the_nearest_in_groups_of_limited_size():
    rng = np.random.default_rng(1)
    atoms = rng.dirichlet(np.ones(4), 40)
    beta = 12.0
    groups = neighbours(atoms, beta)
    apart = separations(atoms, atoms, beta)
    taken = np.concatenate([members.ravel() for members in groups])
    assert len(set(taken)) == len(taken) > 0
    assert [members.shape[1] for members in groups] == sorted({members.shape[1] for members in groups})
    assert max(members.shape[1] for members in groups) == overlaps.LARGEST_GROUP
    for members in groups:
        for group in members:
            near = apart[np.ix_(group, group)] + np.diag(np.full(len(group), np.inf))
            assert (near.min(axis=1) < overlaps.WITHIN).all()
    alone = np.setdiff1d(np.arange(40), taken)
    between = apart[np.ix_(alone, alone)] + np.diag(np.full(len(alone), np.inf))
    assert (between >= overlaps.WITHIN).all()
    assert neighbours(atoms, 1e9) == []
    assert neighbours(atoms[:1], beta) == []


@pytest.mark.parametrize(("n_y", "largest"), [(20, 3), (21, 2), (31, 2), (32, 0)])
def test_groups_are_smaller_where_there_are_many_symbols(n_y, largest):
    atoms = np.random.default_rng(0).dirichlet(np.full(n_y, 100.0), 12)
    assert max((members.shape[1] for members in neighbours(atoms, 1.0)), default=0) == largest


def test_another_start_is_tried_where_it_is_cheap_or_gains_something(monkeypatch):
    it = rough(PROBLEMS["ib"](smooth_joint()))
    size = it.atoms.size * len(it.log_z)
    for cheap, gain, worth in ((size, 0.0, True), (size - 1, 0.0, False), (size - 1, 1e-3, True)):
        monkeypatch.setattr(columns, "CHEAP", cheap)
        assert columns.Found(it, 1e-6, 0.0, gain).worth_another(1e-9) == worth
        assert not columns.Found(it, 1e-6, 0.0, gain).worth_another(1e-6 / columns.SETTLED)


def test_only_rows_at_the_edge_are_moved_inside():
    problem = IB(Joint.from_conditional([0.3, 0.3, 0.4], [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.1, 0.7, 0.2]]))
    rows, p_y = problem.p_y_given_x.copy(), problem.joint.p_y
    for small, moved in ((0.99 * EDGE * p_y[2], True), (1.01 * EDGE * p_y[2], False)):
        rows[0] = [0.5, 0.5 - small, small]
        found = inside(rows, problem)
        np.testing.assert_array_equal(found[1:], rows[1:])
        assert (found[0, 2] > 1e-4 * p_y[2]) == moved
        np.testing.assert_allclose(found.sum(axis=1), 1.0)


@pytest.mark.parametrize("refreshed", [1, 3])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_minima_are_those_without_blocks(name, refreshed, monkeypatch):
    it = rough(PROBLEMS[name](smooth_joint(40, 5)), 1.5)
    monkeypatch.setattr(krylov, "REFRESHED", refreshed)
    found, size = minimum.minimise(it, 0)
    assert size < 1e-5
    monkeypatch.setattr(overlaps, "WITHIN", 0.0)
    plain, _ = minimum.minimise(it, 0)
    assert found.value == pytest.approx(plain.value, abs=1e-10)
    dense, _ = minimum.minimise(it, 10**6)
    assert found.value == pytest.approx(dense.value, abs=1e-10)


def test_the_diagonal_of_the_weights_for_clusters_of_next_to_no_weight():
    """It is that of the dense Hessian; where single precision ends, it stays finite and raises no warning."""
    problem = IB(Joint.from_conditional([0.5, 0.3, 0.2], [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]))
    atoms = np.vstack([problem.joint.p_y, problem.joint.p_y_given_x[1]])
    for light in (1e-3, 1e-12, 1e-60):
        it = evaluate(problem, 400.0, np.array([1.0, light]), atoms)
        found = overlaps.of_weights(System(it))[:, 0]
        expected = it.weights * ((it.kernel / it.z) ** 2 @ problem.joint.p_x)
        if light > 1e-50:
            np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert np.isfinite(found).all()
        assert (found > 0.0).all()


def test_blocks_of_clusters_of_next_to_no_weight():
    """Where z² is below single precision, the blocks stay finite; those of moderate clusters are what they were."""
    problem = IB(Joint.from_conditional([0.5, 0.3, 0.2], [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]))
    atoms = problem.joint.p_y_given_x[[1, 1]] * [1.0, 1.0 + 1e-6, 1.0]
    atoms /= atoms.sum(axis=1, keepdims=True)
    for light in (1.0, 1e-12, 1e-30):
        system = System(evaluate(problem, 400.0, np.array([light, light]), atoms))
        found = overlaps.blocks(system, np.array([[0, 1]]))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), rtol=1e-6, atol=1e-6)
