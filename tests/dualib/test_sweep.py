"""Points as they come: the same bits on any executor, kept as soon as they are solved, gone on with."""

import itertools
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from multiprocessing import get_context, parent_process

import numpy as np
import pytest
from joints import PROBLEMS, random_joint, smooth_joint

import dualib
from dualib.core.parallel import in_order
from dualib.curves import budget, downwards, sweep
from dualib.curves.sweep import SEGMENT
from dualib.solvers.iterate import evaluate


@pytest.fixture(scope="module")
def problem():
    return dualib.IB(random_joint(5, 6, 3))


@pytest.fixture(scope="module")
def grid(problem):
    """Two whole segments and a part of one."""
    return dualib.default_betas(problem, 2 * SEGMENT + 3)


@pytest.fixture(scope="module")
def whole(problem, grid):
    return dualib.information_curve(problem, grid, resolution=0.1)


def assert_same_bits(curve, other):
    for f in fields(curve):
        if not f.name.startswith("seconds") and f.name not in ("solutions", "stored_transitions"):
            a, b = getattr(curve, f.name), getattr(other, f.name)
            for one, two in zip(a, b, strict=True) if isinstance(a, tuple) else ((a, b),):
                np.testing.assert_array_equal(one, two)
    for one, two in zip(curve.solutions, other.solutions, strict=True):
        np.testing.assert_array_equal(one.p_t_given_x, two.p_t_given_x)


def spawned(workers):
    """Processes that inherit nothing: a fork of a process in which JAX runs threads would be refused by a warning."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, spawned])
def test_the_numbers_do_not_depend_on_the_executor(problem, grid, whole, pool):
    with pool(2) as executor:
        assert_same_bits(whole, dualib.information_curve(problem, grid, resolution=0.1, executor=executor))


def test_the_numbers_do_not_depend_on_the_cluster(problem, grid, whole, tmp_path):
    """dask.distributed, two processes."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp") as cluster,
        distributed.Client(cluster) as client,
    ):
        curve = dualib.information_curve(problem, grid, resolution=0.1, executor=client.get_executor(), out=tmp_path)
    assert_same_bits(whole, curve)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what a cluster says of a worker that is gone
