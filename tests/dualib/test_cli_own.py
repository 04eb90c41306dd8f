"""The command line on the user's own joint: targets, labels, samples, hard clusterings, limits, and what a shell does to it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios

import numpy as np
import pandas as pd
import pytest

from dualib import IB, Joint, solve_at
from dualib import __main__ as cli
from dualib.commands import task
from dualib.core.units import NATS_PER_BIT
from dualib.curves.build import CurveBuild, information_curve
from dualib.curves.curve import InformationCurve
from dualib.curves.hard_points import HardPoints
from dualib.examples import toy
from dualib.sampling import HeldOut, SampledCurve, bootstrap_curve

SHORT = ["--betas", "3", "20", "5"]
X = ["ape", "bee", "cat"]
ROWS = np.array([[0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "own.csv"
    pd.DataFrame(np.array([0.2, 0.5, 0.3])[:, None] * ROWS, index=X, columns=["sun", "rain"]).to_csv(path)
    return path


# --- what is written with labels ---


def test_encoders_bear_the_labels_of_x(labelled, tmp_path, capsys):
    status, _, _ = run(capsys, "curve", labelled, "--betas", 4, 40, 3, "--no-transitions", "--out", tmp_path / "out")
    assert status == 0
    curve = InformationCurve.load(tmp_path / "out" / "ib.npz")
    assert curve.x_labels == tuple(X)
    frame = pd.read_csv(tmp_path / "out" / "ib_encoders.csv")
    np.testing.assert_allclose(frame.groupby(["beta", "x"])["p(t|x)"].sum(), 1.0, atol=1e-5)
    for beta, encoder in zip(curve.beta, curve.encoders, strict=True):
        rows = frame[np.isclose(frame["beta"], beta)]
        for _, row in rows.iterrows():
            assert row["p(t|x)"] == pytest.approx(encoder[X.index(row["x"]), row["t"]], abs=1e-12)


def test_an_encoder_too_large_to_keep_is_left_out_and_that_is_said(monkeypatch, tmp_path):
    problem = IB(toy())
    kept = information_curve(problem, [6.0, 20.0])
    size = 5 * int(kept.n_clusters.sum())
    for most, there in ((size, True), (size - 1, False)):
        monkeypatch.setattr("dualib.curves.build.LARGEST_ENCODERS", most)
        curve = information_curve(problem, [6.0, 20.0])
        assert bool(curve.encoders) == there
        assert ("p(t|x) is not kept" in curve.note) != there
    with pytest.raises(ValueError, match="does not hold its encoders"):
        curve.encoders_to_frame()
    curve.save(tmp_path / "without.npz")
    assert InformationCurve.load(tmp_path / "without.npz").encoders == ()


# --- a target ---


def test_solve_meets_a_rate_in_the_units_asked_for(labelled, tmp_path, capsys):
    status, text, _ = run(capsys, "solve", labelled, "--rate", 0.4, "--out", tmp_path / "out")
    assert status == 0
    joint = Joint.from_csv(labelled)
    found = solve_at(IB(joint), rate=0.4 * NATS_PER_BIT)
    assert "I(X;T) = 0.4" in text
    assert "proven to lie in" in text
    with np.load(tmp_path / "out" / "ib_encoder.npz") as saved:
        np.testing.assert_allclose(saved["p_t_given_x"], found.p_t_given_x, atol=1e-6)
        assert saved["x_labels"].tolist() == X
    assert json.loads((tmp_path / "out" / "ib_encoder.json").read_text())["problem"] == "ib"


def test_solve_says_that_the_curve_jumps(capsys):
    status, text, _ = run(capsys, "solve", "--example", "hamming", "--relevance", 0.1)
    assert status == 0
    assert "a first-order transition" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "exactly one of --beta, --rate and --relevance"),
        (("--beta", 1, "--rate", 1), "exactly one"),
        (("--rate", -1), "--rate -1: must be positive"),
        (("--relevance", 5), r"--relevance 5 bits: .* not below I\(X;Y\)"),
    ],
)
def test_bad_targets(capsys, options, message):
    status, _, err = run(capsys, "solve", "--example", "toy", *options)
    assert status == 2
    assert re.search(message, err)
    assert err.count("\n") == 1


# --- samples and hard clusterings ---


def test_samples_are_resampled_and_held_out(tmp_path, capsys):
    table = tmp_path / "counts.csv"
    table.write_text("40,10\n42,8\n12,38\n9,41\n")
    out = tmp_path / "out"
    command = ("curve", table, "--no-header", "--no-index", "--betas", 2, 30, 3, "--samples", "--resamples", 8)
    status, text, _ = run(capsys, *command, "--out", out, "--no-transitions")
    assert status == 0
    sampled = SampledCurve.load(out / "ib_bootstrap.npz")
    same = bootstrap_curve(Joint.from_csv(table, header=False, index=False), sampled.beta, n_bootstrap=8)
    np.testing.assert_array_equal(sampled.corrected["relevance"], same.corrected["relevance"])
    held_out = HeldOut.load(out / "ib_held_out.npz")
    assert f"β = {held_out.one_standard_error_beta:.5g} with {held_out.one_standard_error_clusters} clusters" in text
    frame = pd.read_csv(out / "ib_samples.csv")
    np.testing.assert_allclose(frame["held_out_mean_bits"] * NATS_PER_BIT, held_out.mean)
    np.testing.assert_allclose(frame["relevance_low_bits"] * NATS_PER_BIT, sampled.low["relevance"])
    assert (out / "samples_ib.png").stat().st_size > 10_000
    assert np.signbit(np.r_[sampled.low["relevance"], sampled.corrected["relevance"]]).any()
    assert "-0.0000" not in text, "an information of -1e-17 is 0"


def test_samples_need_samples(labelled, tmp_path, capsys):
    status, _, err = run(capsys, "curve", labelled, "--samples")
    assert (status, err.count("\n")) == (2, 1)
    assert "this joint is exact" in err
    counts = tmp_path / "counts.npz"
    np.savez(counts, counts=[[4, 1], [0, 3]])
    assert "at least 2" in run(capsys, "curve", counts, "--samples", "--resamples", 1)[2]
    smoothed = ("curve", counts, "--samples", "--problem", "dual")
    assert "--pseudocount 0.5" in run(capsys, *smoothed, "--epsilon", 0)[2]


def test_hard_clusterings_lie_below_the_curve(tmp_path, capsys):
    command = ("curve", "--example", "toy", *SHORT, "--no-transitions", "--hard", "--out", tmp_path)
    status, text, _ = run(capsys, *command)
    assert status == 0
    assert "best hard clusterings" in text
    points = HardPoints.load(tmp_path / "hard.npz")
    frame = pd.read_csv(tmp_path / "hard.csv")
    assert len(frame) == sum(map(len, points.found))
    assert (frame["below_curve_low_bits"] <= frame["below_curve_high_bits"] + 1e-15).all()


# --- limits ---


def test_time_and_memory_are_stated_before_work(capsys, monkeypatch):
    command = ("curve", "--example", "toy", "--betas", 3, 4, 2, "--no-transitions")
    monkeypatch.setattr(CurveBuild, "begin", lambda *_, **__: pytest.fail("worked before asking"))
    for limit in ("LONGEST", "LARGEST_SHARE"):
        with monkeypatch.context() as patch:
            patch.setattr(task, limit, 0.0)
            status, _, err = run(capsys, *command)
            assert (status, err.count("\n")) == (2, 1)
            assert re.search(r"5 distinct rows, 2 symbols, 2 β .* on one core.*GiB here.*--yes-really", err)
    monkeypatch.undo()
    monkeypatch.setattr(task, "LONGEST", 0.0)
    assert run(capsys, *command, "--yes-really")[0] == 0


def test_a_large_text_file_is_not_read_without_a_word(labelled, capsys, monkeypatch):
    monkeypatch.setattr(task, "LARGEST_CSV", labelled.stat().st_size - 1)
    err = run(capsys, "solve", labelled, "--beta", 3)[2]
    assert "Save it as .npz" in err
    assert run(capsys, "solve", labelled, "--beta", 3, "--yes-really")[0] == 0
    monkeypatch.setattr(task, "LARGEST_CSV", labelled.stat().st_size)
    assert run(capsys, "solve", labelled, "--beta", 3)[0] == 0


def test_transitions_have_a_limit_of_their_own(tmp_path, capsys):
    status, text, _ = run(capsys, "curve", "--example", "toy", *SHORT, "--max-transitions", 0, "--out", tmp_path)
    assert status == 0
    assert "raise --max-transitions" in text
    kinds = [t.kind for t in InformationCurve.load(tmp_path / "ib.npz").transitions]
    assert kinds[1:]
    assert set(map(str, kinds[1:])) == {"not located"}
    assert "must not be negative" in run(capsys, "transitions", "--example", "toy", "--max-transitions", -1)[2]


# --- terminals, pipes, signals ---


def test_rows_come_one_by_one(capsys, monkeypatch):
    every = CurveBuild.solutions
    printed = []

    def watched(build):
        for solution in every(build):
            yield solution
            printed.append(len(re.findall(r"proven$", capsys.readouterr().out, re.M)))

    monkeypatch.setattr(CurveBuild, "solutions", watched)
    assert cli.main(["curve", "--example", "toy", *SHORT, "--no-transitions"]) == 0
    assert printed == [1] * 5


def shell(*argv):
    return [sys.executable, "-m", "dualib", *map(str, argv)], os.environ | {"OMP_NUM_THREADS": "1"}


def test_a_terminal_shows_a_bar_with_beta_clusters_and_gap():
    command, environment = shell("curve", "--example", "hamming", "--betas", 2, 4, 4, "--no-transitions")
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (30, 120))
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait() == 0
    os.close(leader)
    text = shown.decode(errors="replace")
    assert re.search(r"ib: .*\d/4 \[\d\d:\d\d<.*β = \d.*clusters, gap \d", text)
    assert "4 of 4 points proven" in text


CUT_OFF = """
import os, runpy, signal, sys
from dualib.core.store import Store
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
keep, kept = Store.put, []
def put(store, name, result):
    keep(store, name, result)
    kept.append(name)
    if len(kept) == 3:
        os.kill(os.getpid(), {end})
