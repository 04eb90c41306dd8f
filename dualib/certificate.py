r"""A proven interval for the global optimum F(β), from the maximum of G over the whole simplex.

For any measure ν over atoms r, with z_x = ∫ ν(dr) e^{−βd(x,r)} and G(r) = Σ_x p(x) e^{−βd(x,r)} / z_x,

.. math:: \Phi(\nu) - \log \max_r G(r) \;\le\; F(\beta) \;\le\; \Phi(\nu) = -\sum_x p(x) \log z_x .

This is the dual of the rate-distortion problem: s = 1/z, scaled down by max G, is feasible in F = max Σ p log s subject to
G ≤ 1 ([csiszar1974]_; for mixtures of likelihoods, [lindsay1983]_). What is left is a rigorous maximum of G: branch and
bound over simplex cells. Around every atom G is concave in a region that the second-order bound proves at once, so the search
does not have to resolve the maxima it already knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from dualib.charts import Chart, Curvature, Tangent, exponential_remainder
from dualib.core.typing import FloatArray
from dualib.problems import EPS, Bottleneck

CELL_ELEMENTS = 1 << 16  # exponentials computed at a time: half a megabyte, within the cache


@dataclass(frozen=True)
class Ceiling:
    """What is proven of max_r log G(r).

    Attributes
    ----------
    upper : proven upper bound of max log G, nats.
    lower : the largest log G that was met, nats; `argmax` is its atom, shape (n_y,).
    cells : number of cells examined.
    complete : whether upper ≤ max(lower, 0) + tolerance was reached within the allowed number of cells.
    """

    upper: float
    lower: float
    argmax: FloatArray
    cells: int
    complete: bool


class DualFunction:
    """G(r) = Σ_x w_x exp(−β d(x, r)) with log-weights log w (n_x,), and its bounds in a chart."""

    def __init__(self, problem: Bottleneck, beta: float, log_weights: FloatArray):
        self.problem, self.beta, self.log_weights = problem, beta, log_weights

    def log_terms(self, r: FloatArray) -> FloatArray:
        """log w_x − β d(x, r_t), shape (n_t, n_x)."""
        return self.log_weights - self.beta * self.problem.distortion_at(self.beta, r)

    def log(self, r: FloatArray) -> FloatArray:
        """log G at atoms, shape (n_t,)."""
        terms = self.log_terms(r)
        top = terms.max(axis=1)
        return top + np.log(np.exp(terms - top[:, None]).sum(axis=1))

    def ascend(self, r: FloatArray, steps: int) -> FloatArray:
        """Atoms after `steps` of r ← decoder of the posterior w_x e^{−βd} / G; G never falls."""
        for _ in range(steps):
            terms = self.log_terms(r)
            r = self.problem.decode(np.exp(terms - terms.max(axis=1, keepdims=True)))
        return r

    def rounding(self) -> float:
        """Allowance for floating-point error in log G and in its bounds over cells, nats."""
        return self.relative_rounding() + float(16 * EPS * self.beta * self.problem.rounding_scale)

    def relative_rounding(self) -> float:
        """Allowance where β d is known to relative accuracy: a term counts only while β d is not far above its log w."""
        return float(32 * EPS * (2.0 + np.abs(self.log_weights).max()))


def max_log_g(g: DualFunction, chart: Chart, atoms: FloatArray, tolerance: float, max_cells: int) -> Ceiling:
    """Rigorous maximum of log G by branch and bound.

    Parameters
    ----------
    g, chart : the function and the coordinates to search in.
    atoms : (n_t, n_y), where G is known to be large; concave regions are proven around them.
    tolerance : nats; cells that cannot exceed max(best log G, 0) + tolerance are dropped.
    max_cells : the search stops there, with a valid but larger upper bound.
    """
    log_g = g.log(atoms)
    best, argmax = float(log_g.max()), atoms[log_g.argmax()]
    regions = _ConcaveRegions(g, chart, atoms, tolerance)
    cells, guess = chart.root()[None], chart.guess(chart.root().mean(axis=0, keepdims=True))
    size = max(16, CELL_ELEMENTS // (len(g.log_weights) * (chart.dimension + 1)))
    examined, upper, left = 0, max(best, regions.upper), -np.inf
    while len(cells):
        if examined >= max_cells:
            left = max(
                _bound(g, chart, cells[i : i + size], guess[i : i + size])[0].max() for i in range(0, len(cells), size)
            )
            break
        halves, guesses = [], []
        for i in range(0, len(cells), size):
            ceiling = max(best, 0.0) + tolerance
            cell, start = cells[i : i + size], guess[i : i + size]
            examined += len(cell)
            bound, tangent, value = _bound(g, chart, cell, start, ceiling)
            if value.max() > best:
                best, argmax = float(value.max()), tangent.r[value.argmax()]
            keep = bound > ceiling
            upper = max(upper, bound[~keep].max(initial=-np.inf))
            keep[keep] = ~(chart.outside(cell[keep]) | regions.contain(cell[keep]))
            halves += _bisect(cell[keep], chart.stretch(tangent.take(keep)))
            guesses += [tangent.state[keep]] * 2
        cells, guess = np.concatenate(halves), np.concatenate(guesses)
    upper = max(upper, best, left)
    return Ceiling(upper, best, argmax, examined, upper <= max(best, 0.0) + tolerance)


def pairwise_log_ceiling(g: DualFunction) -> float:
    r"""A proven, usually loose, upper bound of max log G in any dimension, from pairs of x.

    Where x* has the least distortion to r, d(x, r) ≥ ½[d(x, r) + d(x*, r)] ≥ m(x, x*) = min_r ½[d(x, r) + d(x*, r)]. Hence
    max G ≤ max_{x*} Σ_x w_x e^{−β m(x, x*)}. (Derived here.) It tends to 0 as β → ∞.
    """
    ceiling, n = -np.inf, len(g.log_weights)
    size = n if n <= 256 else 1
    for i in range(0, n, size):
        log_terms = g.log_weights - g.beta * np.stack([g.problem.pair_distortions(j) for j in range(i, i + size)])
        top = log_terms.max(axis=1)
        ceiling = max(ceiling, float((top + np.log(np.exp(log_terms - top[:, None]).sum(axis=1))).max()))
    return ceiling + g.relative_rounding()


def _bound(
    g: DualFunction, chart: Chart, cells: FloatArray, guess: FloatArray, ceiling: float = -np.inf
) -> tuple[FloatArray, Tangent, FloatArray]:
    """Upper bounds of log G on the cells, with their tangents and log G at the bases.

    By the tangent, G ≤ Σ_x exp(affine), which is convex: its maximum is at a vertex. Where that does not fall below
    `ceiling`, the second-order bound is tried too.
    """
    tangent = chart.tangent(cells.mean(axis=1), guess, cells)
    terms = g.log_terms(tangent.r)
    slopes = g.beta * chart.exponents(tangent, cells)
    one = np.ones(terms.shape[1])
    # Beyond e^60 a cell fails anyhow; the clip keeps inf and nan out.
    at_vertices = np.exp(np.minimum(terms[:, None, :] + slopes, 60.0)) @ one
    terms = np.exp(terms)
    with np.errstate(divide="ignore"):
        log_bound = np.log(_over_vertices(np.maximum, at_vertices))
        value = np.where(tangent.usable, np.log(terms @ one), -np.inf)  # a base off the chart is no distribution
    again = np.flatnonzero((log_bound > ceiling) & (log_bound < 3.0) & tangent.usable)
    if len(again) and np.isfinite(ceiling):
        part = tangent.take(again)
        steps = cells[again] - part.u[:, None, :]
        second = _second_order(g.beta, terms[again], slopes[again], steps, chart.curvature(part, cells[again]), ceiling)
        log_bound[again] = np.minimum(log_bound[again], second)
    return log_bound, tangent, value


def _second_order(
    beta: float, terms: FloatArray, slopes: FloatArray, steps: FloatArray, curvature: Curvature, ceiling: float
) -> FloatArray:
    """log of an upper bound of :func:`_quadratic` over simplex cells with vertices base + steps (N, k + 1, k).

    The largest Bernstein coefficient and, where that exceeds `ceiling`, the maximum of a concave one over all space.
    """
    base, linear, form = _quadratic(beta, terms, slopes, slopes, steps, curvature)
    tiny = np.finfo(float).tiny  # a sum of terms that all underflow is below that
    base = np.maximum(base, tiny)
    control = base + _over_vertices(
        np.maximum, (0.5 * (form + linear[:, :, None] + linear[:, None, :])).reshape(len(base), -1)
    )
    edges = form[:, 1:, 1:] - form[:, 1:, :1] - form[:, :1, 1:] + form[:, :1, :1]
    try_concave = np.flatnonzero(np.all(np.einsum("nkk->nk", edges) < 0.0, axis=1) & (control > np.exp(ceiling)))
    concave = _concave_maximum(base[try_concave], (linear[:, 1:] - linear[:, :1])[try_concave], edges[try_concave])
    control[try_concave] = np.minimum(control[try_concave], concave)
    return np.log(np.maximum(control, tiny))


def _quadratic(
    beta: float, terms: FloatArray, slopes: FloatArray, along: FloatArray, directions: FloatArray, curvature: Curvature
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""A quadratic above G over a region: base + linear · c + ½ cᵀ form c at the point base + Σ_d c_d direction_d.

    With b = β∇(−d)·δ and q = ½β δᵀDδ, each term is at most e^{b−q}, and over the region b ∈ [low, high], q ≤ q_max:
    e^{b−q} ≤ 1 + b + ½φ(high) b² − e^{low} (1 − e^{−q_max})/q_max · q.

    Parameters
    ----------
    terms : (N, n_x), the terms of G at the base; slopes : (N, v, n_x), b at the region's vertices;
    along : (N, n_d, n_x), b along the directions (N, n_d, k).
    """
    high, low = _over_vertices(np.maximum, slopes), _over_vertices(np.minimum, slopes)
    q_max = beta * curvature.largest()
    shrink = np.where(q_max > 1e-8, -np.expm1(-q_max) / np.maximum(q_max, 1e-8), 1.0 - 0.5e-8)
    linear = (along @ terms[:, :, None])[:, :, 0]
    convex = (along * (terms * exponential_remainder(np.maximum(high, 0.0)))[:, None, :]) @ along.transpose(0, 2, 1)
    concave = beta * curvature.form(terms * np.exp(np.minimum(low, 60.0)) * shrink, directions)
    return terms @ np.ones(terms.shape[1]), linear, convex - concave


