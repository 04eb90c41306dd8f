"""Every claim with its verdict, as rows, and verdicts as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dualib.core.estimate import Kind
from papers.ledger.claim import Claim, Mode
from papers.ledger.condition import Condition, Role, Seed, Side
from papers.ledger.pool import pooled
from papers.ledger.verdict import Outcome, Verdict, judge
from papers.runs.paper import Paper
from papers.runs.runner import Measured, measured_seeds


@dataclass(frozen=True)
class VerdictRow:
    """A claim, its paper, its verdict, and the mode and the seeds that rests on."""

    claim: Claim
    paper: Paper
    verdict: Verdict
    mode: Mode
    seeds: tuple[Measured, ...]

    @property
    def measured(self) -> list[Seed]:
        """What every seed measured."""
        return [s.estimates for s in self.seeds]

    def rests_on(self) -> str:
        """The verdict's words with mode and number of seeds; beside one of quick runs, the published one where it differs."""
        if self.verdict.outcome is Outcome.NOT_MEASURED:
            return words(self.verdict)
        text = f"{words(self.verdict)} ({self.mode}, {len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''})"
        mode, seeds = read_published(self.paper)
        published = judge(self.claim, [s.estimates for s in seeds])
        if mode is self.mode or not seeds or words(published) == words(self.verdict):
            return text
        return f"{text}; {mode}, as published: {words(published)}"


def words(verdict: Verdict) -> str:
    """The verdict in words, without numbers."""
    match verdict.outcome:
        case Outcome.DEPENDS:
            return f"depends on {verdict.depends_on}"
        case Outcome.PARTLY:
            core = {side: verdict.having(Role.CORE, side) for side in Side}
            total = sum(map(len, core.values()))
            text = f"partly: {len(core[Side.HOLDS])} of {total} parts hold, {len(core[Side.FAILS])} fail"
            return text + (f", {len(core[Side.OPEN])} open" if core[Side.OPEN] else "")
        case Outcome.REPRODUCED if verdict.qualified_by:
            return f"reproduced, but not shown for {_names(verdict.qualified_by)}"
        case Outcome.REFUTED if verdict.qualified_by:
            return f"refuted, but not shown for {_names(verdict.qualified_by)}"
        case outcome:
            return str(outcome)


def _names(conditions: Sequence[Condition]) -> str:
    return ", ".join(f"`{c.measure}`" for c in conditions)


def numbers(row: VerdictRow, measure: str) -> str:
    """The number of all seeds together where it is pooled, else every seed's."""
    found = [seed.get(measure) for seed in row.measured]
    known = [e for e in found if e is not None]
    if len(known) == len(found) and all(e.kind is Kind.STATISTICAL for e in known):
        return str(pooled(known))
    return "; ".join(dict.fromkeys("not measured" if e is None else str(e) for e in found))


def verdict_rows(papers: Sequence[Paper], mode: Mode | None, out: Path | None) -> list[VerdictRow]:
    """Every claim in the order of its number.

    They are judged by results in `out` of the mode asked for, else of full, else of quick; else, and without `out`, as
    published.
    """
    rows = []
    for paper in papers:
        chosen, seeds = _latest(paper, mode, out)
        for claim in paper.claims:
            verdict = judge(claim, [s.estimates for s in seeds])
            rows.append(VerdictRow(claim, paper, verdict, chosen, tuple(seeds)))
    return sorted(rows, key=lambda row: (row.claim.number, row.paper.name))


def _latest(paper: Paper, mode: Mode | None, out: Path | None) -> tuple[Mode, list[Measured]]:
    for one in (mode,) if mode else (Mode.FULL, Mode.QUICK):
        found = [] if out is None else measured_seeds(paper, one, out)
        if found:
            return one, found
    published, found = read_published(paper)
    return (published, found) if mode in (None, published) else (mode or published, [])


def read_published(paper: Paper) -> tuple[Mode, list[Measured]]:
    """The mode and the measurements in the paper's measured.json; none if there is no such file."""
    if paper.published is None:
        return Mode.FULL, []
    return paper.published.mode, [Measured(s.seed, s.estimates(), s.seconds) for s in paper.published.seeds]
