"""Kernels of infinitely wide networks: computed, checked, kept."""

from ntkinfo.kernels.dense import dense
from ntkinfo.kernels.kernels import Kernels

__all__ = ["Kernels", "dense"]
