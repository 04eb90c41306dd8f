"""Binning for units that do not saturate: cells between the extremes of a whole run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RangeBinning:
    """Binning between the least and the largest activation of the hidden layers over a replica's whole run.

    It is for units that do not saturate ([saxe2018]_). Softmax outputs keep the edges of :class:`deepnets.Binning`; other
    last layers have those of their own range.

    Parameters
    ----------
    bins : int
        Number of edges.
    """

    bins: int = 30
