r"""information_curve: F(β), rate and relevance over β, with a bracket at every β, computed or not.

F is concave with F'(β) = E d, so between computed points the chord of the lower bounds is a lower bound of F, and the line
I(X;T) + β E d of any computed solution an upper one. dR/dD = −β; for IB dI(T;Y)/dI(X;T) = 1/β.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._io import atomic_path
from .blahut_arimoto import Iterate, evaluate, iterate
from .measures import FloatArray, to_units
from .problems import Bottleneck
from .solve import Certify, Solution, check_beta, complete, generate_columns, merge_atoms, start_from
from .transitions import (
    Transition,
    first_transition,
    join_first,
    local_critical_beta,
    optimum,
    transitions_between,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("rate", "relevance", "decoder_information", "distortion", "objective", "lower_bound", "estimated_gap")
MAX_POINTS = 2000


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
    """A bottleneck curve over ascending β. All arrays (n_beta,), nats.

    Attributes
    ----------
    beta, rate, relevance, decoder_information, distortion, objective, lower_bound, estimated_gap, certified, n_clusters :
        of the solution at each β; see :class:`dualib.Solution`.
    decoders, weights : the atoms r_t (n_t, n_y) and p(t) (n_t,) at each β.
    problem : "ib", "dual" or "alpha".
    mutual_information : I(X;Y), the ceiling of the relevance.
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
    note: str = ""
    seconds_solving: float = 0.0
    seconds_certifying: float = 0.0
    solutions: tuple[Solution, ...] = field(default=(), repr=False)
    stored_transitions: tuple[Transition, ...] | None = field(default=None, repr=False)

    @property
    def gap(self) -> FloatArray:
        """objective − lower_bound, the proven width of the interval for F, nats."""
        return self.objective - self.lower_bound

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
            return tuple(transitions_between(points))
        below = optimum(core, first.beta * (1 + 1e-4), points[0])
        return join_first(first, transitions_between([below, *points]))

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
        """Read what :meth:`save` wrote. The solutions themselves (encoders) are not in the file."""
        with np.load(path, allow_pickle=False) as archive:
            if "header" not in archive.files:
                raise ValueError(f"{path} is not a saved InformationCurve: it holds {archive.files}")
            content = {name: archive[name] for name in archive.files}
        head = json.loads(str(content.pop("header")))
        cuts = np.cumsum(content["n_clusters"])[:-1]
        content["decoders"] = tuple(np.split(content["decoders"], cuts))
        content["weights"] = tuple(np.split(content["weights"], cuts))
        transitions = tuple(Transition(**t) for t in head.pop("transitions"))
        return cls(**content, **head, stored_transitions=transitions)


def default_betas(problem: Bottleneck, n: int = 50) -> FloatArray:
    """Geometric β from 0.8 to 20 times the local critical β."""
    local = local_critical_beta(problem)
    if not np.isfinite(local):
        raise ValueError("X and Y are independent: the curve is the single point (0, 0)")
    return np.geomspace(0.8 * local, 20.0 * local, n)


def information_curve(
    problem: Bottleneck,
    betas: ArrayLike | None = None,
    *,
    tolerance: float | None = None,
    certify: bool = True,
    options: Certify | None = None,
    progress: Callable[[int], object] | None = None,
) -> InformationCurve:
    """The curve of a bottleneck problem, solved downwards in β and, where the dimension allows it, proven point by point.

    Parameters
    ----------
    problem : IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    betas : the β to solve at, any order; by default 50, from 0.8 to 20 times the local critical β.
    tolerance : nats; if given, points are added (2000 in all at most) until F is bracketed this closely at every β.
    certify : whether to prove each point (up to intrinsic dimension 3).
    options : see :class:`dualib.Certify`.
    progress : called with 1 for every point done.

    Raises
    ------
    ValueError: some β is not positive and finite, or the tolerance is not above that of a single point.
    """
    options = options or Certify()
    grid = default_betas(problem) if betas is None else np.atleast_1d(np.asarray(betas, float)).ravel()
    grid = np.unique([check_beta(b) for b in grid])
    if not len(grid):
        raise ValueError("betas is empty")
    if tolerance is not None and not tolerance > options.tolerance:
        raise ValueError(
            f"tolerance = {tolerance:g} nats must exceed the tolerance of one point, {options.tolerance:g}"
        )
    report = progress or (lambda _: None)
    prove_points = certify and problem.reduced.dimension <= options.max_dimension
    begin = time.perf_counter()
    iterates = sweep(problem.reduced, grid, options, (lambda _: None) if prove_points else report)
    spent = time.perf_counter() - begin
    points, proving = [], 0.0
    for found in iterates:
        point, seconds = _point(problem, *found, prove_points, options)
        points.append(point)
        proving += seconds
        if prove_points:
            report(1)
    note = _note(problem)
    if tolerance is not None:
        points, solving, more = _refine(problem, points, tolerance, prove_points, options, report)
        spent, proving = spent + solving, proving + more
        if len(points) >= MAX_POINTS:
            note += f"stopped at {MAX_POINTS} points before F was bracketed to {tolerance:g} nats; raise the tolerance"
    return _assemble(problem, points, note, spent, proving)


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


