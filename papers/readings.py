"""Numbers read off information planes (arrays over replicas R, snapshots S, layers L), and planes and curves for figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import deepnets
import dualib
from dualib.core.files import write_npz
from papers.planes import BITS


def plane_from(arrays: Mapping[str, Any], prefix: str = "", second: bool = False) -> deepnets.InformationPlane:
    """The plane of a result's arrays, for a figure: the estimates without their intervals."""
    which = "second_" if second else ""
    x, y = (np.asarray(arrays[prefix + which + name]) / BITS for name in ("input", "label"))
    layers = (*(f"hidden {i}" for i in range(1, x.shape[2])), "output")
    epochs, accuracy = arrays[prefix + which + "epochs"], arrays[prefix + "accuracy"]
    if second:
        accuracy = accuracy[: len(x), np.searchsorted(arrays[prefix + "epochs"], epochs)]
    method = "noise of std 0.1 added, smoothed plug-in" if second else "binned activations, 30 edges"
    return deepnets.InformationPlane(
        epochs, np.arange(len(x)), x, x, x, y, y, y, accuracy, layers,
        float(np.log(4096)), deepnets.icosahedral_task().joint.mutual_information(), method, {}, {},
    )  # fmt: skip


def curve_from(arrays: Mapping[str, Any], prefix: str) -> dualib.InformationCurve:
    """The bottleneck curve that :func:`papers.experiments.curve_arrays` took apart."""
    parts = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    with TemporaryDirectory() as folder:
        write_npz(f"{folder}/curve.npz", parts)
        return dualib.InformationCurve.load(f"{folder}/curve.npz")


def compression(values: np.ndarray) -> np.ndarray:
    """How far I(X;T) falls from its largest value over the epochs to the last: (R, S) to (R,)."""
    return values.max(axis=1) - values[:, -1]


def peak_epoch(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The epoch of the largest value of each replica."""
    return epochs[values.argmax(axis=1)]


def half_way_epoch(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The epoch after its peak at which each replica's I(X;T) first has made half of its way from the peak to the end.

    Between snapshots linear in log(1 + epoch).
    """
    found, time = [], np.log1p(epochs)
    for row in values:
        top = int(row.argmax())
        half = (row[top] + row[-1]) / 2
        k = top + int(np.flatnonzero(row[top:] <= half)[0])
        share = 1.0 if k == top else (row[k - 1] - half) / (row[k - 1] - row[k])
        found.append(np.expm1(time[k - 1] + share * (time[k] - time[k - 1])) if k else epochs[0])
    return np.array(found, float)


SLACK = 0.02
"""Bits: a rise from layer to layer by less is within the second estimator's Monte Carlo error."""


def ordered_share(values: np.ndarray) -> np.ndarray:
    """Share of neighbouring layers (and snapshots) along which each replica's bits do not rise: (R, ..., L) to (R,)."""
    kept = np.diff(values, axis=-1) <= SLACK
    return kept.reshape(len(kept), -1).mean(axis=1)


def after_peak(epochs: np.ndarray, values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Epochs and bits of each replica from its largest I(X;T) on, where those are four snapshots at least."""
    tops = values.argmax(axis=1)
    return [
        (np.maximum(epochs[top:], 1), row[top:]) for top, row in zip(tops, values, strict=True) if len(row) - top > 3
    ]


def nats_per_efold(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Nats by which I(X;T) falls per e-fold of time from its peak on, by least squares; one number a replica."""
    return np.array([-np.polyfit(np.log(t), bits * np.log(2), 1)[0] for t, bits in after_peak(epochs, values)])


def logarithmic_lead(epochs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How much better a line in log time than one in time fits the fall of I(X;T): difference of the shares of variance explained."""

    def explained(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.corrcoef(x, y)[0, 1] ** 2)

    parts = [(t, bits) for t, bits in after_peak(epochs, values) if np.ptp(bits) > 0]
    return np.array([explained(np.log(t), bits) - explained(t, bits) for t, bits in parts])


def pick(epochs: np.ndarray, wanted: Sequence[float]) -> list[int]:
    """Indices of the snapshots nearest to some epochs on a logarithmic scale."""
    return [int(np.abs(np.log1p(epochs) - np.log1p(e)).argmin()) for e in wanted]
