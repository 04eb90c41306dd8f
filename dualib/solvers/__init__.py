"""How a bottleneck problem is solved: the searches, none of which proves anything (the proof is in dualib.certificate)."""

from dualib.solvers.hard import HardClusterings, agglomerative_ib, deterministic_ib, sequential_ib

__all__ = ["HardClusterings", "agglomerative_ib", "deterministic_ib", "sequential_ib"]
