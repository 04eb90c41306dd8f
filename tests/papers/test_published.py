"""What is published with the package: every claim once, every condition measured, tables and figures that belong to the numbers."""

import re

import msgspec
import pytest

from papers.__main__ import main
from papers.ledger.claim import Mode
from papers.ledger.condition import Role
from papers.ledger.freeze import changes
from papers.ledger.verdict import Outcome, judge
from papers.pages.page import claim_page, page_name, readme_summary, verdict_page
from papers.pages.publish import HEADLINES, MARKS
from papers.pages.verdicts import read_published, verdict_rows
from papers.runs.paper import load_papers, paper_names
from papers.runs.sources import HERE


@pytest.fixture(scope="module")
def papers():
    return load_papers()


def test_the_ledger_is_whole(papers):
    numbers = [claim.number for paper in papers for claim in paper.claims]
    assert len(set(numbers)) == len(numbers)
    assert set(range(1, 37)) <= set(numbers)


def test_no_published_numbers_are_lost(papers):
    assert all(paper.published is not None for paper in papers)


@pytest.mark.parametrize("name", paper_names())
def test_every_condition_and_check_was_measured(name):
    """The core in every seed; a variation in one at least, as in another too few repetitions may have had what it measures."""
    (paper,) = load_papers([name])
    current = paper.published.program == paper.measuring()  # `papers check` says where it is not
    mode, seeds = read_published(paper)
    assert mode is Mode.FULL
    assert len({s.seed for s in seeds}) >= 2
    anywhere = {name for seed in seeds for name in seed.estimates}
    for seed in seeds:
        for claim in paper.claims:
            assert claim.conditions
            core = {c.measure for c in claim.conditions if c.role is Role.CORE}
            lacking = core - set(seed.estimates) | {c.measure for c in claim.conditions} - anywhere
            assert not (current and lacking), (claim.number, seed.seed)
        checks = [c for c in paper.checks if c.mode in (None, mode)]
        failed = [c.measure for c in checks if not c.passes(seed.estimates.get(c.measure))]
        assert not failed, seed.seed


@pytest.mark.parametrize(
    "archive",
    [  # the largest takes 14 s
        pytest.param(path, id=path.parent.name, marks=[pytest.mark.slow] if path.stat().st_size > 4e6 else [])
        for path in sorted(HERE.glob("*/confirmation.zip"))
    ],
)
def test_the_archive_of_a_confirmation_measures_every_published_number_again(archive, capsys):
    (paper,) = load_papers([archive.parent.name])
    assert main(["check", paper.name, "--full", "--out", str(archive)]) == 0
    said = capsys.readouterr().out
    seeds = paper.confirming()
    assert seeds
    for seed in seeds:
        assert re.search(rf"seed {seed}: [1-9]\d* numbers measured again, 0 differ", said)


def test_the_pages_of_questions_show_what_is_published(papers):
    pages = sorted((HERE.parent / "docs" / "questions").glob("*.py"))
    shown = {pair for page in pages for pair in re.findall(r'ledger\.\w+\("(\w+)", "(\w+)"', page.read_text())}
    assert len(shown) > 8
    published = {paper.name: read_published(paper)[1] for paper in papers}
    lacking = [(name, measure) for name, measure in shown for seed in published[name] if measure not in seed.estimates]
    assert lacking == []


def test_no_verdict_hangs_on_a_side_condition_or_on_the_order_of_seeds(papers):
    for row in verdict_rows(papers, Mode.FULL, None):
        assert judge(row.claim, row.measured[::-1]) == row.verdict
        for left_out in row.claim.conditions:
            if left_out.role is not Role.CORE:
                rest = tuple(c for c in row.claim.conditions if c is not left_out)
                assert (
                    judge(msgspec.structs.replace(row.claim, conditions=rest), row.measured).outcome
                    is row.verdict.outcome
                )
        if row.verdict.outcome is Outcome.DEPENDS:
            without = msgspec.structs.replace(row.claim, contrasts=())
            assert judge(without, row.measured).outcome is Outcome.PARTLY


def test_nothing_is_reproduced_that_was_not_measured(papers):
    for row in verdict_rows(papers, Mode.FULL, None):
        core = [c.measure for c in row.claim.conditions if c.role is Role.CORE]
        lacking = [m for m in core for seed in row.measured if m not in seed]
        assert not (lacking and row.verdict.outcome is Outcome.REPRODUCED), row.claim.number


def test_thresholds_are_those_that_were_frozen(papers):
    for paper in papers:
        assert paper.frozen is not None
        # until seeds confirm it the program may change
        program = paper.measuring() if paper.confirmation else paper.frozen.program
        assert changes(paper.claims, program, paper.frozen) == []
        published = set(paper.frozen.fresh) & {seed.seed for seed in read_published(paper)[1]}
        assert published == set(paper.confirming())  # all of them when the confirmation has ended, none before


def test_the_tables_are_those_of_the_published_numbers(papers):
    rows = verdict_rows(papers, Mode.FULL, None)
    readme = (HERE.parent / "README.md").read_text(encoding="utf-8")
    assert readme.split(MARKS[0])[1].split(MARKS[1])[0].strip("\n") == "\n".join(readme_summary(rows))
    assert (HERE.parent / "docs" / "verdicts.md").read_text(encoding="utf-8") == verdict_page(rows)
    for row in rows:
        page = (HERE.parent / "docs" / "claims" / page_name(row)).read_text(encoding="utf-8")
        assert page == claim_page(row, HERE.parent / "docs" / "figures")
    waiting = {
        r.claim.number for r in rows if r.verdict.outcome is Outcome.NOT_MEASURED and r.paper.published is not None
    }
    assert not waiting


def test_the_headline_figures_are_there(papers):
    readme = (HERE.parent / "README.md").read_text(encoding="utf-8")
    for paper in papers:
        for name in HEADLINES.get(paper.name, ()):
            path = HERE.parent / "docs" / "figures" / f"{paper.name}_{name}.png"
            assert path.read_bytes().startswith(b"\x89PNG")
            assert path.stat().st_size < 200_000
    shown = set(re.findall(r"docs/figures/([\w.]+)", readme))
    assert {path.name for path in (HERE.parent / "docs" / "figures").glob("*.png")} >= shown
