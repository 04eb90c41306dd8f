"""Distances from thresholds: their sign is the condition's side, for every comparison and every interval."""

import itertools

import numpy as np
import pytest

from dualib.core.estimate import Estimate, Kind
from dualib.core.units import Unit
from papers.ledger.claim import Mode
from papers.ledger.condition import Condition, Op, Role, Side
from papers.pages.forest import EDGE, forest, margin, overview
from papers.pages.verdicts import verdict_rows
from papers.runs.paper import load_papers


@pytest.mark.parametrize("op", list(Op))
@pytest.mark.parametrize("threshold", [-2.0, 0.0, 0.5])
def test_the_sign_of_the_distance_is_the_side(op, threshold):
    condition = Condition("m", op, threshold, Unit.ONE, Role.CORE, 0.7 if op is Op.WITHIN else None)
    for low, width in itertools.product(np.linspace(-4, 4, 33), (0.1, 1.0, 5.0)):
        estimate = Estimate(low + width / 3, low, low + width, Kind.STATISTICAL, Unit.ONE)
        found = margin(condition, estimate)
        assert found.low <= found.value <= found.high
        side = Side.HOLDS if found.low > 0 else Side.FAILS if found.high < 0 else Side.OPEN
        if min(abs(found.low), abs(found.high)) > 1e-12:  # at the threshold itself each comparison has its own edge
            assert side is condition.side(estimate)


def test_the_unit_is_the_threshold_and_infinite_ends_stay_on_the_axis():
    two = Condition("m", Op.ABOVE, 2.0, Unit.BITS, Role.CORE)
    found = margin(two, Estimate(3 * np.log(2), 2 * np.log(2), np.inf, Kind.STATISTICAL, Unit.NATS))
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.0, EDGE))
    zero = Condition("m", Op.BELOW, 0.0, Unit.ONE, Role.CORE)
    assert margin(zero, Estimate(-3.0, -4.0, -2.0, Kind.STATISTICAL, Unit.ONE)).value == pytest.approx(3.0)
    assert margin(zero, Estimate(-3.0, -4.0, -2.0, Kind.STATISTICAL, Unit.ONE), scale=6.0).value == pytest.approx(0.5)


def test_every_claim_and_condition_is_drawn():
    rows = verdict_rows(load_papers(), Mode.FULL, None)
    labels = [t.get_text() for ax in overview(rows).axes for t in ax.get_yticklabels()]
    assert sorted(int(text.split()[0]) for text in labels) == sorted(r.claim.number for r in rows)
    row = max(rows, key=lambda r: len(r.claim.conditions))
    assert len(forest(row).axes[0].get_yticks()) == len(row.claim.conditions)
