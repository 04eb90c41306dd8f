"""What the papers' experiments have in common: progress, bottleneck curves as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

import dualib
from dualib.core.progress import progress_bar

Item = TypeVar("Item")


def counted(items: Iterable[Item], description: str) -> Iterator[Item]:
    """The items one by one, with a progress bar on a terminal."""
    listed = list(items)
    with progress_bar(len(listed), description) as done:
        for item in listed:
            yield item
            done(1)


def curve_arrays(curve: dualib.InformationCurve, prefix: str) -> dict[str, Any]:
    """What a saved bottleneck curve consists of, under names with a prefix."""
    with TemporaryDirectory() as folder:
        curve.save(f"{folder}/curve.npz")
        with np.load(f"{folder}/curve.npz") as file:
            return {prefix + name: file[name] for name in file.files}
