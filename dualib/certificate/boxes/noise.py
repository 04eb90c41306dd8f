r"""How much noise the rows that count in a box have in common: what it says of the curvature of the entropy of q.

Take numbers l_y off every row. For any q and any ε_y, with v = p_q − l, λ = 1 − Σ l and c_{yy'}(q) = Σ_x q_x (p_x − l)(y) (p_x − l)(y'),

.. math:: \mathrm{Var}_q(p \cdot \varepsilon) + (v \cdot \varepsilon)^2 =
          \sum_y \lambda v_y \varepsilon_y^2 - \sum_{y < y'} c_{yy'}(q) (\varepsilon_y - \varepsilon_{y'})^2.

Let k_y ≥ 0 be such that the Laplacian matrix of the weights c(q), plus diag(k), has no negative eigenvalue. The set C of these q is convex,
as c is linear in q, and Var_q(p·ε) ≤ Σ_y d_y ε_y² on it, d = λ v + k. Hence Σ_x dq²/q ≥ Σ_y dp_q(y)²/d_y (Cauchy-Schwarz), so that a split
(:mod:`dualib.certificate.boxes.splits`) with the share 1/λ and the shifts l − k/λ leaves the entropy of q concave wherever both q and
the shares of the maximum lie in C. (Derived here.) l = min_x p_x puts all q there, with k = 0. More needs what is known of the maximum
of a box: its shares are q_x ∝ a_x e^{β p_x·log r}, r = p_q in the box. Within a group of rows with the same leading symbol they are known
up to a tilt |β (p_x − p̄)·(log r − log r0)| ≤ ρ_x, p̄ the mean row of the group, and means of any f under them lie between

.. math:: \frac{\sum_x \omega_x f_x \pm \sum_x \omega_x (e^{\rho_x} - 1) |f_x|}{\sum_x \omega_x e^{\pm\rho_x}}, \qquad \omega = q \text{ at } r_0;

r itself says what mass each group has. As a Laplacian matrix grows with its weights, lower bounds of c are enough to find k.
"""

from __future__ import annotations

import numpy as np

from dualib.certificate.boxes.bounds import Relaxation
from dualib.certificate.boxes.splits import Chords, Split
from dualib.core.typing import BoolArray, Float, FloatArray, Int, IntArray

RISE = 2  # levels above that of the box that it was cut from, up to which a box is tried with
NEARLY_ALL = 0.999  # of what all rows have in common, so that equal ones have no share of 1/0
LEVELS, TABLES = 5, 1 << 22  # l that are tried; fewer where their products take more entries than that, 32 MiB
FURTHEST = 1.25  # the largest one, times the one with c ≥ 0 where the groups have equal masses
LARGEST_TILT = 30.0  # beyond, nothing is known
MARGIN = 1e-10  # for the rounding of c and of eigenvalues, in units of 1 + β
EVEN = 1e-3  # of the negative weights at all symbols together: the least k_y, relative to the largest
LARGEST_EXTRA = 1.0  # k_y beyond, the split leaves hardly anything to the entropy, and rounding would count
ROOM, SMALLEST = 1e-12, 1e-300


