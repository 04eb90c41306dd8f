"""Parabolas that the entropy of q carries about one q: below the divergence, nearly reached, and bounds that hold to 50 digits."""

import numpy as np
import pytest
from joints import KINDS, channel, exact_f

import dualib
from dualib.certificate.boxes import families
from dualib.certificate.boxes.bounds import Relaxation, bound_at
from dualib.certificate.boxes.families import IBBoxes
from dualib.certificate.boxes.local import first_scale, parabolas
from dualib.certificate.boxes.search import max_log_g_over_boxes
from dualib.certificate.boxes.splits import Chords, Split
from dualib.certificate.ceiling import Budget
from dualib.core.special import kl_terms
from dualib.solvers.iterate import evaluate


def case(kind, rng):
    """Rows, β and log-weights at which a random q is the shares of its own mixture r, so that log G(r) = f(q) = 0."""
    _, rows, beta = channel(kind, rng)
    rows = rows[:, (rows > 0).any(axis=0)]
    q = np.maximum(rng.dirichlet(np.full(len(rows), rng.choice([0.3, 1.0, 5.0]))), 1e-12)
    q /= q.sum()
    return rows, beta, np.log(q) + beta * kl_terms(rows, q @ rows).sum(axis=1), q


def boxes_about(centre, rows, rng):
    """Boxes of many sizes that contain the centres (N, K), in the coordinates of rows."""
    size = 10.0 ** -rng.uniform(0, 4, (len(centre), 1)) * (rows.max(axis=0) - rows.min(axis=0))
    low = np.maximum(centre - size * rng.random(centre.shape), rows.min(axis=0))
    high = np.minimum(centre + size * rng.random(centre.shape), rows.max(axis=0))
    return np.minimum(low, centre), np.maximum(high, centre)


def known(relaxation, low, high, mu, rng, rounds):
    """The point of multipliers μ and the curvatures m that hold there, d adapted in some rounds."""
    chords = Chords.of(relaxation.split_by(0.0), low, high)
    point = bound_at(relaxation, chords, mu)
    scale = first_scale(relaxation, high) * 10.0 ** rng.uniform(-1.5, 1.0, (len(low), 1))
    for _ in range(rounds):
        curvature, scale = parabolas(relaxation, point, low, high, scale)
    return point, curvature


@pytest.mark.parametrize("kind", KINDS)
def test_the_divergence_is_above_the_parabolas(kind):
    """Σ ½ m (s' − E)² ≤ D(q'‖q) for every q' with its mixture s' in the box."""
    rng = np.random.default_rng([1, KINDS.index(kind)])
    near = 0
    for _ in range(25):
        rows, beta, log_weights, _ = case(kind, rng)
        relaxation = Relaxation.of(log_weights, rows, beta)
        rows, beta = relaxation.rows, relaxation.beta
        mixtures = rng.dirichlet(np.full(len(rows), 1.0), 40) @ rows
        mu = beta * relaxation.coordinates.logs_at(np.maximum(relaxation.coordinates.probabilities(mixtures), 1e-12))
        start = bound_at(relaxation, Chords.of(relaxation.split, *boxes_about(mixtures, rows, rng)), mu)
        # Tilts of q are the q' that are nearest for their mixtures.
        tilt = rng.normal(size=mu.shape) * 10.0 ** rng.uniform(-3, 1, (40, 1)) * beta
        log_q = np.log(np.maximum(start.posterior, 1e-300)) + tilt @ rows.T
        other = np.exp(log_q - log_q.max(axis=1, keepdims=True))
        other /= other.sum(axis=1, keepdims=True)
        low, high = boxes_about(other @ rows, rows, rng)
        point, curvature = known(relaxation, low, high, mu, rng, int(rng.integers(1, 8)))
        divergence = np.where(other > 0, other * np.log(np.maximum(other, 1e-300) / point.posterior.clip(1e-300)), 0.0)
        below = 0.5 * (curvature * (other @ rows - point.mean) ** 2).sum(axis=1)
        allowance = relaxation.rounding(rows, rows[:0]) + relaxation.unit * np.abs(mu).max()
        assert np.all(below <= divergence.sum(axis=1) + allowance)
        near += (below > 0.1 * divergence.sum(axis=1)).sum()
    assert near > 100


