"""Bounds over boxes of log-odds really bound: against 50-digit arithmetic, on cells of every kind, and over the whole simplex."""

import mpmath as mp
import numpy as np
import pytest
from joints import KINDS, channel

import dualib
from dualib.certificate.boxes.dual_bounds import DualChords, DualRelaxation, balanced, decoders_of, dual_bound_at
from dualib.certificate.boxes.dual_family import DualBoxes
from dualib.certificate.boxes.dual_newton import least_dual_bound
from dualib.certificate.boxes.dual_second_order import dual_second_order_bound, entropy_curvature
from dualib.certificate.boxes.rows import DualRowCells, max_log_g_over_row_cells
from dualib.certificate.boxes.search import max_log_g_over_boxes, reachable
from dualib.certificate.ceiling import Budget
from dualib.certificate.dual_function import DualFunction
from dualib.certificate.weights import cell_bound, convex_part
from dualib.solvers.prove import Status

DEEP = "deep"  # probabilities down to 1e-250
NEARLY = "nearly equal"  # rows that differ by 1e-7 to 1e-1, and β up to 30 over the square of that


def positive_channel(kind, rng):
    """A random problem whose rows have no zero."""
    log_weights, rows, beta = channel("generic" if kind in (DEEP, NEARLY) else kind, rng)
    if kind == NEARLY:
        size = 10.0 ** rng.uniform(-7, -1)
        rows = np.maximum(rows[0], 1e-4) * (1 + size * rng.uniform(-1, 1, rows.shape))
        beta = 10.0 ** rng.uniform(-1, 1.5) / size**2
    rows = np.maximum(rows, 1e-15)
    if kind == DEEP:
        rows, beta = np.maximum(rows ** rng.uniform(1, 40), 1e-250), beta * rng.choice([0.05, 1.0])
    return log_weights, rows / rows.sum(axis=1, keepdims=True), beta


def odds_boxes(relaxation, rng, number):
    """Boxes of many sizes (N, K), each with a q (N, n) whose log-odds lie in it."""
    odds = relaxation.odds
    q = rng.dirichlet(np.full(len(odds), rng.choice([0.05, 0.5, 2.0])), number)
    t = q @ odds
    size = 10.0 ** -rng.uniform(0, 4, (number, 1)) * np.ptp(odds, axis=0)
    low = np.minimum(np.maximum(t - size * rng.random(t.shape), odds.min(axis=0)), t)
    high = np.maximum(np.minimum(t + size * rng.random(t.shape), odds.max(axis=0)), t)
    return low, high, q


def normalised(rows):
    """Rows of sum 1, to 50 digits: of β = 1e14, the rounding of a sum is a hundredth."""
    with mp.workdps(50):
        rows = [[mp.mpf(p) for p in row] for row in rows]
        return [[p / mp.fsum(row) for p in row] for row in rows]


def exact_f(log_weights, rows, beta, q):
    """f(q) = H(q) + ⟨q, log w⟩ + β log Σ_y Π_x p_x(y)^{q_x}, to 50 digits."""
    with mp.workdps(50):
        total = mp.fsum(map(mp.mpf, q))
        q = [mp.mpf(a) / total for a in q]
        linear = mp.fsum(a * (mp.mpf(w) - mp.log(a)) for a, w in zip(q, log_weights, strict=True) if a > 0)
        rows = normalised(rows)
        means = [mp.fsum(a * mp.log(row[y]) for a, row in zip(q, rows, strict=True)) for y in range(len(rows[0]))]
        return linear + mp.mpf(beta) * mp.log(mp.fsum(map(mp.exp, means)))


def exact_log_g(log_weights, rows, beta, r):
    """log G(r), to 50 digits."""
    with mp.workdps(50):
        (r,) = normalised([r])
        terms = [
            mp.mpf(w) - mp.mpf(beta) * mp.fsum(a * mp.log(a / p) for a, p in zip(r, row, strict=True) if a > 0)
            for w, row in zip(log_weights, normalised(rows), strict=True)
        ]
        return mp.log(mp.fsum(map(mp.exp, terms)))


