"""Command line: ``python -m papers list | run | plot | check | freeze | publish``."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dualib.core.command import exit_status, say
from dualib.core.tables import format_table
from papers.ledger.claim import Mode
from papers.ledger.condition import Seed
from papers.ledger.freeze import changes, freeze
from papers.ledger.read import write_record
from papers.ledger.verdict import judge
from papers.pages.page import markdown_table
from papers.pages.publish import publish, write_tables
from papers.pages.verdicts import VerdictRow, read_published, verdict_rows
from papers.runs.paper import Paper, load_papers
from papers.runs.runner import OLDER, measured_seed, plot_paper, run_paper
from papers.runs.sources import HERE


def main(argv: list[str] | None = None, root: Path = HERE) -> int:
    """Run the command line on the papers under `root`.

    Returns the exit status: 0; 1 if a check failed; 2 for bad input; 130 when interrupted; 141 when its reader went away.
    """
    arguments = _parser().parse_args(argv)
    arguments.root = root
    return exit_status(
        "papers",
        lambda: arguments.command(arguments, load_papers(arguments.paper, root)),
        "the same command goes on where it was left",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers", description="Published experiments, measured again.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("list", _list, "claims and their verdicts: of the results in --out, else those published with the package"),
        ("run", _run, "run experiments that have not run yet, and measure"),
        ("plot", _plot, "draw the figures of a run"),
        ("check", _check, "compare measured numbers with expected ones; exit status 1 where one is off"),
        (
            "freeze",
            _freeze,
            "write down today's thresholds and the program that measures; unchanged ones keep their day",
        ),
        (
            "publish",
            _publish,
            "of all papers: write measured.json, docs/verdicts.md, docs/figures and the README's table",
        ),
    ):
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=command, paper=[], mode=Mode.FULL if name == "publish" else Mode.QUICK)
        if name != "publish":
            one.add_argument("paper", nargs="*", metavar="PAPER", help="names of papers (default: all)")
        if name == "freeze":
            continue
        mode = one.add_mutually_exclusive_group()
        for value in Mode:
            about = f"the {value} settings"
            mode.add_argument(f"--{value}", dest="mode", action="store_const", const=value, help=about)
        one.add_argument("--out", type=Path, default=Path("results/papers"), help="directory of results (%(default)s)")
        if name == "list":
            one.set_defaults(mode=None)
            one.add_argument("--markdown", action="store_true", help="as a Markdown table")
        elif name == "publish":
            one.add_argument("--tables", action="store_true", help="the texts only, from the published measured.json")
        else:
            one.add_argument("--seed", type=_seed, default=0, help="seed of every experiment (%(default)s)")
        if name == "run":
            one.add_argument("--force", action="store_true", help="run also what has been run")
    return parser


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0, got {text!r}")
    return int(text)


def _list(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    rows = verdict_rows(papers, a.mode, a.out)
    if a.markdown:
        cells = [(str(r.claim.number), r.paper.name, r.rests_on(), r.claim.statement) for r in rows]
        say("\n".join(markdown_table(("#", "paper", "verdict", "statement"), cells)))
        return 0
    for row in rows:
        say(f"{row.claim.number:>3}  {row.paper.name}  —  {row.rests_on()}\n     {row.claim.statement}")
    return 0


def _run(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    for paper in papers:
        if paper.frozen and a.seed in paper.frozen.fresh:
            say(
                f"note {paper.name}: seed {a.seed} was kept fresh to confirm the frozen thresholds; change nothing after this"
            )
        start = time.perf_counter()
        measured = run_paper(paper, a.mode, a.seed, a.out, a.force)
        heads = [(h, "") for h in ("measure", "value", "low", "high", "unit", "n")]
        say(format_table(heads, _cells(measured.estimates)))
        for claim in paper.claims:
            row = VerdictRow(claim, paper, judge(claim, [measured.estimates]), a.mode, (measured,))
            say(f"  claim {claim.number}: {row.rests_on()}")
        say(f"{paper.name} ({a.mode}, seed {a.seed}): {time.perf_counter() - start:.1f} s")
    return 0


def _cells(measured: Seed) -> list[tuple[str, ...]]:
    return [(k, f"{m.value:.6g}", f"{m.low:.6g}", f"{m.high:.6g}", m.unit, str(m.n)) for k, m in measured.items()]


def _plot(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    for paper in papers:
        for path in plot_paper(paper, a.mode, a.seed, a.out):
            say(str(path))
    return 0


def _check(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    failed = 0
    for paper in papers:
        failed += _check_freeze(paper)
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
            got = found.estimates.get(check.measure)
            passed = check.passes(got)
            failed += not passed
            value = "missing" if got is None else f"{got.value:.8g}{got.unit.suffix}"
            expected = f"expected {check.value:.8g} ± {check.tolerance:.2g}{check.unit.suffix} ({check.source})"
            say(f"{'ok  ' if passed else 'FAIL'} {paper.name} {check.measure}: got {value}, {expected}")
    say(f"{failed} failed" if failed else "all checks passed")
    return 1 if failed else 0


def _check_freeze(paper: Paper) -> int:
    """Say what was changed after the freeze; the number of conditions that were."""
    if paper.frozen is None:
        say(f"note {paper.name}: its thresholds are not frozen; python -m papers freeze writes them down")
        return 0
    changed = changes(paper.claims, paper.frozen)
    for text in changed:
        say(f"FAIL {paper.name} was changed after its freeze: {text}; python -m papers freeze gives it today's date")
    if paper.measuring() != paper.frozen.program:
        say(f"note {paper.name}: measure.py or a helper of it was changed after the freeze of {paper.frozen.date}")
    if paper.published and paper.published.program != paper.measuring():
        say(f"note {paper.name}: measure.py or a helper of it is not the one that measured what is published")
    return len(changed)


def _freeze(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for paper in papers:
        explored = [s.seed for s in read_published(paper)[1]]
        record = freeze(paper.claims, paper.measuring(), explored, paper.frozen, today)
        write_record(paper.folder / "frozen.json", record)
        say(f"{paper.folder / 'frozen.json'}: {len(record.conditions)} conditions; fresh seeds {record.fresh}")
    return 0


def _publish(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    for path in write_tables(papers, a.mode, a.root) if a.tables else publish(papers, a.mode, a.out, a.root):
        say(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
