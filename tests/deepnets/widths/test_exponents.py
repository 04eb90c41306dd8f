"""Powers of the width: controls of zero mean, kernels by their law, biases against brute force, exponents of made-up numbers."""

import numpy as np
import pytest
from flow_networks import flow_network

import ntkinfo
from deepnets.widths.exponents import Deviations, deviations_of, kernel_fluctuation, linearised_outputs, width_exponents
from deepnets.widths.flow import gradient_flow
from deepnets.widths.start import start_law_sample, start_sample

X = np.random.default_rng(5).standard_normal((6, 3)).astype(np.float32)
Y = np.array([0.8, -0.5, 0.3, -1.0])
SCALES = {"w_std": 1.2, "b_std": 0.3}


def z_scores(values):
    """Means in their standard errors."""
    return values.mean(axis=0) / values.std(axis=0, ddof=1) * np.sqrt(len(values))


@pytest.mark.parametrize(("depth", "sampled"), [(1, start_law_sample), (2, start_sample), (3, start_law_sample)])
def test_what_is_subtracted_has_mean_zero_and_leaves_a_spread_of_order_one_over_width(depth, sampled):
    left = {}
    for width in (16, 64):
        network = flow_network(depth, width, "erf", **SCALES)
        start = sampled(network, X[:4], replicas=2000, seed=1)
        theta, part = kernel_fluctuation(network, X[:4], start)
        upper = np.triu_indices(4)
        assert np.abs(z_scores(part[:, upper[0], upper[1]])).max() < 4.5
        gap = start.kernel - theta
        left[width] = np.sqrt((gap - part).var(axis=0).mean())
        if depth == 1:
            np.testing.assert_allclose(gap, part, atol=1e-5)
        else:
            assert left[width] < 0.5 * np.sqrt(gap.var(axis=0).mean())
    expected = ntkinfo.kernels.dense(X[:4].astype(float), hidden_layers=depth, **SCALES).ntk
    np.testing.assert_allclose(theta, expected, rtol=1e-12)
    if depth > 1:
        assert 3 < left[16] / left[64] < 6


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_controls_of_other_activations(activation):
    network = flow_network(2, 32, activation, **SCALES)
    start = start_law_sample(network, X[:3], replicas=500, seed=0)
    theta, part = kernel_fluctuation(network, X[:3], start)
    gap = start.kernel - theta
    assert np.abs(z_scores(part[:, 0, :])).max() < 4.5
    assert (gap - part).std() < 0.3 * gap.std()
    if activation == "linear":  # its mean kernel is Θ at any width
        assert np.abs(z_scores((gap - part)[:, 0, :])).max() < 4.5


def test_the_law_of_the_start_is_that_of_drawn_networks():
    """Means and second moments of all pieces, at a width where every one of the six directions counts."""
    network = flow_network(3, 8, "erf", **SCALES)
    drawn, law = (f(network, X[:3], replicas=20_000, seed=2) for f in (start_sample, start_law_sample))
    for name in ("kernel", "grams", "slopes", "signals"):
        a, b = (getattr(s, name).reshape(20_000, -1) for s in (drawn, law))
        for power in (1, 2):
            error = np.sqrt(((a**power).var(axis=0) + (b**power).var(axis=0)) / 20_000)
            gap = (a**power).mean(axis=0) - (b**power).mean(axis=0)
            assert (np.abs(gap) < 4.5 * error + 1e-6).all(), name


def test_the_bias_of_a_layer_is_that_of_its_expansion():
    """One point, two layers: E K̂² - K² = E F(K̂¹) - F(K¹), by averaging over 10⁷ first layers, without any network."""
    network, x = flow_network(2, 8, "erf", **SCALES), X[:1]
    start = start_law_sample(network, x, replicas=200_000, seed=0)
    k0 = 1.44 * float((x.astype(float) ** 2).sum()) / 3 + 0.09

    def mapped(k):
        return 1.44 * 2 / np.pi * np.arcsin(2 * k / (1 + 2 * k)) + 0.09

    rng, found = np.random.default_rng(0), []
    from scipy.special import erf

    for _ in range(10):
        first = 1.44 * (erf(np.sqrt(k0) * rng.standard_normal((100_000, 8))) ** 2).mean(axis=1) + 0.09
        found.append(mapped(first) - mapped(mapped(k0)))
    expected = np.concatenate(found)
    assert abs(expected.mean()) > 20 * expected.std() / 1000  # there is a bias to be found
    measured = start.grams[:, 1, 0, 0] - mapped(mapped(k0))
    error = np.hypot(measured.std() / np.sqrt(200_000), expected.std() / 1000)
    assert abs(measured.mean() - expected.mean()) < 4 * error


