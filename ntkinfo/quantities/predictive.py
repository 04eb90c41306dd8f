r"""Losses of the predictive law, and the information that outputs have about labels, I(Z;Y|D).

Laws come from :meth:`ntkinfo.Ensemble.law` or :meth:`~ntkinfo.Ensemble.marginals`; leading axes are times and are kept.
Labels y have shape (m, k) or (m,). All logarithms are natural: losses in nats are negative log densities.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_expit, logsumexp

from ntkinfo._arrays import FloatArray, as_columns, positive
from ntkinfo._quantity import quantity
from ntkinfo.ensemble import Ensemble
from ntkinfo.laws import Law, Marginals

Fit = Literal["same", "halves"]

_LOG_2PI = float(np.log(2 * np.pi))


def _labels(law: Law | Marginals, y: ArrayLike) -> FloatArray:
    labels = as_columns("y", y, law.mean.shape[-2], f"a law of mean shape {law.mean.shape}")
    if labels.shape[1] != law.mean.shape[-1]:
        raise ValueError(
            f"y has shape {np.shape(y)}, but the law's mean of shape {law.mean.shape} has {law.mean.shape[-1]} outputs"
        )
    return labels


def _square_errors(law: Law | Marginals, y: ArrayLike) -> FloatArray:
    """E‖y - z‖² of each point, shape (..., m)."""
    bias = ((_labels(law, y) - law.mean) ** 2).sum(axis=-1)
    return bias + law.mean.shape[-1] * law.variance


@quantity("exact", "E‖y - z‖² per point", "the law is exact (infinite width)", "[shwartzziv2019]_ eq. 8")
def expected_square_error(law: Law | Marginals, y: ArrayLike) -> FloatArray:
    r"""Squared error of one network of the ensemble, averaged over networks and points, summed over outputs.

    .. math:: \frac1m \sum_i \left(\|y_i - \mu_i\|^2 + k\,\Sigma_{ii}\right)

    Returns an array of the law's leading shape, in squared units of y.
    """
    return _square_errors(law, y).mean(axis=-1)


@quantity("exact", "‖y - E z‖² per point", "the law is exact (infinite width)", "[shwartzziv2019]_ eq. 8")
def ensemble_square_error(law: Law | Marginals, y: ArrayLike) -> FloatArray:
    """Squared error of the ensemble's mean, averaged over points, summed over outputs, in squared units of y."""
    return ((_labels(law, y) - law.mean) ** 2).sum(axis=-1).mean(axis=-1)


@quantity(
    "exact",
    "-E log N(y; z, noise) per point",
    "Gaussian observation noise",
    "[shwartzziv2019]_ eq. 10, signs corrected",
)
def gibbs_nll(law: Law | Marginals, y: ArrayLike, noise: float = 1.0) -> FloatArray:
    r"""Negative log likelihood of one network, averaged over networks and points, in nats.

    .. math:: \frac{1}{2 s^2}\left(\|y - \mu\|^2 + k \Sigma_{xx}\right) + \frac k2 \log 2\pi s^2
    """
    k = law.mean.shape[-1]
    return expected_square_error(law, y) / (2 * positive("noise", noise)) + 0.5 * k * (_LOG_2PI + np.log(noise))


@quantity("exact", "-log N(y; μ, noise + Σ_xx) per point", "Gaussian observation noise", "[shwartzziv2019]_ eq. 9")
def bayes_nll(law: Law | Marginals, y: ArrayLike, noise: float = 1.0) -> FloatArray:
    r"""Negative log likelihood of the ensemble's mixture, averaged over points, in nats; at most :func:`gibbs_nll`
    (Jensen).

    .. math:: \frac{\|y - \mu\|^2}{2 (s^2 + \Sigma_{xx})} + \frac k2 \log 2\pi (s^2 + \Sigma_{xx})
    """
    total = positive("noise", noise) + law.variance
    bias = ((_labels(law, y) - law.mean) ** 2).sum(axis=-1)
    return (bias / (2 * total) + 0.5 * law.mean.shape[-1] * (_LOG_2PI + np.log(total))).mean(axis=-1)


@quantity(
    "exact",
    "-(1/m) log N(Y; μ, noise + Σ)",
    "Gaussian observation noise",
    "[shwartzziv2019]_ eq. 9, all points jointly",
)
def bayes_nll_joint(law: Law, y: ArrayLike, noise: float = 1.0) -> FloatArray:
    """Negative log likelihood of all labels together under the ensemble's mixture, divided by the number of points, in
    nats.
    """
    labels = _labels(law, y)
    m, k = labels.shape
    factor = np.linalg.cholesky(law.covariance + positive("noise", noise) * np.eye(m))
    white = np.linalg.solve(factor, labels - law.mean)
    log_det = 2 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return (0.5 * (white**2).sum(axis=(-2, -1)) + 0.5 * k * (log_det + m * _LOG_2PI)) / m


