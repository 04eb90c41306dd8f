"""The command line: numbers that agree with the library, one clear line for every bad input, nothing half written."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dualib import __main__ as cli
from dualib.commands import curve as curve_module
from dualib.commands.parser import parser
from dualib.commands.task import Task
from dualib.core.units import NATS_PER_BIT
from dualib.curves.build import CurveBuild, information_curve
from dualib.curves.curve import InformationCurve
from dualib.examples import hamming, toy
from dualib.problems import IB
from dualib.solution import solve

SHORT = ["--betas", "3", "20", "5"]


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return status, out, err


def rows_of(table: str, problem: str) -> np.ndarray:
    """The numbers of the curve's rows in the terminal table."""
    text = table.split(f"\n{problem}: intrinsic")[1].split("points proven")[0]
    return np.array([[float(c) for c in line.split()[:-1]] for line in text.splitlines() if line.endswith(" proven")])


# --- curve ---


def test_curve_prints_and_saves_what_the_library_computes(tmp_path, capsys):
    out = tmp_path / "results" / "toy"
    status, text, err = run(capsys, "curve", "--example", "toy", "--problem", "ib", "dual", *SHORT, "--out", out)
    assert (status, err) == (0, "")
    assert "\r" not in text
    assert max(map(len, text.split("\nsaved in")[0].splitlines())) <= 100
    assert "-0.000" not in text
    assert {p.name for p in out.iterdir()} == {
        *(
            f"{name}{end}"
            for name in ("ib", "dual")
            for end in (".npz", ".csv", ".json", "_clusters.csv", "_encoders.csv", "_points")
        ),
        *("information_plane.png", "objective.png", "bifurcation_ib.png", "bifurcation_dual.png"),
    }
    curve = InformationCurve.load(out / "ib.npz")
    np.testing.assert_allclose(curve.beta, np.geomspace(3, 20, 5))
    for beta, objective in zip(curve.beta, curve.objective, strict=True):
        assert solve(IB(toy()), beta).objective == pytest.approx(objective, abs=2e-9)
    frame = pd.read_csv(out / "ib.csv")
    np.testing.assert_allclose(frame["rate_bits"] * NATS_PER_BIT, curve.rate, atol=1e-12)
    table = rows_of(text, "ib")
    np.testing.assert_allclose(table[:, 1] * NATS_PER_BIT, curve.rate, atol=1e-6)
    assert (table[:, 4] * NATS_PER_BIT <= curve.objective + 1e-8).all()
    np.testing.assert_allclose(table[:, 5] * NATS_PER_BIT, curve.objective, atol=1e-8)


def test_units_change_the_numbers_shown_and_nothing_else(capsys):
    tables = {}
    for units in ("bits", "nats"):
        status, text, _ = run(capsys, "curve", "--example", "toy", *SHORT, "--units", units)
        assert status == 0
        assert units in text.split("intrinsic")[1]
        tables[units] = rows_of(text, "ib")
    np.testing.assert_allclose(tables["bits"][:, [1, 2, 5]] * NATS_PER_BIT, tables["nats"][:, [1, 2, 5]], atol=2e-6)
    np.testing.assert_array_equal(tables["bits"][:, [0, 3]], tables["nats"][:, [0, 3]])


def test_metadata_say_how_to_make_the_result_again(tmp_path, capsys):
    run(capsys, "curve", "--example", "toy", *SHORT, "--units", "nats", "--out", tmp_path)
    found = json.loads((tmp_path / "ib.json").read_text())
    assert found["settings"]["betas"] == ["3", "20", "5"]
    assert found["settings"]["seed"] == 0
    assert found["settings"]["command"].startswith("dualib curve --example toy")
    assert {"python", "numpy", "scipy"} <= set(found["versions"])
    assert found["units"][".npz"] == "nats"
    assert found["seconds"] > 0
    assert found["points_proven"] == found["points"] == 5
    assert found["transitions"][0]["beta"] == pytest.approx(4.36503, abs=1e-4)


def test_the_default_grid_is_that_of_the_library(tmp_path, capsys):
    run(capsys, "curve", "--example", "hamming", "--no-certify", "--out", tmp_path)
    saved = InformationCurve.load(tmp_path / "ib.npz")
    np.testing.assert_array_equal(saved.beta, information_curve(IB(hamming(0.3)), certify=False).beta)
    assert saved.jumps.any()


def test_the_cap_on_points_is_said(capsys):
    for cap, said in ((52, True), (400, False)):
        status, text, _ = run(capsys, "curve", "--example", "hamming", "--no-certify", "--max-points", cap)
        assert status == 0
        assert ("stopped at 52 points" in text) == said


