"""Gaussian vectors: entropies, and the IB and dualIB in closed form; all in nats."""

from dualib.gaussian.bottleneck import GaussianCurve, GaussianDualIB, GaussianIB
from dualib.gaussian.measures import gaussian_entropy, gaussian_kl, gaussian_mutual_information

__all__ = [
    "GaussianCurve",
    "GaussianDualIB",
    "GaussianIB",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussian_mutual_information",
]
