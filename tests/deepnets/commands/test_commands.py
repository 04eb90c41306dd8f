"""The commands: what they print is what they write; options are the settings' own; bad input is one line and status 2."""

import json
import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import deepnets
from deepnets.__main__ import main
from deepnets.commands import train
from deepnets.recordings.run_files import CHECKPOINT, RunFiles
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


@pytest.mark.slow
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


def test_the_sharpest_labels_of_layers_are_known(directory, capsys):
    from deepnets.commands.layers import LARGEST_GAMMA

    assert (deepnets.icosahedral_task(LARGEST_GAMMA).p_y_given_x > 0).all()
    assert not (deepnets.icosahedral_task(LARGEST_GAMMA + 2).p_y_given_x > 0).all()
    assert main(["layers", str(directory), "--gamma", "1e9"]) == 2
    assert "choose 92 or less" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plane", "planes", "movie", "gradients", "layers", "relax"])
def test_an_unfinished_training_is_said_to_be_so_by_every_command_that_reads_it(directory, tmp_path, capsys, command):
    """Before the work: each ends at once, by a wrong option or a directory that cannot be written."""
    path = tmp_path / "run"
    shutil.copytree(directory, path)
    files = RunFiles(path)
    _, state = files.reached()
    files.write_checkpoint(CHECKPOINT, 4, state)
    (tmp_path / "file").touch()
    wrong = {"movie": ["--out", str(tmp_path / "a.png")], "planes": ["--out", str(tmp_path / "out"), "--bins", "1"]}
    assert main([command, str(path), *wrong.get(command, ["--out", str(tmp_path / "file" / "out")])]) == 2
    assert "this training is not finished: its last snapshot is of epoch" in capsys.readouterr().out


def test_another_run_in_the_directory_is_refused(directory, capsys):
    assert main(["train", "saxe2018", "--out", str(directory)]) == 2
    assert "other settings" in capsys.readouterr().err


# --- recordings, own data, the movie ---


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two replicas of a convolutional and a wide layer at two epochs, of 90 patterns in three classes."""
    path, labels = tmp_path_factory.mktemp("recordings") / "mine", np.arange(90) % 3
    recorder = deepnets.Recorder(path, labels, ranges={"output": (0, 1)})
    for epoch, replica in np.ndindex(2, 2):
        rng = np.random.default_rng([epoch, replica])
        conv = rng.normal(size=(90, 2, 2, 2)) + 2 * epoch * labels[:, None, None, None]
        output = np.eye(3)[labels] if epoch else rng.dirichlet(np.ones(3), 90)
        gradients = {"w": rng.normal(size=(5, 4, 3)) + 3 * (1 - epoch)}
        layers = {"conv": conv, "output": output}
        recorder.add(epoch, layers, replica=replica, weights={"w": np.ones((4, 3))}, gradients=gradients, batch_size=18)
    return path


@pytest.mark.slow
def test_plane_layers_and_gradients_read_recordings(recording, tmp_path, capsys):
    assert main(["plane", str(recording), "--out", str(tmp_path), "--bins", "8"]) == 0
    plane = deepnets.InformationPlane.load(tmp_path / "plane.npz")
    expected = deepnets.information_plane(deepnets.Recorded.load(recording), deepnets.RangeBinning(8))
    np.testing.assert_array_equal(plane.rate.value, expected.rate.value)
    assert main(["layers", str(recording), "--out", str(tmp_path)]) == 0
    assert "drawn anew with probability 0.01" in capsys.readouterr().out
    assert list(pd.read_csv(tmp_path / "layers.csv").layer) == ["conv", "output"]
    assert main(["gradients", str(recording), "--out", str(tmp_path)]) == 0
    assert len(pd.read_csv(tmp_path / "gradients.csv")) == 2 * 2
    assert main(["plane", str(recording), "--out", str(tmp_path), "--channels", "conv"]) == 0
    assert deepnets.InformationPlane.load(tmp_path / "plane.npz").layers == ("conv[0]", "conv[1]")
    assert main(["plane", str(recording), "--out", str(tmp_path), "--bins", "8", "--sampled"]) == 0
    plane = deepnets.InformationPlane.load(tmp_path / "plane.npz")
    assert plane.rate.level == 0.95
    assert (plane.rate.low < plane.rate.high).all()


def test_replicas_that_failed_are_said_to_have(tmp_path, capsys):
    recorder = deepnets.Recorder(tmp_path, [0, 1, 0, 1])
    for replica, value in ((0, np.nan), (1, 0.5)):
        recorder.add(1, {"hidden": np.full((4, 2), value)}, replica=replica)
        if replica == 0:
            for command in ("plane", "movie", "gradients", "layers"):
                assert main([command, str(tmp_path)]) == 2
                assert "no replica's loss stayed finite" in capsys.readouterr().err
    assert main(["layers", str(tmp_path)]) == 2
    assert "replica 0 did not stay finite: choose --replica among 1\n" in capsys.readouterr().err


@pytest.mark.slow
def test_movie_is_written_of_runs_and_recordings(recording, tmp_path, capsys):
    assert main(["movie", str(recording), "--out", str(tmp_path / "plane.gif"), "--frames", "2"]) == 0
    assert (tmp_path / "plane.gif").read_bytes()[:4] == b"GIF8"
    assert "2 replicas, 2 epochs" in capsys.readouterr().out
    assert main(["movie", str(recording), "--out", str(tmp_path / "plane.png")]) == 2
    assert "must end with .gif or .mp4" in capsys.readouterr().err


@pytest.mark.slow
def test_train_takes_own_data_and_keeps_them_beside_the_run(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    data, out = tmp_path / "mine.npz", tmp_path / "run"
    options = ["--epochs", "2", "--replicas", "1", "--hidden", "4", "--snapshots", "2"]
    for y, loss, last in ((np.arange(60) % 3, "cross-entropy", 3), (x @ [1.0, 2.0, 3.0], "mse", 1)):
        np.savez(data, x=x, y=y)
        assert main(["train", "--data", str(data), "--out", str(out / loss), "--activation", "relu", *options]) == 0
        data.unlink()
        run = deepnets.Run.load(out / loss)
        np.testing.assert_array_equal(run.task.x, x)
        assert (run.network.widths, run.network.activation, run.loss) == ((3, 4, last), "relu", loss)
        assert run.training.batch_size is None
    assert "48 training patterns: full batches" in capsys.readouterr().out
    assert main(["plane", str(out / "mse")]) == 0
    (out / "mse" / "task.npz").unlink()
    assert main(["plane", str(out / "mse")]) == 2
    assert "task.npz; the `deepnets train … --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--out", "x"], "give a preset (szt2017"),
        (["train", "--data", "none.npz", "--out", "x"], "there is no file none.npz"),
        (["movie", "nowhere"], "holds no run"),
    ],
)
def test_bad_input_of_own_data_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
