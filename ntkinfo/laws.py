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
class Collapse(Result):
    r"""A law near the labels to which it is trained, whose digits survive what the means and variances round off.

    The means are ``target - size * shortfall`` and the variances ``size² * spread``, with a size that goes to 0 as
    training goes on, far below the last digit of the target, and is therefore kept as a logarithm.

    Attributes
    ----------
    target : array, shape (n, k)
    shortfall : array, shape (T, n, k), or (n, k) at one time
    spread : array, shape (T, n), or (n,)
    log_size : array, shape (T,), or a scalar
    """

    target: Float[np.ndarray, "n k"]
    shortfall: Float[np.ndarray, "*times n k"]
    spread: Float[np.ndarray, "*times n"]
    log_size: Float[np.ndarray, "*times"]

    def __getitem__(self, times: slice | int) -> Collapse:
        return Collapse(self.target, self.shortfall[times], self.spread[times], np.asarray(self.log_size[times]))

    def with_output_noise(self, variance: float) -> Collapse:
        """The same of outputs with noise of that variance, beside which nothing collapses."""
        if variance == 0:
            return self
        size = np.exp(self.log_size)[..., None]
        noisy = size**2 * self.spread + variance
        return Collapse(self.target, size[..., None] * self.shortfall, noisy, np.zeros_like(self.log_size))


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
    collapse : Collapse or None
        The same law without rounding, on training points.

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
    collapse: Collapse | None = None

    @property
    def variance(self) -> Float[np.ndarray, "*times n"]:
        """The variance of each point's outputs, shape (..., n)."""
        return np.diagonal(self.covariance, axis1=-2, axis2=-1)

    def marginals(self) -> Marginals:
        """The law of single points, without their covariances."""
        return Marginals(
            self.mean, self.variance.copy(), self.rounding, self.collapse
        )  # no view, which would keep the covariances

    def with_output_noise(self, variance: float) -> Law:
        """The law of the outputs plus independent Gaussian noise of that variance."""
        covariance, index = self.covariance.copy(), np.arange(self.mean.shape[-2])
        covariance[..., index, index] += positive(variance, "variance", zero=True)
        return Law(self.mean, covariance, self.rounding, self.collapse and self.collapse.with_output_noise(variance))

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
    collapse : Collapse or None
        The same law without rounding, on training points.

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
    collapse: Collapse | None = None

    def with_output_noise(self, variance: float) -> Marginals:
        """The law of the outputs plus independent Gaussian noise of that variance."""
        noisy = self.variance + positive(variance, "variance", zero=True)
        return Marginals(self.mean, noisy, self.rounding, self.collapse and self.collapse.with_output_noise(variance))


def in_own_units(law: Law | Marginals) -> Marginals:
    """Laws with the same information about the inputs, means and variances in units in which they keep their digits.

    Where targets are further apart than a thousand widths, how far they are does not matter, nor does the unit: there
    each target's points lie about a place of its own.
    """
    collapse = law.collapse
    plain = Marginals(law.mean, law.variance, law.rounding)
    if collapse is None:
        return plain
    targets, of_point = np.unique(collapse.target, axis=0, return_inverse=True)
    steps = np.diff(np.sort(targets, axis=0), axis=0)
    least = float(steps[steps > 0].min(initial=np.inf))  # targets differ by as much in some output
    width = np.abs(collapse.shortfall).max(axis=(-2, -1)) + np.sqrt(collapse.spread.max(axis=-1))
    with np.errstate(divide="ignore"):
        far = (np.log(least) > np.log(1e3 * width) + collapse.log_size) & (width > 0)
    place = np.zeros_like(collapse.shortfall)
    place[..., 0] = 1e3 * width[..., None] * of_point.ravel()
    mean = np.where(far[..., None, None], place - collapse.shortfall, law.mean)
    return Marginals(mean, np.where(far[..., None], collapse.spread, law.variance))


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
