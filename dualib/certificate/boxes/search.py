"""The rigorous maximum of log G over boxes, best first, within a budget of cells and seconds.

Unlike simplices, boxes are cut one symbol at a time: the bound is separable over y, so that ten symbols are no obstacle.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from dualib.certificate.boxes.families import BoxBounds
from dualib.certificate.boxes.unfinished import Cells, Unfinished
from dualib.certificate.ceiling import Budget, Ceiling, Method
from dualib.core.typing import Float, FloatArray, IntArray

SHARE = 10  # a tenth of the open boxes is cut at a time
LEAST_BATCH = 256
FROM_ENDS = 0.35  # a cut near the mean stays that share of the width away from both ends
LEAST_REACH = 0.3  # of the reach of the second-order bound at first, which is also the largest
RARE, OFTEN = 0.05, 0.25  # shares of success at which that reach is shortened and lengthened
ROOM = 1e-9  # relative, for the rounding of where a bound falls below a level
PAUSE = 3  # batches without it after one in which it was of no use at all


def max_log_g_over_boxes(
    bounds: BoxBounds,
    atoms: Float[np.ndarray, "m k"],
    tolerance: float,
    budget: Budget,
    begun: Unfinished | None = None,
) -> Ceiling:
    """Bound the maximum of log G over the whole simplex, by branch and bound over boxes.

    Parameters
    ----------
    bounds : BoxBounds
        :class:`dualib.certificate.boxes.families.IBBoxes` or :class:`~dualib.certificate.boxes.dual_family.DualBoxes`.
    atoms : array, shape (m, K)
        Decoders where G is known to be large, at least one.
    tolerance : float
        Nats; boxes that cannot exceed max(best log G, 0) + tolerance are dropped, or by more than twice the rounding where that is
        larger: then `complete` is false with no box left.
    budget : Budget
        Where the search stops, with a valid but larger bound; its cells are those of all turns together.
    begun : Unfinished or None
        What an earlier search with all the same arguments but a smaller budget left, to go on there.

    Returns
    -------
    Ceiling
        With what is `unfinished` where boxes are open.
    """
    search = _Search(bounds, atoms[:, bounds.seen], tolerance, budget, begun)
    search.run()
    argmax = np.zeros(atoms.shape[1])
    argmax[bounds.seen] = search.argmax
    left = search.unfinished() if search.open() else None
    upper = max(search.closed, search.best, -np.inf if left is None else left.highest) + search.rounding
    complete = upper <= max(search.best, 0.0) + tolerance
    return Ceiling(
        upper,
        search.best,
        argmax,
        search.examined,
        complete,
        Method.BOXES,
        unfinished=left,
        exhausted=left is None,
    )


def reachable(
    low: Float[np.ndarray, "N k"],
    high: Float[np.ndarray, "N k"],
    excess: Float[np.ndarray, "N k"],
    above: Float[np.ndarray, " N"],
) -> tuple[FloatArray, FloatArray]:
    """Boxes without what the bound that they have shows to be below a level, `above` nats under it.

    A bound is linear on its box, with slopes e_y = `excess` and its largest value at one corner: further from that than
    `above`/abs(e_y) it is below the level ([ryoo1996]_).
    """
    reach = np.maximum(above, 0.0)[:, None] * (1.0 + ROOM) / np.maximum(np.abs(excess), 1e-300)
    reach += ROOM * (high - low)
    return (
        np.where(excess > 0, np.maximum(low, high - reach), low),
        np.where(excess < 0, np.minimum(high, low + reach), high),
    )


class _Search:
    """State of one branch and bound."""

    def __init__(
        self, bounds: BoxBounds, atoms: FloatArray, tolerance: float, budget: Budget, begun: Unfinished | None
    ):
        self.bounds, self.budget = bounds, budget
        self.started = perf_counter()
        self.atoms = np.maximum(atoms, 1e-300)
        self.roots = np.sqrt(self.atoms)
        log_g = bounds.log_g(self.atoms)
        self.best, self.argmax = float(log_g.max()), self.atoms[log_g.argmax()]
        low, high, start = bounds.root(self.argmax)
        self.rounding = bounds.rounding(low, self.atoms)
        self.tolerance = max(tolerance, 2.0 * self.rounding)  # what rounding hides is not searched for
        self.ahead: list[Cells] = []
        self.halved: list[Cells] = []
        if begun is None:
            self.examined, self.closed = 0, -np.inf
            self.reach, self.pause = bounds.reach, 0
            none = np.zeros(1)
            self.cells = self._examined(Cells(low, high, start, none + np.inf, none.astype(np.int64), none))
        else:
            self.cells, self.ahead, self.halved = begun.cells, list(begun.ahead), list(begun.halved)
            self.best, self.argmax, self.closed = begun.best, begun.argmax, begun.closed
            self.examined, self.reach, self.pause = begun.examined, begun.reach, begun.pause
            bounds.pauses = list(begun.pauses)

    def unfinished(self) -> Unfinished:
        """What it takes to go on."""
        return Unfinished(
            self.cells,
            tuple(self.ahead),
            tuple(self.halved),
            self.best,
            self.argmax,
            self.closed,
            self.examined,
            self.reach,
            self.pause,
            tuple(self.bounds.pauses),
        )

    def open(self) -> bool:
        """Whether boxes are left."""
        return any(len(part.bound) for part in (self.cells, *self.ahead, *self.halved))

    @property
    def goal(self) -> float:
        """Boxes bounded by this are done."""
        return max(self.best, 0.0) + self.tolerance - self.rounding

    def spent(self) -> bool:
        """Whether the budget is used up."""
        seconds = self.budget.seconds
        return self.examined >= self.budget.cells or (seconds is not None and perf_counter() - self.started >= seconds)

    def run(self) -> None:
        """Cut the boxes with the largest bounds until none is open or the budget is used up."""
        while self.open() and not self.spent():
            if not self.ahead:
                self._begin_batch()
            self.halved.append(self._examined(self.ahead.pop(0).halves()))
            if not self.ahead:
                self._end_batch()

    def _begin_batch(self) -> None:
        batch = min(len(self.cells.bound), max(LEAST_BATCH, len(self.cells.bound) // SHARE))
        order = np.argpartition(-self.cells.bound, batch - 1)
        chosen, self.cells = self.cells.take(order[:batch]), self.cells.take(order[batch:])
        half = max(1, self.bounds.batch // 2)
        self.ahead = [chosen.take(np.arange(i, min(i + half, batch))) for i in range(0, batch, half)]

    def _end_batch(self) -> None:
        self.cells, self.halved = Cells.joined([self.cells, *self.halved]), []
        done = self.cells.bound <= self.goal  # the goal rises with the best log G
        self.closed = max(self.closed, float(self.cells.bound[done].max(initial=-np.inf)))
        self.cells = self.cells.take(~done)

    def _examined(self, cells: Cells) -> Cells:
        """The boxes that stay open, with their bounds."""
        self.examined += len(cells.bound)
        low, high = self.bounds.tighten(cells.low, cells.high, self.best)
        some = np.asarray((high >= low - 1e-12).all(axis=1))
        low, high, parent, start = low[some], np.maximum(high, low)[some], cells.bound[some], cells.start[some]
        if not len(low):
            return cells.take(some)
        found = self.bounds.examine(low, high, start, parent, self.goal)
        i = int(found.value.argmax())
        if found.value[i] > self.best:  # the mixtures behind the bounds are decoders, too
            log_g = float(self.bounds.log_g(np.maximum(found.decoder[i : i + 1], 1e-300))[0])
            if log_g > self.best:
                self.best, self.argmax = log_g, found.decoder[i]
        bound = np.minimum(found.bound, parent)
        self._second_order(low, high, bound, found.base)
        open_ = bound > self.goal
        self.closed = max(self.closed, float(bound[~open_].max(initial=-np.inf)))
        if not open_.any():
            return cells.take(np.zeros(0, dtype=np.int64))
        least = max(self.best, 0.0)
        left_low, left_high = reachable(low[open_], high[open_], found.excess[open_], found.bound[open_] - least)
        self.closed = max(self.closed, least)  # what is cut off
        low, high, mean = left_low, left_high, np.clip(found.mean[open_], left_low, left_high)
        symbol = found.given_away[open_].argmax(axis=1)
        rows = np.arange(len(low))
        width = (high - low)[rows, symbol]
        share = (mean - low)[rows, symbol] / np.maximum(width, 1e-300)
        ends = np.where(self.bounds.midway(low)[rows, symbol], 0.5, FROM_ENDS)
        place = low[rows, symbol] + width * np.clip(share, ends, 1.0 - ends)
        return Cells(low, high, found.start[open_], bound[open_], symbol, place)

    def _nearest(self, r: FloatArray) -> IntArray:
        """The atoms with the least Hellinger distance to decoders, by differences, which nearly equal ones need."""
        apart, roots = np.sqrt(r) - self.roots[0], self.roots - self.roots[0]
        return np.asarray((0.5 * (roots * roots).sum(axis=1) - apart @ roots.T).argmin(axis=1))

    def _second_order(self, low: FloatArray, high: FloatArray, bound: FloatArray, base_of: FloatArray) -> None:
        """Lower `bound` where the second-order bound about the nearest atom, or about the mixture behind it, is smaller.

        It costs several times the first bound, so it is tried where it has been of use: on boxes bounded below a reach.
        """
        if self.pause:
            self.pause -= 1
            return
        near = np.flatnonzero((bound > self.goal) & (bound < self.goal + self.reach) & self.bounds.curved(low))
        tried = len(near)
        for about_atom in (True, False):
            if not len(near):
                break
            base = base_of[near]
            if about_atom:
                base = self.atoms[self._nearest(base)]
            second = self.bounds.second_order(low[near], high[near], np.maximum(base, 1e-300))
            bound[near] = np.minimum(bound[near], second)
            near = near[bound[near] > self.goal]
        if tried:
            closed = 1.0 - len(near) / tried
            self.pause = PAUSE if closed == 0.0 else 0
            if closed < RARE:
                self.reach = max(0.7 * self.reach, LEAST_REACH * self.bounds.reach)
            elif closed > OFTEN:
                self.reach = min(1.4 * self.reach, self.bounds.reach)
