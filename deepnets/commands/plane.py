"""``deepnets plane``: the information plane of one run or recording."""

from __future__ import annotations

import argparse
import time

import numpy as np

from deepnets import plotting
from deepnets.commands.shared import (
    add_plane_options,
    add_run_options,
    estimated_plane,
    opened,
    print_table,
    write_table,
)
from deepnets.recordings import Recorded
from dualib.core.command import say, write_figure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets plane``."""
    add_run_options(parser)
    add_plane_options(parser)
    parser.add_argument(
        "--channels", metavar="LAYER", help="of a recording: take the channels of this layer for layers"
    )
    parser.add_argument("--channel-axis", type=int, default=1, help="of the channels: 1 where they come first, -1 last")
    parser.add_argument("--epochs", type=int, nargs="+", help="of the rows of the table (default: a few)")


def run(a: argparse.Namespace) -> None:
    """Estimate the plane, print its summary, write table, files and figures."""
    found, out = opened(a)
    if a.channels is not None:
        if not isinstance(found, Recorded):
            raise ValueError("--channels is for recordings: the layers of a run of deepnets train have none")
        found = found.by_channel(a.channels, a.channel_axis)
    start = time.perf_counter()
    plane = estimated_plane(found, a)
    print_table(plane.summary(a.units, a.epochs))
    violations = plane.processing_violations() if a.channels is None else np.zeros(1)
    say(f"\n{plane.method}; median and quartiles of {len(plane.replicas)} replicas")
    for text, count in plane.warnings.items():
        say(f"  {count} times: {text}")
    if violations.max(initial=0.0) > 0:
        pairs = ", ".join(f"{share:.0%} into {n}" for n, share in zip(plane.layers[1:], violations, strict=True))
        say(f"  estimates that rise from a layer to the next, as informations cannot: {pairs}")
    plane.save(out / "plane.npz")
    write_table(a, out, "plane", plane.to_frame(a.units), start, {"warnings": plane.warnings, **plane.settings})
    write_figure(out / "plane.png", lambda: plotting.plot_plane(plane, units=a.units))
    epochs = [0, 400, int(plane.epochs[-1])]
    write_figure(out / "snapshots.png", lambda: plotting.plot_snapshots(plane, epochs, a.units))
    write_figure(out / "epochs.png", lambda: plotting.plot_against_epochs(plane, a.units))
    say(f"written: {out}/plane.npz .csv .json .png, snapshots.png, epochs.png")
