"""What every bottleneck curve obeys, checked in one place: when a curve is made, from solutions or from a file."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from dualib.core.arrays import SUM_TOLERANCE
from dualib.core.special import EPS
from dualib.core.typing import BoolArray, FloatArray

PROBLEMS = ("ib", "dual", "alpha")
Fields = SimpleNamespace  # the fields of a curve
REAL = ("beta", "rate", "relevance", "decoder_information", "distortion", "objective", "lower_bound", "estimated_gap")


def check_curve(curve: Fields) -> None:
    r"""Refuse a curve that no bottleneck problem has.

    .. math:: 0 \le \text{lower bound} \le F(\beta) \le \text{objective}, \qquad F \text{ concave, non-decreasing}, F(0) = 0,

    .. math:: \text{lower bound} \le I(X;T) + \beta E d, \qquad
              0 \le I(T;Y) \le \min(I(X;T), I(X;Y)), \qquad I(X;T) \le H(X),

    each up to the rounding of F, 1e-9 (1 + F) + 64 ε β nats, except lower bound ≤ objective, which holds exactly. β is
    positive and ascends; certified points have a gap within `tolerance`; weights and rows of decoders sum to 1.

    Parameters
    ----------
    curve : SimpleNamespace
        The fields of an :class:`dualib.InformationCurve`.

    Raises
    ------
    ValueError
        The message names the first entry that is wrong, and by how much.
    """
    _check_arrays(curve)
    _check_numbers(curve)
    _check_bounds(curve)
    _check_clusters(curve)


def rounding(curve: Fields) -> FloatArray:
    """Nats by which F may be off by rounding at each β, shape (n_beta,)."""
    return np.asarray(1e-9 * (1.0 + np.abs(curve.objective)) + 64.0 * EPS * curve.beta)


def _check_arrays(curve: Fields) -> None:
    n = len(np.atleast_1d(curve.beta))
    for name in (*REAL, "certified", "n_clusters"):
        array = np.asarray(getattr(curve, name))
        kinds = {"certified": "b", "n_clusters": "iu"}.get(name, "fiu")
        if array.shape != (n,) or array.dtype.kind not in kinds:
            raise ValueError(
                f"curve: {name} has shape {array.shape} and type {array.dtype}; beta has {n} entries, and {name} must "
                f"hold as many {'truth values' if kinds == 'b' else 'numbers'}"
            )
    if n == 0:
        raise ValueError("curve: beta is empty; a curve has at least one point")
    for name in ("decoders", "weights", *(["encoders"] if curve.encoders else [])):
        if len(getattr(curve, name)) != n:
            raise ValueError(f"curve: {name} has {len(getattr(curve, name))} entries for {n} beta")


def _check_numbers(curve: Fields) -> None:
    for name in REAL:
        _refuse(curve, ~np.isfinite(getattr(curve, name)), name, "is not finite")
    _refuse(curve, ~(curve.beta > 0), "beta", "is not positive")
    _refuse(curve, np.r_[False, np.diff(curve.beta) <= 0], "beta", "is not above the one before; sort the points by β")
    if curve.problem not in PROBLEMS:
        raise ValueError(f"curve: problem = {curve.problem!r} is none of {', '.join(PROBLEMS)}")
    for name, low in (("information_xy", -SUM_TOLERANCE), ("entropy_x", 0.0), ("tolerance", 0.0)):
        value = getattr(curve, name)
        if not value >= low:
            raise ValueError(f"curve: {name} = {value} nats must not be negative")


def _check_bounds(curve: Fields) -> None:
    slack = rounding(curve)
    zero = np.zeros_like(slack)
    lower, upper = curve.lower_bound, curve.objective
    _below(curve, zero, lower, 0.0, "0", "lower_bound")
    _below(curve, lower, upper, 0.0, "lower_bound", "objective")
    tolerance = np.where(curve.certified, curve.tolerance, np.inf)
    _below(curve, upper - lower, tolerance, 1e-6 * curve.tolerance, "gap", f"tolerance, {curve.tolerance:g},")
    _below(curve, lower, curve.rate + curve.beta * curve.distortion, slack, "lower_bound", "rate + beta * distortion")
    _below(
        curve, concave_majorant(curve.beta, lower), upper, slack, "the concave hull of the lower bounds", "objective"
    )
    for name in ("rate", "relevance", "decoder_information", "distortion", "estimated_gap"):
        _below(curve, zero, getattr(curve, name), slack, "0", name)
    entropy, ceiling = zero + curve.entropy_x, zero + curve.information_xy
    _below(curve, curve.rate, entropy, slack, "rate I(X;T)", "H(X)")
    _below(curve, curve.relevance, ceiling, slack, "relevance I(T;Y)", "I(X;Y)")
    _below(curve, curve.relevance, curve.rate, slack, "relevance I(T;Y)", "rate I(X;T)")


def _check_clusters(curve: Fields) -> None:
    shape = np.shape(curve.decoders[0])[1:]
    for i, (weights, rows) in enumerate(zip(curve.weights, curve.decoders, strict=True)):
        n = int(curve.n_clusters[i])
        if np.shape(weights) != (n,) or np.shape(rows) != (n, *shape) or len(shape) != 1 or n < 1:
            raise ValueError(
                f"curve: at beta = {curve.beta[i]:g} (entry {i}) n_clusters is {n}, weights have shape "
                f"{np.shape(weights)} and decoders {np.shape(rows)}; expected ({n},) and ({n}, n_y)"
            )
        tables = [("weights", weights), ("decoders", rows)]
        if curve.encoders:
            encoder = curve.encoders[i]
            if encoder.shape[1:] != (n,) or (curve.x_labels and len(encoder) != len(curve.x_labels)):
                raise ValueError(
                    f"curve: at beta = {curve.beta[i]:g} (entry {i}) encoders has shape {encoder.shape}; expected "
                    f"({len(curve.x_labels) or 'n_x'}, {n})"
                )
            tables.append(("encoders", encoder))
        for name, table in tables:
            excess = float(np.abs(table.sum(axis=-1) - 1.0).max())
            if not (excess <= SUM_TOLERANCE and table.min() >= 0.0):
                raise ValueError(
                    f"curve: {name} at beta = {curve.beta[i]:g} (entry {i}) are no distribution: off sum 1 by "
                    f"{excess:.3g}, least entry {table.min():.3g}"
                )


def _below(curve: Fields, low: FloatArray, high: FloatArray, slack: FloatArray | float, name: str, limit: str) -> None:
    """Refuse low > high + slack, at the worst entry."""
    excess = low - high - slack
    i = int(np.argmax(excess))
    if excess[i] > 0:
        raise ValueError(
            f"curve: {name} exceeds {limit} at beta = {curve.beta[i]:g} (entry {i}) by {low[i] - high[i]:.3g} nats "
            f"({low[i]:.9g} > {high[i]:.9g}); this is no curve of a bottleneck"
        )


def _refuse(curve: Fields, wrong: BoolArray, name: str, what: str) -> None:
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"curve: {name}[{i}] = {getattr(curve, name)[i]} {what}")


def concave_majorant(beta: FloatArray, lower: FloatArray) -> FloatArray:
    """What the lower bounds prove together: F is concave and non-decreasing with F(0) = 0."""
    x, y = np.r_[0.0, beta], np.maximum.accumulate(np.r_[0.0, lower])
    hull = [0]
    for i in range(1, len(x)):
        while len(hull) > 1 and (y[i] - y[hull[-2]]) * (x[hull[-1]] - x[hull[-2]]) >= (y[hull[-1]] - y[hull[-2]]) * (
            x[i] - x[hull[-2]]
        ):
            hull.pop()
        hull.append(i)
    return np.maximum(np.interp(beta, x[hull], y[hull]), lower)
