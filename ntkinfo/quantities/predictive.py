r"""Losses of the predictive law, and what training does to errors.

Laws come from :meth:`ntkinfo.Ensemble.law` or :meth:`~ntkinfo.Ensemble.marginals`; leading axes are times and are kept.
Labels y have shape (m, k) or (m,). All logarithms are natural: losses in nats are negative log densities.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.linalg import solve_triangular

from dualib.core.arrays import positive
from dualib.core.factor import cholesky_factor
from dualib.core.quantity import Relation
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Unit
from ntkinfo.ensemble import Ensemble
from ntkinfo.labels import labels_of
from ntkinfo.laws import Law, Marginals
from ntkinfo.quantities.registry import REGISTRY, Condition, DataSets, Group
from ntkinfo.quantities.spectra import like

LOG_2PI = float(np.log(2 * np.pi))

_exact = partial(REGISTRY.register, relation=Relation.EXACT, holds_for=DataSets.ONE)
_pure = partial(_exact, unit=Unit.ONE, group=Group.ERRORS)
_error = partial(_pure, assumption="the law is exact (infinite width)", source="[shwartzziv2019]_ eq. 8")
_likelihood = partial(
    _exact, unit=Unit.NATS, group=Group.LIKELIHOODS, assumption="Gaussian observation noise of variance 1"
)


def square_errors(law: Law | Marginals, y: ArrayLike) -> Float[np.ndarray, "*t m"]:
    """E‖y - z‖² of each point.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> square_errors(law, [1.0, -1.0])
    array([0.25, 0.75])
    """
    return np.asarray(_square_bias(law, y) + law.mean.shape[-1] * law.variance)


def _square_bias(law: Law | Marginals, y: ArrayLike) -> FloatArray:
    errors, _, log_size = label_errors(law, y)
    return np.asarray((errors**2).sum(axis=-1) * np.exp(2 * log_size)[..., None])


def label_errors(
    law: Law | Marginals, y: ArrayLike
) -> tuple[Float[np.ndarray, "*t m k"], Float[np.ndarray, "*t m"], Float[np.ndarray, "*t"]]:
    """Errors y - μ, variances of the outputs, and the logarithm of the unit in which both are.

    The unit is that of the largest errors: 1, but where all labels are those to which a collapsed law is trained, whose errors
    may be far below it.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> errors, _, log_size = label_errors(ensemble.marginals([500.0], on="train"), [1.0, -1.0])
    >>> (np.log(np.abs(errors[0, :, 0])) + log_size).round(6)  # e^{-2τ}
    array([-1000., -1000.])
    """
    labels, collapse = labels_of(law, y), law.collapse
    if collapse is None:
        return labels - law.mean, law.variance, np.zeros(law.mean.shape[:-2])
    own = (labels == collapse.target).all(axis=-1)
    errors = np.where(own[:, None], collapse.shortfall, labels - law.mean)
    sizes = np.where(own, collapse.log_size, 0.0)
    log_size = np.asarray(sizes.max(axis=-1))
    scale = np.exp(sizes - log_size[..., None])
    return errors * scale[..., None], np.where(own, collapse.spread, law.variance) * scale**2, log_size


@_error("one network", of="E‖y - z‖² per point, mean over the points, of one network", main=True)
def expected_square_error(law: Law | Marginals, y: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Squared error of one network of the ensemble, averaged over networks and points, summed over outputs.

    .. math:: \frac1m \sum_i \left(\|y_i - \mu_i\|^2 + k\,\Sigma_{ii}\right)

    Returns
    -------
    array of the law's leading shape
        In squared units of y.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(expected_square_error(law, [1.0, -1.0])), 6)  # (0 + 0.25 + 0.25 + 0.5)/2
    0.5
    """
    return np.asarray(square_errors(law, y).mean(axis=-1))


@_error("ensemble mean", of="‖y - E z‖² per point, mean over the points, of the ensemble's mean")
def ensemble_square_error(law: Law | Marginals, y: ArrayLike) -> Float[np.ndarray, "*t"]:
    """Squared error of the ensemble's mean, averaged over points, summed over outputs, in squared units of y.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(ensemble_square_error(law, [1.0, -1.0])), 6)
    0.125
    """
    return np.asarray(_square_bias(law, y).mean(axis=-1))


@_error("Σ_xx", of="variance of an output, mean over the points", holds_for=DataSets.ANY)
def output_variance(law: Law | Marginals) -> Float[np.ndarray, "*t"]:
    """Variance of an output over the networks, averaged over points, in squared units of y.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(output_variance(law)), 6)
    0.375
    """
    return np.asarray(law.variance.mean(axis=-1))


