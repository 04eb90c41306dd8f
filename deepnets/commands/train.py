"""``deepnets train``: train the replicas of an experiment of the literature, or on one's own data, every setting open to change."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np

from deepnets.commands.shared import print_table
from deepnets.recordings.run import Run
from deepnets.tasks import task_from_npz
from deepnets.training.presets import PRESETS, preset
from deepnets.training.settings import Loss, Training
from deepnets.training.train import train
from dualib.core.command import add_units, say
from dualib.core.units import Units
from ntkinfo import activations

if TYPE_CHECKING:
    import pandas as pd

OWN = "szt2017"
"""Whose settings are those of own data where no preset is named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets train``: the networks', and one a field of :class:`deepnets.Training`."""
    parser.add_argument("preset", nargs="?", help=f"{', '.join(PRESETS)} (with --data: {OWN})")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE.npz",
        help="own patterns x, (n, …), and labels y, (n,): classes, or real targets, which are trained by mse; or p_y_given_x, (n, k)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the run: go on with it, or begin it")
    parser.add_argument("--full", action="store_true", help="at the paper's size (default: a quick run)")
    parser.add_argument("--hidden", type=int, nargs="+", metavar="WIDTH", help="widths of the hidden layers")
    parser.add_argument("--activation", help=", ".join(activations.names()))
    parser.add_argument("--noise-std", type=float, help="σ of the noise at every hidden layer")
    hints = get_type_hints(Training)
    for setting in fields(Training):
        hint, text = hints[setting.name], str(setting.metadata["help"])
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            text = f"{text}: {', '.join(hint)}"
        else:
            hint = float if hint is float else int
        parser.add_argument(f"--{setting.name.replace('_', '-')}", type=hint, help=text)
    add_units(parser)


def run(a: argparse.Namespace) -> None:
    """Train, or go on, and print the scores."""
    if a.preset is None and a.data is None:
        raise ValueError(f"give a preset ({', '.join(PRESETS)}) or --data FILE.npz")
    chosen = preset(OWN if a.preset is None else a.preset)
    task = chosen.task() if a.data is None else task_from_npz(a.data)
    settings = _given(a, [setting.name for setting in fields(Training)])
    if settings.get("batch_size") == 0:
        settings["batch_size"] = None
    if task.targets is not None:
        settings.setdefault("loss", Loss.SQUARED_ERROR)
    training = replace(chosen.full if a.full else chosen.quick, **settings)
    n_train = training.n_train(task.n)
    if a.batch_size is None and n_train < (training.batch_size or 0):
        say(f"{n_train} training patterns: full batches")
        training = replace(training, batch_size=None)
    hidden = chosen.network.widths[1:-1] if a.hidden is None else tuple(a.hidden)
    squared = training.loss is Loss.SQUARED_ERROR
    outputs = task.regression_targets().shape[1] if squared else task.n_classes
    widths = (task.x.shape[1], *hidden, outputs)
    network = replace(chosen.network, widths=widths, **_given(a, ("activation", "noise_std")))
    start = time.perf_counter()
    found = train(network, task, training, out=a.out)
    print_table(_scores(found, a.units))
    seconds = time.perf_counter() - start
    say(f"{found.n_replicas} replicas, {found.epochs[-1]} epochs, {seconds:.1f} s; run in {a.out}")


def _given(a: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(a, name) for name in names if getattr(a, name) is not None}


def _scores(found: Run, units: Units) -> pd.DataFrame:
    """Median scores over replicas at a few snapshots."""
    table = found.to_frame(units).drop(columns="replica").groupby("epoch", as_index=False).median()
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, 8).astype(int))]
