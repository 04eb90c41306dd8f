"""One comparison of a measured interval with a stated threshold, and the contrast between two arms of a claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import chain

import msgspec

from dualib.core.estimate import Estimate
from dualib.core.units import Unit

Seed = Mapping[str, Estimate]
"""What one seed measured: the name of a measure → its estimate."""


class Op(StrEnum):
    """How an interval is compared with the threshold."""

    ABOVE = ">"
    BELOW = "<"
    WITHIN = "within"


class Role(StrEnum):
    """What a condition may do to the verdict."""

    CORE = "core"
    """It is part of what is claimed: core conditions decide, and nothing else does."""
    ROBUSTNESS = "robustness"
    """The same as a core condition by another estimate or at another setting: it qualifies the verdict."""
    SIDE = "side"
    """It is worth knowing beside the claim; it informs."""


class Side(StrEnum):
    """Where a whole interval lies."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "open"
    """On both sides of the threshold, or not measured."""


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One comparison: `measure` > value, < value, or within value ± tolerance, in `unit`; `label` names it in words.

    Raises
    ------
    ValueError
        If ``within`` has no tolerance or another comparison has one, or it is negative.
    """

    measure: str
    op: Op
    value: float
    unit: Unit
    role: Role
    tolerance: float | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if (self.op is Op.WITHIN) != (self.tolerance is not None):
            raise ValueError(f'{self.measure}: op = "within" needs a tolerance, and the others take none')
        if self.tolerance is not None and not self.tolerance >= 0.0:
            raise ValueError(f"{self.measure}: tolerance must not be negative, got {self.tolerance:g}")

    def side(self, estimate: Estimate) -> Side:
        """Where the whole interval lies: on the claimed side, on the other side, or on both.

        Raises
        ------
        ValueError
            If the estimate's unit does not convert into the condition's.
        """
        found = estimate.to(self.unit)
        if self.tolerance is not None:
            bottom, top = self.value - self.tolerance, self.value + self.tolerance
            holds = bottom <= found.low and found.high <= top
            fails = found.high < bottom or found.low > top
        elif self.op is Op.ABOVE:
            holds, fails = found.low > self.value, found.high <= self.value
        else:
            holds, fails = found.high < self.value, found.low >= self.value
        return Side.HOLDS if holds else Side.FAILS if fails else Side.OPEN

    def __str__(self) -> str:
        spread = "" if self.tolerance is None else f" ± {self.tolerance:g}"
        return f"{self.measure} {self.op} {self.value:g}{spread}{self.unit.suffix}"


class Contrast(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two arms of a claim that differ in one thing, `name`, and the measured difference between them.

    Attributes
    ----------
    name : str
        What the arms differ in: the X of "depends on X".
    measures : tuple of str
        Measurements of the difference between the arms, everything else equal: one for each estimator.
    arms : two tuples of str
        The measures of the core conditions in either arm.
    """

    name: str
    measures: tuple[str, ...]
    arms: tuple[tuple[str, ...], tuple[str, ...]]

    def __post_init__(self) -> None:
        if not (self.measures and all(self.arms)) or set(self.arms[0]) & set(self.arms[1]):
            raise ValueError(f"contrast {self.name!r} needs measures and two arms that share no condition")

    def decided(self, seeds: Sequence[Seed]) -> bool:
        """Whether every seed's difference, by every measure, has an interval on one and the same side of zero."""
        found = [seed.get(measure) for seed in seeds for measure in self.measures]
        low = [-math.inf if e is None else e.low for e in found]
        high = [math.inf if e is None else e.high for e in found]
        return bool(found) and (min(low) > 0.0 or max(high) < 0.0)

    def explains(self, sides: Mapping[str, Side]) -> bool:
        """Whether the core conditions' sides split along the arms: one arm holds, the other fails, and the rest holds."""
        rest = set(sides) - set(chain(*self.arms))
        first, second = ({sides[measure] for measure in arm} for arm in self.arms)
        split = {Side.HOLDS} in (first, second) and {Side.FAILS} in (first, second)
        return split and all(sides[measure] is Side.HOLDS for measure in rest)

    def __str__(self) -> str:
        return f"{', '.join(self.measures)}: {' and '.join(self.arms[0])} against {' and '.join(self.arms[1])}"
