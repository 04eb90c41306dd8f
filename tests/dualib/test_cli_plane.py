"""``dualib plane``: what was kept of several joints stands in one plane, under the user's names."""

import numpy as np
import pytest

import dualib
from dualib import __main__ as cli
from dualib.examples import hamming, toy

BETAS = np.geomspace(3, 20, 5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    for name, joint in (("toy", toy()), ("hamming", hamming(0.3))):
        dualib.information_curve(dualib.IB(joint), BETAS, certify=False).save(folder / f"{name}.npz")
    dualib.solve(dualib.IB(toy()), 5.0, certify=False).save(folder / "point.npz")
    return folder


def run(capsys, *argv):
    status = cli.main(["plane", *map(str, argv)])
    return status, *capsys.readouterr()


def test_curves_of_two_joints_bear_the_names_that_are_given(kept, tmp_path, capsys):
    figure = tmp_path / "both.svg"
    found = run(
        capsys, kept / "toy.npz", kept / "hamming.npz", "--labels", "exponential", "symmetric", "--figure", figure
    )
    assert found == (0, f"saved {figure}: 2 lines, exponential, symmetric\n", "")
    drawn = figure.read_text()
    assert all(f"<!-- {text} -->" in drawn for text in ("exponential", "symmetric", "I(X;Y) of symmetric"))


@pytest.mark.parametrize(
    ("files", "more", "said"),
    [
        (["toy.npz", "hamming.npz"], ["--labels", "one"], "1 names for 2 lines, which are IB, IB"),
        (["point.npz"], [], "a Solution has no line in the information plane; InformationCurve, HardPoints have"),
        (["nowhere.npz"], [], "nowhere.npz"),
        (["toy.npz"], ["--figure", "plane.txt"], "the name must end in one of .png, .pdf, .svg"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_line(kept, tmp_path, capsys, files, more, said):
    figure = tmp_path / "plane.png"
    status, out, err = run(capsys, *(kept / name for name in files), "--figure", figure, *more)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not figure.exists()
