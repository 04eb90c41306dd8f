"""What is left of a curve's work after a first look at every point goes to the points that are not proven yet.

A search that stopped is gone on with there. All open points get ever more, as long as that takes a part only of what is left; then those
with the fewest open boxes do, which are the next to close.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from dualib.core.parallel import in_order, one_thread
from dualib.core.typing import FloatArray
from dualib.curves.sweep import Held, Point, Sweep
from dualib.solution import Solution, gone_on
from dualib.solvers.iterate import evaluate
from dualib.solvers.options import Certify
from dualib.solvers.prove import Status

GROWTH = 1.5  # times what it had so far is what it has after a turn
LEAST = 1.05  # the same: with less, no turn
ALL = 0.4  # of the work left: a turn of all open points takes no more
FEW = 4  # or serves one of so many
LARGEST_QUEUES = 1 << 28  # bytes of open boxes that are kept between turns, those of all points together
HELPED = (Status.WORK, Status.ROWS)  # by more work


@dataclass(frozen=True, eq=False)
class Search:
    """The search of an open point.

    Attributes
    ----------
    source, latest : Solution
        Where it begins, and what it has come to.
    before : float
        Work that the point had before.
    totals : tuple of int
        What it may take after each of its turns, all before together: by them it can be run again to the same bits.
    held : tuple or None
        The iterate that it is of, and where it stopped; None before its first turn, and where it has to be run again.
    queue : int
        Bytes that its open boxes take.
    """

    source: Solution
    latest: Solution
    before: float
    totals: tuple[int, ...] = ()
    held: Held | None = None
    queue: int = 0

    @classmethod
    def of(cls, solution: Solution) -> Search:
        """A search that begins at a solution."""
        return cls(solution, solution, solution.work)

    @classmethod
    def of_first_look(cls, solution: Solution, point: Point) -> Search:
        """The search that the first look at a point has begun."""
        return cls(solution, solution, 0.0, (point.total,), point.held, point.queue)

    @property
    def done(self) -> int:
        """What it may have taken so far."""
        return self.totals[-1] if self.totals else 0

    def after(self, solution: Solution, point: Point) -> Search:
        """What there is after a turn: where no box is open, a next one begins at the solution."""
        if not point.queue:
            return Search.of(solution)
        return replace(self, latest=solution, held=point.held, queue=point.queue)

    def to(self, total: float) -> Search:
        """The same, with a further turn."""
        return replace(self, totals=(*self.totals, int(total)))


@dataclass(eq=False)
class Spending:
    """Open points of a curve and their searches.

    Attributes
    ----------
    points : list of Solution
    spent : float
        Work done on all points.
    begun_anew : int
        How often a search lost its boxes, as all together took more than LARGEST_QUEUES.
    """

    points: list[Solution]
    sweep: Sweep
    spent: float = 0.0
    begun_anew: int = 0
    turn: int = 0
    searches: dict[int, Search] = field(default_factory=dict)
    had: dict[int, float] = field(default_factory=dict)  # what a point's last search might take

    def run(self, begun: dict[float, Search], seconds: FloatArray) -> None:
        """Turn by turn, until no point is open or the work is spent; `seconds` of solving and certifying are added to."""
        self.spent = sum(point.work for point in self.points)
        open_ = {i: point for i, point in enumerate(self.points) if point.status in HELPED}
        self.searches = {i: begun.get(point.beta) or Search.of(point) for i, point in open_.items()}
        first = max((point.work for point in open_.values()), default=1.0)
        self.had = {i: max(search.done, first, 1.0) for i, search in self.searches.items()}
        self._let_go()
        while tasks := self._next():
            self.turn += 1
            for i, point in zip(tasks, again(self.sweep, list(tasks.values())), strict=True):
                seconds += (point.seconds_solving, point.seconds_certifying)
                self.had[i] = float(tasks[i].done)
                self.spent += float(point.solution["work"]) - self.points[i].work
                self.points[i] = point.solution_of(self.points[i].problem)
                self.searches[i] = tasks[i].after(self.points[i], point)
            self._let_go()
        self._take_better()

    def _take_better(self) -> None:
        """For points that stay open, what is on disk and better: other limits of the work make other turns."""
        for i, point in enumerate(self.points):
            kept = self.sweep.best_kept(point.beta) if point.status in HELPED else None
            if kept is not None and kept.gap < point.gap:
                self.points[i] = replace(kept.solution_of(point.problem), work=point.work)

    def _next(self) -> dict[int, Search]:
        """The searches that get a turn now."""
        open_ = [i for i in self.searches if self.points[i].status in HELPED]
        left = self.sweep.accuracy.options.max_work - self.spent
        cost = {i: GROWTH * self.had[i] - self.searches[i].done for i in open_}
        if self.turn and sum(cost.values()) > ALL * left:
            open_.sort(key=lambda i: (self.searches[i].queue / self.had[i], self.points[i].gap, i))
            open_ = open_[: -(-len(open_) // FEW)]
        served: dict[int, Search] = {}
        for i in open_:
            more = min(cost[i], left)
            if self.searches[i].done + more < LEAST * self.had[i]:
                break
            served[i], left = self.searches[i].to(self.searches[i].done + more), left - more
        return dict(sorted(served.items()))

    def _let_go(self) -> None:
        """Lose the largest queues where all together are too large."""
        kept = 0
        for i, search in sorted(self.searches.items(), key=lambda item: (item[1].queue, item[0])):
            kept += search.queue
            if search.queue and kept > LARGEST_QUEUES:
                self.searches[i], self.begun_anew = Search.of(self.points[i]), self.begun_anew + 1


def spend(points: list[Solution], begun: dict[float, Search], sweep: Sweep, seconds: FloatArray) -> Spending:
    """Prove the open points, with ever more work, until none is open or the work is spent.

    Points that close early leave their share to the others. Work is counted, not timed: the bounds are the same on any machine.

    Parameters
    ----------
    points : list of Solution
        Proven with their first shares.
    begun : dict of Search
        The searches that these have begun, by β.
    sweep : Sweep
        Where they come from; its accuracy holds the work of all together.
    seconds : array, shape (2,)
        Seconds of solving and certifying, added to.

    Returns
    -------
    Spending
        With the points in the same order.
    """
    spending = Spending(list(points), sweep)
    spending.run(begun, seconds)
    return spending


def again(sweep: Sweep, searches: Sequence[Search]) -> Iterator[Point]:
    """The last turns of searches, in order; what a point may take in all tells their files from the earlier ones."""
    kept = [sweep.kept(search.source.beta, search.done) for search in searches]
    tasks = [Turn(s, sweep.accuracy.options) for s, point in zip(searches, kept, strict=True) if point is None]
    solved = in_order(Turn.point, tasks, executor=sweep.executor, progress=False)
    for search, point in zip(searches, kept, strict=True):
        yield sweep.keep(next(solved), search.done) if point is None else point


@dataclass(frozen=True, eq=False)
class Turn:
    """The last turn of a search; all of them where the search is not at hand, as what came before is known from files."""

    search: Search
    options: Certify

    def point(self) -> Point:
        """The point with the better interval, and where its search stopped."""
        begin, held, s = time.perf_counter(), self.search.held, self.search.latest
        totals = self.search.totals[-1:]
        if held is None:
            s, totals = replace(self.search.source, work=self.search.before), self.search.totals
        with one_thread():
            for total in totals:
                it, begun = held or (evaluate(s.problem.reduced, s.beta, s.p_t, s.p_y_given_t), None)
                options = replace(self.options, max_work=total)
                proven, it, begun = gone_on(s.problem, it, s.estimated_gap, s.residual, True, options, begun)
                held = None if begun is None else (it.without_tables(), begun)
                s = replace(min(proven, s, key=lambda one: one.gap), work=s.work + proven.work)
        return Point.of(s, 0.0, time.perf_counter() - begin, self.search.done, held)
