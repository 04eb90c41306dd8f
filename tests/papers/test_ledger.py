"""The rule that turns intervals into verdicts: core decides, robustness qualifies, a dependence has to be earned."""

import itertools

import msgspec
import numpy as np
import pytest

from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import mean, share
from dualib.core.units import Unit
from papers.ledger.claim import Check, Claim
from papers.ledger.condition import Condition, Contrast, Op, Role, Side
from papers.ledger.freeze import changes, confirmation, freeze, threshold_hash
from papers.ledger.multiple import chance
from papers.ledger.pool import pooled
from papers.ledger.read import Number
from papers.ledger.verdict import Outcome, judge, side_over_seeds

HOLDS, OPEN, FAILS = (1.0, 2.0), (-1.0, 2.0), (-2.0, -1.0)


def interval(low, high, unit=Unit.ONE, kind=Kind.STATISTICAL, n=10):
    return Estimate((low + high) / 2, low, high, kind, unit, n=n)


def condition(measure, role=Role.CORE, value=0.0):
    return Condition(measure, Op.ABOVE, value, Unit.ONE, role)


def claim(*conditions, contrasts=()):
    return Claim(1, "s", "p", conditions, tuple(contrasts))


def seed(**intervals):
    return {name: interval(*ends) for name, ends in intervals.items()}


@pytest.mark.parametrize(
    ("op", "low", "high", "side"),
    [
        (Op.ABOVE, 1.1, 2.0, Side.HOLDS),
        (Op.ABOVE, 1.0, 2.0, Side.OPEN),
        (Op.ABOVE, 0.0, 1.0, Side.FAILS),
        (Op.BELOW, 0.0, 0.9, Side.HOLDS),
        (Op.BELOW, 0.0, 1.0, Side.OPEN),
        (Op.BELOW, 1.0, 2.0, Side.FAILS),
        (Op.WITHIN, 0.5, 1.5, Side.HOLDS),
        (Op.WITHIN, 0.4, 1.5, Side.OPEN),
        (Op.WITHIN, 0.0, 3.0, Side.OPEN),
        (Op.WITHIN, 1.6, 3.0, Side.FAILS),
        (Op.WITHIN, 0.0, 0.4, Side.FAILS),
    ],
)
def test_side_of_an_interval(op, low, high, side):
    tolerance = 0.5 if op is Op.WITHIN else None
    assert Condition("m", op, 1.0, Unit.ONE, Role.CORE, tolerance).side(interval(low, high)) is side


def test_a_condition_converts_bits_and_nats_and_nothing_else():
    one_bit = Condition("a", Op.ABOVE, 1.0, Unit.BITS, Role.CORE)
    assert one_bit.side(interval(0.7, 0.8, Unit.NATS)) is Side.HOLDS  # log 2 = 0.693
    assert one_bit.side(interval(0.6, 0.69, Unit.NATS)) is Side.FAILS
    with pytest.raises(ValueError, match="only bits and nats"):
        one_bit.side(interval(1.0, 2.0, Unit.EPOCHS))
    assert Check("a", 1.0, 0.1, Unit.BITS, "s").passes(Estimate.exact(0.7, Unit.NATS))
    assert not Check("a", 1.5, 0.1, Unit.NATS, "s").passes(interval(1.0, 2.0, Unit.EPOCHS))
    assert not Check("a", 1.5, 0.1, Unit.NATS, "s").passes(None)


def test_core_conditions_decide():
    two = claim(condition("a"), condition("b"))
    table = {
        (HOLDS, HOLDS): Outcome.REPRODUCED,
        (HOLDS, OPEN): Outcome.UNDECIDED,
        (OPEN, OPEN): Outcome.UNDECIDED,
        (HOLDS, FAILS): Outcome.PARTLY,
        (OPEN, FAILS): Outcome.REFUTED,
        (FAILS, FAILS): Outcome.REFUTED,
    }
    for (a, b), outcome in table.items():
        for found in (seed(a=a, b=b), seed(a=b, b=a)):
            verdict = judge(two, [found])
            assert verdict.outcome is outcome
            assert verdict.decided_by in two.core
    assert judge(two, []).outcome is Outcome.NOT_MEASURED
    assert judge(Claim(2, "s", "p", unmeasured="no data"), [seed(a=HOLDS)]).outcome is Outcome.NOT_MEASURED


