"""Simplices at so large a β that a matrix product leaves few digits of βd: what counts is known to relative accuracy."""

import mpmath as mp
import numpy as np
import pytest

from dualib import IB, AlphaIB, DualIB, Joint, local_critical_beta, solve
from dualib.certificate import weights
from dualib.certificate.ceiling import Method
from dualib.certificate.charts import chart_of
from dualib.certificate.search import rounding_of_search, search_for, search_maximum
from dualib.certificate.simplex import cell_bound
from dualib.core.special import EPS
from dualib.solvers.atoms import start_from
from dualib.solvers.columns import generate_columns
from dualib.solvers.iterate import evaluate
from dualib.solvers.options import Certify
from dualib.solvers.prove import Status

PROBLEMS = {"ib": IB, "dual": DualIB, "alpha": lambda joint: AlphaIB(joint, alpha=0.3)}


def rare_among_weak(seed, n_y=3):
    """Rows that differ by 1e-3 from each other, and a rare one that is like none of them."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(n_y, 3.0)) * (1 + 1e-3 * rng.uniform(-1, 1, (4, n_y)))
    rows[0] = rng.dirichlet(np.ones(n_y))
    p_x = rng.dirichlet(np.ones(4))
    p_x[0] = 10.0 ** -rng.uniform(1, 6)
    return Joint.from_conditional(p_x / p_x.sum(), rows / rows.sum(axis=1, keepdims=True))


def exact_distortion(problem, p, r):
    """The distortion d(p, r) of distributions, in 40 digits."""
    p = [mp.mpf(float(share)) for share in p]
    p = [share / mp.fsum(p) for share in p]
    if isinstance(problem, IB):
        return mp.fsum(a * mp.log(a / b) for a, b in zip(p, r, strict=True))
    if isinstance(problem, DualIB):
        return mp.fsum(b * mp.log(b / a) for a, b in zip(p, r, strict=True))
    alpha = mp.mpf(problem.alpha)
    return (1 - mp.fsum(a**alpha * b ** (1 - alpha) for a, b in zip(p, r, strict=True))) / (alpha * (1 - alpha))


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_pull_is_the_derivative_to_relative_accuracy(name):
    """Of a derivative in 40 digits, less its value at r = p; also where r is near p."""
    problem = PROBLEMS[name](rare_among_weak(0))
    rows = problem.p_y_given_x
    r = rows[1:] * (1 + np.array([1e-9, -1e-6, 1e-3])[:, None] * np.array([1.0, -0.5, 0.25]))
    power = {"ib": 1.0, "dual": 0.0, "alpha": 0.3}[name]
    with mp.workdps(40):
        for t, x, y in np.ndindex(3, 4, 3):
            ratio = mp.mpf(float(rows[x, y])) / mp.mpf(float(r[t, y]))
            exact = mp.log(ratio) if power == 0.0 else (ratio ** mp.mpf(power) - 1) / mp.mpf(power)
            assert abs(problem.pull(r)[t, x, y] - float(exact)) <= 8 * EPS * abs(float(exact)) + EPS**2
    np.testing.assert_array_equal(problem.pull(rows)[np.arange(4), np.arange(4)], 0.0)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_over_cells_hold_in_40_digits(name, seed):
    """Cells of all sizes around atoms and mixtures of rows: never below log G at a point inside, but by the small allowance."""
    rng = np.random.default_rng(seed)
    problem = PROBLEMS[name](rare_among_weak(seed)).reduced
    beta = max(1e5, 2.0 * local_critical_beta(problem))
    solution = solve(problem, beta, certify=False)
    it = evaluate(problem, beta, solution.p_t, solution.p_y_given_t)
    g, chart = it.dual, chart_of(problem)
    assert g.term_by_term
    assert rounding_of_search(g) < 1e-2 * g.rounding()
    checked = 0
    for _ in range(40):
        base = it.atoms[rng.integers(len(it.atoms))]
        if rng.random() < 0.5:
            base = rng.dirichlet(np.full(4, 0.3)) @ problem.p_y_given_x
        cell = chart.coordinates(base[None])[0] + 10 ** rng.uniform(-17, -1) * rng.standard_normal((3, 2))
        if (chart.centre + cell @ chart.basis <= 0).any():
            continue
        bound = cell_bound(g, chart, cell[None], cell[None].mean(axis=1), rng.choice([-np.inf, -1e6]))[0][0]
        with mp.workdps(40):
            for share in rng.dirichlet(np.full(3, 0.3), 3):
                place = mp.matrix(cell.T.tolist()) * mp.matrix(share.tolist())
                r = mp.matrix(chart.centre.tolist()) + mp.matrix(chart.basis.T.tolist()) * place
                r = [part / mp.fsum(r) for part in r]
                terms = [
                    mp.mpf(float(log_w)) - mp.mpf(beta) * exact_distortion(problem, p, r)
                    for log_w, p in zip(g.log_weights, problem.p_y_given_x, strict=True)
                ]
                log_g = mp.log(mp.fsum(mp.exp(term) for term in terms))
                if log_g > -200:
                    checked += 1
                    assert bound + rounding_of_search(g) >= log_g
    assert checked > 30


@pytest.mark.parametrize("seed", range(3))
def test_bounds_over_weights_hold_in_40_digits(seed):
    """f(q) = H(q) + ⟨q, log w⟩ + β log Σ_y Π_x p_x(y)^{q_x} of weights in cells of all sizes, nats."""
    rng = np.random.default_rng(seed)
    problem = DualIB(rare_among_weak(seed, n_y=6))
    assert search_for(problem) is Method.POSTERIORS
    beta = max(1e5, 2.0 * local_critical_beta(problem))
    solution = solve(problem, beta, certify=False)
    g = evaluate(problem, beta, solution.p_t, solution.p_y_given_t).dual
    assert g.term_by_term
    shares = np.exp(g.log_terms(solution.p_y_given_t))
    checked = 0
    for _ in range(40):
        size = 10.0 ** -rng.uniform(0, 10)
        about = shares[rng.integers(len(shares))]
        cell = (1 - size) * about / about.sum() + size * rng.dirichlet(np.full(4, 0.3), 4)
        bound = weights.cell_bound(g, cell[None], weights.convex_part(g, cell[None]))[0][0]
        with mp.workdps(40):
            rows = [[mp.mpf(float(p)) for p in row] for row in problem.p_y_given_x]
            rows = [[p / mp.fsum(row) for p in row] for row in rows]
            for share in rng.dirichlet(np.full(4, 0.3), 3):
                q = list(mp.matrix(cell.T.tolist()) * mp.matrix(share.tolist()))
                q = [part / mp.fsum(q) for part in q]
                mixture = mp.fsum(
                    mp.exp(mp.fsum(a * mp.log(p) for a, p in zip(q, column, strict=True)))
                    for column in zip(*rows, strict=True)
                )
                f = mp.fsum(a * (mp.mpf(float(w)) - mp.log(a)) for a, w in zip(q, g.log_weights, strict=True) if a > 0)
                f += mp.mpf(beta) * mp.log(mixture)
                if f > -200:
                    checked += 1
                    assert bound + rounding_of_search(g) >= f
    assert checked > 20


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("n_y", [2, 3, 4])
def test_a_rare_row_among_nearly_equal_ones_is_no_obstacle(name, n_y):
    """A product of β = 1e6 and entropies of size 1 left 1e-9 to 1e-4 nats to rounding."""
    for seed in range(3):
        problem = PROBLEMS[name](rare_among_weak(seed, n_y))
        for multiple in (0.1, 1.5, 6.0):
            solution = solve(problem, multiple * local_critical_beta(problem))
            assert solution.certified
            assert solution.gap < 5e-10


def test_what_rounding_hides_is_not_searched():
    """Tens of clusters in a row, to a tolerance below what rounding leaves of the bounds: it took any number of cells."""
    p = 1 / (1 + np.exp(-np.linspace(-5.0, 5.0, 60)))
    problem = IB(Joint.from_conditional(np.full(60, 1 / 60), np.column_stack([p, 1 - p])))
    for beta in (3e3, 1e4):
        it, *_ = generate_columns(start_from(problem, beta), Certify(tolerance=1e-12), np.random.default_rng(0))
        ceiling = search_maximum(it.dual, it.atoms, 3e-13, 40_000)
        assert ceiling.exhausted
        assert not ceiling.complete
        assert ceiling.cells < 10_000
        assert ceiling.upper < 1e-11
    solution = solve(problem, 3e3, certify=Certify(tolerance=1e-12))
    assert solution.status is Status.ROUNDING  # not of cells: more of them would not help
    assert 1e-12 < solution.gap < 1e-11
