"""What the search over boxes asks of a problem, and the boxes of decoders of IB; those of dualIB are in dual_family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dualib.certificate.boxes.bounds import Point, Relaxation, bound_at, tighten
from dualib.certificate.boxes.local import first_scale, parabolas
from dualib.certificate.boxes.newton import least_bound
from dualib.certificate.boxes.noise import CommonNoise
from dualib.certificate.boxes.second_order import second_order_bound
from dualib.certificate.boxes.shares import capped_means, narrowed
from dualib.certificate.boxes.splits import AnySplit, Chords
from dualib.core.typing import Bool, BoolArray, Float, FloatArray, IntArray

ENTRIES = 1 << 17  # (box, x) at a time: a megabyte, within the cache
SLACK = 1e-10  # for the rounding of means, and of logarithms of shares in units of β
NEARLY = 2.0  # times what the best split gives away: up to there, parabolas may be the best of the box's parts
STUCK = 0.999  # a box that keeps this share of the excess it was cut with has poor multipliers
SELDOM = 0.02  # share of boxes below which more common noise than before is not looked for
PAUSE = 7  # for so many batches
NOISE, LOCAL = 0, 1  # places of the pauses of IB: of common noise, of parabolas


@dataclass(frozen=True, eq=False)
class Examined:
    """Boxes (N, K) with their bounds.

    Attributes
    ----------
    bound : (N,), upper bounds of log G over decoders that belong to the boxes, nats.
    start : (N, ·), the multipliers that gave them.
    excess : (N, K), e_y: at s in a box the bound is less than `bound` by |e_y| times the distance to the end that e_y points to.
    given_away : (N, K), what the relaxation loses at `mean`, every y: where to cut.
    mean : (N, K), the relaxation's optimum in the boxes' own coordinates.
    value : (N,), values f ≤ max log G behind the bounds; `decoder` (N, K), decoders where log G is at least that.
    base : (N, K), decoders of the boxes about which the second-order bound is tried.
    """

    bound: FloatArray
    start: FloatArray
    excess: FloatArray
    given_away: FloatArray
    mean: FloatArray
    value: FloatArray
    decoder: FloatArray
    base: FloatArray


class BoxBounds(Protocol):
    """The bounds of log G over boxes in some coordinates of the decoders.

    Attributes
    ----------
    seen : (K,), the symbols y that the boxes know: those with a positive p(y|x).
    batch : int
        Boxes looked at together.
    reach : float
        Nats above the goal up to which the second-order bound is worth a trial, at first.
    pauses : list of int
        For so many batches, what was of no use in the last is not tried: all that the bounds remember.
    """

    seen: BoolArray
    batch: int
    reach: float
    pauses: list[int]

    def root(self, decoder: Float[np.ndarray, " k"]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Lower and upper ends of the box that holds every maximum, and first multipliers, given a decoder where G is large."""

    def rounding(self, low: FloatArray, atoms: FloatArray) -> float:
        """Allowance for floating-point error, nats, in all bounds over boxes above `low`."""

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders."""

    def tighten(self, low: FloatArray, high: FloatArray, reached: float) -> tuple[FloatArray, FloatArray]:
        """Boxes without what no maximum lies in, given a value of log G; high < low − 1e-12 where nothing is left."""

    def examine(
        self, low: FloatArray, high: FloatArray, start: FloatArray, parent: FloatArray, goal: float
    ) -> Examined:
        """First-order bounds, given the multipliers and bounds of the boxes that these were cut from."""

    def midway(self, low: FloatArray) -> Bool[np.ndarray, "n k"]:
        """Which symbols of boxes are cut in the middle, and not near the mean."""

    def curved(self, low: FloatArray) -> Bool[np.ndarray, " n"]:
        """Where the second-order bound exists."""

    def second_order(self, low: FloatArray, high: FloatArray, base: FloatArray) -> FloatArray:
        """Second-order bounds about decoders `base`."""


class IBBoxes:
    """Boxes l ≤ r ≤ u of decoders, or of their deviations.

    The multipliers are μ, and what is known of the box: common noise, its level and k, and the d of parabolas.
    """

    reach = 0.05  # parabolas do better farther off

    def __init__(self, log_weights: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], beta: float):
        self.seen = np.asarray((rows > 0).any(axis=0))
        self.batch = max(16, ENTRIES // len(rows))
        self.relaxation, self.log_weights = Relaxation.of(log_weights, rows[:, self.seen], beta), log_weights
        r = self.relaxation
        self.order = np.argsort(r.rows, axis=0)
        self.slack = SLACK * (1.0 + r.beta) + r.rounding(r.rows, r.rows[:0])
        self.by_rows, self.chords_only = r.split, r.split_by(0.0)
        self.noise, self.pauses = CommonNoise(r) if r.coordinates.common_noise else None, [0, 0]

    def root(self, decoder: Float[np.ndarray, " k"]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The box of the rows."""
        r = self.relaxation
        high = r.rows.max(axis=0)
        mu = r.beta * r.coordinates.logs_at(decoder[None])[0]
        start = np.concatenate([mu, np.zeros(1 + len(decoder)), first_scale(r, high)])[None]
        return r.rows.min(axis=0)[None], high[None], start

    def rounding(self, low: FloatArray, atoms: FloatArray) -> float:
        """It grows with the least r_y, where every row has y: where one has not, those that have it do not count at small r_y."""
        return self.relaxation.rounding(low, atoms)

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders."""
        return self.relaxation.log_g(r)

    def tighten(self, low: FloatArray, high: FloatArray, reached: float) -> tuple[FloatArray, FloatArray]:
        """Σ r = 1, and r is the mean of the rows by their shares."""
        r = self.relaxation

        def once(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
            low, high = tighten(low, high, r.coordinates.total)
            nearest = r.coordinates.nearest(r.rows, low, high)
            log_caps = self.log_weights - r.beta * nearest + (self.slack - reached)
            least, most = capped_means(r.rows, self.order, log_caps)
            return np.maximum(low, least - SLACK), np.minimum(high, most + SLACK)

        return narrowed(low, high, once)

    def examine(
        self, low: FloatArray, high: FloatArray, start: FloatArray, parent: FloatArray, goal: float
    ) -> Examined:
        """Chords for what the best split leaves; where that is no better than the box that it was cut from, chords for all."""
        k = low.shape[1]
        mu, level, extra, scale = start[:, :k], start[:, k].astype(np.int64), start[:, k + 1 : -k], start[:, -k:]
        level, extra = self._common_noise(low, high, level, extra)
        by_noise = self.by_rows if self.noise is None else self.noise.split(level, extra)
        splits = self.by_rows, by_noise, self.relaxation.parabolas(1.0 / scale, high)
        lost = np.stack([_lost(split, low, high) for split in splits])
        noisy, about = lost.argmin(axis=0) == 1, lost.argmin(axis=0) == 2
        self.pauses[NOISE] = (
            self.pauses[NOISE] - 1 if self.pauses[NOISE] else PAUSE * int((noisy & (level > 0)).mean() < SELDOM)
        )
        split = splits[2].where(about, splits[1].where(noisy, splits[0]))
        point = least_bound(self.relaxation, Chords.of(split, low, high), mu, goal)
        outside = np.flatnonzero(noisy)
        if self.noise is not None:
            outside = outside[~self.noise.holds(point.posterior[outside], level[outside], extra[outside])]
        if len(outside):
            other = least_bound(
                self.relaxation, Chords.of(self.by_rows, low[outside], high[outside]), mu[outside], goal
            )
            point.replaced(outside, other, np.ones(len(outside), dtype=bool))
        split, scale = self._held(point, split, about, low, high, scale, goal, lost.min(axis=0))
        # On faces, what needs no chords may hold the multipliers where they are.
        stuck = np.flatnonzero((point.bound > goal) & (point.bound > STUCK * parent + (1.0 - STUCK) * goal))
        if len(stuck):
            plain = Chords.of(self.chords_only, low[stuck], high[stuck])
            other = least_bound(self.relaxation, plain, mu[stuck], goal)
            point.replaced(stuck, other, other.bound < point.bound[stuck])
        mean = np.clip(point.mean, low, high)
        given_away = Chords.of(split, low, high).gaps(mean)
        given_away += np.maximum(point.excess * low, point.excess * high) - point.excess * mean
        multipliers = np.column_stack([point.mu, level, extra, scale])
        at_mean, at_base = (self.relaxation.coordinates.probabilities(c) for c in (point.mean, mean))
        return Examined(point.bound, multipliers, point.excess, given_away, mean, point.value, at_mean, at_base)

    def _held(
        self,
        point: Point,
        split: AnySplit,
        about: BoolArray,
        low: FloatArray,
        high: FloatArray,
        scale: FloatArray,
        goal: float,
        lost: FloatArray,
    ) -> tuple[AnySplit, FloatArray]:
        """The split whose parabolas hold at the q of `point`, which gets its bounds, and better d.

        Boxes with another split are looked at for their parts' sake, unless parabolas were far from of use in the last such batch.
        """
        curious, at = not self.pauses[LOCAL], np.flatnonzero(about)
        if curious:
            at = np.flatnonzero(about | (point.bound > goal))
        self.pauses[LOCAL] = max(0, self.pauses[LOCAL] - 1)
        if not len(at):
            return split, scale
        scale = scale.copy()
        curvature, scale[at] = parabolas(self.relaxation, point.take(at), low[at], high[at], scale[at])
        held, chosen = self.relaxation.parabolas(curvature, high[at]), about[at]
        inside = at[chosen]
        chords = Chords.of(held.take(chosen), low[inside], high[inside])
        point.replaced(inside, bound_at(self.relaxation, chords, point.mu[inside]), np.ones(len(inside), dtype=bool))
        if curious and (_lost(held, low[at], high[at]) < NEARLY * lost[at]).mean() < SELDOM:
            self.pauses[LOCAL] = PAUSE
        return split.replaced(inside, held.take(chosen)), scale

    def _common_noise(
        self, low: FloatArray, high: FloatArray, level: IntArray, extra: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """The common noise that is known of the boxes, no less useful than that of the boxes that they were cut from."""
        if self.noise is None:
            return level, extra
        inside = np.flatnonzero((low > 0).all(axis=1))
        if not self.pauses[NOISE] and len(inside) and len(self.noise.levels) > 1:
            extra = extra.copy()
            level[inside], extra[inside] = self.noise.least(low[inside], high[inside], level[inside], extra[inside])
        return level, extra

    def midway(self, low: FloatArray) -> Bool[np.ndarray, "n k"]:
        """Where r_y cannot vanish: on faces, near the mean, which leaves a small part without the face."""
        return np.asarray(self.relaxation.coordinates.probabilities(low) > 0)

    def curved(self, low: FloatArray) -> Bool[np.ndarray, " n"]:
        """Where no r_y can vanish."""
        return np.asarray((self.relaxation.coordinates.probabilities(low) > 0).all(axis=1))

    def second_order(self, low: FloatArray, high: FloatArray, base: FloatArray) -> FloatArray:
        """See :func:`second_order_bound`."""
        return second_order_bound(self.relaxation, low, high, base)


def _lost(split: AnySplit, low: FloatArray, high: FloatArray) -> FloatArray:
    """What the chords of a split give away at the boxes' middles, (N,)."""
    return np.asarray(Chords.of(split, low, high).gaps(0.5 * (low + high)).sum(axis=1))