def test_along_the_widest_direction_of_the_rows_the_parabola_is_the_divergence():
    rng = np.random.default_rng(2)
    rows = rng.dirichlet(np.ones(5), 30)
    relaxation = Relaxation.of(60.0 * (rows * np.log(rows)).sum(axis=1), rows, 60.0)  # the same a for all
    r = rows.mean(axis=0)
    low, high = r[None] * (1 - 1e-6), r[None] * (1 + 1e-6)
    mu = np.zeros((1, 5))
    centre, _ = known(relaxation, low, high, mu, rng, 1)
    low, high = centre.mean * (1 - 1e-6), centre.mean * (1 + 1e-6)
    point, curvature = known(relaxation, low, high, mu, rng, 60)
    covariance = point.covariance(relaxation)[0]
    root = np.sqrt(1 / curvature[0])
    top = np.linalg.eigvalsh(covariance / np.outer(root, root))[-1]
    assert top == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_box_of_a_maximum_is_bounded_below_it(kind):
    """Boxes around fixed points at which log G is 0 by construction, any multipliers; some of them to 50 digits."""
    rng = np.random.default_rng([3, KINDS.index(kind)])
    with_parabolas = 0
    for number in range(40):
        rows, beta, log_weights, q = case(kind, rng)
        relaxation = Relaxation.of(log_weights, rows, beta)
        low, high = boxes_about(np.tile(q @ relaxation.rows, (40, 1)), relaxation.rows, rng)
        decoders = relaxation.coordinates.probabilities(rng.uniform(low, high))
        mu = relaxation.beta * relaxation.coordinates.logs_at(np.maximum(decoders, 1e-12))
        point, curvature = known(relaxation, low, high, mu, rng, 4)
        found = bound_at(relaxation, Chords.of(relaxation.parabolas(curvature, high), low, high), mu)
        allowance = relaxation.rounding(np.concatenate([low, relaxation.rows]), rows[:0])
        assert found.bound.min() >= -2 * allowance
        if number < 2:
            assert found.bound.min() + allowance >= float(exact_f(log_weights, rows, beta, q))
        with_parabolas += (found.bound < point.bound).sum()
    assert with_parabolas > 100


@pytest.mark.parametrize("steepness", [1.0, 30.0])
def test_a_parabola_is_no_steeper_than_what_it_is_taken_from(steepness):
    """The rest is convex with ψ'' = min(β/s, m), m below or above β/u, and ψ and it add up to β s log s."""
    rng = np.random.default_rng(4)
    high = rng.uniform(0.05, 1.0, (50, 4))
    low = high * rng.random((50, 4))
    split = Split.parabolas(3.0, steepness * rng.random((50, 4)) * 3.0 / high)
    s = low + (high - low) * np.linspace(1e-9, 1, 80)[:, None, None]
    slopes = split.rest_slope(s)
    assert np.all(np.diff(slopes, axis=0) >= -1e-12)
    intercept, slope = split.tangents(s)
    np.testing.assert_allclose(intercept + slope * s + split.rest(s), 3.0 * s * np.log(s), atol=1e-13)
    np.testing.assert_allclose(split.curvature(s), np.minimum(split.parabola, 3.0 / s))
    step = 1e-6 * s
    rises = split.rest_slope(s + step) - split.rest_slope(s - step)
    smooth = np.abs(s - split.top) > 2 * step
    np.testing.assert_allclose(
        (rises / (2 * step))[smooth], (3.0 / s - split.curvature(s))[smooth], rtol=1e-4, atol=1e-3 / s.min()
    )
    least, most = split.rest(s - step), split.rest(s + step)
    np.testing.assert_allclose((most - least) / (2 * step), split.rest_slope(s), atol=1e-4)
    chosen = np.array([3, 7])
    mixed = Split.of(3.0, np.full((50, 1), 1.1), np.zeros((50, 4))).replaced(chosen, split.take(chosen))
    np.testing.assert_array_equal(mixed.rest(low)[chosen], split.rest(low)[chosen])
    assert np.all(mixed.parabola[np.setdiff1d(np.arange(50), chosen)] == 0)


def test_with_parabolas_far_fewer_boxes_prove_a_flat_g(monkeypatch):
    """Rows of every kind at once, between the first transition and one cluster for each: what contraction and common noise leave open."""

    rng = np.random.default_rng(5)
    joint = dualib.Joint.from_conditional(rng.dirichlet(np.full(40, 2.0)), rng.dirichlet(np.ones(6), 40))
    problem = dualib.IB(joint)
    beta = 1.6 * dualib.local_critical_beta(problem)
    solution = dualib.solve(problem, beta, certify=False)
    log_weights = evaluate(problem.reduced, beta, solution.p_t, solution.p_y_given_t).dual.log_weights
    rows = problem.reduced.p_y_given_x
    budget, atoms = Budget(cells=20_000), solution.p_y_given_t
    with_them = max_log_g_over_boxes(IBBoxes(log_weights, rows, beta), atoms, 1e-6, budget)
    monkeypatch.setattr(families, "parabolas", lambda relaxation, point, low, high, scale: (0 * scale, scale))
    without = max_log_g_over_boxes(IBBoxes(log_weights, rows, beta), atoms, 1e-6, budget)
    assert with_them.complete
    assert with_them.upper <= 1e-6
    assert not without.complete
