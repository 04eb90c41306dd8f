"""Quadrature against published numbers, closed forms and direct integration."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from deepnets.estimators import Quadrature

NATS = math.log(2)


@pytest.mark.parametrize(
    ("w", "b", "expected"),
    [(0.1, 0, 0.824342), (0.5, 0, 1.350040), (1, -2, 0.845037), (3, -6, 0.562539), (20, -40, 0.562335)],
)
def test_single_neuron(w, b, expected):
    # X = {-3, -1, 1} against {3}, T = tanh(wX + b) + Z
    t = np.tanh(w * np.array([-3.0, -1, 1, 3]) + b)[:, None]
    found = Quadrature(0.1).layer(t, np.eye(2)[[0, 0, 0, 1]])
    assert found.rate.value == pytest.approx(expected, abs=5e-7)
    assert found.relevance.value <= found.rate.value + 1e-12


def test_bpsk():
    found = Quadrature(1.0).layer([[-1.0], [1.0]], np.eye(2))
    assert found.rate.value == pytest.approx(0.336830820347, abs=5e-13)
    assert found.relevance.value == pytest.approx(found.rate.value, abs=1e-12)


def test_adaptive_integration_agrees(mixtures):
    for centres, rows, weights, sigma in mixtures[::2]:  # one dimension

        def density(t, p, c=centres, s=sigma):
            return float(p @ norm.pdf(t, c[:, 0], s))

        joint = rows * weights[:, None]

        def input_term(t, w=weights):
            q = density(t, w)
            return -q * math.log(q) if q > 0 else 0.0

        def label_term(t, joint=joint, w=weights):
            q, p_y = density(t, w), joint.sum(axis=0)
            parts = [(density(t, joint[:, y]), p_y[y]) for y in range(joint.shape[1])]
            return sum(g * math.log(g / (p * q)) for g, p in parts if g > 0)

        ends = centres.min() - 9 * sigma, centres.max() + 9 * sigma
        inside = np.linspace(*ends, 40)[1:-1]
        found = Quadrature(sigma).layer(centres, rows, weights)
        entropy = quad(input_term, *ends, points=inside, limit=500, epsabs=1e-12)[0]
        label = quad(label_term, *ends, points=inside, limit=500, epsabs=1e-12)[0]
        assert found.rate.value == pytest.approx(entropy - 0.5 * math.log(2 * math.pi * math.e * sigma**2), abs=1e-10)
        assert found.relevance.value == pytest.approx(label, abs=1e-10)


def test_two_independent_units_add():
    a, b = np.array([-1.0, 0.3, 1.2]), np.array([-0.5, 0.8])
    t = np.array([[u, v] for u in a for v in b])
    found = Quadrature(0.5).layer(t, np.ones((6, 1))).rate.value
    parts = [Quadrature(0.5).layer(c[:, None], np.ones((len(c), 1))).rate.value for c in (a, b)]
    assert found == pytest.approx(sum(parts), abs=1e-10)


def test_rotation_and_translation_change_nothing(mixtures):
    centres, rows, weights, sigma = mixtures[1]
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    before = Quadrature(sigma).layer(centres, rows, weights)
    after = Quadrature(sigma).layer(centres @ turn.T + [3.0, -7.0], rows, weights)
    assert after.rate.value == pytest.approx(before.rate.value, abs=1e-10)
    assert after.relevance.value == pytest.approx(before.relevance.value, abs=1e-10)


def test_data_processing(mixture):
    centres, rows, weights, sigma = mixture
    found = Quadrature(sigma).layer(centres, rows, weights)
    assert 0 <= found.relevance.value <= found.rate.value + 1e-12
    more_noise = Quadrature(1.5 * sigma).layer(centres, rows, weights)
    assert more_noise.rate.value < found.rate.value
    assert more_noise.relevance.value < found.relevance.value


def test_refusals():
    with pytest.raises(ValueError, match="has 3; use SmoothedPlugin"):
        Quadrature(1.0).layer(np.zeros((2, 3)), np.ones((2, 1)))
    with pytest.raises(ValueError, match=r"extend over 2e\+09 sigma"):
        Quadrature(1e-9).layer([[-1.0], [1.0]], np.eye(2))
    with pytest.raises(ValueError, match="sigma = 0"):
        Quadrature(0.0)
    with pytest.raises(ValueError, match="under the rounding"):
        Quadrature(1.0, tolerance=1e-16)
