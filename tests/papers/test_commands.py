"""The frame of the papers: verdicts by rule, runs kept on disk, checks with an exit status."""

import json
import subprocess
import sys

import numpy as np
import pytest
from living import lives, until
from nobody import CLAIMS, FIGURES, MEASURE, RUN, SETTINGS, calls

from dualib.core.parallel import processes
from papers.ledger.claim import Mode
from papers.runs.paper import load_paper
from papers.runs.runner import read_results, run_paper, run_seeds


def test_a_run_is_kept_until_the_settings_or_the_program_change(paper, command):
    assert command("run nobody_2000") == 0
    assert calls(paper) == ["squares", "noise"]
    assert command("run nobody_2000") == 0
    assert calls(paper) == ["squares", "noise"]
    assert command("run --force") == 0
    assert calls(paper) == ["squares", "noise"] * 2
    (paper / "settings.toml").write_text(SETTINGS.replace("n = 3", "n = 5"))
    assert command("run") == 0
    assert calls(paper) == ["squares", "noise"] * 3
    (paper / "run.py").write_text(RUN + "\n")
    assert command("run") == 0
    assert calls(paper) == ["squares", "noise"] * 4


def test_a_damaged_result_is_run_again(paper, tmp_path):
    run_paper(load_paper(paper), Mode.QUICK, 0, tmp_path)
    path = tmp_path / "nobody_2000" / "quick" / "seed0" / "squares.npz"
    path.write_bytes(path.read_bytes()[:40])
    run_paper(load_paper(paper), Mode.QUICK, 0, tmp_path)
    assert calls(paper) == ["squares", "noise", "squares"]


def test_measuring_anew_needs_no_new_run(paper, command, capsys):
    command("run")
    (paper / "measure.py").write_text(MEASURE.replace(".sum()", ".max()"))
    (paper / "figures.py").write_text(FIGURES + "\n")
    capsys.readouterr()
    assert command("check") == 1
    assert "FAIL nobody_2000 total: got 4 nats, expected 5" in capsys.readouterr().out
    assert command("plot") == 0
    assert calls(paper) == ["squares", "noise"]


def test_what_an_interrupted_experiment_left_is_there_again(paper, command, tmp_path):
    (paper / "run.py").write_text(
        RUN
        + """
def slow(settings, seed, work):
    work.mkdir(parents=True, exist_ok=True)
    half = work / "half"
    if not half.exists():
        half.touch()
        raise KeyboardInterrupt
    return {"x": np.zeros(1)}

EXPERIMENTS["slow"] = slow
"""
    )
    assert command("run") == 130
    assert command("run") == 0
    assert not (tmp_path / "out" / "nobody_2000" / "quick" / "seed0" / "work").exists()


def test_an_interruption_keeps_what_had_ended(paper, command, tmp_path, capsys):
    (paper / "interrupt").touch()
    assert command("run") == 130
    assert "the same command goes on where it was left" in capsys.readouterr().err
    folder = tmp_path / "out" / "nobody_2000" / "quick" / "seed0"
    assert sorted(path.name for path in folder.iterdir()) == ["squares.json", "squares.npz"]
    (paper / "interrupt").unlink()
    assert command("run") == 0
    assert calls(paper) == ["squares", "noise", "noise"]


def test_kept_results_are_those_computed(paper, tmp_path):
    one = load_paper(paper)
    measured = run_paper(one, Mode.FULL, 7, tmp_path).estimates
    results = read_results(one, Mode.FULL, 7, tmp_path)
    np.testing.assert_array_equal(results["squares"]["x"], [0.0, 1.0, 4.0, 9.0])
    assert results["squares"]["last"] == 9.0
    np.testing.assert_array_equal(results["noise"]["draw"], np.random.default_rng(7).normal(size=4))
    assert run_paper(one, Mode.FULL, 7, tmp_path).estimates == measured
    record = json.loads((tmp_path / "nobody_2000" / "full" / "seed7" / "squares.json").read_text())
    assert record["settings"] == {"n": 4}
    assert record["seed"] == 7
    assert {"hash", "packages", "seconds", "versions"} <= set(record)


