"""Small exact channels: the toy of the dualIB paper, and the symmetric channel."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dualib.joint import Joint


def toy() -> Joint:
    r"""The example of the dualIB paper: five equally likely x and a binary y.

    .. math:: p(y|x) \propto e^{-yx}, \qquad y = \pm 1, \quad x = -1, -0.6, -0.2, 0.2, 0.6

    The first column is y = +1. I(X;Y) = 0.122597451 nats.

    References
    ----------
    [piran2020]_ section 2.4

    Examples
    --------
    >>> toy().p_x
    array([0.2, 0.2, 0.2, 0.2, 0.2])
    """
    x = np.linspace(-1.0, 0.6, 5)
    p_plus = expit(-2.0 * x)
    rows = np.column_stack([p_plus, expit(2.0 * x)])
    return Joint.from_conditional(np.full(5, 0.2), rows, np.round(x, 12).tolist(), (1, -1))


def hamming(epsilon: float, n: int = 4) -> Joint:
    r"""The symmetric channel on n symbols with a uniform input.

    .. math:: p(y|x) = 1 - \epsilon \text{ if } y = x, \quad \epsilon/(n-1) \text{ otherwise}

    Its IB and dual curves have first-order transitions at which annealing in one direction or the other gets stuck.

    Parameters
    ----------
    epsilon : float
        Probability of an error, in [0, 1].
    n : int
        Number of symbols, at least 2.

    Raises
    ------
    ValueError
        If epsilon or n is out of range.

    Examples
    --------
    >>> hamming(0.3, 3).p_y_given_x[0]
    array([0.7 , 0.15, 0.15])
    """
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon = {epsilon} is outside [0, 1]")
    if n < 2:
        raise ValueError(f"n = {n} must be at least 2")
    rows = np.full((n, n), epsilon / (n - 1))
    np.fill_diagonal(rows, 1.0 - epsilon)
    return Joint.from_conditional(np.full(n, 1.0 / n), rows)
