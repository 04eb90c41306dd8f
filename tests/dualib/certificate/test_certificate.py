"""Every bound really bounds: cells, regions, the whole simplex; and never a lower bound above the optimum."""

import numpy as np
import pytest
from joints import PROBLEMS, random_joint

import dualib
from dualib.certificate import weights as weights_search
from dualib.certificate.ceiling import Method
from dualib.certificate.charts import chart_of
from dualib.certificate.dual_function import DualFunction, pairwise_log_ceiling
from dualib.certificate.second_order import ConcaveRegions
from dualib.certificate.simplex import cell_bound, max_log_g
from dualib.solvers.prove import Status

CASES = [
    ("ib", {"n_x": 8, "n_y": 2}),
    ("ib", {"n_x": 12, "n_y": 4}),
    ("ib", {"n_x": 12, "n_y": 7, "rank": 2}),
    ("dual", {"n_x": 8, "n_y": 3}),
    ("dual", {"n_x": 12, "n_y": 4}),
    ("dual", {"n_x": 12, "n_y": 7, "log_rank": 2}),
    ("dual", {"n_x": 10, "n_y": 9, "log_rank": 3}),
    ("alpha", {"n_x": 9, "n_y": 3}),
]


def dual_function(kind, seed, shape, factor):
    """G at a point that is not the optimum, so that it has all sorts of slopes."""
    problem = PROBLEMS[kind](random_joint(seed, **shape))
    beta = factor * dualib.local_critical_beta(problem)
    rng = np.random.default_rng(seed)
    return DualFunction(problem, beta, np.log(problem.p_x) + rng.uniform(-1, 1, len(problem.p_x))), rng


@pytest.mark.parametrize(("kind", "shape"), CASES)
@pytest.mark.parametrize("factor", [0.7, 3.0, 15.0])
def test_cell_bounds_hold(kind, shape, factor):
    g, rng = dual_function(kind, 1, shape, factor)
    chart = chart_of(g.problem)
    root = chart.root()
    k = chart.dimension
    for size in (1.0, 0.3, 0.05, 0.005):
        centre = rng.dirichlet(np.ones(k + 1), 40) @ root
        cells = centre[:, None] + size * (rng.dirichlet(np.ones(k + 1), (40, k + 1)) @ root - centre[:, None])
        guess = chart.guess(cells.mean(axis=1))
        first = cell_bound(g, chart, cells, guess)[0]
        second = cell_bound(g, chart, cells, guess, -50.0)[0]
        assert np.all(second <= first + 1e-12)
        for _ in range(8):
            inside = np.einsum("nv,nvk->nk", rng.dirichlet(np.full(k + 1, 0.5), 40), cells)
            value, on_chart = log_g_at(g, chart, inside)
            assert np.all(second[on_chart] >= value[on_chart] - 1e-9)


def log_g_at(g, chart, u):
    """log G at coordinates, and which of them are distributions of the chart."""
    tangent = chart.tangent(u, chart.guess(u))
    for _ in range(10):
        tangent = chart.tangent(u, tangent.state)
    return g.log(tangent.r), tangent.usable & (np.abs(chart.coordinates(tangent.r) - u).max(axis=1) < 1e-10)


@pytest.mark.parametrize(("kind", "shape"), CASES)
@pytest.mark.parametrize("factor", [0.7, 3.0, 15.0])
def test_the_ceiling_is_above_every_point_and_met(kind, shape, factor):
    g, rng = dual_function(kind, 2, shape, factor)
    start = g.problem.decode(rng.dirichlet(np.full(len(g.problem.p_x), 0.2), 200))
    ceiling = max_log_g(g, chart_of(g.problem), start[:1], 1e-7, 2_000_000)
    assert ceiling.complete
    anywhere = rng.dirichlet(np.full(g.problem.joint.n_y, 0.5), 20_000)
    climbed = g.ascend(start, 300)
    assert ceiling.upper >= g.log(anywhere).max()
    assert ceiling.upper >= g.log(climbed).max() - 1e-12
    assert ceiling.lower == pytest.approx(g.log(ceiling.argmax[None])[0], abs=1e-12)
    if ceiling.lower > 0:
        assert ceiling.upper - ceiling.lower <= 1e-7
    assert pairwise_log_ceiling(g) >= g.log(climbed).max() - 1e-12


