"""Bounds over boxes really bound: against 50-digit arithmetic, on thousands of cells of every kind, and over the whole simplex."""

import dataclasses

import mpmath as mp
import numpy as np
import pytest
from joints import KINDS, NEARLY, channel, exact_f, exact_log_g
from scipy.optimize import minimize

from dualib.certificate.boxes.bounds import Relaxation, bound_at, tighten
from dualib.certificate.boxes.contraction import concave_share
from dualib.certificate.boxes.families import IBBoxes
from dualib.certificate.boxes.newton import least_bound
from dualib.certificate.boxes.rows import LAMBDAS, DualRowCells, IBRowCells, max_log_g_over_row_cells
from dualib.certificate.boxes.search import max_log_g_over_boxes, reachable
from dualib.certificate.boxes.second_order import exponential_curvature, second_order_bound
from dualib.certificate.boxes.splits import Chords
from dualib.certificate.ceiling import Budget, Method


def boxes(rows, rng, number):
    """Boxes of many sizes (N, K) of the coordinates that rows have, each with a q (N, n) whose mixture lies in it."""
    n, k = rows.shape
    q = rng.dirichlet(np.full(n, rng.choice([0.1, 0.5, 2.0])), number)
    mixture = q @ rows
    size = 10.0 ** -rng.uniform(0, 4, (number, 1)) * (rows.max(axis=0) - rows.min(axis=0))
    low = np.maximum(mixture - size * rng.random((number, k)), rows.min(axis=0))
    high = np.minimum(mixture + size * rng.random((number, k)), rows.max(axis=0))
    return np.minimum(low, mixture), np.maximum(high, mixture), q


@pytest.mark.parametrize("kind", KINDS)
def test_every_multiplier_gives_a_bound_on_every_box(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    close = smaller = 0
    for _ in range(25):
        log_weights, rows, beta = channel(kind, rng)
        full = Relaxation.of(log_weights, rows, beta)
        low, high, q = boxes(full.rows, rng, 24)
        tight_low, tight_high = tighten(low, high, full.coordinates.total)
        mixture = q @ full.rows
        assert np.all((tight_low <= mixture + 1e-12) & (mixture <= tight_high + 1e-12))
        assert np.all((tight_low >= low) & (tight_high <= high))
        for relaxation in (full, dataclasses.replace(full, gamma=0.0)):
            chords = Chords.of(relaxation.split, tight_low, tight_high)
            anywhere = bound_at(relaxation, chords, relaxation.beta * rng.normal(-1, 1, low.shape))
            best = least_bound(relaxation, chords, anywhere.mu, -np.inf)
            assert np.all(best.bound <= anywhere.bound)
            allowance = relaxation.rounding(low, rows[:0])
            assert allowance < 1e-10 or kind not in ("weak", NEARLY)  # where β is 1e16, too
            rough = [float(exact_f(log_weights, rows, beta, row)) for row in q[:6]]
            for i, value in enumerate(rough):
                close += best.bound[i] - value < 0.01
                assert min(anywhere.bound[i], best.bound[i]) + allowance >= value
            entropy = -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1)
            plain = (
                entropy + q @ relaxation.log_a + relaxation.beta * relaxation.coordinates.convex(mixture).sum(axis=1)
            )
            assert np.all(best.bound + 2 * allowance >= plain)
            # The bounds are linear on their boxes, and what they cut off lies below the level.
            for point in (anywhere, best):
                away = np.where(point.excess > 0, tight_high - mixture, mixture - tight_low)
                fallen = (np.abs(point.excess) * np.maximum(away, 0.0)).sum(axis=1)
                assert np.all(point.bound - fallen + 2 * allowance >= plain)
                above = point.bound - plain + 2 * allowance
                left_low, left_high = reachable(tight_low, tight_high, point.excess, above)
                assert np.all((left_low <= mixture + 1e-12) & (mixture <= left_high + 1e-12))
                smaller += (left_high - left_low < 0.9 * (tight_high - tight_low)).sum()
    assert close > 0  # the bounds are not vacuous
    assert smaller > 0


