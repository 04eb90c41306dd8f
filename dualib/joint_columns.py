"""Columns of samples: numbers put into bins, and a warning where a column says nothing because it says everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import whole

if TYPE_CHECKING:
    import pandas as pd

MOSTLY_SEEN_ONCE = 0.9  # share of the samples whose symbol no other sample has, from which on a column is warned of


def binned(frame: pd.DataFrame, columns: Sequence[str], bins: int) -> pd.DataFrame:
    """The table with the numeric ones of some columns in bins of equal counts, as far as equal numbers allow.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str
        Those that are numeric and hold more than `bins` different numbers are replaced by their bins, named as intervals.
    bins : int
        At least 2.
    """
    import pandas as pd

    n = whole(bins, "bins", 2)
    numeric = [c for c in columns if pd.api.types.is_numeric_dtype(frame[c]) and frame[c].nunique() > n]
    for c in numeric:
        infinite = np.flatnonzero(np.isinf(frame[c].to_numpy(float, na_value=np.nan)))
        if len(infinite):
            raise ValueError(
                f"column {c!r}, row {infinite[0] + 2}: {frame[c].iloc[infinite[0]]} is in no bin; remove such samples first"
            )
    return frame.assign(
        **{c: pd.qcut(frame[c], n, duplicates="drop").astype(object).map(str, "ignore") for c in numeric}
    )


def seen_once(frame: pd.DataFrame, columns: Sequence[str], name: str) -> str:
    """A warning where nearly every sample has a symbol of its own in these columns together; "" where not."""
    first = ~frame.duplicated(list(columns), keep=False)
    alone, n = int(first.sum()), len(frame)
    if n < 2 or alone < MOSTLY_SEEN_ONCE * n:
        return ""
    what = " and ".join(map(repr, columns))
    return (
        f"{name} = {what} is different in {alone} of {n} rows: such a column tells the row, and with it the other variable, so "
        "that I(X;Y) is trivially as large as it can be. Bin its numbers (bins=10), or take columns whose values repeat"
    )
