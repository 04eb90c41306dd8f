"""``dualib curve``: solve, print and save the curve of every problem, each as soon as it is there; then the figures."""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.commands.hard import hard_step
from dualib.commands.parser import UsageError
from dualib.commands.samples import check_counts, check_samples, samples_step
from dualib.commands.task import (
    Task,
    bad_input,
    certification,
    check_figure,
    check_positive,
    in_our_words,
    report,
    workers_of,
)
from dualib.commands.transitions import check_max_transitions, transitions_text
from dualib.core.command import write_figure, write_table
from dualib.core.files import atomic_path, writable_directory
from dualib.core.parallel import processes
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.curves.betas import default_betas
from dualib.curves.build import CurveBuild
from dualib.curves.curve import InformationCurve
from dualib.curves.hard_points import check_size
from dualib.curves.limits import LARGEST_GRID
from dualib.curves.refine import RESOLUTION
from dualib.curves.sweep import Accuracy, Sweep
from dualib.plane import InPlane
from dualib.plotting import plot_bifurcation, plot_information_plane, plot_objective
from dualib.solution import Solution
from dualib.solvers.options import Certify

DEFAULT_BETAS = 50


def run(args: argparse.Namespace) -> int:
    """The command."""
    betas = _checked(args)
    task = Task.of(args, DEFAULT_BETAS if betas is None else len(betas))
    if args.samples:
        check_counts(task)
    if args.hard:
        with bad_input():
            check_size(task.joint)
    out = writable_directory(args.out) if args.out else None
    if args.figure:
        writable_directory(Path(args.figure).parent)
    grids = [_grid(problem, betas, out, args) for problem in task.problems]
    report(task.describe(args.units), args)
    with processes(workers_of(args, task.problems)) as executor:
        found = [
            _one(problem, grid, betas, task, args, out, executor)
            for problem, grid in zip(task.problems, grids, strict=True)
        ]
    drawn: list[InPlane] = [*found]
    if args.hard:
        drawn.append(hard_step(found, task, args, out))
    if out is not None:
        names = save_figures(out, found, drawn, args.units)
        kept = ", ".join(f"{c.problem}.npz .csv .json" for c in found)
        report(f"\nsaved in {out}: {kept}\n  {', '.join(names)}".rstrip(), args)
    if args.figure:
        write_figure(Path(args.figure), lambda: plot_information_plane(drawn, units=args.units), dpi=300)
    return 0


def _one(
    problem: Bottleneck,
    grid: FloatArray,
    betas: FloatArray | None,
    task: Task,
    args: argparse.Namespace,
    out: Path | None,
    executor: Executor | None,
) -> InformationCurve:
    """The curve of one problem: printed as it comes, kept, and with what else is asked for."""
    begin = time.perf_counter()
    report(f"\n{problem.name}: intrinsic dimension {problem.reduced.dimension}", args)
    build = CurveBuild.begin(
        problem,
        grid,
        certify=certification(args),
        tolerance=args.tolerance,
        resolution=RESOLUTION if betas is None else None,
        max_points=args.max_points,
        out=None if out is None else _points(out, problem),
        executor=executor,
    )
    printed = set()
    for line in rows_as_they_come(build.solutions(), len(grid), args.units):
        report(line, args)
        printed.add(line)
    curve = build.curve()
    since = [line for line in (row(s, args.units) for s in curve.solutions) if line not in printed]
    if since:
        report("\n".join(["  with what was proven since:", *since]), args)
    if args.no_transitions:
        note = ". ".join(filter(None, [curve.note, "transitions were not looked for"]))
        curve = replace(curve, stored_transitions=(), note=note)
    else:
        curve = curve.with_transitions(max_transitions=args.max_transitions)
    if out is not None:
        save(out, curve, task, args, begin)
    report(summary(curve), args)
    if not args.no_transitions:
        report(transitions_text(curve.transitions, problem), args)
    if args.samples:
        samples_step(problem, betas, task, args, out, executor)
    return curve


def _checked(args: argparse.Namespace) -> FloatArray | None:
    """The β asked for, and all options looked at before any work."""
    check_positive(args.tolerance, "--tolerance")
    check_positive(args.max_work, "--max-work")
    if args.tolerance is not None and not args.tolerance > Certify().tolerance:
        raise UsageError(f"--tolerance {args.tolerance:g}: must exceed {Certify().tolerance:g} nats, that of one point")
    if args.max_points < 1:
        raise UsageError(f"--max-points {args.max_points}: must be positive")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers {args.workers}: at least 1 is needed")
    check_max_transitions(args)
    check_samples(args)
    check_figure(args.figure)
    return read_betas(args.betas)


def read_betas(words: Sequence[str]) -> FloatArray | None:
    """LO HI N as N geometric values, or None for auto."""
    if list(words) == ["auto"]:
        return None
    said = f"--betas {' '.join(words)}"
    try:
        low, high, n = float(words[0]), float(words[1]), int(words[2])
        if len(words) != 3:
            raise IndexError
    except (ValueError, IndexError):
        raise UsageError(f"{said}: give LO HI N (two numbers and how many), or auto") from None
    if not (0.0 < low < np.inf and 0.0 < high < np.inf):
        raise UsageError(f"{said}: every β must be positive and finite")
    if not (low < high and n >= 2):
        raise UsageError(f"{said}: LO must be below HI, and N at least 2")
    if n > LARGEST_GRID:
        raise UsageError(f"{said}: N is {n}; a curve has up to {LARGEST_GRID} points")
    return np.geomspace(low, high, n)


