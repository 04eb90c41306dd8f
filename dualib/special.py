"""Functions that lose no digits near zero."""

from __future__ import annotations

import numpy as np

from dualib.core.typing import FloatArray


def log1p_remainder(x: FloatArray) -> FloatArray:
    r"""x − log(1 + x) ≥ 0 for x > −1, to a few units in the last place; ½x² near 0.

    With s = x/(2 + x), log(1 + x) = 2 artanh s and x − 2s = xs, so the remainder is s (x − 2s²/3 − 2s⁴/5 − …).
    """
    small = np.abs(x) < 0.1
    y = np.where(small, x, 0.0)
    s = y / (2.0 + y)
    q = s * s
    series = s * (y - 2.0 * q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q / 13))))))
    if small.all():
        return np.asarray(series, dtype=float)
    return np.where(small, series, x - np.log1p(np.where(small, 0.0, x)))


def expm1_remainder(x: FloatArray) -> FloatArray:
    """e^x − 1 − x ≥ 0, to a few units in the last place; ½x² near 0."""
    small = np.abs(x) < 0.1
    y = np.where(small, x, 0.0)
    series = 1.0
    for n in range(10, 2, -1):
        series = 1.0 + y / n * series
    return np.where(small, 0.5 * y * y * series, np.expm1(x) - x)


def log_ratio(p: FloatArray, r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """r/p − 1 and log(r/p) for positive p and r, the logarithm accurate also where r is near p."""
    v = (r - p) / p
    near = v > -0.5  # below, the difference has lost digits of r
    log = np.log1p(np.where(near, v, 0.0))
    return v, log if near.all() else np.where(near, log, np.log(np.where(near, 1.0, r / p)))


def remainder_given_log(v: FloatArray, log: FloatArray) -> FloatArray:
    """v − log(1 + v) where log = log(1 + v) is known."""
    small = np.abs(v) < 0.1
    return np.where(small, log1p_remainder(np.where(small, v, 0.0)), v - log)


def kl_terms(p: FloatArray, r: FloatArray) -> FloatArray:
    """p log(p/r) − p + r ≥ 0, to relative accuracy, for p ≥ 0 and r ≥ 0; an r of 0 counts as 1e-300."""
    seen = p > 1e-300
    v, log = log_ratio(np.where(seen, p, 1.0), np.maximum(r, 1e-300))
    return np.where(seen, p * remainder_given_log(v, log), r)
