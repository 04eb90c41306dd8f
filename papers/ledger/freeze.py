"""Thresholds and the program that measures, written down with the day: frozen.json says which conditions stood when, and which
seeds had been seen by then; confirmation.json that the seeds kept fresh were run once after that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import count, islice

import msgspec

from papers.ledger.claim import Claim

FRESH = 4
"""How many seeds are kept for one confirmation after the freeze: the first ones that nobody has seen."""


class FrozenCondition(msgspec.Struct, frozen=True):
    """A condition (or a contrast) of a claim, as text with its role, and the day since which it stands."""

    claim: int
    text: str
    since: str


class Frozen(msgspec.Struct, frozen=True):
    """frozen.json.

    Attributes
    ----------
    date : str
        The day of the last freeze, as 2026-11-21.
    program : str
        Hash of measure.py and its helpers on that day.
    explored : tuple of int
        Seeds whose results had been seen before the thresholds were frozen.
    fresh : tuple of int
        Seeds kept for the confirmation.
    conditions : tuple of FrozenCondition
    measured_since : str
        The day since which the program stands as it is.
    """

    date: str
    program: str
    explored: tuple[int, ...]
    fresh: tuple[int, ...]
    conditions: tuple[FrozenCondition, ...]
    measured_since: str = ""

    def since(self, claim: int, text: str) -> str | None:
        """The day since which a condition stands as it is, or None if it is not frozen."""
        return next((c.since for c in self.conditions if (c.claim, c.text) == (claim, text)), None)


class Confirmation(msgspec.Struct, frozen=True):
    """confirmation.json: the one run of the seeds kept fresh, by which thresholds and which program; `ended` "" until it has."""

    begun: str
    thresholds: str
    program: str
    seeds: tuple[int, ...]
    ended: str = ""


def texts(claim: Claim) -> list[str]:
    """A claim's conditions with their roles, and its contrasts, as texts: a change of any of them is a change of these."""
    return [f"{c} [{c.role}]" for c in claim.conditions] + [f"contrast {c.name}: {c}" for c in claim.contrasts]


def threshold_hash(claims: Iterable[Claim]) -> str:
    """A hash of every condition and contrast."""
    lines = (f"{claim.number}: {text}" for claim in claims for text in texts(claim))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def freeze(claims: Sequence[Claim], program: str, explored: Iterable[int], before: Frozen | None, date: str) -> Frozen:
    """The claims as they stand frozen on `date`; what was frozen `before` and has not changed keeps its day.

    A seed once explored stays so; the fresh ones are the first that are not.
    """
    seen = sorted({*explored, *(before.explored if before else ())})
    kept = (before.since(claim.number, text) if before else None for claim in claims for text in texts(claim))
    every = ((claim.number, text) for claim in claims for text in texts(claim))
    conditions = tuple(FrozenCondition(n, text, day or date) for (n, text), day in zip(every, kept, strict=True))
    fresh = tuple(islice((s for s in count() if s not in seen), FRESH))
    same = before is not None and before.program == program
    measured_since = (before.measured_since or before.date) if before is not None and same else date
    return Frozen(date, program, tuple(seen), fresh, conditions, measured_since)


def changes(claims: Sequence[Claim], program: str, frozen: Frozen) -> list[str]:
    """What differs from what was frozen: conditions that are new, changed or gone, with their day, and the program."""
    now = {(claim.number, text) for claim in claims for text in texts(claim)}
    then = {(c.claim, c.text): c.since for c in frozen.conditions}
    new = [f"claim {n}: {text} is new since {frozen.date}" for n, text in sorted(now - set(then))]
    gone = [f"claim {n}: {text}, frozen {then[n, text]}, is gone" for n, text in sorted(set(then) - now)]
    other = frozen.program != program
    return (
        new
        + gone
        + [f"measure.py or a helper of it, frozen {frozen.measured_since or frozen.date}, is another"] * other
    )


def confirmation(
    claims: Sequence[Claim], program: str, frozen: Frozen | None, before: Confirmation | None, date: str
) -> Confirmation:
    """The record with which the run of the fresh seeds begins, or goes on after an interruption.

    Raises
    ------
    ValueError
        If nothing is frozen, or something was changed since; if the run was begun by other thresholds or another program; or
        if it has ended: it happens once.
    """
    if frozen is None:
        raise ValueError(
            "nothing is frozen yet: python -m papers freeze writes the thresholds down, and then they stand"
        )
    changed = changes(claims, program, frozen)
    if changed:
        raise ValueError(
            f"{len(changed)} things were changed after the freeze, the first: {changed[0]}; freeze what shall be confirmed first"
        )
    now = Confirmation(date, threshold_hash(claims), program, frozen.fresh)
    if before is None or not set(before.seeds) & set(frozen.fresh):
        return now
    if before.ended:
        raise ValueError(
            f"seeds {', '.join(map(str, before.seeds))} were run on {before.ended} and have been seen: that happens once; "
            "python -m papers freeze keeps new ones fresh"
        )
    if (before.thresholds, before.program) != (now.thresholds, now.program):
        raise ValueError(
            f"the confirmation was begun on {before.begun} by other thresholds or another measure.py; its seeds have been "
            "seen: freeze again, which keeps new ones fresh"
        )
    return before
