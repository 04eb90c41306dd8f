r"""Information that outputs have about the training data, I(Z;D|X), and the exact information about Gaussian labels."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.linalg import lapack

from dualib.core.arrays import positive
from dualib.core.factor import cholesky_factor
from dualib.core.quantity import Relation
from dualib.core.special import EPS, ratio_gap
from dualib.core.typing import ArrayLike, Float, FloatArray, IntArray
from dualib.core.units import Unit
from ntkinfo.ensemble import Ensemble, Points
from ntkinfo.laws import Law, Marginals, Spectrum
from ntkinfo.quantities.log_determinants import covariance_root, log_det_gain
from ntkinfo.quantities.registry import REGISTRY, Bound, Condition, DataSets, Group, with_rounding
from ntkinfo.quantities.spectra import entropy_gap, like

_upper_bound = partial(
    REGISTRY.register,
    unit=Unit.NATS,
    relation=Relation.UPPER_IN_EXPECTATION,
    assumption="on averaging over data sets D",
    group=Group.DATA,
    holds_for=DataSets.MEAN,
)
_exact = partial(
    REGISTRY.register,
    unit=Unit.NATS,
    relation=Relation.EXACT,
    source="derived here",
    group=Group.DATA,
    holds_for=DataSets.LABELS,
)


@_upper_bound(
    "I(z;D|x) per point",
    of="I(z;D|x) of single points, mean over the points",
    source="[shwartzziv2019]_ eq. 14",
    main=True,
)
@with_rounding(lambda law, prior: _of_points(law, prior))
def data_information(law: Law | Marginals, prior: Law | Marginals) -> Float[np.ndarray, "*t"]:
    r"""KL divergence from the initial law of each point's output to its law now, averaged over points, in nats.

    .. math:: \frac k2\left[\frac{\Sigma}{K} - 1 - \log\frac{\Sigma}{K}\right] + \frac{\|\mu - \mu_0\|^2}{2K}

    Parameters
    ----------
    law : Law or Marginals
        The law now.
    prior : Law or Marginals
        The law at initialisation, ``ensemble.law(0, on)``.

    Returns
    -------
    array of the law's leading shape
        The value, with the rounding of the law added; +inf where an output has lost its variance (that of a training point
        is known in logarithms at all finite times).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> prior = ntkinfo.Marginals(np.zeros((2, 1)), np.ones(2))
    >>> round(float(data_information(law, prior)), 6)
    0.51986
    """
    return _of_points(law, prior)[0]


def _of_points(law: Law | Marginals, prior: Law | Marginals) -> Bound:
    """The information in single points, mean over the points, and the rounding in it."""
    _same_points(law, prior)
    k, known, collapse = law.mean.shape[-1], law.rounding, law.collapse
    square = ((law.mean - prior.mean) ** 2).sum(axis=-1)
    same = (law.variance == prior.variance) & (square == 0)

    def information(low: FloatArray, high: FloatArray, least: FloatArray, square: FloatArray) -> FloatArray:
        gap = np.maximum(ratio_gap(low / prior.variance), ratio_gap(high / prior.variance))  # convex: largest at an end
        if collapse is not None:  # in logarithms, for variances too small to be numbers
            log_ratio = 2 * collapse.log_size + np.log(np.maximum(least, 0.0) / prior.variance)
            gap = np.where(log_ratio < -40, -1 - log_ratio, gap)
        value = 0.5 * k * gap + square / (2 * prior.variance)
        return np.asarray(np.where(same, 0.0, np.where(np.isnan(value), np.inf, value)).mean(axis=-1))

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = 4 * EPS * np.maximum(law.variance, prior.variance)
        spread = law.variance if collapse is None else collapse.spread
        plain = information(law.variance, law.variance, spread, square)
        if known is not None:
            error = np.maximum(4 * EPS * law.variance, known.variance)
            square = (np.sqrt(square) + np.sqrt((known.mean**2).sum(axis=-1))) ** 2
        if collapse is not None and collapse.rounding is not None:
            spread = collapse.spread - collapse.rounding.variance
        value = information(np.maximum(law.variance - error, 0.0), law.variance + error, spread, square) * (
            1 + 16 * EPS
        )
        unknown = ((law.variance == 0) & (error > 0)).any(axis=-1) | (value != plain)
        return np.asarray(value), np.where(np.isinf(value), np.where(unknown, np.inf, 0.0), value - plain)


def _same_points(law: Law | Marginals, prior: Law | Marginals) -> None:
    if law.mean.shape[-2:] != prior.mean.shape[-2:]:
        raise ValueError(
            f"law and prior are on different points: means of shape {law.mean.shape} and {prior.mean.shape}"
        )


@_upper_bound(
    "I(z;D|X), joint",
    of="I(z;D|X) of the outputs at the points jointly",
    source="[shwartzziv2019]_ eq. 14, all points jointly",
    only=[Condition.TEST_COVARIANCES],
)
@with_rounding(lambda joint_law, joint_prior: _joint(joint_law, joint_prior))
def data_information_joint(joint_law: Law, joint_prior: Law) -> Float[np.ndarray, "*t"]:
    r"""KL divergence between the laws of all outputs together, in nats; at least the largest of the single points.

    .. math:: \frac k2\left[\mathrm{Tr}\,K^{-1}\Sigma - m - \log\det K^{-1}\Sigma\right]
              + \tfrac12 \mathrm{Tr}\,(\mu-\mu_0)^\top K^{-1}(\mu-\mu_0)

    It stays an upper bound in floating point: of all covariances K and Σ within ±η of those given, where η is the
    rounding of the law (or of a sum of its size), the largest value is at most that with K - η under the trace, Σ ± η
    and K + η in the determinants. Points whose prior covariances agree to rounding count once.

    Parameters
    ----------
    joint_law : Law
        The law now.
    joint_prior : Law
        The law at initialisation, at one time.

    Returns
    -------
    array of the law's leading shape
        0 where the law is the prior; +inf where K or Σ could be singular within its rounding, so that no bound can be
        had (as of many points of a smooth kernel, or on the training set after a long time, for which
        :func:`data_information_train` does not go through the collapsed covariance).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Law(mean=np.array([[1.0], [-0.5]]), covariance=np.array([[0.25, 0.1], [0.1, 0.5]]))
    >>> prior = ntkinfo.Law(np.zeros((2, 1)), np.eye(2))
    >>> round(float(data_information_joint(law, prior)), 6)
    1.081412
    """
    return _joint(joint_law, joint_prior)[0]


def _joint(law: Law, prior: Law) -> Bound:
    """The information in all points together, and the rounding in it."""
    _same_points(law, prior)
    if prior.covariance.ndim != 2:
        raise ValueError(f"the prior is one law, got leading shape {prior.covariance.shape[:-2]}")
    kept = _distinct(prior)
    m, k = kept.size, law.mean.shape[-1]
    covariance = prior.covariance[np.ix_(kept, kept)]
    eta = _rounding_norm(covariance, None)
    low, high, middle = (cholesky_factor(covariance, shift) for shift in (-eta, eta, 0.0))
    inverse, own = (None if factor is None else lapack.dtrtri(factor, lower=1)[0] for factor in (low, middle))
    whole_inverse = None if own is None else own.T @ own
    means = law.mean.reshape(-1, *law.mean.shape[-2:])
    found, rounding = np.full(len(means), np.inf), np.full(len(means), np.inf)
    for t, (mean, whole) in enumerate(zip(means, law.covariance.reshape(-1, *law.covariance.shape[-2:]), strict=True)):
        shift = (mean - prior.mean)[kept]
        if not shift.any() and np.array_equal(whole, prior.covariance):
            found[t] = rounding[t] = 0.0
            continue
        error = None if law.rounding is None else law.rounding.variance.reshape(len(means), -1)[t, kept]
        sigma = whole[np.ix_(kept, kept)]
        if not sigma.any() and not (error is not None and error.any()):  # known to have no variance
            rounding[t] = 0.0
            continue
        width = _rounding_norm(sigma, error)
        factor, plain = cholesky_factor(sigma, -width), cholesky_factor(sigma)
        if inverse is None or factor is None or high is None or plain is None or middle is None:
            continue
        size = float((inverse**2).sum())
        trace = float(((inverse @ sigma) * inverse).sum()) + width * size
        lost = 0.0 if law.rounding is None else float(np.linalg.norm(law.rounding.mean.reshape(means.shape)[t, kept]))
        square = (float(np.linalg.norm(inverse @ shift)) + np.sqrt(size) * lost) ** 2
        found[t] = 0.5 * (k * max(trace - _log_ratio(factor, high) - m, 0.0) + square) * (1 + 1e-14)
        without = k * max(float((whole_inverse * sigma).sum()) - _log_ratio(plain, middle) - m, 0.0)
        rounding[t] = max(found[t] - 0.5 * (without + float((shift * (whole_inverse @ shift)).sum())), 0.0)
    return found.reshape(law.mean.shape[:-2]), rounding.reshape(law.mean.shape[:-2])


def _log_ratio(factor: FloatArray, other: FloatArray) -> float:
    """The logarithm of the ratio of the determinants of two matrices, from their Cholesky factors."""
    return 2 * float(np.log(np.diagonal(factor)).sum() - np.log(np.diagonal(other)).sum())


def _rounding_norm(covariance: FloatArray, variance_error: FloatArray | None) -> float:
    """The largest eigenvalue of a symmetric error whose entries are independent and of the order of the rounding."""
    largest = float(np.diagonal(covariance).max())
    error = 16 * EPS * largest if variance_error is None else max(float(variance_error.max()), 4 * EPS * largest)
    return float(np.sqrt(covariance.shape[0])) * error


def _distinct(prior: Law) -> IntArray:
    """The first of each set of points that the prior does not tell apart, to rounding."""
    covariance, size = prior.covariance, 8 * EPS * float(np.diagonal(prior.covariance).max())
    variance = np.diagonal(covariance)
    twins = np.abs(variance[:, None] + variance - 2 * covariance) <= size
    if twins.sum() == len(variance):  # each with itself
        return np.arange(len(variance))
    kept: list[int] = []
    for x in range(len(variance)):
        near = np.flatnonzero(twins[x, :x])
        if not any(np.abs(covariance[x] - covariance[i]).max() <= size for i in near):
            kept.append(x)
    return np.array(kept, dtype=np.intp)


@_upper_bound(
    "I(z;D|X), training",
    of="I(z;D|X) of the outputs at all training points jointly",
    source="[shwartzziv2019]_ eq. 14 on the training set",
    shows=("train_data_information", Relation.EXACT),
)
@with_rounding(lambda ensemble, tau: _training(ensemble, tau))
def data_information_train(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""The joint version on the training set, in nats: it diverges as k τ Tr Θ.

    .. math:: \frac k2\left[\mathrm{Tr}\,K^{-1} R K R - n - 2 \log\det R\right] + \tfrac12 \mathrm{Tr}\,\mu^\top K^{-1}\mu

    The log-determinant comes from the spectrum, never from the collapsed covariance. The rounding of the sums is added;
    what the condition number of K takes is told by ``ntkinfo.timeline(..., digits=True)``.

    Returns
    -------
    array of the shape of `tau`
        +inf for τ > 0 where K is singular on a direction that is trained, or for a centred ensemble.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(data_information_train(ensemble, 0.5)), 6)
    1.534912
    """
    return _training(ensemble, tau)[0]


