"""solve(problem, beta): one point of a bottleneck curve, with the proof of how good it is.

Column generation: alternating minimisation from many atoms → Newton → the maximum of G over the simplex either proves the
optimum or is the atom to add. The search for that maximum is first a cheap ascent, then, up to dimension `max_dimension`,
the rigorous one of :mod:`dualib.certificate`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dualib.blahut_arimoto import Iterate
from dualib.certificate import Ceiling, DualFunction, max_log_g, pairwise_log_ceiling
from dualib.charts import MomentChart
from dualib.columns import (
    SEPARATE,
    add_atoms,
    best_start,
    dual_function,
    generate_columns,
    largest_at_rows,
    merge_atoms,
    minimise,
    start_from,
)
from dualib.core.arrays import distribution as _check_distribution
from dualib.core.special import entropy_nats as _entropy
from dualib.core.special import kl_nats as _kl_divergence
from dualib.core.typing import FloatArray
from dualib.newton import MAX_UNKNOWNS
from dualib.options import Certify
from dualib.problems import EPS, Bottleneck
from dualib.weights_search import max_log_g_over_weights

QUICK_PAIRS = 1e6  # the same work up to which the pairwise bound is tried before the search
PAIR_WORK = 2e8  # pairs of x times |Y| up to which the pairwise lower bound is computed: some five seconds


@dataclass(frozen=True, eq=False)
class Solution:
    r"""The optimum of a bottleneck problem at one β, with a proven interval: lower_bound ≤ F(β) ≤ objective. Nats.

    Attributes
    ----------
    problem, beta : what was solved.
    p_t : p(t), shape (n_t,), descending.
    p_t_given_x : the encoder, shape (n_x, n_t), for every x of the problem's joint.
    p_y_given_t : the decoder r_t, shape (n_t, n_y); for the dual it is not the Markov decoder, see `markov_decoder`.
    objective : Φ = −Σ p(x) log z_x = I(X;T) + β E d at the optimal encoder for these p(t) and r_t.
    lower_bound : proven lower bound of F(β), from the rigorous maximum of G over the simplex where that was done.
    estimated_gap : log of the largest G that an ascent from many starts met; not a proof. 0 means none above 1.
    certified : whether objective − lower_bound ≤ the tolerance asked for.
    status : what happened and, where something fell short, which knob to turn.
    cells : cells examined for the proof.
    """

    problem: Bottleneck
    beta: float
    p_t: FloatArray
    p_t_given_x: FloatArray
    p_y_given_t: FloatArray
    objective: float
    lower_bound: float
    estimated_gap: float
    certified: bool
    status: str
    cells: int = 0
    residual: float = field(default=0.0, repr=False)

    @property
    def gap(self) -> float:
        """objective − lower_bound: a proven bound of how far the objective is above F(β), nats."""
        return self.objective - self.lower_bound

    @property
    def n_clusters(self) -> int:
        """Number of clusters t."""
        return len(self.p_t)

    @cached_property
    def rate(self) -> float:
        """I(X;T) = Σ_x p(x) D(q(·|x) ‖ p(t)), nats."""
        marginal = self.problem.p_x @ self.p_t_given_x
        return float(self.problem.p_x @ _kl_divergence(self.p_t_given_x, marginal))

    @cached_property
    def markov_decoder(self) -> FloatArray:
        """p(y|t) = Σ_x p(y|x) p(x|t), the Bayes decoder of the encoder, shape (n_t, n_y)."""
        joint = self.p_t_given_x.T * self.problem.p_x
        return joint @ self.problem.p_y_given_x / joint.sum(axis=1, keepdims=True)

    @cached_property
    def relevance(self) -> float:
        """I(T;Y) of the Markov decoder, nats."""
        return float(self.p_t @ _kl_divergence(self.markov_decoder, self.problem.joint.p_y))

    @cached_property
    def decoder_information(self) -> float:
        """Σ_t p(t) D(r_t ‖ Σ_t p(t) r_t), the information in the problem's own decoder (for IB: the relevance), nats."""
        return max(0.0, float(_entropy(self.p_t @ self.p_y_given_t) - self.p_t @ _entropy(self.p_y_given_t)))

    @cached_property
    def distortion(self) -> float:
        """E d(x, r_T) = F'(β), nats."""
        joint = self.p_t_given_x.T * self.problem.p_x
        return float((joint * self.problem.distortion(self.p_y_given_t)).sum())

    def encode(self, p_y_given_x: ArrayLike) -> FloatArray:
        """q(t|x) ∝ p(t) e^{−βd(x, r_t)} for new x given by their p(y|x).

        Parameters
        ----------
        p_y_given_x : shape (n_y,) or (n, n_y).

        Returns
        -------
        array, shape (n_t,) or (n, n_t).
        """
        rows = np.atleast_2d(_check_distribution(p_y_given_x, "p_y_given_x"))
        n_y = self.p_y_given_t.shape[1]
        if rows.shape[1] != n_y:
            raise ValueError(f"p_y_given_x has {rows.shape[1]} symbols y, the solution {n_y}")
        exponent = np.log(self.p_t) - self.beta * self.problem.distortion_of_rows(rows, self.p_y_given_t).T
        encoder = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        encoder /= encoder.sum(axis=1, keepdims=True)
        return encoder[0] if np.ndim(p_y_given_x) == 1 else encoder


