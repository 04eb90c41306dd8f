"""Brackets of transitions against the definition of G on a grid: nothing improves below, something does above."""

import numpy as np
import pytest

from dualib import (
    IB,
    DualIB,
    Joint,
    default_betas,
    examples,
    find_transitions,
    information_curve,
    local_critical_beta,
    solve,
)
from dualib.curves.locate import TransitionKind
from dualib.solvers.iterate import evaluate
from dualib.solvers.minimum import minimise


def near_continuous():
    """A birth close to a split: between its β and 3 ulp of F later lie 4e-5 of β."""
    rows = np.array([[0.69689, 0.14666, 0.15645], [0.14658, 0.01053, 0.84288], [0.52486, 0.44597, 0.02917]])
    return Joint.from_conditional([0.41264, 0.22394, 0.36342], rows / rows.sum(axis=1, keepdims=True))


def log_g_on_a_grid(problem, it, beta, n=400):
    """Largest log G over mixtures of the rows, from its definition, for the weights and atoms of `it`."""
    rows = problem.p_y_given_x
    corner = np.linspace(0, 1, n)
    mixing = np.array([(a, b, 1 - a - b) for a in corner for b in corner if a + b <= 1])
    log_z = np.log(np.exp(-beta * problem.accurate_distortion(it.atoms)).T @ it.weights)
    terms = np.log(problem.p_x) - log_z - beta * problem.distortion(mixing @ rows)
    return float(np.log(np.exp(terms).sum(axis=1)).max())


def test_a_birth_close_to_a_split_is_bracketed():
    problem = IB(near_continuous())
    second = find_transitions(problem, 10.0)[1]
    assert (second.n_before, second.n_after) == (2, 3)
    assert second.proven
    assert second.lower < second.upper <= second.lower * (1 + 1e-5)
    assert second.upper < 7.6082723  # three clusters are better there already
    two = solve(problem, 7.5)
    for beta, improves in ((second.lower, False), (second.upper * (1 + 1e-4), True)):
        it, _ = minimise(evaluate(problem, beta, two.p_t, two.p_y_given_t))
        assert len(it.weights) == 2
        assert (log_g_on_a_grid(problem, it, beta) > 2 * second.resolution) == improves


def test_later_transitions_of_the_toy_are_proven():
    later = find_transitions(DualIB(examples.toy()), 30.0, n_grid=20)[1:]
    np.testing.assert_allclose([t.beta for t in later], [11.810, 26.684], rtol=5e-5)
    assert all(t.proven and t.lower < t.upper <= t.lower * (1 + 2e-6) for t in later)


@pytest.mark.slow
def test_beyond_the_number_to_locate_transitions_are_bracketed_by_points():
    problem = IB(examples.toy())
    every = find_transitions(problem, 30.0, n_grid=8)
    assert all(t.kind is not TransitionKind.NOT_LOCATED for t in every)
    for most in (0, 1, len(every) - 1):  # the first transition is always located
        some = find_transitions(problem, 30.0, n_grid=8, max_transitions=most)
        located = [t for t in some if t.kind is not TransitionKind.NOT_LOCATED]
        assert located == list(every[: most + 1])
        rest = [t for t in some if t.kind is TransitionKind.NOT_LOCATED]
        for missed in every[most + 1 :]:
            assert any(t.lower <= missed.beta <= t.upper for t in rest)


def test_a_curve_locates_as_many_as_asked_for():
    curve = information_curve(IB(examples.toy()), np.geomspace(4, 40, 6))
    none = curve.with_transitions(max_transitions=0)
    assert [t.kind for t in none.transitions[1:]] == [TransitionKind.NOT_LOCATED] * 2
    for wide, t in zip(none.transitions, curve.transitions, strict=True):
        assert wide.lower <= t.beta <= wide.upper
        assert (wide.n_before, wide.n_after) == (t.n_before, t.n_after)


@pytest.mark.slow
def test_a_steep_curve_is_not_called_a_jump():
    """Nearly deterministic labels: the rate moves by 1e-2 nats in 1e-4 of β, and by nothing in ever less."""
    rows = 0.985 * np.eye(4) + 0.015 * np.random.default_rng(1).dirichlet(np.ones(4), 4)
    problem = IB(Joint.from_conditional([0.1, 0.2, 0.3, 0.4], rows))
    second = find_transitions(problem, 1.025, n_grid=4)[1]
    below, above = (solve(problem, beta, certify=False).rate for beta in (second.beta - 5e-5, second.beta + 5e-5))
    assert above - below > 1e-3
    assert second.kind is TransitionKind.CONTINUOUS


@pytest.mark.parametrize("rare", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("problem", [IB, DualIB])
def test_the_default_grid_starts_at_the_true_first_transition_of_a_rare_x(problem, rare):
    """log G at r is convex in β and 0 at β = 0: its root, least over the line of decoders between the two rows, is β_1."""
    rows = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    of = problem(Joint.from_conditional([rare, 1 - rare], rows))
    share = np.linspace(0, 1, 4001)[1:, None]
    line = share * rows[0] + (1 - share) * rows[1]
    if problem is DualIB:
        line = np.exp(share * np.log(rows[0]) + (1 - share) * np.log(rows[1]))
        line /= line.sum(axis=1, keepdims=True)
    gain = of.accurate_distortion(of.single_decoder)[0] - of.accurate_distortion(line)

    def improves(beta):
        return (np.log(of.p_x @ np.exp(beta * gain).T) > 1e-13).any()

    grid = default_betas(of)
    assert grid[1] < 0.2 * local_critical_beta(of)
    assert not improves(grid[0])
    assert not improves(grid[1] * (1 - 1e-4))
    assert improves(grid[1] * (1 + 1e-4))


@pytest.mark.parametrize("problem", [IB, DualIB])
def test_the_default_grid_starts_at_a_first_order_transition(problem):
    of = problem(examples.hamming(0.3))
    grid = default_betas(of)
    assert solve(of, grid[1] * (1 - 1e-5)).rate == pytest.approx(0.0, abs=1e-6)
    assert solve(of, grid[1] * (1 + 1e-5)).rate > 0.1


@pytest.mark.parametrize("n_y", [2, 4])
def test_deterministic_labels_have_one_transition_which_is_proven(n_y):
    """Below β = 1 one cluster is optimal by data processing, above T = Y: at 1 the dual function is flat."""
    joint = Joint.from_conditional(np.full(8, 1 / 8), np.eye(n_y)[np.arange(8) % n_y])
    (only,) = find_transitions(IB(joint), 2.0, n_grid=4)
    assert only.lower <= 1.0 <= only.upper * (1 + 1e-12)
    assert only.upper - only.lower <= 2e-6
    assert (only.kind, only.proven) == (TransitionKind.FIRST_ORDER, True)