def test_check_prints_both_numbers_and_fails_where_they_differ(paper, command, capsys):
    assert command("check") == 1
    assert "no current measurements" in capsys.readouterr().out
    command("run")
    command("run --full")
    capsys.readouterr()
    assert command("check") == 0
    assert "ok   nobody_2000 total: got 5 nats, expected 5 ± 1e-09 nats (0 + 1 + 4)" in capsys.readouterr().out
    assert command("check --full") == 0
    assert "got 14 nats, expected 14" in capsys.readouterr().out
    (paper / "claims.toml").write_text(CLAIMS.replace("5.0", "5.5"))
    assert command("check") == 1
    assert "FAIL nobody_2000 total: got 5 nats, expected 5.5" in capsys.readouterr().out
    (paper / "claims.toml").write_text(CLAIMS.replace('[[check]]\nmeasure = "total"', '[[check]]\nmeasure = "no"'))
    assert command("check") == 1
    assert "FAIL nobody_2000 no: got missing" in capsys.readouterr().out
    (paper / "run.py").write_text(RUN + "\n")
    assert command("check") == 1  # measured with another run.py


def test_list_gives_the_verdict_of_all_seeds(paper, command, capsys):
    draws = {seed: np.random.default_rng(seed).normal(size=3)[0] for seed in range(6)}
    positive = next(seed for seed, draw in draws.items() if draw > 0.01)
    negative = next(seed for seed, draw in draws.items() if draw < -0.01)
    command(f"run --seed {positive}")
    capsys.readouterr()
    assert command("list") == 0
    assert "1  nobody_2000  —  reproduced (quick, 1 seed)" in capsys.readouterr().out
    command(f"run --seed {negative}")
    capsys.readouterr()
    assert command("list --markdown") == 0
    assert capsys.readouterr().out.splitlines() == [
        "| # | paper | verdict | statement |",
        "|---:|---|---|---|",
        "| 1 | nobody_2000 | undecided (quick, 2 seeds) | The first draw is positive |",
        "| 2 | nobody_2000 | reproduced (quick, 2 seeds) | The sum of squares is large |",
        r"| 3 | nobody_2000 | not yet measured | All is \| well |",
    ]


def test_plot_draws_kept_results_only(paper, command, tmp_path, capsys):
    assert command("plot") == 2
    assert "has no current results of squares, noise" in capsys.readouterr().err
    command("run")
    assert command("plot") == 0
    image = tmp_path / "out" / "nobody_2000" / "quick" / "seed0" / "squares.png"
    assert image.read_bytes().startswith(b"\x89PNG")
    assert calls(paper) == ["squares", "noise"]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("claims.toml", "statement =", "text =", "claim 2: Object contains unknown field `text`"),
        ("claims.toml", "[[check]]", "[[test]]", "unknown field `test`"),
        (
            "claims.toml",
            'op = ">"',
            'op = ">="',
            "claim 2, the condition on total: Invalid enum value '>=' - at `$.op`",
        ),
        ("claims.toml", 'op = ">"', 'op = "within"', "needs a tolerance"),
        ("claims.toml", 'op = ">", ', "", "missing required field `op`"),
        (
            "claims.toml",
            "value = 4.0",
            "limit = 4.0",
            "unknown field `limit`; known are measure, op, value, unit, role",
        ),
        ("claims.toml", 'role = "core"', 'role = "main"', "Invalid enum value 'main'"),
        ("claims.toml", 'role = "core"', 'role = "side"', 'no condition has role = "core"'),
        ("claims.toml", 'unit = "nats"', 'unit = "nit"', "Invalid enum value 'nit'"),
        ("claims.toml", "tolerance = 1e-9", "tolerance = -1.0", "the check of total: tolerance must not be negative"),
        ("claims.toml", "number = 1", "number = 2", "same number"),
        ("claims.toml", "number = 1", 'number = "1"', "Expected `int`, got `str`"),
        ("claims.toml", 'unmeasured = "nobody knows how"', "", "give either conditions, or unmeasured"),
        ("claims.toml", 'mode = "full"', 'mode = "slow"', "Invalid enum value 'slow'"),
        ("claims.toml", "number = 1", "number =", "is not TOML"),
        ("settings.toml", "[full]", "[all]", "unknown field `all`"),
        ("settings.toml", "[full]\nn = 4", "", "missing required field `full`"),
    ],
)
def test_what_a_paper_may_not_say(paper, command, capsys, name, old, new, message):
    text = (paper / name).read_text()
    assert old in text
    (paper / name).write_text(text.replace(old, new))
    assert command("list") == 2
    error = capsys.readouterr().err
    assert message in error
    assert name in error


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n = 3", "m = 3", "settings.toml, [quick]: Object contains unknown field `m`; known are n"),
        ("n = 3", 'n = "3"', "settings.toml, [quick]: Expected `int`, got `str`"),
        ("n = 3", "", "settings.toml, [quick]: Object missing required field `n`"),
    ],
)
def test_settings_are_those_that_run_py_knows(paper, command, capsys, old, new, message):
    (paper / "settings.toml").write_text(SETTINGS.replace(old, new))
    assert command("run") == 2
    assert message in capsys.readouterr().err
    assert not (paper / "calls.txt").exists()


