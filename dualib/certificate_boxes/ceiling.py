"""What a proof may cost, and what it proves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dualib.core.typing import Float


class Method(StrEnum):
    """Which bound a ceiling comes from."""

    BOXES = "boxes of decoders"
    ROWS = "cells of rows"


@dataclass(frozen=True)
class Budget:
    """What a proof may cost.

    Attributes
    ----------
    cells : int
        Boxes that may be examined.
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
class BoxCeiling:
    """What is proven of max_r log G(r).

    Attributes
    ----------
    upper : float
        Proven upper bound of max log G, rounding included, nats.
    lower : float
        The largest log G that was met, nats.
    argmax : array, shape (K,)
        The decoder where it was met.
    cells : int
        Boxes examined.
    complete : bool
        Whether upper ≤ max(lower, 0) + tolerance; where not, the budget was reached, or rounding alone exceeds the tolerance.
    method : Method
        Which bound gave `upper`.
    """

    upper: float
    lower: float
    argmax: Float[np.ndarray, " k"]
    cells: int
    complete: bool
    method: Method
