"""Numbers of CSV files: matrices with or without labels, one row or column, tables of samples."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import SUM_TOLERANCE, sums
from dualib.core.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

FAR_ABOVE = 10.0  # times every other entry: numbers that large, and within a tenth of each other, look like years
REMEDY = {
    "header": "header=True (they are labels) or header=False (they are data)",
    "index": "index=True (they are labels) or index=False (they are data)",
}
PLACE = {"header": "row", "index": "column"}
Names = tuple[str, ...]


def read_table(path: str | PathLike[str], header: int | None) -> pd.DataFrame:
    """A CSV file as a table of strings, or with a header as pandas reads it; its first line tells what separates."""
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip() and not line.startswith("#")), "")
        separator = max(",;\t", key=first.count)
        if ";" in first and all(_number(part.replace(",", ".")) is not None for part in first.split(";")):
            separator = ";"  # between decimal commas, which outnumber it
        if separator not in first and len(first.split()) > 1:
            separator = r"\s+"  # as numpy.savetxt writes
        if header == 0:
            return pd.read_csv(path, sep=separator, encoding="utf-8-sig")
        return pd.read_csv(
            path, sep=separator, header=None, encoding="utf-8-sig", dtype=str, keep_default_na=False, comment="#"
        )
    except ValueError as error:
        raise ValueError(f"{path} is not a CSV table: {error}") from None


def named_columns(path: str | PathLike[str]) -> pd.DataFrame:
    """A CSV file as a table whose first row has the names of the columns; a ValueError where there is none, or it holds numbers."""
    try:
        frame = read_table(path, header=0)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    if all(_number(str(name)) is not None for name in frame.columns):
        raise ValueError(f"{path}: its first row holds numbers, and must hold the names of the columns")
    if not len(frame):
        raise ValueError(f"{path} has no row below the names of its columns")
    return frame


def numbers_of(frame: pd.DataFrame, path: str | PathLike[str]) -> FloatArray:
    """The columns of a table as numbers, shape (rows, columns); a ValueError that has column and row of the first cell that is none."""
    import pandas as pd

    values: FloatArray = np.asarray(frame.apply(pd.to_numeric, errors="coerce"), dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{path}, row {row + 2}, column {str(frame.columns[column])!r}: {frame.iloc[row, column]} is no finite number (of "
            f"{len(bad)} such cells); fill or remove such rows, and turn names into numbers"
        )
    return values


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
        remedy = "For a table of samples, name its two columns (x= and y=)"
        if _number(cells[i, j].replace(",", ".", 1)) is not None:
            remedy = "Write decimals with a point, and thousands without a comma"
        raise ValueError(
            f"{path}, row {i + 1}, column {j + 1}: {cells[i, j]!r} is not a number; a matrix p(x,y) or of counts is "
            f"expected. {remedy}"
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
    if not np.isfinite(table).all() or abs(sums(table) - 1.0) <= SUM_TOLERANCE:
        return ()
    for found, top, left in ((("header",), 1, 0), (("index",), 0, 1), (("header", "index"), 1, 1)):
        inner = table[top:, left:]
        if min(inner.shape, default=0) < 2:
            continue
        suspects = [(table[0, left:], inner)] * top + [(table[top:, 0], inner.T)] * left
        if abs(sums(inner) - 1.0) <= SUM_TOLERANCE or all(_unlike(line, rest) for line, rest in suspects):
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