def test_a_killed_worker_of_a_cluster_loses_nothing(problem, grid, whole, tmp_path):
    """One of two workers is killed as soon as a point is there: its segments are solved again, to the same bits."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp") as cluster,
        distributed.Client(cluster) as client,
    ):
        points = dualib.curve_points(problem, grid, executor=client.get_executor(), out=tmp_path, progress=False)
        first = next(points)
        victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        found = [first, *points]
        assert victim not in client.run(os.getpid).values()
    assert [point.beta for point in found] == list(grid)
    assert len(list(tmp_path.glob("beta_*.npz"))) == len(grid)
    again = dualib.information_curve(problem, grid, resolution=0.1, out=tmp_path)
    assert_same_bits(whole, again)


def _end(item):
    """The third item kills its worker, as a machine out of memory does, but not the process of the test."""
    if item == 2 and parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def test_a_killed_worker_loses_nothing():
    with spawned(2) as executor, pytest.warns(RuntimeWarning, match="going on in this process"):
        assert list(in_order(_end, range(6), executor=executor, progress=False)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("kind", sorted(PROBLEMS))
def test_every_point_is_the_solution_at_its_beta(kind):
    """Whichever segment it is in, also at its ends; F of neighbours is concave across the cuts."""
    problem = PROBLEMS[kind](random_joint(6, 5, 3))
    betas = dualib.default_betas(problem, 2 * SEGMENT)
    points = list(dualib.curve_points(problem, betas, progress=False))
    np.testing.assert_array_equal([p.beta for p in points], betas)
    for point in points[SEGMENT - 2 : SEGMENT + 2]:
        alone = dualib.solve(problem, point.beta)
        assert point.certified
        assert point.objective == pytest.approx(alone.objective, abs=2e-9)
        assert alone.lower_bound <= point.objective
    slopes = np.diff([p.objective for p in points]) / np.diff(betas)
    assert (np.diff(slopes) <= 1e-8).all()


@pytest.mark.parametrize("kind", sorted(PROBLEMS))
def test_a_small_problem_is_swept_at_once_to_the_same_objectives(kind, monkeypatch):
    """On both sides of the limit: by segments, the long ways between their tops walked or not, and as a whole."""
    problem = PROBLEMS[kind](smooth_joint(12, 5))
    betas = dualib.default_betas(problem, 2 * SEGMENT + 3)
    found = []
    for small, unknowns in ((12**2 * 5, 300), (12**2 * 5 - 1, 300), (12**2 * 5 - 1, 0)):
        monkeypatch.setattr(sweep, "SMALL", small)
        monkeypatch.setattr(downwards, "MAX_UNKNOWNS", unknowns)
        found.append([point.objective for point in dualib.curve_points(problem, betas, certify=False, progress=False)])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-10)


def test_over_a_long_way_clusters_meet_one_after_the_other(monkeypatch):
    problem = PROBLEMS["ib"](smooth_joint(12, 5))
    local = dualib.local_critical_beta(problem)
    it = evaluate(problem, 10.0 * local, problem.p_x, problem.p_y_given_x)
    near = downwards.walked(it, 0.99 * it.beta)
    monkeypatch.setattr(downwards, "MAX_UNKNOWNS", 0)
    far = downwards.walked(it, 1.5 * local)
    assert len(near.weights) == 12
    assert len(far.weights) < 12
    assert (near.beta, far.beta) == (0.99 * it.beta, 1.5 * local)
    assert far.value < evaluate(problem, far.beta, problem.p_x, problem.p_y_given_x).value


def test_what_was_interrupted_is_gone_on_with_to_the_same_bits(problem, grid, whole, tmp_path, monkeypatch):
    for n, _ in enumerate(itertools.islice(dualib.curve_points(problem, grid, out=tmp_path), SEGMENT + 4), 1):
        assert len(list(tmp_path.glob("beta_*.npz"))) == n  # on disk as soon as it is there
    again = dualib.information_curve(problem, grid, resolution=0.1, out=tmp_path)
    assert_same_bits(whole, again)
    assert len(list(tmp_path.glob("beta_*.npz"))) == len(whole.beta)

    def refuse(*_, **__):
        pytest.fail("solved again")

    monkeypatch.setattr(sweep, "generate_columns", refuse)
    monkeypatch.setattr(downwards, "generate_columns", refuse)
    monkeypatch.setattr(sweep, "gone_on", refuse)
    monkeypatch.setattr(budget, "gone_on", refuse)
    assert_same_bits(whole, dualib.information_curve(problem, grid, resolution=0.1, out=tmp_path))


def test_points_of_other_settings_are_refused_and_named(problem, grid, tmp_path):
    next(dualib.curve_points(problem, grid, certify=False, out=tmp_path))
    other = random_joint(7, 6, 3)
    for call, words in (
        (lambda: dualib.curve_points(problem, grid, out=tmp_path), "certify: False there, True now"),
        (lambda: dualib.curve_points(problem, grid[1:], certify=False, out=tmp_path), "betas: '23 from"),
        (lambda: dualib.curve_points(dualib.DualIB(problem.joint), grid, certify=False, out=tmp_path), "problem: 'ib'"),
        (lambda: dualib.curve_points(dualib.IB(other), grid, certify=False, out=tmp_path), "joint: '6 x 3, "),
    ):
        with pytest.raises(ValueError, match=f"was begun with other settings .*{words}"):
            call()


def test_a_grid_is_checked_before_any_work(problem):
    for bad, words in (
        (np.ones(10**6), "betas has 1000000 values"),
        ([], "betas is empty"),
        ([1.0, np.inf], "finite"),
    ):
        with pytest.raises(ValueError, match=words):
            dualib.curve_points(problem, bad)


def test_a_curve_begins_at_rate_zero():
    """Sharing time with one cluster, whose distortion for IB is I(X;Y) at no relevance."""
    problem = dualib.IB(random_joint(5, 6, 3))
    curve = dualib.information_curve(problem, [30.0, 60.0], certify=False)
    nothing, half = curve.at_rate(0.0), curve.at_rate(0.5 * curve.rate[0])
    assert (nothing.relevance, nothing.distortion) == (0.0, pytest.approx(problem.joint.mutual_information()))
    assert half.relevance == pytest.approx(0.5 * curve.relevance[0])
    assert half.distortion == pytest.approx(0.5 * (nothing.distortion + curve.distortion[0]))
    assert half.relevance <= half.relevance_bound
    assert curve.at_relevance(0.5 * curve.relevance[0]).rate == pytest.approx(0.5 * curve.rate[0])
    with pytest.raises(ValueError, match="outside the curve, 0 to"):
        curve.at_rate(-0.1)


def test_clusters_are_listed_under_the_names_of_their_symbols(tmp_path):
    joint = dualib.Joint.from_counts([[8, 1], [2, 7], [5, 4]], y_labels=["sun", "rain"])
    curve = dualib.information_curve(dualib.IB(joint), [2.0, 40.0], certify=False)
    curve.save(tmp_path / "c.npz")
    table = dualib.InformationCurve.load(tmp_path / "c.npz").clusters_to_frame()
    assert list(table.columns) == ["beta", "t", "p(t)", "p(y = sun | t)", "p(y = rain | t)"]
    for _, rows in table.groupby("beta"):
        mean = rows["p(t)"].to_numpy() @ rows[["p(y = sun | t)", "p(y = rain | t)"]].to_numpy()
        np.testing.assert_allclose(mean, joint.p_y, atol=1e-9)
    np.testing.assert_array_equal(table.groupby("beta").size(), curve.n_clusters)


def test_further_points_have_what_those_of_the_grid_have(monkeypatch):
    """Where the work is enough for every point nothing is proven twice; and never is more spent than was stated."""
    problem = dualib.IB(random_joint(6, 8, 5))
    betas = dualib.local_critical_beta(problem) * np.array([1.5, 3.0, 6.0])
    few = dualib.information_curve(problem, betas, resolution=0.05, certify=dualib.Certify(max_work=400_000))
    assert sum(s.work for s in few.solutions) <= 1.2 * 400_000
    monkeypatch.setattr(budget, "again", lambda *_: pytest.fail("proven twice"))
    curve = dualib.information_curve(problem, betas, resolution=0.05, certify=dualib.Certify(max_work=100_000_000))
    assert curve.certified.all()
    assert len(curve.beta) > 2 * len(betas)


def test_a_curve_spends_its_work_on_the_open_points(tmp_path):
    """All points together keep the limit; easy ones leave their share; the same bits where it goes on from files."""
    problem = dualib.DualIB(random_joint(8, 12, 6))
    betas = dualib.local_critical_beta(problem) * np.array([0.3, 0.9, 1.5, 3.0, 50.0])
    work = 4_000_000
    curve = dualib.information_curve(problem, betas, certify=dualib.Certify(max_work=work), out=tmp_path)
    again = dualib.information_curve(problem, betas, certify=dualib.Certify(max_work=work), out=tmp_path)
    assert_same_bits(curve, again)
    spent = np.array([s.work for s in curve.solutions])
    assert spent.max() > work / len(betas) > spent.min()  # more than an equal share where it is needed
    assert spent.sum() <= 1.2 * work
    assert (curve.note == "") == curve.certified.all()
    if not curve.certified.all():
        assert "proofs stopped short" in curve.note
        assert f"max_work = {work:.2g}" in curve.note
    first = list(dualib.curve_points(problem, betas, certify=dualib.Certify(max_work=work)))
    assert all(s.gap <= one.gap for s, one in zip(curve.solutions, first, strict=True))
    plenty = dualib.information_curve(problem, betas, certify=dualib.Certify(max_work=100 * work))
    assert plenty.certified.all()
    assert plenty.note == ""
    assert (curve.lower_bound <= plenty.objective).all()
