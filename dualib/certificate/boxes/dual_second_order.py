r"""The second-order bound of the dual problem: around a maximum of G, a box of decoders in which log G is concave is closed at once.

About any base r0 > 0, with q0 the shares of the terms of G there, c = Σ q0_x log p_x and δ = r − r0,

.. math:: \log G \le \log G(r_0) + \beta\,(c - \log r_0 - 1) \cdot \delta + \tfrac12 \delta^T Q \delta, \qquad
          Q = \beta^2 \sum_x q^0_x \varphi(M_x) v_x v_x^T - \beta\, \mathrm{diag}(\kappa_y), \qquad v_x = \log p_x - c,

with φ(z) = 2(e^z − 1 − z)/z², M_x ≥ β v_x·δ on the box, and κ_y = 2 [u log(u/r0) − u + r0]/(u − r0)² at the upper end u of the
box: e^b ≤ 1 + b + ½φ(M)b², Σ q0 b = 0, log(1 + z) ≤ z, and r log r lies above its parabola at r0 with that curvature, which
falls with r. Since Σ δ = 0, constants over y may be added to v_x and to the slope. (Derived here.)
"""

from __future__ import annotations

import numpy as np

from dualib.certificate.boxes.dual_bounds import DualRelaxation
from dualib.certificate.boxes.second_order import (
    ENTRIES,
    LARGEST_EXPONENT,
    MARGIN,
    SMALLEST_SHARE,
    exponential_curvature,
    largest_along,
)
from dualib.core.special import kl_terms, log_ratio
from dualib.core.typing import Float, FloatArray

SMALLEST_BASE = 1e-30


def dual_second_order_bound(
    relaxation: DualRelaxation,
    low: Float[np.ndarray, "N k"],
    high: Float[np.ndarray, "N k"],
    base: Float[np.ndarray, "N k"],
) -> Float[np.ndarray, " N"]:
    """Upper bounds of log G over boxes low ≤ r ≤ high of the simplex, about bases r0 of sum 1; infinite where r0 has a zero.

    And where r0 is far outside the hull of nearly equal rows, where the relaxation's allowance for rounding does not hold.
    """
    bound = np.full(len(low), np.inf)
    inside = np.flatnonzero((base > SMALLEST_BASE).all(axis=1) & relaxation.allows(base))
    size = max(1, ENTRIES // relaxation.odds.size)
    for i in range(0, len(inside), size):
        at = inside[i : i + size]
        bound[at] = _bound(relaxation, low[at], high[at], base[at])
    return bound


def _bound(relaxation: DualRelaxation, low: FloatArray, high: FloatArray, base: FloatArray) -> FloatArray:
    r = relaxation
    lowest, highest = low - base, high - base
    terms = r.log_terms(base)
    top = terms.max(axis=1, keepdims=True)
    shares = np.exp(terms - top)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    value = (top + np.log(total))[:, 0] - r.beta * kl_terms(base, r.centre).sum(axis=1)
    kappa = entropy_curvature(high / base) / base
    level = 1.0 / kappa
    level /= level.sum(axis=1, keepdims=True)
    mean = shares @ r.odds
    # Less their means in the form's own metric: then 1 is a direction along which the form is −1 and the slope 0.
    centred = r.odds - mean[:, None, :]
    centred -= centred @ level[:, :, None]
    slope = mean - log_ratio(r.centre, base)[1]
    slope -= (slope * level).sum(axis=1, keepdims=True)
    middle, radius = 0.5 * (lowest + highest), 0.5 * (highest - lowest)
    growth = r.beta * ((centred @ middle[:, :, None]) + (np.abs(centred) @ radius[:, :, None]))[:, :, 0]
    hopeless = growth.max(axis=1) > LARGEST_EXPONENT
    weights = np.maximum(shares, SMALLEST_SHARE) * exponential_curvature(np.minimum(growth, LARGEST_EXPONENT))
    # In z = δ √(β κ) the form is B − 1, and splits along the eigenvectors of B.
    scale = np.sqrt(r.beta * kappa)
    spread = (centred.transpose(0, 2, 1) * weights[:, None, :]) @ centred
    spread *= r.beta**2 / (scale[:, :, None] * scale[:, None, :])
    curvature, vectors = np.linalg.eigh(spread)
    along = ((r.beta * slope / scale)[:, None, :] @ vectors)[:, 0]
    middle_z = ((middle * scale)[:, None, :] @ vectors)[:, 0]
    radius_z = ((radius * scale)[:, None, :] @ np.abs(vectors))[:, 0]
    # Sums over x err by n units of their terms' sizes: the form by those of its trace, the slope by those of β t.
    margin = (MARGIN + r.unit) * (1.0 + curvature.sum(axis=1, keepdims=True))
    rise = largest_along(along, curvature - 1.0 + margin, middle_z - radius_z, middle_z + radius_z)
    value += r.unit * r.beta * (r.largest * np.maximum(np.abs(lowest), np.abs(highest))).sum(axis=1)
    return np.asarray(np.where(hopeless, np.inf, value + rise.sum(axis=1)))


def entropy_curvature(z: FloatArray) -> FloatArray:
    """ψ(z) = 2 (z log z − z + 1)/(z − 1)², which falls from 2 at 0; a lower bound of it, to ten digits."""
    step = z - 1.0
    small = np.abs(step) < 0.01
    safe = np.where(small, 2.0, np.maximum(z, 1e-300))
    series = 1.0 - step / 3.0 * (1.0 - step / 2.0 * (1.0 - step * (3.0 / 5.0) * (1.0 - step * (2.0 / 3.0))))
    exact = 2.0 * (safe * np.log(safe) - safe + 1.0) / (safe - 1.0) ** 2
    return np.where(small, series, exact) * (1.0 - 1e-9)
