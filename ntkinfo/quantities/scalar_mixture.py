"""Mixtures of Gaussian densities on the line, one at each time, and the integrands of their information at points near some of the means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.special import EPS, ratio_gap
from dualib.core.typing import Bool, Float, FloatArray, Int, IntArray
from ntkinfo.resources import column_blocks

REACH = 9.0
"""Standard deviations, beyond which nothing of a density is left."""

_TOGETHER = 32  # points, at which those densities are looked at that count at one of them
_BLOCK = 2**16  # groups of points times densities in one array
_NEGLIGIBLE = 60.0  # by which the logarithm of a density that does not count is below that of two others


@dataclass(frozen=True, eq=False)
class Mixtures:
    """Densities with means ``place + rest``: what differs by far less than the places' last digits is known in the rests.

    A density of all times has the number ``time * n + point``. Where `sigma` is 0 there is none.
    """

    place: Float[np.ndarray, "t n"]
    rest: Float[np.ndarray, "t n"]
    sigma: Float[np.ndarray, "t n"]

    @property
    def n(self) -> int:
        """The number of densities of one time, those that are none included."""
        return int(self.place.shape[1])

    @property
    def count(self) -> Int[np.ndarray, " t"]:
        """The number of densities at each time."""
        return np.asarray((self.sigma > 0).sum(axis=1))

    def at(self, times: Bool[np.ndarray, " t"]) -> Mixtures:
        """The mixtures of those times, and none at the others."""
        return Mixtures(self.place, self.rest, np.where(times[:, None], self.sigma, 0.0))

    def integrands(self, base: IntArray, offset: FloatArray) -> Float[np.ndarray, "points 2"]:
        """Σ_i p_i log(p_i / mean of all p_j) at the points z at an offset from the mean of the density `base`, and the same without
        j = i; the points in the order of time. z is never formed: a narrow density knows the distance from its own mean to all digits.
        """
        found, groups = np.empty((base.size, 2)), _groups(base // self.n)
        for where in column_blocks(len(groups), max(1, _BLOCK // self.n)):
            rows = groups[where]
            found[rows] = self._in_groups(base[rows], offset[rows])
        return found

    def _in_groups(self, base: IntArray, offset: FloatArray) -> Float[np.ndarray, "groups each 2"]:
        """The integrands at groups of points of one time each, of the densities that count there: pairs of a group and a density, one
        below the other.
        """
        group, density = np.nonzero(self._counting(base, offset))
        time, starts = base[group, 0] // self.n, np.searchsorted(group, np.arange(len(base)))
        place, rest, sigma = self.place[time, density], self.rest[time, density], self.sigma[time, density]
        log_p = self.rest.ravel()[base][group] - rest[:, None]
        log_p += self.place.ravel()[base][group] - place[:, None]
        log_p += offset[group]
        log_p /= sigma[:, None]
        log_p *= log_p
        log_p *= -0.5
        log_p -= (np.log(sigma) + 0.5 * np.log(2 * np.pi))[:, None]
        top = np.maximum.reduceat(log_p, starts)
        log_p -= top[group]
        p = np.exp(log_p)
        sums = np.add.reduceat(p, starts)
        own = np.add.reduceat(p * log_p, starts)  # Σ p log p
        # log Σ_{j≠i} p_j without cancellation: the largest density's is summed afresh, in the unit of the second largest
        largest = log_p == 0
        ties = np.add.reduceat(largest, starts, dtype=np.float64)
        p[largest], log_p[largest] = 0.0, -np.inf
        second = np.where(ties > 1, 0.0, np.maximum.reduceat(log_p, starts))
        beside = np.add.reduceat(np.exp(log_p - second[group]), starts) + (ties - 1)
        others = np.add.reduceat(p * np.log(sums[group] - p), starts) + ties * (second + np.log(beside))
        n = self.count[base[:, :1] // self.n]
        inside = own - sums * (np.log(sums) - np.log(n))
        return np.asarray(np.exp(top)[..., None] * np.stack([inside, own - others + sums * np.log(n - 1)], axis=-1))

    def _counting(self, base: IntArray, offset: FloatArray) -> Bool[np.ndarray, "groups n"]:
        """The densities that count in each group: all but those that are below e^{-60} of two others at each of its points."""
        time, place, rest = base[:, 0] // self.n, self.place.ravel()[base], self.rest.ravel()[base]
        along = (place - place[:, :1]) + (rest - rest[:, :1]) + offset
        low, high = along.min(axis=1, keepdims=True), along.max(axis=1, keepdims=True)
        places, rests = place[:, :1] - self.place[time], rest[:, :1] - self.rest[time]
        size = np.abs(self.rest[time]).max(axis=1, keepdims=True) + np.maximum(-low, high)
        rounding = 8 * EPS * (np.abs(places) + np.abs(rests) + size)
        low, high = (places + rests + end for end in (low, high))
        sigma = self.sigma[time]
        there = sigma > 0
        sigma[~there] = 1.0
        log_sigma = np.log(sigma)
        most = (np.maximum(np.abs(low), np.abs(high)) + rounding) / sigma
        least = np.maximum(np.maximum(low, -high) - rounding, 0.0) / sigma
        with np.errstate(over="ignore"):
            above, below = (-0.5 * far**2 - log_sigma for far in (least, most))
        below[~there] = -np.inf
        below[np.arange(len(below)), below.argmax(axis=1)] = -np.inf
        return np.asarray(there & (above >= below.max(axis=1, keepdims=True) - _NEGLIGIBLE))

    def rivals(self) -> Int[np.ndarray, "t n"]:
        """Of each density that lies where no other one does, the only other one that counts there, if there is no third; or -1."""
        position = np.where(self.sigma > 0, self.place + self.rest, np.inf)
        reach = REACH * self.sigma + 8 * EPS * np.abs(self.place + self.rest).max(axis=1, keepdims=True)
        order = np.argsort(position, axis=1)
        low, high = (np.take_along_axis(position + side * reach, order, axis=1) for side in (-1, 1))
        apart = np.ones(order.shape, dtype=bool)
        apart[:, 1:] &= np.maximum.accumulate(high, axis=1)[:, :-1] < low[:, 1:]
        apart[:, :-1] &= np.minimum.accumulate(low[:, ::-1], axis=1)[:, ::-1][:, 1:] > high[:, :-1]
        time, among = np.nonzero(apart & (self.count[:, None] > 1) & np.isfinite(low))
        point, found = order[time, among], np.full(order.shape, -1)
        for where in column_blocks(point.size, max(1, _BLOCK // self.n)):
            own, at = point[where], time[where]
            ends = np.outer(self.sigma[at, own], [-REACH, REACH])
            counts = self._counting(np.stack([at * self.n + own] * 2, axis=1), ends)
            counts[np.arange(own.size), own] = False
            found[at, own] = np.where(counts.sum(axis=1) == 1, counts.argmax(axis=1), -1)
        return found

    def of_rivals(self, rival: Int[np.ndarray, "t n"]) -> Float[np.ndarray, "t 2"]:
        """Both integrals of the densities that have a rival, whose mixtures are themselves and their rivals where they lie."""
        time, point = np.nonzero(rival >= 0)
        other = rival[time, point]
        sigma, log_n = self.sigma[time, other], np.log(np.maximum(self.count[time][:, None] - [0, 1], 1))
        distance = self.place[time, point] - self.place[time, other]
        distance += self.rest[time, point] - self.rest[time, other]
        kl = 0.5 * (distance / sigma) ** 2 + 0.5 * ratio_gap((self.sigma[time, point] / sigma) ** 2)
        return sums_by(time, log_n + kl[:, None] * [0, 1], len(rival))


def sums_by(time: IntArray, values: Float[np.ndarray, "points 2"], times: int) -> Float[np.ndarray, "t 2"]:
    """The sums of the values of each time.

    Examples
    --------
    >>> sums_by(np.array([0, 1, 1]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), 2)
    array([[ 1.,  2.],
           [ 8., 10.]])
    """
    return np.stack([np.bincount(time, column, times) for column in values.T], axis=1, dtype=np.float64)


def _groups(time: IntArray) -> Int[np.ndarray, "groups each"]:
    """Points, in the order of time, in groups of one time each; the last ones of a time are filled up with its last point."""
    starts = np.flatnonzero(np.diff(time, prepend=-1))
    sizes = np.diff(starts, append=time.size)
    count = -(-sizes // _TOGETHER)
    first = np.repeat(starts - (np.cumsum(count) - count) * _TOGETHER, count) + np.arange(count.sum()) * _TOGETHER
    last = np.repeat(starts + sizes, count) - 1
    return np.asarray(np.minimum(first[:, None] + np.arange(_TOGETHER), last[:, None]))
