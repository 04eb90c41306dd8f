"""Information bottleneck and dual information bottleneck curves, each point with a proven interval.

Everything is in nats and in float64; ``units="bits"`` exists only at the edges (tables, plots, command line).
"""

from dualib.curves.locate import Transition
from dualib.curves.transitions import find_transitions, first_transition, local_critical_beta
from dualib.solution import Solution, solve
from dualib.solvers.options import Certify
from dualib.verification import Verification, verify

from . import examples
from .curve import CurvePoint, InformationCurve, information_curve
from .exponential import (
    ExponentialFamily,
    fit_exponential_family,
    sample_size_experiment,
    solve_exponential,
)
from .gaussian import GaussianCurve, GaussianIB, gaussian_entropy, gaussian_kl, gaussian_mutual_information
from .joint import Joint, Merged
from .measures import conditional_entropy, entropy, jensen_shannon_divergence, kl_divergence, mutual_information
from .plotting import plot_bifurcation, plot_information_plane, plot_objective
from .problems import IB, AlphaIB, Bottleneck, DualIB
from .refinement import default_betas
from .sampling import HeldOut, SampledCurve, bootstrap_curve, held_out_relevance

__all__ = [
    "IB",
    "AlphaIB",
    "Bottleneck",
    "Certify",
    "CurvePoint",
    "DualIB",
    "ExponentialFamily",
    "GaussianCurve",
    "GaussianIB",
    "HeldOut",
    "InformationCurve",
    "Joint",
    "Merged",
    "SampledCurve",
    "Solution",
    "Transition",
    "Verification",
    "bootstrap_curve",
    "conditional_entropy",
    "default_betas",
    "entropy",
    "examples",
    "find_transitions",
    "first_transition",
    "fit_exponential_family",
    "gaussian_entropy",
    "gaussian_kl",
    "gaussian_mutual_information",
    "held_out_relevance",
    "information_curve",
    "jensen_shannon_divergence",
    "kl_divergence",
    "local_critical_beta",
    "mutual_information",
    "plot_bifurcation",
    "plot_information_plane",
    "plot_objective",
    "sample_size_experiment",
    "solve",
    "solve_exponential",
    "verify",
]
