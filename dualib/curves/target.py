"""solve_at: the point of a curve with a given rate or relevance, and the β to which it belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualib.bottleneck import Atoms, Bottleneck
from dualib.core.arrays import positive
from dualib.core.progress import progress_bar
from dualib.core.result import Result
from dualib.core.special import EPS, entropy_nats
from dualib.core.typing import Float
from dualib.core.units import Units, to_units
from dualib.curves.close_in import Axis, Search
from dualib.curves.tradeoff import ROUNDING, Tradeoff
from dualib.solution import Solution
from dualib.solvers.options import AUTO, CertifyLike

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROUNDS = 3  # proofs may find better solutions, on the other side of the target


@dataclass(frozen=True, eq=False)
class TargetSolution(Result):
    """The encoder of least I(X;T) + β E d with a given rate or relevance: two solutions that share the time. Nats.

    Attributes
    ----------
    axis : Axis
    target : float
        The rate I(X;T) or relevance I(T;Y) asked for, nats.
    low, high : Solution
        Solutions at neighbouring β, below and above the target.
    share : float
        The share of `high`: T is its cluster with that probability, whatever x, and one of `low` otherwise. It is 0 or 1
        unless the target lies within a jump: then one of the two meets the target, to 1e-9 nats.
    is_jump : bool
        Whether the target lies within a first-order transition: then no β has it for itself, and time has to be shared.
    beta_low, beta_high : float
        The β to which this rate or relevance belongs lies between them; inf where nothing bounds it.
    beta_proven : bool
        Whether that is proven, from the proven lower bounds of F at all β that were solved on the way; otherwise it is where
        solutions, as good as ascents can tell, pass the target.
    other_low, other_high : float
        For a rate: the distortion E d of any encoder of this rate is at least `other_low`, and this one has `other_high`. For
        a relevance of IB: likewise the rate; nan for the relevance of other problems, which is not what they minimise.
    """

    axis: Axis
    target: float
    low: Solution
    high: Solution
    share: float
    is_jump: bool
    beta_low: float
    beta_high: float
    beta_proven: bool
    other_low: float
    other_high: float

    @property
    def rate(self) -> float:
        """I(X;T), nats."""
        return self._mean(self.low.rate, self.high.rate)

    @property
    def relevance(self) -> float:
        """I(T;Y) of the Markov decoder, nats."""
        return self._mean(self.low.relevance, self.high.relevance)

    @property
    def distortion(self) -> float:
        """E d, nats."""
        return self._mean(self.low.distortion, self.high.distortion)

    @property
    def p_t_given_x(self) -> Float[np.ndarray, "n_x n_t"]:
        """The encoder: clusters of `low`, then those of `high`, of whichever has a share."""
        return np.concatenate([share * s.p_t_given_x for share, s in self._parts()], axis=1)

    def sparse_encoder(self, least: float = EPS) -> csr_array:
        """The encoder without the shares that are below rounding, :meth:`Solution.sparse_encoder` of each part."""
        from scipy.sparse import csr_array, hstack

        return csr_array(hstack([share * s.sparse_encoder(least) for share, s in self._parts()], format="csr"))

    @property
    def p_y_given_t(self) -> Atoms:
        """The decoder of every cluster."""
        return np.concatenate([s.p_y_given_t for _, s in self._parts()])

    @property
    def beta(self) -> float:
        """The β of the solutions: of the one that has a share, or the middle across a jump."""
        return self._mean(self.low.beta, self.high.beta)

    def _parts(self) -> list[tuple[float, Solution]]:
        return [(share, s) for share, s in ((1.0 - self.share, self.low), (self.share, self.high)) if share > 0.0]

    def _mean(self, low: float, high: float) -> float:
        return float((1.0 - self.share) * low + self.share * high)

    def describe(self, units: Units = "bits") -> str:
        """The point, its β, and what is proven of both."""
        rate, relevance, low, high, low_rate, high_rate = (
            float(to_units(v, units))
            for v in (self.rate, self.relevance, self.other_low, self.other_high, self.low.rate, self.high.rate)
        )
        lines = [
            f"{self.low.problem.name}: I(X;T) = {rate:.8g} {units}, I(T;Y) = {relevance:.8g} {units}, at β = {self.beta:.10g}",
            f"its β is {'proven' if self.beta_proven else 'estimated'} to lie in [{self.beta_low:.10g}, {self.beta_high:.10g}]",
        ]
        if not np.isnan(self.other_low):
            of = "E d at this rate" if self.axis is Axis.RATE else "I(X;T) at this relevance"
            lines.append(f"the least {of} is proven to lie in [{low:.10g}, {high:.10g}] {units}")
        if self.is_jump:
            lines.append(
                f"a first-order transition: at this β the rate jumps from {low_rate:.6g} to {high_rate:.6g} {units}, and no "
                f"solution lies between; the encoder is that of the upper end for a share {self.share:.6g} of the time"
            )
        return "\n".join(lines)


def solve_at(
    problem: Bottleneck,
    *,
    rate: float | None = None,
    relevance: float | None = None,
    certify: CertifyLike = AUTO,
    progress: bool | None = None,
) -> TargetSolution:
    r"""Find the point of the curve with a given rate or relevance, and the β to which it belongs.

    Parameters
    ----------
    problem : Bottleneck
    rate : float or None
        I(X;T) asked for, nats, above 0 and below that of all distinct rows.
    relevance : float or None
        I(T;Y) asked for, nats, above 0 and below I(X;Y). For dualIB and α-IB that of the Markov decoder.
    certify : bool, Certify or "auto"
        Whether to prove each point on the way, or how far; the interval of β is proven from their lower bounds.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    TargetSolution

    Raises
    ------
    ValueError
        If not exactly one of rate and relevance is given, or the curve does not reach it.

    Examples
    --------
    >>> from dualib import IB, Joint, solve_at
    >>> found = solve_at(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), rate=0.1)
    >>> round(found.rate, 6), found.beta_proven
    (0.1, True)
    """
    axis, target = _target(problem, rate, relevance)
    search = Search(problem, axis, target)
    with progress_bar(None, f"{problem.name}: β looked at", progress) as done:
        for _ in range(ROUNDS):
            for _ in search.steps():
                done(1)
            if search.prove(certify):
                break
            search.widen()
        else:
            for _ in search.steps():
                done(1)
    return _result(search, certify)


def _target(problem: Bottleneck, rate: float | None, relevance: float | None) -> tuple[Axis, float]:
    if (rate is None) == (relevance is None):
        raise ValueError("give exactly one of rate= and relevance=, in nats")
    if rate is not None:
        axis, value, most, name = Axis.RATE, rate, float(entropy_nats(problem.reduced.p_x)), "H(X) of the distinct rows"
    else:
        axis, value, most, name = Axis.RELEVANCE, float(relevance or 0.0), problem.joint.mutual_information(), "I(X;Y)"
    value = positive(value, str(axis))
    if not value < most:
        raise ValueError(
            f"{axis} = {value:.10g} nats is not below {name} = {most:.10g} nats, which no finite β reaches"
        )
    return axis, value


def _result(search: Search, certify: CertifyLike) -> TargetSolution:
    """What is known of the target from all solutions that were met."""
    low, high, target, met = search.low, search.high, search.target, search.met
    step = search.value(high) - search.value(low)
    share = min(max((target - search.value(low)) / step, 0.0), 1.0) if step > 0 else 1.0
    if not search.jumps:  # then one of them is the point, not a mixture of two that are nearly the same
        share = float(round(share))
    is_ib = search.problem.name == "ib"
    information = search.problem.joint.mutual_information()
    rows = [(s.beta, s.rate, information - s.relevance if is_ib else s.distortion, s.lower_bound) for s in met]
    if is_ib:  # I(X;T) ≥ I(T;Y), the data processing inequality, is a bound of F at β = 1
        rows.append((1.0, 0.0, information, information - ROUNDING * (1.0 + information)))
    tradeoff = Tradeoff(*np.array(rows).T)
    bounded = search.axis is Axis.RATE or is_ib
    betas, other = (low.beta, high.beta), (float("nan"), float("nan"))
    if search.axis is Axis.RATE:
        betas = tradeoff.betas_of_rate(target)
        other = float(tradeoff.least_distortion(target)), tradeoff.reached_distortion(target)
    elif is_ib:
        distortion = information - target
        betas = tradeoff.betas_of_distortion(distortion)
        other = float(tradeoff.least_rate(distortion)), tradeoff.reached_rate(distortion)
    proven = bounded and certify is not False
    if not proven:
        betas = low.beta, high.beta
    return TargetSolution(search.axis, target, low, high, share, search.jumps, *betas, proven, *other)
