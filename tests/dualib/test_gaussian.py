"""Gaussian entropies against quadrature; GaussianIB against a numerical optimum and its own projections."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group

from dualib.core.units import NATS_PER_BIT
from dualib.gaussian import GaussianDualIB, GaussianIB, gaussian_entropy, gaussian_kl, gaussian_mutual_information

seeds = st.integers(0, 2**32 - 1)


def random_blocks(seed, n_x=3, n_y=2, noise=0.3):
    """Blocks of a random joint covariance."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n_x + n_y, n_x + n_y))
    cov = root @ root.T + noise * np.eye(n_x + n_y)
    return cov[:n_x, :n_x], cov[n_x:, n_x:], cov[:n_x, n_x:]


def information_plane_point(problem, projection):
    """(I(X;T), I(T;Y)) of T = A X + noise, from covariances alone."""
    cov_t = projection @ problem.cov_x @ projection.T + np.eye(len(projection))
    return (
        gaussian_mutual_information(cov_t, problem.cov_x, projection @ problem.cov_x),
        gaussian_mutual_information(cov_t, problem.cov_y, projection @ problem.cov_xy),
    )


# --- measures ---


def test_entropy_and_divergence_by_quadrature():
    def normal(x, mean, variance):
        return math.exp(-((x - mean) ** 2) / 2 / variance) / math.sqrt(2 * math.pi * variance)

    h, _ = quad(lambda x: -normal(x, 1.0, 0.4) * math.log(normal(x, 1.0, 0.4)), -9, 11, epsabs=1e-12)
    assert gaussian_entropy(0.4) == pytest.approx(h, abs=1e-10)
    d, _ = quad(lambda x: normal(x, 1, 0.4) * math.log(normal(x, 1, 0.4) / normal(x, 0.2, 1.5)), -7, 9, epsabs=1e-12)
    assert gaussian_kl(1.0, 0.4, 0.2, 1.5) == pytest.approx(d, abs=1e-10)


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_measures_agree_with_scipy_and_with_each_other(seed):
    cov_x, cov_y, cov_xy = random_blocks(seed)
    joint = np.block([[cov_x, cov_xy], [cov_xy.T, cov_y]])
    assert gaussian_entropy(joint) == pytest.approx(multivariate_normal(cov=joint).entropy(), abs=1e-8)
    by_entropies = gaussian_entropy(cov_x) + gaussian_entropy(cov_y) - gaussian_entropy(joint)
    information = gaussian_mutual_information(cov_x, cov_y, cov_xy)
    assert information == pytest.approx(by_entropies, abs=1e-9)
    assert information == pytest.approx(gaussian_mutual_information(cov_y, cov_x, cov_xy.T), abs=1e-11)
    product = np.block([[cov_x, 0 * cov_xy], [0 * cov_xy.T, cov_y]])
    assert information == pytest.approx(gaussian_kl(np.zeros(5), joint, np.zeros(5), product), abs=1e-8)


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_information_is_invariant_under_linear_maps_and_divergence_under_affine_ones(seed):
    cov_x, cov_y, cov_xy = random_blocks(seed)
    rng = np.random.default_rng(seed)
    m, n = ortho_group.rvs(3, random_state=rng) * [0.1, 1.0, 10.0], rng.normal(size=(2, 2)) + 3 * np.eye(2)
    mapped = gaussian_mutual_information(m @ cov_x @ m.T, n @ cov_y @ n.T, m @ cov_xy @ n.T)
    assert mapped == pytest.approx(gaussian_mutual_information(cov_x, cov_y, cov_xy), rel=1e-6)
    other = random_blocks(seed + 1)[0]
    mean = rng.normal(size=3)
    q = ortho_group.rvs(3, random_state=rng)
    direct = gaussian_kl(mean, cov_x, np.zeros(3), other)
    assert gaussian_kl(q @ mean + 5, q @ cov_x @ q.T, np.full(3, 5.0), q @ other @ q.T) == pytest.approx(
        direct, rel=1e-7
    )


def test_divergence_of_nearly_equal_gaussians_keeps_its_digits():
    # D(N(0, (1+e)²) || N(0, 1)) = e² + O(e³), far below the rounding of the three terms taken separately.
    e = 1e-7
    assert gaussian_kl(0.0, (1 + e) ** 2, 0.0, 1.0) == pytest.approx(e**2, rel=1e-2)
    assert gaussian_kl([0, 0], np.eye(2), [0, 0], np.eye(2)) == 0.0


