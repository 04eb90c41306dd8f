"""Kernels of infinitely wide networks: computed, checked, kept."""

from ntkinfo.kernels.dense import dense
from ntkinfo.kernels.empirical import EmpiricalKernels, empirical
from ntkinfo.kernels.kernels import Kernels

__all__ = ["EmpiricalKernels", "Kernels", "dense", "empirical"]
