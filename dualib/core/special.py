"""Elementary functions of the inner loops, unchecked: entropies, and differences that would cancel if written plainly."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualib.core.typing import ArrayLike, FloatArray

EPS = float(np.finfo(float).eps)
TINY = 1e-300  # below every probability that can matter, above what would make log or 1/r overflow
SMALL = 0.1  # below it a series; above it the plain difference loses one digit at most


def entropy_nats(p: FloatArray, axis: int = -1) -> Any:
    """H(p) = −Σ p log p along `axis`, nats; 0 log 0 = 0."""
    from scipy.special import entr

    return entr(p).sum(axis=axis)


def kl_nats(p: FloatArray, q: FloatArray, axis: int = -1) -> Any:
    """D(p‖q) = Σ p log(p/q) along `axis`, nats; inf where q is 0 and p is not."""
    from scipy.special import rel_entr

    return rel_entr(p, q).sum(axis=axis)


def mutual_information_nats(p_xy: FloatArray) -> float:
    """I(X;Y) of a joint distribution (n_x, n_y), nats, at least 0."""
    # Row form: the product p(x) p(y) could underflow where p(y|x) / p(y) does not.
    p_x = p_xy.sum(axis=1)
    seen = p_x > 0
    p_y_given_x = p_xy[seen] / p_x[seen, None]
    return max(0.0, float(p_x[seen] @ kl_nats(p_y_given_x, p_xy.sum(axis=0))))


def conditional_entropy_nats(p_xy: FloatArray) -> float:
    """H(Y|X) of a joint distribution (n_x, n_y), nats."""
    p_x = p_xy.sum(axis=1)
    seen = p_x > 0
    return float(p_x[seen] @ entropy_nats(p_xy[seen] / p_x[seen, None]))


def log1p_gap(x: ArrayLike) -> Any:
    """The gap x − log(1 + x) ≥ 0 for x > −1 (inf at −1), to relative precision also where x is small and the two cancel.

    With s = x/(2 + x), log(1 + x) = 2 artanh s and x − 2s = xs, so the gap is s (x − 2s²/3 − 2s⁴/5 − …).
    """
    x = np.asarray(x, dtype=np.float64)
    small = np.abs(x) < SMALL
    y = np.where(small, x, 0.0)
    s = y / (2.0 + y)
    q = s * s
    series = s * (y - 2.0 * q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q / 13))))))
    if small.all():
        return series
    with np.errstate(divide="ignore"):
        return np.where(small, series, x - np.log1p(np.where(small, 0.0, x)))[()]


def expm1_gap(x: ArrayLike) -> Any:
    """The gap e^x − 1 − x ≥ 0, to relative precision also where x is small and the two cancel."""
    x = np.asarray(x, dtype=np.float64)
    small = np.abs(x) < SMALL
    s = np.where(small, x, 0.0)
    with np.errstate(over="ignore"):
        return np.where(small, 0.5 * s * s * _expm1_series(s), np.expm1(np.where(small, 0.0, x)) - x)[()]


def expm1_gap_ratio(x: FloatArray) -> FloatArray:
    """The ratio φ(x) = 2 (e^x − 1 − x) / x² of that gap to its first term, increasing, φ(0) = 1; constant beyond |x| = 700."""
    small = np.abs(x) < SMALL
    series = _expm1_series(np.where(small, x, 0.0))
    if small.all():
        return series
    safe = np.clip(np.where(small, 1.0, x), -700.0, 700.0)
    return np.where(small, series, 2.0 * (np.expm1(safe) - safe) / safe**2)


def _expm1_series(x: FloatArray) -> FloatArray:
    """2 (e^x − 1 − x) / x² = 1 + x/3 (1 + x/4 (1 + …)) for |x| < SMALL."""
    series = np.ones_like(x)
    for n in range(10, 2, -1):
        series = 1.0 + x / n * series
    return series


def log_ratio(p: FloatArray, r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """r/p − 1 and log(r/p) for positive p and r, the logarithm accurate also where r is near p."""
    v = (r - p) / p
    near = v > -0.5  # below, the difference has lost digits of r
    log = np.log1p(np.where(near, v, 0.0))
    return v, log if near.all() else np.where(near, log, np.log(np.where(near, 1.0, r / p)))


def log1p_gap_given(v: FloatArray, log: FloatArray) -> FloatArray:
    """:func:`log1p_gap` of v where log = log(1 + v) is known."""
    small = np.abs(v) < SMALL
    return np.where(small, log1p_gap(np.where(small, v, 0.0)), v - log)


def kl_terms(p: FloatArray, r: FloatArray) -> FloatArray:
    """Terms p log(p/r) − p + r ≥ 0, to relative accuracy, for p ≥ 0 and r ≥ 0; an r of 0 counts as 1e-300."""
    seen = p > TINY
    v, log = log_ratio(np.where(seen, p, 1.0), np.maximum(r, TINY))
    return np.where(seen, p * log1p_gap_given(v, log), r)


def ratio_gap(ratio: ArrayLike) -> Any:
    """The gap r − 1 − log r ≥ 0 for r ≥ 0 (inf at 0), to relative precision near 1, and for an r of any smallness."""
    r = np.asarray(ratio, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(r - 1) < SMALL, log1p_gap(np.clip(r - 1, -SMALL, SMALL)), r - 1 - np.log(r))[()]
