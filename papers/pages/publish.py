"""What is published with the package: measured.json in each paper's folder, docs/verdicts.md, docs/claims, docs/figures and the
README's table.

``python -m papers publish [PAPER …]`` writes all of it from the results of every seed of these papers that has been run, and of the
others' measured.json; ``--tables`` writes the texts again from measured.json alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dualib.core.files import atomic_path, versions
from papers.ledger.claim import Mode
from papers.ledger.freeze import threshold_hash
from papers.ledger.read import Number, Published, PublishedSeed, write_record
from papers.pages.forest import forest, overview
from papers.pages.page import claim_page, page_name, readme_summary, verdict_page
from papers.pages.verdicts import verdict_rows
from papers.runs.paper import Paper, load_papers
from papers.runs.runner import Measured, measured_seeds, read_results, save_figure

MARKS = ("<!-- verdicts -->", "<!-- end of verdicts -->")
"""Lines of the README between which its line of verdicts stands."""

HEADLINES = {
    "shwartz_ziv_tishby_2017": ("figure_3_plane", "figure_4_gradients"),
    "saxe_2018": ("last_hidden",),
    "goldfeld_2019": ("clustering",),
    "shwartz_ziv_alemi_2019": ("plane", "finite"),
    "piran_2020": ("plane", "transitions"),
}
"""Figures that the README shows; with those of the claims' pages they are kept in docs/figures, small."""
DPI = 110


def publish(papers: Sequence[Paper], mode: Mode, out: Path, root: Path) -> list[Path]:
    """Write measured.json and the headline figures of each paper, then the tables of all; return what was written.

    Seeds published before whose results are not in `out` stay, if they were run and measured by what is run and measured today.

    Raises
    ------
    ValueError
        If a paper has no results of this mode, or the README lacks the marks: before anything is written.
    """
    found = {paper.name: measured_seeds(paper, mode, out) for paper in papers}
    missing = [name for name, seeds in found.items() if not seeds]
    if missing:
        raise ValueError(f"no {mode} results of {', '.join(missing)} in {out}; run: python -m papers run --{mode}")
    _readme(root)
    written = []
    for paper in papers:
        here = {s.seed: _record(s) for s in found[paper.name]}
        before = _published_before(paper, mode)
        seeds = [one for _, one in sorted({**before, **here}.items())]
        written.append(paper.folder / "measured.json")
        write_record(written[-1], _published(paper, mode, seeds))
        written += _headlines(paper, mode, min(here), out, root.parent / "docs" / "figures")
    return written + write_tables(load_papers(root=root), mode, root)


def write_tables(papers: Sequence[Paper], mode: Mode, root: Path) -> list[Path]:
    """Write the README's line, docs/verdicts.md, a page and a forest a claim from the published numbers; return the files."""
    rows = verdict_rows(papers, mode, None)
    readme, text = _readme(root)
    before, rest = text.split(MARKS[0])
    table = "\n".join([before + MARKS[0], *readme_summary(rows), MARKS[1]]) + rest.split(MARKS[1])[1]
    docs = root.parent / "docs"
    forests = docs / "figures" / "claims"
    pages = {readme: table, docs / "verdicts.md": verdict_page(rows)}
    pages |= {docs / "claims" / page_name(row): claim_page(row, docs / "figures") for row in rows}
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    forests.mkdir(parents=True, exist_ok=True)
    drawn = {forests / "overview.png": overview(rows)}
    drawn |= {
        forests / f"{row.claim.number:02d}.png": forest(row) for row in rows if row.measured and row.claim.conditions
    }
    for path, figure in drawn.items():
        save_figure(figure, path, DPI)
    return [*pages, *drawn]


def _readme(root: Path) -> tuple[Path, str]:
    path = root.parent / "README.md"
    text = path.read_text(encoding="utf-8")
    if any(text.count(mark) != 1 for mark in MARKS):
        raise ValueError(f"{path} must contain the lines {MARKS[0]} and {MARKS[1]} once each")
    return path, text


def _published(paper: Paper, mode: Mode, seeds: Sequence[PublishedSeed]) -> Published:
    confirming = paper.confirming() if mode is Mode.FULL else ()
    fresh = tuple(s.seed for s in seeds if s.seed in confirming)
    return Published(
        mode,
        versions(),
        tuple(seeds),
        threshold_hash(paper.claims),
        paper.measuring(),
        confirming=fresh,
        confirmed=paper.confirmation.ended if fresh and paper.confirmation else "",
        experiments=paper.running(mode),
    )


def _published_before(paper: Paper, mode: Mode) -> dict[int, PublishedSeed]:
    """Seeds in measured.json that today's experiments and program would give again; none where either is another."""
    kept = paper.published
    today = (mode, paper.running(mode), paper.measuring())
    return {s.seed: s for s in kept.seeds} if kept and (kept.mode, kept.experiments, kept.program) == today else {}


def _record(seed: Measured) -> PublishedSeed:
    return PublishedSeed(seed.seed, round(seed.seconds), {name: Number.of(e) for name, e in seed.estimates.items()})


def _headlines(paper: Paper, mode: Mode, seed: int, out: Path, folder: Path) -> list[Path]:
    drawn = paper.figures()(read_results(paper, mode, seed, out))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in sorted({*HEADLINES.get(paper.name, ()), *(c.figure for c in paper.claims if c.figure)}):
        if name not in drawn:
            raise ValueError(
                f"{paper.folder / 'figures.py'} draws no {name!r}, which claims.toml names; it draws {', '.join(drawn)}"
            )
        paths.append(folder / f"{paper.name}_{name}.png")
        save_figure(drawn[name], paths[-1], DPI)
    return paths
