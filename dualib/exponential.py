"""Exponential families p(y|x), their maximum-likelihood fit, and the dual bottleneck in their natural parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from .joint import Joint
from .measures import FloatArray, _check_distribution, _check_entries, _kl_divergence, _mutual_information, _real_array


@dataclass(frozen=True, eq=False)
class ExponentialFamily:
    r"""A conditional distribution of exponential form.

    .. math:: p(y|x) = \exp\left(-\sum_r \lambda_r(y) A_r(x) - \lambda_0(x)\right), \qquad
              \lambda_0(x) = \log\sum_y \exp\left(-\sum_r \lambda_r(y) A_r(x)\right)

    Parameters
    ----------
    statistics : A_r(x), shape (n_x, d). A constant statistic (a column of ones) is one like the others: its λ(y) is
        minus the log of a base measure on y. None is added unless it is asked for.
    natural_parameters : λ_r(y), shape (d, n_y); adding a constant to a row changes nothing.

    Raises
    ------
    ValueError: the shapes do not fit (both are given), or an entry is not finite.

    References
    ----------
    [piran2020]_ section 3
    """

    statistics: FloatArray
    natural_parameters: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "statistics", _matrix(self.statistics, "statistics"))
        object.__setattr__(self, "natural_parameters", _matrix(self.natural_parameters, "natural_parameters"))
        if self.statistics.shape[1] != self.natural_parameters.shape[0]:
            shapes = f"{self.statistics.shape} and {self.natural_parameters.shape}"
            raise ValueError(f"statistics and natural_parameters of shapes {shapes} do not fit: (n_x, d) and (d, n_y)")

    @cached_property
    def log_normalizer(self) -> FloatArray:
        """λ_0(x), shape (n_x,)."""
        return logsumexp(-self.statistics @ self.natural_parameters, axis=1)

    @cached_property
    def p_y_given_x(self) -> FloatArray:
        """p(y|x), shape (n_x, n_y)."""
        return softmax(-self.statistics @ self.natural_parameters, axis=1)


@dataclass(frozen=True, eq=False)
class ExponentialFit:
    """A maximum-likelihood fit.

    Attributes
    ----------
    family : the fitted ExponentialFamily, with λ_r(y) summing to 0 over y.
    log_likelihood : mean of log p(y|x) over the samples, nats (without the ridge).
    gradient_norm : largest entry of the gradient at the end, of the mean log-likelihood, statistics scaled to 1.
    converged : gradient_norm is at most the tolerance and every parameter is finite.
    n_iterations : Newton steps taken.
    """

    family: ExponentialFamily
    log_likelihood: float
    gradient_norm: float
    converged: bool
    n_iterations: int


def fit_exponential_family(
    counts: Joint | ArrayLike,
    statistics: ArrayLike,
    *,
    intercept: bool = False,
    ridge: float = 0.0,
    tol: float = 1e-10,
    max_iterations: int = 100,
) -> ExponentialFit:
    r"""Fit the natural parameters of p(y|x) by maximum likelihood, a convex problem, with Newton's method.

    .. math:: \max_\lambda \sum_{xy} \frac{n(x,y)}{N} \log p_\lambda(y|x) - \tfrac{\text{ridge}}{2} \|\lambda\|^2

    Parameters
    ----------
    counts : n(x,y), shape (n_x, n_y), non-negative (an x without samples is allowed), or a Joint as weights.
    statistics : A_r(x), shape (n_x, d).
    intercept : append a column of ones to the statistics.
    ridge : strength of the penalty on λ, for statistics scaled to a root mean square of 1; 0 is maximum likelihood.
    tol : largest gradient entry at which the fit has converged.
    max_iterations : Newton steps allowed.

    Raises
    ------
    ValueError: shapes do not fit, an entry is wrong, or, without ridge, the samples separate: infinite parameters can
        take pairs never seen to probability 0, so that no maximum exists. Remedies: ridge > 0, or counts + 0.1.

    References
    ----------
    [piran2020]_ section 5; [albert1984]_ for separation
    """
    table = counts.p_xy if isinstance(counts, Joint) else _real_array(counts, "counts")
    if table.ndim != 2:
        raise ValueError(f"counts must have two axes (x, y), got shape {table.shape}")
    _check_entries(table, "counts")
    features = _matrix(statistics, "statistics")
    if len(features) != len(table):
        raise ValueError(f"statistics of shape {features.shape} and counts of shape {table.shape} differ in their x")
    if table.sum() == 0:
        raise ValueError("counts are all zero: there is nothing to fit")
    if not 0.0 <= ridge < np.inf:
        raise ValueError(f"ridge = {ridge} must be at least 0 and finite")
    if intercept:
        features = np.column_stack([features, np.ones(len(features))])
    weights = table / table.sum()
    scale = np.sqrt((features**2).mean(axis=0))
    scale[scale == 0] = 1.0
    scaled = features / scale
    if ridge == 0.0 and (table == 0).any() and _separates(weights, scaled):
        raise ValueError(
            f"the samples separate ({int((table == 0).sum())} of {table.size} pairs were never seen): the likelihood "
            "grows without end as parameters go to infinity; use ridge > 0, fewer statistics, or counts + 0.1"
        )
    d, n_y = scaled.shape[1], table.shape[1]
    p_x = weights.sum(axis=1)

    def loss(theta: FloatArray) -> float:
        energy = -scaled @ theta
        return float(p_x @ logsumexp(energy, axis=1) - (weights * energy).sum() + 0.5 * ridge * (theta**2).sum())

    theta = np.zeros((d, n_y))
    value, norm, step_count = loss(theta), np.inf, 0
    for step_count in range(max_iterations + 1):
        p = softmax(-scaled @ theta, axis=1)
        gradient = scaled.T @ (weights - p_x[:, None] * p) + ridge * theta
        norm = float(np.abs(gradient).max())
        if not norm > tol or step_count == max_iterations:
            break
        spread = p[:, :, None] * (np.eye(n_y) - p[:, None, :])
        hessian = np.einsum("x,xr,xs,xab->rasb", p_x, scaled, scaled, spread, optimize=True).reshape(d * n_y, d * n_y)
        # Least squares: a constant over y, and collinear statistics, leave p(y|x) alone: take the shortest step.
        step = -np.linalg.lstsq(hessian + ridge * np.eye(d * n_y), gradient.ravel(), rcond=1e-13)[0].reshape(d, n_y)
        length, slope = 1.0, float((gradient * step).sum())
        while length > 1e-10 and not loss(theta + length * step) <= value + 1e-4 * length * slope + 1e-15:
            length /= 2
        theta = theta + length * step
        value = loss(theta)
    parameters = (theta - theta.mean(axis=1, keepdims=True)) / scale[:, None]
    converged = bool(np.isfinite(parameters).all() and norm <= tol)
    log_likelihood = -value + 0.5 * ridge * float((theta**2).sum())
    return ExponentialFit(ExponentialFamily(features, parameters), log_likelihood, norm, converged, step_count)


def _separates(weights: FloatArray, features: FloatArray) -> bool:
    """Whether a direction of the parameters raises no seen pair's competitors and lowers one: a linear program."""
    from scipy.optimize import linprog  # here, for it doubles the time of importing the package

    n_y = weights.shape[1]
    rows = []
    for x, y in np.argwhere(weights > 0):
        for other in np.delete(np.arange(n_y), y):
            row = np.zeros((features.shape[1], n_y))
            row[:, other], row[:, y] = features[x], -features[x]
            rows.append(row.ravel())
    margins = np.array(rows)
    result = linprog(-margins.sum(axis=0), A_ub=-margins, b_ub=np.zeros(len(margins)), bounds=(-1, 1), method="highs")
    return bool(result.status == 0 and -result.fun > 1e-7)


