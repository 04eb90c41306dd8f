r"""Several trained runs beside one another: where they end and how they generalise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from deepnets.planes.plane import InformationPlane
from deepnets.planes.source import Source
from deepnets.recordings.recording import Recording
from dualib.core import statistics
from dualib.core.arrays import whole
from dualib.core.estimate import Estimate, Estimates, Kind
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Unit, Units, conversion

if TYPE_CHECKING:
    import pandas as pd


def input_compression_bound(rate: ArrayLike, n_train: int) -> FloatArray:
    r"""The input-compression bound on the generalisation gap, at T's typical cells in place of a hypothesis class.

    .. math:: \varepsilon = \sqrt{\frac{e^{I(X;T)}}{2m}}, \qquad I(X;T)\ \text{in nats}

    A heuristic, no theorem for a trained T, which has seen the sample; :func:`ntkinfo.bounds.input_compression` has the
    confidence term log(1/δ) that is left out here. **Vacuous** at 1 or more, where I(X;T) ≥ log(2m) nats: an accuracy gap
    is at most 1 whatever the network. With an estimate of I(X;T), it is an estimate of a bound.

    Parameters
    ----------
    rate : array
        I(X;T) in nats, any shape.
    n_train : int
        m ≥ 1, training patterns.

    Raises
    ------
    ValueError
        If a rate is negative or NaN, or m is not a whole number of at least 1.

    References
    ----------
    [shwartzziv2017]_, [shwartzziv2019b]_ theorem 1

    Examples
    --------
    >>> float(input_compression_bound(0.0, 50))
    0.1
    """
    n_train = whole(n_train, "n_train", 1)
    values = np.asarray(rate, dtype=np.float64)
    if not (values >= 0).all():
        raise ValueError(f"{np.count_nonzero(~(values >= 0))} rates are negative or NaN: they must be at least 0")
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(values / 2) / np.sqrt(2.0 * n_train))  # the root first: it overflows later


class Compared(StrEnum):
    """What runs are compared by at their ends."""

    RATE = "rate"
    RELEVANCE = "relevance"
    ACCURACY = "accuracy"
    GAP = "accuracy_gap"
    BOUND = "bound"


@dataclass(frozen=True)
class FinalValue(Result):
    """One quantity of one run at its last snapshot.

    Attributes
    ----------
    run : str
        Label of the run.
    quantity : Compared
    layer : str
        Which layer's, or "" for a quantity of the network.
    mean : Estimate
        Mean over replicas with Student's 95 % interval, cut to what the quantity can be.
    estimator_low, estimator_high : float
        Means over replicas of the ends of the estimator's own interval, which is apart from the spread over replicas; equal
        to the mean where the value is exact.
    """

    run: str
    quantity: Compared
    layer: str
    mean: Estimate
    estimator_low: float
    estimator_high: float

    def to_record(self, units: Units = "bits") -> dict[str, str | float]:
        """A row of a table; the column "unit" is `units`, or 1 for a number."""
        shown = self.mean.shown_in(units)
        scale = conversion(self.mean.unit, shown.unit)
        return {
            "run": self.run,
            "quantity": self.quantity.value,
            "layer": self.layer,
            "unit": shown.unit.value,
            "mean": shown.value,
            "low_95%": shown.low,
            "high_95%": shown.high,
            "estimator_low": scale * self.estimator_low,
            "estimator_high": scale * self.estimator_high,
            "replicas": self.mean.n,
        }


@dataclass(frozen=True, eq=False)
class ComparedRun(Result):
    """One run with its plane.

    Attributes
    ----------
    plane : InformationPlane
    n_train : int or None
        Training patterns m; None of a recording, which does not tell.
    gap : array, shape (R, S)
        Accuracy on the training patterns less that on the test patterns; NaN where one of them is not known.
    bound : Estimates, shape (R, S), or None
        :func:`input_compression_bound` of the last hidden layer's I(X;T), and of the ends of its interval; None without m.
    last_hidden : int
        Index of that layer in the plane.
    output : int or None
        Index of the outputs in the plane; None where they are no layer of it, as of a noisy network.
    """

    plane: InformationPlane
    n_train: int | None
    gap: Float[np.ndarray, "R S"]
    bound: Estimates | None
    last_hidden: int
    output: int | None

    def final(self, label: str) -> tuple[FinalValue, ...]:
        """Every quantity that is known at the last snapshot."""
        plane, shown = self.plane, [k for k in (self.last_hidden, self.output) if k is not None]
        found = [
            _final(label, quantity, plane.layers[k], of_plane[:, -1, k], 0.0, most)
            for quantity, of_plane, most in (
                (Compared.RATE, plane.rate, plane.entropy_x),
                (Compared.RELEVANCE, plane.relevance, plane.information_xy),
            )
            for k in shown
        ]
        for quantity, of_run, least in ((Compared.ACCURACY, plane.accuracy, 0.0), (Compared.GAP, self.gap, -1.0)):
            values = of_run[:, -1]
            if np.isfinite(values).all():
                exact = Estimates(values, values, values, Kind.EXACT, Unit.ONE)
                found.append(_final(label, quantity, "", exact, least, 1.0))
        if self.bound is not None:
            found.append(_final(label, Compared.BOUND, plane.layers[self.last_hidden], self.bound[:, -1], 0.0, np.inf))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class RunComparison(Result):
    """Runs with their planes.

    Attributes
    ----------
    runs : dict of str to ComparedRun
        By label.

    Examples
    --------
    >>> comparison = compare_runs({"mine": recorded}, {"mine": plane})
    >>> comparison.runs["mine"].last_hidden, comparison.runs["mine"].n_train
    (0, None)
    """

    runs: dict[str, ComparedRun]

    @property
    def planes(self) -> dict[str, InformationPlane]:
        """The planes by label."""
        return {label: run.plane for label, run in self.runs.items()}

    def final(self) -> tuple[FinalValue, ...]:
        """Every quantity of every run at its last snapshot."""
        return tuple(value for label, run in self.runs.items() for value in run.final(label))

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a value of :meth:`final`."""
        import pandas as pd

        rows = []
        for value in self.final():
            run = self.runs[value.run]
            rows.append({**value.to_record(units), "epoch": int(run.plane.epochs[-1]), "n_train": run.n_train})
        return pd.DataFrame(rows)


