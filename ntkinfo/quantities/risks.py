"""Gibbs risks in [0, 1] of an ensemble's networks, exact under their Gaussian law: what bounds for such losses are fed with."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr

from dualib.core.arrays import positive
from dualib.core.quantity import Relation
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Unit
from ntkinfo.labels import labels_of
from ntkinfo.laws import Law, Marginals
from ntkinfo.quantities.predictive import label_errors
from ntkinfo.quantities.registry import REGISTRY, Condition, DataSets, Group

_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(64)


@REGISTRY.register(
    "0-1 risk, one network",
    Unit.ONE,
    Relation.EXACT,
    of="P(sign z ≠ y), or P(argmax z ≠ class), mean over the points",
    assumption="labels ±1, or one-hot rows",
    source="derived here",
    only=[Condition.CLASS_LABELS],
    group=Group.ERRORS,
    holds_for=DataSets.ONE,
)
def zero_one_risk(law: Law | Marginals, y: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Expected 0-1 error of one network, averaged over points.

    For several outputs it is taken by quadrature over the true class's output.

    Parameters
    ----------
    law : Law or Marginals
        The law of the outputs, on the points of y.
    y : array_like, shape (m, k)
        Labels ±1 for one output, one-hot rows for more.

    Returns
    -------
    array of the law's leading shape
        In [0, 1]; a tie counts as half an error.

    Raises
    ------
    ValueError
        If labels are outside that assumption.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(zero_one_risk(law, [1.0, -1.0])), 6)
    0.13125
    """
    labels = labels_of(law, y)
    sigma = np.sqrt(law.variance)
    if labels.shape[1] == 1:
        if not np.isin(labels, (-1.0, 1.0)).all():
            raise ValueError("the 0-1 risk of one output needs labels -1 or +1")
        return np.asarray(ndtr(-_standardised(labels[:, 0] * law.mean[..., 0], sigma)).mean(axis=-1))
    if not (np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("the 0-1 risk of several outputs needs one-hot labels")
    true = labels.argmax(axis=1)
    margins = (
        np.take_along_axis(law.mean, np.broadcast_to(true[:, None], (*law.mean.shape[:-1], 1)), axis=-1) - law.mean
    )
    others = np.ones_like(true[:, None] * labels, dtype=bool)
    others[np.arange(true.size), true] = False
    scaled = _standardised(margins, sigma[..., None])
    # Of a small risk the true class's output is low, by half of the least margin: the nodes go there.
    least = np.where(others, scaled, np.inf).min(axis=-1)
    moved = np.where(np.isfinite(least), -np.maximum(least, 0.0) / 2, 0.0)
    wrong = np.zeros(law.variance.shape)
    for node, weight in zip(_HERMITE, _HERMITE_WEIGHTS / np.sqrt(2 * np.pi), strict=True):
        chance = -np.expm1(np.where(others, log_ndtr(scaled + (node + moved)[..., None]), 0.0).sum(axis=-1))
        with np.errstate(divide="ignore", over="ignore"):
            wrong += weight * np.exp(np.log(chance) - moved * (node + moved / 2))
    return np.asarray(np.clip(wrong, 0.0, 1.0).mean(axis=-1))


def _standardised(value: FloatArray, sigma: FloatArray) -> FloatArray:
    """Value / sigma; a variable without variance is on one side or the other (or at 0: a tie)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(value == 0, 0.0, value / sigma))


@REGISTRY.register(
    "clipped risk, one network",
    Unit.ONE,
    Relation.EXACT,
    of="E min((y - z)², 1), mean over the points and outputs",
    assumption="none",
    source="derived here",
    group=Group.ERRORS,
    holds_for=DataSets.ONE,
)
def clipped_square_risk(law: Law | Marginals, y: ArrayLike, scale: float = 1.0) -> Float[np.ndarray, "*t"]:
    r"""Expected clipped squared error of one network, averaged over points and outputs: a loss in [0, 1], in closed form.

    With u = z - y ~ N(d, v) and b = √scale, E min(u²/b², 1) is the truncated second moment of u on [-b, b] over b²,
    plus P(|u| > b).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> round(float(clipped_square_risk(law, [1.0, -1.0])), 6)
    0.349949
    """
    b = np.sqrt(positive(scale, "scale"))
    errors, variance, log_size = label_errors(law, y)
    unit = np.exp(log_size)[..., None, None]
    d, sigma = -unit * errors, unit * np.sqrt(variance)[..., None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        low, high = (-b - d) / sigma, (b - d) / sigma
        outside = ndtr(low) + ndtr(-high)  # not 1 - inside, of which small risks would keep no digit
        inside = np.where(outside < 0.5, 1 - outside, ndtr(high) - ndtr(low))
        phi_low, phi_high = (np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi) for t in (low, high))
        second = (d**2 + sigma**2) * inside + sigma * (phi_low * (d - b) - phi_high * (d + b))
        second = np.where(sigma > b, _second_moment_inside(d, sigma, b), second)  # of whose terms little is left there
        value = second / b**2 + outside
    exact = np.minimum((d / b) ** 2, 1.0)
    return np.asarray(np.clip(np.where(sigma > 0, value, exact), 0.0, 1.0).mean(axis=(-2, -1)))


# Of a normal density over two standard deviations: to the last digit.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def _second_moment_inside(mean: FloatArray, sigma: FloatArray, b: float) -> FloatArray:
    """∫ u² N(u; mean, σ²) du over [-b, b], for σ > b."""
    total = np.zeros(np.broadcast_shapes(mean.shape, sigma.shape))
    for node, weight in zip(b * _NODES, b * _WEIGHTS, strict=True):
        total += weight * node**2 * np.exp(-0.5 * ((node - mean) / sigma) ** 2)
    return np.asarray(total / (sigma * np.sqrt(2 * np.pi)))
