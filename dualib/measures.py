"""Entropies and divergences of finite distributions, defined once, in nats.

The public functions check their input and say what is wrong with it; the private kernels of the same name (leading
underscore) skip the checks and are what the solvers call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, rel_entr

FloatArray = NDArray[np.float64]
Units = Literal["bits", "nats"]

NATS_PER_BIT: float = math.log(2.0)
"""One bit in nats, log 2."""

SUM_TOLERANCE: float = 1e-9
"""How far a distribution's sum may be from 1 before it is refused."""


def to_units(value: Any, units: Units) -> Any:
    """Convert a value in nats to `units`: the one place where a logarithm's base appears.

    Parameters
    ----------
    value : float or array, in nats.
    units : "bits" or "nats".

    Returns
    -------
    float or array, `value` / log 2 for bits, `value` itself for nats.

    Raises
    ------
    ValueError: `units` is neither "bits" nor "nats".
    """
    if units == "nats":
        return value
    if units == "bits":
        return value / NATS_PER_BIT
    raise ValueError(f'units must be "bits" or "nats", got {units!r}')


# --- kernels: no checks, for inner loops ---


def _entropy(p: FloatArray, axis: int = -1) -> Any:
    return entr(p).sum(axis=axis)


def _kl_divergence(p: FloatArray, q: FloatArray, axis: int = -1) -> Any:
    return rel_entr(p, q).sum(axis=axis)


def _mutual_information(p_xy: FloatArray) -> float:
    # Row form: the product p(x) p(y) could underflow where p(y|x) / p(y) does not.
    p_x = p_xy.sum(axis=1)
    seen = p_x > 0
    p_y_given_x = p_xy[seen] / p_x[seen, None]
    return max(0.0, float(p_x[seen] @ rel_entr(p_y_given_x, p_xy.sum(axis=0)).sum(axis=1)))


def _conditional_entropy(p_xy: FloatArray) -> float:
    p_x = p_xy.sum(axis=1)
    seen = p_x > 0
    return float(p_x[seen] @ entr(p_xy[seen] / p_x[seen, None]).sum(axis=1))


# --- checks ---


