"""What rows have in common: the identity behind it, concavity, what is known of the maximum of a box, and bounds against 50 digits."""

import numpy as np
import pytest
from joints import KINDS, channel, exact_f

from dualib.certificate.boxes.bounds import Relaxation
from dualib.certificate.boxes.families import IBBoxes
from dualib.certificate.boxes.noise import CommonNoise
from dualib.certificate.boxes.search import max_log_g_over_boxes
from dualib.certificate.boxes.splits import Chords, Split
from dualib.certificate.ceiling import Budget
from dualib.core.special import kl_terms

NOISY = "noisy labels"


def rows_of(kind, rng):
    """Rows and a β: one label a row, seen through noise of many strengths, or any other kind."""
    if kind != NOISY:
        _, rows, beta = channel(kind, rng)
        return rows[:, (rows > 0).any(axis=0)], beta
    k = int(rng.integers(3, 11))
    counts = rng.integers(1, 30, (6 * k, 1)) * np.eye(k)[np.arange(6 * k) % k]
    counts += rng.integers(0, 2, counts.shape) * (rng.random(counts.shape) < 0.1)
    rows = counts + rng.choice([0.1, 0.5])
    return rows / rows.sum(axis=1, keepdims=True), rng.uniform(1.1, 1.6)


def fixed_point(rows, beta, rng):
    """Weights at which a random q is the shares of its own mixture r: log G(r) = f(q) = 0. Returns log w, q and r."""
    q = rng.dirichlet(np.full(len(rows), rng.choice([0.3, 1.0, 5.0])))
    q = np.maximum(q, 1e-12) / np.maximum(q, 1e-12).sum()
    r = q @ rows
    return np.log(q) + beta * kl_terms(rows, r).sum(axis=1), q, r


def boxes_around(r, rows, rng, number):
    least, most = rows.min(axis=0), rows.max(axis=0)
    size = 10.0 ** -rng.uniform(0, 3, (number, 1))
    low = r * (least / r) ** (size * rng.random((number, len(r)))) if np.all(least > 0) else r * (1 - size)
    high = r * (most / r) ** (size * rng.random((number, len(r))))
    return np.clip(low, least, r), np.clip(high, r, most)


def test_the_variance_by_what_pairs_of_symbols_have_in_common():
    rng = np.random.default_rng(0)
    rows, q = rng.dirichlet(np.ones(5), 9), rng.dirichlet(np.ones(9))
    level, epsilon = rng.uniform(-0.05, 0.15, 5), rng.normal(size=5)
    left, v = rows - level, q @ rows - level
    in_common = np.einsum("x,xy,xz->yz", q, left, left)
    dirichlet = 0.5 * (in_common * (epsilon[:, None] - epsilon) ** 2).sum()
    variance = q @ (rows @ epsilon) ** 2 - (q @ rows @ epsilon) ** 2
    assert variance + (v @ epsilon) ** 2 == pytest.approx((1 - level.sum()) * v @ epsilon**2 - dirichlet, abs=1e-14)


def excess(rows, q, d):
    """The least eigenvalue of diag(d) − Cov_q(p), scaled to the size of d."""
    covariance = (rows * q[:, None]).T @ rows - np.outer(q @ rows, q @ rows)
    root = np.sqrt(np.maximum(d, 1e-12))
    return np.linalg.eigvalsh((np.diag(d) - covariance) / np.outer(root, root))[0]


