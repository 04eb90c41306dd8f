"""Curves: concavity, brackets between the points, queries, files, transitions and verification of others' points."""

import json
from dataclasses import replace

import numpy as np
import pytest
from joints import PROBLEMS, random_joint

import dualib

KINDS = sorted(PROBLEMS)


@pytest.fixture(scope="module")
def curves():
    joint = random_joint(1, 9, 3)
    problems = {kind: PROBLEMS[kind](joint) for kind in KINDS}
    return {kind: dualib.information_curve(p, dualib.default_betas(p, 24)) for kind, p in problems.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_shape_of_the_curve(curves, kind):
    c = curves[kind]
    assert c.certified.all()
    assert np.all(c.gap <= 1e-9)
    slopes = np.diff(c.objective) / np.diff(c.beta)
    assert np.all(np.diff(slopes) <= 1e-8)
    assert np.all(slopes >= 0)
    # F' = E d lies between the chord slopes beside it
    assert np.all(c.distortion[1:-1] <= slopes[:-1] + 1e-7)
    assert np.all(c.distortion[1:-1] >= slopes[1:] - 1e-7)
    assert np.all(np.diff(c.rate) >= -1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_bracket_between_points(curves, kind):
    c, problem = curves[kind], PROBLEMS[kind](random_joint(1, 9, 3))
    for beta in np.sqrt(c.beta[:-1:7] * c.beta[1::7]):
        lower, upper = c.bracket(beta)
        exact = dualib.solve(problem, beta)
        assert lower <= exact.objective + 1e-12
        assert exact.lower_bound <= upper
        point = c.at_beta(beta)
        assert point.rate + beta * point.distortion >= exact.lower_bound - 1e-12


def test_dual_lies_below_ib(curves):
    ib, dual = curves["ib"], curves["dual"]
    for rate in np.linspace(0.01, min(ib.rate.max(), dual.rate.max()), 40):
        assert dual.at_rate(rate).relevance <= ib.at_rate(rate).relevance_bound + 1e-9
        assert ib.at_rate(rate).relevance <= ib.at_rate(rate).relevance_bound + 1e-9


def test_queries_are_inverse(curves):
    for c in curves.values():
        for rate in np.linspace(c.rate.min(), c.rate.max(), 17)[1:-1]:
            point = c.at_rate(rate)
            assert point.distortion >= point.distortion_bound - 1e-9
            assert c.at_relevance(point.relevance).rate == pytest.approx(rate, abs=1e-6)
        i = len(c.beta) // 2
        assert c.at_beta(c.beta[i]).rate == pytest.approx(c.rate[i], abs=1e-6)
        for query, value in ((c.at_rate, 1e3), (c.at_relevance, 1e3), (c.at_beta, 1e9)):
            with pytest.raises(ValueError, match=r"outside the curve|leaves the curve"):
                query(value)


@pytest.mark.parametrize("kind", ["ib", "dual"])
def test_refinement_brackets_everywhere(kind):
    problem = PROBLEMS[kind](random_joint(2, 7, 3))
    local = dualib.local_critical_beta(problem)
    c = dualib.information_curve(problem, [0.8 * local, 10 * local], tolerance=1e-3)
    betas = np.geomspace(c.beta[0], c.beta[-1], 500)
    lower, upper = c.bracket(betas)
    assert len(c.beta) > 5
    assert np.all(upper - lower <= 1e-3 + 1e-9)
    assert np.all(upper >= lower - 1e-12)


def test_saving_keeps_everything(curves, tmp_path):
    c = curves["dual"]
    c.save(tmp_path / "curve.npz")
    back = dualib.InformationCurve.load(tmp_path / "curve.npz")
    for name in ("beta", "rate", "relevance", "objective", "lower_bound", "gap", "certified", "n_clusters"):
        np.testing.assert_array_equal(getattr(back, name), getattr(c, name))
    assert all(np.array_equal(a, b) for a, b in zip(back.decoders, c.decoders, strict=True))
    assert repr(back.transitions) == repr(c.transitions)
    assert (back.problem, back.mutual_information()) == (c.problem, c.mutual_information())
    assert list(tmp_path.iterdir()) == [tmp_path / "curve.npz"]
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="this is no saved InformationCurve"):
        dualib.InformationCurve.load(tmp_path / "other.npz")


WRONG = {
    "lower bound above F": (
        lambda c: {"lower_bound": c.lower_bound + 5},
        r"lower_bound exceeds objective .* by 5 nats",
    ),
    "lower bound below 0": (lambda c: {"lower_bound": c.lower_bound - 5}, r"0 exceeds lower_bound"),
    "NaN": (lambda c: {"rate": np.where(c.beta == c.beta[3], np.nan, c.rate)}, r"rate\[3\] = nan is not finite"),
    "lengths": (lambda c: {"rate": c.rate[:-1]}, r"rate has shape \(49,\).*beta has 50 entries"),
    "reversed beta": (lambda c: {"beta": c.beta[::-1]}, r"beta\[1\] = .* is not above the one before"),
    "negative beta": (lambda c: {"beta": c.beta - c.beta[0]}, r"beta\[0\] = 0.0 is not positive"),
    "certified with a gap": (lambda c: {"lower_bound": np.maximum(c.lower_bound - 1e-6, 0)}, r"gap exceeds tolerance"),
    "F not concave": (
        lambda c: shifted(c, slice(20, None), 0.1),
        r"concave hull of the lower bounds exceeds objective",
    ),
    "F above I + beta d": (
        lambda c: {"distortion": 0.9 * c.distortion},
        r"lower_bound exceeds rate \+ beta \* distortion",
    ),
    "rate above H(X)": (lambda c: {"entropy_x": 0.5}, r"rate I\(X;T\) exceeds H\(X\)"),
    "relevance above I(X;Y)": (lambda c: {"information_xy": 0.1}, r"relevance I\(T;Y\) exceeds I\(X;Y\)"),
    "relevance above the rate": (
        lambda c: {"relevance": np.full_like(c.rate, 1e-3)},
        r"relevance I\(T;Y\) exceeds rate",
    ),
    "negative rate": (lambda c: {"rate": c.rate - 1e-3}, r"0 exceeds rate|exceeds rate \+ beta"),
    "weights": (lambda c: {"weights": tuple(1.1 * w for w in c.weights)}, r"weights at beta.*off sum 1 by 0\.1"),
    "decoders": (lambda c: {"decoders": tuple(-w for w in c.decoders)}, r"decoders at beta .* are no distribution"),
    "clusters": (lambda c: {"n_clusters": c.n_clusters[::-1]}, r"n_clusters is"),
    "certified as numbers": (
        lambda c: {"certified": 1.0 * c.certified},
        r"certified .* must hold as many truth values",
    ),
    "problem": (lambda c: {"problem": "bottle"}, r"problem = 'bottle' is none of"),
}


def shifted(c, where, amount):
    """Both bounds of F lowered by `amount` at some β: each interval is as narrow as before, and together impossible."""
    change = np.zeros_like(c.beta)
    change[where] = amount
    return {"lower_bound": c.lower_bound - change, "objective": c.objective - change}


@pytest.fixture(scope="module")
def plain():
    problem = dualib.IB(random_joint(1, 9, 3))
    return dualib.information_curve(problem, dualib.default_betas(problem))


@pytest.mark.parametrize("case", WRONG)
def test_what_no_bottleneck_has_is_refused(plain, case):
    change, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        replace(plain, **change(plain))


def test_a_file_is_checked_when_it_is_read(curves, tmp_path):
    curves["ib"].save(tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as archive:
        content = dict(archive)
    record = json.loads(str(content["record"]))
    del record["fields"]["problem"]
    for change, message in (
        ({"lower_bound": content["lower_bound"] + 5}, "lower_bound exceeds objective"),
        ({"beta": content["beta"][::-1]}, "not above the one before"),
        ({"rate": np.append(content["rate"], 1.0)}, "rate has shape"),
        ({"record": np.array("{")}, "Expecting"),
        ({"record": np.array(json.dumps(record))}, "problem"),
        ({"rate": None}, "'rate' is missing"),
    ):
        arrays = {k: v for k, v in (content | change).items() if v is not None}
        np.savez(tmp_path / "changed.npz", **arrays)
        with pytest.raises(ValueError, match=rf"changed\.npz.*{message}"):
            dualib.InformationCurve.load(tmp_path / "changed.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"not a whole \.npz file"):
        dualib.InformationCurve.load(tmp_path / "text.npz")


# --- the default grid, and how it refines itself ---


@pytest.mark.parametrize("kind", ["ib", "dual"])
@pytest.mark.parametrize("joint", [dualib.examples.toy(), dualib.examples.hamming(0.3), dualib.examples.hamming(0.5)])
def test_the_default_curve_resolves_the_plane(kind, joint):
    problem = PROBLEMS[kind](joint)
    first = dualib.first_transition(problem)
    c = dualib.information_curve(problem)
    assert c.beta[0] == pytest.approx(0.8 * first.beta)
    assert c.beta[-1] == pytest.approx(20 * first.local_beta)
    assert c.certified.all()
    assert len(c.beta) < 100
    assert c.transitions[0].beta == pytest.approx(first.beta, rel=1e-5)
    step = np.diff(c.rate) / c.rate.max()
    assert np.all(step[~c.jumps] <= 0.03 + 1e-9)
    assert np.all(c.resolved == (np.abs(step) <= 0.05))
    # The bracket of E d at a rate between two points, from the chord and from both tangents.
    for i in np.flatnonzero(~c.jumps & (step > 1e-4)):
        rate = np.linspace(c.rate[i], c.rate[i + 1], 200)
        chord = np.interp(rate, c.rate[i : i + 2], c.distortion[i : i + 2])
        tangents = [c.distortion[j] - (rate - c.rate[j]) / c.beta[j] for j in (i, i + 1)]
        assert (chord - np.maximum(*tangents)).max() <= 1e-3 * c.distortion[0] + 1e-9
    assert c.jumps.sum() == (0 if joint.n_y == 2 else 1)


def test_a_first_order_transition_is_a_jump():
    """Both ends solve the problem at one β, so their F agree; rate and E d move along a line of slope −1/β."""
    problem = dualib.DualIB(dualib.examples.hamming(0.3))
    c = dualib.information_curve(problem)
    (i,) = np.flatnonzero(c.jumps)
    first = dualib.first_transition(problem)
    assert first.lower * (1 - 1e-6) <= c.beta[i] < c.beta[i + 1] <= first.upper * (1 + 1e-6)
    assert c.rate[i] < 1e-6 < 0.5 < c.rate[i + 1]
    low, high = c.rate[i] + first.beta * c.distortion[i], c.rate[i + 1] + first.beta * c.distortion[i + 1]
    assert low == pytest.approx(high, abs=1e-6)
    assert [t.kind for t in c.transitions] == ["first-order"]
    assert c.transitions[0].n_before == 1


def test_the_cap_on_points_is_stated():
    problem = dualib.IB(dualib.examples.hamming(0.3))
    enough = dualib.information_curve(problem, certify=False)
    assert enough.note == ""
    n = len(enough.beta)
    for cap, note in ((n, ""), (n - 1, f"stopped at {n - 1} points before steps of rate were within 0.03")):
        c = dualib.information_curve(problem, certify=False, max_points=cap)
        assert len(c.beta) == cap
        assert c.note.startswith(note)
        assert bool(c.note) == bool(note)
    local = dualib.local_critical_beta(problem)
    c = dualib.information_curve(problem, [local, 9 * local], tolerance=1e-4, max_points=7, certify=False)
    assert len(c.beta) == 7
    assert "before F was bracketed to 0.0001 nats; raise max_points" in c.note
    for options, message in (({"max_points": 0}, "max_points"), ({"resolution": 2.0}, "share of the largest rate")):
        with pytest.raises(ValueError, match=message):
            dualib.information_curve(problem, **options)


def test_a_given_grid_stays_as_it_is():
    problem = dualib.IB(random_joint(3, 5, 2))
    grid = dualib.default_betas(problem, 12)
    np.testing.assert_array_equal(dualib.information_curve(problem, grid, certify=False).beta, grid)
    refined = dualib.information_curve(problem, grid, resolution=0.1, certify=False)
    assert set(grid) < set(refined.beta)
    assert np.diff(refined.rate).max() <= 0.1 * refined.rate.max() + 1e-9


def test_units_at_the_edge(curves):
    nats, bits = curves["ib"].to_frame("nats"), curves["ib"].to_frame("bits")
    np.testing.assert_allclose(bits["rate_bits"] * np.log(2), nats["rate_nats"])
    np.testing.assert_array_equal(bits["beta"], nats["beta"])


def test_grid_may_come_in_any_order():
    problem = dualib.IB(random_joint(3, 5, 2))
    c = dualib.information_curve(problem, [9.0, 3.0, 9.0, 5.0])
    np.testing.assert_array_equal(c.beta, [3.0, 5.0, 9.0])
    for bad, message in (([], "empty"), ([1.0, -2.0], "must be finite and > 0"), ([np.nan], "must be finite and > 0")):
        with pytest.raises(ValueError, match=message):
            dualib.information_curve(problem, bad)
    with pytest.raises(ValueError, match="must exceed"):
        dualib.information_curve(problem, [1.0, 2.0], tolerance=1e-12)


def test_function_of_x_is_explained():
    joint = dualib.Joint.from_conditional([0.1, 0.2, 0.3, 0.4], np.eye(2)[[0, 1, 0, 1]])
    c = dualib.information_curve(dualib.IB(joint), [0.5, 1.5, 4.0])
    assert "function of X" in c.note
    np.testing.assert_allclose(c.relevance, np.minimum(c.rate, dualib.entropy(joint.p_y)), atol=1e-9)


# --- transitions ---


@pytest.mark.slow
def test_toy_of_the_dual_paper():
    joint = dualib.examples.toy()
    assert joint.mutual_information() == pytest.approx(0.122597451, abs=5e-10)
    # F certified at tolerance 1e-10 on both sides of each (30-digit arithmetic for the first ones).
    for problem, local, expected in (
        (dualib.IB(joint), 4.36547, (4.36503, 12.737, 27.861, 44.411)),
        (dualib.DualIB(joint), 3.25168, (3.22371, 11.810, 26.684, 42.196)),
    ):
        found = dualib.find_transitions(problem, 60.0)
        np.testing.assert_allclose([t.beta for t in found], expected, rtol=1e-4)
        assert [(t.n_before, t.n_after) for t in found] == [(1, 2), (2, 3), (3, 4), (4, 5)]
        assert all(t.kind == "continuous" and t.lower <= t.beta <= t.upper for t in found)
        assert found[0].proven
        assert found[0].local_beta == pytest.approx(local, abs=6e-6)
        for t in found:
            for beta, n in ((t.lower * (1 - 1e-3), t.n_before), (t.upper * (1 + 1e-3), t.n_after)):
                s = dualib.solve(problem, beta, certify=dualib.Certify(tolerance=1e-10))
                assert s.certified
                assert s.n_clusters == n
    for problem, beta, f, rate, relevance in (
        (dualib.IB(joint), 10.913671764, 0.920358033, 0.502012569, 0.084265213),
        (dualib.DualIB(joint), 8.129188952, 0.815135480, 0.449054470, 0.078765258),
    ):
        s = dualib.solve(problem, beta)
        assert s.objective == pytest.approx(f, abs=1e-9)
        assert s.rate == pytest.approx(rate, abs=2e-9)
        assert s.relevance == pytest.approx(relevance, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["ib", "dual"])
def test_first_transition(kind, seed):
    joint = random_joint(seed, 6, 3)
    problem = PROBLEMS[kind](joint)
    first = dualib.first_transition(problem)
    assert first.proven
    assert first.lower <= first.beta <= first.upper <= first.local_beta * (1 + 1e-9)
    above = dualib.solve(problem, first.upper * 1.01, certify=dualib.Certify(tolerance=1e-12))
    below = dualib.solve(problem, first.lower * 0.999)
    assert above.n_clusters > 1
    assert below.n_clusters == 1
    p_x, rows = joint.p_x, joint.p_y_given_x
    if kind == "ib":
        rho = np.linalg.svd(joint.p_xy / np.sqrt(np.outer(p_x, joint.p_y)))[1][1]
        expected = 1 / rho**2
    else:
        r = np.exp(p_x @ np.log(rows))
        r /= r.sum()
        s = np.log(rows / r)
        s = s - (s @ r)[:, None]
        s = s - p_x @ s
        expected = 1 / np.linalg.svd(np.sqrt(p_x)[:, None] * s * np.sqrt(r))[1][0] ** 2
    assert first.local_beta == pytest.approx(expected, rel=1e-9)


def test_first_order_transition():
    first = dualib.first_transition(dualib.DualIB(dualib.examples.hamming(0.3)))
    assert first.kind == "first-order"
    assert first.birth
    assert first.proven
    assert first.beta < 0.75 * first.local_beta


@pytest.mark.parametrize("epsilon", [0.3, 0.5])
@pytest.mark.parametrize("kind", ["ib", "dual"])
def test_transitions_found_with_and_without_the_curve_agree(kind, epsilon):
    """Also of which kind they are: a jump at the first transition is seen from above."""
    problem = PROBLEMS[kind](dualib.examples.hamming(epsilon))
    curve = dualib.information_curve(problem, certify=False)
    found = dualib.find_transitions(problem, curve.beta[-1])
    assert [(t.kind, t.n_before, t.n_after) for t in found] == [
        (t.kind, t.n_before, t.n_after) for t in curve.transitions
    ]
    assert found[0].kind == "first-order"
    assert curve.jumps.any()


# --- verify ---


def test_verify():
    problem = dualib.IB(random_joint(4, 7, 3))
    s = dualib.solve(problem, 8.0)
    good = dualib.verify(problem, 8.0, s.p_t_given_x)
    assert good.certified
    assert good.verdict == "optimal"
    worse = 0.9 * s.p_t_given_x + 0.1 * s.p_t
    bad = dualib.verify(problem, 8.0, worse)
    assert not bad.certified
    assert 0 < bad.excess_lower <= bad.excess_upper <= bad.excess_lower + 1e-9
    assert bad.verdict == "not optimal"
    p_t = problem.p_x @ worse
    rate = problem.p_x @ dualib.kl_divergence(worse, np.tile(p_t, (7, 1)))
    assert bad.objective >= rate
    same = dualib.verify(problem, 8.0, rate=s.rate, relevance=s.relevance)
    assert same.objective == pytest.approx(s.objective, abs=1e-10)
    wrong = dualib.verify(problem, 8.0, rate=s.rate, relevance=s.relevance + 0.01)
    assert wrong.verdict == "impossible"
    with pytest.raises(ValueError, match="give either"):
        dualib.verify(problem, 8.0)
    with pytest.raises(ValueError, match="its rows must be the 7"):
        dualib.verify(problem, 8.0, np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="do not fix the objective"):
        dualib.verify(dualib.DualIB(random_joint(4, 7, 3)), 8.0, rate=0.1, relevance=0.1)


def one_that_rounds():
    """The 484th of a sequence: rounding lifts its log G above 0 next to the single cluster at every β."""
    rng = np.random.default_rng(1)
    for _ in range(484):
        rows = rng.dirichlet(np.ones(2), 4) + 1e-4
        p_x = rng.dirichlet(np.ones(4))
    return dualib.Joint.from_conditional(p_x, rows / rows.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("problem", [dualib.IB, dualib.DualIB])
@pytest.mark.parametrize("seed", range(12))
def test_the_first_transition_is_where_a_second_cluster_pays(problem, seed):
    """Just below its bracket one cluster is optimal, just above two are proven better; IB's is above 1 (η_KL ≤ 1)."""
    rng = np.random.default_rng([1, seed])
    rows = rng.dirichlet(np.ones(2 + seed % 2), 4) + 1e-4
    joint = dualib.Joint.from_conditional(rng.dirichlet(np.ones(4)), rows / rows.sum(axis=1, keepdims=True))
    for one in (joint, one_that_rounds()) if seed == 0 else (joint,):
        found = dualib.first_transition(problem(one))
        assert found.proven
        assert found.lower <= found.upper <= found.local_beta * (1 + 1e-9)
        above = dualib.solve(problem(one), found.upper * (1 + 1e-3))
        single = above.beta * float(one.p_x @ problem(one).distortion(problem(one).single_decoder)[0])
        assert above.n_clusters >= 2
        assert above.objective < single - 1e-9
        below = dualib.solve(problem(one), found.lower * (1 - 1e-3))
        assert below.n_clusters == 1
        assert below.certified
        if problem is dualib.IB:
            assert found.lower > 1