def compare_runs(runs: Mapping[str, Recording], planes: Mapping[str, InformationPlane]) -> RunComparison:
    """Gather what runs, or recordings of other trainings, are compared by.

    Parameters
    ----------
    runs, planes : mapping of str to Recording and to InformationPlane
        Under the same labels; each plane of its run.

    Returns
    -------
    RunComparison

    Raises
    ------
    ValueError
        If the labels are not the same, there are none, or a plane is of another run.

    Examples
    --------
    >>> comparison = compare_runs({"mine": recorded}, {"mine": plane})
    >>> list(comparison.runs)
    ['mine']
    """
    if not runs or set(runs) != set(planes):
        raise ValueError(f"runs and planes must have the same labels, got {sorted(runs)} and {sorted(planes)}")
    return RunComparison({label: _compared(label, run, planes[label]) for label, run in runs.items()})


def over_replicas(values: ArrayLike, unit: Unit, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """The mean over replicas with Student's interval, cut to what a value can be; that of one replica is all of that.

    Where all n replicas have one value, as in saturated layers, the interval is that value: of others, up to a share
    1 - 0.05^{1/n} of all, it says nothing, and a warning does.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1:
        alone = Estimate(float(array[0]), -np.inf, np.inf, Kind.STATISTICAL, unit, statistics.LEVEL, 1, "mean")
        found = alone.with_warnings("one replica says nothing of the spread over replicas")
    else:
        found = statistics.mean(array, unit)
        if np.ptp(array) <= statistics.EQUAL * np.abs(array).max():
            unseen = 1 - (1 - statistics.LEVEL) ** (1 / array.size)
            found = found.with_warnings(
                f"all {array.size} replicas have one value; up to {unseen:.0%} of others may not"
            )
    low, high = min(found.value, max(least, found.low)), max(found.value, min(most, found.high))
    return replace(found, low=low, high=high)


def twins(runs: Mapping[str, Recording]) -> list[tuple[str, str]]:
    """Labels (noisy, deterministic) of the runs that differ in the noise alone; recordings do not tell how they were trained.

    Task, starts, splits and training are the same; how long, how many replicas and which snapshots may differ.

    Examples
    --------
    >>> import deepnets
    >>> twins({"mine": recorded})  # recordings do not tell how they were trained
    []
    """
    from deepnets.recordings.run import Run

    def protocol(run: Run) -> dict[str, object]:
        return {k: v for k, v in run.settings.items() if k not in ("network", "replicas", "epochs", "snapshots")}

    trained_here = {label: run for label, run in runs.items() if isinstance(run, Run)}
    return [
        (noisy, twin)
        for noisy, a in trained_here.items()
        for twin, b in trained_here.items()
        if a.network.noise_std > 0 and replace(a.network, noise_std=0.0) == b.network and protocol(a) == protocol(b)
    ]


def _compared(label: str, run: Recording, plane: InformationPlane) -> ComparedRun:
    source, shape = Source.of(run), (len(run.epochs), run.n_replicas)
    if plane.layers != source.layers or not set(plane.epochs) <= set(run.epochs.tolist()):
        raise ValueError(f"the plane of {label!r} is of another run: layers {plane.layers}, not {source.layers}")
    rows = np.searchsorted(run.epochs, plane.epochs)
    train, test = (run.scores.get(f"{part}_accuracy", np.full(shape, np.nan)) for part in ("train", "test"))
    hidden, patterns = source.hidden_layers, getattr(run, "train_patterns", None)
    last_hidden = max(hidden - 1, 0)
    n_train = None if patterns is None else int(patterns.shape[1])
    output = len(plane.layers) - 1 if 0 < hidden < len(plane.layers) else None
    bound = None if n_train is None else _bound(plane.rate[:, :, last_hidden], n_train)
    return ComparedRun(plane, n_train, (train - test)[rows][:, plane.replicas].T, bound, last_hidden, output)


def _bound(rate: Estimates, n_train: int) -> Estimates:
    value, low, high = (input_compression_bound(v.clip(min=0), n_train) for v in (rate.value, rate.low, rate.high))
    method = f"input-compression bound of {rate.method}"
    return Estimates(value, low, high, rate.kind, Unit.ONE, rate.level, rate.n, method)


def _final(label: str, quantity: Compared, layer: str, values: Estimates, least: float, most: float) -> FinalValue:
    mean = over_replicas(values.value, values.unit, least, most)
    return FinalValue(label, quantity, layer, mean, float(values.low.mean()), float(values.high.mean()))
