r"""How the convex part of f is split where decoders are deviations c from the mean m of nearly equal rows, and what is near to them.

The counterpart of :mod:`dualib.certificate.boxes.splits` for β (m/h²) φ(hc/m) in place of β s log s: ψ is the share γ/β of that, or a
parabola ½ k c², no steeper than it anywhere on a box. All of it is known to relative accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from dualib.certificate.boxes.coordinates import Deviations
from dualib.certificate.boxes.splits import AnySplit
from dualib.core.special import log1p_gap
from dualib.core.typing import Float, FloatArray


@dataclass(frozen=True, eq=False)
class DeviationSplit(AnySplit):
    """ψ and g of boxes.

    Attributes
    ----------
    beta : β, in units of the coordinates.
    coordinates : the deviations.
    share : γ ≥ 0, shape (N, 1), or (1, 1) for all boxes.
    parabola : k ≥ 0, shape (N, K), or (1, 1); 0 where there is none.
    """

    arrays: ClassVar[tuple[str, ...]] = ("share", "parabola")

    beta: float
    coordinates: Deviations
    share: FloatArray
    parabola: FloatArray

    @classmethod
    def parabolas(
        cls, beta: float, coordinates: Deviations, curvature: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Self:
        """The split with ψ'' = min(k, β/r) at the upper ends of boxes, where β/r, the curvature of what is split, is least."""
        most = beta / coordinates.probabilities(high)
        return cls(beta, coordinates, np.zeros((len(high), 1)), np.minimum(curvature, most))

    def rest(self, s: FloatArray) -> FloatArray:
        """The convex part g at s (N, K)."""
        return np.asarray((self.beta - self.share) * self.coordinates.convex(s) - 0.5 * self.parabola * s * s)

    def rest_slope(self, s: FloatArray) -> FloatArray:
        """The derivative g'."""
        return np.asarray((self.beta - self.share) * self.coordinates.logs(s) - self.parabola * s)

    def tangents(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tangents of ψ at s, intercepts and slopes, (N, K)."""
        own = self.coordinates
        gap = own.centre * log1p_gap(own.relative(s)) / own.step**2
        return -self.share * gap - 0.5 * self.parabola * s * s, self.share * own.logs(s) + self.parabola * s

    def curvature(self, s: FloatArray) -> FloatArray:
        """The second derivative ψ''."""
        return np.asarray(self.share / self.coordinates.probabilities(s) + self.parabola)
