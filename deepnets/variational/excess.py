r"""The parts of how far a variational objective lies above the proven optimum of its bottleneck, in three parts.

With d(x, r) the bottleneck's distortion, D(p_x ‖ r) of the IB and D(r ‖ p_x) of the dual, and r*_z the best decoder given
p(x|z), which is p(y|z) for the IB and the geometric mean for the dual,

.. math:: \underbrace{E_x D(e\|m) + \beta E\,d(x, d_z)}_{L} - F(\beta) = \underbrace{D(p(z)\|m)}_{\text{marginal}}
          + \underbrace{\beta E_z[d(r^*_z, d_z)]}_{\text{decoder}} + \underbrace{I(X;Z) + \beta E\,d(x, r^*_z) - F(\beta)}_{\text{encoder}}

each at least 0 whatever the space of z, since F is a minimum over all T. L is VIB's objective less βH(Y|X), and the dual's as it
is. For CEB the marginal part is E_y D(p(z|y) ‖ b(·|y)), and β = 1 + γ but in the decoder part; for the nonlinear IB it is its
rate term less I(X;Z). The decomposition is derived here; F comes with a proof from :func:`dualib.solve`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from deepnets.variational.families import components, log_decoder, log_decoder_table, log_states, normal_code
from deepnets.variational.fitted import Fitted
from deepnets.variational.objectives import RateTerm
from deepnets.variational.settings import EncoderKind
from dualib.bottleneck import Bottleneck
from dualib.core.special import kl_nats
from dualib.core.typing import Float, FloatArray
from dualib.joint import Joint

SCRAMBLES = 16  # independent point sets, between which the error is estimated
WORK = 1 << 22  # densities of all point sets: from it the number of points a pattern, a power of 2
MOST_POINTS = 256  # a pattern and set


class Points(NamedTuple):
    """Codes z with what the gap needs of them: a sum over them is the mean over p(z).

    Attributes
    ----------
    weights : array, shape (n_z,)
        Summing to 1.
    posterior : array, shape (n_z, n_x)
        p(x|z).
    log_marginal_ratio : array, shape (n_z,) or (n_z, k)
        log p(z)/m(z); of a marginal b(z|y) one for each label, log p(z)/b(z|y).
    log_d : array, shape (n_z, k)
        log d(y|z).
    """

    weights: FloatArray
    posterior: FloatArray
    log_marginal_ratio: FloatArray
    log_d: FloatArray


class Parts(NamedTuple):
    """Of the excess, nats; `code` is I(X;Z) + β E d(x, r*_z), from which F is taken to give the encoder's part."""

    marginal: float
    decoder: float
    code: float
    rate: float
    relevance: float


def parts_at(problem: Bottleneck, beta: float, points: Points, shift: float = 0.0) -> Parts:
    """The parts of the excess of IB or dualIB at β + shift, by sums over the codes.

    Parameters
    ----------
    problem : IB or DualIB
    beta, shift : float
        The decoder's part has the weight β, the code the slope β + shift.
    points : Points
    """
    weights, posterior = points.weights, points.posterior
    joint, best = problem.joint, problem.decode(posterior)
    p_y_given_z = posterior @ joint.p_y_given_x
    rate = float(weights @ kl_nats(posterior, joint.p_x))
    relevance = float(weights @ kl_nats(p_y_given_z, joint.p_y))
    distortion = float(weights @ (posterior * problem.distortion(best)).sum(axis=1))
    ratio = points.log_marginal_ratio
    if ratio.ndim == 2:  # p(z|y)/b(z|y) = p(y|z)/p(y) p(z)/b(z|y)
        ratio = (p_y_given_z * ratio).sum(axis=1) + kl_nats(p_y_given_z, joint.p_y)
    decoder = beta * float(weights @ problem.terms(best, np.exp(points.log_d)).sum(axis=1))
    return Parts(float(weights @ ratio), decoder, rate + (beta + shift) * distortion, rate, relevance)


