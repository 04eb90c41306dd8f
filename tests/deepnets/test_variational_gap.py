"""The gap of variational objectives to the proven optimum: three parts, each at least 0, that add up to the whole."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

import dualib
from deepnets.variational import (
    CEB,
    VIB,
    Exact,
    NonlinearIB,
    VariationalDualIB,
    VariationalFit,
    VariationalSettings,
    fit_variational,
)
from deepnets.variational.excess import log_densities, parts_at, points_of_states
from deepnets.variational.families import components, log_decoder, normal_code
from deepnets.variational.patterns import Patterns
from dualib import IB, DualIB, Joint

BETAS = (0.7, 4.0, 30.0)
OBJECTIVES = (VIB(Exact()), VariationalDualIB(Exact()), CEB(Exact()), NonlinearIB(Exact()))


@lru_cache
def joints():
    rng = np.random.default_rng(0)
    rows = [rng.dirichlet(np.full(k, a), n) for n, k, a in ((4, 2, 0.5), (3, 3, 1.0), (6, 3, 0.3))]
    return [Joint.from_conditional(rng.dirichlet(np.ones(len(r)) * 3), r) for r in rows]


@lru_cache
def optimum(kind, j, beta):
    return dualib.solve(kind(joints()[j]), beta)


def objective_of_tables(problem, beta, log_e, log_m, log_d):
    """L = Σ p(x) e(t|x) [log e/m + β d(x, d_t)], written out."""
    p = problem.joint.p_y_given_x
    table = np.zeros(log_e.shape)
    for x in range(len(log_e)):
        for t in range(log_e.shape[1]):
            d = np.exp(log_d[t])
            ib = sum(p[x, y] * (np.log(p[x, y]) - log_d[t, y]) for y in range(len(d)))
            dual = sum(d[y] * (log_d[t, y] - np.log(p[x, y])) for y in range(len(d)))
            table[x, t] = ib if isinstance(problem, IB) else dual
    return float(problem.joint.p_x @ (np.exp(log_e) * (log_e - log_m + beta * table)).sum(axis=1))


@pytest.mark.parametrize("kind", [IB, DualIB])
@pytest.mark.parametrize("j", [0, 1, 2])
def test_no_tables_lie_below_the_proven_optimum_and_the_parts_add_up(kind, j):
    rng = np.random.default_rng([j, kind is IB])
    problem = kind(joints()[j])
    for beta in BETAS:
        found, least = optimum(kind, j, beta), np.inf
        for i in range(30):
            states, spread = int(rng.integers(1, 7)), rng.choice([0.3, 1.0, 5.0])
            log_e, log_m, log_d = (
                log_softmax(spread * rng.standard_normal(shape), axis=-1)
                for shape in ((problem.joint.n_x, states), (states,), (states, problem.joint.n_y))
            )
            if i >= 15:  # around the optimum, where the bound is tight
                near = 10.0 ** -(i - 15)
                log_e, log_m, log_d = (
                    log_softmax(np.log(a + 1e-30) + near * rng.standard_normal(a.shape), axis=-1)
                    for a in (found.p_t_given_x, found.p_t, found.p_y_given_t)
                )
            parts = parts_at(problem, beta, points_of_states(problem.joint, log_e, log_m, log_d))
            whole = objective_of_tables(problem, beta, log_e, log_m, log_d)
            assert parts.marginal + parts.decoder + parts.code == pytest.approx(whole, abs=1e-12 * (1 + abs(whole)))
            assert min(parts.marginal, parts.decoder) >= -1e-14
            assert parts.code - found.lower_bound >= -1e-13 * (1 + whole)
            assert whole >= found.lower_bound
            least = min(least, whole)
        assert least == pytest.approx(found.objective, abs=1e-8)


def test_the_parts_of_ceb_are_those_of_the_ib_at_one_plus_gamma():
    rng, law, gamma = np.random.default_rng(3), joints()[1], 2.0
    log_e, log_b, log_d = (log_softmax(rng.standard_normal(s), axis=-1) for s in ((3, 4), (3, 4), (4, 3)))
    parts = parts_at(IB(law), gamma, points_of_states(law, log_e, log_b, log_d), shift=1.0)
    e, p_xy = np.exp(log_e), law.p_xy
    ceb = sum(
        p_xy[x, y] * (e[x] @ (log_e[x] - log_b[y]) - gamma * e[x] @ log_d[:, y]) for x in range(3) for y in range(3)
    )
    entropy = dualib.entropy(law.p_y)
    excess = ceb + (1 + gamma) * law.mutual_information() - gamma * entropy
    assert parts.marginal + parts.decoder + parts.code == pytest.approx(excess, abs=1e-12)
    assert excess >= dualib.solve(IB(law), 1 + gamma).lower_bound
    assert min(parts.marginal, parts.decoder) >= 0


def random_fit(objective, law, seeds=2, betas=(1.0, 8.0), dim=2, seed=0, **settings):
    """Normal codes, marginals and decoders that nobody trained."""
    rng, k = np.random.default_rng(seed), law.n_y
    chosen = VariationalSettings(encoder="gaussian", code_dim=dim, components=3, seeds=seeds, **settings)
    count = {"mixture": 3}.get(chosen.marginal, 1) if objective.name != "ceb" else k
    widths = (dim, k) if chosen.decoder == "affine" else (dim, 5, k)
    shapes = {
        "encoder.table": (law.n_x, 2 * dim),
        **{f"marginal.{name}": (count, dim) for name in ("mean", "log_std")},
        "marginal.logits": (count,),
        **{f"decoder.w{i}": widths[i : i + 2] for i in range(len(widths) - 1)},
        **{f"decoder.b{i}": widths[i + 1 : i + 2] for i in range(len(widths) - 1)},
    }
    params = {name: rng.normal(size=(seeds, len(betas), *shape)).astype(np.float32) for name, shape in shapes.items()}
    patterns, trained = Patterns(law.p_x, law.p_y_given_x), np.tile(np.arange(law.n_x), (seeds, 1))
    return VariationalFit(objective, chosen, patterns, np.array(betas), params, trained)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: o.name)
def test_the_parts_of_normal_codes_add_up_to_the_objective(objective):
    """Against the objective by plain Monte Carlo, with the rate terms written out."""
    law = joints()[2]
    fit = random_fit(objective, law)
    gap, rng = fit.gap(progress=False), np.random.default_rng(0)
    seed, i = 1, 1
    beta, params = 8.0, fit.parameters(seed, i)
    mean, std = (np.asarray(a, float) for a in normal_code(params, fit.inputs))
    z = mean[:, None] + std[:, None] * rng.standard_normal((law.n_x, 20000, 2))
    log_d = np.asarray(log_decoder(params, z), float)
    means, stds, log_weights = (np.asarray(a, float) for a in components(params, fit.settings))
    rows = law.p_y_given_x[:, None]
    log_e = np.stack([log_densities(z[x], mean[x : x + 1], std[x : x + 1])[:, 0] for x in range(law.n_x)])
    log_m = np.stack([log_densities(z[x], means, stds) for x in range(law.n_x)])
    if objective.name == "ceb":
        rate = (rows * (log_e[..., None] - log_m)).sum(axis=-1)
    elif objective.name == "nib":
        divergence = np.array(
            [
                [
                    sum(np.log(std[b] / std[a]) + (std[a] ** 2 + (mean[a] - mean[b]) ** 2) / (2 * std[b] ** 2) - 0.5)
                    for b in range(law.n_x)
                ]
                for a in range(law.n_x)
            ]
        )
        rate = np.broadcast_to(-np.log(np.exp(-divergence) @ law.p_x)[:, None], log_e.shape)
    else:
        rate = log_e - logsumexp(log_m + log_weights, axis=-1)
    if objective.name == "dual":
        distortion = (np.exp(log_d) * (log_d - np.log(rows))).sum(axis=-1)
    else:
        distortion = (rows * (np.log(rows) - log_d)).sum(axis=-1)
    values = rate + beta * distortion
    if objective.name == "ceb":  # less γH(Y|X) as for the others, and I(X;Y) more: E D(e ‖ b) bounds I(X;Z|Y)
        values = values + law.mutual_information()
    low, high = gap.optimum_low[i], gap.optimum_high[i]
    assert high - low < 1e-8
    error = 4 * np.sqrt((law.p_x**2 * values.var(axis=1) / values.shape[1]).sum())
    total = gap.total[seed, i]
    assert law.p_x @ values.mean(axis=1) - high == pytest.approx(total.value, abs=error + 2 * total.width)
    assert error < 0.05 * total.value
    parts = [part[seed, i] for part in gap.parts().values()]
    assert sum(p.value for p in parts) == pytest.approx(total.value, abs=1e-9)
    assert all(p.low >= 0 and p.value > 0 for p in parts)


@pytest.mark.parametrize("marginal", ["standard", "diagonal", "mixture"])
def test_random_normal_codes_do_not_lie_below_the_proven_optimum(marginal):
    for objective in (VIB(Exact()), VariationalDualIB(Exact())):
        fit = random_fit(objective, joints()[0], seeds=12, betas=(0.5, 5.0), marginal=marginal, decoder="hidden")
        gap = fit.gap(progress=False)
        assert (gap.total.low > 0).all()
        assert (gap.encoder.high > 0).all()


def test_a_law_of_other_rows_is_refused():
    with pytest.raises(ValueError, match="judge a fit"):
        random_fit(VIB(Exact()), joints()[0]).gap(joints()[1])


@pytest.mark.parametrize("objective", [VIB(Exact()), VariationalDualIB(Exact())], ids=lambda o: o.name)
def test_without_weight_on_the_labels_nothing_is_transmitted_and_the_decoder_is_the_single_one(objective):
    law = joints()[2]
    fit = fit_variational(
        objective,
        law,
        betas=[0.02],
        encoder="categorical",
        code_dim=3,
        steps=600,
        learning_rate=0.1,
        seeds=1,
        progress=False,
    )
    gap = fit.gap(progress=False)
    assert gap.rate[0, 0] < 1e-3
    single = objective.problem(law).single_decoder[0]
    d = np.exp(np.asarray(log_decoder(fit.parameters(0, 0), np.eye(3, dtype=np.float32))))
    np.testing.assert_allclose(d, np.tile(single, (3, 1)), atol=0.02)
    assert gap.total.value[0, 0] < 1e-3


def test_a_gap_says_its_unit_and_comes_back_from_a_file(tmp_path):
    gap = random_fit(VIB(Exact()), joints()[0]).gap(progress=False)
    gap.save(tmp_path / "gap.npz")
    again = type(gap).load(tmp_path / "gap.npz")
    np.testing.assert_array_equal(again.total.value, gap.total.value)
    bits, nats = gap.to_frame(), gap.to_frame("nats")
    np.testing.assert_allclose(bits["total_gap_bits"] * np.log(2), nats["total_gap_nats"])
    assert len(bits) == 4
    assert "bits" in gap.describe()
    assert [e.value for e in gap.best()] == list(gap.total.value.min(axis=0))


@pytest.mark.slow
def test_vib_reaches_the_optimum_of_the_icosahedral_rule():
    """Normal codes of two dimensions with a mixture as marginal, from eight starts, to 0.02 nats."""
    law = dualib.examples.icosahedron(gamma=10)
    fit = fit_variational(
        VIB(Exact()),
        law,
        betas=[4.0],
        encoder="gaussian",
        code_dim=2,
        steps=3000,
        learning_rate=0.05,
        samples=8,
        seeds=8,
        progress=False,
    )
    gap = fit.gap(progress=False)
    assert gap.best()[0].high <= 0.02
    assert gap.optimum_high[0] == pytest.approx(0.938774, abs=2e-6)
    assert (gap.marginal.low >= 0).all()
