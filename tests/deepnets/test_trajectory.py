"""The information plane of a run: estimates are the estimators', for deterministic and noisy networks; the commands."""

import json

import numpy as np
import pandas as pd
import pytest

import deepnets
from deepnets.__main__ import main
from deepnets.training.presets import PRESETS, preset

SETTINGS = {"replicas": 2, "epochs": 20, "batch_size": 8, "snapshots": [0, 20], "learning_rate": 0.02}


def trained(**network):
    task = deepnets.gaussian_task(64, x_dim=3, seed=1)
    return deepnets.train(deepnets.Network((3, 4, 3, 2), **network), task, **SETTINGS)


@pytest.fixture(scope="module")
def run():
    return trained()


def test_values_are_those_of_binning_each_layer(run):
    plane = deepnets.information_plane(run)
    assert plane.input.shape == (2, 2, 3)
    assert plane.layers == ("1 (4)", "2 (3)", "output (2)")
    task = run.task
    for replica, snapshot in np.ndindex(2, 2):
        outputs = np.asarray(run.network.outputs_probability(run.parameters(snapshot, replica), task.x))
        hidden = run.network.hidden(run.parameters(snapshot, replica), task.x)
        for k, t in enumerate([*map(np.asarray, hidden), outputs]):
            expected = deepnets.Binning().layer(t, task.p_y_given_x)
            assert plane.input[replica, snapshot, k] == pytest.approx(expected.input.value, abs=1e-6)
            assert plane.label[replica, snapshot, k] == pytest.approx(expected.label.value, abs=1e-6)
    assert plane.information_xy == pytest.approx(task.joint.mutual_information())
    assert plane.entropy_x == pytest.approx(np.log(64))
    np.testing.assert_array_equal(plane.accuracy, run.accuracy.T)
    assert all("#" in text or not any(c.isdigit() for c in text) for text in plane.warnings)


def test_a_choice_of_replicas_and_snapshots_is_part_of_the_whole(run):
    whole = deepnets.information_plane(run)
    part = deepnets.information_plane(run, replicas=[1], snapshots=[-1])
    np.testing.assert_array_equal(part.input[0, 0], whole.input[1, 1])
    assert part.epochs.tolist() == [20]
    for bad in ({"replicas": [2]}, {"snapshots": []}):
        with pytest.raises(ValueError, match="are not all among"):
            deepnets.information_plane(run, **bad)


def test_binning_between_the_extremes_of_the_run_does_not_depend_on_their_scale():
    run = trained(activation="relu")
    plane = deepnets.information_plane(run)
    activations = [t for s in range(2) for t in run.activations(s, 0)[:-1]]
    low, high = min(t.min() for t in activations), max(t.max() for t in activations)
    by_hand = deepnets.Binning(30, float(low), float(high)).layer(run.activations(1, 0)[1], run.task.p_y_given_x)
    assert plane.input[0, 1, 1] == by_hand.input.value


def test_noisy_layers_lie_in_intervals_that_hold_the_bounds_of_information():
    run = trained(noise_std=0.3)
    plane = deepnets.information_plane(run, passes=6)
    assert plane.layers == ("1 (4)", "2 (3)")
    assert (plane.input_low <= plane.input).all()
    assert (plane.input <= plane.input_high).all()
    exact = deepnets.PairwiseBounds(0.3).layer(run.activations(1, 0)[0], run.task.p_y_given_x).input
    assert exact.low - 1e-9 <= plane.input[0, 1, 0] <= exact.high + 1e-9
    assert (plane.label_low <= plane.information_xy + 1e-9).all()
    again = deepnets.information_plane(run, passes=6)
    np.testing.assert_array_equal(plane.input, again.input)  # the same seed
    assert (plane.input_low[:, :, 1] <= plane.input_high[:, :, 0]).all()  # the data processing inequality
    binned = deepnets.information_plane(run, deepnets.Binning(10, -3, 3))
    assert binned.input.shape == plane.input.shape


def test_estimators_of_noise_are_refused_for_networks_without(run):
    with pytest.raises(ValueError, match="for noisy networks"):
        deepnets.information_plane(run, deepnets.SmoothedPlugin(0.1))
    with pytest.raises(ValueError, match="passes"):
        deepnets.information_plane(trained(noise_std=0.1), passes=1)


def test_replicas_that_failed_are_left_out(run):
    from dataclasses import replace

    plane = deepnets.information_plane(replace(run, failed=np.array([3, -1])))
    assert plane.replicas.tolist() == [1]


# --- presets and commands ---


def test_presets_fit_their_task_and_quick_ones_are_smaller():
    for name in PRESETS:
        chosen = preset(name)
        assert chosen.network.widths[0] == chosen.task().x.shape[1]
        full, quick = chosen.settings(True), chosen.settings(False)
        assert quick["epochs"] * quick["replicas"] < full["epochs"] * full["replicas"]
        assert chosen.settings(True, epochs=7, replicas=None)["epochs"] == 7
    with pytest.raises(ValueError, match="szt2017, saxe2018"):
        preset("alemi2016")


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
    np.testing.assert_allclose(table["i_xt_bits"], plane.input.ravel() / np.log(2))
    assert f"{np.median(plane.input[:, -1, 0]) / np.log(2):.4g}" in said
    record = json.loads((directory / "results" / "plane.json").read_text())
    assert record["units"]["i_xt_bits"] == "bits"
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
