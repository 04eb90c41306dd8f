"""Estimates: order of their interval, units, and broken data processing."""

import math

import numpy as np
import pytest

from deepnets.estimators import Binning, Estimate, LayerInformation, Quadrature, dpi_violations


def estimate(value, margin=0.0):
    return Estimate(value, value - margin, value + margin, "given", "exact", std_error=margin / 2)


def test_interval_must_hold_the_value():
    for value, low, high in ((1.0, 1.1, 2.0), (3.0, 1.0, 2.0), (math.nan, 0.0, 1.0)):
        with pytest.raises(ValueError, match="low <= value <= high"):
            Estimate(value, low, high, "given", "exact")


def test_units():
    found = estimate(math.log(8), math.log(2))
    assert found.to_units("bits") == pytest.approx((3.0, 2.0, 4.0, 0.5))
    assert found.to_units("nats")[0] == math.log(8)
    assert found.width == pytest.approx(2 * math.log(2))
    assert found.to_record("I(X;T)", "bits")["I(X;T) high [bits]"] == pytest.approx(4.0)
    assert "3.0000 bits in [2.0000, 4.0000]" in found.describe()
    assert found.with_warnings("careful", "").warnings == ("careful",)
    with pytest.raises(ValueError, match='"bits" or "nats"'):
        found.to_units("hartley")


def test_data_processing_of_noisy_layers_is_not_flagged():
    # each layer a further contraction and more noise of one chain
    x, rows = np.linspace(-1, 1, 7)[:, None], np.eye(2)[[0, 0, 1, 0, 1, 1, 1]]
    layers = [Quadrature(sigma).layer(x, rows) for sigma in (0.2, 0.4, 0.8)]
    assert dpi_violations(layers) == ()
    backwards = dpi_violations(layers[::-1])
    assert [(v.layer, v.quantity) for v in backwards] == [(i, q) for i in (1, 2) for q in ("I(X;T)", "I(T;Y)")]
    assert all(v.beyond_intervals for v in backwards)


def test_binning_breaks_data_processing():
    # t_2 = 10 t_1 is a function of t_1, but its cells are finer
    t = np.linspace(-0.1, 0.1, 200)[:, None]
    rows = np.eye(2)[(t[:, 0] > 0.01).astype(int)]
    found = dpi_violations([Binning().layer(t, rows), Binning().layer(10 * t, rows)])
    assert {v.quantity for v in found} == {"I(X;T)", "I(T;Y)"}
    assert "rises by" in str(found[0])


def test_overlapping_intervals_are_said():
    layers = [LayerInformation(estimate(1.0, 0.3), estimate(0.5)), LayerInformation(estimate(1.2, 0.3), estimate(0.5))]
    (violation,) = dpi_violations(layers)
    assert violation.excess == pytest.approx(0.2)
    assert not violation.beyond_intervals
    assert "within their intervals" in str(violation)