@pytest.mark.parametrize("kind", sorted(PROBLEMS))
def test_concave_regions_hold_nothing_larger(kind):
    problem = PROBLEMS[kind](random_joint(3, 16, 4))
    solution = dualib.solve(problem, 6 * dualib.local_critical_beta(problem))
    z = np.exp(-solution.beta * problem.distortion(solution.p_y_given_t)).T @ solution.p_t
    g = DualFunction(problem, solution.beta, np.log(problem.p_x) - np.log(z))
    chart = chart_of(problem)
    regions = ConcaveRegions(g, chart, solution.p_y_given_t, 1e-10)
    assert regions.upper <= 1e-10
    rng = np.random.default_rng(0)
    u = chart.coordinates(solution.p_y_given_t)
    axes = chart.directions(solution.p_y_given_t)
    inside = 0
    for scale in np.geomspace(1e-3, 3, 30):
        for _ in range(20):
            step = rng.normal(size=u.shape)
            step /= np.abs(step).sum(axis=1, keepdims=True)
            point = u + scale / np.sqrt(g.beta) * np.einsum("td,tdk->tk", step, axes)
            held = regions.contain(point[:, None, :])
            value, on_chart = log_g_at(g, chart, point)
            assert np.all(value[held & on_chart] <= 1e-10)
            inside += int(held.sum())
    assert inside > 100


def plain_minimisation(problem, beta, rng, starts=6, steps=400):
    """The textbook alternation from random encoders: an upper bound of F that shares no code with the solver."""
    best = np.inf
    for _ in range(starts):
        q = rng.dirichlet(np.full(len(problem.p_x), 0.3), len(problem.p_x))
        for _ in range(steps):
            p_t = problem.p_x @ q
            r = problem.decode((q * problem.p_x[:, None]).T[p_t > 1e-12])
            p_t = p_t[p_t > 1e-12]
            q = p_t * np.exp(-beta * problem.distortion(r).T)
            z = q.sum(axis=1)
            q = q / z[:, None]
        best = min(best, -float(problem.p_x @ np.log(z)))
    return best


def check_interval(seed, starts=6, steps=400):
    rng = np.random.default_rng(seed)
    kind = sorted(PROBLEMS)[seed % 3]
    joint = random_joint(seed, int(rng.integers(2, 9)), int(rng.integers(2, 5)), concentration=rng.uniform(0.3, 3.0))
    problem = PROBLEMS[kind](joint)
    beta = rng.choice([0.5, 0.9, 1.3, 3.0, 8.0, 20.0]) * dualib.local_critical_beta(problem)
    solution = dualib.solve(problem, beta)
    other = plain_minimisation(problem, beta, rng, starts, steps)
    if (
        beta > 1e4
    ):  # X and Y all but independent: the allowance for rounding, which grows as β, may exceed the tolerance
        assert solution.status in (Status.CERTIFIED, Status.ROUNDING)
        assert solution.gap <= 1e-12 * beta
    else:
        assert solution.certified, solution.status
        assert 0 <= solution.gap <= 1e-9
    assert solution.lower_bound <= other + 1e-12
    assert solution.objective <= other + 1e-9


@pytest.mark.parametrize("seed", range(150))
def test_interval_holds_the_optimum(seed):
    check_interval(seed)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10, 20))
def test_interval_holds_the_optimum_of_a_thousand(hundred):
    for seed in range(100 * hundred, 100 * hundred + 100):
        check_interval(seed, starts=2, steps=150)


@pytest.mark.parametrize("factor", [6.0, 20.0])
@pytest.mark.parametrize(
    ("kind", "n_x", "shape"),
    [
        ("ib", 64, {"n_y": 4}),
        ("ib", 64, {"n_y": 10, "rank": 3}),
        ("dual", 64, {"n_y": 4}),
        ("dual", 40, {"n_y": 10, "log_rank": 3}),
        pytest.param("dual", 64, {"n_y": 10, "log_rank": 3}, marks=pytest.mark.slow),
    ],
)
def test_large_cases_are_certified(kind, n_x, shape, factor):
    problem = PROBLEMS[kind](random_joint(11, n_x, **shape))
    solution = dualib.solve(problem, factor * dualib.local_critical_beta(problem))
    assert problem.dimension == 3
    assert solution.certified, solution.status
    assert solution.gap <= 1e-9