@pytest.mark.parametrize("seed", [101, 197, 289])
def test_the_multipliers_of_a_box_with_one_short_side_are_the_best(seed):
    rng = np.random.default_rng(seed)
    n, k = rng.integers(4, 20), rng.integers(3, 6)
    rows, log_weights = rng.dirichlet(np.full(k, 0.5), n), np.log(rng.dirichlet(np.ones(n)))
    beta = concave_share(rows) * rng.uniform(1.02, 1.5)
    mixture = rng.dirichlet(np.full(n, 0.3)) @ rows
    width = rng.uniform(0.02, 0.3, k) * mixture
    width[rng.integers(0, k, 1)] *= 1e-4
    low = np.maximum(mixture - rng.random(k) * width, 1e-6)
    low, high = tighten(low[None], low[None] + width)
    relaxation = Relaxation.of(log_weights, rows, beta)
    chords = Chords.of(relaxation.split, low, high)
    middle = 0.5 * (low + high)
    start = chords.slope + chords.split.tangents(middle / middle.sum())[1] + 0.05 * beta * rng.standard_normal(k)
    found = minimize(
        lambda mu: bound_at(relaxation, chords, mu[None]).bound[0],
        least_bound(relaxation, chords, start, -1e3, steps=1).mu[0],
        method="Nelder-Mead",
        options={"maxfev": 20000, "maxiter": 20000, "xatol": 1e-10, "fatol": 1e-13, "adaptive": True},
    )
    assert least_bound(relaxation, chords, start, found.fun - 1e-9).bound[0] <= found.fun + 1e-6


def test_what_a_linear_bound_leaves_of_a_box():
    """Of 5 − 4 (1 − s_1) − 2 s_2 on the unit cube, what is above 4 has s_1 ≥ ¾ and s_2 ≤ ½, whatever s_3 is."""
    low, high = reachable(np.zeros((1, 3)), np.ones((1, 3)), np.array([[4.0, -2.0, 0.0]]), np.array([1.0]))
    np.testing.assert_allclose(low, [[0.75, 0.0, 0.0]], atol=1e-8)
    np.testing.assert_allclose(high, [[1.0, 0.5, 1.0]], atol=1e-8)
    assert np.all(low <= [[0.75, 0.0, 0.0]])
    assert np.all(high >= [[1.0, 0.5, 1.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_order_bound_holds_about_any_base(kind):
    rng = np.random.default_rng(100 + KINDS.index(kind))
    finite = 0
    for _ in range(25):
        log_weights, rows, beta = channel(kind, rng)
        relaxation = Relaxation.of(log_weights, rows, beta)
        low, high, q = boxes(relaxation.rows, rng, 12)
        c, of = q @ relaxation.rows, relaxation.coordinates.probabilities
        # Bases in the box, off the simplex: the term −β(Σ r0 − 1) counts.
        base = np.clip(
            of(c * np.exp(rng.normal(0, 0.3, c.shape))), *(np.maximum(of(end), 1e-300) for end in (low, high))
        )
        bound = second_order_bound(relaxation, low, high, base)
        r = np.maximum(of(c), 1e-300)
        plain = relaxation.log_g(r)
        allowance = relaxation.rounding(low, base)
        assert np.all(bound + 2 * allowance >= plain)
        for i in np.flatnonzero(np.isfinite(bound))[:3]:
            finite += 1
            # A float knows r to 1e-16, of which β may be 1e16.
            exact = float(exact_f(log_weights, rows, beta, q[i]))
            assert bound[i] + allowance >= exact
            if kind != NEARLY:
                assert bound[i] + allowance >= float(exact_log_g(log_weights, rows, beta, r[i]))
    assert finite > 0 or kind == "zeros"


def test_the_second_order_bound_closes_a_box_around_a_maximum():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(3), 5)
    relaxation = Relaxation.of(np.log(np.full(5, 0.2)), rows, 0.9)  # below every transition: one maximum, log G concave
    r = rows.mean(axis=0)
    for _ in range(500):
        terms = np.exp(relaxation.log_a + relaxation.beta * rows @ np.log(r))
        r = terms @ rows / terms.sum()
    at_maximum = relaxation.log_g(r[None])[0]
    bound = second_order_bound(relaxation, 0.9 * r[None], 1.1 * r[None], r[None])
    assert bound[0] == pytest.approx(at_maximum, abs=1e-12)


def test_exponential_curvature():
    for z in (-50.0, -1.0, -0.0201, -0.0199, -1e-9, 1e-9, 1e-3, 0.0199, 0.0201, 2.0, 50.0):
        with mp.workdps(50):
            exact = 2 * (mp.exp(mp.mpf(z)) - 1 - mp.mpf(z)) / mp.mpf(z) ** 2
        assert exponential_curvature(np.array([z]))[0] == pytest.approx(float(exact), rel=1e-9)
    assert exponential_curvature(np.zeros(1))[0] == 1.0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "weak"])
