"""Joint: a validated finite joint distribution p(x, y), from matrices, conditionals, counts, samples or files."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import distribution, group_rows, read_only
from dualib.core.result import Result
from dualib.core.special import mutual_information_nats
from dualib.core.typing import ArrayLike, Float, FloatArray, Int
from dualib.joint_columns import binned, seen_once
from dualib.joint_csv import read_table
from dualib.joint_files import (
    Labels,
    Parts,
    both_labels,
    check_table,
    encode,
    matrix_parts,
    npy_parts,
    npz_parts,
    occurring,
    two_axes,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Joint(Result):
    r"""A joint distribution p(x, y) over finite alphabets.

    Checked when it is made and never changed: its arrays are read-only. A sum within 1e-9 of 1 is normalised exactly.

    Parameters
    ----------
    p_xy : array, shape (n_x, n_y)
        Non-negative, summing to 1 within 1e-9; at least 2 by 2, no row or column all zero.
    x_labels, y_labels : sequence or None
        Names of the rows and columns, used in messages, tables and figures; those of a DataFrame are taken from it.
    n_samples : float or None
        How many samples the matrix was estimated from; None where it is exact.

    Raises
    ------
    ValueError
        The message names the entry (by label where there is one), the amount it is off by, and the remedy.

    Examples
    --------
    >>> joint = Joint([[0.4, 0.1], [0.1, 0.4]])
    >>> joint.p_y_given_x[0]
    array([0.8, 0.2])
    """

    p_xy: FloatArray
    x_labels: Labels | None = None
    y_labels: Labels | None = None
    n_samples: float | None = None

    def __post_init__(self) -> None:
        p_xy = two_axes(self.p_xy, "p_xy")
        names = both_labels(self.p_xy, self.x_labels, self.y_labels)
        for field, labels, n in zip(("x_labels", "y_labels"), names, p_xy.shape, strict=True):
            object.__setattr__(self, field, labels)
            if labels is not None and len(labels) != n:
                raise ValueError(f"{field} has {len(labels)} entries for p_xy of shape {p_xy.shape}")
        check_table(p_xy, self.x_labels, self.y_labels)
        if self.n_samples is not None and not self.n_samples > 0:
            raise ValueError(f"n_samples = {self.n_samples} must be positive, or None for an exact joint")
        object.__setattr__(self, "p_xy", read_only(p_xy / p_xy.sum()))

    # --- distributions ---

    @property
    def n_x(self) -> int:
        """Number of x."""
        return len(self.p_xy)

    @property
    def n_y(self) -> int:
        """Number of symbols y."""
        return int(self.p_xy.shape[1])

    @cached_property
    def p_x(self) -> Float[np.ndarray, " n_x"]:
        """p(x), every entry positive."""
        return read_only(self.p_xy.sum(axis=1))

    @cached_property
    def p_y(self) -> Float[np.ndarray, " n_y"]:
        """p(y), every entry positive."""
        return read_only(self.p_xy.sum(axis=0))

    @cached_property
    def p_y_given_x(self) -> Float[np.ndarray, "n_x n_y"]:
        """p(y|x), rows summing to 1."""
        return read_only(self.p_xy / self.p_xy.sum(axis=1, keepdims=True))

    @cached_property
    def is_deterministic(self) -> bool:
        """Whether Y is a function of X: every p(y|x) is exactly 0 or 1.

        Then the IB curve is I(T;Y) = min(I(X;T), H(Y)), its whole slope at β = 1, and the dual distortion is infinite.
        """
        return bool(((self.p_y_given_x == 0) | (self.p_y_given_x == 1)).all())

    def mutual_information(self) -> float:
        """I(X;Y) in nats."""
        return mutual_information_nats(self.p_xy)

    def __repr__(self) -> str:
        samples = "" if self.n_samples is None else f", n_samples={self.n_samples:g}"
        return f"Joint(n_x={self.n_x}, n_y={self.n_y}, I(X;Y)={self.mutual_information():.6g} nats{samples})"

    # --- factories ---

    @classmethod
    def from_conditional(
        cls,
        p_x: ArrayLike,
        p_y_given_x: ArrayLike,
        x_labels: Sequence[Hashable] | None = None,
        y_labels: Sequence[Hashable] | None = None,
        n_samples: float | None = None,
    ) -> Joint:
        """The joint p(x) p(y|x), from p_x, shape (n_x,), and p_y_given_x, shape (n_x, n_y), sums within 1e-9 of 1."""
        prior = distribution(p_x, "p_x")
        rows = distribution(p_y_given_x, "p_y_given_x")
        if prior.ndim != 1 or rows.ndim != 2 or len(prior) != len(rows):
            raise ValueError(
                f"p_x of shape {prior.shape} and p_y_given_x of shape {rows.shape} are not (n_x,), (n_x, n_y)"
            )
        prior, rows = prior / prior.sum(), rows / rows.sum(axis=1, keepdims=True)
        joint = cls(prior[:, None] * rows, *both_labels(p_y_given_x, x_labels, y_labels), n_samples)
        # Keep the rows as they were given rather than a quotient with rounding in it.
        joint.__dict__.update(p_x=read_only(prior), p_y_given_x=read_only(rows))
        return joint

    @classmethod
    def from_counts(
        cls, counts: ArrayLike, x_labels: Sequence[Hashable] | None = None, y_labels: Sequence[Hashable] | None = None
    ) -> Joint:
        """The empirical joint counts / counts.sum(), with n_samples = counts.sum(); nothing is smoothed."""
        table, (x_names, y_names) = two_axes(counts, "counts"), both_labels(counts, x_labels, y_labels)
        check_table(table, x_names, y_names, name="counts", total=None)
        total = float(table.sum())
        return cls(table / total, x_names, y_names, int(total) if total.is_integer() else total)

    @classmethod
    def from_samples(cls, x: ArrayLike, y: ArrayLike) -> Joint:
        """The empirical joint of paired samples.

        Parameters
        ----------
        x, y : array, shape (n,) or (n, k)
            Labels of any type; in a two-dimensional array each row is one symbol.

        Returns
        -------
        Joint
            With x_labels and y_labels the distinct symbols, sorted where they can be, and n_samples = n. Nothing is
            smoothed: a pair never seen has probability 0 (see `smoothed`). A missing label (NaN, None) is refused.

        Examples
        --------
        >>> Joint.from_samples(["a", "a", "b", "b"], [0, 0, 0, 1]).p_xy
        array([[0.5 , 0.  ],
               [0.25, 0.25]])
        """
        x_labels, x_codes = encode(x, "x")
        y_labels, y_codes = encode(y, "y")
        if len(x_codes) != len(y_codes):
            raise ValueError(f"x has {len(x_codes)} samples and y has {len(y_codes)}; they come in pairs")
        n_x, n_y = len(x_labels), len(y_labels)
        counts = np.bincount(x_codes * n_y + y_codes, minlength=n_x * n_y).reshape(n_x, n_y)
        return cls.from_counts(counts, x_labels, y_labels)

    @classmethod
    def from_frame(cls, df: pd.DataFrame, x: str | list[str], y: str | list[str], *, bins: int | None = None) -> Joint:
        """The empirical joint of columns of a DataFrame; a list of columns makes one symbol of each row of them.

        With `bins`, numeric columns of more different numbers are put into so many bins of equal counts. A UserWarning says
        where nearly every row has a symbol of its own, so that I(X;Y) says nothing.
        """
        of = {"x": [x] if isinstance(x, str) else list(x), "y": [y] if isinstance(y, str) else list(y)}
        for column in of["x"] + of["y"]:
            if column not in df.columns:
                raise ValueError(f"no column {column!r}; the table has {list(map(str, df.columns))}")
        if bins is not None:
            df = binned(df, of["x"] + of["y"], bins)
        for warning in filter(None, (seen_once(df, columns, name) for name, columns in of.items())):
            warnings.warn(warning, stacklevel=2)
        return cls.from_samples(df[x].to_numpy(), df[y].to_numpy())

    @classmethod
    def from_csv(
        cls,
        path: str | PathLike[str],
        x: str | list[str] | None = None,
        y: str | list[str] | None = None,
        *,
        header: bool | None = None,
        index: bool | None = None,
        bins: int | None = None,
        p_x: ArrayLike | None = None,
        normalise: bool = False,
        drop_empty: bool = False,
    ) -> Joint:
        """Read a joint from a CSV file: a table of samples where `x` and `y` name its columns, otherwise a matrix.

        The matrix holds probabilities (sum 1 within 1e-9) or counts (whole numbers), one row for each x; or p(y|x), with `p_x`.

        Parameters
        ----------
        path : path
            The file; separated by comma, semicolon or tab, or where its first line has none of them by spaces.
        x, y : str, list of str, or None
            Column, or columns, of a table of samples; its first row holds their names.
        header, index : bool or None
            Whether the first row (column) of a matrix holds labels. None recognises those that are not numbers, or have an
            empty corner between them.
        bins : int or None
            For samples: see :meth:`from_frame`.
        p_x : array or None
            For a matrix: p(x), whose rows then are p(y|x).
        normalise : bool
            For a matrix of probabilities: whether to divide it by its sum (and p(y|x) row by row), however far that is off 1.
        drop_empty : bool
            For a matrix: whether to leave out the x and y of probability 0, with a UserWarning that names them.

        Raises
        ------
        ValueError
            If a cell is no number; or nothing was said and the numbers of the first row or column look like labels (2019,
            2020, 2021 over counts): they are not taken for data without a word.
        """
        if (x is None) != (y is None):
            raise ValueError("give both x= and y= (a table of samples), or neither (a matrix)")
        if x is not None and y is not None:
            if header is False or index is not None:
                raise ValueError("a table of samples has a header, and no index: header= and index= are for a matrix")
            if p_x is not None or normalise or drop_empty:
                raise ValueError(
                    "a table of samples has no p(x), no sum and no empty row: p_x=, normalise= and drop_empty= are for a matrix"
                )
            return cls.from_frame(read_table(path, header=0), x, y, bins=bins)
        if bins is not None:
            raise ValueError("bins= is for a table of samples (x= and y=)")
        return cls._of_parts(matrix_parts(path, header, index, p_x, normalise), drop_empty)

    @classmethod
    def from_npz(
        cls,
        path: str | PathLike[str],
        *,
        p_x: ArrayLike | None = None,
        normalise: bool = False,
        drop_empty: bool = False,
    ) -> Joint:
        """Read a joint from an .npz file with p_xy, or p_x and p_y_given_x, or counts (labels: x_labels, y_labels).

        `p_x` may be given beside a file with p_y_given_x alone; with `normalise` sums may be off 1, and
        with `drop_empty` x and y of probability 0 are left out.
        """
        return cls._of_parts(npz_parts(path, p_x, normalise), drop_empty)

    @classmethod
    def from_npy(
        cls,
        path: str | PathLike[str],
        *,
        p_x: ArrayLike | None = None,
        normalise: bool = False,
        drop_empty: bool = False,
    ) -> Joint:
        """Read a joint from an .npy file of a matrix, which holds what that of :meth:`from_csv` does."""
        return cls._of_parts(npy_parts(path, p_x, normalise), drop_empty)

    @classmethod
    def _of_parts(cls, parts: Parts, drop_empty: bool) -> Joint:
        if drop_empty:
            parts = occurring(parts)
        if parts.p_x is not None:
            return cls.from_conditional(parts.p_x, parts.table, parts.x_labels, parts.y_labels, parts.n_samples)
        if parts.is_counts:
            return cls.from_counts(parts.table, parts.x_labels, parts.y_labels)
        return cls(parts.table, parts.x_labels, parts.y_labels, parts.n_samples)

    # --- changes of the joint ---

    def smoothed(self, epsilon: float | None = None, *, pseudocount: float | None = None) -> Joint:
        r"""A joint without zeros, by one of two rules that have to be asked for by name.

        .. math::
            \text{epsilon:}\quad p(y|x) \leftarrow (1-\epsilon) p(y|x) + \epsilon / |Y|, \qquad p(x) \text{ kept}

            \text{pseudocount } a:\quad p(x,y) \leftarrow \frac{N p(x,y) + a}{N + a |X| |Y|}

        Parameters
        ----------
        epsilon : float or None
            Weight of the uniform distribution in every row, in [0, 1); for exact joints.
        pseudocount : float or None
            a ≥ 0, counts added to every cell; only for joints with n_samples = N.
        """
        if epsilon is not None and pseudocount is None:
            if not 0.0 <= epsilon < 1.0:
                raise ValueError(f"epsilon = {epsilon} is outside [0, 1)")
            rows = (1.0 - epsilon) * self.p_y_given_x + epsilon / self.n_y
            return Joint.from_conditional(self.p_x, rows, self.x_labels, self.y_labels, self.n_samples)
        if pseudocount is None or epsilon is not None:
            raise ValueError("give exactly one of epsilon= (exact joint) and pseudocount= (sampled joint)")
        if self.n_samples is None:
            raise ValueError("an exact joint (n_samples is None) has no counts to add to; use smoothed(epsilon=...)")
        if not 0.0 <= pseudocount < np.inf:
            raise ValueError(f"pseudocount = {pseudocount} must be at least 0 and finite")
        counts = self.n_samples * self.p_xy + pseudocount
        return Joint(counts / counts.sum(), self.x_labels, self.y_labels, self.n_samples)

    def merge_equal_rows(self, rtol: float = 1e-12) -> Merged:
        """Merge every set of x with one p(y|x) into a single x carrying their total probability.

        The curve of neither bottleneck changes: the set an x belongs to is a sufficient statistic of x for Y. Entries
        of a column are equal when no gap between sorted neighbours exceeds a relative `rtol`; zeros equal zeros only.
        Rows stay in order of first appearance, and the joint is this very one when nothing merges.
        """
        first, group = group_rows(self.p_y_given_x, rtol)
        if len(first) == self.n_x:
            return Merged(self, group)
        if len(first) == 1:
            raise ValueError("all rows p(y|x) are equal: X and Y are independent, there is no information to compress")
        labels = None if self.x_labels is None else tuple(self.x_labels[i] for i in first)
        p_x, rows = np.bincount(group, weights=self.p_x), self.p_y_given_x[first]
        return Merged(Joint.from_conditional(p_x, rows, labels, self.y_labels, self.n_samples), group)


@dataclass(frozen=True, eq=False)
class Merged:
    """A joint with its equal rows merged; `index`, shape (n_x,), is the reduced row of every original x."""

    joint: Joint
    index: Int[np.ndarray, " n_x"]

    def expand(self, p_t_given_x: ArrayLike) -> FloatArray:
        """The encoder of the original x, shape (n_x, n_t), from one of the reduced x, shape (joint.n_x, n_t)."""
        encoder = np.asarray(p_t_given_x)
        if encoder.shape[:1] != (self.joint.n_x,):
            raise ValueError(f"an encoder of shape {encoder.shape} does not have the {self.joint.n_x} merged rows")
        return np.asarray(encoder[self.index])
