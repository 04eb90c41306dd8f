"""claims.toml, settings.toml, measured.json and frozen.json as objects, with errors that name file, entry and remedy."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from dualib.core.estimate import Estimate, Kind
from dualib.core.files import plain, read_json, write_json
from dualib.core.units import Unit
from papers.ledger.claim import Check, Claim, Mode, Party
from papers.ledger.condition import Condition, Contrast, Seed

Kept = TypeVar("Kept")
Table = dict[str, object]


class Number(msgspec.Struct, frozen=True, omit_defaults=True):
    """An estimate in a JSON file, where an end that is infinite is null."""

    value: float
    low: float | None
    high: float | None
    unit: Unit
    n: int
    kind: Kind
    level: float | None = None
    method: str = ""
    std_error: float = 0.0
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, e: Estimate) -> Number:
        """What is written of an estimate."""
        low, high = (float(v) if math.isfinite(v) else None for v in (e.low, e.high))
        level = None if e.level is None else float(e.level)
        return cls(float(e.value), low, high, e.unit, e.n, e.kind, level, e.method, float(e.std_error), e.warnings)

    def estimate(self) -> Estimate:
        """The estimate that was written."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return Estimate(
            self.value, low, high, self.kind, self.unit, self.level, self.n, self.method, self.warnings, self.std_error
        )


class PublishedSeed(msgspec.Struct, frozen=True):
    """One seed's numbers in measured.json."""

    seed: int
    seconds: float
    measurements: dict[str, Number]

    def estimates(self) -> Seed:
        """The numbers by their names."""
        return {name: number.estimate() for name, number in self.measurements.items()}


class Published(msgspec.Struct, frozen=True):
    """measured.json: what a paper measured, and by which thresholds, experiments and program (hashes; none where they were not kept).

    `confirming` are the seeds that nobody had seen when the thresholds were frozen, run once, by the day `confirmed`.
    """

    mode: Mode
    versions: dict[str, str]
    seeds: tuple[PublishedSeed, ...]
    thresholds: str = ""
    program: str = ""
    confirming: tuple[int, ...] = ()
    confirmed: str = ""
    experiments: str = ""


class _Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """claims.toml before its entries are looked at one by one."""

    party: Party = Party.ORIGINAL
    claim: list[Table] = []
    check: list[Table] = []


class SettingsTables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """settings.toml: the two tables, whose entries the paper's run.py knows."""

    quick: Table
    full: Table


def convert(table: object, kind: type[Kept], where: str) -> Kept:
    """A table as an object of `kind`.

    Raises
    ------
    ValueError
        If it does not fit: which entry, why, and what is known there.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        fields = getattr(kind, "__struct_fields__", ())
        known = f"; known are {', '.join(fields)}" if fields else ""
        raise ValueError(f"{where}: {error}{known}") from None


def read_toml(path: Path) -> Table:
    """A TOML file's tables; a ValueError where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None


def read_claims(path: Path) -> tuple[tuple[Claim, ...], tuple[Check, ...], Party]:
    """The claims and checks of a claims.toml, and the paper's party; a ValueError naming the file and the entry that is wrong."""
    ledger = convert(read_toml(path), _Ledger, str(path))
    claims = tuple(_claim(one, f"{path}, claim {one.get('number', '?')}") for one in ledger.claim)
    numbers = [claim.number for claim in claims]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{path}: two claims have the same number, got {sorted(numbers)}")
    checks = (convert(one, Check, f"{path}, the check of {one.get('measure', '?')}") for one in ledger.check)
    return claims, tuple(checks), ledger.party


def _claim(table: Table, where: str) -> Claim:
    """A claim, its conditions and contrasts one by one, so that an error names the one that is wrong."""
    conditions = convert(table.get("conditions", []), list[Table], where)
    contrasts = convert(table.get("contrasts", []), list[Table], where)
    parts = {
        "conditions": [convert(c, Condition, f"{where}, the condition on {c.get('measure', '?')}") for c in conditions],
        "contrasts": [convert(c, Contrast, f"{where}, the contrast {c.get('name', '?')!r}") for c in contrasts],
    }
    return convert(table | parts, Claim, where)


def read_record(path: Path, kind: type[Kept], again: str) -> Kept | None:
    """What a JSON file of ours holds, None where there is none; a ValueError that says what to do where it is damaged."""
    if not path.is_file():
        return None
    try:
        return msgspec.convert(read_json(path), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"{path} is damaged ({error}); write it again: {again}") from None


def write_record(path: Path, record: msgspec.Struct | Mapping[str, msgspec.Struct]) -> None:
    """Write what :func:`read_record` reads."""
    write_json(path, plain(msgspec.to_builtins(record)))
