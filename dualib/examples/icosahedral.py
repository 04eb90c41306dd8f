"""The icosahedral task of [shwartzziv2017]_: its patterns, their score, and the joint of pattern and label."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dualib.core.typing import Float, Int
from dualib.joint import Joint


def icosahedral_patterns() -> Int[np.ndarray, "4096 12"]:
    """All patterns of twelve bits, in the order of the numbers that they write; bit 0 is the most significant.

    Examples
    --------
    >>> icosahedral_patterns()[5]
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1])
    """
    return (np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1


def icosahedral_score() -> Float[np.ndarray, " 4096"]:
    """popcount(x) + ‖Σ_i x_i v_i‖ of the 4096 patterns x on the vertices v_i of an icosahedron.

    Examples
    --------
    >>> scores = icosahedral_score()
    >>> float(scores.min()), float(scores.max())
    (0.0, 12.0)
    """
    g = (1.0 + np.sqrt(5.0)) / 2.0
    vertices = np.array(
        [(0, -1, -g), (-1, -g, 0), (0, -1, g), (1, -g, 0), (-g, 0, 1), (0, 1, -g)]
        + [(-1, g, 0), (1, g, 0), (g, 0, 1), (0, 1, g), (g, 0, -1), (-g, 0, -1)]
    ) / np.sqrt(1.0 + g**2)
    patterns = icosahedral_patterns()
    score = patterns.sum(axis=1) + np.linalg.norm(patterns @ vertices, axis=1)
    # Distinct values lie 0.02 apart: what symmetry makes equal is made equal as a number, so that the rows merge.
    _, first, value = np.unique(np.round(score, 6), return_index=True, return_inverse=True)
    return np.asarray(score[first][value])


def icosahedron(gamma: float = 53.826, threshold: float = 7.63) -> Joint:
    r"""Twelve binary inputs on the vertices v_i of an icosahedron, and a label invariant under its 120 symmetries.

    .. math:: p(y=1|x) = \frac{1}{1 + e^{-\gamma (f(x) - \theta)}}, \qquad f(x) = \sum_i x_i + \|\sum_i x_i v_i\|

    4096 equally likely patterns x (bit 0 the most significant); f takes 53 values, so the joint merges to 53 rows. As γ
    grows the label becomes a function of x with I(X;Y) = 0.999157 bits; the default gives 0.99 bits.

    Parameters
    ----------
    gamma : float
        Sharpness γ, positive; finite keeps every p(y|x) above 0 in theory, up to about 100 in double precision.
    threshold : float
        θ; between 7.5628 and 7.7013 the limit is the rule of the paper.

    Raises
    ------
    ValueError
        If gamma is not positive and finite.

    References
    ----------
    [shwartzziv2017]_ section 3.1

    Examples
    --------
    >>> icosahedron(gamma=30.5).n_x
    4096
    """
    if not 0.0 < gamma < np.inf:
        raise ValueError(f"gamma = {gamma} must be positive and finite")
    score = gamma * (icosahedral_score() - threshold)
    rows = np.column_stack([expit(-score), expit(score)])
    return Joint.from_conditional(np.full(4096, 1.0 / 4096), rows, None, (0, 1))