def points_of(fit: Fitted, seed: int, i: int, law: Joint) -> list[Points]:
    """All states of a categorical code, or independent sets of points z of a normal one."""
    params = fit.parameters(seed, i)
    conditional = fit.objective.rate is RateTerm.CONDITIONAL
    if fit.settings.encoder is EncoderKind.CATEGORICAL:
        log_e = np.asarray(log_states(params, fit.inputs), dtype=np.float64)
        log_e -= logsumexp(log_e, axis=1, keepdims=True)
        log_m = np.asarray(params["marginal"]["logits"], dtype=np.float64)
        log_m -= logsumexp(log_m, axis=1, keepdims=True)
        log_d = np.asarray(log_decoder_table(params), dtype=np.float64)
        return [points_of_states(law, log_e, log_m if conditional else log_m[0], log_d)]
    mean, std = (np.asarray(a, dtype=np.float64) for a in normal_code(params, fit.inputs))
    means, stds, log_weights = (np.asarray(a, dtype=np.float64) for a in components(params, fit.settings))
    drawn = []
    for z, weights in _scrambled(mean, std, law.p_x, fit.settings.seed):
        log_e = log_densities(z, mean, std)
        log_joint = log_e + np.log(law.p_x)
        log_p = logsumexp(log_joint, axis=1)
        log_m = log_densities(z, means, stds)
        if not conditional:
            log_m = logsumexp(log_m + log_weights, axis=1)
        ratio = (log_p[:, None] - log_m) if conditional else log_p - log_m
        log_d = np.asarray(log_decoder(params, z), dtype=np.float64)
        drawn.append(Points(weights, np.exp(log_joint - log_p[:, None]), ratio, log_d))
    return drawn


def points_of_states(law: Joint, log_e: FloatArray, log_m: FloatArray, log_d: FloatArray) -> Points:
    """All states of a categorical code.

    Parameters
    ----------
    law : Joint
    log_e : array, shape (n_x, n_t)
        log e(t|x).
    log_m : array, shape (n_t,), or (k, n_t) of a marginal b(t|y)
    log_d : array, shape (n_t, k)
        log d(y|t).
    """
    log_joint = log_e.T + np.log(law.p_x)
    log_p = logsumexp(log_joint, axis=1)
    ratio = log_p - log_m if log_m.ndim == 1 else log_p[:, None] - log_m.T
    return Points(np.exp(log_p), np.exp(log_joint - log_p[:, None]), ratio, log_d)


def log_densities(
    z: Float[np.ndarray, "n_z dim"], mean: Float[np.ndarray, "n dim"], std: Float[np.ndarray, "n dim"]
) -> Float[np.ndarray, "n_z n"]:
    """Log density of every N(mean, std²) at every z, by one matrix product, in double precision."""
    precision = std**-2.0
    features = np.concatenate([z**2, z], axis=1)
    coefficients = np.concatenate([-0.5 * precision, mean * precision], axis=1)
    constant = (
        -0.5 * (mean**2 * precision).sum(axis=1) - np.log(std).sum(axis=1) - 0.5 * mean.shape[1] * np.log(2 * np.pi)
    )
    return np.asarray(features @ coefficients.T + constant)


def _scrambled(mean: FloatArray, std: FloatArray, p_x: FloatArray, seed: int) -> list[tuple[FloatArray, FloatArray]]:
    """Independent sets of scrambled Sobol' points z of every pattern's normal, and their weights."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    n, dim = mean.shape
    power = int(np.log2(np.clip(WORK / n**2 / SCRAMBLES, 1, MOST_POINTS)))
    found = []
    for scramble in range(SCRAMBLES):
        rng = np.random.default_rng([seed, scramble])
        uniform = qmc.Sobol(dim, rng=rng).random_base2(power)
        # Each pattern has the points shifted by a number of its own, so that errors do not add up.
        shifted = (uniform[None] + rng.random((n, 1, dim))) % 1.0
        normal = ndtri(np.clip(shifted, 1e-16, 1 - 1e-16))
        z = mean[:, None] + std[:, None] * normal
        found.append((z.reshape(-1, dim), np.repeat(p_x / 2**power, 2**power)))
    return found


def pairwise_rate(fit: Fitted, seed: int, i: int, law: Joint) -> float:
    """Minus the mean log of Σ p(x') exp(−D(e_x ‖ e_x')): the rate term of the nonlinear IB, nats."""
    params = fit.parameters(seed, i)
    if fit.settings.encoder is EncoderKind.CATEGORICAL:
        log_e = np.asarray(log_states(params, fit.inputs), dtype=np.float64)
        divergence = (np.exp(log_e) * log_e).sum(axis=1)[:, None] - np.exp(log_e) @ log_e.T
    else:
        mean, std = (np.asarray(a, dtype=np.float64) for a in normal_code(params, fit.inputs))
        ratio = std[:, None] / std[None]
        away = (mean[:, None] - mean[None]) / std[None]
        divergence = 0.5 * (ratio**2 - 1.0 - 2.0 * np.log(ratio) + away**2).sum(axis=2)
    return float(-law.p_x @ logsumexp(-divergence, b=law.p_x[None], axis=1))
