"""Relaxations of one run beside one another: differences to their start and to continued training, paired by replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deepnets.planes.estimate import Estimator, NoiseEstimator, information_plane
from deepnets.relaxation.methods import ContinueTraining, label
from deepnets.relaxation.relaxed import Relaxation
from dualib.core import statistics
from dualib.core.arrays import whole
from dualib.core.estimate import Estimate
from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import Unit, Units

if TYPE_CHECKING:
    import pandas as pd

BINNED = "binned"
WINDOW = 5.0  # of the autocorrelation's sum, in units of its value


@dataclass(frozen=True)
class Difference(Result):
    """One number of one method at one cost.

    Attributes
    ----------
    method, quantity : str
    cost : float
        In forward passes of the training patterns.
    to_start : Estimate
        The mean over replicas of its change since the start, Student's interval.
    to_continued : Estimate or None
        The mean over replicas of its difference to continued training at the same share of the budget; None without that.
    """

    method: str
    quantity: str
    cost: float
    to_start: Estimate
    to_continued: Estimate | None


@dataclass(frozen=True)
class Reach(Result):
    """How soon a method has the test loss at which continued training ends.

    Attributes
    ----------
    method : str
    share : Estimate
        The share of replicas that have it within their budget, with Clopper and Pearson's interval.
    median_cost : float
        Of all replicas, those that never have it counted as later than the budget: inf where that is half of them.
    budget : float
        What was spent.
    """

    method: str
    share: Estimate
    median_cost: float
    budget: float


@dataclass(frozen=True, eq=False)
class RelaxationComparison(Result):
    """What :func:`compare_relaxations` found; see :class:`Difference` and :class:`Reach`.

    Examples
    --------
    >>> comparison = compare_relaxations([relaxed, continued])  # doctest: +SKIP
    >>> comparison.of("test loss", "Langevin")  # doctest: +SKIP
    """

    differences: tuple[Difference, ...]
    reaches: tuple[Reach, ...]
    curves: dict[str, dict[str, FloatArray]] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """Labels, in order."""
        return tuple(dict.fromkeys(d.method for d in self.differences))

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(d.quantity for d in self.differences))

    def of(self, quantity: str, method: str) -> list[Difference]:
        """The differences of one quantity under one method, by cost."""
        return [d for d in self.differences if (d.quantity, d.method) == (quantity, method)]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a method, cost and quantity; informations and cross-entropies in `units`, the unit in a column."""
        import pandas as pd

        rows = []
        for d in self.differences:
            start = d.to_start.shown_in(units)
            row = {"method": d.method, "cost": d.cost, "quantity": d.quantity, "unit": str(start.unit)}
            row |= {"to_start": start.value, "low": start.low, "high": start.high}
            if d.to_continued is not None:
                beside = d.to_continued.shown_in(units)
                row |= {"to_continued": beside.value, "continued_low": beside.low, "continued_high": beside.high}
            rows.append(row)
        return pd.DataFrame(rows)

    def describe(self, units: Units = "bits") -> str:
        """Losses, accuracy and norm where the budget ends, and when continued training's last test loss is reached."""
        frame = self.to_frame(units)
        last = frame[frame["cost"] == frame.groupby("method")["cost"].transform("max")]
        shown = last[~last["quantity"].str.startswith(("I(", "train accuracy"))].drop(columns="cost")
        lines = [
            _table(shown),
            "means over replicas at the end of the budget, Student's 95 % intervals, paired by replica",
        ]
        if self.reaches:
            lines += [
                _table(self.reach_frame()),
                "share of replicas with the test loss that continued training ends with, and its cost",
            ]
        return "\n".join(lines)

    def reach_frame(self) -> pd.DataFrame:
        """One row a method: the share of replicas with continued training's final test loss, and the cost of it."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "method": r.method,
                    "share_reached": r.share.value,
                    "low": r.share.low,
                    "high": r.share.high,
                    "median_cost": r.median_cost,
                    "budget": r.budget,
                }
                for r in self.reaches
            ]
        )


def compare_relaxations(
    relaxations: Sequence[Relaxation] | Mapping[str, Relaxation],
    estimators: Mapping[str, Estimator | None] | None = None,
    *,
    seed: int = 0,
    progress: bool | None = None,
) -> RelaxationComparison:
    """Set relaxations of the same replicas beside one another.

    Of every record: loss and accuracy on training and test patterns, the norm of the parameters, and I(X;T) and I(T;Y) of the
    layers under each estimator. The baseline is the first :class:`ContinueTraining` without changes among them.

    Parameters
    ----------
    relaxations : sequence of Relaxation, or dict of them by label
        Of one run from one snapshot, recorded at the same shares of their budgets.
    estimators : dict or None
        Estimators of the information plane by name, None the default one; by default {"binned": None}. An empty one leaves
        the plane out. One of noisy layers, such as ``PairwiseBounds(0.1)``, adds its noise to the layers of a deterministic
        network.
    seed : int
        Seed of the estimators.
    progress : bool or None

    Returns
    -------
    RelaxationComparison

    Raises
    ------
    ValueError
        If the relaxations begin at different parameters, or fewer than two replicas are finite in all of them.

    Examples
    --------
    >>> comparison = compare_relaxations([relaxed, continued])  # doctest: +SKIP
    >>> print(comparison.describe())  # doctest: +SKIP
    """
    named = (
        dict(relaxations) if isinstance(relaxations, Mapping) else {label(r.method): r for r in relaxations if r.method}
    )
    _check(named)
    estimators = {BINNED: None} if estimators is None else estimators
    replicas = _finite(list(named.values()))
    values = {name: _values(r, replicas, estimators, seed, progress) for name, r in named.items()}
    first = next((name for name, r in named.items() if r.method == ContinueTraining()), None)
    base = None if first is None else values[first]
    differences = [
        difference
        for name, r in named.items()
        for quantity, (array, unit) in values[name].items()
        for difference in _differences(name, quantity, r.cost, array, None if base is None else base[quantity][0], unit)
    ]
    reaches = () if first is None else tuple(_reach(name, r, named[first], replicas) for name, r in named.items())
    curves = {
        name: {"cost": r.trace_cost, **{key: trace[replicas].mean(axis=0) for key, trace in r.trace.items()}}
        for name, r in named.items()
    }
    return RelaxationComparison(tuple(differences), reaches, curves)


def _table(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False, float_format=lambda value: f"{value:.4g}")


Values = dict[str, tuple[FloatArray, Unit]]


def _check(named: Mapping[str, Relaxation]) -> None:
    if not named:
        raise ValueError("give at least one relaxation")
    first = next(iter(named.values()))
    for name, r in named.items():
        same = r.n_replicas == first.n_replicas and all(
            np.array_equal(a["w"][0], b["w"][0]) for a, b in zip(r.params, first.params, strict=False)
        )
        if not same or r.network != first.network:
            raise ValueError(
                f"{name} does not begin at the parameters of the others: compare relaxations of one run and snapshot"
            )
        if len(r.cost) != len(first.cost):
            raise ValueError(
                f"{name} has {len(r.cost)} records, the first relaxation {len(first.cost)}: record at the same shares"
            )


def _finite(relaxations: Sequence[Relaxation]) -> np.ndarray:
    finite = np.logical_and.reduce([np.isfinite(r.scores["train_loss"]).all(axis=0) for r in relaxations])
    if finite.sum() < 2:
        raise ValueError(f"differences need at least two replicas that are finite everywhere, got {finite.sum()}")
    return np.flatnonzero(finite)


def _values(
    r: Relaxation, replicas: np.ndarray, estimators: Mapping[str, Estimator | None], seed: int, progress: bool | None
) -> Values:
    """Every quantity at the records: shape (S, replicas) each."""
    in_nats = Unit.NATS if r.loss == "cross-entropy" else Unit.ONE
    found: Values = {
        name.replace("_", " "): (r.scores[name][:, replicas], in_nats if name.endswith("loss") else Unit.ONE)
        for name in r.scores
        if np.isfinite(r.scores[name][:, replicas]).all()
    }
    found["norm of the parameters"] = (np.sqrt((r.norms[:, replicas] ** 2).sum(axis=2)), Unit.ONE)
    for name, estimator in estimators.items():
        layers, rate, relevance = _informations(r, replicas, estimator, seed, progress)
        for i, layer in enumerate(layers):
            found[f"I(X;T) {name}, {layer}"] = (rate[:, :, i].T, Unit.NATS)
            found[f"I(T;Y) {name}, {layer}"] = (relevance[:, :, i].T, Unit.NATS)
    return found


def _informations(
    r: Relaxation, replicas: np.ndarray, estimator: Estimator | None, seed: int, progress: bool | None
) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Layers, I(X;T) and I(T;Y), (replicas, S, L): of the plane, or with an estimator's noise added to layers that have none."""
    if not isinstance(estimator, NoiseEstimator) or r.noise_std > 0:
        plane = information_plane(r, estimator, replicas=replicas, seed=seed, progress=progress)
        return plane.layers, plane.rate.value, plane.relevance.value
    values = np.zeros((2, len(replicas), len(r.epochs), len(r.layers)))
    for i, s in counted(list(np.ndindex(values.shape[1:3])), "noise added", progress):
        for j, t in enumerate(r.activations(s, int(replicas[i]))):
            found = estimator.layer(t, r.task.p_y_given_x, r.task.p_x, seed=seed)
            values[:, i, s, j] = found.rate.value, found.relevance.value
    return r.layers, values[0], values[1]


