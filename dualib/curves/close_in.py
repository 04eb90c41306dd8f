"""The search behind solve_at: two solutions that close in on a rate or relevance."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.curves.locate import JUMP
from dualib.curves.refine import meeting
from dualib.curves.transitions import first_transition
from dualib.solution import Solution, solve
from dualib.solvers.options import CertifyLike

NEAR = 1e-7  # relative distance of two β between which the rate is taken to jump
AROUND_ONE = 1e-3  # of β: where Y is a function of X the curve jumps at 1, from one cluster to Y itself; its ends are those of any nearer β
CLOSE = 1e-5  # nats: the ends of the bracket need not come closer in what is asked for
HIT = 1e-9  # nats: what is as near to the target is there
MOST_STEPS, MOST_HITS = 60, 6
LARGEST_BETA = 1e12


class Axis(StrEnum):
    """What was asked for."""

    RATE = "rate"
    RELEVANCE = "relevance"


class Search:
    """Two solutions around the target that close in on it, and all that were met on the way."""

    def __init__(self, problem: Bottleneck, axis: Axis, target: float) -> None:
        self.problem, self.axis, self.target = problem, axis, target
        if problem.joint.is_deterministic and problem.name == "ib":
            self.near = AROUND_ONE
            self.low, self.high = (solve(problem, beta, certify=False) for beta in (1 - AROUND_ONE, 1 + AROUND_ONE))
        else:
            self.near = NEAR
            self.low = self.high = solve(problem, first_transition(problem).lower, certify=False)
        self.met: list[Solution] = [self.low, self.high]

    @property
    def jumps(self) -> bool:
        """Whether a first-order transition lies between the two: one β, two rates."""
        low, high = self.low, self.high
        return high.beta - low.beta <= 2 * self.near * high.beta and high.rate - low.rate > JUMP

    def value(self, solution: Solution) -> float:
        """What is to meet the target."""
        return solution.rate if self.axis is Axis.RATE else solution.relevance

    def steps(self) -> Iterator[Solution]:
        """The solutions on the way; the last of them are :attr:`low` and :attr:`high`."""
        yield from self._close_in()
        yield from self._hit()

    def _close_in(self) -> Iterator[Solution]:
        """Solutions at doubled β until the target is passed, then between; the last of them are :attr:`low` and :attr:`high`."""
        while self.value(self.high) < self.target:
            beta = 2.0 * self.high.beta
            if beta > LARGEST_BETA:
                raise ValueError(f"{self.axis} = {self.target:.10g} nats is not reached up to beta = {LARGEST_BETA:g}")
            self.low = self.high
            self.high = self._solved(beta)
            yield self.high
        for step in range(MOST_STEPS):
            low, high = self.low, self.high
            if high.beta - low.beta <= 2 * self.near * high.beta or self.value(high) - self.value(low) <= CLOSE:
                return
            beta = meeting(low, high) if step % 2 else float(np.sqrt(low.beta * high.beta))
            margin = 0.8 * self.near * high.beta  # where the tangents meet on an end, just inside of it
            middle = self._solved(float(np.clip(beta, low.beta + margin, high.beta - margin)))
            if self.value(middle) < self.target:
                self.low = middle
            else:
                self.high = middle
            yield middle

    def _hit(self) -> Iterator[Solution]:
        """Solutions where the line between the ends meets the target, until one of them is there."""
        for _ in range(MOST_HITS):
            at_low, at_high = self.value(self.low) - self.target, self.value(self.high) - self.target
            if min(-at_low, at_high) <= HIT or self.high.beta - self.low.beta <= 2 * self.near * self.high.beta:
                return
            middle = self._solved(self.low.beta - at_low / (at_high - at_low) * (self.high.beta - self.low.beta))
            if self.value(middle) < self.target:
                self.low = middle
            else:
                self.high = middle
            yield middle

    def _solved(self, beta: float) -> Solution:
        """The better of the solutions from both ends: across a jump they differ."""
        ends = [self.low] if self.high is self.low else [self.low, self.high]
        found = [solve(self.problem, beta, certify=False, start=end.p_y_given_t) for end in ends]
        found += [] if len(ends) > 1 else [solve(self.problem, beta, certify=False)]
        self.met += found
        return min(found, key=lambda solution: solution.objective)

    def prove(self, certify: CertifyLike) -> bool:
        """Solve the ends with their proofs; False if a better solution lies on the other side of the target."""
        low, high = (
            solve(self.problem, end.beta, certify=certify, start=end.p_y_given_t) for end in (self.low, self.high)
        )
        self.met += [low, high]
        if self.value(low) - 2 * HIT <= self.target <= self.value(high) + 2 * HIT:
            self.low, self.high = low, high
            return True
        return False

    def widen(self) -> None:
        """Begin again, from the better solutions known by now."""
        better = self.met[-2:]
        self.low = self.high = max((s for s in better if self.value(s) <= self.target), default=self.met[0], key=_beta)
        self.high = min((s for s in better if self.value(s) > self.target), default=self.high, key=_beta)


def _beta(solution: Solution) -> float:
    return solution.beta
