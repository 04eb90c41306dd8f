"""What boxes of decoders are boxes of: r itself (here) or, where all rows are nearly equal, :mod:`dualib.certificate.boxes.deviations`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dualib.certificate.boxes.shares import nearest_mixture
from dualib.certificate.boxes.splits import AnySplit, Split
from dualib.core.special import TINY
from dualib.core.typing import Float, FloatArray

SMALLEST = 1e-200  # probabilities below are as good as 0: what they multiply is, or the term is e^−460β


class Coordinates(ABC):
    """Coordinates c of decoders r, linear in r; `rows` are those of p(y|x).

    Attributes
    ----------
    step : h, by how much r changes where c changes by 1.
    total : Σ_y c_y of distributions.
    common_noise : whether noise that rows have in common (:mod:`dualib.certificate.boxes.noise`) is worth looking for.
    """

    common_noise: ClassVar[bool]
    step: float
    total: float

    @abstractmethod
    def of_rows(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """The coordinates of p(y|x)."""

    @abstractmethod
    def of(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The coordinates of decoders."""

    @abstractmethod
    def probabilities(self, c: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
        """The decoders at coordinates."""

    @abstractmethod
    def logs(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """What takes the place of log r, r > 0."""

    @abstractmethod
    def logs_at(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The same of decoders anywhere."""

    @abstractmethod
    def convex(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """What takes the place of r log r, every y."""

    @abstractmethod
    def excess(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, " N"]:
        """What β times this takes from the terms makes log G that of an r of any sum."""

    @abstractmethod
    def balanced(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """Coordinates of any sum moved to those of distributions."""

    @abstractmethod
    def usable(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """Means of rows, where their logarithms can be taken."""

    @abstractmethod
    def nearest(
        self, rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Float[np.ndarray, "N n"]:
        """Lower bounds of D(p_x‖r)/h² over boxes."""

    @abstractmethod
    def split(self, beta: float, share: Float[np.ndarray, "N _"]) -> AnySplit:
        """The split of the convex part of f with some γ."""

    @abstractmethod
    def parabolas(self, beta: float, curvature: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> AnySplit:
        """The split with parabolas, as far as they are not steeper on boxes up to `high` than what they are taken from."""

    @abstractmethod
    def steepest(self, rows: Float[np.ndarray, "n k"]) -> float:
        """The scale of multipliers, in units of β."""

    @abstractmethod
    def turning(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
        """How much the slope of the convex part of f turns by a relative error of c, in units of β."""

    @abstractmethod
    def sizes(
        self, rows: Float[np.ndarray, "n k"], mean: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Float[np.ndarray, "*N k"]:
        """What Σ_x q_x abs(c_x) and abs(c) are at most in boxes, given Σ_x q_x c_x, every y."""

    @abstractmethod
    def depth(
        self, rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], mean: FloatArray, decoders: FloatArray
    ) -> float:
        """How large exponents are in units of β, in boxes above `low` and at decoders (m, K), given Σ_x q_x c_x there."""


@dataclass(frozen=True)
class Plain(Coordinates):
    """Decoders by their probabilities, c = r."""

    common_noise: ClassVar[bool] = True

    step: float = 1.0
    total: float = 1.0

    def of_rows(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """The rows."""
        return rows

    def of(self, r: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The decoders."""
        return r

    def probabilities(self, c: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
        """The coordinates."""
        return c

    def logs(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """The values log c."""
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
        """Scaled to sum 1."""
        return np.asarray(np.maximum(c / np.maximum(c.sum(axis=1, keepdims=True), TINY), TINY))

    def usable(self, c: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
        """At least 1e-300."""
        return np.asarray(np.maximum(c, TINY))

    def nearest(
        self, rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Float[np.ndarray, "N n"]:
        """Those of p_x/λ clipped to the box."""
        return nearest_mixture(rows, low, high)

    def split(self, beta: float, share: Float[np.ndarray, "N _"]) -> AnySplit:
        """Of β s log s."""
        return Split.of(beta, share, np.zeros((1, 1)))

    def parabolas(self, beta: float, curvature: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> AnySplit:
        """Of β s log s."""
        return Split.parabolas(beta, curvature)

    def steepest(self, rows: Float[np.ndarray, "n k"]) -> float:
        """1."""
        return 1.0

    def turning(self, rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
        """1, as the slope is log c."""
        return np.ones(rows.shape[1])

    def sizes(
        self, rows: Float[np.ndarray, "n k"], mean: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]
    ) -> Float[np.ndarray, "*N k"]:
        """The mean, or the box's upper end."""
        return np.asarray(np.maximum(mean, high))

    def depth(
        self, rows: Float[np.ndarray, "n k"], low: Float[np.ndarray, "N k"], mean: FloatArray, decoders: FloatArray
    ) -> float:
        """An entropy and the largest log r of boxes, or what of log r has a share at decoders."""
        of_boxes = float(np.abs(np.log(low[low > SMALLEST])).max(initial=0.0))
        of_decoders = float((mean * np.abs(np.log(decoders))).sum(axis=1).max(initial=0.0))
        return float(np.log(rows.shape[1])) + max(of_boxes, of_decoders)
