r"""information_curve: F(β), rate and relevance over β, with a bracket at every β, computed or not.

F is concave with F'(β) = E d, so between computed points the chord of the lower bounds is a lower bound of F, and the line
I(X;T) + β E d of any computed solution an upper one. dR/dD = −β; for IB dI(T;Y)/dI(X;T) = 1/β.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.result import Arrays, Result
from dualib.core.typing import ArrayLike, Bool, BoolArray, Float, FloatArray, Int
from dualib.core.units import Units, to_units
from dualib.curves.checks import check_curve
from dualib.curves.limits import MAX_TRANSITIONS
from dualib.curves.locate import RELATIVE_WIDTH, Transition, TransitionKind, optimum
from dualib.curves.refine import SHOWN
from dualib.curves.tables import clusters_frame, encoders_frame
from dualib.curves.tradeoff import Tradeoff
from dualib.curves.transitions import first_transition, join_first, transitions_between
from dualib.plane import PlanePath
from dualib.solution import Solution
from dualib.solvers.iterate import evaluate
from dualib.solvers.options import Certify

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("rate", "relevance", "decoder_information", "distortion", "objective", "lower_bound", "estimated_gap")
TITLES = {"ib": "IB", "dual": "dualIB", "alpha": "α-IB"}
CEILING_POINTS = 300  # rates at which the proven ceiling of the relevance is drawn


@dataclass(frozen=True)
class CurvePoint:
    """A point of the curve, between computed ones by time-sharing of the two beside it. Nats.

    Attributes
    ----------
    beta : float
    rate, relevance, distortion : float
        I(X;T), and what is achieved there.
    distortion_bound : float
        No encoder of that rate has a distortion below it, where the curve's lower bounds are proven.
    relevance_bound : float
        For IB, no encoder of that rate has a relevance above it; nan for the other problems.
    """

    beta: float
    rate: float
    relevance: float
    distortion: float
    distortion_bound: float
    relevance_bound: float


@dataclass(frozen=True, eq=False)
class InformationCurve(Result):
    """A bottleneck curve over ascending β, nats. Checked when it is made, see :func:`dualib.curves.checks.check_curve`.

    Attributes
    ----------
    beta : array, shape (n_beta,)
    rate, relevance, decoder_information, distortion, objective, lower_bound, estimated_gap : array, shape (n_beta,)
        The solution at each β; see :class:`dualib.Solution`.
    certified : array of bool, shape (n_beta,)
    n_clusters : array of int, shape (n_beta,)
    decoders, weights : tuple of arrays
        The atoms r_t (n_t, n_y) and p(t) (n_t,) at each β.
    problem : str
        "ib", "dual" or "alpha".
    information_xy : float
        I(X;Y), the ceiling of the relevance.
    single_distortion : float
        E d of one cluster, where the rate is 0; nan where it is not known.
    entropy_x : float
        H(X), the ceiling of the rate; inf where it is not known.
    tolerance : float
        The gap within which a point counts as certified.
    x_labels, y_labels : tuple of str
        Names of the x and of the symbols y, or () for their indices.
    encoders : tuple of arrays
        p(t|x), shape (n_x, n_t), at each β; () where they would hold more than 2·10⁷ numbers, as the note says then.
    note : str
        What the reader has to know, for example that Y is a function of X; "" otherwise.
    seconds_solving, seconds_certifying : float
        Time of the points, over all workers.
    solutions : tuple of Solution
        What the curve was made from; not in its file.
    stored_transitions : tuple of Transition, or None
        What :attr:`transitions` is, where it was found already.

    Examples
    --------
    >>> from dualib import IB, Joint, information_curve
    >>> curve = information_curve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), [1.0, 5.0, 20.0], progress=False)
    >>> curve.rate.round(4), curve.certified
    (array([0.    , 0.5995, 0.6931]), array([ True,  True,  True]))
    >>> point = curve.at_rate(0.2)  # between the computed points
    >>> bool(point.rate == 0.2), point.relevance > 0
    (True, True)
    """

    beta: Float[np.ndarray, " n_beta"]
    rate: Float[np.ndarray, " n_beta"]
    relevance: Float[np.ndarray, " n_beta"]
    decoder_information: Float[np.ndarray, " n_beta"]
    distortion: Float[np.ndarray, " n_beta"]
    objective: Float[np.ndarray, " n_beta"]
    lower_bound: Float[np.ndarray, " n_beta"]
    estimated_gap: Float[np.ndarray, " n_beta"]
    certified: Bool[np.ndarray, " n_beta"]
    n_clusters: Int[np.ndarray, " n_beta"]
    decoders: tuple[FloatArray, ...] = field(repr=False)
    weights: tuple[FloatArray, ...] = field(repr=False)
    problem: str
    information_xy: float
    single_distortion: float = float("nan")
    entropy_x: float = float("inf")
    tolerance: float = Certify().tolerance
    x_labels: tuple[str, ...] = ()
    y_labels: tuple[str, ...] = ()
    encoders: tuple[FloatArray, ...] = field(default=(), repr=False)
    note: str = ""
    seconds_solving: float = 0.0
    seconds_certifying: float = 0.0
    solutions: tuple[Solution, ...] = field(default=(), repr=False, metadata={"stored": False})
    stored_transitions: tuple[Transition, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_curve(SimpleNamespace(**vars(self)))

    def to_arrays(self) -> Arrays:
        """Everything in a file; transitions are found first."""
        found = self if self.stored_transitions is not None else replace(self, stored_transitions=self.transitions)
        return super(InformationCurve, found).to_arrays()

    def mutual_information(self) -> float:
        """I(X;Y), nats."""
        return self.information_xy

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """The symbols' own names, or their indices."""
        return self.y_labels or tuple(map(str, range(self.decoders[0].shape[1])))

    @property
    def gap(self) -> FloatArray:
        """The proven width of the interval for F, objective − lower_bound, nats."""
        return np.asarray(self.objective - self.lower_bound)

    @property
    def resolved(self) -> BoolArray:
        """Whether neighbours are within 5 % of the largest rate of each other; booleans, shape (n_beta − 1,)."""
        near: BoolArray = np.abs(np.diff(self.rate)) <= SHOWN * max(float(self.rate.max()), 1e-300)
        return near

    @property
    def jumps(self) -> BoolArray:
        """Whether a first-order transition lies between neighbours: one β (to 1e-6), two rates; shape (n_beta − 1,).

        All along the straight segment between the two, sharing time between them is optimal.
        """
        found: BoolArray = ~self.resolved & (np.diff(self.beta) <= 2 * RELATIVE_WIDTH * self.beta[1:])
        return found

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """Transitions within the range of β; found when first asked for, up to 50 of them, see :class:`dualib.Transition`."""
        return self._found() if self.stored_transitions is None else self.stored_transitions

    def with_transitions(
        self, *, max_transitions: int = MAX_TRANSITIONS, progress: bool | None = None
    ) -> InformationCurve:
        """The curve with its transitions found, up to `max_transitions` of them located by bisection."""
        return replace(self, stored_transitions=self._found(max_transitions, progress))

    def _found(self, most: int = MAX_TRANSITIONS, progress: bool | None = None) -> tuple[Transition, ...]:
        if not self.solutions:
            return ()
        core = self.solutions[0].problem.reduced
        first = first_transition(core)
        points = [
            evaluate(core, s.beta, s.p_t, s.p_y_given_t) for s in self.solutions if s.beta > first.beta * (1 + 1e-4)
        ]
        begins_within = bool(points) and first.beta >= self.beta[0]
        if begins_within:
            points.insert(0, optimum(core, first.beta * (1 + 1e-4), points[0]))
        later = transitions_between(points, self.problem, max_transitions=most, progress=progress)
        return self._with_jumps(join_first(first, later) if begins_within else later)

    def _with_jumps(self, found: Iterable[Transition]) -> tuple[Transition, ...]:
        """Transitions at which the curve jumps are of first order, whatever a look from one side said."""
        ends = [self.beta[i : i + 2] for i in np.flatnonzero(self.jumps)]
        near = 1e-5
        return tuple(
            replace(t, kind=TransitionKind.FIRST_ORDER)
            if t.kind is not TransitionKind.NOT_LOCATED
            and any(t.upper >= low * (1 - near) and t.lower <= high * (1 + near) for low, high in ends)
            else t
            for t in found
        )

    def plane_paths(self) -> list[PlanePath]:
        """The curve as a line of the information plane; marked are transitions, and both ends of jumps."""
        inside = [t.beta for t in self.transitions if self.beta[0] <= t.beta <= self.beta[-1]]
        ends = np.flatnonzero(self.jumps)
        ends = np.append(ends, ends + 1)
        marks = [np.append(np.interp(inside, self.beta, v), v[ends]) for v in (self.rate, self.relevance)]
        return [
            PlanePath(
                TITLES[self.problem],
                self.rate,
                self.relevance,
                self.resolved,
                self.certified,
                self.information_xy,
                np.column_stack(marks),
                self._ceiling() if self.problem == "ib" else None,
            )
        ]

    def _ceiling(self) -> FloatArray:
        """Rates, and the relevance proven to be out of reach there: E d ≥ (F − I(X;T)) / β at every β."""
        rate = np.linspace(0.0, float(self.rate.max()), CEILING_POINTS)
        ceiling = self.information_xy - self.tradeoff.least_distortion(rate)
        return np.column_stack([rate, np.minimum(ceiling, rate)])

    # --- between the computed points ---

    @property
    def tradeoff(self) -> Tradeoff:
        """What the points prove of every rate and distortion."""
        return Tradeoff(self.beta, self.rate, self.distortion, self.lower_bound)

    def bracket(self, beta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound of F at any β within the range, shapes of `beta`."""
        b = np.asarray(beta, float)
        if b.size and not (b.min() >= self.beta[0] and b.max() <= self.beta[-1]):
            raise ValueError(
                f"beta from {b.min():g} to {b.max():g} leaves the curve: {self.beta[0]:g} to {self.beta[-1]:g}"
            )
        upper = (self.rate + b[..., None] * self.distortion).min(axis=-1)
        return np.interp(b, self.beta, self.lower_bound), np.minimum(upper, _concave_upper(self, b))

    def relevance_reached(self, rate: ArrayLike) -> FloatArray:
        """I(T;Y) by sharing time between neighbours of the curve, at any I(X;T) (nats), shape of `rate`."""
        rates, relevances, _ = self._from_zero()
        return np.asarray(np.interp(np.asarray(rate, float), rates, np.maximum.accumulate(relevances)))

    def at_beta(self, beta: float) -> CurvePoint:
        """The point at β: the computed one, or of the two beside it the one whose I(X;T) + β E d is least."""
        self.bracket(beta)  # refuses a β outside the curve
        i = int(np.argmin(self.rate + float(beta) * self.distortion))
        point = self._at(float(self.rate[i]))
        return replace(point, beta=float(beta))

    def at_rate(self, rate: float) -> CurvePoint:
        """The point at a given I(X;T) from 0 to the largest (nats), linear segments included."""
        low, high = self._from_zero()[0][[0, -1]]
        if not low - 1e-12 <= rate <= high + 1e-12:
            raise ValueError(f"rate = {rate:g} nats is outside the curve, {low:g} to {high:g} nats")
        return self._at(rate)

    def at_relevance(self, relevance: float) -> CurvePoint:
        """The point of least rate on the curve with a given I(T;Y) from 0 to the largest (nats)."""
        rate, value, _ = self._from_zero()
        value = np.maximum.accumulate(value)
        if not value[0] - 1e-12 <= relevance <= value[-1] + 1e-12:
            raise ValueError(f"relevance = {relevance:g} nats is outside the curve, {value[0]:g} to {value[-1]:g} nats")
        return self._at(float(np.interp(relevance, value, rate)))

    def _at(self, rate: float) -> CurvePoint:
        rates, relevances, distortions = self._from_zero()
        relevance, distortion = (float(np.interp(rate, rates, values)) for values in (relevances, distortions))
        i = int(np.argmax((self.lower_bound - rate) / self.beta))
        least = float(self.tradeoff.least_distortion(rate))
        ceiling = self.information_xy - least if self.problem == "ib" else float("nan")
        return CurvePoint(float(self.beta[i]), rate, relevance, distortion, least, ceiling)

    def _from_zero(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rate, relevance and distortion by ascending rate, from one cluster on where its distortion is known."""
        order = np.argsort(self.rate, kind="stable")
        columns = [(0.0, self.rate), (0.0, self.relevance), (self.single_distortion, self.distortion)]
        if np.isnan(self.single_distortion) or self.rate[order[0]] <= 0.0:
            rate, relevance, distortion = (values[order] for _, values in columns)
        else:
            rate, relevance, distortion = (np.append(first, values[order]) for first, values in columns)
        return rate, relevance, distortion

    # --- to tables and files ---

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a β; the unit of every information is in its column's name."""
        import pandas as pd

        table = {f"{name}_{units}": to_units(getattr(self, name), units) for name in (*COLUMNS, "gap")}
        return pd.DataFrame({"beta": self.beta, **table, "certified": self.certified, "n_clusters": self.n_clusters})

    def clusters_to_frame(self) -> pd.DataFrame:
        """One row a cluster at each β: p(t), and the decoder under the symbols' names, ``p(y = sun | t)``."""
        return clusters_frame(self.beta, self.weights, self.decoders, self.symbol_names)

    def encoders_to_frame(self) -> pd.DataFrame:
        """One row for each β, x (by its label) and cluster t with p(t|x) of at least 1e-6; a ValueError without encoders."""
        if not self.encoders:
            raise ValueError(f"the curve does not hold its encoders: {self.note or 'its file has none'}")
        return encoders_frame(self.beta, self.encoders, self.x_labels)


def _concave_upper(curve: InformationCurve, beta: FloatArray) -> FloatArray:
    """Upper bound of the concave F at β: the lines through the computed (β, objective) with slope E d."""
    return np.asarray((curve.objective + (beta[..., None] - curve.beta) * curve.distortion).min(axis=-1))
