r"""The Bayesian limit: the NNGP as a prior, observed with Gaussian noise. K_σ = K + σ²I throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.arrays import columns, positive
from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import Unit
from ntkinfo.kernels import Kernels
from ntkinfo.quantities.registry import REGISTRY


@dataclass(frozen=True)
class Evidence(Result):
    """Exact quantities of Gaussian process regression, in nats, summed over outputs.

    The identity log_evidence = expected_log_likelihood - posterior_kl holds.

    Attributes
    ----------
    log_evidence : float
        log p(Y) = -½ Tr Y^T K_σ^{-1} Y - (k/2) log det K_σ - (nk/2) log 2π.
    posterior_kl : float
        KL(posterior ‖ prior) = (k/2) log det(K_σ/σ²) - (k/2) Tr K_σ^{-1}K + ½ Tr Y^T K_σ^{-1} K K_σ^{-1} Y.
    expected_log_likelihood : float
        E log N(Y; f, σ²) under the posterior.
    information_gain : float
        I(f;Y) = (k/2) log det(I + K/σ²).
    noise : float
        σ².

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> found = nngp_evidence(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0], noise=1.0)
    >>> parts = found.expected_log_likelihood - found.posterior_kl
    >>> round(float(parts - found.log_evidence), 9)
    0.0
    """

    log_evidence: float
    posterior_kl: float
    expected_log_likelihood: float
    information_gain: float
    noise: float


@REGISTRY.register(
    "log p(Y)",
    Unit.NATS,
    Relation.EXACT,
    of="log p(Y), KL(posterior ‖ prior), I(f;Y)",
    assumption="Gaussian process prior with Gaussian noise",
    source="[rasmussen2006]_ ch. 2 and 5",
    shows=("log_evidence", Relation.EXACT),
)
def nngp_evidence(kernels: Kernels, y_train: ArrayLike, noise: float) -> Evidence:
    """Evidence, posterior KL and information gain of the NNGP with observation noise of variance `noise`.

    Parameters
    ----------
    kernels : Kernels
        Only ``nngp`` is used.
    y_train : array_like, shape (n,) or (n, k)
    noise : float
        σ² > 0.

    Returns
    -------
    Evidence

    Raises
    ------
    ValueError
        If labels do not match the kernel (both shapes are printed), or the noise is not positive.

    References
    ----------
    [rasmussen2006]_

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> found = nngp_evidence(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0], noise=1.0)
    >>> round(float(found.log_evidence), 6)  # −½ − log 4π
    -3.031024
    """
    n, s2 = kernels.n_train, positive(noise, "noise")
    labels = columns(y_train, "y_train", n, f"a training kernel of shape ({n}, {n})")
    values, vectors = np.linalg.eigh(kernels.nngp)
    return _evidence(np.maximum(values, 0.0), ((vectors.T @ labels) ** 2).sum(axis=1), labels.shape[1], s2)


def _evidence(values: FloatArray, power: FloatArray, k: int, s2: float) -> Evidence:
    total = values + s2
    gain = 0.5 * k * float(np.log1p(values / s2).sum())
    log_norm = 0.5 * k * values.size * np.log(2 * np.pi * s2)
    log_evidence = -0.5 * float((power / total).sum()) - gain - log_norm
    kl = gain - 0.5 * k * float((values / total).sum()) + 0.5 * float((power * values / total**2).sum())
    residual = float((power * (s2 / total) ** 2).sum()) + k * float((values * s2 / total).sum())
    return Evidence(log_evidence, kl, -0.5 * residual / s2 - log_norm, gain, s2)
