"""Proven bounds on the information of a noisy layer from the distances between its centres."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from deepnets.estimators.layer import Layer, check_layer, check_reach, check_sigma
from deepnets.estimators.layer_information import LayerInformation
from dualib.core.estimate import Estimate, Kind
from dualib.core.typing import ArrayLike
from dualib.mixtures import EntropyBounds, entropy_bounds


class Choice(StrEnum):
    """Which number within the proven interval is reported."""

    KL = "kl"
    BHATTACHARYYA = "bhattacharyya"
    MIDDLE = "middle"


@dataclass(frozen=True)
class PairwiseBounds:
    r"""Bounds of Kolchinsky and Tracey on I(X;T) and I(T;Y) of T = t(X) + Z, Z ~ N(0, σ² I).

    I(X;T) = h(T) − h(Z) lies between :class:`dualib.mixtures.EntropyBounds` of the centres t_i with weights p_i, and is at
    most H(X). The same bounds hold for the mixture of each label, and I(T;Y) = h(T) − Σ_y p(y) h(T|y) lies between
    (lower of h(T)) − Σ p(y) (upper of h(T|y)) and the reverse, within 0 and I(X;Y): a proven interval, wider than that of
    I(X;T).

    Parameters
    ----------
    sigma : float
        σ > 0, in the units of the activations.
    value : {"kl", "bhattacharyya", "middle"}
        Which number within the interval is reported: "kl", the one of the distances ‖Δ‖²/2σ² that Saxe et al. plot (for
        I(X;T) the upper end), "bhattacharyya", or the "middle"; the nearest end where the interval excludes it.

    Raises
    ------
    ValueError
        If sigma is not positive, or value is none of the three.

    Notes
    -----
    The bounds belong to the given patterns and weights: those of a sample bound the information of the sample's empirical
    law. In deeper layers, which add noise to noise, they bound h(T) − h(Z) for the passes given, not I(X;T); there use
    ConditionalPlugin.

    References
    ----------
    [kolchinsky2017]_; [saxe2018]_

    Examples
    --------
    >>> import numpy as np
    >>> rate = PairwiseBounds(1.0).layer(np.array([[-1.0], [1.0]]), np.eye(2)).rate
    >>> bool(rate.low <= 0.336830821 <= rate.high)
    True
    """

    sigma: float
    value: str = Choice.KL

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_sigma(self.sigma))
        if self.value not in list(Choice):
            raise ValueError(f'value must be "kl", "bhattacharyya" or "middle", got {self.value!r}')
        object.__setattr__(self, "value", Choice(self.value))

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Bounds for one layer.

        Parameters
        ----------
        t : array, shape (n, d)
            The layer's activations without noise, one row a pattern.
        p_y_given_x : array, shape (n, n_y)
            Label probabilities, one-hot where labels are deterministic.
        p_x : array, shape (n,), or None
            Weights of the patterns; equal by default.
        seed : int
            Not used, nothing is random here.

        Returns
        -------
        LayerInformation
            In nats, with proven intervals.

        Raises
        ------
        ValueError
            If activations are not finite, shapes do not fit, or laws do not sum to 1.
        """
        layer = check_layer(t, p_y_given_x, p_x)
        check_reach(layer.t, self.sigma)
        return self.of_merged(layer.merged())

    def of_merged(self, layer: Layer) -> LayerInformation:
        """Bounds for a layer whose equal rows are merged: I(X;T) is at most the entropy of the distinct rows."""
        p_y = layer.p_y
        given_y = np.divide(layer.p_xy, p_y, out=np.zeros_like(layer.p_xy), where=p_y > 0)
        bounds = entropy_bounds(layer.centres, np.column_stack([layer.p_x, given_y]), self.sigma)
        intervals = _intervals(bounds, layer)
        values = [0.5 * (low + high) for low, high in intervals]
        if self.value != Choice.MIDDLE:
            chosen = bounds.kl if self.value == Choice.KL else bounds.bhattacharyya
            values = [float(chosen[0]), float(chosen[0] - p_y @ chosen[1:])]
        method = f"pairwise bounds, sigma = {self.sigma:g}, value: {self.value}"
        return LayerInformation.of(
            (Estimate.within(v, i, Kind.PROVEN, method=method) for v, i in zip(values, intervals, strict=True))
        )


def _intervals(bounds: EntropyBounds, layer: Layer) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of I(X;T) and of I(T;Y); entry 0 of the bounds is the whole mixture, the others are the labels'."""
    lower, upper, p_y = bounds.lower, bounds.upper, layer.p_y
    most = min(layer.input_entropy, max(float(lower[0]), float(upper[0])))
    low = max(0.0, float(lower[0] - p_y @ upper[1:]))
    high = max(0.0, min(layer.label_information, most, float(upper[0] - p_y @ lower[1:])))
    return (min(float(lower[0]), most), most), (min(low, high), high)