@dataclass(frozen=True, eq=False)
class ExponentialSolution:
    """A fixed point of the dual bottleneck in an exponential family; all information in nats.

    Attributes
    ----------
    beta : the trade-off.
    p_t_given_x : encoder, shape (n_x, n_t).
    p_t : cluster weights, shape (n_t,).
    statistics : A_r(t), shape (n_t, d).
    log_normalizer : λ_0(t), shape (n_t,).
    p_y_given_t : decoder, in the family, shape (n_t, n_y).
    rate : I(X;T).
    relevance : I(T;Y) of the Markov chain Y - X - T (the Bayes decoder).
    distortion : E D(p(y|t) ‖ p(y|x)).
    residual : largest change of the encoder in the last step.
    converged : residual is at most the tolerance and finite; if False, raise max_iterations.
    n_iterations : steps taken.
    """

    beta: float
    p_t_given_x: FloatArray
    p_t: FloatArray
    statistics: FloatArray
    log_normalizer: FloatArray
    p_y_given_t: FloatArray
    rate: float
    relevance: float
    distortion: float
    residual: float
    converged: bool
    n_iterations: int

    @property
    def objective(self) -> float:
        """F = I(X;T) + β E D(p(y|t) ‖ p(y|x))."""
        return self.rate + self.beta * self.distortion


