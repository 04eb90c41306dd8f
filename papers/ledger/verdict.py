"""The rule that turns measured intervals into a verdict; nobody's judgement enters after the thresholds are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dualib.core.estimate import Kind
from papers.ledger.claim import Claim
from papers.ledger.condition import Condition, Contrast, Role, Seed, Side
from papers.ledger.multiple import by_chance
from papers.ledger.pool import pooled


class Outcome(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    """Every core condition holds."""
    REFUTED = "refuted"
    """A core condition fails and none holds."""
    DEPENDS = "depends"
    """A decided contrast separates the core conditions that hold from those that fail."""
    PARTLY = "partly"
    """Some core conditions hold and some fail, and no contrast says why."""
    UNDECIDED = "undecided"
    """No core condition fails and one is open."""
    NOT_MEASURED = "not yet measured"
    """There are no conditions, or nothing was run."""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim, and by what.

    Attributes
    ----------
    outcome : Outcome
    sides : tuple of (Condition, Side)
        Every condition's side, over all seeds.
    depends_on : str or None
        What a decided contrast found the claim to depend on.
    decided_by : Condition, Contrast or None
        The contrast; or the first core condition that fails, is open, or holds, in this order.
    qualified_by : tuple of Condition
        Conditions of robustness that do not go along with the core where that holds or fails as one.
    by_chance : tuple of Condition
        Core conditions that fail by themselves, but not as one of so many: they are open.
    """

    outcome: Outcome
    sides: tuple[tuple[Condition, Side], ...] = ()
    depends_on: str | None = None
    decided_by: Condition | Contrast | None = None
    qualified_by: tuple[Condition, ...] = ()
    by_chance: tuple[Condition, ...] = ()

    def having(self, role: Role, *sides: Side) -> tuple[Condition, ...]:
        """The conditions of a role on one of these sides."""
        return tuple(c for c, side in self.sides if c.role is role and side in sides)


def side_over_seeds(condition: Condition, seeds: Sequence[Seed]) -> Side:
    """The condition's side by all seeds together.

    Statistical intervals are pooled over the seeds' repetitions. What is exact or proven in each seed fails where it fails
    once. Seeds that contradict each other leave it open, and so does one that lacks the measurement.
    """
    found = [seed[condition.measure] for seed in seeds if condition.measure in seed]
    if not found or len(found) < len(seeds):
        return Side.OPEN
    sides = {condition.side(estimate) for estimate in found}
    if len(sides) == 1 and Side.OPEN not in sides:
        return sides.pop()
    if any(estimate.kind is not Kind.STATISTICAL for estimate in found):
        return Side.FAILS if Side.FAILS in sides else Side.OPEN
    return Side.OPEN if {Side.HOLDS, Side.FAILS} <= sides else condition.side(pooled(found))


def judge(claim: Claim, seeds: Sequence[Seed]) -> Verdict:
    """The verdict on a claim from what every seed measured, in whatever order the seeds come.

    Core conditions decide. One of many fails by chance more often than each alone, so that failures count only as far as
    Holm's rule lets them stand. Where some hold and some fail, the claim depends on X only if a contrast of that name separates
    them and is itself decided, in every seed and by each of its measures; otherwise it is partly so. Conditions of robustness
    qualify, side conditions inform, and neither changes the outcome.
    """
    if not claim.conditions or not seeds:
        return Verdict(Outcome.NOT_MEASURED)
    alone = {c: side_over_seeds(c, seeds) for c in claim.conditions}
    found_in = {c.measure: [seed[c.measure] for seed in seeds if c.measure in seed] for c in claim.core}
    statistical = {
        name: pooled(estimates)
        for name, estimates in found_in.items()
        if estimates and all(e.kind is Kind.STATISTICAL for e in estimates)
    }
    chance = by_chance([c for c in claim.core if alone[c] is Side.FAILS], statistical)
    sides = tuple((c, Side.OPEN if c in chance else side) for c, side in alone.items())
    core = {c.measure: side for c, side in sides if c.role is Role.CORE}
    first = next(c for s in (Side.FAILS, Side.OPEN, Side.HOLDS) for c in claim.core if core[c.measure] is s)
    found = set(core.values())
    if Side.FAILS not in found:
        outcome = Outcome.UNDECIDED if Side.OPEN in found else Outcome.REPRODUCED
    elif Side.HOLDS not in found:
        outcome = Outcome.REFUTED
    else:
        for contrast in claim.contrasts:
            if contrast.explains(core) and contrast.decided(seeds):
                return Verdict(Outcome.DEPENDS, sides, contrast.name, contrast, by_chance=chance)
        outcome = Outcome.PARTLY
    expected = {Outcome.REPRODUCED: Side.HOLDS, Outcome.REFUTED: Side.FAILS}.get(outcome)
    apart = tuple(c for c, side in sides if expected and c.role is Role.ROBUSTNESS and side is not expected)
    return Verdict(outcome, sides, None, first, apart, chance)