def _real_array(value: ArrayLike, name: str) -> FloatArray:
    """`value` as float64, refused when it holds anything that is not a real number."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if array.dtype.kind == "c":
        raise ValueError(f"{name} is complex; a real array is needed")
    if array.dtype.kind not in "biuf":
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be an array of numbers: {error}") from None
    return array.astype(np.float64, copy=False)


def _check_entries(array: FloatArray, name: str, place: Callable[..., str] | None = None) -> None:
    """Refuse an empty array, and the first entry that is not finite or is negative; `place(*index)` words it."""
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape})")
    bad = ~((array >= 0) & np.isfinite(array))
    if not bad.any():
        return
    where = np.argwhere(bad)[0].tolist()
    problem = "negative" if array[tuple(where)] < 0 and np.isfinite(array[tuple(where)]) else "not finite"
    raise ValueError(
        f"{name}{where if place is None else ' at ' + place(*where)} is {array[tuple(where)]:.6g}, which is {problem} "
        f"({int(bad.sum())} bad entries in all); correct or remove it"
    )


def _check_distribution(value: ArrayLike, name: str, axis: int = -1) -> FloatArray:
    """`value` as float64, every slice along `axis` a distribution, or a ValueError with the entry and the amount."""
    array = _real_array(value, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got the number {array}")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis {axis} does not exist in {name} of shape {array.shape}")
    _check_entries(array, name)
    excess = np.atleast_1d(array.sum(axis=axis) - 1.0)
    if (np.abs(excess) > SUM_TOLERANCE).any():
        where = np.unravel_index(int(np.abs(excess).argmax()), excess.shape)
        at = "" if array.ndim == 1 else f" at {tuple(int(i) for i in where)} of the other axes"
        raise ValueError(
            f"{name} sums to {1.0 + excess[where]:.12g} along axis {axis}{at}, off 1 by {excess[where]:.3g} "
            f"(allowed: {SUM_TOLERANCE:g}); divide it by its sum"
        )
    return array


def _check_joint(value: ArrayLike, name: str = "p_xy") -> FloatArray:
    array = _real_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have two axes (x, y), got shape {array.shape}")
    _check_entries(array, name)
    excess = float(array.sum()) - 1.0
    if abs(excess) > SUM_TOLERANCE:
        raise ValueError(
            f"{name} sums to {1.0 + excess:.12g}, off 1 by {excess:.3g} (allowed: {SUM_TOLERANCE:g}); "
            f"divide it by its sum: {name} / {name}.sum()"
        )
    return array


# --- public face ---


def entropy(p: ArrayLike, axis: int = -1) -> Any:
    r"""Entropy of a finite distribution.

    .. math:: H(p) = -\sum_x p(x) \log p(x), \qquad 0 \log 0 = 0

    Parameters
    ----------
    p : array, non-negative, summing to 1 along `axis`.
    axis : the axis of the outcomes.

    Returns
    -------
    float, or an array with `axis` removed; in nats, between 0 and log of the number of outcomes.

    Raises
    ------
    ValueError: p has a negative or non-finite entry, or does not sum to 1 within 1e-9 (the message says
    which, and by how much).

    Examples
    --------
    >>> round(float(entropy([0.5, 0.5])) / NATS_PER_BIT, 12)
    1.0

    References
    ----------
    [cover2006]_ eq. 2.1
    """
    return _entropy(_check_distribution(p, "p", axis), axis)


def kl_divergence(p: ArrayLike, q: ArrayLike, axis: int = -1) -> Any:
    r"""Kullback-Leibler divergence.

    .. math:: D(p \| q) = \sum_x p(x) \log\frac{p(x)}{q(x)}, \qquad 0 \log\frac{0}{q} = 0

    Parameters
    ----------
    p, q : arrays that broadcast against each other, equal in length along `axis`, each summing to 1 along it.
    axis : the axis of the outcomes.

    Returns
    -------
    float, or an array with `axis` removed; in nats, at least 0, and inf where q is 0 and p is not.

    Raises
    ------
    ValueError: p or q is not a distribution (the message says where, and by how much), or their shapes do not fit.

    Examples
    --------
    >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
    np.float64(inf)

    References
    ----------
    [cover2006]_ eq. 2.26
    """
    p_array = _check_distribution(p, "p", axis)
    q_array = _check_distribution(q, "q", axis)
    fits = p_array.shape[axis] == q_array.shape[axis]
    try:
        np.broadcast_shapes(p_array.shape, q_array.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"p of shape {p_array.shape} and q of shape {q_array.shape} do not fit along axis {axis}")
    return np.maximum(_kl_divergence(p_array, q_array, axis), 0.0)


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike, weight: float = 0.5, axis: int = -1) -> Any:
    r"""Jensen-Shannon divergence of p and q with weights w and 1 - w.

    .. math:: JS_w(p, q) = w D(p \| m) + (1-w) D(q \| m), \qquad m = w p + (1-w) q

    It is the information that a draw from the mixture carries about which of the two it came from; merging two clusters
    in the agglomerative information bottleneck costs this much times their total weight.

    Parameters
    ----------
    p, q : arrays of one shape, each summing to 1 along `axis`.
    weight : w, between 0 and 1.
    axis : the axis of the outcomes.

    Returns
    -------
    float, or an array with `axis` removed; in nats, between 0 and H(w, 1-w) (log 2 at w = 1/2).

    Raises
    ------
    ValueError: p or q is not a distribution, their shapes differ, or the weight is outside [0, 1].

    Examples
    --------
    >>> round(float(jensen_shannon_divergence([1.0, 0.0], [0.0, 1.0])) / NATS_PER_BIT, 12)
    1.0

    References
    ----------
    [lin1991]_
    """
    p_array = _check_distribution(p, "p", axis)
    q_array = _check_distribution(q, "q", axis)
    if p_array.shape != q_array.shape:
        raise ValueError(f"p has shape {p_array.shape} and q has shape {q_array.shape}; they must be equal")
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight = {weight} is outside [0, 1]")
    mixture = weight * p_array + (1.0 - weight) * q_array
    divergence = np.zeros(np.delete(p_array.shape, axis))
    for w, part in ((weight, p_array), (1.0 - weight, q_array)):
        # The mixture is 0 under a positive part only where the weight times the part underflows.
        divergence = divergence + w * np.where(mixture > 0, rel_entr(part, mixture), 0.0).sum(axis=axis)
    return np.maximum(divergence, 0.0)


def mutual_information(p_xy: ArrayLike) -> float:
    r"""Mutual information of a finite joint distribution.

    .. math:: I(X;Y) = \sum_{xy} p(x,y) \log\frac{p(x,y)}{p(x)p(y)}

    Parameters
    ----------
    p_xy : array, shape (n_x, n_y), non-negative, summing to 1.

    Returns
    -------
    float, in nats; between 0 and min(H(X), H(Y)).

    Raises
    ------
    ValueError: p_xy has a negative or non-finite entry, or does not sum to 1 within 1e-9 (the message says
    which, and by how much).

    Examples
    --------
    >>> round(mutual_information([[0.5, 0.0], [0.0, 0.5]]) / NATS_PER_BIT, 12)
    1.0

    References
    ----------
    [cover2006]_ eq. 2.28
    """
    return _mutual_information(_check_joint(p_xy))


def conditional_entropy(p_xy: ArrayLike) -> float:
    r"""Entropy of Y given X for a finite joint distribution; transpose p_xy for H(X|Y).

    .. math:: H(Y|X) = -\sum_{xy} p(x,y) \log p(y|x)

    Parameters
    ----------
    p_xy : array, shape (n_x, n_y), non-negative, summing to 1.

    Returns
    -------
    float, in nats; between 0 and H(Y), and 0 when Y is a function of X.

    Raises
    ------
    ValueError: p_xy has a negative or non-finite entry, or does not sum to 1 within 1e-9 (the message says
    which, and by how much).

    Examples
    --------
    >>> conditional_entropy([[0.5, 0.0], [0.0, 0.5]])
    0.0

    References
    ----------
    [cover2006]_ eq. 2.10
    """
    return _conditional_entropy(_check_joint(p_xy))
