"""Verdicts as Markdown: the README's line, and the page with every condition of every claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dualib.core.estimate import Estimate
from papers.ledger.condition import Condition, Role
from papers.ledger.verdict import Outcome
from papers.pages.verdicts import VerdictRow, numbers

PREFACE = """\
Written by `python -m papers publish` from the results of `python -m papers run`. Every condition compares a measured interval (95 %,
over the n repetitions given) with a threshold, and has a role. *Core* conditions are what is claimed, and they alone decide: all
hold: **reproduced**; one or more fail and none holds: **refuted**; none fails and one has its threshold within its interval:
**undecided**. Where some hold and some fail, the claim **depends on** X only if the difference between the two arms of X was measured
and is decided in every seed, and the core conditions split along those arms; otherwise it is **partly** so, with the list. Conditions
of *robustness*, the same by another estimate or at another setting, qualify a verdict; *side* conditions inform. The repetitions of all
seeds are pooled; what is exact or proven fails if it fails in one seed.

Thresholds carry the day on which they were frozen. The seeds shown had been seen by then; seeds kept fresh confirm them once."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose first column is of numbers."""
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in (header, *rows)]
    return [lines[0], "|---:|" + "---|" * (len(header) - 1), *lines[1:]]


def readme_summary(rows: Sequence[VerdictRow]) -> list[str]:
    """One line: how many claims there are of each verdict."""
    found = Counter(row.verdict.outcome for row in rows)
    counts = ", ".join(f"{found[outcome]} {outcome}" for outcome in Outcome if found[outcome])
    return [
        f"Of {len(rows)} published claims: {counts}. Every one with its numbers: [docs/verdicts.md](docs/verdicts.md)."
    ]


def verdict_page(rows: Sequence[VerdictRow]) -> str:
    """docs/verdicts.md: every condition of every claim with every seed's measurement, and the time each paper took."""
    lines = ["# Verdicts", "", PREFACE, ""]
    lines += ["| paper | mode | seed: minutes of computing | kept fresh |", "|---|---|---|---|"]
    for row in sorted({r.paper.name: r for r in rows}.values(), key=lambda r: r.paper.name):
        spent = ", ".join(f"{s.seed}: {s.seconds / 60:.1f}" for s in row.seeds) or "none"
        fresh = ", ".join(map(str, row.paper.frozen.fresh)) if row.paper.frozen else "not frozen"
        lines.append(f"| {row.paper.name} | {row.mode} | {spent} | {fresh} |")
    return "\n".join([*lines, *(line for row in rows for line in claim_section(row))]) + "\n"


def claim_section(row: VerdictRow) -> list[str]:
    """One claim: its verdict, then its conditions by role with every seed's number, and its contrasts."""
    claim, sides = row.claim, dict(row.verdict.sides)
    lines = ["", f"## {claim.number}. {claim.statement}", "", f"*{claim.where}* ({row.paper.name})", ""]
    lines += [f"**{row.rests_on()}**" + (f": {claim.unmeasured}" if claim.unmeasured else ""), ""]
    for role in (role for role in Role if claim.having(role)):
        lines += [f"*{role}*", ""]
        for c in claim.having(role):
            day = row.paper.frozen.since(claim.number, f"{c} [{role}]") if row.paper.frozen else None
            side = f"**{sides[c]}**: {numbers(row, c.measure)}" if sides else "not measured"
            lines.append(f"- `{c}`, {f'frozen {day}' if day else 'not frozen'}: {side}")
            lines += [f"  - seed {s.seed}: {_seed(s.estimates.get(c.measure), c)}" for s in row.seeds]
        lines.append("")
    for contrast in claim.contrasts:
        state = "decided" if contrast.decided(row.measured) else "not decided"
        found = "; ".join(f"`{m}`: {numbers(row, m)}" for m in contrast.measures)
        lines += [f"*contrast*: {contrast.name}: {state}: {found}", ""]
    return lines[:-1]


def _seed(estimate: Estimate | None, condition: Condition) -> str:
    """A seed's estimate with its side and what there is to know about it."""
    if estimate is None:
        return "not measured"
    return "; ".join([f"{estimate}, n = {estimate.n}: {condition.side(estimate)}", *estimate.warnings])
