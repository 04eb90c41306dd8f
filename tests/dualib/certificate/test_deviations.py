"""Boxes of deviations from the mean of nearly equal rows: what they are made of to 50 digits, and proofs at the huge β that such rows need."""

import mpmath as mp
import numpy as np
import pytest
from joints import NEARLY, channel, exact_f, normalised

import dualib
from dualib.certificate.boxes.bounds import Relaxation, bound_at
from dualib.certificate.boxes.contraction import concave_share
from dualib.certificate.boxes.coordinates import Plain
from dualib.certificate.boxes.deviations import Deviations, coordinates_of
from dualib.certificate.boxes.families import IBBoxes
from dualib.certificate.boxes.search import max_log_g_over_boxes
from dualib.certificate.boxes.second_order import second_order_bound
from dualib.certificate.boxes.splits import Chords
from dualib.certificate.ceiling import Budget
from dualib.solvers.prove import Status


def nearly_independent(seed):
    """IB of up to twelve rows over five to ten symbols that differ by 1e-6 to 1e-2, the first one often rare."""
    rng = np.random.default_rng(seed)
    n, k, size = int(rng.integers(4, 13)), int(rng.integers(5, 11)), 10.0 ** rng.uniform(-6, -2)
    rows = np.maximum(rng.dirichlet(np.full(k, 2.0)), 1e-3) * (1 + size * rng.uniform(-1, 1, (n, k)))
    p_x = rng.dirichlet(np.full(n, 2.0))
    p_x[0] *= 10.0 ** -rng.integers(0, 10)
    return dualib.IB(dualib.Joint.from_conditional(p_x / p_x.sum(), rows / rows.sum(axis=1, keepdims=True)))


def exact_objective(problem, beta, p_t, decoders):
    """−Σ p(x) log Σ_t p(t) e^{−βD(p_x‖r_t)}, which is F(β) or above, to 50 digits."""
    with mp.workdps(50):
        (p_x,), (p_t,), decoders = normalised([problem.p_x]), normalised([p_t]), normalised(decoders)
        total = mp.mpf(0)
        for weight, row in zip(p_x, normalised(problem.p_y_given_x), strict=True):
            far = [mp.fsum(a * mp.log(a / b) for a, b in zip(row, r, strict=True)) for r in decoders]
            total -= weight * mp.log(mp.fsum(w * mp.exp(-mp.mpf(beta) * d) for w, d in zip(p_t, far, strict=True)))
        return float(total)


@pytest.mark.parametrize("seed", range(4))
def test_nearly_independent_tables_are_proven_at_their_huge_betas(seed):
    """The rounding was β log r: 4e-5 nats at β = 8e8, .4 at 4e12."""
    problem = nearly_independent(seed)
    for factor in (1.1, 3.0, 30.0):
        solved = dualib.solve(problem, factor * dualib.local_critical_beta(problem), certify=True)
        assert solved.status is Status.CERTIFIED
        exact = exact_objective(problem, solved.beta, solved.p_t, solved.p_y_given_t)
        assert solved.lower_bound <= exact <= solved.objective + 1e-9
        assert solved.objective <= solved.lower_bound + 1e-9
        # No other clusters are below the bound.
        rng = np.random.default_rng(seed)
        merged = rng.integers(0, 3, len(problem.p_x))
        q = np.eye(3)[merged][:, np.unique(merged)]
        p_t = problem.p_x @ q
        others = exact_objective(problem, solved.beta, p_t, (q * problem.p_x[:, None]).T @ problem.p_y_given_x)
        assert others >= solved.lower_bound


def test_deviations_are_those_of_rows_of_sum_1_to_relative_accuracy():
    rng = np.random.default_rng(1)
    for _ in range(20):
        _, rows, _ = channel(NEARLY, rng)
        rows = rows * (1 + 3e-16 * rng.integers(-1, 2, (len(rows), 1)))
        own = coordinates_of(rows)
        c, m = own.of_rows(rows), [mp.mpf(a) for a in own.centre]
        assert (c**2 / own.centre).sum(axis=1).max() == pytest.approx(1.0, rel=1e-6)
        with mp.workdps(50):
            total = mp.fsum(m)
            exact = [
                [float((p * total - b) / own.step) for p, b in zip(row, m, strict=True)] for row in normalised(rows)
            ]
            convex = [
                [float(b * ((1 + v) * mp.log(1 + v) - v) / mp.mpf(own.step) ** 2) for b, v in zip(m, row, strict=True)]
                for row in [[mp.mpf(own.step) * mp.mpf(a) / b for a, b in zip(row, m, strict=True)] for row in c]
            ]
        largest = np.abs(c).max()
        np.testing.assert_allclose(c, exact, rtol=0, atol=4e-15 * largest)
        np.testing.assert_allclose(own.convex(c), convex, rtol=1e-14, atol=1e-300)
        np.testing.assert_allclose(own.of(own.probabilities(c)), c, rtol=0, atol=3e-16 / own.step)
        moved = own.balanced(c + 0.1 * own.centre)
        np.testing.assert_allclose(moved, c, rtol=0, atol=1e-14 * largest)


