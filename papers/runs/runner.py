"""Run a paper's experiments once each, keep their results on disk, measure, and draw."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dualib.core.command import say
from dualib.core.figure import DPI
from dualib.core.files import atomic_path, read_json, read_npz, versions, writable_directory, write_json, write_npz
from dualib.core.parallel import in_order
from dualib.core.typing import ArrayLike
from papers.experiments.program import Arrays, Results
from papers.ledger.claim import Mode
from papers.ledger.condition import Seed
from papers.ledger.read import Number
from papers.runs.paper import Paper, load_paper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OLDER = "computed before the packages last changed (--force computes it again)"


class Record(msgspec.Struct, frozen=True):
    """What stands beside an experiment's arrays: what made them, and how many seconds of processor time that took."""

    settings: dict[str, object]
    seed: int
    hash: str
    packages: str
    seconds: float
    versions: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """The estimates of one seed, the seconds of processor time its experiments took, the experiments that older packages made,
    and whether the seed was kept fresh until the thresholds were frozen.
    """

    seed: int
    estimates: Seed
    seconds: float
    older: tuple[str, ...] = ()
    confirming: bool = False


def directory(out: Path, paper: Paper, mode: Mode, seed: int) -> Path:
    """Where a run's files lie: <out>/<paper>/<quick|full>/seed<N>."""
    return out / paper.name / mode / f"seed{seed}"


def run_paper(paper: Paper, mode: Mode, seed: int, out: Path, force: bool = False) -> Measured:
    """Run what has not run yet, write measurements.json, return the measurements.

    Each experiment is written when it ends; one that is interrupted goes on from what it left in the folder of work, which
    the experiments share and which goes when all have ended. One is not run again while run.py, its helpers, the settings
    and the seed are what they were, unless `force`.
    """
    experiments, settings = paper.experiments(), paper.settings(mode)
    folder = writable_directory(directory(out, paper, mode, seed))
    fingerprint, packages = paper.fingerprint(mode, seed), paper.packages()
    work = folder / "work" / f"{fingerprint[:12]}-{packages[:12]}"
    if force:
        shutil.rmtree(work.parent, ignore_errors=True)
    for i, (name, experiment) in enumerate(experiments.items(), 1):
        label = f"{paper.name} [{i}/{len(experiments)}] {name}"
        kept = None if force else _read_result(folder, name, fingerprint)
        if kept is not None:
            say(f"{label}: kept" + ("" if kept[0].packages == packages else f", {OLDER}"))
            continue
        say(f"{label} …")
        start = time.process_time()  # of all threads: what runs beside this does not count
        result = experiment(settings, seed, work)
        seconds = round(time.process_time() - start, 3)
        about = Record(msgspec.to_builtins(settings), seed, fingerprint, packages, seconds, versions())
        _write_result(folder, name, result, about)
        say(f"{label}: {seconds:.1f} s of processor time")
    shutil.rmtree(work.parent, ignore_errors=True)
    measured = measured_seed(paper, mode, seed, out)
    if measured is None:
        raise ValueError(f"{paper.folder / 'run.py'} or one of its helpers was changed during the run; run it again")
    numbers = {name: msgspec.to_builtins(Number.of(e)) for name, e in measured.estimates.items()}
    write_json(folder / "measurements.json", {"hash": fingerprint, "versions": versions(), "measurements": numbers})
    return measured


def run_seeds(
    tasks: Iterable[tuple[Paper, int]], mode: Mode, out: Path, force: bool = False, *, executor: Executor | None = None
) -> Iterator[Measured]:
    """Run papers with seeds, each task as :func:`run_paper` does, on an executor; the measurements in the tasks' order.

    The papers come from their folders anew where they are run, because what was read of them need not travel.
    """
    jobs = [(paper.folder, mode, seed, out, force) for paper, seed in tasks]
    yield from in_order(_run_job, jobs, progress=False, executor=executor)


def _run_job(job: tuple[Path, Mode, int, Path, bool]) -> Measured:
    folder, mode, seed, out, force = job
    return run_paper(load_paper(folder), mode, seed, out, force)


def _write_result(folder: Path, name: str, result: Mapping[str, ArrayLike], about: Record) -> None:
    """The arrays first and the record last: a record on disk means that its arrays are whole."""
    record = folder / f"{name}.json"
    record.unlink(missing_ok=True)
    write_npz(folder / f"{name}.npz", result)
    write_json(record, msgspec.to_builtins(about))


def _read_result(folder: Path, name: str, fingerprint: str) -> tuple[Record, Arrays] | None:
    """The kept result; None if there is none, it is damaged, or it is of another run.py."""
    try:
        about = msgspec.convert(read_json(folder / f"{name}.json"), Record)
        return (about, read_npz(folder / f"{name}.npz")) if about.hash == fingerprint else None
    except (ValueError, msgspec.ValidationError):
        return None


def _read_all(paper: Paper, mode: Mode, seed: int, out: Path) -> dict[str, tuple[Record, Arrays] | None]:
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
    return {name: result[1] for name, result in found.items() if result is not None}


def measured_seed(paper: Paper, mode: Mode, seed: int, out: Path) -> Measured | None:
    """What the kept results of a seed measure; None unless every experiment has a current one."""
    found = _read_all(paper, mode, seed, out)
    kept = {name: result for name, result in found.items() if result is not None}
    if len(kept) < len(found):
        return None
    packages = paper.packages()
    older = tuple(name for name, (about, _) in kept.items() if about.packages != packages)
    estimates = paper.measure()({name: arrays for name, (_, arrays) in kept.items()})
    seconds = sum(about.seconds for about, _ in kept.values())
    return Measured(seed, estimates, seconds, older, mode is Mode.FULL and seed in paper.confirming())


def measured_seeds(paper: Paper, mode: Mode, out: Path) -> list[Measured]:
    """The measurements of every seed that has been run to the end."""
    folders = (out / paper.name / mode).glob("seed*")
    seeds = sorted(int(folder.name[4:]) for folder in folders if folder.name[4:].isdigit())
    found = [measured_seed(paper, mode, seed, out) for seed in seeds]
    return [measured for measured in found if measured is not None]


def first_seed(paper: Paper, mode: Mode, out: Path) -> int:
    """The first seed that has been run to the end; 0 where none has."""
    return min((s.seed for s in measured_seeds(paper, mode, out)), default=0)


def plot_paper(paper: Paper, mode: Mode, seed: int, out: Path) -> list[Path]:
    """Draw the kept results into <directory>/<figure>.png, without a display; returns the files."""
    paths = []
    for name, figure in paper.figures()(read_results(paper, mode, seed, out)).items():
        paths.append(directory(out, paper, mode, seed) / f"{name}.png")
        save_figure(figure, paths[-1])
    return paths


def save_figure(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a figure with everything that it shows, legends beside the axes included."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches="tight")
