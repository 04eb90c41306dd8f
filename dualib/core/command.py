"""What all command lines share: exit statuses, --units, what is printed, and files that a command writes."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd

BAD_INPUT, INTERRUPTED, CLOSED_PIPE = 2, 130, 141
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REPORTED = (ValueError, TypeError, OSError, ImportError, MemoryError)


def exit_status(program: str, run: Callable[[], int | None], interrupted: str) -> int:
    """Run a command; return 0 or what it returns, 2 for bad input, 130 when interrupted, 141 when its reader went away.

    A warning is a line of its own words, as an error is.

    Parameters
    ----------
    program : str
        The name before an error's message.
    run : callable
        The command.
    interrupted : str
        What is said after Ctrl-C: what was kept, and how to go on.
    """

    def warn(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print(f"{program}: warning: {' '.join(str(message).split())}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            return int(run() or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except REPORTED as error:
        said = " ".join(str(error).split())
        if isinstance(error, OSError) and error.errno in FULL and interrupted not in said:
            said += f"; make room: {interrupted}"
        print(f"{program}: error: {said}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{program}: interrupted; {interrupted}", file=sys.stderr)
        return INTERRUPTED


def count(text: str) -> int:
    """A whole number as an option's value; 5e9 is one."""
    number = float(text)
    if not number.is_integer():
        raise ValueError
    return int(number)


def add_units(parser: argparse.ArgumentParser) -> None:
    """The option --units."""
    parser.add_argument(
        "--units",
        choices=("bits", "nats"),
        default="bits",
        help="of informations in tables and figures (default: %(default)s)",
    )


def say(text: str = "", *, go_on: bool = False) -> None:
    """Print a line at once, also into a pipe; a terminal that cannot show Greek gets a substitute, not a traceback.

    With ``go_on=True`` a reader who went away is no error: what follows is not shown, and the work goes on.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        if not go_on:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_workers(parser: argparse.ArgumentParser, work: str, default: str = "here") -> None:
    """The option --workers of :func:`dualib.core.parallel.processes`, for the work that is done there."""
    parser.add_argument("--workers", type=int, metavar="N", help=f"{work} on so many processes (default: {default})")


def write_table(
    folder: Path,
    stem: str,
    frame: pd.DataFrame,
    *,
    settings: Mapping[str, object],
    units: dict[str, str],
    start: float,
    **more: object,
) -> None:
    """Write a table as .csv, and as .json what it is made from.

    Parameters
    ----------
    folder, stem : Path, str
        The files are ``<folder>/<stem>.csv`` and ``.json``.
    frame : DataFrame
    settings : mapping
        Everything that the table depends on.
    units : dict
        The unit of each column that has one.
    start : float
        When the work began, of ``time.perf_counter``.
    more
        Further entries of the record.
    """
    from dualib.core.files import atomic_path, metadata, write_json

    with atomic_path(folder / f"{stem}.csv") as temporary:
        frame.to_csv(temporary, index=False)
    write_json(folder / f"{stem}.json", metadata(settings, units, perf_counter() - start, **more))


def write_figure(path: Path, draw: Callable[[], Any], dpi: int = 200) -> bool:
    """Write the figure that `draw` returns (or that of the axes it returns); the suffix of the path is the format.

    Without matplotlib the rest of a command's work is kept: a line says what brings it, and False is returned.
    """
    from dualib.core.extras import MissingExtra
    from dualib.core.files import atomic_path

    try:
        drawn = draw()
    except MissingExtra as error:
        say(f"{path.name} is not drawn: {error}", go_on=True)
        return False
    with atomic_path(path) as temporary:
        getattr(drawn, "figure", drawn).savefig(temporary, dpi=dpi)
    return True
