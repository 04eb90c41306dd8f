r"""Held-out relevance: which β, and how many clusters, the data support.

:func:`held_out_relevance` learns the encoder on part of the sample and measures, on the rest,

.. math:: \hat I = E_{\text{test}} \log \frac{p_{\text{train}}(y|t)}{p_{\text{train}}(y)}

For an encoder and the population, with p̃ what training estimates, its expectation over the held-out samples is

.. math:: E \hat I = I(T;Y) - E_t D(p(y|t) \| \tilde p(y|t)) + D(p(y) \| \tilde p(y)) \le I(T;Y) + D(p(t) \| \tilde p(t)),

by the chain rule (for a pseudo-count going to 0). For a fixed encoder the two middle terms come to −(|T|−1)(|Y|−1)/2N in
expectation over training, and to less where the encoder was fitted to the same samples: then Î is on average a lower bound of
the population's I(T;Y), up to O(1/N²), and falls where the encoder follows the sample's accidents.
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
from dualib.core.typing import Float, FloatArray, Int, IntArray
from dualib.core.units import Units, to_units
from dualib.curves.betas import ascending
from dualib.joint import Joint
from dualib.problems import IB
from dualib.sampling.resamples import MakeProblem, counts_of, curve_of_counts, deal

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class HeldOut(Result):
    """Held-out relevance over β; informations in nats.

    Attributes
    ----------
    beta : array, shape (n_beta,)
        Ascending.
    mean, standard_error : arrays, shape (n_beta,)
        Over folds, of the held-out relevance. Folds share training samples, so the standard error is a guide, not a
        confidence statement.
    plug_in : array, shape (n_beta,)
        Relevance on the training part, mean over folds.
    rate : array, shape (n_beta,)
        I(X;T) of the encoders, mean over folds.
    n_clusters : array of int, shape (n_beta,)
        Number of clusters, (upper) median over folds.

    Examples
    --------
    >>> from dualib import Joint, held_out_relevance
    >>> held_out = held_out_relevance(Joint.from_counts([[20, 5], [3, 30]]), [1.5, 5.0], progress=False)
    >>> held_out.mean.shape, held_out.n_clusters  # and the β that predicts best:
    ((2,), array([1, 2]))
    >>> float(held_out.beta[held_out.best])
    5.0
    """

    beta: Float[np.ndarray, " n_beta"]
    mean: Float[np.ndarray, " n_beta"]
    standard_error: Float[np.ndarray, " n_beta"]
    plug_in: Float[np.ndarray, " n_beta"]
    rate: Float[np.ndarray, " n_beta"]
    n_clusters: Int[np.ndarray, " n_beta"]

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

    @property
    def one_standard_error_clusters(self) -> int:
        """The number of clusters of :attr:`simplest`: the fewest bits that predict as well as any, within the noise."""
        return int(self.n_clusters[self.simplest])

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a β, the unit in every column's name."""
        import pandas as pd

        table = {"beta": self.beta, "n_clusters": self.n_clusters}
        for name in ("mean", "standard_error", "plug_in", "rate"):
            table[f"{name}_{units}"] = to_units(getattr(self, name), units)
        return pd.DataFrame(table)


