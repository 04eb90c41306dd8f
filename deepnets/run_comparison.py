r"""Several trained runs beside one another: where they end, how they generalise, how their layers cluster.

Nothing is drawn here: :mod:`deepnets.plotting_runs` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from deepnets.estimators import Binning
from deepnets.estimators.clustering import clustering
from deepnets.runs import Run
from deepnets.trajectory import InformationPlane
from dualib.core.progress import progress_bar
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES = 2000


def input_compression_bound(information: ArrayLike, n_train: int, units: Units = "nats") -> FloatArray:
    r"""The input-compression bound on the generalisation gap, at T's typical cells in place of a hypothesis class.

    .. math:: \varepsilon = \sqrt{\frac{2^{I(X;T)}}{2m}}, \qquad I(X;T)\ \text{in bits}

    A heuristic, no theorem for a trained T, which has seen the sample; :func:`ntkinfo.bounds.input_compression` has the
    confidence term log(1/δ) that is left out here. **Vacuous** at 1 or more, where I(X;T) ≥ log2(2m) bits: an accuracy gap
    is at most 1 whatever the network. With an estimate of I(X;T), it is an estimate of a bound.

    Parameters
    ----------
    information : I(X;T), any shape.
    n_train : m ≥ 1, training patterns.
    units : of `information`: "nats" or "bits".

    Raises
    ------
    ValueError: an information that is negative or NaN, m that is not a whole number of at least 1, or other units.

    References
    ----------
    [shwartzziv2017]_, [shwartzziv2019b]_ theorem 1

    Examples
    --------
    >>> float(input_compression_bound(3.0, 16, units="bits"))
    0.5
    """
    if units not in ("nats", "bits"):
        raise ValueError(f"unknown units {units!r}: choose nats or bits")
    if int(n_train) != n_train or n_train < 1:
        raise ValueError(f"n_train must be a whole number of at least 1, got {n_train!r}")
    values = np.asarray(information, dtype=np.float64)
    if not (values >= 0).all():
        raise ValueError(
            f"{np.count_nonzero(~(values >= 0))} informations are negative or NaN: they must be at least 0"
        )
    half = values / 2 if units == "nats" else values * (np.log(2) / 2)
    with np.errstate(over="ignore"):
        return np.exp(half) / np.sqrt(2.0 * n_train)  # the root first: it overflows later


@dataclass(frozen=True)
class FinalValue:
    """One quantity of one run at its last snapshot, with a 95 % interval over its replicas.

    Attributes
    ----------
    run : label of the run.
    quantity : "i_xt", "i_ty", "accuracy", "accuracy_gap" or "bound".
    layer : which layer's, or "" for a quantity of the network.
    is_information : whether it is in nats; else it is a number between 0 and 1 (the bound may exceed 1).
    mean, low, high : mean over replicas, with its percentile bootstrap interval: NaN for one replica, too narrow for few.
    estimator_low, estimator_high : means over replicas of the ends of the estimator's own interval, which is apart from the
        spread over replicas: equal to the mean where the value is exact.
    replicas : how many.
    """

    run: str
    quantity: str
    layer: str
    is_information: bool
    mean: float
    low: float
    high: float
    estimator_low: float
    estimator_high: float
    replicas: int


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Runs with their planes.

    Attributes
    ----------
    planes : label → plane.
    n_train : label → training patterns m.
    gap : label → accuracy on the training patterns less that on the test patterns, (R, S) as the plane's arrays; NaN where
        there are no test patterns.
    bound : label → :func:`input_compression_bound` of the last hidden layer's I(X;T), (R, S).
    bound_range : label → that of the ends of the estimator's interval, (2, R, S).
    last_hidden : label → index of that layer in the plane.
    output : label → index of the outputs in the plane, or None: a noisy network's outputs are no layer of its plane.
    seed : of the bootstrap.
    """

    planes: dict[str, InformationPlane]
    n_train: dict[str, int]
    gap: dict[str, FloatArray]
    bound: dict[str, FloatArray]
    bound_range: dict[str, FloatArray]
    last_hidden: dict[str, int]
    output: dict[str, int | None]
    seed: int

    def final(self) -> tuple[FinalValue, ...]:
        """Every quantity at the last snapshots."""
        found = []
        for label, plane in self.planes.items():
            layers = [k for k in (self.last_hidden[label], self.output[label]) if k is not None]
            rows: list[tuple[str, str, bool, FloatArray, FloatArray, FloatArray]] = [
                (name, plane.layers[k], True, *(values[:, -1, k] for values in arrays))  # type: ignore[misc]
                for name, arrays in (
                    ("i_xt", (plane.input, plane.input_low, plane.input_high)),
                    ("i_ty", (plane.label, plane.label_low, plane.label_high)),
                )
                for k in layers
            ]
            for name, values in (("accuracy", plane.accuracy), ("accuracy_gap", self.gap[label])):
                rows.append((name, "", False, values[:, -1], values[:, -1], values[:, -1]))
            bounds = (self.bound[label], *self.bound_range[label])
            rows.append(("bound", plane.layers[layers[0]], False, *(b[:, -1] for b in bounds)))
            for name, layer, nats, values, low, high in rows:
                ends = (float(low.mean()), float(high.mean()))
                found.append(
                    FinalValue(label, name, layer, nats, *mean_interval(values, self.seed), *ends, len(values))
                )
        return tuple(found)

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a value of :meth:`final`; the column "unit" is `units`, or 1 for a number."""
        import pandas as pd

        rows = []
        for v in self.final():
            values = np.array([v.mean, v.low, v.high, v.estimator_low, v.estimator_high])
            mean, low, high, least, most = to_units(values, units) if v.is_information else values
            plane = self.planes[v.run]
            rows.append(
                {
                    "run": v.run,
                    "quantity": v.quantity,
                    "layer": v.layer,
                    "unit": units if v.is_information else "1",
                    "mean": mean,
                    "low_95%": low,
                    "high_95%": high,
                    "estimator_low": least,
                    "estimator_high": most,
                    "replicas": v.replicas,
                    "epoch": int(plane.epochs[-1]),
                    "n_train": self.n_train[v.run],
                }
            )
        return pd.DataFrame(rows)


def compare_runs(runs: Mapping[str, Run], planes: Mapping[str, InformationPlane], seed: int = 0) -> RunComparison:
    """Gather what runs are compared by.

    Parameters
    ----------
    runs : label → run.
    planes : label → its plane; the labels of `runs`.
    seed : of the bootstrap.

    Raises
    ------
    ValueError: no runs, other labels in one than in the other, or a plane of another run (its label is named).
    """
    if not runs or set(runs) != set(planes):
        raise ValueError(f"runs and planes must have the same labels, got {sorted(runs)} and {sorted(planes)}")
    n_train, gap, bound, bound_range, last_hidden, output = {}, {}, {}, {}, {}, {}
    for label, run in runs.items():
        plane = planes[label]
        names = run.network.layer_names
        if plane.layers not in (names, names[:-1]) or not set(plane.epochs) <= set(run.epochs.tolist()):
            raise ValueError(f"the plane of {label!r} is of another run: layers {plane.layers}, not {names}")
        rows = np.searchsorted(run.epochs, plane.epochs)
        scores = run.scores["train_accuracy"] - run.scores["test_accuracy"]
        n_train[label] = int(run.train_patterns.shape[1])
        gap[label] = scores[rows][:, plane.replicas].T
        last_hidden[label] = max(len(names) - 2, 0)
        output[label] = len(names) - 1 if len(plane.layers) == len(names) > 1 else None
        middle, low, high = (
            input_compression_bound(values[:, :, last_hidden[label]].clip(min=0), n_train[label])
            for values in (plane.input, plane.input_low, plane.input_high)
        )
        bound[label], bound_range[label] = middle, np.stack([low, high])
    of_all = (n_train, gap, bound, bound_range, last_hidden, output)
    return RunComparison({label: planes[label] for label in runs}, *of_all, seed)


def mean_interval(values: ArrayLike, seed: int = 0) -> tuple[float, float, float]:
    """The mean over replicas with its 95 % percentile bootstrap interval: (mean, low, high); NaN bounds for one replica.

    With few replicas it is too narrow: the resampled means' variance is (n-1)/n of the unbiased one, and no t quantile makes
    up for an unknown variance.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"values must have shape (R,) with R ≥ 1, got {array.shape}")
    if array.size == 1 or not np.isfinite(array).all():
        return float(array.mean()), float("nan"), float("nan")
    chosen = np.random.default_rng(seed).integers(array.size, size=(_RESAMPLES, array.size))
    low, high = np.quantile(array[chosen].mean(axis=1), [0.025, 0.975])
    return float(array.mean()), float(low), float(high)


