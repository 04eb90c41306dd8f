"""Exponential families p(y|x), their maximum-likelihood fit, and the dual bottleneck in their natural parameters."""

from dualib.exponential.bottleneck import ExponentialSolution, solve_exponential
from dualib.exponential.family import ExponentialFamily
from dualib.exponential.fit import ExponentialFit, fit_exponential_family
from dualib.exponential.sample_size import SampleSizeExperiment, sample_size_experiment

__all__ = [
    "ExponentialFamily",
    "ExponentialFit",
    "ExponentialSolution",
    "SampleSizeExperiment",
    "fit_exponential_family",
    "sample_size_experiment",
    "solve_exponential",
]
