"""Solutions: identities, the self-consistent equations, invariances, limits, and the cases where annealing fails."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joints import PROBLEMS, random_joint

import dualib
from dualib.certificate import search
from dualib.certificate.boxes import contraction
from dualib.certificate.ceiling import Method
from dualib.hull import HullKind
from dualib.solvers import prove
from dualib.solvers.iterate import evaluate
from dualib.solvers.prove import Status

KINDS = sorted(PROBLEMS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1.3, 4.0, 12.0])
def test_identities_and_equations(kind, factor):
    joint = random_joint(1, 10, 4)
    problem = PROBLEMS[kind](joint)
    s = dualib.solve(problem, factor * dualib.local_critical_beta(problem))
    assert s.rate + s.beta * s.distortion == pytest.approx(s.objective, abs=1e-10)
    assert 0 <= s.relevance <= min(s.rate, joint.mutual_information()) + 1e-12
    np.testing.assert_allclose(s.p_t_given_x.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(joint.p_x @ s.p_t_given_x, s.p_t, atol=1e-7)
    np.testing.assert_allclose(problem.decode(s.p_t_given_x.T * joint.p_x), s.p_y_given_t, atol=1e-6)
    encoder = s.p_t * np.exp(-s.beta * problem.distortion(s.p_y_given_t).T)
    np.testing.assert_allclose(encoder / encoder.sum(axis=1, keepdims=True), s.p_t_given_x, atol=1e-10)
    np.testing.assert_allclose(s.encode(joint.p_y_given_x), s.p_t_given_x, atol=1e-9)
    np.testing.assert_allclose(s.encode(joint.p_y_given_x[3]), s.p_t_given_x[3], atol=1e-9)
    if kind == "ib":
        assert s.distortion == pytest.approx(joint.mutual_information() - s.relevance, abs=1e-10)
        assert s.decoder_information == pytest.approx(s.relevance, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_relabelling_and_splitting_change_nothing(kind):
    joint, rng = random_joint(2, 8, 3), np.random.default_rng(0)
    beta = 3 * dualib.local_critical_beta(PROBLEMS[kind](joint))
    base = dualib.solve(PROBLEMS[kind](joint), beta)
    x, y = rng.permutation(8), rng.permutation(3)
    moved = dualib.solve(PROBLEMS[kind](dualib.Joint(joint.p_xy[np.ix_(x, y)])), beta)
    assert moved.objective == pytest.approx(base.objective, abs=1e-10)
    split = dualib.Joint(np.concatenate([joint.p_xy * 0.25, joint.p_xy * 0.75]))
    twice = dualib.solve(PROBLEMS[kind](split), beta)
    assert twice.objective == pytest.approx(base.objective, abs=1e-10)
    assert twice.p_t_given_x.shape[0] == 16
    np.testing.assert_allclose(twice.p_t_given_x[:8], twice.p_t_given_x[8:], atol=1e-12)
    assert twice.rate == pytest.approx(base.rate, abs=1e-6)


def test_merging_symbols_loses_information():
    joint = random_joint(3, 8, 4)
    merged = dualib.Joint(np.stack([joint.p_xy[:, 0] + joint.p_xy[:, 1], joint.p_xy[:, 2], joint.p_xy[:, 3]], axis=1))
    for beta in (2.0, 5.0, 15.0):
        full, less = (dualib.solve(dualib.IB(j), beta) for j in (joint, merged))
        # D over fewer symbols is smaller for every encoder, so F is too.
        assert less.lower_bound <= full.objective


@pytest.mark.parametrize("kind", KINDS)
def test_limits(kind):
    joint = random_joint(4, 6, 3)
    problem = PROBLEMS[kind](joint)
    first = dualib.first_transition(problem)
    low = dualib.solve(problem, 0.5 * first.beta)
    assert low.n_clusters == 1
    assert low.rate == pytest.approx(0, abs=1e-12)
    assert low.certified
    if kind == "ib":
        assert low.objective == pytest.approx(low.beta * joint.mutual_information(), abs=1e-12)
    if kind == "dual":
        z = np.exp(joint.p_x @ np.log(joint.p_y_given_x)).sum()
        assert low.objective == pytest.approx(-low.beta * np.log(z), abs=1e-12)
    high = dualib.solve(problem, 5e4 * first.beta)
    assert high.n_clusters == 6
    assert high.objective == pytest.approx(dualib.entropy(joint.p_x), abs=1e-3)


@pytest.mark.parametrize(
    ("problem", "epsilon", "beta", "objective"),
    [
        (dualib.DualIB, 0.3, 2.847963, 1.224091991),
        (dualib.DualIB, 0.3, 4.075460, 1.358722172),
        (dualib.IB, 0.5, 8.145, 1.171585240),
        (dualib.IB, 0.5, 8.955, 1.242194296),
    ],
)
def test_where_annealing_fails(problem, epsilon, beta, objective):
    s = dualib.solve(problem(dualib.examples.hamming(epsilon)), beta)
    assert s.certified
    # β is given to 7 digits: F may differ by E d times its rounding
    assert s.objective == pytest.approx(objective, abs=2e-9 + 5e-7 * s.distortion * (beta != round(beta, 3)))


@pytest.mark.parametrize("seed", range(3))
def test_no_encoder_beats_data_processing(seed):
    """I(X;T) − β I(T;Y) + β I(X;Y) of random encoders is at least min(1, β) I(X;Y), and so is every F."""
    joint = random_joint(seed, 5, 4)
    rng, information = np.random.default_rng(seed), joint.mutual_information()
    encoders = [rng.dirichlet(np.full(4, c), 5) for c in (0.05, 0.3, 1.0) for _ in range(30)]
    tables = [
        (dualib.mutual_information(joint.p_x[:, None] * q), dualib.mutual_information(q.T @ joint.p_xy))
        for q in encoders
    ]
    for beta in (0.5, 0.99, 1.0, 1.5, 4.0, 100.0):
        it = evaluate(dualib.IB(joint), beta, np.ones(1), dualib.IB(joint).single_decoder)
        bound = prove.processing_bound(it)
        assert bound == pytest.approx(min(1.0, beta) * information, abs=1e-13)
        assert bound <= min(1.0, beta) * information
        assert min(rate + beta * (information - relevance) for rate, relevance in tables) >= bound
        assert dualib.solve(it.problem, beta, certify=False).objective >= bound
    assert prove.processing_bound(evaluate(dualib.DualIB(joint), 1.0, np.ones(1), joint.p_y[None])) == 0.0


@pytest.mark.parametrize("excess", [-1e-8, -1e-9, 0.0, 1e-9, 1e-8, 1e-6])
def test_where_g_is_flat_deterministic_labels_are_solved_and_proven(excess):
    """At β = 1 every function of Y is optimal, and neither steps nor cells find their way: from atoms far off as from all rows."""
    rng = np.random.default_rng(0)
    joint = dualib.Joint.from_conditional(rng.dirichlet(np.full(12, 3.0)), np.eye(4)[np.arange(12) % 4])
    problem, beta = dualib.IB(joint), 1.0 + excess
    for start in (None, rng.dirichlet(np.ones(4), 7)):
        s = dualib.solve(problem, beta, start=start)
        assert (s.status, s.method, s.cells) == (Status.CERTIFIED, Method.PROCESSING, 0)
        assert s.objective == pytest.approx(min(1.0, beta) * joint.mutual_information(), abs=1e-12)
        assert s.gap < 1e-12


def test_zeros_are_fine_for_ib_and_alpha():
    joint = dualib.Joint([[0.3, 0.0, 0.1], [0.0, 0.2, 0.0], [0.1, 0.1, 0.2]])
    for problem in (dualib.IB(joint), dualib.AlphaIB(joint, 0.3)):
        for factor in (0.9, 2.0, 8.0):
            s = dualib.solve(problem, factor * dualib.local_critical_beta(problem))
            assert s.certified, s.status
            assert s.gap <= 1e-9


def test_deterministic_labels():
    joint = dualib.Joint.from_conditional([0.25] * 4, np.eye(3)[[0, 1, 1, 2]])
    h = dualib.entropy(joint.p_y)
    above, below = dualib.solve(dualib.IB(joint), 3.0), dualib.solve(dualib.IB(joint), 0.7)
    assert above.certified
    assert above.rate == pytest.approx(h, abs=1e-9)
    assert above.relevance == pytest.approx(h, abs=1e-9)
    assert below.objective == pytest.approx(0.7 * h, abs=1e-9)


def test_a_start_far_off_ends_at_the_same_optimum():
    problem = dualib.DualIB(random_joint(5, 12, 3))
    base = dualib.solve(problem, 10.0)
    for seed in range(3):
        start = np.random.default_rng(seed).dirichlet(np.ones(3), 4)
        assert dualib.solve(problem, 10.0, start=start).objective == pytest.approx(base.objective, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.floats(max_value=0.0), st.just(float("nan")), st.just(float("inf")), st.text(max_size=3)))
def test_bad_beta(beta):
    problem = dualib.IB(random_joint(6, 3, 2))
    try:
        float(beta)
        message = "must be finite and > 0"
    except ValueError:
        message = "must be a number"
    if message == "must be a number" or not 0 < float(beta) < np.inf:
        with pytest.raises(ValueError, match=message):
            dualib.solve(problem, beta)


def test_bad_options_and_new_rows():
    with pytest.raises(ValueError, match="tolerance = 0"):
        dualib.Certify(tolerance=0.0)
    with pytest.raises(ValueError, match="max_cells must be at least 0, got -1"):
        dualib.Certify(max_cells=-1)
    assert dualib.Certify(max_work=3e8) == dualib.Certify(max_work=300_000_000)
    for wrong in (0.5, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"max_work must be a whole number, got {wrong}"):
            dualib.Certify(max_work=wrong)
    s = dualib.solve(dualib.DualIB(random_joint(7, 4, 3)), 5.0)
    with pytest.raises(ValueError, match="2 symbols y, the solution 3"):
        s.encode([0.5, 0.5])
    with pytest.raises(ValueError, match="p\\(y\\|x\\) is 0"):
        s.encode([0.5, 0.5, 0.0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_solution_survives_its_file(kind, tmp_path):
    problem = PROBLEMS[kind](random_joint(8, 6, 3))
    verification = dualib.verify(problem, 6.0, np.full((6, 2), 0.5))
    verification.save(tmp_path / "v.npz")
    again = dualib.Verification.load(tmp_path / "v.npz")
    one, two = verification.solution, again.solution
    assert (again.verdict, again.refuted, again.excess_lower) == ("not optimal", True, verification.excess_lower)
    assert type(two.problem) is type(problem)
    assert two.describe() == one.describe()
    assert two.certified
    for name in ("p_t", "p_y_given_t"):
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name))
    np.testing.assert_allclose(two.p_t_given_x, one.p_t_given_x, rtol=1e-12)
    np.testing.assert_allclose(two.encode(problem.p_y_given_x), one.encode(problem.p_y_given_x), rtol=1e-12)


def test_the_method_that_proved_it_is_named():
    """Pairs where every x is its own cluster; few x by their posteriors; otherwise the decoders; without a proof 0."""
    few = dualib.DualIB(random_joint(4, 3, 5))
    assert (few.hull.kind, few.dimension) == (HullKind.LOG_MIXTURES, 2)
    for problem, factor, method in (
        (few, 2.0, Method.POSTERIORS),
        (dualib.IB(random_joint(4, 6, 3)), 2.0, Method.DECODERS),
        (dualib.IB(random_joint(4, 6, 3)), 1e4, Method.PAIRS),
    ):
        s = dualib.solve(problem, factor * dualib.local_critical_beta(problem))
        assert (s.method, s.status) == (method, Status.CERTIFIED)
        assert method.value in s.describe()
    unproven = dualib.solve(few, 5.0, certify=False)
    assert (unproven.method, unproven.status, unproven.lower_bound) == (Method.SIGN, Status.NOT_ASKED, 0.0)


def test_the_knob_that_would_help_is_named():
    problem = dualib.IB(random_joint(6, 16, 4))
    for certify, status in (
        (dualib.Certify(max_cells=200, max_work=100), Status.CELLS),
        (dualib.Certify(max_dimension=2, max_work=100), Status.WORK),
        (dualib.Certify(tolerance=1e-14), Status.ROUNDING),
    ):
        s = dualib.solve(problem, 8.0, certify=certify)
        assert not s.certified
        assert s.status is status
    dual = dualib.DualIB(random_joint(5, 12, 17))  # 144 pairs of rows: cells of rows are tried, or are too many
    for max_work, status in ((10**6, Status.GAP), (10**4, Status.WORK)):
        assert dualib.solve(dual, 5.0, certify=dualib.Certify(max_work=max_work)).status is status
    rows = np.random.default_rng(0).dirichlet(np.full(6, 0.4), 30)
    missing = dualib.IB(dualib.Joint.from_conditional(np.full(30, 1 / 30), rows))
    beta = 3.0 * dualib.local_critical_beta(missing)
    for max_rounds, status in ((0, Status.ROUNDS), (40, Status.CERTIFIED)):
        limits = dualib.Certify(max_rounds=max_rounds, max_work=3_000_000)
        assert dualib.solve(missing, beta, certify=limits).status is status
    with pytest.raises(TypeError, match="certify must be True, False"):
        dualib.solve(problem, 8.0, certify=1e-6)


def test_auto_proves_what_is_small_and_says_what_it_leaves_out(monkeypatch):
    problem = dualib.IB(random_joint(5, 12, 6))
    assert dualib.solve(problem, 8.0).status is Status.CERTIFIED
    monkeypatch.setattr(prove, "AUTO_WORK", 10_000.0)
    left_out = dualib.solve(problem, 8.0)
    assert left_out.status is Status.TOO_LARGE
    assert left_out.method in (Method.PAIRS, Method.SIGN)
    assert left_out.lower_bound <= left_out.objective
    assert dualib.solve(problem, 8.0, certify=True).status is Status.CERTIFIED
    low = dualib.IB(random_joint(6, 16, 4))  # in small dimensions simplices are cut up to a number that fits
    assert dualib.solve(low, 8.0).status in (Status.TOO_LARGE, Status.CELLS)
    assert dualib.solve(low, 8.0, certify=True).status is Status.CERTIFIED


def test_where_the_contraction_coefficient_is_not_known_the_status_says_so(monkeypatch):
    problem = dualib.IB(random_joint(5, 12, 6))
    monkeypatch.setattr(search, "MOST_ROWS", 11)
    monkeypatch.setattr(contraction, "MOST_ROWS", 11)
    assert dualib.solve(problem, 8.0, certify=dualib.Certify(max_work=10**5)).status is Status.ROWS
    monkeypatch.setattr(search, "MOST_ROWS", 12)
    assert dualib.solve(problem, 8.0, certify=dualib.Certify(max_work=10**5)).status is Status.WORK


def test_the_work_is_counted_and_kept():
    problem = dualib.DualIB(random_joint(5, 24, 8))
    beta, gaps = 4.0 * dualib.local_critical_beta(problem), []
    for max_work in (10**5, 10**6, 10**7):
        s = dualib.solve(problem, beta, certify=dualib.Certify(max_work=max_work))
        assert 0 < s.work <= 1.2 * max_work + 3e5  # a batch of boxes is finished
        gaps.append(s.gap)
    assert gaps[0] >= gaps[1] >= gaps[2]


def test_what_rounding_leaves_open_is_not_for_more_work_to_close():
    """All boxes are closed, and the allowance for rounding exceeds the tolerance: rows that differ by 1e-4, β of ten millions."""
    rows = np.full((6, 5), 0.2) * (1 + 1e-4 * np.random.default_rng(0).uniform(-1, 1, (6, 5)))
    problem = dualib.DualIB(dualib.Joint.from_conditional(np.full(6, 1 / 6), rows / rows.sum(axis=1, keepdims=True)))
    beta = 1.5 * dualib.local_critical_beta(problem)
    s = dualib.solve(problem, beta, certify=dualib.Certify(tolerance=1e-13))
    assert 1e-13 < s.gap < 1e-11
    assert s.status is Status.ROUNDING
    more = dualib.solve(problem, beta, certify=dualib.Certify(tolerance=1e-13, max_work=10**9))
    assert more.cells == s.cells
    assert dualib.solve(problem, beta).certified


def test_the_work_of_boxes_counts_where_simplices_prove_more(monkeypatch):
    tried = []

    def recorded(*args):
        tried.append(search.search_in_any_dimension(*args))
        return tried[-1]

    monkeypatch.setattr(prove, "search_in_any_dimension", recorded)
    s = dualib.solve(dualib.IB(random_joint(6, 16, 4)), 8.0, certify=dualib.Certify(max_work=10**4))
    assert (s.method, s.status) == (Method.DECODERS, Status.CERTIFIED)
    assert s.work == sum(ceiling.work for ceiling, _ in tried) > 0


@pytest.mark.parametrize("seed", range(5))
def test_rate_and_relevance_are_those_of_the_encoder_wherever_the_minimisation_stopped(seed):
    """The data processing inequality holds for the encoder, not for weights that are off its marginal."""
    joint = random_joint(seed, 6, 6, concentration=0.05)
    rng = np.random.default_rng(seed)
    solution = dualib.solve(dualib.IB(joint), 1.5, certify=False)
    off = solution.p_t * np.exp(rng.normal(0, 0.1, solution.n_clusters))
    stopped = replace(solution, p_t=off / off.sum())
    table = joint.p_x[:, None] * stopped.p_t_given_x
    assert stopped.rate == pytest.approx(dualib.mutual_information(table), abs=1e-12)
    assert stopped.relevance == pytest.approx(dualib.mutual_information(table.T @ joint.p_y_given_x), abs=1e-12)
    assert stopped.relevance <= stopped.rate + 1e-12
