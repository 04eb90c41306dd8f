"""``dualib curve``: solve, print and save the curve of every problem, each as soon as it is there; then the figures."""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.commands.task import Task, bad_input, check_positive, report
from dualib.commands.transitions import transitions_text
from dualib.core.command import write_figure, write_table
from dualib.core.files import atomic_path, writable_directory
from dualib.core.progress import progress_bar
from dualib.core.tables import format_table
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.curves.betas import default_betas
from dualib.curves.build import information_curve
from dualib.curves.curve import InformationCurve
from dualib.curves.limits import LARGEST_GRID
from dualib.curves.refine import RESOLUTION
from dualib.curves.sweep import Accuracy, Sweep
from dualib.plotting import plot_bifurcation, plot_information_plane, plot_objective
from dualib.solvers.options import AUTO, Certify, CertifyLike

FORMATS = (".png", ".pdf", ".svg")


def run(args: argparse.Namespace) -> int:
    """The command."""
    betas = _checked(args)
    task = Task.of(args)
    out = writable_directory(args.out) if args.out else None
    if args.figure:
        writable_directory(Path(args.figure).parent)
    grids = [_grid(problem, betas, out, args) for problem in task.problems]
    report(task.describe(args.units), args)
    found = []
    for problem, grid in zip(task.problems, grids, strict=True):
        begin = time.perf_counter()
        curve = information_curve(
            problem,
            grid,
            certify=_certify(args),
            tolerance=args.tolerance,
            resolution=RESOLUTION if betas is None else None,
            max_points=args.max_points,
            out=None if out is None else _points(out, problem),
        )
        if args.no_transitions:
            note = ". ".join(filter(None, [curve.note, "transitions were not looked for"]))
            curve = replace(curve, stored_transitions=(), note=note)
        with progress_bar(None, f"{problem.name}: transitions"):
            transitions = curve.transitions  # found here, so that their time is counted
        found.append(curve)
        if out is not None:
            save(out, curve, task, args, begin)
        report(f"\n{problem.name}: intrinsic dimension {problem.reduced.dimension}", args)
        report(curve_text(curve, args.units), args)
        if not args.no_transitions:
            report(transitions_text(transitions, problem), args)
    if out is not None:
        names = save_figures(out, found, args.units)
        kept = ", ".join(f"{c.problem}.npz .csv .json" for c in found)
        report(f"\nsaved in {out}: {kept}\n  {', '.join(names)}", args)
    if args.figure:
        write_figure(Path(args.figure), lambda: plot_information_plane(found, units=args.units), dpi=300)
    return 0


def _certify(args: argparse.Namespace) -> CertifyLike:
    if args.no_certify:
        return False
    return AUTO if args.max_work is None else Certify(max_work=args.max_work)


def _checked(args: argparse.Namespace) -> FloatArray | None:
    """The β asked for, and all options looked at before any work."""
    check_positive(args.tolerance, "--tolerance")
    check_positive(args.max_work, "--max-work")
    if args.tolerance is not None and not args.tolerance > Certify().tolerance:
        raise UsageError(f"--tolerance {args.tolerance:g}: must exceed {Certify().tolerance:g} nats, that of one point")
    if args.max_points < 1:
        raise UsageError(f"--max-points {args.max_points}: must be positive")
    if args.figure and Path(args.figure).suffix.lower() not in FORMATS:
        raise UsageError(f"--figure {args.figure}: the name must end in one of {', '.join(FORMATS)}")
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
            Sweep.open(problem, grid, Accuracy.of(_certify(args)), _points(out, problem))
    return grid


# --- what is printed ---


def curve_text(curve: InformationCurve, units: Units = "bits") -> str:
    """One row a β, with the proven interval of F and whether it is the optimum that is proven; remarks under it."""
    names = ("I(X;T)", "I(T;Y)", "clusters", "F ≥", "F ≤", "width", "est. gap")
    header = [("β", ""), *((name, "" if name == "clusters" else units) for name in names), ("optimum", "")]
    bounds = (curve.lower_bound, curve.objective, curve.gap, curve.estimated_gap)
    columns = (curve.rate.clip(0.0), curve.relevance.clip(0.0), *bounds)
    rate, relevance, lower, objective, gap, estimated = (to_units(column, units) for column in columns)
    rows = [
        [f"{curve.beta[i]:.5g}", f"{rate[i]:.6f}", f"{relevance[i]:.6f}", str(curve.n_clusters[i])]
        + [f"{lower[i]:.8f}", f"{objective[i]:.8f}", f"{gap[i]:.1e}", f"{max(estimated[i], 0.0):.1e}"]
        + ["proven" if curve.certified[i] else "estimated"]
        for i in range(len(curve.beta))
    ]
    proven = int(curve.certified.sum())
    lines = [
        format_table(header, rows),
        f"  {proven} of {len(rows)} points proven optimal; every interval F ≥, F ≤ is proven to hold the optimum",
    ]
    if proven < len(rows):
        lines.append("  estimated: no proof of optimality; est. gap is what ascents from many starts could find")
        reason = next((str(s.status) for s in curve.solutions if not s.certified), "")
        lines += [f"  {line}" for line in textwrap.wrap(reason, 96)]
    lines += [f"  {line}" for line in textwrap.wrap(curve.note, 96)]
    lines.append(f"  solving {curve.seconds_solving:.2f} s, certifying {curve.seconds_certifying:.2f} s")
    return "\n".join(lines)


# --- what is saved ---


def save(out: Path, curve: InformationCurve, task: Task, args: argparse.Namespace, begin: float) -> None:
    """NAME.npz (nats), NAME.csv (in the units asked for), NAME.json (how they came about), and the clusters at every β."""
    curve.save(out / f"{curve.problem}.npz")
    with atomic_path(out / f"{curve.problem}_clusters.csv") as temporary:
        curve.clusters_to_frame().to_csv(temporary, index=False)
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


def save_figures(out: Path, found: list[InformationCurve], units: Units = "bits") -> list[str]:
    """The figures as PNG; their names."""
    write_figure(out / "information_plane.png", lambda: plot_information_plane(found, units=units), dpi=300)
    write_figure(out / "objective.png", lambda: plot_objective(found, units=units), dpi=300)
    names = ["information_plane.png", "objective.png"]
    for curve in found:
        names.append(f"bifurcation_{curve.problem}.png")
        write_figure(out / names[-1], partial(plot_bifurcation, curve), dpi=300)
    return names
