"""The information plane of trained networks: estimates for every replica, snapshot and layer, in one object.

Computing and drawing are apart: this module gathers estimates, :mod:`deepnets.plotting` draws them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from deepnets.estimators import Binning, ConditionalPlugin, SmoothedPlugin
from dualib.core.files import plain, write_npz
from dualib.core.progress import progress_bar
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.measures import entropy

if TYPE_CHECKING:
    import pandas as pd

    from deepnets.estimators import LayerInformation
    from deepnets.networks import Network
    from deepnets.runs import Run

Quantity = Literal["input", "label"]

_ARRAYS = ("epochs", "replicas", "input", "input_low", "input_high", "label", "label_low", "label_high", "accuracy")


class Estimator(Protocol):
    """What :func:`information_plane` needs of an estimator."""

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation: ...


@dataclass(frozen=True)
class RangeBinning:
    """Binning between the least and the largest activation of the hidden layers over a replica's whole run, for units
    that do not saturate ([saxe2018]_). The softmax outputs keep the edges of :class:`deepnets.Binning`;
    outputs trained by squared error have those of their own range.

    Parameters
    ----------
    bins : number of edges.
    """

    bins: int = 30


@dataclass(frozen=True, eq=False)
class InformationPlane:
    """I(X;T) and I(T;Y) of every layer, at every snapshot, of every replica. Nats.

    Attributes
    ----------
    epochs : array, shape (S,), of the snapshots.
    replicas : array, shape (R,): which replicas of the run.
    input, label : arrays, shape (R, S, L): estimates of I(X;T) and I(T;Y).
    input_low, input_high, label_low, label_high : their intervals, same shape.
    accuracy : array, shape (R, S): on the replica's test patterns (on its training patterns where all are trained on).
    layers : names of the L layers.
    entropy_x, information_xy : H(X) and I(X;Y) of the task: I(X;T) ≤ H(X) and I(T;Y) ≤ I(X;Y).
    method : of the estimates.
    warnings : what the estimators warned of, numbers replaced by # → how often.
    settings : of the run and of the estimator.
    """

    epochs: np.ndarray
    replicas: np.ndarray
    input: FloatArray
    input_low: FloatArray
    input_high: FloatArray
    label: FloatArray
    label_low: FloatArray
    label_high: FloatArray
    accuracy: FloatArray
    layers: tuple[str, ...]
    entropy_x: float
    information_xy: float
    method: str
    warnings: dict[str, int]
    settings: dict[str, Any]

    def quantiles(self, of: Quantity, q: Sequence[float] = (0.25, 0.5, 0.75)) -> FloatArray:
        """Quantiles over replicas, shape (len(q), S, L), nats."""
        return np.quantile(getattr(self, of), q, axis=0)

    def at(self, epoch: float) -> int:
        """The index of the snapshot nearest to `epoch` on a logarithmic scale."""
        return int(np.abs(np.log1p(self.epochs) - np.log1p(epoch)).argmin())

    def processing_violations(self, tolerance: float = 1e-9) -> FloatArray:
        """Share of (replica, snapshot) pairs, for each pair of neighbouring layers, at which an estimate of I(X;T) or
        I(T;Y) rises from a layer to the next by more than `tolerance`, which no information does: shape (L - 1,).
        """
        rises = (np.diff(self.input, axis=2) > tolerance) | (np.diff(self.label, axis=2) > tolerance)
        return rises.mean(axis=(0, 1))

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a replica, snapshot and layer."""
        import pandas as pd

        shape = self.input.shape
        index = np.indices(shape).reshape(3, -1)
        data: dict[str, Any] = {
            "replica": self.replicas[index[0]],
            "epoch": self.epochs[index[1]],
            "layer": np.asarray(self.layers)[index[2]],
            "accuracy": np.broadcast_to(self.accuracy[:, :, None], shape).ravel(),
        }
        for name, symbol in (("input", "i_xt"), ("label", "i_ty")):
            for part in ("", "_low", "_high"):
                data[f"{symbol}{part}_{units}"] = to_units(getattr(self, name + part).ravel(), units)
        return pd.DataFrame(data)

    def summary(self, units: Units = "bits", epochs: Sequence[float] | None = None) -> pd.DataFrame:
        """Quartiles over replicas at a few snapshots: one row an epoch and layer."""
        import pandas as pd

        wanted = self._summary_epochs() if epochs is None else epochs
        rows = []
        for index in dict.fromkeys(self.at(e) for e in wanted):
            for j, layer in enumerate(self.layers):
                row: dict[str, Any] = {"epoch": int(self.epochs[index]), "layer": layer}
                for name, symbol in (("input", "i_xt"), ("label", "i_ty")):
                    low, mid, high = to_units(self.quantiles(name)[:, index, j], units)  # type: ignore[arg-type]
                    row |= {f"{symbol}_q25_{units}": low, f"{symbol}_{units}": mid, f"{symbol}_q75_{units}": high}
                rows.append({**row, "accuracy": float(np.median(self.accuracy[:, index]))})
        return pd.DataFrame(rows)

    def _summary_epochs(self) -> list[float]:
        last = float(self.epochs[-1])
        return [0.0, *(e for e in (32.0, 400.0) if e < last), last]

    def save(self, path: str | PathLike[str]) -> None:
        """Write an .npz file (arrays, and the rest as JSON inside), atomically."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ARRAYS}
        record = np.array(json.dumps(plain(rest)))
        write_npz(path, {**{name: getattr(self, name) for name in _ARRAYS}, "record": record})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> InformationPlane:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            if "record" not in file.files:
                raise ValueError(f"{path} is not an information plane: it has no entry 'record'")
            rest = json.loads(str(file["record"]))
            rest["layers"] = tuple(rest["layers"])
            return cls(**{name: file[name] for name in _ARRAYS}, **rest)


def information_plane(
    run: Run,
    estimator: Estimator | RangeBinning | None = None,
    *,
    replicas: Sequence[int] | np.ndarray | None = None,
    snapshots: Sequence[int] | np.ndarray | None = None,
    passes: int = 8,
    seed: int = 0,
    progress: bool | None = None,
) -> InformationPlane:
    """Estimate I(X;T) and I(T;Y) of every layer, at every snapshot, for every replica of a run.

    Parameters
    ----------
    run : trained replicas.
    estimator : by default, for a deterministic network Binning(30) where its units saturate at ±1, else RangeBinning(30);
        for a noisy one SmoothedPlugin of its σ. A noisy network's first layer is estimated with the estimator, deeper
        ones with ConditionalPlugin; binning is of one noisy pass. Deterministic networks have the softmax outputs as
        their last layer, those trained by squared error the outputs, binned by their range over the replica's run.
    replicas : which; by default all whose training stayed finite.
    snapshots : indices into ``run.epochs``; by default all.
    passes : noisy passes from every pattern, at least 2, for the deeper layers of a noisy network.
    seed : of noise and Monte Carlo.
    progress : show a bar; by default only on a terminal.

    Returns
    -------
    InformationPlane

    Raises
    ------
    ValueError: a replica or snapshot that is not there, an estimator of added noise for a network without, or passes < 2.
    """
    task, network = run.task, run.network
    chosen = np.flatnonzero(run.failed < 0) if replicas is None else np.asarray(replicas, dtype=int)
    times = np.arange(len(run.epochs)) if snapshots is None else np.asarray(snapshots, dtype=int)
    for name, index, size in (("replica", chosen, run.n_replicas), ("snapshot", times, len(run.epochs))):
        if index.size == 0 or index.min() < -size or index.max() >= size:
            raise ValueError(f"{name}s {index.tolist()} are not all among the {size} of the run (or there are none)")
    chosen, times = chosen % run.n_replicas, times % len(run.epochs)
    estimate = _layer_estimates(run, _default(network) if estimator is None else estimator, passes, times)
    names = network.layer_names if network.noise_std == 0 else network.layer_names[:-1]
    values = np.empty((6, len(chosen), len(times), len(names)))
    warned: Counter[str] = Counter()
    method = ""
    with progress_bar(len(chosen) * len(times), "information plane", progress) as done:
        for i, replica in enumerate(chosen):
            for j, snapshot in enumerate(times):
                found = estimate(int(snapshot), int(replica), seed + int(replica) * len(run.epochs) + int(snapshot))
                for k, layer in enumerate(found):
                    sides = (layer.input, layer.label)
                    values[:, i, j, k] = [v for e in sides for v in (e.value, e.low, e.high)]
                    warned.update(_without_numbers(text) for e in sides for text in e.warnings)
                method = "; ".join(dict.fromkeys(layer.input.method for layer in found))
                done(1)
    return InformationPlane(
        epochs=run.epochs[times],
        replicas=chosen,
        **dict(zip(_ARRAYS[2:8], values, strict=True)),
        accuracy=run.accuracy[times][:, chosen].T,
        layers=names,
        entropy_x=float(entropy(task.p_x)),
        information_xy=task.joint.mutual_information(),
        method=method,
        warnings=dict(warned),
        settings={"run": run.settings, "estimator": repr(estimator), "passes": passes, "seed": seed},
    )


def _without_numbers(text: str) -> str:
    """A warning with every number replaced, so that equal warnings are counted together."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", text)


