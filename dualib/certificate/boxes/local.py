r"""How fast the entropy of q falls off about the q that bounds a box: what there is to relax is curvature along few directions.

Let q ∝ a e^{μ·p} and E = p_q. For any q' with s' = p_q' and any θ, D(q'‖q) ≥ θ·(s' − E) − log E_q e^{θ·(p−E)}. Take θ_y = (s'_y − E_y)/d_y with
numbers d > 0, and let M_x be at least θ·(p_x − E) for every s' in the box. As e^z ≤ 1 + z + ½ φ(M) z² for z ≤ M, φ(z) = 2 (e^z − 1 − z)/z²,

.. math:: \log \mathbb{E}_q e^{θ·(p-E)} \le \tfrac12 θ^T Q θ, \quad Q = \sum_x q_x φ(M_x) (p_x - E)(p_x - E)^T, \quad
          D(q'\|q) \ge \Big(1 - \frac{κ}{2}\Big) \sum_y \frac{(s'_y - E_y)^2}{d_y}

with the largest eigenvalue κ of Q in units of d. Two regions do better than one: where Σ (s' − E)²/d ≤ X, M_x is no more than
√(X Σ (p_x − E)²/d); beyond, log(1 + ½ κ X)/(½ X) may stand for κ, as log(1 + z)/z falls. (Derived here.)

In the bound of a box (:func:`dualib.certificate.boxes.bounds.bound_at`) this is a split (:mod:`dualib.certificate.boxes.splits`) by
parabolas, m = (2 − κ)/d, as far as they are less steep than β s log s. The smaller the box, the nearer is φ to 1, and Q to the covariance of
the rows: about a maximum of G nothing is left to relax, and where log G is flat little is, while the contraction coefficient of all rows,
which knows no box, may leave nearly all of β.
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
SHAPING = 0.1  # how fast d_y falls where no large eigenvalue needs it
NEAR = 0.23  # ½ κ X of the ball: log(1 + z)/z is .9 there
UNEVEN, FURTHEST = 10.0, 1e3  # the most that counts of it, and how many u/β d may reach
LEAST, FLATTEST = (
    0.5,
    0.02,
)  # d is at least so many l/β, as m ≥ β/l leaves nothing to chords; and l counts as so much of u
MARGIN, HUGE = 1e-11, 1e9  # for the rounding of eigenvalues; an eigenvalue where some M_x is too large
SMALLEST = 1e-200


def first_scale(relaxation: Relaxation, high: Float[np.ndarray, "*N k"]) -> Float[np.ndarray, "*N k"]:
    """The d of the box of all rows, far too large for small boxes."""
    return WIDE * high / relaxation.beta


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
        largest, needed = _largest(relaxation, point.posterior[at], point.mean[at], low[at], high[at], scale[at])
        curvature[at] = np.maximum((2.0 - largest) / scale[at], 0.0)
        lost = _lost(low[at], high[at], relaxation.beta * scale[at]) + SMALLEST
        balance = (needed / needed.sum(axis=1, keepdims=True)) / (lost / lost.sum(axis=1, keepdims=True))
        change = (
            np.clip(largest, 1.0 / FASTEST, FASTEST) ** TOWARDS_ONE * np.clip(balance, 1.0 / UNEVEN, UNEVEN) ** SHAPING
        )
        least = LEAST * np.maximum(low[at], FLATTEST * np.maximum(high[at], SMALLEST))
        most = FURTHEST * np.maximum(high[at], SMALLEST)
        better[at] = np.clip(change * scale[at], least / relaxation.beta, most / relaxation.beta)
    return curvature, better


def _lost(low: FloatArray, high: FloatArray, top: FloatArray) -> FloatArray:
    """How fast what chords give away at the boxes' middles falls with log m, in units of β, where ψ bends at `top` = β/m."""

    def rise(s: FloatArray) -> FloatArray:
        return np.where(s < top, 0.5 * s * s / top, s - 0.5 * top)

    return np.maximum(0.5 * (rise(low) + rise(high)) - rise(0.5 * (low + high)), 0.0)


