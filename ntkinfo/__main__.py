"""Command line: ``ntkinfo timeline``, ``ntkinfo bounds`` and ``ntkinfo modes`` (also ``python -m ntkinfo``)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dualib.core.command import exit_status
from ntkinfo import commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 when interrupted, 141 when nobody reads on."""
    arguments = commands.parser().parse_args(argv)
    return exit_status(
        "ntkinfo",
        lambda: commands.run(arguments),
        "files already written are whole; kernels in --kernels FILE.npz are read the next time",
    )


if __name__ == "__main__":
    sys.exit(main())
