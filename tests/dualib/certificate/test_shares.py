"""A maximum is a fixed point: what that takes off a box holds none, against 50-digit arithmetic, linear programs and ascents."""

import mpmath as mp
import numpy as np
import pytest
from joints import KINDS, NEARLY, channel
from scipy.optimize import linprog

from dualib.certificate.boxes.deviations import coordinates_of
from dualib.certificate.boxes.dual_family import DualBoxes
from dualib.certificate.boxes.families import IBBoxes
from dualib.certificate.boxes.search import max_log_g_over_boxes
from dualib.certificate.boxes.shares import (
    capped_means,
    narrowed,
    nearest_log_mixture,
    nearest_mixture,
)
from dualib.certificate.ceiling import Budget

BOXES = {"ib": IBBoxes, "dual": DualBoxes}
DEEP = "deep"  # probabilities down to 1e-250


def problem_of(kind, problem, rng):
    """A random problem; dualIB's rows have no zero."""
    log_weights, rows, beta = channel("generic" if kind == DEEP else kind, rng)
    if problem == "dual" or kind == DEEP:
        rows = np.maximum(rows, 1e-15)
    if kind == DEEP:
        rows, beta = np.maximum(rows ** rng.uniform(1, 40), 1e-250), beta * rng.choice([0.05, 1.0])
    return log_weights, rows / rows.sum(axis=1, keepdims=True), beta


def boxes_around(r, rng):
    """Boxes of many sizes that hold the decoders r (N, K), upper ends at most 1."""
    size = 10.0 ** -rng.uniform(0, 4, (len(r), 1))
    low = np.maximum(r - size * rng.random(r.shape), rng.choice([0.0, 1e-6], (len(r), 1)))
    return np.minimum(low, r), np.maximum(np.minimum(r + size * rng.random(r.shape), 1.0), r)


def exact_distance(problem, row, r):
    """D(p‖r) or D(r‖p) to 50 digits, r scaled to sum 1."""
    total = mp.fsum(map(mp.mpf, r))
    pairs = [(mp.mpf(p), mp.mpf(b) / total) for p, b in zip(row, r, strict=True)]
    if problem == "dual":
        pairs = [(b, p) for p, b in pairs]
    return mp.fsum(a * mp.log(a / b) for a, b in pairs if a > 0)


@pytest.mark.parametrize("problem", BOXES)
@pytest.mark.parametrize("kind", [*KINDS, DEEP])
def test_no_decoder_in_a_box_is_nearer_than_the_bound(kind, problem):
    rng = np.random.default_rng([600, len(kind)])
    near = 0
    for _ in range(12):
        _, rows, beta = problem_of(kind, problem, rng)
        k = rows.shape[1]
        r = np.concatenate([rng.dirichlet(np.full(len(rows), 0.3), 3) @ rows, rng.dirichlet(np.full(k, 0.5), 3)])
        r = np.maximum(r, 1e-280) / np.maximum(r, 1e-280).sum(axis=1, keepdims=True)
        low, high = boxes_around(r, rng)
        least = nearest_mixture(rows, low, high) if problem == "ib" else nearest_log_mixture(np.log(rows), low, high)
        assert least.shape == (len(r), len(rows))
        boxes = BOXES[problem](np.zeros(len(rows)), rows, beta)
        slack = boxes.slack / boxes.relaxation.beta if problem == "dual" else 1e-10
        with mp.workdps(50):
            for i in range(len(r)):
                for x in rng.choice(len(rows), min(4, len(rows)), replace=False):
                    exact = float(exact_distance(problem, rows[x], r[i]))
                    assert least[i, x] <= exact + slack
                    near += exact - least[i, x] < 0.1
    assert near > 0  # the bounds are not vacuous


def test_no_decoder_in_a_box_of_deviations_is_nearer_than_the_bound():
    """To relative accuracy, where D is 1e-14; and nearly reached in the middle of large boxes, where the nearest is p_x itself, and in small ones."""
    rng = np.random.default_rng(602)
    for _ in range(30):
        _, rows, _ = channel(NEARLY, rng)
        own = coordinates_of(rows)
        c = own.of_rows(rows)
        at = rng.dirichlet(np.full(len(rows), 0.3), 6) @ c
        size = 10.0 ** -rng.uniform(0, 4, (6, 1)) * (c.max(axis=0) - c.min(axis=0))
        low, high = at - size * rng.random(at.shape), at + size * rng.random(at.shape)
        least = own.nearest(c, low, high)
        m, h = [mp.mpf(a) for a in own.centre], mp.mpf(own.step)
        with mp.workdps(50):
            for i in range(6):
                for x in range(len(rows)):
                    pairs = [(b + h * mp.mpf(u), b + h * mp.mpf(v)) for b, u, v in zip(m, c[x], at[i], strict=True)]
                    exact = float(mp.fsum(p * mp.log(p / r) - p + r for p, r in pairs) / h**2)
                    assert least[i, x] <= exact + 1e-13
                    if size[i, 0] < 2e-3:
                        tiny = np.abs(at[i] - c[x]).max() * (high[i] - low[i]).max() / own.centre.min()
                        assert least[i, x] >= 0.9 * exact - 2.0 * len(m) * tiny


