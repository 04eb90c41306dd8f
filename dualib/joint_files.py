"""What joints are made of, and its checks: tables of probabilities or counts, samples, and files of either."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Hashable, Iterable
from os import PathLike
from typing import NamedTuple

import numpy as np

from dualib.core.arrays import SUM_TOLERANCE, check_entries, real_array, sums
from dualib.core.files import read_npy, read_npz
from dualib.core.typing import ArrayLike, FloatArray, IntArray
from dualib.joint_csv import read_matrix

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
    of_rows, of_columns = sums(table, 1), sums(table, 0)
    whole = float(sums(of_rows))
    if total is None and np.isinf(whole):
        raise ValueError(f"the sum of {name} is larger than any floating-point number; divide it by a constant")
    excess = 0.0 if total is None else whole - total
    if abs(excess) > SUM_TOLERANCE:
        remedy = "normalise it, Joint(p / p.sum()), or use Joint.from_counts(p) if it holds counts"
        if np.abs(of_rows - 1.0).max() <= 1e-3:
            remedy = "its rows sum to 1: if they are p(y|x), use Joint.from_conditional(p_x, p_y_given_x)"
        raise ValueError(
            f"{name} sums to {1.0 + excess:.12g}, off 1 by {excess:.3g} (allowed: {SUM_TOLERANCE:g}); {remedy}"
        )
    for axis, of, drop in ((0, of_rows, "p[p.sum(1) > 0]"), (1, of_columns, "p[:, p.sum(0) > 0]")):
        empty = np.flatnonzero(of == 0)
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
    """The parts of a CSV matrix."""
    table, x_labels, y_labels = read_matrix(path, header, index)
    return _parts(table, p_x, _counts(table, p_x), x_labels, y_labels, None, normalise)


def npy_parts(path: str | PathLike[str], p_x: ArrayLike | None, normalise: bool) -> Parts:
    """The parts of an .npy file of a matrix."""
    table = two_axes(read_npy(path), "the array")
    return _parts(table, p_x, _counts(table, p_x), None, None, None, normalise)


def _counts(table: FloatArray, p_x: ArrayLike | None) -> bool:
    """Whether a matrix without a name holds counts: whole numbers that do not sum to 1."""
    return p_x is None and bool(abs(sums(table) - 1.0) > SUM_TOLERANCE and (table == np.rint(table)).all())


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


def occurring(parts: Parts) -> Parts:
    """The parts without the x and y of probability 0, which change no p(x, y); a UserWarning names them.

    What is left keeps its labels, or where there are none the numbers of its rows and columns in the whole table.
    """
    table, p_x = parts.table, parts.p_x
    if p_x is not None and p_x.shape != (len(table),):
        return parts  # refused where the joint is made
    mass = table if p_x is None else table * p_x[:, None]
    kept, labels, said = [], [], []
    for axis, given in enumerate((parts.x_labels, parts.y_labels)):
        empty = (mass == 0).all(axis=1 - axis)
        names = tuple(range(table.shape[axis])) if given is None else given
        kept.append(np.flatnonzero(~empty))
        labels.append(tuple(names[i] for i in kept[-1]) if empty.any() else given)
        if gone := [str(names[i]) for i in np.flatnonzero(empty)]:
            more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
            said.append(f"{len(gone)} {'xy'[axis]} of probability 0 ({', '.join(gone[:5])}{more})")
    if not said:
        return parts
    warnings.warn(f"left out: {'; '.join(said)}", stacklevel=4)
    prior = None if p_x is None else p_x[kept[0]]
    return parts._replace(table=table[np.ix_(*kept)], p_x=prior, x_labels=labels[0], y_labels=labels[1])


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
    total = sums(table, axis, keepdims=True)
    bad = np.argwhere(~((total > 0) & np.isfinite(total)))
    if len(bad):
        place = f", row {bad[0][0]}," if axis is not None else ""
        raise ValueError(f"{name}{place} sums to {total[tuple(bad[0])]:g}: that cannot be normalised")
    return np.asarray(table / total)