def test_the_kernels_bias_is_that_of_brute_force_at_a_fraction_of_its_error():
    network = flow_network(3, 8, "erf", **SCALES)
    brute = start_sample(network, X[:3], replicas=60_000, seed=3)
    few = start_law_sample(network, X[:3], replicas=20_000, seed=4)
    theta, part = kernel_fluctuation(network, X[:3], few)
    left, gap = few.kernel - theta - part, brute.kernel - theta
    error = np.hypot(left.std(axis=0) / np.sqrt(20_000), gap.std(axis=0) / np.sqrt(60_000))
    assert np.abs((left.mean(axis=0) - gap.mean(axis=0)) / error).max() < 4.5
    assert (np.abs(left.mean(axis=0)) > 4 * left.std(axis=0) / np.sqrt(20_000)).mean() > 0.5
    assert left.std() < 0.7 * (few.kernel - theta).std()


def test_linearised_outputs_are_those_of_theory_and_their_derivatives_differences():
    kernels = ntkinfo.kernels.dense(X[:4].astype(float), X[4:].astype(float), hidden_layers=2, **SCALES)
    whole = np.block([[kernels.ntk, kernels.ntk_test_train.T], [kernels.ntk_test_train, kernels.ntk_test]])
    rng = np.random.default_rng(0)
    moves = rng.normal(size=(3, 6, 6))
    moves += moves.transpose(0, 2, 1)
    z, dz = linearised_outputs(whole, moves, Y, (0.5, 1.5), 0.002)
    law = ntkinfo.Ensemble(kernels, Y).law(1.5)
    np.testing.assert_allclose(z[4:], law.mean[:, 0], atol=1e-5)
    for move, derivative in zip(moves, dz, strict=True):
        ends = [linearised_outputs(whole + s * 1e-5 * move, moves, Y, (0.5, 1.5), 0.002)[0] for s in (1, -1)]
        np.testing.assert_allclose(derivative, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


def test_mirror_images_start_opposite_and_pairs_have_the_mean_of_networks():
    network, taus, step = flow_network(2, 16, "erf", **SCALES), (0.5, 1.0), 0.05
    plain, mirrored = (
        gradient_flow(network, X, Y, taus, step, replicas=2000, seed=0, mirrored=m) for m in (False, True)
    )
    np.testing.assert_allclose(plain.start, -mirrored.start, atol=1e-6)
    np.testing.assert_allclose(plain.kernel, mirrored.kernel, rtol=1e-5, atol=1e-6)
    start = start_sample(network, X, replicas=2000, seed=0)
    np.testing.assert_allclose(plain.kernel, start.kernel[:, :4, :4], rtol=1e-4, atol=1e-5)
    found = deviations_of(
        network, X, Y, taus, step, plain, mirrored, start, start_sample(network, X[:4], replicas=2000, seed=0)
    )
    pair, single = found.pair_outputs, found.outputs
    assert np.abs(z_scores(single - pair)).max() < 4.5
    assert pair.std(axis=0).mean() < 0.6 * single.std(axis=0).mean()
    assert np.abs(z_scores(pair)).max() > 10  # a bias is seen


def test_exponents_of_made_up_numbers():
    rng = np.random.default_rng(0)

    def made_up(width):
        few, many = rng.normal(size=(300, 5)), rng.normal(size=(3000, 6))
        bias = np.linspace(-1, 1, 6)
        return Deviations(width, few / np.sqrt(width), many / np.sqrt(width), (few + 1) / width, (many + bias) / width)

    found = width_exponents([made_up(w) for w in (64, 128, 256, 512)], 2, seed=0)
    for x in found:
        assert x.compatible, x.name
        assert x.high - x.low < 0.3
    without = width_exponents([made_up(w) for w in (64, 128)], 1, seed=0)[1]
    assert np.isnan(without.exponent)
    assert "no bias" in without.note
