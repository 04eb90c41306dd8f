"""``deepnets layers``: the last layers of one run against the exact bottleneck, and by label."""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from deepnets import plotting
from deepnets.commands.shared import add_run_options, opened, print_table, replica_number, write_table
from deepnets.estimators import Binning
from deepnets.planes.bottleneck import exact_curves, excess_rate, fit_beta, fit_random_encoder, fit_shared_beta
from deepnets.tasks import icosahedral_task
from dualib.core.arrays import row_codes
from dualib.core.command import add_units, say, write_figure
from dualib.core.units import to_units


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets layers``."""
    add_run_options(parser)
    parser.add_argument("--seed", type=int, default=0)
    add_units(parser)
    parser.add_argument("--bins", type=int, default=30, help="edges of the cells, for a deterministic network")
    parser.add_argument("--gamma", type=float, default=53.826, help="sharpness of the labels for the bottleneck")
    parser.add_argument("--replica", type=int, default=0)


def run(a: argparse.Namespace) -> None:
    """Fit β to every layer, print and write what is left, draw the layers."""
    found, out = opened(a)
    if found.task.name != "icosahedral":
        raise ValueError(
            f"deepnets layers is for the icosahedral task, whose labels can be made noisy; not {found.task.name}"
        )
    replica, start = replica_number(found, a.replica), time.perf_counter()
    joint, last = icosahedral_task(a.gamma).joint, len(found.epochs) - 1
    layers, binning, names = found.activations(last, replica), Binning(a.bins), found.layers
    codes = [row_codes(binning.codes(t))[0] for t in layers]
    own, shared = [fit_beta(c, joint) for c in codes], fit_shared_beta(codes, joint)
    random = [fit_random_encoder(c, joint, a.seed) for c in codes]
    curves = exact_curves(joint)
    columns = {
        f"{name}_{a.units}": to_units(np.array([f.residual for f in fits]), a.units)
        for name, fits in (("residual", own), ("residual_shared_beta", shared), ("residual_random", random))
    }
    for name, curve in zip(("ib", "dualib"), curves, strict=True):
        excess = np.array([excess_rate(f, curve) for f in own])
        columns[f"excess_rate_{name}_{a.units}"] = to_units(excess, a.units)
    table = pd.DataFrame({"layer": names, "beta": [f.beta for f in own], **columns})
    print_table(table)
    say(
        f"epoch {found.epochs[last]}, replica {replica}; shared β = {shared[0].beta:.4g}; labels of sharpness γ = {a.gamma:g}"
    )
    write_table(a, out, "layers", table, start, {"run": found.settings, "gamma": a.gamma, "bins": a.bins})
    write_figure(
        out / "bottleneck.png",
        lambda: plotting.plot_layers_against_bottleneck(own, names, curves, random, units=a.units),
    )
    write_figure(out / "separation.png", lambda: plotting.plot_label_separation(layers, found.task.y, names))
    say(f"written: {out}/layers.csv .json, bottleneck.png, separation.png")
