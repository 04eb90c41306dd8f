"""Some clusters in what surrounds them: objective, gradient and Hessian of the problem in which all others stay."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dualib.bottleneck import Atoms, Bottleneck
from dualib.core.special import TINY
from dualib.core.typing import BoolArray, Float, FloatArray, IntArray
from dualib.solvers.iterate import Iterate
from dualib.solvers.parts import LARGEST_EXPONENT, LEAST

LIKELY = 1e-6  # q(t|x) of all together from which on an x counts


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What stays while some clusters move.

    Attributes
    ----------
    problem : Bottleneck
    beta : float
    average : float
        Weight of the average cluster.
    rows : array, shape (n,)
        Those x of which they have a share that counts.
    rest : array, shape (n,)
        R over z,
    log_z : array, shape (n,)
        log z, with the others' share.
    """

    problem: Bottleneck
    beta: float
    average: float
    rows: IntArray
    rest: Float[np.ndarray, " n"]
    log_z: Float[np.ndarray, " n"]

    @cached_property
    def p_x(self) -> FloatArray:
        """p(x) of the rows."""
        return np.asarray(self.problem.p_x[self.rows])

    @cached_property
    def of_rows(self) -> FloatArray:
        """Factors of −βd − log z, as columns."""
        return np.column_stack([self.problem.of_rows[self.rows], -self.log_z]).T.copy()

    @cached_property
    def near_sums(self) -> FloatArray:
        """1 and the statistic, less its mean where a symbol is weak."""
        return np.asarray(self.problem.near_sums[self.rows])

    @cached_property
    def features(self) -> FloatArray:
        """What the second derivatives of d are made of."""
        return np.asarray(self.problem.features[self.rows])


@dataclass(frozen=True, eq=False)
class Outside:
    """What the x that do not count add to each cluster, to first order in its weight and atom.

    Σ_x p ratio of 1 and of the statistic, (m, n_y + 1), and of the features, (m, n_y); how the first of them changes with the
    atom, (m, n_y), and that times the atom where it was looked at.
    """

    sums: FloatArray
    features: FloatArray
    slope: FloatArray
    origin: FloatArray

    def of(self, kept: BoolArray) -> Outside:
        """That of some clusters."""
        return Outside(self.sums[kept], self.features[kept], self.slope[kept], self.origin[kept])

    def joined(self, i: int, j: int, share: float) -> Outside:
        """That of all but j, for i the mean of both with this share of i."""
        columns = []
        for one in (self.sums, self.features, self.slope, self.origin):
            new = one.copy()
            new[i] = share * one[i] + (1.0 - share) * one[j]
            columns.append(np.delete(new, j, axis=0))
        return Outside(*columns)

    def at(self, atoms: Atoms) -> Float[np.ndarray, " m"]:
        """Σ_x p ratio at other atoms."""
        return np.asarray(self.sums[:, 0] + (self.slope * atoms).sum(axis=1) - self.origin)


