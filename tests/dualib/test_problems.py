"""Distortions, decoders and derivatives of the problems against their definitions."""

import numpy as np
import pytest
from joints import PROBLEMS, random_joint
from scipy.special import rel_entr

import dualib

KINDS = sorted(PROBLEMS)


def atoms(seed, n, n_y):
    return np.random.default_rng(seed).dirichlet(np.ones(n_y), n)


@pytest.mark.parametrize("kind", KINDS)
def test_distortion_is_the_divergence_it_names(kind):
    joint, r = random_joint(0, 6, 4), atoms(1, 5, 4)
    rows = joint.p_y_given_x
    if kind == "ib":
        expected = rel_entr(rows[None], r[:, None]).sum(axis=2)
    elif kind == "dual":
        expected = rel_entr(r[:, None], rows[None]).sum(axis=2)
    else:
        expected = (1 - (rows[None] ** 0.4 * r[:, None] ** 0.6).sum(axis=2)) / 0.24
    np.testing.assert_allclose(PROBLEMS[kind](joint).distortion(r), expected, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_decoder_is_the_best_one(kind):
    problem, rng = PROBLEMS[kind](random_joint(2, 7, 3)), np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(7), 4)
    best = (weights * problem.distortion(problem.decode(weights))).sum(axis=1)
    for r in rng.dirichlet(np.ones(3), 300):
        assert np.all((weights * problem.distortion(np.tile(r, (4, 1)))).sum(axis=1) >= best - 1e-13)
    np.testing.assert_allclose(problem.decode(5.0 * weights), problem.decode(weights), atol=1e-15)


@pytest.mark.parametrize("kind", sorted(PROBLEMS))
def test_decoders_sum_to_one_whatever_the_rounding_of_their_sums(kind):
    """Sums over 10⁵ x are that far off, and a decoder of sum 1 + δ would lower every β d by β δ: a first transition at β = 0."""
    problem = PROBLEMS[kind](random_joint(3, 9, 4))
    sums = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]) @ problem.sums[:3]
    sums[:, 1:] *= 1.0 + 4e-13
    found = problem.decode_sums(sums)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=0.0, atol=4.5e-16)


@pytest.mark.parametrize("kind", KINDS)
def test_slope_and_features_are_the_derivatives(kind):
    problem, r = PROBLEMS[kind](random_joint(4, 5, 4)), atoms(5, 3, 4)
    h = 1e-5
    slope = problem.slope(r) / np.sqrt(r)[:, None, :]
    for y in range(1, 4):  # along δ_y − δ_0, so that a constant over y drops out
        step = h * (np.eye(4)[y] - np.eye(4)[0])
        up, here, down = (-problem.distortion(r + s * step) for s in (1, 0, -1))
        np.testing.assert_allclose(slope[:, :, y] - slope[:, :, 0], (up - down) / (2 * h), rtol=1e-6, atol=1e-7)
        along = problem.slope_along(r, np.tile(step / h, (3, 1, 1)))[:, 0]
        np.testing.assert_allclose(along, (up - down) / (2 * h), rtol=1e-6, atol=1e-7)
        curvature = problem.features[None] * (r ** -(1 + problem.power))[:, None, :]
        np.testing.assert_allclose(
            -(curvature[..., y] + curvature[..., 0]), (up - 2 * here + down) / h**2, rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize(("alpha", "kind"), [(1 - 1e-7, dualib.IB), (1e-7, dualib.DualIB)])
def test_alpha_runs_from_dual_to_ib(alpha, kind):
    joint, r = random_joint(6, 5, 3), atoms(7, 4, 3)
    np.testing.assert_allclose(dualib.AlphaIB(joint, alpha).distortion(r), kind(joint).distortion(r), atol=1e-6)
    near = dualib.solve(dualib.AlphaIB(joint, 1e-4 if kind is dualib.DualIB else 1 - 1e-4), 4.0)
    assert abs(near.objective - dualib.solve(kind(joint), 4.0).objective) < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_pair_distortion_is_a_minimum(kind):
    problem = PROBLEMS[kind](random_joint(8, 4, 3))
    table = np.stack([problem.pair_distortions(i) for i in range(4)])
    assert np.allclose(table, table.T)
    assert np.all(np.diag(table) == 0)
    for r in atoms(9, 300, 3):
        d = problem.distortion(r[None])[0]
        assert np.all(0.5 * (d[:, None] + d) >= table - 1e-12)


def test_bad_problems_are_refused():
    joint = dualib.Joint([[0.5, 0.0], [0.2, 0.3]])
    with pytest.raises(ValueError, match=r"row 0, column 1 \(1 zeros.*smoothed"):
        dualib.DualIB(joint)
    with pytest.raises(ValueError, match=r"alpha = 1.5 is outside"):
        dualib.AlphaIB(joint, 1.5)
    with pytest.raises(TypeError, match=r"takes a dualib\.Joint"):
        dualib.IB(joint.p_xy)
