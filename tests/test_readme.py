"""What the README says works: its Python blocks run as they stand."""

import re
from pathlib import Path

import matplotlib
import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_there_is_a_block_for_every_package():
    assert {name for block in BLOCKS for name in re.findall(r"^import (\w+)$", block, re.MULTILINE)} >= {
        "dualib", "ntkinfo", "deepnets",
    }  # fmt: skip
