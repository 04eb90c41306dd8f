"""What the columns of a table come to at all times: values, errors to first order, and what dropped modes may do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dualib.core.estimate import Estimates
from dualib.core.progress import counted
from dualib.core.quantity import Quantity
from dualib.core.typing import BoolArray, FloatArray, IntArray
from ntkinfo.precision import SIDES
from ntkinfo.quantities.registry import has_rounding
from ntkinfo.rounding import error_of, error_of_dropped, rates_of_dropped
from ntkinfo.setting import Column, Setting

_UNBOUNDED, _AT_MOST_ONE = "expected_square_error", ("clipped_square_risk", "zero_one_risk")  # risks of the same law

_BEGUN = 1e-3  # of a mode's relaxation, up to which its part in a column grows evenly with time
_APART = 10.0  # at most, between two times at which such a mode is tried


@dataclass(frozen=True)
class Computed:
    """Values at all times, the errors of those that have not theirs on their side and what differences lose, which no change of the
    kernels shows, how much of the others is their error, and intervals of what is sampled.
    """

    values: dict[str, FloatArray]
    errors: dict[str, FloatArray]
    losses: dict[str, FloatArray]
    margins: dict[str, FloatArray]
    intervals: dict[str, Estimates]


def compute_columns(setting: Setting, met: Sequence[Quantity], progress: bool | None, *, samples: int) -> Computed:
    """Every quantity of the registry that the setting meets, in parts that fit in memory, each with what `samples` moves do to it."""
    size = setting.times.size
    values = {quantity.name: np.empty(size) for quantity in met}
    errors, losses, margins = (
        {quantity.name: np.zeros(size) for quantity in met if has_rounding(quantity.name) is own}
        for own in (False, False, True)
    )
    intervals: dict[str, Estimates] = {}
    for where, places, offered in setting.parts(progress=progress):
        home: dict[str, FloatArray] = {}
        for quantity in counted(met, "quantities", progress if "joint_law" not in offered else False):
            name = quantity.name
            if name in margins and samples:
                bound = setting.bound(quantity, offered)
                if bound is not None:
                    values[name][where], margins[name][where] = (_at(np.asarray(part), places) for part in bound)
                continue
            found = setting.value(quantity, offered)
            if found is None:
                continue
            if isinstance(found, Estimates):
                ends = {end: getattr(found, end)[places] for end in ("value", "low", "high")}
                intervals[name] = replace(found, **ends)
            home[name] = _plain(found)
            values[name][where] = _at(home[name], places)
            if samples:
                losses[name][where] = _at(setting.loss(quantity, offered, home[name]), places)
        for sample in range(samples):
            other = setting.moved(offered, sample)
            for quantity in met:
                name = quantity.name
                found = setting.value(quantity, other) if name in home else None
                if found is not None:
                    error = error_of(home[name], _plain(found), setting.ensemble.n_train)
                    errors[name][where] = np.maximum(errors[name][where], _at(error, places))
    return Computed(values, errors, losses, margins, intervals)


def _at(values: FloatArray, places: IntArray) -> FloatArray:
    """Values at times, by their places; one value is that of all times."""
    return values if values.ndim == 0 else values[places]


def _plain(found: FloatArray | Estimates) -> FloatArray:
    return found.value if isinstance(found, Estimates) else found


def without_margins(
    margins: dict[str, FloatArray], values: dict[str, FloatArray], columns: Sequence[Column]
) -> dict[str, FloatArray]:
    """The columns as they would be without the rounding that their own functions have put on their side."""
    found = {**values}
    for column in columns:
        if column.name in margins:
            value, margin = values[column.name], margins[column.name]
            found[column.name] = value - SIDES[column.relation] * np.where(np.isfinite(value), margin, 0.0)
    return found


def errors_of_dropped(
    setting: Setting, met: Sequence[Quantity], values: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """What the modes outside the rank of Θ may do to each column, where they are not known to be none."""
    changes: dict[str, list[FloatArray]] = {}
    clock = np.asarray(setting.ensemble.learning_rule.time(setting.times), dtype=np.float64)
    for rate, due in rates_of_dropped(setting.ensemble, setting.times):
        tried = due & ~between_others(clock, rate)
        other = replace(setting, ensemble=setting.ensemble.with_dropped_at(rate), tau=setting.times[tried])
        with np.errstate(all="ignore"):
            found = compute_columns(other, met, False, samples=0).values
        for name, value in found.items():
            change = np.zeros(tried.shape)
            with np.errstate(invalid="ignore"):
                change[tried] = np.where(value == values[name][tried], 0.0, np.abs(value - values[name][tried]))
            change = largest_beside(np.where(np.isnan(change), np.inf, change), values[name], clock, tried)
            changes.setdefault(name, []).append(np.where(due, change, 0.0))
    errors = {name: error_of_dropped(np.stack(change)) for name, change in changes.items()}
    # A risk is 1 where errors are large, whatever their size: that it is the same with and without those modes says nothing there.
    if _UNBOUNDED in errors:
        lost = errors[_UNBOUNDED] >= values[_UNBOUNDED]
        errors |= {name: np.where(lost, 1.0, errors[name]) for name in _AT_MOST_ONE if name in errors}
    return errors


def between_others(clock: FloatArray, rate: float) -> BoolArray:
    """The times at which a mode of that rate need not be tried: it has hardly begun, and others within a factor of ten enclose them."""
    order, found = np.argsort(clock, kind="stable"), np.zeros(clock.shape, dtype=bool)
    last = 0.0
    for i, after in pairwise(order):
        found[i] = clock[i] > 0 and clock[after] * rate < _BEGUN and clock[after] < _APART * last
        last = last if found[i] else clock[i]
    return found


def largest_beside(change: FloatArray, value: FloatArray, clock: FloatArray, tried: BoolArray) -> FloatArray:
    """Changes at all times, those that were not tried the larger one of the two tried beside them, or of it relative to the value."""
    order, found = np.argsort(clock, kind="stable"), change.copy()
    known, places = np.flatnonzero(tried[order]), np.flatnonzero(~tried[order])
    if not places.size:
        return found
    beside = order[known[np.clip(np.searchsorted(known, places) - np.array([[1], [0]]), 0, known.size - 1)]]
    size, own = np.abs(value[beside]), np.abs(value[order[places]])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(size > 0, change[beside] / size, 0.0).max(axis=0)
        # a change without bound is in the first part, and a value without bound has no relative one
        scaled = np.where(np.isfinite(relative) & np.isfinite(own), relative * own, 0.0)
    found[order[places]] = np.maximum(change[beside].max(axis=0), scaled)
    return found
