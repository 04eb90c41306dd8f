"""What a paper's programs are made of: settings, experiments that return arrays, measurements and figures made of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from dualib.core.estimate import Estimate
from dualib.core.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a paper's settings, which are its run.py's ``Settings`` and stand in settings.toml, one table a mode."""


SettingsType = TypeVar("SettingsType", bound=Settings)

Arrays = Mapping[str, NDArray[Any]]
"""What an experiment leaves on disk."""
Results = Mapping[str, Arrays]
"""The arrays of every experiment of a paper."""
Values = Mapping[str, ArrayLike]
"""What an experiment returns: arrays and numbers."""
Experiment = Callable[[SettingsType, int, Path], Values]
"""Of the settings, the seed, and a folder for work that can be gone on with."""
Measure = Callable[[Results], Mapping[str, Estimate]]
Figures = Callable[[Results], Mapping[str, "Figure"]]
