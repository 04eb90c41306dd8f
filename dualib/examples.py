"""Joint distributions to try things on, small and large, exact and sampled."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dualib.core.typing import Float, Int
from dualib.joint import Joint


def toy() -> Joint:
    r"""The example of the dualIB paper: five equally likely x and a binary y.

    .. math:: p(y|x) \propto e^{-yx}, \qquad y = \pm 1, \quad x = -1, -0.6, -0.2, 0.2, 0.6

    The first column is y = +1. I(X;Y) = 0.122597451 nats.

    References
    ----------
    [piran2020]_ section 2.4
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
    epsilon : probability of an error, in [0, 1].
    n : number of symbols, at least 2.

    Raises
    ------
    ValueError: epsilon or n is out of range.
    """
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon = {epsilon} is outside [0, 1]")
    if n < 2:
        raise ValueError(f"n = {n} must be at least 2")
    rows = np.full((n, n), epsilon / (n - 1))
    np.fill_diagonal(rows, 1.0 - epsilon)
    return Joint.from_conditional(np.full(n, 1.0 / n), rows)


def icosahedral_score() -> Float[np.ndarray, " 4096"]:
    """popcount(x) + ‖Σ_i x_i v_i‖ of the 4096 patterns x on the vertices v_i of an icosahedron, bit 0 the most significant."""
    g = (1.0 + np.sqrt(5.0)) / 2.0
    vertices = np.array(
        [(0, -1, -g), (-1, -g, 0), (0, -1, g), (1, -g, 0), (-g, 0, 1), (0, 1, -g)]
        + [(-1, g, 0), (1, g, 0), (g, 0, 1), (0, 1, g), (g, 0, -1), (-g, 0, -1)]
    ) / np.sqrt(1.0 + g**2)
    patterns = (np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1
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
    gamma : sharpness γ, positive; finite keeps every p(y|x) above 0 in theory, up to about 100 in double precision.
    threshold : θ; between 7.5628 and 7.7013 the limit is the rule of the paper.

    Raises
    ------
    ValueError: gamma is not positive and finite.

    References
    ----------
    [shwartzziv2017]_ section 3.1
    """
    if not 0.0 < gamma < np.inf:
        raise ValueError(f"gamma = {gamma} must be positive and finite")
    score = gamma * (icosahedral_score() - threshold)
    rows = np.column_stack([expit(-score), expit(score)])
    return Joint.from_conditional(np.full(4096, 1.0 / 4096), rows, None, (0, 1))


def digit_images() -> tuple[Float[np.ndarray, "1797 64"], Int[np.ndarray, " 1797"]]:
    """scikit-learn's handwritten digits: images of 8×8 pixels in [0, 1], flattened, and their classes 0 to 9."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels.astype(np.int64)


def digits(n_codes: int = 256, seed: int = 0) -> Joint:
    """Real data: scikit-learn's 1797 images of handwritten digits, in k-means codes, against the ten classes.

    Sampled (n_samples = 1797) and not smoothed: most pairs were never seen. dualIB needs p(y|x) > 0, for which
    ``digits().smoothed(pseudocount=0.1)`` is a choice to be stated with the result.

    Parameters
    ----------
    n_codes : number of k-means clusters, 2 to 1797.
    seed : of k-means.

    Raises
    ------
    ValueError: n_codes is out of range.
    """
    if not 2 <= n_codes <= 1797:
        raise ValueError(f"n_codes = {n_codes} is outside 2 to 1797, the number of images")
    from sklearn.cluster import KMeans

    images, labels = digit_images()
    codes = KMeans(n_codes, n_init=1, random_state=seed).fit_predict(16.0 * images)
    return Joint.from_samples(codes, labels)
