"""Kernels of infinitely wide networks: computed, checked, kept."""

from ntkinfo.kernels.kernels import Kernels

__all__ = ["Kernels"]