def _training(ensemble: Ensemble, tau: ArrayLike) -> Bound:
    """The information in the training outputs, and the rounding in it."""
    spectrum, k = ensemble.spectrum(tau), ensemble.n_outputs
    still = np.abs(spectrum.fitted).max(axis=-1) == 0
    triangle = None if ensemble.centred or still.all() else ensemble.inverse_nngp_triangle()
    if triangle is None:
        value = np.where(still, 0.0, np.inf)
        return like(value, tau), like(np.zeros(value.shape) if ensemble.centred else value, tau)
    size, moving = float(np.diagonal(ensemble.nngp_modes).max()), slice(ensemble.n_still, None)
    fitted, labels = spectrum.fitted[:, moving], ensemble.y_modes[moving]
    by_columns = triangle if triangle.flags.f_contiguous else triangle.T
    inverse = 2 * float(lapack.dlange("F", by_columns))  # the size of K^{-1}
    moved = 2 * sum(_quadratic(fitted * column, triangle) for column in labels.T)
    triangle *= ensemble.nngp_modes[moving, moving]
    weight = np.sqrt(np.maximum(2 * np.diagonal(triangle), 0.0))
    own, among = _training_terms(spectrum, triangle)
    value = 0.5 * k * (own + among) + 0.5 * moved
    # K^{-1} moves by up to ‖δ‖ ‖K^{-1}‖ of itself, in the order of positive matrices: each term of the sum over pairs by as much of
    # √(K_ii K^{-1}_ii K_jj K^{-1}_jj) (f_i - f_j)²/2
    apart = np.maximum(weight.sum() * (fitted**2 @ weight) - (fitted @ weight) ** 2, 0.0)
    sums = 4 * ensemble.n_train * EPS * (k * own + moved) + 16 * EPS * k * (fitted**2).sum(axis=-1) * (weight**2).sum()
    rounding = 4 * EPS * size * inverse * (k * apart + moved)
    rounding += 8 * EPS * np.sqrt(moved) * np.sqrt(inverse) * np.linalg.norm(ensemble.y_train)
    above = np.where(ensemble.null, 0.0, 4 * EPS * float(ensemble.eigenvalues[-1])) + ensemble.eigenvalues
    other = _training_terms(ensemble.with_modes(above, ensemble.y_modes, ensemble.kappa).spectrum(tau), triangle)
    with np.errstate(invalid="ignore"):
        rounding += k * np.nan_to_num(np.abs(own - other[0]) + np.abs(among - other[1]), nan=0.0, posinf=np.inf)
    value, rounding = np.maximum(value, 0.0), np.where(still | np.isinf(value), 0.0, sums + rounding)
    return like(np.where(still, 0.0, value + rounding), tau), like(rounding, tau)


