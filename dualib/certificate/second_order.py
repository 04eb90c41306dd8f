r"""Second-order bounds of G over a region: quadratics above it, and the regions around atoms in which it is concave."""

from __future__ import annotations

from functools import reduce

import numpy as np

from dualib.certificate.charts import Cells, Chart, Exponents, Tangent
from dualib.certificate.curvatures import Curvature
from dualib.certificate.dual_function import DualFunction
from dualib.core.special import EPS, expm1_gap_ratio
from dualib.core.typing import Bool, Float, FloatArray

COORDINATES = 16.0  # times 2⁻⁵², the rounding of steps between decoders that are given by coordinates


def tangent_slopes(
    g: DualFunction, chart: Chart, tangent: Tangent, vertices: Cells
) -> tuple[Exponents, Float[np.ndarray, "n _"]]:
    """By how much the tangents of the exponents −βd rise to vertices, and what rounding may take from that of every x, nats.

    Where β is so large that a matrix product would leave few digits, relative accuracy is what the terms have that count; the
    rest, of all β, is allowed for in :meth:`DualFunction.rounding`.
    """
    found = chart.accurate_exponents(tangent, vertices) if g.term_by_term else None
    if found is None:
        return g.beta * chart.exponents(tangent, vertices), np.zeros((len(vertices), 1))
    return g.beta * found[0], (COORDINATES * EPS * g.beta) * found[1]


def second_order_bound(
    beta: float,
    terms: Float[np.ndarray, "n n_x"],
    slopes: Exponents,
    steps: Cells,
    curvature: Curvature,
    ceiling: float,
) -> Float[np.ndarray, " n"]:
    """Log of an upper bound of :func:`quadratic` over simplex cells with vertices base + steps (N, k + 1, k).

    The largest Bernstein coefficient and, where that exceeds `ceiling`, the maximum of a concave one over all space.
    """
    base, linear, form = quadratic(beta, terms, slopes, slopes, steps, curvature)
    tiny = np.finfo(float).tiny  # a sum of terms that all underflow is below that
    base = np.maximum(base, tiny)
    control = base + over_vertices(
        np.maximum, (0.5 * (form + linear[:, :, None] + linear[:, None, :])).reshape(len(base), -1)
    )
    edges = form[:, 1:, 1:] - form[:, 1:, :1] - form[:, :1, 1:] + form[:, :1, :1]
    try_concave = np.flatnonzero(np.all(np.einsum("nkk->nk", edges) < 0.0, axis=1) & (control > np.exp(ceiling)))
    concave = concave_maximum(base[try_concave], (linear[:, 1:] - linear[:, :1])[try_concave], edges[try_concave])
    control[try_concave] = np.minimum(control[try_concave], concave)
    return np.asarray(np.log(np.maximum(control, tiny)))


