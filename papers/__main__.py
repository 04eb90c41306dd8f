"""Command line: ``python -m papers list | run | plot | check | freeze | confirm | archive | publish``."""

from __future__ import annotations

import argparse
import datetime
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dualib.core.command import exit_status, say
from dualib.core.estimate import Estimate
from dualib.core.parallel import processes
from dualib.core.tables import format_table
from papers.ledger.claim import Mode
from papers.ledger.condition import Seed
from papers.ledger.freeze import changes, confirmation, freeze
from papers.ledger.read import write_record
from papers.ledger.verdict import judge
from papers.pages.page import markdown_table
from papers.pages.publish import publish, write_tables
from papers.pages.verdicts import VerdictRow, read_published, verdict_rows
from papers.runs.archive import results_folder, write_archive
from papers.runs.paper import Paper, load_papers
from papers.runs.runner import OLDER, Measured, first_seed, measured_seeds, plot_paper, run_seeds
from papers.runs.sources import HERE


def main(argv: list[str] | None = None, root: Path = HERE) -> int:
    """Run the command line on the papers under `root`.

    Returns the exit status: 0; 1 if a check failed; 2 for bad input; 130 when interrupted; 141 when its reader went away.
    """
    arguments = _parser().parse_args(argv)
    arguments.root = root

    def run() -> int:
        out = getattr(arguments, "out", Path())
        if arguments.command in (_run, _confirm) and out.is_file():
            raise ValueError(f"--out is a directory here, and {out} is a file")
        with results_folder(out) as arguments.out:
            return int(arguments.command(arguments, load_papers(arguments.paper, root)))

    return exit_status("papers", run, "the same command goes on where it was left")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers", description="Published experiments, measured again.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("list", _list, "claims and their verdicts: of the results in --out, else those published with the package"),
        ("run", _run, "run experiments that have not run yet, and measure"),
        ("plot", _plot, "draw the figures of a run"),
        (
            "check",
            _check,
            "measure again from the results in --out, a directory or an archive, and compare with what is expected and with "
            "what is published; exit status 1 where a number is off",
        ),
        (
            "freeze",
            _freeze,
            "write down today's thresholds and the program that measures; unchanged ones keep their day",
        ),
        (
            "confirm",
            _confirm,
            "run the seeds that were kept fresh, in full, once: refused where a threshold or measure.py is not as frozen, and "
            "when it has been done",
        ),
        ("archive", _archive, "pack the results that the verdicts rest on into one file"),
        (
            "publish",
            _publish,
            "write measured.json and the figures; of all papers' a page for each claim, docs/verdicts.md and the README's table",
        ),
    ):
        one = commands.add_parser(name, help=text, description=text)
        in_full = name in ("publish", "confirm", "archive")
        one.set_defaults(command=command, paper=[], mode=Mode.FULL if in_full else Mode.QUICK)
        if name == "archive":
            one.add_argument("file", type=Path, metavar="FILE", help="the archive, such as results.zip")
        one.add_argument("paper", nargs="*", metavar="PAPER", help="names of papers (default: all)")
        if name == "freeze":
            continue
        if name != "confirm":
            mode = one.add_mutually_exclusive_group()
            for value in Mode:
                about = f"the {value} settings"
                mode.add_argument(f"--{value}", dest="mode", action="store_const", const=value, help=about)
        one.add_argument("--out", type=Path, default=Path("results/papers"), help="directory of results (%(default)s)")
        if name == "list":
            one.set_defaults(mode=None)
            one.add_argument("--markdown", action="store_true", help="as a Markdown table")
        if name == "publish":
            one.add_argument("--tables", action="store_true", help="from the published measured.json alone")
        if name == "run":
            one.add_argument("--seed", type=_seed, default=0, help="seed of every experiment (%(default)s)")
        if name in ("plot", "check"):
            one.add_argument("--seed", type=_seed, help="a seed that has been run (default: the first that is there)")
        if name in ("run", "confirm"):
            one.add_argument(
                "--workers", type=_workers, default=1, help="processes, a paper and seed each (%(default)s)"
            )
        if name == "run":
            one.add_argument("--force", action="store_true", help="run also what has been run")
    return parser


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0, got {text!r}")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"the number of processes is a whole number from 1, got {text!r}")
    return int(text)


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    """Processes with one thread of linear algebra each; None for one worker, who is this process."""
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    with processes(workers if workers > 1 else None) as pool:
        yield pool


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
    kept = [paper.name for paper in papers if a.seed in paper.kept_fresh()]
    if kept:
        raise ValueError(
            f"seed {a.seed} of {', '.join(kept)} is kept fresh to confirm the frozen thresholds once: python -m papers confirm "
            "runs it; take another seed"
        )
    _run_all(a, [(paper, a.seed) for paper in papers])
    return 0


