"""From repetitions to estimates: means, shares, medians, differences and statistics of any kind, with their intervals.

Student's interval for means, Welch's for differences, Fieller's for ratios of means, Clopper and Pearson's for shares, order
statistics for medians, Fisher's z for correlations, Holm's correction of several tests, and the bias-corrected accelerated
bootstrap for anything else ([efron1993]_ ch. 14). The benchmark of coverage is in the tests, from three repetitions on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dualib.core.estimate import Estimate, Kind
from dualib.core.typing import ArrayLike, BoolArray, FloatArray
from dualib.core.units import Unit

LEVEL = 0.95
RESAMPLES = 2000
EQUAL = 1e-12  # repetitions that differ by less, relative to the largest, are equal but for rounding


def repetitions(values: ArrayLike, least: int = 2) -> FloatArray:
    """A vector of independent finite repetitions.

    Raises
    ------
    ValueError
        If there are fewer than `least`, or one is not finite; the message says how many.

    Examples
    --------
    >>> repetitions([1, 2, 3])
    array([1., 2., 3.])
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size < least:
        raise ValueError(f"an interval needs at least {least} repetitions, got {x.size}: {x.tolist()}")
    bad = np.count_nonzero(~np.isfinite(x))
    if bad:
        raise ValueError(
            f"{bad} of {x.size} repetitions are not finite: leave them out with finite(...), which counts them"
        )
    return x


