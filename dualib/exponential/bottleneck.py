"""The dual bottleneck in the natural parameters of an exponential family (dualExpIB)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from dualib.core.arrays import distribution
from dualib.core.result import Result
from dualib.core.special import kl_nats, mutual_information_nats
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.exponential.family import ExponentialFamily


@dataclass(frozen=True, eq=False)
class ExponentialSolution(Result):
    """A fixed point of the dual bottleneck in an exponential family; all information in nats.

    Attributes
    ----------
    beta : float
        The trade-off.
    p_t_given_x : array
        Encoder, shape (n_x, n_t).
    p_t : array
        Cluster weights, shape (n_t,).
    statistics : array
        A_r(t), shape (n_t, d).
    log_normalizer : array
        λ_0(t), shape (n_t,).
    p_y_given_t : array
        Decoder, in the family, shape (n_t, n_y).
    rate : float
        I(X;T).
    relevance : float
        I(T;Y) of the Markov chain Y - X - T (the Bayes decoder).
    distortion : float
        E D(p(y|t) ‖ p(y|x)).
    residual : float
        Largest change of the encoder in the last step.
    converged : bool
        residual is at most the tolerance and finite; if False, raise max_iterations.
    n_iterations : int
        Steps taken.

    Examples
    --------
    >>> import numpy as np
    >>> from dualib.exponential import ExponentialFamily
    >>> family = ExponentialFamily(np.array([[0.0], [1.0]]), np.array([[-2.0, 2.0]]))
    >>> found = solve_exponential(family, [0.5, 0.5], beta=20.0)
    >>> bool(0.0 < found.relevance <= found.rate)  # nats
    True
    """

    beta: float
    p_t_given_x: Float[np.ndarray, "n_x n_t"]
    p_t: Float[np.ndarray, " n_t"]
    statistics: Float[np.ndarray, "n_t d"]
    log_normalizer: Float[np.ndarray, " n_t"]
    p_y_given_t: Float[np.ndarray, "n_t n_y"]
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
    ValueError
        If a shape, p_x, beta or the encoder is wrong.

    References
    ----------
    [piran2020]_ section 3.2 and appendix D

    Examples
    --------
    >>> import numpy as np
    >>> from dualib.exponential import ExponentialFamily
    >>> family = ExponentialFamily(np.array([[0.0], [1.0]]), np.array([[-2.0, 2.0]]))
    >>> found = solve_exponential(family, [0.5, 0.5], beta=20.0)
    >>> found.converged, found.statistics.ravel().round(3)  # E[A(y)|t] of each cluster
    (True, array([0., 1.]))
    """
    prior = distribution(p_x, "p_x")
    if prior.shape != (len(family.statistics),):
        raise ValueError(f"p_x has shape {prior.shape}; the family has statistics of shape {family.statistics.shape}")
    if not 0.0 < beta < np.inf:
        raise ValueError(f"beta = {beta} must be positive and finite")
    q = _start(len(prior), encoder, n_clusters, seed)
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
    divergence = kl_nats(p_y_given_t[None], family.p_y_given_x[:, None])
    return ExponentialSolution(
        beta=float(beta),
        p_t_given_x=q,
        p_t=p_t,
        statistics=statistics,
        log_normalizer=log_normalizer,
        p_y_given_t=p_y_given_t,
        rate=mutual_information_nats(prior[:, None] * q),
        relevance=mutual_information_nats((prior[:, None] * q).T @ family.p_y_given_x),
        distortion=float(prior @ (q * divergence).sum(axis=1)),
        residual=residual,
        converged=bool(np.isfinite(residual) and residual <= tol),
        n_iterations=n_iterations,
    )


def _start(n_x: int, encoder: ArrayLike | None, n_clusters: int | None, seed: int) -> FloatArray:
    """The encoder to start from: the given one, random rows, or T = X."""
    if encoder is not None:
        q = distribution(encoder, "encoder")
        if q.ndim != 2 or len(q) != n_x:
            raise ValueError(f"encoder has shape {q.shape}; (n_x, n_t) with n_x = {n_x} is needed")
        return q
    if n_clusters is None:
        return np.eye(n_x)
    if n_clusters < 1:
        raise ValueError(f"n_clusters = {n_clusters} must be at least 1")
    return np.random.default_rng(seed).dirichlet(np.ones(n_clusters), n_x)


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
    encoder: FloatArray = softmax(np.log(p_t) + beta * (offset - family.statistics @ mean_parameters.T), axis=1)
    return encoder
