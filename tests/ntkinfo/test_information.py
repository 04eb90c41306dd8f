"""I(Z;X|D) and I(Z;D|X): against adaptive quadrature, Monte Carlo, dense Gaussian algebra, limits and order."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import ntkinfo
from dualib.gaussian import gaussian_kl, gaussian_mutual_information
from ntkinfo import quantities
from ntkinfo.laws import Marginals, Rounding
from ntkinfo.quantities import inputs, scalar_mixture
from ntkinfo.quantities.registry import bound_of
from ntkinfo.quantities.scalar_quadrature import scalar_informations

BOUNDS = (quantities.input_information_kolchinsky_tracey_lower, quantities.input_information_kolchinsky_tracey_upper)


def adaptive(law, leave_one_out):
    mean, sigma = law.mean[:, 0], np.sqrt(law.variance)
    n = mean.size

    def integrand(z, i):
        log_p = norm.logpdf(z, mean, sigma)
        others = np.delete(log_p, i) if leave_one_out else log_p
        return np.exp(log_p[i]) * (log_p[i] - np.logaddexp.reduce(others) + np.log(len(others)))

    edges = [(m - 9 * s, m + 9 * s) for m, s in zip(mean, sigma, strict=True)]
    return sum(quad(integrand, *edges[i], args=(i,), limit=800, epsabs=1e-11)[0] for i in range(n)) / n


@pytest.mark.parametrize("widths", [(0.2, 1.0), (1e-3, 1.0), (1e-8, 1e-4)], ids=["one grid", "mixed", "narrow"])
def test_input_information_agrees_with_adaptive_quadrature(random_marginals, widths):
    law = random_marginals(1, n=6, smallest=widths[0] ** 2, largest=widths[1] ** 2)
    accuracy = 1e-9 if widths[0] > 0.1 else 1e-6
    assert quantities.input_information(law) == pytest.approx(adaptive(law, False), abs=accuracy)
    assert quantities.input_information_leave_one_out(law) == pytest.approx(adaptive(law, True), rel=1e-6, abs=accuracy)


@pytest.mark.parametrize("seed", range(6))
def test_bounds_on_the_input_information_are_in_order(random_marginals, seed):
    law = random_marginals(seed, n=9, smallest=0.01, largest=0.5)
    lower, upper = (bound(law) for bound in BOUNDS)
    exact = quantities.input_information(law)
    assert 0 <= lower <= exact <= upper <= np.log(9) + 1e-12
    assert exact <= quantities.input_information_leave_one_out(law)


def test_kolchinsky_tracey_distances_are_those_of_gaussians():
    """Two points, two outputs: the pairwise sums by hand, the KL by dualib."""
    law = ntkinfo.Marginals(np.array([[0.0, 1.0], [0.5, -0.2]]), np.array([0.3, 0.8]))
    kl = [
        gaussian_kl(law.mean[i], law.variance[i] * np.eye(2), law.mean[1 - i], law.variance[1 - i] * np.eye(2))
        for i in (0, 1)
    ]
    assert BOUNDS[1](law) == pytest.approx(-np.mean([np.log((1 + np.exp(-d)) / 2) for d in kl]))
    grid = np.linspace(-9, 9, 601)
    z = np.stack(np.meshgrid(grid, grid), axis=-1)
    p = [np.prod(norm.pdf(z, law.mean[i], np.sqrt(law.variance[i])), axis=-1) for i in (0, 1)]
    overlap = np.sqrt(p[0] * p[1]).sum() * (grid[1] - grid[0]) ** 2
    assert BOUNDS[0](law) == pytest.approx(-np.log((1 + overlap) / 2), abs=1e-9)


@pytest.mark.parametrize("outputs", [1, 2])
def test_infonce_averages_to_the_information_between_the_bounds(random_marginals, outputs):
    law = random_marginals(7, n=8, outputs=outputs, smallest=0.05)
    found = quantities.input_information_infonce(law, seed=0, samples=400)[()]
    value, error = found.value, 0.5 * found.width / 1.96
    lower, upper = (bound(law) for bound in BOUNDS)
    assert lower - 4 * error <= value <= upper + 4 * error
    loo = quantities.input_information_leave_one_out_sampled(law, seed=0, samples=400)[()]
    assert loo.value > value
    if outputs == 1:
        assert abs(value - quantities.input_information(law)) < 4 * error
        assert abs(loo.value - quantities.input_information_leave_one_out(law)) < 2 * loo.width / 1.96
    assert quantities.input_information_infonce(law, seed=0, samples=400)[()] == found


def test_population_information_lies_between_the_two_estimates_in_expectation():
    """X uniform on the line, z|x ~ N(x, 1) with X ~ N(0, 4): I = ½ log 5; averages over 300 samples of 8 points."""
    rng = np.random.default_rng(0)
    law = ntkinfo.Marginals(2 * rng.standard_normal((300, 8, 1)), np.ones((300, 8)))
    lower, upper = quantities.input_information(law), quantities.input_information_leave_one_out(law)
    truth = 0.5 * np.log(5)
    assert lower.mean() + 4 * lower.std() / np.sqrt(300) < truth + 8 * lower.std() / np.sqrt(300)
    assert lower.mean() - 4 * lower.std() / np.sqrt(300) < truth < upper.mean() + 4 * upper.std() / np.sqrt(300)


def test_deterministic_outputs_are_counted():
    law = ntkinfo.Marginals(np.array([[0.0], [1.0], [1.0], [2.0]]), np.zeros(4))
    expected = np.log(4) - 0.5 * np.log(2)
    assert quantities.input_information(law) == pytest.approx(expected)
    assert BOUNDS[0](law) == pytest.approx(expected)
    assert BOUNDS[1](law) == pytest.approx(expected)
    assert quantities.input_information_leave_one_out(law) == np.inf
    assert quantities.input_information_infonce(law, seed=0).value == pytest.approx(expected)


@pytest.mark.parametrize("sigma", [1e-5, 1e-9, 1e-13, 1e-20, 1e-150, 0.0])
def test_distinct_points_keep_all_their_information_however_narrow(sigma):
    law = ntkinfo.Marginals(np.array([[-1.3], [0.2], [0.7], [0.9], [0.9]]), np.full(5, sigma**2))
    assert quantities.input_information(law) == pytest.approx(np.log(5) - 0.4 * np.log(2), abs=1e-9)


def test_an_atom_among_densities_is_the_limit_of_a_narrow_density():
    mean = np.array([[0.0], [0.3], [1.0]])
    values = [quantities.input_information(ntkinfo.Marginals(mean, np.array([v, 0.5, 0.5]))) for v in (1e-14, 0.0)]
    assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_identical_points_carry_nothing_and_invertible_maps_change_nothing(random_marginals):
    same = ntkinfo.Marginals(np.ones((5, 1)), np.full(5, 0.3))
    assert quantities.input_information(same) == pytest.approx(0, abs=1e-12)
    law = random_marginals(2)
    moved = ntkinfo.Marginals(3 - 100 * law.mean, 1e4 * law.variance)
    assert quantities.input_information(moved) == pytest.approx(float(quantities.input_information(law)), abs=1e-11)


def test_several_outputs_have_no_quadrature():
    with pytest.raises(ValueError, match="needs one output, got 2"):
        quantities.input_information(ntkinfo.Marginals(np.zeros((3, 2)), np.ones(3)))


# --- I(Z;D|X) ---


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("tau", [1e-4, 0.5, 10.0])
def test_data_information_is_the_gaussian_kl(linear_model, outputs, tau):
    ensemble = linear_model(outputs=outputs).ensemble()
    law, prior = ensemble.law(tau), ensemble.law(0.0)
    joint = sum(gaussian_kl(law.mean[:, j], law.covariance, prior.mean[:, j], prior.covariance) for j in range(outputs))
    assert quantities.data_information_joint(law, prior) == pytest.approx(joint, abs=1e-10)
    single = np.mean(
        [
            sum(gaussian_kl([m], [[v]], [0.0], [[w]]) for m in row)
            for row, v, w in zip(law.mean, law.variance, prior.variance, strict=True)
        ]
    )
    assert quantities.data_information(law, prior) == pytest.approx(single, abs=1e-10)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("settings", [{}, {"ridge": 0.5}, {"mode": "nngp"}])
def test_data_information_on_the_training_set(linear_model, outputs, settings):
    ensemble = linear_model(outputs=outputs).ensemble(**settings)
    law, prior = ensemble.law(0.7, on="train"), ensemble.law(0.0, on="train")
    joint = sum(gaussian_kl(law.mean[:, j], law.covariance, np.zeros(6), prior.covariance) for j in range(outputs))
    assert quantities.data_information_train(ensemble, 0.7) == pytest.approx(joint, rel=1e-9)


def test_data_information_diverges_as_tau_trace(linear_model):
    ensemble = linear_model().ensemble()
    values = quantities.data_information_train(ensemble, np.array([1e6, 2e6]))
    assert np.diff(values)[0] == pytest.approx(1e6 * np.trace(ensemble.kernels.ntk), rel=1e-9)
    assert quantities.data_information_train(ensemble, np.inf) == np.inf
    assert quantities.data_information_train(ensemble, 0.0) == 0


def labels_and_outputs(model, tau, covariance, where):
    """Joint covariance of (outputs, labels) for Y ~ N(·, C), z = gain (θ,ω)_0 + weights Y, in parameter space."""
    features = np.hstack([model.phi, model.psi])[where]
    gain, _ = model.parameters(tau)
    n = model.n_train
    unit = type(model)(model.phi, model.psi, n, np.eye(n), model.y_test)
    weights = features @ unit.parameters(tau)[1]
    noise = features @ gain @ gain.T @ features.T
    return noise + weights @ covariance @ weights.T, weights @ covariance


@pytest.mark.parametrize("on", ["train", "test"])
def test_label_information_is_that_of_the_joint_gaussian(linear_model, on):
    model, tau = linear_model(n=5), 0.6
    root = np.random.default_rng(4).standard_normal((5, 5))
    covariance = root @ root.T / 5
    where = slice(None, 5) if on == "train" else slice(5, None)
    cov_z, cov_zy = labels_and_outputs(model, tau, covariance, where)
    exact = gaussian_mutual_information(cov_z, covariance, cov_zy)
    value = quantities.gaussian_label_information_joint(model.ensemble(), tau, covariance, on=on)
    assert value == pytest.approx(exact, abs=1e-8)


def test_label_information_of_single_points(linear_model):
    model, tau, s2 = linear_model(n=5), np.array([0.1, 2.0]), 0.4
    expected = []
    for t in tau:
        cov_z, cov_zy = labels_and_outputs(model, t, s2 * np.eye(5), slice(5, None))
        points = [
            gaussian_mutual_information(cov_z[i : i + 1, i : i + 1], s2 * np.eye(5), cov_zy[i : i + 1])
            for i in range(4)
        ]
        expected.append(np.mean(points))
    np.testing.assert_allclose(quantities.gaussian_label_information(model.ensemble(), tau, s2), expected, atol=1e-9)


def test_mean_kl_over_labels_is_information_plus_kl_of_the_mixture(linear_model):
    """E_Y KL(p(z|Y) ‖ p_0) = I(z;Y|X,x) + KL(p(z) ‖ p_0), here for labels N(0, s²): p(z) has variance Σ + signal."""
    model, tau, s2 = linear_model(n=5), 0.6, 0.5
    ensemble = model.ensemble()
    law, prior = ensemble.law(tau), ensemble.law(0.0)
    cov_z, _ = labels_and_outputs(model, tau, s2 * np.eye(5), slice(5, None))
    signal = np.diag(cov_z) - law.variance
    centred = ntkinfo.Marginals(np.zeros((4, 1)), law.variance)
    mean_kl = quantities.data_information(centred, prior) + np.mean(signal / (2 * prior.variance))
    mixture = quantities.data_information(ntkinfo.Marginals(np.zeros((4, 1)), np.diag(cov_z)), prior)
    assert mean_kl == pytest.approx(mixture + quantities.gaussian_label_information(ensemble, tau, s2), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 1e-14, 1e-20, 1e-60])
def test_pairwise_bounds_of_outputs_narrower_than_the_last_digits_of_their_means(scale):
    """Equal labels at training points: means that agree to rounding, of outputs that overlap or do not; the truth is between."""
    true = scale * np.array([0.0, 0.3, 1.0])  # offsets from the label
    offset = 1e-16 * np.array([0.0, 2.0, -1.0])  # what rounding makes of them
    variance = np.full(3, scale**2)
    exact, law = ntkinfo.Marginals(true[:, None], variance), ntkinfo.Marginals((1.0 + true + offset)[:, None], variance)
    low, high = (bound(law) for bound in BOUNDS)
    assert low <= quantities.input_information(exact) <= high


@pytest.mark.parametrize(
    "name", ["input_information_kolchinsky_tracey_lower", "input_information_kolchinsky_tracey_upper"]
)
def test_the_rounding_of_pairwise_bounds_from_some_of_the_points_is_of_the_size_of_all(monkeypatch, name):
    rng = np.random.default_rng(0)
    law = Marginals(1e-6 * rng.standard_normal((40, 2)), 1e-12 * rng.uniform(1, 2, 40))
    value, margin = bound_of(name)(law)
    monkeypatch.setattr(inputs, "_ROWS", 10)
    of_some, margin_of_some = bound_of(name)(law)
    assert of_some == value
    assert 0 < margin / 3 < margin_of_some < 3 * margin


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_variance_lost_in_its_rounding_separates_no_points(outputs):
    """Means 0 and 1e-8 ± 1e-9 of variances below 1e-14: the lower bound is at most that of means and variances in these ranges."""
    mean = np.array([0.0, 1e-8])[:, None] * np.ones(outputs)
    rounding = Rounding(np.full_like(mean, 1e-9), np.full(2, 1e-14))
    found = BOUNDS[0](Marginals(mean, np.zeros(2), rounding))
    assert found <= BOUNDS[0](Marginals(mean, np.full(2, 1e-14)))
    assert found < 0.1
    assert BOUNDS[0](Marginals(mean, np.zeros(2))) == pytest.approx(np.log(2), rel=1e-12)  # known to be 0


@pytest.mark.parametrize("narrow", [1e-9, 1e-3, 1.0])
@pytest.mark.parametrize(("together", "negligible"), [(1, 60.0), (7, 60.0), (10**4, np.inf)])
def test_densities_that_do_not_count_are_left_out_without_loss(monkeypatch, narrow, together, negligible):
    """However many points of the quadrature are looked at together; of widths within a factor of a thousand of one another."""
    rng = np.random.default_rng(0)
    mean, sigma = rng.standard_normal(40), narrow * 10 ** rng.uniform(-3, 0, 40)
    law = Marginals(np.append(mean, mean[:5] + sigma[:5])[:, None], np.append(sigma, sigma[:5]) ** 2)
    found = scalar_informations(law)
    monkeypatch.setattr(scalar_mixture, "_TOGETHER", together)
    monkeypatch.setattr(scalar_mixture, "_NEGLIGIBLE", negligible)
    np.testing.assert_allclose(scalar_informations(law), found, rtol=1e-13)
