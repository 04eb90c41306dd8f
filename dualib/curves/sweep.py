"""The points of a curve, as they come: solved in segments of the grid, on any executor, kept on disk.

The tops of the segments are solved first, downwards in β, each started from the one before. Then every segment is swept
downwards from its top, and looked at again upwards from the top of the next lower one. A small problem is swept as a whole,
which takes less time than the long steps between tops; what is done elsewhere is then the proofs, one by one. All follows from problem
and grid alone, so that the numbers are the same on any executor.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from typing import Any

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.certificate.search import Begun
from dualib.core.parallel import in_order, one_thread
from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.store import Store
from dualib.core.typing import ArrayLike, FloatArray
from dualib.curves.betas import ascending, default_betas, fitting, left_out
from dualib.curves.downwards import swept
from dualib.curves.limits import CURVE_WORK
from dualib.solution import Solution, gone_on, solve
from dualib.solvers.atoms import merge_atoms, start_from
from dualib.solvers.columns import Found, generate_columns
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.options import Certify, CertifyLike
from dualib.solvers.parts import large
from dualib.solvers.prove import Status

SEGMENT = 10  # β that are swept together
SMALL = 2e6  # n_x² n_y up to which the whole grid is swept at once, in a second or two
EACH_TIME = 8  # share of the work that is left, one over, for further points that are solved at the same time

Held = tuple[Iterate, Begun]
"""An iterate, and where the search of its dual function stopped."""


@dataclass(frozen=True)
class Accuracy:
    """What `certify=` says: whether points are proven, and the tolerances and limits of the search."""

    prove: bool
    options: Certify

    @classmethod
    def of(cls, certify: CertifyLike) -> Accuracy:
        """What ``certify=`` says; `max_work` is that of all points together."""
        return cls(certify is not False, Certify.of(certify, CURVE_WORK))

    def share(self, points: int) -> Accuracy:
        """The same with one of `points` equal shares of the work."""
        return replace(self, options=replace(self.options, max_work=int(self.options.max_work / points)))


def curve_points(
    problem: Bottleneck,
    betas: ArrayLike | None = None,
    *,
    certify: CertifyLike = "auto",
    out: str | PathLike[str] | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> Iterator[Solution]:
    """Yield the solutions at ascending β, each as soon as it is there.

    Parameters
    ----------
    problem : Bottleneck
        IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    betas : array or None
        The β to solve at, any order; None takes :func:`dualib.default_betas`.
    certify : "auto", bool or Certify
        Whether to prove each point, or how far; its `max_work` is that of all points together, of which each gets a quarter
        of an equal share here, and :func:`dualib.information_curve` spends the rest on the open ones.
    out : path or None
        A directory in which every point is kept as soon as it is solved; the same call goes on there.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    executor : concurrent.futures.Executor or None
        Where to solve; the numbers do not depend on it.

    Yields
    ------
    Solution

    Raises
    ------
    ValueError
        If some β is not positive and finite, `out` holds points of other settings (each is named), or at every β more clusters are
        needed than fit; where some do, a warning names the others, which are left out.

    Examples
    --------
    >>> from dualib import IB, Joint, curve_points
    >>> [point.beta for point in curve_points(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), [1.0, 5.0])]
    [1.0, 5.0]
    """
    wanted = default_betas(problem) if betas is None else ascending(betas)
    grid = fitting(problem, wanted)
    if left := left_out(wanted, grid):
        warnings.warn(left, stacklevel=2)
    sweep = Sweep.open(problem, grid, Accuracy.of(certify), out, executor)
    points = counted(sweep.points(), problem.name, progress, total=len(grid), note=Point.describe)
    return (point.solution_of(problem) for point in points)


@dataclass(frozen=True, eq=False)
class Point(Result):
    """All of a solution but its problem, and the seconds that it took: what is kept in files and comes back from workers."""

    solution: dict[str, Any]
    seconds_solving: float
    seconds_certifying: float
    total: int = 0  # the work that the last search might take, all its turns together
    queue: int = 0  # bytes of the boxes that it left open: 0 where it cannot be gone on with
    held: Held | None = field(default=None, repr=False, metadata={"stored": False})  # where it stopped, if at hand

    @classmethod
    def of(
        cls, solution: Solution, solving: float, certifying: float, total: int = 0, held: Held | None = None
    ) -> Point:
        """The point of a solution."""
        values = {f.name: getattr(solution, f.name) for f in fields(Solution) if f.name != "problem"}
        return cls(values, solving, certifying, total, 0 if held is None else held[1].boxes.nbytes, held)

    @property
    def beta(self) -> float:
        """The β of the solution."""
        return float(self.solution["beta"])

    @property
    def gap(self) -> float:
        """What the proof leaves, nats."""
        return float(self.solution["objective"] - self.solution["lower_bound"])

    def describe(self) -> str:
        """A few words for the bar: β, clusters, gap."""
        return f"β = {self.beta:.4g}, {len(self.solution['p_t'])} clusters, gap {self.gap:.1e} nats"

    def solution_of(self, problem: Bottleneck) -> Solution:
        """The solution, for its problem."""
        return Solution(problem=problem, **self.solution)


@dataclass(frozen=True, eq=False)
class Sweep:
    """The points of one problem on one grid: computed in segments, kept in a store where there is one."""

    problem: Bottleneck
    grid: FloatArray
    accuracy: Accuracy
    store: Store | None = None
    executor: Executor | None = None

    @classmethod
    def open(
        cls,
        problem: Bottleneck,
        grid: FloatArray,
        accuracy: Accuracy,
        out: str | PathLike[str] | None,
        executor: Executor | None = None,
    ) -> Sweep:
        """The sweep, its directory opened: a ValueError if that holds points of other settings."""
        store = None if out is None else Store.open(out, settings_of(problem, grid, accuracy), "points of a curve")
        return cls(problem, grid, accuracy, store, executor)

    def points(self) -> Iterator[Point]:
        """The points of the grid, ascending, each kept as soon as it is there."""
        size = 1 if self._whole else SEGMENT
        segments = [self.grid[i : i + size] for i in range(0, len(self.grid), size)]
        kept = [[self.kept(float(beta)) for beta in segment] for segment in segments]
        missing = [i for i, points in enumerate(kept) if None in points]
        tasks = self._tasks(segments, missing) if missing else []
        one: Callable[[Segment], Iterable[Point]] = Segment.points if self.executor is None else Segment.all_points
        solved = in_order(one, tasks, executor=self.executor, progress=False)
        for points in kept:
            if None in points:
                for point, old in zip(next(solved), points, strict=True):
                    yield self.keep(point) if old is None else old
            else:
                yield from (point for point in points if point is not None)

    def between(self, pairs: Sequence[tuple[Solution, Solution, float]], spent: float) -> Iterator[Point]:
        """The point at the β between two solved ones for each (low, high, β), in order.

        Each gets the share of a point of the grid, as long as all of these together get no more than an eighth of what the points
        before them, which took `spent`, leave of the work: with less, nearly all would have to be proven again.
        """
        kept = [self.kept(beta) for _, _, beta in pairs]
        left = int(max(0.0, self.accuracy.options.max_work - spent) / (EACH_TIME * max(1, len(pairs))))
        first = self._first_share
        share = replace(first, options=replace(first.options, max_work=min(first.options.max_work, left)))
        tasks = [
            Between(
                self.problem,
                share,
                np.concatenate([high.p_y_given_t, low.p_y_given_t]),
                beta,
            )
            for (low, high, beta), point in zip(pairs, kept, strict=True)
            if point is None
        ]
        solved = in_order(Between.point, tasks, executor=self.executor, progress=False)
        for point in kept:
            yield self.keep(next(solved)) if point is None else point

    @property
    def _first_share(self) -> Accuracy:
        """Of a point of the grid: three quarters of the work are left for further points, and for those that stay open."""
        return self.accuracy.share(4 * len(self.grid))

    @property
    def _whole(self) -> bool:
        """Whether the grid is swept at once."""
        core = self.problem.reduced
        return float(len(core.p_x)) ** 2 * core.joint.n_y <= SMALL

    def _tasks(self, segments: list[FloatArray], missing: list[int]) -> list[Segment]:
        core, options = self.problem.reduced, self.accuracy.options
        begin = time.perf_counter()
        with one_thread():  # of segments of one β the tops are all there is
            found = swept(core, np.array([s[-1] for s in segments]), options)
        below = [None if self._whole or i == 0 else found[i - 1] for i in range(len(found))]
        known = [([top], lower) for top, lower in zip(found, below, strict=True)]
        seconds = (time.perf_counter() - begin) / len(missing)
        return [Segment(self.problem, segments[i], self._first_share, *known[i], seconds) for i in missing]

    def keep(self, point: Point, total: int = 0) -> Point:
        """The point, kept on disk; `total` tells later proofs of a β from the first."""
        if self.store is not None:
            self.store.put(_name(point.beta, total), point)
        return point

    def kept(self, beta: float, total: int = 0) -> Point | None:
        """The point at β, if it is on disk; None where its proof was left out, or cut, for what is not to be spared now."""
        point = None if self.store is None else self.store.get(_name(beta, total), Point)
        spared = point is not None and point.solution["status"] in (Status.TOO_LARGE, Status.CELLS)
        return None if spared and not self.accuracy.options.affordable_only else point

    def best_kept(self, beta: float) -> Point | None:
        """The later proof of a β on disk with the smallest gap, whatever work it was made for."""
        names = [] if self.store is None else self.store.names()
        found = (self.kept(beta, int(n.rpartition("_")[2])) for n in names if n.startswith(f"{_name(beta, 0)}_work_"))
        return min((point for point in found if point is not None), key=lambda point: point.gap, default=None)


@dataclass(frozen=True, eq=False)
class Segment:
    """Neighbouring β, with the solutions at all of them, or at the largest and the next smaller β outside."""

    problem: Bottleneck
    grid: FloatArray
    accuracy: Accuracy
    known: list[Found]
    below: Found | None
    seconds: float  # spent on what is known

    def points(self) -> Iterator[Point]:
        """The points, ascending, each as soon as it is proven."""
        begin, found = time.perf_counter(), self.known
        if len(found) < len(self.grid):
            with one_thread():  # many small matrices; and the same bits wherever they are multiplied
                found = swept(self.problem.reduced, self.grid, self.accuracy.options, self.known[0], self.below)
        solving = (self.seconds + time.perf_counter() - begin) / len(found)
        for one in found:
            yield finished(self.problem, self.accuracy, one, solving)

    def all_points(self) -> list[Point]:
        """The points at once, as a worker hands them back."""
        return list(self.points())


@dataclass(frozen=True, eq=False)
class Between:
    """A β between two solved ones, started from the atoms of both: on either side of a jump they differ."""

    problem: Bottleneck
    accuracy: Accuracy
    atoms: FloatArray
    beta: float

    def point(self) -> Point:
        """The point there."""
        begin = time.perf_counter()
        with one_thread():
            start = merge_atoms(start_from(self.problem.reduced, self.beta, self.atoms), 1e-2)
            found = generate_columns(start, self.accuracy.options, None)
        return finished(self.problem, self.accuracy, found, time.perf_counter() - begin)


def finished(problem: Bottleneck, accuracy: Accuracy, found: Found, solving: float) -> Point:
    """The point of what column generation found, proven as far as asked for."""
    options, held = accuracy.options, None
    with one_thread():
        begin = time.perf_counter()
        it, estimate, residual = found[:3]
        small = accuracy.prove and not large(len(it.weights), it.problem)
        if small:  # as the point's file will give it, so that the search can be gone on with from there
            order = np.argsort(-it.weights, kind="stable")
            it = evaluate(it.problem, it.beta, it.weights[order], it.atoms[order])
        best, proven, begun = gone_on(problem, it, estimate, residual, accuracy.prove, options)
        if small and proven is it and begun is not None:
            held = it.without_tables(), begun
        proving = time.perf_counter() - begin
        # Stuck where its neighbours are: once more, from all rows.
        if found._replace(estimate=best.estimated_gap).worth_another(accuracy.options.tolerance):
            begin = time.perf_counter()
            again = solve(problem, best.beta, certify=accuracy.options if accuracy.prove else False)
            solving += time.perf_counter() - begin
            both = min(best, again, key=lambda s: s.gap if accuracy.prove else s.objective)
            best, held = replace(both, work=best.work + again.work), None
    return Point.of(best, solving, proving, options.max_work, held)


def settings_of(problem: Bottleneck, grid: FloatArray, accuracy: Accuracy) -> dict[str, object]:
    """Everything that the points of a grid depend on, short enough to be read; with more work, proofs of the same are gone on with."""
    limits = {
        name: value for name, value in vars(accuracy.options).items() if name not in ("max_work", "affordable_only")
    }
    return {
        "format": 3,  # solutions without their encoders, proofs that are gone on with
        "problem": problem.name,
        "alpha": getattr(problem, "alpha", None),
        "joint": f"{problem.joint.n_x} x {problem.joint.n_y}, {_digest(problem.joint.p_xy)}",
        "betas": f"{len(grid)} from {grid[0]:g} to {grid[-1]:g}, {_digest(grid)}",
        "certify": accuracy.prove,
        "limits": limits,
    }


def _digest(array: FloatArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


def _name(beta: float, total: int) -> str:
    return f"beta_{beta!r}" if total == 0 else f"beta_{beta!r}_work_{total}"