Store.put = put
runpy.run_module("dualib", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_what_is_cut_off_is_kept_and_gone_on_with(tmp_path, end):
    np.savez(tmp_path / "joint.npz", p_xy=np.random.default_rng(0).dirichlet(np.ones(90)).reshape(30, 3))
    argv = ("curve", tmp_path / "joint.npz", "--betas", 3, 30, 16, "--no-transitions", "--out", tmp_path / "out")
    (python, *_), environment = shell()
    points = tmp_path / "out" / "ib_points"
    process = subprocess.run(
        [python, "-c", CUT_OFF.format(end=int(end)), *map(str, argv)], capture_output=True, env=environment, text=True
    )
    kept = {path.name: path.read_bytes() for path in points.glob("beta_*.npz")}
    assert len(kept) == 3
    if end is signal.SIGINT:
        assert process.returncode == 130
        assert process.stderr.startswith("dualib: interrupted")
    status = cli.main([str(a) for a in argv])
    assert status == 0
    assert all((points / name).read_bytes() == content for name, content in kept.items())
    curve = InformationCurve.load(tmp_path / "out" / "ib.npz")
    np.testing.assert_array_equal(curve.beta, np.geomspace(3, 30, 16))


def test_the_last_row_of_every_beta_is_what_the_files_hold(tmp_path, capsys):
    np.savez(tmp_path / "six.npz", p_xy=np.random.default_rng(0).dirichlet(np.full(60, 0.5)).reshape(10, 6))
    wanted = [
        "curve",
        tmp_path / "six.npz",
        "--betas",
        2,
        12,
        5,
        "--no-transitions",
        "--units",
        "nats",
        "--out",
        tmp_path,
    ]
    status, text, _ = run(capsys, *wanted, "--max-work", "2e6")  # as the table writes it
    assert status == 0
    assert "with what was proven since:" in text  # first with a share of the work, then with what is left
    rows = [line.split() for line in text.splitlines() if line.endswith((" proven", " estimated"))]
    last = {row[0]: row for row in rows}
    curve = InformationCurve.load(tmp_path / "ib.npz")
    assert len(rows) > len(last) == len(curve.beta)
    for s in curve.solutions:
        row = last[f"{s.beta:.5g}"]
        np.testing.assert_allclose([float(c) for c in row[4:6]], [s.lower_bound, s.objective], atol=1e-8)
        assert (row[-1] == "proven") == s.certified
