"""What is kept on disk: compiled kernel functions in the user's cache folder, and kernels in a file of their own.

The environment variable ``IB_NTK_CACHE`` names another folder for what JAX has compiled; ``IB_NTK_CACHE=0`` keeps nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np

from dualib.core.files import writable_directory
from dualib.core.typing import FloatArray

SAME = 1e-9
"""Relative difference of kernels that are still of one kernel function."""


WORTH_KEEPING = 0.1
"""Seconds of compiling; a kept function is read in some hundredths of one."""


def folder() -> Path | None:
    """Where compiled functions are kept; None where nothing is to be kept."""
    chosen = os.environ.get("IB_NTK_CACHE", "")
    if chosen == "0":
        return None
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        home = str(Path.home() / "Library" / "Caches")
    else:
        home = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(home) / "ntkinfo"


def compile_on_disk() -> None:
    """Have JAX keep what takes more than a tenth of a second to compile, unless it keeps it already or the folder is not to be had."""
    import jax

    path, config = folder(), cast(Any, jax.config)
    if path is None or config.jax_compilation_cache_dir is not None:
        return
    try:
        config.update("jax_compilation_cache_dir", str(writable_directory(path)))
        config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)
    except ValueError:  # no home to write into
        return


def fingerprint(arrays: tuple[FloatArray, ...]) -> str:
    """A hash of the points that kernels are of."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(repr(array.shape).encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
