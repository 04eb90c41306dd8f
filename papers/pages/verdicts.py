"""Every claim with its verdict, as rows, and verdicts as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dualib.core.estimate import Estimate, Kind
from papers.ledger.claim import Claim, Mode
from papers.ledger.condition import Condition, Role, Seed, Side
from papers.ledger.pool import pooled
from papers.ledger.verdict import Outcome, Verdict, judge
from papers.runs.paper import Paper
from papers.runs.runner import Measured, measured_seeds


@dataclass(frozen=True)
class VerdictRow:
    """A claim, its paper, its verdict, the mode and the seeds that rests on, and the seeds seen before, which do not count."""

    claim: Claim
    paper: Paper
    verdict: Verdict
    mode: Mode
    seeds: tuple[Measured, ...]
    explored: tuple[Measured, ...] = ()

    @property
    def measured(self) -> list[Seed]:
        """What every seed measured."""
        return [s.estimates for s in self.seeds]

    def rests_on(self) -> str:
        """The verdict's words with mode and number of seeds; beside one of quick runs, the published one where it differs."""
        if self.verdict.outcome is Outcome.NOT_MEASURED:
            return words(self.verdict)
        text = f"{words(self.verdict)} ({self.basis()})"
        mode, seeds = read_published(self.paper)
        published = judge(self.claim, [s.estimates for s in deciding(seeds)])
        if mode is self.mode or not seeds or words(published) == words(self.verdict):
            return text
        return f"{text}; {mode}, as published: {words(published)}"

    def basis(self) -> str:
        """Mode and number of seeds, and whether those confirm thresholds that were frozen before."""
        fresh = "fresh " if self.seeds and all(s.confirming for s in self.seeds) else ""
        return f"{self.mode}, {len(self.seeds)} {fresh}seed{'s' if len(self.seeds) > 1 else ''}"


def deciding(seeds: Sequence[Measured]) -> tuple[Measured, ...]:
    """The seeds that a verdict rests on: those run once after the freeze, where there are any, else all."""
    return tuple(s for s in seeds if s.confirming) or tuple(seeds)


def words(verdict: Verdict, *, plain: bool = False) -> str:
    """The verdict in words, without numbers; `plain` without the names of what qualifies it."""
    match verdict.outcome:
        case Outcome.DEPENDS:
            return f"depends on {verdict.depends_on}"
        case Outcome.PARTLY:
            core = {side: verdict.having(Role.CORE, side) for side in Side}
            total = sum(map(len, core.values()))
            text = f"partly: {len(core[Side.HOLDS])} of {total} parts hold, {len(core[Side.FAILS])} fail"
            return text + (f", {len(core[Side.OPEN])} open" if core[Side.OPEN] else "")
        case Outcome.REPRODUCED | Outcome.REFUTED if verdict.qualified_by:
            least = f"{len(verdict.qualified_by)} of {len(verdict.having(Role.ROBUSTNESS, *Side))} variations"
            return f"{verdict.outcome}, but not shown for {least if plain else _names(verdict.qualified_by)}"
        case outcome:
            return str(outcome)


def _names(conditions: Sequence[Condition]) -> str:
    return ", ".join(f"`{c.measure}`" for c in conditions)


def pooled_estimate(seeds: Sequence[Seed], measure: str) -> Estimate | None:
    """A measure of all seeds together; what is exact or proven from the first seed that has it; None where none has."""
    known = [seed[measure] for seed in seeds if measure in seed]
    if known and all(e.kind is Kind.STATISTICAL for e in known):
        return pooled(known)
    return known[0] if known else None


def numbers(row: VerdictRow, measure: str) -> str:
    """The number of all seeds together where it is pooled, else every seed's."""
    found = [seed.get(measure) for seed in row.measured]
    known = [e for e in found if e is not None]
    if not known:
        return "not measured"
    if len(known) == len(found) and all(e.kind is Kind.STATISTICAL for e in known):
        return str(pooled(known))
    return "; ".join(dict.fromkeys("not measured" if e is None else str(e) for e in found))


def verdict_rows(papers: Sequence[Paper], mode: Mode | None, out: Path | None) -> list[VerdictRow]:
    """Every claim in the order of its number.

    They are judged by results in `out` of the mode asked for, else of full, else of quick; else, and without `out`, as
    published, in whatever mode that was: a claim that was run has a verdict.
    """
    rows = []
    for paper in papers:
        chosen, seeds = _latest(paper, mode, out)
        chief = deciding(seeds)
        explored = tuple(s for s in seeds if s not in chief)
        for claim in paper.claims:
            verdict = judge(claim, [s.estimates for s in chief])
            rows.append(VerdictRow(claim, paper, verdict, chosen, chief, explored))
    return sorted(rows, key=lambda row: (row.claim.number, row.paper.name))


def _latest(paper: Paper, mode: Mode | None, out: Path | None) -> tuple[Mode, list[Measured]]:
    for one in (mode,) if mode else (Mode.FULL, Mode.QUICK):
        found = [] if out is None else measured_seeds(paper, one, out)
        if found:
            return one, found
    return read_published(paper)


def read_published(paper: Paper) -> tuple[Mode, list[Measured]]:
    """The mode and the measurements in the paper's measured.json; none if there is no such file."""
    if paper.published is None:
        return Mode.FULL, []
    fresh = paper.published.confirming
    seeds = [Measured(s.seed, s.estimates(), s.seconds, confirming=s.seed in fresh) for s in paper.published.seeds]
    return paper.published.mode, seeds
