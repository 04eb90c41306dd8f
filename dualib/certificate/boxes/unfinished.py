"""Boxes that a search has still to cut, and all else that it takes to go on with it where its budget ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.typing import BoolArray, FloatArray, IntArray

ARRAYS = ("low", "high", "start", "bound", "symbol", "place")


@dataclass(frozen=True, eq=False)
class Cells:
    """Open boxes, their bounds, the multipliers that gave them, and where to cut which symbol."""

    low: FloatArray
    high: FloatArray
    start: FloatArray
    bound: FloatArray
    symbol: IntArray
    place: FloatArray

    def take(self, index: IntArray | BoolArray) -> Cells:
        """Some of the boxes."""
        return Cells(*(getattr(self, name)[index] for name in ARRAYS))

    @staticmethod
    def joined(parts: list[Cells]) -> Cells:
        """All boxes of several parts."""
        return Cells(*(np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS))

    @property
    def nbytes(self) -> int:
        """What the arrays take."""
        return sum(getattr(self, name).nbytes for name in ARRAYS)

    def halves(self) -> Cells:
        """Both parts of every box, with its bound and multipliers."""
        rows = np.arange(len(self.bound))
        high, low = self.high.copy(), self.low.copy()
        high[rows, self.symbol] = low[rows, self.symbol] = self.place
        left = Cells(self.low, high, self.start, self.bound, self.symbol, self.place)
        return Cells.joined([left, Cells(low, self.high, self.start, self.bound, self.symbol, self.place)])


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A search over boxes where its budget ended: gone on with, it is the search that a larger budget would have been.

    Attributes
    ----------
    cells : the open boxes that the batch begun leaves alone.
    ahead : those of the batch that are to be cut, part by part; `halved` : the open ones of those that were.
    best, argmax : the largest log G that was met, and where.
    closed : the largest bound of a box that is done.
    examined : number of boxes looked at.
    reach, pause, pauses : what was learned of which bounds are worth their time.
    """

    cells: Cells
    ahead: tuple[Cells, ...]
    halved: tuple[Cells, ...]
    best: float
    argmax: FloatArray
    closed: float
    examined: int
    reach: float
    pause: int
    pauses: tuple[int, ...]

    @property
    def highest(self) -> float:
        """The largest bound of an open box."""
        return max(float(part.bound.max(initial=-np.inf)) for part in (self.cells, *self.ahead, *self.halved))

    @property
    def nbytes(self) -> int:
        """What its boxes take."""
        return sum(part.nbytes for part in (self.cells, *self.ahead, *self.halved))
