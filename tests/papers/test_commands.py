"""The frame of the papers: verdicts by rule, runs kept on disk, checks with an exit status."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from papers.__main__ import main
from papers.ledger.claim import Mode
from papers.pages.verdicts import verdict_rows
from papers.runs.paper import load_paper
from papers.runs.runner import read_results, run_paper, run_seeds

RUN = """
import os
import numpy as np
from papers.experiments import program

class Settings(program.Settings, frozen=True):
    n: int

def _log(name):
    with open(os.path.join(os.path.dirname(__file__), "calls.txt"), "a") as file:
        file.write(name + "\\n")

def squares(settings, seed, work):
    _log("squares")
    return {"x": np.arange(settings.n) ** 2.0, "last": float((settings.n - 1) ** 2)}

def noise(settings, seed, work):
    _log("noise")
    if os.path.exists(os.path.join(os.path.dirname(__file__), "interrupt")):
        raise KeyboardInterrupt
    return {"draw": np.random.default_rng(seed).normal(size=settings.n)}

EXPERIMENTS = {"squares": squares, "noise": noise}
"""
MEASURE = """
import numpy as np
from dualib.core.estimate import Estimate, Kind
from dualib.core.units import Unit

def measure(results):
    total, draw = float(results["squares"]["x"].sum()), results["noise"]["draw"]
    return {
        "total": Estimate.exact(total, Unit.NATS),
        "first": Estimate(draw[0], draw[0] - 1e-3, draw[0] + 1e-3, Kind.STATISTICAL, Unit.ONE, n=2),
        "open": Estimate(0.0, -np.inf, 1.0, Kind.STATISTICAL, Unit.ONE, n=3),
    }
"""
FIGURES = """
def figures(results):
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot(results["squares"]["x"])
    return {"squares": figure}
