"""Both informations of a layer: the order of the two, and broken data processing."""

import numpy as np
import pytest

from deepnets.estimators import (
    Binning,
    Caution,
    Concern,
    Estimate,
    Kind,
    LayerInformation,
    Quadrature,
    dpi_violations,
)


def estimate(value, margin=0.0):
    return Estimate(value, value - margin, value + margin, Kind.STATISTICAL, level=0.95, std_error=margin / 2)


def test_label_information_is_at_most_that_of_the_input():
    found = LayerInformation.of((estimate(0.5, 0.1), estimate(0.7, 0.3)))
    assert (found.relevance.value, found.relevance.high) == (0.5, found.rate.high)
    assert found.relevance.low == pytest.approx(0.4)
    caution = Caution(Concern.PASSES, 0.3, "few")
    assert LayerInformation.of((estimate(1.0), estimate(0.5)), (caution,)).rate.warnings == ("few",)
    assert LayerInformation.of((estimate(1.0), estimate(0.5)), (caution,)).cautions == (caution,)


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
