"""Certify: tolerances and limits of the search and of the proof."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal

import numpy as np

from dualib.core.arrays import whole

AUTO: Literal["auto"] = "auto"
"""certify="auto": prove where the size of the joint lets a search get anywhere within seconds."""
WORK = 100_000_000
AUTO_WORK = 1e9  # entries of tables (n_x, n_y): what an affordable search must be able to begin with, and twice what its simplices take


class LeftOut(StrEnum):
    """What the search of a solution goes without where the problem is very large."""

    SPLITS = (
        "estimated_gap tells nothing of clusters that would split: too many clusters, rows and symbols to look for them"
    )
    CLUSTERS = "there are as many clusters as fit, and estimated_gap tells what others would gain at most: take smaller beta, or fewer rows"
    ALL_ROWS = "the search began at the optimum of a sample of the rows, or at T = X where that has many clusters: there are too many rows to try both"


@dataclass(frozen=True)
class Certify:
    """How a solution is searched and proven.

    Attributes
    ----------
    tolerance : float
        The gap aimed at, nats, and below which a solution counts as certified.
    max_dimension : int
        Intrinsic dimension up to which simplices are cut (their number grows exponentially); beyond, IB and dualIB
        are bounded over boxes of decoders, up to 16 symbols y, and cells of rows; with four symbols boxes come first.
    max_cells : int
        So many simplices are looked at, at most; the bound is then valid but looser.
    max_rounds : int
        Rounds of column generation.
    max_work : int
        Beyond max_dimension, how many entries of tables (n_x, n_y) may be computed for a bound, by one solution or by all points
        of a curve together: some five seconds by default. It is counted, not timed, so that the bounds are the same anywhere.
    affordable_only : bool
        Leave the search out, or stop its simplices early, where the joint is so large that it would take long; what ``certify="auto"``
        means.

    Raises
    ------
    ValueError
        If the tolerance is below 1e-14 or not finite, or a limit is no whole number of at least 0.

    Examples
    --------
    >>> from dualib import Certify, IB, Joint, solve
    >>> bool(solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), 5.0, certify=Certify(tolerance=1e-6)).gap < 1e-6)
    True
    """

    tolerance: float = 1e-9
    max_dimension: int = 3
    max_cells: int = 4_000_000
    max_rounds: int = 40
    max_work: int = WORK
    affordable_only: bool = False

    def __post_init__(self) -> None:
        if not 1e-14 <= self.tolerance < np.inf:
            raise ValueError(f"tolerance = {self.tolerance} nats must be at least 1e-14 (rounding) and finite")
        for field in fields(self)[1:-1]:
            value = getattr(self, field.name)
            if isinstance(value, float) and value.is_integer():  # as 5e8 is
                value = int(value)
            object.__setattr__(self, field.name, whole(value, field.name))

    @classmethod
    def of(cls, certify: CertifyLike, max_work: int = WORK) -> Certify:
        """What ``certify=`` asks for: itself, or the defaults, with some `max_work`, for True, False and "auto".

        Raises
        ------
        TypeError
            If it is none of these.
        """
        if isinstance(certify, Certify):
            return certify
        if not isinstance(certify, bool) and certify != AUTO:
            raise TypeError(f'certify must be True, False, "{AUTO}" or a dualib.Certify, got {certify!r}')
        return cls(max_work=max_work, affordable_only=certify == AUTO)


CertifyLike = bool | Literal["auto"] | Certify
"""What ``certify=`` takes: True, False, "auto", or limits of one's own."""