class CommonNoise:
    """Numbers l of growing size, and the k that a box is known to need with one of them.

    Attributes
    ----------
    levels : array, shape (levels, K)
        The l; the first needs no k for any q.
    shares : array, shape (levels,)
        The shares 1/λ = 1/(1 − Σ l).
    """

    def __init__(self, relaxation: Relaxation):
        rows = relaxation.rows
        leader = rows.argmax(axis=1)
        order = np.argsort(leader, kind="stable")
        self.beta, self.rows, self.log_a = relaxation.beta, rows[order], relaxation.log_a[order]
        self.leaders, self.starts, self.numbers = np.unique(leader[order], return_index=True, return_counts=True)
        self.groups = [slice(a, a + m) for a, m in zip(self.starts, self.numbers, strict=True)]
        even = np.mean([self.rows[group].mean(axis=0) for group in self.groups], axis=0)
        weights = self._weights(np.log(np.maximum(even, SMALLEST))[None])[0]
        self.centres = np.add.reduceat(weights[:, None] * self.rows, self.starts, axis=0)
        self.apart = self.rows - np.repeat(self.centres, self.numbers, axis=0)
        self.pairs = np.triu_indices(rows.shape[1], 1)
        least = NEARLY_ALL * rows.min(axis=0)
        largest = FURTHEST * self._largest_anywhere(weights)
        number = int(np.clip(TABLES // (rows.shape[0] * max(1, len(self.pairs[0]))), 1, LEVELS))
        self.levels = least + np.linspace(0.0, 1.0, number)[:, None] * np.maximum(largest - least, 0.0)
        self.levels = self.levels[self.levels.sum(axis=1) < 1.0]
        self.shares = 1.0 / (1.0 - self.levels.sum(axis=1))
        self.margin = MARGIN * (1.0 + relaxation.beta)
        self.order, self.products = order, [self._products(level) for level in self.levels]

    def _largest_anywhere(self, weights: FloatArray) -> float:
        """The largest l, the same for all y, that has every c ≥ 0 where the groups have equal masses, up to its square."""
        moments = self.rows.T @ (self.rows * weights[:, None])
        ends = moments.sum(axis=1)
        return float(
            (moments[self.pairs] / np.maximum(ends[self.pairs[0]] + ends[self.pairs[1]], SMALLEST)).min(initial=1.0)
        )

    def _products(self, level: FloatArray) -> FloatArray:
        """The products (p_x − l)(y) (p_x − l)(y') for y < y', shape (n, K(K − 1)/2)."""
        left = self.rows - level
        return np.asarray(left[:, self.pairs[0]] * left[:, self.pairs[1]])

    def split(self, level: Int[np.ndarray, " N"], extra: Float[np.ndarray, "N k"]) -> Split:
        """The split with l of some levels and k = `extra`."""
        share = self.shares[level][:, None]
        return Split.of(self.beta, share, self.levels[level] - extra * share)

    def holds(
        self, posterior: Float[np.ndarray, "N n"], level: Int[np.ndarray, " N"], extra: Float[np.ndarray, "N k"]
    ) -> BoolArray:
        """Whether q (N, n) are in C at their levels with their k."""
        inside: BoolArray = np.asarray(level == 0)
        for j in np.unique(level[~inside]):
            at = np.flatnonzero(level == j)
            inside[at] = self._positive(posterior[at][:, self.order] @ self.products[j], extra[at])
        return inside

    def least(
        self, low: Float[np.ndarray, "N k"], high: Float[np.ndarray, "N k"], level: IntArray, extra: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Levels and k with which the shares of any maximum in the boxes are in C, given known ones; `low` > 0.

        Of all levels the one whose chords give the least away at the boxes' middle.
        """
        level, extra, middle = level.copy(), extra.copy(), 0.5 * (low + high)
        given_away = Chords.of(self.split(level, extra), low, high).gaps(middle).sum(axis=1)
        tilted = self._tilted(low, high)
        known = np.flatnonzero(tilted.known)
        reached = level.copy()
        for j in range(1, len(self.levels)) if len(known) else ():
            # The best level hardly ever falls from a box to its parts, and rises by one or two.
            likely = known[(reached[known] <= j) & (j <= reached[known] + RISE)]
            if not len(likely):
                continue
            weights = tilted.least(likely, self.products[j])
            needed = self._least_extra(weights)
            some = np.flatnonzero((needed.max(axis=1) <= LARGEST_EXTRA) & self._positive(weights, needed))
            at, needed = likely[some], needed[some]
            chords = Chords.of(self.split(np.full(len(at), j), needed), low[at], high[at])
            gives = chords.gaps(middle[at]).sum(axis=1)
            better = gives < given_away[at]
            level[at[better]], extra[at[better]], given_away[at[better]] = j, needed[better], gives[better]
        return level, extra

    def _least_extra(self, weights: FloatArray) -> FloatArray:
        """Nearly the least k for lower bounds of c (N, K(K − 1)/2), in proportion to the negative ones at every symbol."""
        matrix = self._laplacian(weights - self.margin)
        diagonal = np.arange(matrix.shape[1])
        shape = -self._laplacian(np.minimum(weights - self.margin, 0.0))[:, diagonal, diagonal]
        shape += EVEN * shape.sum(axis=1, keepdims=True) + self.margin
        root = np.sqrt(shape)
        smallest = np.linalg.eigvalsh(matrix / (root[:, :, None] * root[:, None, :]))[:, :1]
        return np.maximum(-smallest, 0.0) * (1.0 + 1e-6) * shape + 2.0 * self.margin

    def _positive(self, weights: FloatArray, extra: FloatArray) -> BoolArray:
        """Whether Lap(weights) + diag(extra) has no negative eigenvalue, with room for the rounding of both: Cholesky's pivots."""
        matrix = self._laplacian(weights - self.margin)
        number, k = matrix.shape[:2]
        diagonal = np.arange(k)
        matrix[:, diagonal, diagonal] += extra - self.margin
        positive = np.ones(number, dtype=bool)
        for y in range(k):
            pivot, column = matrix[:, y, y].copy(), matrix[:, y + 1 :, y]
            positive &= pivot > 0
            scaled = column / np.where(positive, pivot, np.inf)[:, None]
            matrix[:, y + 1 :, y + 1 :] -= scaled[:, :, None] * column[:, None, :]
        return positive

    def _laplacian(self, weights: FloatArray) -> FloatArray:
        """The matrices (N, K, K) of Σ_{y<y'} weights (ε_y − ε_y')²."""
        k = self.rows.shape[1]
        matrix = np.zeros((len(weights), k, k))
        matrix[:, self.pairs[0], self.pairs[1]] = matrix[:, self.pairs[1], self.pairs[0]] = -weights
        diagonal = np.arange(k)
        matrix[:, diagonal, diagonal] = -matrix.sum(axis=2)
        return matrix

    def _weights(self, log_r: FloatArray) -> FloatArray:
        """The shares q ∝ a e^{β p·log r} within every group, (N, n)."""
        terms = self.log_a + self.beta * log_r @ self.rows.T
        weights = np.exp(terms - np.maximum.reduceat(terms, self.starts, axis=1).repeat(self.numbers, axis=1))
        return np.asarray(weights / np.add.reduceat(weights, self.starts, axis=1).repeat(self.numbers, axis=1))

    def _tilted(self, low: FloatArray, high: FloatArray) -> _Tilted:
        log_low, log_high = np.log(low), np.log(high)
        tilt = self.beta * (0.5 * (log_high - log_low)) @ np.abs(self.apart).T
        weights = self._weights(0.5 * (log_low + log_high))
        known = tilt.max(axis=1) <= LARGEST_TILT
        tilted = _Tilted(self.groups, weights, np.expm1(np.minimum(tilt, LARGEST_TILT)), known)
        tilted.weigh(self.leaders, *tilted.means(self.centres, self.apart, self.rows), low, high)
        return tilted


class _Tilted:
    """What is known of the shares of a maximum in each of N boxes, group by group.

    Attributes
    ----------
    weights : ω (N, n), of sum 1 in every group; `spread` : ω (e^ρ − 1).
    fewest, most : bounds of Σ ω e^{±ρ}, (N, groups).
    lightest, heaviest : bounds of the masses of the groups, (N, groups).
    known : (N,), where all of this holds.
    """

    def __init__(self, groups: list[slice], weights: FloatArray, growth: FloatArray, known: BoolArray):
        starts = [group.start for group in groups]
        self.groups, self.weights, self.spread, self.known = groups, weights, weights * growth, known
        self.most = 1.0 + np.add.reduceat(self.spread, starts, axis=1)
        self.fewest = np.add.reduceat(weights / (1.0 + growth), starts, axis=1)
        self.lightest, self.heaviest = np.zeros_like(self.most), np.ones_like(self.most)

    def means(self, centres: FloatArray, apart: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Least and largest mean rows of the groups, (N, groups, K)."""
        least, most = (np.empty((len(self.weights), *centres.shape)) for _ in range(2))
        for j, group in enumerate(self.groups):
            middle, radius = self.weights[:, group] @ apart[group], self.spread[:, group] @ np.abs(apart[group])
            few, many = self.fewest[:, j, None], self.most[:, j, None]
            below, above = middle - radius, middle + radius
            least[:, j] = centres[j] + below / np.where(below > 0, many, few)
            most[:, j] = centres[j] + above / np.where(above > 0, few, many)
        return np.maximum(least, rows.min(axis=0)), np.minimum(most, rows.max(axis=0))

    def weigh(self, leaders: IntArray, least: FloatArray, most: FloatArray, low: FloatArray, high: FloatArray) -> None:
        """Bound the masses Q of the groups by r_y = Σ Q p̂(y) in the box, y the symbol that leads a group, and Σ Q = 1."""
        own = np.arange(len(leaders)), leaders
        own_least, own_most = np.maximum(least[:, *own], SMALLEST), most[:, *own]
        foreign = np.where(np.eye(len(leaders), dtype=bool), -np.inf, most[:, :, leaders]).max(axis=1)
        for _ in range(2):
            from_others = (self.lightest[:, None, :] @ least)[:, 0, leaders] - self.lightest * own_least
            at_most = (self.heaviest[:, None, :] @ most)[:, 0, leaders] - self.heaviest * own_most
            heaviest = (high[:, leaders] - from_others) / own_least
            lightest = (low[:, leaders] - np.minimum(at_most, foreign)) / own_most
            self.heaviest = np.clip(heaviest + ROOM, 0.0, self.heaviest)
            self.lightest = np.clip(lightest - ROOM, self.lightest, self.heaviest)
            rest = 1.0 - (self.lightest.sum(axis=1, keepdims=True) - self.lightest)
            self.heaviest = np.clip(rest + ROOM, self.lightest, self.heaviest)
            rest = 1.0 - (self.heaviest.sum(axis=1, keepdims=True) - self.heaviest)
            self.lightest = np.clip(rest - ROOM, self.lightest, self.heaviest)

    def least(self, at: IntArray, values: FloatArray) -> FloatArray:
        """Lower bounds of Σ_x q_x values[x] over the shares of any maximum in the boxes `at`, (boxes, columns)."""
        total = np.zeros((len(at), values.shape[1]))
        for j, group in enumerate(self.groups):
            below = self.weights[at, group] @ values[group] - self.spread[at, group] @ np.abs(values[group])
            light, heavy = self.lightest[at, j] / self.most[at, j], self.heaviest[at, j] / self.fewest[at, j]
            total += below * np.where(below > 0, light[:, None], heavy[:, None])
        return total