def twins(runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    """Labels (noisy, deterministic) of the runs that differ in the noise alone: same task, starts, splits and training, but
    for how long, how many replicas and which snapshots.
    """

    def protocol(run: Run) -> dict[str, Any]:
        return {k: v for k, v in run.settings.items() if k not in ("network", "replicas", "epochs", "snapshots")}

    return [
        (noisy, twin)
        for noisy, a in runs.items()
        for twin, b in runs.items()
        if a.network.noise_std > 0 and replace(a.network, noise_std=0.0) == b.network and protocol(a) == protocol(b)
    ]


@dataclass(frozen=True, eq=False)
class ClusteringPath:
    """How the hidden layers of one run cluster as training goes. Arrays (R, S, L).

    Attributes
    ----------
    epochs, replicas : arrays, shapes (S,) and (R,).
    layers : names of the L hidden layers.
    binned_entropy : H(Bin(T)), nats; T with its noise, if there is any.
    within, between : mean distance of two patterns of equal, and of different, label, in units of the activations.
    edges : how many edges the cells have, and from where to where: (count, low, high).
    """

    epochs: np.ndarray
    replicas: np.ndarray
    layers: tuple[str, ...]
    binned_entropy: FloatArray
    within: FloatArray
    between: FloatArray
    edges: tuple[int, float, float]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a replica, snapshot and layer."""
        import pandas as pd

        r, s, j = np.indices(self.within.shape).reshape(3, -1)
        place: dict[str, Any] = {
            "replica": self.replicas[r],
            "epoch": self.epochs[s],
            "layer": np.asarray(self.layers)[j],
        }
        distances = {"within_distance": self.within.ravel(), "between_distance": self.between.ravel()}
        return pd.DataFrame(
            {**place, f"binned_entropy_{units}": to_units(self.binned_entropy.ravel(), units), **distances}
        )


def clustering_paths(
    runs: Sequence[Run],
    *,
    replicas: Sequence[int] | np.ndarray,
    epochs: Sequence[int] | np.ndarray,
    bins: int = 30,
    seed: int = 0,
    progress: bool | None = None,
) -> list[ClusteringPath]:
    """Clustering measures of runs that are to be compared: the same replicas, nearest epochs and cells in all.

    Parameters
    ----------
    runs : such as a noisy network and its deterministic twin, of as many hidden layers.
    replicas, epochs : at which; each run at its snapshots nearest to those epochs.
    bins : edges between the least and the largest hidden activation of all the runs there.
    seed : of the noise.
    progress : show a bar; by default only on a terminal.

    Raises
    ------
    ValueError: no runs, replicas or epochs, a replica that is not in all runs, or no hidden layers.
    """
    chosen = np.asarray(replicas, dtype=int)
    if not runs or chosen.size == 0 or len(epochs) == 0:
        raise ValueError("give at least one run, replica and epoch")
    if chosen.min() < 0 or chosen.max() >= min(run.n_replicas for run in runs):
        raise ValueError(f"replicas {chosen.tolist()} are not all in every run")
    if any(len(run.network.widths) < 3 for run in runs):
        raise ValueError("a network without hidden layers has nothing that clusters")
    times = [np.unique([np.abs(run.epochs - e).argmin() for e in epochs]) for run in runs]

    def hidden(run: Run, snapshot: int, replica: int) -> list[np.ndarray]:
        noise = seed + replica * len(run.epochs) + snapshot if run.network.noise_std else None
        return run.activations(snapshot, replica, noise)[:-1]

    ends = [
        (float(t.min()), float(t.max()))
        for run, at in zip(runs, times, strict=True)
        for r in chosen
        for s in at
        for t in hidden(run, int(s), int(r))
    ]
    binning = Binning(bins, min(low for low, _ in ends), max(high for _, high in ends))
    paths = []
    with progress_bar(len(chosen) * sum(map(len, times)), "clustering", progress) as done:
        for run, at in zip(runs, times, strict=True):
            names = run.network.layer_names[:-1]
            values = np.empty((3, len(chosen), len(at), len(names)))
            for i, r in enumerate(chosen):
                for j, s in enumerate(at):
                    for k, t in enumerate(hidden(run, int(s), int(r))):
                        found = clustering(t, run.task.p_y_given_x, run.task.p_x, binning)
                        values[:, i, j, k] = found.binned_entropy, found.within_mean, found.between_mean
                    done(1)
            cells = (bins, binning.low, binning.high)
            paths.append(ClusteringPath(run.epochs[at], chosen, names, values[0], values[1], values[2], cells))
    return paths
