"""Claim 36 on artificial results whose answer is known, and the arrays that its program really leaves."""

import numpy as np
import pytest

from papers.ledger.condition import Side
from papers.ledger.verdict import Outcome, judge
from papers.piran_2020_variational import run as program
from papers.piran_2020_variational.measure import measure
from papers.runs.paper import load_papers

SEEDS = 10
SCORES = ("relevance", "nll_single_tempered", "accuracy_average", "ece_single")


def fitted(grids, better):
    """Scores of each objective at both rates, of which the duals' are better by these amounts: raw, tempered, accuracy.

    Objectives share the spread of the seeds, 0.1, which pairing takes away; what is left of it is 0.001.
    """
    rng = np.random.default_rng(0)
    of_seed, found = rng.normal(0, 0.1, SEEDS), {}
    for name in grids:
        raw, tempered, accuracy = better(name)
        values = (2.0 + raw + of_seed, 0.2 - tempered + of_seed, 0.95 + accuracy + 0 * of_seed, 0.05 - raw / 10)
        for score, value in zip(SCORES, values, strict=True):
            noise = rng.normal(0, 1e-3 if score != "accuracy_average" else 1e-4, SEEDS)
            for start in ("", "bound_"):
                found |= {f"{start}{name}_{score}_at_{rate:g}": value + noise for rate in program.RATES}
    return found


def results(better):
    return {
        "digits": fitted(program.DIGITS, better),
        "standard": fitted(program.STANDARD, better),
        "mnist": fitted(program.MNIST, better),
        "gaussian": {name: np.full(5, 1e-6) for name in ("dual_relevance", "vib_relevance", "dual_gap", "vib_gap")},
        "icosahedral": {"vib_gap": np.array([0.006, 0.005, 0.007, 8]), "dual_gap": np.array([0.004, 0.003, 0.005, 8])},
    }


@pytest.fixture(scope="module")
def claim():
    (paper,) = load_papers(["piran_2020_variational"])
    (found,) = paper.claims
    return found


def dual_better(name):
    return (0.05, 0.03, 0.01) if name.startswith("dual") else (0.0, 0.0, 0.0)


def calibrated_only(name):
    """What smoothed labels cost VIB, the dual has not; one temperature undoes it, and the classes are the same."""
    return (-0.1, 0.0, 0.0) if name in ("vib_01", "vib_10", "vib_confusion", "vib_teacher") else (0.0, 0.0, 0.0)


def test_every_condition_is_measured(claim):
    assert {c.measure for c in claim.conditions} <= set(measure(results(dual_better)))


def test_a_dual_that_is_better_in_everything_reproduces(claim):
    found = measure(results(dual_better))
    assert judge(claim, [found]).outcome is Outcome.REPRODUCED
    assert found["over_vib_10"].value == pytest.approx(0.05, abs=2e-3)
    assert found["tempered_over_vib_10"].value == pytest.approx(0.03, abs=2e-3)
    assert found["by_calibration_10"].value == pytest.approx(0.02, abs=3e-3)
    assert found["over_vib_10"].high - found["over_vib_10"].low < 0.01  # paired: the seeds' spread of 0.1 is gone


def test_a_dual_that_is_worse_in_everything_is_refuted(claim):
    found = measure(results(lambda name: tuple(-value for value in dual_better(name))))
    assert judge(claim, [found]).outcome is Outcome.REFUTED


def test_an_advantage_of_calibration_alone_is_one_on_the_same_labels_alone(claim):
    found = measure(results(calibrated_only))
    sides = {c.measure: c.side(found[c.measure]) for c in claim.conditions}
    assert judge(claim, [found]).outcome is Outcome.PARTLY
    assert {sides[f"same_labels_{labels}"] for labels in ("01", "10", "confusion", "teacher")} == {Side.HOLDS}
    assert Side.HOLDS not in {sides[f"{kind}_{a}"] for kind in ("over_vib", "tempered_over_vib") for a in ("01", "10")}
    assert {sides[f"accuracy_over_vib_{a}"] for a in ("01", "10")} == {Side.FAILS}
    assert found["by_labels_of_vib"].value == pytest.approx(0.1, abs=2e-3)


def test_a_rate_that_no_seed_has_and_images_that_were_not_fitted_leave_their_conditions_open(claim):
    given = results(dual_better)
    given["mnist"] = {}
    given["digits"] |= {name: np.full(SEEDS, np.nan) for name in given["digits"] if name.startswith("dual_10_relev")}
    found = measure(given)
    assert not [name for name in found if name.startswith("mnist") or name == "over_vib_10"]
    verdict = judge(claim, [found])
    assert verdict.outcome is Outcome.UNDECIDED
    assert {str(c).split()[0] for c, side in verdict.sides if side is Side.OPEN} >= {"over_vib_10", "mnist_over_vib_10"}


@pytest.mark.slow
def test_the_program_leaves_these_arrays(tmp_path, monkeypatch):
    """Two objectives, a few steps: names of scores at both rates as above, NaN where a seed does not have the rate."""
    grids = {name: program.DIGITS[name][:2] for name in ("vib", "dual_10")}
    monkeypatch.setattr(program, "DIGITS", grids)
    settings = program.Settings(seeds=2, standard_seeds=2, mnist_seeds=0, steps=20, gaussian_steps=10)
    found = program.digits(settings, 0, tmp_path)
    artificial = fitted(grids, dual_better)
    assert set(artificial) <= set(found)
    assert found["vib_rate_mixture"].shape == (2, 2)
    assert np.isnan(found["vib_relevance_at_5"]).all()
    assert 2.30 < float(found["entropy_y"]) < np.log(10)  # nearly equal classes
    assert program.mnist(settings, 0, tmp_path) == {}