def test_the_share_without_chords_knows_nearly_equal_rows_to_relative_accuracy():
    """Two rows m (1 ± ε): 1/γ = Σ (p − p')²/(2(p + p')) up to ε⁴; differences of roots knew 1e-16/ε of it."""
    for size in (1e-3, 1e-7):
        rows = np.full(6, 1 / 6) * (1 + size * np.array([1, -1, 1, -1, 1, -1]) * np.array([[1], [-1]]))
        own = coordinates_of(rows)
        share = concave_share(rows, own.of_rows(rows), own.step)
        with mp.workdps(50):
            pairs = list(zip(*normalised(rows), strict=True))
            inverse = mp.fsum((p - r) ** 2 / (2 * (p + r)) for p, r in pairs) / mp.mpf(own.step) ** 2
        assert share * float(inverse) == pytest.approx(1.0, abs=2 * size**2 + 1e-11)
        assert share * float(inverse) <= 1.0 + 1e-14


def test_rows_are_nearly_equal_up_to_a_quarter_and_either_side_proves_the_same():
    proven = []
    for width in (0.2499, 0.2501):
        away = width * np.array([[1, -1, 0, 0, 0], [-1, 1, 0, 0, 0], [0, 0.1, -0.2, 0.1, 0], [0, -0.1, 0.2, -0.1, 0]])
        rows, log_weights = 0.2 * (1 + away), np.log([0.4, 0.3, 0.4, 0.2])
        boxes = IBBoxes(log_weights, rows, 60.0)
        assert type(boxes.relaxation.coordinates) is (Deviations if width < 0.25 else Plain)
        proven.append(max_log_g_over_boxes(boxes, rows, 1e-9, Budget(cells=20_000)))
        assert proven[-1].complete
    assert proven[0].upper == pytest.approx(proven[1].upper, abs=1e-3)
    same = np.tile([0.25, 0.25, 0.5], (4, 1))
    assert type(coordinates_of(same)) is Plain
    assert type(coordinates_of(np.array([[0.5, 0.5, 0.0], [0.5, 0.4, 0.1]]))) is Plain


def test_a_strong_rare_row_among_weak_ones_stays_sound():
    """It has rows as they are, and the allowance that β takes."""
    rng = np.random.default_rng(9)
    rows = np.full(5, 0.2) * (1 + 1e-4 * rng.uniform(-1, 1, (6, 5)))
    rows[0] = [0.6, 0.1, 0.1, 0.1, 0.1]
    rows /= rows.sum(axis=1, keepdims=True)
    p_x = np.r_[1e-9, np.full(5, 0.2)]
    problem = dualib.IB(dualib.Joint.from_conditional(p_x / p_x.sum(), rows))
    for beta in (1e6, 1e9):
        solved = dualib.solve(problem, beta, certify=True)
        exact = exact_objective(problem, beta, solved.p_t, solved.p_y_given_t)
        assert solved.lower_bound <= exact <= solved.objective + 1e-9 * (1 + exact)
        assert solved.lower_bound <= exact_objective(problem, beta, problem.p_x, problem.p_y_given_x)


@pytest.mark.parametrize("size", [1e-2, 1e-5, 1e-8])
def test_the_allowance_covers_the_rounding_of_boxes_without_width(size):
    """And is far more than it, at 300 rows."""
    rng = np.random.default_rng([7, int(-np.log10(size))])
    rows = rng.dirichlet(np.full(7, 2.0)) * (1 + size * rng.uniform(-1, 1, (300, 7)))
    rows /= rows.sum(axis=1, keepdims=True)
    log_weights, beta = np.log(rng.dirichlet(np.ones(300))) + rng.normal(size=300), 40.0 / size**2
    relaxation = Relaxation.of(log_weights, rows, beta)
    own, c = relaxation.coordinates, relaxation.rows[:3]
    for _ in range(10):
        terms = relaxation.log_terms(own.logs(c))
        q = np.exp(terms - terms.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        c = q @ relaxation.rows
    low, high = c - 1e-15 * np.abs(c), c + 1e-15 * np.abs(c)
    point = bound_at(relaxation, Chords.of(relaxation.split, low, high), relaxation.beta * own.logs(c))
    second = second_order_bound(relaxation, low, high, own.probabilities(c))
    allowance = relaxation.rounding(relaxation.rows, rows[:1])
    assert allowance < 1e-10
    for i, shares in enumerate(q):
        exact = float(exact_f(log_weights, rows, beta, shares))
        assert point.bound[i] + allowance >= exact
        assert second[i] + allowance >= exact
        behind = float(exact_f(log_weights, rows, beta, point.posterior[i]))
        assert abs(point.value[i] - behind) < 0.1 * allowance
