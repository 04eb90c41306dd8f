"""The smoothed plug-in: Monte Carlo entropies of a Gaussian mixture around a layer's activations, with their error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import entr, stdtrit

from deepnets.estimators.binned_sample import entropy_unseen
from deepnets.estimators.draws import Draws
from deepnets.estimators.layer import (
    Layer,
    check_layer,
    check_reach,
    check_sample,
    check_sigma,
    noise_generator,
    row_sums,
)
from deepnets.estimators.layer_information import Z_95, Caution, Concern, LayerInformation, intersect
from deepnets.estimators.pairwise import PairwiseBounds
from deepnets.estimators.resampled import reach
from dualib.core.arrays import whole
from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import LEVEL
from dualib.core.typing import ArrayLike, FloatArray
from dualib.mixtures import rounding

FEWEST_DRAWS = 16000
"""Draws in all where n n_mc is less: few centres need many draws each for a standard error that can be trusted."""

UNSEEN = 6.0
"""Nats / N added to an interval: N draws miss events of probability up to 3/N (at 95 %), worth some 2 nats each."""


@dataclass(frozen=True)
class SmoothedPlugin:
    r"""Smoothed plug-in estimate of I(X;T) and I(T;Y), T = t(X) + Z, Z ~ N(0, σ² I).

    With posteriors :math:`r_j(t) \propto p_j e^{-‖t - t_j‖²/2σ²}` of the patterns and :math:`p(y|t)` of the labels,

    .. math::
        I(X;T) = \sum_i p_i \, E_Z\Big[-\ln \sum_j p_j e^{-(‖Δ_{ij}‖² + 2 Z \cdot Δ_{ij})/2σ²}\Big], \qquad
        I(T;Y) = H(Y) - \sum_i p_i \, E_Z\, H(p(\cdot\,|t_i + Z))

    by Monte Carlo stratified over the patterns, with three control variates, whose coefficients are fitted: ‖Z‖²/2σ², its
    conditional mean E[‖T - t(X)‖² | T]/2σ² (both of mean d/2, the second by the tower rule) and t_i·Z. They cut the variance of
    the first alone by 4 to 100. Patterns with equal activations are merged first.

    The interval (95 %) is the Monte Carlo error, with 6/N nats added for events that N draws do not meet, cut to the proven
    bounds of PairwiseBounds, within which the truth lies. With ``sampled=True`` the patterns are an independent sample of a
    population whose information is meant, and it holds the sampling error and the bias of the plug-in too: in expectation,

    .. math:: \hat h_n \;\le\; h \;\le\; \min\Big(\hat h_n + \ln(1 + I_{χ²}/n),\; E[-\ln \hat q_{-i}(t_i + Z)]\Big)

    with the density :math:`\hat q_{-i}` of the other patterns (and a share 1/n of the Gaussian of their covariance, for points
    that no other pattern is near), which also estimates :math:`I_{χ²}` from above; the label posteriors with and without the own
    pattern bracket H(Y|T) in the same way. Each bracket is cut to what an information can be, [0, H(Y)] for the labels', and
    the value is its middle, in which the leading biases, -I_{χ²}/2n and +I_{χ²}/2n, cancel. Where the bracket is wide, the
    middle is no more than that, and a warning gives the bracket's width. The sampling error is Student's, or what resamples of
    the patterns show where that is more: it is not symmetric near the largest information, where the standard error is small;
    upwards it is at least the entropy of patterns, and of labels that none of the patterns has, which n samples need not show.

    Parameters
    ----------
    sigma : float
        σ > 0, in the units of the activations.
    n_mc : int
        Draws for each pattern, at least 2; more where n n_mc is under 16000. Each costs one pass over all pairs.
    sampled : bool
        Whether the patterns are a sample (see above) instead of all patterns with their probabilities p_x.

    Raises
    ------
    ValueError
        If sigma is not positive, or n_mc is no whole number of at least 2.

    References
    ----------
    [goldfeld2019]_; [goldfeld2020]_ (rates; the χ² bound of the bias); [barber2003]_ (posteriors that do not know a point)

    Examples
    --------
    >>> import numpy as np
    >>> rate = SmoothedPlugin(1.0, n_mc=500).layer(np.array([[-1.0], [1.0]]), np.eye(2)).rate
    >>> bool(abs(rate.value - 0.336830821) < 0.05)
    True
    """

    sigma: float
    n_mc: int = 4
    sampled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_sigma(self.sigma))
        object.__setattr__(self, "n_mc", whole(self.n_mc, "n_mc", 2))

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Estimates for one layer.

        Parameters
        ----------
        t : array, shape (n, d)
            The layer's activations without noise, one row a pattern.
        p_y_given_x : array, shape (n, n_y)
            Label probabilities, one-hot where labels are deterministic.
        p_x : array, shape (n,), or None
            Weights of the patterns; equal by default.
        seed : int
            Seed of the noise.

        Returns
        -------
        LayerInformation
            In nats.

        Raises
        ------
        ValueError
            If arrays do not fit, or the weights p_x of a sample are not equal.
        """
        layer = check_layer(t, p_y_given_x, p_x)
        check_reach(layer.t, self.sigma)
        rng = noise_generator(seed)
        if not self.sampled:
            return self._enumerated(layer, rng)
        check_sample(layer, p_x)
        if len(layer.t) < 2:
            raise ValueError("one pattern is no sample: at least 2 are needed")
        return self._sample(layer, rng)

    def standard_error_bound(self, t: ArrayLike, p_x: ArrayLike | None = None) -> float:
        r"""A proven bound on the standard error of I(X;T) with the first control variate at coefficient 1.

        .. math:: \mathrm{MSE} \le \frac{\mathrm{mmse}/σ²}{N} \le \frac1N \sum_k \frac{λ_k}{λ_k + σ²} \le \frac dN

        with the eigenvalues λ of Cov(t), for which the last but one is the error of the best linear estimate of t(X) from T,
        and N draws. From Poincaré's inequality for the Gaussian noise.

        Parameters
        ----------
        t : array, shape (n, d)
        p_x : array, shape (n,), or None

        Returns
        -------
        float
            In nats.
        """
        array = np.asarray(t)
        layer = check_layer(array, np.ones((len(array), 1)), p_x)
        centred = (np.asarray(layer.t, dtype=np.float64) - layer.p_x @ layer.t) * np.sqrt(layer.p_x)[:, None]
        values = np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0.0)
        return float(np.sqrt((values / (values + self.sigma**2)).sum() / self._draws(len(array))))

    def _draws(self, n: int) -> int:
        return max(self.n_mc * n, FEWEST_DRAWS)

    def _enumerated(self, layer: Layer, rng: np.random.Generator) -> LayerInformation:
        n, layer = len(layer.t), layer.merged()
        draws = Draws.of(layer, self.sigma, self._draws(n), rng)
        q = row_sums(draws.sums)
        error = entr(draws.sums / q[:, None]).sum(axis=1)  # of the label given t
        found = []
        bounds = PairwiseBounds(self.sigma).of_merged(layer)
        slack = UNSEEN / len(draws.own) + rounding(layer.centres, self.sigma)
        method = f"smoothed plug-in, sigma = {self.sigma:g}, {len(draws.own)} draws"
        for values, offset, proven in (
            (-np.log(q) - draws.shifts, 0.0, bounds.rate),
            (-error, layer.label_entropy, bounds.relevance),
        ):
            mean, variance = draws.mean(values)
            mean, std_error = mean + offset, math.sqrt(variance)
            half = Z_95 * std_error + slack
            interval = intersect(mean - half, mean + half, (proven.low, proven.high))
            found.append(
                Estimate.within(mean, interval, Kind.STATISTICAL, level=LEVEL, method=method, std_error=std_error)
            )
        return LayerInformation.of(found)

    def _sample(self, layer: Layer, rng: np.random.Generator) -> LayerInformation:
        n, p_y = len(layer.t), layer.p_y
        draws = Draws.of(layer, self.sigma, self._draws(n), rng, gaussian=True)
        own = np.exp(-draws.shifts)[:, None] * layer.p_xy[draws.own]  # the own pattern's part of the sums
        q, rows = row_sums(draws.sums), layer.p_xy[draws.own] * n
        others = np.maximum(draws.sums - own, 0.0) * n / (n - 1.0)
        others[row_sums(others) < 1e-13 * q] = 0.0
        inside = -np.log(q) - draws.shifts
        with np.errstate(divide="ignore"):
            near, far = np.log(row_sums(others)) + draws.shifts, draws.gaussian
        outside = -np.logaddexp(near + math.log1p(-1.0 / n), far - math.log(n))
        label_inside = _log_ratio(draws.sums, p_y, rows, 0.0)
        label_outside = _log_ratio(others, p_y, rows, 1.0 / n)

        plug_in, variance = draws.mean(inside, between=True)
        with np.errstate(over="ignore"):
            chi_square = draws.average(np.exp(outside))  # 1 + I_χ², from above
        bias = min(draws.average(outside - inside), float(np.log1p(chi_square / n)))
        inputs = (plug_in, plug_in + max(0.0, bias))
        label, label_variance = draws.mean(label_inside, between=True)
        unseen = float(np.log1p((len(p_y) - 1.0) / n))  # bias of H(Y)
        labels = (label + min(0.0, draws.average(label_outside - label_inside)), label + unseen)
        moves = reach(layer, self.sigma, draws.by_centre(inside), draws.by_centre(label_inside), rng)
        method = f"smoothed plug-in of a sample, sigma = {self.sigma:g}, {len(draws.own)} draws"
        found, cautions, quantile = [], [], float(stdtrit(n - 1, 0.5 + LEVEL / 2))
        rare = entropy_unseen(n)
        for bracket, var, moved, most, end, beyond in (
            (inputs, variance, moves[0], math.inf, math.inf, rare),
            (
                labels,
                label_variance,
                moves[1],
                layer.label_entropy + unseen,
                math.log(len(p_y)),
                rare if (p_y == 0).any() else 0.0,
            ),
        ):
            low, high = (min(most, end, max(0.0, x)) for x in bracket)
            down, up = np.maximum(quantile * math.sqrt(var), moved) + UNSEEN / len(draws.own)
            interval = max(0.0, low - float(down)), min(end, high + max(float(up), beyond))
            found.append(
                Estimate.within(
                    0.5 * (low + high),
                    interval,
                    Kind.STATISTICAL,
                    level=LEVEL,
                    n=n,
                    method=method,
                    std_error=math.sqrt(var),
                )
            )
            cautions.append(_of_few_samples(low, high, n))
        return LayerInformation.of(found, *cautions)


def _log_ratio(joint: FloatArray, p_y: FloatArray, rows: FloatArray, prior: float) -> FloatArray:
    """Σ_y p(y|x) ln(p(y|t)/p(y)) at every draw, the posterior mixed with `prior` times p(y)."""
    total = joint.sum(axis=1, keepdims=True)
    posterior = np.divide(joint, total, out=np.tile(p_y, (len(joint), 1)), where=total > 0)
    posterior = (1.0 - prior) * posterior + prior * p_y
    seen = rows > 0
    ratio = np.divide(posterior, p_y, out=np.ones_like(posterior), where=seen)
    return np.asarray((rows * np.log(ratio, out=np.zeros_like(ratio), where=seen)).sum(axis=1))


def _of_few_samples(low: float, high: float, n: int) -> tuple[Caution, ...]:
    if high - low < 0.1:
        return ()
    text = (
        f"{n} samples leave a bracket of {high - low:.2g} nats, of which the value is the middle, as little of the density "
        "around a sample comes from other samples: take more samples or more noise"
    )
    return (Caution(Concern.SAMPLES, high - low, text),)
