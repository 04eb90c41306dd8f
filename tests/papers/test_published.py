"""What is published with the package: every claim once, every condition measured, tables and figures that belong to the numbers."""

import re

import pytest

from papers.frame import NOT_MEASURED
from papers.paper import load_papers, paper_names
from papers.publish import HEADLINES, MARKS, read_published, readme_table, verdict_page, verdict_rows
from papers.sources import HERE

MAY_WAIT = {12, 36}  # Monte Carlo relaxation and the variational dualIB


@pytest.fixture(scope="module")
def papers():
    return load_papers()


def test_the_ledger_is_whole(papers):
    numbers = [claim.number for paper in papers for claim in paper.claims]
    assert sorted(numbers) == list(range(1, 37))


@pytest.mark.parametrize("name", paper_names())
def test_every_condition_and_check_was_measured_in_every_seed(name):
    (paper,) = load_papers([name])
    mode, seeds = read_published(paper)
    assert mode == "full"
    assert len({s.seed for s in seeds}) >= 2
    for seed in seeds:
        for claim in paper.claims:
            assert claim.conditions or claim.number in MAY_WAIT
            assert {c.measure for c in claim.conditions} <= set(seed.measurements), (claim.number, seed.seed)
        failed = [
            c.measure for c in paper.checks if c.mode in (None, mode) and not c.passes(seed.measurements.get(c.measure))
        ]
        assert not failed, seed.seed


def test_the_tables_are_those_of_the_published_numbers(papers):
    rows = verdict_rows(papers, "full", None)
    readme = (HERE.parent / "README.md").read_text(encoding="utf-8")
    assert readme.split(MARKS[0])[1].split(MARKS[1])[0].strip("\n") == "\n".join(readme_table(rows))
    assert (HERE.parent / "docs" / "verdicts.md").read_text(encoding="utf-8") == verdict_page(rows)
    assert {r.claim.number for r in rows if r.verdict == NOT_MEASURED} <= MAY_WAIT


def test_the_headline_figures_are_there(papers):
    readme = (HERE.parent / "README.md").read_text(encoding="utf-8")
    for paper in papers:
        for name in HEADLINES[paper.name]:
            path = HERE.parent / "docs" / "figures" / f"{paper.name}_{name}.png"
            assert path.read_bytes().startswith(b"\x89PNG")
            assert path.stat().st_size < 200_000
    shown = set(re.findall(r"docs/figures/([\w.]+)", readme))
    assert {path.name for path in (HERE.parent / "docs" / "figures").glob("*.png")} >= shown
