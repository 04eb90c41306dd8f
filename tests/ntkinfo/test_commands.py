"""The command line: what is printed is what is written; bad input is one line."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntkinfo
from ntkinfo.__main__ import main

SMALL = ["--n-train", "12", "--n-test", "15", "--taus", "1e-2", "1e2", "4"]


def test_timeline_command_writes_what_it_prints(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["timeline", *SMALL, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "parameter_kl_infinite_width_bits" in printed.out
    assert "parameter_kl_bits" not in printed.out  # the linearised KL gives way
    assert printed.err == ""
    frame = pd.read_csv(out / "timeline.csv")
    found = ntkinfo.Timeline.load(out / "timeline.npz")
    np.testing.assert_allclose(frame["parameter_kl_bits"], found["parameter_kl"] / np.log(2))
    record = json.loads((out / "timeline.json").read_text())
    assert record["settings"]["seed"] == 0
    assert record["units"]["parameter_kl"] == "bits"
    assert record["columns"]["input_information"]["relation"] == "exact"
    figures = {f"{name}.png" for name in ("loss", "plane", "quantities")}
    assert {path.name for path in out.iterdir()} == {f"timeline.{end}" for end in ("npz", "csv", "json")} | figures | {
        "columns.txt"
    }


def test_modes_command_is_the_table_at_the_time_of_least_test_error(tmp_path, capsys):
    assert main(["modes", *SMALL, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    frame = pd.read_csv(tmp_path / "modes.csv")
    assert len(frame) == 12
    assert (frame["eigenvalue"].diff().iloc[1:] <= 0).all()
    tau = float(out.split("τ = ")[1].split()[0])
    assert main(["modes", *SMALL, "--tau", str(tau)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == out.splitlines()[1:-1]
    assert {path.name for path in tmp_path.iterdir()} == {"modes.csv", "modes.json", "modes.png"}


def test_bounds_command(tmp_path, capsys):
    assert main(["bounds", "--task", "digits", "--loss", "zero_one", *SMALL, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "input compression: a heuristic, no bound" in out
    assert "linearised" not in out
    record = json.loads((tmp_path / "bounds.json").read_text())
    assert record["parameter_kl"] == "infinite width"
    assert record["heuristics"] == ["input compression"]
    assert {path.name for path in tmp_path.iterdir()} == {"bounds.csv", "bounds.json", "bounds.png"}


def test_commands_say_where_the_kl_is_linearised_and_what_the_labels_are(tmp_path, capsys):
    x, y = np.eye(6, 3) + 1.0, np.array([0, 1, 2, 2, 1, 0])
    np.savez(tmp_path / "n.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    numbers = ["bounds", "--task", str(tmp_path / "n.npz"), "--n-train", "5", "--n-test", "5", "--taus", "1", "2", "2"]
    assert main([*numbers, "--labels", "numbers"]) == 0  # asked for: no warning
    assert "labels: numbers" in capsys.readouterr().out
    assert main(numbers) == 2
    assert 'labels="classes"' in capsys.readouterr().err
    relu = ["--activation", "relu", "--task", "digits", "--labels", "classes", "--loss", "zero_one"]
    assert main(["bounds", *SMALL, *relu, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "mcallester_linearised_kl" in out
    assert "labels: 10 classes: one-hot" in out
    record = json.loads((tmp_path / "bounds.json").read_text())
    assert record["parameter_kl"] == "linearised"
    assert record["assumptions"]["McAllester (linearised KL)"]["relation"] == "estimate"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "mnist"], "unknown task 'mnist'"),
        (["--task", "missing.npz"], "missing.npz"),
        (["--taus", "1", "0.1", "3"], "--taus needs"),
        (["--activation", "step"], "unknown activation 'step'"),
        (["--step", "100"], "diverges"),
        (["--architecture", "cnn"], "no images"),
        (["--n-train", "0"], "n_train"),
        (["--ridge", "-1"], "ridge"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(arguments, message, capsys):
    assert main(["timeline", *SMALL, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.sampled_from(["nan", "inf", "-1", "0", "1", "2.5"]), min_size=3, max_size=3))
def test_times_out_of_range_never_end_in_a_traceback(values):
    low, high, count = map(float, values)
    if 0 < low <= high < np.inf and count == 1:
        return
    assert main(["bounds", "--n-train", "3", "--n-test", "4", "--taus", *values]) == 2
