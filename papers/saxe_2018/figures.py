"""The planes side by side under both estimators, and each activation's informations against the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepnets import plotting
from dualib.core.figure import COLOURS, DASHES, SMALL, describe, panels
from papers.experiments.planes import plane_from
from papers.experiments.program import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAST_HIDDEN = -2
ACTIVATIONS = {"tanh": "tanh", "relu": "ReLU", "linear": "linear"}
OTHERS = {
    "tanh": "batches of 256",
    "full_batch": "full batches",
    "sgd": "batches, plain descent",
    "sgd_full_batch": "full batches, plain descent",
    "five_percent": "5% of the patterns",
}


def figures(results: Results) -> dict[str, Figure]:
    """Every figure of the paper, by its name."""
    return {
        "activations": plotting.plot_planes({t: plane_from(results[n]) for n, t in ACTIVATIONS.items()}),
        "activations_noise": plotting.plot_planes(
            {t: plane_from(results[n], second=True) for n, t in ACTIVATIONS.items()}
        ),
        "batches_and_generalisation": plotting.plot_planes({t: plane_from(results[n]) for n, t in OTHERS.items()}),
        "last_hidden": _last_hidden(results),
        "relu_against_epochs": plotting.plot_against_epochs(plane_from(results["relu"])),
    }


def _last_hidden(results: Results) -> Figure:
    """I(X;T) of the last hidden layer against the epoch, every run, under both estimators."""
    figure, axes = panels(2, height=3.0)
    names = {**ACTIVATIONS, **{k: v for k, v in OTHERS.items() if k != "tanh"}}
    for ax, prefix, title in zip(axes, ("", "second_"), ("30 edges", "noise of std 0.1 added"), strict=True):
        for i, (name, text) in enumerate(names.items()):
            r = results[name]
            epochs = np.maximum(r[prefix + "epochs"], 0.5)
            low, middle, high = np.quantile(r[prefix + "input"][:, :, LAST_HIDDEN], [0.25, 0.5, 0.75], axis=0)
            ax.fill_between(epochs, low, high, color=COLOURS[i], alpha=0.15, lw=0)
            ax.plot(epochs, middle, color=COLOURS[i], ls=DASHES[i % len(DASHES)], lw=1.2, label=text)
        ax.set_xscale("log")
        describe(ax, "epoch (0 at the left end)", "I(X;T), last hidden layer  [bits]", title, legend=False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=SMALL, frameon=False)
    return figure
