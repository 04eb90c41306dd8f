"""Thresholds written down, with the day: frozen.json says which conditions stood when, and which seeds had been seen by then."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from papers.ledger.claim import Claim

FRESH = (2, 3, 4, 5)
"""Seeds kept for one confirmation after the freeze."""


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
    """

    date: str
    program: str
    explored: tuple[int, ...]
    fresh: tuple[int, ...]
    conditions: tuple[FrozenCondition, ...]

    def since(self, claim: int, text: str) -> str | None:
        """The day since which a condition stands as it is, or None if it is not frozen."""
        return next((c.since for c in self.conditions if (c.claim, c.text) == (claim, text)), None)


def texts(claim: Claim) -> list[str]:
    """A claim's conditions with their roles, and its contrasts, as texts: a change of any of them is a change of these."""
    return [f"{c} [{c.role}]" for c in claim.conditions] + [f"contrast {c.name}: {c}" for c in claim.contrasts]


def threshold_hash(claims: Iterable[Claim]) -> str:
    """A hash of every condition and contrast."""
    lines = (f"{claim.number}: {text}" for claim in claims for text in texts(claim))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def freeze(claims: Sequence[Claim], program: str, explored: Iterable[int], before: Frozen | None, date: str) -> Frozen:
    """The claims as they stand frozen on `date`; what was frozen `before` and has not changed keeps its day.

    A seed once explored stays so.
    """
    seen = sorted({*explored, *(before.explored if before else ())})
    kept = (before.since(claim.number, text) if before else None for claim in claims for text in texts(claim))
    every = ((claim.number, text) for claim in claims for text in texts(claim))
    conditions = tuple(FrozenCondition(n, text, day or date) for (n, text), day in zip(every, kept, strict=True))
    return Frozen(date, program, tuple(seen), tuple(s for s in FRESH if s not in seen), conditions)


def changes(claims: Sequence[Claim], frozen: Frozen) -> list[str]:
    """What differs from the frozen conditions: each one that is new or changed, and each that is gone, with its day."""
    now = {(claim.number, text) for claim in claims for text in texts(claim)}
    then = {(c.claim, c.text): c.since for c in frozen.conditions}
    new = [f"claim {n}: {text} is new since {frozen.date}" for n, text in sorted(now - set(then))]
    return new + [f"claim {n}: {text}, frozen {then[n, text]}, is gone" for n, text in sorted(set(then) - now)]
