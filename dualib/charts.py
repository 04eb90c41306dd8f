r"""Coordinates in which the maximum of G over the simplex is searched, with the bounds that make the search a proof.

.. math:: G(r) = \sum_x w_x e^{-\beta d(x, r)}, \qquad w_x = p(x) s_x

A maximum of G is a mixture of the rows p_x (IB) or a log-linear mixture of them (dualIB), so the search has the dimension
of their span, whatever |Y|. Since −βd is concave, a tangent at any base point bounds every exponent from above by an affine
function of the coordinates; the strength of its curvature over a region gives the next order.

A chart knows: ``dimension``; a root simplex that contains every maximum; the atoms at given coordinates; tangents; and a
lower bound of the curvature. It does not know β, w or the search: see :mod:`dualib.certificate`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dualib.core.typing import FloatArray

if TYPE_CHECKING:
    from .problems import Bottleneck

NEWTON = 3  # steps from the state of the parent cell


@dataclass(frozen=True)
class Tangent:
    """Base points of tangents: the atoms ``r`` (N, n_y) and coordinates ``u`` (N, k) they stand at.

    ``usable`` marks those whose base lies in the chart, so that the curvature bound applies; ``state`` is the chart's own.
    """

    r: FloatArray
    u: FloatArray
    usable: NDArray[np.bool_]
    state: FloatArray

    def take(self, index: NDArray[Any]) -> Tangent:
        """Those at the given indices."""
        return Tangent(self.r[index], self.u[index], self.usable[index], self.state[index])


class Curvature(Protocol):
    """Lower bounds D_x of the curvature of d(x, ·) over N regions."""

    def largest(self) -> FloatArray:
        """An upper bound of ½ δᵀ D_x δ over the region, shape (N, n_x) or (N, 1)."""

    def form(self, weights: FloatArray, directions: FloatArray) -> FloatArray:
        """Σ_x weights_x directionsᵀ D_x directions for weights (N, n_x), directions (N, j, k); shape (N, j, j)."""


class Chart(Protocol):
    """What :mod:`dualib.certificate` needs of a chart of dimension k. N cells or regions with v vertices each."""

    dimension: int

    def root(self) -> FloatArray:
        """Vertices of a simplex that contains every maximum of G, shape (k + 1, k)."""

    def coordinates(self, r: FloatArray) -> FloatArray:
        """The coordinates (N, k) of atoms (N, n_y)."""

    def directions(self, r: FloatArray) -> FloatArray:
        """Directions (N, k, k) at atoms in which the distortion curves about equally."""

    def guess(self, u: FloatArray) -> FloatArray:
        """A state to start :meth:`tangent` from, shape (N, k)."""

    def tangent(self, u: FloatArray, guess: FloatArray, cells: FloatArray | None = None) -> Tangent:
        """Tangents at, or near, the coordinates u (N, k), for use over `cells` (N, v, k).

        `guess` (N, k) is the state of a tangent near by.
        """

    def exponents(self, tangent: Tangent, vertices: FloatArray) -> FloatArray:
        """The tangent of −d(x, ·) at vertices (N, v, k), less its value at the base; shape (N, v, n_x)."""

    def curvature(self, tangent: Tangent, vertices: FloatArray) -> Curvature:
        """The lower bound of the curvature over the convex hull of the vertices (N, v, k)."""

    def stretch(self, tangent: Tangent) -> FloatArray:
        """Matrices (N, k, j) after which the length of a step is about the distortion it makes; for choosing edges."""

    def outside(self, vertices: FloatArray) -> NDArray[np.bool_]:
        """Which cells (N, v, k) certainly hold no maximum of G, shape (N,)."""


# --- IB and AlphaIB: affine coordinates of r itself ---


@dataclass(frozen=True)
class _DiagonalCurvature:
    features: FloatArray  # c_x(y)
    diagonal: FloatArray  # 1 / (largest r_y over the region)^(1 + power)
    reach: FloatArray  # largest step² in each r_y over the region
    basis: FloatArray

    def largest(self) -> FloatArray:
        return 0.5 * (self.reach * self.diagonal) @ self.features.T

    def form(self, weights: FloatArray, directions: FloatArray) -> FloatArray:
        steps = directions @ self.basis
        scaled = steps * ((weights @ self.features) * self.diagonal)[:, None, :]
        return scaled @ steps.transpose(0, 2, 1)


class MixtureChart:
    """r = centre + u · basis over the affine hull of `points`; every maximum is a mixture of them."""

    def __init__(self, problem: Bottleneck, points: FloatArray):
        self.problem = problem
        self.floor = problem.p_y_given_x.min(axis=0)  # a maximum has r_y ≥ min_x p_x(y), for every α
        self.centre, self.basis = _affine_basis(points)
        self.dimension = len(self.basis)
        self._spans_simplex = self.dimension == points.shape[1] - 1
        self._points = (points - self.centre) @ self.basis.T
        self.normals, self.offsets = _facets(self._points)

    def root(self) -> FloatArray:
        if self._spans_simplex:
            floor = self.floor * (1 - 1e-9)
            return self.coordinates(floor + (1 - floor.sum()) * np.eye(len(floor)))
        return self._points if len(self._points) == self.dimension + 1 else _enclosing_simplex(self._points)

    def coordinates(self, r: FloatArray) -> FloatArray:
        return (r - self.centre) @ self.basis.T

    def directions(self, r: FloatArray) -> FloatArray:
        metric = np.einsum("ky,ty,jy->tkj", self.basis, 1 / np.maximum(r, 1e-12), self.basis)
        return np.linalg.inv(np.linalg.cholesky(metric))

    def guess(self, u: FloatArray) -> FloatArray:
        return u

    def tangent(self, u: FloatArray, guess: FloatArray, cells: FloatArray | None = None) -> Tangent:
        r = self.centre + u @ self.basis
        least = np.maximum(0.1 * self.floor, 1e-12)
        if cells is not None:  # a base outside the simplex is brought as far inside as the cell reaches
            least = np.maximum(least, 0.02 * (self.centre + cells @ self.basis).max(axis=1))
        return Tangent(np.maximum(r, least), u, np.all(r >= least, axis=1), u)

    def exponents(self, tangent: Tangent, vertices: FloatArray) -> FloatArray:
        steps = (self.centre - tangent.r)[:, None, :] + vertices @ self.basis
        return self.problem.slope_along(tangent.r, steps)

    def curvature(self, tangent: Tangent, vertices: FloatArray) -> _DiagonalCurvature:
        steps = (vertices - tangent.u[:, None, :]) @ self.basis
        largest_r = tangent.r + np.maximum(steps.max(axis=1), 0.0)
        diagonal = largest_r ** -(1.0 + self.problem.power)
        return _DiagonalCurvature(self.problem.features, diagonal, (steps**2).max(axis=1), self.basis)

    def stretch(self, tangent: Tangent) -> FloatArray:
        return self.basis / np.sqrt(tangent.r)[:, None, :]

    def outside(self, vertices: FloatArray) -> NDArray[np.bool_]:
        out: NDArray[np.bool_] = _beyond(vertices, self.normals, self.offsets)
        if not self._spans_simplex:
            out |= ((self.centre + vertices @ self.basis).max(axis=1) < self.floor * (1 - 1e-9)).any(axis=1)
        return out


# --- dualIB: the moments of the exponential family spanned by the log-rows ---


@dataclass(frozen=True)
class _CommonCurvature:
    hessian: FloatArray  # (N, k, k), the same for every x
    reach: FloatArray  # (N, 1)

    def largest(self) -> FloatArray:
        return self.reach

    def form(self, weights: FloatArray, directions: FloatArray) -> FloatArray:
        return weights.sum(axis=1)[:, None, None] * (directions @ self.hessian @ directions.transpose(0, 2, 1))


class MomentChart:
    r"""u = Σ_y r_y B_y, the moments of the family r ∝ exp(base + B c) that the log-rows log p_x = base + B c_x + a_x span.

    For given moments the best r is the member with those moments, and −βd becomes −β A*(u) + β c_x · u + const with
    A*, the convex conjugate of the log-partition function A. A tangent at natural parameters c₀ needs no inversion:
    A*(u) ≥ c₀ · u − A(c₀) for any c₀.
    """

    def __init__(self, problem: Bottleneck, log_rows: FloatArray):
        self.problem = problem
        shape = log_rows - log_rows.mean(axis=1, keepdims=True)
        self.base, basis = _affine_basis(shape)
        self.natural = (shape - self.base) @ basis.T  # c_x, (n_x, k)
        self.statistics = basis.T  # B, (n_y, k)
        self.dimension = len(basis)
        floor = problem.p_y_given_x.min(axis=0) * (1 - 1e-9)  # a maximum has r_y ≥ min_x p_x(y)
        self._corners = floor @ self.statistics + (1 - floor.sum()) * self.statistics
        self.normals, self.offsets = _facets(self._corners)

    def _member(self, c: FloatArray) -> FloatArray:
        log_r = self.base + c @ self.statistics.T
        r = np.exp(log_r - log_r.max(axis=1, keepdims=True))
        return r / r.sum(axis=1, keepdims=True)

    def root(self) -> FloatArray:
        return self._corners if len(self._corners) == self.dimension + 1 else _enclosing_simplex(self._corners)

    def coordinates(self, r: FloatArray) -> FloatArray:
        return r @ self.statistics

    def directions(self, r: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.cholesky(self._covariance(r)).transpose(0, 2, 1), dtype=float)

    def guess(self, u: FloatArray) -> FloatArray:
        c = np.zeros_like(u)
        for _ in range(20):
            c = self.tangent(u, c).state
        return c

    def _covariance(self, r: FloatArray) -> FloatArray:
        centred = self.statistics - (r @ self.statistics)[:, None, :]
        covariance = (centred * r[:, :, None]).transpose(0, 2, 1) @ centred
        # Keeps the inverse finite where r has run to a vertex; it only loosens the bound.
        return covariance + 1e-14 * np.eye(self.dimension)

    def tangent(self, u: FloatArray, guess: FloatArray, cells: FloatArray | None = None) -> Tangent:
        c = guess
        for _ in range(NEWTON):  # Newton on c ↦ A(c) − c · u, in steps of at most e⁴ in any ratio r_y / r_y'
            r = self._member(c)
            step = np.linalg.solve(self._covariance(r), (u - r @ self.statistics)[:, :, None])[:, :, 0]
            spread = np.ptp(step @ self.statistics.T, axis=1, keepdims=True)
            c = c + step * np.minimum(1.0, 4.0 / np.maximum(spread, 1e-12))
        r = self._member(c)
        return Tangent(r, r @ self.statistics, np.all(r > 1e-12, axis=1), c)

    def exponents(self, tangent: Tangent, vertices: FloatArray) -> FloatArray:
        steps = vertices - tangent.u[:, None, :]
        return steps @ self.natural.T - np.einsum("nvk,nk->nv", steps, tangent.state)[:, :, None]

    def curvature(self, tangent: Tangent, vertices: FloatArray) -> _CommonCurvature:
        r"""From A(c₀ + δ) ≤ A(c₀) + ∇A·δ + ½ φ(ω) δᵀA''δ, ω the range of B δ over y, φ(ω) = 2(e^ω − 1 − ω)/ω².

        With δ = A''⁻¹(u − u₀) in A*(u) ≥ (c₀ + δ)·u − A(c₀ + δ): A*(u) ≥ tangent + ½ (2 − φ(ω)) (u − u₀)ᵀA''⁻¹(u − u₀).
        """
        inverse = np.linalg.inv(self._covariance(tangent.r))
        steps = vertices - tangent.u[:, None, :]
        shift = steps @ inverse
        omega = np.ptp(shift @ self.statistics.T, axis=2).max(axis=1)
        strength = np.maximum(0.0, 2.0 - exponential_remainder(omega))
        reach = 0.5 * strength * np.einsum("nvk,nvk->nv", steps, shift).max(axis=1)
        return _CommonCurvature(strength[:, None, None] * inverse, reach[:, None])

    def stretch(self, tangent: Tangent) -> FloatArray:
        return np.asarray(np.linalg.inv(self.directions(tangent.r)), dtype=float)

    def outside(self, vertices: FloatArray) -> NDArray[np.bool_]:
        return _beyond(vertices, self.normals, self.offsets)


# --- helpers ---


def exponential_remainder(x: FloatArray) -> FloatArray:
    """φ(x) = 2 (eˣ − 1 − x) / x², increasing, φ(0) = 1; infinite where eˣ overflows."""
    small = np.abs(x) < 1e-3
    safe = np.clip(np.where(small, 1.0, x), -700.0, 700.0)
    return np.where(
        small, 1.0 + x / 3.0 + x * x / 12.0 + np.abs(x) ** 3 / 59.0, 2.0 * (np.expm1(safe) - safe) / safe**2
    )


def affine_rank(rows: FloatArray) -> int:
    """Dimension of the affine hull of the rows, up to rounding."""
    return len(_affine_basis(rows)[1])


def _affine_basis(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centre and orthonormal basis (k, n_y) of the affine hull of the rows, up to rounding."""
    centre = rows.mean(axis=0)
    _, size, basis = np.linalg.svd(rows - centre, full_matrices=False)
    floor = 4 * np.finfo(float).eps * max(rows.shape) * max(np.abs(rows).max(), 1.0)
    return centre, basis[size > floor]


