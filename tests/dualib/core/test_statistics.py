"""Every interval covers what it promises, from three repetitions on, within the error of the simulation."""

from decimal import Decimal

import numpy as np
import pytest

from dualib.core import statistics
from dualib.core.estimate import Kind
from dualib.core.units import Unit

TRIALS = 1000
SLACK = 4 * np.sqrt(0.05 * 0.95 / TRIALS)  # four standard errors of a coverage of .95


def coverage(draw, estimate, truth, seed=0):
    rng = np.random.default_rng(seed)
    found = [estimate(draw(rng)) for _ in range(TRIALS)]
    return np.mean([e.low <= truth <= e.high for e in found])


@pytest.mark.parametrize("n", [2, 3, 5, 8, 30])
def test_means_of_normal_repetitions_are_covered(n):
    share = coverage(lambda rng: rng.normal(3.0, 2.0, n), lambda x: statistics.mean(x, Unit.NATS), 3.0)
    assert abs(share - 0.95) <= SLACK


@pytest.mark.parametrize("n", [3, 8])
def test_geometric_means_are_covered(n):
    draw = lambda rng: np.exp(rng.normal(1.0, 0.5, n))  # noqa: E731
    share = coverage(draw, lambda x: statistics.geometric_mean(x, Unit.ONE), np.e)
    assert abs(share - 0.95) <= SLACK


@pytest.mark.parametrize("n", [3, 4, 6, 9, 20])
def test_medians_of_skewed_repetitions_are_covered_as_often_as_said(n):
    said = statistics.median(np.arange(n), Unit.EPOCHS).level
    share = coverage(lambda rng: rng.exponential(1.0, n), lambda x: statistics.median(x, Unit.EPOCHS), np.log(2))
    assert share >= said - SLACK
    assert said == (0.95 if n >= 6 else pytest.approx(1 - 2.0 ** (1 - n)))
    assert bool(statistics.median(np.arange(n), Unit.EPOCHS).warnings) == (n < 6)


@pytest.mark.parametrize(("n", "p"), [(3, 0.5), (10, 0.1), (40, 0.8)])
def test_shares_are_covered_at_least(n, p):
    assert coverage(lambda rng: rng.random(n) < p, statistics.share, p) >= 0.95 - SLACK


def test_shares_at_the_ends_have_a_width():
    assert statistics.share([True] * 5).low == pytest.approx(0.025 ** (1 / 5))
    assert (statistics.share([True] * 5).high, statistics.share([False] * 5).low) == (1.0, 0.0)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 12)])
def test_differences_of_unequal_spreads_are_covered(n, m):
    draw = lambda rng: (rng.normal(1.0, 1.0, n), rng.normal(0.0, 2.0, m))  # noqa: E731
    share = coverage(draw, lambda x: statistics.difference(*x, Unit.BITS), 1.0)
    assert share >= 0.95 - 2 * SLACK  # Welch's degrees of freedom are an approximation


def test_correlations_are_covered_and_stay_within_one():
    def draw(rng):
        x = rng.normal(size=8)
        return x, 0.6 * x + 0.8 * rng.normal(size=8)

    assert abs(coverage(draw, lambda x: statistics.correlation(*x), 0.6) - 0.95) <= SLACK
    exact = statistics.correlation([1, 2, 3, 4.0], [1, 2, 3, 4.1])
    assert -1 <= exact.low <= exact.value <= exact.high <= 1


def test_pairs_of_repetitions_are_covered():
    def draw(rng):
        x = rng.normal(1.0, 1.0, 10)
        return (x[:, None] + x)[np.triu_indices(10, 1)]

    assert abs(coverage(draw, lambda x: statistics.pair_mean(x, Unit.ONE), 2.0) - 0.95) <= SLACK
    with pytest.raises(ValueError, match="no number of pairs"):
        statistics.pair_mean([1, 2, 3, 4], Unit.ONE)


@pytest.mark.slow
def test_the_bootstrap_of_a_ratio_is_covered():
    rng, hits, trials = np.random.default_rng(0), 0, 100
    for _ in range(trials):
        groups = [rng.gamma(4.0, 1.0, 25), rng.gamma(8.0, 1.0, 25)]
        found = statistics.bootstrap(lambda g: g[0].mean() / g[1].mean(), groups, Unit.ONE, seed=1)
        hits += found.low <= 0.5 <= found.high
    assert hits >= 95 - 4 * np.sqrt(100 * 0.05 * 0.95)


@pytest.mark.parametrize(("n", "paired"), [(4, False), (10, False), (10, True)])
def test_ratios_of_means_are_covered(n, paired):
    def draw(rng):
        shared = rng.normal(size=n) if paired else 0.0
        return 2.0 + 0.5 * rng.normal(size=n) + shared, 4.0 + 1.0 * rng.normal(size=n) + shared

    share = coverage(draw, lambda x: statistics.ratio(*x, paired=paired), 0.5)
    assert abs(share - 0.95) <= SLACK + 0.01 * (not paired)  # Welch's degrees of freedom are an approximation


