"""``deepnets relax``: relax the replicas of a run by several methods, and set them beside continued training."""

from __future__ import annotations

import argparse
import ast
import time
from pathlib import Path

import numpy as np

from deepnets.commands.shared import note_unfinished, write_table
from deepnets.estimators import PairwiseBounds
from deepnets.planes.estimate import Estimator
from deepnets.plotting.relaxation import plot_relaxations
from deepnets.recordings.run import Run
from deepnets.relaxation.comparison import BINNED, compare_relaxations
from deepnets.relaxation.loop import RECORD, relax
from deepnets.relaxation.methods import METHODS, ContinueTraining, Method, label, method_from_settings
from deepnets.relaxation.starts import default_snapshot
from dualib.core.command import add_units, say, write_figure
from dualib.core.files import writable_directory

DEFAULT = ("continue", "metropolis", "langevin", "targets")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets relax``."""
    parser.add_argument("directory", type=Path, help="of the run")
    parser.add_argument(
        "--method",
        nargs="+",
        default=list(DEFAULT),
        metavar="NAME[:SETTING=VALUE,…]",
        help=f"{', '.join(METHODS)}, with settings as metropolis:kind=gibbs,prior_factor=3 (default: {' '.join(DEFAULT)}); "
        "continued training is always among them",
    )
    parser.add_argument(
        "--budget", type=float, default=3000.0, help="forward passes of the training patterns (default: 3000)"
    )
    parser.add_argument("--from-epoch", type=int, help="(default: past the last layer's transition, at least 500)")
    parser.add_argument(
        "--record", type=float, nargs="+", default=list(RECORD), help="shares of the budget (default: 0 .1 .3 1)"
    )
    parser.add_argument(
        "--noise", type=float, help="σ of noise added to each layer, for a second estimate of the plane"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="of the relaxations and tables: resumable"
    )
    add_units(parser)


def run(a: argparse.Namespace) -> None:
    """Relax by every method, compare, print, and write tables and the figure."""
    methods = [method_of(text) for text in a.method]
    if ContinueTraining() not in methods:
        methods.insert(0, ContinueTraining())
    estimators: dict[str, Estimator | None] = {BINNED: None}
    if a.noise is not None:
        estimators[f"noise {a.noise:g}"] = PairwiseBounds(a.noise)
    trained = Run.load(a.directory)
    note_unfinished(trained)
    out, start = writable_directory(a.out), time.perf_counter()
    snapshot = default_snapshot(trained, a.seed) if a.from_epoch is None else _snapshot(trained, a.from_epoch)
    found = []
    for method in methods:
        begun = time.perf_counter()
        folder = out / "".join(c if c.isalnum() else "_" for c in label(method)).strip("_")
        found.append(
            relax(trained, method, snapshot=snapshot, budget=a.budget, seed=a.seed, record=a.record, out=folder)
        )
        say(f"{label(method)}: cost {found[-1].cost[-1]:g}, {time.perf_counter() - begun:.1f} s")
    comparison = compare_relaxations(found, estimators, seed=a.seed)
    say(comparison.describe(a.units))
    comparison.save(out / "relaxations.npz")
    about = {"run": trained.settings, "budget": a.budget, "epoch": int(trained.epochs[snapshot])}
    write_table(a, out, "relaxations", comparison.to_frame(a.units), start, about)
    write_figure(out / "relaxations.png", lambda: plot_relaxations(comparison, a.units))
    say(f"from epoch {trained.epochs[snapshot]}; written: {out}/relaxations.npz .csv .json .png")


def method_of(text: str) -> Method:
    """The method that "name:setting=value,…" names.

    Raises
    ------
    ValueError
        If there is no such method or setting, or a part is not setting=value.
    """
    name, _, rest = text.partition(":")
    settings: dict[str, object] = {"method": name}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"--method {text}: {part!r} is not setting=value")
        try:
            settings[key] = ast.literal_eval(value.replace("+", ",")) if value else value
        except (ValueError, SyntaxError):
            settings[key] = value
    return method_from_settings(settings)


def _snapshot(run: Run, epoch: int) -> int:
    found = np.flatnonzero(run.epochs == epoch)
    if found.size == 0:
        near = run.epochs[np.abs(run.epochs - epoch).argmin()]
        raise ValueError(f"the run has no snapshot of epoch {epoch}; the nearest is of epoch {near}")
    return int(found[0])
