"""``dualib solve``: one point of the curve of every problem, at a β, a rate or a relevance; its encoder with the user's labels."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.commands.task import Task, certification, check_positive, report
from dualib.core.command import write_table
from dualib.core.files import writable_directory, write_npz
from dualib.core.units import to_units
from dualib.curves.limits import LARGEST_ENCODERS
from dualib.curves.tables import encoders_frame
from dualib.curves.target import TargetSolution, solve_at
from dualib.solution import Solution, solve

ASKED = ("beta", "rate", "relevance")


def run(args: argparse.Namespace) -> int:
    """The command."""
    given = [name for name in ASKED if getattr(args, name) is not None]
    if len(given) != 1:
        raise UsageError("give exactly one of --beta, --rate and --relevance")
    asked, value = given[0], getattr(args, given[0])
    check_positive(value, f"--{asked}")
    check_positive(args.max_work, "--max-work")
    task = Task.of(args)
    out = writable_directory(args.out) if args.out else None
    report(task.describe(args.units), args)
    for problem in task.problems:
        begin = time.perf_counter()
        try:
            found = _point(problem, asked, value, args)
        except ValueError as error:
            unit = "" if asked == "beta" else f" {args.units}"
            raise UsageError(f"--{asked} {value:g}{unit}: {error}") from None
        report(f"\n{found.describe(args.units)}", args)
        if out is not None:
            _save(out, problem, found, task, args, begin)
    if out is not None:
        names = ", ".join(f"{p.name}_encoder.npz .csv .json" for p in task.problems)
        report(f"\nsaved in {out}: {names}", args)
    return 0


def _point(problem: Bottleneck, asked: str, value: float, args: argparse.Namespace) -> Solution | TargetSolution:
    certify = certification(args)
    if asked == "beta":
        return solve(problem, value, certify=certify)
    nats = value / float(to_units(1.0, args.units))
    ask = partial(solve_at, problem, certify=certify)
    return ask(rate=nats) if asked == "rate" else ask(relevance=nats)


def _save(
    out: Path,
    problem: Bottleneck,
    found: Solution | TargetSolution,
    task: Task,
    args: argparse.Namespace,
    begin: float,
) -> None:
    """The encoder as .npz (with the decoder) and as .csv, one row for each x and t; .json says how they came about."""
    x_labels, y_labels = (tuple(map(str, labels or ())) for labels in (task.joint.x_labels, task.joint.y_labels))
    if task.joint.n_x * len(found.p_y_given_t) > LARGEST_ENCODERS:
        _save_sparse(out, problem, found)
        return
    encoder, decoder = found.p_t_given_x, found.p_y_given_t
    arrays = {
        "beta": np.array(found.beta),
        "p_t_given_x": encoder,
        "p_y_given_t": decoder,
        "p_t": problem.p_x @ encoder,
    }
    labels = {"x_labels": np.array(x_labels, dtype=str), "y_labels": np.array(y_labels, dtype=str)}
    write_npz(out / f"{problem.name}_encoder.npz", arrays | labels)
    write_table(
        out,
        f"{problem.name}_encoder",
        encoders_frame([found.beta], [encoder], x_labels),
        settings=task.settings(args),
        units={"beta": "none", "p(t|x)": "none", "seconds": "s"},
        start=begin,
        problem=problem.name,
        result=found.describe("nats"),
    )


def _save_sparse(out: Path, problem: Bottleneck, found: Solution | TargetSolution) -> None:
    """The encoder as the parts of a scipy.sparse.csr_array: of what is above rounding, as a table of all would not fit."""
    encoder, path = found.sparse_encoder(), out / f"{problem.name}_encoder.npz"
    parts = {
        "data": encoder.data,
        "indices": encoder.indices,
        "indptr": encoder.indptr,
        "shape": np.array(encoder.shape),
    }
    named = {f"p_t_given_x_{name}": part for name, part in parts.items()}
    write_npz(
        path, named | {"beta": np.array(found.beta), "p_y_given_t": found.p_y_given_t, "p_t": problem.p_x @ encoder}
    )
    print(
        f"p(t|x) has {np.prod(encoder.shape)} numbers, more than {LARGEST_ENCODERS}: {path} holds the {encoder.nnz} above rounding as "
        "p_t_given_x_data, _indices, _indptr and _shape of a scipy.sparse.csr_array, and no .csv is written"
    )
