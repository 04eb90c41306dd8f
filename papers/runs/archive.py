"""Results of many seeds as one file: records and those arrays that are measured, packed, from which all is measured again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import numpy as np

from dualib.core.files import atomic_path
from papers.experiments.program import Arrays
from papers.ledger.claim import Mode
from papers.runs.paper import Paper
from papers.runs.runner import directory, measured_seeds, read_results


def write_archive(papers: Sequence[Paper], mode: Mode, out: Path, path: Path) -> list[str]:
    """Pack every seed that has been run to the end, the confirming ones alone where there are any; returns what was packed.

    Raises
    ------
    ValueError
        If there is nothing of a paper to pack: before anything is written.
    """
    chosen = []
    for paper in papers:
        seeds = measured_seeds(paper, mode, out)
        confirming = [s for s in seeds if s.confirming]
        if not seeds:
            raise ValueError(f"no {mode} results of {paper.name} in {out}; run: python -m papers run --{mode}")
        chosen += [(paper, s.seed) for s in confirming or seeds]
    with atomic_path(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for paper, seed in chosen:
            folder = directory(out, paper, mode, seed)
            for name, arrays in _measured(paper, mode, seed, out).items():
                file = io.BytesIO()
                np.savez(file, **arrays)
                archive.writestr(str((folder / f"{name}.npz").relative_to(out)), file.getvalue())
                archive.write(folder / f"{name}.json", str((folder / f"{name}.json").relative_to(out)))
    return [f"{paper.name} seed {seed}" for paper, seed in chosen]


class _Noted(dict[str, Any]):
    """Arrays, and the names of those that were asked for."""

    def __init__(self, arrays: Arrays):
        super().__init__(arrays)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The array of a name that may be missing."""
        self.read.add(name)
        return super().get(name, default)

    def items(self) -> Any:
        """All of them."""
        self.read.update(self)
        return super().items()


def _measured(paper: Paper, mode: Mode, seed: int, out: Path) -> dict[str, dict[str, Any]]:
    """The arrays of every experiment; those that the measurements do not read, and only figures show, are empty: their names count."""
    results = read_results(paper, mode, seed, out)
    noted = {name: _Noted({key: array.copy() for key, array in arrays.items()}) for name, arrays in results.items()}
    paper.measure()(noted)
    return {
        name: {key: array if key in noted[name].read else array.ravel()[:0] for key, array in arrays.items()}
        for name, arrays in results.items()
    }


@contextmanager
def results_folder(out: Path) -> Iterator[Path]:
    """The folder of results itself; of an archive a folder with what it holds, which goes when the block ends.

    Raises
    ------
    ValueError
        If a file is given that is no archive of results.
    """
    if not out.is_file():
        yield out
        return
    with TemporaryDirectory() as folder:
        try:
            with ZipFile(out) as archive:
                archive.extractall(folder)
        except BadZipFile as error:
            raise ValueError(f"{out} is neither a directory of results nor a whole archive of them ({error})") from None
        yield Path(folder)
