"""Solutions on joints of every awkward kind at any β, against definitions, 50-digit arithmetic and plain annealing."""

import mpmath
import numpy as np
import pytest

import dualib
from dualib import IB, AlphaIB, Certify, DualIB, Joint, curve_points, entropy, local_critical_beta, solve
from dualib.bottleneck import PAIRS_KEPT
from dualib.certificate.dual_function import DualFunction
from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import inside
from dualib.solvers.iterate import evaluate
from dualib.solvers.newton import tangent_basis

PROBLEMS = {"ib": IB, "dual": DualIB, "alpha": lambda joint: AlphaIB(joint, 0.4)}
KINDS = ("weak", "rare", "equal", "tiny", "tiny p", "zeros")


def awkward_joint(kind, seed):
    """Up to 6 × 4, or None where the draw has one column, or rows that are all equal."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    n_x, n_y = int(rng.integers(2, 7)), int(rng.integers(2, 5))
    p_x = rng.dirichlet(np.full(n_x, rng.choice([0.3, 1.0, 3.0])))
    rows = rng.dirichlet(np.full(n_y, rng.choice([0.3, 1.0, 5.0])), n_x)
    if kind == "weak":
        rows = rng.dirichlet(np.full(n_y, 2.0)) * (1 + 10.0 ** rng.uniform(-5, -0.5) * rng.uniform(-1, 1, (n_x, n_y)))
    elif kind == "rare":
        p_x[0] = 10.0 ** rng.uniform(-12, -3)
    elif kind == "equal":
        rows[-1] = rows[0]
    elif kind == "tiny":
        rows = rows * 10.0 ** rng.uniform(-12, 0, rows.shape)
    elif kind == "tiny p":
        p_x = p_x * 10.0 ** rng.uniform(-9, 0, n_x)
    else:
        rows = rows * (rng.random(rows.shape) < 0.6)
        rows[rows.sum(axis=1) == 0, 0] = 1.0
    if kind != "zeros":
        rows = np.maximum(rows, 1e-30)
    rows = rows[:, rows.sum(axis=0) > 0]
    if rows.shape[1] < 2 or np.ptp(rows / rows.sum(axis=1, keepdims=True), axis=0).max() < 1e-9:
        return None
    p_x = np.maximum(p_x, 1e-30)
    return Joint.from_conditional(p_x / p_x.sum(), rows / rows.sum(axis=1, keepdims=True))


def awkward_problems(kind, seed):
    """Every problem on the joint, but the dual of zeros and what rounding makes independent."""
    joint = awkward_joint(kind, seed)
    if joint is not None:
        for name, make in PROBLEMS.items():
            if name != "dual" or (joint.p_y_given_x > 0).all():
                problem = make(joint)
                if np.isfinite(local_critical_beta(problem)):
                    yield problem


def any_beta(problem, seed):
    rng = np.random.default_rng([1, seed])
    ranges = ((-3, 0), (0, 1.5), (1, 12))
    return local_critical_beta(problem) * 10.0 ** rng.uniform(*ranges[rng.integers(0, 3)])


def exact_distortion(problem, row, r):
    """50 digits, of normalised distributions."""
    row, r = ([mpmath.mpf(float(v)) for v in values] for values in (row, r))
    row, r = ([v / sum(values) for v in values] for values in (row, r))
    if problem.name == "ib":
        if any(a > 0 and b == 0 for a, b in zip(row, r, strict=True)):
            return mpmath.inf
        return sum(a * mpmath.log(a / b) for a, b in zip(row, r, strict=True) if a > 0)
    if problem.name == "dual":
        return sum(b * mpmath.log(b / a) for a, b in zip(row, r, strict=True) if b > 0)
    alpha = mpmath.mpf(problem.alpha)
    return (1 - sum(a**alpha * b ** (1 - alpha) for a, b in zip(row, r, strict=True))) / (alpha * (1 - alpha))


@mpmath.workdps(50)
def exact_value(solution):
    """Φ at the solution's weights and atoms, 50 digits: at least F(β), whatever the solver did."""
    core = solution.problem.reduced
    weights = [mpmath.mpf(float(w)) for w in solution.p_t]
    total = mpmath.mpf(0)
    for p, row in zip(core.p_x, core.p_y_given_x, strict=True):
        z = sum(
            w / sum(weights) * mpmath.exp(-solution.beta * exact_distortion(solution.problem, row, r))
            for w, r in zip(weights, solution.p_y_given_t, strict=True)
        )
        total -= mpmath.mpf(float(p)) * mpmath.log(z)
    return total


