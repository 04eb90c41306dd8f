r"""The Hessian of Φ where it is too large to be kept: its products with vectors.

In the coordinates of :mod:`dualib.solvers.newton` the Hessian is J Jᵀ and a block for each atom. J, of which row (t, y) and
column x is √(p(x) ν_t) e^{−βd}/z_x a_tx(y), is never formed: the slope of every problem is a_tx = scale_t ∘ S_x + offset_t,
S_x the statistic of x, so that a product with J or Jᵀ is one matrix product with e^{−βd}/z and no pass over its entries. These
are in single precision: they only say where to look, Φ and its gradient stay in double.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from dualib.core.special import TINY
from dualib.core.typing import FloatArray
from dualib.solvers.iterate import Iterate
from dualib.solvers.parts import LEAST, single

LARGEST_BLOCKS = 12  # symbols up to which an atom's second moments are kept


@dataclass(frozen=True)
class System:
    """Gradient and Hessian of Φ at an iterate, on vectors (n_t, n_y + 1), weights first."""

    it: Iterate

    @cached_property
    def root(self) -> FloatArray:
        """√ν, a column."""
        return np.asarray(np.sqrt(self.it.weights)[:, None])

    @cached_property
    def tangent(self) -> FloatArray:
        """√r, to which steps of the atoms are orthogonal."""
        return np.sqrt(np.where(self.it.atoms > LEAST, self.it.atoms, 0.0))

    @cached_property
    def slope(self) -> tuple[FloatArray, FloatArray]:
        """Scale and offset of a_tx, 0 where r is left alone."""
        scale, offset = self.it.problem.slope_parts(self.it.atoms)
        live = np.sqrt(self.it.beta) * (self.it.atoms > LEAST)
        return scale * live, offset * live

    @cached_property
    def over_z(self) -> FloatArray:
        """p(x)/z_x, a column."""
        return np.asarray((self.it.problem.p_x / self.it.z)[:, None])

    @cached_property
    def sums(self) -> FloatArray:
        """Σ_x p ratio of 1 and of S_x."""
        it = self.it
        if not it.problem.any_weak:
            return it.sums
        if it.parts is not None:
            return np.column_stack([it.sums[:, :1], it.sums[:, 1:] - it.sums[:, :1] * it.problem.mean_where_weak])
        return np.asarray(it.kernel @ (it.problem.near_sums * self.over_z))

    @cached_property
    def mean(self) -> FloatArray:
        """Σ_x p ratio a_tx, along the simplex."""
        scale, offset = self.slope
        mean = scale * self.sums[:, 1:] + offset * self.sums[:, :1]
        return np.asarray(mean - self.tangent * (self.tangent * mean).sum(axis=1, keepdims=True))

    @cached_property
    def gradient(self) -> FloatArray:
        """Of Φ, in double precision."""
        return -self.root * np.column_stack([self.sums[:, 0] - 1.0, self.mean])

    @cached_property
    def exact_curvature(self) -> FloatArray:
        """Σ_x p ratio times the second derivative of d, a diagonal; in double precision."""
        problem, atoms = self.it.problem, self.it.atoms
        features = (
            self.it.sums[:, 1:]
            if problem.features is problem.statistics
            else self.it.kernel @ (problem.features * self.over_z)
        )
        return np.where(atoms > LEAST, features * np.maximum(atoms, TINY) ** -problem.power, 1.0)

    # --- the Hessian, in single precision ---

    @cached_property
    def kernel(self) -> FloatArray:
        """e^{−βd}/z_x, which is at most 1/ν_t however small z_x is; of very many pairs, those that count as a sparse array."""
        if self.it.parts is not None:
            return cast(FloatArray, self.it.parts.likely)
        return single(self.it.shares())

    @cached_property
    def right(self) -> FloatArray:
        """1 and S_x times √p, as columns of x."""
        root = np.sqrt(self.it.problem.p_x)
        return np.asarray((self.it.problem.near_sums * root[:, None]).T, dtype=np.float32)

    @cached_property
    def curvature(self) -> FloatArray:
        """Σ_x p ratio times the second derivative of d, a diagonal."""
        problem, atoms = self.it.problem, self.it.atoms
        features = (problem.features * problem.p_x[:, None]).astype(np.float32)
        return np.where(atoms > LEAST, (self.kernel @ features) * np.maximum(atoms, TINY) ** -problem.power, 1.0)

    @cached_property
    def second(self) -> FloatArray:
        """Σ_x p ratio a aᵀ."""
        scale, offset = self.slope
        n_t, n_y = scale.shape
        i, j = np.triu_indices(n_y)
        right, p = self.it.problem.near_sums, self.it.problem.p_x[:, None]
        found = np.empty((n_t, n_y, n_y))
        found[:, i, j] = self.kernel @ (right[:, 1 + i] * right[:, 1 + j] * p).astype(np.float32)
        found[:, j, i] = found[:, i, j]
        found *= scale[:, :, None] * scale[:, None, :]
        cross = (scale * self.sums[:, 1:])[:, :, None] * offset[:, None, :]
        found += cross + cross.transpose(0, 2, 1)
        return found + self.sums[:, :1, None] * offset[:, :, None] * offset[:, None, :]

    def product(self, v: FloatArray) -> FloatArray:
        """The Hessian times v, which is along the simplices."""
        scale, offset = self.slope
        w, b = v[:, :1], v[:, 1:]
        left = np.column_stack([w + (b * offset).sum(axis=1, keepdims=True), b * scale])
        back = self._by_blocks(left) if b.shape[1] <= LARGEST_BLOCKS else self._by_pairs(left)
        out = np.column_stack([back[:, 0], scale * back[:, 1:] + offset * back[:, :1] + self.curvature * b])
        if b.shape[1] <= LARGEST_BLOCKS:
            out[:, 0] -= (self.mean * b).sum(axis=1)
            out[:, 1:] -= np.matmul(self.second, b[:, :, None])[:, :, 0] + self.mean * w
        else:
            out[:, :1] += w * self.sums[:, :1]
        out[:, 1:] -= self.tangent * (self.tangent * out[:, 1:]).sum(axis=1, keepdims=True)
        return out

    def _by_blocks(self, left: FloatArray) -> FloatArray:
        along = np.einsum("kx,kx->x", (self.root * left).T.astype(np.float32) @ self.kernel, self.right)
        return np.asarray(self.root * (self.kernel @ (self.right * along).T))

    def _by_pairs(self, left: FloatArray) -> FloatArray:
        """Where there are too many symbols for an atom's second moments: by the slopes along the step of all pairs."""
        root = self.root.astype(np.float32)
        steps = left.astype(np.float32) @ self.near
        steps *= self.shares
        along = (root.T @ steps) / self.it.problem.p_x.astype(np.float32)
        return np.asarray((self.shares * (root * along) - steps) @ self.near.T, dtype=np.float64)

    @cached_property
    def shares(self) -> FloatArray:
        """p(x) ratio_tx."""
        return np.asarray(self.kernel * self.it.problem.p_x.astype(np.float32))

    @cached_property
    def near(self) -> FloatArray:
        """1 and S_x, as columns of x."""
        return np.asarray(self.it.problem.near_sums.T, dtype=np.float32)