def _refine(
    problem: Bottleneck,
    points: list[Solution],
    tolerance: float,
    certify: bool,
    options: Certify,
    progress: Callable[[int], object],
) -> tuple[list[Solution], float, float]:
    """Add points where two tangents meet farthest above the chord, until they meet within the tolerance."""
    solving = proving = 0.0
    i = 0
    while i < len(points) - 1 and len(points) < MAX_POINTS:
        low, high = points[i], points[i + 1]
        slope = low.distortion - high.distortion
        beta = (high.rate - low.rate) / slope if slope > 0 else 0.5 * (low.beta + high.beta)
        beta = float(np.clip(beta, low.beta, high.beta))
        share = (beta - low.beta) / (high.beta - low.beta)
        excess = low.rate + beta * low.distortion
        excess -= (1 - share) * (low.objective - low.estimated_gap) + share * (high.objective - high.estimated_gap)
        if excess <= tolerance or high.beta - low.beta < 1e-9 * high.beta:
            i += 1
            continue
        margin = 0.05 * (high.beta - low.beta)
        beta = float(np.clip(beta, low.beta + margin, high.beta - margin))
        begin = time.perf_counter()
        found = generate_columns(start_from(problem.reduced, beta, high.p_y_given_t), options, None)
        solving += time.perf_counter() - begin
        point, seconds = _point(problem, *found, certify, options)
        proving += seconds
        points.insert(i + 1, point)
        progress(1)
    return points, solving, proving


def _assemble(
    problem: Bottleneck, points: list[Solution], note: str, solving: float, proving: float
) -> InformationCurve:
    columns: dict[str, Any] = {name: np.array([getattr(s, name) for s in points]) for name in COLUMNS}
    beta = np.array([s.beta for s in points])
    columns["lower_bound"] = np.minimum(_concave_majorant(beta, columns["lower_bound"]), columns["objective"])
    return InformationCurve(
        beta=beta,
        certified=np.array([s.certified for s in points]),
        n_clusters=np.array([s.n_clusters for s in points]),
        decoders=tuple(s.p_y_given_t for s in points),
        weights=tuple(s.p_t for s in points),
        problem=problem.name,
        mutual_information=problem.joint.mutual_information(),
        note=note,
        seconds_solving=solving,
        seconds_certifying=proving,
        solutions=tuple(points),
        **columns,
    )


def _concave_majorant(beta: FloatArray, lower: FloatArray) -> FloatArray:
    """What the lower bounds prove together: F is concave and non-decreasing with F(0) = 0."""
    x, y = np.r_[0.0, beta], np.maximum.accumulate(np.r_[0.0, lower])
    hull = [0]
    for i in range(1, len(x)):
        while len(hull) > 1 and (y[i] - y[hull[-2]]) * (x[hull[-1]] - x[hull[-2]]) >= (y[hull[-1]] - y[hull[-2]]) * (
            x[i] - x[hull[-2]]
        ):
            hull.pop()
        hull.append(i)
    return np.maximum(np.interp(beta, x[hull], y[hull]), lower)


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
