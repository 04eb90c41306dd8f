"""Hard clusterings beside a curve: deterministic, agglomerative and sequential, and all of them, with what the curve proves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.curves.curve import InformationCurve
from dualib.curves.front import ENUMERATED, hard_front
from dualib.joint import Joint
from dualib.plane import PlanePath
from dualib.solvers.hard import (
    LARGEST_AGGLOMERATION,
    HardClusterings,
    agglomerative_ib,
    clusterings,
    deterministic_ib,
    sequential_ib,
)

if TYPE_CHECKING:
    import pandas as pd

BETAS = np.geomspace(1.0, 1000.0, 20)  # of deterministic IB
MOST_SEQUENTIAL = 20  # clusters up to which the sequential search runs, one number after the other
DOTS = 60  # points of one method that are drawn at most, evenly over its clusterings


class HardMethod(StrEnum):
    """How clusterings were found."""

    FRONT = "best hard clusterings"
    DETERMINISTIC = "deterministic IB"
    AGGLOMERATIVE = "agglomerative IB"
    SEQUENTIAL = "sequential IB"


@dataclass(frozen=True, eq=False)
class HardPoints(Result):
    """Hard clusterings of a joint by several methods, each with its distance below the IB curve. Nats.

    Attributes
    ----------
    methods : tuple of HardMethod
    found : tuple of HardClusterings
        Of each method, by ascending rate.
    below_low, below_high : tuple of arrays
        For each clustering, the IB curve at its rate H(T) is proven to lie between these distances above its I(T;Y); nan
        without a curve.
    information_xy : float
        I(X;Y).
    note : str
        The limits that were reached, "" where none was.
    """

    methods: tuple[HardMethod, ...]
    found: tuple[HardClusterings, ...]
    below_low: tuple[FloatArray, ...]
    below_high: tuple[FloatArray, ...]
    information_xy: float
    note: str = ""

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a clustering; the unit is part of the column's name."""
        import pandas as pd

        parts = []
        for method, found, low, high in zip(self.methods, self.found, self.below_low, self.below_high, strict=True):
            distances = {f"below_curve_{end}_{units}": to_units(v, units) for end, v in (("low", low), ("high", high))}
            parts.append(found.to_frame(units).assign(**distances))
            parts[-1].insert(0, "method", str(method))
        return pd.concat(parts, ignore_index=True)

    def plane_paths(self) -> list[PlanePath]:
        """The clusterings as points of the information plane, those of each method under its name, which says if not all are drawn."""
        return [
            _dots(method, found, self.information_xy) for method, found in zip(self.methods, self.found, strict=True)
        ]


def _dots(method: HardMethod, found: HardClusterings, information_xy: float) -> PlanePath:
    shown = np.unique(np.linspace(0, len(found) - 1, min(len(found), DOTS)).round().astype(int))
    rate, relevance = found.rate[shown], found.relevance[shown]
    n = len(shown)
    name = str(method) if n == len(found) else f"{method}, {n} of {len(found)}"
    return PlanePath(name, rate, relevance, np.zeros(n - 1, bool), np.ones(n, bool), information_xy, joined=False)


