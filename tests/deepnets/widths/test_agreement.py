"""Verdicts on made-up numbers, where the answer is known: coverage, level and power of the equivalence test, and its regime."""

from dataclasses import replace

import numpy as np
import pytest

from deepnets.widths import Plan, Remedy, Verdict
from deepnets.widths.agreement import agreement
from deepnets.widths.comparison import Comparison
from deepnets.widths.finite import Row
from deepnets.widths.lines import SECOND, error_with, extrapolated
from dualib.core.quantity import Relation
from ntkinfo.quantities import REGISTRY

WIDTHS = (64, 128, 256, 512)
TRIALS = 400
SLACK = 4 * np.sqrt(0.05 * 0.95 / TRIALS)


def made_up(
    limit,
    slope=0.0,
    predicted=2.0,
    error=0.01,
    relation=Relation.EXACT,
    seed=0,
    step=0.0,
    widths=WIDTHS,
    second=0.0,
    third=0.0,
):
    noise = np.random.default_rng(seed).normal(size=len(widths)) * error
    rows = [
        Row(
            "q",
            1.0,
            w,
            predicted,
            limit + slope / w + second / w**2 + third / w**3 + e,
            error,
            relation,
            step_error=step,
        )
        for w, e in zip(widths, noise, strict=True)
    ]
    return Comparison(tuple(rows), (), {"replicas": 100})


def verdict(within=0.05, **settings):
    return agreement(made_up(**settings).rows, within, 100).verdict


@pytest.mark.parametrize("widths", [(8, 16, 32), WIDTHS, (16, 64)])
@pytest.mark.parametrize("curved", [False, True])
def test_intervals_at_infinite_width_cover_with_and_without_curvature(widths, curved):
    """c/N² drawn as the module takes it to be: within half of b/N at the narrowest width."""
    rng, hits, slope = np.random.default_rng(0), 0, 3.0
    for seed in range(TRIALS):
        c = curved * rng.normal() * SECOND * slope * widths[0]
        found = agreement(made_up(2.0, slope, seed=seed, widths=widths, second=c).rows, 0.05, 100)
        hits += found.low <= 2.0 <= found.high
    assert hits / TRIALS >= 0.95 - SLACK


@pytest.mark.parametrize("factor", [1.05, 1 / 1.05])
@pytest.mark.parametrize("error", [0.001, 0.005, 0.02])
def test_a_prediction_off_by_the_share_is_called_agreement_in_one_case_of_forty_at_most(factor, error):
    found = [verdict(limit=2.0, predicted=2.0 * factor, seed=s, error=error) for s in range(TRIALS)]
    assert np.mean([v is Verdict.AGREES for v in found]) <= 0.025 + 4 * np.sqrt(0.025 * 0.975 / TRIALS)
    assert np.mean([v is Verdict.DIFFERS for v in found]) <= 0.02  # at the edge it does not differ by more either
    assert verdict(limit=2.0, predicted=2.0 * factor**2, error=0.001) is Verdict.DIFFERS


@pytest.mark.parametrize("widths", [(64, 128, 256), WIDTHS])
def test_so_many_networks_as_are_needed_tell(widths):
    """The plan of a pilot in its middle: so many networks find a true prediction in 95 % of the cases, a quarter do not."""
    pilots = [made_up(2.0, 5.0, error=0.1, widths=widths, seed=s) for s in range(30)]
    needed = float(np.median([pilot.plan().needed["q"] for pilot in pilots]))
    assert needed > 400
    shares = []
    for networks in (needed, needed / 4):
        error = 0.1 * np.sqrt(100 / networks)
        found = [verdict(limit=2.0, slope=5.0, error=error, widths=widths, seed=s) for s in range(TRIALS)]
        shares.append(np.mean([v is Verdict.AGREES for v in found]))
    assert shares[0] >= 0.95 - 1.5 * SLACK
    assert shares[1] < 0.5


def test_the_difference_that_would_have_been_seen_is_seen():
    seen = []
    for seed in range(TRIALS):
        found = agreement(made_up(2.0, 0.5, seed=seed).rows, 0.05, 100)
        low, high = (end + 2.0 * found.detectable for end in (found.low, found.high))  # a truth that is off by so much
        seen.append(not low <= 2.0 <= high)
    assert np.mean(seen) >= 0.95 - SLACK


