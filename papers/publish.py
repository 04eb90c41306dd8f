"""Verdicts as tables, and what is published with the package: measured.json in each paper's folder, docs/, the README's table.

``python -m papers publish`` writes all of it from the results of every seed that has been run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualib.core.files import atomic_path, versions, write_json

from .frame import NOT_MEASURED, SEED, Claim, Measurement
from .paper import MODES, Mode, Paper
from .runner import Measured, measured_seeds, read_results

MARKS = ("<!-- verdicts -->", "<!-- end of verdicts -->")
"""Lines of the README between which its table stands."""

HEADLINES = {
    "shwartz_ziv_tishby_2017": ("figure_3_plane", "figure_4_gradients"),
    "saxe_2018": ("last_hidden",),
    "goldfeld_2019": ("clustering",),
    "shwartz_ziv_alemi_2019": ("plane", "finite"),
    "piran_2020": ("plane", "transitions"),
}
"""Figures kept in docs/figures, small."""
DPI = 110


@dataclass(frozen=True)
class VerdictRow:
    """A claim, its paper, its verdict, and the mode and the seeds that rests on."""

    claim: Claim
    paper: Paper
    verdict: str
    mode: Mode
    seeds: tuple[Measured, ...]

    def __str__(self) -> str:
        """The verdict with what it rests on."""
        if self.verdict == NOT_MEASURED:
            return self.verdict
        return f"{self.verdict} ({self.mode}, {len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''})"


def verdict_rows(papers: Sequence[Paper], mode: Mode | None, out: Path | None) -> list[VerdictRow]:
    """Every claim in the order of its number: by results in `out` of the mode asked for, else of full, else of quick; else,
    and without `out`, as published.
    """
    rows = []
    for paper in papers:
        chosen, seeds = _latest(paper, mode, out)
        for claim in paper.claims:
            verdict = claim.verdict_over_seeds([s.measurements for s in seeds])
            rows.append(VerdictRow(claim, paper, verdict, chosen, tuple(seeds)))
    return sorted(rows, key=lambda row: (row.claim.number, row.paper.name))


def _latest(paper: Paper, mode: Mode | None, out: Path | None) -> tuple[Mode, list[Measured]]:
    for one in (mode,) if mode else reversed(MODES):
        found = [] if out is None else measured_seeds(paper, one, out)
        if found:
            return one, found
    published, found = read_published(paper)
    return (published, found) if mode in (None, published) else (mode or published, [])


def read_published(paper: Paper) -> tuple[Mode, list[Measured]]:
    """The mode and the measurements in the paper's measured.json; none if there is no such file."""
    path = paper.folder / "measured.json"
    if not path.is_file():
        return "full", []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        seeds = [
            Measured(s["seed"], {n: _measurement(m) for n, m in s["measurements"].items()}, s["seconds"])
            for s in record["seeds"]
        ]
        return record["mode"], seeds
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}); write it again: python -m papers publish") from None


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    """Back from JSON, where an infinite bound is null."""
    low = -np.inf if entry["low"] is None else entry["low"]
    high = np.inf if entry["high"] is None else entry["high"]
    return Measurement(entry["value"], low, high, entry["unit"], entry["n"])


