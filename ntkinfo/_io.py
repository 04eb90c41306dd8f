"""Files written whole or not at all, and progress bars on a terminal only."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` on a temporary file beside `path`, then move it there: a reader sees the old file or the new one,
    never a part.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_npz(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an .npz file, atomically."""
    write_atomically(path, lambda file: np.savez(file, **arrays))


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON, atomically."""
    write_atomically(
        path, lambda file: file.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()) and None
    )


def progress_bar(total: int, description: str, show: bool | None = None) -> Any:
    """A tqdm bar on standard error: `show` None for only on a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=description, disable=None if show is None else not show, leave=False)
