"""``deepnets planes``: the information planes of several runs, estimated alike and set beside one another."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from deepnets import plotting
from deepnets.commands.shared import add_plane_options, estimated_plane, print_table, write_table
from deepnets.planes import InformationPlane, RunComparison, clustering_paths, compare_runs, twins
from deepnets.recordings import Recording, read_recording
from dualib.core.command import say, write_figure
from dualib.core.files import writable_directory

_TWIN_REPLICAS, _TWIN_EPOCHS = 3, 8  # distances of all pairs of patterns: a sixth of a second a layer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets planes``."""
    parser.add_argument("directories", type=Path, nargs="+", metavar="RUN_DIR", help="of the runs or recordings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the results")
    parser.add_argument("--label", nargs="+", metavar="TEXT", help="a name a run (default: the directories' names)")
    add_plane_options(parser)


def run(a: argparse.Namespace) -> None:
    """Estimate every plane, print and write the comparison, draw it."""
    labels = _labels(a)
    runs = {label: read_recording(path) for label, path in zip(labels, a.directories, strict=True)}
    out = writable_directory(a.out)
    start = time.perf_counter()
    files = {label: out / f"plane_{_stem(label)}.npz" for label in labels}
    planes = {}
    for label, one in runs.items():
        say(f"{label}:")
        planes[label] = estimated_plane(one, a, files[label])
        say(f"  {planes[label].method}; {time.perf_counter() - start:.0f} s since the start")
    comparison = compare_runs(runs, planes)
    table = comparison.to_frame(a.units)
    print_table(table)
    say(
        "means over replicas with Student's 95 % intervals; estimator_low and estimator_high are the means of the estimators' own "
        "intervals"
    )
    for line in _bound_lines(comparison):
        say(line)
    settings = {label: one.settings for label, one in runs.items()}
    write_table(a, out, "runs", table, start, settings, rows=table.to_dict("records"))
    write_figure(out / "planes.png", lambda: plotting.plot_planes(planes, a.units), 300)
    write_figure(out / "runs.png", lambda: plotting.plot_comparison(comparison, a.units), 300)
    written = ["runs.csv", "runs.json", "planes.png", "runs.png"]
    if any(run.bound is not None for run in comparison.runs.values()):
        write_figure(out / "bound.png", lambda: plotting.plot_bound(comparison).figure, 300)
        written.append("bound.png")
    for pair in twins(runs):
        stem = f"twins_{_stem(pair[0])}"
        _write_twins(a, out, stem, pair, runs, planes, start)
        written += [f"{stem}.csv", f"{stem}.json", f"{stem}.png"]
    say(f"written: {out}: {', '.join(chain(written, (f.name for f in files.values())))}")


def _labels(a: argparse.Namespace) -> list[str]:
    """A label a run, each of its own, and of its own as a file's name."""
    labels = a.label or [path.resolve().name for path in a.directories]
    if len(labels) != len(a.directories):
        raise ValueError(f"{len(labels)} labels for {len(a.directories)} runs: give --label one text a run")
    for name, values in (("labels", labels), ("labels as names of files", [_stem(v) for v in labels])):
        twice = sorted({v for v in values if values.count(v) > 1})
        if twice:
            raise ValueError(f"{name} must differ, got {', '.join(map(repr, twice))} more than once: give --label")
    return list(labels)


def _stem(label: str) -> str:
    """A label as part of a file's name."""
    return re.sub(r"[^\w.-]+", "_", label, flags=re.ASCII).strip("_") or "run"


def _bound_lines(comparison: RunComparison) -> list[str]:
    lines = []
    for label, run in comparison.runs.items():
        if run.bound is None:
            lines.append(f"{label}: a recording does not tell its training patterns, so no input-compression bound")
            continue
        last, gap = run.bound.value[:, -1], run.gap[:, -1]
        said = f"{label}: input-compression bound at the last epoch {np.median(last):.3g}"
        if not np.isfinite(gap).all():
            lines.append(f"{said}; no test patterns, so no gap")
            continue
        vacuous = f", vacuous for {np.mean(last >= 1):.0%} of the replicas" if (last >= 1).any() else ""
        held = np.mean(gap <= last)
        low, high = (float(np.median(end[:, -1])) for end in (run.bound.low, run.bound.high))
        if high > low:
            said += f" ({low:.3g} to {high:.3g} by the estimator's interval)"
        lines.append(f"{said}{vacuous}; measured gap {np.median(gap):.3g}, within the bound for {held:.0%} (medians)")
    return lines


def _write_twins(
    a: argparse.Namespace,
    out: Path,
    stem: str,
    pair: tuple[str, str],
    runs: Mapping[str, Recording],
    planes: Mapping[str, InformationPlane],
    start: float,
) -> None:
    """A noisy network and its deterministic twin: clustering measures of both, table and figure."""
    noisy, twin = pair
    common = np.intersect1d(planes[noisy].replicas, planes[twin].replicas)[:_TWIN_REPLICAS]
    if common.size == 0:
        say(f"{noisy} and {twin} have no replica in common: no figure of twins")
        return
    epochs = planes[noisy].epochs
    chosen = np.unique(np.linspace(0, len(epochs) - 1, min(_TWIN_EPOCHS, len(epochs))).round().astype(int))
    paths = clustering_paths(
        [runs[label] for label in pair], replicas=common, epochs=epochs[chosen], bins=a.bins, seed=a.seed
    )
    frames = {label: path.to_frame(a.units) for label, path in zip(pair, paths, strict=True)}
    table = pd.concat(frames, names=["run"]).reset_index(level=0)
    write_table(a, out, stem, table, start, {"noisy": noisy, "deterministic": twin, "edges": paths[0].edges})
    figure = plotting.plot_twins((planes[noisy], planes[twin]), (paths[0], paths[1]), a.units)
    write_figure(out / f"{stem}.png", lambda: figure, 300)
    say(f"twins: {noisy} (noisy) and {twin} (deterministic), {common.size} replicas, {len(chosen)} epochs")
