"""Identities, limits and refusals of the finite entropies."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualib.core.units import NATS_PER_BIT, to_units
from dualib.measures import (
    conditional_entropy,
    entropy,
    jensen_shannon_divergence,
    kl_divergence,
    mutual_information,
)

seeds = st.integers(0, 2**32 - 1)


def random_distribution(seed, shape, zeros=0.2):
    """A distribution over all entries, some of them exactly 0."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(math.prod(shape), 0.5)).reshape(shape)
    kept = np.where(rng.random(shape) < zeros, 0.0, p)
    return kept / kept.sum() if kept.sum() > 0 else p


def test_known_values():
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(3 * NATS_PER_BIT, rel=1e-15)
    assert kl_divergence([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * math.log(4 / 3), rel=1e-14)
    assert kl_divergence([0.0, 1.0], [0.0, 1.0]) == 0.0
    assert kl_divergence([0.0, 1.0], [0.5, 0.5]) == pytest.approx(NATS_PER_BIT, rel=1e-15)
    assert kl_divergence([0.5, 0.5], [0.0, 1.0]) == math.inf
    # Cover & Thomas, example 2.2.1: H(X) = 7/4, H(Y) = 2, H(X|Y) = 11/8, H(Y|X) = 13/8 bits.
    p_yx = np.array([[4, 2, 1, 1], [2, 4, 1, 1], [2, 2, 2, 2], [8, 0, 0, 0]]) / 32
    assert conditional_entropy(p_yx) / NATS_PER_BIT == pytest.approx(11 / 8, rel=1e-14)
    assert conditional_entropy(p_yx.T) / NATS_PER_BIT == pytest.approx(13 / 8, rel=1e-14)
    assert mutual_information(p_yx) / NATS_PER_BIT == pytest.approx(3 / 8, rel=1e-14)


@given(seeds, st.integers(2, 6), st.integers(2, 6))
@settings(deadline=None, max_examples=100)
def test_chain_rule_and_symmetry(seed, n_x, n_y):
    p = random_distribution(seed, (n_x, n_y))
    h_x, h_y, h_xy = entropy(p.sum(axis=1)), entropy(p.sum(axis=0)), entropy(p.ravel())
    information = mutual_information(p)
    assert h_xy == pytest.approx(h_x + conditional_entropy(p), abs=1e-13)
    assert information == pytest.approx(h_x + h_y - h_xy, abs=1e-13)
    assert information == pytest.approx(mutual_information(p.T), abs=1e-13)
    assert information == pytest.approx(kl_divergence(p.ravel(), np.outer(p.sum(1), p.sum(0)).ravel()), abs=1e-13)
    assert 0 <= information <= min(h_x, h_y) + 1e-13
    rng = np.random.default_rng(seed)
    shuffled = p[rng.permutation(n_x)][:, rng.permutation(n_y)]
    assert mutual_information(shuffled) == pytest.approx(information, abs=1e-14)


@given(seeds, st.integers(2, 6))
@settings(deadline=None, max_examples=100)
def test_data_processing(seed, n_t):
    rng = np.random.default_rng(seed)
    p_xy, channel = random_distribution(seed, (5, 4)), rng.dirichlet(np.ones(n_t), 5)
    p_ty = channel.T @ p_xy
    assert mutual_information(p_ty) <= mutual_information(p_xy) + 1e-14
    assert mutual_information(p_ty) <= mutual_information(p_xy.sum(axis=1)[:, None] * channel) + 1e-14
    q = rng.dirichlet(np.ones(5))
    p = p_xy.sum(axis=1)
    assert kl_divergence(p @ channel, q @ channel) <= kl_divergence(p, q) + 1e-14


@given(seeds, st.floats(0, 1))
@settings(deadline=None, max_examples=100)
def test_jensen_shannon_is_the_information_about_the_source(seed, weight):
    p, q = random_distribution(seed, (5,)), random_distribution(seed + 1, (5,))
    value = jensen_shannon_divergence(p, q, weight)
    assert value == pytest.approx(mutual_information(np.stack([weight * p, (1 - weight) * q])), abs=1e-13)
    mixture = weight * p + (1 - weight) * q
    assert value == pytest.approx(entropy(mixture) - weight * entropy(p) - (1 - weight) * entropy(q), abs=1e-13)
    assert value == pytest.approx(jensen_shannon_divergence(q, p, 1 - weight), abs=1e-14)
    assert 0 <= value <= entropy([weight, 1 - weight]) + 1e-14


@given(seeds)
@settings(deadline=None, max_examples=50)
def test_divergence_dominates_the_total_variation(seed):
    p, q = random_distribution(seed, (6,)), random_distribution(seed + 1, (6,), zeros=0.0)
    assert kl_divergence(p, q) >= 0.5 * np.abs(p - q).sum() ** 2 - 1e-14  # Pinsker
    assert (kl_divergence(p, q) == 0) == np.array_equal(p, q)


def test_axes_and_broadcasting():
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5))
    assert entropy(p).shape == (4, 5)
    np.testing.assert_allclose(entropy(np.moveaxis(p, -1, 0), axis=0), entropy(p), rtol=1e-14)
    pairs = kl_divergence(p[:, None, 0], p[None, :, 0])
    assert pairs.shape == (4, 4)
    np.testing.assert_array_equal(np.diag(pairs), 0)
    assert pairs[1, 2] == pytest.approx(kl_divergence(p[1, 0], p[2, 0]), rel=1e-14)
    np.testing.assert_allclose(jensen_shannon_divergence(p, p), 0, atol=1e-15)


