"""The set of decoders in which every maximum of the dual function lies: what a problem says of it, and its geometry."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import Bool, Float


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
            return int(self.points.shape[1]) - 1
        return len(affine_basis(self.points)[1])


def affine_basis(rows: Float[np.ndarray, "n m"]) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "k m"]]:
    """Centre and orthonormal basis (k, n_y) of the affine hull of the rows, up to rounding."""
    centre = rows.mean(axis=0)
    _, size, basis = np.linalg.svd(rows - centre, full_matrices=False)
    floor = 4 * EPS * max(rows.shape) * max(np.abs(rows).max(), 1.0)
    return centre, basis[size > floor]


def facets(points: Float[np.ndarray, "n k"]) -> tuple[Float[np.ndarray, "f k"], Float[np.ndarray, " f"]]:
    """Half-spaces {normal · u ≤ offset} that hold all points, so valid whatever the rounding of the hull was."""
    from scipy.spatial import ConvexHull, QhullError

    normals = np.concatenate([np.eye(points.shape[1]), -np.eye(points.shape[1])])
    if 2 <= points.shape[1] <= 4 and len(points) > points.shape[1] + 1:
        with contextlib.suppress(QhullError):  # the box alone is a valid, looser hull
            normals = np.concatenate([normals, np.unique(ConvexHull(points).equations[:, :-1], axis=0)])
    return normals, (normals @ points.T).max(axis=1) + 1e-12


def beyond(
    vertices: Float[np.ndarray, "n v k"], normals: Float[np.ndarray, "f k"], offsets: Float[np.ndarray, " f"]
) -> Bool[np.ndarray, " n"]:
    """Which cells (N, v, k) have all vertices on the far side of one of the half-spaces."""
    height = vertices @ normals.T
    least = height[:, 0]
    for i in range(1, height.shape[1]):
        least = np.minimum(least, height[:, i])
    return np.asarray(np.any(least > offsets, axis=1))


def enclosing_simplex(points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k+1 k"]:
    """A simplex around points (n, k): the corner of their box, as far out as the farthest point."""
    low = points.min(axis=0)
    size = (points - low).sum(axis=1).max() * (1 + 1e-9) + 1e-12
    return np.concatenate([low[None], low + size * np.eye(points.shape[1])]) - 1e-12
