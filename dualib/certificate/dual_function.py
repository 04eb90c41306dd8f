r"""A proven interval for the global optimum F(β), from the maximum of G over the whole simplex.

For any measure ν over atoms r, with z_x = ∫ ν(dr) e^{−βd(x,r)} and G(r) = Σ_x p(x) e^{−βd(x,r)} / z_x,

.. math:: \Phi(\nu) - \log \max_r G(r) \;\le\; F(\beta) \;\le\; \Phi(\nu) = -\sum_x p(x) \log z_x .

This is the dual of the rate-distortion problem: s = 1/z, scaled down by max G, is feasible in F = max Σ p log s subject to
G ≤ 1 ([csiszar1974]_; for mixtures of likelihoods, [lindsay1983]_). What is left is a rigorous maximum of G: see :mod:`dualib.certificate.search`.
"""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Atoms, Bottleneck, Table
from dualib.core.special import EPS
from dualib.core.typing import Float

PAIRS = 1 << 22  # (t, x) at a time, 32 MiB


class DualFunction:
    """G(r) = Σ_x w_x exp(−β d(x, r)) with log-weights log w (n_x,), and its bounds in a chart."""

    def __init__(self, problem: Bottleneck, beta: float, log_weights: Float[np.ndarray, " n_x"]):
        self.problem, self.beta, self.log_weights = problem, beta, log_weights

    def log_terms(self, r: Atoms) -> Table:
        """Terms log w_x − β d(x, r_t)."""
        return self.problem.exponents(self.beta, r, self.log_weights)

    def log(self, r: Atoms) -> Float[np.ndarray, " n_t"]:
        """The values log G at atoms."""
        terms = self.log_terms(r)
        top = terms.max(axis=1)
        return np.asarray(top + np.log(_exp_below(terms, top).sum(axis=1)))

    def log_in_parts(self, r: Atoms) -> Float[np.ndarray, " n_t"]:
        """The values log G at any number of atoms, in pieces that fit in memory."""
        size = max(1, PAIRS // len(self.log_weights))
        return np.concatenate([np.empty(0), *(self.log(r[i : i + size]) for i in range(0, len(r), size))])

    def ascend(self, r: Atoms, steps: int) -> Atoms:
        """Atoms after `steps` of r ← decoder of the posterior w_x e^{−βd} / G; G never falls."""
        for _ in range(steps):
            terms = self.log_terms(r)
            r = self.problem.decode(_exp_below(terms, terms.max(axis=1)))
        return r

    @property
    def term_by_term(self) -> bool:
        """Whether β d is summed term by term, to relative accuracy."""
        return self.problem.term_by_term(self.beta)

    def rounding(self) -> float:
        """Allowance for floating-point error in log G and in its bounds over cells, nats, where β d is a product."""
        return self.relative_rounding() + float(16 * EPS * self.beta * self.problem.rounding_scale)

    def relative_rounding(self) -> float:
        """Allowance where β d is known to relative accuracy: a term counts only while β d is not far above its log w."""
        return float(32 * EPS * (2.0 + np.abs(self.log_weights).max()))


def _exp_below(terms: Table, top: Float[np.ndarray, " n_t"]) -> Table:
    """e^{terms − top}, in the place of the terms."""
    np.subtract(terms, top[:, None], out=terms)
    return np.asarray(np.exp(terms, out=terms))


def pairwise_log_ceiling(g: DualFunction) -> float:
    r"""A proven, usually loose, upper bound of max log G in any dimension, from pairs of x.

    Where x* has the least distortion to r, d(x, r) ≥ ½[d(x, r) + d(x*, r)] ≥ m(x, x*) = min_r ½[d(x, r) + d(x*, r)]. Hence
    max G ≤ max_{x*} Σ_x w_x e^{−β m(x, x*)}. (Derived here.) It tends to 0 as β → ∞.
    """
    ceiling, n = -np.inf, len(g.log_weights)
    size = n if n <= 256 else 1
    for i in range(0, n, size):
        log_terms = g.log_weights - g.beta * np.stack([g.problem.pair_distortions(j) for j in range(i, i + size)])
        top = log_terms.max(axis=1)
        ceiling = max(ceiling, float((top + np.log(np.exp(log_terms - top[:, None]).sum(axis=1))).max()))
    return ceiling + g.relative_rounding()