def test_the_share_without_chords_is_a_contraction(kind):
    """γ D(p_q' ‖ p_q) ≤ D(q' ‖ q), which is what H(q) − γ H(p_q) concave means; for two rows it is nearly reached."""
    rng = np.random.default_rng(200)
    largest = 0.0
    for _ in range(40):
        _, rows, _ = channel(kind, rng)
        gamma = concave_share(rows)
        assert gamma >= 1.0 - 1e-12
        q, other = rng.dirichlet(np.full(len(rows), 0.2), (2, 200))
        q, other = np.maximum(q, 1e-12), np.maximum(other, 1e-12)
        q, other = q / q.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True)
        outer = (other * np.log(other / q)).sum(axis=1)
        a, b = np.maximum(other @ rows, 1e-300), np.maximum(q @ rows, 1e-300)
        inner = (a * np.log(a / b)).sum(axis=1)
        assert np.all(gamma * inner <= outer * (1 + 1e-6) + 1e-9 + 1e-14 * gamma)
        largest = max(largest, float((gamma * inner / outer).max()) if gamma < 1e6 else 0.0)
    assert largest > 0.5


def test_the_share_without_chords_is_one_over_the_contraction_of_the_worst_pair(monkeypatch):
    from dualib.certificate.boxes import contraction

    rng = np.random.default_rng(11)
    rows = rng.dirichlet(np.ones(4), 30)
    alpha = np.linspace(1e-3, 1 - 1e-3, 999)[:, None]
    worst = 0.0
    for p in rows:
        for other in rows:
            worst = max(
                worst, (alpha * (1 - alpha) * (p - other) ** 2 / (alpha * p + (1 - alpha) * other)).sum(1).max()
            )
    assert 1 / concave_share(rows) == pytest.approx(worst, rel=1e-5)
    assert 1 / concave_share(rows) >= worst
    monkeypatch.setattr(contraction, "PAIRS_AT_A_TIME", 1)
    monkeypatch.setattr(contraction, "PAIRS_REFINED", 1)
    assert 1 / concave_share(rows) == pytest.approx(worst, rel=1e-5)
    monkeypatch.setattr(contraction, "MOST_ROWS", 30)
    assert concave_share(rows) > 1.0
    monkeypatch.setattr(contraction, "MOST_ROWS", 29)
    assert concave_share(rows) == 1.0


def test_below_the_first_transition_of_any_joint_nothing_is_searched():
    """β ≤ 1/η: f is concave, and the bound at the root is its maximum."""
    rng = np.random.default_rng(12)
    for k in (3, 10):
        rows, p_x = rng.dirichlet(np.ones(k), 40), rng.dirichlet(np.ones(40))
        beta = 0.999 * concave_share(rows)
        p_y = p_x @ rows
        log_weights = np.log(p_x) + beta * (rows * np.log(rows / p_y)).sum(axis=1)  # one cluster
        ceiling = over_ib_boxes(log_weights, rows, beta, p_y[None], 1e-9, Budget())
        assert ceiling.complete
        assert ceiling.cells == 1


def over_ib_boxes(log_weights, rows, beta, atoms, tolerance, budget):
    return max_log_g_over_boxes(IBBoxes(log_weights, rows, beta), atoms, tolerance, budget)


def solution(rng, n, k, factor, concentration=1.0):
    """log w, rows, β and atoms of a solved random problem, Lagrange weights included: max log G = 0."""
    import dualib

    joint = dualib.Joint.from_conditional(rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(k, concentration), n))
    problem = dualib.IB(joint)
    beta = factor * dualib.local_critical_beta(problem)
    solved = dualib.solve(problem, beta, certify=False)
    z = np.exp(-beta * problem.distortion(solved.p_y_given_t)).T @ solved.p_t
    return np.log(problem.p_x) - np.log(z), problem.p_y_given_x, beta, solved.p_y_given_t


@pytest.mark.parametrize(("n", "k", "factor"), [(12, 3, 1.5), (16, 4, 1.1), (16, 4, 10.0), (10, 6, 3.0), (24, 8, 0.5)])
def test_the_ceiling_closes_on_solved_problems(n, k, factor):
    log_weights, rows, beta, atoms = solution(np.random.default_rng(n), n, k, factor)
    ceiling = over_ib_boxes(log_weights, rows, beta, atoms, 1e-8, Budget(cells=100_000))
    assert ceiling.complete
    assert 0 <= ceiling.upper <= 1e-8 + max(ceiling.lower, 0.0)


