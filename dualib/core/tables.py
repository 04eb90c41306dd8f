"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(header: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], indent: int = 2) -> str:
    """A table of right-aligned columns under names and units.

    Parameters
    ----------
    header : sequence of (name, unit)
        The line of units is left out where all are empty.
    rows : sequence of sequences of str
        The cells.
    indent : int
        Spaces before every line.
    """
    heads = [[name for name, _ in header], [unit for _, unit in header]]
    if not any(heads[1]):
        heads.pop()
    lines = [*heads, *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        (" " * indent + "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True))).rstrip() for line in lines
    ]
    text.insert(len(heads), " " * indent + "─" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join(text)
