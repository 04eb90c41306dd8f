"""The set of decoders in which every maximum of the dual function lies: what a problem says of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray


class HullKind(StrEnum):
    """Which distributions r over y the set holds."""

    MIXTURES = "mixtures of the rows"
    LOG_MIXTURES = "log-linear mixtures of the rows"
    SIMPLEX = "every r with r(y) of at least the least p(y|x)"


@dataclass(frozen=True, eq=False)
class Hull:
    """A set of decoders by the points that span it.

    Attributes
    ----------
    kind : HullKind
    points : array, shape (n, n_y)
        The rows, the log-rows less their means over y, or the corners of the simplex.
    """

    kind: HullKind
    points: Float[np.ndarray, "n n_y"]

    @classmethod
    def simplex_above(cls, rows: Float[np.ndarray, "n_x n_y"]) -> Hull:
        """The simplex r_y ≥ min_x p_x(y) of rows p(y|x), with a little more for rounding."""
        floor = rows.min(axis=0) * (1 - 1e-9)
        return cls(HullKind.SIMPLEX, floor + (1 - floor.sum()) * np.eye(len(floor)))

    @cached_property
    def dimension(self) -> int:
        """Dimension of the set: of the affine hull of the points, up to rounding."""
        if self.kind is HullKind.SIMPLEX:
            return np.asarray(self.points.shape[1] - 1)
        return len(affine_basis(self.points)[1])


def affine_basis(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centre and orthonormal basis (k, n_y) of the affine hull of the rows, up to rounding."""
    centre = rows.mean(axis=0)
    _, size, basis = np.linalg.svd(rows - centre, full_matrices=False)
    floor = 4 * EPS * max(rows.shape) * max(np.abs(rows).max(), 1.0)
    return centre, basis[size > floor]
