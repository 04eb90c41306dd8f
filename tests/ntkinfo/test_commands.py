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
    assert main(["timeline", *SMALL, "--digits", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "parameter_kl_infinite_width_bits" in printed.out
    assert "parameter_kl_bits" not in printed.out  # the linearised KL gives way
    assert printed.err == ""
    frame = pd.read_csv(out / "timeline.csv")
    found = ntkinfo.Timeline.load(out / "timeline.npz")
    np.testing.assert_allclose(frame["parameter_kl_bits"], found["parameter_kl"] / np.log(2))
    assert "digits are left" in (out / "columns.txt").read_text()
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


NETWORK = """
from neural_tangents import stax

narrow = stax.serial(stax.Dense(8), stax.Relu(), stax.Dense(1))
finite = stax.serial(stax.Dense(8), stax.Relu(), stax.Dense(1))[:2]
text = "none"
"""


def test_a_network_of_ones_own_and_kernels_that_are_kept(tmp_path, capsys, monkeypatch):
    file, kept = tmp_path / "net.py", tmp_path / "k.npz"
    file.write_text(NETWORK)
    own = ["--network", f"{file}:narrow", "--kernels", str(kept)]
    assert main(["curve", *SMALL, *own, "--units", "nats"]) == 0  # the timeline under its other name
    first = capsys.readouterr().out
    assert "parameter_kl_nats" in first
    monkeypatch.setattr(ntkinfo.kernels.blocks, "all_blocks", only_two(ntkinfo.kernels.blocks.all_blocks))
    assert main(["timeline", *SMALL, *own, "--units", "nats"]) == 0
    assert capsys.readouterr().out == first
    assert main(["bounds", *SMALL, *own, "--task", "digits", "--loss", "zero_one"]) == 2
    assert "other points" in capsys.readouterr().err
    assert main(["curve", *SMALL, "--kernels", str(kept)]) == 2  # that of the default options, on the same points
    assert "another network, whose ntk differs" in capsys.readouterr().err


def only_two(function):
    """Kernels of more than two points are computed no more."""

    def checked(evaluate, arrays, *more, **options):
        assert len(arrays[0]) == 2
        return function(evaluate, arrays, *more, **options)

    return checked


def test_kernels_of_the_options_are_kept_with_the_third(tmp_path, capsys):
    kept = ["--kernels", str(tmp_path / "k.npz"), "--activation", "tanh", "--depth", "1"]
    assert main(["bounds", *SMALL, "--task", "digits", "--loss", "zero_one", *kept, "--units", "nats"]) == 0
    out = capsys.readouterr().out
    assert "parameter_kl_infinite_width_nats" in out
    assert ntkinfo.Kernels.load(tmp_path / "k.npz").omega is not None
    assert main(["bounds", *SMALL, "--task", "digits", "--loss", "zero_one", *kept, "--units", "nats"]) == 0
    assert capsys.readouterr().out == out
    assert main(["bounds", *SMALL, "--task", "digits", *kept, "--third-kernel", "no"]) == 2
    assert "holds kernels with omega" in capsys.readouterr().err


def test_finite_networks_stand_in_where_no_analytic_kernels_are_known(tmp_path, capsys):
    file = tmp_path / "net.py"
    file.write_text(NETWORK)
    assert main(["modes", *SMALL, "--network", f"{file}:finite", "--replicas", "3"]) == 0
    assert "means over 3 finite networks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "net.py"], "FILE.py:NAME, got 'net.py'"),
        (["--network", "missing.py:net"], "no Python file missing.py"),
        (["--network", "{net}:nothing"], "has no 'nothing'; it has stax, narrow"),
        (["--network", "{net}:text"], "is of type str: it must be (init_fn"),
        (["--network", "{broken}:x"], "NameError: name 'undefined' is not defined (line 2)"),
        (["--network", "{net}:narrow", "--depth", "3"], "leave --depth out"),
        (["--network", "{net}:narrow", "--third-kernel", "yes"], "leave --third-kernel out"),
        (["--activation", "relu", "--third-kernel", "yes"], "relu has a kink"),
        (["--kernels", "{net}"], "not a whole .npz file"),
        (["--kernels", "/proc/none/k.npz"], "cannot write into"),
    ],
)
def test_bad_networks_and_kernels_are_one_clear_line(arguments, message, tmp_path, capsys):
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "broken.py").write_text("x = 1\nundefined\n")
    places = {"net": tmp_path / "net.py", "broken": tmp_path / "broken.py"}
    assert main(["timeline", *SMALL, *(argument.format(**places) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", ["curve", "bounds"])
def test_help_shows_every_option_with_its_default(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option, default in {
        "activation": "erf",
        "depth": 2,
        "w-std": 1.5,
        "b-std": 0.1,
        "third-kernel": "auto",
    }.items():
        assert f"--{option}" in text
        assert f"(default: {default})" in text
    for option in ("--labels", "--units", "--network FILE.py:NAME", "--kernels FILE.npz"):
        assert option in text
