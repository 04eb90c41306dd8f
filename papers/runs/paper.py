"""A paper on disk: the folder's experiments, settings, claims and checks, read with errors that say what is wrong."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from papers.experiments.program import Experiment, Figures, Measure, Settings
from papers.ledger.claim import Check, Claim, Mode, Party
from papers.ledger.freeze import Confirmation, Frozen, threshold_hash
from papers.ledger.read import Published, SettingsTables, convert, read_claims, read_record, read_toml
from papers.runs.sources import HERE, digest, packages_digest, program_files

FILES = ("run.py", "measure.py", "figures.py", "settings.toml", "claims.toml", "README.md")


class _Source(SourceFileLoader):
    """Reads a program's text each time: kept bytecode is told from it by the second and the size alone."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@dataclass(frozen=True)
class Paper:
    """A folder papers/<name>.

    Attributes
    ----------
    name, folder : str, Path
    tables : SettingsTables
        settings.toml.
    claims, checks, party : tuples of Claim and Check, Party
        claims.toml.
    """

    name: str
    folder: Path
    tables: SettingsTables
    claims: tuple[Claim, ...]
    checks: tuple[Check, ...]
    party: Party = Party.ORIGINAL

    def settings(self, mode: Mode) -> Settings:
        """A mode's settings as the type that run.py defines; a ValueError naming the table and the entry that is wrong."""
        table: Mapping[str, object] = getattr(self.tables, mode)
        kind: type[Settings] = self._part("run", "Settings")
        return convert(table, kind, f"{self.folder / 'settings.toml'}, [{mode}]")

    def experiments(self) -> dict[str, Experiment[Settings]]:
        """What run.py runs, by name."""
        return dict(self._part("run", "EXPERIMENTS"))

    def measure(self) -> Measure:
        """What measure.py makes of the results; the file is read anew."""
        found: Measure = self._part("measure", "measure")
        return found

    def figures(self) -> Figures:
        """What figures.py makes of the results; the file is read anew."""
        found: Figures = self._part("figures", "figures")
        return found

    def fingerprint(self, mode: Mode, seed: int) -> str:
        """A hash of what makes results unusable when it changes: run.py, its helpers, the mode's settings, the seed.

        measure.py and figures.py may change freely. The packages' sources are hashed apart (`packages`): results they
        made are kept when they change, and said to be older.
        """
        return self._experiments([mode, seed, getattr(self.tables, mode)])

    def running(self, mode: Mode) -> str:
        """A hash of what the fingerprints of all seeds share: run.py, its helpers and the mode's settings."""
        return self._experiments([mode, getattr(self.tables, mode)])

    def packages(self) -> str:
        """A hash of the packages' sources that run.py uses."""
        return packages_digest(self.folder / "run.py")

    def measuring(self) -> str:
        """A hash of measure.py and the helpers it imports."""
        return digest(program_files(self.folder / "measure.py"))

    @cached_property
    def published(self) -> Published | None:
        """measured.json; None where nothing is published."""
        return read_record(self.folder / "measured.json", Published, "python -m papers publish")

    @cached_property
    def frozen(self) -> Frozen | None:
        """frozen.json; None where nothing is frozen."""
        return read_record(self.folder / "frozen.json", Frozen, "python -m papers freeze")

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """confirmation.json; None where the fresh seeds have not been run."""
        return read_record(self.folder / "confirmation.json", Confirmation, "python -m papers confirm")

    def confirming(self) -> tuple[int, ...]:
        """The seeds that confirm today's thresholds as today's program measures: none where either is another."""
        found = self.confirmation
        today = (threshold_hash(self.claims), self.measuring())
        return found.seeds if found and found.ended and (found.thresholds, found.program) == today else ()

    def kept_fresh(self) -> tuple[int, ...]:
        """The frozen record's fresh seeds that have not been run to the end: those that have may be run again by anybody."""
        run = self.confirmation.seeds if self.confirmation and self.confirmation.ended else ()
        return tuple(s for s in self.frozen.fresh if s not in run) if self.frozen else ()

    def _experiments(self, settings: Sequence[object]) -> str:
        text = digest(program_files(self.folder / "run.py")) + json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _part(self, program: str, name: str) -> Any:
        """What one of the paper's programs defines under a name; the program is imported anew."""
        path = self.folder / f"{program}.py"
        module_name = f"papers.{self.name}.{program}"
        spec = importlib.util.spec_from_file_location(module_name, path, loader=_Source(module_name, str(path)))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not hasattr(module, name):
            raise ValueError(f"{path} does not define {name}")
        return getattr(module, name)


def paper_names(root: Path = HERE) -> list[str]:
    """The papers under `root`: folders that hold a run.py or a claims.toml."""
    return sorted({path.parent.name for name in ("run.py", "claims.toml") for path in root.glob(f"*/{name}")})


def load_papers(names: Sequence[str] = (), root: Path = HERE) -> list[Paper]:
    """The named papers, or all of them; a ValueError for a name that is none."""
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
        If a file is missing or is not TOML, or an entry does not fit; the message names the file and the entry.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}; a paper consists of {', '.join(FILES)}")
    claims, checks, party = read_claims(folder / "claims.toml")
    path = folder / "settings.toml"
    return Paper(folder.name, folder, convert(read_toml(path), SettingsTables, str(path)), claims, checks, party)
