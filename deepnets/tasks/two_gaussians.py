"""Two classes of Gaussian patterns, whose posterior is a logistic function."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from deepnets.tasks.task import Task
from dualib.core.arrays import positive, whole


def two_gaussians_task(n: int = 4096, *, x_dim: int = 12, separation: float = 2.0, seed: int = 0) -> Task:
    r"""Two classes of Gaussian patterns, x ~ N(±(Δ/2) u, I) with equal odds and a unit vector u of random direction.

    .. math:: p(y=1|x) = \frac{1}{1 + e^{-\Delta\,u\cdot x}}

    `n` patterns are drawn, with the label each was drawn with; the law of the task is the empirical one of the patterns
    with this exact posterior, so I(X;Y) of the joint tends to that of the two Gaussians as n grows.

    Parameters
    ----------
    n : int
        Number of patterns, at least 2.
    x_dim : int
        Dimension of x, at least 1.
    separation : float
        Δ > 0, the distance of the means; the Bayes error is Φ(-Δ/2).
    seed : int
        Seed of u and the patterns.

    Raises
    ------
    ValueError
        If a size or the separation is out of range.

    Examples
    --------
    >>> two_gaussians_task(100, x_dim=3).x.shape
    (100, 3)
    """
    n, x_dim, separation = whole(n, "n", 2), whole(x_dim, "x_dim", 1), positive(separation, "separation")
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(x_dim)
    direction /= np.linalg.norm(direction)
    y = rng.integers(2, size=n)
    x = rng.standard_normal((n, x_dim)) + np.outer((y - 0.5) * separation, direction)
    log_odds = separation * (x @ direction)
    rows = np.column_stack([expit(-log_odds), expit(log_odds)])
    settings = {"task": "two_gaussians", "n": n, "x_dim": x_dim, "separation": separation, "seed": seed}
    return Task("two_gaussians", x, y, rows, settings=settings)
