r"""Where a curve needs further points: so that F is bracketed, and so that the information plane is drawn as it is.

F is concave with F'(β) = E d. Between two solved points the tangents of F meet at β* = ΔI(X;T) / −ΔE d, the slope of their
chord in the plane of rate and distortion, where the optimal E d is convex in the rate with slope −1/β. Chord and tangents
bracket it; widest, with s = 1/β*, by

.. math:: \frac{(1/\beta_1 - s)(s - 1/\beta_2)}{1/\beta_1 - 1/\beta_2}\, \Delta I(X;T).

For IB, E d = I(X;Y) − I(T;Y): this is the bracket of the relevance.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dualib.curves.limits import MAX_POINTS
from dualib.curves.locate import RELATIVE_WIDTH
from dualib.solution import Solution

RESOLUTION = 0.03  # of the largest rate: the step of rate between neighbours of a default curve
BRACKET = 1e-3  # of E d at one cluster (for IB that is I(X;Y)): how closely chord and tangents bracket E d there
SHOWN = 0.05  # of the largest rate: longer steps are shown as interpolated
TOGETHER = 16  # intervals that get a point at once, on an executor at the same time

Between = tuple[Solution, Solution, float]


@dataclass(frozen=True)
class Goal:
    """When a curve has enough points; None asks for nothing.

    Attributes
    ----------
    tolerance : float or None
        How closely F is bracketed between neighbours, nats.
    resolution : float or None
        Step of rate between neighbours, as a share of the largest rate.
    bracket : float
        How closely E d is bracketed between neighbours (where a resolution is asked for), nats.
    max_points : int
        No further point is added from here on.
    """

    tolerance: float | None
    resolution: float | None
    bracket: float
    max_points: int = MAX_POINTS

    def need(self, low: Solution, high: Solution, largest: float) -> float:
        """How many times what lies between two neighbours exceeds what is asked for; 0 across a jump, which is resolved."""
        found = [0.0]
        width = high.beta - low.beta
        if self.tolerance is not None and width > 1e-9 * high.beta:
            found.append(excess(low, high) / self.tolerance)
        if self.resolution is not None and width > RELATIVE_WIDTH * high.beta:
            found.append(abs(high.rate - low.rate) / (self.resolution * largest))
            found.append(distortion_bracket(low, high) / self.bracket)
        return max(found)


def meeting(low: Solution, high: Solution) -> float:
    """The β at which the tangents of F at two solved points meet."""
    slope = low.distortion - high.distortion
    beta = (high.rate - low.rate) / slope if slope > 0 else 0.5 * (low.beta + high.beta)
    return float(np.clip(beta, low.beta, high.beta))


def excess(low: Solution, high: Solution) -> float:
    """How far above the chord of the lower ends of F (as far as ascents can tell) the tangents meet, nats."""
    beta = meeting(low, high)
    share = (beta - low.beta) / (high.beta - low.beta)
    chord = (1 - share) * (low.objective - low.estimated_gap) + share * (high.objective - high.estimated_gap)
    return low.rate + beta * low.distortion - chord


def distortion_bracket(low: Solution, high: Solution) -> float:
    """The widest bracket of the optimal E d at a rate between two solved points, nats; for IB also of the relevance."""
    step = high.rate - low.rate
    if step <= 0.0:
        return 0.0
    a, b, s = 1.0 / low.beta, 1.0 / high.beta, (low.distortion - high.distortion) / step
    return max(0.0, (a - s) * (s - b) * step / (a - b))


def refine(
    points: Sequence[Solution],
    goal: Goal,
    solve_between: Callable[[Sequence[Between]], Iterable[Solution]],
) -> Generator[Solution, None, bool]:
    """Yield further points where they are needed most until the goal is reached, some at a time.

    A first-order transition is closed in on from both sides: from above the tangents meet ever nearer to it, and the
    last point falls just below.

    Parameters
    ----------
    points : sequence of Solution
        Ascending in β.
    goal : Goal
    solve_between : callable
        The solutions at the β of some (low, high, β), in order.

    Yields
    ------
    Solution

    Returns
    -------
    bool
        Whether the goal was reached (False: stopped at `max_points`).
    """
    largest = max(max(point.rate for point in points), 1e-300)
    order, n = itertools.count(), len(points)
    heap: list[tuple[float, int, Solution, Solution]] = []

    def consider(low: Solution, high: Solution) -> None:
        need = goal.need(low, high, largest)
        if need > 1.0:
            heapq.heappush(heap, (-need, next(order), low, high))

    for low, high in itertools.pairwise(points):
        consider(low, high)
    while heap and n < goal.max_points:
        pairs = [heapq.heappop(heap)[2:] for _ in range(min(TOGETHER, len(heap), goal.max_points - n))]
        asked = [(low, high, _place(low, high, goal)) for low, high in pairs]
        for (low, high), point in zip(pairs, solve_between(asked), strict=True):
            n += 1
            consider(low, point)
            consider(point, high)
            yield point
    return not heap


def _place(low: Solution, high: Solution, goal: Goal) -> float:
    """The β between two points at which a third tells most, away from both."""
    width = high.beta - low.beta
    margin = 0.05 * width if goal.resolution is None else min(0.05 * width, 0.25 * RELATIVE_WIDTH * high.beta)
    return float(np.clip(meeting(low, high), low.beta + margin, high.beta - margin))
