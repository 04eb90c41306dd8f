r"""What solved points, and the proven lower bounds of F there, say of every rate and distortion.

The least distortion D(R) of a rate is convex, and with F ≥ L at every solved β

.. math:: D(R) \ge \max_i \frac{L_i - R}{\beta_i}, \qquad R(D) \ge \max_i \, (L_i - \beta_i D).

The β of which a point (R, D(R)) is the optimum has −1/β as a slope of D there, so that every encoder (R_j, D_j) bounds it:

.. math:: \beta \le \frac{R_j - R}{D(R) - D_j} \text{ if } R_j > R, \qquad \beta \ge \frac{R - R_j}{D_j - D(R)} \text{ if } R_j < R,

with the lower bound of D(R) in its place. Sharing time between two encoders, T with an independent coin, shares rate,
distortion and I(T;Y).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import ArrayLike, Float, FloatArray

ROUNDING = 256.0 * EPS  # of rate and distortion of an encoder, times 1 + their size


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """Points of one problem, nats: β, rate and distortion of an encoder there, and a proven lower bound of F."""

    beta: Float[np.ndarray, " n"]
    rate: Float[np.ndarray, " n"]
    distortion: Float[np.ndarray, " n"]
    lower_bound: Float[np.ndarray, " n"]

    def least_distortion(self, rate: ArrayLike) -> FloatArray:
        """No encoder of that rate has a distortion below it, shape of `rate`."""
        bounds = (self.lower_bound - np.asarray(rate)[..., None]) / self.beta
        return np.asarray(np.maximum(bounds.max(axis=-1), 0.0))

    def least_rate(self, distortion: ArrayLike) -> FloatArray:
        """No encoder of that distortion has a rate below it, shape of `distortion`."""
        bounds = self.lower_bound - self.beta * np.asarray(distortion)[..., None]
        return np.asarray(np.maximum(bounds.max(axis=-1), 0.0))

    def reached_distortion(self, rate: float) -> float:
        """The distortion of sharing time between the points around a rate, inf where there are none."""
        return _between(self.rate, self.distortion, rate)

    def reached_rate(self, distortion: float) -> float:
        """The rate of sharing time between the points around a distortion, inf where there are none."""
        return _between(self.distortion, self.rate, distortion)

    def betas_of_rate(self, rate: float) -> tuple[float, float]:
        """Every β of which an encoder of that rate can be the optimum lies between the two."""
        least = float(self.least_distortion(rate))
        return _slopes(self.rate - rate, self.distortion - least, 1.0 + rate, 1.0 + self.distortion.max())

    def betas_of_distortion(self, distortion: float) -> tuple[float, float]:
        """Every β of which an encoder of that distortion can be the optimum lies between the two."""
        least = float(self.least_rate(distortion))
        return _slopes(self.rate - least, self.distortion - distortion, 1.0 + self.rate.max(), 1.0 + distortion)


def _between(x: FloatArray, y: FloatArray, at: float) -> float:
    """The chord of the points next to `at` on both sides."""
    below, above = x <= at, x >= at
    if not (below.any() and above.any()):
        return float("inf")
    i = np.flatnonzero(below)[np.lexsort((y[below], -x[below]))[0]]
    j = np.flatnonzero(above)[np.lexsort((y[above], x[above]))[0]]
    share = (at - x[i]) / (x[j] - x[i]) if x[j] > x[i] else 1.0
    return float(y[i] + share * (y[j] - y[i]))


def _slopes(
    rate: FloatArray, distortion: FloatArray, rate_scale: float, distortion_scale: float
) -> tuple[float, float]:
    """Least and largest β = −Δrate/Δdistortion that encoders at these differences from a point below all of them allow."""
    slack_r, slack_d = ROUNDING * rate_scale, ROUNDING * distortion_scale
    costs = (rate > slack_r) & (distortion < -slack_d)
    saves = (rate < -slack_r) & (distortion > slack_d)
    high = ((rate[costs] + slack_r) / (-distortion[costs] - slack_d)).min(initial=np.inf)
    low = ((-rate[saves] - slack_r) / (distortion[saves] + slack_d)).max(initial=0.0)
    return float(low), float(high)
