"""Numbers read off planes, on curves whose peaks, half-ways and laws are known."""

from __future__ import annotations

import numpy as np
import pytest

from papers.readings import (
    SLACK,
    after_peak,
    compression,
    half_way_epoch,
    logarithmic_lead,
    nats_per_efold,
    ordered_share,
    peak_epoch,
)

EPOCHS = np.unique(np.round(np.geomspace(1, 10_000, 60))).astype(int) - 1
BITS = 1 / np.log(2)


def risen_and(fall: np.ndarray, top: int) -> np.ndarray:
    """A rise of one bit a snapshot up to index `top`, and from there the given fall in bits."""
    rise = fall[top] - np.arange(top, 0, -1.0)
    return np.r_[rise, fall[top:]]


@pytest.mark.parametrize("rate", [0.1, 0.36, 1.0])
def test_a_logarithmic_fall_has_its_rate_and_leads(rate: float) -> None:
    """I = c - rate ln t nats, from its peak on: what Δt ∼ exp(ΔI / rate) means."""
    row = risen_and(12 - rate * np.log(np.maximum(EPOCHS, 1)) * BITS, 10)[None]
    assert nats_per_efold(EPOCHS, row) == pytest.approx([rate], abs=1e-12)
    assert logarithmic_lead(EPOCHS, row)[0] > 0.1
    assert peak_epoch(EPOCHS, row)[0] == EPOCHS[10]


def test_a_linear_fall_is_behind() -> None:
    row = risen_and(12 - EPOCHS / 2000, 10)[None]
    assert logarithmic_lead(EPOCHS, row)[0] < -0.1


def test_replicas_that_peak_at_the_end_or_do_not_move_have_no_law() -> None:
    rising, flat = np.linspace(0, 5, len(EPOCHS)), np.ones(len(EPOCHS))
    assert len(after_peak(EPOCHS, np.stack([rising, flat]))) == 1
    assert len(nats_per_efold(EPOCHS, rising[None])) == 0
    assert len(logarithmic_lead(EPOCHS, flat[None])) == 0


def test_half_way_lies_between_snapshots_in_log_time() -> None:
    epochs = np.array([0, 9, 99, 999])  # log10(1 + epoch) = 0, 1, 2, 3
    rows = np.array([[2.0, 5.0, 3.0, 1.0], [0.0, 4.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    # 3 bits at 10^2; 2 bits at two thirds of the way from 10^1 to 10^2; no fall: the peak itself
    assert half_way_epoch(epochs, rows) == pytest.approx([99, 10 ** (5 / 3) - 1, 0, 999])
    assert compression(rows) == pytest.approx([4, 4, 0, 0])


def test_half_way_hardly_depends_on_the_snapshots() -> None:
    fine, coarse = EPOCHS, EPOCHS[::6]
    values = risen_and(10 - np.log1p(fine), 12)
    both = [half_way_epoch(e, v[None])[0] for e, v in ((fine, values), (coarse, values[::6]))]
    end = [10 - np.log1p(e[-1]) for e in (fine, coarse)]
    exact = [np.expm1(10 - (values[12] + e) / 2) for e in end]
    assert both == pytest.approx(exact, rel=1e-9)


def test_order_is_counted_over_neighbours_and_snapshots() -> None:
    values = np.array([[[3.0, 2.0, 1.0], [3.0, 2.0, 2.0 + 2 * SLACK]], [[1.0, 1.0, 1.0], [2.0, 2.0 + SLACK / 2, 0.0]]])
    assert ordered_share(values) == pytest.approx([0.75, 1.0])
    assert ordered_share(values[:, 1]) == pytest.approx([0.5, 1.0])
