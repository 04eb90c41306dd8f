"""solve_at against closed forms, brute force, and the slopes of the curve."""

import numpy as np
import pytest
from joints import random_joint
from scipy.optimize import brentq

import dualib
from dualib import IB, AlphaIB, DualIB, Joint, examples, solve, solve_at
from dualib.curves.tradeoff import Tradeoff


def binary_entropy(p):
    return float(-p * np.log(p) - (1 - p) * np.log(1 - p)) if 0 < p < 1 else 0.0


@pytest.mark.parametrize("error", [0.05, 0.2])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_a_symmetric_channel_has_the_relevance_of_mrs_gerber(error, rate):
    joint = Joint([[0.5 * (1 - error), 0.5 * error], [0.5 * error, 0.5 * (1 - error)]])
    flip = brentq(lambda q: np.log(2) - binary_entropy(q) - rate, 1e-12, 0.5, xtol=1e-16)
    relevance = np.log(2) - binary_entropy(flip * (1 - error) + (1 - flip) * error)
    found = solve_at(IB(joint), rate=rate)
    assert found.rate == pytest.approx(rate, abs=1e-8)
    assert found.relevance == pytest.approx(relevance, abs=1e-8)
    assert joint.mutual_information() - found.other_high - 1e-13 <= relevance
    assert relevance <= joint.mutual_information() - found.other_low + 1e-13
    back = solve_at(IB(joint), relevance=relevance)
    assert back.rate == pytest.approx(rate, abs=1e-7)
    assert back.other_low - 1e-12 <= rate <= back.other_high + 1e-12
    assert found.other_high - found.other_low <= 1e-8


PROBLEMS = [IB, DualIB, lambda joint: AlphaIB(joint, 0.5)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=["ib", "dual", "alpha"])
@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_beta_separates_smaller_rates_from_larger(problem, seed):
    joint = random_joint(seed, 5, 2 + seed % 2)
    of = problem(joint)
    rate = 0.4 * dualib.entropy(joint.p_x)
    found = solve_at(of, rate=rate)
    assert found.beta_proven
    assert 0 < found.beta_low <= found.beta_high < np.inf
    assert found.beta_high - found.beta_low <= 2e-3 * found.beta_high
    assert found.other_low <= found.distortion + 1e-8
    assert found.other_high - found.other_low <= 1e-7
    below, above = solve(of, found.beta_low * (1 - 1e-6)), solve(of, found.beta_high * (1 + 1e-6))
    assert below.rate <= rate + 1e-9
    assert above.rate >= rate - 1e-9
    assert found.describe("nats").count("proven") == 2


@pytest.mark.parametrize("problem", [IB, DualIB])
def test_within_a_jump_time_is_shared_and_that_is_said(problem):
    of = problem(examples.hamming(0.3))
    found = solve_at(of, rate=0.15)
    assert found.is_jump
    assert 0 < found.share < 1
    assert found.low.rate < 0.15 < found.high.rate
    assert "first-order transition" in found.describe()
    joint_xt = of.p_x[:, None] * found.p_t_given_x
    assert dualib.mutual_information(joint_xt) == pytest.approx(0.15, abs=1e-9)
    assert dualib.mutual_information(joint_xt.T @ of.p_y_given_x) == pytest.approx(found.relevance, abs=1e-12)
    least = solve(of, found.beta).objective
    moved = (found.high.beta - found.low.beta) * (found.low.distortion - found.high.distortion)
    for end in (found.low, found.high):  # both are optimal at the one β, as near as they are to it
        assert least - 1e-9 <= end.rate + found.beta * end.distortion <= least + moved + 1e-8
    assert found.beta_high - found.beta_low < 1e-6


def test_a_deterministic_label_is_one_jump():
    found = solve_at(IB(Joint(np.diag([0.3, 0.3, 0.4]))), rate=0.5)
    assert found.is_jump
    assert found.relevance == pytest.approx(0.5, abs=1e-8)
    assert found.beta_low <= 1.0 <= found.beta_high
    assert found.beta_high - found.beta_low < 1e-11


def test_the_relevance_of_the_dual_is_met_but_its_beta_estimated():
    found = solve_at(DualIB(examples.toy()), relevance=0.06)
    assert found.relevance == pytest.approx(0.06, abs=1e-8)
    assert not found.beta_proven
    assert np.isnan(found.other_low)
    assert "estimated to lie" in found.describe()
    assert not solve_at(IB(examples.toy()), rate=0.3, certify=False).beta_proven


def test_no_encoder_of_a_random_sample_beats_the_bounds():
    joint = random_joint(1, 4, 3)
    of, rng = IB(joint), np.random.default_rng(0)
    found = solve_at(of, rate=0.3)
    tradeoff = Tradeoff(*np.array([(s.beta, s.rate, s.distortion, s.lower_bound) for s in (found.low, found.high)]).T)
    for _ in range(300):
        encoder = rng.dirichlet(np.full(3, 0.3), 4)
        table = joint.p_x[:, None] * encoder
        rate, relevance = dualib.mutual_information(table), dualib.mutual_information(table.T @ joint.p_y_given_x)
        distortion = joint.mutual_information() - relevance
        assert distortion >= tradeoff.least_distortion(rate) - 1e-12
        assert rate >= tradeoff.least_rate(distortion) - 1e-12


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "exactly one"),
        ({"rate": 0.1, "relevance": 0.1}, "exactly one"),
        ({"rate": 0.0}, "rate must be finite and > 0"),
        ({"rate": 2.0}, "not below H"),
        ({"relevance": 0.5}, "not below I"),
    ],
)
def test_what_no_curve_reaches_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        solve_at(IB(examples.toy()), **asked)