@pytest.mark.parametrize("problem", BOXES)
def test_the_nearest_decoder_of_a_box_is_nearly_found(problem):
    """Against the same minimum with λ found by bisection."""
    rng = np.random.default_rng(61)
    rows = rng.dirichlet(np.full(6, 0.5), 40) + 0.01
    rows /= rows.sum(axis=1, keepdims=True)
    r = rng.dirichlet(np.ones(6), 30)
    low, high = r * rng.uniform(0.3, 1, r.shape), np.minimum(r * rng.uniform(1, 3, r.shape), 1.0)
    found = nearest_mixture(rows, low, high) if problem == "ib" else nearest_log_mixture(np.log(rows), low, high)
    left, right = np.full((30, 40, 1), 1e-6), np.full((30, 40, 1), 1e6)
    for _ in range(80):
        middle = np.sqrt(left * right)
        over = np.clip(rows / middle, low[:, None], high[:, None]).sum(axis=2, keepdims=True) > 1
        left, right = np.where(over, middle, left), np.where(over, right, middle)
    nearest = np.clip(rows / middle, low[:, None], high[:, None])
    terms = rows * np.log(rows / nearest) if problem == "ib" else nearest * np.log(nearest / rows)
    exact = terms.sum(axis=2)
    assert np.all(found <= exact + 1e-9)
    assert np.median(exact - found) < 1e-3
    assert (exact - found).mean() < 0.01


def test_capped_means_are_those_of_linear_programs():
    rng = np.random.default_rng(62)
    columns = rng.normal(size=(7, 3))
    caps = np.array([rng.uniform(0, scale, 7) for scale in (0.35, 0.5, 1.0, 3.0)])
    least, most = capped_means(columns, np.argsort(columns, axis=0), np.log(caps))
    for i, cap in enumerate(caps):
        for y in range(3):
            ends = [
                linprog(sign * columns[:, y], A_eq=np.ones((1, 7)), b_eq=[1.0], bounds=[(0, min(c, 1)) for c in cap])
                for sign in (1.0, -1.0)
            ]
            if cap.sum() < 1:
                assert not ends[0].success
                assert least[i, y] > most[i, y]
            else:
                assert least[i, y] == pytest.approx(ends[0].fun, abs=1e-12)
                assert most[i, y] == pytest.approx(-ends[1].fun, abs=1e-12)
    assert (caps.sum(axis=1) < 1).any()


def test_boxes_are_narrowed_as_long_as_it_takes_much():
    calls = []

    def halve_the_first(low, high):
        calls.append(len(low))
        return low, np.where(np.arange(len(low))[:, None] == 0, 0.5 * (low + high), high)

    low, high = narrowed(np.zeros((3, 2)), np.ones((3, 2)), halve_the_first)
    assert calls[:2] == [3, 1]
    assert low.max() == 0.0
    assert high[0, 0] == 0.5 ** len(calls)
    assert np.all(high[1:] == 1.0)


def fixed_points(problem, log_weights, rows, beta, rng):
    """Decoders r = the iteration's image of r, in the coordinates of the boxes (M, K), with log G there."""
    boxes = BOXES[problem](log_weights, rows, beta)
    relaxation = boxes.relaxation
    coordinates = relaxation.rows if problem == "ib" else relaxation.odds
    s = np.concatenate([coordinates, rng.dirichlet(np.full(len(rows), 0.3), 12) @ coordinates])
    for _ in range(1000):
        if problem == "ib":
            r = np.maximum(relaxation.coordinates.probabilities(s), 1e-300)
            terms = relaxation.log_terms(relaxation.coordinates.logs(np.maximum(s, np.where(r > 1e-300, s, 1e-300))))
        else:
            r = relaxation.decoders(s)
            r = r / r.sum(axis=1, keepdims=True)
            terms = log_weights - beta * (r[:, None] * np.log(r[:, None] / rows)).sum(axis=2)
        q = np.exp(terms - terms.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        new = q @ coordinates
        moved, s = np.abs(new - s).max(axis=1), new
        if moved.max() < 1e-14:
            break
    return boxes, s[moved < 1e-13], boxes.log_g(np.maximum(r, 1e-300))[moved < 1e-13]


@pytest.mark.parametrize("problem", BOXES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_fixed_point_stays_in_its_box(kind, problem):
    rng = np.random.default_rng([601, KINDS.index(kind)])
    kept = cut = 0
    for _ in range(4):
        log_weights, rows, beta = problem_of(kind, problem, rng)
        rows = rows[:, (rows > 0).any(axis=0)]
        boxes, points, values = fixed_points(problem, log_weights, rows, beta, rng)
        low, high, _ = boxes.root(np.full(rows.shape[1], 1 / rows.shape[1]))
        for s, value in zip(points[:12], values[:12], strict=True):
            size = 10.0 ** -rng.uniform(0, 3, (20, 1)) * (high - low)
            here = (
                np.maximum(s - size * rng.random((20, len(s))), low),
                np.minimum(s + size * rng.random((20, len(s))), high),
            )
            here = np.minimum(here[0], s), np.maximum(here[1], s)
            for reached in (value, value - 0.1):
                tight = boxes.tighten(*here, reached)
                room = 1e-11 * (1 + np.abs(s).max())
                assert np.all((tight[0] <= s + room) & (s <= tight[1] + room))
                kept += 1
                cut += bool((tight[1] - tight[0] < 0.5 * (here[1] - here[0])).any())
    assert kept > 20
    assert cut > 0 or kind == "weak"


@pytest.mark.parametrize("problem", BOXES)
def test_the_ceiling_is_the_largest_fixed_point(problem):
    """Weights that are nobody's optimum: the maximum of log G is not 0, and all of it has to be found."""
    rng = np.random.default_rng(63)
    for kind in ("generic", "tiny", "rare", "generic"):
        log_weights, rows, beta = problem_of(kind, problem, rng)
        log_weights = log_weights - log_weights.max() + 1.0
        boxes, _, values = fixed_points(problem, log_weights, rows, beta, rng)
        ceiling = max_log_g_over_boxes(boxes, rows[:1], 1e-8, Budget(cells=50_000))
        assert ceiling.complete
        assert ceiling.upper >= values.max() - 1e-10
        assert ceiling.upper <= max(values.max(), 0.0) + 1e-7
