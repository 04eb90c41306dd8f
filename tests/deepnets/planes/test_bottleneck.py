"""The β of a layer: brute-force KL, convexity, exact cases, controls."""

import numpy as np
import pytest
from joints import random_joint
from scipy.optimize import minimize_scalar

import dualib
from deepnets.planes.bottleneck import (
    BETA_MAX,
    exact_curves,
    excess_rate,
    fit_beta,
    fit_random_encoder,
    fit_shared_beta,
)


def brute_residual(codes, joint, beta):
    """E_x KL[p(t|x) ‖ p_β(t|x)] by dense arrays and dualib's own KL."""
    encoder = (codes[:, None] == np.unique(codes)).astype(float)
    p_t = joint.p_x @ encoder
    decoder = (encoder * joint.p_x[:, None]).T @ joint.p_y_given_x / p_t[:, None]
    divergence = np.array([[dualib.kl_divergence(row, q) for q in decoder] for row in joint.p_y_given_x])
    bottleneck = p_t * np.exp(-beta * divergence)
    bottleneck /= bottleneck.sum(axis=1, keepdims=True)
    return float(joint.p_x @ [dualib.kl_divergence(p, q) for p, q in zip(encoder, bottleneck, strict=True)])


@pytest.mark.parametrize("seed", range(5))
def test_residual_is_the_mean_kl_and_its_beta_the_minimum(seed):
    rng = np.random.default_rng(seed)
    joint = random_joint(rng, 12, 3)
    codes = rng.integers(0, 4, 12)
    fit = fit_beta(codes, joint)
    assert fit.residual == pytest.approx(brute_residual(codes, joint, fit.beta), abs=1e-12)
    other = minimize_scalar(lambda b: brute_residual(codes, joint, b), bounds=(0, 200), method="bounded").fun
    assert fit.residual <= other + 1e-9
    for beta in (0.0, 0.3, 2.0, 50.0):
        assert fit_beta(codes, joint, beta).residual == pytest.approx(brute_residual(codes, joint, beta), abs=1e-12)


def test_equal_rows_merge_without_a_difference():
    joint = dualib.Joint.from_conditional(np.full(6, 1 / 6), [[0.9, 0.1]] * 3 + [[0.2, 0.8]] * 3)
    codes = np.array([0, 0, 1, 1, 2, 2])
    assert fit_beta(codes, joint, 3.0).residual == pytest.approx(brute_residual(codes, joint, 3.0), abs=1e-12)


def test_cells_that_hold_one_row_each_satisfy_the_equations_at_large_beta():
    joint = dualib.Joint.from_conditional(np.full(4, 0.25), [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    fit = fit_beta([0, 0, 1, 1], joint)
    assert fit.at_the_edge
    assert fit.beta == BETA_MAX
    assert fit.residual == pytest.approx(0.0, abs=1e-12)
    assert fit.relevance == pytest.approx(joint.mutual_information(), abs=1e-12)


def test_a_layer_that_ignores_the_label_has_beta_zero():
    joint = dualib.Joint.from_conditional(np.full(4, 0.25), [[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.2, 0.8]])
    fit = fit_beta([0, 0, 1, 1], joint)  # p(y|t) is the same in both cells
    assert fit.relevance == pytest.approx(0.0, abs=1e-12)
    assert fit.residual == pytest.approx(fit.rate, abs=1e-12)


def test_an_optimal_encoder_is_found_at_its_own_beta():
    joint = dualib.examples.icosahedron()
    beta = 60.0
    solution = dualib.solve(dualib.IB(joint), beta)
    codes = np.asarray(solution.p_t_given_x).argmax(axis=1)  # nearly hard at large β
    fit = fit_beta(codes, joint)
    random = fit_random_encoder(codes, joint, seed=0)
    assert fit.residual < 0.05 * random.residual
    assert random.rate == pytest.approx(fit.rate, abs=1e-12)  # equally likely patterns


def test_a_shared_beta_is_never_better_than_the_layers_own():
    rng = np.random.default_rng(7)
    joint = random_joint(rng, 20, 3)
    layers = [rng.integers(0, k, 20) for k in (2, 5, 9)]
    shared = fit_shared_beta(layers, joint)
    own = [fit_beta(codes, joint) for codes in layers]
    assert len({fit.beta for fit in shared}) == 1
    assert all(s.residual >= o.residual - 1e-9 for s, o in zip(shared, own, strict=True))
    total = sum(s.residual for s in shared)
    for factor in (0.9, 1.1):
        assert total <= sum(fit_beta(c, joint, shared[0].beta * factor).residual for c in layers) + 1e-9


def test_codes_of_another_length_are_refused_with_both_shapes():
    joint = dualib.examples.toy()
    with pytest.raises(ValueError, match=r"\(3,\).*patterns"):
        fit_beta([0, 1, 2], joint)
    with pytest.raises(ValueError, match="beta"):
        fit_beta(np.zeros(joint.n_x, int), joint, -1.0)


@pytest.mark.parametrize("seed", range(3))
def test_every_encoder_is_above_the_exact_ib_curve(seed):
    rng = np.random.default_rng(seed)
    joint = random_joint(rng, 9, 3)
    ib, dual = exact_curves(joint)
    assert ib.certified.all()
    assert dual.certified.all()
    for k in (2, 3, 9):
        fit = fit_beta(rng.integers(0, k, 9), joint)
        assert excess_rate(fit, ib) > -1e-6
    rates = np.linspace(0, min(ib.rate.max(), dual.rate.max()), 20)
    assert all(dual.at_rate(r).relevance <= ib.at_rate(r).relevance + 1e-4 for r in rates)


def test_a_point_of_the_curve_has_no_excess():
    """Two rows p(y|x): the encoder that tells them apart is the curve's end."""
    joint = dualib.Joint.from_conditional(np.full(4, 0.25), [[0.9, 0.1]] * 2 + [[0.2, 0.8]] * 2)
    ib, _ = exact_curves(joint)
    fit = fit_beta(np.array([0, 0, 1, 1]), joint)
    assert excess_rate(fit, ib) == pytest.approx(0.0, abs=1e-4)
    fine = fit_beta(np.arange(4), joint)
    assert excess_rate(fine, ib) == pytest.approx(np.log(2), abs=1e-4)
