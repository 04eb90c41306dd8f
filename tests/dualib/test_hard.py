"""Hard clusterings against brute force, the proven curve, and what each search promises of itself."""

import itertools

import numpy as np
import pytest

import dualib
from dualib import solve_at
from dualib.curves import front as front_module
from dualib.curves import hard_points as hard_points_module
from dualib.curves.front import ENUMERATED, hard_front, pareto_partitions
from dualib.curves.hard_points import HardMethod, hard_points
from dualib.measures import entropy, mutual_information
from dualib.solvers import hard
from dualib.solvers.hard import agglomerative_ib, deterministic_ib, sequential_ib


def random_joint(seed, n_x, n_y):
    rng = np.random.default_rng(seed)
    return dualib.Joint(rng.dirichlet(np.full(n_x * n_y, 0.5)).reshape(n_x, n_y))


def brute_force(joint):
    """{(H(T), I(T;Y))} of every labelling, by the definitions."""
    points = set()
    for labels in itertools.product(range(joint.n_x), repeat=joint.n_x):
        q = np.eye(joint.n_x)[list(labels)]
        table = q.T @ joint.p_xy
        points.add((round(float(entropy(table.sum(axis=1))), 10), round(mutual_information(table), 10)))
    return points


@pytest.mark.parametrize("seed", range(4))
def test_the_front_of_all_partitions_is_brute_forces(seed):
    joint = random_joint(seed, 5, 3)
    points = brute_force(joint)
    best = sorted(p for p in points if not any(o != p and o[0] <= p[0] and o[1] >= p[1] for o in points))
    front = hard_front(joint)
    assert front.exact
    np.testing.assert_allclose(np.column_stack([front.rate, front.relevance]), best, atol=2e-10)


def test_equal_rows_are_never_told_apart():
    joint = dualib.Joint.from_conditional([0.2, 0.3, 0.1, 0.4], [[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.5, 0.5]])
    front = hard_front(joint)
    assert (front.labels[:, 0] == front.labels[:, 2]).all()
    assert front.n_clusters.max() == 3
    assert front.relevance[-1] == pytest.approx(joint.mutual_information(), abs=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("n", [ENUMERATED, ENUMERATED + 1])
def test_both_sides_of_the_largest_enumeration(n):
    joint = random_joint(7, n, 2)
    front = hard_front(joint)
    assert front.exact == (n <= ENUMERATED)
    assert "no proof" in front.method or front.exact
    assert (np.diff(front.rate) > 0).all()
    assert (np.diff(front.relevance) > 0).all()
    if n > ENUMERATED:
        with pytest.raises(ValueError, match="too many partitions"):
            pareto_partitions(joint)


def test_no_hard_clustering_lies_above_the_proven_curve():
    joint = random_joint(3, 8, 3)
    curve = dualib.information_curve(dualib.IB(joint), np.geomspace(1.1, 60, 12))
    front = hard_front(joint)
    # F(β) ≥ lower bound: I(T;Y) ≤ I(X;Y) − (lower − I(X;T)) / β at every β.
    bound = joint.mutual_information() - (curve.lower_bound[:, None] - front.rate) / curve.beta[:, None]
    assert (front.relevance <= bound.min(axis=0) + 1e-12).all()


@pytest.mark.parametrize("seed", range(3))
def test_agglomeration_loses_what_it_says_and_nests(seed):
    joint = random_joint(seed, 30, 4)
    found = agglomerative_ib(joint)
    assert found.n_clusters.tolist() == list(range(30, 0, -1))
    assert found.relevance[0] == pytest.approx(joint.mutual_information(), abs=1e-12)
    assert found.relevance[-1] == pytest.approx(0.0, abs=1e-12)
    for finer, coarser in itertools.pairwise(found.labels):
        assert all(len(set(coarser[finer == t])) == 1 for t in set(finer.tolist()))
    for i, labels in enumerate(found.labels[:-1]):  # the cheapest merge of all pairs was taken
        table = np.zeros((30, 4))
        np.add.at(table, labels, joint.p_xy)
        pairs = itertools.combinations(range(found.n_clusters[i]), 2)
        losses = []
        for a, b in pairs:
            merged = np.delete(table, b, axis=0)
            merged[a] += table[b]
            losses.append(found.relevance[i] - mutual_information(merged[: found.n_clusters[i] - 1]))
        assert found.relevance[i] - found.relevance[i + 1] == pytest.approx(min(losses), abs=1e-12)
        if i == 4:
            break


def test_sequential_is_a_local_optimum_and_finds_the_planted_clusters():
    rows = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])[np.arange(12) % 3]
    rows = 0.95 * rows + 0.05 * np.random.default_rng(0).dirichlet(np.ones(3), 12)
    joint = dualib.Joint.from_conditional(np.full(12, 1 / 12), rows)
    found = sequential_ib(joint, 3)
    assert found.labels[0].tolist() == (np.arange(12) % 3).tolist()
    for x, t in itertools.product(range(12), range(3)):
        moved = found.labels[0].copy()
        moved[x] = t
        q = np.eye(3)[moved]
        assert mutual_information(q.T @ joint.p_xy) <= found.relevance[0] + 1e-12
    with pytest.raises(ValueError, match="more than the 12 distinct rows"):
        sequential_ib(joint, 13)