def test_a_claim_that_was_run_is_never_unmeasured():
    two = claim(condition("a"), condition("b"))
    assert judge(two, [seed(a=HOLDS)]).outcome is Outcome.UNDECIDED
    assert judge(two, [seed(a=FAILS)]).outcome is Outcome.REFUTED
    assert judge(two, [seed(a=HOLDS, b=HOLDS), seed(a=HOLDS)]).outcome is Outcome.UNDECIDED


def test_no_outcome_hangs_on_robustness_or_side():
    """Every combination of sides: without its other conditions, and with any of them left out, a claim has the same outcome."""
    names = {"a": Role.CORE, "b": Role.CORE, "r": Role.ROBUSTNESS, "s": Role.SIDE}
    whole = claim(*(condition(name, role) for name, role in names.items()))
    for ends in itertools.product((HOLDS, OPEN, FAILS), repeat=4):
        found = [seed(**dict(zip(names, ends, strict=True)))]
        outcome = judge(whole, found).outcome
        for left_out in ("r", "s", "rs"):
            rest = claim(*(c for c in whole.conditions if c.measure not in left_out))
            assert judge(rest, found).outcome is outcome


def test_robustness_qualifies_and_side_does_not():
    three = claim(condition("a"), condition("r", Role.ROBUSTNESS), condition("s", Role.SIDE))
    for ends, qualified in ((FAILS, True), (OPEN, True), (HOLDS, False)):
        verdict = judge(three, [seed(a=HOLDS, r=ends, s=FAILS)])
        assert verdict.outcome is Outcome.REPRODUCED
        assert [c.measure for c in verdict.qualified_by] == ["r"] * qualified
    assert [c.measure for c in judge(three, [seed(a=FAILS, r=HOLDS, s=HOLDS)]).qualified_by] == ["r"]
    assert not judge(three, [seed(a=OPEN, r=FAILS, s=FAILS)]).qualified_by


ARMS = Contrast("the scale", ("difference", "difference_noise"), (("low",), ("high",)))


@pytest.mark.parametrize(
    ("low", "high", "rest", "difference", "noise", "outcome"),
    [
        (HOLDS, FAILS, HOLDS, HOLDS, HOLDS, Outcome.DEPENDS),
        (FAILS, HOLDS, HOLDS, FAILS, FAILS, Outcome.DEPENDS),
        (HOLDS, FAILS, HOLDS, OPEN, HOLDS, Outcome.PARTLY),  # one estimator does not decide the difference
        (HOLDS, FAILS, HOLDS, HOLDS, FAILS, Outcome.PARTLY),  # the estimators disagree on its sign
        (HOLDS, FAILS, HOLDS, HOLDS, None, Outcome.PARTLY),  # it was not measured by one of them
        (HOLDS, FAILS, FAILS, HOLDS, HOLDS, Outcome.PARTLY),  # something else fails as well
        (HOLDS, HOLDS, FAILS, HOLDS, HOLDS, Outcome.PARTLY),  # the split does not follow the arms
        (HOLDS, OPEN, HOLDS, HOLDS, HOLDS, Outcome.UNDECIDED),
        (HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, Outcome.REPRODUCED),
        (FAILS, FAILS, FAILS, HOLDS, HOLDS, Outcome.REFUTED),
    ],
)
def test_a_dependence_is_earned(low, high, rest, difference, noise, outcome):
    three = claim(condition("low"), condition("high"), condition("rest"), contrasts=[ARMS])
    found = seed(low=low, high=high, rest=rest, difference=difference)
    if noise is not None:
        found |= seed(difference_noise=noise)
    verdict = judge(three, [found])
    assert verdict.outcome is outcome
    assert verdict.depends_on == ("the scale" if outcome is Outcome.DEPENDS else None)
    undecided = found | seed(difference=OPEN)
    assert judge(three, [found, undecided]).outcome is not Outcome.DEPENDS  # every seed has to decide the difference


