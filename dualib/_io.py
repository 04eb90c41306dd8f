"""The edge to files and terminal: written whole or not at all, metadata beside every result, aligned tables."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .measures import Units, to_units

if TYPE_CHECKING:
    from .curve import InformationCurve
    from .transitions import Transition
    from .verify import Verification

DISTRIBUTION = "ntk-dualib"


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, moved onto it when the block ends well and removed otherwise.

    A reader sees the old file or the new one, never a part of it, whatever interrupts the writer.

    Examples
    --------
    >>> with atomic_path("table.csv") as temporary:  # doctest: +SKIP
    ...     frame.to_csv(temporary)
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays to an .npz file, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as JSON, atomically; NumPy numbers and arrays become plain ones, NaN and infinities null."""
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value


def versions() -> dict[str, str]:
    """Versions of this package, Python and what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in (DISTRIBUTION, "numpy", "scipy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def metadata(settings: Mapping[str, Any], units: Mapping[str, str], seconds: float, **more: Any) -> dict[str, Any]:
    """What has to stand beside a result for it to be understood and made again.

    Parameters
    ----------
    settings : everything the result depends on, seed included.
    units : unit of every column or array of the result.
    seconds : wall time.
    more : further entries.
    """
    return {"settings": settings, "units": units, "seconds": round(seconds, 3), "versions": versions(), **more}


def writable_directory(path: str | os.PathLike[str]) -> Path:
    """The directory `path`, made where it is missing, or a ValueError: found out before the work, not after it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise ValueError(f"cannot write into {path}: {reason}; choose another directory") from None
    return path


@contextlib.contextmanager
def progress_bar(total: int | None, description: str, show: bool | None = None) -> Iterator[Callable[[int], object]]:
    """A function to call with the number of points just done; draws a bar, by default only on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, desc=description, disable=None if show is None else not show, leave=False) as bar:
        yield bar.update


def format_table(header: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], indent: int = 2) -> str:
    """A table of right-aligned columns under names and units.

    Parameters
    ----------
    header : (name, unit) of every column; the line of units is left out where all are empty.
    rows : the cells.
    """
    heads = [[name for name, _ in header], [unit for _, unit in header]]
    if not any(heads[1]):
        heads.pop()
    lines = [*heads, *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        (" " * indent + "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True))).rstrip() for line in lines
    ]
    text.insert(len(heads), " " * indent + "─" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join(text)


def curve_table(curve: InformationCurve, units: Units) -> str:
    """One row a β, with the proven interval of F and whether it is the optimum that is proven; remarks under it."""
    names = ("I(X;T)", "I(T;Y)", "clusters", "F ≥", "F ≤", "width", "est. gap")
    header = [("β", ""), *((name, "" if name == "clusters" else units) for name in names), ("optimum", "")]
    columns = (
        curve.rate.clip(0.0),
        curve.relevance.clip(0.0),
        curve.lower_bound,
        curve.objective,
        curve.gap,
        curve.estimated_gap,
    )
    rate, relevance, lower, objective, gap, estimated = (to_units(column, units) for column in columns)
    rows = [
        [f"{curve.beta[i]:.5g}", f"{rate[i]:.6f}", f"{relevance[i]:.6f}", str(curve.n_clusters[i])]
        + [f"{lower[i]:.8f}", f"{objective[i]:.8f}", f"{gap[i]:.1e}", f"{max(estimated[i], 0.0):.1e}"]
        + ["proven" if curve.certified[i] else "estimated"]
        for i in range(len(curve.beta))
    ]
    proven = int(curve.certified.sum())
    lines = [
        format_table(header, rows),
        f"  {proven} of {len(rows)} points proven optimal; every interval F ≥, F ≤ is proven to hold the optimum",
    ]
    if proven < len(rows):
        lines.append("  estimated: no proof of optimality; est. gap is what ascents from many starts could find")
        reason = next((s.status for s in curve.solutions if not s.certified), "")
        lines += [f"  {line}" for line in textwrap.wrap(reason, 96)]
    lines += [f"  {line}" for line in textwrap.wrap(curve.note, 96)]
    lines.append(f"  solving {curve.seconds_solving:.2f} s, certifying {curve.seconds_certifying:.2f} s")
    return "\n".join(lines)


def transitions_table(found: Sequence[Transition]) -> str:
    """One row a transition, with its bracket."""
    if not found:
        return "  none"
    names = ("β", "not below", "not above", "kind", "new cluster", "clusters", "lower end")
    rows = [
        [f"{t.beta:.7g}", f"{t.lower:.9g}", f"{t.upper:.9g}", t.kind, "at a distance" if t.birth else "split"]
        + [f"{t.n_before} → {t.n_after}", "proven" if t.proven else "estimated"]
        for t in found
    ]
    return format_table([(name, "") for name in names], rows)


def verification_table(found: Sequence[Verification], units: Units) -> str:
    """One row a claimed point, between what is proven about F at its β."""
    header = [(n, units) for n in ("claimed F", "F ≥", "F ≤", "excess ≥", "excess ≤")]
    rows = []
    for v in found:
        values = (to_units(x, units) for x in (v.objective, v.lower_bound, v.solution.objective))
        bounds = (to_units(x, units) for x in (v.excess_lower, v.excess_upper))
        rows.append([f"{v.beta:.6g}", *(f"{x:.9f}" for x in values), *(f"{x:.2e}" for x in bounds)])
        rows[-1].append(v.verdict.split(":")[0])
    return format_table([("β", ""), *header, ("verdict", "")], rows)


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe; a terminal that cannot show Greek gets a substitute, not a traceback."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
