"""Certify: tolerances and limits of the search and of the proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Certify:
    """How a solution is searched and proven.

    Attributes
    ----------
    tolerance : nats; the gap aimed at, and below which a solution counts as certified.
    max_dimension : intrinsic dimension up to which the rigorous search is tried (its cost grows exponentially).
    max_cells : the rigorous search stops there with a valid but looser bound.
    max_rounds : rounds of column generation.
    """

    tolerance: float = 1e-9
    max_dimension: int = 3
    max_cells: int = 4_000_000
    max_rounds: int = 40

    def __post_init__(self) -> None:
        if not 1e-14 <= self.tolerance < np.inf:
            raise ValueError(f"tolerance = {self.tolerance} nats must be at least 1e-14 (rounding) and finite")
        for name in ("max_dimension", "max_cells", "max_rounds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)} must not be negative")