def test_seeds_are_pooled_in_any_order():
    one = claim(condition("a"))
    near, clear = seed(a=(-0.1, 0.9)), seed(a=(0.2, 1.0))
    assert judge(one, [near]).outcome is Outcome.UNDECIDED
    for seeds in ([near, clear], [clear, near]):
        assert judge(one, seeds).outcome is Outcome.REPRODUCED  # 0.5 - hypot(0.5, 0.4) / 2 > 0
    contradictory = [seed(a=HOLDS), seed(a=(-0.5, -0.1))]
    assert {judge(one, s).outcome for s in (contradictory, contradictory[::-1])} == {Outcome.UNDECIDED}


def test_what_is_proven_fails_where_it_fails_once():
    c = condition("a")
    for kind, side in ((Kind.PROVEN, Side.FAILS), (Kind.EXACT, Side.FAILS), (Kind.STATISTICAL, Side.OPEN)):
        seeds = [{"a": interval(*ends, kind=kind)} for ends in (HOLDS, (-0.5, -0.1))]
        assert side_over_seeds(c, seeds) is side


def test_a_pooled_interval_is_that_of_all_repetitions():
    """Equal groups: the value is the mean of all, and the interval covers about as often as one of all repetitions would."""
    rng, covered, draws = np.random.default_rng(0), 0, 500
    for _ in range(draws):
        groups = rng.normal(1.0, 2.0, (3, 12))
        found = pooled([mean(g, Unit.ONE) for g in groups])
        assert found.value == pytest.approx(groups.mean())
        assert found.n == 36
        covered += found.low <= 1.0 <= found.high
    assert covered / draws > 0.95 - 4 * np.sqrt(0.95 * 0.05 / draws)
    every = mean(rng.normal(size=36), Unit.ONE)
    assert pooled([every]) == every
    lopsided = pooled([share(np.arange(20) < 19), share(np.arange(20) < 20)])
    assert 0.0 < lopsided.low < lopsided.value < lopsided.high <= 1.0
    assert lopsided.value - lopsided.low > lopsided.high - lopsided.value


def test_where_every_seed_holds_the_pool_holds():
    rng = np.random.default_rng(1)
    for _ in range(200):
        seeds = [interval(low, low + rng.exponential(), n=int(rng.integers(2, 50))) for low in rng.exponential(size=3)]
        assert pooled(seeds).low > 0.0
        assert min(s.low for s in seeds) <= pooled(seeds).low <= pooled(seeds).high <= max(s.high for s in seeds)


@pytest.mark.parametrize(
    "e",
    [
        Estimate(0.5, -np.inf, 1.0, Kind.STATISTICAL, Unit.LOG10, 0.95, 7, "mean", ("one left out",), 0.1),
        Estimate.exact(np.float64(1 / 3), Unit.BITS),
        Estimate(1.0, 1.0, np.inf, Kind.PROVEN),
    ],
)
def test_an_estimate_comes_back_from_its_record(e):
    assert Number.of(e).estimate() == e


@pytest.mark.parametrize("conditions", [1, 6])
def test_a_true_claim_of_many_parts_is_hardly_ever_found_to_fail(conditions):
    """Every condition just true: each fails in 2.5 % of the cases, one of six in 14 %; after the correction in 2.5 % at most."""
    rng, failed, trials = np.random.default_rng(2), 0, 600
    one = claim(*(condition(f"m{i}") for i in range(conditions)))
    for _ in range(trials):
        found = {f"m{i}": mean(rng.normal(size=12), Unit.ONE) for i in range(conditions)}
        verdict = judge(one, [found])
        failed += verdict.outcome in (Outcome.REFUTED, Outcome.PARTLY)
        assert all(dict(verdict.sides)[c] is Side.OPEN for c in verdict.by_chance)
    assert failed / trials < 0.025 + 4 * np.sqrt(0.025 * 0.975 / trials)
    assert conditions > 1 or failed > 0


