"""Measurements from repetitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def t_interval_of_some(name: str, values: ArrayLike, unit: str) -> dict[str, Measurement]:
    """{name: Student's interval of the finite repetitions}, or {} where fewer than two are: the claim is then not measured."""
    x = np.asarray(values, float).ravel()
    x = x[np.isfinite(x)]
    return {name: t_interval(x, unit)} if len(x) > 1 else {}


def geometric_t_interval(values: ArrayLike, unit: str, confidence: float = 0.95) -> Measurement:
    """The geometric mean of positive repetitions with Student's interval of the logarithms; for ratios."""
    x = np.asarray(values, float).ravel()
    if (x <= 0).any():
        raise ValueError(f"a geometric mean needs positive repetitions, got {x.tolist()}")
    log = t_interval(np.log(x), unit, confidence)
    value, low, high = np.exp([log.value, log.low, log.high])
    return Measurement(float(value), float(low), float(high), unit, log.n)


def pair_interval(values: ArrayLike, unit: str, confidence: float = 0.95) -> Measurement:
    """The mean over pairs i < j of R independent repetitions, with a t interval of standard error 2 std(row means) / √R.

    Pairs share members: the mean is a U-statistic, whose error is that of its row means, a row a repetition.

    Parameters
    ----------
    values : array, shape (R (R - 1) / 2,), in the order of ``np.triu_indices(R, 1)``.
    """
    x = np.asarray(values, float).ravel()
    n = round((1 + np.sqrt(1 + 8 * len(x))) / 2)
    table = np.zeros((n, n))
    table[np.triu_indices(n, 1)] = x
    rows = (table + table.T).sum(axis=1) / (n - 1)
    mean, error = float(x.mean()), 2 * float(rows.std(ddof=1)) / np.sqrt(n)
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * error
    return Measurement(mean, mean - half, mean + half, unit, n)


def share_interval(happened: ArrayLike, confidence: float = 0.95) -> Measurement:
    """The share of independent repetitions in which something happened, with Clopper and Pearson's exact interval."""
    yes = np.asarray(happened, bool).ravel()
    n, k = len(yes), int(yes.sum())
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Measurement(k / n, low, high, "1", n)


def difference_interval(a: ArrayLike, b: ArrayLike, unit: str, confidence: float = 0.95) -> Measurement:
    """Mean of a less mean of b, two independent groups of repetitions, with Welch's interval."""
    x, y = (np.asarray(v, float).ravel() for v in (a, b))
    value = float(x.mean() - y.mean())
    if all(np.ptp(group) <= 1e-12 * np.abs(group).max() for group in (x, y)):  # equal but for rounding
        return Measurement(value, value, value, unit, min(len(x), len(y)))
    found = stats.ttest_ind(x, y, equal_var=False).confidence_interval(confidence)
    return Measurement(value, float(found.low), float(found.high), unit, min(len(x), len(y)))


def bootstrap_interval(
    statistic: Callable[[list[np.ndarray]], float], groups: Sequence[np.ndarray], unit: str, confidence: float = 0.95
) -> Measurement:
    """A statistic of independent groups of repetitions (their first axis), with a percentile interval of 2000 resamples."""
    rng, value = np.random.default_rng(0), statistic(list(groups))
    found = [statistic([g[rng.integers(len(g), size=len(g))] for g in groups]) for _ in range(2000)]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Measurement(value, min(float(low), value), max(float(high), value), unit, min(map(len, groups)))


def bootstrap_std_interval(values: ArrayLike, unit: str, confidence: float = 0.95) -> Measurement:
    """The standard deviation over repetitions."""
    return bootstrap_interval(lambda x: float(x[0].std(ddof=1)), [np.asarray(values, float).ravel()], unit, confidence)
