r"""The information that outputs have about labels, I(Z;Y|D): lower bounds by decoders.

For every normalised decoder q, I(Z;Y|D) >= H(Y) + E log q(y|z). Labels y have shape (m, k) or (m,); values are in nats.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from scipy.special import log_expit, logsumexp, ndtr

from dualib.core.arrays import positive
from dualib.core.quantity import Relation
from dualib.core.special import EPS, entropy_nats
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Unit
from ntkinfo.labels import labels_of
from ntkinfo.laws import Law, Marginals
from ntkinfo.quantities.predictive import LOG_2PI, gibbs_nll, label_errors
from ntkinfo.quantities.registry import REGISTRY, Condition, DataSets, Group, with_loss

Fit = Literal["same", "halves"]

_lower_bound = partial(
    REGISTRY.register,
    unit=Unit.NATS,
    relation=Relation.LOWER,
    of="I(Z;Y|D) of the population of (x, y), in expectation over the points",
    group=Group.LABELS,
    holds_for=DataSets.ONE,
)
_PROVIDED = (Condition.KNOWN_ENTROPY, Condition.FRESH_POINTS)
_LOSS = 32 * EPS  # of H(Y) and of the cross entropy that it is lessened by, averages over z by quadrature among them


def _of_difference(value: FloatArray, entropy_y: float) -> FloatArray:
    """The error of H(Y) less a cross entropy, which may nearly cancel."""
    loss = _LOSS * (abs(entropy_y) + np.abs(entropy_y - value))
    return np.where(np.isfinite(value), loss, 0.0)


def gaussian_plug_in_entropy(y: ArrayLike) -> float:
    """Entropy of the Gaussian with the sample covariance of y, in nats.

    It is H(Y) itself where Y is Gaussian, and too large elsewhere.

    Examples
    --------
    >>> round(float(gaussian_plug_in_entropy([1.0, -1.0])), 6)  # ½ log 2πe: the sample variance is 1
    1.418939
    """
    from dualib.gaussian import gaussian_entropy

    labels = np.asarray(y, dtype=np.float64).reshape(len(np.asarray(y)), -1)
    return float(gaussian_entropy(np.atleast_2d(np.cov(labels, rowvar=False, bias=True))))


def class_entropy(y: ArrayLike) -> float:
    """Entropy of the empirical distribution of discrete labels (rows of y), in nats.

    Examples
    --------
    >>> round(float(class_entropy([0, 0, 1, 1])), 6)  # log 2
    0.693147
    """
    labels = np.asarray(y).reshape(len(np.asarray(y)), -1)
    counts = np.unique(labels, axis=0, return_counts=True)[1]
    return float(entropy_nats(counts / counts.sum()))


@_lower_bound(
    "decoder N(z, 1)",
    assumption="entropy_y is H(Y); exact only for the decoder N(z, 1)",
    source="[shwartzziv2019]_ eq. 11, sign corrected",
    only=[Condition.REAL_LABELS],
    provided=_PROVIDED,
)
@with_loss(_of_difference)
def label_information_unit_noise(law: Law | Marginals, y: ArrayLike, entropy_y: float) -> Float[np.ndarray, "*t"]:
    r"""Lower bound with the decoder N(z, I), in nats.

    .. math:: I(Z;Y|D) \ge H(Y) - \tfrac12 \mathrm{mse} - \tfrac k2 \log 2\pi, \qquad \mathrm{mse} = E\|y - z\|^2

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(label_information_unit_noise(law, [1.0, -1.0], entropy_y=2.0)), 6)
    0.831061
    """
    return _entropy_less(entropy_y, gibbs_nll(law, y))


@_lower_bound(
    "decoder N(z, s²)",
    assumption="entropy_y is H(Y); fit='same' is optimistic by the fit of one parameter",
    source="derived here",
    only=[Condition.REAL_LABELS, Condition.HALVES],
    provided=_PROVIDED,
)
@with_loss(_of_difference)
def label_information_best_noise(
    law: Law | Marginals, y: ArrayLike, entropy_y: float, fit: Fit = "halves"
) -> Float[np.ndarray, "*t"]:
    r"""Lower bound with the best decoder N(z, s² I), in nats.

    .. math:: I(Z;Y|D) \ge H(Y) - \tfrac k2 \log\left(2\pi e\,\mathrm{mse}/k\right)

    Parameters
    ----------
    law : Law or Marginals
    y : array_like, shape (m, k)
    entropy_y : float
        H(Y) in nats.
    fit : {"halves", "same"}
        "halves" finds s² on the even points and evaluates on the odd ones; "same" uses all points for both.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(np.array([[1.0], [-1.0], [0.9], [-0.9]]), np.full(4, 0.1))
    >>> y = [1.1, -1.0, 1.0, -0.9]
    >>> round(float(label_information_best_noise(law, y, entropy_y=1.4)), 6)
    1.130153
    """
    (errors, variance, log_size), k = label_errors(law, y), law.mean.shape[-1]
    squares = (errors**2).sum(axis=-1) + k * variance
    train, test = _fit_and_evaluation(squares.shape[-1], fit)
    value = _cross_entropy(squares[..., train].mean(axis=-1) / k, squares[..., test].mean(axis=-1) / k)
    return _entropy_less(entropy_y, k * (value + log_size))


@_lower_bound(
    "affine decoder",
    assumption="entropy_y is H(Y); exact iff (y, z) is jointly Gaussian; fit='same' is optimistic",
    source="derived here",
    only=[Condition.REAL_LABELS, Condition.HALVES],
    provided=_PROVIDED,
    main=True,
)
@with_loss(_of_difference)
def label_information_affine(
    law: Law | Marginals, y: ArrayLike, entropy_y: float, fit: Fit = "halves"
) -> Float[np.ndarray, "*t"]:
    r"""Lower bound with the best affine Gaussian decoder, in nats.

    .. math:: I(Z;Y|D) \ge H(Y) - \tfrac12 \log\det\left[2\pi e\,(C_{yy} - C_{yz} C_{zz}^{-1} C_{zy})\right],
              \qquad C_{zz} = E[v] I + \mathrm{Cov}(\mu)

    Parameters
    ----------
    law : Law or Marginals
    y : array_like, shape (m, k)
    entropy_y : float
        H(Y) in nats.
    fit : {"halves", "same"}
        "halves" fits the decoder on the even points and evaluates on the odd ones; "same" uses all points for both.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(np.array([[1.0], [-1.0], [0.9], [-0.9]]), np.full(4, 0.1))
    >>> y = [1.1, -1.0, 1.0, -0.9]
    >>> round(float(label_information_affine(law, y, entropy_y=1.4, fit="same")), 6)
    1.133568
    """
    errors, variance, log_size = label_errors(law, y)
    known = np.isfinite(errors).all(axis=(-2, -1)) & np.isfinite(variance).all(
        axis=-1
    )  # as what moves without bound is not
    errors, variance = np.where(known[..., None, None], errors, 0.0), np.where(known[..., None], variance, 0.0)
    unit, (m, k) = np.exp(log_size)[..., None, None], errors.shape[-2:]
    train, test = _fit_and_evaluation(m, fit)
    from_mean = errors - errors[..., train, :].mean(axis=-2, keepdims=True)
    means = np.where(known[..., None, None], law.mean, 0.0)
    z = means - means[..., train, :].mean(axis=-2, keepdims=True)
    # the slope is I - unit·G, and the error y - a - z·slope is unit·(from_mean + z G), which loses no digits near y = z
    spread = [np.sqrt(variance[..., half].mean(axis=-1))[..., None, None] * np.eye(k) for half in (train, test)]
    points = [len(range(m)[half]) for half in (train, test)]
    rows = np.concatenate([z[..., train, :] / np.sqrt(points[0]), unit * spread[0]], axis=-2)
    wanted = np.concatenate([-from_mean[..., train, :] / np.sqrt(points[0]), spread[0]], axis=-2)
    gap = np.linalg.pinv(rows, rcond=_RANK) @ wanted
    slope = np.eye(k) - unit * gap
    noise, error = (
        np.concatenate([(from_mean + z @ gap)[..., half, :] / np.sqrt(n), wide @ slope], axis=-2)
        for half, n, wide in zip((train, test), points, spread, strict=True)
    )
    known &= np.isfinite(noise).all(axis=(-2, -1))
    value = _gaussian_cross_entropy(np.where(known[..., None, None], noise, 0.0), error) + k * log_size
    return _entropy_less(entropy_y, np.where(known, value, np.nan))


def _entropy_less(entropy: float, cross_entropy: FloatArray) -> FloatArray:
    """The difference, less the rounding of both: it may be far smaller than they are."""
    rounding = 4 * EPS * (abs(entropy) + np.abs(cross_entropy))
    return np.asarray(entropy - cross_entropy - np.where(np.isfinite(rounding), rounding, 0.0))


_RANK = 1e-14  # relative size of the singular values that the root of a covariance of outputs does not have


def _gaussian_cross_entropy(noise: FloatArray, error: FloatArray) -> FloatArray:
    """E[-log N(e; 0, noise^T noise)] of errors e with second moment error^T error; roots, whose ratios are the square root."""
    _, values, axes = np.linalg.svd(noise, full_matrices=False)
    along = ((error @ np.swapaxes(axes, -1, -2)) ** 2).sum(axis=-2)
    return np.asarray(_cross_entropy(values**2, along).sum(axis=-1))


def _cross_entropy(noise: FloatArray, square: FloatArray) -> FloatArray:
    """½ log(2π noise) + square/(2 noise); without noise, -inf for a perfect fit and +inf otherwise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 0.5 * (LOG_2PI + np.log(noise)) + square / (2 * noise)
    return np.where(noise > 0, value, np.where(square > 0, np.inf, -np.inf))