def publish(papers: Sequence[Paper], mode: Mode, out: Path, root: Path) -> list[Path]:
    """Write measured.json of each paper, docs/verdicts.md, docs/figures/ and the README's table; return what was written.

    Raises
    ------
    ValueError
        If a paper has no results of this mode, or the README lacks the marks: before anything is written.
    """
    found = {paper.name: measured_seeds(paper, mode, out) for paper in papers}
    missing = [name for name, seeds in found.items() if not seeds]
    if missing:
        raise ValueError(f"no {mode} results of {', '.join(missing)} in {out}; run: python -m papers run --{mode}")
    readme = root.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    if any(text.count(mark) != 1 for mark in MARKS):
        raise ValueError(f"{readme} must contain the lines {MARKS[0]} and {MARKS[1]} once each")
    written = []
    for paper in papers:
        written.append(paper.folder / "measured.json")
        record = {"mode": mode, "versions": versions(), "seeds": [_record(s) for s in found[paper.name]]}
        write_json(written[-1], record)
        written += _headlines(paper, mode, found[paper.name][0].seed, out, root.parent / "docs" / "figures")
    rows = verdict_rows(papers, mode, None)
    before, rest = text.split(MARKS[0])
    table = "\n".join([before + MARKS[0], *readme_table(rows), MARKS[1]]) + rest.split(MARKS[1])[1]
    for path, content in ((readme, table), (root.parent / "docs" / "verdicts.md", verdict_page(rows))):
        with atomic_path(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
        written.append(path)
    return written


def _record(seed: Measured) -> dict[str, Any]:
    numbers = {name: dataclasses.asdict(m) for name, m in seed.measurements.items()}
    rounded = {
        n: {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in m.items()} for n, m in numbers.items()
    }
    return {"seed": seed.seed, "seconds": round(seed.seconds), "measurements": rounded}


def _headlines(paper: Paper, mode: Mode, seed: int, out: Path, folder: Path) -> list[Path]:
    drawn = paper.part("figures")(read_results(paper, mode, seed, out))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in HEADLINES.get(paper.name, ()):
        paths.append(folder / f"{paper.name}_{name}.png")
        with atomic_path(paths[-1]) as temporary:
            drawn[name].savefig(temporary, dpi=DPI, bbox_inches="tight")
    return paths


def readme_table(rows: Sequence[VerdictRow]) -> list[str]:
    """One line a claim: its verdict and the number that decided it."""
    lines = ["| # | claim | verdict | the number that decides |", "|---:|---|---|---|"]
    for row in rows:
        cells = (str(row.claim.number), row.claim.statement, f"**{row.verdict}**", _decisive(row))
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return lines


def _decisive(row: VerdictRow) -> str:
    """Where seeds disagree, a condition on which they do, with the numbers of all; else the condition that failed, was left
    open, or holds, in this order, with the first seed's number.
    """
    if row.verdict == NOT_MEASURED:
        return "–"
    sides = {c: [c.side(s.measurements[c.measure]) for s in row.seeds] for c in row.claim.conditions}
    if row.verdict == SEED:
        chosen, seeds = next(c for c, found in sides.items() if len(set(found)) > 1), row.seeds
    else:
        order = [c for wanted in ("fails", "open", "holds") for c, found in sides.items() if wanted in found]
        chosen, seeds = order[0], row.seeds[:1]
    return f"`{chosen}`: " + "; ".join(str(s.measurements[chosen.measure]) for s in seeds)


def verdict_page(rows: Sequence[VerdictRow]) -> str:
    """docs/verdicts.md: every condition of every claim with every seed's measurement, and the time each paper took."""
    lines = ["# Verdicts", "", _PREFACE, ""]
    times = {row.paper.name: (row.mode, row.seeds) for row in rows}
    lines += ["| paper | mode | seed: minutes of computing |", "|---|---|---|"]
    for name, (mode, seeds) in sorted(times.items()):
        spent = ", ".join(f"{s.seed}: {s.seconds / 60:.1f}" for s in seeds)
        lines.append(f"| {name} | {mode} | {spent or 'none'} |")
    for row in rows:
        lines += [
            "",
            f"## {row.claim.number}. {row.claim.statement}",
            "",
            f"*{row.claim.source}* ({row.paper.name})",
            "",
        ]
        lines += [f"**{row}**", ""]
        for condition in row.claim.conditions:
            for seed in row.seeds:
                measurement = seed.measurements.get(condition.measure)
                side = (
                    "missing"
                    if measurement is None
                    else f"{measurement}, n = {measurement.n}: {condition.side(measurement)}"
                )
                lines.append(f"- `{condition}`, seed {seed.seed}: {side}")
    return "\n".join(lines) + "\n"


_PREFACE = (
    "Written by `python -m papers publish` from the results of `python -m papers run`. A claim is *reproduced* if the intervals "
    "of all its conditions lie on the claimed side of the thresholds; if one lies on the other side it is *refuted*, or *depends "
    "on* the named control where another condition holds; otherwise it is *undecided*. If seeds disagree it *depends on the "
    "seed*. Intervals are of 95 %, over the n repetitions given. Thresholds were set after small runs had been seen and before "
    "the runs shown here, unless a paper's README says otherwise."
)
