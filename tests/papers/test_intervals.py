"""Intervals cover, and coincide with textbook cases."""

import numpy as np
import pytest
from scipy import stats

from papers.intervals import bootstrap_std_interval, difference_interval, pair_interval, share_interval, t_interval


def test_share_interval_is_clopper_pearson():
    for k, n in ((0, 5), (3, 7), (7, 7), (1, 1)):
        found = share_interval(np.arange(n) < k)
        expected = stats.binomtest(k, n).proportion_ci()
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
        assert found.value == k / n


def test_coverage_of_means_differences_and_spreads():
    rng, covered, draws = np.random.default_rng(0), np.zeros(3), 600
    for _ in range(draws):
        a, b = rng.normal(1.0, 2.0, 12), rng.normal(0.5, 1.0, 30)
        found = (t_interval(a, "1"), difference_interval(a, b, "1"), bootstrap_std_interval(b, "1"))
        covered += [m.low <= truth <= m.high for m, truth in zip(found, (1.0, 0.5, 1.0), strict=True)]
    share, error = covered / draws, np.sqrt(0.95 * 0.05 / draws)
    assert np.all(np.abs(share[:2] - 0.95) < 4 * error)
    assert share[2] > 0.85  # the percentile bootstrap of a spread is known to be a little short


def test_coverage_of_a_mean_over_pairs():
    """E (a + b + ab) = 0.5 + 0.5 + 0.25; independent pairs would cover far less."""
    rng, covered, naive, draws = np.random.default_rng(1), 0, 0, 400
    for _ in range(draws):
        x = rng.normal(0.5, 1.0, 15)
        i, j = np.triu_indices(15, 1)
        pairs = x[i] + x[j] + x[i] * x[j]
        covered += pair_interval(pairs, "1").low <= 1.25 <= pair_interval(pairs, "1").high
        naive += t_interval(pairs, "1").low <= 1.25 <= t_interval(pairs, "1").high
    assert covered / draws > 0.9
    assert naive / draws < 0.7


def test_groups_without_spread_differ_exactly():
    found = difference_interval([1.0, 1.0], [0.25, 0.25, 0.25], "bits")
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)


def test_repetitions_equal_but_for_rounding_differ_by_an_exact_number():
    found = difference_interval([0.1 + 0.2, 0.3], [0.25, 0.25, 0.25], "bits")
    assert found.low == found.high == pytest.approx(0.05)
