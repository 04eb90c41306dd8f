"""Gaussian laws of outputs, and the spectral functions that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dualib.core.arrays import positive
from dualib.core.result import Result
from dualib.core.special import EPS
from dualib.core.typing import Bool, Float, FloatArray, IntArray


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

    def __getitem__(self, times: IntArray | int | tuple[int, ...]) -> Rounding:
        return Rounding(self.mean[times], self.variance[times])

    def times(self, size: Float[np.ndarray, "*times n"]) -> Rounding:
        """The errors of outputs that are larger by a factor."""
        return Rounding(size[..., None] * self.mean, size**2 * self.variance)


@dataclass(frozen=True, eq=False)
class Collapse(Result):
    r"""A law near the labels to which it is trained, whose digits survive what the means and variances round off.

    The means are ``target - size * shortfall`` and the variances ``size² * spread``, with a size that goes to 0 as
    training goes on, far below the last digit of the target, and is therefore kept as a logarithm. Points that are not
    trained have the target 0 and the size 1.

    Attributes
    ----------
    target : array, shape (n, k)
    shortfall : array, shape (T, n, k), or (n, k) at one time
    spread : array, shape (T, n), or (n,)
    log_size : array, shape (T, n), or (n,)
    rounding : Rounding or None
        The errors of shortfall and spread, where they are known.
    """

    target: Float[np.ndarray, "n k"]
    shortfall: Float[np.ndarray, "*times n k"]
    spread: Float[np.ndarray, "*times n"]
    log_size: Float[np.ndarray, "*times n"]
    rounding: Rounding | None = None

    def __getitem__(self, times: IntArray | int | tuple[int, ...]) -> Collapse:
        rounding = self.rounding and self.rounding[times]
        return Collapse(self.target, self.shortfall[times], self.spread[times], self.log_size[times], rounding)

    def among(
        self,
        places: Bool[np.ndarray, " m"],
        mean: Float[np.ndarray, "*times m k"],
        variance: Float[np.ndarray, "*times m"],
        rounding: Rounding,
    ) -> Collapse:
        """The law of m points, those at `places` these ones, and all others not trained, of the law given."""
        errors = Rounding(rounding.mean.copy(), rounding.variance.copy())
        found = Collapse(np.zeros(mean.shape[-2:]), -mean, variance.copy(), np.zeros_like(variance), errors)
        found.target[places], found.shortfall[..., places, :] = self.target, self.shortfall
        found.spread[..., places], found.log_size[..., places] = self.spread, self.log_size
        if self.rounding is not None:
            errors.mean[..., places, :], errors.variance[..., places] = self.rounding.mean, self.rounding.variance
        return found

    def with_output_noise(self, variance: float) -> Collapse:
        """The same of outputs with noise of that variance, beside which nothing collapses."""
        if variance == 0:
            return self
        size = np.exp(self.log_size)
        noisy, rounding = size**2 * self.spread + variance, self.rounding and self.rounding.times(size)
        return Collapse(self.target, size[..., None] * self.shortfall, noisy, np.zeros_like(self.log_size), rounding)


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
        The same law without rounding, where some are training points.

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
        variance = self.variance.copy()  # no view, which would keep the covariances
        return Marginals(self.mean, variance, self.rounding, self.collapse)

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
        The same law without rounding, where some are training points.

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

    def __getitem__(self, times: IntArray) -> Marginals:
        rounding, collapse = self.rounding and self.rounding[times], self.collapse and self.collapse[times]
        return Marginals(self.mean[times], self.variance[times], rounding, collapse)

    def with_output_noise(self, variance: float) -> Marginals:
        """The law of the outputs plus independent Gaussian noise of that variance."""
        noisy = self.variance + positive(variance, "variance", zero=True)
        return Marginals(self.mean, noisy, self.rounding, self.collapse and self.collapse.with_output_noise(variance))


def limit_covariances(
    covariance: Float[np.ndarray, "t n n"], variance: Float[np.ndarray, "t n"], points: IntArray
) -> None:
    """Bound the covariances with some points, whose variances are known better than these, by |Σ_xy|² ≤ Σ_xx Σ_yy, in place."""
    sizes = np.sqrt(variance)
    for x in points:
        limit = sizes[:, x, None] * sizes
        limit[:, x] = np.inf
        np.clip(covariance[:, x], -limit, limit, out=covariance[:, x])
        covariance[:, :, x] = covariance[:, x]


_NARROW = 70.0  # of a width e^{-70} of all else it does not matter how much narrower it is


@dataclass(frozen=True, eq=False)
class Places(Result):
    """Gaussian outputs at ``place + rest``: what differs by far less than the places' last digits is known in the rests.

    Attributes
    ----------
    place, rest : arrays, shape (*times, n, k)
    variance : array, shape (*times, n)
    trained : array, shape (*times, n)
        Which points collapse.
    stretched : array, shape (*times, n)
        By how much the logarithm of a width is too large, of those that are alone at their place.
    """

    place: Float[np.ndarray, "*times n k"]
    rest: Float[np.ndarray, "*times n k"]
    variance: Float[np.ndarray, "*times n"]
    trained: Bool[np.ndarray, "*times n"]
    stretched: Float[np.ndarray, "*times n"]


def in_own_units(law: Law | Marginals) -> Places:
    """The law with the digits of its collapse, where a width is so small that it is no number stretched to one that is.

    That leaves the information about the inputs as it is: points of one target keep their distances in widths, and all others are
    far away.
    """
    collapse, nothing = law.collapse, np.zeros_like(law.variance)
    plain = Places(np.zeros_like(law.mean), law.mean, law.variance, np.zeros(nothing.shape, dtype=bool), nothing)
    if collapse is None:
        return plain
    seen = (collapse.log_size != 0).any(axis=tuple(range(collapse.log_size.ndim - 1)))
    targets, of_point, count = np.unique(collapse.target[seen], axis=0, return_inverse=True, return_counts=True)
    steps = np.diff(np.sort(targets, axis=0), axis=0)
    others = np.where(~seen & (collapse.spread > 0), np.sqrt(collapse.spread), np.inf).min(axis=-1, keepdims=True)
    near = np.minimum(others, steps[steps > 0].min(initial=np.inf))  # targets differ by as much
    near = np.where(np.isfinite(near), near, 1.0)
    widths = np.abs(collapse.shortfall).max(axis=-1) + np.sqrt(collapse.spread)
    width = np.where(seen, widths, 0.0).max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        least = np.log(near) - _NARROW - np.log(width)
    log_size = np.where(seen & (width > 0), np.maximum(collapse.log_size, least), collapse.log_size)
    size, alone = np.exp(log_size), np.zeros(seen.shape, dtype=bool)
    alone[seen] = count[of_point.ravel()] == 1
    stretched = np.where(alone, log_size - collapse.log_size, 0.0)
    variance = (size * np.sqrt(collapse.spread)) ** 2
    own = Places(
        np.broadcast_to(collapse.target, law.mean.shape),
        -size[..., None] * collapse.shortfall,
        variance,
        np.broadcast_to(seen, nothing.shape),
        stretched,
    )
    early = means_have_more_digits(law)
    if not early.any():
        return own
    return Places(
        *(
            np.where(early.reshape(early.shape + (1,) * (a.ndim - early.ndim)), a, b)
            for a, b in zip(vars(plain).values(), vars(own).values(), strict=True)
        )
    )


def means_have_more_digits(law: Law | Marginals) -> Bool[np.ndarray, "*times"]:
    """The times at which the means have more digits than what they lack of the labels, as early on of labels that are far larger."""
    if law.rounding is None or law.collapse is None or law.collapse.rounding is None:
        return np.full(law.mean.shape[:-2], law.collapse is None)
    own = np.exp(law.collapse.log_size) * mean_errors(law.collapse.shortfall, law.collapse.rounding)
    return np.asarray((mean_errors(law.mean, law.rounding) <= own).all(axis=-1))


def mean_errors(mean: Float[np.ndarray, "*times n k"], rounding: Rounding) -> Float[np.ndarray, "*times n"]:
    """By how much rounding may move means, that of their last digits included.

    Examples
    --------
    >>> found = mean_errors(np.ones((1, 1)), Rounding(np.zeros((1, 1)), np.zeros(1)))
    >>> bool(0 < found[0] < 1e-15)
    True
    """
    return np.asarray(4 * EPS * np.abs(mean).max(axis=-1) + np.sqrt((rounding.mean**2).sum(axis=-1)))


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
