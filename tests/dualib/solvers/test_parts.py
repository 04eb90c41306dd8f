"""Pairs of cluster and x evaluated part by part against the tables of all, and what does not fit."""

import numpy as np
import pytest
from joints import PROBLEMS, smooth_joint

from dualib import IB, Certify, Joint, local_critical_beta, solve
from dualib.core.special import EPS
from dualib.solvers import atoms, columns, parts, stability
from dualib.solvers.atoms import coalesce, part_clusters, start_from
from dualib.solvers.hessian import System
from dualib.solvers.iterate import evaluate
from dualib.solvers.options import LeftOut
from dualib.solvers.overlaps import blocks, neighbours
from dualib.solvers.stability import splits


def both(problem, monkeypatch, likely=0.0):
    """The same weights and atoms by tables and by parts of 7 x, all pairs kept."""
    it = start_from(problem, 3 * local_critical_beta(problem))
    monkeypatch.setattr(parts, "LARGE_PAIRS", 0)
    monkeypatch.setattr(parts, "LIKELY", likely)
    monkeypatch.setattr(parts, "PART", 7 * len(it.weights))
    other = evaluate(problem, it.beta, it.weights, it.atoms)
    assert it.parts is None
    assert other.parts is not None
    return it, other


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_parts_are_the_table(name, weak, monkeypatch):
    it, other = both(PROBLEMS[name](smooth_joint(30, 5, weak)), monkeypatch)
    near = evaluate(it.problem, it.beta, it.weights, it.atoms, it.log_z + 0.1)
    for found in (other, near, other.without_tables()):
        assert found.value == pytest.approx(it.value, abs=1e-13)
        np.testing.assert_allclose(found.log_z, it.log_z, atol=1e-12)
        np.testing.assert_allclose(found.sums, it.sums, rtol=1e-11)
        np.testing.assert_allclose(found.encoder, it.encoder, atol=1e-13)
        np.testing.assert_allclose(found.posterior, it.posterior, atol=1e-13)
        np.testing.assert_allclose(found.parts.likely.toarray(), it.ratio, rtol=1e-6)
        assert found.rate == pytest.approx(it.rate, abs=1e-12)


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_all_that_a_search_takes_from_parts(name, weak, monkeypatch):
    it, other = both(PROBLEMS[name](smooth_joint(30, 5, weak)), monkeypatch)
    one, two = System(it), System(other)
    vector = np.random.default_rng(0).normal(size=one.gradient.shape)
    vector[:, 1:] -= one.tangent * (one.tangent * vector[:, 1:]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(two.gradient, one.gradient, atol=1e-12)
    np.testing.assert_allclose(two.product(vector), one.product(vector), atol=2e-4)  # single precision
    groups = neighbours(it.atoms, it.beta)
    assert groups
    for members in groups:
        np.testing.assert_allclose(blocks(two, members), blocks(one, members), atol=2e-4)  # single precision
    monkeypatch.setattr(stability, "PART", 60)
    np.testing.assert_allclose(splits(other), splits(it), rtol=1e-6)
    for change in (lambda it: coalesce(it, 1.0), lambda it: part_clusters(it, it.problem.p_y_given_x)):
        assert change(other).value == pytest.approx(change(it).value, abs=1e-12)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_optima_do_not_depend_on_what_the_hessian_leaves_out(name, monkeypatch):
    problem = PROBLEMS[name](smooth_joint(80, 6))
    beta = 6 * local_critical_beta(problem)
    whole = solve(problem, beta, certify=False)
    assert whole.p_y_given_t.size > columns.MAX_UNKNOWNS
    monkeypatch.setattr(parts, "LARGE_PAIRS", 0)
    found = solve(problem, beta, certify=False)
    assert found.objective == pytest.approx(whole.objective, abs=1e-10)
    assert found.estimated_gap <= 1e-6
    assert (
        found.estimated_gap
        >= evaluate(problem, beta, found.p_t, found.p_y_given_t).dual.log(problem.p_y_given_x).max() - 1e-12
    )


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_informations_of_very_many_pairs(name, weak, monkeypatch):
    problem = PROBLEMS[name](smooth_joint(30, 5, weak))
    whole, parts_of = (solve(problem, 4 * local_critical_beta(problem), certify=False) for _ in range(2))
    values = [whole.rate, whole.relevance, whole.distortion]
    monkeypatch.setattr(parts, "LARGE_PAIRS", 0)
    monkeypatch.setattr("dualib.solution.PAIRS", 7 * whole.n_clusters)
    assert whole.n_clusters > 1
    np.testing.assert_allclose([parts_of.rate, parts_of.relevance, parts_of.distortion], values, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("n_y", "limit", "found"), [(4, 199, True), (4, 200, False), (13, 199, False)])
def test_where_parts_begin(n_y, limit, found, monkeypatch):
    monkeypatch.setattr(parts, "LARGE_PAIRS", limit)
    assert parts.large(10, IB(smooth_joint(20, n_y))) is found


def test_pairs_kept_are_those_that_count_most_and_their_number_is_limited(monkeypatch):
    problem = IB(smooth_joint(30, 4))
    it, other = both(problem, monkeypatch, likely=1e-2)
    level = np.maximum(it.weights, 1.0 / len(it.weights))[:, None]
    kept = other.parts.likely.toarray() > 0.0
    np.testing.assert_array_equal(kept, it.ratio * level > 1e-2)
    assert 0 < kept.sum() < kept.size
    share = it.ratio * level
    for limit, least in ((kept.sum(), 1e-2), (kept.sum() - 1, 3e-2)):  # those that count less are left out then
        monkeypatch.setattr(parts, "LARGEST_KEPT", int(limit))
        found = evaluate(problem, it.beta, it.weights, it.atoms)
        np.testing.assert_array_equal(found.parts.likely.toarray() > 0.0, share > least)
        assert found.value == other.value
        np.testing.assert_array_equal(found.sums, other.sums)


def test_too_many_pairs_to_be_looked_at_are_refused(monkeypatch):
    problem = IB(smooth_joint(50, 3))
    monkeypatch.setattr(parts, "LARGE_PAIRS", 0)
    monkeypatch.setattr(atoms, "LARGEST_PARTS", 50 * 9)
    atoms.check_size(9, problem, 1.0)
    with pytest.raises(ValueError, match="more than 9 clusters are needed for 50 distinct rows"):
        atoms.check_size(10, problem, 1.0)


def test_a_search_stops_at_as_many_clusters_as_fit_and_the_solution_says_so(monkeypatch):
    """What was found is kept: from one cluster up to three, with the largest G that is known."""
    problem = IB(smooth_joint(40, 4))
    beta = 4 * local_critical_beta(problem)
    whole, limited = (solve(problem, beta, certify=False) for _ in range(2))
    assert whole.n_clusters > 3
    single = evaluate(problem, beta, np.ones(1), problem.single_decoder)
    monkeypatch.setattr(atoms, "LARGEST_PARTS", 40 * 3)
    found = columns.generate_columns(single, Certify(), None)
    assert 1 < len(found.iterate.weights) <= 3
    assert found.iterate.value - found.estimate <= whole.objective < found.iterate.value - 1e-6
    assert found.gain > 0.0
    monkeypatch.setattr(atoms, "LARGEST_PARTS", 40 * (whole.n_clusters + 1))
    assert whole.left_out == ()
    monkeypatch.setattr(atoms, "LARGEST_PARTS", 40 * whole.n_clusters)
    assert limited.left_out == (LeftOut.CLUSTERS,)
    assert LeftOut.CLUSTERS.value in limited.describe()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_very_many_rows_start_at_a_sample_or_at_every_row(share, monkeypatch):
    """By how many clusters the sample has; the optimum is the same."""
    problem = IB(smooth_joint(150, 5))
    beta = 8 * local_critical_beta(problem)
    whole = solve(problem, beta, certify=False)
    monkeypatch.setattr(atoms, "LARGEST_START", 149)
    monkeypatch.setattr(columns, "SAMPLE", 60)
    monkeypatch.setattr(columns, "MOST_SHARED", share)
    begin = columns.start(problem, beta)
    assert (len(begin.weights) > 60) is (share == 0.0)
    assert solve(problem, beta, certify=False).objective == pytest.approx(whole.objective, abs=1e-8)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_a_sparse_encoder_leaves_out_what_is_below_rounding(name, monkeypatch):
    rows = smooth_joint(20, 4).p_y_given_x
    problem = PROBLEMS[name](Joint.from_conditional(np.full(40, 1 / 40), np.repeat(rows, 2, axis=0)))
    solution = solve(problem, 300 * local_critical_beta(problem), certify=False)
    whole = solution.p_t_given_x
    monkeypatch.setattr("dualib.solution.PAIRS", 7 * solution.n_clusters)
    found = solution.sparse_encoder()
    assert found.shape == whole.shape
    assert found.nnz == (whole >= EPS).sum() < whole.size
    assert np.abs(found.toarray() - whole).sum(axis=1).max() <= solution.n_clusters * EPS
    np.testing.assert_allclose(solution.sparse_encoder(0.0).toarray(), whole, rtol=1e-12)


def test_an_encoder_that_does_not_fit_is_refused_with_the_way_to_have_it(monkeypatch):
    problem = IB(smooth_joint(30, 4))
    fits, not_fits = (solve(problem, 5 * local_critical_beta(problem), certify=False) for _ in range(2))
    monkeypatch.setattr("dualib.solution.LARGEST_TABLE", 30 * fits.n_clusters)
    assert fits.p_t_given_x.shape == (30, fits.n_clusters)
    monkeypatch.setattr("dualib.solution.LARGEST_TABLE", 30 * fits.n_clusters - 1)
    with pytest.raises(ValueError, match=r"sparse_encoder\(\)"):
        _ = not_fits.p_t_given_x
