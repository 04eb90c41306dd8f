"""The smoothed plug-in against quadrature: coverage, rates, the bound on its error, and its kernel against direct sums."""

import math

import numpy as np
import pytest
from scipy.special import entr

from deepnets.estimators import PairwiseBounds, Quadrature, SmoothedPlugin
from deepnets.estimators.draws import Draws
from deepnets.estimators.layer import check_layer
from deepnets.estimators.resampled import reach
from dualib.mixtures import kernel_sums


@pytest.mark.slow
def test_intervals_cover_the_truth(mixtures):
    # 24 mixtures, 15 seeds: 360 intervals of each kind
    covered = []
    for centres, rows, weights, sigma in mixtures:
        truth = Quadrature(sigma).layer(centres, rows, weights)
        for seed in range(15):
            found = SmoothedPlugin(sigma).layer(centres, rows, weights, seed=seed)
            covered.append(
                [e.low <= q.value <= e.high for e, q in ((found.rate, truth.rate), (found.relevance, truth.relevance))]
            )
    rates = np.mean(covered, axis=0)
    assert (rates > 0.93).all(), rates


def test_value_is_unbiased_and_its_standard_error_is_that_of_repeats(mixtures):
    for index in (1, 5, 9, 14):  # no rare events
        centres, rows, weights, sigma = mixtures[index]
        truth = Quadrature(sigma).layer(centres, rows, weights)
        runs = [SmoothedPlugin(sigma).layer(centres, rows, weights, seed=seed) for seed in range(40)]
        for name in ("rate", "relevance"):
            values = np.array([getattr(r, name).value for r in runs])
            z = (values.mean() - getattr(truth, name).value) / (values.std(ddof=1) / math.sqrt(40))
            assert abs(z) < 4.5
            ratio = values.std(ddof=1) / np.mean([getattr(r, name).std_error for r in runs])
            assert abs(ratio - 1) < 4.5 / math.sqrt(2 * 40) + 0.1


def test_the_interval_stays_within_the_sandwich(mixture):
    centres, rows, weights, sigma = mixture
    found, proven = (
        SmoothedPlugin(sigma).layer(centres, rows, weights),
        PairwiseBounds(sigma).layer(centres, rows, weights),
    )
    for estimate, bounds in ((found.rate, proven.rate), (found.relevance, proven.relevance)):
        assert bounds.low <= estimate.low <= estimate.value <= estimate.high <= bounds.high


def test_standard_error_is_under_its_bound(mixture):
    centres, rows, weights, sigma = mixture
    estimator = SmoothedPlugin(sigma)
    bound = estimator.standard_error_bound(centres, weights)
    assert bound <= math.sqrt(centres.shape[1] / 16000)
    # the standard error is itself an estimate
    assert estimator.layer(centres, rows, weights).rate.std_error <= 1.1 * bound


def test_plugin_error_falls_as_the_root_of_the_sample():
    # S ~ N(0, τ²), so that I(S; S + Z) = ½ ln(1 + τ²/σ²)
    sizes, errors = np.array([100, 400, 1600]), []
    for n in sizes:
        deviations = []
        for seed in range(24):
            s = 0.8 * np.random.default_rng([seed, n]).normal(size=(n, 1))
            found = SmoothedPlugin(0.5, n_mc=4, sampled=True).layer(s, np.ones((n, 1)), seed=seed)
            deviations.append(found.rate.value - 0.5 * math.log1p(0.64 / 0.25))
        errors.append(np.sqrt(np.mean(np.square(deviations))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # each log error has standard error 1/√48, so the slope about 1/√48/ln 4/√2
    assert slope == pytest.approx(-0.5, abs=4 * 0.074)


@pytest.mark.slow
def test_sample_intervals_cover_the_population():
    # T given the component is N(m, τ² + σ²): quadrature with the sum of the variances
    means, rows, tau, sigma, n = (
        np.array([[-1.0], [0.2], [1.5]]),
        np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]),
        0.5,
        0.6,
        120,
    )
    exact = Quadrature(math.hypot(tau, sigma)).layer(means, rows)
    truth = exact.rate.value + 0.5 * math.log1p(tau**2 / sigma**2), exact.relevance.value
    covered = []
    for seed in range(150):
        rng = np.random.default_rng([seed, 5])
        component = rng.integers(0, 3, n)
        y = (rng.random(n) < rows[component, 1]).astype(int)
        s = means[component] + tau * rng.normal(size=(n, 1))
        found = SmoothedPlugin(sigma, sampled=True).layer(s, np.eye(2)[y], seed=seed)
        covered.append([e.low <= v <= e.high for e, v in zip((found.rate, found.relevance), truth, strict=True)])
    assert (np.mean(covered, axis=0) >= 0.93).all()


