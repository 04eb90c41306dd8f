"""``deepnets movie``: the information plane of one run or recording, epoch by epoch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from deepnets.commands.shared import add_plane_options, estimated_plane, note_unfinished
from deepnets.gradients import GradientPhases, gradient_phases
from deepnets.plotting import write_movie
from deepnets.plotting.movie import movie_writer
from deepnets.recordings import Recorded, read_recording
from dualib.core.command import say
from dualib.core.files import writable_directory

if TYPE_CHECKING:
    from deepnets.recordings.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets movie``."""
    parser.add_argument("directory", type=Path, help="of the run or recording")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=".gif, or .mp4 with ffmpeg (default: plane.gif in its results)"
    )
    parser.add_argument("--frames", type=int, help="about how many epochs are shown (default: all snapshots)")
    parser.add_argument("--fps", type=float, default=8.0, help="frames a second (default: %(default)s)")
    add_plane_options(parser)


def run(a: argparse.Namespace) -> None:
    """Estimate the plane and the gradients' phases, write the movie."""
    found = read_recording(a.directory)
    note_unfinished(found)
    out = a.directory / "results" / "plane.gif" if a.out is None else a.out
    movie_writer(out, a.fps)  # whose errors come before the work
    writable_directory(out.parent)
    plane = estimated_plane(found, a)
    write_movie(plane, out, phases=_phases(found, a.seed), frames=a.frames, fps=a.fps, units=a.units)
    say(f"{len(plane.replicas)} replicas, {len(plane.epochs)} epochs; written: {out}")


def _phases(found: Run | Recorded, seed: int) -> GradientPhases | None:
    """The gradients' phases, where there are any, and why not otherwise."""
    try:
        phases = gradient_phases(found, seed=seed)
        phases.transition()
    except ValueError as error:
        say(f"note: without the line of the phase change: {error}")
        return None
    return phases
