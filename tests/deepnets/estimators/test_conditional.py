"""Deeper noisy layers: chains with noise whose informations quadrature knows."""

import math

import numpy as np
import pytest

from deepnets.estimators import ConditionalPlugin, Quadrature, SmoothedPlugin
from deepnets.estimators.layer import check_layer

X, ROWS = np.array([-1.5, -0.5, 0.5, 1.5]), np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]])
WEIGHTS = np.array([0.1, 0.4, 0.3, 0.2])
A, B, SIGMA = 0.9, 1.1, 0.5


def truth(weights=None):
    # T_1 = aX + Z_1, T_2 = bT_1 + Z_2: given x, N(abx, (1 + b²)σ²)
    return Quadrature(SIGMA * math.sqrt(1 + B * B)).layer(A * B * X[:, None], ROWS, weights)


def passes(repeats, seed):
    noise = SIGMA * np.random.default_rng(seed).normal(size=(4, repeats))
    return (B * (A * X[:, None] + noise))[..., None]


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("repeats", [4, 30])
def test_linear_chain_is_covered(weights, repeats):
    exact = truth(weights)
    covered = []
    for seed in range(100):
        found = ConditionalPlugin(SIGMA).layer(passes(repeats, seed), ROWS, weights, seed=seed)
        covered.append(
            [e.low <= q.value <= e.high for e, q in ((found.rate, exact.rate), (found.relevance, exact.relevance))]
        )
    assert (np.mean(covered, axis=0) >= 0.93).all()


@pytest.mark.parametrize("separate", [False, True])
def test_few_passes_from_few_patterns_are_covered(separate):
    x = np.linspace(-1.5, 1.5, 8)
    labels = (x > 0).astype(int) if separate else np.arange(8) % 2
    exact = Quadrature(SIGMA * math.sqrt(1 + B * B)).layer(A * B * x[:, None], np.eye(2)[labels])
    covered = []
    for seed in range(200):
        noise = SIGMA * np.random.default_rng([seed, 7]).normal(size=(8, 2))
        found = ConditionalPlugin(SIGMA).layer((B * (A * x[:, None] + noise))[..., None], np.eye(2)[labels], seed=seed)
        pairs = ((found.rate, exact.rate), (found.relevance, exact.relevance))
        covered.append([e.low <= q.value <= e.high for e, q in pairs])
    assert (np.mean(covered, axis=0) >= 0.93).all()


@pytest.mark.parametrize("repeats", [3, 12])
def test_plugin_and_left_out_passes_bracket_the_truth_in_expectation(repeats):
    estimator, exact = ConditionalPlugin(SIGMA), truth(WEIGHTS)
    layer = check_layer(X[:, None], ROWS, WEIGHTS)
    ends = []
    for seed in range(300):
        noise = SIGMA * np.random.default_rng([seed, 2]).normal(size=(4, repeats, 1))
        ends.append(estimator.log_ratios(passes(repeats, seed), layer, noise).mean(axis=-1) @ WEIGHTS)
    mean = np.mean(ends, axis=0)
    for k, value in enumerate((exact.rate.value, exact.relevance.value)):
        assert mean[k, 0] < value < mean[k, 1]


def test_middle_is_nearly_unbiased():
    exact, estimator = truth(), ConditionalPlugin(SIGMA, n_mc=2)
    runs = [estimator.layer(passes(40, seed), ROWS, seed=seed) for seed in range(80)]
    for name in ("rate", "relevance"):
        values = np.array([getattr(r, name).value for r in runs])
        error = values.std(ddof=1) / math.sqrt(80)
        # the prior in the lower end costs up to 1e-3 there, half of it in the middle
        assert abs(values.mean() - getattr(exact, name).value) < 4.5 * error + 5e-4
        assert np.mean([getattr(r, name).std_error for r in runs]) == pytest.approx(values.std(ddof=1), rel=0.45)


def test_more_passes_narrow_the_interval():
    widths = [ConditionalPlugin(SIGMA).layer(passes(m, 3), ROWS, seed=1).rate.width for m in (8, 64, 512)]
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_nonlinear_two_units_against_a_single_fine_mixture():
    # T_1 = x + Z_1, S_2 = tanh(W T_1) in two units; many quantiles of Z_1 as centres give q(t|x), hence I, by quadrature
    from scipy.stats import norm

    sigma, w = 0.4, np.array([1.0, -0.7])
    quantiles = sigma * norm.ppf((np.arange(400) + 0.5) / 400)

    def second(t1):
        return np.tanh(t1[..., None] * w)

    fine = second(X[:, None] + quantiles)
    whole = Quadrature(sigma).layer(fine.reshape(-1, 2), np.repeat(ROWS, 400, axis=0))
    within = [Quadrature(sigma).layer(c, np.ones((400, 1))).rate.value for c in fine]
    exact = whole.rate.value - np.mean(within), whole.relevance.value
    covered = []
    for seed in range(40):
        noise = sigma * np.random.default_rng([seed, 9]).normal(size=(4, 60))
        found = ConditionalPlugin(sigma).layer(second(X[:, None] + noise), ROWS, seed=seed)
        covered.append([e.low <= v <= e.high for e, v in zip((found.rate, found.relevance), exact, strict=True)])
        for e, v in zip((found.rate, found.relevance), exact, strict=True):
            assert abs(e.value - v) < 5 * e.std_error + 0.01
    assert (np.mean(covered, axis=0) >= 0.9).all()


def test_without_noise_below_it_is_the_first_layer():
    # all passes equal: T given x is one Gaussian
    repeats = 300
    centres = np.repeat(X[:, None, None], repeats, axis=1)
    found = ConditionalPlugin(SIGMA).layer(centres, ROWS)
    first = SmoothedPlugin(SIGMA).layer(X[:, None], ROWS)
    for name in ("rate", "relevance"):
        a, b = getattr(found, name), getattr(first, name)
        assert abs(a.value - b.value) < 4.5 * math.hypot(a.std_error, b.std_error) + 1e-3


def test_same_seed_for_passes_and_estimate_does_no_harm():
    exact = truth().rate.value
    z = []
    for seed in range(40):
        found = ConditionalPlugin(SIGMA).layer(passes(60, seed), ROWS, seed=seed).rate
        z.append((found.value - exact) / found.std_error)
    assert abs(np.mean(z)) < 4.5 / math.sqrt(40)


def test_wide_layers_do_not_overflow():
    rng = np.random.default_rng(0)
    centres = 0.05 * rng.normal(size=(6, 4, 1500))
    found = ConditionalPlugin(1.0).layer(centres, np.eye(2)[[0, 0, 0, 1, 1, 1]])
    assert 0 <= found.rate.low <= found.rate.high <= math.log(6)


def test_refusals():
    with pytest.raises(ValueError, match="at least 2 passes"):
        ConditionalPlugin(0.1).layer(passes(1, 0), ROWS)
    with pytest.raises(ValueError, match=r"\(n_x, repeats, d\), got \(4, 3\)"):
        ConditionalPlugin(0.1).layer(passes(3, 0)[..., 0], ROWS)
    bad = passes(3, 0)
    bad[2, 1, 0] = math.inf
    with pytest.raises(ValueError, match=r"t\[2, 1, 0\] is inf"):
        ConditionalPlugin(0.1).layer(bad, ROWS)
    with pytest.raises(ValueError, match="n_mc must be at least 1, got 0"):
        ConditionalPlugin(0.1, n_mc=0)
    with pytest.raises(ValueError, match="sigma = 0"):
        ConditionalPlugin(0)
