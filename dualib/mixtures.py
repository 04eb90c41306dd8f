"""Sums of Gaussian kernels over all pairs of points and centres, in tiles that stay in the processor's cache.

The exponents come from one matrix product of augmented vectors, in float64: the expansion of a squared distance loses
about eps ‖c‖²/σ², so that the data are centred first and single precision is not used (at ‖c‖/σ = 400 it would leave an
error of 0.01 in an exponent).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TILE = 2**15
"""Entries of a tile, 256 KiB; at least 8 rows."""

LARGEST_EXPONENT = 600.0
"""Above this a row is shifted by its maximum before the exponential; under minus this exponents are cut off, as
arithmetic with denormal numbers is many times slower. What that adds, e^{-600} a pair, is under all rounding."""


def rounding(centres: FloatArray, sigma: float) -> float:
    """A bound on the relative error of a sum of kernels, from the rounding of exponents and sums.

    Parameters
    ----------
    centres : array, shape (n, d).
    sigma : standard deviation of the kernel.
    """
    n, d = centres.shape
    scale = float((((centres - centres.mean(axis=0)) / sigma) ** 2).sum(axis=1).max())
    return float(np.finfo(np.float64).eps) * (8.0 * (d + 4) * (1.0 + scale) + 2.0 * n)


def kernel_sums(
    own: NDArray[np.integer], noise: FloatArray, centres: FloatArray, weights: FloatArray, sigma: float
) -> tuple[FloatArray, FloatArray]:
    r"""Sums of weighted kernels at noisy centres, relative to the kernel of the own centre.

    .. math:: S_{rk} = e^{-m_r} \sum_j w_{jk} \exp\frac{‖z_r‖² - ‖c_{i(r)} + z_r - c_j‖²}{2σ²}

    Parameters
    ----------
    own : int array, shape (r,): the centre i(r) of each point.
    noise : array, shape (r, d): z, so that the points are t = c_i + z.
    centres : array, shape (n, d).
    weights : array, shape (n, k).
    sigma : standard deviation of the kernel.

    Returns
    -------
    S, shape (r, k), and m, shape (r,), which is 0 except where S would overflow.
    """
    n, d = centres.shape
    c = (centres - centres.mean(axis=0)) / sigma
    half = 0.5 * (c * c).sum(axis=1)
    right = np.vstack([c.T, -half, np.ones(n)])
    sums, shifts = np.empty((len(own), weights.shape[1])), np.zeros(len(own))
    rows = max(8, TILE // n)
    far = (
        _reach(half) ** 2 + 2.0 * _reach(half) * float(np.abs(noise).max()) * np.sqrt(d) / sigma
        > 2.0 * LARGEST_EXPONENT
    )
    buffer = np.empty((rows, n))
    for start in range(0, len(own), rows):
        part = slice(start, start + rows)
        z, centre = noise[part] / sigma, c[own[part]]
        left = np.empty((len(z), d + 2))
        np.add(centre, z, out=left[:, :d])
        left[:, d] = 1.0
        left[:, d + 1] = -half[own[part]] - (centre * z).sum(axis=1)
        tile = np.matmul(left, right, out=buffer[: len(z)])
        if 0.5 * (z * z).sum(axis=1).max() > LARGEST_EXPONENT:
            shifts[part] = tile.max(axis=1)
            tile -= shifts[part, None]
        if far:
            np.maximum(tile, -LARGEST_EXPONENT, out=tile)
        np.matmul(np.exp(tile, out=tile), weights, out=sums[part])
    return sums, shifts


def pair_sums(centres: FloatArray, weights: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Weighted sums over the centres of three powers of one kernel.

    .. math:: \sum_j w_{jk} b_{ij}, \quad \sum_j w_{jk} b_{ij}^2, \quad \sum_j w_{jk} b_{ij}^4, \qquad
        b_{ij} = e^{-‖c_i - c_j‖²/8σ²}

    One exponential a pair, for half of the pairs: the powers are e^{-‖Δ‖²/4σ²} and e^{-‖Δ‖²/2σ²}, and b is symmetric.

    Parameters
    ----------
    centres : array, shape (n, d).
    weights : array, shape (n, k).
    sigma : standard deviation of the noise.

    Returns
    -------
    three arrays, shape (n, k).
    """
    n = len(centres)
    c = (centres - centres.mean(axis=0)) / (2.0 * sigma)
    half = 0.5 * (c * c).sum(axis=1)
    ones = np.ones(n)
    left, right = np.column_stack([c, ones, -half]), np.vstack([c.T, -half, ones])
    sums = tuple(np.zeros_like(weights) for _ in range(3))
    rows = max(8, TILE // n)
    far = 2.0 * _reach(half) ** 2 > LARGEST_EXPONENT
    buffer = np.empty(rows * n)
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        tile = buffer[: (stop - start) * (n - start)].reshape(stop - start, n - start)
        np.matmul(left[start:stop], right[:, start:], out=tile)
        if far:
            np.maximum(tile, -0.25 * LARGEST_EXPONENT, out=tile)
        np.exp(tile, out=tile)
        for index, total in enumerate(sums):
            if index:
                np.multiply(tile, tile, out=tile)
            total[start:stop] += tile @ weights[start:]
            total[stop:] += tile[:, stop - start :].T @ weights[start:stop]
    return sums[0], sums[1], sums[2]


def _reach(half: FloatArray) -> float:
    """No two centres are further apart than this, given half their squared norms."""
    return 2.0 * float(np.sqrt(2.0 * half.max()))


def gaussian_bound(centres: FloatArray, weights: FloatArray, sigma: float) -> float:
    """½ ln det(1 + Cov/σ²) of weighted centres (n, d), nats: the largest h(S + Z) - h(Z) of this covariance."""
    scaled = (centres - weights @ centres) * (np.sqrt(weights) / sigma)[:, None]
    n, d = scaled.shape
    gram = scaled.T @ scaled if d <= n else scaled @ scaled.T
    return 0.5 * float(np.linalg.slogdet(np.eye(len(gram)) + gram)[1])
