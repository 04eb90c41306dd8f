"""Numbers read off information planes (arrays over replicas R, snapshots S, layers L), and planes and curves for figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import deepnets
import dualib
from dualib._io import write_npz
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
    """The first epoch after its peak at which each replica's I(X;T) has made half of its way from the peak to the end."""
    found = []
    for row in values:
        top = int(row.argmax())
        below = np.flatnonzero(row[top:] <= (row[top] + row[-1]) / 2)
        found.append(epochs[top + int(below[0])])
    return np.array(found, float)


def ordered_share(values: np.ndarray) -> np.ndarray:
    """Share of neighbouring layers along which each replica's value does not rise: (R, L) to (R,)."""
    return (np.diff(values, axis=1) <= 1e-9).mean(axis=1)


def pick(epochs: np.ndarray, wanted: Sequence[float]) -> list[int]:
    """Indices of the snapshots nearest to some epochs on a logarithmic scale."""
    return [int(np.abs(np.log1p(epochs) - np.log1p(e)).argmin()) for e in wanted]
