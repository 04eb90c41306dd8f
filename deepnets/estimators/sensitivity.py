"""Binned informations against the number of bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """I(X;T̂) and I(T̂;Y) of one layer at several bin counts, in nats.

    Parameters
    ----------
    bins : number of edges, shape (k,), increasing.
    input, label : values, shape (k,).
    """

    bins: NDArray[np.int64]
    input: NDArray[np.float64]
    label: NDArray[np.float64]

    def to_frame(self, units: Units = "nats") -> pd.DataFrame:
        """One row a bin count, the unit in the names of the columns."""
        import pandas as pd

        values = {f"I(X;T) [{units}]": to_units(self.input, units), f"I(T;Y) [{units}]": to_units(self.label, units)}
        return pd.DataFrame({"bins": self.bins, **values})

    def plot(self, ax: Any = None, units: Units = "bits") -> Any:
        """Both informations against the bin count, logarithmic; returns the axes."""
        from matplotlib import pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        for name, values in (("I(X;T)", self.input), ("I(T;Y)", self.label)):
            ax.semilogx(self.bins, to_units(values, units), marker="o", label=name)
        ax.set(xlabel="number of bin edges", ylabel=f"information [{units}]")
        ax.legend()
        return ax
