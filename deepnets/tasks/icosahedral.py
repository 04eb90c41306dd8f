"""The task of Shwartz-Ziv and Tishby: twelve binary inputs on the vertices of an icosahedron."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from deepnets.tasks.task import Task, one_hot
from dualib.core.arrays import positive
from dualib.core.typing import FloatArray, IntArray
from dualib.examples import icosahedral_score


def icosahedral_task(gamma: float | None = None, *, threshold: float = 7.63, seed: int = 0) -> Task:
    r"""Twelve binary inputs on the vertices v_i of an icosahedron; the label is invariant under its 120 symmetries.

    .. math:: y = 1[f(x) > \theta], \qquad f(x) = \sum_i x_i + \|\textstyle\sum_i x_i v_i\|

    All 4096 patterns, equally likely, bit 0 the most significant. 2118 of them have y = 1, I(X;Y) = H(Y) = 0.999157
    bits. The patterns fall into 82 orbits (symmetry_classes), on which (Σx, ‖Σxv‖) takes 64 values. It is the rule of
    the paper for θ in (7.5628, 7.7013).

    Parameters
    ----------
    gamma : float or None
        None for this rule; a positive number for stochastic labels p(y=1|x) = 1/(1 + e^{-γ(f(x) - θ)}), of which y is
        one draw. I(X;Y) = 0.99 bits at γ = 53.826. Wherever a KL divergence must be finite, the labels must be stochastic.
    threshold : float
        θ.
    seed : int
        Seed of the draw.

    Raises
    ------
    ValueError
        If gamma is not positive and finite, or threshold not finite, or beyond all f(x), so that one label has probability 0.

    References
    ----------
    [shwartzziv2017]_ section 3.1

    Examples
    --------
    >>> task = icosahedral_task()
    >>> task.x.shape, int(task.y.sum())
    ((4096, 12), 2118)
    """
    if gamma is not None:
        gamma = positive(gamma, "gamma (None for labels without noise)")
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be finite, got {threshold}")
    score = icosahedral_score() - threshold
    patterns = (np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1
    if gamma is None:
        y = (score > 0).astype(np.int64)
        rows = one_hot(y, 2)
    else:
        rows = np.column_stack([expit(-gamma * score), expit(gamma * score)])
        y = (np.random.default_rng(seed).random(4096) < rows[:, 1]).astype(np.int64)
    if not rows.any(axis=0).all():
        low, high = score.min() + threshold, score.max() + threshold
        raise ValueError(f"threshold = {threshold:g} leaves one label only: f(x) lies between {low:.4g} and {high:.4g}")
    settings = {"task": "icosahedral", "gamma": gamma, "threshold": threshold}
    if gamma is not None:
        settings["seed"] = seed
    return Task(
        "icosahedral",
        patterns.astype(np.float64),
        y,
        rows,
        symmetry_classes=_orbits(patterns, score + threshold),
        settings=settings,
    )


def _orbits(patterns: IntArray, score: FloatArray) -> IntArray:
    """Number of each pattern's orbit under the symmetries of the icosahedron, recovered from the score alone."""
    bit = 1 << np.arange(11, -1, -1)
    pair_norm = score[bit[:, None] | bit] - 2.0  # ‖v_i + v_j‖ off the diagonal
    gram = np.where(np.eye(12, dtype=bool), 1.0, pair_norm**2 / 2 - 1)  # v_i·v_j
    gram = np.rint(gram * np.sqrt(5.0)).astype(int)  # its values are ±1 and ±1/√5
    neighbours = np.flatnonzero(gram[0] == 1)
    second = neighbours[0]
    third = next(k for k in neighbours if gram[second, k] == 1)  # 0, second, third: a face, hence a basis
    place = {tuple(row): v for v, row in enumerate(gram[:, [0, second, third]])}
    codes = np.arange(4096)
    least = codes.copy()
    faces = ((i, j, k) for i in range(12) for j in range(12) for k in range(12))
    for i, j, k in faces:
        if gram[i, j] == gram[j, k] == gram[i, k] == 1:
            moved_to = [place[tuple(row)] for row in gram[:, [i, j, k]]]
            least = np.minimum(least, patterns @ bit[moved_to])
    return np.unique(least, return_inverse=True)[1].astype(np.int64)