def _training_terms(spectrum: Spectrum, weighted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Σ r_i² - 1 - 2 log r_i, and -½ Σ_ij W_ij (f_i - f_j)² with W = K^{-1} ∘ K, whose rows have the sum 1: with the first one they
    are Tr K^{-1} R K R - n - 2 log det R, and neither cancels. `weighted` is a triangle of which W is the sum with its transpose, on the
    last modes, which move.
    """
    fitted, rows = spectrum.fitted[:, -len(weighted) :], weighted.sum(axis=0) + weighted.sum(axis=1)
    own = (spectrum.fitted**2).sum(axis=-1) + 2 * entropy_gap(spectrum).sum(axis=-1)
    return own, 2 * _quadratic(fitted, weighted) - fitted**2 @ rows


def _quadratic(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ti,ti->t", rows @ matrix, rows))


@_exact(
    "I(z;Y|X,x) per point",
    of="I(z;Y|X,x) of single points and the training labels Y, mean over the points",
    assumption="Y|X ~ N(m, s² I), whatever m",
    only=[Condition.FRESH_POINTS, Condition.CLEAN_OUTPUTS],
)
def gaussian_label_information(
    ensemble: Ensemble, tau: ArrayLike, label_noise: float, law: Marginals | None = None
) -> Float[np.ndarray, "*t"]:
    r"""Information that one test output has about the training labels' noise, averaged over test points, in nats.

    .. math:: I(z;Y|X,x) = \frac k2 \log\left(1 + \frac{s^2 \|A \Theta_x^\top\|^2}{\Sigma_{xx}}\right)

    Parameters
    ----------
    ensemble : Ensemble
    tau : array_like
    label_noise : float
        s², the variance of each label about its mean.
    law : Marginals or None
        The law at `tau` on the test points, where it is known already.

    Returns
    -------
    array of the shape of `tau`
        NaN where the variance of a point is lost in the rounding of the kernels, so that no value can be had. Test
        points that are training points keep theirs, in logarithms; +inf for a centred ensemble.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> one = np.eye(2)
    >>> test = {"ntk_test_train": one, "nngp_test_train": one / 2, "ntk_test": one, "nngp_test": one}
    >>> kernels = ntkinfo.Kernels(2 * one, one, **test)
    >>> ensemble = ntkinfo.Ensemble(kernels, [1.0, -1.0])
    >>> round(float(gaussian_label_information(ensemble, 0.5, label_noise=0.1)), 6)
    0.006332
    """
    s2 = positive(label_noise, "label_noise", zero=True)
    variance = (ensemble.marginals(tau) if law is None else law).variance.reshape(-1, ensemble.n_test)
    gain = sum(_label_gains(part, tau, s2, variance[:, points]).sum(axis=-1) for points, part in ensemble.test_parts)
    return like(0.5 * ensemble.n_outputs * gain / ensemble.n_test, tau)


def _label_gains(ensemble: Ensemble, tau: ArrayLike, s2: float, variance: FloatArray) -> FloatArray:
    """The log(1 + s² ‖A Θ_x‖²/Σ_xx) of each test point, (T, m)."""
    values = ensemble.eigenvalues
    weights = np.where(values > 0, ensemble.test_modes[0] / np.where(values > 0, values, 1.0), 0.0)
    signal = s2 * (ensemble.spectrum(tau).fitted ** 2 @ (weights**2).T)
    with np.errstate(divide="ignore"):
        log_signal, log_variance = np.log(signal), np.log(variance)
    if not ensemble.centred:
        log_variance = np.where(variance > 0, log_variance, np.nan)
        (twins,) = np.nonzero(ensemble.twins >= 0)
        if twins.size:
            log_variance[:, twins] = ensemble.log_train_variance(tau, ensemble.twins[twins])
    with np.errstate(invalid="ignore"):
        return np.where(signal > 0, np.logaddexp(0.0, log_signal - log_variance), 0.0)


@_exact(
    "I(z;Y|X,X), joint",
    of="I(z;Y|X,x) of the outputs at the points jointly and the training labels Y",
    assumption="Y|X ~ N(m, C), whatever m",
)
def gaussian_label_information_joint(
    ensemble: Ensemble, tau: float, label_covariance: ArrayLike, on: Points = "test"
) -> float:
    r"""Information that all outputs together have about the training labels, in nats.

    .. math:: \frac k2 \log\det\left(I + \Sigma^{-1}\,\Theta_x A C A \Theta_x^\top\right)

    On the training set, where Σ = R K R and Θ_x A = I - R, it is log det(I + K^{-1} W C W) with W = R^{-1} - I, which
    does not go through the collapsed covariance and is finite at all finite times.

    Parameters
    ----------
    ensemble : Ensemble
    tau : float
    label_covariance : array_like, shape (n, n)
        C, the covariance of each output's labels.
    on : {"test", "train"}

    Returns
    -------
    float
        +inf where an output has no variance in a direction that the labels move (a centred ensemble, infinite time);
        NaN where K, or Σ at the test points, is singular within its rounding, so that no value can be had.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> one = np.eye(2)
    >>> test = {"ntk_test_train": one, "nngp_test_train": one / 2, "ntk_test": one, "nngp_test": one}
    >>> kernels = ntkinfo.Kernels(2 * one, one, **test)
    >>> ensemble = ntkinfo.Ensemble(kernels, [1.0, -1.0])
    >>> round(float(gaussian_label_information_joint(ensemble, 0.5, 0.1 * np.eye(2))), 6)
    0.012664
    """
    c = covariance_root(label_covariance, ensemble.n_train)
    spectrum, root = ensemble.spectrum(float(tau)), ensemble.eigenvectors.T @ c
    if on == "train":
        return 0.5 * ensemble.n_outputs * _train_label_information(ensemble, spectrum, root)
    signal = (ensemble.test_modes[0] * spectrum.response[0]) @ root
    if not np.any(signal):
        return 0.0
    if ensemble.centred:
        return float("inf")
    law = ensemble.law(tau)
    kept = _distinct(Law(law.mean, ensemble.test_covariances("nngp_test")))
    noise = law.covariance[np.ix_(kept, kept)]
    width = _rounding_norm(noise, None if law.rounding is None else law.rounding.variance[kept])
    if cholesky_factor(noise, -width) is None:
        return float("nan")
    return 0.5 * ensemble.n_outputs * log_det_gain(noise, np.zeros(kept.size), signal[kept])


def _train_label_information(ensemble: Ensemble, spectrum: Spectrum, root: FloatArray) -> float:
    """The log det(I + K^{-1} W C W) of one output, C = root root^T in the eigenbasis of Θ."""
    modes = ensemble.moving
    with np.errstate(divide="ignore"):
        log_fitted = np.log(spectrum.fitted[0, modes])
    root = np.copysign(1.0, spectrum.residual[0, modes])[:, None] * root[modes]
    if ensemble.centred:
        return log_det_gain(None, np.where(np.isneginf(log_fitted), -np.inf, np.inf), root)
    noise = ensemble.nngp_modes[np.ix_(modes, modes)]
    return log_det_gain(noise, log_fitted - spectrum.log_residual[0, modes], root)
