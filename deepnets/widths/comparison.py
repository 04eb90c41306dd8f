"""A finished comparison of finite networks with infinite width: its rows, its verdicts, and what it would take to tell more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.widths.agreement import WITHIN, WORST, Agreement, Verdict, agreement
from deepnets.widths.exponents import Exponent
from deepnets.widths.finite import Row, why_not_measured
from deepnets.widths.lines import Line, extrapolated
from deepnets.widths.slopes import Slopes
from dualib.core.arrays import positive
from dualib.core.result import Result
from dualib.core.units import Units, to_units
from ntkinfo.quantities import REGISTRY, Condition

if TYPE_CHECKING:
    import pandas as pd


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
    within : float
        The share x to within which agreement is asked for, unless a method is given another.
    slopes : Slopes
        The predicted coefficients of 1/width.

    Examples
    --------
    >>> import deepnets
    >>> finite = {64: 0.216, 128: 0.208, 256: 0.204}
    >>> rows = tuple(deepnets.widths.Row("train_square_error", 0.5, n, 0.2, value, 0.001) for n, value in finite.items())
    >>> comparison = Comparison(rows, (), {})
    >>> round(comparison.extrapolated("train_square_error", 0.5).value, 4)
    0.2
    """

    rows: tuple[Row, ...]
    exponents: tuple[Exponent, ...]
    settings: dict[str, Any]
    within: float = WITHIN
    slopes: Slopes = field(default_factory=Slopes)

    def __post_init__(self) -> None:
        positive(self.within, "within")

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
        """A quantity at infinite width: see :func:`deepnets.widths.lines.extrapolated`."""
        return extrapolated(self.select(quantity, tau))

    def agreements(self, within: float | None = None) -> tuple[Agreement, ...]:
        """One verdict a quantity and time.

        Parameters
        ----------
        within : float or None
            The share x, 0.05 for ±5 %; None for the comparison's own.
        """
        x = self.within if within is None else positive(within, "within")
        networks, found = int(self.settings.get("replicas", 1)), []
        for name in self.quantities():
            times = list(dict.fromkeys(row.tau for row in self.select(name)))
            for tau in times:
                predicted = self.slopes.of(name, tau)
                found.append(agreement(self.select(name, tau), x, networks, len(times), predicted))
        return tuple(found)

    def verdicts(self, within: float | None = None) -> tuple[Agreement, ...]:
        """One verdict a quantity, that of its worst time; those compared first, then those of ntkinfo that were not, with the reason."""
        by_name: dict[str, list[Agreement]] = {}
        for found in self.agreements(within):
            by_name.setdefault(found.quantity, []).append(found)
        about = self.settings
        known = about.get("activation"), about.get("replicas"), about.get("n_points", (0, 0))
        classes = any(Condition.CLASS_LABELS in q.only for q in REGISTRY.quantities if q.name in by_name)
        missing = [
            (q.name, why_not_measured(q, *known, classes=classes)) for q in REGISTRY.quantities if q.name not in by_name
        ]
        unmeasured = (Agreement(name, Verdict.NOT_MEASURABLE, reason=why) for name, why in missing)
        return (*map(_worst, by_name.values()), *unmeasured)

    def to_table(self, units: Units = "bits", within: float | None = None) -> pd.DataFrame:
        """One row a quantity and time: predicted, measured at each width, extrapolated, its error, what would have been seen, verdict."""
        import pandas as pd

        data = []
        for v in self.agreements(within):
            if v.verdict is Verdict.NOT_MEASURABLE:
                continue
            scale = to_units(1.0, units) if v.unit.is_information else 1.0
            measured = {f"width {width}": scale * value for width, value in zip(v.widths, v.measured, strict=True)}
            data.append(
                {
                    "quantity": v.quantity,
                    "tau": v.tau,
                    "unit": v.unit.shown_in(units).value,
                    "relation": v.relation.value,
                    "predicted": scale * v.predicted,
                    **measured,
                    "extrapolated": scale * v.value,
                    "std_error": scale * v.error,
                    "low": scale * v.low,
                    "high": scale * v.high,
                    "slope": scale * v.slope,
                    "slope_std_error": scale * v.slope_error,
                    "slope_predicted": scale * v.predicted_slope,
                    "detectable": v.detectable,
                    "within": v.within,
                    "verdict": v.said(),
                    "networks_needed": v.needed,
                }
            )
        return pd.DataFrame(data)

    def plan(self, within: float | None = None) -> Plan:
        """How many networks it takes to tell, judged by those there are: what a pilot is for."""
        found = [v for v in self.agreements(within) if v.verdict is not Verdict.NOT_MEASURABLE]
        needed: dict[str, float] = {}
        for v in found:
            enough = v.verdict in (Verdict.DIFFERS, Verdict.BROKEN)
            needed[v.quantity] = max(needed.get(v.quantity, 0.0), 0.0 if enough else v.needed)
        return Plan(self.within if within is None else within, needed)


def _worst(found: Sequence[Agreement]) -> Agreement:
    """The verdict of the quantity: the worst of its times, and of equals the one that saw least."""
    measured = [v for v in found if v.verdict in WORST]
    if not measured:
        return found[0]
    return min(measured, key=lambda v: (WORST.index(v.verdict), -v.detectable))


@dataclass(frozen=True)
class Plan(Result):
    """How many networks it takes to tell, quantity by quantity.

    Attributes
    ----------
    within : float
        The share x.
    needed : dict
        Networks of the widest width (and in proportion of the others) by quantity; infinite where no number helps at these
        widths and this step, 0 where it is told already that it does not agree.

    Examples
    --------
    >>> plan = Plan(within=0.05, needed={"train_square_error": 400.0})
    >>> plan.needed
    {'train_square_error': 400.0}
    """

    within: float
    needed: dict[str, float]

    def told(self, networks: int) -> int:
        """How many quantities that many networks are enough for."""
        return sum(number <= networks for number in self.needed.values())

    def describe(self, networks: int) -> str:
        """What that many networks can tell, and how many it takes for half, 3/4 and 9/10 of the quantities, in words."""
        numbers = np.sort(list(self.needed.values()))
        shares = {" networks of the widest width for half of the quantities": 0.5, " for 3/4": 0.75, " for 9/10": 0.9}
        takes = {name: numbers[int(np.ceil(share * len(numbers))) - 1] for name, share in shares.items()}
        said = [f"{_round(number)}{name}" for name, number in takes.items() if np.isfinite(number)]
        hopeless = int(np.isinf(numbers).sum())
        text = f"to tell ±{100 * self.within:.3g} %, with 95 % power, takes "
        text += ", ".join(said) if said else "more networks of the widest width than can be counted on"
        one = hopeless == 1
        need = f"{hopeless} quantit{'y needs' if one else 'ies need'} wider networks or a smaller step"
        text += f"; {need}" if hopeless else ""
        return f"{text}; {networks} are enough for {self.told(networks)} of {len(numbers)}"


def _round(number: float) -> str:
    """Two digits, as a pilot gives no more."""
    return f"{float(f'{number:.1e}'):.0f}"
