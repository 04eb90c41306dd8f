"""Joint: a validated finite joint distribution p(x, y), from matrices, conditionals, counts, samples or files."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dualib.core.result import Result

from .joint_files import read_matrix, read_table
from .measures import SUM_TOLERANCE, FloatArray, _check_distribution, _check_entries, _mutual_information, _real_array

if TYPE_CHECKING:
    import pandas as pd

Labels = tuple[Hashable, ...]


@dataclass(frozen=True, eq=False)
class Joint(Result):
    r"""A joint distribution p(x, y) over finite alphabets.

    Checked when it is made and never changed: its arrays are read-only. A sum within 1e-9 of 1 is normalised exactly.

    Parameters
    ----------
    p_xy : array, shape (n_x, n_y), non-negative, summing to 1 within 1e-9; at least 2 by 2, no row or column all zero.
    x_labels, y_labels : names of the rows and columns (used in messages and tables), or None.
    n_samples : how many samples the matrix was estimated from, or None where it is exact.

    Raises
    ------
    ValueError: the message names the entry (by label where there is one), the amount it is off by, and the remedy.

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
        p_xy = _table(self.p_xy, "p_xy")
        for field, n in zip(("x_labels", "y_labels"), p_xy.shape, strict=True):
            labels = getattr(self, field)
            if labels is not None:
                object.__setattr__(self, field, _labels(labels))
                if len(labels) != n:
                    raise ValueError(f"{field} has {len(labels)} entries for p_xy of shape {p_xy.shape}")
        _check_matrix(p_xy, self.x_labels, self.y_labels)
        if self.n_samples is not None and not self.n_samples > 0:
            raise ValueError(f"n_samples = {self.n_samples} must be positive, or None for an exact joint")
        object.__setattr__(self, "p_xy", _read_only(p_xy / p_xy.sum()))

    # --- distributions ---

    @property
    def n_x(self) -> int:
        return self.p_xy.shape[0]

    @property
    def n_y(self) -> int:
        return self.p_xy.shape[1]

    @cached_property
    def p_x(self) -> FloatArray:
        """p(x), shape (n_x,), every entry positive."""
        return _read_only(self.p_xy.sum(axis=1))

    @cached_property
    def p_y(self) -> FloatArray:
        """p(y), shape (n_y,), every entry positive."""
        return _read_only(self.p_xy.sum(axis=0))

    @cached_property
    def p_y_given_x(self) -> FloatArray:
        """p(y|x), shape (n_x, n_y), rows summing to 1."""
        return _read_only(self.p_xy / self.p_xy.sum(axis=1, keepdims=True))

    @cached_property
    def is_deterministic(self) -> bool:
        """Whether Y is a function of X: every p(y|x) is exactly 0 or 1.

        Then the IB curve is I(T;Y) = min(I(X;T), H(Y)), its whole slope at β = 1, and the dual distortion is infinite.
        """
        return bool(((self.p_y_given_x == 0) | (self.p_y_given_x == 1)).all())

    def mutual_information(self) -> float:
        """I(X;Y) in nats."""
        return _mutual_information(self.p_xy)

    def __repr__(self) -> str:
        samples = "" if self.n_samples is None else f", n_samples={self.n_samples:g}"
        return f"Joint(n_x={self.n_x}, n_y={self.n_y}, I(X;Y)={self.mutual_information():.6g} nats{samples})"

    # --- factories ---

    @classmethod
    def from_conditional(
        cls,
        p_x: ArrayLike,
        p_y_given_x: ArrayLike,
        x_labels: Sequence | None = None,
        y_labels: Sequence | None = None,
        n_samples: float | None = None,
    ) -> Joint:
        """The joint p(x) p(y|x), from p_x, shape (n_x,), and p_y_given_x, shape (n_x, n_y), sums within 1e-9 of 1."""
        prior = _check_distribution(p_x, "p_x")
        rows = _check_distribution(p_y_given_x, "p_y_given_x")
        if prior.ndim != 1 or rows.ndim != 2 or len(prior) != len(rows):
            raise ValueError(
                f"p_x of shape {prior.shape} and p_y_given_x of shape {rows.shape} are not (n_x,), (n_x, n_y)"
            )
        prior, rows = prior / prior.sum(), rows / rows.sum(axis=1, keepdims=True)
        joint = cls(prior[:, None] * rows, _labels(x_labels), _labels(y_labels), n_samples)
        # Keep the rows as they were given rather than a quotient with rounding in it.
        joint.__dict__.update(p_x=_read_only(prior), p_y_given_x=_read_only(rows))
        return joint

    @classmethod
    def from_counts(
        cls, counts: ArrayLike, x_labels: Sequence | None = None, y_labels: Sequence | None = None
    ) -> Joint:
        """The empirical joint counts / counts.sum(), with n_samples = counts.sum(); nothing is smoothed."""
        table, x_names, y_names = _table(counts, "counts"), _labels(x_labels), _labels(y_labels)
        _check_matrix(table, x_names, y_names, name="counts", total=None)
        total = float(table.sum())
        return cls(table / total, x_names, y_names, int(total) if total.is_integer() else total)

    @classmethod
    def from_samples(cls, x: ArrayLike, y: ArrayLike) -> Joint:
        """The empirical joint of paired samples.

        Parameters
        ----------
        x, y : arrays of labels of any type, shape (n,); in a two-dimensional array each row is one symbol.

        Returns
        -------
        Joint with x_labels and y_labels the distinct symbols, sorted where they can be, and n_samples = n. Nothing is
        smoothed: a pair never seen has probability 0 (see `smoothed`). A missing label (NaN, None) is refused.

        Examples
        --------
        >>> Joint.from_samples(["a", "a", "b", "b"], [0, 0, 0, 1]).p_xy
        array([[0.5 , 0.  ],
               [0.25, 0.25]])
        """
        x_labels, x_codes = _encode(x, "x")
        y_labels, y_codes = _encode(y, "y")
        if len(x_codes) != len(y_codes):
            raise ValueError(f"x has {len(x_codes)} samples and y has {len(y_codes)}; they come in pairs")
        n_x, n_y = len(x_labels), len(y_labels)
        counts = np.bincount(x_codes * n_y + y_codes, minlength=n_x * n_y).reshape(n_x, n_y)
        return cls.from_counts(counts, x_labels, y_labels)

    @classmethod
    def from_frame(cls, df: pd.DataFrame, x: str | list[str], y: str | list[str]) -> Joint:
        """The empirical joint of columns of a DataFrame; a list of columns makes one symbol of each row of them."""
        for column in [*([x] if isinstance(x, str) else x), *([y] if isinstance(y, str) else y)]:
            if column not in df.columns:
                raise ValueError(f"no column {column!r}; the table has {list(map(str, df.columns))}")
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
    ) -> Joint:
        """Read a joint from a CSV file: a table of samples where `x` and `y` name its columns, otherwise a matrix.

        The matrix holds probabilities (sum 1 within 1e-9) or counts (whole numbers), one row for each x.

        Parameters
        ----------
        path : the file; separated by comma, semicolon or tab.
        x, y : column, or list of columns, of a table of samples; its first row holds their names.
        header, index : whether the first row (column) of a matrix holds labels. None recognises those that are not
            numbers, or have an empty corner between them.

        Raises
        ------
        ValueError: a cell is no number; or nothing was said and the numbers of the first row or column look like labels
            (2019, 2020, 2021 over counts): they are not taken for data without a word.
        """
        if (x is None) != (y is None):
            raise ValueError("give both x= and y= (a table of samples), or neither (a matrix)")
        if x is not None and y is not None:
            if header is False or index is not None:
                raise ValueError("a table of samples has a header, and no index: header= and index= are for a matrix")
            return cls.from_frame(read_table(path, header=0), x, y)
        matrix, x_labels, y_labels = read_matrix(path, header, index)
        if abs(matrix.sum() - 1.0) > SUM_TOLERANCE and (matrix == np.rint(matrix)).all():
            return cls.from_counts(matrix, x_labels, y_labels)
        return cls(matrix, x_labels, y_labels)

    @classmethod
    def from_npz(cls, path: str | PathLike[str]) -> Joint:
        """Read a joint from an .npz file with p_xy, or p_x and p_y_given_x, or counts (labels: x_labels, y_labels)."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                found = {key: archive[key] for key in archive.files}
        except (OSError, ValueError, AttributeError, EOFError, TypeError, BadZipFile) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} is not an .npz file of plain arrays: {error}") from None
        labels = {key: _labels(found.get(key)) for key in ("x_labels", "y_labels")}
        samples = float(found["n_samples"]) if "n_samples" in found else None
        if "p_xy" in found:
            return cls(found["p_xy"], **labels, n_samples=samples)
        if "p_x" in found and "p_y_given_x" in found:
            return cls.from_conditional(found["p_x"], found["p_y_given_x"], **labels, n_samples=samples)
        if "counts" in found:
            return cls.from_counts(found["counts"], **labels)
        raise ValueError(f"{path} holds {sorted(found) or 'nothing'}; needed: p_xy, or p_x and p_y_given_x, or counts")

    # --- changes of the joint ---

    def smoothed(self, epsilon: float | None = None, *, pseudocount: float | None = None) -> Joint:
        r"""A joint without zeros, by one of two rules that have to be asked for by name.

        .. math::
            \text{epsilon:}\quad p(y|x) \leftarrow (1-\epsilon) p(y|x) + \epsilon / |Y|, \qquad p(x) \text{ kept}

            \text{pseudocount } a:\quad p(x,y) \leftarrow \frac{N p(x,y) + a}{N + a |X| |Y|}

        Parameters
        ----------
        epsilon : weight of the uniform distribution in every row, in [0, 1); for exact joints.
        pseudocount : a ≥ 0, counts added to every cell; only for joints with n_samples = N.
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
        first, group = _group_rows(self.p_y_given_x, rtol)
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
    index: NDArray[np.intp]

    def expand(self, p_t_given_x: ArrayLike) -> FloatArray:
        """The encoder of the original x, shape (n_x, n_t), from one of the reduced x, shape (joint.n_x, n_t)."""
        encoder = np.asarray(p_t_given_x)
        if encoder.shape[:1] != (self.joint.n_x,):
            raise ValueError(f"an encoder of shape {encoder.shape} does not have the {self.joint.n_x} merged rows")
        return encoder[self.index]


