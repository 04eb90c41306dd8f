"""Products with the Hessian against the dense one and against differences of the gradient; what large sizes do differently."""

import numpy as np
import pytest
from joints import PROBLEMS, random_joint, smooth_joint

from dualib import IB, DualIB, Joint, information_curve, local_critical_beta, solve
from dualib.solvers import ascents, atoms, columns, distances, minimum, newton, overlaps, stability
from dualib.solvers.atoms import start_from
from dualib.solvers.hessian import System
from dualib.solvers.iterate import evaluate
from dualib.solvers.krylov import newton_cg
from dualib.solvers.options import LeftOut


def rough(problem, factor=3.0):
    """An iterate that is no minimum."""
    it = start_from(problem, factor * local_critical_beta(problem))
    return evaluate(problem, it.beta, it.weights, it.atoms * 0.7 + 0.3 * problem.joint.p_y)


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("blocks", [24, 0])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_products_are_those_of_the_dense_hessian(name, blocks, weak, monkeypatch):
    monkeypatch.setattr("dualib.solvers.hessian.LARGEST_BLOCKS", blocks)
    it = rough(PROBLEMS[name](smooth_joint(weak=weak)))
    gradient, hessian, basis = newton._system(it)
    system = System(it)
    inside = np.random.default_rng(1).normal(size=gradient.shape)
    vector = np.column_stack([inside[:, 0], (basis @ inside[:, 1:, None])[:, :, 0]])
    there = np.column_stack([gradient[:, 0], (basis @ gradient[:, 1:, None])[:, :, 0]])
    np.testing.assert_allclose(system.gradient, there, atol=1e-12)
    product = (hessian @ inside.ravel()).reshape(gradient.shape)
    product = np.column_stack([product[:, 0], (basis @ product[:, 1:, None])[:, :, 0]])
    np.testing.assert_allclose(system.product(vector), product, atol=2e-5 * np.abs(product).max())


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_both_newtons_reach_the_same_minimum(name):
    it = rough(PROBLEMS[name](smooth_joint(20, 5)))
    dense, _ = minimum.minimise(it)
    krylov_it, _ = minimum.minimise(it, 0)
    assert krylov_it.value == pytest.approx(dense.value, abs=1e-11)
    end, size, done = newton_cg(krylov_it, 1e-15, 5)
    assert done
    assert size < 1e-6
    assert end.value <= krylov_it.value + 1e-14


