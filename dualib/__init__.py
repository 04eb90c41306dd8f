"""Information bottleneck and dual information bottleneck curves, each point with a proven interval.

Everything is in nats and in float64; ``units="bits"`` exists only at the edges (tables, plots, command line).
"""

from .joint import Joint, Merged
from .problems import IB, AlphaIB, Bottleneck, DualIB

__all__ = ["IB", "AlphaIB", "Bottleneck", "DualIB", "Joint", "Merged"]
