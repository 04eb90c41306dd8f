"""Repetitions into estimates with intervals: :mod:`dualib.core.statistics` under its public name."""

from dualib.core.statistics import (
    bootstrap,
    correlation,
    difference,
    finite,
    geometric_mean,
    mean,
    median,
    pair_mean,
    repetitions,
    share,
    standard_deviation,
)

__all__ = [
    "bootstrap",
    "correlation",
    "difference",
    "finite",
    "geometric_mean",
    "mean",
    "median",
    "pair_mean",
    "repetitions",
    "share",
    "standard_deviation",
]
