"""Steps along the valley in which two clusters exchange weight, and the methods that stood still in it."""

import numpy as np
import pytest
from joints import PROBLEMS, random_joint, smooth_joint

from dualib import IB, Certify, DualIB, Joint, information_curve, local_critical_beta, solve
from dualib.solvers import columns, krylov, minimum, newton
from dualib.solvers.distances import close_pairs, partners
from dualib.solvers.exchange import NEAR, exchanged
from dualib.solvers.hessian import System
from dualib.solvers.iterate import evaluate
from dualib.solvers.krylov import Path
from dualib.solvers.overlaps import Overlaps, neighbours


def crowded(problem, beta, apart=0.05):
    """An iterate with two clusters that nearly coincide, the first two, and others."""
    it = solve(problem, beta, certify=False)
    weights, atoms = it.p_t, it.p_y_given_t
    off = np.random.default_rng(0).normal(size=atoms.shape[1]) * np.sqrt(atoms[0])
    off -= off.sum() * atoms[0]
    off *= apart / np.sqrt(beta * (off**2 / atoms[0]).sum())
    weights = np.concatenate([weights[:1] * 0.3, weights[:1] * 0.7, weights[1:]])
    return evaluate(problem, beta, weights, np.concatenate([atoms[:1] + 0.7 * off, atoms[:1] - 0.3 * off, atoms[1:]]))


def step_of(it, seed, size):
    rng = np.random.default_rng(seed)
    change = it.weights * rng.normal(size=len(it.weights)) * size
    moved = it.atoms * rng.normal(size=it.atoms.shape) * size / np.sqrt(it.beta)
    return change - change.mean(), moved - it.atoms * moved.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_the_valley_agrees_with_the_straight_line_to_first_order(name):
    it = crowded(PROBLEMS[name](smooth_joint(20, 4)), 10.0)
    off = []
    for size in (1e-3, 1e-4):
        change, moved = step_of(it, 1, size)
        weights, atoms = exchanged(it, change, moved, it.weights + change, it.atoms + moved)
        off.append(np.abs(weights - it.weights - change).max() + np.abs(atoms - it.atoms - moved).max())
        assert not np.array_equal(atoms[:2], (it.atoms + moved)[:2])
        alone = np.setdiff1d(np.arange(len(weights)), np.concatenate(partners(it.atoms, it.beta, NEAR)))
        np.testing.assert_array_equal(atoms[alone], (it.atoms + moved)[alone])
    assert 50 < off[0] / off[1] < 200  # second order


def test_an_exchange_keeps_the_weight_the_mean_and_the_spread():
    it = crowded(IB(smooth_joint(20, 4)), 10.0)
    (a, b), (first, second) = it.weights[:2], it.atoms[:2]
    change, moved = np.zeros_like(it.weights), np.zeros_like(it.atoms)
    change[:2] = np.array([1.0, -1.0]) * 0.5 * a
    # the first-order moves that keep the mean and the spread
    share, total = a / (a + b), a + b
    root = share * (1 - share)
    shrink = -(1 - 2 * share) * change[0] / total / (2 * root)
    moved[0] = (first - second) * ((1 - share) * shrink - change[0] / total)
    moved[1] = (first - second) * (-share * shrink - change[0] / total)
    weights, atoms = exchanged(it, change, moved, it.weights + change, it.atoms + moved)

    def moments(w, r):
        mean = w[:2] @ r[:2] / w[:2].sum()
        return w[:2].sum(), mean, w[0] * w[1] / w[:2].sum() ** 2 * np.multiply.outer(r[0] - r[1], r[0] - r[1])

    for one, other in zip(moments(weights, atoms), moments(it.weights, it.atoms), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)
    assert weights[0] > 1.3 * it.weights[0]
    # In the valley Φ hardly changes; on the straight line to the same weights it climbs.
    straight = evaluate(it.problem, it.beta, it.weights + change, it.atoms).value
    along = evaluate(it.problem, it.beta, weights, atoms).value
    assert abs(along - it.value) < 0.05 * abs(straight - it.value)


def test_weights_that_have_vanished_and_atoms_that_would_leave_the_simplex_keep_the_straight_line():
    it = crowded(IB(smooth_joint(20, 4)), 10.0)
    change, moved = np.zeros_like(it.weights), np.zeros_like(it.atoms)
    empty = evaluate(it.problem, it.beta, np.concatenate([[0.0, 0.0], it.weights[2:]]), it.atoms)
    weights, atoms = exchanged(empty, change, moved, empty.weights, empty.atoms)
    assert np.isfinite(weights).all()
    assert np.isfinite(atoms).all()
    moved[0] = -10.0 * it.atoms[0]
    _, atoms = exchanged(it, change, moved, it.weights, np.abs(it.atoms))
    np.testing.assert_array_equal(atoms, it.atoms)
    far = evaluate(it.problem, it.beta, it.weights[[0, 2]], it.atoms[[0, 2]])
    assert exchanged(far, change[:2], moved[:2], far.weights, far.atoms) is None


