"""Numbers that carry their interval, its promise and its unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from dualib.core.result import Result
from dualib.core.typing import FloatArray
from dualib.core.units import Unit, Units, conversion


class Kind(StrEnum):
    """What an interval promises.

    Examples
    --------
    >>> Kind.PROVEN.value, Kind.STATISTICAL.value
    ('proven', 'statistical')
    """

    EXACT = "exact"
    """The value is the quantity that `method` names, up to rounding; the interval is a point."""
    PROVEN = "proven"
    """The interval holds the quantity, rounding included."""
    NUMERICAL = "numerical"
    """The interval estimates the error of a quadrature or an iteration."""
    STATISTICAL = "statistical"
    """The interval holds the quantity in a share `level` of repetitions."""
    HEURISTIC = "heuristic"
    """Nothing is promised."""


@dataclass(frozen=True)
class Estimate(Result):
    """A number with its interval, what that promises, and its unit.

    Attributes
    ----------
    value, low, high : float
        low ≤ value ≤ high; infinite ends are allowed.
    kind : Kind
        What the interval promises.
    unit : Unit
    level : float or None
        Coverage of a statistical interval, otherwise None.
    n : int
        Number of independent repetitions behind the number.
    method : str
        How the number was made.
    warnings : tuple of str
        What a reader of the number has to know.
    std_error : float
        Standard error of the value; 0 where there is none.

    Raises
    ------
    ValueError
        If low ≤ value ≤ high fails or one of them is NaN, if n < 1, or if a level is not within (0, 1).

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> print(Estimate.exact(1.0, method="a fair coin", unit=Unit.BITS))
    1 bits
    """

    value: float
    low: float
    high: float
    kind: Kind
    unit: Unit = Unit.NATS
    level: float | None = None
    n: int = 1
    method: str = ""
    warnings: tuple[str, ...] = ()
    std_error: float = 0.0

    def __post_init__(self) -> None:
        if any(math.isnan(number) for number in (self.value, self.low, self.high)):
            raise ValueError(
                f"an estimate and its interval must be numbers, got {self.value} in [{self.low}, {self.high}]"
                + (f" from {self.method}" if self.method else "")
            )
        if not self.low <= self.value <= self.high:
            raise ValueError(f"the value {self.value:.6g} lies outside its interval [{self.low:.6g}, {self.high:.6g}]")
        if self.n < 1:
            raise ValueError(f"an estimate needs at least one repetition, got n = {self.n}")
        if self.level is not None and not 0.0 < self.level < 1.0:
            raise ValueError(f"level = {self.level} must be between 0 and 1")

    @classmethod
    def exact(cls, value: float, unit: Unit = Unit.NATS, method: str = "") -> Estimate:
        """A number without error: an interval of width zero."""
        return cls(float(value), float(value), float(value), Kind.EXACT, unit, method=method)

    @classmethod
    def within(
        cls, value: float, interval: tuple[float, float], kind: Kind, unit: Unit = Unit.NATS, **more: Any
    ) -> Estimate:
        """An estimate whose value is moved into its interval, where a proven bound leaves it outside.

        Raises
        ------
        ValueError
            If an end of the interval is NaN.
        """
        low, high = map(float, interval)
        if math.isnan(low) or math.isnan(high):
            method = more.get("method", "an estimate")
            raise ValueError(f"the interval of {method} is [{low}, {high}]: it overflowed; rescale the data")
        return cls(min(max(float(value), low), high), low, high, kind, unit, **more)

    @property
    def width(self) -> float:
        """Width of the interval, high − low, in the estimate's unit."""
        return self.high - self.low

    def to(self, unit: Unit) -> Estimate:
        """The estimate in another unit: bits and nats convert into each other, any other change raises a ValueError."""
        factor = conversion(self.unit, unit)
        value, low, high, error = (factor * v for v in (self.value, self.low, self.high, self.std_error))
        return replace(self, value=value, low=low, high=high, std_error=error, unit=unit)

    def shown_in(self, units: Units) -> Estimate:
        """The estimate in the units a person asked for; what is no information keeps its unit."""
        return self.to(self.unit.shown_in(units))

    def with_warnings(self, *texts: str) -> Estimate:
        """The same estimate with more warnings; empty texts are left out."""
        return replace(self, warnings=self.warnings + tuple(text for text in texts if text))

    def to_record(self, name: str, units: Units = "bits") -> dict[str, float]:
        """Columns of a table, the unit in every name: ``{"I(X;T) [bits]": …, "I(X;T) low [bits]": …, …}``."""
        shown = self.shown_in(units)
        parts = {"": shown.value, " low": shown.low, " high": shown.high, " std_error": shown.std_error}
        return {f"{name}{part} [{shown.unit}]": value for part, value in parts.items()}

    def promise(self) -> str:
        """The kind of interval in words, with its level where it is statistical."""
        return self.kind.value if self.level is None else f"{100 * self.level:.3g} % {self.kind.value}"

    def describe(self, units: Units = "bits") -> str:
        """One line with value, interval, its kind and the method; then one line a warning."""
        shown = self.shown_in(units)
        about = "; ".join(filter(None, (self.promise(), self.method)))
        line = f"{shown.value:z.4f}{shown.unit.suffix} in [{shown.low:z.4f}, {shown.high:z.4f}] ({about})"
        return "\n".join([line, *(f"  warning: {text}" for text in self.warnings)])

    def __str__(self) -> str:
        interval = "" if self.low == self.high else f" [{self.low:.5g}, {self.high:.5g}]"
        return f"{self.value:.5g}{interval}{self.unit.suffix}"


