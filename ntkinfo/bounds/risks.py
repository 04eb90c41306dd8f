"""Gibbs risks in [0, 1] of an ensemble's networks, exact under their Gaussian law: what bounds for such losses are fed with."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from dualib.core.arrays import positive
from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo._quantity import quantity
from ntkinfo.labels import labels_of
from ntkinfo.laws import Law, Marginals

_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


@quantity("exact", "P(sign z ≠ y), or P(argmax z ≠ class)", "labels ±1, or one-hot rows", "derived here")
def zero_one_risk(law: Law | Marginals, y: ArrayLike) -> FloatArray:
    r"""Expected 0-1 error of one network, averaged over points; for several outputs by quadrature over the true class's
    output.

    Parameters
    ----------
    law : Law or Marginals
        Of the outputs, on the points of y.
    y : array
        Labels ±1 for one output, one-hot rows for more.

    Returns
    -------
    array
        Of the law's leading shape, in [0, 1]; a tie counts as half an error.

    Raises
    ------
    ValueError
        If the labels are others.
    """
    labels = labels_of(law, y)
    sigma = np.sqrt(law.variance)
    if labels.shape[1] == 1:
        if not np.isin(labels, (-1.0, 1.0)).all():
            raise ValueError("the 0-1 risk of one output needs labels -1 or +1")
        wrong: FloatArray = ndtr(-_standardised(labels[:, 0] * law.mean[..., 0], sigma)).mean(axis=-1)
        return wrong
    if not (np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("the 0-1 risk of several outputs needs one-hot labels")
    true = labels.argmax(axis=1)
    margins = (
        np.take_along_axis(law.mean, np.broadcast_to(true[:, None], (*law.mean.shape[:-1], 1)), axis=-1) - law.mean
    )
    others = np.ones_like(true[:, None] * labels, dtype=bool)
    others[np.arange(true.size), true] = False
    scaled = _standardised(margins, sigma[..., None])
    correct = np.zeros(law.variance.shape)
    for node, weight in zip(_HERMITE, _HERMITE_WEIGHTS / np.sqrt(2 * np.pi), strict=True):
        correct += weight * np.where(others, ndtr(scaled + node), 1.0).prod(axis=-1)
    error: FloatArray = np.clip(1 - correct, 0.0, 1.0).mean(axis=-1)
    return error


def _standardised(value: FloatArray, sigma: FloatArray) -> FloatArray:
    """The quotient value / sigma; a variable without variance is on one side or the other (or at 0: a tie)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(value == 0, 0.0, value / sigma)


@quantity("exact", "E min((y - z)²/scale, 1)", "none", "derived here")
def clipped_square_risk(law: Law | Marginals, y: ArrayLike, scale: float = 1.0) -> FloatArray:
    r"""Expected clipped squared error of one network, averaged over points and outputs: a loss in [0, 1], in closed
    form.

    With u = z - y ~ N(d, v) and b = √scale, E min(u²/b², 1) is the truncated second moment of u on [-b, b] over b²,
    plus P(|u| > b).
    """
    labels = labels_of(law, y)
    b = np.sqrt(positive(scale, "scale"))
    d, sigma = law.mean - labels, np.sqrt(law.variance)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (-b - d) / sigma, (b - d) / sigma
        inside = ndtr(high) - ndtr(low)
        phi_low, phi_high = (np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi) for t in (low, high))
        second = (d**2 + sigma**2) * inside + sigma * (phi_low * (d - b) - phi_high * (d + b))
        value = second / b**2 + 1 - inside
    exact = np.minimum((d / b) ** 2, 1.0)
    risk: FloatArray = np.clip(np.where(sigma > 0, value, exact), 0.0, 1.0).mean(axis=(-2, -1))
    return risk
