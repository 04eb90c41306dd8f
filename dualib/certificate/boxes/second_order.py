r"""The second-order bound: around a maximum of G, a box of any size in which log G is concave is closed at once.

In t = log r, L(t) = log Σ_x a_x e^{β p_x·t} − β(Σ_y e^{t_y} − 1) is log G on the simplex. About any base t0 (r0 = e^{t0} need not
sum to 1), with q0 the shares of the terms there, c = Σ q0_x p_x and δ = t − t0,

.. math:: \log G \le L(t_0) + \beta (c - r_0) \cdot \delta + \tfrac12 \delta^T Q \delta, \qquad
          Q = \beta^2 \sum_x q^0_x \varphi(M_x) (p_x - c)(p_x - c)^T - \beta\, \mathrm{diag}(r_0 \varphi(\delta^{lo})),

with φ(z) = 2(e^z − 1 − z)/z², which increases, and M_x ≥ β(p_x − c)·δ on the box: e^b ≤ 1 + b + ½φ(M)b², Σ q0 b = 0,
log(1 + z) ≤ z, and e^δ ≥ 1 + δ + ½φ(δ^lo)δ². Where decoders are deviations (:mod:`dualib.certificate.boxes.deviations`), t = log(r/m)/h
and all of this in their units: L(t) = log Σ a e^{β c_x·t} − β Σ (m/h²)(e^{ht} − 1 − ht).
"""

from __future__ import annotations

import numpy as np

from dualib.certificate.boxes.bounds import Relaxation
from dualib.core.typing import Float, FloatArray

LARGEST_EXPONENT = 60.0  # a term that may grow by more than e^60 on the box: no bound
SMALLEST_SHARE = 1e-18  # a term may be tiny at the base and large on the box
MARGIN = 1e-12  # for the rounding of eigenvalues
ENTRIES = 1 << 19  # (box, x, y) at a time, 4 MiB


def second_order_bound(
    relaxation: Relaxation,
    low: Float[np.ndarray, "N k"],
    high: Float[np.ndarray, "N k"],
    base: Float[np.ndarray, "N k"],
) -> Float[np.ndarray, " N"]:
    """Upper bounds of log G over boxes of the simplex in the relaxation's coordinates, about bases r0 > 0; infinite where some r may be 0."""
    bound, coordinates = np.full(len(low), np.inf), relaxation.coordinates
    inside = np.flatnonzero((coordinates.probabilities(low) > 0).all(axis=1))
    size = max(1, ENTRIES // relaxation.rows.size)
    for i in range(0, len(inside), size):
        at = inside[i : i + size]
        bound[at] = _bound(relaxation, coordinates.logs(low[at]), coordinates.logs(high[at]), base[at])
    return bound


def _bound(relaxation: Relaxation, log_low: FloatArray, log_high: FloatArray, r0: FloatArray) -> FloatArray:
    r, own = relaxation, relaxation.coordinates
    base, log_base = own.of(r0), own.logs_at(r0)
    lowest, highest = log_low - log_base, log_high - log_base
    terms = r.log_terms(log_base)
    top = terms.max(axis=1, keepdims=True)
    shares = np.exp(terms - top)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    value = (top + np.log(total))[:, 0] - r.beta * own.excess(base)
    mean = shares @ r.rows
    centred = r.rows - mean[:, None, :]
    middle, radius = 0.5 * (lowest + highest), 0.5 * (highest - lowest)
    growth = r.beta * ((centred @ middle[:, :, None]) + (np.abs(centred) @ radius[:, :, None]))[:, :, 0]
    hopeless = growth.max(axis=1) > LARGEST_EXPONENT
    weights = np.maximum(shares, SMALLEST_SHARE) * exponential_curvature(np.minimum(growth, LARGEST_EXPONENT))
    # In z = δ √(β r0 φ) the form is B − 1, and splits along the eigenvectors of B.
    scale = np.sqrt(r.beta * r0 * exponential_curvature(own.step * lowest))
    spread = (centred.transpose(0, 2, 1) * weights[:, None, :]) @ centred
    spread *= r.beta**2 / (scale[:, :, None] * scale[:, None, :])
    curvature, vectors = np.linalg.eigh(spread)
    slope = ((r.beta * (mean - base) / scale)[:, None, :] @ vectors)[:, 0]
    middle_z = ((middle * scale)[:, None, :] @ vectors)[:, 0]
    radius_z = ((radius * scale)[:, None, :] @ np.abs(vectors))[:, 0]
    # Sums over x err by n units of their terms' sizes: the form by those of its trace, the slope by those of β c.
    margin = (MARGIN + r.unit) * (1.0 + curvature.sum(axis=1, keepdims=True))
    rise = largest_along(slope, curvature - 1.0 + margin, middle_z - radius_z, middle_z + radius_z)
    value += r.unit * r.beta * (r.sizes(mean, mean) * np.maximum(np.abs(lowest), np.abs(highest))).sum(axis=1)
    return np.asarray(np.where(hopeless, np.inf, value + rise.sum(axis=1)))


def largest_along(slope: FloatArray, curvature: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Maximum of slope z + ½ curvature z² over [low, high], elementwise."""
    inner = np.clip(slope / np.maximum(-curvature, 1e-12), low, high)
    at = [z * (slope + 0.5 * curvature * z) for z in (low, high, inner)]
    best = np.maximum(at[0], at[1])
    return np.where(curvature < 0, np.maximum(best, at[2]), best)


def exponential_curvature(z: FloatArray) -> FloatArray:
    """φ(z) = 2 (e^z − 1 − z)/z², to ten digits."""
    small = np.abs(z) < 0.02
    safe = np.where(small, 1.0, z)
    series = 1.0 + z / 3.0 * (1.0 + z / 4.0 * (1.0 + z / 5.0 * (1.0 + z / 6.0)))
    return np.where(small, series, 2.0 * (np.expm1(safe) - safe) / (safe * safe))
