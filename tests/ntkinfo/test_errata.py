"""Each erratum of docs/errata.md: the published equation, the correction, and numbers that tell them apart."""

import numpy as np
import pytest
from scipy.integrate import quad

import ntkinfo
from ntkinfo import quantities


def test_eq_6_needs_both_cross_terms(linear_model):
    """The published covariance subtracts twice one cross term: it is not even symmetric off the diagonal."""
    model = linear_model()
    ensemble, k = model.ensemble(), model.kernels
    weights = ensemble.test_modes[0] * ensemble.spectrum(0.7).response[0] @ ensemble.eigenvectors.T
    common = k.nngp_test + weights @ k.nngp @ weights.T
    published = common - 2 * weights @ k.nngp_test_train.T
    _, dense = model.law(0.7, "test")
    assert np.abs(published - published.T).max() > 0.05
    assert np.abs(published - dense).max() > 0.02
    np.testing.assert_allclose(np.diag(published), np.diag(dense), atol=1e-9)
    np.testing.assert_allclose(ensemble.law(0.7).covariance, dense, atol=1e-9)


def test_eq_10_signs(random_marginals):
    """A negative log likelihood rises with the error and with the variance, and is never below its minimum."""
    law, y = random_marginals(), np.zeros((7, 1))
    wide = ntkinfo.Marginals(law.mean, law.variance + 1)
    assert quantities.gibbs_nll(wide, y) - quantities.gibbs_nll(law, y) == pytest.approx(0.5)
    assert quantities.gibbs_nll(law, y) >= 0.5 * np.log(2 * np.pi)


def test_eq_11_is_a_lower_bound():
    """y = z + noise with known information: the expression lies below it, so that ≤ would be false."""
    rng = np.random.default_rng(0)
    z, noise = rng.standard_normal((100_000, 1)), 0.1
    y = z + np.sqrt(noise) * rng.standard_normal(z.shape)
    information = 0.5 * np.log((1 + noise) / noise)
    entropy = 0.5 * np.log(2 * np.pi * np.e * (1 + noise))
    value = quantities.label_information_unit_noise(ntkinfo.Marginals(z, np.zeros(len(z))), y, entropy)
    assert value == pytest.approx(entropy - 0.5 * noise - 0.5 * np.log(2 * np.pi), abs=0.01)
    assert information - value > 0.6


def test_eqs_16_to_18_the_action_is_no_bound_on_the_length():
    """One mode with λ = 0.1: the path is longer than the action, by a factor of more than 10."""
    kernels = ntkinfo.Kernels(np.array([[0.1]]), np.zeros((1, 1)))
    ensemble = ntkinfo.Ensemble(kernels, np.array([1.0]))
    length = quad(lambda s: 0.1 * np.exp(-0.1 * s), 0, 20)[0]
    action = quad(lambda s: (0.1 * np.exp(-0.1 * s)) ** 2, 0, 20)[0]
    assert quantities.fisher_action(ensemble, 20.0) == pytest.approx(action)
    assert length > 10 * action
    assert quantities.path_length_upper(ensemble, 20.0) == pytest.approx(length)
    assert quantities.path_length_upper_modes(ensemble, 20.0) == pytest.approx(length)
    assert quantities.path_length_lower(ensemble, 20.0) == pytest.approx(length)
    assert length**2 <= 20 * action


def noted_case():
    """Four points in three dimensions, one hidden erf layer."""
    x = np.random.default_rng(5).standard_normal((4, 3))
    net = ntkinfo.mlp(hidden_layers=1, activation="erf", w_std=1.2, b_std=0.3)
    return ntkinfo.Ensemble(ntkinfo.Kernels.compute(net.kernel_fn, x), np.array([0.8, -0.5, 0.3, -1.0]))


def test_eq_27_is_loose_for_linear_models_and_differs_by_a_factor_and_a_term():
    ensemble, tau = noted_case(), 1.5
    assert quantities.parameter_kl(ensemble, tau) == pytest.approx(8.093, abs=2e-3)
    assert quantities.parameter_kl_published(ensemble, tau) == pytest.approx(11.970, abs=2e-3)


def test_eq_27_on_a_linear_model(linear_model):
    """The KL of the Gaussians in parameter space against the published value."""
    model = linear_model(n=4, m=2, parameters=6, frozen=0)
    ensemble = model.ensemble()
    gap = quantities.parameter_kl_published(ensemble, 0.5) - quantities.parameter_kl(ensemble, 0.5)
    half = 0.5 * quantities.parameter_distance_squared(ensemble, 0.5)
    assert gap == pytest.approx(half + quantities.degrees_of_freedom(ensemble, 0.5))
    assert gap > 0.5


def test_fisher_trace_of_the_test_points_is_not_that_of_the_test_train_block():
    """With as many test points as training points the wrong block has a trace too: here of the wrong sign."""
    theta = np.array([[1.0, -0.9], [-0.9, 1.0]])
    kernels = ntkinfo.Kernels(theta[:1, :1], theta[:1, :1], theta[1:, :1], theta[1:, :1], theta[1:, 1:], theta[1:, 1:])
    assert quantities.fisher_trace_test(ntkinfo.Ensemble(kernels, np.ones(1))) == 1.0
    assert np.trace(kernels.ntk_test_train) == -0.9
