"""On Gaussian data the dual at β is the IB at β + 1, also when both are learned: the null test of any advantage."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import dualib
from deepnets.variational import CEB, VIB, VariationalDualIB
from deepnets.variational.gaussian import GaussianFit, fit_gaussian
from dualib import GaussianDualIB, GaussianIB

BETAS = np.array([1.5, 2.0, 4.0, 10.0])


def law(n_x=6, n_y=3, seed=0):
    rng = np.random.default_rng(seed)
    a, m = rng.standard_normal((n_x, n_x)), 0.8 * rng.standard_normal((n_y, n_x))
    cov_x = a @ a.T / n_x + 0.3 * np.eye(n_x)
    return cov_x, m @ cov_x @ m.T + np.eye(n_y), cov_x @ m.T


@pytest.fixture(scope="module")
def fits():
    problem = GaussianIB(*law())
    vib = fit_gaussian(VIB(), problem, betas=BETAS, seeds=4, steps=2500)
    return problem, vib, fit_gaussian(VariationalDualIB(), problem, betas=BETAS - 1, seeds=4, steps=2500)


def test_learned_linear_codes_of_both_lie_at_one_point_of_the_exact_curve(fits):
    problem, *both = fits
    exact = problem.curve(BETAS)
    for fit in both:
        gap = fit.gap()
        best = gap.total.value.argmin(axis=0), np.arange(len(BETAS))
        np.testing.assert_allclose(gap.relevance[best], exact.relevance, atol=1e-4)
        np.testing.assert_allclose(gap.rate[best], exact.rate, atol=1e-2)  # flat at the optimum
        assert gap.total.value.min(axis=0).max() < 1e-3
    optimum = GaussianDualIB(problem.cov_x, problem.cov_y, problem.cov_xy).curve(BETAS - 1)
    np.testing.assert_allclose(both[1].optimum, optimum.objective, rtol=1e-12)


def log_normal(away, covariance):
    return multivariate_normal.logpdf(away, np.zeros(len(covariance)), covariance)


@pytest.mark.parametrize("objective", [VIB(), VariationalDualIB()], ids=lambda o: o.name)
def test_the_parts_are_those_of_the_objective_by_sampling(objective):
    """Random codes, marginals and decoders, with densities of SciPy; the optimum is never undercut."""
    problem = GaussianIB(*law(3, 2, 1))
    made = fit_gaussian(objective, problem, betas=[3.0], code_dim=2, seeds=1, steps=1)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        params = {n: v + rng.choice([0.1, 0.7]) * rng.standard_normal(v.shape) for n, v in made.params.items()}
        gap = GaussianFit(objective, made.betas, made.channel, params, made.optimum).gap()
        assert all(part.value[0, 0] > 0 for part in gap.parts().values())
        assert sum(part.value[0, 0] for part in gap.parts().values()) == pytest.approx(gap.total.value[0, 0], abs=1e-11)
    p = {n: v[0, 0] for n, v in params.items()}
    lower = np.tril(p["factor"], -1) + np.diag(np.exp(np.diag(p["factor"])))
    s, n = lower @ lower.T, 200_000
    x = rng.standard_normal((n, 3))
    z = x @ p["w"].T + np.exp(p["log_noise"]) * rng.standard_normal((n, 2))
    y = x @ made.channel.T + rng.standard_normal((n, 2))
    noise, marginal = (np.diag(np.exp(2 * p[name])) for name in ("log_noise", "log_marginal"))
    rate = log_normal(z - x @ p["w"].T, noise) - log_normal(z, marginal)
    centre = z @ p["decoder"].T
    if objective.name == "dual":
        drawn = centre + rng.standard_normal((n, 2)) @ lower.T
        lost = log_normal(drawn - centre, s) - log_normal(drawn - x @ made.channel.T, np.eye(2))
    else:
        lost = log_normal(y - x @ made.channel.T, np.eye(2)) - log_normal(y - centre, s)
    values = rate + 3.0 * lost
    assert values.mean() - made.optimum[0] == pytest.approx(gap.total.value[0, 0], abs=5 * values.std() / np.sqrt(n))


def test_a_fit_comes_back_from_a_file_and_another_objective_is_refused(fits, tmp_path):
    fits[1].save(tmp_path / "fit.npz")
    again = GaussianFit.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.gap().total.value, fits[1].gap().total.value)
    with pytest.raises(ValueError, match="not to ceb"):
        fit_gaussian(CEB(), dualib.GaussianIB(1.0, 1.0, 0.5), betas=[2.0])
