"""What the widths together say of a quantity: the line in 1/width, the verdict, and all of them in a comparison.

A quantity agrees with its prediction q_∞ if the networks' values q_N = a + b/N, fitted over the widths with their errors, have a
= q_∞ within the errors: what is left is then a correction of order 1/width. The error of the time step is added, and so is what
the line leaves out, 1/width² and on, measured by leaving out the narrowest width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import chdtrc, ndtri

from deepnets.widths.exponents import Exponent
from deepnets.widths.finite import Row, why_not_measured
from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.units import Unit, Units, to_units
from ntkinfo.quantities import REGISTRY

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.0027
"""Probability with which a quantity that agrees is said not to (three standard errors), shared among its times."""


class Verdict(StrEnum):
    """What the widths say of a quantity."""

    AGREES = "agrees at 1/width"
    DIFFERS = "does not"
    HOLDS = "holds"
    """A bound."""
    BROKEN = "is broken"
    """A bound."""
    TOO_NARROW = "not at these widths"
    """The widths are too small for the correction to be of order 1/width."""
    NOT_MEASURABLE = "not measurable"

    @property
    def supports(self) -> bool:
        """Whether the prediction is confirmed."""
        return self in (Verdict.AGREES, Verdict.HOLDS)


class Line(NamedTuple):
    """A value at infinite width, its error, and the p-value of the line that led to it (NaN of two widths)."""

    value: float
    error: float
    p: float


@dataclass(frozen=True)
class Agreement(Result):
    """The verdict on one quantity, with the numbers of the time at which it is tightest.

    Attributes
    ----------
    quantity : str
    verdict : Verdict
    reason : str
        Why there are no numbers; "" where there are.
    unit : Unit
    tau, value, error, predicted, p : float
        The time; the value at infinite width, its error, the prediction, and the p-value of the line.
    least_width : float
        What the widths would have to exceed, where they are too narrow.
    """

    quantity: str
    verdict: Verdict
    reason: str = ""
    unit: Unit = Unit.ONE
    tau: float = np.nan
    value: float = np.nan
    error: float = np.nan
    predicted: float = np.nan
    p: float = np.nan
    least_width: float = 0.0

    def describe(self, units: Units = "bits") -> str:
        """The numbers or the reason behind the verdict."""
        if self.reason:
            return self.reason
        numbers = (self.value, self.error, self.predicted)
        value, error, predicted = (to_units(v, units) if self.unit.is_information else v for v in numbers)
        text = f"τ = {self.tau:g}: {value:.5g} ± {error:.2g} at infinite width, predicted {predicted:.5g}"
        text += self.unit.shown_in(units).suffix
        if not np.isnan(self.p):
            text += f", fit p = {self.p:.2g}"
        return text + (f"; takes widths above {self.least_width:.1g}" if self.least_width else "")


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """A finished comparison.

    Attributes
    ----------
    rows : tuple of Row
        Every quantity at every time and width.
    exponents : tuple of Exponent
        Of the width.
    settings : dict
        Of everything.
    """

    rows: tuple[Row, ...]
    exponents: tuple[Exponent, ...]
    settings: dict[str, Any]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a quantity, time and width, the unit in a column."""
        import pandas as pd

        data = []
        for row in self.rows:
            record = {**asdict(row), "unit": row.unit.shown_in(units).value, "relation": row.relation.value, "z": row.z}
            if row.unit.is_information:
                for name in ("infinite", "finite", "std_error", "step_error"):
                    record[name] = to_units(record[name], units)
            data.append(record)
        return pd.DataFrame(data)

    def quantities(self) -> tuple[str, ...]:
        """Names of what was compared, in order."""
        return tuple(dict.fromkeys(r.quantity for r in self.rows))

    def select(self, quantity: str, tau: float | None = None) -> list[Row]:
        """Rows of one quantity (at one time)."""
        return [r for r in self.rows if r.quantity == quantity and (tau is None or r.tau == tau)]

    def extrapolated(self, quantity: str, tau: float) -> Line:
        """A quantity at infinite width: see :func:`extrapolated`."""
        return extrapolated(self.select(quantity, tau))

    def verdicts(self) -> tuple[Agreement, ...]:
        """One verdict a quantity: those compared, then those of ntkinfo that were not, with the reason."""
        found = [agreement(self.select(name)) for name in self.quantities()]
        known = {v.quantity for v in found}
        activation = self.settings.get("activation")
        missing = [(q.name, why_not_measured(q, activation)) for q in REGISTRY.quantities if q.name not in known]
        return (*found, *(Agreement(name, Verdict.NOT_MEASURABLE, why) for name, why in missing))


def agreement(rows: Sequence[Row]) -> Agreement:
    """The verdict from the rows of one quantity at all times and widths."""
    name, relation, unit = rows[0].quantity, rows[0].relation, rows[0].unit
    times = list(dict.fromkeys(row.tau for row in rows))
    limit = -float(ndtri(LEVEL / 2 / len(times)))
    worst, numbers, agrees, needed = -np.inf, None, True, 0.0
    for tau in times:
        chosen = [row for row in rows if row.tau == tau]
        infinite = chosen[0].infinite
        if not np.isfinite(infinite):
            continue
        line = extrapolated(chosen)
        above = line.value - infinite
        excess = {Relation.LOWER: -above, Relation.UPPER: above}.get(relation, abs(above))
        z = excess / line.error if line.error > 0 else np.inf * np.sign(excess)
        if z >= limit and max(row.width for row in chosen) < chosen[0].least_width:
            needed = max(needed, chosen[0].least_width)
        else:
            agrees &= bool(z < limit)
        if z > worst:
            worst, numbers = z, (tau, line.value, line.error, infinite, line.p)
    exact = relation is Relation.EXACT
    if agrees:
        verdict = Verdict.TOO_NARROW if needed else Verdict.AGREES if exact else Verdict.HOLDS
    else:
        verdict, needed = Verdict.DIFFERS if exact else Verdict.BROKEN, 0.0
    if numbers is None:
        return Agreement(name, verdict, "infinite at every time")
    return Agreement(name, verdict, "", unit, *numbers, least_width=needed)


def extrapolated(rows: Sequence[Row]) -> Line:
    """Value a of a + b/width through the rows of one quantity and time, its error, and the p-value of the fit.

    The error is the standard error, that of the time step and, of four widths and more, that of the line, added in quadrature;
    the line's is how far a moves when the narrowest width is left out.
    """
    chosen = sorted(rows, key=lambda r: r.width)
    fitted = straight_line(chosen)
    beyond = fitted.value - straight_line(chosen[1:]).value if len(chosen) > 3 else 0.0
    return fitted._replace(error=float(np.linalg.norm([fitted.error, chosen[0].step_error, beyond])))


def straight_line(rows: Sequence[Row]) -> Line:
    """Value a of the line a + b/width through the rows, its standard error, and the p-value of the fit."""
    value, error, inverse = np.array([(r.finite, r.std_error, 1 / r.width) for r in rows]).T
    if len(rows) == 1:
        return Line(float(value[0]), float(error[0]), np.nan)
    design = np.stack([np.ones(len(rows)), inverse], axis=1)
    scaled = design / error[:, None]
    covariance = np.linalg.inv(scaled.T @ scaled)
    a, b = covariance @ scaled.T @ (value / error)
    misfit = (((value - design @ (a, b)) / error) ** 2).sum()
    p = float(chdtrc(len(rows) - 2, misfit)) if len(rows) > 2 else np.nan
    return Line(float(a), float(np.sqrt(covariance[0, 0])), p)
