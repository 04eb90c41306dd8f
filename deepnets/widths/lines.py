r"""A quantity at infinite width: the line a + b/N through its values at several widths N, and what the line leaves out.

The series in 1/N goes on. Its next term, c/N², is taken to be of either sign and, at the narrowest width N_0, of a standard
deviation τ of :data:`SECOND` times the first and :data:`NATURAL` a/N_0². Values are then fitted with the covariance

.. math:: V_{ij} = \sigma_i^2 \delta_{ij} + \tau^2 r_i^2 r_j^2, \qquad r_i = N_0/N_i, \qquad
          \tau^2 = \mathrm{SECOND}^2\, (\hat b^2 + \sigma_b^2)/N_0^2 + \mathrm{NATURAL}^2\, a^2/N_0^4

so that the error of a has a part of the networks' spread, which falls with their number, and one of the curvature, which falls
with the widths. Where the widths themselves contradict that, as a moves by more than its error when the narrowest is left out,
they lie outside the regime of 1/N.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from deepnets.widths.finite import Row
from dualib.core.typing import Float, FloatArray

SECOND = 0.5
"""c/N² over b/N at the narrowest width; of erf networks of widths 2, 4, 8 it is 0.2 to 0.7."""
NATURAL = 4.0
"""c over a; of the same networks it is 1 to 7. It keeps few units from telling anything, where b/N is small by chance."""

_TINY = 1e-12  # relative; networks that do not differ have no standard error
_SMALLEST = 1e-70  # of values that are all 0: its fourth power is a number still


class Line(NamedTuple):
    """A quantity at infinite width.

    Attributes
    ----------
    value, error : float
        a and its standard error: of the spread of networks, of the curvature and of the time step, in quadrature.
    p : float
        p-value of the fit, curvature included; NaN of two widths.
    spread : float
        The part of the error that falls with the number of networks as its square root.
    freedom : float
        Degrees of freedom of the error ([welch1947]_).
    slope, slope_error : float
        b, the coefficient of 1/width.
    moved, moved_error : float
        How far a moves back when the narrowest width is left out, and the standard error of that; NaN of two widths.
    widest : float
        b/N at the widest width: what the line takes off there.
    """

    value: float
    error: float
    p: float
    spread: float
    freedom: float
    slope: float
    slope_error: float
    moved: float
    moved_error: float
    widest: float


def extrapolated(rows: Sequence[Row]) -> Line:
    """The line through the rows of one quantity and time, of two widths at least; see the module."""
    chosen = sorted(rows, key=lambda row: row.width)
    y, error, r = _columns(chosen)
    first, variance = _first_order(y, error, r)
    v = _covariance(error, r, first**2 + variance, y[-1] / chosen[0].width ** 2)
    design, covariance, weights = _fit(r, v)
    (a, b), (g, _) = weights @ y, weights
    parts = (g * error) ** 2
    total = float(np.hypot(np.sqrt(covariance[0, 0]), chosen[0].step_error))
    freedom = total**4 / float((parts**2 / [row.freedom for row in chosen]).sum() or np.finfo(float).tiny)
    p = moved = moved_error = np.nan
    if len(chosen) > 2:
        residual = y - design @ (a, b)
        p = float(chdtrc(len(chosen) - 2, residual @ np.linalg.solve(v, residual)))
        _, without, weights = _fit(r[1:], v[1:, 1:])
        moved = float(a - weights[0] @ y[1:])
        moved_error = float(np.sqrt(max(0.0, without[0, 0] - covariance[0, 0])))
    spread, narrowest = float(np.sqrt(parts.sum())), chosen[0].width
    slope, slope_error = float(narrowest * b), float(narrowest * np.sqrt(covariance[1, 1]))
    return Line(float(a), total, p, spread, freedom, slope, slope_error, moved, moved_error, float(b * r[-1]))


def error_with(rows: Sequence[Row], times: float) -> float:
    """The standard error at infinite width with so many times the networks of every width, judged by those there are."""
    chosen = sorted(rows, key=lambda row: row.width)
    y, error, r = _columns(chosen)
    first, variance = _first_order(y, error, r)
    square = max(0.0, first**2 - variance) + 2 * variance / times
    v = _covariance(error / np.sqrt(times), r, square, y[-1] / chosen[0].width ** 2)
    covariance = _fit(r, v)[1]
    return float(np.hypot(np.sqrt(covariance[0, 0]), chosen[0].step_error))


def _columns(rows: Sequence[Row]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values, standard errors and r."""
    y, width = (np.array([float(getattr(row, name)) for row in rows]) for name in ("finite", "width"))
    floor = max(_TINY * np.abs(y).max(), _SMALLEST)
    return y, np.maximum([row.std_error for row in rows], floor), width[0] / width


def _first_order(y: FloatArray, error: FloatArray, r: FloatArray) -> tuple[float, float]:
    """b/N of the narrowest width by the line alone, and the variance of that."""
    _, covariance, weights = _fit(r, np.diag(error**2))
    return float(weights[1] @ y), float(covariance[1, 1])


def _covariance(
    error: FloatArray, r: FloatArray, first_square: float, second: float
) -> Float[np.ndarray, "n_widths n_widths"]:
    """V of the module, from b²/N_0² and a/N_0²."""
    tau2 = SECOND**2 * first_square + (NATURAL * second) ** 2
    return np.asarray(np.diag(error**2) + tau2 * np.outer(r**2, r**2))


def _fit(
    r: Float[np.ndarray, " n_widths"], v: Float[np.ndarray, "n_widths n_widths"]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Design, covariance and weights of (a, b) of a + b r under the covariance v of the values."""
    design = np.stack([np.ones(len(r)), r], axis=1)
    scaled = np.linalg.solve(v, design)
    covariance = np.linalg.inv(design.T @ scaled)
    return design, covariance, covariance @ scaled.T