def _largest(
    relaxation: Relaxation,
    posterior: FloatArray,
    mean: FloatArray,
    low: FloatArray,
    high: FloatArray,
    scale: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The numbers κ (N, 1), huge where some M_x is, and how much each y takes part in the largest eigenvalues, (N, K)."""
    r = relaxation
    middle, radius = 0.5 * (low + high) - mean, 0.5 * (high - low)
    # θ·(p − E) = (θ − c)·(p − E) + c (Σ s' − Σ E), the last 0: c takes what all symbols of θ have in common.
    weight = radius / scale
    common = (r.rows @ weight[:, :, None])[:, :, 0] - (mean * weight).sum(axis=1, keepdims=True)
    common /= np.maximum(radius.sum(axis=1, keepdims=True), 1e-300)
    apart = r.rows - mean[:, None, :]
    length = np.sqrt(((apart * apart) @ (1.0 / scale)[:, :, None])[:, :, 0])
    apart -= common[:, :, None] * scale[:, None, :]
    exponent = (apart @ (middle / scale)[:, :, None])[:, :, 0]
    np.abs(apart, out=apart)
    exponent += (apart @ weight[:, :, None])[:, :, 0]
    exponent += MARGIN * (1.0 + np.abs(exponent))
    hopeless = exponent.max(axis=1) > LARGEST_EXPONENT
    np.minimum(exponent, LARGEST_EXPONENT, out=exponent)
    everywhere, needed = _largest_eigenvalue(_spread(r, posterior, exponent, mean, scale))
    ball = 2.0 * NEAR / everywhere
    far = np.log1p(0.5 * everywhere * ball) / (0.5 * ball) * (1.0 + MARGIN)
    np.minimum(exponent, (1.0 + MARGIN) * np.sqrt(ball)[:, None] * length, out=exponent)
    near, _ = _largest_eigenvalue(_spread(r, posterior, exponent, mean, scale))
    return np.where(hopeless, HUGE, np.minimum(everywhere, np.maximum(near, far)))[:, None], needed


def _spread(
    relaxation: Relaxation, posterior: FloatArray, exponent: FloatArray, mean: FloatArray, scale: FloatArray
) -> FloatArray:
    """The matrices Q in units of d, (N, K, K), with what rounding may take off their eigenvalues."""
    r = relaxation
    weights = posterior * exponential_curvature(exponent)
    total = weights.sum(axis=1)
    cross = mean[:, :, None] * (weights @ r.rows)[:, None, :]
    spread = (weights @ r.products)[:, r.unpack] - cross - cross.transpose(0, 2, 1)
    spread += total[:, None, None] * mean[:, :, None] * mean[:, None, :]
    root = np.sqrt(scale)
    spread /= root[:, :, None] * root[:, None, :]
    diagonal = np.arange(spread.shape[1])
    spread[:, diagonal, diagonal] += (MARGIN + r.unit * total * (1.0 / scale).sum(axis=1))[:, None]
    return np.asarray(spread)


def _largest_eigenvalue(spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Upper bounds (tr Q^64)^(1/64) of the largest eigenvalues of symmetric Q, (N,), and the diagonals of Q^16, up to factors."""
    trace = np.maximum(np.einsum("nkk->n", spread), SMALLEST)
    power = spread / trace[:, None, None]
    for _ in range(3):
        power = power @ power
    squared = power * power
    needed = squared.sum(axis=2)
    # Q^8 again by its trace, so that Q^64 does not vanish.
    size = np.maximum(np.sqrt(needed.sum(axis=1)), SMALLEST)
    power /= size[:, None, None]
    for _ in range(2):
        power = power @ power
    largest = trace * (size * (power * power).sum(axis=(1, 2)) ** 0.125) ** 0.125
    return largest * (1.0 + MARGIN), needed + SMALLEST
