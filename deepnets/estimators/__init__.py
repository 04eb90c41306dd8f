"""Estimates of I(X;T) and I(T;Y) of a network's layers, each with an interval and what it means.

Binning for deterministic networks (it measures clustering), SmoothedPlugin, PairwiseBounds and Quadrature for the first
noisy layer, ConditionalPlugin for deeper noisy layers, and measures of clustering. In nats and float64 throughout.
"""

from .binning import Binning
from .clustering import Clustering, clustering
from .conditional import ConditionalPlugin
from .estimate import Estimate, LayerInformation, Violation, dpi_violations
from .pairwise import PairwiseBounds
from .quadrature import Quadrature
from .sensitivity import Sensitivity
from .smoothed_plugin import SmoothedPlugin

__all__ = [
    "Binning",
    "Clustering",
    "ConditionalPlugin",
    "Estimate",
    "LayerInformation",
    "PairwiseBounds",
    "Quadrature",
    "Sensitivity",
    "SmoothedPlugin",
    "Violation",
    "clustering",
    "dpi_violations",
]