def annealed(problem, beta, steps=100):
    """Plain alternation from T = X, and from nearly one cluster: upper bounds of F by no code of the solver."""
    core, best = problem.reduced, np.inf
    n = len(core.p_x)
    for mix in (0.0, 0.98):
        q = (1 - mix) * np.eye(n) + mix / n
        for _ in range(steps):
            p_t = core.p_x @ q
            used = p_t > 1e-290
            r = core.decode((q * core.p_x[:, None]).T[used])
            exponent = np.log(p_t[used]) - beta * core.accurate_distortion(r).T
            top = exponent.max(axis=1, keepdims=True)
            q = np.exp(exponent - top)
            z = q.sum(axis=1)
            q = q / z[:, None]
        best = min(best, -float(core.p_x @ (np.log(z) + top[:, 0])))
    return best


def check(problem, beta):
    s = solve(problem, beta, certify=Certify(max_cells=20_000))
    core = problem.reduced
    single = beta * float(core.p_x @ core.accurate_distortion(core.single_decoder)[0])
    assert 0.0 <= s.lower_bound <= s.objective <= min(entropy(core.p_x), single) * (1 + 1e-14)
    other = annealed(problem, beta)
    assert s.lower_bound <= other + 1e-13 * (1 + other)
    assert s.objective <= other + 1e-8 * max(1.0, other)
    assert s.certified == (s.gap <= 1e-9)
    assert s.estimated_gap >= 0.0
    assert np.isfinite(s.p_t_given_x).all()
    return s


@pytest.mark.parametrize("kind", KINDS)
def test_interval_of_awkward_joints(kind):
    met = 0
    for seed in range(6):
        for problem in awkward_problems(kind, seed):
            check(problem, any_beta(problem, seed))
            met += 1
    assert met > 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_interval_of_a_thousand_awkward_joints(kind):
    for seed in range(100, 170):
        for problem in awkward_problems(kind, seed):
            check(problem, any_beta(problem, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_objective_and_lower_bound_in_fifty_digits(kind):
    """F lies below Φ of any weights and atoms: the lower bound must, and the objective is Φ but for rounding it counts."""
    with mpmath.workdps(50):
        for seed in range(4):
            for problem in awkward_problems(kind, seed):
                s = solve(problem, any_beta(problem, seed + 100), certify=Certify(max_cells=200_000))
                exact = exact_value(s)
                assert s.lower_bound <= exact
                trivial = entropy(problem.reduced.p_x)
                assert s.objective >= exact or s.objective >= trivial * (1 - 1e-14)
                assert s.objective <= exact + 1e-12 * (1 + abs(s.objective)) or s.objective <= trivial


@pytest.mark.parametrize("name", sorted(PROBLEMS))
@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.05, 1.0])
def test_distortion_keeps_its_digits_where_rows_are_nearly_equal(name, size):
    rng = np.random.default_rng(3)
    rows = rng.dirichlet(np.ones(4)) * (1 + size * rng.uniform(-0.9, 0.9, (5, 4)))
    problem = PROBLEMS[name](Joint.from_conditional(rng.dirichlet(np.ones(5)), rows / rows.sum(axis=1, keepdims=True)))
    r = problem.decode(rng.dirichlet(np.full(5, 0.3), 6))
    with mpmath.workdps(50):
        exact = np.array([[float(exact_distortion(problem, p, q)) for p in problem.p_y_given_x] for q in r])
    np.testing.assert_allclose(problem.accurate_distortion(r), exact, rtol=1e-13, atol=1e-30)
    scale = exact.max() if problem.weak.all() else problem.rounding_scale
    assert np.abs(problem.distortion(r) - exact).max() <= 5e-15 * scale
    i, j = 1, 3
    middle = problem.middles(i)[j]
    with mpmath.workdps(50):
        pair = float(sum(exact_distortion(problem, problem.p_y_given_x[k], middle) for k in (i, j)) / 2)
    assert problem.pair_distortions(i)[j] == pytest.approx(pair, rel=1e-13)


