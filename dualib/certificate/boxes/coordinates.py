r"""What boxes of decoders are boxes of: r itself or, where all rows are nearly equal, how far r is from their mean, in units of how far they are.

With m the mean row, r = m + h c, and h² the largest χ²(p_x‖m), for any q and p_q = m + h c(q), c(q) = Σ_x q_x c_x,

.. math:: \beta \Big[\sum_x q_x D(p_x\|m) - \sum_x q_x D(p_x\|p_q)\Big] = \beta D(p_q\|m)
          = \beta h^2 \sum_y \frac{m_y}{h^2}\, \varphi\Big(\frac{h c_y(q)}{m_y}\Big), \qquad \varphi(v) = (1+v)\log(1+v) - v,

so that β h² takes the place of β, (m/h²) φ(hc/m) that of s log s, log(r/m)/h that of log r, and −D(p_x‖m)/h² that of H(p_x). Where β is
as large as 1/h², all of them are of order one, and so is what rounding is relative to. (Derived here; the counterpart of the log-odds
of :mod:`dualib.certificate.boxes.dual_bounds`.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.special import TINY, log1p_gap, log1p_gap_given, log_ratio
from dualib.core.typing import Float, FloatArray

NEAR = 0.25  # rows are nearly equal where all p(y|x) are this near their mean, relative to it


@dataclass(frozen=True)
class Plain:
    """Decoders by their probabilities, c = r.

    Attributes
    ----------
    step, total : h = 1, and Σ_y c_y = 1.
    """

    step: float = 1.0
    total: float = 1.0

    def of_rows(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """The coordinates of p(y|x)."""
        return rows

    def of(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The coordinates of decoders."""
        return r

    def probabilities(self, c: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
        """The decoders at coordinates."""
        return c

    def logs(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values log c, c > 0."""
        return np.asarray(np.log(c))

    def logs_at(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values log r."""
        return np.asarray(np.log(r))

    def convex(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values c log c."""
        return np.asarray(c * np.log(np.maximum(c, TINY)))

    def excess(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, " N"]:
        """How much Σ c is above 1."""
        return np.asarray(c.sum(axis=1) - 1.0)

    def balanced(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """Coordinates of any sum scaled to that of distributions."""
        return np.asarray(np.maximum(c / np.maximum(c.sum(axis=1, keepdims=True), TINY), TINY))


@dataclass(frozen=True, eq=False)
class Deviations:
    """Decoders by their deviations c = (r − m)/h from a distribution m.

    Attributes
    ----------
    centre : m, shape (K,).
    step, total : h, and Σ_y c_y = 0.
    """

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


Coordinates = Plain | Deviations
"""Of the decoders of a search."""


def coordinates_of(rows: Float[np.ndarray, "n k"]) -> Coordinates:
    """The deviations from the mean row where the rows are nearly equal, and not all the same; else probabilities."""
    centre = rows.mean(axis=0)
    apart = rows - centre
    if not (np.abs(apart) <= NEAR * centre).all():
        return Plain()
    step = float(np.sqrt((apart * apart / centre).sum(axis=1).max()))
    return Deviations(centre, step) if step > 0 else Plain()