def finite(values: ArrayLike) -> tuple[FloatArray, str]:
    """The finite repetitions, and a warning that counts the others ("" where there are none).

    Examples
    --------
    >>> finite([1.0, float("nan"), 3.0])
    (array([1., 3.]), '1 of 3 repetitions were not finite and are left out')
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    kept = x[np.isfinite(x)]
    lost = x.size - kept.size
    return kept, f"{lost} of {x.size} repetitions were not finite and are left out" if lost else ""


def mean(values: ArrayLike, unit: Unit, level: float = LEVEL) -> Estimate:
    """The mean of independent repetitions with Student's interval, exact for normal repetitions.

    Of skewed ones it holds the mean less often than 95 %: of 2, 3, 5 and 8 exponential ones in 91, 89, 88 and 89 %, of log-normal
    ones of σ = ½ in 94, 92, 92 and 92 % of the cases. So few do not show how skewed they are: of all intervals that move, scale and mirror
    with the repetitions, the narrowest that hold 93 % of the exponential means are 1.31, 1.45, 1.27 and 1.07 times as wide on normal
    ones. Positive repetitions whose logarithms are near normal (gradients, their SNR) have :func:`geometric_mean`; of
    repetitions that are all equal but for rare exceptions (saturated layers) no few say anything of the mean.

    Parameters
    ----------
    values : array
        Independent repetitions, two at least.
    unit : Unit
    level : float

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> print(mean([1.0, 2.0, 3.0], Unit.ONE))  # Student's interval
    2 [-0.48414, 4.4841]
    """
    from scipy.special import stdtrit

    x = repetitions(values)
    error, quantile = float(x.std(ddof=1)) / np.sqrt(x.size), float(stdtrit(x.size - 1, 0.5 + level / 2))
    return _symmetric(float(x.mean()), error, quantile, unit, level, x.size, "mean")


def geometric_mean(values: ArrayLike, unit: Unit, level: float = LEVEL) -> Estimate:
    """The geometric mean of positive repetitions with Student's interval of their logarithms; for ratios.

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> round(geometric_mean([0.5, 1.0, 2.0], Unit.ONE).value, 9)
    1.0
    """
    x = repetitions(values)
    if (x <= 0).any():
        raise ValueError(f"a geometric mean needs positive repetitions, got {x.tolist()}")
    log = mean(np.log(x), unit, level)
    value, low, high = (float(np.exp(v)) for v in (log.value, log.low, log.high))
    return replace(log, value=value, low=low, high=high, std_error=value * log.std_error, method="geometric mean")


def pair_mean(values: ArrayLike, unit: Unit, level: float = LEVEL) -> Estimate:
    """The mean over pairs i < j of R independent repetitions, with a t interval of the jackknife's standard error.

    Pairs share members: the mean is a U-statistic, whose error is that of its row means, a row a repetition. Leaving out one
    repetition at a time gives 2 std(row means) / √R · (R − 1)/(R − 2) ([efron1993]_ ch. 11).

    Parameters
    ----------
    values : array, shape (R (R − 1) / 2,)
        In the order of ``np.triu_indices(R, 1)``.

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> round(pair_mean([0.2, 0.3, 0.1], Unit.ONE).value, 6)  # of the pairs of three repetitions
    0.2
    """
    from scipy.special import stdtrit

    x = repetitions(values, 3)
    n = round((1 + np.sqrt(1 + 8 * x.size)) / 2)
    if n * (n - 1) // 2 != x.size:
        raise ValueError(f"{x.size} is no number of pairs; give the values of all pairs i < j")
    table = np.zeros((n, n))
    table[np.triu_indices(n, 1)] = x
    rows = (table + table.T).sum(axis=1) / (n - 1)
    error = 2 * float(rows.std(ddof=1)) / np.sqrt(n) * (n - 1) / (n - 2)
    half = float(stdtrit(n - 1, 0.5 + level / 2))
    return _symmetric(float(x.mean()), error, half, unit, level, n, "mean over pairs")


def share(happened: ArrayLike, level: float = LEVEL) -> Estimate:
    """The share of independent repetitions in which something happened, with Clopper and Pearson's interval.

    Examples
    --------
    >>> print(share([True] * 9 + [False]))  # Clopper and Pearson's interval
    0.9 [0.55498, 0.99747]
    """
    from scipy.special import betaincinv

    yes = np.asarray(happened, dtype=bool).ravel()
    if not yes.size:
        raise ValueError("a share needs at least one repetition, got none")
    k, n, tail = int(yes.sum()), yes.size, (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Estimate(k / n, low, high, Kind.STATISTICAL, Unit.ONE, level, n, "share")


def difference(a: ArrayLike, b: ArrayLike, unit: Unit, level: float = LEVEL) -> Estimate:
    """Mean of a less mean of b, two independent groups of repetitions, with Welch's interval ([welch1947]_).

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> print(difference([3.0, 3.1, 2.9], [1.0, 1.1, 0.9], Unit.BITS))  # Welch's interval
    2 [1.7733, 2.2267] bits
    """
    from scipy.special import stdtrit

    x, y = repetitions(a), repetitions(b)
    value, n = float(x.mean() - y.mean()), min(x.size, y.size)
    variances = np.array([0.0 if _equal(group) else group.var(ddof=1) / group.size for group in (x, y)])
    error = float(np.sqrt(variances.sum()))
    if error == 0.0:
        return Estimate(value, value, value, Kind.STATISTICAL, unit, level, n, "difference of means")
    shares = variances / variances.sum()
    freedom = 1.0 / float((shares**2 / [x.size - 1, y.size - 1]).sum())
    quantile = float(stdtrit(freedom, 0.5 + level / 2))
    return _symmetric(value, error, quantile, unit, level, n, "difference of means")


def ratio(a: ArrayLike, b: ArrayLike, unit: Unit = Unit.ONE, *, paired: bool = False, level: float = LEVEL) -> Estimate:
    r"""Mean of a over mean of b with Fieller's interval, which counts the errors of both ([fieller1954]_).

    The ratios θ that the data do not refuse are those with

    .. math:: (\bar a - \theta \bar b)^2 \le q^2 (s_a^2 - 2\theta s_{ab} + \theta^2 s_b^2),

    where the s² are the variances and the covariance of the two means, and q is Student's quantile with Welch's degrees of
    freedom at the ratio found. Where the mean of b does not differ from zero they are not an interval: all numbers are
    returned, with a warning.

    Parameters
    ----------
    a, b : array
        Independent repetitions, two at least of each.
    unit : Unit
    paired : bool
        Whether a[i] and b[i] are of one repetition; otherwise the groups are independent.
    level : float

    Raises
    ------
    ValueError
        If the mean of b is zero, or paired groups differ in size.
    """
    from scipy.special import stdtrit

    x, y = repetitions(a), repetitions(b)
    if paired and x.size != y.size:
        raise ValueError(f"paired groups must have one size, got {x.size} and {y.size}")
    top, bottom, n = float(x.mean()), float(y.mean()), min(x.size, y.size)
    if bottom == 0.0:
        raise ValueError("a ratio needs a denominator whose mean is not zero")
    var_a, var_b = (float(group.var(ddof=1)) / group.size for group in (x, y))
    shared = float(np.cov(x, y)[0, 1]) / n if paired else 0.0
    value = top / bottom
    parts = np.array([var_a, value**2 * var_b])
    freedom = float(n - 1)
    if not paired and parts.sum() > 0:
        freedom = float(parts.sum() ** 2 / (parts**2 / [x.size - 1, y.size - 1]).sum())
    q2 = float(stdtrit(freedom, 0.5 + level / 2)) ** 2
    second, first, zeroth = bottom**2 - q2 * var_b, top * bottom - q2 * shared, top**2 - q2 * var_a
    method = "ratio of means, Fieller"
    if second <= 0.0:
        text = "the denominator does not differ from zero, so that the ratio has no finite interval"
        return Estimate(value, -np.inf, np.inf, Kind.STATISTICAL, unit, level, n, method, (text,))
    half = float(np.sqrt(max(first**2 - second * zeroth, 0.0)))
    ends = min((first - half) / second, value), max((first + half) / second, value)
    error = float(np.sqrt(max(parts.sum() - 2 * value * shared, 0.0))) / abs(bottom)
    return Estimate(value, *ends, Kind.STATISTICAL, unit, level, n, method, std_error=error)


def holm(p_values: ArrayLike, level: float = LEVEL) -> BoolArray:
    """Which of several tests reject, so that a true hypothesis is rejected with probability 1 − level at most ([holm1979]_).

    Holm's rule: the k-th smallest of m p-values, from k = 0 on, rejects while it is at most (1 − level) / (m − k).
    """
    p = np.asarray(p_values, dtype=np.float64).ravel()
    order = np.argsort(p, kind="stable")
    kept = np.logical_and.accumulate(p[order] <= (1.0 - level) / (p.size - np.arange(p.size)))
    rejected = np.zeros(p.size, dtype=bool)
    rejected[order] = kept
    return rejected


def median(values: ArrayLike, unit: Unit, level: float = LEVEL) -> Estimate:
    """The median of independent repetitions with the interval between two order statistics, for any continuous law.

    The interval is the shortest symmetric one of coverage `level` at least; with few repetitions that is more than the
    range covers, and the estimate's level then says what the range does cover, 1 − 2^(1−n). Infinite repetitions count.

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> median(range(1, 12), Unit.ONE).value
    6.0
    """
    from scipy.special import bdtr

    x = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not x.size or np.isnan(x).any():
        raise ValueError(f"a median needs repetitions that are numbers, got {x.tolist()}")
    n = x.size
    below = int(np.count_nonzero(bdtr(np.arange(n), n, 0.5) <= (1 - level) / 2))
    covered = 1.0 - 2.0 * float(bdtr(max(below, 1) - 1, n, 0.5))
    low, high = (x[0], x[-1]) if below == 0 else (x[below - 1], x[n - below])
    middle = x[(n - 1) // 2] if np.isinf(x[n // 2]) else 0.5 * (x[(n - 1) // 2] + x[n // 2])
    reached = level if covered >= level else max(covered, np.finfo(float).tiny)
    warning = (
        "" if covered >= level else f"the range of {n} repetitions covers the median in {covered:.0%} of the cases only"
    )
    found = Estimate(
        float(middle), float(low), float(high), Kind.STATISTICAL, unit, reached, n, "median, order statistics"
    )
    return found.with_warnings(warning)


def correlation(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> Estimate:
    """Pearson's correlation of independent pairs with Fisher's z interval; four pairs at least.

    Examples
    --------
    >>> round(correlation([1.0, 2.0, 3.0, 4.0, 5.0], [1.1, 1.9, 3.2, 3.9, 5.1]).value, 4)
    0.9964
    """
    from scipy.special import ndtri

    x, y = repetitions(a, 4), repetitions(b, 4)
    if x.size != y.size:
        raise ValueError(f"a correlation needs pairs, got {x.size} and {y.size} values")
    if _equal(x) or _equal(y):
        raise ValueError("a correlation needs values that vary, got constant ones")
    first, second = ((group - group.mean()) / np.linalg.norm(group - group.mean()) for group in (x, y))
    value = float(np.clip(first @ second, -1.0, 1.0))
    half = float(ndtri(0.5 + level / 2)) / np.sqrt(x.size - 3)
    with np.errstate(divide="ignore"):  # of points on a line
        z = np.arctanh(value)
    interval = float(np.tanh(z - half)), float(np.tanh(z + half))
    method = "Pearson correlation"
    return Estimate.within(value, interval, Kind.STATISTICAL, Unit.ONE, level=level, n=x.size, method=method)


def bootstrap(
    statistic: Callable[[list[FloatArray]], float],
    groups: Sequence[ArrayLike],
    unit: Unit,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """A statistic of independent groups of repetitions with its bias-corrected accelerated bootstrap interval.

    With few repetitions it is too narrow, as any bootstrap: below eight in a group it says so.

    Parameters
    ----------
    statistic : callable
        Takes the list of groups, each an array whose first axis are its repetitions.
    groups : sequence of arrays
        Each resampled by itself along its first axis.
    seed : int
        Seed of the resamples.

    Examples
    --------
    >>> import numpy as np
    >>> from dualib.core.units import Unit
    >>> found = bootstrap(lambda groups: float(np.mean(groups[0])), [[1.0, 2.0, 3.0, 4.0]], Unit.ONE)
    >>> found.value, bool(found.low < 2.5 < found.high)
    (2.5, True)
    """
    from scipy import stats

    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    value, n = float(statistic(arrays)), min(map(len, arrays))
    if n < 2:
        raise ValueError(f"an interval needs at least two repetitions in every group, got {[len(a) for a in arrays]}")
    indices = tuple(np.arange(len(a)) for a in arrays)

    def of_indices(*chosen: np.ndarray) -> float:
        return float(statistic([a[i] for a, i in zip(arrays, chosen, strict=True)]))

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=stats.DegenerateDataWarning)
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="scipy")
        drawn = stats.bootstrap(
            indices,
            of_indices,
            n_resamples=RESAMPLES,
            vectorized=False,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    low, high = drawn.confidence_interval
    if np.isnan(low) or np.isnan(high):  # all resamples on one side of the value: the bias correction has no value
        low, high = np.quantile(drawn.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    text = f"the bootstrap of {n} repetitions is too narrow" if n < 8 else ""
    return Estimate(
        value,
        min(float(low), value),
        max(float(high), value),
        Kind.STATISTICAL,
        unit,
        level,
        n,
        "BCa bootstrap",
        std_error=float(drawn.standard_error),
    ).with_warnings(text)


def standard_deviation(values: ArrayLike, unit: Unit, level: float = LEVEL) -> Estimate:
    """The standard deviation of independent repetitions, with its bootstrap interval.

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> round(standard_deviation([1.0, 2.0, 3.0, 4.0], Unit.ONE).value, 6)
    1.290994
    """
    return bootstrap(lambda x: float(x[0].std(ddof=1)), [repetitions(values)], unit, level)


def _symmetric(value: float, error: float, quantile: float, unit: Unit, level: float, n: int, method: str) -> Estimate:
    half = quantile * error
    return Estimate(value, value - half, value + half, Kind.STATISTICAL, unit, level, n, method, std_error=error)


def _equal(x: FloatArray) -> bool:
    return bool(np.ptp(x) <= EQUAL * np.abs(x).max())