def test_the_error_with_more_networks_is_the_error_of_smaller_errors():
    rows = made_up(2.0, 30.0, error=0.1).rows
    finer = [replace(row, std_error=row.std_error / 3) for row in rows]
    assert error_with(rows, 1.0) == pytest.approx(agreement(rows, 0.05, 100).error)
    assert error_with(rows, 9.0) <= agreement(finer, 0.05, 100).error  # b is known better, too
    assert np.all(np.diff([error_with(rows, 2.0**k) for k in range(-5, 20)]) < 0)


def test_verdicts_follow_from_the_numbers():
    assert verdict(limit=2.0, slope=3.0, predicted=2.0) is Verdict.AGREES
    assert verdict(limit=2.0, slope=3.0, predicted=2.3) is Verdict.DIFFERS
    assert verdict(limit=-2.0, slope=3.0, predicted=-2.3) is Verdict.DIFFERS
    assert verdict(limit=-2.0, slope=3.0, predicted=-2.0) is Verdict.AGREES
    assert verdict(limit=2.0, slope=3.0, predicted=2.3, within=0.25) is Verdict.AGREES
    assert verdict(limit=2.0, slope=3.0, predicted=2.0, error=0.3) is Verdict.UNDECIDED
    unsure = made_up(2.0, 3.0, 2.3, step=0.2).verdicts()[0]
    assert (unsure.verdict, unsure.remedy) == (Verdict.UNDECIDED, Remedy.STEP)
    assert verdict(limit=2.0, predicted=2.2, relation=Relation.UPPER) is Verdict.HOLDS
    assert verdict(limit=2.0, predicted=1.8, relation=Relation.UPPER) is Verdict.BROKEN
    assert verdict(limit=2.0, predicted=1.8, relation=Relation.LOWER) is Verdict.HOLDS
    assert verdict(limit=2.0, predicted=2.2, relation=Relation.LOWER) is Verdict.BROKEN
    assert verdict(limit=2.0, predicted=2.2, relation=Relation.UPPER, error=0.3) is Verdict.UNDECIDED
    assert verdict(limit=2.0, predicted=0.0) is not Verdict.AGREES  # no share of nothing
    assert made_up(2.0, predicted=np.inf).verdicts()[0].verdict is Verdict.NOT_MEASURABLE


@pytest.mark.parametrize("second", [-2000.0, 2000.0])
def test_a_correction_of_second_order_does_not_refute(second):
    """1/width² is half of 1/width at the narrowest width; the straight line through all widths misses by many errors."""
    found = made_up(2.0, 60.0, second=second, error=0.002).verdicts()[0]
    y, r = np.array(found.measured), 1 / np.array(found.widths)
    weighted = np.polyfit(r, y, 1)[1]
    assert abs(weighted - 2.0) > 20 * 0.002
    assert found.low < 2.0 < found.high
    assert found.verdict is not Verdict.DIFFERS
    assert verdict(limit=2.0, slope=60.0, second=second, error=0.002, predicted=2.6) is Verdict.DIFFERS


@pytest.mark.parametrize("widths", [(2, 4, 8), (2, 4, 8, 16)])
@pytest.mark.parametrize("sign", [1, -1])
def test_widths_outside_the_regime_neither_refute_nor_agree(widths, sign):
    """q = a/(1 + k/N), all orders alike: few units, many networks."""
    for k in (1.0, 2.0):
        rows = [Row("q", 1.0, w, 2.0, 2.0 / (1 + k / w) ** sign, 1e-4) for w in widths]
        truth = agreement(rows, 0.05, 10**6)
        assert truth.verdict is not Verdict.DIFFERS
        for factor in (1.1, 0.9, 1.36, 0.64):
            off = agreement([replace(r, infinite=2.0 * factor) for r in rows], 0.05, 10**6)
            assert off.verdict is not Verdict.AGREES
    cubic = made_up(2.0, 1.0, widths=(8, 16, 32), third=800.0, error=1e-4)  # 1/N³ beyond 1/N at the narrowest
    assert cubic.verdicts()[0].verdict is Verdict.TOO_NARROW
    assert cubic.plan().describe(100)


def test_the_next_order_has_a_natural_size_where_the_first_is_small_by_chance():
    few, many = (
        agreement(made_up(2.0, widths=widths, error=0.01).rows, 0.05, 100) for widths in ((2, 4, 8), WIDTHS[:3])
    )
    assert few.error > 1.5 * many.error  # NATURAL 2/2² at two units, 5e-4 at 64


