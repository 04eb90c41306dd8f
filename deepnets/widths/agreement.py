r"""Whether a quantity of finite networks, extrapolated to infinite width, equals its prediction q_∞ to within a share x.

An equivalence test ([schuirmann1987]_): it *agrees* if the whole 95 % interval of the extrapolated value lies within
[q_∞/(1 + x), q_∞ (1 + x)], so that a prediction off by more than the share x is called agreement in 2.5 % of the cases at most; it
*does not* if three standard errors, shared among the times, lie outside; otherwise the networks *cannot tell*. What they could
have seen stands beside it: the least relative difference that would have left the prediction outside the interval in 95 % of
the cases, (t_{.975} + t_{.95}) error / \|q_∞\|.

No line proves more than it takes off: where b/N at the widest width, measured or predicted, exceeds what is claimed, or leaving out the narrowest width
moves the value by more than its error, the verdict is *not at these widths*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from deepnets.widths.finite import Row
from deepnets.widths.lines import Line, error_with, extrapolated
from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.statistics import LEVEL
from dualib.core.units import Unit, Units, to_units

WITHIN = 0.05
"""The share x by default."""

FALSE_ALARM = 0.0027
"""Probability with which a quantity at the edge of ±x is said not to agree (three standard errors), shared among its times."""

MOST = 1e4
"""Times the networks there are, beyond which more are not counted on."""


class Verdict(StrEnum):
    """What the widths say of a quantity.

    Examples
    --------
    >>> [verdict.name for verdict in Verdict]
    ['AGREES', 'DIFFERS', 'HOLDS', 'BROKEN', 'UNDECIDED', 'TOO_NARROW', 'NOT_MEASURABLE']
    """

    AGREES = "agrees"
    DIFFERS = "does not"
    HOLDS = "holds"
    """A bound."""
    BROKEN = "is broken"
    """A bound."""
    UNDECIDED = "cannot tell"
    """The error is too large for either; `remedy` says of what."""
    TOO_NARROW = "not at these widths"
    """The widths lie outside the regime in which corrections are of order 1/width."""
    NOT_MEASURABLE = "not measurable"

    @property
    def supports(self) -> bool:
        """Whether the prediction is confirmed."""
        return self in (Verdict.AGREES, Verdict.HOLDS)


class Remedy(StrEnum):
    """What would tell.

    Examples
    --------
    >>> print(Remedy.NETWORKS)
    more networks
    """

    NETWORKS = "more networks"
    WIDTHS = "wider networks"
    STEP = "a smaller step"


WORST = (Verdict.DIFFERS, Verdict.BROKEN, Verdict.TOO_NARROW, Verdict.UNDECIDED, Verdict.AGREES, Verdict.HOLDS)
"""Which verdict of several times is that of the quantity: the first of these."""


@dataclass(frozen=True)
class Agreement(Result):
    """The verdict on one quantity at one time, with its numbers.

    Attributes
    ----------
    quantity : str
    verdict : Verdict
    within : float
        The share x.
    reason : str
        Why there are no numbers; "" where there are.
    unit : Unit
    relation : Relation
    tau, predicted : float
        The time, and the prediction.
    widths, measured : tuples of int and of float
        What networks of each width came to.
    value, error, low, high : float
        At infinite width: the value, its standard error, and its 95 % interval.
    detectable : float
        The relative difference that would have been seen in 95 % of the cases.
    needed : float
        Networks of the widest width (and in proportion of the others) after which a prediction that is true is found to agree
        in 95 % of the cases; infinite where the widths or the step are in the way.
    remedy : Remedy
        What would tell.
    slope, slope_error : float
        Coefficient b of 1/width, and its standard error.
    predicted_slope : float
        What theory has for b; NaN where it has none.
    p : float
        p-value of the line.
    least_width : float
        What the widths would have to exceed, where they are too narrow for the law to be near its limit.

    Examples
    --------
    >>> import deepnets
    >>> finite = {64: 0.216, 128: 0.208, 256: 0.204}
    >>> rows = tuple(deepnets.widths.Row("train_square_error", 0.5, n, 0.2, value, 0.001) for n, value in finite.items())
    >>> (found,) = deepnets.Comparison(rows, (), {}).agreements()
    >>> found.verdict.name, found.quantity
    ('AGREES', 'train_square_error')
    """

    quantity: str
    verdict: Verdict
    within: float = WITHIN
    reason: str = ""
    unit: Unit = Unit.ONE
    relation: Relation = Relation.EXACT
    tau: float = np.nan
    predicted: float = np.nan
    widths: tuple[int, ...] = ()
    measured: tuple[float, ...] = ()
    value: float = np.nan
    error: float = np.nan
    low: float = np.nan
    high: float = np.nan
    detectable: float = np.nan
    needed: float = np.nan
    remedy: Remedy = Remedy.NETWORKS
    slope: float = np.nan
    slope_error: float = np.nan
    predicted_slope: float = np.nan
    p: float = np.nan
    least_width: float = 0.0

    @property
    def off(self) -> float:
        """How far the value is from the prediction, relative to it."""
        return (self.value - self.predicted) / abs(self.predicted)

    @property
    def slope_agrees(self) -> bool | None:
        """Whether b is within three standard errors of its prediction; None where there is none."""
        if np.isnan(self.predicted_slope):
            return None
        return bool(abs(self.slope - self.predicted_slope) <= 3 * self.slope_error)

    def said(self) -> str:
        """The verdict with its share: "agrees to within ±5 %"; what is undecided with what would help."""
        if self.verdict in (Verdict.AGREES, Verdict.DIFFERS):
            return f"{self.verdict}{' agree' * (self.verdict is Verdict.DIFFERS)} to within ±{100 * self.within:.3g} %"
        return f"{self.verdict}: {self.remedy}" if self.verdict is Verdict.UNDECIDED else str(self.verdict)

    def shown(self, units: Units) -> tuple[float, float, float]:
        """Value, error and prediction in the units a person asked for."""
        numbers = (self.value, self.error, self.predicted)
        value, error, predicted = (to_units(v, units) if self.unit.is_information else v for v in numbers)
        return value, error, predicted

    def describe(self, units: Units = "bits") -> str:
        """The numbers or the reason behind the verdict."""
        if self.reason:
            return self.reason
        value, error, predicted = self.shown(units)
        text = f"τ = {self.tau:g}: {value:.5g} ± {error:.2g} at infinite width, predicted {predicted:.5g}"
        text += f"{self.unit.shown_in(units).suffix}; would have seen {percent(self.detectable)}"
        return text + (f"; takes widths above {self.least_width:.1g}" if self.least_width else "")


def agreement(
    rows: Sequence[Row], within: float, networks: int, times: int = 1, predicted_slope: float = np.nan
) -> Agreement:
    """The verdict from the rows of one quantity and time at all widths.

    Parameters
    ----------
    rows : sequence of Row
    within : float
        The share x.
    networks : int
        Of the widest width.
    times : int
        Among which the level of a "does not" is shared.
    predicted_slope : float
        NaN where there is none.
    """
    rows = sorted(rows, key=lambda row: row.width)
    first, widest = rows[0], rows[-1].width
    q = first.infinite
    if not np.isfinite(q):
        return Agreement(first.quantity, Verdict.NOT_MEASURABLE, within, "infinite at every time")
    line = extrapolated(rows)
    half, far, power = (float(stdtrit(line.freedom, p)) for p in (0.5 + LEVEL / 2, 1 - FALSE_ALARM / 2 / times, LEVEL))
    ends = sorted((q / (1 + within), q * (1 + within)))
    low, high = line.value - half * line.error, line.value + half * line.error
    outer = line.value - far * line.error, line.value + far * line.error
    verdict = _verdict(first.relation, q, (ends[0], ends[1]), (low, high), outer)
    decided, refused = verdict is not Verdict.UNDECIDED, verdict in (Verdict.DIFFERS, Verdict.BROKEN)
    moved = abs(line.moved) > far * line.moved_error
    claimed = abs(line.value - q) if refused else within / (1 + within) * abs(q)
    exact = first.relation is Relation.EXACT
    leak = widest < first.least_width
    taken_off = max(abs(line.widest), 0.0 if np.isnan(predicted_slope) else abs(predicted_slope) / widest)
    if decided and ((refused and leak) or ((exact or refused) and (moved or taken_off > claimed))):
        verdict = Verdict.TOO_NARROW
    hopeless = exact and (leak or abs(predicted_slope) / widest > within / (1 + within) * abs(q))
    needed = np.inf if hopeless else networks_needed(rows, line, within, networks)
    detectable = (half + power) * line.error
    return Agreement(
        first.quantity,
        verdict,
        within,
        unit=first.unit,
        relation=first.relation,
        tau=first.tau,
        predicted=q,
        widths=tuple(row.width for row in rows),
        measured=tuple(row.finite for row in rows),
        value=line.value,
        error=line.error,
        low=low,
        high=high,
        detectable=detectable / abs(q) if q else np.inf,
        needed=needed,
        remedy=_remedy(line, first.step_error, needed),
        slope=line.slope,
        slope_error=line.slope_error,
        predicted_slope=predicted_slope,
        p=line.p if len(rows) > 2 else np.nan,
        least_width=first.least_width if leak and verdict in (Verdict.TOO_NARROW, Verdict.UNDECIDED) else 0.0,
    )


def _verdict(
    relation: Relation,
    q: float,
    allowed: tuple[float, float],
    interval: tuple[float, float],
    outer: tuple[float, float],
) -> Verdict:
    """From the prediction, what it allows, and the intervals of the value for "agrees" and for "does not"."""
    above, below = interval[0] > allowed[0], interval[1] < allowed[1]
    if relation is Relation.EXACT:
        if above and below:
            return Verdict.AGREES
        return Verdict.DIFFERS if outer[0] > allowed[1] or outer[1] < allowed[0] else Verdict.UNDECIDED
    lower = relation is Relation.LOWER
    if outer[1] < q if lower else outer[0] > q:
        return Verdict.BROKEN
    return Verdict.HOLDS if (above if lower else below) else Verdict.UNDECIDED


def networks_needed(rows: Sequence[Row], line: Line, within: float, networks: int) -> float:
    """Networks of the widest width for a true prediction to be found to agree; see :attr:`Agreement.needed`.

    The interval, 1.96 errors to a side, has to lie within ±x when the value itself is off by 1.96 errors. A bound that holds by
    more than its error has that much more room.
    """
    q, relation = rows[0].infinite, rows[0].relation
    edge = within / (1 + within) * abs(q)
    if relation is not Relation.EXACT:
        edge += max(0.0, (line.value - q) * (1 if relation is Relation.LOWER else -1))
    elif abs(line.widest) - 2 * line.error > edge:
        return np.inf
    allowed = edge / (2 * float(ndtri(0.5 + LEVEL / 2)))
    if error_with(rows, MOST) > allowed:
        return np.inf
    if error_with(rows, 1 / networks) <= allowed:
        return 1.0
    found = brentq(lambda x: error_with(rows, np.exp(x)) - allowed, -np.log(networks), np.log(MOST), xtol=0.01)
    return float(np.ceil(networks * np.exp(found)))


def _remedy(line: Line, step_error: float, needed: float) -> Remedy:
    if step_error > 0.5 * line.error:
        return Remedy.STEP
    return Remedy.NETWORKS if np.isfinite(needed) else Remedy.WIDTHS


def percent(share: float) -> str:
    """A share in percent, two digits."""
    return f"{float(f'{100 * share:.1e}'):g} %" if share < 10 else "> 1000 %"
