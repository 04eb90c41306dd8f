"""Proven bounds on the information of a noisy layer from the distances between its centres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepnets.estimators.layer import Layer, check_layer, check_sigma
from deepnets.estimators.layer_information import LayerInformation, make_estimate
from dualib.mixtures import gaussian_bound, pair_sums, rounding

FloatArray = NDArray[np.float64]
Choice = Literal["kl", "bhattacharyya", "middle"]


@dataclass(frozen=True)
class PairwiseBounds:
    r"""Bounds of Kolchinsky and Tracey on I(X;T) and I(T;Y) of T = t(X) + Z, Z ~ N(0, σ² I).

    With :math:`\hat I_D = -\sum_i w_i \ln \sum_j w_j e^{-D_{ij}}` for centres t_i of weights w_i and :math:`Δ = t_i - t_j`,

    .. math::
        \max\Big(\hat I_{‖Δ‖²/8σ²},\; \hat I_{‖Δ‖²/4σ²} - \tfrac d2 (1 - \ln 2)\Big) \;\le\; h(T) - h(Z) \;\le\;
        \min\Big(\hat I_{‖Δ‖²/2σ²},\; \tfrac12 \ln\det(1 + \mathrm{Cov}(t)/σ²)\Big)

    the two lower bounds by Bhattacharyya distances and by expected likelihood, the second upper bound by the largest entropy
    of a given covariance. I(X;T) = h(T) - h(Z). The same bounds hold for the mixture of each label, and I(T;Y) = h(T) -
    Σ_y p(y) h(T|y) lies between (lower of h(T)) - Σ p(y) (upper of h(T|y)) and the reverse, within 0 and I(X;Y): a proven
    interval, wider than that of I(X;T).

    Parameters
    ----------
    sigma : σ > 0, in the units of the activations.
    value : which number within the interval is reported: "kl", the one of the distances ‖Δ‖²/2σ² that Saxe et al. plot (for
        I(X;T) the upper end), "bhattacharyya", or the "middle"; the nearest end where the interval excludes it.

    Raises
    ------
    ValueError: sigma is not positive.

    Notes
    -----
    The bounds belong to the given patterns and weights: those of a sample bound the information of the sample's empirical
    law. In deeper layers, which add noise to noise, they bound h(T) - h(Z) for the passes given, not I(X;T); there use
    ConditionalPlugin.

    References
    ----------
    [kolchinsky2017]_; [saxe2018]_
    """

    sigma: float
    value: Choice = "kl"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_sigma(self.sigma))
        if self.value not in ("kl", "bhattacharyya", "middle"):
            raise ValueError(f'value must be "kl", "bhattacharyya" or "middle", got {self.value!r}')

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Bounds for one layer.

        Parameters
        ----------
        t : array, shape (n, d): the layer's activations without noise, one row a pattern.
        p_y_given_x : array, shape (n, n_y): label probabilities, one-hot where labels are deterministic.
        p_x : array, shape (n,): weights of the patterns; equal by default.
        seed : not used, nothing is random here.

        Returns
        -------
        LayerInformation, in nats, with proven intervals.

        Raises
        ------
        ValueError: activations that are not finite, shapes that do not fit, laws that do not sum to 1.
        """
        return self._of_merged(check_layer(t, p_y_given_x, p_x).merged())

    def _of_merged(self, layer: Layer) -> LayerInformation:
        bounds = _Bounds(layer, self.sigma)
        intervals = bounds.input_interval, bounds.label_interval
        values = {
            "kl": (bounds.kl[0], bounds.difference(bounds.kl)),
            "bhattacharyya": (bounds.bhattacharyya[0], bounds.difference(bounds.bhattacharyya)),
            "middle": tuple(0.5 * (low + high) for low, high in intervals),
        }[self.value]
        method = f"pairwise bounds, sigma = {self.sigma:g}, value: {self.value}"
        return LayerInformation(
            *(make_estimate(v, i, method, "proven") for v, i in zip(values, intervals, strict=True))
        )


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Bounds on h - h(Z) of the whole mixture (entry 0) and of each label's (entries 1, …), each a vector (1 + n_y,)."""

    layer: Layer
    sigma: float

    @cached_property
    def mixtures(self) -> FloatArray:
        """Weights of the centres in each mixture, shape (n, 1 + n_y); a label that does not occur has weights 0."""
        p_y = self.layer.p_y
        given_y = np.divide(self.layer.p_xy, p_y, out=np.zeros_like(self.layer.p_xy), where=p_y > 0)
        return np.column_stack([self.layer.p_x, given_y])

    @cached_property
    def _estimates(self) -> list[FloatArray]:
        weights = self.mixtures
        with np.errstate(divide="ignore", invalid="ignore"):
            # The own term alone makes the sum at least the weight.
            logs = (np.log(np.maximum(s, weights)) for s in pair_sums(self.layer.centres, weights, self.sigma))
            return [-np.where(weights > 0, weights * log, 0.0).sum(axis=0) for log in logs]

    @property
    def bhattacharyya(self) -> FloatArray:
        return self._estimates[0]

    @property
    def kl(self) -> FloatArray:
        return self._estimates[2]

    @cached_property
    def lower(self) -> FloatArray:
        likelihood = self._estimates[1] - 0.5 * self.layer.t.shape[1] * (1.0 - np.log(2.0))
        return np.maximum(np.maximum(self.bhattacharyya, likelihood) - self._slack, 0.0)

    @cached_property
    def upper(self) -> FloatArray:
        return np.maximum(np.minimum(self.kl, self._gaussian) + self._slack, 0.0)

    @cached_property
    def _gaussian(self) -> FloatArray:
        columns = self.mixtures.T
        return np.array([gaussian_bound(self.layer.centres, w, self.sigma) for w in columns])

    @cached_property
    def _slack(self) -> float:
        return rounding(self.layer.centres, self.sigma)

    def difference(self, entropies: FloatArray) -> float:
        """h(T) - Σ_y p(y) h(T|y) of a vector of entropies."""
        return float(entropies[0] - self.layer.p_y @ entropies[1:])

    @cached_property
    def input_interval(self) -> tuple[float, float]:
        """Of I(X;T)."""
        return float(self.lower[0]), float(max(self.lower[0], self.upper[0]))

    @cached_property
    def label_interval(self) -> tuple[float, float]:
        """Of I(T;Y)."""
        p_y = self.layer.p_y
        most = min(self.layer.label_information, float(self.upper[0]))
        low = max(0.0, float(self.lower[0] - p_y @ self.upper[1:]))
        high = min(most, float(self.upper[0] - p_y @ self.lower[1:]))
        return min(low, high), high