@_lower_bound(
    "decoder over the classes",
    assumption="labels ±1, or one-hot rows; the decoder is normalised over the labels",
    source="derived here",
    only=[Condition.CLASS_LABELS],
    provided=[Condition.FRESH_POINTS],
    main=True,
)
@with_loss(_of_difference)
def label_information_discrete(
    law: Law | Marginals, y: ArrayLike, noise: float = 1.0, entropy_y: float | None = None
) -> Float[np.ndarray, "*t"]:
    r"""Lower bound for discrete labels, in nats; at most H(Y).

    One output, labels ±1: decoder q(y|z) = σ(2yz/s²), the average over z by quadrature (to 1e-13). k outputs, one-hot
    labels: decoder softmax(z/s²), with the average of log Σ exp bounded by Jensen's inequality, so that it stays a
    lower bound.

    Parameters
    ----------
    law : Law or Marginals
    y : array_like, shape (m, k)
    noise : float
        s² of the decoder. A density N(z, s²) in place of q would be no bound for discrete labels.
    entropy_y : float or None
        H(Y) in nats; by default that of the labels given.

    Raises
    ------
    ValueError
        If labels are other than ±1 (one output) or one-hot rows (more).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(label_information_discrete(law, [1.0, -1.0])), 6)  # at most log 2
    0.355878
    """
    labels, s2 = labels_of(law, y), positive(noise, "noise")
    entropy = class_entropy(labels) if entropy_y is None else entropy_y
    if labels.shape[1] == 1:
        if not np.isin(labels, (-1.0, 1.0)).all():
            raise ValueError("one output: labels must be -1 or +1 for the discrete bound")
        margin = 2 / s2 * labels[:, 0] * law.mean[..., 0]
        return _entropy_less(entropy, _expected_softplus(-margin, 2 / s2 * np.sqrt(law.variance)).mean(axis=-1))
    if not (np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("several outputs: labels must be one-hot rows for the discrete bound")
    logits = law.mean / s2 + (law.variance / (2 * s2**2))[..., None]
    chosen = (labels * law.mean).sum(axis=-1) / s2
    return _entropy_less(entropy, (logsumexp(logits, axis=-1) - chosen).mean(axis=-1))


_NARROW = 1.1  # standard deviations up to which 48 nodes over the whole density resolve log(1 + e^x) to its last digit
_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(48)


def _expected_softplus(mean: FloatArray, scale: FloatArray) -> FloatArray:
    """E log(1 + e^x) for x ~ N(mean, scale²).

    Narrow laws: Gauss-Hermite. Wide ones: log(1 + e^x) = max(x, 0) + log(1 + e^{-|x|}); the first part in closed form,
    the second, which is negligible beyond |x| = 38, by Gauss-Legendre on each half-line.
    """
    narrow = -(
        log_expit(-(mean[..., None] + np.minimum(scale, _NARROW)[..., None] * _HERMITE)) @ _HERMITE_WEIGHTS
    ) / np.sqrt(2 * np.pi)
    wide_scale = np.maximum(scale, _NARROW)
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
    return np.asarray(np.where(scale <= _NARROW, narrow, ramp + bump))


def _fit_and_evaluation(n_points: int, fit: Fit) -> tuple[slice, slice]:
    if fit == "same":
        return slice(None), slice(None)
    if fit != "halves":
        raise ValueError(f'fit must be "same" or "halves", got {fit!r}')
    if n_points < 4:
        raise ValueError(f"fit='halves' needs at least 4 points, got {n_points}")
    return slice(0, None, 2), slice(1, None, 2)