@pytest.mark.parametrize("kind", [NOISY, "generic", "tiny"])
def test_the_entropy_and_what_stays_with_it_are_concave_on_the_set(kind):
    """Σ ψ(s') − ψ(s) − ψ'(s)(s' − s) ≤ D(q' ‖ q) for q and q' in the set, and nearly reached; not for all q outside of it."""
    rng = np.random.default_rng(1)
    pairs, outside = 0, 0
    for _ in range(30):
        rows, beta = rows_of(kind, rng)
        k = rows.shape[1]
        noise = CommonNoise(Relaxation.of(np.zeros(len(rows)), rows, beta))
        for level in range(len(noise.levels)):
            extra = np.tile(rng.choice([1e-9, 1e-3, 1e-2, 0.1]) * rng.random(k) * (level > 0), (60, 1))
            split = noise.split(np.full(60, level), extra)
            q, other = np.maximum(rng.dirichlet(np.full(len(rows), rng.choice([0.02, 0.3, 3.0])), (2, 60)), 1e-14)
            q, other = q / q.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True)
            inside = np.all([noise.holds(p, np.full(60, level), extra) for p in (q, other)], axis=0)
            s, t = q @ rows, other @ rows
            intercept, slope = split.tangents(s)
            rise = (beta * t * np.log(t) - split.rest(t) - beta * t - intercept - slope * t).sum(axis=1) + beta
            divergence = (other * np.log(other / q)).sum(axis=1)
            assert np.all(rise[inside] <= divergence[inside] + 1e-10)
            d = (s - noise.levels[level]) / noise.shares[level] + extra
            assert min((excess(rows, *case) for case in zip(q[inside], d[inside], strict=True)), default=0.0) > -1e-7
            pairs += inside.sum()
            outside += (rise > divergence + 1e-10).sum()
    assert pairs > 500
    assert outside > 0 or kind != NOISY


@pytest.mark.parametrize("kind", [NOISY, *KINDS])
def test_the_shares_of_a_maximum_are_where_its_box_says(kind):
    rng = np.random.default_rng([2, len(kind)])
    found = 0
    for _ in range(60):
        rows, beta = rows_of(kind, rng)
        log_weights, q, r = fixed_point(rows, beta, rng)
        relaxation = Relaxation.of(log_weights, rows, beta)
        if not np.all(rows > 0) or relaxation.coordinates.total == 0:  # of deviations, nothing is asked
            continue
        noise = CommonNoise(relaxation)
        low, high = boxes_around(r, rows, rng, 40)
        level, extra = noise.least(low, high, np.zeros(40, dtype=int), np.zeros(low.shape))
        assert noise.holds(np.broadcast_to(q, (40, len(q))), level, extra).all()
        d = (r - noise.levels[level]) / noise.shares[level][:, None] + extra
        assert min(excess(rows, q, one) for one in d) > -1e-7
        # What is known of a box is known of every part of it, and looked for again, gives less away.
        part = low + 0.5 * (np.minimum(r, high) - low), high
        again = noise.least(*part, level, extra)
        middle = 0.5 * (part[0] + part[1])
        gaps = [Chords.of(noise.split(*known), *part).gaps(middle).sum(axis=1) for known in (again, (level, extra))]
        assert np.all(gaps[0] <= gaps[1])
        found += (level > 0).sum()
    assert found > 100 or kind != NOISY


@pytest.mark.parametrize("kind", [NOISY, *KINDS])
def test_no_box_of_a_maximum_is_bounded_below_it(kind):
    """Thousands of boxes around fixed points at which log G is 0 by construction; some of them to 50 digits."""
    rng = np.random.default_rng([3, len(kind)])
    near = with_noise = 0
    for number in range(60):
        rows, beta = rows_of(kind, rng)
        log_weights, q, r = fixed_point(rows, beta, rng)
        boxes = IBBoxes(log_weights, rows, beta)
        low, high = (boxes.relaxation.coordinates.of(end) for end in boxes_around(r, rows, rng, 40))
        low, high = boxes.tighten(low, high, 0.0)
        start = np.tile(boxes.root(np.full(len(r), 1 / len(r)))[2], (40, 1))
        found = boxes.examine(low, np.maximum(high, low), start, np.full(40, 1e3), -1e3)
        allowance = boxes.relaxation.rounding(low, r[None])
        assert found.bound.min() >= -2 * allowance
        near += (found.bound < 0.02).sum()
        with_noise += (found.start[:, len(r)] > 0).sum()
        if number < 3:
            assert found.bound.min() + allowance >= float(exact_f(log_weights, rows, beta, q))
    assert near > 100
    assert with_noise > 100 or kind != NOISY


