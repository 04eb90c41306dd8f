"""Units of numbers; the one place where a logarithm's base appears."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, Literal

Units = Literal["bits", "nats"]
"""What a person may ask informations to be shown in."""

NATS_PER_BIT: float = math.log(2.0)
"""One bit in nats, log 2."""


class Unit(StrEnum):
    """The unit of a number."""

    NATS = "nats"
    BITS = "bits"
    NATS_PER_TAU = "nats/tau"
    BITS_PER_TAU = "bits/tau"
    ONE = "1"
    LOG10 = "log10"
    EPOCHS = "epochs"
    PATTERNS = "patterns"
    QUANTITIES = "quantities"

    @property
    def suffix(self) -> str:
        """What is written after a number: a space and the unit, or nothing after a pure number."""
        return "" if self is Unit.ONE else f" {self.value}"

    @property
    def is_information(self) -> bool:
        """Whether the unit is of an information, or of one per time, so that it can be shown in bits or nats."""
        return self in _SHOWN

    def shown_in(self, units: Units) -> Unit:
        """The unit in which a number of this unit is shown to someone who asked for `units`."""
        check_units(units)
        return _SHOWN[self][units] if self.is_information else self


_PER_TIME: dict[str, Unit] = {"nats": Unit.NATS_PER_TAU, "bits": Unit.BITS_PER_TAU}
_PLAIN: dict[str, Unit] = {"nats": Unit.NATS, "bits": Unit.BITS}
_SHOWN = {**dict.fromkeys(_PLAIN.values(), _PLAIN), **dict.fromkeys(_PER_TIME.values(), _PER_TIME)}
_IN_NATS = {Unit.NATS: 1.0, Unit.NATS_PER_TAU: 1.0, Unit.BITS: NATS_PER_BIT, Unit.BITS_PER_TAU: NATS_PER_BIT}


def check_units(units: str) -> None:
    """Refuse anything but "bits" and "nats" with a ValueError."""
    if units not in ("bits", "nats"):
        raise ValueError(f'units must be "bits" or "nats", got {units!r}')


def to_units(value: Any, units: Units) -> Any:
    """Convert an information in nats to `units`.

    Parameters
    ----------
    value : float or array
        In nats.
    units : {"bits", "nats"}

    Returns
    -------
    float or array
        `value` / log 2 for bits, `value` itself for nats.

    Raises
    ------
    ValueError
        If `units` is neither "bits" nor "nats".
    """
    check_units(units)
    return value if units == "nats" else value / NATS_PER_BIT


def conversion(of: Unit, to: Unit) -> float:
    """The factor that turns a number of unit `of` into one of unit `to`.

    Raises
    ------
    ValueError
        If the two units do not measure the same thing; bits and nats do, and a unit and itself.
    """
    if of is to:
        return 1.0
    if of.is_information and _SHOWN[of] is _SHOWN.get(to):
        return _IN_NATS[of] / _IN_NATS[to]
    raise ValueError(
        f"a number in {of.value!r} has no value in {to.value!r}; only bits and nats convert into each other"
    )
