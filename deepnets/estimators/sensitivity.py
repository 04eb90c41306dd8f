"""Binned informations against the number of bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators.layer_information import Side
from dualib.core.figure import axes_or_new, describe, line_style, marker
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

    Examples
    --------
    >>> import numpy as np
    >>> import deepnets
    >>> t, law = np.array([[-0.5], [-0.4], [0.8], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> found = deepnets.Binning(4).sensitivity(t, law, bins=[2, 4])
    >>> found.bins, found.rate.round(4)
    (array([2, 4]), array([0.    , 0.6931]))
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
        for i, (side, values) in enumerate(((Side.RATE, self.rate), (Side.RELEVANCE, self.relevance))):
            ax.plot(
                self.bins, to_units(values, units), marker=marker(i), markersize=3, label=side.value, **line_style(i)
            )
        ax.set_xscale("log", base=2)
        describe(ax, "number of bin edges", f"information [{units}]")
        return ax
