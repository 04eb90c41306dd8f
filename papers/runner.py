"""Run a paper's experiments once each, keep their results on disk, measure, and draw."""

from __future__ import annotations

import dataclasses
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dualib._io import atomic_path, say, versions, writable_directory, write_json, write_npz

from .frame import Measurement
from .paper import Mode, Paper

Results = dict[str, dict[str, Any]]


def directory(out: Path, paper: Paper, mode: Mode, seed: int) -> Path:
    """Where a run's files lie: <out>/<paper>/<quick|full>/seed<N>."""
    return out / paper.name / mode / f"seed{seed}"


def run_paper(paper: Paper, mode: Mode, seed: int, out: Path, force: bool = False) -> dict[str, Measurement]:
    """Run what has not run yet, write measurements.json, return the measurements.

    Each experiment is written when it ends, so that an interruption loses only the one under way; one is not run again
    while run.py, the settings and the seed are what they were, unless `force`.
    """
    module = paper.module()
    folder = writable_directory(directory(out, paper, mode, seed))
    fingerprint = paper.fingerprint(mode, seed)
    results: Results = {}
    for i, (name, experiment) in enumerate(module.EXPERIMENTS.items(), 1):
        label = f"{paper.name} [{i}/{len(module.EXPERIMENTS)}] {name}"
        kept = None if force else _read_result(folder, name, fingerprint)
        if kept is not None:
            say(f"{label}: kept")
            results[name] = kept
            continue
        say(f"{label} …")
        start = time.perf_counter()
        results[name] = experiment(dict(paper.settings[mode]), seed)
        seconds = time.perf_counter() - start
        _write_result(folder, name, results[name], paper.settings[mode], seed, fingerprint, seconds)
        say(f"{label}: {seconds:.1f} s")
    measured: dict[str, Measurement] = module.measure(results)
    record = {name: dataclasses.asdict(measurement) for name, measurement in measured.items()}
    write_json(folder / "measurements.json", {"hash": fingerprint, "versions": versions(), "measurements": record})
    return measured


def _write_result(
    folder: Path, name: str, result: Mapping[str, Any], settings: Any, seed: int, fingerprint: str, seconds: float
) -> None:
    """The arrays first and the record last: a record on disk means that its arrays are whole."""
    record = folder / f"{name}.json"
    record.unlink(missing_ok=True)
    write_npz(folder / f"{name}.npz", result)
    about = {"seed": seed, "hash": fingerprint, "seconds": round(seconds, 3), "versions": versions()}
    write_json(record, {"settings": settings, **about})


def _read_result(folder: Path, name: str, fingerprint: str) -> dict[str, Any] | None:
    """The kept result, numbers as floats; None if there is none, it is damaged, or it is of another run.py."""
    try:
        if json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["hash"] != fingerprint:
            return None
        with open(folder / f"{name}.npz", "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: float(value) if value.ndim == 0 else value for key, value in arrays.items()}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def read_results(paper: Paper, mode: Mode, seed: int, out: Path) -> Results:
    """The kept results of every experiment; a ValueError naming those to run first."""
    folder = directory(out, paper, mode, seed)
    found = {name: _read_result(folder, name, paper.fingerprint(mode, seed)) for name in paper.experiments()}
    missing = [name for name, result in found.items() if result is None]
    if missing:
        raise ValueError(
            f"{paper.name} has no current results of {', '.join(missing)} in {folder}; "
            f"run: python -m papers run {paper.name} --{mode} --seed {seed}"
        )
    return {name: result for name, result in found.items() if result is not None}


def read_measurements(paper: Paper, mode: Mode, seed: int, out: Path) -> dict[str, Measurement] | None:
    """What was measured with the present run.py and settings, or None."""
    path = directory(out, paper, mode, seed) / "measurements.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run the paper again") from None
    if record["hash"] != paper.fingerprint(mode, seed):
        return None
    return {name: _measurement(entry) for name, entry in record["measurements"].items()}


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    """Back from JSON, where an infinite bound is null."""
    low = -np.inf if entry["low"] is None else entry["low"]
    high = np.inf if entry["high"] is None else entry["high"]
    return Measurement(entry["value"], low, high, entry["unit"], entry["n"])


def seeds_measured(paper: Paper, mode: Mode, out: Path) -> list[dict[str, Measurement]]:
    """The current measurements of every seed that has been run."""
    folders = (out / paper.name / mode).glob("seed*")
    seeds = sorted(int(folder.name[4:]) for folder in folders if folder.name[4:].isdigit())
    found = [read_measurements(paper, mode, seed, out) for seed in seeds]
    return [measurements for measurements in found if measurements is not None]


def plot_paper(paper: Paper, mode: Mode, seed: int, out: Path) -> list[Path]:
    """Draw the kept results into <directory>/<figure>.png, without a display; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    results = read_results(paper, mode, seed, out)
    paths = []
    for name, figure in paper.module().figures(results).items():
        path = directory(out, paper, mode, seed) / f"{name}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=150, bbox_inches="tight")
        plt.close(figure)
        paths.append(path)
    return paths
