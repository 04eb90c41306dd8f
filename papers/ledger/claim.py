"""A published statement with the conditions that judge it, and numbers that must come out again."""

from __future__ import annotations

from enum import StrEnum
from itertools import chain

import msgspec

from dualib.core.estimate import Estimate
from dualib.core.units import Unit
from papers.ledger.condition import Condition, Contrast, Role


class Mode(StrEnum):
    """The two sizes of every experiment."""

    QUICK = "quick"
    FULL = "full"


class Party(StrEnum):
    """On which side of the debate a paper stands: what is compared side by side on the overview."""

    ORIGINAL = "originals"
    CRITICS = "critics"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published statement and what judges it.

    Attributes
    ----------
    number : int
        Its number in the ledger.
    statement : str
        What is claimed, in our words.
    where : str
        The source, with section, page or figure.
    conditions : tuple of Condition
        At least one of them core, no two of one measure.
    contrasts : tuple of Contrast
        What the claim may be found to depend on.
    unmeasured : str
        Why there are no conditions, where there are none.
    refutation : str
        What would refute it, in words; the conditions say it in numbers.
    figure : str
        The figure of figures.py that belongs on its page, where there is one.
    objection, answer : str
        What its authors or its critics would object to the measurement, and what there is to say to that.

    Raises
    ------
    ValueError
        If there are both conditions and a reason for having none, or neither; if there is an objection without an answer
        or an answer without one; if no condition is core, two are of one measure, or an arm of a contrast names a measure without a core condition.
    """

    number: int
    statement: str
    where: str
    conditions: tuple[Condition, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    unmeasured: str = ""
    refutation: str = ""
    figure: str = ""
    objection: str = ""
    answer: str = ""

    def __post_init__(self) -> None:
        if bool(self.conditions) == bool(self.unmeasured):
            raise ValueError("give either conditions, or unmeasured = the reason why there are none")
        if bool(self.objection) != bool(self.answer):
            raise ValueError("an objection needs its answer, and an answer its objection")
        if self.conditions and not self.core:
            raise ValueError('no condition has role = "core", so nothing would decide; mark those that are claimed')
        measures = [c.measure for c in self.conditions]
        if len(set(measures)) < len(measures):
            raise ValueError(f"two conditions are of one measure, got {measures}")
        loose = {m for c in self.contrasts for m in chain(*c.arms)} - {c.measure for c in self.core}
        if loose:
            raise ValueError(f"arms of contrasts must be core conditions, which {', '.join(sorted(loose))} is not")

    @property
    def core(self) -> tuple[Condition, ...]:
        """The conditions that decide."""
        return self.having(Role.CORE)

    def having(self, role: Role) -> tuple[Condition, ...]:
        """The conditions of a role."""
        return tuple(c for c in self.conditions if c.role is role)


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that must come out again: |got − value| ≤ tolerance, in `unit`, in one mode or (None) in both."""

    measure: str
    value: float
    tolerance: float
    unit: Unit
    source: str
    mode: Mode | None = None

    def __post_init__(self) -> None:
        if not self.tolerance >= 0.0:
            raise ValueError(f"tolerance must not be negative, got {self.tolerance:g}")

    def passes(self, estimate: Estimate | None) -> bool:
        """Whether the number came out again; a missing one did not, nor one whose unit does not convert."""
        if estimate is None or (estimate.unit is not self.unit and not estimate.unit.is_information):
            return False
        return abs(estimate.to(self.unit).value - self.value) <= self.tolerance
