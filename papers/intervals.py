"""Measurements from repetitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .frame import Measurement


def exact(value: float, unit: str) -> Measurement:
    """A number without sampling error: an interval of width zero."""
    return Measurement(float(value), float(value), float(value), unit)


def t_interval(values: ArrayLike, unit: str, confidence: float = 0.95) -> Measurement:
    """The mean of independent repetitions with Student's interval, which assumes roughly normal repetitions.

    Raises
    ------
    ValueError
        If there are fewer than two repetitions, or one is not finite.
    """
    x = np.asarray(values, float).ravel()
    if len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"an interval needs at least two finite repetitions, got {x.tolist()}")
    mean = float(x.mean())
    half = float(stats.t.ppf(0.5 + confidence / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Measurement(mean, mean - half, mean + half, unit, len(x))


def geometric_t_interval(values: ArrayLike, unit: str, confidence: float = 0.95) -> Measurement:
    """The geometric mean of positive repetitions with Student's interval of the logarithms; for ratios."""
    x = np.asarray(values, float).ravel()
    if (x <= 0).any():
        raise ValueError(f"a geometric mean needs positive repetitions, got {x.tolist()}")
    log = t_interval(np.log(x), unit, confidence)
    value, low, high = np.exp([log.value, log.low, log.high])
    return Measurement(float(value), float(low), float(high), unit, log.n)