def solve_exponential(
    family: ExponentialFamily,
    p_x: ArrayLike,
    beta: float,
    *,
    encoder: ArrayLike | None = None,
    n_clusters: int | None = None,
    seed: int = 0,
    tol: float = 1e-12,
    max_iterations: int = 20_000,
) -> ExponentialSolution:
    r"""The dual bottleneck of an exponential family by alternating its self-consistent equations (dualExpIB).

    .. math::
        A_r(t) &= \sum_x p(x|t) A_r(x) \\
        p(y|t) &= \exp\left(-\sum_r \lambda_r(y) A_r(t) - \lambda_0(t)\right) \\
        \bar\lambda_r(t) &= \sum_y p(y|t) \lambda_r(y) \\
        p(t|x) &\propto p(t) \exp\left(\beta\lambda_0(t) - \beta\sum_r \bar\lambda_r(t) [A_r(x) - A_r(t)]\right)

    The clusters stay in the family, with d numbers each. It finds a local minimum, which depends on the start.

    Parameters
    ----------
    family : the ExponentialFamily p(y|x).
    p_x : shape (n_x,).
    beta : trade-off, positive and finite.
    encoder : start p(t|x), shape (n_x, n_t). Without it: T = X, or, with n_clusters, random rows from `seed`.
    n_clusters, seed : n_t and seed of a random start.
    tol : largest change of the encoder in a step at convergence.
    max_iterations : steps allowed.

    A cluster whose weight has vanished is left out of the solution.

    Raises
    ------
    ValueError: a shape, p_x, beta or the encoder is wrong.

    References
    ----------
    [piran2020]_ section 3.2 and appendix D
    """
    prior = _check_distribution(p_x, "p_x")
    n_x = len(family.statistics)
    if prior.shape != (n_x,):
        raise ValueError(f"p_x has shape {prior.shape}; the family has statistics of shape {family.statistics.shape}")
    if not 0.0 < beta < np.inf:
        raise ValueError(f"beta = {beta} must be positive and finite")
    if encoder is not None:
        q = _check_distribution(encoder, "encoder")
        if q.ndim != 2 or len(q) != n_x:
            raise ValueError(f"encoder has shape {q.shape}; (n_x, n_t) with n_x = {n_x} is needed")
    elif n_clusters is not None:
        if n_clusters < 1:
            raise ValueError(f"n_clusters = {n_clusters} must be at least 1")
        q = np.random.default_rng(seed).dirichlet(np.ones(n_clusters), n_x)
    else:
        q = np.eye(n_x)

    residual, n_iterations = np.inf, 0
    for n_iterations in range(1, max_iterations + 1):  # noqa: B007 (reported)
        new = _encode(family, beta, _decode(family, prior, q))
        if new.shape != q.shape:
            q = q[:, prior @ q > 0]
        residual, q = float(np.abs(new - q).max()), new
        if not residual > tol:
            break
    p_t, statistics, p_y_given_t, log_normalizer = _decode(family, prior, q)
    q = q[:, prior @ q > 0]
    divergence = _kl_divergence(p_y_given_t[None], family.p_y_given_x[:, None])
    return ExponentialSolution(
        beta=float(beta),
        p_t_given_x=q,
        p_t=p_t,
        statistics=statistics,
        log_normalizer=log_normalizer,
        p_y_given_t=p_y_given_t,
        rate=_mutual_information(prior[:, None] * q),
        relevance=_mutual_information((prior[:, None] * q).T @ family.p_y_given_x),
        distortion=float(prior @ (q * divergence).sum(axis=1)),
        residual=residual,
        converged=bool(np.isfinite(residual) and residual <= tol),
        n_iterations=n_iterations,
    )


