"""Differences that cancel, against 50 digits; entropies against their definitions."""

import mpmath as mp
import numpy as np
import pytest

from dualib.core.special import (
    conditional_entropy_nats,
    entropy_nats,
    expm1_gap,
    expm1_gap_ratio,
    kl_terms,
    log1p_gap,
    mutual_information_nats,
    ratio_gap,
)

POINTS = [
    1e-300,
    -1e-200,
    1e-20,
    -1e-12,
    1e-8,
    9.9e-3,
    -0.0999,
    0.0999,
    0.1001,
    -0.1001,
    0.5,
    -0.7,
    -0.999999,
    30.0,
    600.0,
]


@pytest.mark.parametrize("x", POINTS)
def test_gaps_keep_their_digits(x):
    with mp.workdps(700):
        exact = mp.mpf(x)
        for found, true in (
            (log1p_gap(x), exact - mp.log1p(exact)),
            (expm1_gap(x), mp.expm1(exact) - exact),
        ):
            assert float(abs(mp.mpf(float(found)) - true)) <= 4e-15 * float(true)


@pytest.mark.parametrize("x", [-900.0, -30.0, -0.1001, -0.0999, -1e-9, 0.0, 1e-200, 1e-3, 0.0999, 0.1001, 5.0, 600.0])
def test_ratio_of_the_gap_to_its_first_term(x):
    with mp.workdps(500):
        exact = mp.mpf(max(x, -700.0))
        true = 2 * (mp.expm1(exact) - exact) / exact**2 if x else mp.mpf(1)
        assert float(abs(mp.mpf(float(expm1_gap_ratio(np.array([x, 0.5]))[0])) - true)) <= 8e-15 * float(true)


def test_terms_of_a_divergence_keep_their_digits():
    p = np.array([0.3, 0.3, 0.3, 1e-200, 0.0, 0.9])
    r = np.array([0.3, 0.3 * (1 + 1e-9), 1e-20, 1e-3, 0.2, 0.0])
    with mp.workdps(60):
        exact = [
            mp.mpf(a) * mp.log(mp.mpf(a) / mp.mpf(b or 1e-300)) - a + b if a else b for a, b in zip(p, r, strict=True)
        ]
        exact[1] = mp.mpf(p[1]) * mp.log(mp.mpf(p[1]) / mp.mpf(r[1])) - mp.mpf(p[1]) + mp.mpf(r[1])
    np.testing.assert_allclose(kl_terms(p, r), np.array(exact, dtype=float), rtol=4e-15)


def test_gaps_of_arrays_and_their_ends():
    np.testing.assert_array_equal(log1p_gap([-1.0, 0.0]), [np.inf, 0.0])
    np.testing.assert_array_equal(expm1_gap([-800.0, 1000.0]), [799.0, np.inf])
    assert (np.diff(log1p_gap(np.linspace(0, 0.3, 4001))) > 0).all()  # no step where the series ends
    assert (np.diff(expm1_gap(np.linspace(0, 0.3, 4001))) > 0).all()


def test_information_is_the_sum_of_entropies():
    p = np.random.default_rng(0).dirichlet(np.ones(12)).reshape(3, 4)
    p[0, 0] = 0.0
    p /= p.sum()
    h_x, h_y, h_xy = entropy_nats(p.sum(axis=1)), entropy_nats(p.sum(axis=0)), entropy_nats(p.ravel())
    assert mutual_information_nats(p) == pytest.approx(h_x + h_y - h_xy, abs=1e-14)
    assert conditional_entropy_nats(p) == pytest.approx(h_xy - h_x, abs=1e-14)


@pytest.mark.parametrize(
    "ratio", [1e-300, 1e-20, 0.3, 0.9, 0.899999, 1 - 1e-9, 1.0, 1 + 1e-9, 1.0999, 1.1001, 5.0, 1e300]
)
def test_gap_of_a_ratio_keeps_its_digits_near_one_and_near_zero(ratio):
    with mp.workdps(60):
        exact = mp.mpf(ratio) - 1 - mp.log(mp.mpf(ratio))
    assert ratio_gap(ratio) == pytest.approx(float(exact), rel=1e-13, abs=0)
    assert ratio_gap(0.0) == np.inf
