"""Informations of binned activations of a sample: jackknifed, with intervals that hold what is left of the bias."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats
from scipy.special import entr, xlogy

from deepnets.estimators.layer import Layer, sums_by_code
from deepnets.estimators.layer_information import Caution, Concern, LayerInformation
from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import LEVEL
from dualib.core.typing import FloatArray, IntArray

UNSEEN = 3.0
"""Over n: the probability up to which events stay without a sample (in 5 % of the cases)."""

ROUNDING = 1e-12
"""Nats by which the interval of a sample is widened for rounding."""


def sampled_information(layer: Layer, cells: IntArray, most: float, method: str) -> LayerInformation:
    """Jackknifed informations of a sample in cells, of which the rate is `most` at most.

    The interval of the rate goes from the plug-in to the jackknife, or to the coverage-adjusted entropy ([chao2003]_) where it is
    larger, and on by the step from plug-in to jackknife. That of the relevance goes from the mean log ratio of posteriors
    that do not know the own sample, which is under I(T;Y) in expectation ([barber2003]_), to the plug-in. Both go on by
    Student's quantile of standard errors, or by the entropy of what n samples do not show, where that is more: samples in one
    cell, or of one label in each cell, do not vary.
    """
    n = len(cells)
    rows = layer.p_xy * n
    counts_ty = sums_by_code(rows, cells)
    counts_t, counts_y = np.bincount(cells).astype(np.float64), rows.sum(axis=0)
    h_t, less_t = _jackknife(counts_t, counts_t[cells][:, None], np.ones((n, 1)), n)
    h_y, less_y = _jackknife(counts_y, np.broadcast_to(counts_y, rows.shape), rows, n)
    h_ty, less_ty = _jackknife(counts_ty.ravel(), counts_ty[cells], rows, n)
    p_y = np.maximum(counts_y / n, 1e-300)
    gain = _gains(rows, counts_ty[cells] / counts_t[cells, None], p_y)
    # The other samples of the cell, and the prior with the weight of one more.
    others = np.maximum(counts_ty[cells] - rows, 0.0) + p_y
    gain_out = _gains(rows, others / counts_t[cells, None], p_y)
    plug_in, less = h_t + h_y - h_ty, less_t + less_y - less_ty
    corrected_t, corrected = (n * whole - (n - 1) * left for whole, left in ((h_t, less_t), (plug_in, less)))
    beyond = max(corrected_t, _coverage_adjusted(counts_t, n)) + corrected_t - h_t
    found, unseen = [], entropy_unseen(n)
    for value, ends, terms, limit in (
        (corrected_t, (h_t, beyond), (-np.log(counts_t[cells] / n),), most),
        (corrected, (plug_in, corrected, float(gain_out.mean())), (gain, gain_out), math.log(max(rows.shape[1], 1))),
    ):
        error = max(float(x.std(ddof=1)) for x in terms) / math.sqrt(n) if n > 1 else math.inf
        half = ROUNDING + (float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * error if n > 1 else math.inf)
        half = max(half, unseen)
        interval = min(limit, max(0.0, min(ends) - half)), min(limit, max(0.0, max(ends) + half))
        found.append(
            Estimate.within(value, interval, Kind.STATISTICAL, level=LEVEL, n=n, method=method, std_error=error)
        )
    alone = _of_loneliness(float((counts_t[cells] == 1).mean()))
    return LayerInformation.of(found, (*alone, of_cells(layer)), (*alone, *of_separation(h_t, layer)))


def entropy_unseen(n: int) -> float:
    """Nats that events which n samples do not show may have, in 95 % of the cases: of a probability of :data:`UNSEEN`/n."""
    return float(entr(UNSEEN / max(n, UNSEEN * math.e))) + UNSEEN / n


def _gains(rows: FloatArray, posterior: FloatArray, p_y: FloatArray) -> FloatArray:
    """Σ_y p(y|x) ln(posterior(y)/p(y)) of every sample."""
    return np.asarray(xlogy(rows, np.where(rows > 0, posterior / p_y, 1.0)).sum(axis=1))


def _of_loneliness(alone: float) -> tuple[Caution, ...]:
    if alone <= 0.05:
        return ()
    text = (
        f"{alone:.0%} of the samples are alone in their cell, so that about that much probability lies in cells not seen: "
        "the interval may miss; take more samples or wider cells"
    )
    return (Caution(Concern.ALONE, alone, text),)


def _coverage_adjusted(counts: FloatArray, n: int) -> float:
    """Chao and Shen's entropy of a sample: probabilities times its coverage, each divided by its chance to be seen."""
    seen = 1.0 - min(float((counts == 1).sum()), n - 1.0) / n
    p = seen * counts / n
    return float((-np.where(p > 0, p * np.log(p), 0.0) / -np.expm1(n * np.log1p(-np.minimum(p, 1 - 1e-16)))).sum())


def _jackknife(counts: FloatArray, own: FloatArray, removed: FloatArray, n: int) -> tuple[float, float]:
    """Entropy of counts (sum n), and its mean after one sample, which counts `removed` in cells of counts `own`, is left out."""
    total = xlogy(counts, counts).sum()
    if n == 1:
        return 0.0, 0.0
    rest = np.maximum(own - removed, 0.0)
    left = total - (xlogy(own, own) - xlogy(rest, rest)).sum(axis=1)
    return float(math.log(n) - total / n), float(math.log(n - 1) - left.mean() / (n - 1))


def of_cells(layer: Layer) -> Caution:
    """That the value belongs to the cells."""
    text = (
        f"of a deterministic layer: I(X;T) itself is H(X) = {layer.input_entropy:.4g} nats where the layer keeps all patterns "
        "apart (infinite for continuous X); this value depends on the cells and measures clustering"
    )
    return Caution(Concern.CELLS, layer.input_entropy, text)


def of_separation(rate: float, layer: Layer) -> tuple[Caution, ...]:
    """That most patterns have a cell of their own, where they have."""
    if rate < 0.9 * layer.input_entropy:
        return ()
    text = (
        f"H of the cells, {rate:.4g} nats, is near H(X) = {layer.input_entropy:.4g}: most patterns have a cell of their "
        "own, which makes I(T;Y) nearly I(X;Y) whatever the layer does"
    )
    return (Caution(Concern.SEPARATED, rate, text),)