def test_g_at_very_many_rows_is_screened_without_loss(monkeypatch):
    problem = IB(smooth_joint(300, 4))
    g = rough(problem).dual
    whole = g.log(problem.p_y_given_x)
    monkeypatch.setattr("dualib.solvers.ascents.SCREENED", 100)
    found = ascents.log_at_rows(g)
    np.testing.assert_allclose(found[whole > 0], whole[whole > 0], rtol=1e-13)
    np.testing.assert_allclose(found, whole, atol=1e-4)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_instability_from_moments(name, monkeypatch):
    it = rough(PROBLEMS[name](smooth_joint(40, 5)))
    slopes, _ = stability.instability(it.problem, it.beta, it.atoms, it.posterior)
    monkeypatch.setattr(stability, "MAX_SLOPES", 0)
    moments, _ = stability.instability(it.problem, it.beta, it.atoms, it.posterior)
    np.testing.assert_allclose(moments, slopes, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_instability_by_products(name, weak):
    it = rough(PROBLEMS[name](smooth_joint(40, 7, weak)))
    whole, _ = stability.instability(it.problem, it.beta, it.atoms, it.posterior)
    found, direction = stability.instability_by_products(it.problem, it.beta, it.atoms, it.posterior)
    np.testing.assert_allclose(found, whole, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose((direction * np.sqrt(it.atoms)).sum(axis=1), 0.0, atol=1e-9)
    few, _ = stability.instability_by_products(it.problem, it.beta, it.atoms, it.posterior, steps=3)
    assert (few <= whole * (1 + 1e-9) + 1e-12).all()  # Ritz values come from below


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_coalescing_never_raises_the_objective(name):
    problem = PROBLEMS[name](smooth_joint(30, 4))
    beta = 1.5 * local_critical_beta(problem)
    it = start_from(problem, beta)
    found = atoms.coalesce(it, 1.0)
    assert found.value <= it.value
    assert len(found.weights) < len(it.weights)
    assert found.weights.sum() == pytest.approx(1.0)
    assert atoms.coalesce(it, 0.0) is it


def test_clusters_whose_union_leaves_an_x_without_any_are_kept_apart():
    """e^{−βd} of the union underflows: 1 + change is 0, whose logarithm is refused without a warning."""
    problem = IB(smooth_joint(6, 4))
    it = evaluate(problem, 1e6, problem.p_x, problem.p_y_given_x)
    assert atoms.coalesce(it, np.inf) is it


def test_a_rival_beyond_a_valley_is_found(monkeypatch):
    """Two locally stable clusters that were merged: G exceeds 1 only at a finite distance, and the tries reach it."""
    rows = np.array([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]])
    problem = DualIB(Joint.from_conditional(np.full(3, 1 / 3), rows))
    betas = np.linspace(0.6, 1.0, 40) * local_critical_beta(problem)
    single = [evaluate(problem, beta, np.ones(1), problem.single_decoder) for beta in betas]
    monkeypatch.setattr(stability, "MAX_UNKNOWNS", 0)
    above = [float(it.dual.log(it.dual.ascend(stability.splits(it), 8)).max(initial=-1.0)) for it in single]
    assert stability.instability(problem, betas[-2], problem.single_decoder, problem.p_x[None])[0][0] < 1.0
    assert above[-2] > 1e-4


def test_a_sample_of_the_rows_starts_very_many(monkeypatch):
    problem = IB(smooth_joint(150, 5))
    beta = 4 * local_critical_beta(problem)
    whole = solve(problem, beta, certify=False)
    assert whole.left_out == ()
    monkeypatch.setattr(atoms, "LARGEST_START", 150)
    assert solve(problem, beta, certify=False).left_out == ()
    monkeypatch.setattr(atoms, "LARGEST_START", 149)
    monkeypatch.setattr(columns, "SAMPLE", 60)
    sampled = solve(problem, beta, certify=False)
    assert sampled.objective == pytest.approx(whole.objective, abs=1e-8)
    assert sampled.left_out == (LeftOut.ALL_ROWS,)
    assert LeftOut.ALL_ROWS.value in sampled.describe()
    curve = information_curve(problem, [0.2 * beta, 0.3 * beta], certify=False)
    assert f"{LeftOut.ALL_ROWS} (at 2 of 2 points)" in curve.note


def test_a_solution_says_where_splits_were_left_out(monkeypatch):
    """On both sides of the limit, and of the share of one x from which on a cluster cannot split."""
    problem = IB(smooth_joint(30, 4))
    whole, limited = (solve(problem, 8 * local_critical_beta(problem), certify=False) for _ in range(2))
    posterior = whole.p_t_given_x * problem.p_x[:, None] / whole.p_t
    mixed = int((posterior.max(axis=0) < stability.MIXED).sum())
    assert 0 < mixed < whole.n_clusters
    monkeypatch.setattr(stability, "MAX_SPLIT_WORK", mixed * 4 * 4 * 30)
    assert whole.left_out == ()
    monkeypatch.setattr(stability, "MAX_SPLIT_WORK", mixed * 4 * 4 * 30 - 1)
    assert limited.left_out == (LeftOut.SPLITS,)
    assert LeftOut.SPLITS.value in limited.describe()
    single = evaluate(problem, whole.beta, np.ones(1), problem.single_decoder)
    for limit, found in ((4 * 4 * 30, True), (4 * 4 * 30 - 1, False)):
        monkeypatch.setattr(stability, "MAX_SPLIT_WORK", limit)
        assert (len(stability.splits(single)) > 0) == found


def test_what_does_not_fit_is_refused_in_words(monkeypatch):
    problem = IB(smooth_joint(50, 13))
    monkeypatch.setattr(atoms, "LARGEST_TABLE", 50 * 9)
    atoms.check_size(9, problem, 3.0)
    with pytest.raises(ValueError, match=r"more than 9 clusters are needed for 50 distinct rows.*do not fit in 2 GB"):
        atoms.check_size(10, problem, 3.0)


def test_a_solution_in_parts_is_the_whole(monkeypatch):
    problem = DualIB(smooth_joint(30, 4))
    whole, parts = (solve(problem, 3 * local_critical_beta(problem), certify=False) for _ in range(2))
    values = [whole.rate, whole.relevance, whole.distortion]
    monkeypatch.setattr("dualib.solution.PAIRS", 7 * parts.n_clusters)
    assert len(parts._parts()) == 5
    np.testing.assert_allclose([parts.rate, parts.relevance, parts.distortion], values, rtol=1e-12)
    q = parts.p_t_given_x
    assert parts.rate == pytest.approx(float(problem.p_x @ (q * np.log(q / (problem.p_x @ q))).sum(axis=1)), abs=1e-12)


@pytest.mark.parametrize(
    ("n_y", "module", "limit"),
    [(4, atoms, "MAX_WEIGHTS_WORK"), (4, stability, "MAX_SPLIT_WORK"), (2, atoms, "START_ATOMS")],
)
def test_what_is_left_out_of_large_problems_changes_no_optimum(n_y, module, limit, monkeypatch):
    problem = IB(smooth_joint(60, n_y))
    beta = 5 * local_critical_beta(problem)
    whole = solve(problem, beta, certify=False)
    it = start_from(problem, beta)
    assert len(it.weights) <= 60
    monkeypatch.setattr(module, limit, 10)
    other = solve(problem, beta, certify=False)
    assert other.objective == pytest.approx(whole.objective, abs=1e-10)
    assert other.estimated_gap <= 1e-9
    assert other.left_out == ((LeftOut.SPLITS,) if limit == "MAX_SPLIT_WORK" else ())


def test_close_pairs_by_table_and_by_tree(monkeypatch):
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    table = distances.separations(rows, rows, 7.0)
    pairs = distances.close_pairs(rows, 7.0, 0.5)
    assert len(pairs) == (table[np.triu_indices(60, 1)] < 0.5).sum() > 20
    assert (np.diff(table[pairs[:, 0], pairs[:, 1]]) >= 0.0).all()
    monkeypatch.setattr("dualib.solvers.distances.FEW_ATOMS", 59)
    np.testing.assert_array_equal(distances.close_pairs(rows, 7.0, 0.5), pairs)


@pytest.mark.parametrize("beta", [0.3, 7.0, 2e3])
def test_atoms_that_are_away_by_table_and_by_tree(monkeypatch, beta):
    rng = np.random.default_rng(4)
    atoms, others = rng.dirichlet(np.full(6, 0.7), 200), rng.dirichlet(np.full(6, 0.7), 50)
    others[:9] = atoms[:9]
    apart = distances.separations(atoms, others, beta).min(axis=1)
    distance = float(np.median(apart))
    table = distances.away(atoms, others, beta, distance)
    np.testing.assert_array_equal(table, apart > distance)
    assert 90 <= table.sum() <= 100
    monkeypatch.setattr("dualib.solvers.distances.FEW_ATOMS", 49)
    np.testing.assert_array_equal(distances.away(atoms, others, beta, distance), table)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_ascents_end_where_plain_ones_do_in_fewer_steps(name):
    """Extrapolated, G never falls, and in thirty steps it is where a thousand plain ones are."""
    it = rough(PROBLEMS[name](smooth_joint(30, 4)))
    g, starts = it.dual, it.problem.p_y_given_x
    found = ascents.ascended(g, starts, 10)
    assert (g.log(found) >= g.log(starts) - 1e-13).all()
    assert g.log(found).max() >= g.log(g.ascend(starts, 1000)).max() - 1e-9


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_a_cluster_is_parted_where_that_lowers_the_objective(name):
    """Far above the transition, with the two atoms between which it has to split given, in one step."""
    problem = PROBLEMS[name](smooth_joint(20, 4))
    beta = 2.0 * local_critical_beta(problem)
    single = evaluate(problem, beta, np.ones(1), problem.single_decoder)
    parted = atoms.part_clusters(single, problem.p_y_given_x)
    assert len(parted.weights) == 2
    assert parted.value < single.value - 1e-4
    assert parted.weights.sum() == pytest.approx(1.0)
    assert atoms.part_clusters(single, problem.single_decoder) is single


def test_steps_far_from_a_minimum_are_limited_cluster_by_cluster():
    """From T = X far below its β, where clusters meet and vanish: Φ never rises, and a minimum is reached."""
    problem = IB(smooth_joint(60, 8))
    it = evaluate(problem, 1.5 * local_critical_beta(problem), problem.p_x, problem.p_y_given_x)
    values = [it.value]
    for _ in range(40):
        it, size, done = newton_cg(it, 1e-15, 1)
        values.append(it.value)
        if done:
            break
    assert done
    assert size < 1e-6
    assert (np.diff(values) <= 1e-14).all()
    assert len(it.weights) < 20


def test_clusters_of_next_to_no_weight_do_not_overflow_in_single_precision():
    problem = DualIB(random_joint(0, 30, 6, 0.3))
    rows, few = problem.p_y_given_x, np.arange(30) < 3
    beta = 150 * local_critical_beta(problem)
    near = evaluate(problem, beta, np.full(3, 1 / 3), rows[few])
    weights = np.where(few, 1.0, 1e-60)
    it = evaluate(problem, beta, weights / weights.sum(), rows, near.log_z)
    assert it.kernel.max() > np.finfo(np.float32).max
    assert np.isfinite(System(it).kernel).all()


def test_products_do_not_depend_on_a_factor_of_z_below_single_precision():
    """e^{−βd} is known up to a factor for each x, which is 1e-45 here."""
    problem = IB(Joint.from_conditional([0.5, 0.3, 0.2], [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]))
    plain = evaluate(problem, 40.0, np.array([1e-8, 1.0]), problem.joint.p_y_given_x[[0, 1]])
    scaled = evaluate(problem, 40.0, plain.weights, plain.atoms, plain.log_z + 45 * np.log(10))
    assert scaled.z.max() < 1e-44
    one, other = System(plain), System(scaled)
    np.testing.assert_allclose(one.curvature, one.exact_curvature, rtol=1e-5)
    np.testing.assert_allclose(other.curvature, one.curvature, rtol=1e-5)
    np.testing.assert_allclose(overlaps.of_weights(other), overlaps.of_weights(one), rtol=1e-5)
    inside = np.random.default_rng(0).normal(size=(2, 3))
    inside -= one.tangent * (one.tangent * inside).sum(axis=1, keepdims=True)
    vector = np.column_stack([[0.3, -1.0], inside])
    np.testing.assert_allclose(other.product(vector), one.product(vector), rtol=1e-5)