def test_a_ratio_has_the_numbers_that_a_paired_test_does_not_refuse():
    """Its ends are where the mean of a − θ b is just significant; and both errors count."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(3.0, 1.0, 12), rng.normal(5.0, 1.0, 12)
    found = statistics.ratio(a, b, paired=True)
    for end in (found.low, found.high):
        difference = statistics.mean(a - end * b, Unit.ONE)
        assert min(abs(difference.low), abs(difference.high)) < 1e-12
    exact = statistics.mean(a / b.mean(), Unit.ONE)
    assert statistics.ratio(a, b).width > exact.width
    nothing = statistics.ratio(a, b - b.mean() + 0.01)
    assert (nothing.low, nothing.high) == (-np.inf, np.inf)
    assert "does not differ from zero" in nothing.warnings[0]


def test_holm_rejects_one_true_hypothesis_as_rarely_as_said():
    """All of eight hypotheses true: uncorrected a third of the families would have a rejection."""
    p = np.random.default_rng(0).random((4000, 8))
    found = np.mean([statistics.holm(row).any() for row in p])
    assert abs(found - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4000)
    assert statistics.holm([0.01, 0.04, 0.03]).tolist() == [True, False, False]
    assert statistics.holm([0.01, 0.02, 0.04]).tolist() == [True, True, True]
    assert statistics.holm([0.04]).tolist() == [True]


def test_the_bootstrap_says_when_it_is_too_narrow_and_takes_constants():
    assert "too narrow" in statistics.standard_deviation([1.0, 2.0, 4.0], Unit.BITS).warnings[0]
    flat = statistics.bootstrap(lambda g: float(g[0].mean()), [np.full(9, 2.0)], Unit.BITS)
    assert (flat.low, flat.value, flat.high, flat.warnings) == (2.0, 2.0, 2.0, ())


def test_repetitions_that_are_not_numbers_are_counted():
    with pytest.raises(ValueError, match="2 of 4 repetitions are not finite"):
        statistics.mean([1.0, np.nan, np.inf, 2.0], Unit.ONE)
    kept, warning = statistics.finite([1.0, np.nan, 2.0])
    assert (kept.tolist(), warning) == ([1.0, 2.0], "1 of 3 repetitions were not finite and are left out")
    with pytest.raises(ValueError, match="at least 2 repetitions, got 1"):
        statistics.mean([1.0], Unit.ONE)


def test_groups_that_are_equal_but_for_rounding_differ_by_nothing_more():
    found = statistics.difference([1.0, 1.0 + 1e-15], [0.5, 0.5], Unit.ONE)
    assert (found.low, found.high) == (found.value, found.value)
    assert found.kind is Kind.STATISTICAL


@pytest.mark.parametrize("spread", [1e-12, 1e-9, 1e-6, 1e-3])
def test_groups_that_are_equal_but_for_little_have_welchs_interval_without_a_warning(spread):
    """Against the definition in forty digits; one group does not vary at all."""
    a, b = 1.0 + spread * np.array([0.0, 1.0, 0.5]), np.full(4, 0.5)
    found = statistics.difference(a, b, Unit.ONE)
    deviations = [Decimal(v) - sum(map(Decimal, a)) / 3 for v in a]
    error = float((sum(d * d for d in deviations) / 6).sqrt())
    assert found.std_error == pytest.approx(error, rel=1e-3 if spread < 1e-9 else 1e-6)
    assert found.high - found.value == pytest.approx(4.302652729911275 * found.std_error, rel=1e-3)  # t of 2 degrees
    correlated = statistics.correlation([1, 2, 3, 4.0], 1.0 + 1e-9 * np.array([1, 2, 4, 3.0]))
    assert correlated.value == pytest.approx(0.8, abs=1e-6)


def test_differences_and_correlations_are_scipys():
    from scipy import stats

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=5), 3 * rng.normal(size=9)
    welch, found = (
        stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95),
        statistics.difference(x, y, Unit.ONE),
    )
    np.testing.assert_allclose([found.low, found.high], [welch.low, welch.high], rtol=1e-12)
    pearson, found = stats.pearsonr(x, y[:5]), statistics.correlation(x, y[:5])
    interval = pearson.confidence_interval(0.95)
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [pearson.statistic, interval.low, interval.high], rtol=1e-12
    )
    line = statistics.correlation([1, 2, 3, 4.0], [2, 4, 6, 8.0])
    assert (line.low, line.value, line.high) == pytest.approx((1.0, 1.0, 1.0))