@_error(
    "training, one network",
    of="E‖y - z‖² per training point, of one network",
    shows=("train_square_error", Relation.EXACT),
    main=True,
)
def train_square_error(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""As :func:`expected_square_error` on the training points, from the spectrum.

    .. math:: \frac1n \sum_j r_j^2 \left(k\,\kappa_j + \|y_j\|^2\right)

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(train_square_error(ensemble, 0.5)), 6)
    0.270671
    """
    squares = ensemble.spectrum(tau).residual ** 2 * ensemble.mode_power
    return like(squares.sum(axis=-1) / ensemble.n_train, tau)


@_likelihood(
    "training, one network",
    of="-E log N(y; z, 1) per training point",
    source="[shwartzziv2019]_ eq. 10, signs corrected",
)
def train_gibbs_nll(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    """As :func:`gibbs_nll` on the training points, from the spectrum, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(train_gibbs_nll(ensemble, 0.5)), 6)
    1.054274
    """
    return np.asarray(0.5 * train_square_error(ensemble, tau) + 0.5 * ensemble.n_outputs * LOG_2PI)


@_likelihood(
    "one network",
    of="-E log N(y; z, 1) per point, mean over the points",
    source="[shwartzziv2019]_ eq. 10, signs corrected",
)
def gibbs_nll(law: Law | Marginals, y: ArrayLike, noise: float = 1.0) -> Float[np.ndarray, "*t"]:
    r"""Negative log likelihood of one network, averaged over networks and points, in nats.

    .. math:: \frac{1}{2 s^2}\left(\|y - \mu\|^2 + k \Sigma_{xx}\right) + \frac k2 \log 2\pi s^2

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(gibbs_nll(law, [1.0, -1.0])), 6)  # nats, of one network
    1.168939
    """
    k = law.mean.shape[-1]
    return np.asarray(
        expected_square_error(law, y) / (2 * positive(noise, "noise")) + 0.5 * k * (LOG_2PI + np.log(noise))
    )


@_likelihood("ensemble", of="-log N(y; μ, 1 + Σ_xx) per point, mean over the points", source="[shwartzziv2019]_ eq. 9")
def bayes_nll(law: Law | Marginals, y: ArrayLike, noise: float = 1.0) -> Float[np.ndarray, "*t"]:
    r"""Negative log likelihood of the ensemble's mixture, averaged over points, in nats.

    .. math:: \frac{\|y - \mu\|^2}{2 (s^2 + \Sigma_{xx})} + \frac k2 \log 2\pi (s^2 + \Sigma_{xx})

    It is at most :func:`gibbs_nll` (Jensen).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(bayes_nll(law, [1.0, -1.0])), 6)  # nats, of the ensemble's mixture
    1.117757
    """
    total = positive(noise, "noise") + law.variance
    value = _square_bias(law, y) / (2 * total) + 0.5 * law.mean.shape[-1] * (LOG_2PI + np.log(total))
    return np.asarray(value.mean(axis=-1))


@_likelihood(
    "ensemble, joint",
    of="-log N(Y; μ, I + Σ) of the points jointly, per point",
    source="[shwartzziv2019]_ eq. 9, all points jointly",
    only=[Condition.TEST_COVARIANCES],
)
def bayes_nll_joint(joint_law: Law, y: ArrayLike, noise: float = 1.0) -> Float[np.ndarray, "*t"]:
    """Negative log likelihood of all labels together under the ensemble's mixture, per point, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Law(mean=np.array([[1.0], [-0.5]]), covariance=np.array([[0.25, 0.1], [0.1, 0.5]]))
    >>> round(float(bayes_nll_joint(law, [1.0, -1.0])), 6)  # nats a point
    1.116644
    """
    labels = labels_of(joint_law, y)
    m, k = labels.shape
    shift, found = positive(noise, "noise"), np.full(joint_law.covariance.shape[:-2], np.nan)
    for t in np.ndindex(found.shape):
        factor = cholesky_factor(joint_law.covariance[t], shift)
        if factor is None:  # NaN among the covariances
            continue
        white = solve_triangular(factor, labels - joint_law.mean[t], lower=True, check_finite=False)
        log_det = 2 * float(np.log(np.diagonal(factor)).sum())
        found[t] = (0.5 * (white**2).sum() + 0.5 * k * (log_det + m * LOG_2PI)) / m
    return found


@_pure(
    "Tr ΘA",
    of="effective degrees of freedom Tr ΘA",
    assumption="none",
    source="derived here",
    shows=("label_response", Relation.EXACT),
    holds_for=DataSets.ANY,
)
def degrees_of_freedom(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    """Effective degrees of freedom of one output, Tr ΘA: between 0 and the rank of Θ.

    For gradient flow it is Tr(I - e^{-τΘ}).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(degrees_of_freedom(ensemble, 0.5)), 6)
    1.264241
    """
    return like(ensemble.spectrum(tau).fitted.sum(axis=-1), tau)


@_pure(
    "optimism",
    of="E[error on fresh labels - training error] per training point",
    assumption="fixed inputs, labels with independent noise",
    source="derived here",
    shows=("optimism", Relation.EXACT),
    holds_for=DataSets.LABELS,
)
def expected_optimism(ensemble: Ensemble, tau: ArrayLike, label_noise: float) -> Float[np.ndarray, "*t"]:
    r"""By how much the training error is too good: fresh labels at the training inputs against the labels trained on.

    .. math:: \frac{2 s^2 k}{n}\,\mathrm{Tr}\,\Theta A

    Parameters
    ----------
    ensemble : Ensemble
    tau : array_like
    label_noise : float
        s², the variance of each label about its mean.

    Returns
    -------
    array of the shape of `tau`
        In squared units of y per point, summed over outputs.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(expected_optimism(ensemble, 0.5, label_noise=0.1)), 6)
    0.126424
    """
    scale = 2 * positive(label_noise, "label_noise", zero=True) * ensemble.n_outputs / ensemble.n_train
    return np.asarray(scale * degrees_of_freedom(ensemble, tau))
