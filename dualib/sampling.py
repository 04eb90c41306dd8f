r"""Curves from samples: how biased, how uncertain, and which β the data support.

The plug-in curve of an empirical joint p̂ from N samples rises too high: the encoder fits the sample. Two answers:

* :func:`bootstrap_curve` resamples p̂ and solves again. For a statistic s with resampled values s*, its bias is estimated as
  mean(s*) − s, the corrected value is 2s − mean(s*), and the basic interval is [2s − q_{1−a/2}(s*), 2s − q_{a/2}(s*)]
  ([efron1993]_ ch. 10, [davison1997]_ §2.2), which shifts with the bias where a percentile interval would double it.
* :func:`held_out_relevance` learns the encoder on part of the sample and measures, on the rest,

.. math:: \hat I = E_{\text{test}} \log \frac{p_{\text{train}}(y|t)}{p_{\text{train}}(y)},

  whose expectation is I(T;Y) − E_t D(p(y|t) ‖ p_train(y|t)) + D(p(y) ‖ p_train(y)) for the population and that encoder: a
  lower bound of I(T;Y) but for the last term, about (|Y| − 1)/2N. It falls where the encoder follows the sample's accidents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .curve import InformationCurve, information_curve
from .joint import Joint
from .measures import FloatArray, to_units
from .problems import IB, Bottleneck
from .solve import Solution, check_beta

if TYPE_CHECKING:
    import pandas as pd

MakeProblem = Callable[[Joint], Bottleneck]
STATISTICS = ("rate", "relevance", "distortion", "objective")


@dataclass(frozen=True, eq=False)
class SampledCurve:
    """Plug-in curve with bootstrap bias and basic intervals: dicts over rate, relevance, distortion and objective.

    Attributes
    ----------
    beta : (n_beta,).
    plug_in, bias, corrected, low, high : statistic → (n_beta,), nats. The corrected value and the interval are not clipped:
        a corrected information slightly below 0 says that nothing can be told from it.
    level : nominal coverage of [low, high] for the value at the population joint, pointwise in β.
    curve : the plug-in InformationCurve.

    The encoder is optimised anew on every resample, so the band covers the variation of the optimum, not of a fixed encoder.
    """

    beta: FloatArray
    plug_in: dict[str, FloatArray]
    bias: dict[str, FloatArray]
    corrected: dict[str, FloatArray]
    low: dict[str, FloatArray]
    high: dict[str, FloatArray]
    level: float
    curve: InformationCurve

    def to_frame(self, units: str = "nats") -> pd.DataFrame:
        """One row a β, the unit in every column's name."""
        import pandas as pd

        table = {"beta": self.beta}
        for name in STATISTICS:
            for part in ("plug_in", "bias", "corrected", "low", "high"):
                table[f"{name}_{part}_{units}"] = to_units(getattr(self, part)[name], units)  # type: ignore[arg-type]
        return pd.DataFrame(table)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out relevance over β. Arrays (n_beta,), nats.

    Attributes
    ----------
    mean, standard_error : over folds, of the held-out relevance.
    plug_in : relevance on the training part, mean over folds.
    rate, n_clusters : of the encoders, mean and rounded mean over folds.
    """

    beta: FloatArray
    mean: FloatArray
    standard_error: FloatArray
    plug_in: FloatArray
    rate: FloatArray
    n_clusters: np.ndarray

    @property
    def best(self) -> int:
        """Index of the β with the largest held-out relevance."""
        return int(self.mean.argmax())

    @property
    def best_beta(self) -> float:
        """The β with the largest held-out relevance."""
        return float(self.beta[self.best])

    @property
    def simplest(self) -> int:
        """Index of the least rate whose held-out relevance is within one standard error of the best."""
        good = self.mean >= self.mean[self.best] - self.standard_error[self.best]
        return int(np.flatnonzero(good)[self.rate[good].argmin()])

    @property
    def one_standard_error_beta(self) -> float:
        """The β of :attr:`simplest`."""
        return float(self.beta[self.simplest])

    def to_frame(self, units: str = "nats") -> pd.DataFrame:
        """One row a β, the unit in every column's name."""
        import pandas as pd

        table = {"beta": self.beta, "n_clusters": self.n_clusters}
        for name in ("mean", "standard_error", "plug_in", "rate"):
            table[f"{name}_{units}"] = to_units(getattr(self, name), units)  # type: ignore[arg-type]
        return pd.DataFrame(table)


