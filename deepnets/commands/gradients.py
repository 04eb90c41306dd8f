"""``deepnets gradients``: the gradient phases of one run or recording, layer by layer."""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from deepnets.commands.shared import add_run_options, opened, print_table, trained_replicas, write_table
from deepnets.gradients import gradient_phases
from deepnets.plotting import plot_gradient_phases
from dualib.core.command import say, write_figure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets gradients``."""
    add_run_options(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, help="(default: the run's)")


def run(a: argparse.Namespace) -> None:
    """Measure the gradients, print where diffusion starts, write table and figure."""
    found, out = opened(a)
    trained_replicas(found)
    start = time.perf_counter()
    phases = gradient_phases(found, batch_size=a.batch_size, seed=a.seed)
    when = phases.transition()
    snr, scale = np.nanmedian(phases.snr, axis=0), np.nanmedian(phases.simple_noise_scale, axis=0)
    columns = {"snr_first": snr[0], "snr_last": snr[-1], "b_simple_last_patterns": scale[-1]}
    table = {"weights": phases.layers, "transition_epoch": when.value, "low": when.low, "high": when.high, **columns}
    print_table(pd.DataFrame(table))
    say(
        f"medians over {found.n_replicas} replicas, batches of {phases.batch_size}; between low and high lies the median of all "
        f"such replicas with {100 * (when.level or 0):.3g} % confidence"
    )
    phases.save(out / "gradients.npz")
    about = {"run": found.settings, "batch_size": phases.batch_size}
    write_table(a, out, "gradients", phases.to_frame(), start, about)
    write_figure(out / "gradients.png", lambda: plot_gradient_phases(phases))
    say(f"written: {out}/gradients.npz .csv .json .png")
