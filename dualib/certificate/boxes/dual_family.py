"""What the search over boxes of log-odds is made of: dualIB's counterpart of the boxes of decoders."""

from __future__ import annotations

import numpy as np

from dualib.certificate.boxes.dual_bounds import DualChords, DualRelaxation, balanced, decoders_of
from dualib.certificate.boxes.dual_newton import least_dual_bound
from dualib.certificate.boxes.dual_second_order import dual_second_order_bound
from dualib.certificate.boxes.families import ENTRIES, SLACK, Examined
from dualib.certificate.boxes.shares import capped_means, narrowed, nearest_log_mixture
from dualib.core.typing import Bool, Float, FloatArray


class DualBoxes:
    """Boxes l ≤ t ≤ u of log-odds; the multipliers are e and log τ."""

    reach = 1.0

    def __init__(self, log_weights: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n k"], beta: float):
        self.seen = np.ones(rows.shape[1], dtype=bool)
        self.batch = max(16, ENTRIES // len(rows))
        self.relaxation = DualRelaxation.of(log_weights, rows, beta)
        self.order = np.argsort(self.relaxation.odds, axis=0)
        self.slack = SLACK * (1.0 + beta) + self.relaxation.rounding
        self.room = SLACK * (1.0 + np.abs(self.relaxation.odds).max())
        self.pauses: list[int] = []

    def root(self, decoder: Float[np.ndarray, " k"]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The box of the rows' log-odds."""
        odds = self.relaxation.odds
        start = np.zeros((1, odds.shape[1] + 1))
        start[0, -1] = -odds.max()
        return odds.min(axis=0)[None], odds.max(axis=0)[None], start

    def rounding(self, low: FloatArray, atoms: FloatArray) -> float:
        """The same for all boxes: it grows with the least p(y|x)."""
        return self.relaxation.rounding

    def log_g(self, r: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
        """The values of log G at decoders."""
        return self.relaxation.log_g(r)

    def tighten(self, low: FloatArray, high: FloatArray, reached: float) -> tuple[FloatArray, FloatArray]:
        """Σ t = 0, and t is the mean of the rows' log-odds by their shares."""
        r = self.relaxation

        def once(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
            low, high = balanced(r, low, high)
            log_caps = r.log_weights - r.beta * nearest_log_mixture(r.log_rows, *decoders_of(r.centre, low, high))
            least, most = capped_means(r.odds, self.order, log_caps + (self.slack - reached))
            return np.maximum(low, least - self.room), np.minimum(high, most + self.room)

        return narrowed(low, high, once)

    def examine(
        self, low: FloatArray, high: FloatArray, start: FloatArray, parent: FloatArray, goal: float
    ) -> Examined:
        """Chords of h(t) = e^t − 1 − t."""
        r = self.relaxation
        chords = DualChords.of(r, low, high)
        point = least_dual_bound(r, chords, start[:, :-1], start[:, -1], goal)
        mean = np.clip(point.mean, low, high)
        given_away = r.beta * np.exp(point.log_tau)[:, None] * chords.gaps(r, mean)
        given_away += np.maximum(point.excess * low, point.excess * high) - point.excess * mean
        value, decoder = point.linear + r.log_partition(point.mean), r.decoders(point.mean)
        multipliers = np.column_stack([point.excess, point.log_tau])
        return Examined(point.bound, multipliers, point.excess, given_away, mean, value, decoder, decoder)

    def midway(self, low: FloatArray) -> Bool[np.ndarray, "n k"]:
        """Nowhere: it makes no difference."""
        return np.zeros(low.shape, dtype=bool)

    def curved(self, low: FloatArray) -> Bool[np.ndarray, " n"]:
        """Everywhere."""
        return np.ones(len(low), dtype=bool)

    def second_order(self, low: FloatArray, high: FloatArray, base: FloatArray) -> FloatArray:
        """See :func:`dual_second_order_bound`."""
        least, most = decoders_of(self.relaxation.centre, low, high)
        return dual_second_order_bound(self.relaxation, least, most, base)