def test_a_law_that_collapses_does_not_refute_below_its_width():
    def of_least(least, limit=2.2):
        found = made_up(limit=limit, predicted=2.0)
        rows = tuple(replace(r, least_width=least) for r in found.rows)
        return replace(found, rows=rows).verdicts()[0]

    assert of_least(1000.0).verdict is Verdict.TOO_NARROW
    assert "widths above 1e+03" in of_least(1000.0).describe()
    assert of_least(500.0).verdict is Verdict.DIFFERS
    assert of_least(1000.0, limit=2.0).verdict is Verdict.AGREES
    between = of_least(1000.0, limit=2.11)  # neither: more networks of these widths do not help
    assert (between.verdict, between.remedy, between.needed) == (Verdict.UNDECIDED, Remedy.WIDTHS, np.inf)


def test_a_predicted_slope_that_exceeds_what_is_claimed_at_the_widest_width_takes_wider_networks():
    def with_slope(b, limit=2.0):
        return agreement(made_up(limit, predicted=2.0).rows, 0.05, 100, predicted_slope=b)

    edge = 0.05 / 1.05 * 2.0 * WIDTHS[-1]
    for b, decided in (
        (0.99 * edge, Verdict.AGREES),
        (-0.99 * edge, Verdict.AGREES),
        (1.01 * edge, Verdict.TOO_NARROW),
    ):
        assert with_slope(b).verdict is decided
    assert with_slope(edge, limit=2.5).verdict is Verdict.DIFFERS  # by more than the slope explains
    assert with_slope(10 * edge, limit=2.5).verdict is Verdict.TOO_NARROW
    assert (with_slope(0.5 * edge, 2.11).remedy, with_slope(2 * edge, 2.11).remedy) == (Remedy.NETWORKS, Remedy.WIDTHS)


def test_the_worst_time_is_the_quantitys():
    good, bad = made_up(2.0), made_up(2.0, predicted=3.0)
    both = Comparison((*(replace(r, tau=0.5) for r in bad.rows), *good.rows), (), {"replicas": 100})
    assert [v.verdict for v in both.agreements()] == [Verdict.DIFFERS, Verdict.AGREES]
    assert (both.verdicts()[0].verdict, both.verdicts()[0].tau) == (Verdict.DIFFERS, 0.5)
    assert list(both.to_table().verdict) == ["does not agree to within ±5 %", "agrees to within ±5 %"]


def test_every_quantity_is_compared_or_has_a_reason():
    verdicts = {v.quantity: v for v in made_up(1.0, 0.0, 1.0).verdicts()}
    assert set(verdicts) >= {q.name for q in REGISTRY.quantities}
    assert {Verdict.AGREES, Verdict.NOT_MEASURABLE} == {v.verdict for v in verdicts.values()}
    assert all(v.reason for v in verdicts.values() if v.verdict is Verdict.NOT_MEASURABLE)


def test_a_plan_says_what_is_enough():
    plan = Plan(0.05, {"a": 10.0, "b": 300.0, "c": 4000.0, "d": np.inf})
    assert [plan.told(n) for n in (9, 10, 300, 10**6)] == [0, 1, 2, 3]
    said = plan.describe(300)
    assert "takes 300 networks of the widest width for half of the quantities, 4000 for 3/4; 1" in said
    assert "takes more networks of the widest width than" in Plan(0.05, {"a": np.inf}).describe(10)
    assert "1 quantity needs wider networks" in said
    assert said.endswith("300 are enough for 2 of 4")


@pytest.mark.parametrize("within", [0.0, -1.0, np.nan])
def test_a_share_is_positive(within):
    with pytest.raises(ValueError, match="within"):
        made_up(2.0).verdicts(within)


@pytest.mark.parametrize("widths", [(64, 128), (32, 64, 128)])
def test_what_is_zero_in_every_network_is_zero_at_infinite_width(widths):
    """Such as what has not moved yet at τ = 0: no spread, no slope, and no singular covariance."""
    found = extrapolated(made_up(0.0, error=0.0, predicted=0.0, widths=widths).rows)
    assert (found.value, found.slope, found.widest) == (0.0, 0.0, 0.0)
    assert 0.0 < found.error < 1e-60
    assert np.isfinite(agreement(made_up(0.0, error=0.0, predicted=0.0, widths=widths).rows, 0.05, 100).high)
