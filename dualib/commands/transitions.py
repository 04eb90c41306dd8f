"""``dualib transitions``: every transition up to a largest β, printed and saved."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.commands.task import Task, check_positive, report
from dualib.core.files import metadata, writable_directory, write_json
from dualib.core.tables import format_table
from dualib.curves.locate import Transition, TransitionKind
from dualib.curves.transitions import find_transitions, local_critical_beta

N_GRID = 40  # β of the sweep
LARGEST = 20.0  # times the local critical β, by default


def run(args: argparse.Namespace) -> int:
    """The command."""
    check_positive(args.beta_max, "--beta-max")
    check_max_transitions(args)
    task = Task.of(args, N_GRID)
    out = writable_directory(args.out) if args.out else None
    report(task.describe(args.units), args)
    for problem in task.problems:
        begin = time.perf_counter()
        beta_max = args.beta_max or LARGEST * local_critical_beta(problem)
        found = find_transitions(problem, beta_max, n_grid=N_GRID, max_transitions=args.max_transitions)
        if out is not None:
            units = {"beta": "none", "seconds": "s"}
            more = {"problem": problem.name, "beta_max": beta_max, "transitions": [vars(t) for t in found]}
            record = metadata(task.settings(args), units, time.perf_counter() - begin, **more)
            write_json(out / f"{problem.name}_transitions.json", record)
        report(transitions_text(found, problem), args)
    return 0


def check_max_transitions(args: argparse.Namespace) -> None:
    """Refuse a negative number."""
    if args.max_transitions < 0:
        raise UsageError(f"--max-transitions {args.max_transitions}: must not be negative")


def transitions_text(found: Sequence[Transition], problem: Bottleneck) -> str:
    """The table of transitions, one row each with its bracket, under the local critical β."""
    local = local_critical_beta(problem)
    title = f"\n{problem.name}: transitions in this range (local critical β = {local:.8g})"
    if not found:
        return f"{title}\n  none"
    names = ("β", "not below", "not above", "kind", "new cluster", "clusters", "lower end")
    rows = [
        [f"{t.beta:.7g}", f"{t.lower:.9g}", f"{t.upper:.9g}", t.kind, "at a distance" if t.birth else "split"]
        + [f"{t.n_before} → {t.n_after}", "proven" if t.proven else "estimated"]
        for t in found
    ]
    table = format_table([(name, "") for name in names], rows)
    if any(t.kind is TransitionKind.NOT_LOCATED for t in found):
        table += "\n  not located: within the bracket there may be several; raise --max-transitions"
    return f"{title}\n{table}"
