"""Run a paper's experiments once each, keep their results on disk, measure, and draw."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualib.core.command import say
from dualib.core.files import atomic_path, versions, writable_directory, write_json, write_npz

from .frame import Measurement
from .paper import Mode, Paper

Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Kept:
    """An experiment's result on disk: its arrays (numbers as floats), what it took, and which packages made it."""

    arrays: dict[str, Any]
    seconds: float
    packages: str


@dataclass(frozen=True)
class Measured:
    """The measurements of one seed, the seconds its experiments took, and the experiments that older packages made."""

    seed: int
    measurements: dict[str, Measurement]
    seconds: float
    older: tuple[str, ...] = ()


def directory(out: Path, paper: Paper, mode: Mode, seed: int) -> Path:
    """Where a run's files lie: <out>/<paper>/<quick|full>/seed<N>."""
    return out / paper.name / mode / f"seed{seed}"


def run_paper(paper: Paper, mode: Mode, seed: int, out: Path, force: bool = False) -> Measured:
    """Run what has not run yet, write measurements.json, return the measurements.

    Each experiment is written when it ends; one that is interrupted goes on from what it left in the folder of work, which
    the experiments share and which goes when all have ended. One is not run again while run.py, its helpers, the settings
    and the seed are what they were, unless `force`.
    """
    experiments, folder = paper.experiments(), writable_directory(directory(out, paper, mode, seed))
    fingerprint, packages = paper.fingerprint(mode, seed), paper.packages()
    work = folder / "work" / f"{fingerprint[:12]}-{packages[:12]}"
    if force:
        shutil.rmtree(work.parent, ignore_errors=True)
    for i, (name, experiment) in enumerate(experiments.items(), 1):
        label = f"{paper.name} [{i}/{len(experiments)}] {name}"
        kept = None if force else _read_result(folder, name, fingerprint)
        if kept is not None:
            say(f"{label}: kept" + ("" if kept.packages == packages else f", {OLDER}"))
            continue
        say(f"{label} …")
        start = time.perf_counter()
        result = experiment(dict(paper.settings[mode]), seed, work)
        seconds = time.perf_counter() - start
        about = {"settings": paper.settings[mode], "seed": seed, "hash": fingerprint, "packages": packages}
        _write_result(folder, name, result, {**about, "seconds": round(seconds, 3), "versions": versions()})
        say(f"{label}: {seconds:.1f} s")
    shutil.rmtree(work.parent, ignore_errors=True)
    measured = measured_seed(paper, mode, seed, out)
    if measured is None:
        raise ValueError(f"{paper.folder / 'run.py'} or one of its helpers was changed during the run; run it again")
    record = {name: dataclasses.asdict(m) for name, m in measured.measurements.items()}
    write_json(folder / "measurements.json", {"hash": fingerprint, "versions": versions(), "measurements": record})
    return measured


OLDER = "computed before the packages last changed (--force computes it again)"


def _write_result(folder: Path, name: str, result: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """The arrays first and the record last: a record on disk means that its arrays are whole."""
    record = folder / f"{name}.json"
    record.unlink(missing_ok=True)
    write_npz(folder / f"{name}.npz", result)
    write_json(record, about)


def _read_result(folder: Path, name: str, fingerprint: str) -> Kept | None:
    """The kept result; None if there is none, it is damaged, or it is of another run.py."""
    try:
        about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if about["hash"] != fingerprint:
            return None
        with open(folder / f"{name}.npz", "rb") as file, np.load(file, allow_pickle=False) as arrays:
            values = {key: _number(value) for key, value in arrays.items()}
        return Kept(values, float(about["seconds"]), str(about["packages"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _number(value: np.ndarray) -> Any:
    """A single number as a float, a single text as it is, arrays as arrays."""
    return float(value) if value.ndim == 0 and value.dtype.kind in "biuf" else value


def _read_all(paper: Paper, mode: Mode, seed: int, out: Path) -> dict[str, Kept | None]:
    folder, fingerprint = directory(out, paper, mode, seed), paper.fingerprint(mode, seed)
    return {name: _read_result(folder, name, fingerprint) for name in paper.experiments()}


def read_results(paper: Paper, mode: Mode, seed: int, out: Path) -> Results:
    """The kept results of every experiment; a ValueError naming those to run first."""
    found = _read_all(paper, mode, seed, out)
    missing = [name for name, result in found.items() if result is None]
    if missing:
        raise ValueError(
            f"{paper.name} has no current results of {', '.join(missing)} in {directory(out, paper, mode, seed)}; "
            f"run: python -m papers run {paper.name} --{mode} --seed {seed}"
        )
    return {name: result.arrays for name, result in found.items() if result is not None}


def measured_seed(paper: Paper, mode: Mode, seed: int, out: Path) -> Measured | None:
    """What the kept results of a seed measure; None unless every experiment has a current one."""
    found = _read_all(paper, mode, seed, out)
    kept = {name: result for name, result in found.items() if result is not None}
    if len(kept) < len(found):
        return None
    packages = paper.packages()
    older = tuple(name for name, result in kept.items() if result.packages != packages)
    measurements = paper.part("measure")({name: result.arrays for name, result in kept.items()})
    return Measured(seed, measurements, sum(result.seconds for result in kept.values()), older)


def measured_seeds(paper: Paper, mode: Mode, out: Path) -> list[Measured]:
    """The measurements of every seed that has been run to the end."""
    folders = (out / paper.name / mode).glob("seed*")
    seeds = sorted(int(folder.name[4:]) for folder in folders if folder.name[4:].isdigit())
    found = [measured_seed(paper, mode, seed, out) for seed in seeds]
    return [measured for measured in found if measured is not None]


def plot_paper(paper: Paper, mode: Mode, seed: int, out: Path) -> list[Path]:
    """Draw the kept results into <directory>/<figure>.png, without a display; returns the files."""
    results = read_results(paper, mode, seed, out)
    paths = []
    for name, figure in paper.part("figures")(results).items():
        path = directory(out, paper, mode, seed) / f"{name}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=200, bbox_inches="tight")
        paths.append(path)
    return paths
