"""Binning for units that do not saturate: cells between the extremes of a whole run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RangeBinning:
    """Binning between the least and the largest activation of the hidden layers over a replica's whole run.

    It is for units that do not saturate ([saxe2018]_). Hidden layers that are known to have bounds, as of tanh, have cells of
    their own, in common with those of the same bounds. Softmax outputs keep the edges of :class:`deepnets.Binning`; other
    last layers have those of their own range.

    Parameters
    ----------
    bins : int
        Number of edges.
    sampled : bool
        Whether the patterns are a sample of a population, as in :class:`deepnets.Binning`.

    Examples
    --------
    >>> import deepnets
    >>> plane = deepnets.information_plane(recorded, RangeBinning(4), progress=False)
    >>> plane.rate.value.shape  # replica, snapshot, layer
    (1, 2, 2)
    """

    bins: int = 30
    sampled: bool = False

    @property
    def method(self) -> str:
        """How its estimates are made, of whatever edges."""
        return f"binned activations, {self.bins} edges over the range of a run{', jackknife' * self.sampled}"
