r"""The multipliers of a box's bound: Newton steps in μ, with backtracking on the bound itself.

As a function of ν = μ − ψ'(E(μ)) the bound is convex: up to its terms in s it is the exact maximum of H(q) + ⟨q, log a⟩ + Σ ψ(p_q) + ν·p_q,
and its gradient is E. The rest, max over s in {l, u} of e_y s with e = g − ν, has a kink at e_y = 0. At the least bound every
symbol y is either free, e_y = 0, with E_y inside [l_y, u_y], or active, E_y = l_y (e_y < 0) or u_y (e_y > 0). With C = Cov_q(p),
dE = C dμ and dν = (I − diag(ψ''(E)) C) dμ make either a linear equation.

Two rules say which symbols are active. The first guesses the sides at the end from E + C_yy e (a primal-dual active set, which is
done in a few steps where it works); the second keeps the sides that e has now, which descends for certain, up to the kinks.
"""

from __future__ import annotations

from enum import Enum, auto

import numpy as np

from dualib.certificate.boxes.bounds import Point, Relaxation, bound_at
from dualib.certificate.boxes.splits import Chords
from dualib.core.typing import Float, FloatArray, IntArray

MAX_STEPS = 8
FRACTIONS = (1.0, 0.3)  # of a Newton step, tried in turn; full steps alone may diverge at the kinks
WORTH = 0.3  # a step that gains less than this share of the way to the target is the last
GUESSES = 5  # of the sides at the end, each from the last
STOPS = 4  # rounds of finding which symbols a step takes to their kinks
RIDGE = 1e-3  # of (u − l)/β, added to C, which is singular (C 1 = 0)


class Rule(Enum):
    """Which step is tried, in this order."""

    GUESS_SIDES = auto()
    KEEP_SIDES = auto()
    TO_KINKS = auto()  # the way back from where q has hardly more than one row, and no derivative


def least_bound(
    relaxation: Relaxation, chords: Chords, start: Float[np.ndarray, "N k"], target: float, steps: int = MAX_STEPS
) -> Point:
    """Bounds over boxes at multipliers near the best ones; boxes that fall below `target` are left at once.

    Parameters
    ----------
    relaxation, chords : the function and the boxes.
    start : multipliers to begin from, shape (N, K), for example those of the boxes that these were cut from.
    target : nats; a bound below is good enough.
    steps : Newton steps at most.
    """
    point = bound_at(relaxation, chords, start)
    plain = bound_at(relaxation, chords, _to_kinks(relaxation, chords, np.clip(point.mean, chords.low, chords.high)))
    point.replaced(np.arange(len(start)), plain, plain.bound < point.bound)
    open_ = np.flatnonzero(point.bound > target)
    for _ in range(steps):
        if not len(open_):
            break
        before = point.bound[open_]
        failed = open_
        for rule in Rule:
            failed = _step(relaxation, chords, point, failed, target, rule)
            if not len(failed):
                break
        bound = point.bound[open_]
        open_ = open_[(bound > target) & (before - bound > WORTH * (bound - target))]
    return point


def _step(relaxation: Relaxation, chords: Chords, point: Point, index: IntArray, target: float, rule: Rule) -> IntArray:
    """Take a step at the boxes `index`, shortened until the bound falls.

    Returned are those where it hardly does, although the multipliers give much away: Σ |max(e l, e u) − e E| is 0 at the best.
    """
    here, box = point.take(index), chords.take(index)
    if rule is Rule.TO_KINKS:
        sides, direction = np.zeros_like(here.mu), _to_kinks(relaxation, box, 0.5 * (box.low + box.high)) - here.mu
    else:
        covariance = here.covariance(relaxation)
        if rule is Rule.GUESS_SIDES:
            sides, direction = _to_the_end(relaxation, box, here, covariance)
        else:
            sides, direction = _within_sides(relaxation, box, here, covariance, target)
    left = np.arange(len(index))
    for fraction in FRACTIONS:
        part = box.take(left)
        trial = bound_at(relaxation, part, here.mu[left] + fraction * direction[left])
        if rule is Rule.KEEP_SIDES:  # not past the kinks
            crossed = sides[left] * trial.excess <= 0
            trial = bound_at(relaxation, part, trial.mu + np.where(crossed, trial.excess, 0.0))
        better = trial.bound < here.bound[left]
        point.replaced(index[left], trial, better)
        left = left[~better]
        if not len(left):
            break
    now, ahead = point.take(index), WORTH * (point.bound[index] - target)
    lost = np.maximum(now.excess * box.low, now.excess * box.high) - now.excess * now.mean
    again = (ahead > 0) & (here.bound - now.bound <= ahead) & (np.abs(lost).sum(axis=1) > ahead)
    return np.asarray(index[again])


