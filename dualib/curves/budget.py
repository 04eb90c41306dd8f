"""What is left of a curve's work after a first look at every point goes to the points that are not proven yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dualib.core.parallel import in_order, one_thread
from dualib.core.typing import FloatArray
from dualib.curves.sweep import SEGMENT, Point, Sweep
from dualib.solution import Solution, complete
from dualib.solvers.iterate import evaluate
from dualib.solvers.options import Certify
from dualib.solvers.prove import Status

GROWTH = 4.0  # times what a point had last is what it gets next, as long as that is there
WORTH = 1.5  # times what a point had last: with less, it is not tried again
HELPED = (Status.WORK, Status.ROWS)  # by more work


def spend(points: list[Solution], sweep: Sweep, seconds: FloatArray) -> tuple[list[Solution], float]:
    """Prove the open points again, with ever more work, until none is open or the work is spent.

    Points that close early leave their share to the next turn, so that the hardest get the most. Work is counted, not timed: the
    bounds are the same on any machine.

    Parameters
    ----------
    points : list of Solution
        Proven with their first shares.
    sweep : Sweep
        Where they come from; its accuracy holds the work of all together.
    seconds : array, shape (2,)
        Seconds of solving and certifying, added to.

    Returns
    -------
    tuple
        The points, in the same order, and the work spent on all of them.
    """
    points, spent = list(points), sum(point.work for point in points)
    last, turn = max((point.work for point in points if point.status in HELPED), default=1.0), 0
    while open_ := [i for i, point in enumerate(points) if point.status in HELPED]:
        left = sweep.accuracy.options.max_work - spent
        served = min(len(open_), int(left / (WORTH * max(last, 1.0))))
        if served < 1:
            break
        # Where not all can have more than before, those with the smallest gaps.
        chosen = sorted(sorted(open_, key=lambda i: points[i].gap)[:served])
        last, turn = min(left / served, GROWTH * max(last, 1.0)), turn + 1
        for i, found in zip(chosen, again(sweep, [points[i] for i in chosen], int(last), turn), strict=True):
            seconds += (found.seconds_solving, found.seconds_certifying)
            points[i] = found.solution_of(points[i].problem)
            spent += points[i].work
    return points, spent


def again(sweep: Sweep, solutions: Sequence[Solution], work: int, turn: int) -> Iterator[Point]:
    """The same points, in order, each proven with more work; `turn` tells their files from the earlier ones."""
    runs = [solutions[i : i + SEGMENT] for i in range(0, len(solutions), SEGMENT)]
    kept = [[sweep.kept(s.beta, turn) for s in run] for run in runs]
    options = replace(sweep.accuracy.options, max_work=work)
    tasks = [Again(run, options) for run, points in zip(runs, kept, strict=True) if None in points]
    solved = in_order(Again.points, tasks, executor=sweep.executor, progress=False)
    for points in kept:
        if None in points:
            for point, old in zip(next(solved), points, strict=True):
                yield sweep.keep(point, turn) if old is None else old
        else:
            yield from (point for point in points if point is not None)


@dataclass(frozen=True, eq=False)
class Again:
    """Neighbouring solutions whose proofs stopped short, to be proven with more work."""

    solutions: Sequence[Solution]
    options: Certify

    def points(self) -> list[Point]:
        """The points with the better intervals."""
        found = []
        for s in self.solutions:
            begin = time.perf_counter()
            with one_thread():
                it = evaluate(s.problem.reduced, s.beta, s.p_t, s.p_y_given_t)
                proven = complete(s.problem, it, s.estimated_gap, s.residual, True, self.options)
            best = replace(min(proven, s, key=lambda one: one.gap), work=proven.work)
            found.append(Point.of(best, 0.0, time.perf_counter() - begin))
        return found