def held_out_relevance(
    joint: Joint,
    betas: ArrayLike,
    make_problem: MakeProblem = IB,
    *,
    n_folds: int = 5,
    pseudocount: float = 0.5,
    seed: int = 0,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> HeldOut:
    r"""Learn encoders on part of the sample and measure their relevance on the rest: which β, how many clusters.

    .. math:: \hat I = \sum_{xy} \hat p_{\text{test}}(x,y) \sum_t q(t|x) \log\frac{\tilde p(y|t)}{\tilde p(y)}, \qquad
              \tilde p(y|t) \propto a + \sum_x q(t|x)\, n_{\text{train}}(x,y), \quad
              \tilde p(y) \propto a + n_{\text{train}}(y)

    A lower bound, in expectation, of the I(T;Y) that these encoders have on the population; the head of this module says up
    to what. With one cluster it is exactly 0.

    Parameters
    ----------
    joint : Joint
        A joint that knows its n_samples, as sampled: ``Joint.from_samples(x, y)``.
    betas, make_problem
        The same as for :func:`dualib.bootstrap_curve`; make_problem (and its smoothing) shapes the encoder only.
    n_folds : int
        Number of parts the samples are dealt into at random, each held out once.
    pseudocount : float
        The a above, > 0; without it a pair never seen would cost infinitely much. An x never seen in training is encoded
        by p(t), the encoder that knows nothing of x.
    seed : int
        Seed of the random deal into folds.
    progress, executor
        The same as for :func:`dualib.bootstrap_curve`.

    Returns
    -------
    HeldOut
        In nats.

    Raises
    ------
    ValueError
        If the joint is exact or was smoothed, a parameter is out of range, or make_problem refuses a training part.

    Examples
    --------
    >>> sample = Joint.from_counts([[40, 10], [42, 8], [12, 38], [9, 41]])
    >>> held_out_relevance(sample, [1.0, 6.0, 30.0]).one_standard_error_clusters
    2

    References
    ----------
    [davison1997]_ §6.4 (cross-validation)
    """
    counts = counts_of(joint)
    total = int(counts.sum())
    if not 2 <= n_folds <= total:
        raise ValueError(f"n_folds = {n_folds} must be between 2 and the number of samples, {total}")
    if not 0.0 < pseudocount < np.inf:
        raise ValueError(f"pseudocount = {pseudocount} must be positive and finite")
    grid = ascending(betas)
    parts = deal(counts, n_folds, np.random.default_rng(seed))
    one = partial(_fold, counts, make_problem, grid, pseudocount)
    folds = list(in_order(one, parts, executor=executor, progress=progress, description="folds"))
    values = np.array(folds, float)
    mean, plug_in, rate, _ = values.mean(axis=0)
    spread = values[:, 0].std(axis=0, ddof=1) / np.sqrt(n_folds)
    clusters = np.sort(values[:, 3], axis=0)[n_folds // 2].astype(int)
    return HeldOut(grid, mean, spread, plug_in, rate, clusters)


def _fold(
    counts: IntArray, make_problem: MakeProblem, grid: FloatArray, pseudocount: float, test: IntArray
) -> list[FloatArray]:
    """Held-out relevance, and relevance, rate and clusters of training, of one fold at every β."""
    learned = learn(counts - test, make_problem, grid, pseudocount)
    held_out = np.einsum("xy,bxy->b", test / test.sum(), learned.gain)
    return [held_out, learned.relevance, learned.rate, learned.n_clusters.astype(float)]


@dataclass(frozen=True, eq=False)
class Learned:
    r"""What a training part teaches at every β: encoders (n_x, n_t), and gain (n_beta, n_x, n_y), nats.

    gain = Σ_t q(t|x) log p̃(y|t)/p̃(y): its mean under any p(x, y) is the expected held-out relevance there.
    """

    encoders: list[FloatArray]
    gain: FloatArray
    relevance: FloatArray
    rate: FloatArray
    n_clusters: IntArray


def learn(train: IntArray, make_problem: MakeProblem, grid: FloatArray, pseudocount: float) -> Learned:
    """Encoders and predictors at every β, learned from a table of counts (n_x, n_y)."""
    n = len(grid)
    curve = curve_of_counts(train, make_problem, grid, "the training part of a fold")
    if curve is None:
        one = np.ones((len(train), 1))
        return Learned([one] * n, np.zeros((n, *train.shape)), np.zeros(n), np.zeros(n), np.ones(n, int))
    seen_x = train.sum(axis=1) > 0
    log_marginal = _log_normalised(train.sum(axis=0) + pseudocount)
    encoders, gains = [], []
    for solution in curve.solutions:
        encoder = np.tile(solution.p_t, (len(train), 1))
        encoder[seen_x] = solution.p_t_given_x
        encoders.append(encoder)
        gains.append(encoder @ (_log_normalised(np.asarray(encoder.T @ train + pseudocount, float)) - log_marginal))
    return Learned(encoders, np.array(gains), curve.relevance, curve.rate, curve.n_clusters)


def _log_normalised(table: FloatArray) -> FloatArray:
    normalised: FloatArray = np.log(table) - np.log(table.sum(axis=-1, keepdims=True))
    return normalised
