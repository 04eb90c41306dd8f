"""The maximum of log G by branch and bound over simplex cells of a chart.

Around every atom G is concave in a region that the second-order bound proves at once, so the search does not have to resolve
the maxima it already knows.
"""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms
from dualib.certificate.ceiling import Ceiling, Method
from dualib.certificate.charts import Cells, Chart, Points, Tangent
from dualib.certificate.dual_function import DualFunction
from dualib.certificate.second_order import ConcaveRegions, over_vertices, second_order_bound, tangent_slopes
from dualib.core.typing import Float, FloatArray

HIDDEN = 2.0  # times the rounding at its base that a bound may lie above G there, for its cell not to be cut
CELL_ELEMENTS = 1 << 16  # exponentials computed at a time: half a megabyte, within the cache


def max_log_g(g: DualFunction, chart: Chart, atoms: Atoms, tolerance: float, max_cells: int) -> Ceiling:
    """Rigorous maximum of log G by branch and bound; cells whose bounds owe their height to rounding are not cut.

    Parameters
    ----------
    g : DualFunction
    chart : Chart
        The coordinates to search in.
    atoms : array, shape (n_t, n_y)
        Where G is known to be large; concave regions are proven around them.
    tolerance : float
        Cells that cannot exceed max(best log G, 0) + tolerance (nats) are dropped.
    max_cells : int
        The search stops there, with a valid but larger upper bound.
    """
    log_g = g.log(atoms)
    best, argmax = float(log_g.max()), atoms[log_g.argmax()]
    regions = ConcaveRegions(g, chart, atoms, tolerance)
    cells, guess = chart.root()[None], chart.guess(chart.root().mean(axis=0, keepdims=True))
    size = max(16, CELL_ELEMENTS // (len(g.log_weights) * (chart.dimension + 1)))
    examined, upper, left, exhausted = 0, max(best, regions.upper), -np.inf, False
    while len(cells):
        if examined >= max_cells:
            left = max(
                cell_bound(g, chart, cells[i : i + size], guess[i : i + size])[0].max()
                for i in range(0, len(cells), size)
            )
            break
        halves, guesses = [], []
        for i in range(0, len(cells), size):
            ceiling = max(best, 0.0) + tolerance
            cell, start = cells[i : i + size], guess[i : i + size]
            examined += len(cell)
            bound, tangent, value, noise = cell_bound(g, chart, cell, start, ceiling)
            if value.max() > best:
                best, argmax = float(value.max()), tangent.r[value.argmax()]
            keep = bound > ceiling
            closed = ~keep
            keep[keep] = ~(chart.outside(cell[keep]) | regions.contain(cell[keep]))
            hidden = keep & (bound <= value + HIDDEN * noise)
            upper, exhausted = max(upper, bound[closed | hidden].max(initial=-np.inf)), exhausted | bool(hidden.any())
            keep &= ~hidden
            halves += _bisect(cell[keep], chart.stretch(tangent.take(keep)))
            guesses += [tangent.state[keep]] * 2
        cells, guess = np.concatenate(halves), np.concatenate(guesses)
    upper = max(upper, best, left)
    complete = upper <= max(best, 0.0) + tolerance
    return Ceiling(upper, best, argmax, examined, complete, Method.DECODERS, exhausted=exhausted and left == -np.inf)


def cell_bound(
    g: DualFunction, chart: Chart, cells: Cells, guess: Points, ceiling: float = -np.inf
) -> tuple[Float[np.ndarray, " n"], Tangent, Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Upper bounds of log G on the cells, with their tangents, log G at the bases, and by how much rounding raises it there.

    By the tangent, G ≤ Σ_x exp(affine), which is convex: its maximum is at a vertex. Where that does not fall below
    `ceiling`, the second-order bound is tried too.
    """
    tangent = chart.tangent(cells.mean(axis=1), guess, cells)
    at_base = g.log_terms(tangent.r)
    slopes, noise = tangent_slopes(g, chart, tangent, cells)
    terms, one = at_base + noise, np.ones(at_base.shape[1])
    # Beyond e^60 a cell fails anyhow; the clip keeps inf and nan out.
    at_vertices = np.exp(np.minimum(terms[:, None, :] + slopes, 60.0)) @ one
    terms = np.exp(np.minimum(terms, 60.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_bound = np.log(over_vertices(np.maximum, at_vertices))
        # A base off the chart is no distribution.
        value = np.where(tangent.usable, np.log(np.exp(at_base) @ one), -np.inf)
        raised = np.where(value > -np.inf, np.log(terms @ one) - value, 0.0)
    again = np.flatnonzero((log_bound > ceiling) & (log_bound < 3.0) & tangent.usable)
    if len(again) and np.isfinite(ceiling):
        part = tangent.take(again)
        steps = cells[again] - part.u[:, None, :]
        second = second_order_bound(
            g.beta, terms[again], slopes[again], steps, chart.curvature(part, cells[again]), ceiling
        )
        log_bound[again] = np.minimum(log_bound[again], second)
    return log_bound, tangent, value, raised


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
