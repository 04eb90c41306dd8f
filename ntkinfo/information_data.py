r"""Information that outputs have about the training data, I(Z;D|X), and the exact information about Gaussian labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cholesky, lapack

from ntkinfo._arrays import FloatArray, as_shape, as_symmetric, check_positive_semidefinite, positive
from ntkinfo._quantity import quantity
from ntkinfo.ensemble import Ensemble, Points
from ntkinfo.laws import Law, Marginals


@quantity("upper bound", "I(z;D|x) per point", "on averaging over data sets D", "[shwartzziv2019]_ eq. 14")
def data_information(law: Law | Marginals, prior: Law | Marginals) -> FloatArray:
    r"""KL divergence from the initial law of each point's output to its law now, averaged over points, in nats.

    .. math:: \frac k2\left[\frac{\Sigma}{K} - 1 - \log\frac{\Sigma}{K}\right] + \frac{\|\mu - \mu_0\|^2}{2K}

    Parameters
    ----------
    law : the law now.
    prior : the law at initialisation, ``ensemble.law(0, on)``.

    Returns
    -------
    array of the law's leading shape; +inf where an output has lost its variance.
    """
    _same_points(law, prior)
    k = law.mean.shape[-1]
    square = ((law.mean - prior.mean) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = law.variance / prior.variance
        value = 0.5 * k * _kl_gap(ratio) + square / (2 * prior.variance)
    same = (law.variance == 0) & (prior.variance == 0) & (square == 0)
    return np.where(same, 0.0, np.where(np.isnan(value), np.inf, value)).mean(axis=-1)


def _kl_gap(ratio: FloatArray) -> FloatArray:
    """ratio - 1 - log ratio, accurate near 1."""
    x = ratio - 1
    series = x**2 * (1 / 2 - x * (1 / 3 - x * (1 / 4 - x * (1 / 5 - x * (1 / 6 - x / 7)))))
    return np.where(np.abs(x) < 1e-3, series, x - np.log(ratio))


def _same_points(law: Law | Marginals, prior: Law | Marginals) -> None:
    if law.mean.shape[-2:] != prior.mean.shape[-2:]:
        raise ValueError(
            f"law and prior are on different points: means of shape {law.mean.shape} and {prior.mean.shape}"
        )


@quantity(
    "upper bound",
    "I(z;D|X) of all points jointly",
    "on averaging over data sets D",
    "[shwartzziv2019]_ eq. 14, all points jointly",
)
def data_information_joint(law: Law, prior: Law) -> FloatArray:
    r"""KL divergence between the laws of all outputs together, in nats; at least the largest of the single points.

    .. math:: \frac k2\left[\mathrm{Tr}\,K^{-1}\Sigma - m - \log\det K^{-1}\Sigma\right]
              + \tfrac12 \mathrm{Tr}\,(\mu-\mu_0)^\top K^{-1}(\mu-\mu_0)

    Returns
    -------
    array of the law's leading shape; +inf where the joint law is degenerate (as on the training set after a long time,
    for which :func:`data_information_train` does not go through the collapsed covariance).
    """
    _same_points(law, prior)
    m, k = law.mean.shape[-2:]
    if prior.covariance.ndim != 2:
        raise ValueError(f"the prior is one law, got leading shape {prior.covariance.shape[:-2]}")
    try:
        factor = cholesky(prior.covariance, lower=True)
    except LinAlgError:
        return np.full(law.mean.shape[:-2], np.inf)
    inverse = lapack.dtrtri(factor, lower=1)[0]
    shift = ((inverse @ (law.mean - prior.mean)) ** 2).sum(axis=(-2, -1))
    values = np.linalg.eigvalsh(inverse @ law.covariance @ inverse.T)
    values = np.where(values > 4 * m * np.finfo(float).eps * np.maximum(values[..., -1:], 1.0), values, 0.0)
    with np.errstate(divide="ignore"):
        return 0.5 * (k * _kl_gap(values).sum(axis=-1) + shift)


@quantity(
    "upper bound",
    "I(z;D|X) on the training set, jointly",
    "on averaging over data sets D",
    "[shwartzziv2019]_ eq. 14 on the training set",
)
def data_information_train(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""The joint version on the training set, in nats: it diverges as k τ Tr Θ.

    .. math:: \frac k2\left[\mathrm{Tr}\,K^{-1} R K R - n - 2 \log\det R\right] + \tfrac12 \mathrm{Tr}\,\mu^\top K^{-1}\mu

    The log-determinant comes from the spectrum, never from the collapsed covariance. Precision falls with the condition
    number of K.

    Returns
    -------
    array of the shape of `tau`; +inf for τ > 0 where K is singular on a direction that is trained, or for a centred
    ensemble.
    """
    spectrum, k = ensemble.spectrum(tau), ensemble.n_outputs
    still = np.abs(spectrum.fitted).max(axis=-1) == 0
    triangle = None if ensemble.centred else ensemble.inverse_nngp_triangle()
    if triangle is None:
        return np.where(still, 0.0, np.inf).reshape(np.shape(tau))
    fitted = spectrum.fitted
    moved = 2 * sum(_quadratic(fitted * column, triangle) for column in ensemble.y_modes.T)
    triangle *= ensemble.nngp_modes
    trace = 2 * _quadratic(fitted, triangle) - 2 * fitted.sum(axis=-1)
    value = 0.5 * k * (trace - 2 * spectrum.log_residual.sum(axis=-1)) + 0.5 * moved
    return np.where(still, 0.0, np.maximum(value, 0.0)).reshape(np.shape(tau))


