"""The folder of a recording, as any language may write it; docs/recordings.md has the format in full.

``settings.json``, ``task.npz``, and a folder ``epoch_00000010_replica_0000`` for what is known of one replica at one epoch:
``record.json``, ``layer_0.npy`` … and ``weights_0.npy`` …. Names that begin with a dot are of work that was cut short.
"""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualib.core.arrays import whole
from dualib.core.files import not_written, read_json, write_json

KIND = "deepnets recording"
FORMAT = f"{KIND} 1"
TASK, RECORD = "task.npz", "record.json"
PLACE = re.compile(r"epoch_(\d+)_replica_(\d+)")
OLD = ".old"

Range = tuple[float, float]
Array = NDArray[np.floating]


def place_of(epoch: int, replica: int) -> str:
    """The folder of one replica at one epoch."""
    return f"epoch_{epoch:08d}_replica_{replica:04d}"


@dataclass(frozen=True)
class GradientRecord:
    """Minibatch gradients g_b of one epoch, layer by layer of weights, batches weighted by their size.

    Attributes
    ----------
    batches, patterns : int
        How many batches there were, and patterns in all.
    batch_size : int
        Of all batches but perhaps a smaller last one.
    layers : tuple of str
        Names of the layers of weights.
    mean_square, square_mean, weight_norm : tuple of float
        ‖mean g_b‖², mean ‖g_b‖² and ‖W‖ of each.
    """

    batches: int
    patterns: int
    batch_size: int
    layers: tuple[str, ...]
    mean_square: tuple[float, ...]
    square_mean: tuple[float, ...]
    weight_norm: tuple[float, ...]

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> GradientRecord:
        """The inverse of ``vars``; null is NaN."""
        layers = _names(found["layers"], "gradients: layers")
        mean, square, norm = (
            tuple(_number(v) for v in found[name]) for name in ("mean_square", "square_mean", "weight_norm")
        )
        if {len(mean), len(square), len(norm)} != {len(layers)}:
            raise ValueError(f"gradients: {len(layers)} layers, but {len(mean)}, {len(square)} and {len(norm)} numbers")
        batches, patterns, size = (
            whole(found[name], f"gradients: {name}", least)
            for name, least in (("batches", 2), ("patterns", 2), ("batch_size", 1))
        )
        return cls(batches, patterns, size, layers, mean, square, norm)


@dataclass(frozen=True)
class Record:
    """What stands in a ``record.json``: one replica at one epoch.

    Attributes
    ----------
    epoch, replica : int
    layers : tuple of str
        Names of the layers whose activations are ``layer_0.npy`` …, first layer first.
    ranges : tuple of (float, float) or None
        Between which numbers a layer's activations lie by construction, ±inf where nothing bounds them; None where that is
        not known.
    weights : tuple of str
        Names of the layers of weights that are ``weights_0.npy`` ….
    scores : dict of str to float
        Such as "train_loss"; NaN where it is not finite.
    finite : bool
        Whether all activations are finite.
    gradients : GradientRecord or None
    """

    epoch: int
    replica: int
    layers: tuple[str, ...]
    ranges: tuple[Range | None, ...] = ()
    weights: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    finite: bool = True
    gradients: GradientRecord | None = None

    def to_json(self) -> dict[str, object]:
        """What is written, what is empty left out."""
        about = {name: value for name, value in vars(self).items() if value or name in ("epoch", "replica", "finite")}
        return {**about, "gradients": vars(self.gradients)} if self.gradients is not None else about

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Record:
        """The inverse of :meth:`to_json`; a ValueError says what is wrong."""
        layers = _names(found["layers"], "layers")
        ranges = tuple(None if r is None else _range(r) for r in found.get("ranges", [None] * len(layers)))
        if len(ranges) != len(layers):
            raise ValueError(f"{len(layers)} layers, but {len(ranges)} ranges")
        gradients, finite = found.get("gradients"), found.get("finite", True)
        if not isinstance(finite, bool):
            raise ValueError(f"finite must be true or false, got {finite!r}")
        return cls(
            whole(found["epoch"], "epoch"),
            whole(found["replica"], "replica"),
            layers,
            ranges,
            _names(found.get("weights", []), "weights"),
            {str(name): _number(value) for name, value in dict(found.get("scores", {})).items()},
            finite,
            None if gradients is None else GradientRecord.from_json(gradients),
        )

    @property
    def failed(self) -> bool:
        """Whether the training was no longer finite."""
        return not self.finite or math.isnan(self.scores.get("train_loss", 0.0))


