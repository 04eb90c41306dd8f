"""A run on disk: its settings, one file a snapshot, and the state to go on from. Every file is whole or not there.

``settings.json``, ``split.npz``, ``snapshot_00000123.npz`` (one an epoch of the snapshots) and ``checkpoint.npz``. A
snapshot is written before the checkpoint that counts it, so that whatever is interrupted, all snapshots up to the
checkpoint's epoch are there; a later one is written again, to the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dualib.core.files import plain, versions, writable_directory, write_json, write_npz

Arrays = Mapping[str, Any]


class Store:
    """The directory of a run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "settings.json").is_file()

    def begin(self, settings: Mapping[str, Any], split: Arrays) -> None:
        """Open a directory for a new run, or an old one with the same settings.

        Raises
        ------
        ValueError: the directory cannot be written, holds other files, or a run with other settings (each is named).
        """
        if not self.exists:
            writable_directory(self.path)
            if any(self.path.iterdir()):
                raise ValueError(f"{self.path} is not empty and holds no run: choose another directory")
            write_npz(self.path / "split.npz", split)
            libraries = {name: version(name) for name in ("jax", "optax")}
            record = {"settings": settings, "versions": {**versions(), **libraries}}
            write_json(self.path / "settings.json", record)
            return
        old, new = self.settings(), json.loads(json.dumps(plain(settings)))
        differ = [k for k in {**old, **new} if old.get(k) != new.get(k)]
        if differ:
            changes = "; ".join(f"{k}: {old.get(k)!r} there, {new.get(k)!r} now" for k in differ)
            raise ValueError(
                f"{self.path} holds a run with other settings ({changes}): go on with the old ones, or choose another "
                "directory"
            )

    def settings(self) -> dict[str, Any]:
        """What the run was begun with."""
        if not self.exists:
            raise ValueError(f"{self.path} holds no run: it has no settings.json")
        read = json.loads((self.path / "settings.json").read_text(encoding="utf-8"))["settings"]
        return {"loss": "cross-entropy", **read}  # which runs from before there was a choice do not name

    def split(self) -> dict[str, np.ndarray]:
        """The arrays that :meth:`begin` was given."""
        return _read(self.path / "split.npz")

    def write_snapshot(self, epoch: int, arrays: Arrays) -> None:
        """Write one snapshot."""
        write_npz(self._snapshot(epoch), arrays)

    def snapshot(self, epoch: int) -> dict[str, np.ndarray]:
        """Read one snapshot."""
        return _read(self._snapshot(epoch))

    def write_checkpoint(self, epoch: int, leaves: list[np.ndarray]) -> None:
        """Write the state after `epoch` epochs."""
        arrays = {f"leaf_{i:03d}": leaf for i, leaf in enumerate(leaves)}
        write_npz(self.path / "checkpoint.npz", {"epoch": np.array(epoch), **arrays})

    def checkpoint(self) -> tuple[int, list[np.ndarray]] | None:
        """The last state, (epochs done, arrays), or None before the first."""
        path = self.path / "checkpoint.npz"
        if not path.is_file():
            return None
        arrays = _read(path)
        epoch = int(arrays.pop("epoch"))
        return epoch, [arrays[name] for name in sorted(arrays)]

    def _snapshot(self, epoch: int) -> Path:
        return self.path / f"snapshot_{epoch:08d}.npz"


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: the run is not finished, or the file was removed") from None
