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
    >>> type(read_recording(recorded.path)).__name__
    'Recorded'
    """
    if is_recording(path):
        return Recorded.load(path)
    from deepnets.recordings.run import Run  # which needs JAX

    return Run.load(path)
