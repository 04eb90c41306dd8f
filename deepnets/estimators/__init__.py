"""Estimates of I(X;T) and I(T;Y) of a network's layers, each with an interval and what it means.

Binning for deterministic networks (it measures clustering), SmoothedPlugin, PairwiseBounds and Quadrature for the first
noisy layer, ConditionalPlugin for deeper noisy layers, and measures of clustering. In nats and float64 throughout.
"""

from deepnets.estimators.binning import Binning
from deepnets.estimators.clustering import Clustering, clustering
from deepnets.estimators.conditional import ConditionalPlugin
from deepnets.estimators.layer_information import (
    Caution,
    Concern,
    LayerInformation,
    Side,
    Violation,
    dpi_violations,
)
from deepnets.estimators.pairwise import PairwiseBounds
from deepnets.estimators.quadrature import Quadrature
from deepnets.estimators.range_binning import RangeBinning
from deepnets.estimators.sensitivity import Sensitivity
from deepnets.estimators.smoothed_plugin import SmoothedPlugin
from dualib.core.estimate import Estimate, Kind

__all__ = [
    "Binning",
    "Caution",
    "Clustering",
    "Concern",
    "ConditionalPlugin",
    "Estimate",
    "Kind",
    "LayerInformation",
    "PairwiseBounds",
    "Quadrature",
    "RangeBinning",
    "Sensitivity",
    "Side",
    "SmoothedPlugin",
    "Violation",
    "clustering",
    "dpi_violations",
]
