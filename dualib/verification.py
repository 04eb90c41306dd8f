"""verify(problem, beta, encoder): how far an encoder, or a point of a curve, from anywhere is above the certified optimum."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.arrays import distribution, positive
from dualib.core.result import Result
from dualib.core.special import kl_nats
from dualib.core.typing import ArrayLike
from dualib.core.units import Units, to_units
from dualib.problems import IB
from dualib.solution import Solution, solve
from dualib.solvers.options import Certify

OPTIMAL = 1e-6  # nats: a claim counts as optimal when it is proven to be this near
SEEN = 1e-9  # nats: a claim is refuted by more than that


class Verdict(StrEnum):
    """What is proven of a claim."""

    OPTIMAL = "optimal"
    NOT_OPTIMAL = "not optimal"
    IMPOSSIBLE = "impossible"
    UNDECIDED = "undecided"


@dataclass(frozen=True, eq=False)
class Verification(Result):
    """What is proven about a claimed solution at β. Nats.

    Attributes
    ----------
    beta : float
    objective : float
        I(X;T) + β E d of what was claimed, with the best decoder for its encoder.
    solution : Solution
        dualib's own at this β.

    Examples
    --------
    >>> import numpy as np
    >>> from dualib import IB, Joint, verify
    >>> problem = IB(Joint([[0.4, 0.1], [0.1, 0.4]]))
    >>> print(verify(problem, 10.0, np.eye(2)).verdict)  # T = X is not the optimum at β = 10
    not optimal
    """

    beta: float
    objective: float
    solution: Solution

    @property
    def lower_bound(self) -> float:
        """Proven lower bound of F(β), nats."""
        return self.solution.lower_bound

    @property
    def excess_lower(self) -> float:
        """The claim is at least this far above F(β), nats."""
        return max(0.0, self.objective - self.solution.objective)

    @property
    def excess_upper(self) -> float:
        """The claim is at most this far above F(β), nats; negative if it is below what is possible."""
        return self.objective - self.lower_bound

    @property
    def certified(self) -> bool:
        """Whether the claim is proven optimal to within 1e-6 nats."""
        return 0.0 <= self.excess_upper <= OPTIMAL

    @property
    def verdict(self) -> Verdict:
        """What is proven of the claim."""
        if self.excess_upper < -SEEN:
            return Verdict.IMPOSSIBLE
        if self.certified:
            return Verdict.OPTIMAL
        return Verdict.NOT_OPTIMAL if self.excess_lower > SEEN else Verdict.UNDECIDED

    @property
    def refuted(self) -> bool:
        """Whether the claim is proven to be no optimum."""
        return self.verdict in (Verdict.NOT_OPTIMAL, Verdict.IMPOSSIBLE)

    def describe(self, units: Units = "bits") -> str:
        """The verdict and its amount in one sentence."""
        low, high = (float(to_units(excess, units)) for excess in (self.excess_lower, self.excess_upper))
        amount = {
            Verdict.IMPOSSIBLE: f"{-high:.3e} {units} below the proven lower bound",
            Verdict.OPTIMAL: f"proven to within {max(high, 0.0):.1e} {units}",
            Verdict.NOT_OPTIMAL: f"at least {low:.3e} {units} too high",
            Verdict.UNDECIDED: f"at most {high:.3e} {units} too high; {self.solution.status}",
        }
        return f"{self.verdict}: {amount[self.verdict]}"


def verify(
    problem: Bottleneck,
    beta: float,
    p_t_given_x: ArrayLike | None = None,
    *,
    rate: float | None = None,
    relevance: float | None = None,
    certify: bool | Certify = True,
) -> Verification:
    """Set an encoder, or for IB a point of the information plane, against the certified optimum at β.

    Parameters
    ----------
    problem : Bottleneck
    beta : float
        Where it is claimed to be optimal.
    p_t_given_x : array, shape (n_x, n_t), or None
        Encoder, rows summing to 1.
    rate, relevance : float or None
        Instead of an encoder, I(X;T) and I(T;Y) in nats; for IB only, where they fix the objective.
    certify : bool or Certify
        The same as for :func:`dualib.solve`.

    Returns
    -------
    Verification

    Raises
    ------
    ValueError
        If the encoder's shape or rows are wrong, or not exactly one kind of claim was given.

    Examples
    --------
    >>> import numpy as np
    >>> from dualib import IB, Joint, verify
    >>> print(verify(IB(Joint([[0.4, 0.1], [0.1, 0.4]])), 10.0, np.ones((2, 1))).verdict)  # one cluster is too few
    not optimal
    """
    beta = positive(beta, "beta")
    if p_t_given_x is None and rate is not None and relevance is not None:
        if not isinstance(problem, IB):
            raise ValueError(
                f"rate and relevance do not fix the objective of problem {problem.name!r}; give the encoder"
            )
        objective = float(rate) + beta * (problem.joint.mutual_information() - float(relevance))
    elif p_t_given_x is not None and rate is None and relevance is None:
        objective = encoder_objective(problem, beta, p_t_given_x)
    else:
        raise ValueError("give either the encoder p_t_given_x or both rate= and relevance= (nats)")
    return Verification(beta, objective, solve(problem, beta, certify=certify))


def encoder_objective(problem: Bottleneck, beta: float, p_t_given_x: ArrayLike) -> float:
    """I(X;T) + β E d of an encoder (n_x, n_t) with its best decoder, nats."""
    encoder = distribution(p_t_given_x, "p_t_given_x")
    if encoder.ndim != 2 or len(encoder) != problem.joint.n_x:
        raise ValueError(
            f"p_t_given_x has shape {encoder.shape}; its rows must be the {problem.joint.n_x} x of the joint"
        )
    joint = encoder.T * problem.p_x
    used = joint.sum(axis=1) > 0
    atoms = problem.decode(joint[used])
    rate = problem.p_x @ kl_nats(encoder, problem.p_x @ encoder)
    with np.errstate(invalid="ignore"):
        distortion = np.where(joint[used] > 0, joint[used] * problem.distortion(atoms), 0.0).sum()
    return float(rate + beta * distortion)
