"""Noisy copies of a layer's activations: the kernel sums there, and means over them with control variates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from deepnets.estimators.layer import Layer, row_sums
from dualib.core.typing import Float, FloatArray, Int
from dualib.mixtures import LARGEST_LOSS, expansion_loss, gram_rounding, kernel_sums

BLOCK = 2**20
"""Numbers of noise drawn at a time."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Noisy copies t of the centres, in their order.

    Attributes
    ----------
    weights, counts : array, shape (n,)
        Weight and number of draws of each centre.
    own : int array, shape (r,)
        The centre of each draw.
    controls : array, shape (r, 3)
        Control variates, of mean 0.
    sums, shifts : array, shapes (r, n_y) and (r,)
        Sums of kernels by label; see :func:`dualib.mixtures.kernel_sums`.
    gaussian : array, shape (r,)
        ln of the Gaussian density of the mean and covariance of all t, relative to that of the noise drawn; NaN unless asked for.
    """

    weights: Float[np.ndarray, " n"]
    own: Int[np.ndarray, " r"]
    counts: Int[np.ndarray, " n"]
    controls: Float[np.ndarray, "r 3"]
    sums: Float[np.ndarray, "r n_y"]
    shifts: Float[np.ndarray, " r"]
    gaussian: Float[np.ndarray, " r"]

    @staticmethod
    def of(layer: Layer, sigma: float, n_draws: int, rng: np.random.Generator, gaussian: bool = False) -> Draws:
        """About `n_draws` in all, in proportion to the weights and two at least of each centre, the layer's rows being distinct."""
        counts = np.maximum(2, np.ceil(n_draws * layer.p_x - 1e-9).astype(np.intp))
        own = np.repeat(np.arange(len(counts)), counts)
        n, n_y, d = len(own), layer.p_xy.shape[1], layer.t.shape[1]
        centred = (layer.centres - layer.p_x @ layer.centres) / sigma
        moments = np.column_stack([(centred * centred).sum(axis=1), centred]) * layer.p_x[:, None]
        weights = np.hstack([layer.p_xy, moments])
        sums, shifts, controls = np.empty((n, n_y)), np.empty(n), np.zeros((n, 3))
        # Where squared distances cancel, two of the control variates, differences of them, would too.
        expanded = expansion_loss(layer.centres, sigma) <= LARGEST_LOSS
        far = np.full(n, np.nan)
        factor = _covariance_factor(centred, layer.p_x) if gaussian else None
        rows = max(1, BLOCK // d)  # wide layers: noise and moments of all draws would not fit in memory
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            noise = rng.normal(scale=sigma, size=(len(own[part]), d))
            found, shifts[part] = kernel_sums(own[part], noise, layer.centres, weights, sigma)
            sums[part] = found[:, :n_y]
            if expanded:
                given_t = found[:, n_y:] / row_sums(sums[part])[:, None]
                controls[part] = _controls(centred[own[part]], noise / sigma, given_t)
            else:
                controls[part, 0] = 0.5 * ((noise * noise).sum(axis=1) / sigma**2 - d)
            if factor is not None:
                whitened = solve_triangular(factor, (centred[own[part]] + noise / sigma).T, lower=True)
                squares = (noise * noise).sum(axis=1) / sigma**2 - (whitened * whitened).sum(axis=0)
                far[part] = 0.5 * squares - np.log(np.diagonal(factor)).sum()
        return Draws(layer.p_x, own, counts, controls, sums, shifts, far)

    def _strata(self, values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(self.own, values) / self.counts)

    def average(self, values: FloatArray) -> float:
        """The weighted mean of a quantity over the mixture."""
        return float(self.weights @ self._strata(values))

    def by_centre(self, values: FloatArray) -> Float[np.ndarray, " n"]:
        """The mean of a quantity at each centre, drawn to the mean of all until it varies no more than without the draws' noise."""
        means, weights = self._strata(values), self.weights
        share = (weights**2 / (self.counts * (self.counts - 1.0)))[self.own]
        noise = float(share @ (values - means[self.own]) ** 2) * (len(means) - 1.0)
        middle = weights @ means
        spread = float(weights @ (means - middle) ** 2)
        kept = np.sqrt(max(0.0, 1.0 - noise / spread)) if spread > 0 else 0.0
        return np.asarray(middle + kept * (means - middle))

    def mean(self, values: FloatArray, between: bool = False) -> tuple[float, float]:
        """Mean with the fitted control variates, and its variance; `between` adds that of an independent sample."""
        columns = np.column_stack([values, self.controls])
        means = np.column_stack([self._strata(column) for column in columns.T])
        moved = columns - means[self.own]
        share = (self.weights**2 / (self.counts * (self.counts - 1.0)))[self.own]
        covariance = moved.T @ (share[:, None] * moved)  # of the weighted means
        scale = np.sqrt(np.diagonal(covariance)[1:])
        unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
        fitted = (
            unit * np.linalg.lstsq(unit[:, None] * covariance[1:, 1:] * unit, unit * covariance[1:, 0], rcond=1e-9)[0]
        )
        residual = moved @ np.r_[1.0, -fitted]
        variance = float(share @ (residual * residual))
        mean = float(self.weights @ means @ np.r_[1.0, -fitted])
        if between:
            spread = float(self.weights @ (means[:, 0] - self.weights @ means[:, 0]) ** 2) / (len(means) - 1.0)
            variance += max(0.0, spread - float(covariance[0, 0]))
        return mean, variance


def _covariance_factor(centred: FloatArray, weights: FloatArray) -> FloatArray:
    """Cholesky factor of the covariance of t, in units of σ²; widened by its rounding, which any reference density may be."""
    covariance = (centred.T * weights) @ centred
    covariance[np.diag_indices_from(covariance)] += 1.0 + gram_rounding(covariance, *centred.shape)
    return np.asarray(np.linalg.cholesky(covariance))


def _controls(centre: FloatArray, noise: FloatArray, moments: FloatArray) -> FloatArray:
    """Three quantities of mean 0, in units of σ: ½‖z‖² - d/2, its mean given t (moments: of ‖s‖² and s given t), and c·z."""
    d, points = noise.shape[1], centre + noise
    given_t = (points * points).sum(axis=1) - 2.0 * (points * moments[:, 1:]).sum(axis=1) + moments[:, 0]
    return np.column_stack([0.5 * ((noise * noise).sum(axis=1) - d), 0.5 * (given_t - d), (centre * noise).sum(axis=1)])
