"""How far a curve lies below the IB curve at equal rate, where both were computed."""

from __future__ import annotations

import itertools

import numpy as np

from dualib.core.typing import BoolArray, FloatArray
from dualib.curves.curve import InformationCurve

ALONG_A_JUMP = 20  # points on the straight segment of a first-order transition


def gap_at_equal_rate(reference: InformationCurve, other: InformationCurve) -> tuple[FloatArray, FloatArray]:
    r"""How much relevance `other` gives away to the IB curve `reference`, at the rates of its own points.

    .. math:: I^{IB}(T;Y)\big|_{I(X;T) = R} - I(T;Y)

    Between its points the IB curve is interpolated by cubics with the exact slopes dI(T;Y)/dI(X;T) = 1/β.

    Returns
    -------
    rate, gap : arrays, shape (n,)
        Nats; the rates of `other` where `reference` is resolved (:attr:`dualib.InformationCurve.resolved`), and some along
        the straight segments of first-order transitions.
    """
    runs = gap_runs(reference, other)
    if not runs:
        return np.zeros(0), np.zeros(0)
    rate, gap = (np.concatenate(parts) for parts in zip(*runs, strict=True))
    return rate, gap


def gap_runs(reference: InformationCurve, other: InformationCurve) -> list[tuple[FloatArray, FloatArray]]:
    """The pieces of :func:`gap_at_equal_rate`, cut wherever one of the two curves is not resolved."""
    from scipy.interpolate import CubicHermiteSpline

    # One point for every rate: the last, since of the points at zero rate it is nearest to the first transition.
    rate = np.maximum.accumulate(reference.rate)
    keep = np.append(np.diff(rate) > 1e-9, True)
    if keep.sum() < 2:
        return []
    kept = np.flatnonzero(keep)
    spline = CubicHermiteSpline(rate[keep], reference.relevance[keep], 1.0 / reference.beta[keep])
    known = reference.resolved | reference.jumps
    known = np.array([known[i:j].all() for i, j in itertools.pairwise(kept)])
    at, joined = _points(other)
    place = np.searchsorted(rate[keep], at, side="right") - 1
    end = at == rate[keep][-1]
    place[end] -= 1
    inside = (place >= 0) & (place < len(known))
    inside[inside] = known[place[inside]]
    values = spline(at) - np.interp(at, *_ascending(other))
    cuts = np.flatnonzero(~(joined & inside[1:] & inside[:-1])) + 1
    pieces = zip(np.split(at, cuts), np.split(values, cuts), np.split(inside, cuts), strict=True)
    return [(x, y) for x, y, good in pieces if good.all()]


def _points(curve: InformationCurve) -> tuple[FloatArray, BoolArray]:
    """Rates at which a curve is known, ascending, and whether it is known between neighbours."""
    jumps = curve.jumps
    pieces = [
        np.linspace(low, high, ALONG_A_JUMP)[:-1] if jump else np.array([low])
        for low, high, jump in zip(curve.rate[:-1], curve.rate[1:], jumps, strict=True)
    ]
    known = np.repeat(curve.resolved | jumps, [len(piece) for piece in pieces])
    return np.maximum.accumulate(np.concatenate([*pieces, curve.rate[-1:]])), known


def _ascending(curve: InformationCurve) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(curve.rate, kind="stable")
    return curve.rate[order], curve.relevance[order]
