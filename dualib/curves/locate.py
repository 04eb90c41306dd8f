"""One transition between two solutions near by: where the fewer clusters stop being optimal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.certificate.dual_function import DualFunction
from dualib.certificate.search import rounding_of_search, search_maximum
from dualib.core.result import Result
from dualib.core.typing import FloatArray
from dualib.solvers.atoms import start_from
from dualib.solvers.columns import generate_columns
from dualib.solvers.distances import separations
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.minimum import minimise
from dualib.solvers.options import Certify
from dualib.solvers.prove import prove_where_needed
from dualib.solvers.stability import instability

RELATIVE_WIDTH = 1e-6  # of the bracket of a transition
COARSE = 1e-4  # relative distance of the two solutions between which it is then located
COUNTED = 1e-9  # weight below which an atom is not counted as a cluster
UNSTABLE = 1e-7  # excess of β λ_max over 1 from which a cluster splits, whatever that gains
JUMP = 1e-3  # nats of rate across that bracket, beyond which a transition is first-order
APART = 0.05  # β times a squared Fisher distance from which on an atom is none of those near by
ASCENTS = (10, 20, 40, 80, 150)  # steps between two looks at an ascent, which is slow where two atoms are about to part
MOST_GUESSES = 15  # at where a transition is, before points are solved there
STILL = 1e-16  # of the same distance: what an ascent that moves by less has yet to gain is below 1e-12 nats


class TransitionKind(StrEnum):
    """Whether rate and relevance are continuous at a transition, or jump: then the curve is straight between.

    Beyond the number of transitions that were to be located, the bracket is that of two solved points, and there may be
    several within.
    """

    CONTINUOUS = "continuous"
    FIRST_ORDER = "first-order"
    NOT_LOCATED = "not located"


@dataclass(frozen=True)
class Transition(Result):
    """A β at which the optimal number of clusters changes.

    It is located as the β at which the solution with the fewer clusters stops being optimal: max G > 1 for it, or one of its
    clusters is unstable (of a split, G shows the gain only further on).

    Attributes
    ----------
    beta : float
        The transition; an estimate, within [lower, upper] as far as that is proven.
    lower, upper : float
        β on both sides. Where `proven`, the fewer clusters are proven optimal to within `resolution` at one of them and an atom
        that improves on them is known at the other; otherwise both are estimates, as good as ascents can tell.
    kind : TransitionKind
    birth : bool
        Whether the new cluster appears at a distance from the others, with zero weight, rather than by a split.
    n_before, n_after : int
        Number of clusters below and above.
    proven : bool
        Whether the bracket is, up to intrinsic dimension 3. Between two solved points transitions that undo each other are not
        seen, and clusters of a weight below 1e-9 are not counted.
    local_beta : float
        For the first transition, the local critical β beside it, otherwise nan.
    resolution : float
        What G gains on the fewer clusters is not told from 0 below that, nats.

    Examples
    --------
    >>> from dualib import IB, Joint, first_transition
    >>> found = first_transition(IB(Joint([[0.4, 0.1], [0.1, 0.4]])))
    >>> print(found.kind, found.n_before, found.n_after)
    continuous 1 2
    >>> round(found.local_beta, 9)  # 1/ρ², ρ = 0.6
    2.777777778
    """

    beta: float
    lower: float
    upper: float
    kind: TransitionKind
    birth: bool
    n_before: int
    n_after: int
    proven: bool = False
    local_beta: float = float("nan")
    resolution: float = 1e-12


def locate(low: Iterate, high: Iterate, near: float | None = None) -> Transition:
    """The transition between two solutions near by, `near` a β: that at which the fewer clusters stop being optimal.

    Of a birth or a split the first gain is the product of two small numbers, and solutions show it only where it exceeds
    rounding; max G > 1 shows it where it begins, which may be on the other side of the solution with the fewer clusters.
    """
    few, many = _by_clusters(low, high)
    small, width = _small(few), _width(few)
    atoms, proven, slack = many.atoms, False, _resolution(few, few.dual)
    bracket = few.beta, many.beta
    if near is not None:
        side = 0.4 * width if many.beta > few.beta else -0.4 * width
        bracket = near * (1.0 - side), near * (1.0 + side)
    for _ in range(4):
        found = _bracket(few, atoms, bracket, width)
        if found is None:
            break
        bracket = found
        if not small:
            break
        followed = _follow(few, bracket[0])
        g = followed.dual
        slack = _resolution(followed, g)
        ceiling = search_maximum(g, np.concatenate([followed.atoms, atoms]), slack, Certify().max_cells)
        if ceiling.lower <= slack:
            proven = ceiling.upper <= 2.0 * slack
            break
        atoms = np.concatenate([atoms, ceiling.argmax[None]])
    lower, upper = sorted(map(float, bracket))
    kind = kind_of(high.rate - low.rate)
    if kind is TransitionKind.FIRST_ORDER:  # or only steep: nearer to it the rate differs by less, or as much
        kind = kind_of(optimum(high.problem, upper, high).rate - optimum(low.problem, lower, low).rate)
    counts = clusters(low), clusters(high)
    beta = 0.5 * (lower + upper)
    return Transition(beta, lower, upper, kind, _is_birth(low, high), *counts, bool(proven), resolution=slack)


def _by_clusters(low: Iterate, high: Iterate) -> tuple[Iterate, Iterate]:
    """The solution with the fewer clusters, those that are counted alone, and the one with more."""
    few, many = (low, high) if clusters(low) < clusters(high) else (high, low)
    counted = few.weights > COUNTED
    weights = few.weights[counted] / few.weights[counted].sum()
    return evaluate(few.problem, few.beta, weights, few.atoms[counted]), many


def crossing(low: Iterate, high: Iterate) -> float | None:
    """An estimate of the β between two solutions at which the fewer clusters stop being optimal; None where none shows.

    The fewer may do so, by less than solutions show, on the other side of where they were solved: then that end.
    """
    from scipy.optimize import brentq

    few, many = _by_clusters(low, high)
    excess = _Excess(few, many.atoms)
    if excess(few.beta) >= 0.0:
        return few.beta
    if excess(many.beta) <= 0.0:
        return None
    return float(
        brentq(excess, low.beta, high.beta, xtol=0.1 * _width(few) * low.beta, maxiter=MOST_GUESSES, disp=False)
    )


def _small(it: Iterate) -> bool:
    return 1 <= it.problem.dimension <= Certify().max_dimension


def _width(it: Iterate) -> float:
    """Of a bracket, relative to β."""
    return RELATIVE_WIDTH if _small(it) else 10 * RELATIVE_WIDTH


class _Excess:
    """By how much something improves on the fewer clusters at a β: negative where nothing does, 0 at the transition."""

    def __init__(self, few: Iterate, atoms: FloatArray) -> None:
        self.few, self.atoms = few, atoms
        self.known: dict[float, float] = {}

    def __call__(self, beta: float) -> float:
        if beta not in self.known:
            self.known[beta] = self._at(beta)
        return self.known[beta]

    def _at(self, beta: float) -> float:
        self.few = it = _follow(self.few, beta)
        split = float(instability(it.problem, beta, it.atoms, it.posterior)[0].max()) - 1.0 - UNSTABLE
        g = it.dual
        found = g.ascend(self.atoms, 30)
        births = g.log(found) - _resolution(it, g)
        # Near an atom it is that atom to which an ascent leads, where G is 1, unless it is above.
        kept = (births > 0.0) | (separations(found, it.atoms, beta).min(axis=1) > APART)
        if (births > 0.0).any():
            self.atoms = found[kept]
        return max(split, float(births[kept].max(initial=-np.inf)))


def bracketed(low: Iterate, high: Iterate) -> Transition:
    """What two solutions with different numbers of clusters tell by themselves."""
    beta = float(np.sqrt(low.beta * high.beta))
    counts = clusters(low), clusters(high)
    return Transition(beta, low.beta, high.beta, TransitionKind.NOT_LOCATED, _is_birth(low, high), *counts)


def _bracket(few: Iterate, atoms: FloatArray, start: tuple[float, float], width: float) -> tuple[float, float] | None:
    """β at which ascents from the atoms do not improve on the fewer clusters, and β at which they do; None if not found."""
    inner, outer = start
    step = COARSE * (1.0 if outer > inner else -1.0)
    for factor in 2.0 ** np.arange(12):
        inner_improved, outer_improved = _improved(few, atoms, inner), _improved(few, atoms, outer)
        if outer_improved and not inner_improved:
            break
        if inner_improved:
            inner, outer = inner * (1.0 - factor * step), inner
        else:  # the two solutions differ by clusters that gain nothing yet
            inner, outer = outer, outer * (1.0 + factor * step)
    else:
        return None
    while abs(outer - inner) > width * outer:
        middle = 0.5 * (inner + outer)
        inner, outer = (inner, middle) if _improved(few, atoms, middle) else (middle, outer)
    return inner, outer


def _follow(few: Iterate, beta: float) -> Iterate:
    """The fewer clusters, minimised over at another β without adding any."""
    return minimise(evaluate(few.problem, beta, few.weights, few.atoms))[0]


def _improved(few: Iterate, atoms: FloatArray, beta: float) -> bool:
    """Whether a split of the fewer clusters, or an atom ascended to from those given or the rows, improves on them at β."""
    it = _follow(few, beta)
    if instability(it.problem, beta, it.atoms, it.posterior)[0].max() > 1.0 + UNSTABLE:
        return True
    g = it.dual
    slack = _resolution(it, g)
    if it.problem.dimension == 1:
        return search_maximum(g, it.atoms, slack, Certify().max_cells).lower > slack
    return _exceeds(g, atoms, slack, ASCENTS) or _exceeds(g, it.problem.p_y_given_x, slack, ASCENTS[:2])


def _exceeds(g: DualFunction, atoms: FloatArray, slack: float, steps: tuple[int, ...]) -> bool:
    """Whether log G exceeds the slack where ascents from the atoms lead; those that stand still are left."""
    for n in steps:
        found = g.ascend(atoms, n)
        if g.log(found).max() > slack:
            return True
        atoms = found[2.0 * g.beta * ((np.sqrt(found) - np.sqrt(atoms)) ** 2).sum(axis=1) > STILL]
        if not len(atoms):
            break
    return False


def _resolution(it: Iterate, g: DualFunction) -> float:
    """The log G, nats, up to which it counts as 0: rounding, and what is left of it at the atoms themselves."""
    return max(slack_of(g), 2.0 * float(np.abs(g.log(it.atoms)).max()))


def optimum(core: Bottleneck, beta: float, start: Iterate | None = None) -> Iterate:
    """The optimum at β, from a solved iterate near by: proven in dimension 1, elsewhere as far as ascents can tell."""
    small = core.dimension <= Certify().max_dimension
    options = Certify(tolerance=1e-12) if small else Certify()
    rng = np.random.default_rng(0) if small or start is None else None
    it = start_from(core, beta) if start is None else evaluate(core, beta, start.weights, start.atoms)
    it, _, residual, _ = generate_columns(it, options, rng)
    return prove_where_needed(it, 0.0, residual, options)[0] if core.dimension == 1 else it


def kind_of(jump: float) -> TransitionKind:
    """Whether a jump of the rate, nats, is one."""
    return TransitionKind.FIRST_ORDER if abs(jump) > JUMP else TransitionKind.CONTINUOUS


def _is_birth(low: Iterate, high: Iterate) -> bool:
    """Whether some atom above the transition is far, on the scale 1/√β, from every atom below it."""
    distance = 4.0 * high.beta * (1.0 - np.sqrt(high.atoms) @ np.sqrt(low.atoms).T)
    return bool(distance.min(axis=1).max() > 0.05)


def slack_of(g: DualFunction) -> float:
    """The log G, nats, up to which it counts as 0."""
    return max(1e-12, 4.0 * rounding_of_search(g))


def clusters(it: Iterate) -> int:
    """Number of atoms that carry more than 1e-9."""
    return int((it.weights > COUNTED).sum())
