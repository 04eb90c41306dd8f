"""A directory to go on in: it remembers the settings it was begun with and refuses others, naming each difference."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import ArrayLike, NDArray

from dualib.core.files import (
    plain,
    read_json,
    read_npz,
    remove_abandoned,
    versions,
    writable_directory,
    write_json,
    write_npz,
)
from dualib.core.result import Result

SETTINGS = "settings.json"

ResultType = TypeVar("ResultType", bound=Result)


class Store:
    """Results and arrays under names in one directory, all made with the same settings. Every file is whole or not there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.open(folder, {"seed": 0})
    ...     store.put_arrays("curve", {"beta": [1.0, 2.0]})
    ...     print(store.names(), store.arrays("curve")["beta"])
    ['curve'] [1. 2.]
    """

    def __init__(self, path: str | os.PathLike[str], what: str = "results") -> None:
        self.path, self.what = Path(path), what

    @classmethod
    def open(cls, path: str | os.PathLike[str], settings: Mapping[str, object], what: str = "results") -> Store:
        """Open a new or empty directory, or one that holds work with the same settings.

        Parameters
        ----------
        path : path
        settings : mapping
            Everything that the results depend on.
        what : str
            What the directory holds, for the messages.

        Raises
        ------
        ValueError
            If the directory cannot be written, holds other files, or was begun with other settings (each is named).
        """
        store = cls(path, what)
        remove_abandoned(store.path)
        if not store.exists:
            writable_directory(store.path)
            if any(store.path.iterdir()):
                raise ValueError(f"{store.path} is not empty and holds no {what}: choose another directory")
            write_json(store.path / SETTINGS, {"settings": settings, "versions": versions()})
            return store
        try:
            old = store.settings()
        except ValueError as error:
            raise ValueError(f"{error}; remove {store.path}, whose settings are lost, and begin anew") from None
        new = json.loads(json.dumps(plain(settings)))
        differ = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        if differ:
            changes = "; ".join(f"{key}: {old.get(key)!r} there, {new.get(key)!r} now" for key in differ)
            raise ValueError(
                f"{store.path} was begun with other settings ({changes}): go on with the old ones, or choose another "
                "directory"
            )
        return store

    @property
    def exists(self) -> bool:
        """Whether work was begun here."""
        return (self.path / SETTINGS).is_file()

    def settings(self) -> dict[str, Any]:
        """What the work here was begun with.

        Raises
        ------
        ValueError
            If nothing was begun here, or the file of the settings is damaged.
        """
        if not self.exists:
            raise ValueError(f"{self.path} holds no {self.what}: it has no {SETTINGS}")
        found = read_json(self.path / SETTINGS)
        if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
            raise ValueError(f"{self.path / SETTINGS} has no settings")
        return dict(found["settings"])

    def has(self, name: str) -> bool:
        """Whether there is a file under that name."""
        return self._file(name).is_file()

    def names(self) -> list[str]:
        """The names under which there are files, sorted."""
        return sorted(path.stem for path in self.path.glob("*.npz") if not path.name.startswith("."))

    def put_arrays(self, name: str, arrays: Mapping[str, ArrayLike]) -> None:
        """Keep arrays under a name."""
        write_npz(self._file(name), arrays)

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays kept under a name; a ValueError if they are missing or damaged."""
        return read_npz(self._file(name))

    def put(self, name: str, result: Result) -> None:
        """Keep a result under a name."""
        result.save(self._file(name))

    def get(self, name: str, kind: type[ResultType]) -> ResultType | None:
        """The result kept under a name, or None if there is none; a ValueError if it is damaged or of another type."""
        return kind.load(self._file(name)) if self.has(name) else None

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.npz"
