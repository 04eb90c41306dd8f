"""The commands: what they print is what they write; options are the settings' own; bad input is one line and status 2."""

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import deepnets
from deepnets.__main__ import main
from deepnets.commands import train
from deepnets.training.presets import PRESETS, preset
from deepnets.training.settings import Training


def test_presets_fit_their_task_and_quick_ones_are_smaller():
    for name in PRESETS:
        chosen = preset(name)
        assert chosen.network.widths[0] == chosen.task().x.shape[1]
        full, quick = chosen.full, chosen.quick
        assert quick.epochs * quick.replicas < full.epochs * full.replicas
        full.check(chosen.network, chosen.task())
    with pytest.raises(ValueError, match="szt2017, saxe2018"):
        preset("alemi2016")


def test_every_setting_of_a_training_is_an_option():
    import argparse

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    values = {"optimiser": "sgd", "loss": "mse", "learning_rate": 0.5, "train_fraction": 0.5, "orthonormality": 0.5}
    for setting in fields(Training):
        value = values.get(setting.name, 7)
        options = ["szt2017", "--out", "x", "--" + setting.name.replace("_", "-"), str(value)]
        assert getattr(parser.parse_args(options), setting.name) == value


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "szt"
    small = ["--replicas", "2", "--epochs", "12", "--snapshots", "4", "--batch-size", "512", "--hidden", "4", "3"]
    assert main(["train", "szt2017", "--out", str(path), *small]) == 0
    return path


def test_plane_writes_what_it_prints(directory, capsys):
    assert main(["plane", str(directory), "--bins", "20"]) == 0
    said = capsys.readouterr().out
    table = pd.read_csv(directory / "results" / "plane.csv")
    assert len(table) == 2 * 4 * 3
    plane = deepnets.InformationPlane.load(directory / "results" / "plane.npz")
    np.testing.assert_allclose(table["rate_bits"], plane.rate.value.ravel() / np.log(2))
    assert f"{np.median(plane.rate.value[:, -1, 0]) / np.log(2):.4g}" in said
    record = json.loads((directory / "results" / "plane.json").read_text())
    assert record["units"]["rate_bits"] == "bits"
    assert record["settings"]["run"]["epochs"] == 12
    for name in ("plane", "snapshots", "epochs"):
        assert (directory / "results" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_gradients_and_layers_write_what_they_print(directory, capsys, tmp_path):
    assert main(["gradients", str(directory), "--out", str(tmp_path)]) == 0
    assert len(pd.read_csv(tmp_path / "gradients.csv")) == 2 * 4 * 3
    assert main(["layers", str(directory), "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "layers.csv")
    assert (table.residual_bits <= table.residual_shared_beta_bits + 1e-9).all()
    assert {p.name for p in tmp_path.iterdir()} >= {"gradients.png", "bottleneck.png", "separation.png"}
    assert f"{table.beta[2]:.4g}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "szt2018", "--out", "x"], "unknown preset"),
        (["train", "szt2017", "--activation", "swish", "--out", "x"], "unknown activation"),
        (["train", "szt2017", "--train-fraction", "2", "--out", "x"], "train_fraction"),
        (["plane", "nowhere"], "holds no run"),
        (["gradients", "nowhere"], "holds no run"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_another_run_in_the_directory_is_refused(directory, capsys):
    assert main(["train", "saxe2018", "--out", str(directory)]) == 2
    assert "other settings" in capsys.readouterr().err