"""
SETTINGS = "[quick]\nn = 3\n[full]\nn = 4\n"
CLAIMS = """
[[claim]]
number = 2
statement = "The sum of squares is large"
where = "Nobody 2000, Fig. 1"
conditions = [{measure = "total", op = ">", value = 4.0, unit = "nats", role = "core"}]
[[claim]]
number = 1
statement = "The first draw is positive"
where = "Nobody 2000, Fig. 2"
conditions = [{measure = "first", op = ">", value = 0.0, unit = "1", role = "core"}]
[[claim]]
number = 3
statement = "All is | well"
where = "Nobody 2000"
unmeasured = "nobody knows how"
[[check]]
measure = "total"
value = 5.0
tolerance = 1e-9
unit = "nats"
source = "0 + 1 + 4"
mode = "quick"
[[check]]
measure = "total"
value = 14.0
tolerance = 1e-9
unit = "nats"
source = "0 + 1 + 4 + 9"
mode = "full"
"""


@pytest.fixture
def paper(tmp_path):
    folder = tmp_path / "papers" / "nobody_2000"
    folder.mkdir(parents=True)
    texts = {
        "run.py": RUN,
        "measure.py": MEASURE,
        "figures.py": FIGURES,
        "settings.toml": SETTINGS,
        "claims.toml": CLAIMS,
        "README.md": "# Nobody 2000\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def command(paper, tmp_path):
    return lambda line: main([*line.split(), "--out", str(tmp_path / "out")], root=paper.parent)


def calls(paper):
    return (paper / "calls.txt").read_text().split()


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


def test_a_threshold_changed_after_the_freeze_is_named(paper, command, capsys):
    command("run")
    assert main(["freeze"], root=paper.parent) == 0
    record = json.loads((paper / "frozen.json").read_text())
    assert [c["text"] for c in record["conditions"]] == ["total > 4 nats [core]", "first > 0 [core]"]
    capsys.readouterr()
    assert command("check") == 0
    assert "freeze" not in capsys.readouterr().out
    (paper / "claims.toml").write_text(CLAIMS.replace("value = 4.0", "value = 3.0"))
    (paper / "measure.py").write_text(MEASURE + "\n")
    assert command("check") == 1
    said = capsys.readouterr().out
    assert "FAIL nobody_2000 was changed after its freeze: claim 2: total > 3 nats [core] is new" in said
    assert "total > 4 nats [core], frozen" in said
    assert "FAIL nobody_2000 was changed after its freeze: measure.py or a helper of it, frozen" in said
    assert main(["freeze"], root=paper.parent) == 0
    assert command("check") == 0
    capsys.readouterr()
    calls_before = len(calls(paper))
    assert command("run --seed 2") == 2
    assert "seed 2 of nobody_2000 is kept fresh" in capsys.readouterr().err
    assert len(calls(paper)) == calls_before


def test_fresh_seeds_confirm_once_and_decide_alone(paper, command, tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- verdicts -->\n<!-- end of verdicts -->\n")
    command("run --full")
    command("run --full --seed 1")
    command("publish")
    assert command("confirm") == 2
    assert "nobody_2000: nothing is frozen yet" in capsys.readouterr().err
    assert main(["freeze"], root=paper.parent) == 0
    assert json.loads((paper / "frozen.json").read_text())["fresh"] == [2, 3, 4, 5]
    assert command("confirm") == 0
    assert command("confirm") == 2
    assert "happens once" in capsys.readouterr().err
    assert command("publish") == 0
    record = json.loads((paper / "measured.json").read_text())
    assert [s["seed"] for s in record["seeds"]] == [0, 1, 2, 3, 4, 5]
    assert record["confirming"] == [2, 3, 4, 5]
    assert record["confirmed"] == json.loads((paper / "confirmation.json").read_text())["ended"]
    for line in ("list", "list --out nowhere"):
        capsys.readouterr()
        main([*line.split(), *([] if "out" in line else ["--out", str(tmp_path / "out")])], root=paper.parent)
        assert "reproduced (full, 4 fresh seeds)" in capsys.readouterr().out
    measured = {seed["seed"]: seed["measurements"]["first"]["value"] for seed in record["seeds"]}
    (row,) = (r for r in verdict_rows([load_paper(paper)], None, None) if r.claim.number == 1)
    assert [s.estimates["first"].value for s in row.seeds] == [measured[seed] for seed in (2, 3, 4, 5)]
    assert [s.seed for s in row.explored] == [0, 1]
    (paper / "claims.toml").write_text(CLAIMS.replace("value = 4.0", "value = 3.0"))
    assert load_paper(paper).confirming() == ()  # they confirm what was frozen, and nothing else


def test_an_archive_measures_every_number_again(paper, command, tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- verdicts -->\n<!-- end of verdicts -->\n")
    for seed in (0, 1):
        command(f"run --full --seed {seed}")
    command("publish")
    archive = tmp_path / "all.zip"
    assert command(f"archive {archive}") == 0
    shutil.rmtree(tmp_path / "out")
    capsys.readouterr()
    check = ["check", "--full", "--out", str(archive)]
    assert main(check, root=paper.parent) == 0
    said = capsys.readouterr().out
    for seed in (0, 1):
        assert f"ok   nobody_2000 seed {seed}: 3 numbers measured again, 0 differ" in said
    record = json.loads((paper / "measured.json").read_text())
    record["seeds"][0]["measurements"]["total"] |= {"value": 14.001, "low": 14.001, "high": 14.001}
    (paper / "measured.json").write_text(json.dumps(record))
    assert main(check, root=paper.parent) == 1
    assert "FAIL nobody_2000 seed 0: 3 numbers measured again, 1 differ" in capsys.readouterr().out
    assert main(["run", "--out", str(archive)], root=paper.parent) == 2
    assert "is a file" in capsys.readouterr().err
    archive.write_bytes(archive.read_bytes()[:60])
    assert main(check, root=paper.parent) == 2
    assert "neither a directory of results nor a whole archive" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_measure_the_same(paper, tmp_path):
    one = load_paper(paper)
    here = [run_paper(one, Mode.QUICK, seed, tmp_path / "here").estimates for seed in (0, 1)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        tasks = [(one, seed) for seed in (0, 1)]
        there = [m.estimates for m in run_seeds(tasks, Mode.QUICK, tmp_path / "there", executor=pool)]
    assert here == there


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


def test_publish_writes_tables_that_list_reads(paper, command, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- verdicts -->\nold\n<!-- end of verdicts -->\nafter\n")
    assert command("publish") == 2
    assert "no full results of nobody_2000" in capsys.readouterr().err
    command("run --full")
    command("run --full --seed 1")
    assert command("publish") == 0
    text = readme.read_text()
    assert text.startswith("before\n<!-- verdicts -->\nOf 3 published claims: 2 reproduced, 1 not yet measured.")
    assert text.endswith("<!-- end of verdicts -->\nafter\n")
    assert "old" not in text
    assert "| [2](claims/02.md) | The sum of squares is large | **reproduced** | originals |" in (
        (tmp_path / "docs" / "verdicts.md").read_text()
    )
    page = (tmp_path / "docs" / "claims" / "02.md").read_text()
    assert "| `total` | 14 nats, n = 1 | 14 nats, n = 1 |" in page
    assert "By one seed alone: 0: reproduced; 1: reproduced." in page
    assert "nobody knows how" in (tmp_path / "docs" / "claims" / "03.md").read_text()
    for name in ("01", "02", "overview"):
        assert (tmp_path / "docs" / "figures" / "claims" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((paper / "measured.json").read_text())
    total = {"value": 14.0, "low": 14.0, "high": 14.0, "unit": "nats", "n": 1, "kind": "exact"}
    assert total.items() <= record["seeds"][0]["measurements"]["total"].items()
    readme.write_text(text.replace("2 reproduced", "2 lost"))
    assert command("publish --tables") == 0
    assert readme.read_text() == text
    capsys.readouterr()
    assert main(["list", "--out", str(tmp_path / "nothing")], root=paper.parent) == 0
    published = capsys.readouterr().out
    command("list")
    assert capsys.readouterr().out == published
    assert "reproduced (full, 2 seeds)" in published
    readme.write_text("no marks")
    assert command("publish") == 2
    assert "must contain the lines" in capsys.readouterr().err
    (paper / "measured.json").write_text("{")
    assert main(["list", "--out", str(tmp_path / "nothing")], root=paper.parent) == 2
    assert "measured.json is damaged" in capsys.readouterr().err


def test_a_missing_file_and_an_unknown_paper_are_named(paper, command, capsys):
    assert command("run nothing_1999") == 2
    assert "there is no paper 'nothing_1999'; there are nobody_2000" in capsys.readouterr().err
    (paper / "settings.toml").unlink()
    assert command("run") == 2
    assert "lacks settings.toml" in capsys.readouterr().err