@pytest.mark.parametrize(
    "joint",
    [
        Joint([[0.252, 0.248], [0.248, 0.252]]),
        Joint.from_conditional([1e-4, 1 - 1e-4], [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]),
        Joint.from_counts(np.random.default_rng(0).multinomial(10**6, np.full(8, 1 / 8)).reshape(4, 2)),
    ],
    ids=["weak", "rare", "counts"],
)
@pytest.mark.parametrize("problem", [IB, DualIB])
def test_curves_of_weak_and_rare_joints_are_proven(joint, problem):
    local = local_critical_beta(problem(joint))
    curve = dualib.information_curve(problem(joint), local * np.geomspace(0.8, 20, 8))
    assert curve.certified.all()
    assert np.all(np.diff(curve.objective) >= 0)


@pytest.mark.parametrize("problem", [IB, DualIB])
def test_huge_beta_with_a_rare_x(problem):
    joint = Joint.from_conditional([1e-9, 1 - 1e-9], [[0.7, 0.3], [0.4, 0.6]])
    s = solve(problem(joint), 4e9)
    assert s.certified
    assert 0 < s.lower_bound <= s.objective <= entropy(joint.p_x)
    assert s.objective == pytest.approx(entropy(joint.p_x), rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_dual_with_tiny_probabilities_is_certified(seed):
    """Four rows of five symbols: a search of dimension 3 in the weights of x, which no p(y|x) is too small for."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(5), 4) * 10.0 ** rng.uniform(-rng.choice([0, 3, 6, 12, 25]), 0, (4, 5))
    problem = DualIB(Joint.from_conditional(rng.dirichlet(np.full(4, 2.0)), rows / rows.sum(axis=1, keepdims=True)))
    for factor in (0.8, 1.5, 6.0, 40.0):
        s = solve(problem, factor * local_critical_beta(problem))
        assert s.certified, s.status
        assert s.lower_bound <= annealed(problem, s.beta) + 1e-12


def many_rows(n, n_y, seed=0):
    rng = np.random.default_rng(seed)
    return Joint.from_conditional(np.full(n, 1 / n), rng.dirichlet(np.ones(n_y), n))


def dual_function(s):
    """G of a solution, from its definition."""
    core = s.problem.reduced
    exponent = np.log(s.p_t)[:, None] - s.beta * core.accurate_distortion(s.p_y_given_t)
    top = exponent.max(axis=0)
    log_z = top + np.log(np.exp(exponent - top).sum(axis=0))
    return DualFunction(core, s.beta, np.log(core.p_x) - log_z)


@pytest.mark.parametrize(("n", "problem"), [(240, IB), (260, DualIB)])
def test_every_row_is_looked_at_and_t_equal_x_compared(n, problem, monkeypatch):
    """On both sides of the number of rows from which all an ascent starts."""
    monkeypatch.setattr("dualib.solvers.columns.MOST_STARTS", 250)
    problem = problem(many_rows(n, 10))
    local = local_critical_beta(problem)
    high = solve(problem, 20 * local, certify=False)
    assert high.objective <= np.log(n)
    assert high.estimated_gap >= dual_function(high).log(problem.p_y_given_x).max() - 1e-10
    warm = solve(problem, 8 * local, certify=False, start=high.p_y_given_t)
    cold = solve(problem, 8 * local, certify=False)
    assert cold.objective <= warm.objective + 1e-9
    assert cold.estimated_gap >= dual_function(cold).log(problem.p_y_given_x).max() - 1e-10
    assert cold.estimated_gap <= 1e-8


def test_a_start_that_ends_above_a_trivial_solution_is_left():
    problem = IB(many_rows(40, 3))
    local = local_critical_beta(problem)
    one = problem.p_y_given_x[:1]
    for factor in (0.5, 1e4):
        s = solve(problem, factor * local, start=one, certify=Certify(max_rounds=0))
        assert s.objective <= min(np.log(40), s.beta * problem.joint.mutual_information()) + 1e-12
        assert s.rate + s.beta * s.distortion == pytest.approx(s.objective, abs=1e-9)


def test_pairs_are_summed_only_where_a_proof_is_asked_for(monkeypatch):
    problem = IB(many_rows(PAIRS_KEPT + 1, 2))
    monkeypatch.setattr(IB, "pair_distortions", None)
    assert solve(problem, 3 * local_critical_beta(problem), certify=False).lower_bound == 0.0


def test_pairs_above_what_is_kept_are_the_same(monkeypatch):
    problem, again = (DualIB(many_rows(30, 4)) for _ in range(2))
    kept = np.stack([problem.pair_distortions(i) for i in range(30)])
    monkeypatch.setattr("dualib.bottleneck.PAIRS_KEPT", 29)
    np.testing.assert_array_equal(kept, np.stack([again.pair_distortions(i) for i in range(30)]))
    assert "_all_pair_distortions" not in again.__dict__


@pytest.mark.parametrize("kind", KINDS)
def test_conjugate_gradients_on_awkward_joints(kind, monkeypatch):
    """As above, with no problem small enough for a Hessian; and with slopes of all pairs, looks at G between steps, no matrices of clusters."""
    monkeypatch.setattr("dualib.solvers.minimum.minimise.__defaults__", (0,))
    monkeypatch.setattr("dualib.solvers.columns.MAX_UNKNOWNS", 0)
    monkeypatch.setattr("dualib.solvers.stability.MAX_UNKNOWNS", 0)
    for seed in range(6):
        monkeypatch.setattr("dualib.solvers.hessian.LARGEST_BLOCKS", 24 if seed % 2 else 0)
        for module in ("columns", "stability"):
            monkeypatch.setattr(f"dualib.solvers.{module}.MANY_SYMBOLS", 40 if seed % 2 else 2)
        for problem in awkward_problems(kind, seed):
            check(problem, any_beta(problem, seed))


def test_zeros_of_a_row_do_not_keep_its_cluster_at_the_edge():
    """The optimum's decoders have a little of every y that another x of the cluster has; G at these is at most 1."""
    rng = np.random.default_rng(0)
    rows, topic = rng.dirichlet(np.full(10, 0.3), 50), rng.integers(0, 50, 64)
    counts = [rng.multinomial(m, rows[t]) for m, t in zip(rng.poisson(60, 64) + 1, topic, strict=True)]
    problem = IB(Joint.from_counts(counts))
    assert (problem.p_y_given_x == 0).any()
    betas = np.geomspace(0.5, 20.0, 50)[[35, 37, 41, 49]] * local_critical_beta(problem)
    found = [point.objective for point in curve_points(problem, betas, certify=False)]
    for beta, objective in zip(betas, found, strict=True):
        it = evaluate(problem.reduced, beta, problem.reduced.p_x, inside(problem.reduced.p_y_given_x, problem))
        assert objective <= iterate(it, 500).value + 1e-9


def test_steps_along_the_simplex_leave_absent_symbols_alone():
    """The basis is orthonormal and orthogonal to √r; a symbol whose r is 0 is in a direction of its own, wherever it stands."""
    r = np.array([[0.0, 0.6, 0.4, 0.0], [0.7, 0.0, 0.0, 0.3], [0.25, 0.25, 0.25, 0.25]])
    basis = tangent_basis(r)
    np.testing.assert_allclose(basis.transpose(0, 2, 1) @ basis, [np.eye(3)] * 3, atol=1e-15)
    np.testing.assert_allclose(np.sqrt(r)[:, None, :] @ basis, 0.0, atol=1e-15)
    for t, y in np.argwhere(r == 0.0):
        assert sorted(np.abs(basis[t, y])) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("seed", [6, 7, 9])
def test_the_rounding_of_a_search_is_no_missing_atom(seed):
    """Below the first transition of a nearly independent table a search may meet log G = 1e-9 where it is 0."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(6, 3.0)) * (1 + 1e-3 * rng.uniform(-1, 1, (5, 6)))
    problem = IB(Joint.from_conditional(rng.dirichlet(np.ones(5)), rows / rows.sum(axis=1, keepdims=True)))
    solution = solve(problem, 0.9 * local_critical_beta(problem))
    assert solution.n_clusters == 1
    assert solution.lower_bound <= float(exact_value(solution)) <= solution.objective + 1e-12


@pytest.mark.parametrize("size", [1e-3, 1e-5])
def test_simplices_prove_what_the_rounding_of_boxes_leaves_open(size):
    """Weak rows of four symbols: boxes, tried first, end with gaps of 4e-7 and 7e-3 nats, all of it rounding."""
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(4, 3.0)) * (1 + size * rng.uniform(-1, 1, (7, 4)))
    joint = dualib.Joint.from_conditional(np.full(7, 1 / 7), rows / rows.sum(axis=1, keepdims=True))
    problem = dualib.IB(joint)
    solution = dualib.solve(problem, 1.5 * dualib.local_critical_beta(problem))
    assert solution.certified
    assert solution.gap < 1e-12
