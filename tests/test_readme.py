"""What the README and the pages of docs say works: their Python blocks run as they stand."""

import re
from pathlib import Path

import matplotlib
import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
BLOCKS = [
    (page.name, number, block)
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize(("page", "number", "block"), BLOCKS, ids=[f"{page}-{number}" for page, number, _ in BLOCKS])
def test_python_blocks_run(page, number, block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    exec(compile(block, f"{page} block {number}", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_there_is_a_block_for_every_package():
    assert {name for page, _, block in BLOCKS if page == README.name for name in re.findall(r"^import (\w+)$", block, re.MULTILINE)} >= {
        "dualib", "ntkinfo", "deepnets",
    }  # fmt: skip
