"""Claim 12 on artificial results whose answer is known, and the arrays that its program really leaves."""

import numpy as np
import pytest

from papers.ledger.condition import Role, Side
from papers.ledger.verdict import Outcome, judge
from papers.relaxation_2017 import run as program
from papers.relaxation_2017.figures import comparison
from papers.relaxation_2017.measure import best_chain, measure
from papers.runs.paper import load_papers

REPLICAS, COSTS = 16, np.array([0.0, 900.0, 2700.0, 9000.0])
START = {
    "train_loss": 0.10,
    "test_loss": 0.13,
    "train_accuracy": 0.96,
    "test_accuracy": 0.95,
    "norm": 7.0,
    "label": 0.9,
}


def left(rng, test_loss, accuracy, bits, chain):
    """What a method leaves that changes test loss, accuracy and I(X;T) by these amounts, in equal parts of the cost."""
    share = (COSTS / COSTS[-1])[:, None]
    start = rng.normal(0, 0.01, REPLICAS)  # of the replica: what pairing takes away
    values = {name: np.tile(value + start, (len(COSTS), 1)) for name, value in START.items()}
    values["test_loss"] = values["test_loss"] + share * (test_loss + rng.normal(0, 1e-4, REPLICAS))
    values["test_accuracy"] = values["test_accuracy"] + share * (accuracy + rng.normal(0, 1e-4, REPLICAS))
    values["input"] = 6.4 + start + share * (bits + rng.normal(0, 0.01, REPLICAS))
    trace = np.linspace(values["test_loss"][0], values["test_loss"][-1], 201, axis=1)
    found = {"cost": COSTS, **values, "noise": 3.0 + bits + rng.normal(0, 0.01, REPLICAS)}
    found |= {"trace_cost": np.linspace(0, COSTS[-1], 201), "trace_test_loss": trace, "trace_train_loss": trace}
    return found | ({"acceptance": np.full((REPLICAS, 6), 0.3)} if chain else {})


def regime(changes, methods=program.METHODS):
    """The arrays of one regime; `changes` of (test loss, accuracy, bits) by method, (0, 0, 0) for the others."""
    found = {"methods": np.array(list(methods)), "diffusion_start": np.full(REPLICAS, 40.0)}
    found["start_noise"] = np.full(REPLICAS, 3.0)
    for name, method in methods.items():
        arrays = left(np.random.default_rng(0), *changes.get(name, (0, 0, 0)), isinstance(method, program.Metropolis))
        found |= {f"{name}_{key}": value for key, value in arrays.items()}
    return found


def results(changes):
    law = program.FEW | {"law_targets": program.BottleneckTargets()}
    return {"main": regime(changes), "small": regime(changes, program.FEW), "noisy": regime(changes, law)}


@pytest.fixture(scope="module")
def claim():
    (paper,) = load_papers(["relaxation_2017"])
    (found,) = paper.claims
    return found


def sides(claim, seed):
    return {c.measure: c.side(seed[c.measure]) for c in claim.conditions}


CHAINS = ("metropolis", "gibbs", "wide_prior", "narrow_prior")
BETTER = dict.fromkeys(CHAINS, (-0.03, 0.02, -1.0)) | {
    "targets": (-0.04, 0.02, -2.0),
    "law_targets": (-0.04, 0.02, -2.0),
    "class_means": (-0.03, 0.02, -2.0),
    "continued": (-0.02, 0.01, -1.0),
}


def test_every_condition_is_measured(claim):
    assert {c.measure for c in claim.conditions} <= set(measure(results({})))


def test_relaxation_that_does_better_in_everything_reproduces(claim):
    found = measure(results(BETTER))
    assert judge(claim, [found]).outcome is Outcome.REPRODUCED
    assert found["test_loss_over_continued"].value == pytest.approx(-0.01, abs=1e-3)
    assert found["targets_over_class_means"].value == pytest.approx(-0.01, abs=1e-3)


def test_relaxation_that_stays_where_it_was_is_refuted(claim):
    """Chains at the loss of the start while training goes on, targets behind their control, and a prior that decides."""
    found = measure(
        results(
            {
                "continued": (-0.03, 0.016, -1.0),
                "targets": (-0.02, 0.01, -2.0),
                "law_targets": (-0.02, 0.01, -2.0),
                "class_means": (-0.03, 0.01, -2.0),
                "wide_prior": (0.001, 0, 0.6),
                "narrow_prior": (0.001, 0, -0.4),
            }
        )
    )
    verdict, held = judge(claim, [found]), sides(claim, found)
    assert verdict.outcome is Outcome.REFUTED
    assert all(held[c.measure] is Side.FAILS for c in claim.having(Role.CORE))
    assert (held["change_of_rate_wide_prior"], held["change_of_rate_narrow_prior"]) == (Side.FAILS, Side.HOLDS)
    assert found["change_of_rate_by_prior"].value == pytest.approx(1.0, abs=0.05)
    assert found["test_loss_over_stopping"].value == pytest.approx(0.0, abs=1e-3)
    assert found["reached_within_ten_times"].value == 0.0  # a loss that stays is not that of training on


def test_the_best_chain_stands_for_relaxation():
    changes = {name: (0.01 * i, 0, 0) for i, name in enumerate(("gibbs", "narrow_prior", "metropolis", "wide_prior"))}
    main = regime(changes)
    assert best_chain(main) == "gibbs"
    assert best_chain(regime({"gibbs": (0.1, 0, 0)}, program.FEW)) == "metropolis"
    assert "gibbs" in measure(results(changes))["test_loss_over_continued"].warnings[0]


def test_replicas_are_paired(claim):
    """The spread of the replicas' starts, 0.01, is not in the differences' intervals."""
    found = measure(results(BETTER))["test_loss_over_continued"]
    assert found.high - found.low < 1e-3


def test_the_figure_shows_changes_since_the_start():
    shown = comparison(regime(BETTER))
    (last,) = (d for d in shown.of("test loss", "continued") if d.cost == COSTS[-1])
    assert last.to_start.value == pytest.approx(-0.02, abs=1e-3)


@pytest.mark.slow
def test_the_program_leaves_these_arrays(tmp_path, monkeypatch):
    """Two methods, a few epochs: names as above, and shapes but for the numbers of replicas and points."""
    methods = {name: program.METHODS[name] for name in ("continued", "metropolis")}
    monkeypatch.setattr(program, "FEW", methods)
    settings = program.Settings(replicas=2, start_epoch=20, budget=60.0, gamma=10.0)
    found, artificial = program.small(settings, 0, tmp_path), regime({}, methods)
    assert set(found) == set(artificial)
    assert {k: np.ndim(v) for k, v in found.items()} == {k: np.ndim(v) for k, v in artificial.items()}
    assert len(found["continued_cost"]) == 4
    assert np.all(found["metropolis_train_loss"] <= found["metropolis_train_loss"][0] * (1 + 1e-6))
