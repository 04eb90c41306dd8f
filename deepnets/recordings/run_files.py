"""The directory of a run: its settings, its split, one file a snapshot, and the state to go on from.

``settings.json``, ``split.npz``, ``task.npz`` (of a task that no function of this package makes), ``snapshot_00000123.npz`` (one an
epoch of the snapshots) and ``checkpoint.npz``. A snapshot
is written before the checkpoint that counts it, so that whatever is interrupted, all snapshots up to the checkpoint's epoch
are there; a later one is written again, to the same numbers. ``repair.npz`` is a checkpoint of a training that makes lost
snapshots again.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from deepnets.tasks import Task, is_made_here, task_from_settings
from deepnets.tasks.files import read_task, write_task
from dualib.core.files import not_written, plain, versions, write_json
from dualib.core.store import SETTINGS, Store
from dualib.core.typing import IntArray

Arrays = dict[str, np.ndarray]
Checkpoint = tuple[int, list[np.ndarray]]  # epochs done, and the state's arrays, the epochs of failure last

CHECKPOINT, REPAIR, SPLIT, TASK = "checkpoint", "repair", "split", "task"


class RunFiles:
    """The files of a run."""

    def __init__(self, path: str | Path) -> None:
        self.store = Store(path, "run")

    @classmethod
    def begin(
        cls, path: str | Path, settings: Mapping[str, object], patterns: IntArray, task: Task | None = None
    ) -> RunFiles:
        """Open a directory for a new run, or an old one with the same settings.

        Raises
        ------
        ValueError
            If the directory cannot be written, holds other files, or a run with other settings (each is named).
        """
        files = cls(path)
        if files.store.exists or files.store.has(SPLIT):
            files._restore_settings()
        files.store = Store.open(path, settings, "run")
        try:
            same = np.array_equal(files.patterns(), patterns)
        except ValueError:
            same = False
        if not same:  # a function of the settings, which are the same
            files._write(SPLIT, {"train_patterns": patterns, "settings": np.array(json.dumps(plain(settings)))})
        if task is not None and not is_made_here(task.settings) and not files._whole(TASK):
            with files._going_on(TASK) as path:
                write_task(path, task)
        return files

    def task(self, settings: Mapping[str, Any]) -> Task:
        """The task that was trained on: made again from its settings, or read from its copy."""
        if is_made_here(settings):
            return task_from_settings(settings)
        try:
            return read_task(self.store.path / f"{TASK}.npz")
        except ValueError as error:
            raise self._repairable(error) from None

    def settings(self) -> dict[str, Any]:
        """What the run was begun with."""
        try:
            return self.store.settings()
        except ValueError as error:
            known = self.store.exists or self.store.has(SPLIT)
            raise self._repairable(error) if known else error from None

    def patterns(self) -> IntArray:
        """The training patterns of each replica, shape (R, n_train)."""
        return self._read(SPLIT)["train_patterns"]

    def write_snapshot(self, epoch: int, arrays: Arrays) -> None:
        """Write one snapshot."""
        self._write(_snapshot(epoch), arrays)

    def snapshot(self, epoch: int) -> Arrays:
        """Read one snapshot."""
        return self._read(_snapshot(epoch))

    def damaged(self, epochs: Sequence[int]) -> list[int]:
        """Those of the epochs whose snapshots cannot be read."""
        return [epoch for epoch in epochs if not self._whole(_snapshot(epoch))]

    def write_checkpoint(self, name: str, epoch: int, leaves: list[np.ndarray]) -> None:
        """Write the state after `epoch` epochs."""
        arrays = {f"leaf_{i:03d}": leaf for i, leaf in enumerate(leaves)}
        self._write(name, {"epoch": np.array(epoch), **arrays})

    def checkpoint(self, name: str = CHECKPOINT) -> Checkpoint | None:
        """The last state, or None before the first; a damaged or lost one is none, with a warning."""
        lost = name == CHECKPOINT and self.has_lost_checkpoint
        if not (lost or self.store.has(name)):
            return None
        if not self._whole(name):
            how = "missing" if lost else "damaged"
            text = f"{self.store.path / name}.npz is {how}: the training begins anew, to the same numbers"
            warnings.warn(text, RuntimeWarning, stacklevel=4)
            self.forget(name)
            return None
        return self.reached(name)

    @property
    def has_lost_checkpoint(self) -> bool:
        """Whether there are snapshots of a training, but no state: it is written after each, so that one may be ahead of it."""
        return not self.store.has(CHECKPOINT) and sum(name.startswith("snapshot_") for name in self.store.names()) > 1

    def reached(self, name: str = CHECKPOINT) -> Checkpoint | None:
        """The last state, or None before the first; a ValueError if it is damaged or lost."""
        if not (self.store.has(name) or (name == CHECKPOINT and self.has_lost_checkpoint)):
            return None
        arrays = self._read(name)
        epoch = int(arrays.pop("epoch"))
        return epoch, [arrays[key] for key in sorted(arrays)]

    def forget(self, name: str) -> None:
        """Remove a checkpoint."""
        (self.store.path / f"{name}.npz").unlink(missing_ok=True)

    def _restore_settings(self) -> None:
        """Write damaged settings again, from their copy beside the split."""
        try:
            self.store.settings()
        except ValueError:
            try:
                copy = json.loads(str(self.store.arrays(SPLIT)["settings"]))
            except (ValueError, KeyError):
                raise ValueError(
                    f"{self.store.path / SETTINGS} and its copy in {SPLIT}.npz are damaged: remove {self.store.path} and "
                    "train again"
                ) from None
            write_json(self.store.path / SETTINGS, {"settings": copy, "versions": versions()})

    def _whole(self, name: str) -> bool:
        try:
            self.store.arrays(name)
        except ValueError:
            return False
        return True

    def _read(self, name: str) -> Arrays:
        try:
            return self.store.arrays(name)
        except ValueError as error:
            raise self._repairable(error) from None

    def _repairable(self, error: ValueError) -> ValueError:
        return ValueError(f"{error}; the `deepnets train … --out {self.store.path}` that wrote it makes it again")

    def _write(self, name: str, arrays: Arrays) -> None:
        with self._going_on(name):
            self.store.put_arrays(name, arrays)

    @contextmanager
    def _going_on(self, name: str) -> Iterator[Path]:
        """Give the path to write to; an error says which it is, and that the work is not lost."""
        path = self.store.path / f"{name}.npz"
        try:
            yield path
        except OSError as error:
            raise not_written(path, error, "; the same command goes on where it was left") from None


class RunMemory:
    """What :class:`RunFiles` keeps, in memory: nothing to go on from."""

    def __init__(self, patterns: IntArray) -> None:
        self._patterns, self._snapshots = patterns, dict[int, Arrays]()

    def patterns(self) -> IntArray:
        """The training patterns of each replica, shape (R, n_train)."""
        return self._patterns

    def write_snapshot(self, epoch: int, arrays: Arrays) -> None:
        """Keep one snapshot."""
        self._snapshots[epoch] = arrays

    def snapshot(self, epoch: int) -> Arrays:
        """One snapshot."""
        return self._snapshots[epoch]

    def damaged(self, epochs: Sequence[int]) -> list[int]:
        """None: nothing is kept from before."""
        return []

    def write_checkpoint(self, name: str, epoch: int, leaves: list[np.ndarray]) -> None:
        """Nothing: there is no going on."""

    def checkpoint(self, name: str) -> Checkpoint | None:
        """None: there is no going on."""
        return None

    def forget(self, name: str) -> None:
        """Nothing was kept."""


def _snapshot(epoch: int) -> str:
    return f"snapshot_{epoch:08d}"
