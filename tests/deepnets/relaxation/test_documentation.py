"""The page of relaxation: its example runs as it stands."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "relaxation.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_of_the_page_runs(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(block, "docs/relaxation.md", "exec"), {})
    said = capsys.readouterr().out
    assert "continued_low" in said
    assert "metropolis" in said
