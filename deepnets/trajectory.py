"""The information plane of trained networks: estimates for every replica, snapshot and layer, in one object.

Computing and drawing are apart: this module only gathers estimates; :mod:`deepnets.plotting` draws them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from dualib import _io
from dualib.measures import FloatArray, Units, to_units

if TYPE_CHECKING:
    import pandas as pd

    from deepnets.estimators import LayerInformation

Quantity = Literal["input", "label"]

_ARRAYS = ("epochs", "replicas", "input", "input_low", "input_high", "label", "label_low", "label_high", "accuracy")


class Estimator(Protocol):
    """What :func:`information_plane` needs of an estimator."""

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation: ...


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
    warnings : what the estimator warned of → how many of the R·S·L estimates.
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
        record = np.array(json.dumps(_io._plain(rest)))
        _io.write_npz(path, {**{name: getattr(self, name) for name in _ARRAYS}, "record": record})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> InformationPlane:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            if "record" not in file.files:
                raise ValueError(f"{path} is not an information plane: it has no entry 'record'")
            rest = json.loads(str(file["record"]))
            rest["layers"] = tuple(rest["layers"])
            return cls(**{name: file[name] for name in _ARRAYS}, **rest)
