"""What the commands share: a run that is read, options of an information plane, its estimation, tables and records on disk."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepnets.planes.estimate import default_estimator, information_plane
from deepnets.planes.plane import InformationPlane
from deepnets.recordings import Recorded, read_recording
from deepnets.recordings.recording import finished
from dualib.core import command
from dualib.core.arrays import whole
from dualib.core.command import add_units, add_workers, say
from dualib.core.figure import check_matplotlib
from dualib.core.files import plain, writable_directory
from dualib.core.parallel import processes

if TYPE_CHECKING:
    import pandas as pd

    from deepnets.recordings.run import Run

# A noisy layer costs a pass over all pairs of patterns and passes: some 5 s a replica and snapshot for the preset
# goldfeld2019, so that this many take about two minutes. Binning costs next to nothing and takes all there are.
NOISY_REPLICAS, NOISY_SNAPSHOTS = 3, 7
ROUNDING = 1e-10  # of printed tables: informations of sums over thousands of patterns carry some 1e-13


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The run or recording that a command reads, and where its results go."""
    parser.add_argument("directory", type=Path, help="of the run or recording")
    parser.add_argument("--out", type=Path, metavar="DIR", help="of the results (default: the run's)")


def opened(a: argparse.Namespace) -> tuple[Run | Recorded, Path]:
    """The run or recording, and a directory that can be written, also with figures: found out before the work.

    What is unfinished is said to be so.
    """
    check_matplotlib()
    found = read_recording(a.directory)
    note_unfinished(found)
    return found, writable_directory(a.out if a.out is not None else a.directory / "results")


def note_unfinished(recording: Run | Recorded) -> None:
    """Say on the terminal that a training is not finished, if it is not."""
    if recording.unfinished:
        say(f"note: {recording.unfinished}; what began it goes on")


def add_plane_options(parser: argparse.ArgumentParser) -> None:
    """How a plane is estimated."""
    noisy = "; of a noisy network {}, 0 for all"
    add_units(parser)
    parser.add_argument("--bins", type=int, default=30, help="edges of the cells, for a deterministic network")
    parser.add_argument(
        "--sampled",
        action="store_true",
        help="the patterns are a sample of a population, of a deterministic network: values less their bias, 95%% intervals",
    )
    parser.add_argument(
        "--replicas",
        type=int,
        help=f"estimate at the first so many (default: all{noisy.format(NOISY_REPLICAS)})",
    )
    parser.add_argument(
        "--snapshots", type=int, help=f"estimate at about so many (default: all{noisy.format(NOISY_SNAPSHOTS)})"
    )
    parser.add_argument("--passes", type=int, default=4, help="noisy passes from every pattern")
    parser.add_argument("--seed", type=int, default=0)
    add_workers(parser, "estimate")


def estimated_plane(run: Run | Recorded, a: argparse.Namespace, kept: Path | None = None) -> InformationPlane:
    """The plane of a run or recording under :func:`add_plane_options`; what was chosen for a noisy network is said.

    Parameters
    ----------
    run : Run or Recorded
    a : Namespace
        The options.
    kept : Path or None
        A file; a plane of the same run and options is read from it, another, or of a recording, is estimated and written to it.

    Raises
    ------
    ValueError
        If a number is negative, or every replica failed.
    """
    for name in ("replicas", "snapshots"):
        if getattr(a, name) is not None and getattr(a, name) < 0:
            raise ValueError(f"--{name} must be 0, for all, or a positive number, got {getattr(a, name)}")
    if kept is not None:
        note_unfinished(run)
    noisy = run.noise_std > 0
    if noisy and a.sampled:
        raise ValueError(
            "--sampled is for deterministic networks: deeper noisy layers are estimated for the patterns there are"
        )
    n_replicas = a.replicas if a.replicas is not None else NOISY_REPLICAS * noisy
    n_snapshots = a.snapshots if a.snapshots is not None else NOISY_SNAPSHOTS * noisy
    replicas = trained_replicas(run)[: n_replicas or None]
    last = len(run.epochs) - 1
    snapshots = np.unique(np.linspace(0, last, min(n_snapshots or last + 1, last + 1)).round().astype(int))
    if noisy:
        say(
            f"noisy network, estimated at {len(replicas)} of {run.n_replicas} replicas, {len(snapshots)} of {last + 1} "
            f"snapshots, with {a.passes} passes: --replicas, --snapshots and --passes change that"
        )
    estimator = None if noisy else default_estimator(run, a.bins, a.sampled)
    if kept is not None and kept.is_file() and not isinstance(run, Recorded):  # whose settings do not tell its numbers
        old = InformationPlane.load(kept)
        now = plain({"run": run.settings, "estimator": repr(estimator), "passes": a.passes, "seed": a.seed})
        same = plain(old.settings) == now and np.array_equal(old.replicas, replicas)
        if same and np.array_equal(old.epochs, run.epochs[snapshots]):
            return old
    estimated = partial(information_plane, run, estimator, replicas=replicas, snapshots=snapshots, passes=a.passes)
    with processes(a.workers) as executor:
        plane = estimated(seed=a.seed, executor=executor)
    if kept is not None:
        plane.save(kept)
    return plane


def trained_replicas(recording: Run | Recorded) -> np.ndarray:
    """The replicas that stayed finite; a ValueError if there are none."""
    alive = finished(recording)
    if alive.size == 0:
        raise ValueError(
            f"no replica's loss stayed finite, the last until epoch {int(recording.failed.max())}: train with a lower learning rate"
        )
    return alive


def replica_number(recording: Run | Recorded, number: int) -> int:
    """The number of a replica that there is; a ValueError otherwise."""
    if whole(number, "--replica") >= recording.n_replicas:
        raise ValueError(f"--replica must lie in 0..{recording.n_replicas - 1}, got {number}")
    return number


def print_table(frame: pd.DataFrame) -> None:
    """On the terminal, four digits; what is rounding is 0."""
    say(frame.to_string(index=False, float_format=lambda value: f"{0.0 if abs(value) < ROUNDING else value:.4g}"))


def write_table(
    a: argparse.Namespace,
    out: Path,
    stem: str,
    frame: pd.DataFrame,
    start: float,
    settings: Mapping[str, object],
    **more: object,
) -> None:
    """The table as .csv, and as .json what it is made from, with `more` entries; see :func:`dualib.core.command.write_table`."""
    ends = {str(name): str(name).rsplit("_", 1)[-1] for name in frame.columns}
    units = {name: end for name, end in ends.items() if end in ("nats", "bits", "patterns")}
    options = {name: value for name, value in vars(a).items() if name != "run"}
    command.write_table(out, stem, frame, settings=settings, units=units, start=start, command=options, **more)
