r"""Bootstrap bias and intervals of a curve from samples.

The plug-in curve of an empirical joint p̂ from N samples lies too high: the encoder fits the sample. :func:`bootstrap_curve`
resamples p̂ and solves again. For a statistic s with resampled values s*, its bias is estimated as mean(s*) − s, the corrected
value is 2s − mean(s*), and the basic interval is [2s − q_{1−a/2}(s*), 2s − q_{a/2}(s*)] ([efron1993]_ ch. 10, [davison1997]_
§5.2). A percentile interval [q_{a/2}, q_{1−a/2}] would carry the bias twice, once from the sample and once from the resample;
in simulations beyond the first transition it nearly always missed F.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dualib.core.parallel import in_order
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray, IntArray
from dualib.core.units import Units, to_units
from dualib.curves.betas import ascending
from dualib.curves.build import information_curve
from dualib.curves.curve import InformationCurve
from dualib.joint import Joint
from dualib.problems import IB
from dualib.sampling.resamples import MakeProblem, counts_of, curve_of_counts

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = ("rate", "relevance", "distortion", "objective")
PARTS = ("plug_in", "bias", "corrected", "low", "high", "standard_error")


@dataclass(frozen=True, eq=False)
class SampledCurve(Result):
    """Plug-in curve with bootstrap bias and basic intervals: dicts over rate, relevance, distortion and objective.

    The encoder is optimised anew on every resample, so the interval is for the population's optimum at β, not for how well
    the encoder found here does on the population (that is :func:`held_out_relevance`).

    Trust the relevance first: in simulations with 8 to 22 samples a cell, away from transitions, intervals of nominal level
    0.90 covered it in 83 to 90% of the samples. The correction removed its bias where all rows differ; where rows are
    equal in the population, resamples split more clusters than the sample did and it overshot, by up to 0.03 nats at
    N = 300. Not covered, and measured to fail: a β near a transition of the population, where the coordinates jump (70%),
    and a β many times the critical one, where noise alone splits clusters: there the correction makes the rate worse, and
    intervals of rate, distortion and objective may hardly ever cover.

    Attributes
    ----------
    beta : array, shape (n_beta,)
    plug_in, bias, corrected, low, high : dict of str to array, shape (n_beta,)
        One value for each statistic, in nats. Nothing is clipped: a corrected information below 0 says that nothing can be told from it.
    standard_error : dict of str to array, shape (n_beta,)
        The plug-in's standard error, in nats: the standard deviation of the resampled values. That of the bias, from the finite number of
        resamples, is standard_error / √n_bootstrap.
    level : float
        Nominal coverage of [low, high] for the value at the population joint, at each β by itself (not the whole curve).
    n_bootstrap : int
        Number of resamples.
    curve : InformationCurve
        The plug-in curve.

    Examples
    --------
    >>> from dualib import Joint, bootstrap_curve
    >>> sampled = bootstrap_curve(Joint.from_counts([[20, 5], [3, 30]]), [1.5, 5.0], n_bootstrap=3, progress=False)
    >>> sampled.plug_in["relevance"].shape, sampled.n_bootstrap
    ((2,), 3)
    >>> bool((sampled.low["relevance"] <= sampled.high["relevance"]).all())
    True
    """

    beta: Float[np.ndarray, " n_beta"]
    plug_in: dict[str, FloatArray]
    bias: dict[str, FloatArray]
    corrected: dict[str, FloatArray]
    low: dict[str, FloatArray]
    high: dict[str, FloatArray]
    standard_error: dict[str, FloatArray]
    level: float
    n_bootstrap: int
    curve: InformationCurve

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a β, the unit in every column's name."""
        import pandas as pd

        table = {"beta": self.beta}
        for name in STATISTICS:
            for part in PARTS:
                table[f"{name}_{part}_{units}"] = to_units(getattr(self, part)[name], units)
        return pd.DataFrame(table)


def bootstrap_curve(
    joint: Joint,
    betas: ArrayLike,
    make_problem: MakeProblem = IB,
    *,
    n_bootstrap: int = 100,
    level: float = 0.95,
    seed: int = 0,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> SampledCurve:
    r"""Compute the curve of a sampled joint, its bias corrected and with intervals, by the bootstrap.

    .. math:: s_{\text{corrected}} = 2 s(\hat p) - \overline{s(p^*)}, \qquad N p^* \sim \text{Multinomial}(N, \hat p)

    Parameters
    ----------
    joint : Joint
        A joint that knows its n_samples (from_samples, from_counts), as sampled: not smoothed.
    betas : array
        The β to solve at, any order.
    make_problem : callable
        Joint → problem; smoothing belongs here, ``lambda j: DualIB(j.smoothed(pseudocount=0.5))``, so that every resample
        goes through it too.
    n_bootstrap : int
        Number of resamples, at least 2; 100 for a bias, 500 or more for a 95% interval. An x or y that vanishes from a
        resample is dropped before make_problem sees it; a resample without information counts as the point (0, 0).
    level : float
        The level of the basic intervals, in (0, 1); quantiles at ranks (n_bootstrap + 1) a, at most the extreme values.
    seed : int
        A resample is a function of the seed and its number.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    executor : concurrent.futures.Executor or None
        Where to solve; with processes make_problem has to be a function that can be pickled.

    Returns
    -------
    SampledCurve
        In nats; see there for what the intervals do not cover.

    Raises
    ------
    ValueError
        If the joint is exact or was smoothed, a parameter is out of range, or make_problem refuses a resample (the dual
        without smoothing).

    Examples
    --------
    >>> sample = Joint.from_counts([[40, 10], [12, 38]])
    >>> bootstrap_curve(sample, [6.0], n_bootstrap=3).bias["objective"].shape
    (1,)

    References
    ----------
    [efron1993]_ ch. 10 (bias), [davison1997]_ §5.2 (basic interval)
    """
    counts = counts_of(joint)
    if n_bootstrap < 2:
        raise ValueError(f"n_bootstrap = {n_bootstrap}: at least 2 resamples are needed")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level = {level} is outside (0, 1)")
    grid = ascending(betas)
    plain = information_curve(make_problem(joint), grid, certify=False, progress=False)
    one = partial(_resampled, counts, make_problem, grid, seed)
    found = in_order(one, range(n_bootstrap), executor=executor, progress=progress, description="resamples")
    resampled = np.array(list(found))
    value = np.array([getattr(plain, name) for name in STATISTICS])
    mean = resampled.mean(axis=0)
    below, above = np.quantile(resampled, [0.5 - level / 2, 0.5 + level / 2], axis=0, method="weibull")
    spread = resampled.std(axis=0, ddof=1)
    tables = (value, mean - value, 2 * value - mean, 2 * value - above, 2 * value - below, spread)
    parts = {part: dict(zip(STATISTICS, t, strict=True)) for part, t in zip(PARTS, tables, strict=True)}
    return SampledCurve(beta=grid, level=level, n_bootstrap=n_bootstrap, curve=plain, **parts)


def _resampled(counts: IntArray, make_problem: MakeProblem, grid: FloatArray, seed: int, number: int) -> FloatArray:
    """The statistics of one resample, shape (statistics, n_beta)."""
    rng = np.random.default_rng((seed, number))
    table = rng.multinomial(int(counts.sum()), (counts / counts.sum()).ravel()).reshape(counts.shape)
    curve = curve_of_counts(table, make_problem, grid, "a bootstrap resample")
    if curve is None:
        return np.zeros((len(STATISTICS), len(grid)))
    return np.array([getattr(curve, name) for name in STATISTICS])
