r"""The multipliers of a box's bound in the dual problem: proximal Newton steps, with backtracking on the bound itself.

The bound is A(βτg − e) + β(τC + h(log τ)), h(t) = e^t − 1 − t, which is smooth and convex in (e, τ), plus Σ_y max(e_y l_y, e_y u_y),
which has kinks at e_y = 0 only. A step minimises the quadratic model of the first part plus the second part as it is, symbol by symbol,
τ eliminated.

Where q has hardly more than one row the curvature of A, Cov_q(t), says nothing of what comes next; such boxes are tried again with
the covariance of q^{1/θ}, θ > 1, which sees the other rows.
"""

from __future__ import annotations

import numpy as np

from dualib.certificate.boxes.dual_bounds import DualChords, DualPoint, DualRelaxation, dual_bound_at
from dualib.core.special import log1p_gap
from dualib.core.typing import Float, FloatArray, IntArray

STEPS, MORE_STEPS = 3, 9  # of all boxes, and of those that need a larger θ
SWEEPS = 6  # over the symbols, for the minimum of a model
FRACTIONS = (1.0, 0.4, 0.1, 0.02)  # of a step, tried in turn
WORTH = 0.1  # a step that gains less than this share of the way to the target is not worth another
HOTTER, HOTTEST = 8.0, 512.0  # θ grows and shrinks by this factor, up to that
RIDGE, FLOOR = 1e-3, 1e-14  # of (u − l)², and of the largest t², added to the curvature
LEAST, MOST = -0.75, 3.0  # relative change of τ in a step
LEAST_RATIO = -1.0 + 1e-12  # of τ to its best value, less 1


def least_dual_bound(
    relaxation: DualRelaxation,
    chords: DualChords,
    excess: Float[np.ndarray, "N k"],
    log_tau: Float[np.ndarray, " N"],
    target: float,
) -> DualPoint:
    """Bounds over boxes at multipliers near the best ones; boxes that fall below `target` are left at once.

    Parameters
    ----------
    relaxation, chords : the function and the boxes.
    excess, log_tau : multipliers to begin from, for example those of the boxes that these were cut from.
    target : nats; a bound below is good enough.
    """
    point = dual_bound_at(relaxation, chords, excess, log_tau)
    inside = np.clip(point.mean, chords.low, chords.high)
    above = np.maximum((chords.slope * inside + chords.offset).sum(axis=1), 0.0)
    plain = dual_bound_at(relaxation, chords, np.zeros_like(excess), -np.log1p(above))
    point.replaced(np.arange(len(excess)), plain, plain.bound < point.bound)
    open_, heat = np.flatnonzero(point.bound > target), np.ones(len(excess))
    for step in range(MORE_STEPS):
        if not len(open_):
            break
        before = point.bound[open_]
        full = _step(relaxation, chords.take(open_), point, open_, heat[open_])
        heat[open_[full]] = np.maximum(heat[open_[full]] / HOTTER, 1.0)
        bound = point.bound[open_]
        ahead = WORTH * (bound - target)
        slow = before - bound <= ahead
        stuck = slow & (_lost(relaxation, chords.take(open_), point, open_) > ahead)
        heat[open_[stuck]] *= HOTTER
        more = stuck | (heat[open_] > 1.0) | (~slow & (step + 1 < STEPS))
        open_ = open_[(bound > target) & (heat[open_] <= HOTTEST) & more]
    return point


def _lost(relaxation: DualRelaxation, chords: DualChords, point: DualPoint, index: IntArray) -> FloatArray:
    """What the multipliers give away, nats, (N,): 0 at the best ones."""
    excess, mean = point.excess[index], point.mean[index]
    log_tau = point.log_tau[index]
    tau = np.exp(log_tau)
    sides = np.abs(np.maximum(excess * chords.low, excess * chords.high) - excess * mean)
    outside = np.maximum(chords.low - mean, 0.0) + np.maximum(mean - chords.high, 0.0)
    weighted = (sides + relaxation.beta * tau[:, None] * (chords.slope + relaxation.centre) * outside).sum(axis=1)
    # τ(1 + S) − 1, S the chords at t(q)
    beyond = np.expm1(log_tau) + tau * (chords.slope * mean + chords.offset).sum(axis=1)
    return np.asarray(weighted + relaxation.beta * log1p_gap(np.maximum(beyond, LEAST_RATIO)))


def _step(
    relaxation: DualRelaxation, chords: DualChords, point: DualPoint, index: IntArray, heat: FloatArray
) -> np.ndarray:
    """Take a step at the boxes `index`, shortened until the bound falls; returned is where it did at full length."""
    excess, log_tau, before = point.excess[index], point.log_tau[index], point.bound[index]
    further, faster = _direction(relaxation, chords, point, index, heat)
    left, full = np.arange(len(index)), np.zeros(len(index), dtype=bool)
    for fraction in FRACTIONS:
        trial = dual_bound_at(
            relaxation,
            chords.take(left),
            excess[left] + fraction * further[left],
            log_tau[left] + np.log1p(np.clip(fraction * faster[left], LEAST, MOST)),
        )
        better = trial.bound < before[left]
        point.replaced(index[left], trial, better)
        full[left[better]] = fraction == FRACTIONS[0]
        left = left[~better]
        if not len(left):
            break
    return full


def _direction(
    relaxation: DualRelaxation, chords: DualChords, point: DualPoint, index: IntArray, heat: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The steps of e (N, K) and of τ, relative to τ (N,), to the minimum of the model."""
    beta, mean, q = relaxation.beta, point.mean[index], point.posterior[index]
    log_tau = point.log_tau[index]
    tau = np.exp(log_tau)
    centre, hot = mean, np.flatnonzero(heat > 1.0)
    if len(hot):
        q[hot] = np.maximum(q[hot], 1e-300) ** (1.0 / heat[hot])[:, None]
        q[hot] /= q[hot].sum(axis=1, keepdims=True)
        centre = q @ relaxation.odds
    # K first: a symbol's numbers of all boxes lie together.
    flat = ((q @ relaxation.products).T)[relaxation.unpack]
    centre, low, high, e = centre.T, chords.low.T, chords.high.T, point.excess[index].T
    slope = chords.slope.T * tau  # by log τ
    hessian = flat - centre[:, None] * centre[None]
    along = (hessian * slope[None]).sum(axis=1)
    mixed, of_tau = -beta * along, beta * beta * (slope * along).sum(axis=0) + beta
    slope_of_tau = beta * ((slope * mean.T).sum(axis=0) + tau * chords.offset.sum(axis=1) + np.expm1(log_tau))
    hessian -= mixed[:, None] * (mixed / of_tau)[None]
    diagonal = np.arange(len(e))
    hessian[diagonal, diagonal] += RIDGE * (high - low) ** 2 + FLOOR * relaxation.largest.max() ** 2
    gradient = -mean.T - mixed * (slope_of_tau / of_tau)
    at = np.ascontiguousarray(e)
    for _ in range(SWEEPS):
        for y in diagonal:
            curvature, here = hessian[y, y], at[y]
            above, below = here - (gradient[y] + high[y]) / curvature, here - (gradient[y] + low[y]) / curvature
            there = np.maximum(above, 0.0) + np.minimum(below, 0.0)
            gradient += hessian[y] * (there - here)
            at[y] = there
    further = at - e
    faster = -(slope_of_tau + (mixed * further).sum(axis=0)) / of_tau
    return np.asarray(further.T), np.asarray(faster)
