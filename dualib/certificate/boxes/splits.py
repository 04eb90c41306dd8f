r"""How β Σ s log s is split over boxes: ψ stays with the entropy of q, which it leaves concave, and only the rest g gets chords.

A box has a share a, and a shift l_y for every symbol, with

.. math:: \psi''(s) = \min\Big(\frac{\beta}{s}, \frac{a}{s - l}\Big), \qquad g(s) = \beta s \log s - \psi(s),

so that g is 0 up to the s* where the two are equal, and convex. With l < 0, a is at most β, and the second of the two is the least
everywhere. a = γ and l = 0 is the contraction of the rows (:func:`dualib.certificate.boxes.contraction.concave_share`); how far the
rows of a box have noise in common says a and l, too (:mod:`dualib.certificate.boxes.noise`). Where a is 0, ψ may be a parabola
instead, as far as that is less steep than β s log s: ψ''(s) = min(β/s, m) (:mod:`dualib.certificate.boxes.local`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from dualib.core.typing import Bool, Float, FloatArray, IntArray

NARROW = 1e-13  # a box this narrow gets the tangent's slope, which is as sound as the chord's
SMALLEST, FAR = 1e-300, 2.0


class AnySplit(ABC):
    """ψ and g of boxes, as functions of their coordinates s, every y.

    Attributes
    ----------
    arrays : the names of the attributes that have a row for every box, or one for all.
    """

    arrays: ClassVar[tuple[str, ...]]

    @abstractmethod
    def rest(self, s: FloatArray) -> FloatArray:
        """The convex part g at s (N, K)."""

    @abstractmethod
    def rest_slope(self, s: FloatArray) -> FloatArray:
        """The derivative g'."""

    @abstractmethod
    def tangents(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tangents of ψ at s up to a multiple of Σ s, which is the same everywhere: intercepts and slopes, (N, K)."""

    @abstractmethod
    def curvature(self, s: FloatArray) -> FloatArray:
        """The second derivative ψ''."""

    def take(self, index: IntArray | np.ndarray) -> Self:
        """The split of some of the boxes."""
        if len(self._array(self.arrays[0])) == 1:
            return self
        return self._with({name: self._array(name)[index] for name in self.arrays})

    def where(self, chosen: Bool[np.ndarray, " N"], other: AnySplit) -> Self:
        """The same split for the boxes that are chosen, another one of its kind for the rest."""
        return self._with({n: np.where(chosen[:, None], self._array(n), other._array(n)) for n in self.arrays})

    def replaced(self, index: IntArray, other: AnySplit) -> Self:
        """The same split, but another one of its kind at some of the boxes."""
        arrays = {name: self._array(name).copy() for name in self.arrays}
        for name, array in arrays.items():
            array[index] = other._array(name)
        return self._with(arrays)

    def _array(self, name: str) -> FloatArray:
        return np.asarray(getattr(self, name))

    def _with(self, arrays: dict[str, FloatArray]) -> Self:
        return replace(self, **arrays)  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class Split(AnySplit):
    """ψ and g of boxes.

    Attributes
    ----------
    beta : β.
    share : a ≥ 0, shape (N, 1) or (N, K), or (1, 1) for all boxes.
    shift : l, shape (N, K), or (1, 1).
    bend : s*, of the shape of `shift`; infinite where ψ is all of β s log s, negative where it is no part of it.
    level, slope : what of β s log s − a (s − l) log(s − l) is linear in s, and not in g: level + slope · s.
    parabola : m, of the shape of `shift`; 0 where there is none.
    """

    arrays: ClassVar[tuple[str, ...]] = ("share", "shift", "bend", "level", "slope", "parabola")

    beta: float
    share: FloatArray
    shift: FloatArray
    bend: FloatArray
    level: FloatArray
    slope: FloatArray
    parabola: FloatArray

    @classmethod
    def of(cls, beta: float, share: FloatArray, shift: Float[np.ndarray, "N k"]) -> Self:
        """The split with some shares and shifts; where a shift is negative, a share above β is lowered to β."""
        share = np.where(shift < 0, np.minimum(share, beta), share)
        chords = beta * shift < beta - share  # s* < 1
        bent = chords & (shift > 0) & (share > 0)
        above = np.where(bent, beta - share, 1.0)
        bend = np.where(bent, beta * shift / above, np.where(shift < 0, -1.0, np.where(chords, 0.0, np.inf)))
        at, less = np.where(bent, bend, 1.0), np.where(bent, np.maximum(share * shift / above, SMALLEST), 1.0)
        slope = np.where(bent, beta * (np.log(at) + 1.0) - share * (np.log(less) + 1.0), 0.0)
        level = np.where(bent, beta * at * np.log(at) - share * less * np.log(less) - slope * at, 0.0)
        return cls(beta, share, shift, bend, level, slope, np.zeros_like(shift))

    @classmethod
    def parabolas(cls, beta: float, curvature: Float[np.ndarray, "N k"]) -> Self:
        """The split with ψ'' = min(β/s, m)."""
        none = np.zeros_like(curvature)
        return cls(beta, none[:, :1], none, none, none, none, curvature)

    @cached_property
    def top(self) -> FloatArray:
        """The s* = β/m from which on ψ is β s log s, less what is linear; beyond all shares, at FAR, where m ≤ β/FAR."""
        return self.beta / np.maximum(self.parabola, self.beta / FAR)

    def rest(self, s: FloatArray) -> FloatArray:
        """The convex part g at s (N, K)."""
        less = np.maximum(s - self.shift, SMALLEST)
        g = (
            self.beta * s * np.log(np.maximum(s, SMALLEST))
            - self.share * less * np.log(less)
            - 0.5 * self.parabola * s * s
        )
        g = np.where(s > self.top, self.beta * (s * np.log(self.top) - 0.5 * self.top), g)
        return np.where(s > self.bend, g - self.level - self.slope * s, 0.0)

    def rest_slope(self, s: FloatArray) -> FloatArray:
        """The derivative g'."""
        less = np.maximum(s - self.shift, SMALLEST)
        slope = (
            self.beta * (np.log(np.maximum(s, SMALLEST)) + 1.0) - self.share * (np.log(less) + 1.0) - self.parabola * s
        )
        slope = np.where(s > self.top, self.beta * np.log(self.top), slope)
        return np.where(s > self.bend, slope - self.slope, 0.0)

    def tangents(self, s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tangents of ψ − β s at s > 0, intercepts and slopes, (N, K); the intercepts contain + β s, as Σ s = 1."""
        log_less, above, less_linear = (
            np.log(np.maximum(s - self.shift, SMALLEST)),
            s > self.bend,
            self.beta - self.share,
        )
        slope = np.where(
            above, self.slope + self.share * log_less - less_linear + self.parabola * s, self.beta * np.log(s)
        )
        least = self.level - self.share * self.shift * log_less + less_linear * s - 0.5 * self.parabola * s * s
        beyond = s > self.top
        slope = np.where(beyond, self.beta * (np.log(s) - np.log(self.top)), slope)
        least = np.where(beyond, 0.5 * self.beta * self.top, least)
        return np.where(above, least, 0.0), slope

    def curvature(self, s: FloatArray) -> FloatArray:
        """The second derivative ψ'' at s > 0."""
        less = np.maximum(s - self.shift, SMALLEST)
        return np.minimum(np.where(s > self.bend, self.share / less + self.parabola, self.beta / s), self.beta / s)


@dataclass(frozen=True, eq=False)
class Chords:
    """Boxes l ≤ s ≤ u (N, K) with g(s) ≤ slope · s + offset on them, every y."""

    split: AnySplit
    low: FloatArray
    high: FloatArray
    slope: FloatArray
    offset: FloatArray

    @classmethod
    def of(cls, split: AnySplit, low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"]) -> Self:
        """Chords of g over boxes; the offset is the larger of what the two ends ask for, so that rounding cannot hurt."""
        at_low, at_high = split.rest(low), split.rest(high)
        width = high - low
        narrow = width < NARROW
        slope = np.where(narrow, split.rest_slope(high), (at_high - at_low) / np.where(narrow, 1.0, width))
        return cls(split, low, high, slope, np.maximum(at_low - slope * low, at_high - slope * high))

    def take(self, index: IntArray | np.ndarray) -> Self:
        """The chords of some of the boxes."""
        arrays = (self.low, self.high, self.slope, self.offset)
        return type(self)(self.split.take(index), *(array[index] for array in arrays))

    def gaps(self, s: FloatArray) -> FloatArray:
        """How far the chords are above g at s (N, K), every y."""
        return self.slope * s + self.offset - self.split.rest(s)
