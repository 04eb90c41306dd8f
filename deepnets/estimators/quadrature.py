"""I(X;T) and I(T;Y) of noisy layers of one or two units by quadrature: the reference for the other estimators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, rel_entr

from deepnets.estimators.layer import Layer, check_layer, check_sigma
from deepnets.estimators.layer_information import LayerInformation
from dualib.core.estimate import Estimate, Kind
from dualib.core.typing import ArrayLike, FloatArray

REACH = 9.0
"""How far the grid goes beyond the outermost centres, in σ: the rest has probability under 3e-19."""

LARGEST_GRID = 2**24
"""Most grid points: a two-dimensional layer of width 2000 σ, or a one-dimensional one of a million σ."""


@dataclass(frozen=True)
class Quadrature:
    r"""Informations of T = t(X) + Z, Z ~ N(0, σ² I), in one or two dimensions, by the trapezoidal rule.

    .. math:: I(X;T) = -\int q \ln q - \tfrac d2 \ln 2πeσ², \qquad
        I(T;Y) = \int \sum_y p(y) q(t|y) \ln\frac{q(t|y)}{q(t)} dt

    The rule converges exponentially for analytic functions that vanish at both ends [trefethen2014]_. The step is halved
    until two grids agree within the tolerance, and the interval is twice the last change.

    Parameters
    ----------
    sigma : float
        σ > 0.
    tolerance : float
        Nats.

    Raises
    ------
    ValueError
        If sigma is not positive, or the tolerance under 1e-12.

    Examples
    --------
    >>> import numpy as np
    >>> t, labels = np.array([[-1.0], [1.0]]), np.eye(2)
    >>> round(Quadrature(1.0).layer(t, labels).rate.value, 9)  # of a binary input behind Gaussian noise
    0.33683082
    """

    sigma: float
    tolerance: float = 1e-11

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", check_sigma(self.sigma))
        if not self.tolerance >= 1e-12:
            raise ValueError(f"tolerance = {self.tolerance} nats is under the rounding of the sums, 1e-12")

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Informations of one layer.

        Parameters
        ----------
        t : array, shape (n, 1) or (n, 2)
            Activations without noise.
        p_y_given_x : array, shape (n, n_y)
        p_x : array, shape (n,), or None
            Equal weights by default.
        seed : int
            Not used, nothing is random here.

        Returns
        -------
        LayerInformation
            In nats.

        Raises
        ------
        ValueError
            If there are more than two units, the range of the activations is too wide for the grid, or arrays do not fit.
        """
        layer = check_layer(t, p_y_given_x, p_x).merged()
        d = layer.t.shape[1]
        if d > 2:
            raise ValueError(f"quadrature is for 1 or 2 units, and this layer has {d}; use SmoothedPlugin")
        step, last = 0.5, _informations(layer, self.sigma, 1.0)
        while True:
            found = _informations(layer, self.sigma, step)
            change = np.abs(found - last)
            if change.max() <= self.tolerance:
                break
            step, last = 0.5 * step, found
        method = f"quadrature, sigma = {self.sigma:g}, step {step:g} sigma"
        most = layer.input_entropy, layer.label_information
        errors = 2.0 * change + 1e-14 * len(layer.t)
        return LayerInformation.of(
            (
                Estimate.within(v, (max(0.0, min(v - e, m)), min(m, max(0.0, v + e))), Kind.NUMERICAL, method=method)
                for v, e, m in zip(found.tolist(), errors.tolist(), most, strict=True)
            )
        )


def _informations(layer: Layer, sigma: float, step: float) -> FloatArray:
    """(I(X;T), I(T;Y)) with grid points `step` σ apart; separable kernels make the densities one matrix product."""
    t = np.asarray(layer.t, dtype=np.float64) / sigma
    size = float(np.prod((np.ptp(t, axis=0) + 2 * REACH) / step + 1.0))
    if size > LARGEST_GRID:
        extent = " x ".join(f"{np.ptp(column):.3g}" for column in t.T)
        raise ValueError(
            f"the activations extend over {extent} sigma, which needs {size:.2g} grid points (at most "
            f"{LARGEST_GRID:.2g}); use SmoothedPlugin or a larger sigma"
        )
    axes = [np.arange(column.min() - REACH, column.max() + REACH + step, step) for column in t.T]
    second = _kernel(axes[1], t[:, 1]) if len(axes) == 2 else np.ones((1, len(t)))
    totals = np.zeros(2)
    rows = max(1, 2**21 // max(len(t), len(second)))
    for start in range(0, len(axes[0]), rows):
        first = _kernel(axes[0][start : start + rows], t[:, 0])
        joint = np.stack([(first * p) @ second.T for p in layer.p_xy.T])  # p(y) q(t|y)
        q = joint.sum(axis=0)
        totals += entr(q).sum(), rel_entr(joint, layer.p_y[:, None, None] * q).sum()
    totals *= step ** len(axes)
    totals[0] -= 0.5 * len(axes) * np.log(2.0 * np.pi * np.e)
    return totals


def _kernel(grid: FloatArray, centres: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (grid[:, None] - centres) ** 2) / np.sqrt(2.0 * np.pi))
