"""Measured numbers, and the rule that turns them into a verdict on a published claim.

A claim holds, fails or stays open by comparing intervals with stated thresholds; nobody's judgement enters after the
thresholds are written down in a paper's expected.toml.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["holds", "fails", "open"]

REPRODUCED = "reproduced"
REFUTED = "refuted"
UNDECIDED = "undecided"
NOT_MEASURED = "not yet measured"
SEED = "depends on the seed"


def shown(unit: str) -> str:
    """Written after a number; nothing for pure numbers, whose unit is "1"."""
    return "" if unit == "1" else f" {unit}"


@dataclass(frozen=True)
class Measurement:
    """A number with its interval: value within [low, high], in `unit`, from `n` independent repetitions.

    An exact number has low = value = high and n = 1. Infinite bounds are allowed (an interval open to one side).

    Raises
    ------
    ValueError
        If the interval does not contain the value, or n < 1.
    """

    value: float
    low: float
    high: float
    unit: str
    n: int = 1

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high)
        if any(math.isnan(number) for number in numbers):
            raise ValueError(f"a measurement and its interval must be numbers, got {self.value} in {self._interval()}")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"the value {self.value:.6g} lies outside its interval {self._interval()}")
        if self.n < 1:
            raise ValueError(f"a measurement needs at least one repetition, got n = {self.n}")

    def __str__(self) -> str:
        interval = "" if self.low == self.high else f" {self._interval()}"
        return f"{self.value:.5g}{interval}{shown(self.unit)}"

    def _interval(self) -> str:
        return f"[{self.low:.5g}, {self.high:.5g}]"


@dataclass(frozen=True)
class Condition:
    """One comparison: `measure` > value, < value, or within value ± tolerance, in `unit`."""

    measure: str
    op: Literal[">", "<", "within"]
    value: float
    unit: str
    tolerance: float = 0.0

    def side(self, measurement: Measurement) -> Side:
        """Where the whole interval lies: on the claimed side, on the other side, or on both ("open").

        Raises
        ------
        ValueError
            If the measurement has another unit than the condition.
        """
        if measurement.unit != self.unit:
            raise ValueError(
                f"{self.measure} is measured in {measurement.unit!r} but expected.toml compares it in {self.unit!r}; "
                "write the threshold in the measurement's unit"
            )
        low, high = measurement.low, measurement.high
        if self.op == ">":
            return "holds" if low > self.value else "fails" if high <= self.value else "open"
        if self.op == "<":
            return "holds" if high < self.value else "fails" if low >= self.value else "open"
        bottom, top = self.value - self.tolerance, self.value + self.tolerance
        if bottom <= low and high <= top:
            return "holds"
        return "fails" if high < bottom or low > top else "open"

    def __str__(self) -> str:
        if self.op == "within":
            return f"{self.measure} within {self.value:g} ± {self.tolerance:g}{shown(self.unit)}"
        return f"{self.measure} {self.op} {self.value:g}{shown(self.unit)}"


@dataclass(frozen=True)
class Claim:
    """A published statement and the conditions under which it counts as reproduced; none: not yet measured."""

    number: int
    statement: str
    source: str
    conditions: tuple[Condition, ...] = ()
    control: str | None = None

    def verdict(self, measurements: Mapping[str, Measurement]) -> str:
        """The verdict from one seed's measurements.

        "reproduced" if every condition holds; if one fails, "refuted", or "depends on <control>" where a control is
        named and another condition holds; "undecided" if an interval lies on both sides of its threshold and none
        fails; "not yet measured" without conditions, or if a condition's measurement is missing.
        """
        if not self.conditions or any(c.measure not in measurements for c in self.conditions):
            return NOT_MEASURED
        sides = [c.side(measurements[c.measure]) for c in self.conditions]
        if "fails" in sides:
            return f"depends on {self.control}" if self.control and "holds" in sides else REFUTED
        return REPRODUCED if all(side == "holds" for side in sides) else UNDECIDED

    def verdict_over_seeds(self, seeds: Sequence[Mapping[str, Measurement]]) -> str:
        """The verdict all seeds agree on, or "depends on the seed"."""
        verdicts = {self.verdict(measurements) for measurements in seeds}
        if not verdicts:
            return NOT_MEASURED
        return verdicts.pop() if len(verdicts) == 1 else SEED


@dataclass(frozen=True)
class Check:
    """A number that must come out again: |got − value| ≤ tolerance, in `unit`, in one mode or (None) in both."""

    measure: str
    value: float
    tolerance: float
    unit: str
    source: str
    mode: Literal["quick", "full"] | None = None

    def passes(self, measurement: Measurement | None) -> bool:
        """Whether the number came out again; a missing measurement or one in another unit did not."""
        if measurement is None or measurement.unit != self.unit:
            return False
        return abs(measurement.value - self.value) <= self.tolerance
