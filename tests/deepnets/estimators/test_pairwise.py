"""Pairwise bounds: they hold, they match the plain formulas, they close in both limits."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from deepnets.estimators import Kind, PairwiseBounds, Quadrature


def test_the_sandwich_holds(mixture):
    centres, rows, weights, sigma = mixture
    truth = Quadrature(sigma).layer(centres, rows, weights)
    found = PairwiseBounds(sigma).layer(centres, rows, weights)
    for bounds, exact in ((found.rate, truth.rate), (found.relevance, truth.relevance)):
        assert bounds.low <= exact.high
        assert exact.low <= bounds.high
        assert bounds.kind == Kind.PROVEN


def test_plain_formula(layer):
    # Kolchinsky & Tracey with D = ‖Δ‖²/2σ², of all patterns and of those of each label
    t, _ = layer
    rows = np.eye(2)[(t[:, 0] > 0).astype(int)]
    sigma = 0.1

    def entropy(points):
        square = cdist(points, points, "sqeuclidean")
        return -np.log(np.exp(-square / (2 * sigma**2)).mean(axis=1)).mean()

    found = PairwiseBounds(sigma).layer(t, rows)
    of_labels = [rows[:, y].mean() * entropy(t[rows[:, y] == 1]) for y in range(2)]
    assert found.rate.value == pytest.approx(entropy(t), abs=1e-10)
    assert found.relevance.value == pytest.approx(entropy(t) - sum(of_labels), abs=1e-10)


def test_limits_of_the_noise(layer):
    t, rows = layer
    little = PairwiseBounds(1e-3).layer(t, rows).rate
    assert little.low == pytest.approx(math.log(300), abs=1e-6)
    assert little.high == pytest.approx(math.log(300), abs=1e-12)  # no information exceeds that of the patterns
    much = PairwiseBounds(1e4).layer(t, rows)
    assert 0 <= much.rate.high < 1e-6
    assert much.relevance.high < 1e-6


def test_merging_equal_patterns_changes_nothing(layer):
    t, rows = layer
    once = PairwiseBounds(0.5).layer(t, rows)
    twice = PairwiseBounds(0.5).layer(np.vstack([t, t]), np.vstack([rows, rows]))
    weighted = PairwiseBounds(0.5).layer(
        np.vstack([t, t[:5]]), np.vstack([rows, rows[:5]]), np.r_[np.full(300, 1 / 300), np.zeros(5)]
    )
    for other in (twice, weighted):
        for name in ("value", "low", "high"):
            assert getattr(other.rate, name) == pytest.approx(getattr(once.rate, name), abs=1e-10)
            assert getattr(other.relevance, name) == pytest.approx(getattr(once.relevance, name), abs=1e-10)


def test_orthogonal_maps_and_order_change_nothing(layer):
    t, rows = layer
    rng = np.random.default_rng(3)
    turn, order = np.linalg.qr(rng.normal(size=(4, 4)))[0], rng.permutation(300)
    once, turned = PairwiseBounds(0.5).layer(t, rows), PairwiseBounds(0.5).layer((t @ turn + 9.0)[order], rows[order])
    assert turned.rate.high == pytest.approx(once.rate.high, abs=1e-9)
    assert turned.rate.low == pytest.approx(once.rate.low, abs=1e-9)
    assert turned.relevance.low == pytest.approx(once.relevance.low, abs=1e-9)


def test_value_choices_stay_in_the_interval(mixture):
    centres, rows, weights, sigma = mixture
    for choice in ("kl", "bhattacharyya", "middle"):
        found = PairwiseBounds(sigma, value=choice).layer(centres, rows, weights)
        for estimate in (found.rate, found.relevance):
            assert 0 <= estimate.low <= estimate.value <= estimate.high


def test_refusals(layer):
    t, rows = layer
    for sigma in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="not a positive number"):
            PairwiseBounds(sigma)
    with pytest.raises(ValueError, match="value must be"):
        PairwiseBounds(1.0, value="upper")
    with pytest.raises(ValueError, match=r"p_y_given_x of shape \(300, n_y\), got \(300,\)"):
        PairwiseBounds(1.0).layer(t, rows[:, 0])
    with pytest.raises(ValueError, match=r"p_x of shape \(300,\), got \(2,\)"):
        PairwiseBounds(1.0).layer(t, rows, [0.5, 0.5])
    with pytest.raises(ValueError, match="sums to 1 only within 1"):
        PairwiseBounds(1.0).layer(t, 2 * rows)
    with pytest.raises(ValueError, match="a probability is at least 0"):
        PairwiseBounds(1.0).layer(t, rows - 1)
    bad = t.copy()
    bad[3, 1] = math.nan
    with pytest.raises(ValueError, match=r"t\[3, 1\] is nan: 1 of 1200"):
        PairwiseBounds(1.0).layer(bad, rows)
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        PairwiseBounds(1.0).layer(t[:, 0], rows)