@pytest.mark.parametrize(
    ("make", "n_y", "status"),
    [(dualib.DualIB, 17, Status.GAP), (lambda joint: dualib.AlphaIB(joint, 0.5), 6, Status.DIMENSION)],
    ids=["dual", "alpha"],
)
def test_above_the_dimension_nothing_is_called_proven_that_is_not(make, n_y, status):
    problem = make(random_joint(5, 12, n_y))
    solution = dualib.solve(problem, 5.0, certify=dualib.Certify(max_work=10**6))
    assert problem.dimension == min(n_y - 1, 11)
    assert not solution.certified
    assert solution.status is status
    assert solution.lower_bound <= solution.objective
    assert solution.lower_bound <= plain_minimisation(problem, 5.0, np.random.default_rng(0))
    assert solution.estimated_gap <= 1e-9


@pytest.mark.parametrize("n_y", [16, 17])
def test_ten_labels_are_proven_and_more_than_sixteen_are_not_searched(n_y):
    problem = dualib.IB(random_joint(3, 24, n_y))
    solution = dualib.solve(problem, 3.0 * dualib.local_critical_beta(problem), certify=dualib.Certify(max_work=10**6))
    assert solution.lower_bound <= solution.objective
    assert (solution.method is Method.BOXES) <= (n_y == 16)
    ten = dualib.IB(random_joint(3, 24, 10))
    proven = dualib.solve(ten, 5.0 * dualib.local_critical_beta(ten))
    assert proven.certified
    assert proven.method in (Method.BOXES, Method.ROWS)


def test_an_exhausted_budget_still_bounds():
    problem = dualib.IB(random_joint(6, 16, 4))
    full = dualib.solve(problem, 8.0)
    short = dualib.solve(problem, 8.0, certify=dualib.Certify(max_cells=200, max_work=100))
    assert full.certified
    assert not short.certified
    assert short.status is Status.CELLS
    assert short.lower_bound <= full.objective


@pytest.mark.parametrize("kind", sorted(PROBLEMS))
@pytest.mark.parametrize("factor", [0.7, 3.0, 15.0])
def test_bounds_over_the_weights_of_x_hold(kind, factor):
    """f(q) = H(q) + ⟨q, log w⟩ − β min_r Σ q d stays below the bound of every cell, and its maximum is that of log G."""
    g, rng = dual_function(kind, 4, {"n_x": 4, "n_y": 6}, factor)
    for size in (1.0, 0.2, 0.01):
        centre = rng.dirichlet(np.ones(4), 40)
        cells = centre[:, None] + size * (rng.dirichlet(np.full(4, 0.5), (40, 4)) - centre[:, None])
        bound, _ = weights_search.cell_bound(g, cells, weights_search.convex_part(g, cells))
        for _ in range(20):
            q = np.einsum("nv,nvx->nx", rng.dirichlet(np.full(4, 0.5), 40), cells)
            least = (q * g.problem.distortion(g.problem.decode(q))).sum(axis=1)
            f = dualib.entropy(q / q.sum(axis=1, keepdims=True)) + q @ g.log_weights - g.beta * least
            assert np.all(f <= bound + 1e-10)
            assert np.all(f <= g.log(g.problem.decode(q)) + 1e-10)
    climbed = g.ascend(g.problem.decode(rng.dirichlet(np.full(4, 0.2), 200)), 300)
    ceiling = weights_search.max_log_g_over_weights(g, climbed[:1], 1e-7, 1_000_000)
    assert ceiling.complete
    assert ceiling.upper >= g.log(climbed).max() - 1e-12
    assert ceiling.upper <= max(g.log(climbed).max(), 0.0) + 1.1e-7
    short = weights_search.max_log_g_over_weights(g, climbed[:1], 1e-7, 50)
    assert short.upper >= ceiling.lower
