"""A point on the way to the optimum: weights and atoms, and the one evaluation of e^{−βd} that all else follows from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dualib.bottleneck import ACCURATE, Atoms, Bottleneck, Table
from dualib.certificate.dual_function import DualFunction
from dualib.core.result import Brief
from dualib.core.special import EPS, kl_nats
from dualib.core.typing import BoolArray, Float, FloatArray, IntArray
from dualib.solvers.parts import Far, Parts, in_near, in_parts, large, nearby, united

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Iterate(Brief):
    """Weights and atoms at a β, with what one evaluation of e^{−βd} gives.

    Attributes
    ----------
    problem : Bottleneck
    beta : float
    weights : array, shape (n_t,)
        ν.
    atoms : array, shape (n_t, n_y)
        The r_t.
    value : float
        Φ, nats.
    log_z : array, shape (n_x,)
        log Σ_t ν_t e^{−βd(x,r_t)}.
    """

    problem: Bottleneck
    beta: float
    weights: Float[np.ndarray, " n_t"]
    atoms: Atoms
    value: float
    log_z: Float[np.ndarray, " n_x"]

    @classmethod
    def of(
        cls,
        problem: Bottleneck,
        beta: float,
        weights: Float[np.ndarray, " n_t"],
        atoms: Atoms,
        kernel: Table,
        top: Float[np.ndarray, " n_x"],
    ) -> Iterate:
        """The iterate with a kernel e^{−βd − top} at hand."""
        z = weights @ kernel
        log_z = np.log(z) + top
        it = cls(problem, beta, weights, atoms, -float(problem.p_x @ log_z), log_z)
        it.__dict__.update(kernel=kernel, z=z, parts=None)
        return it

    def without_tables(self) -> Iterate:
        """The same, small: what has n_t times n_x entries is computed again when it is asked for."""
        return replace(self)

    @cached_property
    def parts(self) -> Parts | None:
        """What is kept of the evaluation where there are too many pairs of cluster and x for a table."""
        if not large(len(self.weights), self.problem):
            return None
        return in_parts(self.problem, self.beta, self.weights, self.atoms, self.log_z)

    @cached_property
    def kernel(self) -> Table:
        """e^{−βd(x,r_t)}, up to a factor for each x."""
        return self._kernel_of(slice(None))

    def shares(self, clusters: slice | IntArray = slice(None)) -> Table:
        """e^{−βd(x,r_t)} / Σ_t ν_t e^{−βd(x,r_t)} of some clusters, times ν_t the encoder."""
        if self.parts is None:
            return np.asarray(self.kernel[clusters] / self.z)
        return self._kernel_of(clusters)

    def _kernel_of(self, clusters: slice | IntArray) -> Table:
        exponents = self.problem.exponents(self.beta, self.atoms[clusters], -self.log_z)
        return np.asarray(np.exp(exponents, out=exponents))

    @cached_property
    def z(self) -> Float[np.ndarray, " n_x"]:
        """Σ_t ν_t kernel_tx, so that q(t|x) = ν_t kernel_tx / z_x."""
        return np.asarray(self.weights @ self.kernel) if self.parts is None else np.ones(len(self.log_z))

    def moved(
        self, weights: Float[np.ndarray, " n"], atoms: Atoms, kept: BoolArray | IntArray | None = None
    ) -> Iterate:
        """The iterate at other weights and atoms of its clusters, those that are kept."""
        if self.parts is None or self.parts.far is None:
            return evaluate(self.problem, self.beta, weights, atoms, self.log_z)
        near, far = self.parts.likely, self.parts.far
        return self.in_near(weights, atoms, *((near, far) if kept is None else (near[kept], far.of(kept))))

    def joined(
        self,
        weights: Float[np.ndarray, " n"],
        atoms: Atoms,
        kept: BoolArray,
        first: IntArray,
        second: IntArray,
    ) -> Iterate:
        """The iterate at other weights and atoms of the clusters kept, then of unions of two."""
        if self.parts is None or self.parts.far is None:
            return evaluate(self.problem, self.beta, weights, atoms, self.log_z)
        near, far = united(
            self.problem, self.beta, self.weights, self.atoms, self.parts.likely, self.parts.far, kept, first, second
        )
        return self.in_near(weights, atoms, near, far)

    def nearby(self) -> Iterate:
        """The same, from which on steps look at the pairs only that count."""
        if self.parts is None:
            return self
        return self.in_near(
            self.weights, self.atoms, *nearby(self.problem, self.beta, self.weights, self.atoms, self.parts)
        )

    def in_near(self, weights: FloatArray, atoms: FloatArray, near: csr_array, far: Far) -> Iterate:
        """The iterate evaluated at the pairs that count."""
        atoms = atoms / atoms.sum(axis=1, keepdims=True)  # decoders of sums of which some are to first order
        parts, value = in_near(self.problem, self.beta, weights, atoms, near, far)
        it = Iterate(self.problem, self.beta, weights, atoms, value, parts.log_z)
        it.__dict__["parts"] = parts
        return it

    @property
    def ratio(self) -> Table:
        """e^{−βd(x,r_t)} / Σ_t ν_t e^{−βd(x,r_t)}."""
        return self.shares()

    @cached_property
    def gain(self) -> Float[np.ndarray, " n_t"]:
        """G at the atoms, Σ_x p(x) ratio_tx: 1 at an optimum."""
        return np.asarray(self.sums[:, 0])

    @cached_property
    def sums(self) -> Float[np.ndarray, "n_t n_sums"]:
        """Σ_x p(x) ratio_tx of 1 and of the statistic of x, all that an alternating step takes."""
        if self.parts is not None:
            return self.parts.sums
        return np.asarray(self.kernel @ (self.problem.sums * (self.problem.p_x / self.z)[:, None]))

    @property
    def encoder(self) -> Table:
        """q(t|x)."""
        return np.asarray(self.weights[:, None] * self.ratio)

    @property
    def upper_value(self) -> float:
        """Φ with what rounding can have taken from it: a proven upper bound of F(β), nats.

        Σ p(x) q(t|x) errors of β d, each relative to β d where d is summed term by term, and the average of β d is at most Φ.
        """
        product = self.problem.product_rounding(self.beta)
        error = EPS * (16.0 + 8.0 * abs(self.value) + len(self.weights))
        return self.value + error + (4.0 * product if product < ACCURATE else 0.0)

    @property
    def noise(self) -> float:
        """By how much rounding alone may make Φ rise or fall from one iterate to the next, nats: log z errs by EPS even where z is near 1."""
        return float(2.0 * EPS * (1.0 + abs(self.value)))

    @property
    def posterior(self) -> Table:
        """p(x|t)."""
        joint = self.shares() * self.problem.p_x
        joint /= joint.sum(axis=1, keepdims=True)
        return np.asarray(joint)

    @property
    def rate(self) -> float:
        """I(X;T) of the encoder, nats."""
        encoder = self.encoder.T
        return float(self.problem.p_x @ kl_nats(encoder, self.problem.p_x @ encoder))

    @property
    def dual(self) -> DualFunction:
        """G, with the weights p(x)/z_x."""
        return DualFunction(self.problem, self.beta, np.log(self.problem.p_x) - self.log_z)


def evaluate(
    problem: Bottleneck,
    beta: float,
    weights: Float[np.ndarray, " n_t"],
    atoms: Atoms,
    near: Float[np.ndarray, " n_x"] | None = None,
) -> Iterate:
    """Φ and the encoder at weights and atoms; `near`, log z of an iterate near by, saves two passes."""
    if large(len(weights), problem):
        parts = in_parts(problem, beta, weights, atoms, near)
        it = Iterate(problem, beta, weights, atoms, -float(problem.p_x @ parts.log_z), parts.log_z)
        it.__dict__["parts"] = parts
        return it
    if near is not None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            kernel = problem.exponents(beta, atoms, -near)
            it = Iterate.of(problem, beta, weights, atoms, np.exp(kernel, out=kernel), near)
        if it.z.min() > 1e-100 and it.z.max() < 1e100:
            return it
    kernel = problem.exponents(beta, atoms)
    top = kernel.max(axis=0)
    np.subtract(kernel, top, out=kernel)
    return Iterate.of(problem, beta, weights, atoms, np.exp(kernel, out=kernel), top)