def write_record(folder: Path, record: Record, activations: Sequence[Array], weights: Sequence[Array]) -> None:
    """Write one record with its arrays: whole or not at all; what was there before is replaced at the end.

    Raises
    ------
    OSError
        If a file cannot be written; what was added before is whole.
    """
    place = folder / place_of(record.epoch, record.replica)
    begun, old = folder / f".{place.name}", folder / f".{place.name}{OLD}"
    try:
        for leftover in (begun, old):
            shutil.rmtree(leftover, ignore_errors=True)
        begun.mkdir()
        for stem, arrays in (("layer", activations), ("weights", weights)):
            for i, array in enumerate(arrays):
                with open(begun / f"{stem}_{i}.npy", "wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
        write_json(begun / RECORD, record.to_json())
        if place.exists():
            place.rename(old)
        begun.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise not_written(place, error, ": what was added before is whole; make room and add it again") from None


def restore_replaced(folder: Path) -> None:
    """Put back records that were about to be replaced when the work was cut short."""
    for old in folder.glob(f".epoch_*{OLD}"):
        place = folder / old.name[1 : -len(OLD)]
        if not place.exists():
            old.rename(place)


def read_records(folder: Path) -> dict[tuple[int, int], Record]:
    """Every record by (epoch, replica), in order.

    Raises
    ------
    ValueError
        If there is none, one is damaged or stands in another's folder, or two of them have other layers.
    """
    found = {}
    for place in sorted(folder.glob("epoch_*")):
        match, file = PLACE.fullmatch(place.name), place / RECORD
        if match is None:
            raise ValueError(
                f"{place} is no folder epoch_<number>_replica_<number> of a recording: remove or rename it"
            )
        try:
            record = Record.from_json(read_json(file))
            if (record.epoch, record.replica) != (int(match[1]), int(match[2])):
                raise ValueError(f"it is of epoch {record.epoch} of replica {record.replica}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"it has no entry {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{file} is no whole record ({what}): add that epoch again, or remove {place}") from None
        found[record.epoch, record.replica] = record
    if not found:
        raise ValueError(
            f"{folder} is a recording to which nothing was added yet: the training that records into it has to go on"
        )
    first = next(iter(found.values()))
    for key, record in found.items():
        if (record.layers, record.ranges) != (first.layers, first.ranges):
            raise ValueError(
                f"{folder / place_of(*key) / RECORD} has layers {record.layers} of ranges {record.ranges}, but "
                f"{place_of(first.epoch, first.replica)} {first.layers} of {first.ranges}: record them in folders of their own"
            )
    return found


def read_array(file: Path, n: int | None = None) -> Array:
    """An array of a record, memory-mapped; of activations with n rows, at least two axes.

    Raises
    ------
    ValueError
        If it is missing or damaged, has no numbers, or other than n rows.
    """
    try:
        found: Array = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf" or found.size == 0:
            raise ValueError("it holds no real numbers")
        if n is not None and (found.ndim == 0 or len(found) != n):
            raise ValueError(f"it has shape {found.shape}, but there are {n} patterns")
    except Exception as error:  # of a damaged header numpy's parser raises whatever Python's does
        what = "there is no such file" if isinstance(error, FileNotFoundError) else error
        raise ValueError(f"{file}: {what}; add that epoch again, or remove {file.parent}") from None
    return found[:, None] if n is not None and found.ndim == 1 else found


def _names(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value) or len(set(value)) != len(value):
        raise ValueError(f"{what} must be a list of different names, got {value!r}")
    return tuple(value)


def _number(value: object) -> float:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"{value!r} is no number")
    return math.nan if value is None else float(value)


def _range(value: Any) -> Range:
    low, high = value
    found = -math.inf if low is None else _number(low), math.inf if high is None else _number(high)
    if not found[0] < found[1]:
        raise ValueError(f"the range {value} is not increasing")
    return found
