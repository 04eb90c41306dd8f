"""A paper on disk: the folder's experiments, settings, claims and checks, read with errors that say what is wrong."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Literal

from .frame import NOT_MEASURED, Check, Claim, Condition
from .sources import HERE, digest, packages_digest, program_files

Mode = Literal["quick", "full"]
MODES: tuple[Mode, ...] = ("quick", "full")
FILES = ("run.py", "measure.py", "figures.py", "settings.toml", "expected.toml", "README.md")
PART = {"run": "EXPERIMENTS", "measure": "measure", "figures": "figures"}
Experiment = Callable[[Mapping[str, Any], int, Path], dict[str, Any]]


class _Source(SourceFileLoader):
    """Reads a program's text each time: kept bytecode is told from it by the second and the size alone."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@dataclass(frozen=True)
class Paper:
    """A folder papers/<name>: settings of both modes, claims and checks; `part()` imports its programs."""

    name: str
    folder: Path
    settings: Mapping[Mode, Mapping[str, Any]]
    claims: tuple[Claim, ...]
    checks: tuple[Check, ...]

    def part(self, name: Literal["run", "measure", "figures"]) -> Any:
        """What one of the paper's programs defines, imported anew: EXPERIMENTS, measure or figures."""
        path = self.folder / f"{name}.py"
        module_name = f"papers.{self.name}.{name}"
        spec = importlib.util.spec_from_file_location(module_name, path, loader=_Source(module_name, str(path)))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not hasattr(module, PART[name]):
            raise ValueError(f"{path} does not define {PART[name]}")
        return getattr(module, PART[name])

    def experiments(self) -> dict[str, Experiment]:
        """name → function of (settings, seed, folder for work that can be gone on with)."""
        return dict(self.part("run"))

    def fingerprint(self, mode: Mode, seed: int) -> str:
        """A hash of what makes results unusable when it changes: run.py, its helpers, the mode's settings, the seed.

        measure.py and figures.py may change freely. The packages' sources are hashed apart (`packages`): results they
        made are kept when they change, and said to be older.
        """
        text = json.dumps([mode, seed, self.settings[mode]], sort_keys=True)
        return hashlib.sha256((digest(program_files(self.folder / "run.py")) + text).encode()).hexdigest()

    def packages(self) -> str:
        """A hash of the packages' sources that run.py uses."""
        return packages_digest(self.folder / "run.py")


def paper_names(root: Path = HERE) -> list[str]:
    """The papers under `root`: folders that hold a run.py or an expected.toml."""
    return sorted({path.parent.name for name in ("run.py", "expected.toml") for path in root.glob(f"*/{name}")})


def load_papers(names: Sequence[str] = (), root: Path = HERE) -> list[Paper]:
    """The named papers, or all of them."""
    known = paper_names(root)
    for name in names:
        if name not in known:
            raise ValueError(f"there is no paper {name!r}; there are {', '.join(known) or 'none'}")
    return [load_paper(root / name) for name in names or known]


def load_paper(folder: Path) -> Paper:
    """Read a paper's folder.

    Raises
    ------
    ValueError
        If a file is missing or is not TOML, or a table has unknown, missing or mistyped keys.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}; a paper consists of {', '.join(FILES)}")
    claims, checks = _expected(folder / "expected.toml")
    return Paper(folder.name, folder, _settings(folder / "settings.toml"), claims, checks)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None


def _settings(path: Path) -> dict[Mode, Mapping[str, Any]]:
    table = _read(path)
    _keys(path, "the file", table, dict.fromkeys(MODES, dict), {})
    if set(table["quick"]) != set(table["full"]):
        different = ", ".join(sorted(set(table["quick"]) ^ set(table["full"])))
        raise ValueError(f"{path}: [quick] and [full] must have the same keys, but only one has {different}")
    return {mode: table[mode] for mode in MODES}


def _expected(path: Path) -> tuple[tuple[Claim, ...], tuple[Check, ...]]:
    table = _read(path)
    _keys(path, "the file", table, {}, {"claim": list, "check": list})
    claims = tuple(_claim(path, entry) for entry in table.get("claim", []))
    numbers = [claim.number for claim in claims]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{path}: two claims have the same number, got {sorted(numbers)}")
    return claims, tuple(_check(path, entry) for entry in table.get("check", []))


def _claim(path: Path, entry: Any) -> Claim:
    where = f"claim {entry.get('number', '')}" if isinstance(entry, dict) else "a claim"
    required = {"number": int, "statement": str, "source": str}
    _keys(path, where, entry, required, {"conditions": list, "control": str, "status": str})
    conditions = tuple(_condition(path, where, item) for item in entry.get("conditions", []))
    status = entry.get("status")
    if status not in (None, NOT_MEASURED):
        raise ValueError(f'{path}, {where}: status can only be "{NOT_MEASURED}", got {status!r}; verdicts are measured')
    if bool(conditions) == (status is not None):
        raise ValueError(f'{path}, {where}: give either conditions or status = "{NOT_MEASURED}"')
    return Claim(entry["number"], entry["statement"], entry["source"], conditions, entry.get("control"))


def _condition(path: Path, where: str, entry: Any) -> Condition:
    where = f"a condition of {where}"
    _keys(path, where, entry, {"measure": str, "op": str, "value": float, "unit": str}, {"tolerance": float})
    if entry["op"] not in (">", "<", "within"):
        raise ValueError(f'{path}, {where}: op must be ">", "<" or "within", got {entry["op"]!r}')
    if (entry["op"] == "within") != ("tolerance" in entry):
        raise ValueError(f'{path}, {where}: op = "within" needs a tolerance, and the others take none')
    return Condition(**entry)


def _check(path: Path, entry: Any) -> Check:
    where = f"the check of {entry.get('measure', '?')}" if isinstance(entry, dict) else "a check"
    required = {"measure": str, "value": float, "tolerance": float, "unit": str, "source": str}
    _keys(path, where, entry, required, {"mode": str})
    if entry.get("mode", "quick") not in MODES:
        raise ValueError(f'{path}, {where}: mode must be "quick" or "full", got {entry["mode"]!r}')
    return Check(**entry)


def _keys(path: Path, where: str, entry: Any, required: Mapping[str, type], optional: Mapping[str, type]) -> None:
    """A ValueError unless `entry` is a table with the required keys, no unknown ones, and values of these types."""
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: {where} must be a table, got {entry!r}")
    allowed = {**required, **optional}
    unknown = sorted(set(entry) - set(allowed))
    if unknown:
        raise ValueError(f"{path}, {where}: unknown key {', '.join(unknown)}; known are {', '.join(allowed)}")
    lacking = [key for key in required if key not in entry]
    if lacking:
        raise ValueError(f"{path}, {where}: missing key {', '.join(lacking)}")
    for key, value in entry.items():
        kinds = (int, float) if allowed[key] is float else (allowed[key],)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"{path}, {where}: {key} must be {allowed[key].__name__}, got {value!r}")
    if not entry.get("tolerance", 0.0) >= 0.0:
        raise ValueError(f"{path}, {where}: tolerance must not be negative, got {entry['tolerance']!r}")