@pytest.mark.slow
def test_processes_measure_the_same(paper, tmp_path):
    one = load_paper(paper)
    here = [run_paper(one, Mode.QUICK, seed, tmp_path / "here").estimates for seed in (0, 1)]
    with processes(2) as pool:
        tasks = [(one, seed) for seed in (0, 1)]
        there = [m.estimates for m in run_seeds(tasks, Mode.QUICK, tmp_path / "there", executor=pool)]
    assert here == there


def test_workers_end_with_a_command_that_is_killed(paper, tmp_path):
    started = tmp_path / "started"
    slow = """
def slow(settings, seed, work):
    import time
    with open(STARTED, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

EXPERIMENTS["slow"] = slow
"""
    (paper / "run.py").write_text(RUN + slow.replace("STARTED", repr(str(started))))
    line = ["run", "--quick", "--workers", "2", "--out", str(tmp_path / "out")]
    code = f"from pathlib import Path; from papers.__main__ import main; main({line}, root=Path({str(paper.parent)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as command:
        until(lambda: started.exists() and started.read_text())
        command.kill()
    until(lambda: not lives(int(started.read_text())))


def test_what_was_run_in_full_is_not_unmeasured_in_quick_mode(paper, command, tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- verdicts -->\n<!-- end of verdicts -->\n")
    command("run --full")
    command("publish")
    capsys.readouterr()
    assert command("list --quick") == 0
    assert "2  nobody_2000  —  reproduced (full, 1 seed)" in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_error(paper):
    line = f"{sys.executable} -c 'import sys; from pathlib import Path; from papers.__main__ import main; "
    line += f'sys.exit(main(["list"], root=Path("{paper.parent}")))\' | head -n 1'
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, cwd=paper)
    assert done.stderr == ""
    assert done.stdout.startswith("  1  nobody_2000  —  not yet measured")


def test_a_quick_verdict_that_full_contradicts_says_so(paper, command, tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- verdicts -->\n<!-- end of verdicts -->\n")
    (paper / "claims.toml").write_text(CLAIMS.replace("value = 4.0", "value = 10.0"))  # 5 in quick mode, 14 in full
    command("run --full")
    assert command("publish") == 0
    capsys.readouterr()
    command("run")
    assert "claim 2: refuted (quick, 1 seed); full, as published: reproduced" in capsys.readouterr().out
    command("list --quick")
    assert "refuted (quick, 1 seed); full, as published: reproduced" in capsys.readouterr().out


def test_kept_results_of_other_packages_are_named(paper, command, capsys, monkeypatch):
    command("run")
    monkeypatch.setattr("papers.runs.paper.packages_digest", lambda run: "another")
    capsys.readouterr()
    assert command("run") == 0
    assert "squares: kept, computed before the packages last changed" in capsys.readouterr().out
    assert calls(paper) == ["squares", "noise"]
    assert command("check") == 0
    assert "computed before the packages last changed" in capsys.readouterr().out
    assert command("run --force") == 0
    capsys.readouterr()
    assert command("check") == 0
    assert "packages last changed" not in capsys.readouterr().out


def test_a_missing_file_and_an_unknown_paper_are_named(paper, command, capsys):
    assert command("run nothing_1999") == 2
    assert "there is no paper 'nothing_1999'; there are nobody_2000" in capsys.readouterr().err
    (paper / "settings.toml").unlink()
    assert command("run") == 2
    assert "lacks settings.toml" in capsys.readouterr().err
