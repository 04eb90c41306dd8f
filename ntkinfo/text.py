"""Tables and sources to print."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

NEGLIGIBLE = 1e-4
"""Below it, and below that part of its column's largest entry, a number is shown as "~0"; files have all digits."""


PIPE = 120
"""Characters in a line where there is no terminal."""


def line_width(width: int | None = None, most: int | None = None) -> int:
    """`width`, or for None that of the terminal, :data:`PIPE` without one; at most `most`."""
    found = shutil.get_terminal_size((PIPE, 24)).columns if width is None else width
    return found if most is None or width is not None else min(found, most)


def text_table(frame: pd.DataFrame, width: int | None = None) -> str:
    """`frame` with four digits, in lines of `width` characters; "~0" for what is below :data:`NEGLIGIBLE`.

    Where whole names do not fit they are broken after underscores, and columns that do not fit then follow in further blocks, each
    of which has the first column.

    Examples
    --------
    >>> import pandas as pd
    >>> print(text_table(pd.DataFrame({"tau": [1.0], "training_error": [0.25], "test_error": [0.5]}), 20))
    tau training_ test_
            error error
      1      0.25   0.5
    """
    width = line_width(width)
    columns = [(str(name), _cells(str(name), frame[name].to_numpy())) for name in frame.columns]
    whole = [([name], cells) for name, cells in columns]
    if _size(whole) <= width:
        return _block(whole)
    broken = [(_broken(name, max(map(len, cells), default=0)), cells) for name, cells in columns]
    blocks = [broken[:1]]
    for column in broken[1:]:
        if len(blocks[-1]) > 1 and _size([*blocks[-1], column]) > width:
            blocks.append(broken[:1])
        blocks[-1].append(column)
    return "\n\n".join(map(_block, blocks))


_Text = tuple[list[str], list[str]]
"""The lines of a column's name, and its entries."""


def _cells(name: str, values: np.ndarray) -> list[str]:
    if values.dtype.kind != "f":
        return [str(value) for value in values]
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    floor = 0.0 if name == "tau" else NEGLIGIBLE * min(largest, 1.0)
    return [_number(float(value), floor) for value in values]


def _broken(name: str, least: int) -> list[str]:
    """A name in lines that end in underscores, no wider than its entries or its longest word."""
    words = name.replace("_", "_ ").split(" ")
    width = max(least, *map(len, words))
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return lines


def _size(columns: Sequence[_Text]) -> int:
    return sum(max(map(len, (*name, *cells))) for name, cells in columns) + len(columns) - 1


def _block(columns: Sequence[_Text]) -> str:
    height = max(len(name) for name, _ in columns)
    sides = [[*name, *[""] * (height - len(name)), *cells] for name, cells in columns]
    widths = [max(map(len, side)) for side in sides]
    rows = (" ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in zip(*sides, strict=True))
    return "\n".join(map(str.rstrip, rows))


def finite_networks(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What is to be said of kernels that are means over finite networks, by the settings that these have; of others nothing.

    Examples
    --------
    >>> finite_networks({"points": "…"})
    []
    """
    errors = settings.get(f"{prefix}relative_error")
    if not errors:
        return []
    said = ", ".join(f"{100 * error:.2g} % of {name}" for name, error in errors.items())
    return [
        f"the kernels are means over {settings[f'{prefix}replicas']} finite networks, with standard errors of {said} (Frobenius "
        "norms): columns are exact, and bounds are bounds, for these means; that error is not in them, and other seeds show it"
    ]


def printed(source: str) -> str:
    """A source as it is printed: its references have the underscore that makes them links in the documentation.

    Examples
    --------
    >>> printed("[xu2017]_ theorem 1")
    '[xu2017] theorem 1'
    """
    return source.replace("]_", "]")


def _number(value: float, floor: float) -> str:
    return "~0" if value != 0 and abs(value) < floor else f"{value:.4g}"
