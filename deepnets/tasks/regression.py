"""A linear target in Gaussian noise, and its sign."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from deepnets.tasks.task import Task
from dualib.core.arrays import positive, whole


def regression_task(n: int = 4096, *, x_dim: int = 12, noise_std: float = 0.5, seed: int = 0) -> Task:
    r"""Gaussian patterns with a linear target in noise, and its sign as label.

    The target is z = u·x + σε with x ~ N(0, I), ε ~ N(0, 1) and a unit vector u of random direction. Information is about

    .. math:: y = 1[z > 0], \qquad p(y=1|x) = \Phi(u\cdot x/\sigma)

    Networks of one output are trained on z by ``deepnets.train(..., loss="mse")``; no predictor's expected squared error is
    below σ². The law is the empirical one of the patterns with this exact posterior.

    Parameters
    ----------
    n : int
        Number of patterns, at least 2.
    x_dim : int
        Dimension of x, at least 1.
    noise_std : float
        σ > 0.
    seed : int
        Seed of u, the patterns and the noise.

    Raises
    ------
    ValueError
        If a size or the noise is out of range.

    Examples
    --------
    >>> regression_task(100, x_dim=3).x.shape
    (100, 3)
    """
    n, x_dim, noise_std = whole(n, "n", 2), whole(x_dim, "x_dim", 1), positive(noise_std, "noise_std")
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(x_dim)
    direction /= np.linalg.norm(direction)
    x = rng.standard_normal((n, x_dim))
    mean = x @ direction
    z = mean + noise_std * rng.standard_normal(n)
    rows = np.column_stack([ndtr(-mean / noise_std), ndtr(mean / noise_std)])
    settings = {"task": "regression", "n": n, "x_dim": x_dim, "noise_std": noise_std, "seed": seed}
    return Task("regression", x, (z > 0).astype(np.int64), rows, settings=settings, targets=z[:, None])
