"""verify(problem, beta, encoder): how far an encoder, or a point of a curve, from anywhere is above the certified optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dualib.core.arrays import distribution as _check_distribution
from dualib.core.special import kl_nats as _kl_divergence
from dualib.core.typing import FloatArray
from dualib.problems import Bottleneck
from dualib.solution import Certify, Solution, check_beta, solve


@dataclass(frozen=True, eq=False)
class Verification:
    """What is proven about a claimed solution at β. Nats.

    Attributes
    ----------
    objective : I(X;T) + β E d of what was claimed, with the best decoder for its encoder.
    solution : dualib's own at this β.
    excess_lower, excess_upper : proven interval of objective − F(β).
    """

    beta: float
    objective: float
    solution: Solution

    @property
    def lower_bound(self) -> float:
        """Proven lower bound of F(β), nats."""
        return self.solution.lower_bound

    @property
    def gap(self) -> float:
        """objective − lower_bound: the claim is proven optimal to within this, nats."""
        return self.objective - self.lower_bound

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
        return 0.0 <= self.gap <= 1e-6

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.excess_upper < -1e-9:
            return f"impossible: {-self.excess_upper:.3e} nats below the proven lower bound"
        if self.certified:
            return f"optimal: proven to within {max(self.gap, 0.0):.1e} nats"
        if self.excess_lower > 1e-9:
            return f"not optimal: at least {self.excess_lower:.3e} nats too high"
        return f"undecided: {self.solution.status}"


def verify(
    problem: Bottleneck,
    beta: float,
    p_t_given_x: ArrayLike | None = None,
    *,
    rate: float | None = None,
    relevance: float | None = None,
    options: Certify | None = None,
) -> Verification:
    """Set an encoder, or for IB a point of the information plane, against the certified optimum at β.

    Parameters
    ----------
    problem, beta : where it is claimed to be optimal.
    p_t_given_x : encoder, shape (n_x, n_t), rows summing to 1.
    rate, relevance : instead of an encoder, I(X;T) and I(T;Y) in nats; for IB only, where they fix the objective.

    Raises
    ------
    ValueError: the encoder's shape or rows are wrong, or not exactly one kind of claim was given.
    """
    beta = check_beta(beta)
    if (p_t_given_x is None) == (rate is None or relevance is None):
        raise ValueError("give either the encoder p_t_given_x or both rate= and relevance= (nats)")
    if p_t_given_x is not None:
        objective = _encoder_objective(problem, beta, p_t_given_x)
    else:
        assert rate is not None
        assert relevance is not None
        if problem.name != "ib":
            raise ValueError(
                f"rate and relevance do not fix the objective of problem {problem.name!r}; give the encoder"
            )
        objective = float(rate) + beta * (problem.joint.mutual_information() - float(relevance))
    return Verification(beta, objective, solve(problem, beta, options=options))


def _encoder_objective(problem: Bottleneck, beta: float, p_t_given_x: ArrayLike) -> float:
    encoder: FloatArray = _check_distribution(p_t_given_x, "p_t_given_x")
    if encoder.ndim != 2 or len(encoder) != problem.joint.n_x:
        raise ValueError(
            f"p_t_given_x has shape {encoder.shape}; its rows must be the {problem.joint.n_x} x of the joint"
        )
    joint = encoder.T * problem.p_x
    used = joint.sum(axis=1) > 0
    atoms = problem.decode(joint[used])
    rate = problem.p_x @ _kl_divergence(encoder, problem.p_x @ encoder)
    with np.errstate(invalid="ignore"):
        distortion = np.where(joint[used] > 0, joint[used] * problem.distortion(atoms), 0.0).sum()
    return float(rate + beta * distortion)