def _run_all(a: argparse.Namespace, tasks: Sequence[tuple[Paper, int]]) -> None:
    """Run papers with seeds and say what each measured."""
    start = time.perf_counter()
    with _pool(a.workers) as executor:
        found = run_seeds(tasks, a.mode, a.out, getattr(a, "force", False), executor=executor)
        for (paper, seed), measured in zip(tasks, found, strict=True):
            heads = [(h, "") for h in ("measure", "value", "low", "high", "unit", "n")]
            say(format_table(heads, _cells(measured.estimates)))
            for claim in paper.claims:
                row = VerdictRow(claim, paper, judge(claim, [measured.estimates]), a.mode, (measured,))
                say(f"  claim {claim.number}: {row.rests_on()}")
            say(f"{paper.name} ({a.mode}, seed {seed}): {measured.seconds:.1f} s of processor time")
    say(f"in all {time.perf_counter() - start:.1f} s")


def _confirm(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    begun = []
    for paper in papers:
        try:
            begun.append(confirmation(paper.claims, paper.measuring(), paper.frozen, paper.confirmation, _today()))
        except ValueError as error:
            raise ValueError(f"{paper.name}: {error}") from None
    for paper, record in zip(papers, begun, strict=True):
        write_record(paper.folder / "confirmation.json", record)
    _run_all(a, [(paper, seed) for paper, record in zip(papers, begun, strict=True) for seed in record.seeds])
    for paper, record in zip(papers, begun, strict=True):
        write_record(paper.folder / "confirmation.json", msgspec.structs.replace(record, ended=_today()))
        say(f"{paper.name}: seeds {', '.join(map(str, record.seeds))} confirm what was frozen; publish writes it down")
    return 0


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _cells(measured: Seed) -> list[tuple[str, ...]]:
    return [(k, f"{m.value:.6g}", f"{m.low:.6g}", f"{m.high:.6g}", m.unit, str(m.n)) for k, m in measured.items()]


def _plot(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    for paper in papers:
        for path in plot_paper(paper, a.mode, first_seed(paper, a.mode, a.out) if a.seed is None else a.seed, a.out):
            say(str(path))
    return 0


def _check(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    failed = 0
    for paper in papers:
        failed += _check_freeze(paper)
        measured = {one.seed: one for one in measured_seeds(paper, a.mode, a.out)}
        seed = min(measured, default=0) if a.seed is None else a.seed
        found = measured.get(seed)
        if found is None:
            again = f"python -m papers run {paper.name} --{a.mode} --seed {seed}"
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
        failed += _check_published(paper, a.mode, measured)
    say(f"{failed} failed" if failed else "all checks passed")
    return 1 if failed else 0


def _check_freeze(paper: Paper) -> int:
    """Say what was changed after the freeze; the number of conditions that were."""
    if paper.frozen is None:
        say(f"note {paper.name}: its thresholds are not frozen; python -m papers freeze writes them down")
        return 0
    changed = changes(paper.claims, paper.measuring(), paper.frozen)
    for text in changed:
        say(f"FAIL {paper.name} was changed after its freeze: {text}; python -m papers freeze gives it today's date")
    return len(changed)


def _check_published(paper: Paper, mode: Mode, measured: Mapping[int, Measured]) -> int:
    """Measure every published seed whose results are there again, and count the numbers that are not as published."""
    published, seeds = read_published(paper)
    wrong = 0
    for seed in (s for s in seeds if published is mode and s.seed in measured):
        now = measured[seed.seed].estimates
        off = [name for name in {**seed.estimates, **now} if not _same(seed.estimates.get(name), now.get(name))]
        say(
            f"{'FAIL' if off else 'ok  '} {paper.name} seed {seed.seed}: {len(now)} numbers measured again, {len(off)} differ"
        )
        for name in off:
            say(f"     {name}: published {seed.estimates.get(name)}, now {now.get(name)}")
        wrong += len(off)
    return wrong


def _same(one: Estimate | None, other: Estimate | None) -> bool:
    """Whether two estimates are equal but for the rounding of another processor."""
    if one is None or other is None or one.unit is not other.unit:
        return False
    ends = ((getattr(one, name), getattr(other, name)) for name in ("value", "low", "high"))
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) for a, b in ends)


def _freeze(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    for paper in papers:
        explored = {s.seed for s in read_published(paper)[1]} | set(
            paper.confirmation.seeds if paper.confirmation else ()
        )
        record = freeze(paper.claims, paper.measuring(), explored, paper.frozen, _today())
        write_record(paper.folder / "frozen.json", record)
        say(f"{paper.folder / 'frozen.json'}: {len(record.conditions)} conditions; fresh seeds {record.fresh}")
    return 0


def _archive(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    packed = write_archive(papers, a.mode, a.out, a.file)
    say(f"{a.file}: {a.file.stat().st_size / 1e6:.1f} MB: {', '.join(packed)}")
    return 0


def _publish(a: argparse.Namespace, papers: Sequence[Paper]) -> int:
    written = (
        write_tables(load_papers(root=a.root), a.mode, a.root) if a.tables else publish(papers, a.mode, a.out, a.root)
    )
    for path in written:
        say(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
