"""Figures."""

from deepnets.plotting.planes import plot_against_epochs, plot_plane, plot_planes, plot_replicas, plot_snapshots

__all__ = ["plot_against_epochs", "plot_plane", "plot_planes", "plot_replicas", "plot_snapshots"]