def test_the_ceiling_is_above_what_ascents_find_where_g_is_not_optimal():
    rng = np.random.default_rng(5)
    for kind in ("generic", "zeros", "tiny", "rare"):
        for _ in range(4):
            log_weights, rows, beta = channel(kind, rng)
            start = rng.dirichlet(np.full(len(rows), 0.3), 100) @ rows
            ceiling = over_ib_boxes(log_weights, rows, beta, start[:1], 1e-5, Budget(cells=50_000))
            relaxation = Relaxation.of(log_weights, rows, beta)
            for _ in range(100):
                terms = relaxation.log_a + beta * np.log(np.maximum(start, 1e-300)) @ rows.T
                weights = np.exp(terms - terms.max(axis=1, keepdims=True))
                start = (weights / weights.sum(axis=1, keepdims=True)) @ rows
            climbed = relaxation.log_g(np.maximum(start, 1e-300)).max()
            assert ceiling.upper >= climbed - 1e-12
            assert ceiling.complete
            if climbed > 0:
                assert ceiling.lower >= climbed - 1e-5
            assert ceiling.lower == pytest.approx(
                relaxation.log_g(np.maximum(ceiling.argmax[None], 1e-300))[0], abs=1e-9
            )


def test_the_budget_is_kept_and_said():
    case = solution(np.random.default_rng(3), 20, 6, 3.0)
    bounds = []
    for cells in (1, 200, 2000, 100_000):
        ceiling = over_ib_boxes(*case, 1e-6, Budget(cells=cells))
        assert ceiling.complete == (ceiling.upper <= 1e-6 + max(ceiling.lower, 0.0))
        assert ceiling.cells <= 3 * cells + 200
        bounds.append(ceiling.upper)
    assert bounds == sorted(bounds, reverse=True)
    assert not over_ib_boxes(*case, 1e-6, Budget(cells=1)).complete
    assert over_ib_boxes(*case, 1e-6, Budget(cells=100_000)).complete
    hurried = over_ib_boxes(*case, 1e-6, Budget(seconds=1e-9))
    assert not hurried.complete
    assert hurried.cells == 1
    assert hurried.upper == bounds[0]
    with pytest.raises(ValueError, match="cells"):
        Budget(cells=0)
    with pytest.raises(ValueError, match="seconds"):
        Budget(seconds=0.0)


@pytest.mark.parametrize("beta", [6.0, 17.0])
def test_boxes_on_faces_of_the_simplex_are_closed(beta):
    """Rows that are nearly or wholly one symbol: multipliers grow to where q has one row, and no derivative is left."""
    import dualib

    rng = np.random.default_rng(13)
    rows = 0.9 * np.eye(8)[rng.integers(0, 8, 24)] * rng.random((24, 1))
    rows[np.arange(24), rng.integers(0, 8, 24)] += 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    problem = dualib.IB(dualib.Joint.from_conditional(rng.dirichlet(np.ones(24)), rows)).reduced
    solved = dualib.solve(problem, beta, certify=False)
    z = np.exp(-beta * problem.distortion(solved.p_y_given_t)).T @ solved.p_t
    case = np.log(problem.p_x) - np.log(z), problem.p_y_given_x, beta, solved.p_y_given_t
    assert over_ib_boxes(*case, 1e-8, Budget(cells=60_000)).complete


def test_symbols_that_no_row_has_change_nothing():
    log_weights, rows, beta, atoms = solution(np.random.default_rng(4), 12, 3, 2.0)
    plain = over_ib_boxes(log_weights, rows, beta, atoms, 1e-8, Budget())
    wider = [np.insert(array, 1, 0.0, axis=1) for array in (rows, atoms)]
    padded = over_ib_boxes(log_weights, wider[0], beta, wider[1], 1e-8, Budget())
    assert padded.upper == plain.upper
    assert padded.argmax.tolist() == np.insert(plain.argmax, 1, 0.0).tolist()


# --- cells of rows ---

ROW_CELLS = {"ib": IBRowCells, "dual": DualRowCells}


def divergences(kind, r, rows):
    """d(x, r) of decoders (m, K) and rows (n, K), (m, n), plainly."""
    r, rows = np.maximum(r, 1e-300)[:, None], np.maximum(rows, 1e-300)
    return (rows * np.log(rows / r)).sum(axis=2) if kind == "ib" else (r * np.log(r / rows)).sum(axis=2)


