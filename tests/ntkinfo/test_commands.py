"""The command line: what is printed is what is written; bad input is one line."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntkinfo
from ntkinfo.__main__ import main

SMALL = ["--n-train", "12", "--n-test", "15", "--taus", "1e-2", "1e2", "4"]


def columns_of(printed):
    """The names of a printed table's columns, which may be broken into lines after underscores."""
    names = []
    for block in printed.split("\n\n"):
        lines = block.splitlines()
        start = next((i for i, line in enumerate(lines) if line.split()[:1] == ["tau"]), None)
        if start is None:
            continue
        ends = [match.end() for match in re.finditer(r"\S+", lines[start])]
        parts = [""] * len(ends)
        for line in lines[start:]:
            words = [(m.group(), m.end()) for m in re.finditer(r"\S+", line)]
            if all(re.fullmatch(r"~0|nan|-?inf|[-+.\de]+", word) for word, _ in words):
                break
            for word, end in words:
                parts[ends.index(end)] += word
        names += parts
    return names


def test_timeline_command_writes_what_it_prints(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["timeline", *SMALL, "--digits", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    names = columns_of(printed.out)
    assert "parameter_kl_infinite_width_bits" in names
    assert "parameter_kl_bits" not in names  # the linearised KL gives way
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
    assert "mcallester_linearised_kl" in columns_of(out)
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
    assert "parameter_kl_nats" in columns_of(first)
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
    assert "parameter_kl_infinite_width_nats" in columns_of(out)
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


def test_a_file_of_ones_own_is_taken_whole_where_no_number_is_asked_for(tmp_path, capsys):
    """The 100 points of the other tasks were asked of every file."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 3)), rng.standard_normal(9)
    np.savez(tmp_path / "n.npz", x_train=x[:7], y_train=y[:7], x_test=x[7:], y_test=y[7:])
    assert main(["modes", "--task", str(tmp_path / "n.npz"), "--tau", "1", "--out", str(tmp_path / "o")]) == 0
    assert len(pd.read_csv(tmp_path / "o" / "modes.csv")) == 7
    rows = "\n".join(f"{v},{a},{b},{c}" for (a, b, c), v in zip(x.tolist(), y.tolist(), strict=True))
    (tmp_path / "n.csv").write_text(f"v,a,b,c\n{rows}\n")
    assert main(["curve", "--task", str(tmp_path / "n.csv"), "--y", "v", "--n-test", "3", "--taus", "1", "2", "2"]) == 0
    assert main(["modes", "--task", str(tmp_path / "n.csv"), "--n-test", "4", "--out", str(tmp_path / "o")]) == 0
    assert len(pd.read_csv(tmp_path / "o" / "modes.csv")) == 5
    capsys.readouterr()
    assert main(["curve", "--task", str(tmp_path / "n.npz"), "--y", "v"]) == 2
    assert "names a column of a .csv file" in capsys.readouterr().err


def test_a_network_that_does_not_fit_the_points_says_so(tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "from neural_tangents import stax\nconv = stax.serial(stax.Conv(8, (3, 3)), stax.Flatten(), stax.Dense(1))\nfinite = conv[:2]\n"
    )
    for name in ("conv", "finite"):
        assert main(["curve", *SMALL, "--network", f"{tmp_path / 'net.py'}:{name}", "--replicas", "2"]) == 2
        err = capsys.readouterr().err
        assert "the network fails on points of shape (30,)" in err
        assert "--images" in err
        assert err.count("\n") == 1


def test_files_are_written_when_the_reader_of_the_table_is_gone(tmp_path):
    """`ntkinfo curve --out DIR | head -1` lost what it had computed."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ntkinfo", "timeline", *SMALL, "--out", str(tmp_path / "o")]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"timeline.npz", "timeline.csv", "plane.png"} <= {path.name for path in (tmp_path / "o").iterdir()}


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    ten = ["--task", "digits", "--labels", "classes"]
    assert main(["curve", *SMALL, *ten]) == 0
    assert main(["bounds", *SMALL, *ten, "--activation", "relu"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    data = ntkinfo.digits_parity(12, 15)
    kernels = ntkinfo.kernels.dense(data.x_train, data.x_test, activation="relu")
    found = ntkinfo.timeline(ntkinfo.Ensemble(kernels, data.y_train), [1e-2, 1.0], y_test=data.y_test, progress=False)
    assert max(map(len, found.describe().splitlines())) <= width
    whole = found.table(width=10_000).splitlines()[0].split()  # in one line
    assert set(columns_of(found.table())) == set(whole)


@pytest.mark.parametrize(("command", "stem"), [("timeline", "timeline"), ("bounds", "bounds"), ("modes", "modes")])
def test_units_change_every_information_and_nothing_else(command, stem, tmp_path, capsys):
    """`modes --units nats` printed bits, and its record had no units."""
    found = {}
    for units in ("bits", "nats"):
        assert main([command, *SMALL, "--units", units, "--out", str(tmp_path / units)]) == 0
        record = json.loads((tmp_path / units / f"{stem}.json").read_text())
        assert {unit for unit in record["units"].values() if unit not in ("1", f"{units}/tau")} == {units}
        found[units] = pd.read_csv(tmp_path / units / f"{stem}.csv")
    bits, nats = found["bits"], found["nats"]
    assert [name.replace("_bits", "_nats") for name in bits.columns] == list(nats.columns)
    for name, other in zip(bits.columns, nats.columns, strict=True):
        factor = np.log(2) if "_bits" in name else 1
        np.testing.assert_allclose(bits[name].astype(float) * factor, nats[other].astype(float), rtol=1e-12)
    assert any("_nats" in name for name in nats.columns)
    capsys.readouterr()
