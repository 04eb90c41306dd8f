"""``deepnets variational``: its tables agree with the fits they were made of, and the same command goes on."""

import numpy as np
import pandas as pd
import pytest

from deepnets.__main__ import main
from deepnets.variational import Evaluation, Gap, VariationalFit

LAW = ["--betas", "2", "8", "--encoder", "categorical", "--code-dim", "3", "--steps", "100", "--seeds", "2"]
IMAGES = [
    "--betas",
    "3",
    "30",
    "--steps",
    "150",
    "--seeds",
    "2",
    "--hidden",
    "16",
    "--code-dim",
    "2",
    "--learning-rate",
    "0.01",
]


def test_a_law_is_judged_against_its_proven_optimum(tmp_path, capsys):
    (tmp_path / "law.csv").write_text("0.30,0.05,0.02\n0.03,0.20,0.05\n0.05,0.10,0.20\n")
    command = ["variational", "--data", str(tmp_path / "law.csv"), "--out", str(tmp_path / "out"), *LAW]
    assert main(command) == 0
    table = pd.read_csv(tmp_path / "out" / "variational.csv")
    assert list(table["objective"].unique()) == ["vib, the exact law", "dual, the exact law"]
    gap = Gap.load(tmp_path / "out" / "dual" / "gap.npz")
    shown = table.loc[table["objective"] == "dual, the exact law", "total_gap_bits"].to_numpy() * np.log(2)
    np.testing.assert_allclose(shown, gap.total.value.ravel())
    assert (gap.total.low >= 0).all()
    fit = VariationalFit.load(tmp_path / "out" / "vib" / "fit.npz")
    np.testing.assert_array_equal(fit.betas, [2.0, 8.0])
    assert (tmp_path / "out" / "gap.png").stat().st_size > 5000
    before = (tmp_path / "out" / "vib" / "fit.npz").stat().st_mtime_ns
    capsys.readouterr()
    assert main(command) == 0
    assert (tmp_path / "out" / "vib" / "fit.npz").stat().st_mtime_ns == before
    assert "L − F at the best of 2 seeds" in capsys.readouterr().out
    assert main([*command, "--learning-rate", "0.5"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_what_cannot_be_fitted_is_said_in_a_line(tmp_path, capsys):
    (tmp_path / "law.csv").write_text("0.5,0.0\n0.2,0.3\n")
    out = ["--out", str(tmp_path / "out")]
    assert main(["variational", "--data", str(tmp_path / "law.csv"), *out, *LAW, "--objective", "dual"]) == 2
    assert "without zeros" in capsys.readouterr().err
    assert main(["variational", "--data", "faces", *out]) == 2
    assert "digits, mnist, icosahedron" in capsys.readouterr().err


@pytest.mark.slow
def test_images_are_evaluated_and_compared_at_equal_rate(tmp_path, capsys):
    command = ["variational", "--data", "digits", "--out", str(tmp_path), *IMAGES, "--units", "nats"]
    assert main([*command, "--rate", "1.5", "--widest", "9"]) == 0
    printed = capsys.readouterr().out
    assert "paired by seed" in printed
    found = Evaluation.load(tmp_path / "vib" / "evaluation.npz")
    table = pd.read_csv(tmp_path / "variational.csv")
    shown = table.loc[table["objective"] == "vib, one-hot labels", "rate_mixture_nats"]
    np.testing.assert_allclose(shown, found.rate_mixture.ravel())
    compared = pd.read_csv(tmp_path / "equal_rate.csv")
    assert ((compared["low"] <= compared["difference"]) & (compared["difference"] <= compared["high"])).all()
    assert (tmp_path / "plane.png").stat().st_size > 5000
    assert main([*command, "--rate", "1.5", "--widest", "0.001"]) == 2
    assert "add β between" in capsys.readouterr().err