def _to_kinks(relaxation: Relaxation, chords: Chords, mean: FloatArray) -> FloatArray:
    """The μ (up to a constant) at which every e_y is 0 if E is `mean`, brought to its sum."""
    return np.asarray(chords.slope + chords.split.tangents(relaxation.coordinates.balanced(mean))[1])


def _within_sides(
    relaxation: Relaxation, chords: Chords, point: Point, covariance: FloatArray, target: float
) -> tuple[FloatArray, FloatArray]:
    """The sides that e has now, but 0 where the step would take e to its kink, and that step."""
    sides = _sides_now(point, chords, target)
    direction, curvature = np.zeros_like(sides), chords.split.curvature(point.mean)
    for _ in range(STOPS):
        direction = _direction(relaxation, chords, point, covariance, sides)
        change = direction - curvature * (covariance @ direction[:, :, None])[:, :, 0]
        crossing = sides * (point.excess - change) < 0
        if not crossing.any():
            break
        # The first goes to its kink and no further, and the others' steps must know.
        ahead = np.maximum(sides * point.excess, 0.0) / np.maximum(np.abs(change), 1e-300)
        first = np.where(crossing, ahead, np.inf).min(axis=1, keepdims=True)
        sides = np.where(crossing & (ahead <= 1.5 * first + 1e-3), 0.0, sides)
    return sides, direction


def _to_the_end(
    relaxation: Relaxation, chords: Chords, point: Point, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The sides at the end, and the step there: 1 for symbols at their upper end, −1 at the lower one, 0 for free ones.

    A symbol is at an end where E + C_yy e leaves the box; E and e after a step tell the sides better than those before it.
    """
    scale, curvature = np.einsum("nkk->nk", covariance), chords.split.curvature(point.mean)
    sides = _beyond(chords, point.mean + scale * point.excess)
    direction = _direction(relaxation, chords, point, covariance, sides)
    changing = np.arange(len(sides))
    for _ in range(GUESSES):
        step, box = direction[changing], chords.take(changing)
        moved = (covariance[changing] @ step[:, :, None])[:, :, 0]
        excess = point.excess[changing] - step + curvature[changing] * moved
        better = _beyond(box, point.mean[changing] + moved + scale[changing] * excess)
        some = (better != sides[changing]).any(axis=1)
        changing, better = changing[some], better[some]
        if not len(changing):
            break
        sides[changing] = better
        direction[changing] = _direction(relaxation, box.take(some), point.take(changing), covariance[changing], better)
    return sides, direction


def _beyond(chords: Chords, place: FloatArray) -> FloatArray:
    return np.where(place > chords.high, 1.0, np.where(place < chords.low, -1.0, 0.0))


def _sides_now(point: Point, chords: Chords, target: float) -> FloatArray:
    """The sides of the kinks that μ is on; at a kink, the side that the bound falls to, 0 if it rises to both."""
    width = chords.high - chords.low
    at_kink = np.abs(point.excess) * width <= 1e-3 * np.abs(point.bound - target)[:, None]
    downhill = np.where(point.mean > chords.high, 1.0, np.where(point.mean < chords.low, -1.0, 0.0))
    return np.where(at_kink, downhill, np.sign(point.excess))


def _direction(
    relaxation: Relaxation, chords: Chords, point: Point, covariance: FloatArray, sides: FloatArray
) -> FloatArray:
    """The Newton step of μ (N, K) to E_y = the end on its side at the active symbols and e_y = 0 at the others."""
    active, diagonal = sides != 0, np.arange(sides.shape[1])
    matrix = -chords.split.curvature(point.mean)[:, :, None] * covariance
    matrix[:, diagonal, diagonal] += 1.0
    covariance = covariance.copy()
    covariance[:, diagonal, diagonal] += RIDGE * (chords.high - chords.low) / relaxation.beta + 1e-15
    matrix = np.where(active[:, :, None], covariance, matrix)
    right = np.where(active, np.where(sides > 0, chords.high, chords.low) - point.mean, point.excess)
    # Rows of the active symbols may be tiny; scaled alike, the matrix is as well conditioned as it can be.
    scale = np.abs(matrix).max(axis=2, keepdims=True)
    matrix /= scale
    matrix[:, diagonal, diagonal] += 1e-10
    step = np.linalg.solve(matrix, right[:, :, None] / scale)[:, :, 0]
    largest = np.abs(step).max(axis=1, keepdims=True)
    cap = 10.0 + relaxation.steepest
    return np.where(np.isfinite(largest), step * (cap / np.maximum(largest, cap)), 0.0)
