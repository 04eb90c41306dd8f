"""The walls of the house: who may import whom. Nothing here knows what the code computes."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("dualib", "ntkinfo", "deepnets", "papers")  # each may import itself and those before it
ONE_DOOR = {"neural_tangents": {"ntkinfo/kernels/neural_tangents.py"}}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for package in ORDER for path in files(package)}


def imports(source: str) -> list[tuple[str, str | None, int]]:
    """(module, name or None, level) of every import, at whatever place."""
    found: list[tuple[str, str | None, int]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name, node.level) for alias in node.names]
    return found


def targets(source: str) -> set[str]:
    """The modules of the house that a source imports."""
    found = set()
    for module, name, _ in imports(source):
        whole = f"{module}.{name}"
        if whole in MODULES:
            found.add(whole)
        elif module in MODULES:
            found.add(module)
    return found


def wrong_arrows(package: str, source: str) -> set[str]:
    later = ORDER[ORDER.index(package) + 1 :]
    return {module for module, _, _ in imports(source) if module.split(".")[0] in later}


def private_names(source: str) -> set[str]:
    """Private names taken from another file, and private attributes of imported modules."""
    house = [(m, n) for m, n, level in imports(source) if level or m.split(".")[0] in ORDER]
    taken = {f"{m}.{n}" for m, n in house if n and n.startswith("_") and not n.startswith("__")}
    taken |= {m for m, _ in house if any(p.startswith("_") and p != "__main__" for p in m.split("."))}
    known = {n for m, n in house if n and f"{m}.{n}" in MODULES}
    for node in ast.walk(ast.parse(source)):
        attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known
        if attribute and node.attr.startswith("_") and not node.attr.startswith("__"):
            taken.add(f"{node.value.id}.{node.attr}")
    return taken


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected sets of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part = []
            while not part or part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_keeps_to_its_walls(module):
    source = MODULES[module].read_text()
    assert not wrong_arrows(module.split(".")[0], source)
    assert not [name for _, name, level in imports(source) if level], "relative imports"
    assert not private_names(source)
    for library, doors in ONE_DOOR.items():
        used = {m for m, _, _ in imports(source) if m.split(".")[0] == library}
        assert not used or str(MODULES[module].relative_to(ROOT)) in doors


def test_the_ground_floor_imports_nothing_of_the_house():
    for module, path in MODULES.items():
        if module.startswith("dualib.core"):
            assert all(target.startswith("dualib.core") for target in targets(path.read_text())), module


def test_there_is_no_circle():
    graph = {module: targets(path.read_text()) - {module} for module, path in MODULES.items()}
    assert circles(graph) == []


def test_a_folder_re_exports_and_computes_nothing():
    for module, path in MODULES.items():
        if path.name == "__init__.py":
            kinds = {type(node) for node in ast.parse(path.read_text()).body}
            assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.With}, module


def test_files_are_short():
    """Without the examples of docstrings, which are for the reader of the reference."""
    example = re.compile(r'\n *Examples\n *-{8}\n.*?(?=\n *(?:"""|References\n))', re.DOTALL)
    lengths = {module: len(example.sub("", path.read_text()).splitlines()) for module, path in MODULES.items()}
    assert not {module: n for module, n in lengths.items() if n > 400}
    assert sum(n > 300 for n in lengths.values()) <= 0.05 * len(lengths)


def test_breaks_would_be_seen():
    assert wrong_arrows("dualib", "def f():\n    from deepnets.training import train\n") == {"deepnets.training"}
    assert not wrong_arrows("deepnets", "import dualib\nfrom ntkinfo import mlp\n")
    assert private_names("from dualib.joint import _group") == {"dualib.joint._group"}
    assert private_names("from dualib import joint\njoint._group()") == {"joint._group"}
    assert private_names("from dualib._io import say") == {"dualib._io"}
    assert not private_names("from dualib.joint import Joint\nfrom numpy import _core")
    graph: dict[str, set[str]] = defaultdict(set, a={"b"}, b={"c"}, c={"a"}, d={"a"})
    assert circles(graph) == [["a", "b", "c"]]
