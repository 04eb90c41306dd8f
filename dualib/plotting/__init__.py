"""Figures of bottleneck curves: the information plane, the bifurcation diagram, the objective with its proven bracket, samples.

Each function draws into `ax`, or into a new column-wide figure where that is None, and returns the axes: save with
``ax.figure.savefig(path)``. No pyplot state and no rcParams are touched, and a second call on the same axes adds to the first.
"""

from dualib.plotting.bifurcation import plot_bifurcation
from dualib.plotting.objective import plot_objective
from dualib.plotting.plane import plot_information_plane
from dualib.plotting.samples import plot_samples

__all__ = ["plot_bifurcation", "plot_information_plane", "plot_objective", "plot_samples"]
