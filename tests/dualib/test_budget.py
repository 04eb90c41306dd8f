"""What a curve's work is spent on: searches that are gone on with, to the same bits wherever and however often they are interrupted."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context

import numpy as np
import pytest
from joints import random_joint

import dualib
from dualib.core.parallel import in_order
from dualib.curves import budget
from dualib.solvers.prove import Status

WORK = 3_000_000


@pytest.fixture(scope="module")
def problem():
    return dualib.IB(random_joint(1, 40, 7))


@pytest.fixture(scope="module")
def betas(problem):
    return dualib.local_critical_beta(problem) * np.array([0.5, 1.2, 1.6, 2.0, 2.5, 3.0])


def curve_of(problem, betas, **kwargs):
    return dualib.information_curve(problem, betas, certify=dualib.Certify(max_work=WORK), progress=False, **kwargs)


@pytest.fixture(scope="module")
def whole(problem, betas):
    return curve_of(problem, betas)


def assert_same(curve, other):
    assert curve.note == other.note
    for one, two in zip(curve.solutions, other.solutions, strict=True):
        for f in fields(one):
            if f.name != "problem":
                np.testing.assert_array_equal(getattr(one, f.name), getattr(two, f.name), err_msg=f.name)


def test_work_is_spent_on_open_points_and_none_of_it_twice(problem, betas, whole, monkeypatch):
    """All of it, of which every open point has some; and no box of a point is looked at in two turns."""
    assert 0.9 * WORK < sum(s.work for s in whole.solutions) < 1.2 * WORK
    assert "proofs stopped short" in whole.note
    assert "anew" not in whole.note
    ends = []

    def seen(function, tasks, **kwargs):
        for point in in_order(function, tasks, **kwargs):
            if isinstance(point, budget.Point) and point.held:
                ends.append((point.beta, point.held[1].boxes.examined, point.held[1].work, point.solution["work"]))
            yield point

    monkeypatch.setattr(budget, "in_order", seen)
    assert_same(whole, curve_of(problem, betas))
    assert len(ends) > len({beta for beta, *_ in ends}) >= 3  # several points, and several turns of some
    for _, _, of_search, of_point in ends:
        assert of_search == pytest.approx(of_point)  # nothing was begun anew since the first look
    for beta in {beta for beta, *_ in ends}:
        examined = [n for b, n, *_ in ends if b == beta]
        assert examined == sorted(set(examined))


def test_open_points_are_the_same_on_other_processes(problem, betas, whole):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert_same(whole, curve_of(problem, betas, executor=executor))


@pytest.mark.parametrize("lost", [1, 2])
def test_what_was_interrupted_between_turns_is_gone_on_with_to_the_same_bits(problem, betas, whole, lost, tmp_path):
    """The open boxes are in no file: what a search did before is done again."""
    assert_same(whole, curve_of(problem, betas, out=tmp_path))
    proofs = sorted(tmp_path.glob("*_work_*.npz"), key=lambda path: path.stat().st_mtime_ns)
    assert len(proofs) > 4
    for path in proofs[-lost:]:
        path.unlink()
    assert_same(whole, curve_of(problem, betas, out=tmp_path))
    for path in tmp_path.glob("*_work_*.npz"):  # nothing but the first looks
        path.unlink()
    assert_same(whole, curve_of(problem, betas, out=tmp_path))


def test_more_work_goes_on_with_what_is_on_disk(problem, betas, whole, tmp_path):
    """The remedy that the note names does not begin anew: no file is written again, every interval is inside the one before."""
    assert_same(whole, curve_of(problem, betas, out=tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    more = dualib.information_curve(problem, betas, certify=dualib.Certify(max_work=2 * WORK), out=tmp_path)
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()
    assert len(list(tmp_path.iterdir())) > len(before)
    assert (more.lower_bound > whole.lower_bound).sum() >= 3
    assert (more.lower_bound >= whole.lower_bound).all()
    assert (more.objective <= whole.objective + 1e-15).all()
    assert 0.9 * WORK < sum(s.work for s in more.solutions) < 2.4 * WORK


def test_less_work_loses_nothing_that_is_on_disk(problem, betas, whole, tmp_path):
    assert_same(whole, curve_of(problem, betas, out=tmp_path))
    less = dualib.information_curve(problem, betas, certify=dualib.Certify(max_work=WORK // 20), out=tmp_path)
    np.testing.assert_array_equal(less.lower_bound, whole.lower_bound)
    np.testing.assert_array_equal(less.objective, whole.objective)


def test_a_proof_that_was_left_out_as_too_large_is_made_where_it_is_asked_for(problem, betas, tmp_path, monkeypatch):
    monkeypatch.setattr("dualib.solvers.prove.AUTO_WORK", 0)
    spared = dualib.information_curve(problem, betas[:2], out=tmp_path)
    assert {s.status for s in spared.solutions} == {Status.TOO_LARGE}
    asked = curve_of(problem, betas[:2], out=tmp_path)
    assert Status.TOO_LARGE not in {s.status for s in asked.solutions}
    assert (asked.lower_bound > spared.lower_bound).all()


def test_searches_whose_boxes_are_too_many_begin_anew_and_it_is_said(problem, betas, whole, monkeypatch):
    """On both sides of the limit: with the room that they take, and with less."""
    queues = []
    let_go = budget.Spending._let_go

    def recorded(spending):
        queues.append(sum(search.queue for search in spending.searches.values()))
        let_go(spending)

    monkeypatch.setattr(budget.Spending, "_let_go", recorded)
    monkeypatch.setattr(budget, "LARGEST_QUEUES", 1 << 40)
    assert_same(whole, curve_of(problem, betas))
    most = max(queues)
    monkeypatch.setattr(budget, "LARGEST_QUEUES", most)
    assert_same(whole, curve_of(problem, betas))
    monkeypatch.setattr(budget, "LARGEST_QUEUES", most - 1)
    less = curve_of(problem, betas)
    assert "were begun anew 1 times, as their open boxes took more than" in less.note
    monkeypatch.setattr(budget, "LARGEST_QUEUES", 0)
    none = curve_of(problem, betas)
    assert "were begun anew" in none.note
    for curve in (less, none):
        assert sum(s.work for s in curve.solutions) <= 1.2 * WORK
        assert (curve.lower_bound <= whole.objective + 1e-12).all()
        assert (whole.lower_bound <= curve.objective + 1e-12).all()
