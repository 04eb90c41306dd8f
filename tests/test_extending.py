"""What CONTRIBUTING.md says is so: its picture and its tables name what is there, and its snippets extend the house as they stand.

The README's commands are known to their parsers, with every option.
"""

import argparse
import ast
import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGES = ("dualib", "ntkinfo", "deepnets", "papers")


def pictured() -> set[str]:
    """Paths of the picture, whose indentation is the depth: names come first in a line, before two blanks or its end."""
    picture = TEXT.split("```")[1]
    found: set[str] = set()
    above = [""]
    for line in picture.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = [n for n in line.split("  " if depth == 0 else None) if re.fullmatch(r"[\w]+(/|\.py)", n)]
        if depth > 2 or not names:
            continue
        above = [*above[: depth + 1], ""]
        found |= {above[depth] + name for name in names}
        above[depth + 1] = above[depth] + names[0]
    return found


def snippet(number: int, language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[number]


def test_the_picture_shows_what_is_there():
    assert len(pictured()) >= 80
    assert not [path for path in pictured() if not (ROOT / path).exists()]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_in_the_picture(package):
    folders = {f"{p.parent.relative_to(ROOT)}/" for p in (ROOT / package).rglob("*.py")}
    assert folders <= pictured()


def test_every_file_of_the_walks_is_there():
    named = set(re.findall(r"`((?:dualib|ntkinfo|deepnets|papers|tests|docs)/[\w/]+\.\w+)[`:]", TEXT))
    assert len(named) > 40
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_every_equation_is_where_the_table_says():
    places = re.findall(r"`([\w/]+\.py): (\w+)`", TEXT)
    assert len(places) > 25
    for path, name in places:
        tree = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        defined = {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined, f"{path}: {name}"


def test_every_command_of_the_readme_is_known():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    spans = re.findall(r"(?:`|uv run )((?:dualib|ntkinfo|deepnets) [^`\n]+)", readme)
    commands = [shlex.split(span) for span in spans if " --" in span]
    assert {words[0] for words in commands} == {"dualib", "ntkinfo", "deepnets"}
    for program, *words in commands:
        if program == "deepnets":
            parser, command, words = argparse.ArgumentParser(), words[0], words[1:]
            import_module(f"deepnets.commands.{command}").add_arguments(parser)
        else:
            parser = import_module(
                {"dualib": "dualib.commands.parser", "ntkinfo": "ntkinfo.commands"}[program]
            ).parser()
        parser.parse_args(words)  # an unknown option would exit


def test_an_activation_is_one_entry(monkeypatch):
    from ntkinfo import kernels
    from ntkinfo.activations import registry

    monkeypatch.setattr(registry, "_LIST", dict(registry._LIST))
    exec(snippet(0, "python"), {})
    x = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.2]])
    swish = kernels.dense(x, hidden_layers=1, activation="swish", w_std=1.0, b_std=0.0)
    assert np.linalg.eigvalsh(swish.omega - swish.ntk).min() >= -1e-12  # Ω ≥ Θ ≥ 0
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    phi = nodes / (1 + np.exp(-nodes / np.sqrt(2))) / np.sqrt(2)  # of the first point's unit input, variance 1/2
    np.testing.assert_allclose(swish.nngp[0, 0], weights @ phi**2 / weights.sum(), rtol=1e-8)


def test_a_quantity_is_one_function(monkeypatch):
    import ntkinfo
    from dualib.core.quantity import Registry
    from ntkinfo import setting, timelines
    from ntkinfo.quantities import registry

    fresh = Registry()
    for module in (registry, setting, timelines):
        monkeypatch.setattr(module, "REGISTRY", fresh)
    exec(snippet(1, "python"), {})
    ntk = np.array([[2.0, 0.5], [0.5, 1.0]])
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(ntk, 0.5 * ntk), [1.0, -1.0])
    frame = ntkinfo.timeline(ensemble, [0.0, 1.0]).to_frame()
    expected = -np.log2(ensemble.marginals([0.0, 1.0], on="train").variance).mean(axis=-1)
    np.testing.assert_allclose(frame["log_precision_bits"], expected, rtol=1e-12)


def test_an_estimator_is_one_class():
    namespace: dict = {}
    exec(snippet(2, "python"), namespace)
    cube = np.array([[a, b, c] for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)])
    labels = np.eye(2)[(cube[:, 0] > 0).astype(int)]
    found = namespace["Signs"]().layer(np.vstack([cube, 2 * cube]), np.vstack([labels, labels]))
    np.testing.assert_allclose([found.rate.value, found.relevance.value], [np.log(8), np.log(2)], rtol=1e-12)


def test_a_claim_is_one_block(tmp_path):
    """Appended to a paper's claims.toml it is judged by what was measured, and has a page of its own."""
    from papers.ledger.claim import Mode
    from papers.ledger.condition import Side
    from papers.ledger.verdict import Outcome
    from papers.pages.page import claim_page
    from papers.pages.verdicts import verdict_rows
    from papers.runs.paper import load_paper

    folder = shutil.copytree(ROOT / "papers" / "saxe_2018", tmp_path / "papers" / "saxe_2018")
    claims = folder / "claims.toml"
    claims.write_text(claims.read_text(encoding="utf-8") + "\n" + snippet(0, "toml"), encoding="utf-8")
    (row,) = (r for r in verdict_rows([load_paper(folder)], Mode.FULL, None) if r.claim.number == 99)
    sides = {condition.measure: side for condition, side in row.verdict.sides}
    lows = [seed["compression_tanh"].to(row.claim.core[0].unit).low for seed in row.measured]
    assert row.verdict.outcome is Outcome.REPRODUCED
    assert min(lows) > 2.0
    assert sides["compression_tanh"] is Side.HOLDS
    section = claim_page(row, tmp_path)
    assert "# 99. A tanh network compresses by more than two bits" in section
    assert "not frozen" in section
