"""The information plane: what a line in it consists of, and what can be drawn there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dualib.core.typing import Bool, Float


@dataclass(frozen=True, eq=False)
class PlanePath:
    """A line in the plane of rate I(X;T) and relevance I(T;Y), nats.

    Attributes
    ----------
    name : str
        What the legend says. Paths of one name are told apart by their colours and a number.
    rate, relevance : array, shape (n,)
        The points in the order in which they are joined.
    resolved : array of bool, shape (n - 1,)
        Whether the line between neighbours is as good as known; elsewhere it is drawn as interpolated.
    proven : array of bool, shape (n,)
        Points that are not are drawn hollow.
    information_xy : float
        I(X;Y), the ceiling of the relevance.
    marks : array, shape (k, 2)
        Rate and relevance of what is marked on the line: transitions.
    ceiling : array, shape (m, 2), or None
        Rates, and a relevance that is proven to be out of reach there.
    joined : bool
        Whether the points are joined by a line; otherwise each is a marker by itself.
    clock : array, shape (n,), or None
        When each point was reached, at least 0: its colour, on a logarithmic scale. None for a line without time.
    within : array, shape (2, n, 2), or None
        The ends of the points' intervals, of the rate and of the relevance; of a line with a clock its last point shows them.
    clock_name : str
        What the clock counts, such as epochs; lines of one name share a colour bar.
    rate_is, relevance_is : str
        What stands at the two axes if it is not I(X;T) and I(T;Y) themselves: an estimate, or a bound and of what.
    unproven_is : str
        What the legend says of hollow points.
    caveat : str
        What is to be known where the line stands beside a frontier.
    """

    name: str
    rate: Float[np.ndarray, " n"]
    relevance: Float[np.ndarray, " n"]
    resolved: Bool[np.ndarray, " n-1"]
    proven: Bool[np.ndarray, " n"]
    information_xy: float
    marks: Float[np.ndarray, "k 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    ceiling: Float[np.ndarray, "m 2"] | None = None
    joined: bool = True
    clock: Float[np.ndarray, " n"] | None = None
    clock_name: str = ""
    within: Float[np.ndarray, "2 n 2"] | None = None
    rate_is: str = ""
    relevance_is: str = ""
    unproven_is: str = "not proven"
    caveat: str = ""


class InPlane(Protocol):
    """What can be drawn in the information plane: bottleneck curves, ensembles in time, layers of networks."""

    def plane_paths(self) -> Sequence[PlanePath]:
        """The lines, in the order in which they are drawn."""
