"""Losses and I(Z;Y|D): against quadrature, Monte Carlo, dense Gaussian algebra; and bounds that bound."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

import ntkinfo
from dualib.gaussian import gaussian_entropy, gaussian_mutual_information
from ntkinfo import quantities


def samples(law, count=200_000, seed=0):
    rng = np.random.default_rng(seed)
    return law.mean + np.sqrt(law.variance)[:, None] * rng.standard_normal((count, *law.mean.shape))


def within_four_errors(value, draws):
    assert abs(value - draws.mean()) < 4 * draws.std() / np.sqrt(len(draws))


@pytest.mark.parametrize("outputs", [1, 3])
def test_losses_are_monte_carlo_averages(random_marginals, outputs):
    law = random_marginals(outputs=outputs)
    y = np.random.default_rng(9).standard_normal((7, outputs))
    z = samples(law)
    squares = ((z - y) ** 2).sum(axis=-1)
    within_four_errors(quantities.expected_square_error(law, y), squares.mean(axis=-1))
    nll = -norm.logpdf(y, z, np.sqrt(0.7)).sum(axis=-1)
    within_four_errors(quantities.gibbs_nll(law, y, noise=0.7), nll.mean(axis=-1))


@pytest.mark.parametrize("outputs", [1, 2])
def test_mixture_likelihoods_are_gaussian_densities(linear_model, outputs):
    model = linear_model(outputs=outputs)
    law = model.ensemble().law(0.8)
    single = -sum(
        norm.logpdf(model.y_test[i, j], law.mean[i, j], np.sqrt(0.5 + law.variance[i]))
        for i in range(4)
        for j in range(outputs)
    )
    joint = -sum(
        multivariate_normal.logpdf(model.y_test[:, j], law.mean[:, j], law.covariance + 0.5 * np.eye(4))
        for j in range(outputs)
    )
    assert quantities.bayes_nll(law, model.y_test, 0.5) == pytest.approx(single / 4, abs=1e-12)
    assert quantities.bayes_nll_joint(law, model.y_test, 0.5) == pytest.approx(joint / 4, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_mixture_is_never_worse_than_its_members(random_marginals, seed):
    law, y = random_marginals(seed, outputs=2), np.random.default_rng(seed).standard_normal((7, 2))
    assert quantities.bayes_nll(law, y) <= quantities.gibbs_nll(law, y)
    assert quantities.ensemble_square_error(law, y) <= quantities.expected_square_error(law, y)


def test_optimism_is_the_gap_to_fresh_labels(linear_model):
    """Over 40 000 draws of the labels' noise, at fixed inputs."""
    model = linear_model(n=5, outputs=2)
    ensemble, tau, noise = model.ensemble(), 0.9, 0.3
    weights = (ensemble.eigenvectors * ensemble.spectrum(tau).fitted[0]) @ ensemble.eigenvectors.T
    rng = np.random.default_rng(0)
    labels, fresh = (model.y + np.sqrt(noise) * rng.standard_normal((40_000, 5, 2)) for _ in range(2))
    mean = weights @ labels
    gap = (((fresh - mean) ** 2) - ((labels - mean) ** 2)).sum(axis=-1).mean(axis=-1)
    within_four_errors(quantities.expected_optimism(ensemble, tau, noise), gap)


def test_degrees_of_freedom_rise_from_zero_to_the_rank(linear_model):
    ensemble = linear_model().ensemble()
    df = quantities.degrees_of_freedom(ensemble, np.concatenate([[0], np.geomspace(1e-6, 1e12, 50)]))
    assert df[0] == 0
    assert (np.diff(df) >= 0).all()
    assert df[-1] == pytest.approx(ensemble.rank)


