"""Tables and sources to print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

NEGLIGIBLE = 1e-4
"""Below it, and below that part of its column's largest entry, a number is shown as "~0"; files have all digits."""


def text_table(frame: pd.DataFrame) -> str:
    """`frame` with four digits; "~0" for what is below :data:`NEGLIGIBLE`."""
    shown = frame.copy()
    for name in frame.columns:
        values = frame[name].to_numpy()
        if values.dtype.kind != "f":
            continue
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        floor = 0.0 if name == "tau" else NEGLIGIBLE * min(largest, 1.0)
        shown[name] = [_number(float(value), floor) for value in values]
    return str(shown.to_string(index=False))


def printed(source: str) -> str:
    """A source as it is printed: its references have the underscore that makes them links in the documentation.

    Examples
    --------
    >>> printed("[xu2017]_ theorem 1")
    '[xu2017] theorem 1'
    """
    return source.replace("]_", "]")


def _number(value: float, floor: float) -> str:
    return "~0" if value != 0 and abs(value) < floor else f"{value:.4g}"
