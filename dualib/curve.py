r"""information_curve: F(β), rate and relevance over β, with a bracket at every β, computed or not.

F is concave with F'(β) = E d, so between computed points the chord of the lower bounds is a lower bound of F, and the line
I(X;T) + β E d of any computed solution an upper one. dR/dD = −β; for IB dI(T;Y)/dI(X;T) = 1/β.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike

from dualib.core.arrays import positive
from dualib.curves.locate import RELATIVE_WIDTH, Transition, TransitionKind, optimum
from dualib.curves.transitions import first_transition, join_first, transitions_between
from dualib.solution import Solution, complete, solve
from dualib.solvers.alternating import iterate
from dualib.solvers.atoms import merge_atoms, start_from
from dualib.solvers.columns import generate_columns
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.options import Certify

from ._io import atomic_path
from .curve_checks import check_curve, concave_majorant
from .measures import FloatArray, entropy, to_units
from .problems import Bottleneck
from .refinement import BRACKET, MAX_POINTS, RESOLUTION, SHOWN, Goal, default_betas, refine

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("rate", "relevance", "decoder_information", "distortion", "objective", "lower_bound", "estimated_gap")


@dataclass(frozen=True)
class CurvePoint:
    """A point of the curve, between computed ones by time-sharing of the two beside it. Nats.

    `relevance` and `distortion` are achieved at `rate`; no encoder of that rate has a distortion below `distortion_bound`
    or, for IB, a relevance above `relevance_bound` (nan for the other problems), where the curve's lower bounds are proven.
    """

    beta: float
    rate: float
    relevance: float
    distortion: float
    distortion_bound: float
    relevance_bound: float


@dataclass(frozen=True, eq=False)
class InformationCurve:
    """A bottleneck curve over ascending β. All arrays (n_beta,), nats. Checked when it is made, see :func:`check_curve`.

    Attributes
    ----------
    beta, rate, relevance, decoder_information, distortion, objective, lower_bound, estimated_gap, certified, n_clusters :
        of the solution at each β; see :class:`dualib.Solution`.
    decoders, weights : the atoms r_t (n_t, n_y) and p(t) (n_t,) at each β.
    problem : "ib", "dual" or "alpha".
    mutual_information : I(X;Y), the ceiling of the relevance.
    entropy_x : H(X), the ceiling of the rate; inf where it is not known.
    tolerance : nats; the gap within which a point counts as certified.
    y_labels : names of the symbols y, or () for their indices.
    note : what the reader has to know, for example that Y is a function of X; "" otherwise.
    seconds_solving, seconds_certifying : wall time.
    """

    beta: FloatArray
    rate: FloatArray
    relevance: FloatArray
    decoder_information: FloatArray
    distortion: FloatArray
    objective: FloatArray
    lower_bound: FloatArray
    estimated_gap: FloatArray
    certified: np.ndarray
    n_clusters: np.ndarray
    decoders: tuple[FloatArray, ...] = field(repr=False)
    weights: tuple[FloatArray, ...] = field(repr=False)
    problem: str
    mutual_information: float
    entropy_x: float = float("inf")
    tolerance: float = Certify().tolerance
    y_labels: tuple[str, ...] = ()
    note: str = ""
    seconds_solving: float = 0.0
    seconds_certifying: float = 0.0
    solutions: tuple[Solution, ...] = field(default=(), repr=False)
    stored_transitions: tuple[Transition, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_curve(self)

    @property
    def gap(self) -> FloatArray:
        """objective − lower_bound, the proven width of the interval for F, nats."""
        return self.objective - self.lower_bound

    @property
    def resolved(self) -> np.ndarray:
        """Whether neighbours are within 5 % of the largest rate of each other; booleans, shape (n_beta − 1,)."""
        return np.abs(np.diff(self.rate)) <= SHOWN * max(float(self.rate.max()), 1e-300)

    @property
    def jumps(self) -> np.ndarray:
        """Whether a first-order transition lies between neighbours: one β (to 1e-6), two rates; shape (n_beta − 1,).

        All along the straight segment between the two, sharing time between them is optimal.
        """
        return ~self.resolved & (np.diff(self.beta) <= 2 * RELATIVE_WIDTH * self.beta[1:])

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """Transitions within the range of β, found by bisection when first asked for; see :class:`dualib.Transition`."""
        if self.stored_transitions is not None:
            return self.stored_transitions
        if not self.solutions:
            return ()
        core = self.solutions[0].problem.reduced
        first = first_transition(core)
        points = [
            evaluate(core, s.beta, s.p_t, s.p_y_given_t) for s in self.solutions if s.beta > first.beta * (1 + 1e-4)
        ]
        if not points or first.beta < self.beta[0]:
            return self._with_jumps(transitions_between(points))
        below = optimum(core, first.beta * (1 + 1e-4), points[0])
        return self._with_jumps(join_first(first, transitions_between([below, *points])))

    def _with_jumps(self, found: Iterable[Transition]) -> tuple[Transition, ...]:
        """Transitions at which the curve jumps are of first order, whatever a look from one side said."""
        ends = [self.beta[i : i + 2] for i in np.flatnonzero(self.jumps)]
        near = 1e-5
        return tuple(
            replace(t, kind=TransitionKind.FIRST_ORDER)
            if any(t.upper >= low * (1 - near) and t.lower <= high * (1 + near) for low, high in ends)
            else t
            for t in found
        )

    # --- between the computed points ---

    def bracket(self, beta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound of F at any β within the range, shapes of `beta`."""
        b = np.asarray(beta, float)
        if b.size and not (b.min() >= self.beta[0] and b.max() <= self.beta[-1]):
            raise ValueError(
                f"beta from {b.min():g} to {b.max():g} leaves the curve: {self.beta[0]:g} to {self.beta[-1]:g}"
            )
        upper = (self.rate + b[..., None] * self.distortion).min(axis=-1)
        return np.interp(b, self.beta, self.lower_bound), np.minimum(upper, _concave_upper(self, b))

    def at_beta(self, beta: float) -> CurvePoint:
        """The point at β: the computed one, or of the two beside it the one whose I(X;T) + β E d is least."""
        self.bracket(beta)  # refuses a β outside the curve
        i = int(np.argmin(self.rate + float(beta) * self.distortion))
        point = self._at(float(self.rate[i]))
        return replace(point, beta=float(beta))

    def at_rate(self, rate: float) -> CurvePoint:
        """The point at a given I(X;T) (nats), linear segments included."""
        low, high = float(self.rate.min()), float(self.rate.max())
        if not low - 1e-12 <= rate <= high + 1e-12:
            raise ValueError(f"rate = {rate:g} nats is outside the curve, {low:g} to {high:g} nats")
        return self._at(rate)

    def at_relevance(self, relevance: float) -> CurvePoint:
        """The point of least rate on the curve with a given I(T;Y) (nats)."""
        rate, value = _staircase(self.rate, self.relevance)
        if not value[0] - 1e-12 <= relevance <= value[-1] + 1e-12:
            raise ValueError(f"relevance = {relevance:g} nats is outside the curve, {value[0]:g} to {value[-1]:g} nats")
        return self._at(float(np.interp(relevance, value, rate)))

    def _at(self, rate: float) -> CurvePoint:
        order = np.argsort(self.rate, kind="stable")
        distortion = float(np.interp(rate, self.rate[order], self.distortion[order]))
        relevance = float(np.interp(rate, self.rate[order], self.relevance[order]))
        bounds = (self.lower_bound - rate) / self.beta  # every β: E d ≥ (F − I(X;T)) / β
        i = int(np.argmax(bounds))
        information = self.mutual_information - float(bounds[i]) if self.problem == "ib" else float("nan")
        return CurvePoint(float(self.beta[i]), rate, relevance, distortion, float(bounds[i]), information)

    # --- to tables and files ---

    def to_frame(self, units: str = "nats") -> pd.DataFrame:
        """One row a β; the unit of every information is in its column's name."""
        import pandas as pd

        table: dict[str, Any] = {"beta": self.beta}
        for name in (*COLUMNS, "gap"):
            table[f"{name}_{units}"] = to_units(getattr(self, name), units)  # type: ignore[arg-type]
        return pd.DataFrame(table | {"certified": self.certified, "n_clusters": self.n_clusters})

    def save(self, path: str | PathLike[str]) -> None:
        """Write an .npz, atomically; transitions are found first."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)}
        head = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), str | float)}
        head["y_labels"] = self.y_labels
        head["transitions"] = [vars(t) for t in self.transitions]
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                **arrays,
                decoders=np.concatenate(self.decoders),
                weights=np.concatenate(self.weights),
                header=np.array(json.dumps(head)),
            )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> InformationCurve:
        """Read what :meth:`save` wrote, and check it. The solutions themselves (encoders) are not in the file.

        Raises
        ------
        ValueError: the file is no saved curve, or no bottleneck has the curve in it (see :func:`check_curve`).
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
        except (ValueError, EOFError, BadZipFile, AttributeError) as error:
            raise ValueError(f"{path} is not a saved InformationCurve: {error}") from None
        needed = {f.name for f in fields(cls) if f.type in ("FloatArray", "np.ndarray")} | {
            "decoders",
            "weights",
            "header",
        }
        if set(content) != needed:
            missing = ", ".join(sorted(needed - set(content))) or "nothing"
            raise ValueError(
                f"{path} is not a saved InformationCurve: it lacks {missing} and holds {', '.join(sorted(content))}"
            )
        try:
            head = json.loads(str(content.pop("header")))
            cuts = np.cumsum(content["n_clusters"])[:-1]
            for name in ("decoders", "weights"):
                content[name] = tuple(np.split(content[name], cuts))
            found = tuple(Transition(**{**t, "kind": TransitionKind(t["kind"])}) for t in head.pop("transitions"))
            head["y_labels"] = tuple(head.get("y_labels", ()))
            return cls(**content, **head, stored_transitions=found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: {error}") from None


def information_curve(
    problem: Bottleneck,
    betas: ArrayLike | None = None,
    *,
    tolerance: float | None = None,
    resolution: float | None = None,
    max_points: int = MAX_POINTS,
    certify: bool = True,
    options: Certify | None = None,
    progress: Callable[[int], object] | None = None,
) -> InformationCurve:
    """The curve of a bottleneck problem, solved downwards in β and, where the dimension allows it, proven point by point.

    Without `betas` it refines itself: see `resolution`. First-order transitions are then closed in on from both sides and
    found in :attr:`InformationCurve.jumps`.

    Parameters
    ----------
    problem : IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    betas : the β to solve at, any order; by default :func:`default_betas`, refined.
    tolerance : nats; if given, points are added until F is bracketed this closely at every β.
    resolution : if given, points are added until neighbours differ by at most this share of the largest rate, and E d
        between them is bracketed to 0.001 of its value at one cluster (for IB: the relevance, to 0.001 I(X;Y)); 0.03 by
        default where `betas` is not given.
    max_points : no points are added beyond this number; the note says so where it was reached.
    certify : whether to prove each point (up to intrinsic dimension 3).
    options : see :class:`dualib.Certify`.
    progress : called with 1 for every point done.

    Raises
    ------
    ValueError: some β is not positive and finite, or tolerance, resolution or max_points is out of range.
    """
    options = options or Certify()
    if resolution is None and betas is None:
        resolution = RESOLUTION
    _check_goal(tolerance, resolution, max_points, options)
    grid = default_betas(problem) if betas is None else np.atleast_1d(np.asarray(betas, float)).ravel()
    grid = np.unique([positive(b, "beta") for b in grid])
    if not len(grid):
        raise ValueError("betas is empty")
    report = progress or (lambda _: None)
    solver = _Solver(problem, options, certify and problem.reduced.dimension <= options.max_dimension)
    points = solver.along(grid, report)
    notes = [_note(problem)]
    if tolerance is not None or resolution is not None:
        single = problem.p_x @ problem.distortion(problem.single_decoder)[0]
        goal = Goal(tolerance, resolution, BRACKET * float(single), max_points)
        points, reached = refine(points, goal, solver.between, report)
        if not reached:
            notes.append(_cap_note(goal))
    return _assemble(problem, points, ". ".join(filter(None, notes)), solver.solving, solver.proving, options)


@dataclass
class _Solver:
    """Points of one curve, and the seconds they took."""

    problem: Bottleneck
    options: Certify
    certify: bool
    solving: float = 0.0
    proving: float = 0.0

    def along(self, grid: FloatArray, report: Callable[[int], object]) -> list[Solution]:
        """Solutions at ascending β, swept downwards; reported as they come, or as they are proven."""
        begin = time.perf_counter()
        iterates = sweep(self.problem.reduced, grid, self.options, (lambda _: None) if self.certify else report)
        self.solving += time.perf_counter() - begin
        points = []
        for found in iterates:
            points.append(self._finish(found))
            if self.certify:
                report(1)
        return points

    def between(self, low: Solution, high: Solution, beta: float) -> Solution:
        """A solution started from the atoms of both its neighbours: on either side of a jump they differ."""
        begin = time.perf_counter()
        atoms = np.concatenate([high.p_y_given_t, low.p_y_given_t])
        found = generate_columns(merge_atoms(start_from(self.problem.reduced, beta, atoms), 1e-2), self.options, None)
        self.solving += time.perf_counter() - begin
        return self._finish(found)

    def _finish(self, found: Found) -> Solution:
        point, seconds = _point(self.problem, *found, self.certify, self.options)
        self.proving += seconds
        if point.estimated_gap <= self.options.tolerance:
            return point
        begin = time.perf_counter()  # stuck where its neighbours are: once more, from all rows
        again = solve(self.problem, point.beta, certify=self.options if self.certify else False)
        self.solving += time.perf_counter() - begin
        return min(point, again, key=lambda s: s.gap if self.certify else s.objective)


def _check_goal(tolerance: float | None, resolution: float | None, max_points: int, options: Certify) -> None:
    if tolerance is not None and not tolerance > options.tolerance:
        raise ValueError(
            f"tolerance = {tolerance:g} nats must exceed the tolerance of one point, {options.tolerance:g}"
        )
    if resolution is not None and not 1e-4 <= resolution <= 1.0:
        raise ValueError(f"resolution = {resolution:g} is a share of the largest rate: 0.0001 to 1")
    if max_points < 1:
        raise ValueError(f"max_points = {max_points} must be positive")


def _cap_note(goal: Goal) -> str:
    wanted = [f"F was bracketed to {goal.tolerance:g} nats"] if goal.tolerance is not None else []
    if goal.resolution is not None:
        wanted.append(f"steps of rate were within {goal.resolution:g} of the largest rate")
    return f"stopped at {goal.max_points} points before {' and '.join(wanted)}; raise max_points"


Found = tuple[Iterate, float, float]


def sweep(
    core: Bottleneck, betas: FloatArray, options: Certify, progress: Callable[[int], object] = lambda _: None
) -> list[Found]:
    """Solutions at ascending β, each started from the atoms of the next higher one.

    On the way back each is set against the atoms of the next lower one, and solved again from them where it is worse there or
    knows a G > 1.
    """
    it = merge_atoms(start_from(core, float(betas[-1])), 1e-2)
    found: list[Found] = []
    for beta in betas[::-1]:
        it = iterate(evaluate(core, float(beta), it.weights, it.atoms), 1)
        result = generate_columns(it, options, None)
        it = result[0]
        found.append(result)
        progress(1)
    found.reverse()
    for i in range(1, len(found)):
        below, (it, estimate, _) = found[i - 1][0], found[i]
        other = iterate(evaluate(core, it.beta, below.weights, below.atoms), 1)
        if other.value < it.value - 1e-12 or estimate > options.tolerance:
            found[i] = min(found[i], generate_columns(other, options, None), key=lambda result: result[0].value)
    return found


def _point(
    problem: Bottleneck, it: Iterate, estimate: float, residual: float, certify: bool, options: Certify
) -> tuple[Solution, float]:
    begin = time.perf_counter()
    solution = complete(problem, it, estimate, residual, certify, options)
    return solution, time.perf_counter() - begin


def _assemble(
    problem: Bottleneck, points: list[Solution], note: str, solving: float, proving: float, options: Certify
) -> InformationCurve:
    columns: dict[str, Any] = {name: np.array([getattr(s, name) for s in points]) for name in COLUMNS}
    beta = np.array([s.beta for s in points])
    columns["lower_bound"] = np.minimum(concave_majorant(beta, columns["lower_bound"]), columns["objective"])
    return InformationCurve(
        beta=beta,
        certified=np.array([s.certified for s in points]),
        n_clusters=np.array([s.n_clusters for s in points]),
        decoders=tuple(s.p_y_given_t for s in points),
        weights=tuple(s.p_t for s in points),
        problem=problem.name,
        mutual_information=problem.joint.mutual_information(),
        entropy_x=float(entropy(problem.p_x)),
        tolerance=options.tolerance,
        y_labels=tuple(map(str, problem.joint.y_labels or ())),
        note=note,
        seconds_solving=solving,
        seconds_certifying=proving,
        solutions=tuple(points),
        **columns,
    )


def _note(problem: Bottleneck) -> str:
    if problem.joint.is_deterministic and problem.name == "ib":
        return (
            "Y is a function of X: the IB curve is I(T;Y) = min(I(X;T), H(Y)), its slope is 1 all the way, and every "
            "beta > 1 has the same optimum T = Y. Stochastic labels, or the deterministic IB, tell points apart"
        )
    return ""


def _concave_upper(curve: InformationCurve, beta: FloatArray) -> FloatArray:
    """Upper bound of the concave F at β: the lines through the computed (β, objective) with slope E d."""
    return (curve.objective + (beta[..., None] - curve.beta) * curve.distortion).min(axis=-1)


def _staircase(rate: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rate and value by ascending rate, with the value made non-decreasing."""
    order = np.argsort(rate, kind="stable")
    return rate[order], np.maximum.accumulate(value[order])
