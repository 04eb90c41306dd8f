"""Files are written whole or not at all, and say which versions made them."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import os
import platform
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTRIBUTION = "ntk-dualib"
LIBRARIES = (DISTRIBUTION, "numpy", "scipy", "jax", "optax", "neural-tangents")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, with its suffix, moved onto it when the block ends well and removed otherwise.

    A reader sees the old file or the new one, never a part of it, whatever interrupts the writer: the temporary file is on
    the disk before it takes the name. The error of a full disk bears the path.

    Examples
    --------
    >>> with atomic_path("table.csv") as temporary:  # doctest: +SKIP
    ...     frame.to_csv(temporary)
    """
    path = Path(path)
    prefix = f".{path.stem}.{_here()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise not_written(path, error) from None
        raise


def not_written(path: Path, error: OSError, remedy: str = "") -> OSError:
    """The same error with the path, once, and with what to do."""
    known = f"{path} was not written"
    text = error.strerror or f"{error}: is the disk full?"  # NumPy counts what it wrote, and says no more
    said = text if text.startswith(known) else f"{known} ({text})"
    return OSError(error.errno or errno.EIO, said + remedy)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that writers left who were killed: those of this machine's processes that are no more."""
    named = re.compile(rf"\..*\.{re.escape(_here())}-(\d+)-[^.]*\.[^.]+")
    for path in folder.glob(".*"):
        found = named.fullmatch(path.name)
        if found and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _here() -> str:
    """The machine's name, for a file's."""
    return "".join(c for c in platform.node() if c.isalnum())


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays to an .npz file, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read the array of an .npy file.

    Raises
    ------
    ValueError
        If the file is missing, or is not a whole .npy file.
    """
    try:
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"there is no file {os.fspath(path)}") from None
    except Exception as error:  # of a damaged header numpy raises whatever its parser does
        raise ValueError(f"{os.fspath(path)} is not a whole .npy file ({error})") from None


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read every array of an .npz file.

    Raises
    ------
    ValueError
        If the file is missing, or is not a whole .npz file.
    """
    try:
        with open(path, "rb") as file:  # which np.load leaves open where it fails
            if not zipfile.is_zipfile(file):  # of which NumPy advises to load it unsafely
                raise ValueError("its bytes are of another format, or end too early")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise ValueError(f"there is no file {os.fspath(path)}") from None
    except Exception as error:  # of a damaged header zipfile and numpy raise whatever their parsers do
        raise ValueError(f"{os.fspath(path)} is not a whole .npz file ({error})") from None


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write `value` as JSON, atomically; NumPy numbers and arrays become plain ones, NaN and infinities null."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises
    ------
    ValueError
        If the file is missing or is not whole JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no file {os.fspath(path)}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{os.fspath(path)} is not whole JSON ({error})") from None


def plain(value: Any) -> Any:
    """The value as JSON knows it: arrays as lists, paths as texts, NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value


def versions() -> dict[str, str]:
    """Versions of this distribution, of Python, and of the libraries that its numbers depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def metadata(
    settings: Mapping[str, object], units: Mapping[str, str], seconds: float, **more: object
) -> dict[str, object]:
    """What has to stand beside a result for it to be understood and made again.

    Parameters
    ----------
    settings : mapping
        Everything the result depends on, seed included.
    units : mapping
        The unit of every column or array of the result.
    seconds : float
        Wall time.
    more
        Further entries.
    """
    return {"settings": settings, "units": units, "seconds": round(seconds, 3), "versions": versions(), **more}


def writable_directory(path: str | os.PathLike[str]) -> Path:
    """The directory `path`, made where it is missing, or a ValueError: found out before the work, not after it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise ValueError(f"cannot write into {path}: {reason}; choose another directory") from None
    return path
