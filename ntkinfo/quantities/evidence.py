r"""The Bayesian limit: the NNGP as a prior, observed with Gaussian noise. K_σ = K + σ²I throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ntkinfo._arrays import FloatArray, as_columns, positive
from ntkinfo._quantity import quantity
from ntkinfo.kernels import Kernels

_SOURCE = "[rasmussen2006]_ ch. 2 and 5"


@dataclass(frozen=True)
class Evidence:
    """Exact quantities of Gaussian process regression, in nats, summed over outputs.

    The identity log_evidence = expected_log_likelihood - posterior_kl holds.

    Attributes
    ----------
    log_evidence : log p(Y) = -½ Tr Y^T K_σ^{-1} Y - (k/2) log det K_σ - (nk/2) log 2π.
    posterior_kl : KL(posterior ‖ prior) = (k/2) log det(K_σ/σ²) - (k/2) Tr K_σ^{-1}K + ½ Tr Y^T K_σ^{-1} K K_σ^{-1} Y.
    expected_log_likelihood : E log N(Y; f, σ²) under the posterior.
    information_gain : I(f;Y) = (k/2) log det(I + K/σ²).
    noise : σ².
    """

    log_evidence: float
    posterior_kl: float
    expected_log_likelihood: float
    information_gain: float
    noise: float


@quantity("exact", "log p(Y), KL(posterior ‖ prior), I(f;Y)", "Gaussian process prior with Gaussian noise", _SOURCE)
def nngp_evidence(kernels: Kernels, y_train: ArrayLike, noise: float) -> Evidence:
    """Evidence, posterior KL and information gain of the NNGP with observation noise of variance `noise`.

    Parameters
    ----------
    kernels : Kernels; only ``nngp`` is used.
    y_train : array, shape (n,) or (n, k).
    noise : σ² > 0.

    Returns
    -------
    Evidence

    Raises
    ------
    ValueError: labels that do not match the kernel (both shapes are printed), or noise that is not positive.

    References
    ----------
    [rasmussen2006]_
    """
    n = kernels.n_train
    labels = as_columns("y_train", y_train, n, f"a training kernel of shape ({n}, {n})")
    values, vectors = np.linalg.eigh(kernels.nngp)
    return _evidence(
        np.maximum(values, 0.0), ((vectors.T @ labels) ** 2).sum(axis=1), labels.shape[1], positive("noise", noise)
    )


def _evidence(values: FloatArray, power: FloatArray, k: int, s2: float) -> Evidence:
    total = values + s2
    gain = 0.5 * k * float(np.log1p(values / s2).sum())
    log_norm = 0.5 * k * values.size * np.log(2 * np.pi * s2)
    log_evidence = -0.5 * float((power / total).sum()) - gain - log_norm
    kl = gain - 0.5 * k * float((values / total).sum()) + 0.5 * float((power * values / total**2).sum())
    residual = float((power * (s2 / total) ** 2).sum()) + k * float((values * s2 / total).sum())
    return Evidence(log_evidence, kl, -0.5 * residual / s2 - log_norm, gain, s2)