@pytest.mark.parametrize("kind", [*KINDS, DEEP, NEARLY])
def test_all_multipliers_and_both_orders_bound_f_on_every_box(kind):
    rng = np.random.default_rng([400, len(kind)])
    close = finite = 0
    for _ in range(20):
        log_weights, rows, beta = positive_channel(kind, rng)
        relaxation = DualRelaxation.of(log_weights, rows, beta)
        low, high, q = odds_boxes(relaxation, rng, 12)
        t = q @ relaxation.odds
        tight_low, tight_high = balanced(relaxation, low, high)
        room = 1e-11 * (np.full_like(t, relaxation.largest.max()) + np.abs(t).sum(axis=1, keepdims=True))
        assert np.all((tight_low <= t + room) & (t <= tight_high + room))
        assert np.all((tight_low >= low) & (tight_high <= high))
        low, high = np.minimum(tight_low, t), np.maximum(tight_high, t)
        chords = DualChords.of(relaxation, low, high)
        size = min(1.0, relaxation.largest.max())
        excess = beta * size * rng.choice([0.0, 0.1, 1.0]) * rng.normal(size=low.shape)
        log_tau = -np.log1p(relaxation.convex(high).sum(axis=1))
        anywhere = dual_bound_at(relaxation, chords, excess, log_tau + size * rng.normal(size=len(low)))
        best = least_dual_bound(relaxation, chords, anywhere.excess.copy(), anywhere.log_tau.copy(), -np.inf)
        assert np.all(best.bound <= anywhere.bound)
        r = relaxation.decoders(t)
        least, most = decoders_of(relaxation.centre, low, high)
        assert np.all((least <= r) & (r <= most))
        base = np.clip(r * np.exp(rng.normal(0, 0.3 * size, r.shape)), 1e-25, 1.0)
        second = dual_second_order_bound(relaxation, least, most, base / base.sum(axis=1, keepdims=True))
        allowance = relaxation.rounding
        assert allowance < 1e-10 or kind not in ("weak", NEARLY)  # where β is 1e14, too
        for i in range(3):
            f = float(exact_f(log_weights, rows, beta, q[i]))
            assert min(anywhere.bound[i], best.bound[i]) + allowance >= f
            log_g = float(exact_log_g(log_weights, rows, beta, r[i]))
            assert second[i] + allowance >= log_g >= f - allowance
            assert relaxation.log_g(np.maximum(r[i : i + 1], 1e-300))[0] == pytest.approx(log_g, abs=allowance)
            close += best.bound[i] - f < 0.01
            finite += np.isfinite(second[i])
            for point in (anywhere, best):  # linear on the box
                above = point.bound[i : i + 1] + allowance - f
                left_low, left_high = reachable(low[i : i + 1], high[i : i + 1], point.excess[i : i + 1], above)
                assert np.all((left_low <= t[i] + room[i]) & (t[i] <= left_high + room[i]))
    assert close > 0  # the bounds are not vacuous
    assert finite > 0


def test_entropy_curvature():
    z = np.array([1e-12, 0.3, 0.9899, 0.9901, 1.0 + 1e-9, 1.0099, 1.0101, 5.0, 1e20])
    with mp.workdps(50):
        exact = [float(2 * (mp.mpf(a) * mp.log(a) - mp.mpf(a) + 1) / (mp.mpf(a) - 1) ** 2) for a in z]
    assert np.all(entropy_curvature(z) <= exact)
    np.testing.assert_allclose(entropy_curvature(z), exact, rtol=2e-9)


def test_the_search_agrees_with_simplices():
    """Two algorithms, one maximum: in few dimensions simplices prove it, too."""
    rng = np.random.default_rng(3)
    for n, k, factor in [(6, 3, 0.7), (12, 3, 2.0), (12, 4, 1.1), (9, 4, 8.0)]:
        joint = dualib.Joint.from_conditional(rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(k), n))
        problem = dualib.DualIB(joint)
        solved = dualib.solve(problem, factor * dualib.local_critical_beta(problem))
        assert solved.certified
        z = np.exp(-solved.beta * problem.distortion(solved.p_y_given_t)).T @ solved.p_t
        # Weights that are not optimal: the maximum of log G is not 0.
        log_weights = np.log(problem.p_x) - np.log(z) + rng.normal(0, 0.1, n)
        boxes = DualBoxes(log_weights, problem.p_y_given_x, solved.beta)
        ceiling = max_log_g_over_boxes(boxes, solved.p_y_given_t, 1e-9, Budget(cells=100_000))
        assert ceiling.complete
        grid = rng.dirichlet(np.full(k, 0.7), 20_000)
        assert ceiling.upper >= boxes.log_g(np.maximum(grid, 1e-300)).max()
        assert boxes.log_g(ceiling.argmax[None])[0] == pytest.approx(ceiling.lower, abs=1e-12)
        assert ceiling.upper <= max(ceiling.lower, 0.0) + 1e-9