def check_beta(beta: Any) -> float:
    """β as a float, or a ValueError that says what is wrong with it."""
    try:
        value = float(beta)
    except (TypeError, ValueError):
        raise ValueError(f"beta = {beta!r} is not a number") from None
    if not 0.0 < value < np.inf:
        raise ValueError(f"beta = {value} must be positive and finite (F(0) = 0: everything is one cluster)")
    return value


def solve(
    problem: Bottleneck,
    beta: float,
    *,
    certify: bool = True,
    options: Certify | None = None,
    start: FloatArray | None = None,
    seed: int = 0,
) -> Solution:
    r"""Solve a bottleneck problem at one β to a proven optimum.

    .. math:: F(\beta) = \min I(X;T) + \beta\, E\, d(x, r_T)

    Parameters
    ----------
    problem : IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    beta : trade-off, > 0.
    certify : False skips the rigorous search; the solution is then as good as many ascents can tell.
    options : tolerances and limits.
    start : atoms (n, n_y) to start from, for example another solution's p_y_given_t; the rows p(y|x) otherwise.
    seed : of the random mixtures among the starts of the ascents.

    Returns
    -------
    Solution; nothing is raised when the proof falls short: see `certified` and `status`.

    Examples
    --------
    >>> from dualib import IB, Joint, solve
    >>> solution = solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta=4.0)
    >>> solution.certified
    True
    """
    beta = check_beta(beta)
    options = options or Certify()
    core = problem.reduced
    it = start_from(core, beta, start)
    it, estimate, residual = best_start(merge_atoms(it, SEPARATE), options, np.random.default_rng(seed))
    return complete(problem, it, estimate, residual, certify, options)


def complete(
    problem: Bottleneck, it: Iterate, estimate: float, residual: float, certify: bool, options: Certify
) -> Solution:
    """The solution from what column generation found, proven as far as asked for and possible."""
    core, ceiling = problem.reduced, None
    if certify and 1 <= core.dimension <= options.max_dimension:
        few = core.p_y_given_x.size * len(core.p_x) <= QUICK_PAIRS
        # At high β, where each x is its own cluster, the pairs prove it at once, whatever the rounding of β d elsewhere.
        if not (few and max(0.0, pairwise_log_ceiling(dual_function(it))) <= 0.3 * options.tolerance):
            it, ceiling, residual = prove(it, options, residual)
            estimate = max(0.0, ceiling.lower, largest_at_rows(dual_function(it)))
    return finish(problem, it, estimate, ceiling, options, residual, certify)