@dataclass(frozen=True, eq=False)
class SampleSizeExperiment:
    """Error of the prediction Σ_t p(t|x) p(y|t) against the true p(y|x), after learning from N samples; in nats.

    Attributes
    ----------
    arms : names of the methods.
    sample_sizes : N, shape (n_sizes,).
    mean : of E_x D(p(·|x) ‖ Σ_t p(t|x) p(·|t)) over the seeds, shape (n_arms, n_sizes).
    standard_error : of that mean, shape (n_arms, n_sizes).
    """

    arms: tuple[str, ...]
    sample_sizes: tuple[int, ...]
    mean: FloatArray
    standard_error: FloatArray


def sample_size_experiment(
    sample_sizes: Sequence[int] = (50, 200, 1000, 5000),
    beta: float = 20.0,
    n_seeds: int = 20,
    seed: int = 0,
    pseudocount: float = 0.1,
    solvers: Mapping[str, Callable[[Joint, float], Any]] | None = None,
) -> SampleSizeExperiment:
    """How well each bottleneck predicts p(y|x) from N samples of a known family: what knowing the statistics is worth.

    |X| = 24 equally likely points of [-1.5, 1.5], y in {-1, 0, 1}, log p(y|x) = 1.2 x y - 0.5 (x² - 1) y² + const.
    Arms: the solvers on smoothed counts; "dualExpIB", the family fitted to them by maximum likelihood, then its dual
    bottleneck; and as a control the same fit followed by the first solver, "MLE then IB": the family without the dual.

    Parameters
    ----------
    sample_sizes, n_seeds : N and how many independent samples of each (at least 2).
    seed : of the samples.
    pseudocount : added to every cell.
    solvers : name → function(joint, beta) to an object with p_t_given_x and p_y_given_t; default: IB and dualIB solved.

    References
    ----------
    [piran2020]_ section 5
    """
    if n_seeds < 2 or min(sample_sizes, default=0) < 1:
        raise ValueError(f"n_seeds = {n_seeds} must be at least 2 and every sample size at least 1, got {sample_sizes}")
    if solvers is None:
        from .problems import IB, DualIB
        from .solve import solve

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
                errors[arm, size, repeat] = _kl_divergence(truth.p_y_given_x, prediction).mean()
    spread = errors.std(axis=2, ddof=1) / np.sqrt(n_seeds)
    return SampleSizeExperiment(arms, tuple(sample_sizes), errors.mean(axis=2), spread)


def _decode(family: ExponentialFamily, p_x: FloatArray, q: FloatArray) -> tuple[FloatArray, ...]:
    """p(t), A(t), p(y|t) and λ_0(t) of an encoder, clusters without weight left out."""
    p_t = p_x @ q
    alive = p_t > 0
    p_t = p_t[alive]
    statistics = (p_x[:, None] * q[:, alive] / p_t).T @ family.statistics
    energy = -statistics @ family.natural_parameters
    return p_t, statistics, softmax(energy, axis=1), logsumexp(energy, axis=1)


def _encode(family: ExponentialFamily, beta: float, clusters: tuple[FloatArray, ...]) -> FloatArray:
    """p(t|x) of what `_decode` returned."""
    p_t, statistics, p_y_given_t, log_normalizer = clusters
    mean_parameters = p_y_given_t @ family.natural_parameters.T
    offset = log_normalizer + (mean_parameters * statistics).sum(axis=1)
    return softmax(np.log(p_t) + beta * (offset - family.statistics @ mean_parameters.T), axis=1)


def _matrix(value: ArrayLike, name: str) -> FloatArray:
    matrix = _real_array(value, name)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} must be a non-empty matrix, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        where = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise ValueError(f"{name}{where} = {matrix[tuple(where)]} is not finite")
    return matrix
