r"""Boxes of decoders near the mean of nearly equal rows: how far r is from it, in units of how far the rows are.

With m the mean row, r = m + h c, and h² the largest χ²(p_x‖m), for any q and p_q = m + h c(q), c(q) = Σ_x q_x c_x,

.. math:: \beta \Big[\sum_x q_x D(p_x\|m) - \sum_x q_x D(p_x\|p_q)\Big] = \beta D(p_q\|m)
          = \beta h^2 \sum_y \frac{m_y}{h^2}\, \varphi\Big(\frac{h c_y(q)}{m_y}\Big), \qquad \varphi(v) = (1+v)\log(1+v) - v,

so that β h² takes the place of β, (m/h²) φ(hc/m) that of s log s, log(r/m)/h that of log r, and −D(p_x‖m)/h² that of H(p_x). Where β is
as large as 1/h², all of them are of order one, and so is what rounding is relative to. (Derived here; the counterpart of the log-odds
of :mod:`dualib.certificate.boxes.dual_bounds`.)

The convex part of f is split as in :mod:`dualib.certificate.boxes.splits`: ψ is the share γ/β of that, or a parabola ½ k c², no
steeper than it anywhere on a box. All of it is known to relative accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dualib.certificate.boxes.coordinates import Coordinates, Plain
from dualib.certificate.boxes.shares import nearest_deviation
from dualib.certificate.boxes.splits import AnySplit
from dualib.core.special import TINY, log1p_gap, log1p_gap_given, log_ratio
from dualib.core.typing import Float, FloatArray

NEAR = 0.25  # rows are nearly equal where all p(y|x) are this near their mean, relative to it


@dataclass(frozen=True, eq=False)
class Deviations(Coordinates):
    """Decoders by their deviations c = (r − m)/h from a distribution m.

    Attributes
    ----------
    centre : m, shape (K,).
    step, total : h, and Σ_y c_y = 0.
    """

    common_noise: ClassVar[bool] = False  # contraction and parabolas leave little to it

    centre: FloatArray
    step: float
    total: float = 0.0

    def of_rows(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """The coordinates of p(y|x), all scaled to the sum of m: to relative accuracy those of rows of sum 1, as β h knows their rounding."""
        apart, m = rows - self.centre, self.centre
        return np.asarray((apart - m * (apart.sum(axis=1, keepdims=True) / m.sum())) / self.step)

    def of(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The coordinates of decoders."""
        return np.asarray((r - self.centre) / self.step)

    def probabilities(self, c: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
        """The decoders at coordinates."""
        return np.asarray(self.centre + self.step * c)

    def relative(self, c: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
        """The values r/m − 1."""
        return np.asarray(c * (self.step / self.centre))

    def logs(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values log(r/m)/h, r > 0."""
        return np.asarray(np.log1p(self.relative(c)) / self.step)

    def logs_at(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values log(r/m)/h of decoders anywhere; an r of 0 counts as 1e-300."""
        return np.asarray(log_ratio(self.centre, np.maximum(r, TINY))[1] / self.step)

    def convex(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values m φ(r/m − 1)/h², to relative accuracy."""
        v = self.relative(c)
        log = np.log1p(v)
        return np.asarray(self.centre * (v * log - log1p_gap_given(v, log)) / self.step**2)

    def excess(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, " N"]:
        """The value D(m‖r)/h²; with it, log G is that of an r of any sum."""
        return np.asarray((self.centre * log1p_gap(self.relative(c))).sum(axis=1) / self.step**2)

    def balanced(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """Coordinates of any sum moved to the sum of distributions, and not farther than any of a hull of nearly equal rows."""
        moved = c - self.centre * (c.sum(axis=1, keepdims=True) / self.centre.sum())
        furthest = 2.0 * NEAR * self.centre / self.step
        return np.asarray(np.clip(moved, -furthest, furthest))

    def usable(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """All of them."""
        return c

    def nearest(
        self, rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Float[np.ndarray, "N n"]:
        """Those by x − log(1 + x) ≥ 3x²/(6 + 4x)."""
        return nearest_deviation(self.probabilities(rows), rows, self.step, low, high)

    def split(self, beta: float, share: Float[np.ndarray, "N _"]) -> AnySplit:
        """Of β (m/h²) φ(hc/m)."""
        return DeviationSplit(beta, self, share, np.zeros((1, 1)))

    def parabolas(self, beta: float, curvature: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> AnySplit:
        """With ψ'' = min(k, β/r) at the upper ends of boxes, where β/r, the curvature of what is split, is least."""
        most = beta / self.probabilities(high)
        return DeviationSplit(beta, self, np.zeros((len(high), 1)), np.minimum(curvature, most))

    def steepest(self, rows: Float[np.ndarray, "n k"]) -> float:
        """What log(r/m)/h is up to."""
        return max(1.0, float((np.abs(rows).max(axis=0) / self.centre).max()))

    def turning(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
        """The largest abs(c)/r."""
        return np.asarray(np.abs(rows).max(axis=0) / self.probabilities(rows.min(axis=0)))

    def sizes(
        self, rows: Float[np.ndarray, "n k"], mean: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Float[np.ndarray, "*N k"]:
        """The largest abs(c) of the rows."""
        return np.asarray(np.abs(rows).max(axis=0))

    def depth(
        self, rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], mean: FloatArray, decoders: FloatArray
    ) -> float:
        """Products of the largest abs(c) and abs(log(r/m)/h)."""
        largest = np.abs(rows).max(axis=0)
        furthest = np.abs(self.logs(np.concatenate([rows, np.minimum(low, largest)]))).max(axis=0)
        furthest = np.maximum(furthest, np.abs(self.logs_at(decoders)).max(axis=0, initial=0.0))
        return 4.0 * float(largest @ furthest)


@dataclass(frozen=True, eq=False)
class DeviationSplit(AnySplit):
    """ψ and g of boxes; the curvature of a parabola is at most that of what it is taken from.

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


def coordinates_of(rows: Float[np.ndarray, "n k"]) -> Coordinates:
    """The deviations from the mean row where the rows are nearly equal, and not all the same; else probabilities."""
    centre = rows.mean(axis=0)
    apart = rows - centre
    if not (np.abs(apart) <= NEAR * centre).all():
        return Plain()
    step = float(np.sqrt((apart * apart / centre).sum(axis=1).max()))
    return Deviations(centre, step) if step > 0 else Plain()
