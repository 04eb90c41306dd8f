"""A proven interval for the optimum: rigorous searches for the maximum of the dual function G."""

from dualib.certificate.dual_function import Ceiling, DualFunction, pairwise_log_ceiling
from dualib.certificate.search import Method, search_maximum

__all__ = ["Ceiling", "DualFunction", "Method", "pairwise_log_ceiling", "search_maximum"]