@quantity("exact", "degrees of freedom Tr ΘA", "none", "derived here")
def degrees_of_freedom(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    """Effective degrees of freedom of one output, Tr ΘA (for gradient flow Tr(I - e^{-τΘ})): between 0 and the rank of
    Θ.
    """
    return ensemble.spectrum(tau).fitted.sum(axis=-1).reshape(np.shape(tau))


@quantity(
    "exact",
    "E[error on fresh labels - training error] per point",
    "fixed inputs, label noise of that variance",
    "derived here",
)
def expected_optimism(ensemble: Ensemble, tau: ArrayLike, label_noise: float) -> FloatArray:
    r"""By how much the training error is too good: fresh labels at the training inputs against the labels trained on.

    .. math:: \frac{2 s^2 k}{n}\,\mathrm{Tr}\,\Theta A

    Returns an array of the shape of `tau`, in squared units of y per point, summed over outputs; s² is `label_noise`.
    """
    scale = 2 * positive("label_noise", label_noise, zero=True) * ensemble.n_outputs / ensemble.n_train
    return scale * degrees_of_freedom(ensemble, tau)


def gaussian_plug_in_entropy(y: ArrayLike) -> float:
    """Entropy of the Gaussian with the sample covariance of y, in nats: H(Y) itself where Y is Gaussian, too large
    elsewhere.
    """
    from dualib.gaussian import gaussian_entropy

    labels = np.asarray(y, dtype=np.float64).reshape(len(np.asarray(y)), -1)
    return float(gaussian_entropy(np.atleast_2d(np.cov(labels, rowvar=False, bias=True))))


def class_entropy(y: ArrayLike) -> float:
    """Entropy of the empirical distribution of discrete labels (rows of y), in nats."""
    labels = np.asarray(y).reshape(len(np.asarray(y)), -1)
    counts = np.unique(labels, axis=0, return_counts=True)[1]
    return float(-(counts / counts.sum() * np.log(counts / counts.sum())).sum())


# --- lower bounds on I(Z;Y|D):  I >= H(Y) + E log q(y|z)  for every normalised decoder q ---


@quantity(
    "lower bound",
    "I(Z;Y|D)",
    "entropy_y is H(Y); exact only for the decoder N(z, 1)",
    "[shwartzziv2019]_ eq. 11, sign corrected",
)
def label_information_unit_noise(law: Law | Marginals, y: ArrayLike, entropy_y: float) -> FloatArray:
    r"""Lower bound with the decoder N(z, I), in nats.

    .. math:: I(Z;Y|D) \ge H(Y) - \tfrac12 \mathrm{mse} - \tfrac k2 \log 2\pi, \qquad \mathrm{mse} = E\|y - z\|^2
    """
    return entropy_y - gibbs_nll(law, y)


@quantity(
    "lower bound", "I(Z;Y|D)", "entropy_y is H(Y); fit='same' is optimistic by the fit of one parameter", "derived here"
)
def label_information_best_noise(
    law: Law | Marginals, y: ArrayLike, entropy_y: float, fit: Fit = "halves"
) -> FloatArray:
    r"""Lower bound with the best decoder N(z, s² I), in nats.

    .. math:: I(Z;Y|D) \ge H(Y) - \tfrac k2 \log\left(2\pi e\,\mathrm{mse}/k\right)

    Parameters
    ----------
    fit : "halves" finds s² on the even points and evaluates on the odd ones; "same" uses all points for both.
    """
    errors, k = _square_errors(law, y), law.mean.shape[-1]
    train, test = _fit_and_evaluation(errors.shape[-1], fit)
    return entropy_y - k * _cross_entropy(errors[..., train].mean(axis=-1) / k, errors[..., test].mean(axis=-1) / k)


@quantity(
    "lower bound",
    "I(Z;Y|D)",
    "entropy_y is H(Y); exact iff (y, z) is jointly Gaussian; fit='same' is optimistic",
    "derived here",
)
def label_information_affine(law: Law | Marginals, y: ArrayLike, entropy_y: float, fit: Fit = "halves") -> FloatArray:
    r"""Lower bound with the best affine Gaussian decoder, in nats.

    .. math:: I(Z;Y|D) \ge H(Y) - \tfrac12 \log\det\left[2\pi e\,(C_{yy} - C_{yz} C_{zz}^{-1} C_{zy})\right],
              \qquad C_{zz} = E[v] I + \mathrm{Cov}(\mu)

    Parameters
    ----------
    fit : "halves" fits the decoder on the even points and evaluates on the odd ones; "same" uses all points for both.
    """
    labels = _labels(law, y)
    train, test = _fit_and_evaluation(labels.shape[0], fit)
    mean, y_fit = law.mean[..., train, :], labels[train]
    centre_z, centre_y = mean.mean(axis=-2, keepdims=True), y_fit.mean(axis=0)
    dz, dy, k = mean - centre_z, y_fit - centre_y, labels.shape[1]
    c_zz = np.swapaxes(dz, -1, -2) @ dz / len(y_fit) + law.variance[..., train].mean(axis=-1)[..., None, None] * np.eye(
        k
    )
    c_zy = np.swapaxes(dz, -1, -2) @ dy / len(y_fit)
    slope = np.linalg.pinv(c_zz, rcond=1e-13, hermitian=True) @ c_zy
    noise = dy.T @ dy / len(y_fit) - np.swapaxes(c_zy, -1, -2) @ slope
    error = labels[test] - centre_y - (law.mean[..., test, :] - centre_z) @ slope
    spread = law.variance[..., test].mean(axis=-1)[..., None, None] * (np.swapaxes(slope, -1, -2) @ slope)
    residual = np.swapaxes(error, -1, -2) @ error / error.shape[-2] + spread
    return entropy_y - _gaussian_cross_entropy(noise, residual)


def _gaussian_cross_entropy(noise: FloatArray, second_moment: FloatArray) -> FloatArray:
    """E[-log N(e; 0, noise)] of errors e with that second moment, both (..., k, k)."""
    values, vectors = np.linalg.eigh(0.5 * (noise + np.swapaxes(noise, -1, -2)))
    along = (vectors * (second_moment @ vectors)).sum(axis=-2)
    return _cross_entropy(np.maximum(values, 0.0), along).sum(axis=-1)


def _cross_entropy(noise: FloatArray, square: FloatArray) -> FloatArray:
    """½ log(2π noise) + square/(2 noise); without noise, -inf for a perfect fit and +inf otherwise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 0.5 * (_LOG_2PI + np.log(noise)) + square / (2 * noise)
    return np.where(noise > 0, value, np.where(square > 0, np.inf, -np.inf))


@quantity(
    "lower bound", "I(Z;Y|D)", "labels ±1, or one-hot rows; the decoder is normalised over the labels", "derived here"
)
def label_information_discrete(
    law: Law | Marginals, y: ArrayLike, noise: float = 1.0, entropy_y: float | None = None
) -> FloatArray:
    r"""Lower bound for discrete labels, in nats; at most H(Y).

    One output, labels ±1: decoder q(y|z) = σ(2yz/s²), the average over z by quadrature (to 1e-9). k outputs, one-hot
    labels: decoder softmax(z/s²), with the average of log Σ exp bounded by Jensen's inequality, so that it stays a
    lower bound.

    Parameters
    ----------
    noise : s² of the decoder. A density N(z, s²) in place of q would be no bound for discrete labels.
    entropy_y : H(Y); by default that of the labels given.

    Raises
    ------
    ValueError: labels other than ±1 (one output) or one-hot rows (more).
    """
    labels, s2 = _labels(law, y), positive("noise", noise)
    entropy = class_entropy(labels) if entropy_y is None else entropy_y
    if labels.shape[1] == 1:
        if not np.isin(labels, (-1.0, 1.0)).all():
            raise ValueError("one output: labels must be -1 or +1 for the discrete bound")
        margin = 2 / s2 * labels[:, 0] * law.mean[..., 0]
        return entropy - _expected_softplus(-margin, 2 / s2 * np.sqrt(law.variance)).mean(axis=-1)
    if not (np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("several outputs: labels must be one-hot rows for the discrete bound")
    logits = law.mean / s2 + (law.variance / (2 * s2**2))[..., None]
    chosen = (labels * law.mean).sum(axis=-1) / s2
    return entropy + (chosen - logsumexp(logits, axis=-1)).mean(axis=-1)


_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(48)


def _expected_softplus(mean: FloatArray, scale: FloatArray) -> FloatArray:
    """E log(1 + e^x) for x ~ N(mean, scale²).

    Narrow laws: Gauss-Hermite. Wide ones: log(1 + e^x) = max(x, 0) + log(1 + e^{-|x|}); the first part in closed form,
    the second, which is negligible beyond |x| = 38, by Gauss-Legendre on each half-line.
    """
    from scipy.special import ndtr

    narrow = -(
        log_expit(-(mean[..., None] + np.minimum(scale, 1.5)[..., None] * _HERMITE)) @ _HERMITE_WEIGHTS
    ) / np.sqrt(2 * np.pi)
    wide_scale = np.maximum(scale, 1.5)
    t = mean / wide_scale
    ramp = mean * ndtr(t) + wide_scale * np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi)
    x = np.concatenate([a + (b - a) * (_LEGENDRE + 1) / 2 for a, b in ((0.0, 6.0), (6.0, 38.0))])
    weights = np.concatenate([_LEGENDRE_WEIGHTS * (b - a) / 2 for a, b in ((0.0, 6.0), (6.0, 38.0))]) * np.log1p(
        np.exp(-x)
    )
    bump = np.zeros(np.shape(mean))
    for sign in (-1.0, 1.0):
        z = (sign * x - mean[..., None]) / wide_scale[..., None]
        bump += np.exp(-0.5 * z**2) @ weights / (wide_scale * np.sqrt(2 * np.pi))
    return np.where(scale <= 1.5, narrow, ramp + bump)


def _fit_and_evaluation(n_points: int, fit: Fit) -> tuple[slice, slice]:
    if fit == "same":
        return slice(None), slice(None)
    if fit != "halves":
        raise ValueError(f'fit must be "same" or "halves", got {fit!r}')
    if n_points < 4:
        raise ValueError(f"fit='halves' needs at least 4 points, got {n_points}")
    return slice(0, None, 2), slice(1, None, 2)