def _concave_maximum(base: FloatArray, linear: FloatArray, form: FloatArray) -> FloatArray:
    """Maximum over all space of quadratics; infinite where they are not concave."""
    values, vectors = np.linalg.eigh(-form)
    projected = (linear[:, None, :] @ vectors)[:, 0]
    rise = 0.5 * (projected**2 / np.where(values > 0, values, 1.0)) @ np.ones(values.shape[1])
    return np.where(values[:, 0] > 0, base + rise, np.inf)


def _over_vertices(operation: np.ufunc, array: FloatArray) -> FloatArray:
    """Reduction over the short axis 1; NumPy's own is slow on short axes."""
    result: FloatArray = reduce(operation, (array[:, i] for i in range(array.shape[1])))
    return result


class _ConcaveRegions:
    """Cross-polytopes around atoms in which log G ≤ the atom's own value + tolerance is proven by the second-order bound."""

    def __init__(self, g: DualFunction, chart: Chart, atoms: FloatArray, tolerance: float):
        u = chart.coordinates(atoms)
        tangent = chart.tangent(u, chart.guess(u))
        axes = chart.directions(tangent.r)
        terms = np.exp(g.log_terms(tangent.r))
        log_g = np.log(terms.sum(axis=1))
        ceiling = max(float(log_g.max()), 0.0) + tolerance
        reach, proven = np.zeros(len(u)), np.full(len(u), -np.inf)
        for radius in np.geomspace(3.0, 1e-3, 24):
            open_ = np.flatnonzero((reach == 0) & tangent.usable)
            if not len(open_):
                break
            t = tangent.take(open_)
            arms = axes[open_] * (radius / np.sqrt(g.beta))
            vertices = t.u[:, None, :] + np.concatenate([arms, -arms], axis=1)
            slopes = g.beta * chart.exponents(t, vertices)
            small = slopes.max(axis=(1, 2)) < 50.0
            slopes = np.clip(slopes, -50.0, 50.0)
            along = slopes[:, : chart.dimension]
            quadratic = _quadratic(g.beta, terms[open_], slopes, along, arms, chart.curvature(t, vertices))
            bound = np.log(_concave_maximum(*quadratic))
            good = small & (bound <= ceiling)
            reach[open_[good]], proven[open_[good]] = radius, bound[good]
        kept = np.flatnonzero(reach)
        self.upper = float(proven[kept].max(initial=-np.inf))
        self._inverse = np.linalg.inv(axes[kept] * (reach[kept, None, None] / np.sqrt(g.beta)))
        self._shift = np.einsum("bk,bkj->bj", tangent.u[kept], self._inverse)
        self._k = chart.dimension

    def contain(self, cells: FloatArray) -> np.ndarray:
        """Which cells (N, v, k) lie in one region whole, shape (N,)."""
        n, v, k = cells.shape
        if not n or not len(self._inverse):
            return np.zeros(n, bool)
        flat = self._inverse.transpose(1, 0, 2).reshape(k, -1)
        place = (cells.reshape(-1, k) @ flat).reshape(n, v, -1, k) - self._shift
        size = reduce(np.add, (np.abs(place[..., i]) for i in range(k)))
        return np.any(_over_vertices(np.maximum, size) <= 1.0, axis=1)


def _bisect(cells: FloatArray, stretch: FloatArray) -> list[FloatArray]:
    """The two halves of every simplex (N, k + 1, k), cut across the edge that is longest in the local metric."""
    n, v, _ = cells.shape
    first, second = np.triu_indices(v, 1)
    edges = (cells[:, first] - cells[:, second]) @ stretch
    longest = np.einsum("nek,nek->ne", edges, edges).argmax(axis=1)
    a, b, rows = first[longest], second[longest], np.arange(n)
    middle = 0.5 * (cells[rows, a] + cells[rows, b])
    left, right = cells.copy(), cells.copy()
    left[rows, a], right[rows, b] = middle, middle
    return [left, right]
