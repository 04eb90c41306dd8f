"""What an estimator returns: a number, the interval it comes with, and what kind of interval that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dualib.core.units import Units, to_units

Z_95 = 1.959963984540054
"""Half-width of the central 95 % of the standard normal law, in standard deviations."""


@dataclass(frozen=True)
class Estimate:
    """An estimate of an information, in nats.

    Parameters
    ----------
    value : the estimate.
    low, high : the interval, low <= value <= high.
    method : how the number was made.
    interval_kind : what the interval promises: "exact" (a point, for the variable that `method` names), "proven"
        (holds the truth up to the stated rounding), "quadrature" (numerical error), or "95%" (statistical).
    std_error : Monte Carlo and sampling standard error of the value, 0 where there is none.
    warnings : what a reader of the number has to know.

    Raises
    ------
    ValueError: low <= value <= high fails, or one of them is NaN.
    """

    value: float
    low: float
    high: float
    method: str
    interval_kind: str
    std_error: float = 0.0
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"an estimate needs low <= value <= high, got {self.low}, {self.value}, {self.high}")

    @property
    def width(self) -> float:
        """Width of the interval, in nats."""
        return self.high - self.low

    def to_units(self, units: Units) -> tuple[float, float, float, float]:
        """(value, low, high, std_error) in `units`."""
        value, low, high, error = (to_units(v, units) for v in (self.value, self.low, self.high, self.std_error))
        return value, low, high, error

    def to_record(self, name: str, units: Units = "nats") -> dict[str, Any]:
        """Columns of a table, the unit in every name: ``{"I(X;T) [bits]": …, "I(X;T) low [bits]": …, …}``."""
        value, low, high, error = self.to_units(units)
        return {
            f"{name} [{units}]": value,
            f"{name} low [{units}]": low,
            f"{name} high [{units}]": high,
            f"{name} std_error [{units}]": error,
        }

    def describe(self, units: Units = "bits") -> str:
        """One line: value, interval and its kind; then one line a warning."""
        value, low, high, _ = self.to_units(units)
        line = f"{value:.4f} {units} in [{low:.4f}, {high:.4f}] ({self.interval_kind}; {self.method})"
        return "\n".join([line, *(f"  warning: {text}" for text in self.warnings)])

    def with_warnings(self, *texts: str) -> Estimate:
        """The same estimate with more warnings; empty texts are left out."""
        return replace(self, warnings=self.warnings + tuple(text for text in texts if text))


@dataclass(frozen=True)
class LayerInformation:
    """I(X;T) and I(T;Y) of one layer, in nats.

    Parameters
    ----------
    input : Estimate of I(X;T).
    label : Estimate of I(T;Y).
    """

    input: Estimate
    label: Estimate

    def describe(self, units: Units = "bits") -> str:
        """Both estimates, in words."""
        return f"I(X;T) = {self.input.describe(units)}\nI(T;Y) = {self.label.describe(units)}"


@dataclass(frozen=True)
class Violation:
    """Two neighbouring layers whose estimates break the data processing inequality.

    Parameters
    ----------
    layer : index of the later layer, whose information should be at most the earlier one's.
    quantity : "I(X;T)" or "I(T;Y)".
    excess : later minus earlier value, in nats, positive.
    beyond_intervals : the intervals of the two do not meet, so that their error does not explain it.
    """

    layer: int
    quantity: str
    excess: float
    beyond_intervals: bool

    def __str__(self) -> str:
        certain = "their intervals do not meet" if self.beyond_intervals else "within their intervals"
        return (
            f"{self.quantity} rises by {self.excess:.3g} nats from layer {self.layer - 1} to layer {self.layer} "
            f"({certain}): the data processing inequality forbids that of the informations, not of these estimates"
        )


def dpi_violations(layers: Sequence[LayerInformation], tolerance: float = 1e-9) -> tuple[Violation, ...]:
    r"""Where estimates break the data processing inequality along the layers.

    For T_1, T_2, … each computed from the one before, :math:`I(X;T_{l+1}) \le I(X;T_l)` and
    :math:`I(T_{l+1};Y) \le I(T_l;Y)`. Binned values can break both, as the binned T_{l+1} is no function of the binned T_l.

    Parameters
    ----------
    layers : estimates, first layer first.
    tolerance : rises up to this many nats are rounding.

    Returns
    -------
    tuple of Violation, in the order of the layers.

    References
    ----------
    [cover2006]_ theorem 2.8.1; [saxe2018]_
    """
    found = []
    for index in range(1, len(layers)):
        for quantity, name in (("I(X;T)", "input"), ("I(T;Y)", "label")):
            before: Estimate = getattr(layers[index - 1], name)
            after: Estimate = getattr(layers[index], name)
            excess = after.value - before.value
            if excess > tolerance:
                found.append(Violation(index, quantity, excess, after.low > before.high))
    return tuple(found)


def intersect(low: float, high: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """A statistical interval cut to proven bounds; the bounds themselves where the two do not meet."""
    if low > bounds[1] or high < bounds[0]:
        return bounds
    return max(low, bounds[0]), min(high, bounds[1])


def make_estimate(value: float, interval: tuple[float, float], method: str, kind: str, **more: Any) -> Estimate:
    """An Estimate whose value is moved into its interval, where a proven bound leaves it outside."""
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        raise ValueError(
            f"the interval of {method} is [{low}, {high}]: the estimate overflowed; rescale the activations"
        )
    return Estimate(min(max(float(value), low), high), float(low), float(high), method, kind, **more)
