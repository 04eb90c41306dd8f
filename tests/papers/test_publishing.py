"""From frozen thresholds to what is published: confirmed on fresh seeds, archived, drawn and written into the tables."""

import json
import re
import shutil

from nobody import CLAIMS, MEASURE, SETTINGS, calls

from papers.__main__ import main
from papers.pages.verdicts import verdict_rows
from papers.runs.paper import load_paper


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


def test_one_paper_is_published_beside_others_whose_results_are_gone(paper, command, tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- verdicts -->\n<!-- end of verdicts -->\n")
    other = paper.parent / "other_2001"
    shutil.copytree(paper, other)
    (other / "claims.toml").write_text(re.sub(r"number = (\d)", r"number = 1\1", CLAIMS))
    command("run --full")
    assert command("publish") == 0
    before = (other / "measured.json").read_bytes()
    shutil.rmtree(tmp_path / "out" / "other_2001")
    capsys.readouterr()
    assert command("publish") == 2
    assert "no full results of other_2001" in capsys.readouterr().err
    command("run nobody_2000 --full --seed 1")
    assert command("publish nobody_2000") == 0
    assert [s["seed"] for s in json.loads((paper / "measured.json").read_text())["seeds"]] == [0, 1]
    assert (other / "measured.json").read_bytes() == before
    verdicts = (tmp_path / "docs" / "verdicts.md").read_text()
    assert "full, 2 seeds" in verdicts
    assert "full, 1 seed" in verdicts


def test_seeds_published_before_stay_while_the_same_is_run_and_measured(paper, command, tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- verdicts -->\n<!-- end of verdicts -->\n")

    def published():
        record = json.loads((paper / "measured.json").read_text())
        return {s["seed"]: s["measurements"] for s in record["seeds"]}

    for seed in (0, 1):
        command(f"run --full --seed {seed}")
    command("publish")
    before = published()
    main(["freeze"], root=paper.parent)
    shutil.rmtree(tmp_path / "out")
    assert command("confirm") == 0
    assert command("publish") == 0
    assert sorted(published()) == [0, 1, 2, 3, 4, 5]
    assert {seed: published()[seed] for seed in before} == before
    assert json.loads((paper / "measured.json").read_text())["confirming"] == [2, 3, 4, 5]
    shutil.rmtree(tmp_path / "out")
    assert command("run --full --seed 4") == 0  # it has confirmed, and anybody may run it again
    capsys.readouterr()
    assert command("check --full") == 0  # of the seed that is there
    assert "ok   nobody_2000 seed 4: 3 numbers measured again, 0 differ" in capsys.readouterr().out
    (paper / "settings.toml").write_text(SETTINGS.replace("n = 4", "n = 5"))
    command("run --full --seed 7")
    assert command("publish") == 0
    assert sorted(published()) == [7]  # the others were of other settings


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
