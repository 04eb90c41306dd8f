"""Command line: ``dualib curve``, ``dualib solve``, ``dualib transitions``, ``dualib verify``, ``dualib plane`` (also ``python -m dualib``)."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Sequence

from dualib.commands.parser import parser
from dualib.core.command import exit_status
from dualib.core.parallel import one_thread


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0, 1 (verify refuted a point), 2 (bad input), 130 (interrupted) or 141 (nobody reads on).
    """

    def run() -> int:
        args = parser().parse_args(argv)
        args.command = shlex.join(["dualib", *(sys.argv[1:] if argv is None else argv)])
        command = importlib.import_module(f"dualib.commands.{args.name}")
        with one_thread():
            return int(command.run(args))

    return exit_status("dualib", run, "points solved so far are kept where --out was given; the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