# --- helpers ---


def _table(value: ArrayLike, name: str) -> FloatArray:
    table = _real_array(value, name)
    if table.ndim != 2:
        raise ValueError(f"{name} must have two axes (x, y), got shape {table.shape}")
    return table


def _read_only(array: FloatArray) -> FloatArray:
    array.setflags(write=False)
    return array


def _labels(labels: Any) -> Labels | None:
    return None if labels is None else tuple(labels.tolist() if isinstance(labels, np.ndarray) else labels)


def _check_matrix(
    table: FloatArray, x_labels: Labels | None, y_labels: Labels | None, name: str = "p_xy", total: float | None = 1.0
) -> None:
    """Refuse what is no joint distribution (`total` 1) or no table of counts (`total` None)."""

    def place(axis: int, i: int) -> str:
        labels, what = ((x_labels, "row"), (y_labels, "column"))[axis]
        return f"{what} {i}" if labels is None else f"{'xy'[axis]} = {labels[i]!r} ({what} {i})"

    _check_entries(table, name, lambda i, j: f"{place(0, i)}, {place(1, j)}")
    if 1 in table.shape:
        few = "one row (a single x)" if len(table) == 1 else "one column (a single symbol y)"
        raise ValueError(f"{name} of shape {table.shape} has {few}: no information; at least two are needed")
    excess = 0.0 if total is None else float(table.sum()) - total
    if abs(excess) > SUM_TOLERANCE:
        raise ValueError(
            f"{name} sums to {1.0 + excess:.12g}, off 1 by {excess:.3g} (allowed: {SUM_TOLERANCE:g}); "
            "normalise it, Joint(p / p.sum()), or use Joint.from_counts(p) if it holds counts"
        )
    for axis, drop in ((0, "p[p.sum(1) > 0]"), (1, "p[:, p.sum(0) > 0]")):
        empty = np.flatnonzero(table.sum(axis=1 - axis) == 0)
        if empty.size:
            raise ValueError(
                f"{name} is zero all along {place(axis, int(empty[0]))}, so p({'xy'[axis]}) = 0 there "
                f"({empty.size} such); drop it, {drop}, or add pseudo-counts if it can occur"
            )


