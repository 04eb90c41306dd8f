"""Command line: ``python -m papers list | run | plot | check | publish``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from dualib.core.command import say
from dualib.core.tables import format_table

from .frame import Measurement, shown
from .paper import MODES, Paper, load_papers
from .publish import publish, verdict_rows
from .runner import OLDER, measured_seed, plot_paper, run_paper
from .sources import HERE


def main(argv: list[str] | None = None, root: Path = HERE) -> int:
    """Run the command line on the papers under `root`.

    Returns the exit status: 0; 1 if a check failed; 2 for bad input; 130 when interrupted.
    """
    arguments = _parser().parse_args(argv)
    arguments.root = root
    try:
        return int(arguments.command(arguments, load_papers(arguments.paper, root)))
    except (ValueError, OSError, ImportError) as error:
        print(f"papers: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("papers: interrupted; the same command goes on where it was left", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers", description="Published experiments, measured again.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("list", _list, "claims and their verdicts: of the results in --out, else those published with the package"),
        ("run", _run, "run experiments that have not run yet, and measure"),
        ("plot", _plot, "draw the figures of a run"),
        ("check", _check, "compare measured numbers with expected ones; exit status 1 where one is off"),
        (
            "publish",
            _publish,
            "of all papers: write measured.json, docs/verdicts.md, docs/figures and the README's table",
        ),
    ):
        one = commands.add_parser(name, help=text, description=text)
        if name == "publish":
            one.set_defaults(paper=[])
        else:
            one.add_argument("paper", nargs="*", metavar="PAPER", help="names of papers (default: all)")
        mode = one.add_mutually_exclusive_group()
        for value in MODES:
            mode.add_argument(
                f"--{value}", dest="mode", action="store_const", const=value, help=f"the {value} settings"
            )
        one.add_argument("--out", type=Path, default=Path("results/papers"), help="directory of results (%(default)s)")
        one.set_defaults(command=command)
        if name == "list":
            one.add_argument("--markdown", action="store_true", help="as a Markdown table")
            continue
        one.set_defaults(mode="full" if name == "publish" else "quick")
        if name != "publish":
            one.add_argument("--seed", type=_seed, default=0, help="seed of every experiment (%(default)s)")
        if name == "run":
            one.add_argument("--force", action="store_true", help="run also what has been run")
    return parser


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0, got {text!r}")
    return int(text)


def _list(a: argparse.Namespace, papers: list[Paper]) -> int:
    rows = verdict_rows(papers, a.mode, a.out)
    if a.markdown:
        say("| # | paper | verdict | statement |\n|---:|---|---|---|")
        for row in rows:
            cells = (str(row.claim.number), row.paper.name, str(row), row.claim.statement)
            say("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    else:
        for row in rows:
            say(f"{row.claim.number:>3}  {row.paper.name}  —  {row}\n     {row.claim.statement}")
    return 0


def _run(a: argparse.Namespace, papers: list[Paper]) -> int:
    for paper in papers:
        start = time.perf_counter()
        found = run_paper(paper, a.mode, a.seed, a.out, a.force).measurements
        say(format_table([(h, "") for h in ("measure", "value", "low", "high", "unit", "n")], _cells(found)))
        for claim in paper.claims:
            say(f"  claim {claim.number}: {claim.verdict(found)}")
        say(f"{paper.name} ({a.mode}, seed {a.seed}): {time.perf_counter() - start:.1f} s")
    return 0


def _cells(measured: dict[str, Measurement]) -> list[tuple[str, ...]]:
    return [(k, f"{m.value:.6g}", f"{m.low:.6g}", f"{m.high:.6g}", m.unit, str(m.n)) for k, m in measured.items()]


def _plot(a: argparse.Namespace, papers: list[Paper]) -> int:
    for paper in papers:
        for path in plot_paper(paper, a.mode, a.seed, a.out):
            say(str(path))
    return 0


def _check(a: argparse.Namespace, papers: list[Paper]) -> int:
    failed = 0
    for paper in papers:
        found = measured_seed(paper, a.mode, a.seed, a.out)
        if found is None:
            again = f"python -m papers run {paper.name} --{a.mode} --seed {a.seed}"
            say(f"{paper.name}: no current measurements; run: {again}")
            failed += 1
            continue
        if found.older:
            say(f"note {paper.name}: {OLDER}: {', '.join(found.older)}")
        for check in paper.checks:
            if check.mode not in (None, a.mode):
                continue
            got = found.measurements.get(check.measure)
            passed = check.passes(got)
            failed += not passed
            value = "missing" if got is None else f"{got.value:.8g}{shown(got.unit)}"
            expected = f"expected {check.value:.8g} ± {check.tolerance:.2g}{shown(check.unit)}"
            say(
                f"{'ok  ' if passed else 'FAIL'} {paper.name} {check.measure}: got {value}, {expected} ({check.source})"
            )
    say(f"{failed} failed" if failed else "all checks passed")
    return 1 if failed else 0


def _publish(a: argparse.Namespace, papers: list[Paper]) -> int:
    for path in publish(papers, a.mode, a.out, a.root):
        say(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