def test_information_of_tiny_probabilities_does_not_underflow():
    tiny = 1e-200  # p(x) p(y) = 1e-400 is 0 in double precision
    assert mutual_information([[1 - tiny, 0], [0, tiny]]) == pytest.approx(tiny * math.log(1 / tiny), rel=1e-12, abs=0)
    assert mutual_information([[0.5, 0.5], [0, 0]]) == 0.0


def test_units():
    assert to_units(NATS_PER_BIT, "bits") == 1.0
    assert to_units(3.0, "nats") == 3.0
    np.testing.assert_allclose(to_units(np.array([1.0, 2.0]), "bits") * math.log(2), [1.0, 2.0], rtol=1e-15)
    with pytest.raises(ValueError, match='"bits" or "nats", got \'hartleys\''):
        to_units(1.0, "hartleys")


@pytest.mark.parametrize("function", [mutual_information, conditional_entropy])
@pytest.mark.parametrize(
    ("p", "words"),
    [
        ([[0.5, -0.125], [0.5, 0.125]], r"p_xy\[0, 1\] is -0.125, which is negative"),
        ([[0.5, 0.0], [np.nan, 0.5]], r"p_xy\[1, 0\] is nan, which is not finite"),
        ([[0.5, np.inf], [0.5, 0.0]], r"p_xy\[0, 1\] is inf, which is not finite"),
        ([[0.5, 0.0], [0.0, 0.25]], r"sums to 0.75, off 1 by -0.25 .* p_xy / p_xy.sum\(\)"),
        ([0.5, 0.5], r"two axes \(x, y\), got shape \(2,\)"),
        (np.empty((0, 3)), r"empty \(shape \(0, 3\)\)"),
        ([["a", "b"]], "array of numbers"),
        ([[0.5, 0.5], [0.5]], "not a rectangular array"),
        ([[0.5 + 0j, 0.5]], "complex"),
    ],
)
def test_bad_joints_are_named(function, p, words):
    with pytest.raises(ValueError, match=words):
        function(p)


@given(st.lists(st.floats(), min_size=1, max_size=5))
@settings(deadline=None)
def test_entropy_accepts_distributions_and_nothing_else(p):
    valid = all(math.isfinite(v) and v >= 0 for v in p) and abs(sum(p) - 1) < 1e-10
    if valid:
        assert 0 <= entropy(p) <= math.log(len(p)) + 1e-8
    elif not all(math.isfinite(v) and v >= 0 for v in p) or abs(sum(p) - 1) > 1e-8:
        with pytest.raises(ValueError, match=r"not finite|negative|off 1 by"):
            entropy(p)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: entropy(1.0), "at least one axis"),
        (lambda: entropy([0.5, 0.5], axis=1), r"axis 1 does not exist in p of shape \(2,\)"),
        (lambda: entropy([[0.5, 0.5], [0.5, 0.4]]), r"sums to 0.9 along axis -1 at \(1,\)"),
        (lambda: kl_divergence([0.5, 0.5], [1 / 3] * 3), r"\(2,\) and q of shape \(3,\)"),
        (lambda: kl_divergence([0.5, 0.5], [0.5, 0.6]), "q sums to 1.1"),
        (lambda: entropy([1e308, 1e308]), "p sums to inf along axis -1, off 1 by inf"),
        (lambda: mutual_information([[1e308, 1e308], [0.5, 0.5]]), "p_xy sums to inf, off 1 by inf"),
        (lambda: jensen_shannon_divergence([1.0, 0.0], [1 / 3] * 3), "must be equal"),
        (lambda: jensen_shannon_divergence([1.0, 0.0], [0.5, 0.5], weight=1.5), r"weight = 1.5 is outside \[0, 1\]"),
    ],
)
def test_bad_distributions_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
