"""The rate-distortion problem that every bottleneck is: what solver and certificate know of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from dualib.core.result import Result
from dualib.core.special import EPS
from dualib.core.typing import Bool, Float, FloatArray
from dualib.hull import Hull, HullKind
from dualib.joint import Joint, Merged

Atoms = Float[np.ndarray, "n_t n_y"]
"""Distributions over y, one of each cluster t."""
Table = Float[np.ndarray, "n_t n_x"]
"""A number of each cluster and x."""
Rows = Float[np.ndarray, "n n_y"]
"""Any distributions over y."""
Features = Float[np.ndarray, "n_x n_y"]
"""A number of each x and y."""
Slopes = Float[np.ndarray, "n_t n_x n_y"]
Steps = Float[np.ndarray, "n_t n_v n_y"]
Along = Float[np.ndarray, "n_t n_v n_x"]
Terms = Float[np.ndarray, "*shape n_y"]

WEAK = 0.25  # a symbol y whose p(y|x)/p(y) all stay this near 1 is weak: its share of d is expanded around p(y)
ACCURATE = 1e-12  # rounding of β d, nats, from which on d is summed term by term
CHUNK = 1 << 20  # (t, x, y) at a time where d is summed term by term
SMALL_TABLE = 4096  # entries up to which another pass takes less than one more column
EVERY = slice(None)
PAIRS_KEPT = 2048  # rows up to which the distances of all pairs are kept (32 MiB)


@dataclass(frozen=True, eq=False)
class Bottleneck(Result, ABC):
    """A bottleneck problem. Atoms r_t are arrays (n_t, n_y), and all tables have the atoms first; informations are in nats.

    Use one of :class:`IB`, :class:`DualIB`, :class:`AlphaIB`.

    Parameters
    ----------
    joint : Joint

    Raises
    ------
    TypeError
        If `joint` is no :class:`Joint`.
    """

    joint: Joint
    name: ClassVar[str]
    power: ClassVar[float]  # α of the family: −∂²d/∂r_y² = features / r_y^{1+α}

    def __post_init__(self) -> None:
        if not isinstance(self.joint, Joint):
            raise TypeError(f"{type(self).__name__} takes a dualib.Joint, got {type(self.joint).__name__}: Joint(p_xy)")

    # --- what the problems define ---

    @abstractmethod
    def of_atoms(self, r: Atoms) -> Float[np.ndarray, "n_t k"]:
        """Factors of d for atoms; the last is what stands by a row's 1."""

    @property
    @abstractmethod
    def of_rows(self) -> Float[np.ndarray, "n_x k"]:
        """Factors of d for the rows: d = of_atoms · of_rows; the last is 1."""

    @abstractmethod
    def terms(self, rows: Float[np.ndarray, "*rows n_y"], r: Float[np.ndarray, "*atoms n_y"]) -> Terms:
        """The distortion d between rows p(y|x) and atoms r (which broadcast): every y's share, at least 0 and to relative accuracy."""

    @abstractmethod
    def slope(self, r: Atoms) -> Slopes:
        """−∂d(x, r_t)/∂r_y up to a constant over y, times √r_y."""

    @abstractmethod
    def slope_parts(self, r: Atoms) -> tuple[Atoms, Atoms]:
        """Scale and offset of the slope: scale ∘ (statistic − mean_where_weak) + offset."""

    @abstractmethod
    def pull(self, r: Atoms) -> Slopes:
        """−∂d(x, r_t)/∂r_y, (n_t, n_x, n_y), with the constant over y that makes it 0 at r = p_x, and to relative accuracy."""

    @abstractmethod
    def slope_along(self, r: Atoms, steps: Steps) -> Along:
        """−∂d(x, r_t)/∂r · step."""

    @abstractmethod
    def statistic(self, rows: Features) -> Features:
        """What of the rows p(y|x) a decoder is the mean of."""

    @abstractmethod
    def decoder_of(self, mean: Rows) -> Rows:
        """The best decoders of clusters whose mean statistics are these."""

    @property
    @abstractmethod
    def hull(self) -> Hull:
        """The set in which every maximum of G lies."""

    @cached_property
    def features(self) -> Features:
        """c_x(y) with −∂²(−d)/∂r_y² = c_x(y) / r_y^{1 + power}: the statistic, but for the dual."""
        return self.statistics

    @property
    def divisor(self) -> float:
        """By what the sum over y is divided."""
        return 1.0

    # --- shared ---

    @property
    def p_x(self) -> Float[np.ndarray, " n_x"]:
        """p(x)."""
        return self.joint.p_x

    @property
    def p_y_given_x(self) -> Features:
        """p(y|x)."""
        return self.joint.p_y_given_x

    @cached_property
    def merged(self) -> Merged:
        """The joint with equal rows merged: the same curve, fewer x."""
        return self.joint.merge_equal_rows()

    @cached_property
    def reduced(self) -> Self:
        """The problem on the merged joint; solving it solves this one."""
        return self if self.merged.joint is self.joint else replace(self, joint=self.merged.joint)

    @property
    def dimension(self) -> int:
        """Intrinsic dimension of the search for the maximum of G, that of :attr:`hull`."""
        return self.hull.dimension

    @cached_property
    def statistics(self) -> Features:
        """The statistic of every row."""
        return self.statistic(self.p_y_given_x)

    @cached_property
    def sums(self) -> Float[np.ndarray, "n_x n_sums"]:
        """1 and the statistic of every row: sums of weights and of weighted statistics by one matrix product."""
        return np.column_stack([np.ones(len(self.p_x)), self.statistics])

    @cached_property
    def near_sums(self) -> Float[np.ndarray, "n_x n_sums"]:
        """1 and the statistic, less its mean where a symbol is weak."""
        if not self.any_weak:
            return self.sums
        return np.column_stack([np.ones(len(self.p_x)), self.statistics - self.mean_where_weak])

    @cached_property
    def mean_where_weak(self) -> Float[np.ndarray, " n_y"]:
        """E of the statistic where a symbol is weak, 0 elsewhere."""
        return np.where(self.weak, self.p_x @ self.statistics, 0.0)

    def decode(self, weights: Table) -> Atoms:
        """The best decoder of clusters with non-negative `weights` over x, of any sum."""
        return self.decode_sums(weights @ self.sums)

    def decode_sums(self, sums: Float[np.ndarray, "n_t n_sums"]) -> Atoms:
        """The best decoder of clusters from their sums of weights and of weighted statistics."""
        return self.decoder_of(sums[:, 1:] / sums[:, :1])

    @cached_property
    def single_decoder(self) -> Float[np.ndarray, "1 n_y"]:
        """The best decoder when all x are one cluster."""
        return self.decode(self.p_x[None])

    @cached_property
    def weak(self) -> Bool[np.ndarray, " n_y"]:
        """Which y have p(y|x) within a factor 1 ± WEAK of p(y) for every x."""
        centre = self.joint.p_y
        return np.asarray((np.abs(self.p_y_given_x - centre) <= WEAK * centre).all(axis=0), dtype=np.bool_)

    @cached_property
    def any_weak(self) -> bool:
        """Whether some y is weak."""
        return bool(self.weak.any())

    @cached_property
    def centre(self) -> Float[np.ndarray, " n_y"]:
        """What r is compared with: p(y) for the weak y, 1 for the others."""
        return np.where(self.weak, self.joint.p_y, 1.0)

    # --- distortion ---

    def distortion(self, r: Atoms) -> Table:
        """Nats d(x, r_t), by one matrix product."""
        return np.asarray(self.of_atoms(r) @ self.of_rows.T)

    def distortion_at(self, beta: float, r: Atoms) -> Table:
        """d(x, r_t), by one matrix product where β leaves that its digits, else term by term."""
        return self.accurate_distortion(r) if self.term_by_term(beta) else self.distortion(r)

    def exponents(
        self, beta: float, r: Atoms, offset: Float[np.ndarray, " n_x"] | None = None, part: slice = EVERY
    ) -> Float[np.ndarray, "n_t n_part"]:
        """The exponents offset_x − β d(x, r_t), nats, of a part of the x; without another pass where one product gives them."""
        if not self.term_by_term(beta):
            left, right = -beta * self.of_atoms(r), self.of_rows[part]
            if len(left) * len(right) <= SMALL_TABLE:
                table = left @ right.T
                return np.asarray(table if offset is None else table + offset[part])
            if offset is not None:
                left, right = np.column_stack([left, np.ones(len(r))]), np.column_stack([right, offset[part]])
            return np.asarray(left @ right.T)
        table = -beta * self.accurate_distortion(r, part)
        return table if offset is None else table + offset[part]

    # --- rounding ---

    @cached_property
    def rounding_scale(self) -> float:
        """Size of the parts that d and its bounds over cells are summed from, nats; times 2⁻⁵²β, the rounding error of β d.

        Moments, which many log-linear mixtures are searched by, know a weak symbol to 2⁻⁵² of its deviation, not of its square.
        """
        by_moments = self.hull.kind is HullKind.LOG_MIXTURES and len(self.p_x) > self.dimension + 1
        power = 1 if by_moments else 2
        return (self._strong_scale + self._weak_size**power) / self.divisor

    @cached_property
    def _weak_size(self) -> float:
        return float(np.abs(self.p_y_given_x[:, self.weak] / self.joint.p_y[self.weak] - 1.0).max(initial=0.0))

    @cached_property
    def _strong_scale(self) -> float:
        strong = float(self.p_y_given_x[:, ~self.weak].sum(axis=1).max())
        return strong * float(1.0 + 2.0 * np.log((~self.weak).sum() / strong)) if strong > 0 else 0.0

    def product_rounding(self, beta: float) -> float:
        """The rounding error of β d by one matrix product, nats."""
        return EPS * beta * (self._strong_scale + self._weak_size**2) / self.divisor

    def term_by_term(self, beta: float) -> bool:
        """Whether β leaves a matrix product too few digits of β d."""
        return self.product_rounding(beta) >= ACCURATE

    def accurate_distortion(self, r: Atoms, part: slice = EVERY) -> Table:
        """d(x, r_t) summed term by term to relative accuracy; slower by a factor n_y."""
        rows = self.p_y_given_x[part]
        table = np.empty((len(r), len(rows)))
        size = max(1, CHUNK // rows.size)
        for i in range(0, len(r), size):
            table[i : i + size] = self.terms(rows, r[i : i + size, None, :]).sum(axis=2)
        return table

    # --- distances between rows ---

    def pair_distortions(self, i: int) -> Float[np.ndarray, " n_x"]:
        r"""min_r ½[d(x_i, r) + d(x', r)] for every x', nats, to relative accuracy.

        It is the Jensen-Shannon divergence for IB, the Bhattacharyya distance for dualIB.
        """
        if len(self.p_x) <= PAIRS_KEPT:
            return np.asarray(self._all_pair_distortions[i])
        return self._pairs_with(i)

    def middles(self, i: int) -> Features:
        """The best decoder of x_i and each x' at equal weights."""
        return self.decoder_of(0.5 * (self.statistics[i] + self.statistics))

    @cached_property
    def _all_pair_distortions(self) -> FloatArray:
        return np.stack([self._pairs_with(i) for i in range(len(self.p_x))])

    def _pairs_with(self, i: int) -> FloatArray:
        rows = self.p_y_given_x
        middle = self.middles(i)
        distance: FloatArray = 0.5 * (self.terms(rows[i], middle) + self.terms(rows, middle)).sum(axis=1)
        distance[i] = 0.0  # whatever the rounding of the middle
        return distance

    def distortion_of_rows(self, rows: Rows, r: Atoms) -> Float[np.ndarray, "n_t n"]:
        """Table of d between new rows p(y|x) and atoms."""
        both = np.concatenate([rows, self.p_y_given_x])
        joint = Joint.from_conditional(np.full(len(both), 1.0 / len(both)), both, y_labels=self.joint.y_labels)
        return replace(self, joint=joint).distortion(r)[:, : len(rows)]
