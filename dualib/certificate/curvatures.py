"""How strongly distortions curve over a region of a chart, at least: what the second-order bounds of G know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dualib.core.typing import Float, FloatArray


class Curvature(Protocol):
    """Lower bounds D_x of the curvature of d(x, ·) over N regions."""

    def largest(self) -> Float[np.ndarray, "n _"]:
        """An upper bound of ½ δᵀ D_x δ over the region, shape (n, n_x) or (n, 1)."""

    def form(
        self, weights: Float[np.ndarray, "n n_x"], directions: Float[np.ndarray, "n j k"]
    ) -> Float[np.ndarray, "n j j"]:
        """Σ_x weights_x directionsᵀ D_x directions for weights (n, n_x), directions (n, j, k); shape (n, j, j)."""


@dataclass(frozen=True)
class DiagonalCurvature:
    """Of IB and α-IB in coordinates of r: Σ_y c_x(y) δ_y² / r_y^{1 + power}, at the largest r_y of the region."""

    features: FloatArray  # c_x(y)
    diagonal: FloatArray  # 1 / (largest r_y over the region)^(1 + power)
    reach: FloatArray  # largest step² in each r_y over the region
    basis: FloatArray

    def largest(self) -> Float[np.ndarray, "n _"]:
        """See :meth:`Curvature.largest`."""
        return 0.5 * (self.reach * self.diagonal) @ self.features.T

    def form(
        self, weights: Float[np.ndarray, "n n_x"], directions: Float[np.ndarray, "n j k"]
    ) -> Float[np.ndarray, "n j j"]:
        """See :meth:`Curvature.form`."""
        steps = directions @ self.basis
        scaled = steps * ((weights @ self.features) * self.diagonal)[:, None, :]
        return scaled @ steps.transpose(0, 2, 1)


@dataclass(frozen=True)
class CommonCurvature:
    """Of dualIB in moments: one form for all x."""

    hessian: FloatArray  # (N, k, k), the same for every x
    reach: FloatArray  # (N, 1)

    def largest(self) -> Float[np.ndarray, "n _"]:
        """See :meth:`Curvature.largest`."""
        return self.reach

    def form(
        self, weights: Float[np.ndarray, "n n_x"], directions: Float[np.ndarray, "n j k"]
    ) -> Float[np.ndarray, "n j j"]:
        """See :meth:`Curvature.form`."""
        return np.asarray(
            weights.sum(axis=1)[:, None, None] * (directions @ self.hessian @ directions.transpose(0, 2, 1))
        )
