"""Information in the parameters: against Gaussians in parameter space, quadrature and Monte Carlo paths."""

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad

import ntkinfo
from dualib.gaussian import gaussian_kl, gaussian_mutual_information
from ntkinfo import quantities
from ntkinfo.quantities.paths import mean_norm

WIDE = np.concatenate([[0.0], np.geomspace(1e-6, 1e12, 37)])


def parameter_law(model, tau, **settings):
    """Mean and covariance of θ_τ of a model in which all parameters are trained."""
    gain, shift = model.parameters(tau, **settings)
    return shift, gain @ gain.T


@pytest.fixture
def trained(linear_model):
    """All parameters trained: K = Θ, where the linearised formulas are exact."""
    return linear_model(n=4, m=2, parameters=6, frozen=0, outputs=2)


@pytest.mark.parametrize("tau", [1e-3, 0.4, 3.0])
@pytest.mark.parametrize("settings", [{}, {"ridge": 0.3}, {"step": 0.1}], ids=lambda s: "-".join(s) or "flow")
def test_parameter_kl_is_the_gaussian_kl(trained, tau, settings):
    if "step" in settings:
        tau = max(round(tau / 0.1), 1) * 0.1
    rule = ntkinfo.GradientDescent(0.1) if "step" in settings else ntkinfo.GradientFlow()
    ensemble = trained.ensemble(learning_rule=rule, ridge=settings.get("ridge", 0.0))
    mean, covariance = parameter_law(trained, tau, **settings)
    dense = sum(gaussian_kl(column, covariance, np.zeros(6), np.eye(6)) for column in mean.T)
    assert quantities.parameter_kl(ensemble, tau) == pytest.approx(dense, rel=1e-8, abs=1e-10)


def test_parameter_kl_of_a_centred_ensemble(trained):
    shift, _ = parameter_law(trained, 0.8)
    dense = sum(gaussian_kl(column, np.eye(6), np.zeros(6), np.eye(6)) for column in shift.T)
    assert quantities.parameter_kl(trained.ensemble(centred=True), 0.8) == pytest.approx(dense)


def test_parameter_kl_at_the_ridge_fixed_point(trained):
    mean, covariance = parameter_law(trained, 400.0, ridge=0.3)
    dense = sum(gaussian_kl(column, covariance, np.zeros(6), np.eye(6)) for column in mean.T)
    assert quantities.parameter_kl_ridge(trained.ensemble(), 0.3) == pytest.approx(dense, rel=1e-8)
    assert quantities.parameter_kl(trained.ensemble(ridge=0.3), np.inf) == pytest.approx(dense, rel=1e-8)


@pytest.mark.parametrize("tau", [0.1, 2.0])
def test_parameter_kl_with_weight_noise(trained, tau):
    mean, covariance = parameter_law(trained, tau)
    noise = 0.05 * np.eye(6)
    dense = sum(gaussian_kl(column, covariance + noise, np.zeros(6), np.eye(6) + noise) for column in mean.T)
    assert quantities.parameter_kl_weight_noise(trained.ensemble(), tau, 0.05) == pytest.approx(dense, rel=1e-8)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_parameter_information_is_that_of_the_joint_gaussian(trained, tau):
    root = np.random.default_rng(0).standard_normal((4, 4))
    for covariance in (0.7 * np.eye(4), root @ root.T):
        unit = type(trained)(trained.phi, trained.psi, 4, np.eye(4), trained.y_test)
        gain, weights = unit.parameters(tau)
        cov_theta = gain @ gain.T + weights @ covariance @ weights.T
        dense = 2 * gaussian_mutual_information(cov_theta, covariance, weights @ covariance)
        value = quantities.parameter_label_information_correlated(trained.ensemble(), tau, covariance)
        assert value == pytest.approx(dense, rel=1e-8)
    isotropic = quantities.parameter_label_information_correlated(trained.ensemble(), tau, 0.7 * np.eye(4))
    assert quantities.parameter_label_information(trained.ensemble(), tau, 0.7) == pytest.approx(isotropic, rel=1e-12)


def test_information_is_below_the_mean_kl(trained):
    """E_Y KL = I(θ;Y|X) + KL of the mixture ≥ I, here for labels N(0, s²), over which the KL is averaged exactly."""
    ensemble, s2 = trained.ensemble(), 0.6
    taus = np.geomspace(1e-3, 30, 12)
    spectrum = ensemble.spectrum(taus)
    zero = ntkinfo.Ensemble(ensemble.kernels, np.zeros((4, 2)))
    mean_kl = quantities.parameter_kl(zero, taus) + s2 * (spectrum.fitted * spectrum.response).sum(axis=-1)
    assert (quantities.parameter_label_information(ensemble, taus, s2) <= mean_kl).all()