@dataclass(frozen=True, eq=False)
class Place:
    """Some clusters in what surrounds them."""

    around: Surroundings
    outside: Outside
    weights: Float[np.ndarray, " m"]
    atoms: Atoms

    @classmethod
    def of(cls, it: Iterate, members: IntArray, log_z: Float[np.ndarray, " n_x"]) -> Place:
        """Some clusters of an iterate, with log z as it is by now."""
        problem, weights, atoms = it.problem, it.weights[members], it.atoms[members]
        exponents = problem.exponents(it.beta, atoms, -log_z)
        ratio = np.exp(np.minimum(exponents, LARGEST_EXPONENT, out=exponents), out=exponents)
        likely = weights @ ratio > LIKELY
        rows = np.flatnonzero(likely)
        far = np.where(likely, 0.0, ratio * problem.p_x)
        sums = far @ problem.near_sums
        scale, offset = problem.slope_parts(atoms)
        mean = scale * sums[:, 1:] + offset * sums[:, :1]
        slope = np.where(atoms > LEAST, it.beta * mean / np.sqrt(np.maximum(atoms, LEAST)), 0.0)
        outside = Outside(sums, far @ problem.features, slope, (slope * atoms).sum(axis=1))
        rest = np.maximum(1.0 - weights @ ratio[:, rows], 0.0)
        here = Surroundings(problem, it.beta, 1.0 / len(it.weights), rows, rest, log_z[rows])
        return cls(here, outside, weights, atoms)

    @cached_property
    def kernel(self) -> FloatArray:
        """e^{−βd} over the z of the surroundings, (m, n)."""
        problem, beta = self.around.problem, self.around.beta
        left = np.column_stack([-beta * problem.of_atoms(self.atoms), np.ones(len(self.atoms))])
        exponents = left @ self.around.of_rows
        return np.asarray(np.exp(np.minimum(exponents, LARGEST_EXPONENT, out=exponents), out=exponents))

    @cached_property
    def z(self) -> FloatArray:
        """By now over that of the surroundings."""
        return np.maximum(self.around.rest + self.weights @ self.kernel, TINY)

    @cached_property
    def value(self) -> float:
        """The objective, up to a constant."""
        return float(self.weights @ (1.0 - self.outside.at(self.atoms))) - float(self.around.p_x @ np.log(self.z))

    @cached_property
    def sums(self) -> FloatArray:
        """Σ_x p ratio of 1 and the statistic, (m, n_y + 1)."""
        here = self.around
        return np.asarray(self.outside.sums + self.kernel @ (here.near_sums * (here.p_x / self.z)[:, None]))

    def moved(self, weights: FloatArray, atoms: FloatArray, outside: Outside | None = None) -> Place:
        """The same clusters elsewhere, or others."""
        atoms = atoms / atoms.sum(axis=1, keepdims=True)
        return Place(self.around, self.outside if outside is None else outside, weights, atoms)

    def system(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Gradient (m, n_y + 1) and Hessian, 1 along √r, and √ν; all in the coordinates of :mod:`dualib.solvers.newton`."""
        here, problem, (m, n_y) = self.around, self.around.problem, self.atoms.shape
        live = self.atoms > LEAST
        tangent = np.sqrt(np.where(live, self.atoms, 0.0))
        scale, offset = (np.sqrt(here.beta) * part * live for part in problem.slope_parts(self.atoms))
        root = np.sqrt(self.weights)
        inside = np.eye(n_y) - tangent[:, :, None] * tangent[:, None, :]
        left = np.zeros((m, n_y + 1, n_y + 1))  # what turns 1 and the statistics into the coordinates
        left[:, 0, 0] = 1.0
        left[:, 1:, 0] = (inside @ offset[:, :, None])[:, :, 0]
        left[:, 1:, 1:] = inside * scale[:, None, :]
        means = (left @ self.sums[:, :, None])[:, :, 0]
        gradient = -root[:, None] * means
        gradient[:, 0] += root
        slopes = left @ here.near_sums.T  # (m, n_y + 1, n)
        share = self.kernel * (np.sqrt(here.p_x) / self.z)
        flat = (slopes * (share * root[:, None])[:, None, :]).reshape(m * (n_y + 1), -1)
        hessian = flat @ flat.T
        blocks = hessian.reshape(m, n_y + 1, m, n_y + 1)
        own = slopes * (self.kernel * (here.p_x / self.z))[:, None, :]
        second = own @ slopes.transpose(0, 2, 1)
        features = self.outside.features + self.kernel @ (here.features * (here.p_x / self.z)[:, None])
        bend = np.where(live, features * np.maximum(self.atoms, TINY) ** -problem.power, 1.0)
        t = np.arange(m)
        second[:, 1:, 1:] -= inside * bend[:, None, :] @ inside + (np.eye(n_y) - inside)
        second[:, 0, 0] -= self.sums[:, 0]
        blocks[t, :, t, :] -= second
        return gradient, hessian, root
