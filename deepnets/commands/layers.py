"""``deepnets layers``: the layers of one run or recording against the exact bottleneck, and by label."""

from __future__ import annotations

import argparse
import time

from deepnets import plotting
from deepnets.commands.shared import (
    add_run_options,
    opened,
    print_table,
    replica_number,
    trained_replicas,
    write_table,
)
from deepnets.planes.bottleneck import BETA_MAX
from deepnets.planes.layers import layers_against_bottleneck
from deepnets.tasks import icosahedral_task
from dualib import Joint
from dualib.core.command import add_units, say, write_figure

LARGEST_GAMMA = 92.0
"""1/(1 + e^{γ|f - θ|}) is positive in double precision for all patterns, of which the farthest has |f - θ| = 7.63."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets layers``."""
    add_run_options(parser)
    parser.add_argument("--seed", type=int, default=0)
    add_units(parser)
    parser.add_argument("--bins", type=int, default=30, help="edges of the cells, for a deterministic network")
    parser.add_argument(
        "--gamma", type=float, default=53.826, help="sharpness of the icosahedral labels for the bottleneck"
    )
    parser.add_argument(
        "--label-noise",
        type=float,
        default=0.01,
        help="of other tasks: share of certain labels drawn anew for the bottleneck",
    )
    parser.add_argument("--replica", type=int, default=0)


def run(a: argparse.Namespace) -> None:
    """Fit β to every layer, print and write what is left, draw the layers."""
    found, out = opened(a)
    replica, start = replica_number(found, a.replica), time.perf_counter()
    alive = trained_replicas(found)
    if replica not in alive:
        raise ValueError(f"replica {replica} did not stay finite: choose --replica among {', '.join(map(str, alive))}")
    sharp = found.task.settings.get("task") == "icosahedral"
    options = {"law": _law(a.gamma)} if sharp else {"label_noise": a.label_noise}
    report = layers_against_bottleneck(found, replica=replica, bins=a.bins, seed=a.seed, **options)
    labels = (
        f"labels of sharpness γ = {a.gamma:g}"
        if sharp
        else f"certain labels drawn anew with probability {a.label_noise:g}"
    )
    table = report.to_frame(a.units)
    print_table(table)
    say(f"epoch {report.epoch}, replica {replica}; shared β = {report.shared[0].beta:.4g}; {labels}")
    if table.beta_at_limit.any():
        say(f"β at its limit {BETA_MAX:g}: the best β is at least this, as cells hold one p(y|x) each")
    write_table(a, out, "layers", table, start, {"run": found.settings, "labels": labels, "bins": a.bins})
    curves = (report.ib, report.dual)
    write_figure(
        out / "bottleneck.png",
        lambda: plotting.plot_layers_against_bottleneck(
            report.own, report.layers, curves, report.random, units=a.units
        ),
    )
    layers = found.activations(-1, replica)[: len(report.layers)]
    write_figure(out / "separation.png", lambda: plotting.plot_label_separation(layers, found.task.y, report.layers))
    say(f"written: {out}/layers.csv .json, bottleneck.png, separation.png")


def _law(gamma: float) -> Joint:
    """Of the icosahedral patterns and noisy labels, none of which is certain."""
    law = icosahedral_task(gamma).joint
    if not (law.p_y_given_x > 0).all():
        raise ValueError(
            f"--gamma {gamma:g} makes labels certain, to rounding, where the dual bottleneck is infinite: choose {LARGEST_GAMMA:g} or less"
        )
    return law