@pytest.mark.parametrize(("k", "factor"), [(5, 0.9), (5, 4.0), (7, 2.0)])
def test_dual_points_beyond_the_simplices_are_proven(k, factor):
    rng = np.random.default_rng(k)
    rows = rng.dirichlet(np.full(k, 0.5), 12) + 0.02
    problem = dualib.DualIB(
        dualib.Joint.from_conditional(rng.dirichlet(np.ones(12)), rows / rows.sum(1, keepdims=True))
    )
    solved = dualib.solve(problem, factor * dualib.local_critical_beta(problem), certify=True)
    assert solved.status is Status.CERTIFIED
    assert solved.gap <= 1e-9


def test_a_short_search_bounds_too():
    rng = np.random.default_rng(6)
    rows = rng.dirichlet(np.ones(6), 20)
    log_weights = np.log(rng.dirichlet(np.ones(20))) + 0.5
    bounds = []
    for cells in (1, 300, 3000):
        boxes = DualBoxes(log_weights, rows, 6.0)
        bounds.append(max_log_g_over_boxes(boxes, rows, 1e-9, Budget(cells=cells)).upper)
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] >= boxes.log_g(rows).max()
    assert max_log_g_over_row_cells(DualRowCells(log_weights, rows, 6.0), rows, 1e-9).upper >= boxes.log_g(rows).max()


def nearly_independent(seed):
    """DualIB of up to ten rows over five symbols that differ by 1e-6 to 1e-2, the first one often rare."""
    rng = np.random.default_rng(seed)
    n, size = int(rng.integers(6, 11)), 10.0 ** rng.uniform(-6, -2)
    rows = np.maximum(rng.dirichlet(np.full(5, 2.0)), 1e-3) * (1 + size * rng.uniform(-1, 1, (n, 5)))
    p_x = rng.dirichlet(np.full(n, 2.0))
    p_x[0] *= 10.0 ** -rng.integers(0, 7)
    return dualib.DualIB(dualib.Joint.from_conditional(p_x / p_x.sum(), rows / rows.sum(axis=1, keepdims=True)))


def exact_objective(solved):
    """−Σ p(x) log Σ_t p(t) e^{−βD(r_t‖p_x)} of clusters t, which is F(β) or above, to 50 digits."""
    with mp.workdps(50):
        (p_x,), (p_t,) = normalised([solved.problem.p_x]), normalised([solved.p_t])
        values = []
        for row in solved.problem.p_y_given_x:
            r = normalised(solved.p_y_given_t)
            (p,) = normalised([row])
            d = [mp.fsum(a * mp.log(a / b) for a, b in zip(atom, p, strict=True)) for atom in r]
            values.append(
                mp.log(mp.fsum(w * mp.exp(-mp.mpf(solved.beta) * far) for w, far in zip(p_t, d, strict=True)))
            )
        return float(-mp.fsum(w * value for w, value in zip(p_x, values, strict=True)))


@pytest.mark.parametrize("seed", range(4))
def test_nearly_independent_tables_are_proven_at_their_huge_betas(seed):
    problem = nearly_independent(seed)
    for factor in (1.1, 3.0, 30.0):
        solved = dualib.solve(problem, factor * dualib.local_critical_beta(problem), certify=True)
        assert solved.status is Status.CERTIFIED
        assert solved.lower_bound <= solved.objective <= solved.lower_bound + 1e-9
        assert solved.lower_bound <= exact_objective(solved) <= solved.objective + 1e-9


