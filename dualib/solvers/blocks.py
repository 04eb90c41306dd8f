"""The blocks B_t of the Hessian of Φ that :mod:`dualib.solvers.elimination` eliminates, and their inverses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, spotrf

from dualib.core.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Group:
    """Clusters of about as many pairs: `t` (g,), the `x` of each (g, m), √q there, 0 where it has fewer, and the slopes.

    These are √(p ratio) a C^{−1/2}, (g, m, n_y), along the simplex.
    """

    t: IntArray
    x: IntArray
    root_q: FloatArray
    slopes: FloatArray

    @property
    def by_symbols(self) -> bool:
        """Whether there are fewer symbols than pairs."""
        n_pairs, n_y = self.slopes.shape[1:]
        return bool(n_pairs > n_y)

    @cached_property
    def square(self) -> FloatArray:
        """AᵀA, or A Aᵀ where that is smaller: its largest eigenvalue is β λ_max(C(t)), but for the pairs left out."""
        a, b = self.slopes, self.slopes.transpose(0, 2, 1)
        return np.asarray(b @ a if self.by_symbols else a @ b)


@dataclass(frozen=True)
class Blocks:
    """The blocks B_t of a group, over their curvature and shifted: their inverses, eigenvalues below 0 turned upwards."""

    group: Group
    scale: float  # 1 + shift
    inverse: FloatArray  # of scale − the group's square
    among_x: FloatArray  # A B⁻¹ Aᵀ, of each two x
    stable: bool  # whether no cluster would split, as far as the shift tells

    @classmethod
    def of(cls, group: Group, shift: float, least: float) -> Blocks:
        """The inverses; an eigenvalue that is less than `least` of the scale is taken for its size, at least so much."""
        a, square, by_symbols = group.slopes, group.square, group.by_symbols
        scale, one = square.dtype.type(1.0 + shift), np.eye(square.shape[1], dtype=square.dtype)
        matrices: FloatArray = np.asarray(scale * one - square)
        bent = _indefinite(matrices - square.dtype.type(least) * scale * one)
        matrices[bent] = one
        inverse: FloatArray = np.asarray(np.linalg.inv(matrices), dtype=matrices.dtype)
        among = np.asarray(a @ inverse @ a.transpose(0, 2, 1) if by_symbols else scale * inverse - one)
        if len(bent):
            values, vectors = np.linalg.eigh(square[bent])
            raised = np.maximum(np.abs(scale - values), least * scale)
            if by_symbols:
                inverse[bent] = _composed(vectors, 1.0 / raised)
                among[bent] = a[bent] @ inverse[bent] @ a[bent].transpose(0, 2, 1)
            else:  # where scale − λ is raised, λ is at least about the scale
                far = values > 0.5 * scale
                inverse[bent] = _composed(
                    vectors, np.where(far, scale / raised - 1.0, 1.0) / np.where(far, values, raised)
                )
                among[bent] = _composed(vectors, values / raised)
        return cls(group, float(scale), inverse, among, not len(bent))

    def solved(self, v: FloatArray) -> FloatArray:
        """The inverse B⁻¹ of each v (g, n_y)."""
        if self.group.by_symbols:
            return applied(self.inverse, v)
        a = self.group.slopes
        inner = applied(self.inverse, applied(a, v))
        return np.asarray((v + applied(a.transpose(0, 2, 1), inner)) / v.dtype.type(self.scale))


def applied(matrices: FloatArray, v: FloatArray) -> FloatArray:
    """Each matrix times its vector."""
    return np.asarray((matrices @ v[:, :, None])[:, :, 0])


def _indefinite(matrices: FloatArray) -> IntArray:
    """Which of the matrices have no Cholesky factor."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        factor = dpotrf if matrices.dtype == np.float64 else spotrf
        return np.flatnonzero([factor(one, lower=1)[1] for one in matrices])
    return np.zeros(0, np.int64)


def _composed(vectors: FloatArray, values: FloatArray) -> FloatArray:
    return np.asarray(vectors * values[:, None, :] @ vectors.transpose(0, 2, 1), dtype=vectors.dtype)
