"""Which search bounds the maximum of log G: over the decoders, or over the posteriors of the few x."""

from __future__ import annotations

from enum import StrEnum

from dualib.bottleneck import Atoms, Bottleneck
from dualib.certificate.charts import chart_of
from dualib.certificate.dual_function import Ceiling, DualFunction
from dualib.certificate.simplex import max_log_g
from dualib.certificate.weights import max_log_g_over_weights
from dualib.hull import HullKind


class Method(StrEnum):
    """Where a lower bound of F(β) comes from."""

    DECODERS = "branch and bound over the decoders"
    POSTERIORS = "branch and bound over the posteriors of x"
    PAIRS = "distances between pairs of x"
    SIGN = "F is not negative"


def search_for(problem: Bottleneck) -> Method:
    """The search for a problem: of two of the same dimension the one that does not know how small a p(y|x) is."""
    hull = problem.hull
    few = hull.kind is HullKind.LOG_MIXTURES and len(problem.p_x) == hull.dimension + 1
    return Method.POSTERIORS if few else Method.DECODERS


def search_maximum(g: DualFunction, atoms: Atoms, tolerance: float, max_cells: int) -> Ceiling:
    """Rigorous maximum of log G; arguments as for :func:`dualib.certificate.simplex.max_log_g`."""
    if search_for(g.problem) is Method.POSTERIORS:
        return max_log_g_over_weights(g, atoms, tolerance, max_cells)
    return max_log_g(g, chart_of(g.problem), atoms, tolerance, max_cells)
