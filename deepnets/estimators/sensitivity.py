"""Binned informations against the number of bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators.layer_information import Side
from dualib.core.figure import axes_or_new, describe
from dualib.core.result import Result
from dualib.core.typing import Float, Int
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Sensitivity(Result):
    """I(X;T̂) and I(T̂;Y) of one layer at several bin counts, in nats.

    Attributes
    ----------
    bins : int array, shape (k,)
        Numbers of edges, increasing.
    rate, relevance : array, shape (k,)
    """

    bins: Int[np.ndarray, " k"]
    rate: Float[np.ndarray, " k"]
    relevance: Float[np.ndarray, " k"]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a bin count, the unit in the names of the columns."""
        import pandas as pd

        values = {f"{name}_{units}": to_units(getattr(self, name), units) for name in ("rate", "relevance")}
        return pd.DataFrame({"bins": self.bins, **values})

    def plot(self, ax: Axes | None = None, units: Units = "bits") -> Axes:
        """Both informations against the bin count, logarithmic; returns the axes."""
        ax = axes_or_new(ax)
        for side, values in ((Side.RATE, self.rate), (Side.RELEVANCE, self.relevance)):
            ax.semilogx(self.bins, to_units(values, units), marker="o", label=side.value)
        describe(ax, "number of bin edges", f"information [{units}]")
        return ax
