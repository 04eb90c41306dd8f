"""Numbers read off planes, on curves whose peaks, half-ways and laws are known."""

from __future__ import annotations

import numpy as np
import pytest

from dualib.core.statistics import mean
from dualib.core.units import Unit
from papers.experiments.readings import (
    SLACK,
    after_peak,
    compression,
    half_way_epoch,
    logarithmic_lead,
    mean_correlation,
    mean_share,
    nats_per_efold,
    of_finite,
    ordered_share,
    peak_epoch,
    rank_correlation,
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
    both = np.stack([rising, flat])
    assert [after_peak(EPOCHS, row) is None for row in both] == [True, False]
    np.testing.assert_array_equal(np.isnan(nats_per_efold(EPOCHS, both)), [True, False])
    assert np.isnan(logarithmic_lead(EPOCHS, both)).all()


def test_replicas_that_are_left_out_are_counted() -> None:
    (found,) = of_finite("a", [1.0, np.nan, 2.0, np.inf], Unit.ONE).values()
    assert (found.value, found.n) == (1.5, 2)
    assert "2 of 4" in found.warnings[0]
    assert of_finite("a", [1.0, np.nan], Unit.ONE) == {}


def test_intervals_of_shares_and_correlations_stay_where_those_can_be() -> None:
    for values in ([0.9, 1.0, 1.0, 1.0], [0.1, 0.0, 0.0, 0.0], [1.0] * 50, [0.0] * 50):
        found = mean_share(values)
        assert 0.0 <= found.low <= np.mean(values) <= found.high <= 1.0
        assert found.low < found.high
    assert mean_share([1.0] * 50).low == pytest.approx(0.025 ** (1 / 50))  # the chance of fifty in a row is 2.5 %
    (found,) = mean_correlation("a", [0.9, 0.99, 1.0, np.nan]).values()
    assert 0.9 < found.value < found.high <= 1.0
    assert found.n == 3


def test_half_way_lies_between_snapshots_in_log_time() -> None:
    epochs = np.array([0, 9, 99, 999])  # log10(1 + epoch) = 0, 1, 2, 3
    rows = np.array([[2.0, 5.0, 3.0, 1.0], [0.0, 4.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    # 3 bits at 10^2; 2 bits at two thirds of the way from 10^1 to 10^2; no fall: the peak itself
    assert half_way_epoch(epochs, rows) == pytest.approx([99, 10 ** (5 / 3) - 1, 0, 999])


def test_what_only_fluctuates_does_not_compress() -> None:
    """Of lines without a trend the largest value lies far above the last; the fall from the others' epoch covers zero."""
    rng, covered, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        noise = rng.normal(size=(12, 30))
        found = mean(compression(noise), Unit.BITS)
        covered += found.low <= 0.0 <= found.high
        assert mean(noise.max(axis=1) - noise[:, -1], Unit.BITS).low > 0.5
    assert covered / trials > 0.95 - 4 * np.sqrt(0.95 * 0.05 / trials)
    assert (compression(np.tile(np.arange(5.0), (4, 1))) == -1).all()
    falling = risen_and(12 - 0.5 * np.log1p(EPOCHS), 12) + 0.01 * rng.normal(size=(20, len(EPOCHS)))
    assert compression(falling) == pytest.approx(np.full(20, 0.5 * np.log1p(EPOCHS)[[12, -1]] @ [-1, 1]), abs=0.1)


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


def test_ranks_correlate_as_spearman_says() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.normal(size=30)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(a, np.exp(a)) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(a[:2], b[:2]))
    assert np.isnan(rank_correlation(a, np.ones(30)))
