"""How far the plug-in of a sample moves when the sample is drawn again: the shape that a standard error does not have."""

from __future__ import annotations

import numpy as np

from deepnets.estimators.layer import Layer
from dualib.core.special import kl_terms
from dualib.core.statistics import LEVEL
from dualib.core.typing import Float, FloatArray
from dualib.mixtures import kernel_sums

_RESAMPLES = 300
_DRAWS = 300
_BLOCK = 2**22


def reach(
    layer: Layer,
    sigma: float,
    rate: Float[np.ndarray, " n"],
    relevance: Float[np.ndarray, " n"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "2 2"]:
    r"""By how much the plug-ins of rate and relevance go down and up from their mean over resamples of the patterns.

    An information is concave in the probabilities of the patterns, and flat where it is largest (of two clusters of equal weight):
    there the standard error of a sample is small, and the population's information is lower by what the error does not show. With
    weights w of a resample, q_w its mixture and q that of the sample,

    .. math:: I_w(X;T) = \sum_i w_i D(p_i \| q) - D(q_w \| q), \qquad
              I_w(T;Y) = \sum_i w_i l_i + D(p_w(y,t) \| p(y,t)) - D(q_w \| q) - D(p_w(y) \| p(y))

    where l_i is the mean of ln p(y|t)/p(y) at pattern i: the divergences, of the order of 1/n, need few draws of q. The interval is
    that of the centred percentile bootstrap ([efron1993]_ ch. 13).

    Parameters
    ----------
    layer : Layer
        n equally probable patterns.
    sigma : float
    rate, relevance : array, shape (n,)
        D(p_i ‖ q) and l_i.
    rng : Generator

    Returns
    -------
    array, shape (2, 2)
        (rate, relevance) by (down, up), in nats, at a level of 95 %.
    """
    n, n_y = layer.p_xy.shape
    own = rng.permutation(np.resize(np.arange(n), max(n, _DRAWS)))[:_DRAWS]
    noise = rng.normal(scale=sigma, size=(len(own), layer.t.shape[1]))
    weights = rng.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n
    rows, p_y = layer.p_xy * n, layer.p_y
    whole, shifts = kernel_sums(own, noise, layer.centres, layer.p_xy, sigma)
    log_q = np.log(whole.sum(axis=1))
    posterior = whole / np.exp(log_q)[:, None]
    divergence = np.empty((2, _RESAMPLES))
    step = max(1, _BLOCK // (max(n, len(own)) * n_y))
    for start in range(0, _RESAMPLES, step):
        part = weights[start : start + step]
        each = (part.T[:, None, :] * rows[:, :, None]).reshape(n, -1)
        sums, moved = kernel_sums(own, noise, layer.centres, each, sigma)
        ratio = sums.reshape(len(own), n_y, len(part)) * np.exp(moved - shifts - log_q)[:, None, None]
        of_mixture = kl_terms(ratio.sum(axis=1), np.ones((len(own), len(part)))).mean(axis=0)
        of_both = kl_terms(ratio, posterior[:, :, None] * np.ones(len(part))).sum(axis=1).mean(axis=0)
        divergence[:, start : start + step] = of_mixture, of_both - of_mixture - kl_terms(part @ rows, p_y).sum(axis=1)
    found = np.stack([weights @ rate - divergence[0], weights @ relevance + divergence[1]])
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1) - found.mean(axis=1)
    ends: FloatArray = np.maximum(np.stack([-low, high], axis=1), 0.0)
    return ends