def test_both_sides_of_a_bend():
    """ψ and g add up to β s log s; g is 0, then convex and above its tangents, below its chords; ψ'' is the lesser of two."""
    rng = np.random.default_rng(4)
    for beta, share in ((1.3, 1.1), (1.3, 1.3), (1.3, 1.4), (8.0, 2.0)):
        shift = np.r_[0.0, 1e-9, rng.uniform(0, 0.1, 4), -1e-9, -1e-3, -0.1][None]
        split = Split.of(beta, np.full((1, 1), share), shift)
        lowered = np.where(shift < 0, np.minimum(share, beta), share)
        s = np.unique(np.r_[np.maximum(shift, 0)[0] + 1e-6, np.geomspace(2e-2, 1.0, 400)])[:, None] + np.maximum(
            shift, 0
        )
        rest = split.rest(s)
        slopes = np.diff(rest, axis=0) / np.diff(s, axis=0)
        assert np.all(np.diff(slopes, axis=0) >= -1e-9 * (1 + np.abs(slopes[1:])))
        assert np.all(rest[s <= split.bend] == 0)
        intercept, slope = split.tangents(s)
        np.testing.assert_allclose(intercept + slope * s + rest, beta * s * np.log(s), atol=1e-12)
        step = 1e-5 * s
        change = (split.tangents(s + step)[1] - split.tangents(s - step)[1]) / (2 * step)
        away = np.abs(s - split.bend) > 2 * step
        np.testing.assert_allclose(change[away], split.curvature(s)[away], rtol=1e-5)
        np.testing.assert_allclose(split.curvature(s), np.minimum(beta / s, lowered / (s - shift)), rtol=1e-9)
        low, high = (np.quantile(s, at, axis=0)[None] for at in (0.1, 0.7))
        chords = Chords.of(split, low, high)
        between = low + (high - low) * np.linspace(0, 1, 50)[:, None]
        assert np.all(chords.slope * between + chords.offset >= split.rest(between) - 1e-14)


def test_noise_that_all_labels_share_makes_a_hard_proof_easy():
    """Six noisy labels just below the first transition, each row of its own noise: few boxes, where contraction alone leaves a gap."""
    k, beta = 6, 1.19
    noise = np.tile([0.03, 0.1, 0.2], k)[:, None]
    rows = (1 - noise) * np.repeat(np.eye(k), 3, axis=0) + noise / k
    r = rows.mean(axis=0)
    log_weights = np.log(np.full(3 * k, 1 / (3 * k))) + beta * (rows * np.log(rows / r)).sum(axis=1)
    boxes = IBBoxes(log_weights, rows, beta)
    with_noise = max_log_g_over_boxes(boxes, r[None], 1e-7, Budget(cells=2000))
    boxes = IBBoxes(log_weights, rows, beta)
    boxes.noise.levels = boxes.noise.levels[:1]
    without = max_log_g_over_boxes(boxes, r[None], 1e-7, Budget(cells=2000))
    assert with_noise.complete
    assert not without.complete


def test_fewer_levels_are_tried_where_their_tables_are_large(monkeypatch):
    from dualib.certificate.boxes import noise

    rows, beta = rows_of(NOISY, np.random.default_rng(6))
    relaxation = Relaxation.of(np.zeros(len(rows)), rows, beta)
    entries = len(rows) * rows.shape[1] * (rows.shape[1] - 1) // 2
    for tables, levels in ((0, 1), (entries, 1), (3 * entries, 3), (1000 * entries, noise.LEVELS)):
        monkeypatch.setattr(noise, "TABLES", tables)
        assert len(CommonNoise(relaxation).levels) == levels