def decoders(kind, rows, rng, number):
    """Random decoders, near the rows and far from them."""
    n = len(rows)
    weights = rng.dirichlet(np.full(n, rng.choice([0.05, 0.3, 2.0])), number)
    if kind == "ib":
        return weights @ rows
    r = np.exp(weights @ np.log(rows))
    return r / r.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("problem", ROW_CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_cells_of_rows_bound_log_g_where_their_row_leads(problem, kind):
    rng = np.random.default_rng(300 + KINDS.index(kind))
    tight = 0
    for _ in range(30):
        log_weights, rows, beta = channel(kind, rng)
        if problem == "dual":
            rows = np.maximum(rows, 1e-9)
            rows /= rows.sum(axis=1, keepdims=True)
        cells = ROW_CELLS[problem](log_weights, rows, beta)
        r = np.concatenate([decoders(problem, rows, rng, 300), rng.dirichlet(np.full(rows.shape[1], 0.5), 100), rows])
        terms = log_weights - beta * divergences(problem, r, rows)
        leader, top = terms.argmax(axis=1), terms.max(axis=1)
        log_g = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        ceilings = np.array([cells.ceiling_of(i) for i in range(len(rows))])
        allowance = cells.rounding()
        for i in range(len(rows)):
            there = log_g[leader == i]
            # Below 0, nothing is asked of a cell.
            assert there.max(initial=-np.inf) <= max(ceilings[i], 0.0) + 2 * allowance
            tight += bool(there.size and there.max() > 0 and ceilings[i] - there.max() < 0.05)
        ceiling = max_log_g_over_row_cells(cells, r[:5], 1e-6)
        assert ceiling.upper >= log_g.max() - 2 * allowance
        assert ceiling.method == Method.ROWS
        assert ceiling.complete == (ceiling.upper <= max(ceiling.lower, 0.0) + 1e-6)
    assert tight > 0


@pytest.mark.parametrize("problem", ROW_CELLS)
def test_what_the_cells_of_rows_are_made_of(problem):
    """J_λ is below every convex combination of distances, and reached; the spread bounds what it stands for."""
    rng = np.random.default_rng(7)
    rows = rng.dirichlet(np.ones(4), 6)
    cells = ROW_CELLS[problem](np.log(np.full(6, 1 / 6)), rows, 3.0)
    joint = cells.joint_minimum(2)
    r = np.concatenate([decoders(problem, rows, rng, 2000), rng.dirichlet(np.ones(4), 2000)])
    d = divergences(problem, r, rows)
    both = (1 - LAMBDAS)[:, None, None] * d + LAMBDAS[:, None, None] * d[:, [2]]
    assert np.all(both.min(axis=1) >= joint - 1e-12)
    for k, weight in enumerate(LAMBDAS):
        pair = decoders_of_pair(problem, rows, 2, weight)
        at = (1 - weight) * np.diag(divergences(problem, pair, rows)) + weight * divergences(problem, pair, rows)[:, 2]
        np.testing.assert_allclose(at, joint[k], atol=1e-12)
    radii = np.array([0.01, 0.1, 0.5])
    spread = cells.spread(2, radii)
    u = rng.normal(size=(4000, 4))
    for radius, row in zip(radii, spread, strict=True):
        ball = r[d[:, 2] <= radius]
        assert len(ball) > 5
        if problem == "ib":  # ⟨p_x − p_*, u⟩² ≤ spread · Σ p_* u²
            square = (u @ (rows - rows[2]).T) ** 2
            assert np.all(square <= row * ((u**2) @ rows[2])[:, None] + 1e-12)
        else:
            k = np.log(rows) - np.log(rows[2])
            assert np.all(ball @ (k**2).T - (ball @ k.T) ** 2 <= row + 1e-12)


def decoders_of_pair(kind, rows, i, weight):
    if kind == "ib":
        return (1 - weight) * rows + weight * rows[i]
    r = rows ** (1 - weight) * rows[i] ** weight
    return r / r.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("problem", ROW_CELLS)
def test_the_cells_of_rows_prove_high_beta_in_many_dimensions(problem):
    """T = X: w_x = p(x) G at the rows = 1 / p(x) times the sum; at high β every row is its own cluster."""
    rng = np.random.default_rng(8)
    rows = rng.dirichlet(np.ones(16), 40)
    beta, p_x = 200.0, rng.dirichlet(np.full(40, 5.0))
    log_z = np.log(np.exp(-beta * divergences(problem, rows, rows)).T @ p_x)
    cells = ROW_CELLS[problem](np.log(p_x) - log_z, rows, beta)
    ceiling = max_log_g_over_row_cells(cells, rows, 1e-8)
    assert ceiling.complete
    assert ceiling.cells == 40
    given_up = max_log_g_over_row_cells(cells, rows, 1e-8, give_up_above=-1.0)
    assert given_up.upper == np.inf
    assert given_up.cells == 1
    assert not given_up.complete
