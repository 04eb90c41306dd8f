"""The examples of docs/recordings.md run as they stand, and leave what they promise."""

import re
from pathlib import Path

import pytest

import deepnets

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "recordings.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "block"), list(zip(("torch", "flax"), BLOCKS, strict=True)), ids=("torch", "flax"))
def test_a_training_of_twenty_lines_has_its_plane_phases_movie_and_layers(
    library, block, tmp_path, monkeypatch, capsys
):
    pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    exec(compile(block, f"{library} example", "exec"), namespace)
    plane, phases = namespace["plane"], namespace["phases"]
    assert (plane.rate.level, plane.layers[-1]) == (0.95, "output")
    assert (plane.rate.low < plane.rate.high).any()
    assert (plane.relevance.value[:, -1, -1] > 0.1).all()  # it has learnt
    assert phases.snr.shape[1:] == (len(plane.epochs), len(phases.layers))
    assert (tmp_path / "plane.gif").read_bytes()[:4] == b"GIF8"
    assert "excess_rate_ib_bits" in capsys.readouterr().out
    assert deepnets.Recorded.load(f"runs/{library}").unfinished == ""
