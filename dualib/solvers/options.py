"""Certify: tolerances and limits of the search and of the proof."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from dualib.core.arrays import whole


@dataclass(frozen=True)
class Certify:
    """How a solution is searched and proven.

    Attributes
    ----------
    tolerance : float
        The gap aimed at, nats, and below which a solution counts as certified.
    max_dimension : int
        Intrinsic dimension up to which the rigorous search is tried (its cost grows exponentially).
    max_cells : int
        The rigorous search stops there with a valid but looser bound.
    max_rounds : int
        Rounds of column generation.

    Raises
    ------
    ValueError
        If the tolerance is below 1e-14 or not finite, or a limit is no whole number of at least 0.
    """

    tolerance: float = 1e-9
    max_dimension: int = 3
    max_cells: int = 4_000_000
    max_rounds: int = 40

    def __post_init__(self) -> None:
        if not 1e-14 <= self.tolerance < np.inf:
            raise ValueError(f"tolerance = {self.tolerance} nats must be at least 1e-14 (rounding) and finite")
        for field in fields(self)[1:]:
            whole(getattr(self, field.name), field.name)

    @classmethod
    def of(cls, certify: bool | Certify) -> Certify:
        """What ``certify=`` asks for: itself, or the defaults for True and False.

        Raises
        ------
        TypeError
            If it is none of these.
        """
        if isinstance(certify, Certify):
            return certify
        if not isinstance(certify, bool):
            raise TypeError(f"certify must be True, False or a dualib.Certify, got {certify!r}")
        return cls()