def _encode(labels: ArrayLike, name: str) -> tuple[Labels, NDArray[np.intp]]:
    """Distinct symbols and the code of every sample; a row of a two-dimensional array is one symbol."""
    if isinstance(labels, (list, tuple)) and not all(isinstance(label, (int, float, np.ndarray)) for label in labels):
        # One object a sample: numpy would turn numbers among strings into strings, and fail on tuples of two lengths.
        labels = np.fromiter((tuple(v) if isinstance(v, list) else v for v in labels), dtype=object)
    array = np.asarray(labels)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"{name} must hold a label (or a row of them) for each sample, got shape {array.shape}: empty?"
        )
    if array.dtype.kind in "fcOmM":
        import pandas as pd

        missing = pd.isna(array)
        if missing.any():
            raise ValueError(f"{name}{np.argwhere(missing)[0].tolist()} is missing; remove such samples first")
    if array.dtype.kind != "O":
        values, codes = np.unique(array, axis=0, return_inverse=True)
        return _labels([*map(tuple, values.tolist())] if array.ndim == 2 else values) or (), codes.reshape(-1)
    keys = [*map(tuple, array)] if array.ndim == 2 else array.tolist()
    symbols: list[Any] = list(dict.fromkeys(keys))
    with contextlib.suppress(TypeError):  # symbols without an order stay in order of appearance
        symbols.sort()
    code = {symbol: i for i, symbol in enumerate(symbols)}
    return tuple(symbols), np.array([code[key] for key in keys])


def _group_rows(rows: FloatArray, rtol: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First member of every group of equal rows, ascending, and the group of every row; O(n log n) for each column."""
    n = len(rows)
    group = np.zeros(n, dtype=np.intp)
    for column in rows.T:
        order = np.argsort(column)
        values = column[order]
        level = np.empty(n, dtype=np.intp)
        level[order] = np.cumsum(np.r_[False, np.diff(values) > rtol * values[1:]])
        _, first, group = np.unique(group * n + level, return_index=True, return_inverse=True)
        if len(first) == n:
            return np.arange(n), np.arange(n)
    order = np.argsort(first)
    return first[order], np.argsort(order)[group]
