"""What a recorder left: a training of anybody's, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepnets.recordings.records import FORMAT, KIND, TASK, Array, Range, Record, place_of, read_array, read_records
from deepnets.tasks import Task
from deepnets.tasks.files import read_task
from dualib.core.files import read_json
from dualib.core.result import Brief
from dualib.core.store import SETTINGS
from dualib.core.typing import Float, FloatArray, Int


@dataclass(frozen=True, eq=False)
class Recorded(Brief):
    """Layers' activations of R replicas at S snapshots of any training; a :class:`deepnets.Recording`.

    Its snapshots are the epochs that all replicas have. Arrays are mapped into memory when they are asked for.

    Attributes
    ----------
    path : Path
    task : Task
    settings : dict
        Of the recording, the training's under "training".
    records : dict of (int, int) to Record
        By epoch and replica.
    channels : (str, int) or None
        The layer whose channels are taken as layers, and their axis; see :meth:`by_channel`.

    Examples
    --------
    >>> recorded.epochs, recorded.layers
    (array([ 1, 10]), ('hidden', 'output'))
    >>> recorded.activations(-1, replica=0)[0].shape
    (4, 1)
    """

    path: Path
    task: Task
    settings: dict[str, Any]
    records: Mapping[tuple[int, int], Record]
    channels: tuple[str, int] | None = None

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Recorded:
        """Read a folder that :class:`deepnets.Recorder`, or another language, wrote; also while it is written.

        Raises
        ------
        ValueError
            If there is no recording, nothing was added yet, a file is missing or damaged, records do not fit together, or the
            replicas have no epoch in common; the message names the file, and what to do.
        """
        folder = Path(path)
        settings = _settings(folder)
        found = cls(folder, read_task(folder / TASK), settings, read_records(folder))
        if not len(found.epochs):
            raise ValueError(
                f"{folder}: no epoch was recorded of all replicas {list(found.replica_numbers)}: add what is missing"
            )
        return found

    @cached_property
    def replica_numbers(self) -> tuple[int, ...]:
        """The numbers of the replicas in the folder; replica r of a plane is the r-th of them."""
        return tuple(sorted({replica for _, replica in self.records}))

    @cached_property
    def epochs(self) -> Int[np.ndarray, " S"]:
        """The snapshots' epochs, increasing: those that all replicas have."""
        return np.array([e for e in self._all_epochs if all((e, r) in self.records for r in self.replica_numbers)], int)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, first layer first; of the channels of one where they are taken for layers."""
        if self.channels is None:
            return self._first.layers
        name, axis = self.channels
        return tuple(f"{name}[{c}]" for c in range(self._mapped(0, 0, name).shape[axis]))

    @property
    def n_replicas(self) -> int:
        """The number R of replicas."""
        return len(self.replica_numbers)

    @property
    def noise_std(self) -> float:
        """σ of the Gaussian noise at every layer, 0 without noise."""
        return float(self.settings["noise_std"])

    @property
    def ranges(self) -> tuple[Range | None, ...]:
        """Between which numbers a layer's activations lie by construction; None where that is not known."""
        if self.channels is None:
            return self._first.ranges
        return (self._first.ranges[self._first.layers.index(self.channels[0])],) * len(self.layers)

    @property
    def plane_layers(self) -> tuple[str, ...]:
        """All layers: those of the plane."""
        return self.layers

    @property
    def hidden_layers(self) -> int:
        """All layers but the last, or all channels."""
        return len(self.layers) - (self.channels is None)

    @cached_property
    def scores(self) -> Mapping[str, FloatArray]:
        """Name → array (S, R), NaN where it is not known."""
        names = dict.fromkeys(name for record in self.records.values() for name in record.scores)
        table = [[self.records[e, r].scores for r in self.replica_numbers] for e in self.epochs.tolist()]
        return {name: np.array([[cell.get(name, np.nan) for cell in row] for row in table]) for name in names}

    @cached_property
    def failed(self) -> Int[np.ndarray, " R"]:
        """The first epoch at which a replica's activations or training loss are not finite, -1 where there is none."""
        lost = {
            r: [e for (e, of), record in self.records.items() if of == r and record.failed]
            for r in self.replica_numbers
        }
        return np.array([min(epochs, default=-1) for epochs in lost.values()])

    @property
    def unfinished(self) -> str:
        """What some replicas lack, in a sentence; "" where they all have the same epochs."""
        left_out = [e for e in self._all_epochs if e not in self.epochs]
        if not left_out:
            return ""
        without = [r for r in self.replica_numbers if any((e, r) not in self.records for e in left_out)]
        epochs = (
            f"epoch {left_out[0]} is" if len(left_out) == 1 else f"{len(left_out)} epochs, up to {left_out[-1]}, are"
        )
        replicas = f"{'replica' if len(without) == 1 else 'replicas'} {', '.join(map(str, without))}"
        return f"{epochs} left out, not being recorded of all replicas: those of {replicas} are missing"

    def activations(self, snapshot: int, replica: int, *, noise_seed: int | None = None) -> list[NDArray[np.floating]]:
        """The layers' activations of all patterns; see :meth:`deepnets.Recording.activations`.

        Raises
        ------
        ValueError
            If a file is missing or damaged (it is named), or noise is asked for in more than one layer, of which only the
            first is known by its noiseless part.
        """
        found = self.arrays(snapshot, replica)
        if noise_seed is None:
            return found
        if len(found) > 1:
            raise ValueError(
                f"noisy activations of {len(found)} layers are not known from the noiseless ones: record the first layer only, or "
                "use SmoothedPlugin"
            )
        noise = np.random.default_rng(noise_seed).normal(scale=self.noise_std, size=found[0].shape)
        return [found[0] + noise]

    def arrays(self, snapshot: int, replica: int, *, flat: bool = True) -> list[NDArray[np.floating]]:
        """The layers' arrays, mapped into memory: flattened to (n, units), or as they were recorded."""
        if self.channels is not None:
            name, axis = self.channels
            array = self._mapped(snapshot, replica, name)
            found = [np.asarray(array.take([c], axis)) for c in range(array.shape[axis])]
        else:
            found = [self._mapped(snapshot, replica, name) for name in self._first.layers]
        return [a.reshape(len(a), -1) for a in found] if flat else found

    def by_channel(self, layer: str, axis: int = 1) -> Recorded:
        """The same recording with the channels of one layer as its layers, each of shape (n, all its units).

        Parameters
        ----------
        layer : str
        axis : int
            Of the channels: 1 where they come first, as in torch, -1 where they come last, as in flax and keras.

        Raises
        ------
        ValueError
            If there is no such layer, or it has no such axis.
        """
        if layer not in self._first.layers:
            raise ValueError(f"there is no layer {layer!r}: choose one of {', '.join(self._first.layers)}")
        shape = self._mapped(0, 0, layer).shape
        if axis % len(shape) == 0 or not -len(shape) <= axis < len(shape):
            raise ValueError(f"axis {axis} of layer {layer!r}, which has shape {shape}, is no axis of channels")
        return replace(self, channels=(layer, axis))

    def weights(self, snapshot: int, replica: int) -> dict[str, Float[np.ndarray, ...]]:
        """The weights that were recorded, layer → array; none where none were."""
        record = self._record(snapshot, replica)
        place = self.path / place_of(record.epoch, record.replica)
        return {name: read_array(place / f"weights_{i}.npy") for i, name in enumerate(record.weights)}

    @property
    def _first(self) -> Record:
        return next(iter(self.records.values()))

    @cached_property
    def _all_epochs(self) -> list[int]:
        return sorted({epoch for epoch, _ in self.records})

    def _record(self, snapshot: int, replica: int) -> Record:
        return self.records[int(self.epochs[snapshot]), self.replica_numbers[replica]]

    def _mapped(self, snapshot: int, replica: int, layer: str) -> Array:
        record = self._record(snapshot, replica)
        file = self.path / place_of(record.epoch, record.replica) / f"layer_{record.layers.index(layer)}.npy"
        return read_array(file, self.task.n)


def is_recording(path: str | PathLike[str]) -> bool:
    """Whether a folder's settings say that it is a recording."""
    try:
        return str(read_json(Path(path) / SETTINGS)["settings"]["format"]).startswith(KIND)
    except (ValueError, KeyError, TypeError):
        return False


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / SETTINGS
    if not file.is_file():
        raise ValueError(f"{folder} holds no recording: it has no {SETTINGS}")
    whole = read_json(file)
    found = whole.get("settings") if isinstance(whole, dict) else None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f'{file} is of no recording: it must say {{"settings": {{"format": "{FORMAT}"}}}}')
    noise = found.get("noise_std", 0.0)
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < float("inf"):
        raise ValueError(f"{file}: noise_std must be a number of at least 0, got {noise!r}")
    return {**found, "noise_std": float(noise)}
