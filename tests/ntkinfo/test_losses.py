"""Losses of columns that are differences of larger numbers, and columns where labels and outputs are of very different size."""

import mpmath as mp
import numpy as np
import pytest

import ntkinfo
from ntkinfo import quantities
from ntkinfo.laws import Collapse, Marginals, Rounding

pytestmark = pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")


def blocks(n, m, seed=0, size=1.0):
    """Both kernels on n training points and m others, of which the first one is the first training point."""
    rng = np.random.default_rng(seed)
    root, index = (
        rng.standard_normal((n + m, n + m + 2)),
        np.append(np.arange(n), np.append(0, np.arange(n, n + m - 1))),
    )
    nngp = size * root @ root.T / (n + m)
    found = {}
    for name, kernel in (("nngp", nngp), ("ntk", 2 * nngp + size * np.eye(n + m))):
        kernel = kernel[np.ix_(index, index)]
        found |= {name: kernel[:n, :n], f"{name}_test_train": kernel[n:, :n], f"{name}_test": kernel[n:, n:]}
    return found


@pytest.mark.parametrize("on", ["train", "test"])
@pytest.mark.parametrize("size", [1e9, 1e16, 1e20])
def test_informations_at_the_start_do_not_depend_on_the_labels(size, on):
    """At τ = 0 outputs have the law of the prior, however large the labels of the training points among them are."""
    kernels, y = ntkinfo.Kernels(**blocks(4, 3)), size * np.array([1.0, -2.0, 0.5, 3.0])
    table = ntkinfo.timeline(ntkinfo.Ensemble(kernels, y), [0.0, 1e-30], on=on, progress=False)
    variance = np.diagonal(kernels.nngp if on == "train" else kernels.nngp_test)
    prior = Marginals(np.zeros((len(variance), 1)), variance)
    for end in ("", "_leave_one_out", "_kolchinsky_tracey_lower", "_kolchinsky_tracey_upper"):
        name = f"input_information{end}"
        np.testing.assert_allclose(table[name], getattr(quantities, name)(prior), rtol=1e-9, err_msg=name)
        assert (table.rounding[name] < 1e-8).all()


def test_the_rounding_of_a_pairwise_bound_is_counted_where_it_shows_to_one_side_only():
    """Means that are known to ten widths: the upper bound is at its largest, log N, with and without their rounding."""
    mean = np.array([[0.0], [20.0], [-20.0]])
    law = Marginals(mean, np.ones(3), Rounding(np.full((3, 1), 20.0), np.zeros(3)))
    value, lost = ntkinfo.quantities.registry.bound_of("input_information_kolchinsky_tracey_upper")(law)
    assert value == pytest.approx(np.log(3), rel=1e-9)
    assert lost > 0.9 * value  # all three means may be the same


def test_a_decoder_of_outputs_that_hardly_depend_on_the_classes_loses_what_entropies_round():
    """For small outputs E log(1 + e^{-2yz}) = log 2 - yμ + (v + μ²)/2, of which log 2 cancels against H(Y)."""
    labels, kernels = np.array([1.0, -1.0, 1.0, -1.0]), ntkinfo.Kernels(**blocks(4, 4, seed=3, size=1e-10))
    ensemble = ntkinfo.Ensemble(kernels, 1e-5 * labels)
    taus, name = np.geomspace(1e-3, 1e13, 40), "label_information_discrete"
    table = ntkinfo.timeline(ensemble, taus, y_test=labels, progress=False)
    law = ensemble.marginals(taus)
    with mp.workdps(40):
        truth = [
            sum(mp.mpf(y * z) - (mp.mpf(v) + mp.mpf(z) ** 2) / 2 for y, z, v in zip(labels, mean, var, strict=True)) / 4
            for mean, var in zip(law.mean[..., 0], law.variance, strict=True)
        ]
        error = np.array([float((t - f) / abs(t)) for f, t in zip(table[name], truth, strict=True)])
    assert error.max() > 1e-9
    assert (error >= 0).all()  # it is a lower bound
    assert (error <= 2 * table.rounding[name] + 1e-9).all()  # once for what is lost, and once for its side


@pytest.mark.parametrize("name", ["unit_noise", "best_noise", "affine"])
def test_a_bound_that_is_nearly_all_of_the_entropy_loses_what_the_entropy_rounds(name):
    kernels, y = ntkinfo.Kernels(**blocks(5, 6, seed=1)), np.array([1.0, -0.3, 0.4, 0.2, -1.0])
    given = {"y_test": np.linspace(-1, 1, 6), "progress": False}
    column = f"label_information_{name}"
    zero = ntkinfo.timeline(ntkinfo.Ensemble(kernels, y), [1.0], entropy_y=0.0, **given)[column][0]
    table = ntkinfo.timeline(
        ntkinfo.Ensemble(kernels, y), [1.0], entropy_y=-zero, **given
    )  # which is its cross entropy
    assert table.rounding[column][0] * abs(table[column][0]) >= 2**-52 * abs(zero)


