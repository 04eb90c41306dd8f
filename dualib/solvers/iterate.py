"""A point on the way to the optimum: weights and atoms, and the one evaluation of e^{−βd} that all else follows from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.bottleneck import ACCURATE, Atoms, Bottleneck, Table
from dualib.certificate.dual_function import DualFunction
from dualib.core.special import EPS, kl_nats
from dualib.core.typing import Float


@dataclass(frozen=True)
class Iterate:
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
    ratio : array, shape (n_t, n_x)
        e^{−βd(x,r_t)} / z_x, so that q(t|x) = ν_t ratio_tx.
    log_z : array, shape (n_x,)
    """

    problem: Bottleneck
    beta: float
    weights: Float[np.ndarray, " n_t"]
    atoms: Atoms
    value: float
    ratio: Table
    log_z: Float[np.ndarray, " n_x"]

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
    def posterior(self) -> Table:
        """p(x|t)."""
        joint = self.ratio * self.problem.p_x
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    @property
    def rate(self) -> float:
        """I(X;T) of the encoder, nats."""
        encoder = self.encoder.T
        return float(self.problem.p_x @ kl_nats(encoder, self.problem.p_x @ encoder))

    @property
    def dual(self) -> DualFunction:
        """G, with the weights p(x)/z_x."""
        return DualFunction(self.problem, self.beta, np.log(self.problem.p_x) - self.log_z)


def evaluate(problem: Bottleneck, beta: float, weights: Float[np.ndarray, " n_t"], atoms: Atoms) -> Iterate:
    """Φ and the encoder at weights and atoms."""
    exponent = -beta * problem.distortion_at(beta, atoms)
    top = exponent.max(axis=0)
    kernel = np.exp(exponent - top)
    z = weights @ kernel
    log_z = np.log(z) + top
    return Iterate(problem, beta, weights, atoms, -float(problem.p_x @ log_z), kernel / z, log_z)
