"""Elementary functions of the inner loops, unchecked: entropies, and differences that would cancel if written plainly."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualib.core.typing import ArrayLike, FloatArray

SMALL, TERMS = 0.1, 20  # below SMALL a series of so many terms; above it the plain difference loses one digit at most


def entropy_nats(p: FloatArray, axis: int = -1) -> Any:
    """H(p) = −Σ p log p along `axis`, nats; 0 log 0 = 0."""
    from scipy.special import entr

    return entr(p).sum(axis=axis)


def kl_nats(p: FloatArray, q: FloatArray, axis: int = -1) -> Any:
    """D(p‖q) = Σ p log(p/q) along `axis`, nats; inf where q is 0 and p is not."""
    from scipy.special import rel_entr

    return rel_entr(p, q).sum(axis=axis)


def mutual_information_nats(p_xy: FloatArray) -> float:
    """I(X;Y) of a joint distribution (n_x, n_y), nats, at least 0."""
    # Row form: the product p(x) p(y) could underflow where p(y|x) / p(y) does not.
    p_x = p_xy.sum(axis=1)
    seen = p_x > 0
    p_y_given_x = p_xy[seen] / p_x[seen, None]
    return max(0.0, float(p_x[seen] @ kl_nats(p_y_given_x, p_xy.sum(axis=0))))


def conditional_entropy_nats(p_xy: FloatArray) -> float:
    """H(Y|X) of a joint distribution (n_x, n_y), nats."""
    p_x = p_xy.sum(axis=1)
    seen = p_x > 0
    return float(p_x[seen] @ entropy_nats(p_xy[seen] / p_x[seen, None]))


def log1p_gap(x: ArrayLike) -> Any:
    """The gap x − log(1 + x) ≥ 0 for x > −1 (inf at −1), to relative precision also where x is small and the two cancel."""
    x = np.asarray(x, dtype=np.float64)
    small = np.abs(x) < SMALL
    s = np.where(small, x, 0.0)
    series = np.zeros_like(s)
    for k in range(TERMS, 1, -1):  # Σ_{k≥2} (−x)^k / k
        series = 1.0 / k - s * series
    with np.errstate(divide="ignore"):
        return np.where(small, s * s * series, x - np.log1p(np.where(small, 0.0, x)))[()]


def expm1_gap(x: ArrayLike) -> Any:
    """The gap e^x − 1 − x ≥ 0, to relative precision also where x is small and the two cancel."""
    x = np.asarray(x, dtype=np.float64)
    small = np.abs(x) < SMALL
    s = np.where(small, x, 0.0)
    series = np.ones_like(s)
    for k in range(TERMS, 2, -1):  # 1 + x/3 (1 + x/4 (1 + …)), times x²/2
        series = 1.0 + series * s / k
    with np.errstate(over="ignore"):
        return np.where(small, 0.5 * s * s * series, np.expm1(np.where(small, 0.0, x)) - x)[()]


def ratio_gap(ratio: ArrayLike) -> Any:
    """The gap r − 1 − log r ≥ 0 for r ≥ 0 (inf at 0), to relative precision near 1, and for an r of any smallness."""
    r = np.asarray(ratio, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(r - 1) < SMALL, log1p_gap(np.clip(r - 1, -SMALL, SMALL)), r - 1 - np.log(r))[()]
