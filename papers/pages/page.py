"""Verdicts as Markdown: the README's line, the overview of all claims, and a page a claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dualib.core.estimate import Estimate
from papers.ledger.condition import Condition, Op
from papers.ledger.verdict import Outcome, judge
from papers.pages.verdicts import VerdictRow, numbers, words

PREFACE = """\
Each claim has a page with everything that was measured; this is the overview. A claim is judged by *core* conditions alone, each of
which compares a measured interval (95 %, over repetitions) with a threshold: all hold, **reproduced**; one or more fail and none
holds, **refuted**; none fails and one has its threshold within its interval, **undecided**. Where some hold and some fail the claim
**depends on** X if the difference between two arms that differ in X alone was measured and is decided in every seed, and the conditions
split along those arms; else it is **partly** so. Of many conditions some fail by chance: failures count as far as Holm's rule lets them
stand. Conditions of *robustness* (another estimate, another setting) qualify a verdict, *side* conditions inform. The repetitions of
all seeds are pooled; what is exact or proven fails if it fails in one seed.

Thresholds and the programs that measure are frozen with their day; seeds kept fresh until then are run once, by
`python -m papers confirm`, and then decide alone."""

COUNTED = {Outcome.DEPENDS: "dependent on one setting", Outcome.PARTLY: "partly reproduced"}
"""Words for the verdicts that alone, behind a number, say too little."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbered: bool = True) -> list[str]:
    """A Markdown table, by default with a first column of numbers."""
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in (header, *rows)]
    return [lines[0], ("|---:|" if numbered else "|---|") + "---|" * (len(header) - 1), *lines[1:]]


def readme_summary(rows: Sequence[VerdictRow]) -> list[str]:
    """One line: how many claims there are of each verdict."""
    found = Counter(row.verdict.outcome for row in rows)
    counts = ", ".join(f"{found[outcome]} {COUNTED.get(outcome, outcome)}" for outcome in Outcome if found[outcome])
    return [
        f"Of {len(rows)} published claims: {counts}. Every one with its numbers: [docs/verdicts.md](docs/verdicts.md)."
    ]


def page_name(row: VerdictRow) -> str:
    """The page of a claim, under docs/claims."""
    return f"{row.claim.number:02d}.md"


def verdict_page(rows: Sequence[VerdictRow]) -> str:
    """docs/verdicts.md: what a verdict is, all claims at a glance, one line a claim, and the time each paper took."""
    lines = ["# Verdicts", "", PREFACE, "", "![every claim's core conditions](figures/claims/overview.png)", ""]
    lines += [
        "Each dot is a core condition: zero is its threshold, its unit the threshold (the tolerance; the interval's half width where the",
        "threshold is zero), and what lies to the right is on the claimed side.",
        "",
    ]
    cells: list[tuple[str, ...]] = [
        (
            f"[{r.claim.number}](claims/{page_name(r)})",
            r.claim.statement,
            f"**{words(r.verdict, plain=True)}**",
            r.paper.party,
        )
        for r in rows
    ]
    lines += [*markdown_table(("#", "claim", "verdict", "of"), cells), ""]
    cells = []
    for row in sorted({r.paper.name: r for r in rows}.values(), key=lambda r: r.paper.name):
        every = sorted((*row.seeds, *row.explored), key=lambda s: s.seed)
        spent = ", ".join(f"{s.seed}: {s.seconds / 60:.1f}" for s in every) or "none"
        run = {s.seed for s in every}
        fresh = [str(seed) for seed in (row.paper.frozen.fresh if row.paper.frozen else ()) if seed not in run]
        cells.append((row.paper.name, row.basis(), spent, _since(row), ", ".join(fresh) or "none"))
    heads = ("paper", "rests on", "seed: minutes of computing", "frozen", "seeds still fresh")
    return "\n".join([*lines, *markdown_table(heads, cells, numbered=False)]) + "\n"


def _since(row: VerdictRow) -> str:
    return row.paper.frozen.date if row.paper.frozen else "not frozen"


