"""The information plane of trained networks: estimates for every replica, snapshot and layer, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.estimate import Estimates
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, Int
from dualib.core.units import Units
from dualib.plane import PlanePath

if TYPE_CHECKING:
    import pandas as pd

SIDES = ("rate", "relevance")
"""The plane's two axes, I(X;T) and I(T;Y), by the names of their attributes and columns."""


@dataclass(frozen=True, eq=False)
class InformationPlane(Result):
    """I(X;T) and I(T;Y) of every layer, at every snapshot, of every replica. Nats.

    Attributes
    ----------
    epochs : int array, shape (S,)
        Of the snapshots.
    replicas : int array, shape (R,)
        Which replicas of the recording.
    rate, relevance : Estimates, shape (R, S, L)
        Of I(X;T) and of I(T;Y), with the estimator's own intervals.
    accuracy : array, shape (R, S)
        On the replica's test patterns (on its training patterns where all are trained on); NaN where it is not known.
    layers : tuple of str
        Names of the L layers.
    entropy_x, information_xy : float
        H(X) and I(X;Y) of the task: I(X;T) ≤ H(X) and I(T;Y) ≤ I(X;Y).
    warnings : dict of str to int
        What the estimators warned of, the worst of each kind with its place → how often there was one of its kind.
    settings : dict
        Of the training and of the estimator.

    Raises
    ------
    ValueError
        If shapes do not fit (all are printed).

    Examples
    --------
    >>> plane.layers, plane.epochs, round(plane.information_xy, 6)
    (('hidden', 'output'), array([ 1, 10]), 0.693147)
    """

    epochs: Int[np.ndarray, " S"]
    replicas: Int[np.ndarray, " R"]
    rate: Estimates
    relevance: Estimates
    accuracy: Float[np.ndarray, "R S"]
    layers: tuple[str, ...]
    entropy_x: float
    information_xy: float
    warnings: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.replicas), len(self.epochs), len(self.layers))
        found = self.rate.shape, self.relevance.shape, (*self.accuracy.shape, shape[2])
        if set(found) != {shape}:
            raise ValueError(
                f"{shape[0]} replicas, {shape[1]} epochs and {shape[2]} layers ask for rate and relevance of shape {shape} and "
                f"accuracy of shape {shape[:2]}, got {found[0]}, {found[1]} and {self.accuracy.shape}"
            )

    @property
    def method(self) -> str:
        """How the estimates were made."""
        return self.rate.method

    def at(self, epoch: float) -> int:
        """The index of the snapshot nearest to `epoch` on a logarithmic scale."""
        return int(np.abs(np.log1p(self.epochs) - np.log1p(epoch)).argmin())

    def processing_violations(self, tolerance: float = 1e-9) -> Float[np.ndarray, " pairs"]:
        """Share of (replica, snapshot) pairs at which an estimate rises from a layer to the next, as no information does.

        Parameters
        ----------
        tolerance : float
            Rises of I(X;T) and I(T;Y) up to this many nats are rounding.

        Returns
        -------
        array, shape (L - 1,)
            Of each pair of neighbouring layers.
        """
        rises = np.diff(self.rate.value, axis=2) > tolerance
        rises |= np.diff(self.relevance.value, axis=2) > tolerance
        return np.asarray(rises.mean(axis=(0, 1)))

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a replica, snapshot and layer."""
        import pandas as pd

        r, s, j = np.indices(self.rate.shape).reshape(3, -1)
        data: dict[str, np.ndarray] = {
            "replica": self.replicas[r],
            "epoch": self.epochs[s],
            "layer": np.asarray(self.layers)[j],
            "accuracy": self.accuracy[r, s],
        }
        for side in SIDES:
            shown = self.side(side, units)
            parts = {"": shown.value, "_low": shown.low, "_high": shown.high}
            data |= {f"{side}{part}_{units}": values.ravel() for part, values in parts.items()}
        return pd.DataFrame(data)

    def summary(self, units: Units = "bits", epochs: Sequence[float] | None = None) -> pd.DataFrame:
        """Medians over replicas at a few snapshots: one row an epoch and layer.

        Beside each median stand the quartiles over replicas, where there are several, and the medians of the ends of the
        estimator's own interval, where it has one; in the end the accuracy, where it is known.
        """
        import pandas as pd

        last = float(self.epochs[-1])
        wanted = [0.0, *(e for e in (32.0, 400.0) if e < last), last] if epochs is None else epochs
        chosen = list(dict.fromkeys(self.at(e) for e in wanted))
        s, j = (a.ravel() for a in np.meshgrid(chosen, np.arange(len(self.layers)), indexing="ij"))
        data: dict[str, np.ndarray] = {"epoch": self.epochs[s], "layer": np.asarray(self.layers)[j]}
        for side in SIDES:
            shown = self.side(side, units)
            data[f"{side}_{units}"] = np.median(shown.value, axis=0)[s, j]
            if len(self.replicas) > 1:
                ends = np.quantile(shown.value, [0.25, 0.75], axis=0)
                data |= {f"{side}_{q}_{units}": end[s, j] for q, end in zip(("q25", "q75"), ends, strict=True)}
            if (shown.high > shown.low).any():
                data[f"{side}_low_{units}"] = np.median(shown.low, axis=0)[s, j]
                data[f"{side}_high_{units}"] = np.median(shown.high, axis=0)[s, j]
        if not np.isnan(self.accuracy).all():
            data["accuracy"] = np.median(self.accuracy, axis=0)[s]
        return pd.DataFrame(data)

    def side(self, name: str, units: Units) -> Estimates:
        """`rate` or `relevance` in `units`."""
        found: Estimates = getattr(self, name)
        return found.shown_in(units)

    def medians(self, units: Units = "bits") -> tuple[Float[np.ndarray, "S L"], Float[np.ndarray, "S L"]]:
        """Medians over replicas of I(X;T) and I(T;Y)."""
        rate, relevance = (np.median(self.side(name, units).value, axis=0) for name in SIDES)
        return rate, relevance

    def plane_paths(self) -> list[PlanePath]:
        """The layers' lines in the information plane: medians over replicas, with the epoch as their clock."""
        rate, relevance = self.medians("nats")
        ends = np.array([[np.median(e, axis=0) for e in (s.low, s.high)] for s in (self.rate, self.relevance)])
        known_to = bool((ends[:, 1] > ends[:, 0]).any())
        known = np.ones(len(self.epochs), dtype=bool)
        return [
            PlanePath(
                name,
                rate[:, j],
                relevance[:, j],
                known[1:],
                known,
                self.information_xy,
                clock=self.epochs.astype(float),
                clock_name="epoch",
                rate_is=f"by {self.method}" + "; bars: intervals at the last epoch" * known_to,
                within=ends[:, :, :, j].transpose(0, 2, 1) if known_to else None,
            )
            for j, name in enumerate(self.layers)
        ]


def indices(chosen: ArrayLike | None, size: int, what: str, default: Int[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
    """A choice among `size` replicas or snapshots, negative indices from the end.

    Raises
    ------
    ValueError
        If one is not there, or none is chosen.
    """
    index = default if chosen is None else np.asarray(chosen, dtype=np.int64)
    if index.size == 0 or index.min() < -size or index.max() >= size:
        raise ValueError(f"{what}s {index.tolist()} are not all among the {size} of the run (or there are none)")
    return index % size
