r"""Information of Gaussian mixtures: sums of kernels over all pairs in tiles, and pairwise bounds of their entropy.

A mixture is S + Z of a discrete S with Z ~ N(0, σ² I) independent of it, so that I(S; S + Z) = h(S + Z) − h(Z). The bounds
are those of [kolchinsky2017]_, in nats.

The exponents of a tile come from one matrix product of augmented vectors, in float64: the expansion of a squared distance
loses about eps ‖c‖²/σ², so that the data are centred first and single precision is not used (at ‖c‖/σ = 400 it would
leave an error of 0.01 in an exponent). Where the expansion would lose more than :data:`LARGEST_LOSS`, the differences
themselves are squared, which takes d times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import Float, FloatArray, Int

BLOCK = (128, 256)
"""Points and centres of a tile of exponents, 256 KiB: it stays in the cache of a core from its product to its sums."""

LARGEST_EXPONENT = 600.0
"""Above this a row is shifted by its maximum before the exponential; under minus this exponents are cut off, as
arithmetic with denormal numbers is many times slower. What that adds, e^{-600} a pair, is under all rounding."""

LARGEST_LOSS = 1e-6
"""Largest error of an exponent for which squared distances are expanded."""


def expansion_loss(centres: Float[np.ndarray, "n d"], sigma: float) -> float:
    """A bound on the error of an exponent when squared distances are expanded; infinite where they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        scale = float((((centres - centres.mean(axis=0)) / sigma) ** 2).sum(axis=1).max())
    return _loss(scale, centres.shape[1]) if math.isfinite(scale) else math.inf


def rounding(centres: Float[np.ndarray, "n d"], sigma: float) -> float:
    """A bound on the relative error of a sum of kernels, from the rounding of exponents and sums.

    Parameters
    ----------
    centres : array, shape (n, d)
    sigma : float
        Standard deviation of the kernel.
    """
    n, d = centres.shape
    loss = expansion_loss(centres, sigma)
    if loss > LARGEST_LOSS:
        loss = _loss(LARGEST_EXPONENT + d, d)
    return float(loss + 2.0 * n * EPS)


def kernel_sums(
    own: Int[np.ndarray, " r"],
    noise: Float[np.ndarray, "r d"],
    centres: Float[np.ndarray, "n d"],
    weights: Float[np.ndarray, "n k"],
    sigma: float,
) -> tuple[Float[np.ndarray, "r k"], Float[np.ndarray, " r"]]:
    r"""Sums of weighted kernels at noisy centres, relative to the kernel of the own centre.

    .. math:: S_{rk} = e^{-m_r} \sum_j w_{jk} \exp\frac{‖z_r‖² - ‖c_{i(r)} + z_r - c_j‖²}{2σ²}

    Parameters
    ----------
    own : int array, shape (r,)
        The centre i(r) of each point.
    noise : array, shape (r, d)
        z, so that the points are t = c_i + z.
    centres : array, shape (n, d)
    weights : array, shape (n, k)
    sigma : float
        Standard deviation of the kernel.

    Returns
    -------
    sums : array, shape (r, k)
        S.
    shifts : array, shape (r,)
        m, which is 0 except where S would overflow.
    """
    sums, shifts = np.zeros((len(own), weights.shape[1])), np.zeros(len(own))
    direct = expansion_loss(centres, sigma) > LARGEST_LOSS
    tiles = _difference_tiles if direct else _expanded_tiles
    shifted = 0.5 * float(((noise / sigma) ** 2).sum(axis=1).max(initial=0.0)) > LARGEST_EXPONENT
    for part, columns, tile, far in tiles(own, noise, centres, sigma, whole=shifted):
        if shifted:
            shifts[part] = tile.max(axis=1)
            tile -= shifts[part, None]
        if far:
            np.maximum(tile, -LARGEST_EXPONENT, out=tile)
        sums[part] += np.exp(tile, out=tile) @ weights[columns]
    return sums, shifts