def hard_points(
    joint: Joint, curve: InformationCurve | None = None, *, seed: int = 0, progress: bool | None = None
) -> HardPoints:
    r"""Find hard clusterings by the classical methods, and how far each lies below the proven IB curve at its rate.

    With L the proven lower bounds of F, the relevance at the rate R = H(T) is at most

    .. math:: I(X;Y) - \max_\beta \frac{L(\beta) - R}{\beta}, \qquad \text{and at most } \min(R, I(X;Y)),

    and at least that of sharing time between the points of the curve, or of the clustering itself.

    Parameters
    ----------
    joint : Joint
    curve : InformationCurve or None
        The IB curve of the same joint; None leaves the distances nan.
    seed : int
        Seed of the random starts of the sequential search.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    HardPoints
        Deterministic IB at 20 β from 1 to 1000; agglomerative IB; sequential IB up to 20 clusters; the front of all
        partitions up to 12 distinct rows. The note says which limit was reached.

    Raises
    ------
    ValueError
        If the joint has more than 4000 distinct rows, or the curve is of another problem, or of a joint with another I(X;Y).

    References
    ----------
    [strouse2017]_, [slonim2000]_, [slonim2002]_, [tan2022]_
    """
    information = joint.mutual_information()
    if curve is not None:
        _check_curve(curve, information)
    n = check_size(joint)
    counts = range(2, min(n, MOST_SEQUENTIAL) + 1)
    found: dict[HardMethod, list[HardClusterings]] = {}
    searches = _searches(joint, n, counts, seed)
    for method, one in counted(searches, "hard clusterings", progress, total=len(BETAS) + len(counts) + 2):
        found.setdefault(method, []).append(one)
    joined = {method: _joined(joint, parts, method) for method, parts in found.items()}
    limits = [f"sequential up to {MOST_SEQUENTIAL} clusters"] if n > MOST_SEQUENTIAL else []
    limits += [f"all are enumerated up to {ENUMERATED} distinct rows, here are {n}"] if n > ENUMERATED else []
    limits += sorted(
        {f"{method}: a search stopped at its limit of sweeps" for method, f in joined.items() if f.cut_short}
    )
    below = [_below(f, curve) for f in joined.values()]
    low, high = zip(*below, strict=True)
    return HardPoints(tuple(joined), tuple(joined.values()), low, high, information, "; ".join(limits))


def check_size(joint: Joint) -> int:
    """The number of distinct rows; a ValueError where it is too large for the searches."""
    n = joint.merge_equal_rows().joint.n_x
    if n > LARGEST_AGGLOMERATION:
        raise ValueError(
            f"the joint has {n} distinct rows p(y|x); hard clusterings are looked for up to {LARGEST_AGGLOMERATION}: bin x"
        )
    return n


def _check_curve(curve: InformationCurve, information: float) -> None:
    if curve.problem != "ib":
        raise ValueError(f"curve is of the problem {curve.problem!r}; only the IB curve bounds I(T;Y) at every rate")
    if abs(curve.information_xy - information) > 1e-9 * (1.0 + information):
        raise ValueError(
            f"curve is of another joint: I(X;Y) is {curve.information_xy:.9g} nats there, {information:.9g} here"
        )


def _searches(joint: Joint, n: int, counts: range, seed: int) -> Iterator[tuple[HardMethod, HardClusterings]]:
    if n <= ENUMERATED:
        yield HardMethod.FRONT, hard_front(joint)
    for beta in BETAS:
        yield HardMethod.DETERMINISTIC, deterministic_ib(joint, float(beta))
    yield HardMethod.AGGLOMERATIVE, agglomerative_ib(joint)
    for k in counts:
        yield HardMethod.SEQUENTIAL, sequential_ib(joint, k, seed=seed)


def _joined(joint: Joint, parts: list[HardClusterings], method: HardMethod) -> HardClusterings:
    """The distinct clusterings of one method, by ascending rate."""
    labels = np.unique(np.concatenate([part.labels for part in parts]), axis=0)
    rate = np.concatenate([clusterings(joint, row[None], "").rate for row in labels])
    exact, cut_short = all(p.exact for p in parts), any(p.cut_short for p in parts)
    return clusterings(joint, labels[np.argsort(rate, kind="stable")], str(method), exact, cut_short)


def _below(found: HardClusterings, curve: InformationCurve | None) -> tuple[FloatArray, FloatArray]:
    """The proven interval of the distance of each clustering to the curve."""
    if curve is None:
        nothing = np.full(len(found), np.nan)
        return nothing, nothing
    reached = curve.relevance_reached(found.rate)
    ceiling = np.minimum(curve.information_xy - curve.tradeoff.least_distortion(found.rate), found.rate)
    low = np.maximum(reached - found.relevance, 0.0)
    return low, np.maximum(ceiling - found.relevance, low)