@pytest.mark.parametrize("noise", [1e6, 1e10, 1e13])
def test_informations_of_noisy_outputs_lose_what_log_densities_round(noise):
    """Of outputs in much noise s² about the inputs there is Σ_i (μ_i - μ)²/2Ns², to first order in 1/s², and (N/(N-1))² of it left out."""
    kernels, y = ntkinfo.Kernels(**blocks(4, 5, seed=2)), np.array([1.0, -2.0, 0.5, 3.0])
    ensemble = ntkinfo.Ensemble(kernels, y, centred=True)
    table = ntkinfo.timeline(ensemble, [0.3, 1.0], output_noise=noise, progress=False)
    mean = ensemble.marginals([0.3, 1.0]).mean[..., 0]
    truth = mean.var(axis=1) / (2 * noise)
    for name, expected in (("input_information", truth), ("input_information_leave_one_out", (5 / 4) ** 2 * truth)):
        error = np.abs(table[name] / expected - 1)
        assert (error <= table.rounding[name] + 20 / noise).all()  # the second order is the rest


def test_an_infinite_bound_of_outputs_too_narrow_to_be_resolved_says_that_it_is_lost():
    """Two points of known distance and width: an infinite value is none, unless the outputs have no width at all."""
    kernels = ntkinfo.Kernels(np.eye(2), np.array([[1e-40, 0.0], [0.0, 2e-40]]))
    table = ntkinfo.timeline(ntkinfo.Ensemble(kernels, [1.0, -1.0]), [1.0], progress=False)
    name = "input_information_leave_one_out"
    assert np.isfinite(table[name]) | np.isinf(table.rounding[name])
    centred = ntkinfo.timeline(ntkinfo.Ensemble(kernels, [1.0, -1.0], centred=True), [1.0], progress=False)
    assert np.isposinf(centred[name])
    assert centred.rounding[name] < 1e-14


@pytest.mark.parametrize("log_size", [0.0, -30.0, -123.0, -1e4])
def test_outputs_of_one_label_keep_their_information_however_far_below_its_last_digit(log_size):
    """Four points of the target 3.25, of one shape at any size."""
    shortfall, spread = np.array([[[0.1], [0.85], [-0.4], [0.3]]]), np.array([[0.02, 0.03, 0.01, 0.015]])
    target, size = np.full((4, 1), 3.25), np.full((1, 4), log_size)
    mean = target - np.exp(size)[..., None] * shortfall
    law = Marginals(mean, np.exp(2 * size) * spread, collapse=Collapse(target, shortfall, spread, size))
    shape = Marginals(-shortfall, spread)
    for name in ("input_information", "input_information_kolchinsky_tracey_lower"):
        quantity = getattr(quantities, name)
        np.testing.assert_allclose(quantity(law), quantity(shape), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("noise", [1e-14, 1e-8, 1e-3, 1e6])
def test_a_little_noise_on_the_weights_leaves_all_digits_of_their_information(noise):
    """Of a trained linear network: k/2 Σ [(r² + σ²)/(1 + σ²) - 1 - log of it], and (λa²‖y‖²)/(2 + 2σ²), in 40 digits."""
    theta, y, tau = np.diag([1.0, 3.0, 7.0]), np.array([0.1, -0.2, 0.3]), 5.0
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(theta, theta), y)
    found = quantities.parameter_kl_weight_noise(ensemble, tau, weight_noise=noise)
    with mp.workdps(40):
        s2, total = mp.mpf(noise), mp.mpf(0)
        for lam, label in zip((1, 3, 7), y, strict=True):
            r = mp.exp(-lam * mp.mpf(tau))
            ratio = (r**2 + s2) / (1 + s2)
            total += (ratio - 1 - mp.log(ratio)) / 2 + (1 - r) ** 2 / lam * mp.mpf(label) ** 2 / (2 * (1 + s2))
        assert abs(found - total) <= 4e-15 * total


def test_points_that_are_there_twice_collapse_as_they_do_once():
    """With one label each, late in training, when what is left of them is no number; the decoders of such outputs were NaN."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 8))
    y, taus = np.sin(2 * x[:, 0]), np.array([1.0, 30.0, 1e6, 1e12])
    once, twice = (
        ntkinfo.Ensemble(ntkinfo.kernels.dense(points, third_kernel=False), labels)
        for points, labels in ((x, y), (np.repeat(x, 2, axis=0), np.repeat(y, 2)))
    )
    found = ntkinfo.timeline(twice, taus, on="train", progress=False)
    wanted = ntkinfo.timeline(once, 2 * taus, on="train", progress=False)  # Θ has twice the eigenvalues
    for name in ("expected_square_error", "output_variance", "label_information_unit_noise", "bayes_nll"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-7, atol=1e-290, err_msg=name)
    assert np.isfinite(found["label_information_affine"]).all()