def _differences(
    name: str, quantity: str, cost: FloatArray, values: FloatArray, base: FloatArray | None, unit: Unit
) -> list[Difference]:
    found = []
    for s in range(1, len(cost)):
        beside = None if base is None else statistics.mean(values[s] - base[s], unit)
        found.append(Difference(name, quantity, float(cost[s]), statistics.mean(values[s] - values[0], unit), beside))
    return found


def _reach(name: str, r: Relaxation, continued: Relaxation, replicas: np.ndarray) -> Reach:
    key = "test_loss" if np.isfinite(continued.trace["test_loss"][replicas]).all() else "train_loss"
    wanted, trace = continued.trace[key][replicas, -1], r.trace[key][replicas]
    below = trace <= wanted[:, None]
    cost = np.where(below.any(axis=1), r.trace_cost[below.argmax(axis=1)], np.inf)
    middle = np.sort(cost)[len(cost) // 2]
    return Reach(name, statistics.share(np.isfinite(cost)), float(middle), float(r.trace_cost[-1]))


def autocorrelation_time(values: ArrayLike) -> FloatArray:
    r"""Integrated autocorrelation time τ = 1 + 2 Σ ρ(s) of each row, in steps between its entries.

    The sum ends at the first s ≥ 5 τ(s), [sokal1997]_. A mean of n entries of a chain at its law has the variance of n/τ independent ones.

    Parameters
    ----------
    values : array, shape (R, n)
        Chains, one row each: a trace of a :class:`Relaxation`, past its start.

    Returns
    -------
    array, shape (R,)
        NaN where a row is constant; inf where no window was long enough, so that the row tells nothing.

    Examples
    --------
    >>> import numpy as np
    >>> autocorrelation_time(np.tile([1.0, -1.0], 50)).round(3)
    array([1.])
    """
    x = np.atleast_2d(np.asarray(values, np.float64))
    whole(x.shape[1], "entries", 4)
    x = x - x.mean(axis=1, keepdims=True)
    n = x.shape[1]
    power = np.abs(np.fft.rfft(x, 2 * n, axis=1)) ** 2
    covariance = np.fft.irfft(power, axis=1)[:, :n]
    found = np.full(len(x), np.nan)
    for r, row in enumerate(covariance):
        if row[0] > 0:
            sums = 2 * np.cumsum(row / row[0]) - 1
            enough = np.flatnonzero(np.arange(n) >= WINDOW * sums)
            found[r] = max(sums[enough[0]], 1.0) if enough.size and enough[0] < n // 2 else np.inf
    return found