def bootstrap_curve(
    joint: Joint,
    betas: ArrayLike,
    make_problem: MakeProblem = IB,
    *,
    n_bootstrap: int = 100,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> SampledCurve:
    """The curve of a sampled joint with bootstrap bias correction and intervals.

    Parameters
    ----------
    joint : with n_samples (from_samples, from_counts).
    betas : the β.
    make_problem : Joint → problem; smoothing belongs here: ``lambda j: DualIB(j.smoothed(pseudocount=0.5))``.
    n_bootstrap : resamples, at least 2; symbols that vanish from a resample are dropped from it.
    level : of the basic intervals, in (0, 1).
    """
    counts = _counts(joint)
    if n_bootstrap < 2:
        raise ValueError(f"n_bootstrap = {n_bootstrap}: at least 2 resamples are needed")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level = {level} is outside (0, 1)")
    grid = np.unique([check_beta(b) for b in np.atleast_1d(np.asarray(betas, float))])
    plain = information_curve(make_problem(joint), grid, certify=False)
    rng = np.random.default_rng(seed)
    resampled = np.empty((n_bootstrap, len(STATISTICS), len(grid)))
    for b in range(n_bootstrap):
        table = rng.multinomial(int(counts.sum()), (counts / counts.sum()).ravel()).reshape(counts.shape)
        resampled[b] = _statistics(table, make_problem, grid)
        if progress is not None:
            progress(1)
    value = np.array([getattr(plain, name) for name in STATISTICS])
    mean = resampled.mean(axis=0)
    below, above = np.quantile(resampled, [0.5 - level / 2, 0.5 + level / 2], axis=0)

    def by_name(table: FloatArray) -> dict[str, FloatArray]:
        return dict(zip(STATISTICS, table, strict=True))

    return SampledCurve(
        grid,
        by_name(value),
        by_name(mean - value),
        by_name(2 * value - mean),
        by_name(2 * value - above),
        by_name(2 * value - below),
        level,
        plain,
    )


def held_out_relevance(
    joint: Joint,
    betas: ArrayLike,
    make_problem: MakeProblem = IB,
    *,
    n_folds: int = 5,
    pseudocount: float = 0.5,
    seed: int = 0,
) -> HeldOut:
    """Relevance of encoders learned on part of the sample, measured on the rest: which β, how many clusters.

    Parameters
    ----------
    joint : with n_samples.
    betas, make_problem : as for :func:`bootstrap_curve`.
    n_folds : parts the samples are dealt into, each held out once.
    pseudocount : added to every cell of the counts (t, y) and (y) of the training part before they predict the held-out y;
        without it a pair never seen would cost infinitely much. An x never seen in training is encoded by p(t).
    """
    counts = _counts(joint)
    total = int(counts.sum())
    if not 2 <= n_folds <= total:
        raise ValueError(f"n_folds = {n_folds} must be between 2 and the number of samples, {total}")
    if not 0.0 < pseudocount < np.inf:
        raise ValueError(f"pseudocount = {pseudocount} must be positive and finite")
    grid = np.unique([check_beta(b) for b in np.atleast_1d(np.asarray(betas, float))])
    fold = np.random.default_rng(seed).permutation(np.arange(total) % n_folds)
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    rows = []
    for k in range(n_folds):
        train, test = (
            np.bincount(cell[chosen], minlength=counts.size).reshape(counts.shape) for chosen in (fold != k, fold == k)
        )
        rows.append(_held_out(train, test, make_problem, grid, pseudocount))
    mean, plug_in, rate, clusters = np.mean(rows, axis=0)
    spread = np.std([row[0] for row in rows], axis=0, ddof=1) / np.sqrt(n_folds)
    return HeldOut(grid, mean, spread, plug_in, rate, np.rint(clusters).astype(int))


def _held_out(
    train: np.ndarray, test: np.ndarray, make_problem: MakeProblem, grid: FloatArray, pseudocount: float
) -> FloatArray:
    seen_x, seen_y = train.sum(axis=1) > 0, train.sum(axis=0) > 0
    curve = information_curve(make_problem(Joint.from_counts(train[np.ix_(seen_x, seen_y)])), grid, certify=False)
    log_marginal = np.log(train.sum(axis=0) + pseudocount)
    log_marginal -= np.log(np.exp(log_marginal).sum())
    rows = []
    for solution in curve.solutions:
        encoder = _encoder_of_all(solution, seen_x)
        table = encoder.T @ train + pseudocount
        log_decoder = np.log(table) - np.log(table.sum(axis=1, keepdims=True))
        gain = encoder @ (log_decoder - log_marginal)
        held_out = float((test * gain).sum() / test.sum())
        rows.append([held_out, solution.relevance, solution.rate, float(solution.n_clusters)])
    return np.array(rows).T


def _encoder_of_all(solution: Solution, seen_x: np.ndarray) -> FloatArray:
    encoder = np.tile(solution.p_t, (len(seen_x), 1))
    encoder[seen_x] = solution.p_t_given_x
    return encoder


def _statistics(table: np.ndarray, make_problem: MakeProblem, grid: FloatArray) -> FloatArray:
    seen = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(seen.shape) < 2:  # one symbol left: no information, at no rate
        return np.zeros((len(STATISTICS), len(grid)))
    curve = information_curve(make_problem(Joint.from_counts(seen)), grid, certify=False)
    return np.array([getattr(curve, name) for name in STATISTICS])


def _counts(joint: Joint) -> np.ndarray:
    if joint.n_samples is None:
        raise ValueError("the joint is exact (n_samples is None); make it with Joint.from_samples or Joint.from_counts")
    counts = joint.p_xy * joint.n_samples
    whole = np.rint(counts)
    if np.abs(counts - whole).max() > 1e-6:
        raise ValueError(
            "the joint's counts are not whole numbers (smoothed?); pass the joint as sampled and smooth in make_problem"
        )
    return whole.astype(int)
