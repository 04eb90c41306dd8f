"""How well each bottleneck predicts from N samples: what knowing the sufficient statistics is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dualib.core.result import Result
from dualib.core.special import kl_nats
from dualib.core.typing import Float, FloatArray
from dualib.exponential.bottleneck import solve_exponential
from dualib.exponential.family import ExponentialFamily
from dualib.exponential.fit import fit_exponential_family
from dualib.joint import Joint
from dualib.problems import IB, DualIB
from dualib.solution import solve


class Predictor(Protocol):
    """What predicts p(y|x): an encoder (n_x, n_t) and a decoder (n_t, n_y)."""

    @property
    def p_t_given_x(self) -> FloatArray:
        """The encoder."""

    @property
    def p_y_given_t(self) -> FloatArray:
        """The decoder."""


@dataclass(frozen=True, eq=False)
class SampleSizeExperiment(Result):
    """Error of the prediction Σ_t p(t|x) p(y|t) against the true p(y|x), after learning from N samples; in nats.

    Attributes
    ----------
    arms : tuple[str, ...]
        Names of the methods.
    sample_sizes : tuple[int, ...]
        N, shape (n_sizes,).
    mean : array
        Mean of E_x D(p(·|x) ‖ Σ_t p(t|x) p(·|t)) over the seeds, shape (n_arms, n_sizes).
    standard_error : array
        Standard error of that mean, shape (n_arms, n_sizes).

    Examples
    --------
    >>> from dualib import IB, solve
    >>> ib = {"IB": lambda joint, beta: solve(IB(joint), beta, certify=False)}
    >>> experiment = sample_size_experiment((50,), beta=3.0, n_seeds=2, solvers=ib)
    >>> experiment.sample_sizes, bool(experiment.mean.min() > 0)
    ((50,), True)
    """

    arms: tuple[str, ...]
    sample_sizes: tuple[int, ...]
    mean: Float[np.ndarray, "n_arms n_sizes"]
    standard_error: Float[np.ndarray, "n_arms n_sizes"]


def sample_size_experiment(
    sample_sizes: Sequence[int] = (50, 200, 1000, 5000),
    beta: float = 20.0,
    n_seeds: int = 20,
    seed: int = 0,
    pseudocount: float = 0.1,
    solvers: Mapping[str, Callable[[Joint, float], Predictor]] | None = None,
) -> SampleSizeExperiment:
    """How well each bottleneck predicts p(y|x) from N samples of a known family: what knowing the statistics is worth.

    |X| = 24 equally likely points of [-1.5, 1.5], y in {-1, 0, 1}, log p(y|x) = 1.2 x y - 0.5 (x² - 1) y² + const.
    Arms: the solvers on smoothed counts; "dualExpIB", the family fitted to them by maximum likelihood, then its dual
    bottleneck; and as a control the same fit followed by the first solver, "MLE then IB": the family without the dual.

    Parameters
    ----------
    sample_sizes, n_seeds : Sequence[int], int
        N and how many independent samples of each (at least 2).
    seed : int
        Seed of the samples.
    pseudocount : float
        Added to every cell.
    solvers : Mapping[str, callable] or None
        Name → function(joint, beta) to an object with p_t_given_x and p_y_given_t; default: IB and dualIB solved.

    References
    ----------
    [piran2020]_ section 5

    Examples
    --------
    >>> from dualib import IB, solve
    >>> ib = {"IB": lambda joint, beta: solve(IB(joint), beta, certify=False)}
    >>> experiment = sample_size_experiment((50,), beta=3.0, n_seeds=2, solvers=ib)
    >>> experiment.arms, experiment.mean.shape
    (('IB', 'dualExpIB', 'MLE then IB'), (3, 1))
    """
    if n_seeds < 2 or min(sample_sizes, default=0) < 1:
        raise ValueError(f"n_seeds = {n_seeds} must be at least 2 and every sample size at least 1, got {sample_sizes}")
    if solvers is None:
        solvers = {"IB": lambda joint, b: solve(IB(joint), b), "dualIB": lambda joint, b: solve(DualIB(joint), b)}
    x, y = np.linspace(-1.5, 1.5, 24), np.array([-1.0, 0.0, 1.0])
    truth = ExponentialFamily(np.column_stack([x, x**2 - 1]), np.array([-1.2 * y, 0.5 * y**2]))
    control = next(iter(solvers))
    arms = (*solvers, "dualExpIB", f"MLE then {control}")
    errors = np.empty((len(arms), len(sample_sizes), n_seeds))
    rng = np.random.default_rng(seed)
    for size, n in enumerate(sample_sizes):
        for repeat in range(n_seeds):
            counts = rng.multinomial(n, truth.p_y_given_x.ravel() / len(x)).reshape(len(x), len(y)) + pseudocount
            joint = Joint.from_counts(counts)
            family = fit_exponential_family(joint, truth.statistics).family
            fitted = Joint.from_conditional(joint.p_x, family.p_y_given_x)
            solutions = [solver(joint, beta) for solver in solvers.values()]
            solutions += [solve_exponential(family, joint.p_x, beta, tol=1e-9), solvers[control](fitted, beta)]
            for arm, solution in enumerate(solutions):
                prediction = solution.p_t_given_x @ solution.p_y_given_t
                errors[arm, size, repeat] = kl_nats(truth.p_y_given_x, prediction).mean()
    spread = errors.std(axis=2, ddof=1) / np.sqrt(n_seeds)
    return SampleSizeExperiment(arms, tuple(sample_sizes), errors.mean(axis=2), spread)
