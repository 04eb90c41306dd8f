"""solve(problem, beta): one point of a bottleneck curve, with the proof of how good it is.

Column generation: alternating minimisation from many atoms → Newton → the maximum of G over the simplex either proves the
optimum or is the atom to add. The search for that maximum is first a cheap ascent, then, up to dimension `max_dimension`,
the rigorous one of :mod:`dualib.certificate`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dualib.bottleneck import EVERY, Atoms, Bottleneck, Table
from dualib.certificate.ceiling import Method
from dualib.certificate.dual_function import PAIRS
from dualib.certificate.search import Begun
from dualib.core.arrays import distribution, positive
from dualib.core.result import Result
from dualib.core.special import EPS, entropy_nats, kl_nats
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Units, to_units
from dualib.solvers.atoms import LARGEST_TABLE, SEPARATE, merge_atoms, most_clusters, start_from, too_many_rows
from dualib.solvers.columns import best_start
from dualib.solvers.columns import start as cold_start
from dualib.solvers.iterate import Iterate
from dualib.solvers.options import Certify, CertifyLike, LeftOut
from dualib.solvers.parts import large
from dualib.solvers.prove import Proof, Status, proof_of, prove_where_needed
from dualib.solvers.stability import MIXED, too_many_mixed

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Solution(Result):
    r"""The optimum of a bottleneck problem at one β, with a proven interval: lower_bound ≤ F(β) ≤ objective. Nats.

    Attributes
    ----------
    problem : Bottleneck
    beta : float
    p_t : array, shape (n_t,)
        p(t), descending.
    p_y_given_t : array, shape (n_t, n_y)
        The decoder r_t; for the dual it is not the Markov decoder, see `markov_decoder`.
    objective : float
        Φ = −Σ p(x) log z_x = I(X;T) + β E d at the optimal encoder for these p(t) and r_t, with an allowance for rounding, and
        at most H(X) and β E d of one cluster: an upper bound of F(β).
    lower_bound : float
        Proven lower bound of F(β), with its own allowance: from the rigorous maximum of G where that was done, from pairs of x
        where that is better, at least 0.
    estimated_gap : float
        Log of the largest G that was met, at every row p(y|x) and by ascents from many starts; not a proof. 0 means none
        above 1.
    status : Status
        What came of the proof and, where it fell short, which knob to turn.
    method : Method
        Where the lower bound comes from.
    cells : int
        Cells examined for the proof.
    work : float
        Entries of tables (n_x, n_y) computed for it beyond `Certify.max_dimension`, where `Certify.max_work` limits them.
    residual : float
        Norm of the gradient at which the minimisation stopped.

    Examples
    --------
    >>> from dualib import IB, Joint, solve
    >>> solution = solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta=10.0)
    >>> bool(solution.lower_bound <= solution.objective), solution.certified
    (True, True)
    >>> solution.p_t.round(6), solution.p_t_given_x.shape
    (array([0.5, 0.5]), (2, 2))
    """

    problem: Bottleneck
    beta: float
    p_t: Float[np.ndarray, " n_t"]
    p_y_given_t: Atoms
    objective: float
    lower_bound: float
    estimated_gap: float
    status: Status
    method: Method
    cells: int = 0
    work: float = 0.0
    residual: float = field(default=0.0, repr=False)

    @property
    def certified(self) -> bool:
        """Whether objective − lower_bound is proven to be within the tolerance asked for."""
        return self.status is Status.CERTIFIED

    @property
    def gap(self) -> float:
        """The width objective − lower_bound: a proven bound of how far the objective is above F(β), nats."""
        return self.objective - self.lower_bound

    @property
    def n_clusters(self) -> int:
        """Number of clusters t."""
        return len(self.p_t)

    @cached_property
    def p_t_given_x(self) -> Float[np.ndarray, "n_x n_t"]:
        """The encoder q(t|x) ∝ p(t) e^{−βd(x, r_t)}, for every x of the problem's joint; computed when it is asked for.

        Raises
        ------
        ValueError
            If it has more than 10⁸ numbers, 0.8 GB.
        """
        size = self.problem.joint.n_x * self.n_clusters
        if size > LARGEST_TABLE:
            raise ValueError(
                f"p(t|x) has {size} numbers, more than {LARGEST_TABLE:.0e}: take sparse_encoder(), or encode(rows) for some x"
            )
        return self.problem.merged.expand(self._encoder(EVERY)[0].T)

    def sparse_encoder(self, least: float = EPS) -> csr_array:
        """The encoder without the shares that are below rounding.

        Parameters
        ----------
        least : float
            Shares q(t|x) below it are left out: of any x together less than n_t times `least`, and the others are as they are.

        Returns
        -------
        scipy.sparse.csr_array, shape (n_x, n_t)
            For every x of the problem's joint.

        Examples
        --------
        >>> from dualib import IB, Joint, solve
        >>> solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta=200.0).sparse_encoder().nnz
        2
        """
        from scipy.sparse import csr_array, vstack  # the others do without

        parts = []
        for part in self._parts():
            encoder = self._encoder(part)[0].T
            parts.append(csr_array(np.where(encoder >= least, encoder, 0.0)))
        return csr_array(vstack(parts, format="csr")[self.problem.merged.index])

    def _encoder(self, part: slice) -> tuple[Table, Table]:
        """The encoder (n_t, n) and the exponents −βd of a part of the merged x."""
        exponents = self.problem.reduced.exponents(self.beta, self.p_y_given_t, None, part)
        encoder = np.exp(exponents - exponents.max(axis=0)) * self.p_t[:, None]
        return encoder / encoder.sum(axis=0), exponents

    def _parts(self) -> list[slice]:
        n, size = len(self.problem.reduced.p_x), max(1, PAIRS // len(self.p_t))
        return [slice(i, i + size) for i in range(0, n, size)]

    @cached_property
    def _averages(self) -> tuple[FloatArray, float, float]:
        """Σ_x p(x) q(t|x) of 1 and of p(y|x), E d and E log z, by one look at all pairs of cluster and x."""
        core, sums = self.problem.reduced, np.zeros((len(self.p_t), self.p_y_given_t.shape[1] + 1))
        distortion = log_z = 0.0
        for part in self._parts():
            encoder, exponents = self._encoder(part)
            distortion -= float((encoder * exponents).sum(axis=0) @ core.p_x[part]) / self.beta
            heaviest = encoder.argmax(axis=0)
            at = heaviest, np.arange(len(heaviest))
            log_z += float((np.log(self.p_t[heaviest]) + exponents[at] - np.log(encoder[at])) @ core.p_x[part])
            encoder *= core.p_x[part]
            sums[:, 0] += encoder.sum(axis=1)
            sums[:, 1:] += encoder @ core.p_y_given_x[part]
        return sums, distortion, log_z

    @property
    def _joint_ty(self) -> FloatArray:
        return self._averages[0]

    @cached_property
    def rate(self) -> float:
        """I(X;T) = Σ_x p(x) D(q(·|x) ‖ Σ_x p(x) q(·|x)), nats: p_t itself would break I(T;Y) ≤ I(X;T) near β = 1 by what is left."""
        core, (sums, distortion, log_z) = self.problem.reduced, self._averages
        p_t = sums[:, 0]
        if large(self.n_clusters, core):  # far from 0, where these terms would cancel; to sum the others takes seconds
            used = p_t > 0.0
            return float(p_t[used] @ np.log(self.p_t[used] / p_t[used])) - self.beta * distortion - log_z
        return sum(float(core.p_x[part] @ kl_nats(self._encoder(part)[0].T, p_t)) for part in self._parts())

    @cached_property
    def markov_decoder(self) -> Atoms:
        """p(y|t) = Σ_x p(y|x) p(x|t), the Bayes decoder of the encoder."""
        return np.asarray(self._joint_ty[:, 1:] / self._joint_ty[:, :1])

    @cached_property
    def relevance(self) -> float:
        """I(T;Y) of the Markov decoder, nats."""
        return max(0.0, float(self._joint_ty[:, 0] @ kl_nats(self.markov_decoder, self.problem.joint.p_y)))

    @cached_property
    def decoder_information(self) -> float:
        """Σ_t p(t) D(r_t ‖ Σ_t p(t) r_t), the information in the problem's own decoder (for IB: the relevance), nats."""
        return max(0.0, float(entropy_nats(self.p_t @ self.p_y_given_t) - self.p_t @ entropy_nats(self.p_y_given_t)))

    @property
    def distortion(self) -> float:
        """E d(x, r_T) = F'(β), nats."""
        return self._averages[1]

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the search went without, as the problem is very large: nothing where this is empty."""
        core = self.problem.reduced
        found = [LeftOut.ALL_ROWS] if too_many_rows(core) else []
        if self.n_clusters >= most_clusters(*core.p_y_given_x.shape):
            found.append(LeftOut.CLUSTERS)
        if too_many_mixed(core, self.n_clusters):
            largest = np.zeros(self.n_clusters)  # p(x|t)
            for part in self._parts():
                np.maximum(largest, (self._encoder(part)[0] * core.p_x[part]).max(axis=1) / self.p_t, out=largest)
            if too_many_mixed(core, int((largest < MIXED).sum())):
                found.append(LeftOut.SPLITS)
        return tuple(found)

    def encode(self, p_y_given_x: ArrayLike) -> Float[np.ndarray, "*n n_t"]:
        """q(t|x) ∝ p(t) e^{−βd(x, r_t)} for new x given by their p(y|x).

        Parameters
        ----------
        p_y_given_x : array, shape (n_y,) or (n, n_y)

        Returns
        -------
        array, shape (n_t,) or (n, n_t)

        Raises
        ------
        ValueError
            If the rows are no distributions over the y of the problem.
        """
        rows = np.atleast_2d(distribution(p_y_given_x, "p_y_given_x"))
        n_y = self.p_y_given_t.shape[1]
        if rows.shape[1] != n_y:
            raise ValueError(f"p_y_given_x has {rows.shape[1]} symbols y, the solution {n_y}")
        exponent = np.log(self.p_t) - self.beta * self.problem.distortion_of_rows(rows, self.p_y_given_t).T
        encoder = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        encoder /= encoder.sum(axis=1, keepdims=True)
        return np.asarray(encoder[0] if np.ndim(p_y_given_x) == 1 else encoder)

    def in_a_line(self) -> str:
        """A few words for a progress bar: β, clusters, gap."""
        return f"β = {self.beta:.4g}, {self.n_clusters} clusters, gap {self.gap:.1e} nats"

    def describe(self, units: Units = "bits") -> str:
        """What was found, how much of it is proven and how, and where something fell short which knob to turn."""
        rate, relevance, low, high, gap = (
            float(to_units(value, units))
            for value in (self.rate, self.relevance, self.lower_bound, self.objective, self.estimated_gap)
        )
        return (
            f"{self.problem.name} at beta = {self.beta:g}: {self.n_clusters} clusters, I(X;T) = {rate:.6g} {units}, "
            f"I(T;Y) = {relevance:.6g} {units}\n"
            f"F in [{low:.12g}, {high:.12g}] {units}, from below by: {self.method} (dimension "
            f"{self.problem.reduced.dimension}, {self.cells} cells)\n"
            f"{self.status}; ascents from many starts estimate the gap at {gap:.1e} {units}"
            + "".join(f"\n{what}" for what in self.left_out)
        )


def solve(
    problem: Bottleneck,
    beta: float,
    *,
    certify: CertifyLike = "auto",
    start: ArrayLike | None = None,
    seed: int = 0,
) -> Solution:
    r"""Solve a bottleneck problem at one β to a proven optimum.

    .. math:: F(\beta) = \min I(X;T) + \beta\, E\, d(x, r_T)

    Parameters
    ----------
    problem : Bottleneck
        IB(joint), DualIB(joint) or AlphaIB(joint, alpha).
    beta : float
        Trade-off, positive.
    certify : "auto", bool or Certify
        The tolerance and limits of the proof, True for the default ones. "auto" takes these, but leaves the search out where the
        joint is so large that it would take long, and `status` says so. False skips every lower bound but 0; the solution is then
        as good as many ascents can tell.
    start : array, shape (n, n_y), or None
        Atoms to start from, for example another solution's p_y_given_t; None takes the rows p(y|x).
    seed : int
        Seed of the random mixtures among the starts of the ascents.

    Returns
    -------
    Solution
        Nothing is raised when the proof falls short: see `certified` and `status`.

    Raises
    ------
    ValueError
        If beta is not positive and finite, or a row of `start` is no distribution.
    TypeError
        If certify is none of these.

    Examples
    --------
    >>> from dualib import IB, Joint, solve
    >>> solution = solve(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), beta=4.0)
    >>> solution.certified
    True
    """
    beta, options = positive(beta, "beta"), Certify.of(certify)
    core = problem.reduced
    it = cold_start(core, beta) if start is None else merge_atoms(start_from(core, beta, start), SEPARATE)
    it, estimate, residual, _ = best_start(it, options, np.random.default_rng(seed))
    return complete(problem, it, estimate, residual, certify is not False, options)


def complete(
    problem: Bottleneck,
    it: Iterate,
    estimate: float,
    residual: float,
    certify: bool,
    options: Certify,
) -> Solution:
    """The solution from what column generation found on merged rows, proven as far as asked for and possible.

    Raises
    ------
    ArithmeticError
        As :func:`gone_on`.
    """
    return gone_on(problem, it, estimate, residual, certify, options)[0]


def gone_on(
    problem: Bottleneck,
    it: Iterate,
    estimate: float,
    residual: float,
    certify: bool,
    options: Certify,
    begun: Begun | None = None,
) -> tuple[Solution, Iterate, Begun | None]:
    """The solution proven with `max_work` in all turns together, the iterate at which that is, and what to go on with there.

    The interval holds whatever the rounding: 0 ≤ lower bound ≤ F(β) ≤ objective ≤ min(H(X), β E d of one cluster).

    Raises
    ------
    ArithmeticError
        If the lower bound exceeds the objective: an error of this library.
    """
    ceiling, left = None, None
    if certify:
        it, estimate, residual, ceiling, left = prove_where_needed(it, estimate, residual, options, begun)
    core = problem.reduced
    of_one = it.beta * float(core.p_x @ core.accurate_distortion(core.single_decoder)[0])
    objective = min(it.upper_value, float(entropy_nats(core.p_x)), of_one)
    proof = proof_of(it, objective, ceiling, options) if certify else Proof(0.0, Method.SIGN, Status.NOT_ASKED, 0)
    if proof.lower_bound > objective:
        raise ArithmeticError(
            f"the proven lower bound {proof.lower_bound} exceeds the objective {objective} at beta = {it.beta}"
        )
    order = np.argsort(-it.weights, kind="stable")
    solution = Solution(
        problem=problem,
        beta=it.beta,
        p_t=it.weights[order],
        p_y_given_t=it.atoms[order],
        objective=objective,
        lower_bound=proof.lower_bound,
        estimated_gap=estimate,
        status=proof.status,
        method=proof.method,
        cells=proof.cells,
        work=proof.work,
        residual=residual,
    )
    return solution, it, left