def _quadratic(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.einsum("ti,ti->t", rows @ matrix, rows)


@quantity("exact", "I(z;Y|X,x) per point", "Y|X ~ N(m, s² I), whatever m", "derived here")
def gaussian_label_information(ensemble: Ensemble, tau: ArrayLike, label_noise: float) -> FloatArray:
    r"""Information that one test output has about the training labels' noise, averaged over test points, in nats.

    .. math:: I(z;Y|X,x) = \frac k2 \log\left(1 + \frac{s^2 \|A \Theta_x^\top\|^2}{\Sigma_{xx}}\right)

    Parameters
    ----------
    label_noise : s², the variance of each label about its mean.
    """
    positive("label_noise", label_noise, zero=True)
    value = _gaussian_label_information(ensemble, tau, label_noise, ensemble.marginals(tau).variance)
    return value.reshape(np.shape(tau))


def _gaussian_label_information(ensemble: Ensemble, taus: ArrayLike, s2: float, variance: FloatArray) -> FloatArray:
    weight = ensemble.spectrum(taus).response ** 2 @ (ensemble.test_modes[0] ** 2).T
    signal = s2 * weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(signal > 0, 0.5 * ensemble.n_outputs * np.log1p(signal / variance), 0.0).mean(axis=-1)


@quantity("exact", "I(z;Y|X,x) of all points jointly", "Y|X ~ N(m, C), whatever m", "derived here")
def gaussian_label_information_joint(
    ensemble: Ensemble, tau: float, label_covariance: ArrayLike, on: Points = "test"
) -> float:
    r"""Information that all outputs together have about the training labels, in nats.

    .. math:: \frac k2 \log\det\left(I + \Sigma^{-1}\,\Theta_x A C A \Theta_x^\top\right)

    On the training set Σ = R K R and Θ_x A = I - R.

    Parameters
    ----------
    label_covariance : C, shape (n, n): the covariance of each output's labels.

    Returns
    -------
    float; +inf where Σ is singular in a direction that the labels move.
    """
    n = ensemble.n_train
    c = as_symmetric("label_covariance", as_shape("label_covariance", label_covariance, (n, n), f"{n} training points"))
    check_positive_semidefinite("label_covariance", c)
    law, spectrum, v = ensemble.law(tau, on), ensemble.spectrum(tau), ensemble.eigenvectors
    if on == "train":
        weights = (v * spectrum.fitted[0]) @ v.T
    else:
        weights = (ensemble.test_modes[0] * spectrum.response[0]) @ v.T
    signal = weights @ c @ weights.T
    if not np.any(signal):
        return 0.0
    try:
        factor = cholesky(law.covariance, lower=True)
    except LinAlgError:
        return float("inf")
    inverse = lapack.dtrtri(factor, lower=1)[0]
    gains = np.linalg.eigvalsh(inverse @ signal @ inverse.T)
    return float(0.5 * ensemble.n_outputs * np.log1p(np.maximum(gains, 0.0)).sum())