def claim_page(row: VerdictRow, figures: Path) -> str:
    """docs/claims/NN.md; the claim's figure is shown if it lies in `figures`, which is docs/figures."""
    claim = row.claim
    lines = [f"# {claim.number}. {claim.statement}", "", f"**Verdict: {row.rests_on()}.**", ""]
    lines += [f"*Source*: {claim.where}. The statement is in our words. *Measured in* `papers/{row.paper.name}`.", ""]
    if claim.unmeasured:
        return "\n".join([*lines, f"It is not measured: {claim.unmeasured}."]) + "\n"
    lines += ["## What would refute it", "", *([claim.refutation, ""] if claim.refutation else [])]
    lines += ["In numbers, the whole 95 % interval of one of these on the other side:", ""]
    lines += [f"- {c.label or f'`{c.measure}`'}: claimed to be {claimed(c)}" for c in claim.core] + [""]
    lines += ["## What was measured", "", *_measured(row), *_contrasts(row), *_by_seed(row)]
    image = f"{row.paper.name}_{claim.figure}.png"
    if claim.figure and (figures / image).is_file():
        lines += [f"![{claim.figure.replace('_', ' ')}](../figures/{image})", ""]
    if claim.objection:
        lines += [
            "## What its authors or its critics would object",
            "",
            claim.objection,
            "",
            f"*Answer.* {claim.answer}",
            "",
        ]
    lines += ["## Measure it again", "", "```", f"python -m papers run {row.paper.name} --full", "```", ""]
    minutes = [s.seconds / 60 for s in (*row.seeds, *row.explored)]
    spent = f" `--full` took {max(minutes):.0f} minutes of computing a seed." if minutes else ""
    lines.append(f"All claims of this paper together: `--quick` takes one to four minutes of computing.{spent}")
    return "\n".join(lines) + "\n"


def claimed(c: Condition) -> str:
    """Where a condition's interval is claimed to lie, in words."""
    bounds = {
        Op.ABOVE: f"above {c.value:g}",
        Op.BELOW: f"below {c.value:g}",
        Op.WITHIN: f"{c.value:g} ± {c.tolerance or 0:g}",
    }
    return bounds[c.op] + c.unit.suffix


def _measured(row: VerdictRow) -> list[str]:
    """The forest, and a table with a line a condition: threshold, its day, and all seeds together; then each seed's number."""
    sides = dict(row.verdict.sides)
    image = f"![forest of claim {row.claim.number}](../figures/claims/{row.claim.number:02d}.png)"
    legend = "Large: all seeds together; small: each seed by itself, open where it had been seen before the freeze."
    lines = [image, "", legend, ""] if row.measured else ["No seed of it has been published yet.", ""]
    table: list[tuple[str, ...]] = []
    for c in row.claim.conditions:
        day = row.paper.frozen.since(row.claim.number, f"{c} [{c.role}]") if row.paper.frozen else None
        name = f"{c.label} (`{c.measure}`)" if c.label else f"`{c.measure}`"
        table.append(
            (name, c.role, claimed(c), day or "not frozen", numbers(row, c.measure), f"**{sides.get(c, 'not run')}**")
        )
    heads = ("measure", "role", "claimed", "frozen", "measured, all seeds", "side")
    lines += [*markdown_table(heads, table, numbered=False), ""]
    for c in row.verdict.by_chance:
        lines += [
            f"`{c.measure}` fails by itself, but one of {len(row.claim.core)} conditions may do so by chance (Holm).",
            "",
        ]
    every = (*row.seeds, *row.explored)
    if every:
        columns = ("measure", *(f"seed {s.seed}{'' if s in row.seeds else ' (seen before)'}" for s in every))
        alone: list[tuple[str, ...]] = [
            (f"`{c.measure}`", *(_seed(s.estimates.get(c.measure)) for s in every)) for c in row.claim.conditions
        ]
        lines += [*markdown_table(columns, alone, numbered=False), ""]
    found = (s.estimates[c.measure] for s in every for c in row.claim.conditions if c.measure in s.estimates)
    warnings = dict.fromkeys(text for e in found for text in e.warnings)
    return lines + ([*(f"- {text}" for text in warnings), ""] if warnings else [])


def _seed(estimate: Estimate | None) -> str:
    return "not measured" if estimate is None else f"{estimate}, n = {estimate.n}"


def _contrasts(row: VerdictRow) -> list[str]:
    lines = []
    for contrast in row.claim.contrasts:
        state = "decided" if contrast.decided(row.measured) else "not decided"
        found = "; ".join(f"`{m}`: {numbers(row, m)}" for m in contrast.measures)
        lines += [f"*Does it depend on {contrast.name}?* The difference is {state}: {found}.", ""]
    return lines


def _by_seed(row: VerdictRow) -> list[str]:
    """What every seed by itself would say."""
    every = (*row.seeds, *row.explored)
    alone = [f"{s.seed}: {words(judge(row.claim, [s.estimates]), plain=True)}" for s in every]
    return [f"By one seed alone: {'; '.join(alone)}.", ""] if len(every) > 1 else []