def prove(it: Iterate, options: Certify, residual: float) -> tuple[Iterate, Ceiling, float]:
    """Rigorous maximum of G; where it shows an atom that is missing, add it and go on."""
    ceiling = None
    if it.atoms.size > MAX_UNKNOWNS:
        it, residual = minimise(it, 3 * MAX_UNKNOWNS)
    for _ in range(options.max_rounds):
        g = dual_function(it)
        # What rounding hides is not searched for.
        tolerance = max(0.3 * options.tolerance, min(g.rounding(), 1.0))
        ceiling = search_maximum(g, it.atoms, tolerance, options.max_cells)
        if ceiling.lower <= 0.5 * options.tolerance:
            break
        better, _ = minimise(add_atoms(it, ceiling.argmax[None], np.array([ceiling.lower]), 0.0), 3 * MAX_UNKNOWNS)
        if not better.value < it.value:
            break
        it, _, residual = generate_columns(better, options, None)
    assert ceiling is not None
    return it, ceiling, residual


def search_maximum(g: DualFunction, atoms: FloatArray, tolerance: float, max_cells: int) -> Ceiling:
    """Rigorous maximum of log G, over the decoders r or, where that is no larger, over the posteriors of the few x."""
    chart = g.problem.chart()
    if isinstance(chart, MomentChart) and len(g.log_weights) == chart.dimension + 1:
        return max_log_g_over_weights(g, atoms, tolerance, max_cells)
    return max_log_g(g, chart, atoms, tolerance, max_cells)


def finish(
    problem: Bottleneck,
    it: Iterate,
    estimate: float,
    ceiling: Ceiling | None,
    options: Certify,
    residual: float,
    certify: bool = True,
) -> Solution:
    """The solution of the original problem from an iterate on merged rows and what is proven of its G.

    The interval holds whatever the rounding: 0 ≤ lower bound ≤ F(β) ≤ objective ≤ min(H(X), β E d of one cluster).
    """
    core, g = problem.reduced, dual_function(it)
    trivial_value = min(
        float(_entropy(core.p_x)), it.beta * float(core.p_x @ core.accurate_distortion(core.single_decoder)[0])
    )
    objective = min(it.upper_value, trivial_value)
    base = it.value - EPS * (16.0 + 8.0 * abs(it.value))
    lower = 0.0
    if ceiling is not None:
        lower = max(lower, base - max(ceiling.upper, 0.0) - g.rounding())
    by_pairs = certify and objective - lower > options.tolerance and core.p_y_given_x.size * len(core.p_x) <= PAIR_WORK
    if by_pairs:
        lower = max(lower, base - max(pairwise_log_ceiling(g), 0.0))
    if lower > objective:
        raise ArithmeticError(f"the proven lower bound {lower} exceeds the objective {objective} at beta = {it.beta}")
    certified = certify and objective - lower <= options.tolerance
    order = np.argsort(-it.weights, kind="stable")
    return Solution(
        problem=problem,
        beta=it.beta,
        p_t=it.weights[order],
        p_t_given_x=problem.merged.expand(it.encoder[order].T),
        p_y_given_t=it.atoms[order],
        objective=objective,
        lower_bound=lower,
        estimated_gap=estimate,
        certified=bool(certified),
        status=_status(problem, certified, ceiling, estimate, options),
        cells=0 if ceiling is None else ceiling.cells,
        residual=residual,
    )


def _status(problem: Bottleneck, certified: bool, ceiling: Ceiling | None, estimate: float, options: Certify) -> str:
    if certified:
        return "certified: the interval is proven"
    dimension = problem.reduced.dimension
    if ceiling is None and dimension > options.max_dimension:
        return (
            f"not certified: the search for the maximum of G has dimension {dimension}, above max_dimension = "
            f"{options.max_dimension}; the gap is estimated at {estimate:.1e} nats by ascents from many starts"
        )
    if ceiling is None:
        return f"not certified: certify=False; the gap is estimated at {estimate:.1e} nats by ascents from many starts"
    if not ceiling.complete:
        return (
            f"not certified: the proof stopped after {ceiling.cells} cells; raise max_cells (now {options.max_cells})"
        )
    if ceiling.lower > options.tolerance:
        return f"not certified: G exceeds 1 by {ceiling.lower:.1e}; raise max_rounds (now {options.max_rounds})"
    return f"not certified: rounding alone exceeds the tolerance {options.tolerance:g}; raise it"
