"""What is proven of the maximum of log G, by which method, and what a proof may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from dualib.certificate.boxes.unfinished import Unfinished
from dualib.core.typing import Float


class Method(StrEnum):
    """Where a lower bound of F(β) comes from."""

    DECODERS = "branch and bound over the decoders"
    POSTERIORS = "branch and bound over the posteriors of x"
    BOXES = "boxes of decoders"
    ROWS = "cells of rows"
    COARSE = "the problem with some y merged"
    PAIRS = "distances between pairs of x"
    PROCESSING = "I(T;Y) is at most I(X;T) and I(X;Y)"
    SIGN = "F is not negative"


@dataclass(frozen=True)
class Budget:
    """What a proof may cost.

    Attributes
    ----------
    cells : int
        Boxes that may be examined, those of earlier turns included.
    seconds : float or None
        Wall-clock time; None for no limit.
    """

    cells: int = 1_000_000
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise ValueError(f"cells must be at least 1, got {self.cells}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"seconds must be > 0 or None, got {self.seconds}")


@dataclass(frozen=True)
class Ceiling:
    """What is proven of max_r log G(r).

    Attributes
    ----------
    upper : float
        Proven upper bound of max log G, nats, up to `rounding`.
    lower : float
        The largest log G that was met, nats.
    argmax : array, shape (n_y,)
        The decoder where it was met.
    cells : int
        Number of cells examined.
    complete : bool
        Whether upper ≤ max(lower, 0) + tolerance; where not, the number of cells was reached, or rounding alone exceeds the
        tolerance.
    method : Method
        Which bound gave `upper`.
    rounding : float
        Allowance for floating-point error that `upper` does not contain, nats.
    work : float
        Entries of tables (n_x, n_y) that were computed for it.
    unfinished : Unfinished or None
        Where a search over boxes can be gone on with.
    least : float
        What `upper` would be at least, had a search that was given up gone on.
    exhausted : bool
        Whether no cell or box is left that more work would cut, so that what is not complete is so by rounding.
    """

    upper: float
    lower: float
    argmax: Float[np.ndarray, " n_y"]
    cells: int
    complete: bool
    method: Method
    rounding: float = 0.0
    work: float = 0.0
    unfinished: Unfinished | None = field(default=None, repr=False)
    least: float = -np.inf
    exhausted: bool = False

    @property
    def log_bound(self) -> float:
        """What the objective is above F(β) at most, nats, rounding included."""
        return max(self.upper, 0.0) + self.rounding
