"""Modes outside the rank that have hardly begun are tried at some of the times; what they may do at the others is that of both beside."""

import numpy as np
import pytest

import ntkinfo
from ntkinfo import computed
from ntkinfo.computed import between_others, largest_beside


def test_times_are_left_out_between_others_within_a_factor_of_ten_while_the_mode_has_hardly_begun():
    clock = np.array([0.0, 1.0, 2.0, 4.0, 9.0, 11.0, 50.0, 99.0, 150.0, 1e3, 5e3])
    np.testing.assert_array_equal(np.flatnonzero(between_others(clock, 1e-6)), [2, 3, 5, 7])  # between 1, 9, 50 and 150
    np.testing.assert_array_equal(np.flatnonzero(between_others(clock, 1e-4)), [2, 3])  # at 11 a thousandth has passed
    assert not between_others(clock, 1.0).any()
    shuffled = np.random.default_rng(0).permutation(clock.size)
    np.testing.assert_array_equal(between_others(clock[shuffled], 1e-6), between_others(clock, 1e-6)[shuffled])


def test_what_was_not_tried_has_the_larger_change_beside_it():
    clock, tried = np.array([4.0, 1.0, 2.0, 3.0]), np.array([True, True, False, True])
    value, change = np.array([9.0, 1.0, 10.0, 8.0]), np.array([7.0, 0.5, 0.0, 1.0])
    np.testing.assert_array_equal(largest_beside(change, value, clock, tried), [7.0, 0.5, 5.0, 1.0])
    np.testing.assert_array_equal(largest_beside(change, np.zeros(4), clock, tried), [7.0, 0.5, 1.0, 1.0])
    value[2] = np.inf
    np.testing.assert_array_equal(largest_beside(change, value, clock, tried), [7.0, 0.5, 1.0, 1.0])


@pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")
def test_losses_are_those_of_all_times(monkeypatch):
    """A smooth kernel on a line, most of whose eigenvalues are dropped: no less than a half of what every time by itself gives."""
    x = np.linspace(-2, 2, 60)[:, None]
    kernels = ntkinfo.kernels.dense(x[::2], x[1::6] + 0.01, hidden_layers=1, b_std=0.3, third_kernel=False)
    ensemble, taus = ntkinfo.Ensemble(kernels, np.sin(2 * x[::2])), np.geomspace(1e-4, 1e12, 60)
    assert ensemble.dropped_below > 0
    few = ntkinfo.timeline(ensemble, taus, y_test=np.sin(2 * x[1::6]), progress=False).rounding
    monkeypatch.setattr(computed, "_BEGUN", 0.0)
    every = ntkinfo.timeline(ensemble, taus, y_test=np.sin(2 * x[1::6]), progress=False).rounding
    for name, loss in every.items():
        assert (few[name] >= 0.5 * loss).all(), name
        known = np.isfinite(few[name])
        assert np.median(few[name][known] / loss[known]) < 3, name


def test_a_change_without_bound_beside_a_value_of_zero_is_without_bound():
    """inf times 0 was NaN, with a warning."""
    clock, tried = np.array([1.0, 2.0, 3.0]), np.array([True, False, True])
    found = largest_beside(np.array([np.inf, 0.0, 1.0]), np.array([1.0, 0.0, 2.0]), clock, tried)
    assert found.tolist() == [np.inf, np.inf, 1.0]
