r"""How fast the entropy of q falls off about the q that bounds a box: what there is to relax is curvature along few directions.

Let q ∝ a e^{μ·p} and E = p_q. For any q' with s' = p_q' and any θ, D(q'‖q) ≥ θ·(s' − E) − log E_q e^{θ·(p−E)}. Take θ_y = (s'_y − E_y)/d_y with
numbers d > 0, and let M_x be at least θ·(p_x − E) for every s' in the box. As e^z ≤ 1 + z + ½ φ(M) z² for z ≤ M, φ(z) = 2 (e^z − 1 − z)/z²,

.. math:: \log \mathbb{E}_q e^{θ·(p-E)} \le \tfrac12 θ^T Q θ, \quad Q = \sum_x q_x φ(M_x) (p_x - E)(p_x - E)^T, \quad
          D(q'\|q) \ge \Big(1 - \frac{κ}{2}\Big) \sum_y \frac{(s'_y - E_y)^2}{d_y}

with the largest eigenvalue κ of Q in units of d. (Derived here.) In the bound of a box (:func:`dualib.certificate.boxes.bounds.bound_at`) this is
a split (:mod:`dualib.certificate.boxes.splits`) by parabolas, m = (2 − κ)/d, as far as they are less steep than β s log s. The smaller
the box, the nearer is φ to 1, and Q to the covariance of the rows: about a maximum of G nothing is left to relax, and where log G is
flat little is, while the contraction coefficient of all rows, which knows no box, may leave nearly all of β.
"""

from __future__ import annotations

import numpy as np

from dualib.certificate.boxes.bounds import Point, Relaxation
from dualib.certificate.boxes.second_order import exponential_curvature
from dualib.core.typing import Float, FloatArray

ENTRIES = 1 << 16  # (box, x, y) at a time: half a megabyte, within the cache
LARGEST_EXPONENT = 40.0  # M_x beyond: no bound
WIDE = 4.0  # times u/β: the d from which the search starts
TOWARDS_ONE, FASTEST = 0.7, 3.0  # the power of κ by which d follows it, and the largest change
SHAPING, SHARPNESS = 0.1, 10  # how fast d_y falls where no large eigenvalue needs it, and how large one counts
UNEVEN, FURTHEST = 10.0, 1e3  # the most that counts of it, and how many u/β d may reach
LEAST = 0.5  # d is at least so many l/β, as m ≥ β/l leaves nothing to chords
FLATTEST = 0.02  # and l counts as so much of u
MARGIN, HUGE = 1e-11, 1e9  # for the rounding of eigenvalues; an eigenvalue where some M_x is too large
SMALLEST = 1e-200


def first_scale(relaxation: Relaxation, high: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
    """The d of the box of all rows, far too large for small boxes."""
    return np.asarray(WIDE * relaxation.coordinates.probabilities(high) / relaxation.beta)


def parabolas(
    relaxation: Relaxation,
    point: Point,
    low: Float[np.ndarray, "N k"],
    high: Float[np.ndarray, "N k"],
    scale: Float[np.ndarray, "N k"],
) -> tuple[Float[np.ndarray, "N k"], Float[np.ndarray, "N k"]]:
    """The curvatures m that hold at the q of `point` over the boxes, given numbers d = `scale`; and better d for the boxes' parts.

    m is 0 where κ is 2 or more.
    """
    curvature, better = np.empty_like(scale), np.empty_like(scale)
    size = max(1, ENTRIES // relaxation.rows.size)
    for i in range(0, len(scale), size):
        at = slice(i, i + size)
        spread, margin = _spread(relaxation, point.posterior[at], point.mean[at], low[at], high[at], scale[at])
        values, vectors = np.linalg.eigh(spread)
        largest = values[:, -1:] + margin[:, None]
        curvature[at] = np.maximum((2.0 - largest) / scale[at], 0.0)
        # Where much is lost, d should fall; it may where the eigenvectors of the largest eigenvalues are small.
        needed = (vectors**2 * (np.maximum(values, 0.0) / largest)[:, None, :] ** SHARPNESS).sum(axis=2) + SMALLEST
        below, above = (relaxation.coordinates.probabilities(end[at]) for end in (low, high))
        width = relaxation.coordinates.step * (high[at] - low[at])
        lost = _lost(below, above, width, relaxation.beta * scale[at]) + SMALLEST
        balance = (needed / needed.sum(axis=1, keepdims=True)) / (lost / lost.sum(axis=1, keepdims=True))
        change = (
            np.clip(largest, 1.0 / FASTEST, FASTEST) ** TOWARDS_ONE * np.clip(balance, 1.0 / UNEVEN, UNEVEN) ** SHAPING
        )
        least = LEAST * np.maximum(below, FLATTEST * np.maximum(above, SMALLEST))
        most = FURTHEST * np.maximum(above, SMALLEST)
        better[at] = np.clip(change * scale[at], least / relaxation.beta, most / relaxation.beta)
    return curvature, better


def _lost(low: FloatArray, high: FloatArray, width: FloatArray, top: FloatArray) -> FloatArray:
    """How fast what chords give away at the boxes' middles falls with log m, in units of β, where ψ bends at r = `top` = β/m."""

    def rise(s: FloatArray) -> FloatArray:
        return np.where(s < top, 0.5 * s * s / top, s - 0.5 * top)

    given_away = np.maximum(0.5 * (rise(low) + rise(high)) - rise(0.5 * (low + high)), 0.0)
    return np.where(high < top, 0.125 * width * width / top, given_away)


def _spread(
    relaxation: Relaxation,
    posterior: FloatArray,
    mean: FloatArray,
    low: FloatArray,
    high: FloatArray,
    scale: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The matrices Q in units of d, (N, K, K), and what rounding may add to an eigenvalue: huge where some M_x is."""
    r = relaxation
    middle, radius = 0.5 * (low + high) - mean, 0.5 * (high - low)
    # θ·(p − E) = (θ − c)·(p − E) + c (Σ s' − Σ E), the last 0: c takes what all symbols of θ have in common.
    weight = radius / scale
    common = (r.rows @ weight[:, :, None])[:, :, 0] - (mean * weight).sum(axis=1, keepdims=True)
    common /= np.maximum(radius.sum(axis=1, keepdims=True), 1e-300)
    apart = r.rows - mean[:, None, :]
    apart -= common[:, :, None] * scale[:, None, :]
    exponent = (apart @ (middle / scale)[:, :, None])[:, :, 0]
    np.abs(apart, out=apart)
    exponent += (apart @ weight[:, :, None])[:, :, 0]
    exponent += MARGIN * (1.0 + np.abs(exponent))
    hopeless = exponent.max(axis=1) > LARGEST_EXPONENT
    weights = posterior * exponential_curvature(np.minimum(exponent, LARGEST_EXPONENT))
    total = weights.sum(axis=1)
    cross = mean[:, :, None] * (weights @ r.rows)[:, None, :]
    spread = (weights @ r.products)[:, r.unpack] - cross - cross.transpose(0, 2, 1)
    spread += total[:, None, None] * mean[:, :, None] * mean[:, None, :]
    root = np.sqrt(scale)
    spread /= root[:, :, None] * root[:, None, :]
    margin = MARGIN + r.unit * total * (1.0 / scale).sum(axis=1)
    return spread, np.where(hopeless, HUGE, margin)
