"""The house's walls: which package may import which, and what may not be imported where."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("dualib", "ntkinfo", "deepnets", "papers")  # each may import itself and those before it
HEAVY = {"matplotlib", "pandas", "sklearn", "jax", "sympy", "scipy.optimize"}  # not at the top of a module of dualib


def imported(source: str, top_level_only: bool = False) -> set[str]:
    """Names of the modules that a source imports absolutely."""
    tree = ast.parse(source)
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def wrong_arrows(package: str, source: str) -> set[str]:
    """Packages of the house that a module of `package` may not import."""
    later = ORDER[ORDER.index(package) + 1 :]
    return {name for name in imported(source) if name.split(".")[0] in later}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", ORDER)
def test_arrows_point_one_way(package):
    for path in modules(package):
        assert not wrong_arrows(package, path.read_text()), path


def test_a_wrong_arrow_would_be_seen():
    assert wrong_arrows("dualib", "def f():\n    from deepnets.training import train\n") == {"deepnets.training"}
    assert wrong_arrows("ntkinfo", "import dualib, papers.x") == {"papers.x"}
    assert not wrong_arrows("deepnets", "import dualib\nfrom ntkinfo import mlp\n")


def test_dualib_is_light_at_the_top():
    assert modules("dualib")
    for path in modules("dualib"):
        if path.name == "__main__.py":
            continue
        names = imported(path.read_text(), top_level_only=True)
        heavy = {n for n in names if n in HEAVY or n.split(".")[0] in HEAVY}
        assert not heavy, path


def test_neural_tangents_has_one_door():
    for package in ORDER:
        for path in modules(package):
            if path.name != "_neural_tangents.py":
                assert not {n for n in imported(path.read_text()) if n.startswith("neural_tangents")}, path