def test_chain_rule_of_information():
    # I(X1,X2;Y) = I(X1;Y) + I(X2;Y|X1), the second from the conditional covariances.
    cov_x, cov_y, cov_xy = random_blocks(7, n_x=2)
    first = gaussian_mutual_information(cov_x[:1, :1], cov_y, cov_xy[:1])
    joint = np.block([[cov_x, cov_xy], [cov_xy.T, cov_y]])
    given_first = joint[1:, 1:] - joint[1:, :1] @ joint[:1, 1:] / joint[0, 0]
    second = gaussian_mutual_information(given_first[:1, :1], given_first[1:, 1:], given_first[:1, 1:])
    assert first + second == pytest.approx(gaussian_mutual_information(cov_x, cov_y, cov_xy), abs=1e-12)


# --- the bottleneck ---


def test_scalar_case_closed_form():
    rho = 0.8
    problem = GaussianIB(2.0, 0.5, rho)  # covariance ρ σ_x σ_y = ρ
    rate = np.linspace(0, 6, 50)
    np.testing.assert_allclose(
        problem.relevance_at(rate), -0.5 * np.log(1 - rho**2 + rho**2 * np.exp(-2 * rate)), atol=1e-14
    )
    assert problem.critical_betas[0] == pytest.approx(1 / rho**2, rel=1e-14)
    assert problem.mutual_information() == pytest.approx(-0.5 * math.log(1 - rho**2), rel=1e-14)


