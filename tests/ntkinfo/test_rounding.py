"""What rounding may do: modes too near to have axes of their own, and modes outside the rank, on both sides of each limit."""

import numpy as np
import pytest

import ntkinfo
from ntkinfo import rounding


@pytest.fixture
def near():
    """Nine of ten eigenvalues of Θ are too near one another for axes of their own."""
    rng = np.random.default_rng(3)
    theta = np.diag([1.0, *(1e-13 * (1 + 1e-6 * np.arange(9)))])
    root = rng.standard_normal((10, 12))
    return ntkinfo.Ensemble(ntkinfo.Kernels(theta, root @ root.T), rng.standard_normal((10, 2)), rank_tolerance=1e-20)


@pytest.mark.parametrize("together", [2, 4, 8, 9, 64])
def test_turns_among_near_modes_keep_what_no_choice_of_axes_changes(near, together, monkeypatch):
    """Σ y² and Σ κ of the group stay; each mode of it changes, but for one that is left alone behind the last whole group."""
    monkeypatch.setattr(rounding, "TOGETHER", together)
    y, kappa = rounding._turned(near, 1)
    group = np.flatnonzero(near.eigenvalues < 0.5)
    assert group.size == 9
    np.testing.assert_allclose((y[group] ** 2).sum(axis=0), (near.y_modes[group] ** 2).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(kappa[group].sum(), near.kappa[group].sum(), rtol=1e-12)
    changed = np.abs(y[group] - near.y_modes[group]).max(axis=1) > 1e-6
    assert changed.sum() == (9 if together >= 9 or 9 % together != 1 else 8)
    first, _ = rounding._turned(near, 0)
    np.testing.assert_array_equal(first, near.y_modes)  # the first sample moves eigenvalues alone


@pytest.mark.parametrize(("decades", "rates"), [(-1, 1), (3, 4), (7, 8), (8, 9), (30, 9)])
def test_rates_of_dropped_modes_reach_those_that_relax_last_up_to_a_number(near, decades, rates, monkeypatch):
    monkeypatch.setattr(type(near), "dropped_below", 1e-14)
    times = np.array([1e10, 10.0**decades / 1e-14 * 0.5])
    tried = list(rounding.rates_of_dropped(near, times))
    assert len(tried) == rates
    for i, (rate, at) in enumerate(tried):
        assert rate == pytest.approx(1e-14 / 10**i)
        np.testing.assert_array_equal(at, (times * rate * 10 > 1) | (i == 0))


def test_a_change_that_still_grows_at_the_last_rate_has_no_bound():
    most = rounding._MOST_RATES
    growing = 2.0 ** np.arange(most)[:, None]
    assert np.isinf(rounding.error_of_dropped(growing)).all()
    np.testing.assert_array_equal(
        rounding.error_of_dropped(growing[:-1]), 3 * growing[-2]
    )  # all of its rates were tried
    np.testing.assert_array_equal(rounding.error_of_dropped(growing[::-1]), 3 * growing[-1])


def test_variances_of_training_points_move_with_those_of_the_modes():
    """Of two points that differ in the eleventh digit the first is, at a late time, what the slow mode leaves of it: three digits."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.standard_normal((1, 4)), 3, axis=0) + [[0.0], [1e-5], [2.0]] * rng.standard_normal((3, 4))
    kernel = features @ features.T
    blocks = kernel, kernel, kernel[:1], kernel[:1], kernel[:1, :1], kernel[:1, :1]
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(*blocks), [1.0, 0.0, -1.0])
    tau = 100 / ensemble.eigenvalues[1]
    first, moved = np.array([0]), [rounding.moved_modes(ensemble, sample) for sample in (1, 2)]
    own = ensemble.log_train_variance(tau, first)
    lost = 1e-16 * ensemble.kappa.max() / ensemble.kappa.min()
    assert lost > 1e-6
    change = max(np.abs(other.log_train_variance(tau, first) - own).item() for other in moved)
    assert 0.1 * lost < change < 100 * lost
