"""The base of every frozen result: it can be taken apart into arrays and put together again, in memory and in a file."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping, Sized
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dualib.core.files import read_npz, versions, write_npz

RECORD = "record"
LONGEST = 60  # characters of a field's value that are printed in full
Arrays = dict[str, NDArray[Any]]


class Brief:
    """Base of dataclasses that print their long arrays by type and size.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(frozen=True)
    ... class Sample(Brief):
    ...     points: np.ndarray
    ...     seed: int
    >>> Sample(np.zeros((50, 10)), seed=0)
    Sample(points=float64[50, 10], seed=0)
    """

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Brief.__repr__  # type: ignore[method-assign]  # a dataclass would print every entry of every array

    def __repr__(self) -> str:
        """The fields, those that would take more than LONGEST characters by type and size."""
        assert is_dataclass(self)
        return f"{type(self).__name__}({', '.join(f'{f.name}={_brief(getattr(self, f.name))}' for f in fields(self))})"


class Result(Brief):
    """Base of frozen dataclasses whose fields are arrays, numbers, texts, enums, None, other results, or tuples, frozensets and dicts of them.

    What a file holds is what :meth:`to_arrays` gives: every array under the path of its field (``"plane.rate"``), and all
    else as JSON in the entry ``"record"``. Loading calls the constructor, so that whatever it checks is checked again.
    A field declared with ``metadata={"stored": False}`` is left out and takes its default.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(frozen=True)
    ... class Measured(Result):
    ...     value: float
    ...     at: np.ndarray
    >>> Measured.from_arrays(Measured(1.5, np.arange(3)).to_arrays())
    Measured(value=1.5, at=array([0, 1, 2]))
    """

    _known: ClassVar[dict[str, type[Result]]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        Result._known[_name(cls)] = cls

    def to_arrays(self) -> Arrays:
        """Everything that makes this result, as named arrays."""
        arrays: Arrays = {}
        record = _take_apart(self, "", arrays)
        return {RECORD: np.array(json.dumps(record)), **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The result that :meth:`to_arrays` took apart.

        Raises
        ------
        ValueError
            If the arrays are of another type, incomplete, or do not pass the checks of the result's constructor.
        """
        if RECORD not in arrays:
            raise ValueError(f"this is no saved {cls.__name__}: it has no entry {RECORD!r} among {sorted(arrays)}")
        record = json.loads(str(arrays[RECORD]))
        found = _put_together(record, arrays)
        if not isinstance(found, cls):
            raise ValueError(f"this is a saved {type(found).__name__}, not a {cls.__name__}")
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file, whole or not at all, with the versions of what made it."""
        made = np.array(json.dumps(versions()))
        write_npz(path, {**self.to_arrays(), "versions": made})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is missing, damaged, of another type, or holds values that the result refuses.
        """
        try:
            return cls.from_arrays(read_npz(path))
        except ValueError as error:
            raise ValueError(f"{Path(path)}: {error}") from None


def _brief(value: Any) -> str:
    """A value's repr, or its type and size where that is long; ``float64[50, 10]`` for an array."""
    if isinstance(value, np.ndarray) and value.size > LONGEST:
        return f"{value.dtype}{list(value.shape)}"
    text = repr(value)
    if len(text) <= LONGEST and "\n" not in text:
        return text
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    size = f"[{len(value)}]" if isinstance(value, Sized) else "(…)"
    return f"{type(value).__name__}{size}"


def _name(cls: type) -> str:
    return f"{cls.__module__.split('.')[0]}.{cls.__qualname__}"


def _take_apart(value: Any, path: str, arrays: Arrays) -> Any:
    """JSON of a value, its arrays put into `arrays` under their paths."""
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"array": path}
    if isinstance(value, Result):
        assert is_dataclass(value)
        prefix = f"{path}." if path else ""
        kept = {f.name: getattr(value, f.name) for f in fields(value) if f.metadata.get("stored", True)}
        return {
            "result": _name(type(value)),
            "fields": {name: _take_apart(item, prefix + name, arrays) for name, item in kept.items()},
        }
    if isinstance(value, Enum):
        return {"enum": f"{type(value).__module__}:{type(value).__qualname__}", "value": value.value}
    if isinstance(value, Mapping):
        return {"dict": [[key, _take_apart(item, f"{path}.{key}", arrays)] for key, item in value.items()]}
    if isinstance(value, frozenset):
        return {"frozenset": [_take_apart(item, f"{path}.{i}", arrays) for i, item in enumerate(sorted(value))]}
    if isinstance(value, tuple | list):
        return {"tuple": [_take_apart(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path} is a {type(value).__name__}, which a result cannot hold")


def _put_together(record: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(record, dict):
        return record
    if "array" in record:
        if record["array"] not in arrays:
            raise ValueError(f"the array {record['array']!r} is missing")
        return arrays[record["array"]]
    if "result" in record:
        cls = Result._known.get(record["result"])
        if cls is None:
            raise ValueError(f"it holds a {record['result']}, which is not known here: import its package first")
        values = {name: _put_together(item, arrays) for name, item in record["fields"].items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"it does not fit this version's {cls.__name__}: {error}") from None
    if "enum" in record:
        return _enum(record["enum"])(record["value"])
    if "dict" in record:
        return {key: _put_together(item, arrays) for key, item in record["dict"]}
    if "frozenset" in record:
        return frozenset(_put_together(item, arrays) for item in record["frozenset"])
    return tuple(_put_together(item, arrays) for item in record["tuple"])


def _enum(name: str) -> type[Enum]:
    module, _, qualname = name.partition(":")
    houses = {known.split(".")[0] for known in Result._known}
    if module.split(".")[0] not in houses:
        raise ValueError(f"it names {module}, which is none of {', '.join(sorted(houses))}")
    try:
        found = getattr(importlib.import_module(module), qualname)
    except (ImportError, AttributeError):
        raise ValueError(f"it names {name}, which this version does not have") from None
    if not (isinstance(found, type) and issubclass(found, Enum)):
        raise ValueError(f"it names {name}, which is no enumeration")
    return found