def pair_sums(
    centres: Float[np.ndarray, "n d"], weights: Float[np.ndarray, "n k"], sigma: float
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    r"""Weighted sums over the centres of three powers of one kernel.

    .. math:: \sum_j w_{jk} b_{ij}, \quad \sum_j w_{jk} b_{ij}^2, \quad \sum_j w_{jk} b_{ij}^4, \qquad
        b_{ij} = e^{-‖c_i - c_j‖²/8σ²}

    One exponential a pair, for half of the pairs: the powers are e^{-‖Δ‖²/4σ²} and e^{-‖Δ‖²/2σ²}, and b is symmetric.

    Parameters
    ----------
    centres : array, shape (n, d)
    weights : array, shape (n, k)
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    three arrays, shape (n, k)
    """
    sums = tuple(np.zeros_like(weights) for _ in range(3))
    for i, j, tile in _pair_tiles(centres, sigma):
        np.exp(np.maximum(tile, -0.25 * LARGEST_EXPONENT, out=tile), out=tile)
        for index, total in enumerate(sums):
            if index:
                np.multiply(tile, tile, out=tile)
            total[i] += tile @ weights[j]
            if i != j:
                total[j] += tile.T @ weights[i]
    return sums[0], sums[1], sums[2]


def pairwise_entropy(sums: Float[np.ndarray, "n k"], weights: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    r"""Kolchinsky and Tracey's estimate of h(S + Z) − h(Z), nats, for each column of weights.

    .. math:: \hat I_D = -\sum_i w_i \ln \sum_j w_j e^{-D_{ij}}

    A lower bound with the Bhattacharyya distance of the components for D, an upper one with their KL divergence.

    Parameters
    ----------
    sums : array, shape (n, k)
        :math:`\sum_j w_{jk} e^{-D_{ij}}`.
    weights : array, shape (n, k)
        Each column a distribution, or all zeros.

    References
    ----------
    [kolchinsky2017]_
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(np.maximum(sums, weights))  # the own term alone makes a sum at least the weight
        return np.asarray(-np.where(weights > 0, weights * log, 0.0).sum(axis=0))


def pairwise_information(distances: Float[np.ndarray, "n n"], weights: Float[np.ndarray, " n"] | None = None) -> float:
    r"""Kolchinsky and Tracey's :math:`\hat I_D` of a matrix of distances between components of any kind, nats.

    Parameters
    ----------
    distances : array, shape (n, n)
        The distance of component i from component j, 0 on the diagonal; infinity is a distance.
    weights : array, shape (n,), or None
        The components' weights; equal by default.
    """
    n = len(distances)
    column = np.full((n, 1), 1.0 / n) if weights is None else weights[:, None]
    return float(pairwise_entropy(np.exp(-distances) @ column, column)[0])


def gaussian_bound(centres: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"], sigma: float) -> float:
    """½ ln det(1 + Cov/σ²) of weighted centres, nats: the largest h(S + Z) − h(Z) of this covariance."""
    scaled = (centres - weights @ centres) * (np.sqrt(weights) / sigma)[:, None]
    n, d = scaled.shape
    gram = scaled.T @ scaled if d <= n else scaled @ scaled.T
    values = np.maximum(np.linalg.eigvalsh(gram), 0.0) + gram_rounding(gram, n, d)
    return 0.5 * float(np.log1p(values).sum())


def gram_rounding(gram: Float[np.ndarray, "k k"], n: int, d: int) -> float:
    """A bound on the error of the eigenvalues of a matrix of scalar products of an array of shape (n, d)."""
    return float(EPS * (n + 8 * d) * np.trace(gram))


@dataclass(frozen=True, eq=False)
class EntropyBounds:
    r"""Bounds on h(S + Z) − h(Z) of several mixtures of the same centres, each array of shape (k,), nats.

    .. math::
        \max\Big(\hat I_{‖Δ‖²/8σ²},\; \hat I_{‖Δ‖²/4σ²} - \tfrac d2 (1 - \ln 2)\Big) \;\le\; h(S + Z) - h(Z) \;\le\;
        \min\Big(\hat I_{‖Δ‖²/2σ²},\; \tfrac12 \ln\det(1 + \mathrm{Cov}(S)/σ²)\Big)

    Attributes
    ----------
    bhattacharyya, likelihood : array, shape (k,)
        Lower bounds by Bhattacharyya distances and by expected likelihood; neither is always the larger.
    kl, gaussian : array, shape (k,)
        Upper bounds by KL divergences and by the largest entropy of a given covariance.
    slack : float
        A bound on the rounding of the four.

    References
    ----------
    [kolchinsky2017]_
    """

    bhattacharyya: Float[np.ndarray, " k"]
    likelihood: Float[np.ndarray, " k"]
    kl: Float[np.ndarray, " k"]
    gaussian: Float[np.ndarray, " k"]
    slack: float

    @property
    def lower(self) -> Float[np.ndarray, " k"]:
        """The larger lower bound, at least 0, rounding subtracted."""
        return np.asarray(np.maximum(np.maximum(self.bhattacharyya, self.likelihood) - self.slack, 0.0))

    @property
    def upper(self) -> Float[np.ndarray, " k"]:
        """The smaller upper bound, at least 0, rounding added."""
        return np.asarray(np.maximum(np.minimum(self.kl, self.gaussian) + self.slack, 0.0))


def entropy_bounds(centres: Float[np.ndarray, "n d"], weights: Float[np.ndarray, "n k"], sigma: float) -> EntropyBounds:
    """Bounds on h(S + Z) − h(Z), Z ~ N(0, σ² I), for each column of weights on the centres.

    Parameters
    ----------
    centres : array, shape (n, d)
    weights : array, shape (n, k)
        Each column a distribution, or all zeros.
    sigma : float
    """
    near, middle, far = (pairwise_entropy(s, weights) for s in pair_sums(centres, weights, sigma))
    likelihood = middle - 0.5 * centres.shape[1] * (1.0 - np.log(2.0))
    gaussian = np.array([gaussian_bound(centres, w, sigma) for w in weights.T])
    return EntropyBounds(near, likelihood, far, gaussian, rounding(centres, sigma))


# --- tiles of exponents ---


def _expanded_tiles(
    own: Int[np.ndarray, " r"], noise: FloatArray, centres: FloatArray, sigma: float, whole: bool
) -> Iterator[tuple[slice, slice, FloatArray, bool]]:
    """Points, centres, their exponents, and whether some have to be cut off; all centres at once where `whole`."""
    n, d = centres.shape
    c = (centres - centres.mean(axis=0)) / sigma
    half = 0.5 * (c * c).sum(axis=1)
    right = np.vstack([c.T, -half, np.ones(n)])
    reach = 2.0 * float(np.sqrt(2.0 * half.max()))  # no two centres are further apart
    far = reach**2 + 2.0 * reach * float(np.abs(noise).max()) * np.sqrt(d) / sigma > 2.0 * LARGEST_EXPONENT
    rows, width = (max(8, BLOCK[0] * BLOCK[1] // n), n) if whole else BLOCK
    buffer = np.empty(rows * min(width, n))
    for start in range(0, len(own), rows):
        part = slice(start, start + rows)
        z, centre = noise[part] / sigma, c[own[part]]
        left = np.empty((len(z), d + 2))
        np.add(centre, z, out=left[:, :d])
        left[:, d] = 1.0
        left[:, d + 1] = -half[own[part]] - (centre * z).sum(axis=1)
        for first in range(0, n, width):
            columns = slice(first, min(first + width, n))
            tile = buffer[: len(z) * (columns.stop - first)].reshape(len(z), -1)
            yield part, columns, np.matmul(left, right[:, columns], out=tile), far


def _difference_tiles(
    own: Int[np.ndarray, " r"], noise: FloatArray, centres: FloatArray, sigma: float, whole: bool
) -> Iterator[tuple[slice, slice, FloatArray, bool]]:
    """The same without an expansion, always of all centres at once."""
    n, d = centres.shape
    rows = max(1, 8 * BLOCK[0] * BLOCK[1] // (n * d))
    for start in range(0, len(own), rows):
        part = slice(start, start + rows)
        with np.errstate(over="ignore"):
            delta = (centres[own[part], None] - centres) / sigma
            shifted = delta + 2.0 * noise[part, None] / sigma
            yield part, slice(0, n), -0.5 * np.einsum("rnd,rnd->rn", delta, shifted), True


def _pair_tiles(centres: FloatArray, sigma: float) -> Iterator[tuple[slice, slice, FloatArray]]:
    """−‖c_i − c_j‖²/8σ² of blocks of i and of j, those of j not before those of i."""
    from scipy.spatial.distance import cdist

    n, size = len(centres), BLOCK[1]
    c = (centres - centres.mean(axis=0)) / (2.0 * sigma)
    half, ones = 0.5 * (c * c).sum(axis=1), np.ones(n)
    direct = expansion_loss(centres, sigma) > LARGEST_LOSS
    left, right = np.column_stack([c, ones, -half]), np.vstack([c.T, -half, ones])
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    for number, i in enumerate(blocks):
        for j in blocks[number:]:
            if direct:
                with np.errstate(over="ignore"):
                    yield i, j, -0.125 * np.square(cdist(centres[i], centres[j]) / sigma)
            else:
                yield i, j, left[i] @ right[:, j]


def _loss(scale: float, d: int) -> float:
    return EPS * 8.0 * (d + 4) * (1.0 + scale)
