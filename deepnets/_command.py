"""What the commands share: options of an information plane, its estimation, tables, records and figures on disk."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.files import atomic_path, metadata, plain, write_json

if TYPE_CHECKING:
    import pandas as pd

    from deepnets.runs import Run
    from deepnets.trajectory import Estimator, InformationPlane, RangeBinning

# A noisy layer costs a pass over all pairs of patterns and passes: some 5 s a replica and snapshot for the preset
# goldfeld2019, so that this many take about two minutes. Binning costs next to nothing and takes all there are.
NOISY_REPLICAS, NOISY_SNAPSHOTS = 3, 7


def add_plane_options(parser: argparse.ArgumentParser) -> None:
    """How a plane is estimated."""
    noisy = "; of a noisy network {}, 0 for all"
    parser.add_argument("--units", choices=("nats", "bits"), default="bits")
    parser.add_argument("--bins", type=int, default=30, help="edges of the cells, for a deterministic network")
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


def estimated_plane(run: Run, a: argparse.Namespace, kept: Path | None = None) -> InformationPlane:
    """The plane of a run under :func:`add_plane_options`; what was chosen for a noisy network is said.

    Parameters
    ----------
    kept : a file; a plane of the same run and options is read from it, another is estimated and written to it.
    """
    from deepnets.trajectory import InformationPlane, information_plane

    for name in ("replicas", "snapshots"):
        if getattr(a, name) is not None and getattr(a, name) < 0:
            raise ValueError(f"--{name} must be 0, for all, or a positive number, got {getattr(a, name)}")
    noisy = run.network.noise_std > 0
    n_replicas = a.replicas if a.replicas is not None else NOISY_REPLICAS * noisy
    n_snapshots = a.snapshots if a.snapshots is not None else NOISY_SNAPSHOTS * noisy
    replicas = np.flatnonzero(run.failed < 0)[: n_replicas or None]
    last = len(run.epochs) - 1
    snapshots = np.unique(np.linspace(0, last, min(n_snapshots or last + 1, last + 1)).round().astype(int))
    if noisy:
        print(
            f"noisy network, estimated at {len(replicas)} of {run.n_replicas} replicas, {len(snapshots)} of {last + 1} "
            f"snapshots, with {a.passes} passes: --replicas, --snapshots and --passes change that",
            flush=True,
        )
    estimator = _estimator(run, a.bins)
    if kept is not None and kept.is_file():
        old = InformationPlane.load(kept)
        now = plain({"run": run.settings, "estimator": repr(estimator), "passes": a.passes, "seed": a.seed})
        same = plain(old.settings) == now and np.array_equal(old.replicas, replicas)
        if same and np.array_equal(old.epochs, run.epochs[snapshots]):
            return old
    plane = information_plane(run, estimator, replicas=replicas, snapshots=snapshots, passes=a.passes, seed=a.seed)
    if kept is not None:
        plane.save(kept)
    return plane


def _estimator(run: Run, bins: int) -> Estimator | RangeBinning | None:
    """Of a deterministic network binning, by the range of its units where they do not saturate."""
    from deepnets.estimators import Binning
    from deepnets.trajectory import RangeBinning

    if run.network.noise_std > 0:
        return None
    return Binning(bins) if run.network.activation in ("tanh", "erf") else RangeBinning(bins)


def print_table(frame: pd.DataFrame) -> None:
    """On the terminal, four digits."""
    print(frame.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def write_table(
    a: argparse.Namespace, out: Path, stem: str, frame: pd.DataFrame, start: float, settings: Any, **more: Any
) -> None:
    """The table as .csv, and as .json what it is made from, with `more` entries."""
    with atomic_path(out / f"{stem}.csv") as temporary:
        frame.to_csv(temporary, index=False)
    command = {k: _plain_paths(v) for k, v in vars(a).items() if k != "run"}
    units = {
        name: name.rsplit("_", 1)[-1]
        for name in frame.columns
        if name.rsplit("_", 1)[-1] in ("nats", "bits", "patterns")
    }
    record = metadata(settings, units, perf_counter() - start, command=command, **more)
    write_json(out / f"{stem}.json", record)


def _plain_paths(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain_paths(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def write_figure(path: Path, draw: Callable[[], Any], dpi: int = 150) -> None:
    """What `draw` returns, a figure, as a file."""
    with atomic_path(path) as temporary:
        draw().savefig(temporary, dpi=dpi)
