"""The smoothed plug-in: Monte Carlo entropies of a Gaussian mixture around a layer's activations, with their error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import entr

from deepnets.estimators.layer import Layer, check_layer, check_sigma, noise_generator, row_sums
from deepnets.estimators.layer_information import Z_95, LayerInformation, intersect, make_estimate
from deepnets.estimators.pairwise import PairwiseBounds
from dualib.measures import entropy
from dualib.mixtures import kernel_sums, rounding

FloatArray = NDArray[np.float64]

FEWEST_DRAWS = 16000
"""Draws in all where n n_mc is less: few centres need many draws each for a standard error that can be trusted."""

UNSEEN = 6.0
"""Nats / N added to an interval: N draws miss events of probability up to 3/N (at 95 %), worth some 2 nats each."""

BLOCK = 2**20
"""Numbers of noise drawn at a time."""


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
    pattern bracket H(Y|T) in the same way. The value is the middle of the bracket, in which
    the leading biases, -I_{χ²}/2n and +I_{χ²}/2n, cancel.

    Parameters
    ----------
    sigma : σ > 0, in the units of the activations.
    n_mc : draws for each pattern, at least 2; more where n n_mc is under 16000. Each costs one pass over all pairs.
    sampled : the patterns are a sample (see above) instead of all patterns with their probabilities p_x.

    Raises
    ------
    ValueError: sigma not positive, or n_mc < 2.

    References
    ----------
    [goldfeld2019]_; [goldfeld2020]_ (rates; the χ² bound of the bias); [barber2003]_ (posteriors that do not know a point)
    """

    sigma: float
    n_mc: int = 4
    sampled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_sigma(self.sigma))
        if int(self.n_mc) != self.n_mc or self.n_mc < 2:
            raise ValueError(f"n_mc = {self.n_mc}: the standard error needs a whole number of draws, at least 2")

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Estimates for one layer.

        Parameters
        ----------
        t : array, shape (n, d): the layer's activations without noise, one row a pattern.
        p_y_given_x : array, shape (n, n_y): label probabilities, one-hot where labels are deterministic.
        p_x : array, shape (n,): weights of the patterns; equal by default.
        seed : of the noise.

        Returns
        -------
        LayerInformation, in nats.

        Raises
        ------
        ValueError: bad arrays, or weights p_x that are not equal for a sample.
        """
        layer = check_layer(t, p_y_given_x, p_x)
        rng = noise_generator(seed)
        if not self.sampled:
            return self._enumerated(layer, rng)
        if p_x is not None and np.ptp(layer.p_x) > 1e-12:
            raise ValueError("p_x differs between patterns, but an independent sample has equal weights: leave p_x out")
        if len(layer.t) < 2:
            raise ValueError("one pattern is no sample: at least 2 are needed")
        return self._sample(layer, rng)

    def standard_error_bound(self, t: ArrayLike, p_x: ArrayLike | None = None) -> float:
        r"""A proven bound on the standard error of I(X;T) with the first control variate at coefficient 1.

        .. math:: \mathrm{MSE} \le \frac{\mathrm{mmse}/σ²}{N} \le \frac1N \sum_k \frac{λ_k}{λ_k + σ²} \le \frac dN

        with the eigenvalues λ of Cov(t), for which the last but one is the error of the best linear estimate of t(X) from T,
        and N draws. From Poincaré's inequality for the Gaussian noise.

        Returns
        -------
        float, nats.
        """
        array = np.asarray(t)
        layer = check_layer(array, np.ones((len(array), 1)), p_x)
        centred = (np.asarray(layer.t, dtype=np.float64) - layer.p_x @ layer.t) * np.sqrt(layer.p_x)[:, None]
        values = np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0.0)
        return float(np.sqrt((values / (values + self.sigma**2)).sum() / self._draws(len(array))))

    def _draws(self, n: int) -> int:
        return max(int(self.n_mc) * n, FEWEST_DRAWS)

    def _enumerated(self, layer: Layer, rng: np.random.Generator) -> LayerInformation:
        n, layer = len(layer.t), layer.merged()
        draws = _Draws.of(layer, self.sigma, self._draws(n), rng)
        q = row_sums(draws.sums)
        error = entr(draws.sums / q[:, None]).sum(axis=1)  # of the label given t
        found = []
        bounds = PairwiseBounds(self.sigma)._of_merged(layer)
        slack = UNSEEN / len(draws.own) + rounding(layer.centres, self.sigma)
        for values, proven in ((-np.log(q) - draws.shifts, bounds.input), (-error, bounds.label)):
            mean, variance = draws.mean(values)
            if proven is bounds.label:
                mean += float(entropy(layer.p_y))
            half = Z_95 * np.sqrt(variance) + slack
            interval = intersect(mean - half, mean + half, (proven.low, proven.high))
            method = f"smoothed plug-in, sigma = {self.sigma:g}, {len(draws.own)} draws"
            found.append(make_estimate(mean, interval, method, "95%", std_error=float(np.sqrt(variance))))
        return LayerInformation(*found)

    def _sample(self, layer: Layer, rng: np.random.Generator) -> LayerInformation:
        n, p_y = len(layer.t), layer.p_y
        draws = _Draws.of(layer, self.sigma, self._draws(n), rng, gaussian=True)
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
        warnings = _sample_warnings(inputs, n)
        method = f"smoothed plug-in of a sample, sigma = {self.sigma:g}, {len(draws.own)} draws"
        found = []
        for (low, up), var, most in (
            (inputs, variance, np.inf),
            (labels, label_variance, max(0.0, float(entropy(p_y))) + unseen),
        ):
            half = Z_95 * np.sqrt(var) + UNSEEN / len(draws.own)
            interval = max(0.0, low - half), min(most, max(0.0, up + half))
            middle = 0.5 * (low + up)
            found.append(
                make_estimate(middle, interval, method, "95%", std_error=float(np.sqrt(var)), warnings=warnings)
            )
        return LayerInformation(*found)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Noisy copies t of the centres, in their order: kernel sums (r, n_y) and control variates (r, 3) there.

    gaussian is ln of the Gaussian density of the mean and covariance of all t, relative to that of the noise drawn; only asked for
    samples.
    """

    weights: FloatArray
    own: NDArray[np.intp]
    counts: NDArray[np.intp]
    controls: FloatArray
    sums: FloatArray
    shifts: FloatArray
    gaussian: FloatArray

    @staticmethod
    def of(layer: Layer, sigma: float, n_draws: int, rng: np.random.Generator, gaussian: bool = False) -> _Draws:
        counts = np.maximum(2, np.ceil(n_draws * layer.p_x - 1e-9).astype(np.intp))
        own = np.repeat(np.arange(len(counts)), counts)
        n, n_y, d = len(own), layer.p_xy.shape[1], layer.t.shape[1]
        centred = (layer.centres - layer.p_x @ layer.centres) / sigma
        moments = np.column_stack([(centred * centred).sum(axis=1), centred]) * layer.p_x[:, None]
        weights = np.hstack([layer.p_xy, moments])
        sums, shifts, controls = np.empty((n, n_y)), np.empty(n), np.empty((n, 3))
        far = np.full(n, np.nan)
        factor = np.linalg.cholesky(np.eye(d) + (centred.T * layer.p_x) @ centred) if gaussian else None
        rows = max(1, BLOCK // d)  # wide layers: noise and moments of all draws would not fit in memory
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            noise = rng.normal(scale=sigma, size=(len(own[part]), d))
            found, shifts[part] = kernel_sums(own[part], noise, layer.centres, weights, sigma)
            sums[part] = found[:, :n_y]
            given_t = found[:, n_y:] / row_sums(sums[part])[:, None]
            controls[part] = _controls(centred[own[part]], noise / sigma, given_t)
            if factor is not None:
                whitened = solve_triangular(factor, (centred[own[part]] + noise / sigma).T, lower=True)
                squares = (noise * noise).sum(axis=1) / sigma**2 - (whitened * whitened).sum(axis=0)
                far[part] = 0.5 * squares - np.log(np.diagonal(factor)).sum()
        return _Draws(layer.p_x, own, counts, controls, sums, shifts, far)

    def _strata(self, values: FloatArray) -> FloatArray:
        return np.bincount(self.own, values) / self.counts

    def average(self, values: FloatArray) -> float:
        """The weighted mean of a quantity over the mixture."""
        return float(self.weights @ self._strata(values))

    def mean(self, values: FloatArray, between: bool = False) -> tuple[float, float]:
        """Mean with the fitted control variates, and its variance; `between` adds that of an independent sample."""
        columns = np.column_stack([values, self.controls])
        means = np.column_stack([self._strata(column) for column in columns.T])
        moved = columns - means[self.own]
        share = (self.weights**2 / (self.counts * (self.counts - 1.0)))[self.own]
        covariance = moved.T @ (share[:, None] * moved)  # of the weighted means
        fitted = np.linalg.lstsq(covariance[1:, 1:], covariance[1:, 0], rcond=1e-9)[0]
        residual = moved @ np.r_[1.0, -fitted]
        variance = float(share @ (residual * residual))
        mean = float(self.weights @ means @ np.r_[1.0, -fitted])
        if between:
            spread = float(self.weights @ (means[:, 0] - self.weights @ means[:, 0]) ** 2) / (len(means) - 1.0)
            variance += max(0.0, spread - float(covariance[0, 0]))
        return mean, variance


def _controls(centre: FloatArray, noise: FloatArray, moments: FloatArray) -> FloatArray:
    """Three quantities of mean 0, in units of σ: ½‖z‖² - d/2, its mean given t (moments: of ‖s‖² and s given t), and c·z."""
    d, points = noise.shape[1], centre + noise
    given_t = (points * points).sum(axis=1) - 2.0 * (points * moments[:, 1:]).sum(axis=1) + moments[:, 0]
    return np.column_stack([0.5 * ((noise * noise).sum(axis=1) - d), 0.5 * (given_t - d), (centre * noise).sum(axis=1)])


def _log_ratio(joint: FloatArray, p_y: FloatArray, rows: FloatArray, prior: float) -> FloatArray:
    """Σ_y p(y|x) ln(p(y|t)/p(y)) at every draw, the posterior mixed with `prior` times p(y)."""
    total = joint.sum(axis=1, keepdims=True)
    posterior = np.divide(joint, total, out=np.tile(p_y, (len(joint), 1)), where=total > 0)
    posterior = (1.0 - prior) * posterior + prior * p_y
    seen = rows > 0
    ratio = np.divide(posterior, p_y, out=np.ones_like(posterior), where=seen)
    return (rows * np.log(ratio, out=np.zeros_like(ratio), where=seen)).sum(axis=1)


def _sample_warnings(bracket: tuple[float, float], n: int) -> tuple[str, ...]:
    if bracket[1] - bracket[0] < 0.1:
        return ()
    return (
        f"the plug-in of {n} samples may be {bracket[1] - bracket[0]:.2g} nats too low, as little of the density around a "
        "sample comes from other samples: take more samples or more noise",
    )
