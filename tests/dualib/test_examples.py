"""The example joints against the numbers published or derived for them."""

import math

import numpy as np
import pytest

from dualib.core.units import NATS_PER_BIT
from dualib.examples import digits, hamming, icosahedron, toy


def test_toy():
    joint = toy()
    assert joint.mutual_information() == pytest.approx(0.122597451, abs=1e-9)
    np.testing.assert_allclose(joint.p_y_given_x[:, 0], [0.8808, 0.76852, 0.59869, 0.40131, 0.23148], atol=5e-6)
    np.testing.assert_allclose(joint.p_x, 0.2)
    np.testing.assert_allclose(np.diff(joint.x_labels), 0.4)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("n", [2, 4, 7])
def test_hamming_has_its_capacity(epsilon, n):
    def plogp(p):
        return p * math.log(p) if p > 0 else 0.0

    capacity = math.log(n) + plogp(1 - epsilon) + (n - 1) * plogp(epsilon / (n - 1))
    joint = hamming(epsilon, n)
    assert joint.mutual_information() == pytest.approx(capacity, abs=1e-14)
    np.testing.assert_allclose(joint.p_y, 1 / n, rtol=1e-14)
    assert joint.is_deterministic == (epsilon == 0.0 or (epsilon == 1.0 and n == 2))


@pytest.mark.parametrize(
    ("gamma", "bits"), [(10, 0.896701), (30.5, 0.967852), (50, 0.987857), (53.826, 0.99), (100, 0.998550)]
)
def test_icosahedron_information(gamma, bits):
    joint = icosahedron(gamma)
    assert (joint.n_x, joint.n_y) == (4096, 2)
    assert joint.mutual_information() / NATS_PER_BIT == pytest.approx(bits, abs=1e-6)


def test_icosahedron_rule_and_symmetry():
    label = icosahedron(1000.0).p_y_given_x[:, 1] > 0.5
    assert label.sum() == 2118
    counts = np.array([bin(x).count("1") for x in range(4096)])
    rates = [label[counts == k].mean() for k in range(13)]
    assert rates[:5] == [0.0] * 5
    assert rates[8:] == [1.0] * 5
    np.testing.assert_allclose(rates[5:8], [0.0758, 0.5758, 0.9242], atol=5e-5)
    entropy = -sum(p * math.log2(p) for p in (label.mean(), 1 - label.mean()))
    assert entropy == pytest.approx(0.999157121, abs=1e-9)
    # (popcount, dipole) has 64 values, but their sum only 53: dipoles differ by whole numbers in 11 cases.
    joint = icosahedron()
    merged = joint.merge_equal_rows()
    assert merged.joint.n_x == 53
    assert merged.joint.mutual_information() == pytest.approx(joint.mutual_information(), abs=1e-14)


def test_digits_are_samples_with_zeros():
    joint = digits()
    assert (joint.n_x, joint.n_y, joint.n_samples) == (256, 10, 1797)
    assert (joint.p_xy == 0).any()
    np.testing.assert_allclose(
        joint.n_samples * joint.p_y, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180], rtol=1e-12
    )
    assert 2.0 < joint.mutual_information() < math.log(10)
    np.testing.assert_array_equal(digits(20, seed=3).p_xy, digits(20, seed=3).p_xy)
    smooth = joint.smoothed(pseudocount=0.1)
    assert (smooth.p_xy > 0).all()
    assert smooth.mutual_information() < joint.mutual_information()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hamming(1.5), "epsilon = 1.5"),
        (lambda: hamming(0.5, 1), "n = 1"),
        (lambda: icosahedron(-1), "gamma = -1"),
        (lambda: icosahedron(float("nan")), "gamma = nan"),
        (lambda: digits(1), "n_codes = 1"),
        (lambda: digits(5000), "n_codes = 5000"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
