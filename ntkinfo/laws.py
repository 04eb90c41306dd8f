"""Gaussian laws of outputs, and the spectral functions that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dualib.core.arrays import positive
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray


@dataclass(frozen=True, eq=False)
class Rounding(Result):
    """The largest errors of a law's means and variances that floating-point arithmetic explains, one time or many.

    Attributes
    ----------
    mean : array, shape (*times, n, k)
    variance : array, shape (..., n)
    """

    mean: Float[np.ndarray, "*times n k"]
    variance: Float[np.ndarray, "*times n"]


@dataclass(frozen=True, eq=False)
class Law(Result):
    """A Gaussian law of the outputs on n points: k independent outputs with one covariance. Leading axes, if any, are
    times.

    Attributes
    ----------
    mean : array, shape (..., n, k)
    covariance : array, shape (..., n, n)
        The same for each output.
    rounding : Rounding or None
        The errors of both, where they are known: upper bounds made of the law have them added.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Law(mean=np.array([[1.0], [-0.5]]), covariance=np.array([[0.25, 0.1], [0.1, 0.5]]))
    >>> law.marginals().variance
    array([0.25, 0.5 ])
    """

    mean: Float[np.ndarray, "*times n k"]
    covariance: Float[np.ndarray, "*times n n"]
    rounding: Rounding | None = None

    @property
    def variance(self) -> Float[np.ndarray, "*times n"]:
        """The variance of each point's outputs, shape (..., n)."""
        return np.diagonal(self.covariance, axis1=-2, axis2=-1)

    def marginals(self) -> Marginals:
        """The law of single points, without their covariances."""
        return Marginals(self.mean, self.variance.copy(), self.rounding)  # a view would keep the covariances

    def with_output_noise(self, variance: float) -> Law:
        """The law of the outputs plus independent Gaussian noise of that variance."""
        covariance, index = self.covariance.copy(), np.arange(self.mean.shape[-2])
        covariance[..., index, index] += positive(variance, "variance", zero=True)
        return Law(self.mean, covariance, self.rounding)

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.mean, self.covariance))


@dataclass(frozen=True, eq=False)
class Marginals(Result):
    """The Gaussian law of each point by itself. Leading axes, if any, are times.

    Attributes
    ----------
    mean : array, shape (..., n, k)
    variance : array, shape (..., n)
        The same for each output; an exact 0 where it is below the rounding error of its computation.
    rounding : Rounding or None
        The errors of both, where they are known.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> law = ntkinfo.Marginals(mean=np.array([[1.0], [-0.5]]), variance=np.array([0.25, 0.5]))
    >>> law.mean.shape, law.variance
    ((2, 1), array([0.25, 0.5 ]))
    """

    mean: Float[np.ndarray, "*times n k"]
    variance: Float[np.ndarray, "*times n"]
    rounding: Rounding | None = None

    def with_output_noise(self, variance: float) -> Marginals:
        """The law of the outputs plus independent Gaussian noise of that variance."""
        return Marginals(self.mean, self.variance + positive(variance, "variance", zero=True), self.rounding)


@dataclass(frozen=True, eq=False)
class Spectrum(Result):
    """The functions of an eigenvalue on which everything depends, at T times; each has shape (T, n)."""

    decay: Float[np.ndarray, "t n"]
    """e: what is left of a mode's error, without ridge."""
    response: Float[np.ndarray, "t n"]
    """a = (1 - e)/(λ + ρ); 0 for the modes in the null space of Θ, which are never seen."""
    fitted: Float[np.ndarray, "t n"]
    """λa: the fraction of the label that is fitted."""
    residual: Float[np.ndarray, "t n"]
    """r = 1 - λa; equal to e without ridge."""
    log_residual: Float[np.ndarray, "t n"]
    """log |r|, computed without forming r, so that it does not underflow."""


def kl_gap(ratio: FloatArray) -> FloatArray:
    """The gap ratio - 1 - log ratio, accurate near 1."""
    x = ratio - 1
    small = np.clip(x, -1e-3, 1e-3)
    series = small**2 * (1 / 2 - small * (1 / 3 - small * (1 / 4 - small * (1 / 5 - small * (1 / 6 - small / 7)))))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(x) < 1e-3, series, x - np.log(ratio))