def _default(network: Network) -> Estimator | RangeBinning:
    if network.noise_std > 0:
        return SmoothedPlugin(network.noise_std)
    return Binning() if network.activation in ("tanh", "erf") else RangeBinning()


def _layer_estimates(
    run: Run, estimator: Estimator | RangeBinning, passes: int, times: np.ndarray
) -> Callable[[int, int, int], list[LayerInformation]]:
    """(snapshot, replica, seed) → the estimates of every layer."""
    rows, p_x, sigma = run.task.p_y_given_x, run.task.p_x, run.network.noise_std
    if isinstance(estimator, Binning | RangeBinning):
        edges: dict[int, Binning] = {}
        output_edges: dict[int, Binning] = {}

        def of_outputs(replica: int) -> Binning:
            """The cells of the outputs: given, but by their range over the run where no softmax bounds them."""
            if run.loss == "cross-entropy":
                return estimator if isinstance(estimator, Binning) else Binning(estimator.bins)
            if replica not in output_edges:
                whole = [run.activations(int(s), replica)[-1] for s in times]
                output_edges[replica] = Binning.from_range(*whole, bins=estimator.bins)
            return output_edges[replica]

        def binned(snapshot: int, replica: int, seed: int) -> list[LayerInformation]:
            layers = run.activations(snapshot, replica, seed if sigma else None)
            if sigma:
                layers.pop()
            hidden = estimator
            if isinstance(estimator, RangeBinning):
                if replica not in edges:
                    whole = [t for s in times for t in run.activations(int(s), replica)[:-1]]
                    edges[replica] = Binning.from_range(*whole, bins=estimator.bins)
                hidden = edges[replica]
            last = len(run.network.widths) - 2
            return [
                (hidden if k < last else of_outputs(replica)).layer(t, rows, p_x)  # type: ignore[union-attr]
                for k, t in enumerate(layers)
            ]

        return binned
    if not sigma:
        raise ValueError(
            f"{estimator!r} is for noisy networks: without noise I(X;T) is H(X) or infinite. Use Binning, or train a network "
            "with noise_std > 0"
        )
    if passes < 2:
        raise ValueError(f"passes must be at least 2, got {passes}")
    deeper = ConditionalPlugin(sigma)

    def noisy(snapshot: int, replica: int, seed: int) -> list[LayerInformation]:
        first = run.activations(snapshot, replica)[0]
        centres = run.passes(snapshot, replica, passes, seed)[1:]
        return [
            estimator.layer(first, rows, p_x, seed=seed),
            *(deeper.layer(c, rows, p_x, seed=seed + k) for k, c in enumerate(centres, 1)),
        ]

    return noisy