def test_divergence_is_that_of_the_trace(trained):
    ensemble = trained.ensemble()
    rate = 2 * np.trace(ensemble.kernels.ntk)
    for values in (
        quantities.parameter_kl(ensemble, np.array([1e5, 2e5])),
        quantities.parameter_label_information(ensemble, np.array([1e5, 2e5]), 0.3),
        np.array(
            [quantities.parameter_label_information_correlated(ensemble, tau, 0.3 * np.eye(4)) for tau in (1e5, 2e5)]
        ),
    ):
        assert np.diff(values)[0] == pytest.approx(1e5 * rate, rel=1e-9)
    assert quantities.parameter_kl(ensemble, np.inf) == np.inf
    assert quantities.parameter_label_information(ensemble, np.inf, 0.3) == np.inf


def test_rate_is_the_derivative(linear_model):
    for ridge in (0.0, 0.3):
        ensemble = linear_model(outputs=2).ensemble(ridge=ridge)
        step = 1e-5
        values = quantities.parameter_kl(ensemble, np.array([0.5 - step, 0.5 + step]))
        assert quantities.parameter_kl_rate(ensemble, 0.5) == pytest.approx(np.diff(values)[0] / (2 * step), rel=1e-7)
    with pytest.raises(ValueError, match="GradientFlow"):
        quantities.parameter_kl_rate(linear_model().ensemble(learning_rule=ntkinfo.GradientDescent(0.1)), 0.5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_stable_and_monotone_over_eighteen_decades(linear_model, outputs):
    model = linear_model(n=5, m=2, outputs=outputs)
    order = np.array([0, 1, 2, 3, 4, 0, 1, 5, 6])
    double = type(model)(model.phi[order], model.psi[order], 7, np.vstack([model.y, model.y[:2] + 1]), model.y_test)
    ensemble = double.ensemble()
    for name in (
        "parameter_kl",
        "parameter_kl_published",
        "parameter_distance_squared",
        "fisher_distance_squared",
        "fisher_action",
        "path_length_lower",
        "path_length_upper",
        "path_length_upper_modes",
        "data_information_train",
    ):
        values = getattr(quantities, name)(ensemble, WIDE)
        assert not np.isnan(values).any(), name
        assert values[0] == 0, name
        assert (np.diff(values) >= -1e-9 * np.abs(values[1:])).all(), name
    for values in (
        quantities.parameter_label_information(ensemble, WIDE, 0.5),
        quantities.parameter_kl_weight_noise(ensemble, WIDE, 0.01),
    ):
        assert not np.isnan(values).any()
        assert (np.diff(values) >= -1e-9 * np.abs(values[1:])).all()
    assert np.isfinite(quantities.parameter_kl_weight_noise(ensemble, np.inf, 0.01))


def test_small_times_keep_their_relative_accuracy(trained):
    """With K = Θ and Y = 0, KL = Σ (λτ)² + O(τ³) for one output."""
    ensemble = ntkinfo.Ensemble(trained.kernels, np.zeros(4))
    leading = (ensemble.eigenvalues**2).sum() * 1e-16
    assert quantities.parameter_kl(ensemble, 1e-8) == pytest.approx(leading, rel=1e-6)


def test_distances_are_those_in_parameter_space(trained):
    ensemble, tau = trained.ensemble(), 0.9
    gain, shift = trained.parameters(tau)
    moved = gain - np.eye(6)
    dense = 2 * np.trace(moved @ moved.T) + (shift**2).sum()
    assert quantities.parameter_distance_squared(ensemble, tau) == pytest.approx(dense, rel=1e-9)
    phi = trained.phi[:4]
    dense = 2 * np.trace(phi @ moved @ moved.T @ phi.T) + ((phi @ shift) ** 2).sum()
    assert quantities.fisher_distance_squared(ensemble, tau) == pytest.approx(dense, rel=1e-9)


def test_fisher_traces(linear_model):
    model = linear_model(outputs=3)
    gram = model.phi @ model.phi.T
    assert quantities.fisher_trace(model.ensemble()) == pytest.approx(3 * np.trace(gram[:6, :6]))
    assert quantities.fisher_trace_test(model.ensemble()) == pytest.approx(3 * np.trace(gram[6:, 6:]))


def sampled_paths(ensemble, tau, count, step=None):
    """Lengths and actions of the paths of `count` sampled networks, by quadrature in time (or the sum over steps)."""
    rng = np.random.default_rng(0)
    n, k = ensemble.n_train, ensemble.n_outputs
    values = ensemble.eigenvalues
    root = np.linalg.cholesky(ensemble.nngp_modes)
    start = root @ rng.standard_normal((count, n, k)) - ensemble.y_modes
    if step is None:
        nodes, weights = np.polynomial.legendre.leggauss(60)
        times, weights = tau * (nodes + 1) / 2, tau * weights / 2
        decay = np.exp(-np.outer(times, values))
    else:
        times = np.arange(round(tau / step))
        decay, weights = (1 - step * values) ** times[:, None], np.full(times.size, step)
    speed = np.sqrt(np.einsum("tn,snk->st", (values * decay) ** 2, start**2))
    return speed @ weights, speed**2 @ weights


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("step", [None, 0.2])
@pytest.mark.parametrize("tau", [0.4, 4.0])
def test_path_lengths_lie_between_their_bounds(linear_model, outputs, step, tau):
    rule = ntkinfo.GradientFlow() if step is None else ntkinfo.GradientDescent(step)
    ensemble = linear_model(outputs=outputs).ensemble(learning_rule=rule)
    lengths, actions = sampled_paths(ensemble, tau, 20_000, step)
    error = 4 * lengths.std() / np.sqrt(len(lengths))
    assert quantities.path_length_lower(ensemble, tau) <= lengths.mean() + error
    assert lengths.mean() - error <= quantities.path_length_upper(ensemble, tau)
    assert lengths.mean() - error <= quantities.path_length_upper_modes(ensemble, tau)
    action = quantities.fisher_action(ensemble, tau)
    assert abs(action - actions.mean()) < 4 * actions.std() / np.sqrt(len(actions))
    assert (lengths**2 <= tau * actions * (1 + 1e-12)).all()


def test_path_length_bound_is_its_integral(linear_model):
    ensemble = linear_model(outputs=2).ensemble()
    weight = ensemble.mode_power * ensemble.eigenvalues**2
    for tau in (0.3, 5.0):
        exact = quad(lambda s: np.sqrt((weight * np.exp(-2 * s * ensemble.eigenvalues)).sum()), 0, tau, epsabs=1e-12)[0]
        assert quantities.path_length_upper(ensemble, tau) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize(("scale", "variance"), [(0.0, 1.0), (1.0, 0.5), (30.0, 0.5), (1.0, 0.0)])
def test_mean_norm_of_a_gaussian_vector(outputs, scale, variance):
    mean = scale * np.ones((1, outputs)) / np.sqrt(outputs)
    draws = mean + np.sqrt(variance) * np.random.default_rng(0).standard_normal((200_000, outputs))
    norms = np.linalg.norm(draws, axis=1)
    value = mean_norm(mean, np.array([variance]))[0]
    assert abs(value - norms.mean()) <= 4 * norms.std() / np.sqrt(len(norms)) + 1e-12


@pytest.mark.parametrize("outputs", [1, 2])
def test_evidence_identity_and_dense_gaussians(linear_model, outputs):
    model = linear_model(outputs=outputs)
    kernel, s2 = model.kernels.nngp, 0.3
    result = quantities.nngp_evidence(model.kernels, model.y, s2)
    assert result.log_evidence == pytest.approx(result.expected_log_likelihood - result.posterior_kl, rel=1e-10)
    solve = np.linalg.solve(kernel + s2 * np.eye(6), kernel)
    mean, covariance = solve.T @ model.y, kernel - kernel @ solve
    kl = sum(gaussian_kl(column, covariance, np.zeros(6), kernel) for column in mean.T)
    assert result.posterior_kl == pytest.approx(kl, rel=1e-8)
    gain = outputs * gaussian_mutual_information(kernel, kernel + s2 * np.eye(6), kernel)
    assert result.information_gain == pytest.approx(gain, rel=1e-8)


def test_ledger_sums_to_its_quantities(linear_model):
    ensemble = linear_model(outputs=2).ensemble()
    for tau in (0.01, 1.0, 100.0):
        ledger = ntkinfo.mode_table(ensemble, tau, label_noise=0.4)
        law = ensemble.law(tau, on="train")
        assert ledger.parameter_kl.sum() == pytest.approx(quantities.parameter_kl(ensemble, tau))
        assert ledger.parameter_label_information.sum() == pytest.approx(
            quantities.parameter_label_information(ensemble, tau, 0.4)
        )
        assert ledger.fitted.sum() == pytest.approx(quantities.degrees_of_freedom(ensemble, tau))
        assert ledger.distance_squared.sum() == pytest.approx(quantities.parameter_distance_squared(ensemble, tau))
        assert ledger.training_error.sum() / 6 == pytest.approx(
            quantities.expected_square_error(law, ensemble.y_train), abs=1e-12
        )
        frame = ledger.to_frame("nats")
        assert (np.diff(frame["eigenvalue"]) <= 0).all()
        assert frame["parameter_kl_nats"].to_numpy() == pytest.approx(ledger.parameter_kl)


@pytest.mark.parametrize("k", [1, 2, 10, 50, 300])
def test_mean_norms_of_any_number_of_outputs(k):
    """√(2v) Γ((k+1)/2)/Γ(k/2) 1F1(-½; k/2; -x), x = ‖m‖²/2v, on both sides of where its series take over."""
    for x in (0.1, 0.49 * k, 0.51 * k, 0.99 * max(200, k), 1.01 * max(200, k), 1e5):
        mean = np.full((1, k), np.sqrt(2 * 0.7 * x / k))
        with mp.workdps(40):
            half, power = (
                mp.mpf(k) / 2,
                (mp.matrix(mean.tolist()) * mp.matrix(mean.T.tolist()))[0, 0] / (2 * mp.mpf(0.7)),
            )
            front = mp.sqrt(2 * mp.mpf(0.7)) * mp.gamma(half + mp.mpf(1) / 2) / mp.gamma(half)
            expected = float(front * mp.hyp1f1(-mp.mpf(1) / 2, half, -power))
        np.testing.assert_allclose(mean_norm(mean, np.array([0.7])), expected, rtol=1e-12)
