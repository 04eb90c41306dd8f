"""Folders of trainings, of this package's and of anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepnets.recordings.recorded import Recorded, is_recording

if TYPE_CHECKING:
    from deepnets.recordings.run import Run


def read_recording(path: str | Path) -> Run | Recorded:
    """The :class:`deepnets.Run` or the :class:`deepnets.Recorded` in a folder.

    Raises
    ------
    ValueError
        If there is neither, or a file is missing or damaged.

    Examples
    --------
    >>> import numpy as np
    >>> import tempfile
    >>> import deepnets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recorder = deepnets.Recorder(f"{folder}/run", labels=[0, 1, 0, 1])
    ...     for epoch in (1, 10):
    ...         recorder.add(epoch, {"hidden": np.tanh(epoch * np.array([[0.1], [0.2], [-0.1], [0.3]]))})
    ...     recorded = recorder.recorded()
    ...     print(type(read_recording(f"{folder}/run")).__name__)
    Recorded
    """
    if is_recording(path):
        return Recorded.load(path)
    from deepnets.recordings.run import Run  # which needs JAX

    return Run.load(path)