def quadratic(
    beta: float,
    terms: Float[np.ndarray, "n n_x"],
    slopes: Exponents,
    along: Float[np.ndarray, "n n_d n_x"],
    directions: Float[np.ndarray, "n n_d k"],
    curvature: Curvature,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n_d"], Float[np.ndarray, "n n_d n_d"]]:
    r"""A quadratic above G over a region: base + linear · c + ½ cᵀ form c at the point base + Σ_d c_d direction_d.

    With b = β∇(−d)·δ and q = ½β δᵀDδ, each term is at most e^{b−q}, and over the region b ∈ [low, high], q ≤ q_max:
    e^{b−q} ≤ 1 + b + ½φ(high) b² − e^{low} (1 − e^{−q_max})/q_max · q.

    Parameters
    ----------
    beta : float
    terms : array, shape (n, n_x)
        The terms of G at the base.
    slopes : array, shape (n, v, n_x)
        b at the region's vertices.
    along : array, shape (n, n_d, n_x)
        b along the directions.
    directions : array, shape (n, n_d, k)
    curvature : Curvature
    """
    high, low = over_vertices(np.maximum, slopes), over_vertices(np.minimum, slopes)
    q_max = beta * curvature.largest()
    shrink = np.where(q_max > 1e-8, -np.expm1(-q_max) / np.maximum(q_max, 1e-8), 1.0 - 0.5e-8)
    linear = (along @ terms[:, :, None])[:, :, 0]
    convex = (along * (terms * expm1_gap_ratio(np.maximum(high, 0.0)))[:, None, :]) @ along.transpose(0, 2, 1)
    concave = beta * curvature.form(terms * np.exp(np.minimum(low, 60.0)) * shrink, directions)
    return terms @ np.ones(terms.shape[1]), linear, convex - concave


def concave_maximum(
    base: Float[np.ndarray, " n"], linear: Float[np.ndarray, "n k"], form: Float[np.ndarray, "n k k"]
) -> Float[np.ndarray, " n"]:
    """Maximum over all space of quadratics; infinite where they are not concave."""
    values, vectors = np.linalg.eigh(-form)
    projected = (linear[:, None, :] @ vectors)[:, 0]
    rise = 0.5 * (projected**2 / np.where(values > 0, values, 1.0)) @ np.ones(values.shape[1])
    return np.where(values[:, 0] > 0, base + rise, np.inf)


def over_vertices(operation: np.ufunc, array: Float[np.ndarray, "n v *rest"]) -> Float[np.ndarray, " n *rest"]:
    """Reduction over the short axis 1; NumPy's own is slow on short axes."""
    result: FloatArray = reduce(operation, (array[:, i] for i in range(array.shape[1])))
    return result


class ConcaveRegions:
    """Cross-polytopes around atoms in which log G ≤ the atom's own value + tolerance is proven by the second-order bound."""

    def __init__(self, g: DualFunction, chart: Chart, atoms: FloatArray, tolerance: float):
        u = chart.coordinates(atoms)
        tangent = chart.tangent(u, chart.guess(u))
        axes = chart.directions(tangent.r)
        log_terms = g.log_terms(tangent.r)
        log_g = np.log(np.exp(log_terms).sum(axis=1))
        ceiling = max(float(log_g.max()), 0.0) + tolerance
        reach, proven = np.zeros(len(u)), np.full(len(u), -np.inf)
        for radius in np.geomspace(3.0, 1e-3, 24):
            open_ = np.flatnonzero((reach == 0) & tangent.usable)
            if not len(open_):
                break
            t = tangent.take(open_)
            arms = axes[open_] * (radius / np.sqrt(g.beta))
            vertices = t.u[:, None, :] + np.concatenate([arms, -arms], axis=1)
            slopes, noise = tangent_slopes(g, chart, t, vertices)
            small = slopes.max(axis=(1, 2)) < 50.0
            slopes = np.clip(slopes, -50.0, 50.0)
            along = slopes[:, : chart.dimension]
            at_base = np.exp(np.minimum(log_terms[open_] + noise, 60.0))  # beyond, it is no region anyhow
            above = quadratic(g.beta, at_base, slopes, along, arms, chart.curvature(t, vertices))
            bound = np.log(concave_maximum(*above))
            good = small & (bound <= ceiling)
            reach[open_[good]], proven[open_[good]] = radius, bound[good]
        kept = np.flatnonzero(reach)
        self.upper = float(proven[kept].max(initial=-np.inf))
        self._inverse = np.linalg.inv(axes[kept] * (reach[kept, None, None] / np.sqrt(g.beta)))
        self._shift = np.einsum("bk,bkj->bj", tangent.u[kept], self._inverse)
        self._k = chart.dimension

    def contain(self, cells: Cells) -> Bool[np.ndarray, " n"]:
        """Which cells (N, v, k) lie in one region whole, shape (N,)."""
        n, v, k = cells.shape
        if not n or not len(self._inverse):
            return np.zeros(n, dtype=np.bool_)
        flat = self._inverse.transpose(1, 0, 2).reshape(k, -1)
        place = (cells.reshape(-1, k) @ flat).reshape(n, v, -1, k) - self._shift
        size = reduce(np.add, (np.abs(place[..., i]) for i in range(k)))
        return np.asarray(np.any(over_vertices(np.maximum, size) <= 1.0, axis=1))