def test_estimated_is_not_called_proven(capsys):
    status, text, _ = run(capsys, "curve", "--example", "toy", *SHORT, "--no-certify")
    assert status == 0
    assert "0 of 5 points proven optimal" in text
    assert len(re.findall(r" estimated$", text.split("points proven")[0], re.M)) == 5
    assert "not certified: certify=False" in text


def test_samples_smoothing_is_printed(tmp_path, capsys):
    path = tmp_path / "samples.csv"
    pd.DataFrame({"a": list("uuuvvvwww"), "b": [0, 0, 1, 1, 1, 1, 0, 1, 0]}).to_csv(path, index=False)
    command = ("curve", path, "--x", "a", "--y", "b", "--problem", "dual", "--betas", 1, 2, 2)
    status, _, err = run(capsys, *command)
    assert status == 2
    assert "x = 'v' (row 1), y = 0 (column 0)" in err
    assert "--pseudocount 0.5" in err
    status, text, _ = run(capsys, *command, "--pseudocount", 0.5)
    assert status == 0
    assert "3 x (2 distinct), 2 y, 9 samples" in text
    assert "smoothing: pseudocount 0.5 in each cell" in text


def test_digits_state_the_smoothing_of_their_default():
    args = parser().parse_args(["curve", "--example", "digits", "--problem", "ib", "dual"])
    task = Task.of(args)
    assert "pseudocount 0.1 in each cell, for all problems (default of digits: dual needs p(y|x) > 0)" in task.smoothing
    assert (task.joint.p_xy > 0).all()
    plain = Task.of(parser().parse_args(["curve", "--example", "digits"]))
    assert plain.smoothing == "none"
    assert (plain.joint.p_xy == 0).any()


def test_interruption_keeps_what_is_finished(tmp_path, capsys, monkeypatch):
    all_solutions = CurveBuild.solutions

    def interrupted(build):
        for i, solution in enumerate(all_solutions(build)):
            if build.sweep.problem.name == "dual" and i == 2:
                raise KeyboardInterrupt
            yield solution

    monkeypatch.setattr(CurveBuild, "solutions", interrupted)
    status, _, err = run(capsys, "curve", "--example", "toy", "--problem", "ib", "dual", *SHORT, "--out", tmp_path)
    assert status == 130
    assert err.startswith("dualib: interrupted")
    assert {p.name for p in tmp_path.iterdir()} == {
        "ib.npz",
        "ib.csv",
        "ib.json",
        "ib_clusters.csv",
        "ib_encoders.csv",
        "ib_points",
        "dual_points",
    }
    assert len(InformationCurve.load(tmp_path / "ib.npz").beta) == 5
    assert len([*(tmp_path / "dual_points").glob("beta_*.npz")]) == 3


