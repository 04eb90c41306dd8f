"""Figures of planes, of single layers, of runs beside one another, and of finite widths against infinite ones."""

from deepnets.plotting.layers import plot_gradient_phases, plot_label_separation, plot_layers_against_bottleneck
from deepnets.plotting.planes import plot_against_epochs, plot_plane, plot_planes, plot_replicas, plot_snapshots
from deepnets.plotting.relaxation import plot_relaxations
from deepnets.plotting.runs import plot_bound, plot_comparison, plot_twins
from deepnets.plotting.widths import plot_finite_plane, plot_quantity

__all__ = [
    "plot_against_epochs",
    "plot_bound",
    "plot_comparison",
    "plot_finite_plane",
    "plot_gradient_phases",
    "plot_label_separation",
    "plot_layers_against_bottleneck",
    "plot_plane",
    "plot_planes",
    "plot_quantity",
    "plot_relaxations",
    "plot_replicas",
    "plot_snapshots",
    "plot_twins",
]
