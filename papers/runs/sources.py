"""What a paper's results depend on: a program of it, the helpers in papers/ that it imports, and the packages below."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("dualib", "ntkinfo", "deepnets")
"""Each imports those before it only (tests/test_walls.py)."""
HERE = Path(__file__).parents[1]
"""The folder of the papers."""


def imported_modules(path: Path) -> set[str]:
    """Full names of the modules that a file imports, at whatever place; names taken from papers may be modules of it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module.split(".")[0] == "papers":
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def program_files(program: Path) -> list[Path]:
    """A program and the helpers in papers/ that it imports, directly or through one another."""
    found, waiting = [program], [program]
    while waiting:
        names = sorted(name for name in imported_modules(waiting.pop()) if name.startswith("papers."))
        helpers = [HERE.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in names]
        new = [path for path in helpers if path.is_file() and path not in found]
        found += new
        waiting += new
    return [program, *sorted(found[1:])]


def packages_digest(program: Path) -> str:
    """A hash of the sources of the packages that a program uses: the highest one it imports, and those below."""
    used = {name.split(".")[0] for path in program_files(program) for name in imported_modules(path)}
    top = max((i for i, name in enumerate(PACKAGES) if name in used), default=-1)
    return digest(path for name in PACKAGES[: top + 1] for path in sorted(_folder(name).rglob("*.py")))


def digest(files: Iterable[Path]) -> str:
    """A hash of files: of their names and texts, in order."""
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"{package} is not installed: run `uv sync` in the repository")
    return Path(spec.origin).parent
