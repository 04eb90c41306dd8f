r"""Coordinates in which the maximum of G over the simplex is searched, with the bounds that make the search a proof.

.. math:: G(r) = \sum_x w_x e^{-\beta d(x, r)}, \qquad w_x = p(x) s_x

A maximum of G is a mixture of the rows p_x (IB) or a log-linear mixture of them (dualIB), so the search has the dimension
of their span, whatever |Y|. Since −βd is concave, a tangent at any base point bounds every exponent from above by an affine
function of the coordinates; the strength of its curvature over a region gives the next order.

A chart knows: ``dimension``; a root simplex that contains every maximum; the atoms at given coordinates; tangents; and a
lower bound of the curvature. It does not know β, w or the search: see :mod:`dualib.certificate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dualib.bottleneck import Atoms, Bottleneck
from dualib.certificate.curvatures import CommonCurvature, Curvature, DiagonalCurvature
from dualib.core.special import expm1_gap_ratio
from dualib.core.typing import Bool, BoolArray, Float, FloatArray, NDArray
from dualib.hull import HullKind, affine_basis, beyond, enclosing_simplex, facets

Points = Float[np.ndarray, "n k"]
Cells = Float[np.ndarray, "n v k"]
Matrices = Float[np.ndarray, "n k k"]
Exponents = Float[np.ndarray, "n v n_x"]

NEWTON = 3  # steps from the state of the parent cell
LEAST = 1e-12  # r_y of a base, as slopes in r_y^−power carry the rounding of coordinates;
LEAST_OF_LOGARITHMS = (
    1e-20  # where they are logarithms, a base may be as near to a face as there are numbers of coordinates
)


@dataclass(frozen=True)
class Tangent:
    """Base points of tangents: the atoms ``r`` and coordinates ``u`` they stand at.

    ``usable`` marks those whose base lies in the chart, so that the curvature bound applies; ``state`` is the chart's own.
    """

    r: Float[np.ndarray, "n n_y"]
    u: Points
    usable: Bool[np.ndarray, " n"]
    state: Points

    def take(self, index: NDArray[Any]) -> Tangent:
        """Those at the given indices."""
        return Tangent(self.r[index], self.u[index], self.usable[index], self.state[index])


class Chart(Protocol):
    """What a search needs of a chart of dimension k; its cells or regions have v vertices each."""

    dimension: int

    def root(self) -> Points:
        """Vertices of a simplex that contains every maximum of G: k + 1 of them."""

    def coordinates(self, r: Atoms) -> Points:
        """The coordinates of atoms."""

    def directions(self, r: Atoms) -> Matrices:
        """Directions at atoms in which the distortion curves about equally."""

    def guess(self, u: Points) -> Points:
        """A state to start :meth:`tangent` from."""

    def tangent(self, u: Points, guess: Points, cells: Cells | None = None) -> Tangent:
        """Tangents at, or near, the coordinates u, for use over `cells`; `guess` is the state of a tangent near by."""

    def exponents(self, tangent: Tangent, vertices: Cells) -> Exponents:
        """The tangent of −d(x, ·) at vertices, less its value at the base."""

    def accurate_exponents(
        self, tangent: Tangent, vertices: Cells
    ) -> tuple[Exponents, Float[np.ndarray, "n n_x"]] | None:
        """The same to relative accuracy, and the size of what multiplies the rounding of coordinates; None where that is not known."""

    def curvature(self, tangent: Tangent, vertices: Cells) -> Curvature:
        """The lower bound of the curvature over the convex hull of the vertices."""

    def stretch(self, tangent: Tangent) -> Float[np.ndarray, "n k j"]:
        """Matrices after which the length of a step is about the distortion it makes; for choosing edges."""

    def outside(self, vertices: Cells) -> Bool[np.ndarray, " n"]:
        """Which cells certainly hold no maximum of G."""


# --- IB and AlphaIB: affine coordinates of r itself ---


class MixtureChart:
    """r = centre + u · basis over the affine hull of `points`; every maximum is a mixture of them."""

    def __init__(self, problem: Bottleneck):
        self.problem, points = problem, problem.hull.points
        self.floor = problem.p_y_given_x.min(axis=0)  # a maximum has r_y ≥ min_x p_x(y), for every α
        self.centre, self.basis = affine_basis(points)
        self.dimension = len(self.basis)
        self._spans_simplex = self.dimension == points.shape[1] - 1
        self._least = LEAST if problem.power else LEAST_OF_LOGARITHMS
        self._points = (points - self.centre) @ self.basis.T
        self.normals, self.offsets = facets(self._points)

    def root(self) -> Points:
        """The simplex above the floor, the points themselves, or a simplex around them."""
        if self._spans_simplex:
            floor = self.floor * (1 - 1e-9)
            return self.coordinates(floor + (1 - floor.sum()) * np.eye(len(floor)))
        return self._points if len(self._points) == self.dimension + 1 else enclosing_simplex(self._points)

    def coordinates(self, r: Atoms) -> Points:
        """(r − centre) · basis."""
        return np.asarray((r - self.centre) @ self.basis.T)

    def directions(self, r: Atoms) -> Matrices:
        """Orthonormal in the Fisher metric."""
        metric = np.einsum("ky,ty,jy->tkj", self.basis, 1 / np.maximum(r, 1e-12), self.basis)
        return np.linalg.inv(np.linalg.cholesky(metric))

    def guess(self, u: Points) -> Points:
        """No state is needed: the coordinates."""
        return u

    def tangent(self, u: Points, guess: Points, cells: Cells | None = None) -> Tangent:
        """At r itself, or where that leaves the simplex at a point inside."""
        r = self.centre + u @ self.basis
        least = np.maximum(0.1 * self.floor, self._least)
        if cells is not None:  # a base outside the simplex is brought as far inside as the cell reaches
            least = np.maximum(least, 0.02 * (self.centre + cells @ self.basis).max(axis=1))
        return Tangent(np.maximum(r, least), u, np.all(r >= least, axis=1), u)

    def exponents(self, tangent: Tangent, vertices: Cells) -> Exponents:
        """The slope along the steps in r."""
        return self.problem.slope_along(tangent.r, self._steps(tangent, vertices))

    def accurate_exponents(self, tangent: Tangent, vertices: Cells) -> tuple[Exponents, Float[np.ndarray, "n n_x"]]:
        """Coordinates, and steps of them, are known to 2⁻⁵², the pull of every x that is near r to relative accuracy."""
        pull = self.problem.pull(tangent.r)
        exponents = self._steps(tangent, vertices) @ pull.transpose(0, 2, 1)
        return np.asarray(exponents), np.asarray(np.abs(pull).sum(axis=2))

    def _steps(self, tangent: Tangent, vertices: Cells) -> FloatArray:
        return np.asarray((self.centre - tangent.r)[:, None, :] + vertices @ self.basis)

    def curvature(self, tangent: Tangent, vertices: Cells) -> DiagonalCurvature:
        """c_x(y) / r_y^{1 + power} at the largest r_y of the region."""
        steps = (vertices - tangent.u[:, None, :]) @ self.basis
        largest_r = tangent.r + np.maximum(steps.max(axis=1), 0.0)
        diagonal = largest_r ** -(1.0 + self.problem.power)
        return DiagonalCurvature(self.problem.features, diagonal, (steps**2).max(axis=1), self.basis)

    def stretch(self, tangent: Tangent) -> Float[np.ndarray, "n k j"]:
        """Fisher metric."""
        return np.asarray(self.basis / np.sqrt(tangent.r)[:, None, :])

    def outside(self, vertices: Cells) -> Bool[np.ndarray, " n"]:
        """Beyond a half-space of the points, or below the floor."""
        out: BoolArray = beyond(vertices, self.normals, self.offsets)
        if not self._spans_simplex:
            out |= ((self.centre + vertices @ self.basis).max(axis=1) < self.floor * (1 - 1e-9)).any(axis=1)
        return out


# --- dualIB: the moments of the exponential family spanned by the log-rows ---


class MomentChart:
    r"""u = Σ_y r_y B_y, the moments of the family r ∝ exp(base + B c) that the log-rows log p_x = base + B c_x + a_x span.

    For given moments the best r is the member with those moments, and −βd becomes −β A*(u) + β c_x · u + const with
    A*, the convex conjugate of the log-partition function A. A tangent at natural parameters c₀ needs no inversion:
    A*(u) ≥ c₀ · u − A(c₀) for any c₀.
    """

    def __init__(self, problem: Bottleneck):
        self.problem, shape = problem, problem.hull.points
        self.base, basis = affine_basis(shape)
        self.natural = (shape - self.base) @ basis.T  # c_x, (n_x, k)
        self.statistics = basis.T  # B, (n_y, k)
        self.dimension = len(basis)
        floor = problem.p_y_given_x.min(axis=0) * (1 - 1e-9)  # a maximum has r_y ≥ min_x p_x(y)
        self._corners = floor @ self.statistics + (1 - floor.sum()) * self.statistics
        self.normals, self.offsets = facets(self._corners)

    def _member(self, c: FloatArray) -> FloatArray:
        log_r = self.base + c @ self.statistics.T
        r = np.exp(log_r - log_r.max(axis=1, keepdims=True))
        return np.asarray(r / r.sum(axis=1, keepdims=True))

    def root(self) -> Points:
        """The corners of the simplex above the floor, or a simplex around their moments."""
        return self._corners if len(self._corners) == self.dimension + 1 else enclosing_simplex(self._corners)

    def coordinates(self, r: Atoms) -> Points:
        """The moments Σ_y r_y B_y."""
        return np.asarray(r @ self.statistics)

    def directions(self, r: Atoms) -> Matrices:
        """A square root of the covariance of B."""
        return np.asarray(np.linalg.cholesky(self._covariance(r)).transpose(0, 2, 1), dtype=float)

    def guess(self, u: Points) -> Points:
        """Natural parameters by more steps of Newton."""
        c = np.zeros_like(u)
        for _ in range(20):
            c = self.tangent(u, c).state
        return c

    def _covariance(self, r: FloatArray) -> FloatArray:
        centred = self.statistics - (r @ self.statistics)[:, None, :]
        covariance = (centred * r[:, :, None]).transpose(0, 2, 1) @ centred
        # Keeps the inverse finite where r has run to a vertex; it only loosens the bound.
        return np.asarray(covariance + 1e-14 * np.eye(self.dimension))

    def tangent(self, u: Points, guess: Points, cells: Cells | None = None) -> Tangent:
        """At natural parameters near those with these moments: Newton on c ↦ A(c) − c · u."""
        c = guess
        for _ in range(NEWTON):  # in steps of at most e⁴ in any ratio r_y / r_y'
            r = self._member(c)
            step = np.linalg.solve(self._covariance(r), (u - r @ self.statistics)[:, :, None])[:, :, 0]
            spread = np.ptp(step @ self.statistics.T, axis=1, keepdims=True)
            c = c + step * np.minimum(1.0, 4.0 / np.maximum(spread, 1e-12))
        r = self._member(c)
        return Tangent(r, r @ self.statistics, np.all(r > 1e-12, axis=1), c)

    def exponents(self, tangent: Tangent, vertices: Cells) -> Exponents:
        """(c_x − c₀) · (u − u₀)."""
        steps = vertices - tangent.u[:, None, :]
        return np.asarray(steps @ self.natural.T - np.einsum("nvk,nk->nv", steps, tangent.state)[:, :, None])

    def accurate_exponents(self, tangent: Tangent, vertices: Cells) -> None:
        """Moments have the rounding of their sums."""

    def curvature(self, tangent: Tangent, vertices: Cells) -> CommonCurvature:
        r"""From A(c₀ + δ) ≤ A(c₀) + ∇A·δ + ½ φ(ω) δᵀA''δ, ω the range of B δ over y, φ(ω) = 2(e^ω − 1 − ω)/ω².

        With δ = A''⁻¹(u − u₀) in A*(u) ≥ (c₀ + δ)·u − A(c₀ + δ): A*(u) ≥ tangent + ½ (2 − φ(ω)) (u − u₀)ᵀA''⁻¹(u − u₀).
        """
        inverse = np.linalg.inv(self._covariance(tangent.r))
        steps = vertices - tangent.u[:, None, :]
        shift = steps @ inverse
        omega = np.ptp(shift @ self.statistics.T, axis=2).max(axis=1)
        strength = np.maximum(0.0, 2.0 - expm1_gap_ratio(omega))
        reach = 0.5 * strength * np.einsum("nvk,nvk->nv", steps, shift).max(axis=1)
        return CommonCurvature(strength[:, None, None] * inverse, reach[:, None])

    def stretch(self, tangent: Tangent) -> Float[np.ndarray, "n k j"]:
        """Inverse of the directions."""
        return np.asarray(np.linalg.inv(self.directions(tangent.r)), dtype=float)

    def outside(self, vertices: Cells) -> Bool[np.ndarray, " n"]:
        """Beyond a half-space of the corners."""
        return beyond(vertices, self.normals, self.offsets)


def chart_of(problem: Bottleneck) -> Chart:
    """The coordinates for a problem's hull."""
    return MomentChart(problem) if problem.hull.kind is HullKind.LOG_MIXTURES else MixtureChart(problem)