@pytest.mark.parametrize("beta", [2.0, 10.0, 100.0])
def test_deterministic_ib_stands_still_and_descends(beta):
    joint = random_joint(5, 20, 3)
    found = deterministic_ib(joint, beta)
    start = float(entropy(joint.p_x)) - beta * joint.mutual_information()
    assert found.rate[0] - beta * found.relevance[0] <= start + 1e-12
    q = np.eye(found.n_clusters[0])[found.labels[0]]
    table = q.T @ joint.p_xy
    weights = table.sum(axis=1)
    rows = joint.p_y_given_x[:, None]
    divergence = (rows * np.log(rows / (table / weights[:, None])[None])).sum(axis=2)
    gain = np.log(weights) - beta * divergence
    here = gain[np.arange(20), found.labels[0]]
    assert (gain.max(axis=1) <= here + 1e-9).all()


def test_a_search_that_is_cut_short_says_so(monkeypatch):
    joint = random_joint(5, 20, 3)
    assert "stopped" not in deterministic_ib(joint, 10.0).method
    monkeypatch.setattr(hard, "MAX_SWEEPS", 1)
    assert "stopped after 1 sweeps" in deterministic_ib(joint, 10.0).method


def test_both_sides_of_the_limits_are_said(monkeypatch):
    joint = random_joint(5, 20, 3)
    whole = sequential_ib(joint, 3)
    assert not whole.cut_short
    assert "stopped" not in whole.method
    monkeypatch.setattr(hard, "MAX_SWEEPS", 1)
    short = sequential_ib(joint, 3)
    assert short.cut_short
    assert "stopped after 1 sweeps" in short.method
    assert short.relevance[0] <= whole.relevance[0] + 1e-12
    monkeypatch.setattr(hard, "MAX_SWEEPS", 1000)
    for most, said in ((20, False), (19, True)):
        monkeypatch.setattr(front_module, "SEQUENTIAL", most)
        front = hard_front(joint)
        assert front.cut_short == said
        assert (f"sequential up to {most} clusters" in front.method) == said
    monkeypatch.setattr(front_module, "SEQUENTIAL", 20)
    monkeypatch.setattr(front_module, "LARGEST_AGGLOMERATION", 19)
    assert "no agglomeration of more than 19 rows" in hard_front(joint).method