@pytest.fixture
def newton_steps(monkeypatch):
    """How many steps of either Newton's method are taken."""
    taken = []
    for module, name in ((newton, "_descend"), (krylov, "System")):
        plain = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, plain=plain, **k: taken.append(1) or plain(*a, **k))
    return taken


def logistic(n):
    p = 1 / (1 + np.exp(-np.linspace(-4, 4, n)))
    return Joint.from_conditional(np.full(n, 1 / n), np.stack([1 - p, p], axis=1))


@pytest.mark.parametrize(("make", "beta"), [(IB, 300.0), (DualIB, 300.0)])
def test_many_clusters_on_a_smooth_curve_take_hundreds_of_steps_not_thousands(make, beta, newton_steps):
    found = solve(make(logistic(150)), beta)
    assert found.certified
    assert len(newton_steps) < 900  # 5740 and 1440 with shifts ten times as far apart


def dirichlet(n, n_y, seed, concentration=1.0):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(n_y, concentration), n) + 1e-9
    return Joint.from_conditional(rng.dirichlet(np.full(n, 3.0)), rows / rows.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("problem", "grid", "most"),
    [
        (
            DualIB(dirichlet(256, 16, 1256)),
            slice(0, 24),
            500,
        ),  # 934: beside a saddle no path of conjugate gradients led down
        (IB(dirichlet(400, 10, 2400, 0.3)), slice(5, 7), 120),  # 186 along straight lines
        (IB(dirichlet(120, 4, 1120)), slice(0, 24), 450),  # 586 where clusters dying out are kept
    ],
    ids=["saddle", "valley", "light"],
)
def test_steps_are_few_where_one_thing_made_them_many(problem, grid, most, newton_steps):
    betas = np.geomspace(0.8, 15.0, 24)[grid] * local_critical_beta(problem)
    curve = information_curve(problem, betas, certify=False)
    assert max(s.estimated_gap for s in curve.solutions) < 1e-9
    assert len(newton_steps) < most


def test_an_atom_that_lowers_g_but_hardly_phi_is_kept():
    """It takes 5e-13 nats from Φ, and 9e-8 from the largest log G."""
    problem = IB(dirichlet(600, 8, 2600, 0.3))
    beta = np.geomspace(0.8, 15.0, 24)[6] * local_critical_beta(problem)
    s = solve(problem, beta, certify=False)
    weights, atoms = s.p_t.copy(), s.p_y_given_t.copy()
    first, second = close_pairs(atoms, beta, 9.0)[0]
    atoms[first] = weights[[first, second]] @ atoms[[first, second]] / weights[[first, second]].sum()
    weights[first] += weights[second]
    fewer = evaluate(problem.reduced, beta, np.delete(weights, second), np.delete(atoms, second, axis=0))
    fewer, _ = minimum.minimise(fewer)
    assert 0 < fewer.value - s.objective < 1e-12
    found = columns.generate_columns(fewer, Certify(), None)
    assert found.estimate < 1e-10
    assert len(found.iterate.weights) == s.n_clusters


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_the_model_falls_on_the_way_and_every_cluster_stays_within_its_limits(name, seed):
    problem = PROBLEMS[name](random_joint(np.random.default_rng(seed), 60, 6))
    beta = 3.0 * local_critical_beta(problem)
    it = solve(problem, beta, certify=False)
    rng = np.random.default_rng(seed)
    atoms = it.p_y_given_t * np.exp(rng.normal(size=it.p_y_given_t.shape) * 0.3)
    weights = it.p_t * np.exp(rng.normal(size=len(it.p_t)))
    system = System(evaluate(problem, beta, weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True)))
    path = Path(system, Overlaps.of(system, neighbours(system.it.atoms, beta)))
    values = [0.0]
    for _ in range(12):
        far = path.forward()
        values.append(float((path.x * (system.gradient + 0.5 * path.product)).sum()))
        if far:
            break
    if not path.damping.any():
        assert max(np.diff(values)) <= 1e-6 * abs(values[-1])
    assert values[-1] < 0
    limits = path.beyond()
    assert limits[path.free[:, 0] > 0].max(initial=0.0) <= 1.0 + 1e-9
