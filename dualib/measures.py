"""Entropies and divergences of finite distributions, checked, in nats.

The functions check their input and say what is wrong with it; the loops of the solvers call the unchecked ones of
:mod:`dualib.core.special`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import rel_entr

from dualib.core.arrays import distribution, joint_distribution
from dualib.core.special import conditional_entropy_nats, entropy_nats, kl_nats, mutual_information_nats
from dualib.core.typing import ArrayLike


def entropy(p: ArrayLike, axis: int = -1) -> Any:
    r"""Compute the entropy of a finite distribution.

    .. math:: H(p) = -\sum_x p(x) \log p(x), \qquad 0 \log 0 = 0

    Parameters
    ----------
    p : array
        Non-negative, summing to 1 along `axis`.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float or array
        The values, with `axis` removed, in nats, between 0 and log of the number of outcomes.

    Raises
    ------
    ValueError
        If p has a negative or non-finite entry, or does not sum to 1 within 1e-9 (the message says
        which, and by how much).

    Examples
    --------
    >>> round(float(entropy([0.5, 0.5]) / np.log(2)), 12)
    1.0

    References
    ----------
    [cover2006]_ eq. 2.1
    """
    return entropy_nats(distribution(p, "p", axis), axis)


def kl_divergence(p: ArrayLike, q: ArrayLike, axis: int = -1) -> Any:
    r"""Compute the Kullback-Leibler divergence.

    .. math:: D(p \| q) = \sum_x p(x) \log\frac{p(x)}{q(x)}, \qquad 0 \log\frac{0}{q} = 0

    Parameters
    ----------
    p, q : array
        They broadcast against each other, are equal in length along `axis`, and each sums to 1 along it.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float or array
        The values, with `axis` removed, in nats, at least 0, and inf where q is 0 and p is not.

    Raises
    ------
    ValueError
        If p or q is not a distribution (the message says where, and by how much), or their shapes do not fit.

    Examples
    --------
    >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
    np.float64(inf)

    References
    ----------
    [cover2006]_ eq. 2.26
    """
    p_array = distribution(p, "p", axis)
    q_array = distribution(q, "q", axis)
    fits = p_array.shape[axis] == q_array.shape[axis]
    try:
        np.broadcast_shapes(p_array.shape, q_array.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"p of shape {p_array.shape} and q of shape {q_array.shape} do not fit along axis {axis}")
    return np.maximum(kl_nats(p_array, q_array, axis), 0.0)


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike, weight: float = 0.5, axis: int = -1) -> Any:
    r"""Jensen-Shannon divergence of p and q with weights w and 1 - w.

    .. math:: JS_w(p, q) = w D(p \| m) + (1-w) D(q \| m), \qquad m = w p + (1-w) q

    It is the information that a draw from the mixture carries about which of the two it came from; merging two clusters
    in the agglomerative information bottleneck costs this much times their total weight.

    Parameters
    ----------
    p, q : array
        Both have one shape, each summing to 1 along `axis`.
    weight : float
        w, between 0 and 1.
    axis : int
        The axis of the outcomes.

    Returns
    -------
    float or array
        The values, with `axis` removed, in nats, between 0 and H(w, 1-w) (log 2 at w = 1/2).

    Raises
    ------
    ValueError
        If p or q is not a distribution, their shapes differ, or the weight is outside [0, 1].

    Examples
    --------
    >>> round(float(jensen_shannon_divergence([1.0, 0.0], [0.0, 1.0]) / np.log(2)), 12)
    1.0

    References
    ----------
    [lin1991]_
    """
    p_array = distribution(p, "p", axis)
    q_array = distribution(q, "q", axis)
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
    r"""Compute the mutual information of a finite joint distribution.

    .. math:: I(X;Y) = \sum_{xy} p(x,y) \log\frac{p(x,y)}{p(x)p(y)}

    Parameters
    ----------
    p_xy : array, shape (n_x, n_y)
        Non-negative, summing to 1.

    Returns
    -------
    float
        In nats; between 0 and min(H(X), H(Y)).

    Raises
    ------
    ValueError
        If p_xy has a negative or non-finite entry, or does not sum to 1 within 1e-9 (the message says
        which, and by how much).

    Examples
    --------
    >>> round(float(mutual_information([[0.5, 0.0], [0.0, 0.5]]) / np.log(2)), 12)
    1.0

    References
    ----------
    [cover2006]_ eq. 2.28
    """
    return mutual_information_nats(joint_distribution(p_xy))


def conditional_entropy(p_xy: ArrayLike) -> float:
    r"""Entropy of Y given X for a finite joint distribution; transpose p_xy for H(X|Y).

    .. math:: H(Y|X) = -\sum_{xy} p(x,y) \log p(y|x)

    Parameters
    ----------
    p_xy : array, shape (n_x, n_y)
        Non-negative, summing to 1.

    Returns
    -------
    float
        In nats; between 0 and H(Y), and 0 when Y is a function of X.

    Raises
    ------
    ValueError
        If p_xy has a negative or non-finite entry, or does not sum to 1 within 1e-9 (the message says
        which, and by how much).

    Examples
    --------
    >>> conditional_entropy([[0.5, 0.0], [0.0, 0.5]])
    0.0

    References
    ----------
    [cover2006]_ eq. 2.10
    """
    return conditional_entropy_nats(joint_distribution(p_xy))