def test_points_lie_as_far_below_the_proven_curve_as_is_said():
    joint = random_joint(3, 7, 3)
    curve = dualib.information_curve(dualib.IB(joint), np.geomspace(1.1, 60, 12))
    points = hard_points(joint, curve)
    assert points.methods[0] is HardMethod.FRONT
    assert points.found[0].exact
    assert points.note == ""
    for found, low, high in zip(points.found, points.below_low, points.below_high, strict=True):
        assert (low >= 0).all()
        assert (low <= high).all()
        assert (np.diff(found.rate) >= 0).all()
        for i in (0, len(found) // 2):
            if 0 < found.rate[i] < curve.rate[-1]:
                optimum = solve_at(dualib.IB(joint), rate=float(found.rate[i]))
                assert low[i] - 1e-9 <= optimum.relevance - found.relevance[i] <= high[i] + 1e-9
    frame = points.to_frame("nats")
    assert list(frame.columns[:3]) == ["method", "n_clusters", "rate_nats"]
    assert len(frame) == sum(map(len, points.found))
    best = points.found[0]  # no method beats the front
    for found in points.found[1:]:
        reach = [best.relevance[best.rate <= rate + 1e-12].max() for rate in found.rate]
        assert (found.relevance <= np.array(reach) + 1e-12).all()


def test_hard_points_name_their_limits_and_refuse_another_curve():
    joint = random_joint(2, 24, 2)
    points = hard_points(joint)
    assert np.isnan(points.below_low[0]).all()
    assert "sequential up to 20 clusters" in points.note
    assert "enumerated up to 12" in points.note
    dual = dualib.information_curve(dualib.DualIB(joint), [2.0])
    with pytest.raises(ValueError, match="only the IB curve"):
        hard_points(joint, dual)
    other = dualib.information_curve(dualib.IB(random_joint(1, 4, 2)), [2.0])
    with pytest.raises(ValueError, match="another joint"):
        hard_points(joint, other)
    assert [path.joined for path in points.plane_paths()] == [False] * 3


def test_blocks_and_the_largest_size(monkeypatch):
    joint = random_joint(4, 24, 3)
    whole = deterministic_ib(joint, 20.0)
    monkeypatch.setattr(hard, "BLOCK", 24 * 3 * 5)
    np.testing.assert_array_equal(deterministic_ib(joint, 20.0).labels, whole.labels)
    monkeypatch.setattr(hard_points_module, "LARGEST_AGGLOMERATION", 24)
    assert hard_points_module.check_size(joint) == 24
    monkeypatch.setattr(hard_points_module, "LARGEST_AGGLOMERATION", 23)
    with pytest.raises(ValueError, match=r"24 distinct rows.*up to 23: bin x"):
        hard_points(joint)


def test_both_sides_of_the_largest_agglomeration(monkeypatch):
    joint = random_joint(4, 15, 3)
    monkeypatch.setattr(hard, "LARGEST_AGGLOMERATION", 15)
    assert len(agglomerative_ib(joint)) == 15
    monkeypatch.setattr(hard, "LARGEST_AGGLOMERATION", 14)
    with pytest.raises(ValueError, match=r"15 distinct rows.*up to 14"):
        agglomerative_ib(joint)
    monkeypatch.setattr(front_module, "SEQUENTIAL", 15)
    for most, said in ((15, False), (14, True)):
        monkeypatch.setattr(front_module, "LARGEST_AGGLOMERATION", most)
        monkeypatch.setattr(hard, "LARGEST_AGGLOMERATION", most)
        front = hard_front(joint)
        assert front.cut_short == said
        assert ("no agglomeration" in front.method) == said


def test_the_figure_says_when_not_all_points_are_drawn(monkeypatch):
    points = hard_points(random_joint(2, 14, 2))
    most = max(map(len, points.found))
    for dots, thinned in ((most, False), (most - 1, True)):
        monkeypatch.setattr(hard_points_module, "DOTS", dots)
        for path, method, found in zip(points.plane_paths(), points.methods, points.found, strict=True):
            assert len(path.rate) == min(len(found), dots)
            assert path.rate[[0, -1]].tolist() == found.rate[[0, -1]].tolist()  # both ends stay
            said = f", {dots} of {len(found)}" if thinned and len(found) == most else ""
            assert path.name == f"{method}{said}"
