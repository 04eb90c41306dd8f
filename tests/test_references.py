"""Every key that a docstring or a record cites stands in references.bib, and every entry there is cited."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dualib", "ntkinfo", "deepnets", "papers")


def cited() -> set[str]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    files += (ROOT / "benchmarks").glob("*.py")  # not its .envs, which hold other people's packages
    return {key for path in files for key in re.findall(r"\[([a-z]+\d{4}[a-z]?)\]_", path.read_text(encoding="utf-8"))}


def entries() -> list[str]:
    return re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_key_is_an_entry_and_every_entry_is_cited():
    assert len(cited()) > 40
    assert cited() == set(entries())


def test_no_entry_stands_twice_and_each_has_author_title_and_year():
    assert len(set(entries())) == len(entries())
    for line in (ROOT / "references.bib").read_text(encoding="utf-8").splitlines():
        year = re.search(r"^@\w+\{[a-z]+(\d{4})\w?, author=\{.+?\}, title=\{.*year=\{(\d{4})\}", line)
        assert year, line
        assert 0 <= int(year[2]) - int(year[1]) <= 1, line  # a key may bear the year of the preprint
