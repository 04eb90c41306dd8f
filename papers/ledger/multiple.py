"""Several conditions of one claim: one of them fails by chance more often than each does, which Holm's rule corrects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import LEVEL, holm
from papers.ledger.condition import Condition, Op


def chance(condition: Condition, estimate: Estimate) -> float:
    """The chance of an estimate as far on the failing side where the claim is just true: a one-sided p-value.

    It is read off the interval as if that were Student's with n − 1 degrees of freedom (normal where n is one); what is
    exact, proven or without width has 0 on the failing side and 1 elsewhere.
    """
    from scipy.special import stdtr, stdtrit

    found = estimate.to(condition.unit)
    spread = condition.tolerance or 0.0
    below, above = condition.value - spread - found.value, found.value - condition.value - spread
    beyond, end = (above, found.low) if condition.op is Op.BELOW or (spread and above > below) else (below, found.high)
    half = abs(end - found.value)
    if estimate.kind is not Kind.STATISTICAL or half == 0.0:
        return 0.0 if beyond >= 0.0 else 1.0
    if math.isinf(half):
        return 1.0
    tail = 0.5 + (estimate.level or LEVEL) / 2
    if estimate.n < 2:
        return NormalDist().cdf(-beyond / half * NormalDist().inv_cdf(tail))
    return float(stdtr(estimate.n - 1, -beyond / half * stdtrit(estimate.n - 1, tail)))


def by_chance(failing: Sequence[Condition], found: Mapping[str, Estimate]) -> tuple[Condition, ...]:
    """Those of the failing conditions that one of so many would be expected to be, by Holm's rule at one-sided 2.5 %.

    Parameters
    ----------
    failing : sequence of Condition
    found : mapping
        The pooled estimates of all statistical conditions of the claim's core, by measure: their number is what counts.
    """
    judged = [c for c in failing if c.measure in found]
    p = [chance(c, found[c.measure]) for c in judged]
    rejected = holm([*p, *[1.0] * (len(found) - len(judged))], 1.0 - (1.0 - LEVEL) / 2)
    return tuple(c for c, yes in zip(judged, rejected, strict=False) if not yes)
