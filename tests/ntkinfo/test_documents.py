"""docs/networks.md: its Python blocks run as they stand, its commands are known, and its sharp bits are so."""

import re
import shlex
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import ntkinfo
from ntkinfo import commands
from ntkinfo.architectures import elementwise
from ntkinfo.kernels import neural_tangents

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
OPTIONAL = ("flax", "equinox", "torch")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, tmp_path, monkeypatch, capsys):
    for library in re.findall(r"^import (\w+)", BLOCKS[number], re.MULTILINE):
        if library in OPTIONAL:
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    exec(compile(BLOCKS[number], f"block {number} of docs/networks.md", "exec"), {"__name__": f"block_{number}"})
    out = capsys.readouterr().out
    assert out.strip()
    assert "nan" not in out


def test_there_is_a_block_for_every_library_and_its_commands_are_known():
    for library in (*OPTIONAL, "ntkinfo import stax"):
        assert any(re.search(rf"^(import|from) {library}\b", block, re.MULTILINE) for block in BLOCKS)
    lines = re.findall(r"^ntkinfo (.+)$", TEXT, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        commands.parser().parse_args(shlex.split(line))  # an unknown option would exit


def test_relu_of_stax_loses_half_its_digits_on_the_diagonal_and_ours_none():
    stax, x = neural_tangents.load().stax, np.random.default_rng(0).standard_normal((23, 5))
    truth = ntkinfo.kernels.dense(x, activation="relu").ntk
    errors = []
    for relu in (stax.Relu(), elementwise("relu")):
        dense = stax.Dense(1, 1.5, 0.1)
        kernel_fn = stax.serial(dense, relu, dense, relu, dense)[2]
        ntk = ntkinfo.Kernels.compute(kernel_fn, x, batch_size=7).ntk
        errors.append(np.abs(ntk - truth).max() / truth.max())
        off = ~np.eye(len(x), dtype=bool)
        assert np.abs(ntk - truth)[off].max() < 1e-14 * truth.max()
    assert errors[0] < 1e-8
    assert errors[1] < 1e-14