def _facets(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Half-spaces {normal · u ≤ offset} that hold all points, so valid whatever the rounding of the hull was."""
    from scipy.spatial import ConvexHull, QhullError

    normals = np.concatenate([np.eye(points.shape[1]), -np.eye(points.shape[1])])
    if 2 <= points.shape[1] <= 4 and len(points) > points.shape[1] + 1:
        with contextlib.suppress(QhullError):  # the box alone is a valid, looser hull
            normals = np.concatenate([normals, np.unique(ConvexHull(points).equations[:, :-1], axis=0)])
    return normals, (normals @ points.T).max(axis=1) + 1e-12


def _beyond(vertices: FloatArray, normals: FloatArray, offsets: FloatArray) -> NDArray[np.bool_]:
    """Which cells (N, v, k) have all vertices on the far side of one of the half-spaces."""
    height = vertices @ normals.T
    least = height[:, 0]
    for i in range(1, height.shape[1]):
        least = np.minimum(least, height[:, i])
    return np.any(least > offsets, axis=1)


def _enclosing_simplex(points: FloatArray) -> FloatArray:
    """A simplex around points (n, k): the corner of their box, as far out as the farthest point."""
    low = points.min(axis=0)
    size = (points - low).sum(axis=1).max() * (1 + 1e-9) + 1e-12
    return np.concatenate([low[None], low + size * np.eye(points.shape[1])]) - 1e-12
