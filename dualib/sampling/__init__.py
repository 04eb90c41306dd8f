"""Curves from samples: how biased, how uncertain, and which β the data support."""

from dualib.sampling.bootstrap import SampledCurve, bootstrap_curve
from dualib.sampling.held_out import HeldOut, held_out_relevance

__all__ = ["HeldOut", "SampledCurve", "bootstrap_curve", "held_out_relevance"]
