"""Gaussian mixtures: sums of kernels against direct ones, on both sides of where squared distances are no longer expanded."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.spatial.distance import cdist
from scipy.special import entr, logsumexp
from scipy.stats import norm

from dualib.mixtures import (
    LARGEST_LOSS,
    entropy_bounds,
    expansion_loss,
    kernel_sums,
    pair_sums,
    pairwise_entropy,
    pairwise_information,
    rounding,
)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 40.0, 1e5])
def test_kernel_powers_are_those_of_direct_distances(scale):
    rng = np.random.default_rng(0)
    centres, weights = 5.0 + scale * rng.normal(size=(601, 3)), rng.dirichlet(np.ones(601), 2).T
    sigma = 0.7
    assert (expansion_loss(centres, sigma) > LARGEST_LOSS) == (scale == 1e5)
    square = cdist(centres, centres, "sqeuclidean")
    for found, factor in zip(pair_sums(centres, weights, sigma), (8, 4, 2), strict=True):
        expected = np.exp(-square / (factor * sigma**2)) @ weights
        np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize(("spread", "offset"), [(1.0, 0.0), (1.0, 1e3), (1e-4, 1.0), (300.0, 0.0), (1e5, 0.0)])
def test_kernel_sums_against_direct_ones(spread, offset):
    rng = np.random.default_rng(1)
    centres, sigma = offset + spread * rng.normal(size=(300, 5)), 0.5
    weights, own = rng.dirichlet(np.ones(300), 2).T, rng.integers(0, 300, 90)
    noise = sigma * rng.normal(size=(90, 5))
    sums, shifts = kernel_sums(own, noise, centres, weights, sigma)
    delta = centres[own, None] - centres[None]
    exponent = -(delta * (delta + 2 * noise[:, None])).sum(axis=2) / (2 * sigma**2)
    expected = logsumexp(exponent[:, :, None], axis=1, b=weights[None])
    np.testing.assert_allclose(np.log(sums) + shifts[:, None], expected, atol=1e-8)


def test_the_expansion_and_the_differences_agree_where_one_takes_over():
    # Pairs one σ apart, the pairs far from one another: the distance of the two clusters decides which way is taken.
    rng = np.random.default_rng(2)
    near = rng.normal(size=(20, 3))
    own, noise, weights = np.arange(40), rng.normal(size=(40, 3)), np.full((40, 1), 1 / 40)
    lengths = np.geomspace(1e2, 1e6, 30)
    losses = [expansion_loss(np.vstack([near, near + length]), 1.0) for length in lengths]
    first = int(np.searchsorted(losses, LARGEST_LOSS))
    found = [kernel_sums(own, noise, np.vstack([near, near + lengths[k]]), weights, 1.0)[0] for k in (first - 1, first)]
    np.testing.assert_allclose(found[0], found[1], rtol=LARGEST_LOSS)


@pytest.mark.parametrize("d", [1, 200])
def test_far_centres_are_told_apart_exactly(d):
    # 1e6 apart under noise of 1e-8: an expanded square would be off by 1e12
    centres = np.zeros((3, d))
    centres[1:] = 1e6
    weights = np.full((3, 1), 1 / 3)
    noise = 1e-8 * np.random.default_rng(0).normal(size=(3, d))
    sums, shifts = kernel_sums(np.arange(3), noise, centres, weights, 1e-8)
    np.testing.assert_allclose(np.log(sums[:, 0]) + shifts, np.log([1 / 3, 2 / 3, 2 / 3]), atol=1e-12)
    bounds = entropy_bounds(centres, weights, 1e-8)
    exact = float(entr(np.array([1 / 3, 2 / 3])).sum())
    assert bounds.lower[0] <= exact <= bounds.upper[0] <= exact + 1e-8
    assert rounding(centres, 1e-8) < 1e-8


def test_bounds_hold_the_entropy_of_two_components():
    for gap in (0.5, 2.0, 6.0):
        centres, weights = np.array([[0.0], [gap]]), np.array([[0.3], [0.7]])

        def surprise(t, c=centres, w=weights):
            return float(entr(w[:, 0] @ norm.pdf(t, c[:, 0])))

        h = quad(surprise, -9, gap + 9, points=[0, gap], epsabs=1e-12)[0] - 0.5 * math.log(2 * math.pi * math.e)
        bounds = entropy_bounds(centres, weights, 1.0)
        assert bounds.lower[0] <= h <= bounds.upper[0]
        for lower, upper in ((bounds.bhattacharyya, bounds.kl), (bounds.likelihood, bounds.gaussian)):
            assert lower[0] - bounds.slack <= h <= upper[0] + bounds.slack


def test_pairwise_information_has_the_limits_of_an_entropy():
    weights = np.array([0.1, 0.2, 0.7])
    apart = np.where(np.eye(3, dtype=bool), 0.0, np.inf)
    assert pairwise_information(np.zeros((3, 3)), weights) == pytest.approx(0.0, abs=1e-15)
    assert pairwise_information(apart, weights) == pytest.approx(entr(weights).sum())
    assert pairwise_information(apart) == pytest.approx(math.log(3))
    centres = np.random.default_rng(3).normal(size=(9, 2))
    squares = cdist(centres, centres, "sqeuclidean") / 8
    column = np.full((9, 1), 1 / 9)
    by_sums = pairwise_entropy(pair_sums(centres, column, 1.0)[0], column)
    assert pairwise_information(squares) == pytest.approx(float(by_sums[0]), abs=1e-12)
