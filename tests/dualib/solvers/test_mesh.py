"""The best weights on a mesh of atoms against their optimality conditions and another algorithm; smooth joints, where they are needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joints import PROBLEMS, random_joint
from scipy.optimize import minimize

import dualib
from dualib.solvers import columns, mesh, minimum
from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import start_from
from dualib.solvers.mesh import best_weights, meshed, most_atoms, sparsest


def objective(kernel, p_x, weights):
    return weights.sum() - p_x @ np.log(weights @ kernel)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 30), st.floats(0.1, 30.0))
def test_the_best_weights_are_optimal_and_few_carry_them(seed, m, n_x, spread):
    """G ≤ 1 everywhere, 1 where there is weight; as few atoms as rows give the same z. More atoms than rows and fewer."""
    rng = np.random.default_rng(seed)
    kernel, p_x = np.exp(-spread * rng.random((m, n_x))), rng.dirichlet(np.ones(n_x))
    weights = best_weights(kernel, p_x, np.full(m, 1.0 / m))
    g = kernel @ (p_x / (weights @ kernel))
    assert weights.min() >= 0.0
    assert g.max() < 1.0 + 1e-7
    assert weights @ (1.0 - g) == pytest.approx(0.0, abs=1e-9)
    assert weights.sum() == pytest.approx(1.0, abs=1e-7)
    few = sparsest(kernel, p_x, weights)
    assert 0 < (few > 0).sum() <= n_x
    assert objective(kernel, p_x, few) == pytest.approx(objective(kernel, p_x, weights), abs=1e-10)


@pytest.mark.parametrize(("m", "n_x"), [(6, 12), (12, 6)])
def test_the_best_weights_are_those_of_another_algorithm(m, n_x):
    rng = np.random.default_rng(m)
    kernel, p_x = np.exp(-3.0 * rng.random((m, n_x))), rng.dirichlet(np.ones(n_x))
    found = objective(kernel, p_x, best_weights(kernel, p_x, np.full(m, 1.0 / m)))
    other = minimize(
        lambda w: objective(kernel, p_x, w),
        np.full(m, 1.0 / m),
        jac=lambda w: 1.0 - kernel @ (p_x / (w @ kernel)),
        bounds=[(0.0, None)] * m,
        method="L-BFGS-B",
        options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 10_000},
    )
    assert found == pytest.approx(other.fun, abs=1e-9)
    assert found <= other.fun + 1e-12


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_mesh_never_raises_the_objective(kind, monkeypatch):
    """Nor does it where the interior point method ends at its number of steps."""
    for seed in range(5):
        core = PROBLEMS[kind](random_joint(seed, 12, 4))
        it = iterate(start_from(core, 4.0 * dualib.local_critical_beta(core)), 5)
        new = meshed(it)
        assert new.value < it.value
        assert new.weights.sum() == pytest.approx(1.0)
        with monkeypatch.context() as few:
            few.setattr(mesh, "MOST_STEPS", 1)
            assert meshed(it).value <= it.value


def test_both_sides_of_the_largest_mesh(monkeypatch):
    for n_x, work in ((10, 1e5), (100, 1e8), (1000, 1e9)):
        monkeypatch.setattr(mesh, "MOST_WORK", work)
        m = most_atoms(n_x)
        assert mesh.USUAL_STEPS * m * n_x * min(m, n_x) <= work < mesh.USUAL_STEPS * (m + 1) * n_x * min(m + 1, n_x)
    core = PROBLEMS["ib"](random_joint(0, 30, 4))
    it = iterate(start_from(core, 4.0 * dualib.local_critical_beta(core)), 5)
    n_t = len(it.weights)
    for atoms, same in ((n_t - 1, True), (n_t, False)):
        monkeypatch.setattr(mesh, "MOST_WORK", 1.001 * mesh.USUAL_STEPS * atoms * 30 * min(atoms, 30))
        assert (meshed(it) is it) == same


def gaussian(n_x, n_y, rho):
    """A Gaussian of correlation rho on a grid: smooth, its clusters overlap at every β."""
    x, y = np.linspace(-3, 3, n_x)[:, None], np.linspace(-3, 3, n_y)
    p = np.exp(-(x**2 - 2 * rho * x * y + y**2) / (2 * (1 - rho**2)))
    return dualib.Joint(p / p.sum())


@pytest.mark.parametrize(("n_x", "n_y", "rho", "times"), [(50, 50, 0.8, 9.0), (60, 12, 0.7, 20.0)])
def test_smooth_joints_reach_their_optimum(n_x, n_y, rho, times, monkeypatch):
    """Within 1e-8 nats of what G of all rows and ascents tells; without meshes it ends above, and without exact steps, too."""
    problem = dualib.IB(gaussian(n_x, n_y, rho)).reduced
    beta = times * dualib.local_critical_beta(problem)
    start = start_from(problem, beta)
    found = columns.generate_columns(start, dualib.Certify(), None)
    assert found.estimate < 1e-8
    for name, other in (("meshed", lambda it: it), ("FINE", minimum.ROUGH)):
        with monkeypatch.context() as without:
            without.setattr(minimum, name, other)
            ended = columns.generate_columns(start, dualib.Certify(), None)
        assert found.iterate.value < ended.iterate.value - 5e-11


def test_the_curve_of_a_gaussian_on_a_grid_is_that_of_the_gaussian():
    """Where the grid is fine and wide relevance at a rate is that of [chechik2005]_ to the cut tails."""
    joint = gaussian(61, 61, 0.6)
    problem = dualib.IB(joint)
    curve = dualib.information_curve(problem, np.geomspace(3.2, 12.0, 4), certify=False)
    assert curve.estimated_gap.max() < 1e-8
    rho_squared = 1.0 - np.exp(-2.0 * joint.mutual_information())
    expected = -0.5 * np.log1p(-rho_squared * -np.expm1(-2.0 * curve.rate))
    np.testing.assert_allclose(curve.relevance, expected, rtol=0.02)
