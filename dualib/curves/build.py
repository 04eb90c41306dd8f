"""information_curve: a curve from its points, refined where that is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from os import PathLike

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.arrays import whole
from dualib.core.progress import counted
from dualib.core.special import entropy_nats
from dualib.core.typing import ArrayLike, FloatArray
from dualib.curves.betas import ascending, default_betas, fitting, left_out
from dualib.curves.budget import HELPED, LARGEST_QUEUES, Search, Spending, spend
from dualib.curves.checks import concave_majorant
from dualib.curves.curve import InformationCurve
from dualib.curves.limits import LARGEST_ENCODERS, MAX_POINTS
from dualib.curves.refine import BRACKET, RESOLUTION, Between, Goal, refine
from dualib.curves.sweep import Accuracy, Point, Sweep
from dualib.solution import Solution
from dualib.solvers.options import Certify, CertifyLike


def information_curve(
    problem: Bottleneck,
    betas: ArrayLike | None = None,
    *,
    certify: CertifyLike = "auto",
    tolerance: float | None = None,
    resolution: float | None = None,
    max_points: int = MAX_POINTS,
    out: str | PathLike[str] | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> InformationCurve:
    """Solve the curve of a bottleneck problem, downwards in β, and prove it point by point where the dimension allows it.

    Without `betas` it refines itself: see `resolution`. First-order transitions are then closed in on from both sides and
    found in :attr:`InformationCurve.jumps`.

    Parameters
    ----------
    problem : Bottleneck
        IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    betas : array or None
        The β to solve at, any order; None takes :func:`dualib.default_betas`, refined.
    certify : "auto", bool or Certify
        Whether to prove each point, or how far. Its `max_work` is that of all points together: each gets a share, and what easy
        points leave goes to the hard ones; `note` says what was spent where some stay open.
    tolerance : float or None
        If given, points are added until F is bracketed this closely at every β, nats.
    resolution : float or None
        If given, points are added until neighbours differ by at most this share of the largest rate, and E d between them
        is bracketed to 0.001 of its value at one cluster (for IB: the relevance, to 0.001 I(X;Y)); 0.03 by default where
        `betas` is not given.
    max_points : int
        No points are added beyond this number; the note says so where it was reached.
    out : path or None
        A directory in which every point is kept as soon as it is solved; the same call goes on there.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    executor : concurrent.futures.Executor or None
        Where to solve: processes, or a cluster (``client.get_executor()`` of dask.distributed). The numbers do not depend
        on it.

    Returns
    -------
    InformationCurve

    Raises
    ------
    ValueError
        If some β is not positive and finite, tolerance, resolution or max_points is out of range, `out` holds points of
        other settings (each is named), or at every β more clusters are needed than fit; where some do, the note of the curve
        names the others, which it leaves out.

    Examples
    --------
    >>> from dualib import IB, Joint, information_curve
    >>> curve = information_curve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), [1.0, 5.0, 20.0], progress=False)
    >>> curve.n_clusters.tolist()
    [1, 2, 2]
    """
    build = CurveBuild.begin(
        problem,
        betas,
        certify=certify,
        tolerance=tolerance,
        resolution=resolution,
        max_points=max_points,
        out=out,
        progress=progress,
        executor=executor,
    )
    for _ in build.solutions():
        pass
    return build.curve()


@dataclass(eq=False)
class CurveBuild:
    """A curve while it is made: :meth:`solutions` as they come, then the :meth:`curve`. Arguments: those of :func:`information_curve`."""

    sweep: Sweep
    goal: Goal
    progress: bool | None
    found: list[Solution] = field(default_factory=list)
    seconds: tuple[float, float] = (0.0, 0.0)
    reached: bool = True
    note: str = ""
    left_out: str = ""
    begun: dict[float, Search] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        problem: Bottleneck,
        betas: ArrayLike | None = None,
        *,
        certify: CertifyLike = "auto",
        tolerance: float | None = None,
        resolution: float | None = None,
        max_points: int = MAX_POINTS,
        out: str | PathLike[str] | None = None,
        progress: bool | None = None,
        executor: Executor | None = None,
    ) -> CurveBuild:
        """Everything checked and the directory opened, before any point is solved."""
        accuracy = Accuracy.of(certify)
        if resolution is None and betas is None:
            resolution = RESOLUTION
        _check_goal(tolerance, resolution, max_points, accuracy.options)
        wanted = default_betas(problem) if betas is None else ascending(betas)
        grid = fitting(problem, wanted)
        goal = Goal(tolerance, resolution, BRACKET * _single_distortion(problem), max_points)
        sweep = Sweep.open(problem, grid, accuracy, out, executor)
        return cls(sweep, goal, progress, left_out=left_out(wanted, grid))

    def solutions(self) -> Iterator[Solution]:
        """The solutions on the grid, ascending in β; then further ones, where they are needed most; at the end open ones are proven."""
        yield from self._points()
        if self.sweep.accuracy.prove:
            seconds = np.array(self.seconds)
            spending = spend(sorted(self.found, key=lambda s: s.beta), self.begun, self.sweep, seconds)
            self.found = spending.points
            self.seconds = float(seconds[0]), float(seconds[1])
            self.note = _work_note(spending, self.sweep.accuracy.options)

    def _points(self) -> Iterator[Solution]:
        sweep, name = self.sweep, self.sweep.problem.name
        n = len(sweep.grid)
        yield from counted(map(self._add, sweep.points()), name, self.progress, total=n, note=Solution.in_a_line)
        if self.goal.tolerance is None and self.goal.resolution is None:
            return
        described = f"{name}: further points, at most"
        room = max(0, self.goal.max_points - n)
        yield from counted(self._further(), described, self.progress, total=room, note=Solution.in_a_line)

    def _further(self) -> Iterator[Solution]:
        on_grid = list(self.found)
        self.reached = yield from refine(on_grid, self.goal, self._between)

    def _between(self, pairs: Sequence[Between]) -> Iterator[Solution]:
        return map(self._add, self.sweep.between(pairs, sum(point.work for point in self.found)))

    def _add(self, point: Point) -> Solution:
        self.seconds = self.seconds[0] + point.seconds_solving, self.seconds[1] + point.seconds_certifying
        self.found.append(point.solution_of(self.sweep.problem))
        if point.queue:
            self.begun[point.beta] = Search.of_first_look(self.found[-1], point)
        return self.found[-1]

    def curve(self) -> InformationCurve:
        """The curve through the points that there are."""
        notes = [_note(self.sweep.problem), self.left_out, self.note, "" if self.reached else _cap_note(self.goal)]
        size = self.sweep.problem.joint.n_x * sum(s.n_clusters for s in self.found)
        keep = size <= LARGEST_ENCODERS
        notes.append(
            ""
            if keep
            else f"p(t|x) is not kept: {size} numbers, more than {LARGEST_ENCODERS}; solutions[i].sparse_encoder() has what is above rounding"
        )
        counts = Counter(what for solution in self.found for what in solution.left_out)
        notes += [f"{what} (at {n} of {len(self.found)} points)" for what, n in counts.items()]
        return _assemble(self, keep, ". ".join(filter(None, notes)))


def _single_distortion(problem: Bottleneck) -> float:
    return float(problem.p_x @ problem.distortion(problem.single_decoder)[0])


def _check_goal(tolerance: float | None, resolution: float | None, max_points: int, options: Certify) -> None:
    if tolerance is not None and not tolerance > options.tolerance:
        raise ValueError(
            f"tolerance = {tolerance:g} nats must exceed the tolerance of one point, {options.tolerance:g}"
        )
    if resolution is not None and not 1e-4 <= resolution <= 1.0:
        raise ValueError(f"resolution = {resolution:g} is a share of the largest rate: 0.0001 to 1")
    whole(max_points, "max_points", 1)


def _cap_note(goal: Goal) -> str:
    wanted = [f"F was bracketed to {goal.tolerance:g} nats"] if goal.tolerance is not None else []
    if goal.resolution is not None:
        wanted.append(f"steps of rate were within {goal.resolution:g} of the largest rate")
    return f"stopped at {goal.max_points} points before {' and '.join(wanted)}; raise max_points"


def _work_note(spending: Spending, options: Certify) -> str:
    left = sum(point.status in HELPED for point in spending.points)
    if not left:
        return ""
    anew = f"; searches were begun anew {spending.begun_anew} times, as their open boxes took more than {LARGEST_QUEUES >> 20} MiB"
    return (
        f"{left} proofs stopped short: {spending.spent:.2g} of max_work = {options.max_work:.2g} entries were spent on the curve, "
        f"the most on the hardest points{anew if spending.begun_anew else ''}; raise max_work"
    )


def _note(problem: Bottleneck) -> str:
    if problem.joint.is_deterministic and problem.name == "ib":
        return (
            "Y is a function of X: the IB curve is I(T;Y) = min(I(X;T), H(Y)), its slope is 1 all the way, and every "
            "beta > 1 has the same optimum T = Y. Stochastic labels, or the deterministic IB, tell points apart"
        )
    return ""


def _assemble(build: CurveBuild, keep_encoders: bool, note: str) -> InformationCurve:
    problem = build.sweep.problem
    points = sorted(build.found, key=lambda solution: solution.beta)

    def column(name: str) -> FloatArray:
        return np.array([getattr(solution, name) for solution in points])

    beta, objective = column("beta"), column("objective")
    return InformationCurve(
        beta=beta,
        rate=column("rate"),
        relevance=column("relevance"),
        decoder_information=column("decoder_information"),
        distortion=column("distortion"),
        objective=objective,
        lower_bound=np.minimum(concave_majorant(beta, column("lower_bound")), objective),
        estimated_gap=column("estimated_gap"),
        certified=np.array([s.certified for s in points]),
        n_clusters=np.array([s.n_clusters for s in points]),
        decoders=tuple(s.p_y_given_t for s in points),
        weights=tuple(s.p_t for s in points),
        problem=problem.name,
        information_xy=problem.joint.mutual_information(),
        single_distortion=_single_distortion(problem),
        entropy_x=float(entropy_nats(problem.p_x)),
        tolerance=build.sweep.accuracy.options.tolerance,
        x_labels=tuple(map(str, problem.joint.x_labels or ())),
        y_labels=tuple(map(str, problem.joint.y_labels or ())),
        encoders=tuple(s.p_t_given_x for s in points) if keep_encoders else (),
        note=note,
        seconds_solving=build.seconds[0],
        seconds_certifying=build.seconds[1],
        solutions=tuple(points),
    )
