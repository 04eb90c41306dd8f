from .kernels import Kernels
from .monte_carlo import EmpiricalKernels, empirical
from .recursion import dense

__all__ = ["EmpiricalKernels", "Kernels", "dense", "empirical"]
