"""``dualib plane``: results that were kept, of one joint or of several, in one information plane."""

from __future__ import annotations

import argparse
from pathlib import Path

from dualib.commands.parser import UsageError
from dualib.commands.task import bad_input, check_figure, report
from dualib.core.command import write_figure
from dualib.core.result import Result
from dualib.plane import InPlane
from dualib.plotting import plot_information_plane


def run(args: argparse.Namespace) -> int:
    """The command."""
    check_figure(args.figure)
    with bad_input():
        drawn = [read_line(path) for path in args.results]
    lines = [path.name for one in drawn for path in one.plane_paths()]
    if args.labels is not None and len(args.labels) != len(lines):
        raise UsageError(f"--labels: {len(args.labels)} names for {len(lines)} lines, which are {', '.join(lines)}")
    write_figure(
        Path(args.figure), lambda: plot_information_plane(drawn, units=args.units, labels=args.labels), dpi=300
    )
    report(f"saved {args.figure}: {len(lines)} lines, {', '.join(args.labels or lines)}", args)
    return 0


def read_line(path: str) -> InPlane:
    """A result that has lines in the information plane.

    Raises
    ------
    ValueError
        If the file is missing, damaged, or holds a result without lines in the plane.
    """
    from dualib.curves import curve, hard_points  # loaded, their results are known

    found = Result.load(path)
    if not hasattr(found, "plane_paths"):
        known = ", ".join(kind.__name__ for kind in (curve.InformationCurve, hard_points.HardPoints))
        raise ValueError(f"{path}: a {type(found).__name__} has no line in the information plane; {known} have")
    drawn: InPlane = found
    return drawn
