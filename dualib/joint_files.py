"""What joints are read from, and its checks: tables of probabilities or counts, samples, and CSV files of either."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualib.core.arrays import SUM_TOLERANCE, check_entries, real_array
from dualib.core.files import read_npz
from dualib.core.typing import ArrayLike, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

FAR_ABOVE = 10.0  # times every other entry: numbers that large, and within a tenth of each other, look like years
REMEDY = {
    "header": "header=True (they are labels) or header=False (they are data)",
    "index": "index=True (they are labels) or index=False (they are data)",
}
PLACE = {"header": "row", "index": "column"}
Names = tuple[str, ...]
Labels = tuple[Hashable, ...]


# --- tables and samples ---


def two_axes(value: ArrayLike, name: str) -> FloatArray:
    """A table over (x, y) as float64."""
    table = real_array(value, name)
    if table.ndim != 2:
        raise ValueError(f"{name} must have two axes (x, y), got shape {table.shape}")
    return table


def label_tuple(labels: Iterable[Hashable] | None) -> Labels | None:
    """Labels as a tuple of plain Python values."""
    return None if labels is None else tuple(labels.tolist() if isinstance(labels, np.ndarray) else labels)


def both_labels(
    table: ArrayLike, x_labels: Iterable[Hashable] | None, y_labels: Iterable[Hashable] | None
) -> tuple[Labels | None, Labels | None]:
    """The labels of rows and columns that are given, or those of a DataFrame; one that counts 0, 1, … has none."""
    given = [label_tuple(x_labels), label_tuple(y_labels)]
    if hasattr(table, "columns"):
        for axis, name in enumerate(("index", "columns")):
            own = tuple(getattr(table, name))
            if given[axis] is None and own != tuple(range(len(own))):
                given[axis] = own
    return given[0], given[1]


def check_table(
    table: FloatArray, x_labels: Labels | None, y_labels: Labels | None, name: str = "p_xy", total: float | None = 1.0
) -> None:
    """Refuse what is no joint distribution (`total` 1) or no table of counts (`total` None)."""

    def place(axis: int, i: int) -> str:
        labels, what = ((x_labels, "row"), (y_labels, "column"))[axis]
        return f"{what} {i}" if labels is None else f"{'xy'[axis]} = {labels[i]!r} ({what} {i})"

    check_entries(table, name, lambda i, j: f"{place(0, i)}, {place(1, j)}")
    if 1 in table.shape:
        few = "one row (a single x)" if len(table) == 1 else "one column (a single symbol y)"
        raise ValueError(f"{name} of shape {table.shape} has {few}: no information; at least two are needed")
    with np.errstate(over="ignore"):  # a sum that overflows is off 1 by infinity
        sums = table.sum(axis=1), table.sum(axis=0)
        excess = 0.0 if total is None else float(sums[0].sum()) - total
    if abs(excess) > SUM_TOLERANCE:
        remedy = "normalise it, Joint(p / p.sum()), or use Joint.from_counts(p) if it holds counts"
        if np.abs(sums[0] - 1.0).max() <= 1e-3:
            remedy = "its rows sum to 1: if they are p(y|x), use Joint.from_conditional(p_x, p_y_given_x)"
        raise ValueError(
            f"{name} sums to {1.0 + excess:.12g}, off 1 by {excess:.3g} (allowed: {SUM_TOLERANCE:g}); {remedy}"
        )
    for axis, drop in ((0, "p[p.sum(1) > 0]"), (1, "p[:, p.sum(0) > 0]")):
        empty = np.flatnonzero(sums[axis] == 0)
        if empty.size:
            raise ValueError(
                f"{name} is zero all along {place(axis, int(empty[0]))}, so p({'xy'[axis]}) = 0 there "
                f"({empty.size} such); drop it, {drop}, or add pseudo-counts if it can occur"
            )


def encode(labels: ArrayLike, name: str) -> tuple[Labels, IntArray]:
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
        return label_tuple([*map(tuple, values.tolist())] if array.ndim == 2 else values) or (), codes.reshape(-1)
    keys = [*map(tuple, array)] if array.ndim == 2 else array.tolist()
    symbols = list(dict.fromkeys(keys))
    with contextlib.suppress(TypeError):  # symbols without an order stay in order of appearance
        symbols.sort()
    code = {symbol: i for i, symbol in enumerate(symbols)}
    return tuple(symbols), np.array([code[key] for key in keys])


# --- CSV files ---


def read_table(path: str | PathLike[str], header: int | None) -> pd.DataFrame:
    """A CSV file as a table of strings, or with a header as pandas reads it; separated by comma, semicolon or tab."""
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip() and not line.startswith("#")), "")
        separator = max(",;\t", key=first.count)
        if header == 0:
            return pd.read_csv(path, sep=separator, encoding="utf-8-sig")
        return pd.read_csv(
            path, sep=separator, header=None, encoding="utf-8-sig", dtype=str, keep_default_na=False, comment="#"
        )
    except ValueError as error:
        raise ValueError(f"{path} is not a CSV table: {error}") from None


def read_matrix(
    path: str | PathLike[str], header: bool | None, index: bool | None
) -> tuple[FloatArray, Names | None, Names | None]:
    """Numbers of a CSV matrix, with the labels of its rows and of its columns.

    Parameters
    ----------
    path : path
    header, index : bool or None
        Whether the first row (column) holds labels; None finds out, and refuses to guess where all are numbers and those of
        the first row (column) look like labels.
    """
    cells = read_table(path, header=None).to_numpy()
    values = np.array([[_number(cell) for cell in row] for row in cells], dtype=object)
    text = values == None  # noqa: E711 (element by element)
    corner = not cells[0, 0].strip()
    guessed = {"header": header is None, "index": index is None}
    if header is None:
        header = bool(len(cells) > 1 and (corner or text[0].all()))
    if index is None:
        index = bool(cells.shape[1] > 1 and (corner or text[int(header) :, 0].all()))
    top, left = int(header), int(index)
    for i, j in np.argwhere(text[top:, left:]) + (top, left):
        raise ValueError(
            f"{path}, row {i + 1}, column {j + 1}: {cells[i, j]!r} is not a number; a matrix p(x,y) or of counts is "
            "expected. For a table of samples, name its two columns (x= and y=)"
        )
    table = values[top:, left:].astype(float)
    for what in labels_among(table):
        if guessed[what] and not {"header": header, "index": index}[what]:
            line = cells[0, left:] if what == "header" else cells[top:, 0]
            shown = ", ".join(line[:4]) + (", …" if len(line) > 4 else "")
            raise ValueError(
                f"{path}: the numbers of the first {PLACE[what]}, {shown}, look like labels, not like the numbers beside "
                f"them; say {REMEDY[what]}"
            )
    return table, tuple(cells[top:, 0]) if index else None, tuple(cells[0, left:]) if header else None


def read_vector(path: str | PathLike[str]) -> FloatArray:
    """The numbers of a CSV file of one row or one column; a ValueError that names the first that is none."""
    cells = read_table(path, header=None).to_numpy()
    if 1 not in cells.shape:
        raise ValueError(
            f"{path} has {len(cells)} rows and {cells.shape[1]} columns; p(x) is one row or one column of numbers"
        )
    numbers = [_number(cell) for cell in cells.ravel()]
    if None in numbers:
        i = numbers.index(None)
        raise ValueError(
            f"{path}, entry {i + 1}: {cells.ravel()[i]!r} is not a number; p(x) is one row or column of numbers"
        )
    return np.array(numbers, float)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def labels_among(table: FloatArray) -> tuple[str, ...]:
    """Which of "header" and "index" a table of numbers seems to have.

    A table that sums to 1 has neither: labels would spoil the sum. Otherwise the first row is suspected where the table
    sums to 1 without it, where it is evenly spaced and no other row is, or where it is far above all of them and nearly
    constant (years); likewise the first column, and both at once.
    """
    if not np.isfinite(table).all() or abs(table.sum() - 1.0) <= SUM_TOLERANCE:
        return ()
    for found, top, left in ((("header",), 1, 0), (("index",), 0, 1), (("header", "index"), 1, 1)):
        inner = table[top:, left:]
        if min(inner.shape, default=0) < 2:
            continue
        suspects = [(table[0, left:], inner)] * top + [(table[top:, 0], inner.T)] * left
        if abs(inner.sum() - 1.0) <= SUM_TOLERANCE or all(_unlike(line, rest) for line, rest in suspects):
            return found
    return ()


def _unlike(line: FloatArray, rest: FloatArray) -> bool:
    """Whether numbers look like labels beside all the others, shape (n_lines, n)."""
    years = line.min() > FAR_ABOVE * rest.max() and 0 < np.ptp(line) < 0.1 * line.max()
    return bool(years or (_even(line[None])[0] and not _even(rest).any()))


def _even(lines: FloatArray) -> BoolArray:
    """Whether each line ascends by equal steps: by 1 where there are two numbers only."""
    steps = np.diff(lines, axis=1)
    even = (steps > 0).all(axis=1) & (np.ptp(steps, axis=1) <= 1e-9 * np.abs(lines).max(axis=1))
    return np.asarray(even & (steps[:, 0] == 1) if lines.shape[1] == 2 else even)


# --- what a joint is made of ---


class Parts(NamedTuple):
    """A table over (x, y) and what it holds: p(y|x) where there is a p(x), counts, or p(x, y)."""

    table: FloatArray
    p_x: FloatArray | None
    is_counts: bool
    x_labels: Labels | None
    y_labels: Labels | None
    n_samples: float | None = None


def matrix_parts(
    path: str | PathLike[str], header: bool | None, index: bool | None, p_x: ArrayLike | None, normalise: bool
) -> Parts:
    """The parts of a CSV matrix: counts, where it holds whole numbers that do not sum to 1."""
    table, x_labels, y_labels = read_matrix(path, header, index)
    is_counts = p_x is None and bool(abs(table.sum() - 1.0) > SUM_TOLERANCE and (table == np.rint(table)).all())
    return _parts(table, p_x, is_counts, x_labels, y_labels, None, normalise)


def npz_parts(path: str | PathLike[str], p_x: ArrayLike | None, normalise: bool) -> Parts:
    """The parts of an .npz file, by the names of its arrays."""
    found = read_npz(path)
    labels = [label_tuple(found.get(key)) for key in ("x_labels", "y_labels")]
    samples = float(found["n_samples"]) if "n_samples" in found else None
    prior = found.get("p_x", p_x)
    for name, given, is_counts in (("p_xy", None, False), ("p_y_given_x", prior, False), ("counts", None, True)):
        if name in found and not (name == "p_y_given_x" and prior is None):
            return _parts(two_axes(found[name], name), given, is_counts, labels[0], labels[1], samples, normalise)
    raise ValueError(f"{path} holds {sorted(found) or 'nothing'}; needed: p_xy, or p_x and p_y_given_x, or counts")


def _parts(
    table: FloatArray,
    p_x: ArrayLike | None,
    is_counts: bool,
    x_labels: Labels | None,
    y_labels: Labels | None,
    n_samples: float | None,
    normalise: bool,
) -> Parts:
    prior = None if p_x is None else real_array(p_x, "p_x")
    if normalise and not is_counts:
        table = normalised(table, "p_xy" if prior is None else "p_y_given_x")
        prior = None if prior is None else normalised(prior, "p_x")
    return Parts(table, prior, is_counts, x_labels, y_labels, n_samples)


def normalised(table: FloatArray, name: str) -> FloatArray:
    """A table over its sum, or its rows over theirs (`name` is "p_y_given_x"): it may be off 1, not empty or infinite."""
    axis = -1 if name == "p_y_given_x" else None
    total = np.asarray(table.sum(axis=axis, keepdims=True))
    bad = np.argwhere(~((total > 0) & np.isfinite(total)))
    if len(bad):
        place = f", row {bad[0][0]}," if axis is not None else ""
        raise ValueError(f"{name}{place} sums to {total[tuple(bad[0])]:g}: that cannot be normalised")
    return np.asarray(table / total)
