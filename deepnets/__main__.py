"""Command line: ``deepnets train``, ``plane``, ``planes``, ``movie``, ``gradients``, ``layers``, ``relax``, ``compare`` and
``variational``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from dualib.core.command import exit_status

COMMANDS = {
    "train": "train the replicas of an experiment: szt2017 (12-10-7-5-4-3-2, tanh), saxe2018 (the same with ReLU) or "
    "goldfeld2019 (noise 0.01 at every hidden layer), on the icosahedral task or on --data; every option overrides the preset's; "
    "resumable",
    "plane": "information plane of a run or recording: table, files, figures",
    "planes": "information planes of several runs beside one another: table, figures, generalisation, noisy twins",
    "movie": "the information plane of a run or recording, epoch by epoch, as .gif or .mp4",
    "gradients": "gradient phases of a run or recording, layer by layer: table, files, figure",
    "layers": "the layers of a run or recording against the exact bottleneck, and by label: table, figures",
    "relax": "relax a run by Monte Carlo, Langevin's equation, kicks or bottleneck targets, beside continued training: table, "
    "figure; resumable",
    "compare": "finite networks against every quantity of infinite width: verdicts and a report; resumable",
    "variational": "variational bottlenecks over seeds and β: on images their rates, label information and calibration, on a "
    "law their gap to the proven optimum; table, files, figures; resumable",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: 0, 2 for bad input, 130 when interrupted, 141 when the reader went away."""
    return exit_status("deepnets", lambda: _run(argv), "the same command goes on where it was left")


def _run(argv: Sequence[str] | None) -> int | None:
    parser = argparse.ArgumentParser(prog="deepnets", description="Finite networks and their information flow.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        module = import_module(f"deepnets.commands.{name}")
        command = commands.add_parser(name, help=text, description=text)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    arguments = parser.parse_args(argv)
    status: int | None = arguments.run(arguments)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