def _points(out: Path, problem: Bottleneck) -> Path:
    return out / f"{problem.name}_points"


def _grid(problem: Bottleneck, betas: FloatArray | None, out: Path | None, args: argparse.Namespace) -> FloatArray:
    """The β of a problem; a directory with points of other settings is found out here, before the work."""
    grid = default_betas(problem) if betas is None else betas
    if out is not None:
        with bad_input():
            Sweep.open(problem, grid, Accuracy.of(certification(args)), _points(out, problem))
    return grid


# --- what is printed ---


COLUMNS = {"β": 10, "I(X;T)": 8, "I(T;Y)": 8, "clusters": 8, "F ≥": 11, "F ≤": 11, "width": 8, "est. gap": 8}
WITHOUT_UNIT = ("β", "clusters")


def rows_as_they_come(solutions: Iterable[Solution], n_grid: int, units: Units = "bits") -> Iterator[str]:
    """The lines of the table, one for each β as soon as it is solved: those of the grid, then those between."""
    yield _line([*COLUMNS, "optimum"])
    yield _line([*("" if name in WITHOUT_UNIT else units for name in COLUMNS), ""])
    yield "  " + "─" * (sum(COLUMNS.values()) + 2 * len(COLUMNS) + len("estimated"))
    for i, solution in enumerate(solutions):
        if i == n_grid:
            yield "  further β, where neighbours are far apart:"
        yield row(solution, units)


def row(s: Solution, units: Units = "bits") -> str:
    """One β: the point, and the proven interval of F."""
    shown = (max(s.rate, 0.0), max(s.relevance, 0.0), s.lower_bound, s.objective, s.gap, max(s.estimated_gap, 0.0))
    rate, relevance, lower, objective, gap, estimated = (float(to_units(value, units)) for value in shown)
    cells = [f"{s.beta:.5g}", f"{rate:.6f}", f"{relevance:.6f}", str(s.n_clusters)]
    cells += [f"{lower:.8f}", f"{objective:.8f}", f"{gap:.1e}", f"{estimated:.1e}"]
    return _line([*cells, "proven" if s.certified else "estimated"])


def _line(cells: Sequence[str]) -> str:
    aligned = (cell.rjust(width) for cell, width in zip(cells, COLUMNS.values(), strict=False))
    return "  ".join(["", *aligned, cells[-1]]).rstrip()


def summary(curve: InformationCurve) -> str:
    """What the table proves, and remarks."""
    proven, n = int(curve.certified.sum()), len(curve.beta)
    lines = [f"  {proven} of {n} points proven optimal; every interval F ≥, F ≤ is proven to hold the optimum"]
    if proven < n:
        lines.append("  estimated: no proof of optimality; est. gap is what ascents from many starts could find")
        reason = next((str(s.status) for s in curve.solutions if not s.certified), "")
        lines += [f"  {line}" for line in textwrap.wrap(in_our_words(reason), 96)]
    lines += [f"  {line}" for line in textwrap.wrap(in_our_words(curve.note), 96)]
    lines.append(f"  solving {curve.seconds_solving:.2f} s, certifying {curve.seconds_certifying:.2f} s")
    return "\n".join(lines)


# --- what is saved ---


def save(out: Path, curve: InformationCurve, task: Task, args: argparse.Namespace, begin: float) -> None:
    """NAME.npz (nats), NAME.csv (in the units asked for), NAME.json (how they came about), and the clusters at every β."""
    curve.save(out / f"{curve.problem}.npz")
    tables = {"clusters": curve.clusters_to_frame()}
    if curve.encoders:
        tables["encoders"] = curve.encoders_to_frame()
    for name, table in tables.items():
        with atomic_path(out / f"{curve.problem}_{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    write_table(
        out,
        curve.problem,
        curve.to_frame(args.units),
        settings=task.settings(args),
        units={".npz": "nats", ".csv": "in the name of each column", "beta": "none", "seconds": "s"},
        start=begin,
        problem=curve.problem,
        y_labels=curve.symbol_names,
        transitions=[vars(t) for t in curve.transitions],
        mutual_information_nats=curve.mutual_information(),
        points=len(curve.beta),
        points_proven=int(curve.certified.sum()),
        seconds_solving=curve.seconds_solving,
        seconds_certifying=curve.seconds_certifying,
        note=curve.note,
    )


def save_figures(out: Path, found: list[InformationCurve], drawn: list[InPlane], units: Units = "bits") -> list[str]:
    """The figures as PNG, all that is drawn in the plane; their names."""
    figures: dict[str, Callable[[], object]] = {
        "information_plane.png": lambda: plot_information_plane(drawn, units=units),
        "objective.png": lambda: plot_objective(found, units=units),
        **{f"bifurcation_{curve.problem}.png": partial(plot_bifurcation, curve) for curve in found},
    }
    return [name for name, draw in figures.items() if write_figure(out / name, draw, dpi=300)]