def test_too_few_samples_are_said():
    rng = np.random.default_rng(0)
    s = rng.normal(size=(300, 8))
    found = SmoothedPlugin(0.1, sampled=True).layer(s, np.ones((300, 1))).rate
    truth = 4 * math.log1p(100)
    assert found.low <= truth
    assert found.high > truth - 1.5  # the covariance is known to some 8 %
    assert found.width > 5
    assert any("bracket of" in text for text in found.warnings)


@pytest.mark.parametrize("d", [1, 200])
def test_far_patterns_under_little_noise_are_told_apart(d):
    rows = np.eye(2)[[0, 1, 1]]
    t = np.array([0.0, 1e6, -1e6])[:, None] * np.ones(d)
    for sampled in (False, True):
        found = SmoothedPlugin(1e-8, sampled=sampled).layer(t, rows)
        assert all(np.isfinite([e.value, e.low, e.high, e.std_error]).all() for e in (found.rate, found.relevance))
    exact = SmoothedPlugin(1e-8).layer(t, rows)
    assert exact.rate.value == pytest.approx(math.log(3), abs=1e-9)
    assert exact.relevance.value == pytest.approx(math.log(3) - 2 / 3 * math.log(2), abs=1e-9)


@pytest.mark.parametrize("estimator", [SmoothedPlugin, PairwiseBounds])
def test_scales_whose_squares_overflow_are_refused_and_smaller_ones_are_not(estimator):
    t, rows = np.array([[0.0], [1.0], [-1.0]]), np.eye(2)[[0, 1, 1]]
    assert estimator(1e-8).layer(0.9e132 * t, rows).rate.value == pytest.approx(math.log(3), abs=1e-9)
    with pytest.raises(ValueError, match="from 1e\\+140 sigma on"):
        estimator(1e-8).layer(1.1e132 * t, rows)
    with pytest.raises(ValueError, match="square beyond float64"):
        estimator(1e150)


def test_the_value_of_few_samples_is_the_middle_of_a_bracket_that_is_said():
    rng = np.random.default_rng(0)
    t, rows = rng.normal(size=(12, 2)), np.eye(2)[rng.integers(0, 2, 12)]
    found = SmoothedPlugin(0.1, sampled=True).layer(t, rows).relevance
    assert (found.low, found.high > 0.6) == (0.0, True)
    assert 0.3 * found.high < found.value < 0.7 * found.high
    (text,) = found.warnings
    assert "bracket of" in text


def test_no_estimate_exceeds_the_entropy_of_the_patterns(mixture):
    centres, rows, weights, sigma = mixture
    for estimator in (SmoothedPlugin(sigma), PairwiseBounds(sigma), Quadrature(sigma)):
        found = estimator.layer(
            1e3 * centres / sigma if estimator.__class__ is not Quadrature else centres, rows, weights
        )
        assert found.rate.high <= entr(weights).sum() * (1 + 1e-13)
        assert found.relevance.high <= found.rate.high


def test_wide_layers_do_not_overflow(monkeypatch):
    monkeypatch.setattr("deepnets.estimators.smoothed_plugin.FEWEST_DRAWS", 1000)
    # 1300 units: ‖Z‖²/2σ² is about 650, and e^650 times a few more overflows
    rng = np.random.default_rng(0)
    t = 0.01 * rng.normal(size=(20, 1300))
    found = SmoothedPlugin(1.0).layer(t, np.ones((20, 1))).rate
    variances = np.linalg.svd(t - t.mean(axis=0), compute_uv=False) ** 2 / 20
    assert 0 < found.low <= found.high <= 0.5 * np.log1p(variances).sum() + 1e-6


def test_seed_order_and_labels(layer):
    t, rows = layer
    once, again = (SmoothedPlugin(0.5).layer(t, rows, seed=4) for _ in range(2))
    assert once == again
    swapped = SmoothedPlugin(0.5).layer(t, rows[:, ::-1], seed=4)
    assert swapped.relevance.value == pytest.approx(once.relevance.value, abs=1e-12)
    other = SmoothedPlugin(0.5).layer(t, rows, seed=5)
    scale = math.hypot(once.rate.std_error, other.rate.std_error)
    assert 0 < abs(once.rate.value - other.rate.value) < 4.5 * scale


def test_fitted_control_variates_beat_the_raw_estimate_and_coefficient_one(layer):
    # raw: -ln q(T), whose variance keeps that of ‖Z‖²/2σ²
    t, rows = layer
    sigma = 0.5
    rng = np.random.default_rng(0)
    own = np.repeat(np.arange(300), 54)
    noise = sigma * rng.normal(size=(len(own), 4))
    sums, _ = kernel_sums(own, noise, t, np.full((300, 1), 1 / 300), sigma)
    raw = -np.log(sums[:, 0]) + (noise**2).sum(axis=1) / (2 * sigma**2)

    def variance(values):
        return values.reshape(300, 54).var(axis=1, ddof=1).mean() / len(own)

    fitted = SmoothedPlugin(sigma, n_mc=54).layer(t, rows).rate.std_error ** 2
    assert fitted < 0.2 * min(variance(raw), variance(-np.log(sums[:, 0])))


