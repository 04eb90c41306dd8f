"""How a bottleneck problem is solved: searches, which prove nothing, and what sets them against dualib.certificate."""

from dualib.solvers.hard import HardClusterings, agglomerative_ib, deterministic_ib, sequential_ib
from dualib.solvers.options import Certify

__all__ = ["Certify", "HardClusterings", "agglomerative_ib", "deterministic_ib", "sequential_ib"]