@pytest.mark.parametrize("op", list(Op))
def test_the_chance_of_an_estimate_is_students(op):
    """At the edge of failing it is 2.5 %; far on the claimed side it is near one; what is exact fails for sure."""
    tolerance = 0.5 if op is Op.WITHIN else None
    one = Condition("m", op, 1.0, Unit.ONE, Role.CORE, tolerance)
    edge = (-2.0, 1.0) if op is Op.ABOVE else (1.0, 4.0) if op is Op.BELOW else (1.5, 4.5)
    assert chance(one, interval(*edge)) == pytest.approx(0.025)
    assert chance(one, interval(*edge, n=1)) == pytest.approx(0.025)
    claimed = {Op.ABOVE: (3.0, 5.0), Op.BELOW: (-3.0, -1.0), Op.WITHIN: (0.99, 1.01)}[op]
    assert chance(one, interval(*claimed)) > 0.99
    assert chance(one, Estimate.exact(9.0 if op is not Op.ABOVE else -9.0, Unit.ONE)) == 0.0


def test_an_objection_has_an_answer():
    with pytest.raises(ValueError, match="an objection needs its answer"):
        Claim(1, "s", "p", (condition("a"),), objection="why?")
    assert Claim(1, "s", "p", (condition("a"),), objection="why?", answer="so").answer == "so"


def test_changed_thresholds_show():
    before = claim(condition("a"), condition("b", Role.SIDE), contrasts=[])
    frozen = freeze([before], "program", [0, 1], None, "2026-01-01")
    assert changes([before], "program", frozen) == []
    assert frozen.explored == (0, 1)
    assert frozen.fresh == (2, 3, 4, 5)
    moved = claim(condition("a", value=0.5), condition("b", Role.SIDE))
    promoted = claim(condition("a"), condition("b"))
    for after, words in ((moved, "a > 0.5 [core] is new"), (promoted, "b > 0 [side], frozen 2026-01-01, is gone")):
        assert any(words in text for text in changes([after], "program", frozen))
        assert threshold_hash([after]) != threshold_hash([before])
    assert "measure.py or a helper of it, frozen 2026-01-01, is another" in changes([before], "another", frozen)
    again = freeze([moved], "program", [2], frozen, "2026-02-02")
    assert {c.text: c.since for c in again.conditions} == {"a > 0.5 [core]": "2026-02-02", "b > 0 [side]": "2026-01-01"}
    assert (again.explored, again.fresh) == ((0, 1, 2), (3, 4, 5, 6))
    assert (again.measured_since, freeze([moved], "x", [], again, "2026-03-03").measured_since) == (
        "2026-01-01",
        "2026-03-03",
    )


def test_seeds_confirm_what_was_frozen_and_once():
    one, moved = claim(condition("a")), claim(condition("a", value=0.5))
    frozen = freeze([one], "program", [0, 1], None, "2026-01-01")
    with pytest.raises(ValueError, match="nothing is frozen yet"):
        confirmation([one], "program", None, None, "2026-01-02")
    for claims, program in (([moved], "program"), ([one], "another")):
        with pytest.raises(ValueError, match="changed after the freeze"):
            confirmation(claims, program, frozen, None, "2026-01-02")
    begun = confirmation([one], "program", frozen, None, "2026-01-02")
    assert begun.seeds == (2, 3, 4, 5)
    assert confirmation([one], "program", frozen, begun, "2026-01-03") == begun  # it was interrupted, and goes on
    other = freeze([moved], "program", [], frozen, "2026-01-03")
    with pytest.raises(ValueError, match="begun on 2026-01-02 by other thresholds"):
        confirmation([moved], "program", other, begun, "2026-01-03")
    done = msgspec.structs.replace(begun, ended="2026-01-02")
    with pytest.raises(ValueError, match=r"seeds 2, 3, 4, 5 were run on 2026-01-02 .* happens once"):
        confirmation([one], "program", frozen, done, "2026-01-04")
    anew = freeze([moved], "program", done.seeds, frozen, "2026-01-05")
    assert confirmation([moved], "program", anew, done, "2026-01-05").seeds == (6, 7, 8, 9)