def test_refusals(layer):
    t, rows = layer
    with pytest.raises(ValueError, match="n_mc must be at least 2, got 1"):
        SmoothedPlugin(0.1, n_mc=1)
    with pytest.raises(ValueError, match="sigma = -1"):
        SmoothedPlugin(-1.0)
    with pytest.raises(ValueError, match="leave p_x out"):
        SmoothedPlugin(0.1, sampled=True).layer(t, rows, np.r_[2 / 300, 0, np.full(298, 1 / 300)])
    with pytest.raises(ValueError, match="one pattern is no sample"):
        SmoothedPlugin(0.1, sampled=True).layer(t[:1], rows[:1])
    with pytest.raises(ValueError, match="seed = -3"):
        SmoothedPlugin(0.1).layer(t, rows, seed=-3)


def test_plugin_and_left_out_samples_bracket_the_population_in_expectation():
    # S ~ N(0, I) in two dimensions, 60 samples: the ends of the interval, without their 1.96 standard errors
    truth = math.log1p(1 / 0.25)
    ends = []
    for seed in range(100):
        s = np.random.default_rng([seed, 8]).normal(size=(60, 2))
        found = SmoothedPlugin(0.5, sampled=True).layer(s, np.ones((60, 1)), seed=seed).rate
        low = found.low + 1.96 * found.std_error
        ends.append([low, 2 * found.value - low])  # the value is the middle
    mean, error = np.mean(ends, axis=0), np.std(ends, axis=0, ddof=1) / 10
    assert mean[0] + 3 * error[0] < truth < mean[1] - 3 * error[1]
    assert abs(mean.mean() - truth) < 0.3 * (truth - mean[0])


def test_the_interval_of_thirty_samples_near_the_largest_information_reaches_down():
    """Two far clusters of weights .3 and .7: I is the entropy h of the weights, and a sample of 13 and 17 has a small standard
    error near the top of h, but its interval holds h(.3), which has the weights 1.6 standard deviations away.
    """
    t = np.repeat([0.0, 100.0], [13, 17])[:, None]
    rows = np.repeat(np.eye(2), [13, 17], axis=0)
    truth = entr([0.3, 0.7]).sum()
    found = SmoothedPlugin(1.0, sampled=True).layer(t, rows)
    for estimate in (found.rate, found.relevance):
        assert estimate.low < truth < estimate.high
        assert found.rate.value - 2.045 * found.rate.std_error > truth  # Student's interval does not
        assert estimate.low > truth - 0.1


def test_resamples_of_a_large_sample_move_as_far_as_its_standard_error_says():
    """Of S ~ N(0, 1) under noise of variance 1, D(p_i ‖ q) = (t_i² - 1)/4 + I: a standard error of 1/√(8n)."""
    n, rng = 1500, np.random.default_rng(0)
    t, rows = rng.normal(size=(n, 1)), np.eye(2)[rng.integers(0, 2, n)]
    layer = check_layer(t, rows, None)
    draws = Draws.of(layer, 1.0, 16000, rng, gaussian=True)
    values = draws.by_centre(-np.log(draws.sums.sum(axis=1)) - draws.shifts)
    assert values.std() == pytest.approx((t**2 / 4).std(), rel=0.06)
    (down, up), _ = reach(layer, 1.0, values, np.zeros(n), rng)
    assert (down + up) / 2 == pytest.approx(1.96 / math.sqrt(8 * n), rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.3, 0.4])
def test_coverage_of_two_clusters(weight):
    """Far apart, so that both informations are the entropy of the weights, at and below which the sample's may lie."""
    rng, truth, hits = np.random.default_rng([30, int(100 * weight)]), entr([weight, 1 - weight]).sum(), np.zeros(2)
    for seed in range(150):
        cluster = (rng.random(30) < weight).astype(int)
        found = SmoothedPlugin(1.0, sampled=True).layer(50.0 * cluster[:, None], np.eye(2)[cluster], seed=seed)
        hits += [e.low <= truth <= e.high for e in (found.rate, found.relevance)]
    assert (hits / 150 > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 150)).all()


@pytest.mark.parametrize("n", [50, 600])
def test_what_a_sample_need_not_show_is_within_its_interval(n):
    """A rare cluster, and a rare label, of probability 3/n: one sample in twenty has none of it."""

    def entropy(p):
        return float(-p * np.log(p) - (1 - p) * np.log1p(-p))

    one_place, one_label = np.zeros((n, 1)), np.tile([1.0, 0.0], (n, 1))
    assert SmoothedPlugin(0.1, sampled=True).layer(one_place, one_label).rate.high >= entropy(3 / n)
    two_places = np.where(np.arange(n) < n // 2, -3.0, 3.0)[:, None]
    found = SmoothedPlugin(0.1, sampled=True).layer(two_places, one_label).relevance
    assert found.low == 0
    assert found.high >= entropy(3 / n) - 0.5 * entropy(6 / n)  # the label occurs in one of the places alone
