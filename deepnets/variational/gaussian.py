r"""The exact Gaussian control: linear encoders, and all of an objective in closed form, so that nothing is left to sampling.

Z = Wx + σξ, m = N(0, diag s²), d(y|z) = N(Cz, S). The Gaussian dualIB at β is the Gaussian IB at β + 1, the same encoder and the
same curve (:class:`dualib.GaussianDualIB`): any advantage of one over the other on Gaussian data is one of optimisation, of labels,
or of a comparison at equal β.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import optax
from scipy.linalg import cholesky, solve_triangular

from deepnets.backend import jax, jnp
from deepnets.variational.gap import Gap
from deepnets.variational.objectives import Distortion, Objective, RateTerm
from dualib.core.arrays import positive, whole
from dualib.core.estimate import Estimates, Kind
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.gaussian.bottleneck import GaussianBottleneck, GaussianDualIB, GaussianIB

Params = dict[str, jax.Array]
ROUNDING = 1e-12  # nats


@dataclass(frozen=True, eq=False)
class GaussianFit(Result):
    """Linear codes of jointly Gaussian X and Y, at S seeds and B values of β.

    Attributes
    ----------
    objective : Objective
    betas : array, shape (B,)
    channel : array, shape (q, p)
        E[y|x] where x has unit covariance, and y unit covariance given x.
    params : dict of arrays, shapes (S, B, ...)
        "w" (k, p) and "log_noise" (k,) of the encoder, for x of unit covariance; "log_marginal" (k,); "decoder" (q, k), and
        "factor" (q, q), of whose lower triangle S is made.
    optimum : array, shape (B,)
        F(β), exact.

    Examples
    --------
    >>> found = fit_gaussian(VIB(), problem, betas=[5.0])  # doctest: +SKIP
    """

    objective: Objective
    betas: Float[np.ndarray, " n_betas"]
    channel: Float[np.ndarray, "q p"]
    params: dict[str, np.ndarray]
    optimum: Float[np.ndarray, " n_betas"]

    def gap(self) -> Gap:
        """The three parts of the excess over the exact optimum, in closed form."""
        shape = self.params["w"].shape[:2]
        parts = np.empty((*shape, 5))
        for s, i in np.ndindex(*shape):
            params = {name: value[s, i] for name, value in self.params.items()}
            parts[s, i] = _parts(self.objective.distortion, params, self.channel, float(self.betas[i]))
        marginal, decoder, code, rate, relevance = np.moveaxis(parts, -1, 0)
        found = {"marginal": marginal, "decoder": decoder, "encoder": code - self.optimum}
        found["total"] = marginal + decoder + code - self.optimum
        estimates = {}
        for name, value in found.items():
            error = ROUNDING * (1.0 + self.optimum)
            low, high = np.maximum(value - error, 0.0), np.maximum(value + error, 0.0)
            estimates[name] = Estimates(np.clip(value, low, high), low, high, Kind.NUMERICAL, method="closed form")
        return Gap(
            name=str(self.objective),
            betas=self.betas,
            **estimates,
            optimum_low=self.optimum,
            optimum_high=self.optimum,
            rate=rate,
            relevance=relevance,
        )


def fit_gaussian(
    objective: Objective,
    problem: GaussianBottleneck,
    *,
    betas: ArrayLike,
    code_dim: int = 4,
    seeds: int = 8,
    steps: int = 4000,
    learning_rate: float = 0.03,
    seed: int = 0,
) -> GaussianFit:
    """Fit linear encoders, diagonal marginals and linear decoders to a Gaussian law, by Adam on the objective itself.

    Parameters
    ----------
    objective : VIB or VariationalDualIB
        Its labels do not matter: the law is known.
    problem : GaussianIB or GaussianDualIB
        The law; which of the two bottlenecks is meant is said by the objective.
    betas : array, shape (B,)
    code_dim, seeds, steps : int
    learning_rate : float
        Annealed to 0 as a cosine.
    seed : int

    Returns
    -------
    GaussianFit

    Raises
    ------
    ValueError
        If a number is out of range, or the objective is neither of the two.

    Examples
    --------
    >>> from dualib import GaussianIB
    >>> found = fit_gaussian(VIB(), GaussianIB([[1.0]], [[1.0]], [[0.8]]), betas=[5.0])  # doctest: +SKIP
    """
    if objective.rate is not RateTerm.MARGINAL:
        raise ValueError(f"linear codes are fitted to VIB and VariationalDualIB, not to {objective.name}")
    beta = np.array([positive(b, "a β") for b in np.atleast_1d(betas).tolist()])
    kind = GaussianDualIB if objective.distortion is Distortion.REVERSE else GaussianIB
    exact = kind(problem.cov_x, problem.cov_y, problem.cov_xy)
    channel = _channel(exact)
    (q, p), k, n_seeds = channel.shape, whole(code_dim, "code_dim", 1), whole(seeds, "seeds", 1)
    rng = np.random.default_rng(whole(seed, "seed"))
    start = {
        "w": 0.5 * rng.standard_normal((n_seeds, k, p)),
        "log_noise": np.zeros((n_seeds, k)),
        "log_marginal": np.zeros((n_seeds, k)),
        "decoder": 0.5 * rng.standard_normal((n_seeds, q, k)),
        "factor": np.zeros((n_seeds, q, q)),
    }
    optimiser = optax.adam(optax.cosine_decay_schedule(learning_rate, whole(steps, "steps", 1)))

    def fitted(params: Params, b: jax.Array) -> Params:
        def step(_: jax.Array, state: tuple[Params, optax.OptState]) -> tuple[Params, optax.OptState]:
            gradient = jax.grad(_objective)(state[0], objective.distortion, channel, b)
            updates, inner = optimiser.update(gradient, state[1])
            return optax.apply_updates(state[0], updates), inner

        found: tuple[Params, optax.OptState] = jax.lax.fori_loop(0, steps, step, (params, optimiser.init(params)))
        return found[0]

    over_betas = jax.vmap(fitted, (None, 0))
    params = jax.jit(jax.vmap(over_betas, (0, None)))({n: jnp.asarray(v) for n, v in start.items()}, jnp.asarray(beta))
    arrays = {name: np.asarray(value) for name, value in params.items()}
    return GaussianFit(objective, beta, channel, arrays, exact.curve(beta).objective)


def _channel(problem: GaussianBottleneck) -> FloatArray:
    """E[y|x] in coordinates in which x, and y given x, have unit covariance, (q, p)."""
    slope = np.linalg.solve(problem.cov_x, problem.cov_xy).T
    residual = cholesky(problem.cov_y - slope @ problem.cov_xy, lower=True)
    whitened: FloatArray = solve_triangular(residual, slope @ cholesky(problem.cov_x, lower=True), lower=True)
    return whitened


def _covariance_of(factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """S = LLᵀ with L the lower triangle of `factor`, the exponential of its diagonal on the diagonal; and log det S."""
    diagonal = jnp.diag(factor)
    lower = jnp.tril(factor, -1) + jnp.diag(jnp.exp(diagonal))
    return lower @ lower.T, 2 * diagonal.sum()


def _objective(params: Params, kind: Distortion, channel: FloatArray, beta: jax.Array) -> jax.Array:
    """E D(e ‖ m) + β E D(p_x ‖ d), or of the dual β E D(d ‖ p_x), divided by max(1, β); nats."""
    w, noise, marginal = params["w"], jnp.exp(2 * params["log_noise"]), jnp.exp(2 * params["log_marginal"])
    ratio = noise / marginal
    rate = 0.5 * (ratio + (w**2).sum(axis=1) / marginal - 1 - jnp.log(ratio)).sum()
    covariance, log_det = _covariance_of(params["factor"])
    c = params["decoder"]
    off = channel - c @ w
    error = off @ off.T + (c * noise) @ c.T
    q = len(channel)
    if kind is Distortion.FORWARD:
        distortion = 0.5 * (jnp.trace(jnp.linalg.solve(covariance, jnp.eye(q) + error)) - q + log_det)
    else:
        distortion = 0.5 * (jnp.trace(covariance) - q - log_det + jnp.trace(error))
    return (rate + beta * distortion) / jnp.maximum(1.0, beta)


def _parts(
    kind: Distortion, params: dict[str, np.ndarray], channel: FloatArray, beta: float
) -> tuple[float, float, float, float, float]:
    """Marginal and decoder part, I(X;Z) + β E d at the best decoder, I(X;Z), I(Z;Y); nats, in double precision."""
    w, noise, marginal = params["w"], np.exp(2 * params["log_noise"]), np.exp(2 * params["log_marginal"])
    lower = np.tril(params["factor"], -1) + np.diag(np.exp(np.diag(params["factor"])))
    s, q = lower @ lower.T, len(channel)
    code = w @ w.T + np.diag(noise)
    gain = np.linalg.solve(code, w).T  # E[x|z] = gain z
    spread = channel @ (np.eye(w.shape[1]) - gain @ w) @ channel.T  # of E[y|x] given z
    away = channel @ gain - params["decoder"]
    away = away @ code @ away.T
    log_det_code = np.linalg.slogdet(code)[1]
    part_m = 0.5 * ((np.diag(code) / marginal).sum() - len(w) - log_det_code + np.log(marginal).sum())
    rate = 0.5 * (log_det_code - np.log(noise).sum())
    lost = 0.5 * np.linalg.slogdet(np.eye(q) + spread)[1]  # I(X;Y|Z)
    relevance = 0.5 * np.linalg.slogdet(np.eye(q) + channel @ channel.T)[1] - lost
    log_det = np.linalg.slogdet(s)[1]
    if kind is Distortion.FORWARD:
        best = np.eye(q) + spread
        part_d = 0.5 * (np.trace(np.linalg.solve(s, best + away)) - q - np.linalg.slogdet(best)[1] + log_det)
        distortion = lost
    else:
        part_d = 0.5 * (np.trace(s) - q - log_det + np.trace(away))
        distortion = 0.5 * np.trace(spread)
    return float(part_m), beta * float(part_d), float(rate + beta * distortion), float(rate), float(relevance)