def test_subprocess_draws_no_bar_into_a_pipe(tmp_path):
    command = [sys.executable, "-m", "dualib", "curve", "--example", "hamming", "--betas", "2", "4", "3"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=os.getcwd(), check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "3 of 3 points proven" in done.stdout


# --- transitions and verify ---


def test_transitions(tmp_path, capsys):
    status, text, _ = run(capsys, "transitions", "--example", "toy", "--beta-max", 6, "--out", tmp_path)
    assert status == 0
    assert "local critical β = 4.365468" in text
    found = json.loads((tmp_path / "ib_transitions.json").read_text())["transitions"]
    assert found[0]["beta"] == pytest.approx(4.36503, abs=1e-4)
    assert f"{found[0]['beta']:.7g}" in text


def test_verify_accepts_the_optimum_and_refutes_what_is_not(tmp_path, capsys):
    good = solve(IB(toy()), 10.0)
    bad = np.full_like(good.p_t_given_x, 1.0 / good.p_t_given_x.shape[1])
    path = tmp_path / "points.npz"
    np.savez(path, beta=[10.0, 10.0], p_t_given_x=[good.p_t_given_x, bad])
    status, text, _ = run(capsys, "verify", "--example", "toy", "--points", path, "--units", "nats")
    assert status == 1
    assert "1 refuted" in text
    lines = [line for line in text.splitlines() if line.split()[:1] == ["10"]]
    assert lines[0].endswith(" optimal")
    assert lines[1].endswith("not optimal")
    excess = 10.0 * toy().mutual_information() - good.objective
    assert float(lines[1].split()[4]) == pytest.approx(excess, rel=1e-2)


def test_verify_reads_a_saved_curve_and_coordinates_in_bits(tmp_path, capsys):
    run(capsys, "curve", "--example", "toy", *SHORT, "--out", tmp_path)
    status, text, _ = run(capsys, "verify", "--example", "toy", "--points", tmp_path / "ib.npz")
    assert (status, text.count(" optimal\n")) == (0, 5)
    curve = InformationCurve.load(tmp_path / "ib.npz")
    in_bits = {"rate": curve.rate / NATS_PER_BIT, "relevance": curve.relevance / NATS_PER_BIT}
    np.savez(tmp_path / "bits.npz", beta=curve.beta, **in_bits)
    command = ("verify", "--example", "toy", "--points", tmp_path / "bits.npz")
    assert run(capsys, *command, "--points-units", "bits")[0] == 0
    status, text, _ = run(capsys, *command)  # taken for nats: too much relevance at low β
    assert status == 1


# --- bad input ---

BAD_MATRICES = {
    "negative": ("0.5,-0.1\n0.3,0.3\n", r"-0\.1.*row 0.*column 1|row 0, column 1.*-0\.1"),
    "NaN": ("0.5,nan\n0.3,0.2\n", r"row 0, column 1"),
    "not normalised": ("0.5,0.1\n0.3,0.3\n", r"sums to 1\.2, off 1 by 0\.2.*normalise"),
    "empty": ("", r"not a CSV table"),
    "one row": ("0.5,0.5\n", r"one row"),
    "one symbol": ("0.5\n0.5\n", r"one column \(a single symbol y\)"),
    "strings": ("red,0.2\n0.3,blue\n", r"not a number.*--x and --y"),
    "independent": ("0.25,0.25\n0.25,0.25\n", r"independent"),
}


def refused(capsys, tmp_path, *argv):
    """The one line of a refusal, after which nothing was written."""
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run(capsys, *argv)
    assert status == 2
    assert out == ""
    assert err.startswith("dualib: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before
    return err


@pytest.mark.parametrize("case", BAD_MATRICES)
@pytest.mark.parametrize("command", ["curve", "transitions"])
def test_bad_matrix(tmp_path, capsys, case, command):
    content, message = BAD_MATRICES[case]
    path = tmp_path / "joint.csv"
    path.write_text(content)
    assert re.search(message, refused(capsys, tmp_path, command, path, "--out", tmp_path / "new"))


BAD_OPTIONS = {
    "zero for the dual": (("M", "--problem", "ib", "dual"), r"p\(y\|x\) is 0 at row 0, column 1.*--epsilon 0\.01"),
    "beta zero": (("M", "--betas", "0", "3", "4"), r"--betas 0 3 4: every β must be positive"),
    "beta negative": (("M", "--betas", "-1", "3", "4"), r"--betas -1 3 4: every β must be positive"),
    "beta nan": (("M", "--betas", "nan", "3", "4"), r"every β must be positive and finite"),
    "betas reversed": (("M", "--betas", "5", "3", "4"), r"LO must be below HI"),
    "betas words": (("M", "--betas", "many"), r"give LO HI N"),
    "betas four": (("M", "--betas", "1", "2", "3", "4"), r"give LO HI N"),
    "tolerance": (("M", "--tolerance", "-1"), r"--tolerance -1: must be positive"),
    "tolerance tiny": (("M", "--tolerance", "1e-12"), r"--tolerance 1e-12: must exceed 1e-09 nats"),
    "max points": (("M", "--max-points", "0"), r"--max-points 0: must be positive"),
    "alpha": (("M", "--problem", "alpha", "--alpha", "2"), r"alpha = 2\.0 is outside \(0, 1\)"),
    "epsilon": (("M", "--epsilon", "1.5"), r"epsilon = 1\.5 is outside"),
    "counts of none": (("M", "--pseudocount", "1"), r"has no counts to add to; use --epsilon"),
    "two smoothings": (("M", "--pseudocount", "1", "--epsilon", "0.1"), r"exactly one"),
    "missing file": (("nowhere.csv",), r"no such file: nowhere\.csv; give"),
    "no suffix": (("nowhere",), r"must end in \.npz, \.npy or \.csv"),
    "nothing": ((), r"give one joint distribution"),
    "two joints": (("M", "--example", "toy"), r"give one joint distribution"),
    "unknown example": (("--example", "cats"), r"invalid choice: 'cats'.*dualib curve --help"),
    "unknown column": (("M", "--x", "colour", "--y", "name"), r"no column 'colour'"),
    "half a table": (("M", "--x", "a"), r"give both --x and --y, or neither"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(tmp_path, capsys, case):
    options, message = BAD_OPTIONS[case]
    path = tmp_path / "joint.csv"
    path.write_text("0.5,0\n0.2,0.3\n")
    argv = [str(path) if o == "M" else o for o in options]
    assert re.search(message, refused(capsys, tmp_path, "curve", *argv, "--out", tmp_path / "new"))


def test_numeric_labels_need_a_word(tmp_path, capsys):
    path = tmp_path / "counts.csv"
    path.write_text("2020,2021\n5,7\n8,3\n4,4\n")
    err = refused(capsys, tmp_path, "curve", path, "--out", tmp_path / "new")
    assert "2020, 2021, look like labels" in err
    assert "--header (they are labels) or --no-header" in err
    status, text, _ = run(capsys, "transitions", path, "--header", "--beta-max", 1)
    assert status == 0
    assert "3 x, 2 y, 31 samples" in text
    np.savez(tmp_path / "j.npz", counts=np.eye(2))
    assert "are for CSV files" in refused(capsys, tmp_path, "curve", tmp_path / "j.npz", "--no-index")


def test_unwritable_directory_is_found_out_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(curve_module, "CurveBuild", None)  # worked before checking --out
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        err = refused(capsys, tmp_path, "curve", "--example", "toy", "--out", out)
        assert re.search(r"cannot write into .*; choose another directory", err)
    assert (tmp_path / "file").read_text() == "kept"


def test_garbage_npz(tmp_path, capsys):
    path = tmp_path / "joint.npz"
    path.write_bytes(b"not a zip")
    assert "joint.npz is not a whole .npz file" in refused(capsys, tmp_path, "curve", path)
    refused(capsys, tmp_path, "verify", "--example", "toy", "--points", path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "needs an array beta"),
        ({"beta": [1.0, -2.0]}, "positive"),
        ({"beta": [1.0]}, "has no rate"),
        ({"beta": [1.0, 2.0], "rate": [0.1], "relevance": [0.1, 0.1]}, "rate must hold 2 finite entries"),
        ({"beta": [1.0], "rate": [0.1], "relevance": [np.nan]}, "relevance must hold 1 finite entries"),
        ({"beta": [1.0], "p_t_given_x": np.full((1, 3, 2), 0.5)}, "shape (3, 2); its rows must be the 5 x"),
    ],
)
def test_bad_claims(tmp_path, capsys, arrays, message):
    path = tmp_path / "points.npz"
    np.savez(path, **arrays)
    status, _, err = run(capsys, "verify", "--example", "toy", "--points", path)
    assert status == 2
    assert err.count("\n") == 1
    assert message in err


def test_help_states_the_formula_and_units(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "I(X;T) + β E d(x, r_T)" in text
    assert "has no unit" in text


# --- what a shell does ---


def test_files_are_written_though_nobody_reads_on(tmp_path):
    command = f"{sys.executable} -m dualib curve --example toy --betas 3 20 5 --out {tmp_path}/out --figure {tmp_path}/plane.pdf"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    piped = f"{command} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("toy: 5 x, 2 y")
    assert (tmp_path / "out" / "bifurcation_ib.png").is_file()
    assert (tmp_path / "plane.pdf").read_bytes().startswith(b"%PDF")


def test_the_parser_loads_no_numbers():
    code = "import sys, dualib.commands.parser as p; p.parser(); print({'numpy', 'scipy', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_limits_are_checked_before_work(tmp_path, capsys):
    command = ("curve", "--example", "toy", "--out", tmp_path / "new")
    assert "up to 100000 points" in refused(capsys, tmp_path, *command, "--betas", 1, 5, 1000000000)
    assert "must end in one of .png, .pdf, .svg" in refused(capsys, tmp_path, *command, "--figure", "plane.doc")


def test_a_second_run_goes_on_and_other_settings_are_refused(tmp_path, capsys, monkeypatch):
    command = ("curve", "--example", "toy", "--out", tmp_path, *SHORT)
    first = run(capsys, *command)[1]
    monkeypatch.setattr("dualib.curves.sweep.generate_columns", lambda *_: pytest.fail("solved again"))
    status, again, _ = run(capsys, *command)
    assert status == 0
    np.testing.assert_array_equal(rows_of(first, "ib"), rows_of(again, "ib"))
    assert "certify: True there, False now" in refused(capsys, tmp_path, *command, "--no-certify")


def test_transitions_may_be_left_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "dualib.curves.curve.transitions_between", lambda *_, **__: pytest.fail("looked for transitions")
    )
    status, text, _ = run(capsys, "curve", "--example", "toy", *SHORT, "--no-transitions", "--out", tmp_path)
    assert status == 0
    assert "transitions were not looked for" in text
    assert InformationCurve.load(tmp_path / "ib.npz").transitions == ()


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert re.fullmatch(r"dualib (\d+\.\d+\.\d+|\(not installed\))\n", capsys.readouterr().out)
