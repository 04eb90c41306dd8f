"""A paper of three claims in a folder of its own, and the commands on it."""

import pytest
from nobody import CLAIMS, FIGURES, MEASURE, RUN, SETTINGS

from papers.__main__ import main


@pytest.fixture
def paper(tmp_path):
    folder = tmp_path / "papers" / "nobody_2000"
    folder.mkdir(parents=True)
    texts = {
        "run.py": RUN,
        "measure.py": MEASURE,
        "figures.py": FIGURES,
        "settings.toml": SETTINGS,
        "claims.toml": CLAIMS,
        "README.md": "# Nobody 2000\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def command(paper, tmp_path):
    return lambda line: main([*line.split(), "--out", str(tmp_path / "out")], root=paper.parent)