@dataclass(frozen=True, eq=False)
class Estimates(Result):
    """Estimates of one kind in an array; ``estimates[index]`` is one Estimate or a smaller array of them.

    Attributes
    ----------
    value, low, high : FloatArray
        All three have one shape and are in `unit`; NaN where there is no estimate, then in all three.
    kind, unit, level, n, method, warnings
        Shared by all; see :class:`Estimate`.

    Examples
    --------
    >>> import numpy as np
    >>> rates = Estimates(np.array([1.0, 2.0]), np.array([0.9, 1.8]), np.array([1.1, 2.2]), Kind.NUMERICAL)
    >>> print(rates[1])
    2 [1.8, 2.2] nats
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    kind: Kind
    unit: Unit = Unit.NATS
    level: float | None = None
    n: int = 1
    method: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shapes = {np.shape(a) for a in (self.value, self.low, self.high)}
        if len(shapes) > 1:
            raise ValueError(f"value, low and high must have one shape, got {sorted(shapes)}")
        absent = np.isnan(self.value) & np.isnan(self.low) & np.isnan(self.high)
        wrong = ~absent & ~((self.low <= self.value) & (self.value <= self.high))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"{int(wrong.sum())} values lie outside their intervals, the first at {at}: {self.value[at]:.6g} in "
                f"[{self.low[at]:.6g}, {self.high[at]:.6g}]"
            )

    @classmethod
    def of(cls, estimates: Sequence[Estimate], shape: tuple[int, ...] | None = None) -> Estimates:
        """Single estimates of one kind and unit in an array of `shape` (a vector by default); warnings are joined."""
        kinds = {(e.kind, e.unit, e.level) for e in estimates}
        if len(kinds) != 1:
            raise ValueError(
                f"estimates of several kinds, units or levels cannot share an array: {sorted(map(str, kinds))}"
            )
        kind, unit, level = kinds.pop()
        value, low, high = (
            np.array([getattr(e, name) for e in estimates]).reshape(shape or (len(estimates),))
            for name in ("value", "low", "high")
        )
        methods = dict.fromkeys(e.method for e in estimates)
        warnings = tuple(dict.fromkeys(text for e in estimates for text in e.warnings))
        return cls(value, low, high, kind, unit, level, min(e.n for e in estimates), "; ".join(methods), warnings)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the three arrays."""
        return self.value.shape

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Any:
        parts = tuple(np.asarray(a)[index] for a in (self.value, self.low, self.high))
        if parts[0].ndim:
            return replace(self, value=parts[0], low=parts[1], high=parts[2])
        value, low, high = map(float, parts)
        return Estimate(value, low, high, self.kind, self.unit, self.level, self.n, self.method, self.warnings)

    def to(self, unit: Unit) -> Estimates:
        """The estimates in another unit; see :meth:`Estimate.to`."""
        factor = conversion(self.unit, unit)
        return replace(self, value=factor * self.value, low=factor * self.low, high=factor * self.high, unit=unit)

    def shown_in(self, units: Units) -> Estimates:
        """The estimates in the units a person asked for."""
        return self.to(self.unit.shown_in(units))
