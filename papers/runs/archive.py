"""Results of many seeds as one file: the arrays and records of a folder of results, packed, from which all is measured again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from dualib.core.files import atomic_path
from papers.ledger.claim import Mode
from papers.runs.paper import Paper
from papers.runs.runner import directory, measured_seeds


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
    with atomic_path(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        for paper, seed in chosen:
            folder = directory(out, paper, mode, seed)
            for name in paper.experiments():
                for suffix in (".npz", ".json"):
                    archive.write(folder / (name + suffix), str((folder / (name + suffix)).relative_to(out)))
    return [f"{paper.name} seed {seed}" for paper, seed in chosen]


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
