"""Deeper noisy layers: T given x is itself a mixture, known by repeated noisy passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from deepnets.estimators.layer import Layer, check_finite, check_layer, check_reach, check_sigma, noise_generator
from deepnets.estimators.layer_information import Caution, Concern, LayerInformation
from dualib.core.arrays import whole
from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import LEVEL
from dualib.core.typing import ArrayLike, FloatArray
from dualib.mixtures import kernel_sums

PRIOR = 1e-3
"""Share of the prior in the posteriors of the lower ends: bounds what a draw that no other pass comes near can cost."""


@dataclass(frozen=True)
class ConditionalPlugin:
    r"""I(X;T_l) and I(T_l;Y) of a noisy layer behind other noisy layers, T_l = S_l + Z with S_l random given x.

    With M passes from every pattern, :math:`\hat q_x` the mixture of the noise around the M passes from x, and :math:`\hat q
    = \sum_x p(x) \hat q_x`, the smoothed plug-in and its counterpart without the own pass k (-k) bracket the truth in
    expectation:

    .. math::
        E \ln \frac{(1-ε) \hat q_{x,-k}(T) + ε \hat q_{-k}(T)}{\hat q_{-k}(T)} \;\le\; I(X;T_l) \;\le\;
        E \ln \frac{\hat q_x(T)}{\hat q(T)}, \qquad T = S_{xk} + Z

    Right: the plug-in is the information of an unbiased estimate of the channel p(t|x), and information is convex in the
    channel. (h(T) and h(T|x) are both too low; with the same passes for both the second loses.) Left: any posterior p(x|t)
    that does not know the pass gives at most the information. The same holds for I(T_l;Y). The value is the middle, in which
    the leading biases cancel.

    Parameters
    ----------
    sigma : float
        σ > 0 of the layer's own noise.
    n_mc : int
        Draws of that noise around every pass, at least 1; each costs one pass over all pairs of passes.

    Raises
    ------
    ValueError
        If sigma is not positive, or n_mc is no whole number of at least 1.

    References
    ----------
    [goldfeld2019]_ (estimator); [cover2006]_ theorem 2.7.4 (convexity); [barber2003]_ (posteriors that do not know a point)

    Examples
    --------
    >>> import numpy as np
    >>> import deepnets
    >>> estimator = ConditionalPlugin(sigma=0.1)
    >>> estimator.n_mc
    1
    """

    sigma: float
    n_mc: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_sigma(self.sigma))
        object.__setattr__(self, "n_mc", whole(self.n_mc, "n_mc", 1))

    def layer(
        self, centres: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Estimates for one layer.

        Parameters
        ----------
        centres : array, shape (n_x, M, d)
            The layer's activations before its own noise, M >= 2 independent passes, with the noise of the layers below, from
            each of all n_x patterns.
        p_y_given_x : array, shape (n_x, n_y)
        p_x : array, shape (n_x,), or None
            Weights of the patterns; equal by default.
        seed : int
            Seed of this layer's noise.

        Returns
        -------
        LayerInformation
            In nats; 95 % intervals that hold the bracket, the noise of the passes and the Monte Carlo error.

        Raises
        ------
        ValueError
            If there is one pass only, arrays do not fit, or entries are not finite.
        """
        array = np.asarray(centres, dtype=np.float64)
        if array.ndim != 3 or array.size == 0:
            raise ValueError(f"centres must have shape (n_x, repeats, d), got {array.shape}")
        n_x, repeats, _ = array.shape
        if repeats < 2:
            raise ValueError(
                "h(T|x) needs at least 2 passes from every x, got 1; use SmoothedPlugin for the first layer"
            )
        check_finite(array)
        check_reach(array, self.sigma)
        layer = check_layer(array[:, 0], p_y_given_x, p_x)
        seen = layer.p_x > 0
        array, layer = array[seen], Layer(layer.t[seen], layer.p_xy[seen])
        draws = self.n_mc
        ends = np.zeros((2, 2, n_x, repeats))  # (rate, relevance), (low, high), x, pass
        rng = noise_generator(seed)
        for _ in range(draws):
            ends += self.log_ratios(array, layer, rng.normal(scale=self.sigma, size=array.shape)) / draws
        method = f"conditional smoothed plug-in, sigma = {self.sigma:g}, {repeats} passes, {draws} draws"
        most = layer.input_entropy, layer.label_information
        found = [_estimate(e, layer.p_x, m, method) for e, m in zip(ends, most, strict=True)]
        return LayerInformation.of((estimate for estimate, _ in found), *(cautions for _, cautions in found))

    def log_ratios(self, centres: FloatArray, layer: Layer, noise: FloatArray) -> FloatArray:
        """The four log ratios at one noisy copy of every pass, shape (2, 2, n_x, M)."""
        n_x, repeats, d = centres.shape
        flat, own = centres.reshape(-1, d), np.arange(n_x * repeats)
        p_xy = np.repeat(layer.p_xy, repeats, axis=0)
        p_x = np.repeat(layer.p_x, repeats)
        sums, shifts = kernel_sums(own, noise.reshape(-1, d), flat, p_xy / repeats, self.sigma)
        inside, without = self._own_sums(centres, noise, shifts.reshape(n_x, repeats))
        # Replace the part of the own pattern by that of its other passes.
        others = np.maximum(sums - p_xy * (inside / repeats)[:, None], 0.0)
        rest = without / (repeats - 1)
        joint = others + p_xy * rest[:, None]
        rows, p_y, seen = p_xy / np.where(p_x > 0, p_x, 1.0)[:, None], layer.p_y, p_xy > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            q, q_out = sums.sum(axis=1), joint.sum(axis=1)
            ratio_out = np.where(q_out > 0, rest / q_out, 1.0)
            posterior_out = np.where((q_out > 0)[:, None], joint / q_out[:, None], p_y)
            high = np.log(inside / repeats / q)
            low = np.log((1.0 - PRIOR) * ratio_out + PRIOR)
            label_high = np.where(seen, rows * np.log(sums / q[:, None] / p_y), 0.0).sum(axis=1)
            mixed = (1.0 - PRIOR) * posterior_out + PRIOR * p_y
            label_low = np.where(seen, rows * np.log(mixed / p_y), 0.0).sum(axis=1)
        return np.array([[low, high], [label_low, label_high]]).reshape(2, 2, n_x, repeats)

    def _own_sums(self, centres: FloatArray, noise: FloatArray, shifts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Kernels of the passes from the own x, relative to that of the own pass: with it and without it, flat."""
        n_x, repeats, d = centres.shape
        without = np.empty((n_x, repeats))
        chunk = max(1, 2**20 // (repeats * repeats * d))
        for start in range(0, n_x, chunk):
            part = slice(start, start + chunk)
            delta = (centres[part, :, None] - centres[part, None]) / self.sigma
            exponent = -0.5 * (delta * (delta + 2.0 * noise[part, :, None] / self.sigma)).sum(axis=-1)
            kernel = np.exp(exponent - shifts[part, :, None])
            kernel[:, np.arange(repeats), np.arange(repeats)] = 0.0
            without[part] = kernel.sum(axis=-1)
        return (without + np.exp(-shifts)).ravel(), without.ravel()


def _estimate(ends: FloatArray, p_x: FloatArray, most: float, method: str) -> tuple[Estimate, tuple[Caution, ...]]:
    """From the lower and upper log ratios (2, n_x, M): the middle; every pattern's passes have a mean of their own."""
    low, high = (float(p_x @ e.mean(axis=1)) for e in ends)
    middle = ends.mean(axis=0)
    repeats = middle.shape[1]
    error = float(np.sqrt((p_x**2) @ middle.var(axis=1, ddof=1) / repeats))
    freedom = (repeats - 1) * (p_x**2).sum() ** 2 / (p_x**4).sum()  # of patterns of equal variance
    half = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * error + 3.0 / middle.size
    interval = min(most, max(0.0, low - half)), min(most, max(0.0, high + half))
    found = Estimate.within(
        0.5 * (low + high), interval, Kind.STATISTICAL, level=LEVEL, n=repeats, method=method, std_error=error
    )
    if high - low <= 0.1:
        return found, ()
    text = (
        f"plug-in and left-out passes differ by {high - low:.2g} nats: give more passes from every x, or use more noise"
    )
    return found, (Caution(Concern.PASSES, high - low, text),)