def test_rows_are_nearly_equal_up_to_a_quarter_and_either_side_proves_the_same():
    """And far outside the hull of nearly equal rows, where no rounding is allowed for, there is no second-order bound."""
    proven = []
    for width in (0.2499, 0.2501):
        away = width * np.array([[1, -1, 0, 0, 0], [-1, 1, 0, 0, 0], [0, 0.1, -0.2, 0.1, 0], [0, -0.1, 0.2, -0.1, 0]])
        rows, log_weights = 0.2 * (1 + away), np.log([0.4, 0.3, 0.4, 0.2])
        boxes = DualBoxes(log_weights, rows, 60.0)
        assert boxes.relaxation.near == (width < 0.25)
        assert boxes.relaxation.centre == pytest.approx(np.full(5, 0.2), abs=1e-15)
        proven.append(max_log_g_over_boxes(boxes, rows, 1e-9, Budget(cells=20_000)))
        assert proven[-1].complete
        low, high, _ = boxes.root(rows[0])
        bases = np.array([rows[0], [0.96, 0.01, 0.01, 0.01, 0.01]])
        bounds = boxes.second_order(low.repeat(2, axis=0), high.repeat(2, axis=0), bases)
        assert np.isfinite(bounds[0])
        assert boxes.relaxation.allows(bases).tolist() == [True, width > 0.25]
        assert bounds[1] == np.inf or width > 0.25
    assert proven[0].upper == pytest.approx(proven[1].upper, abs=1e-3)


def test_posteriors_of_few_nearly_equal_rows_bound_f_to_the_square_of_their_difference():
    rng = np.random.default_rng(8)
    for _ in range(25):
        n, size = int(rng.integers(2, 5)), 10.0 ** rng.uniform(-6, -1)
        rows = rng.dirichlet(np.full(6, 2.0)) * (1 + size * rng.uniform(-1, 1, (n, 6)))
        problem = dualib.DualIB(
            dualib.Joint.from_conditional(rng.dirichlet(np.ones(n)), rows / rows.sum(axis=1, keepdims=True))
        )
        g = DualFunction(problem, 10.0 ** rng.uniform(-1, 1.5) / size**2, rng.uniform(-2, 1, n))
        assert g.rounding() < 1e-12
        centre, corners = rng.dirichlet(np.full(n, 0.5), (4, 1)), rng.dirichlet(np.full(n, 0.5), (4, n))
        cells = centre + 10.0 ** -rng.uniform(0, 6, (4, 1, 1)) * (corners - centre)
        bound, _ = cell_bound(g, cells, convex_part(g, cells))
        for cell, above in zip(cells, bound, strict=True):
            for weights in (rng.dirichlet(np.ones(n)), np.eye(n)[0]):
                f = exact_f(g.log_weights, problem.p_y_given_x, g.beta, weights @ cell)
                assert above + g.rounding() >= float(f)


@pytest.mark.parametrize("beta", [3.0, 1e3, 1e6])
def test_the_allowance_covers_the_rounding_of_many_rows(beta):
    rng = np.random.default_rng([601, int(beta)])
    rows = rng.dirichlet(np.full(5, 0.6), 500) + 1e-6
    rows /= rows.sum(axis=1, keepdims=True)
    log_weights = np.log(rng.dirichlet(np.ones(500))) + rng.normal(size=500)
    relaxation = DualRelaxation.of(log_weights, rows, beta)
    r = rows[:2]
    for _ in range(5):
        q = np.exp(relaxation.log_terms(r) - relaxation.log_terms(r).max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        t = q @ relaxation.odds
        r = relaxation.decoders(t)
    # Boxes without width: the bounds are f and log G up to their rounding, far less than is allowed for.
    width = 1e-15 * np.abs(t)
    chords = DualChords.of(relaxation, t - width, t + width)
    point = least_dual_bound(relaxation, chords, np.zeros_like(t), -np.log1p(relaxation.convex(t).sum(axis=1)), -np.inf)
    second = dual_second_order_bound(relaxation, r * (1 - 1e-15), r * (1 + 1e-15), r)
    for i, shares in enumerate(q):
        assert point.bound[i] + relaxation.rounding >= float(exact_f(log_weights, rows, beta, shares))
        log_g = float(exact_log_g(log_weights, rows, beta, r[i]))
        assert second[i] + relaxation.rounding >= log_g
        assert abs(relaxation.log_g(r[i : i + 1])[0] - log_g) < 0.1 * relaxation.rounding


def test_the_dual_of_many_rows_at_high_beta_is_proven_with_little_work():
    """The rounding of sums over x was multiplied by β log r: the gap was 1.8e-9, whatever the work."""
    rng = np.random.default_rng(3)
    rows = np.array([rng.multinomial(50, p) for p in rng.dirichlet(np.full(4, 0.8), 300)]) + 0.5
    problem = dualib.DualIB(
        dualib.Joint.from_conditional(np.full(300, 1 / 300), rows / rows.sum(axis=1, keepdims=True))
    )
    solution = dualib.solve(problem, 600.0, certify=dualib.Certify(max_work=60_000_000))
    assert solution.certified
