"""Intervals cover, and coincide with textbook cases."""

import numpy as np
import pytest
from scipy import stats

from papers.intervals import bootstrap_std_interval, difference_interval, share_interval, t_interval


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


def test_groups_without_spread_differ_exactly():
    found = difference_interval([1.0, 1.0], [0.25, 0.25, 0.25], "bits")
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)