def gaussian_pairs(seed, n=4000, outputs=1):
    """A law whose outputs are jointly Gaussian with y, so that I(Z;Y|D) is known."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((n, outputs)) @ rng.standard_normal((outputs, outputs)) + 0.3
    mixing = rng.standard_normal((outputs, outputs))
    return ntkinfo.Marginals(y @ mixing.T + 0.5 * rng.standard_normal((n, outputs)), np.full(n, 0.4)), y, mixing


@pytest.mark.parametrize("outputs", [1, 2])
def test_affine_decoder_is_exact_on_gaussian_pairs(outputs):
    law, y, _ = gaussian_pairs(1, outputs=outputs)
    cov_y = np.cov(y, rowvar=False, bias=True).reshape(outputs, outputs)
    z = law.mean - law.mean.mean(axis=0)
    cov_zy = z.T @ (y - y.mean(axis=0)) / len(y)
    cov_z = z.T @ z / len(y) + 0.4 * np.eye(outputs)
    exact = gaussian_mutual_information(cov_z, cov_y, cov_zy)
    value = quantities.label_information_affine(law, y, gaussian_entropy(cov_y), fit="same")
    assert value == pytest.approx(exact, abs=1e-10)
    halves = quantities.label_information_affine(law, y, gaussian_entropy(cov_y), fit="halves")
    assert halves == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize("outputs", [1, 2])
def test_better_decoders_give_better_bounds_and_all_bound(outputs):
    """The conditional law of z given y is known here, and with it I(Z;Y) by dense algebra."""
    law, y, mixing = gaussian_pairs(2, n=20_000, outputs=outputs)
    entropy = quantities.gaussian_plug_in_entropy(y)
    unit = quantities.label_information_unit_noise(law, y, entropy)
    best = quantities.label_information_best_noise(law, y, entropy, fit="same")
    affine = quantities.label_information_affine(law, y, entropy, fit="same")
    assert unit <= best <= affine
    noise = (0.25 + 0.4) * np.eye(outputs)
    cov_z = mixing @ np.cov(y, rowvar=False).reshape(outputs, outputs) @ mixing.T + noise
    truth = gaussian_entropy(cov_z) - gaussian_entropy(noise)
    assert affine == pytest.approx(truth, abs=0.05)


def test_unit_and_best_noise_are_expected_log_densities(random_marginals):
    law, y = random_marginals(3), np.random.default_rng(3).standard_normal((7, 1))
    mse = float(quantities.expected_square_error(law, y))
    assert quantities.label_information_unit_noise(law, y, 1.0) == pytest.approx(
        1 - 0.5 * mse - 0.5 * np.log(2 * np.pi)
    )
    best = quantities.label_information_best_noise(law, y, 1.0, fit="same")
    assert best == pytest.approx(1 - 0.5 * np.log(2 * np.pi * np.e * mse))


def discrete_information(law, y):
    """I(Z;Y) of the mixture over points, by quadrature of the two class densities."""
    classes = [y[:, 0] == sign for sign in (-1, 1)]
    weights = [c.mean() for c in classes]

    def density(z, c):
        return norm.pdf(z, law.mean[c, 0], np.sqrt(law.variance[c])).mean()

    def integrand(z):
        parts = [w * density(z, c) for w, c in zip(weights, classes, strict=True)]
        return sum(p * np.log(p / (w * sum(parts))) for p, w in zip(parts, weights, strict=True) if p > 0)

    return quad(integrand, -12, 12, limit=400, epsabs=1e-10)[0]


@pytest.mark.parametrize("noise", [0.05, 0.5, 1.0, 4.0])
def test_discrete_bound_is_below_the_information(random_marginals, noise):
    law = random_marginals(4, n=12)
    y = np.where(law.mean + 0.3 * np.random.default_rng(0).standard_normal((12, 1)) > 0, 1.0, -1.0)
    bound = quantities.label_information_discrete(law, y, noise)
    assert bound <= discrete_information(law, y)
    assert bound <= quantities.class_entropy(y)
    margins = 2 / noise * y * law.mean
    expected = np.mean(
        [
            quad(lambda u, m=m, s=s: norm.pdf(u) * -np.logaddexp(0, -(m + s * u)), -12, 12, points=[-m / s], limit=400)[
                0
            ]
            for m, s in zip(margins[:, 0], 2 / noise * np.sqrt(law.variance), strict=True)
        ]
    )
    assert bound == pytest.approx(quantities.class_entropy(y) + expected, abs=1e-8)


def test_a_density_with_small_noise_is_no_bound_for_discrete_labels():
    """Why the discrete decoder is normalised: the density's value exceeds H(Y)."""
    y = np.array([[-1.0], [1.0], [1.0], [-1.0]])
    law = ntkinfo.Marginals(y, np.full(4, 1e-4))
    density = quantities.class_entropy(y) - quantities.gibbs_nll(law, y, noise=1e-3)
    assert density > np.log(2)
    assert quantities.label_information_discrete(law, y, noise=1e-3) <= np.log(2)


def test_discrete_bound_of_several_outputs_is_below_its_monte_carlo_average(random_marginals):
    law = random_marginals(5, outputs=3)
    y = np.eye(3)[law.mean.argmax(axis=1)]
    logits = samples(law) / 0.7
    log_q = (logits * y).sum(axis=-1) - np.log(np.exp(logits).sum(axis=-1))
    average = quantities.class_entropy(y) + log_q.mean()
    bound = quantities.label_information_discrete(law, y, 0.7)
    assert average - 0.6 < bound <= average


@pytest.mark.parametrize(("outputs", "labels"), [(1, [[0.0], [1.0]]), (2, [[1.0, 1.0], [0.0, 1.0]])])
def test_labels_outside_the_assumption_are_refused(outputs, labels):
    law = ntkinfo.Marginals(np.zeros((2, outputs)), np.ones(2))
    with pytest.raises(ValueError, match="labels must be"):
        quantities.label_information_discrete(law, labels)


def test_label_shapes_are_checked():
    law = ntkinfo.Marginals(np.zeros((3, 2)), np.ones(3))
    with pytest.raises(ValueError, match=r"\(4,\).*\(3, 2\)"):
        quantities.gibbs_nll(law, np.zeros(4))
    with pytest.raises(ValueError, match="has 2 outputs"):
        quantities.gibbs_nll(law, np.zeros(3))


def test_a_perfect_fit_is_infinitely_informative_and_a_wrong_one_is_not():
    y = np.arange(8.0)[:, None]
    perfect = ntkinfo.Marginals(y, np.zeros(8))
    assert quantities.label_information_best_noise(perfect, y, 1.0) == np.inf
    half = ntkinfo.Marginals(np.where(np.arange(8)[:, None] % 2, 0.0, y), np.zeros(8))
    assert quantities.label_information_best_noise(half, y, 1.0) == -np.inf
