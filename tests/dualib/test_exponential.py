"""dualExpIB: equal to the generic dual bottleneck step by step; the fit against its own likelihood equations."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr, softmax

from dualib.exponential import (
    ExponentialFamily,
    fit_exponential_family,
    sample_size_experiment,
    solve_exponential,
)
from dualib.joint import Joint
from dualib.measures import entropy

seeds = st.integers(0, 2**32 - 1)


def random_family(seed, n_x=9, n_y=4, d=3):
    rng = np.random.default_rng(seed)
    return ExponentialFamily(rng.normal(size=(n_x, d)), 0.7 * rng.normal(size=(d, n_y))), rng.dirichlet(np.ones(n_x))


def generic_dual(p_x, p_y_given_x, beta, q, steps):
    """The textbook alternation of dualIB, which knows nothing of the family: the oracle."""
    for _ in range(steps):
        p_t = p_x @ q
        p_x_given_t = (p_x[:, None] * q / p_t).T
        r = softmax(p_x_given_t @ np.log(p_y_given_x), axis=1)
        distortion = rel_entr(r[None], p_y_given_x[:, None]).sum(axis=2)
        q = softmax(np.log(p_t) - beta * distortion, axis=1)
    return q


def mixture_bottleneck(joint, beta, steps=300):
    """A plain IB alternation from T = X, enough to stand in for a solver."""
    q = np.eye(joint.n_x)
    for _ in range(steps):
        p_t = joint.p_x @ q
        q, p_t = q[:, p_t > 1e-200], p_t[p_t > 1e-200]
        r = (joint.p_x[:, None] * q / p_t).T @ joint.p_y_given_x
        q = softmax(np.log(p_t) - beta * rel_entr(joint.p_y_given_x[:, None], r[None]).sum(axis=2), axis=1)
    return SimpleNamespace(p_t_given_x=q, p_y_given_t=r)


# --- the family ---


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_family_formula_and_gauge(seed):
    family, _ = random_family(seed)
    explicit = np.exp(-family.statistics @ family.natural_parameters - family.log_normalizer[:, None])
    np.testing.assert_allclose(family.p_y_given_x, explicit, rtol=1e-13)
    np.testing.assert_allclose(family.p_y_given_x.sum(axis=1), 1, rtol=1e-14)
    shifted = ExponentialFamily(family.statistics, family.natural_parameters + np.array([[1.0], [-2.0], [5.0]]))
    np.testing.assert_allclose(shifted.p_y_given_x, family.p_y_given_x, rtol=1e-12)


def test_family_survives_extreme_parameters():
    family = ExponentialFamily([[1.0], [-1.0]], [[-900.0, 900.0]])
    np.testing.assert_array_equal(family.p_y_given_x, np.eye(2))
    np.testing.assert_allclose(family.log_normalizer, 900.0)


# --- the dual bottleneck in its natural parameters ---


@given(seeds, st.floats(0.5, 30), st.integers(1, 7))
@settings(deadline=None, max_examples=40)
def test_every_step_equals_the_generic_alternation(seed, beta, n_t):
    family, p_x = random_family(seed)
    start = np.random.default_rng(seed).dirichlet(np.ones(n_t), len(p_x))
    for steps in (1, 2, 5):
        expected = generic_dual(p_x, family.p_y_given_x, beta, start, steps)
        got = solve_exponential(family, p_x, beta, encoder=start, tol=0.0, max_iterations=steps)
        # One step agrees to rounding, which later steps may amplify by β times a distortion at the worst.
        np.testing.assert_allclose(got.p_t_given_x, expected, atol=1e-13 * (1 + beta * (steps - 1)))


@given(seeds, st.floats(0.5, 30))
@settings(deadline=None, max_examples=30)
def test_solution_satisfies_its_equations_and_inequalities(seed, beta):
    family, p_x = random_family(seed)
    solution = solve_exponential(family, p_x, beta, n_clusters=5, seed=seed, tol=1e-10, max_iterations=3000)
    p_x_given_t = (p_x[:, None] * solution.p_t_given_x / solution.p_t).T
    np.testing.assert_allclose(solution.statistics, p_x_given_t @ family.statistics, atol=1e-12)
    in_family = ExponentialFamily(solution.statistics, family.natural_parameters)
    np.testing.assert_allclose(solution.p_y_given_t, in_family.p_y_given_x, atol=1e-13)
    np.testing.assert_allclose(solution.log_normalizer, in_family.log_normalizer, atol=1e-13)
    # At the best decoder the distortion of a cluster is minus the log normaliser of the geometric mean.
    geometric = np.log(np.exp(p_x_given_t @ np.log(family.p_y_given_x)).sum(axis=1))
    assert solution.distortion == pytest.approx(-float(solution.p_t @ geometric), abs=1e-12)
    assert solution.objective == pytest.approx(solution.rate + beta * solution.distortion, rel=1e-15)
    information = Joint.from_conditional(p_x, family.p_y_given_x).mutual_information()
    assert 0 <= solution.relevance <= min(solution.rate, information) + 1e-13
    assert solution.rate <= entropy(p_x) + 1e-13


def test_objective_descends():
    family, p_x = random_family(2)
    values = [solve_exponential(family, p_x, 12.0, tol=0.0, max_iterations=n).objective for n in range(1, 60)]
    assert (np.diff(values) <= 1e-13).all()


def test_limits_of_beta():
    family, p_x = random_family(4)
    cold = solve_exponential(family, p_x, 1e-3)
    assert cold.converged
    assert cold.rate == pytest.approx(0.0, abs=1e-9)
    assert cold.relevance == pytest.approx(0.0, abs=1e-9)
    hot = solve_exponential(family, p_x, 1e5)
    assert hot.converged
    assert hot.rate == pytest.approx(entropy(p_x), abs=1e-9)
    np.testing.assert_allclose(hot.p_t_given_x @ hot.p_y_given_t, family.p_y_given_x, atol=1e-9)


def test_a_run_cut_short_says_so():
    family, p_x = random_family(4)
    solution = solve_exponential(family, p_x, 15.0, max_iterations=2)
    assert not solution.converged
    assert solution.residual > 1e-12
    assert solution.n_iterations == 2


def test_same_seed_same_numbers():
    family, p_x = random_family(5)
    a, b = (solve_exponential(family, p_x, 9.0, n_clusters=4, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.p_t_given_x, b.p_t_given_x)


# --- the fit ---


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_fit_recovers_the_family_from_the_exact_joint(seed):
    family, p_x = random_family(seed)
    fit = fit_exponential_family(Joint.from_conditional(p_x, family.p_y_given_x), family.statistics)
    assert fit.converged
    np.testing.assert_allclose(fit.family.p_y_given_x, family.p_y_given_x, atol=1e-7)
    np.testing.assert_allclose(fit.family.natural_parameters.sum(axis=1), 0, atol=1e-10)
    conditional = entropy((p_x[:, None] * family.p_y_given_x).ravel()) - entropy(p_x)
    assert fit.log_likelihood == pytest.approx(-conditional, abs=1e-10)


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_fit_matches_the_moments_and_no_neighbour_is_more_likely(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 30, size=(8, 3))
    statistics = rng.normal(size=(8, 2))
    fit = fit_exponential_family(counts, statistics, intercept=True)
    assert fit.converged
    observed = fit.family.statistics.T @ counts
    expected = fit.family.statistics.T @ (counts.sum(axis=1, keepdims=True) * fit.family.p_y_given_x)
    np.testing.assert_allclose(observed, expected, atol=1e-6)
    for _ in range(5):
        moved = fit.family.natural_parameters + 1e-2 * rng.normal(size=(3, 3))
        other = ExponentialFamily(fit.family.statistics, moved).p_y_given_x
        assert (counts * np.log(other)).sum() / counts.sum() <= fit.log_likelihood + 1e-12


def test_constant_statistic_alone_gives_the_marginal():
    counts = np.array([[3, 1, 4], [1, 5, 9]])
    fit = fit_exponential_family(counts, np.ones((2, 1)))
    np.testing.assert_allclose(fit.family.p_y_given_x, np.tile(counts.sum(axis=0) / counts.sum(), (2, 1)), rtol=1e-9)


def test_collinear_statistics_and_scales_do_not_matter():
    rng = np.random.default_rng(0)
    counts, a = rng.integers(1, 20, size=(10, 3)), rng.normal(size=(10, 2))
    plain = fit_exponential_family(counts, a)
    doubled = fit_exponential_family(counts, np.column_stack([1e6 * a[:, 0], a[:, 1], a.sum(axis=1)]))
    assert doubled.converged
    np.testing.assert_allclose(doubled.family.p_y_given_x, plain.family.p_y_given_x, atol=1e-8)


def test_an_x_without_samples_is_predicted():
    counts = np.array([[5, 1], [0, 0], [1, 5]])
    fit = fit_exponential_family(counts, [[-1.0], [0.0], [1.0]])
    np.testing.assert_allclose(fit.family.p_y_given_x[:, 0], [5 / 6, 1 / 2, 1 / 6], atol=1e-9)


def test_separation_is_found_before_the_parameters_run_away():
    statistics = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    separated = [[4, 0], [3, 0], [0, 2], [0, 5]]
    with pytest.raises(ValueError, match=r"separate .*ridge > 0"):
        fit_exponential_family(separated, statistics)
    assert fit_exponential_family([[4, 0], [2, 1], [0, 2], [0, 5]], statistics).converged  # zeros without separation
    losses = []
    for ridge in (1e-1, 1e-3, 1e-5):
        fit = fit_exponential_family(separated, statistics, ridge=ridge)
        assert fit.converged
        losses.append(-fit.log_likelihood)
    assert losses[0] > losses[1] > losses[2] > 0


# --- the experiment ---


def test_knowing_the_statistics_pays_and_the_error_falls_with_the_sample():
    result = sample_size_experiment((50, 1000), n_seeds=6, seed=1, solvers={"IB": mixture_bottleneck})
    assert result.arms == ("IB", "dualExpIB", "MLE then IB")
    ib, dual_exp, control = result.mean
    error = result.standard_error
    assert (dual_exp + 3 * error[1] < ib - 3 * error[0]).all()
    assert (np.diff(result.mean, axis=1)[:, 0] < 0).all()
    # The control shares the gain: it comes from the family, not from the dual.
    assert (np.abs(control - dual_exp) < 4 * np.hypot(error[1], error[2]) + 0.005).all()


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ExponentialFamily(np.ones((3, 2)), np.ones((3, 2))), r"\(3, 2\)"),
        (lambda: ExponentialFamily(np.ones(3), np.ones((3, 2))), r"\(3,\)"),
        (lambda: ExponentialFamily([[np.nan]], [[1.0, 2.0]]), r"statistics\[0, 0\] = nan"),
        (lambda: fit_exponential_family([[1, -1]], [[1.0]]), "negative"),
        (lambda: fit_exponential_family([[0, 0]], [[1.0]]), "all zero"),
        (lambda: fit_exponential_family([[1, 1]], [[1.0], [2.0]]), "differ in their x"),
        (lambda: fit_exponential_family([[1, 1]], [[1.0]], ridge=-1), "ridge = -1"),
        (lambda: solve_exponential(random_family(0)[0], np.ones(2) / 2, 1.0), r"p_x has shape \(2,\)"),
        (lambda: solve_exponential(random_family(0)[0], random_family(0)[1], 0.0), "beta = 0.0 must be positive"),
        (lambda: solve_exponential(random_family(0)[0], random_family(0)[1], 1.0, encoder=np.eye(2)), r"\(2, 2\)"),
        (lambda: solve_exponential(random_family(0)[0], random_family(0)[1], 1.0, n_clusters=0), "n_clusters = 0"),
        (lambda: sample_size_experiment(n_seeds=1), "n_seeds = 1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