@given(seeds, st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_curve_matches_the_published_formulas_with_independent_eigenvalues(seed, n_x, n_y):
    cov_x, cov_y, cov_xy = random_blocks(seed, n_x, n_y)
    problem = GaussianIB(cov_x, cov_y, cov_xy)
    conditional = cov_x - cov_xy @ np.linalg.solve(cov_y, cov_xy.T)
    lam = np.sort(np.linalg.eigvals(conditional @ np.linalg.inv(cov_x)).real)
    np.testing.assert_allclose(problem.eigenvalues, lam, atol=1e-8)
    betas = np.geomspace(0.5, 1e4, 40)
    curve = problem.curve(betas)
    for beta, rate, relevance, n_active in zip(curve.beta, curve.rate, curve.relevance, curve.n_active, strict=True):
        active = lam[beta * (1 - lam) > 1 + 1e-7]
        expected = 0.5 * np.log((beta - 1) * (1 - active) / active).sum()
        assert rate == pytest.approx(expected, abs=1e-5)
        assert relevance == pytest.approx(expected - 0.5 * np.log(beta * (1 - active)).sum(), abs=1e-5)
        assert abs(n_active - len(active)) <= (np.abs(beta * (1 - lam) - 1) < 1e-6).sum()


@given(seeds, st.integers(1, 4), st.integers(1, 4), st.floats(0.01, 4))
@settings(deadline=None, max_examples=60)
def test_projection_reaches_the_curve(seed, n_x, n_y, log_beta):
    problem = GaussianIB(*random_blocks(seed, n_x, n_y))
    beta = 10**log_beta
    projection, curve = problem.projection(beta), problem.curve(beta)
    assert projection.shape == (curve.n_active[0], n_x)
    if len(projection):
        rate, relevance = information_plane_point(problem, projection)
        assert rate == pytest.approx(curve.rate[0], abs=1e-8)
        assert relevance == pytest.approx(curve.relevance[0], abs=1e-8)
    else:
        assert curve.rate[0] == curve.relevance[0] == 0.0


@pytest.mark.parametrize("beta", [1.5, 4.0, 30.0])
def test_no_linear_representation_is_better(beta):
    problem = GaussianIB(*random_blocks(3, noise=2.0))
    optimum = problem.curve(beta)

    remaining = problem.cov_x - problem.cov_xy @ np.linalg.solve(problem.cov_y, problem.cov_xy.T)  # of X given Y

    def half_log_det(a, covariance):
        noisy = a @ covariance @ a.T + np.eye(2)
        return 0.5 * np.linalg.slogdet(noisy)[1], np.linalg.solve(noisy, a @ covariance)

    def lagrangian(flat):
        """I(X;T) − β I(T;Y) and its gradient."""
        (whole, slope), (rest, slope_rest) = (half_log_det(flat.reshape(2, 3), c) for c in (problem.cov_x, remaining))
        return whole - beta * (whole - rest), ((1 - beta) * slope + beta * slope_rest).ravel()

    rng = np.random.default_rng(0)
    starts = rng.normal(size=(4, 6))
    rate, relevance = information_plane_point(problem, starts[0].reshape(2, 3))
    assert lagrangian(starts[0])[0] == pytest.approx(rate - beta * relevance, abs=1e-12)
    found = min(minimize(lagrangian, start, jac=True, method="BFGS").fun for start in starts)
    assert found == pytest.approx(optimum.rate[0] - beta * optimum.relevance[0], abs=1e-8)


@given(seeds, st.lists(st.floats(0, 12), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_queries_by_rate_invert_the_curve(seed, rates):
    problem = GaussianIB(*random_blocks(seed))
    rates = np.array(rates)
    betas = problem.beta_at(rates)
    curve = problem.curve(betas)
    np.testing.assert_allclose(curve.rate, rates, atol=1e-9)
    np.testing.assert_allclose(curve.relevance, problem.relevance_at(rates), atol=1e-10)


def test_slope_segments_and_limits():
    problem = GaussianIB(*random_blocks(11, n_x=4, n_y=3))
    rates = np.linspace(0.05, 8, 40)
    step = 1e-5
    slope = (problem.relevance_at(rates + step) - problem.relevance_at(rates - step)) / (2 * step)
    np.testing.assert_allclose(slope, 1 / problem.beta_at(rates), rtol=1e-5)
    assert (np.diff(slope) < 0).all()  # concave
    starts = problem.critical_rates
    assert len(starts) == 3
    assert starts[0] == 0.0
    np.testing.assert_allclose(problem.beta_at(starts), problem.critical_betas[:3], rtol=1e-9)
    assert np.isinf(problem.critical_betas[3])
    assert problem.relevance_at(0.0) == 0.0
    assert problem.relevance_at(np.inf) == pytest.approx(problem.mutual_information(), rel=1e-14)
    far = problem.curve([1e15])
    assert far.relevance[0] == pytest.approx(problem.mutual_information(), abs=1e-12)
    assert (problem.relevance_at(rates) <= np.minimum(rates, problem.mutual_information())).all()


def test_just_above_the_first_transition_no_digit_is_lost():
    problem = GaussianIB(1.0, 1.0, 0.5)  # β_1 = 4, λ = 3/4
    excess = 2.0**-40
    curve = problem.curve(4 * (1 + excess))
    assert curve.rate[0] == pytest.approx(0.5 * excess / 0.75, rel=1e-11)
    assert curve.relevance[0] == pytest.approx(curve.rate[0] / 4, rel=1e-11)
    assert curve.n_active.tolist() == [1]
    assert problem.curve([4.0, 3.0, 0.1]).n_active.tolist() == [0, 0, 0]


def test_independent_variables_carry_nothing():
    problem = GaussianIB(np.eye(2), np.eye(3), np.zeros((2, 3)))
    assert problem.mutual_information() == 0.0
    assert np.isinf(problem.critical_betas).all()
    assert problem.critical_rates.shape == (0,)
    assert problem.curve([1e9]).rate[0] == 0.0
    assert problem.relevance_at([0.0, 3.0]).tolist() == [0.0, 0.0]
    assert problem.beta_at(1.0) == np.inf
    assert problem.projection(100.0).shape == (0, 2)


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_change_of_basis_of_x_leaves_the_curve(seed):
    cov_x, cov_y, cov_xy = random_blocks(seed)
    q = ortho_group.rvs(3, random_state=np.random.default_rng(seed)) * [0.1, 1, 10]
    betas = np.geomspace(1, 1e3, 15)
    a = GaussianIB(cov_x, cov_y, cov_xy).curve(betas)
    b = GaussianIB(q @ cov_x @ q.T, cov_y, q @ cov_xy).curve(betas)
    np.testing.assert_allclose(a.rate, b.rate, atol=1e-8)
    np.testing.assert_allclose(a.relevance, b.relevance, atol=1e-8)


def test_frame_states_its_unit():
    curve = GaussianIB(1.0, 1.0, 0.9).curve([2.0, 5.0])
    nats, bits = curve.to_frame("nats"), curve.to_frame()
    assert list(nats) == ["beta", "rate_nats", "relevance_nats", "objective_nats", "n_active"]
    np.testing.assert_allclose(bits["rate_bits"] * NATS_PER_BIT, nats["rate_nats"], rtol=1e-15)


# --- bad input ---


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ((np.eye(2), np.eye(3), np.zeros((3, 2))), [r"\(3, 2\)", r"\(2, 3\)"]),
        (([[1, 2], [2, 1]], 1.0, [[0], [0]]), ["cov_x", "positive definite", "-1"]),
        (([[1, 0.5], [0.4, 1]], 1.0, [[0], [0]]), ["symmetric", "0.5", "0.4"]),
        ((np.eye(2), [[np.nan]], np.zeros((2, 1))), ["cov_y", "nan"]),
        ((np.ones((2, 3)), 1.0, np.zeros((2, 1))), ["square", r"\(2, 3\)"]),
        ((1.0, 1.0, 1.0), ["infinite", "add noise"]),
        ((1.0, 1.0, 1.5), ["1.5 > 1", "negative eigenvalue"]),
        ((0.0, 1.0, 0.0), ["cov_x", "smallest eigenvalue is 0"]),
    ],
)
def test_bad_blocks_are_named(blocks, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            GaussianIB(*blocks)
        with pytest.raises(ValueError, match=word):
            gaussian_mutual_information(*blocks)


def test_bad_queries_are_named():
    problem = GaussianIB(1.0, 1.0, 0.5)
    with pytest.raises(ValueError, match=r"betas\[1\] = 0.0 must be positive"):
        problem.curve([1.0, 0.0])
    with pytest.raises(ValueError, match="nan"):
        problem.curve([np.nan])
    with pytest.raises(ValueError, match="at least 0"):
        problem.relevance_at(-0.1)
    with pytest.raises(ValueError, match="positive"):
        problem.projection(-1)
    with pytest.raises(ValueError, match=r"mean_p has shape \(3,\)"):
        gaussian_kl(np.zeros(3), np.eye(2), np.zeros(2), np.eye(2))
    with pytest.raises(ValueError, match="must be equal"):
        gaussian_kl(np.zeros(3), np.eye(3), np.zeros(2), np.eye(2))


# --- the dual ---


def quantised_dual(rho, beta, n=401, reach=5.0):
    """F of the dual of a scalar Gaussian pair by the discrete solver's own iteration, on a grid of x and of decoder means.

    D(r ‖ p_x) of Gaussians of one variance λ is (m − ρx)²/2λ; both x and m are discretised.
    """
    x = np.linspace(-reach, reach, n)
    p = np.exp(-(x**2) / 2)
    p /= p.sum()
    distortion = (rho * x[:, None] - rho * x[None, :]) ** 2 / (2 * (1 - rho**2))
    kernel, q = np.exp(-beta * distortion), p.copy()
    for _ in range(4000):
        z = kernel @ q
        q = q * (kernel.T @ (p / z))
    return float(-p @ np.log(kernel @ q))


@pytest.mark.parametrize("beta", [0.5, 2.0, 8.0])
def test_the_dual_is_the_optimum_of_its_own_objective(beta):
    found = GaussianDualIB(1.0, 1.0, 0.7).curve([beta])
    assert found.objective[0] == pytest.approx(quantised_dual(0.7, beta), abs=2e-3)


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_the_dual_at_beta_is_the_ib_at_one_more(seed):
    blocks = random_blocks(seed)
    dual, ib = GaussianDualIB(*blocks), GaussianIB(*blocks)
    betas = np.geomspace(1e-2, 1e3, 30)
    one, other = dual.curve(betas), ib.curve(betas + 1.0)
    np.testing.assert_allclose(one.rate, other.rate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.relevance, other.relevance, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dual.projection(5.0) ** 2, ib.projection(6.0) ** 2, rtol=1e-9)
    np.testing.assert_allclose(dual.beta_at(one.rate[-5:]), betas[-5:], rtol=1e-9)
    signal = dual.correlations**2 / dual.eigenvalues
    np.testing.assert_allclose(dual.critical_betas[signal > 0], 1 / signal[signal > 0], rtol=1e-12)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_objectives_are_concave_in_beta_with_the_distortion_as_slope(seed):
    for problem in (GaussianIB(*random_blocks(seed)), GaussianDualIB(*random_blocks(seed))):
        beta = np.geomspace(0.1, 50, 40)
        h = 1e-5 * beta
        up, down, at = (problem.curve(b) for b in (beta + h, beta - h, beta))
        slope = (up.objective - down.objective) / (2 * h)
        np.testing.assert_allclose(slope, (at.objective - at.rate) / beta, rtol=1e-4)
        assert (np.diff(slope) <= 1e-6 * slope[:-1]).all()
