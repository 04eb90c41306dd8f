"""A figure for every claim, from the results alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepnets import plotting
from dualib.core.figure import COLOURS, DASHES, GREY, MARKERS, SMALL, describe, panels
from papers.experiments.phases import passage_epoch
from papers.experiments.planes import plane_from
from papers.experiments.program import Arrays, Results
from papers.experiments.ticks import epochs_upwards
from papers.tishby_talk_2017.measures.depths import HALF, MOST, ONSET, SAME
from papers.tishby_talk_2017.measures.noise import KINDS, LAST_HIDDEN, LEVELS
from papers.tishby_talk_2017.measures.training import best_size
from papers.tishby_talk_2017.measures.transitions import REACHED, inside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dualib.core.typing import ArrayLike

EPOCH = "epoch (0 at the left end)"
STRENGTHS = {"dropout": ("0", "5%", "10%", "20%"), "units": ("0", ".05", ".1", ".2")}


def figures(results: Results) -> dict[str, Figure]:
    """Every figure, by its name."""
    d = results["depths"]
    planes = {f"{k} hidden layer{'s' * (k > 1)}": plane_from(d, f"{k}_") for k in range(1, MOST + 1)}
    return {
        "depths": plotting.plot_planes(planes, columns=3),
        "onsets": _onsets(d, results["rules"]),
        "same_layer": _same_layer(d),
        "transitions": _transitions(results["transitions"]),
        "computed_weights": _computed_weights(results["kernel"]),
        "second_order": _second_order(results["second_order"]),
        "batch_size": _batch_size(results["batches"]),
        "noise": _noise(results["noise"]),
        "iteration": _iteration(results["gibbs"]),
    }


def _quartiles(ax: Axes, at: ArrayLike, values: np.ndarray, i: int, name: str) -> None:
    """Medians and quartiles over the first axis, of the values that are there."""
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    bars = [middle - low, high - middle]
    ax.errorbar(at, middle, bars, fmt=MARKERS[i] + "-", color=COLOURS[i], ms=4, lw=1, label=name)


def _onsets(d: Arrays, r: Arrays) -> Figure:
    """The epoch at which each layer's compression begins, in the paper's network and on random rules."""
    figure, axes = panels(2, sharey=True)
    arms = ((d["5_epochs"], d["5_input"], "the paper's rule"), (r["epochs"], r["input"], "random rules"))
    for ax, (epochs, rate, title) in zip(axes, arms, strict=True):
        onset = np.array([passage_epoch(epochs, x, ONSET) for x in rate.transpose(2, 0, 1)])
        for j, row in enumerate(onset):
            ax.plot(np.full(len(row), j), row, "o", color=COLOURS[0], ms=3, alpha=0.5)
        shown = np.isfinite(onset).any(axis=1)
        ax.plot(
            np.flatnonzero(shown),
            [np.nanmedian(row) for row in onset[shown]],
            "-",
            color=COLOURS[1],
            lw=1,
            label="median",
        )
        epochs_upwards(ax)
        ax.set_xticks(range(len(onset)), [*(f"h{j}" for j in range(1, len(onset))), "out"])
        describe(ax, "layer", "epoch at which compression begins" * (ax is axes[0]), title)
    return figure


def _same_layer(d: Arrays) -> Figure:
    """The epoch at which the same layer is half-way, against the number of hidden layers."""
    figure, (ax,) = panels()
    for i, (layer, places) in enumerate(SAME.items()):
        half = [passage_epoch(d[f"{k}_epochs"], d[f"{k}_input"][:, :, j], HALF) for k, j in places.items()]
        if all(np.isfinite(row).any() for row in half):
            name = "outputs" if layer == "output" else f"layer of {layer} units"
            _quartiles(ax, np.array(list(places)) + 0.06 * (i - 1), np.array(half).T, i, name)
    epochs_upwards(ax)
    ax.set_xticks(list(SAME["4"]))
    describe(ax, "hidden layers", "epoch half-way through compression", "median and quartiles")
    return figure


def _transitions(r: Arrays) -> Figure:
    """The β nearest to each layer's equations along training, and the transitions of the curve."""
    figure, axes = panels(2)
    epochs = np.maximum(r["epochs"], 0.5)
    for ax, prefix, title in zip(axes, ("", "smooth_"), ("labels of 0.99 bits", "softer labels"), strict=True):
        for place in r[f"{prefix}transitions"]:
            ax.axhline(place, color=GREY, lw=0.8, ls=":")
        beta = inside(r[f"{prefix}beta"])
        for j in range(beta.shape[2]):
            name = f"hidden {j + 3}" if j < beta.shape[2] - 1 else "output"
            there = np.isfinite(beta[:, :, j]).any(axis=0)
            line = np.nanmedian(beta[:, there, j], axis=0)
            ax.loglog(epochs[there], line, color=COLOURS[j + 2], lw=1.2, label=name)  # as in the figures of all layers
        describe(
            ax, EPOCH, "β of the layer, median" * (prefix == ""), f"{title}; dotted: transitions", legend=prefix == ""
        )
    return figure


def _computed_weights(r: Arrays) -> Figure:
    figure, (ax,) = panels()
    names = {"trained": "trained", "network": "computed\nweights", "predictor": "kernel's\npredictor", "start": "start"}
    for i, width in enumerate(("narrow", "wide")):
        for j, arm in enumerate(names):
            values = r[f"{width}_{arm}"]
            at = j + 0.2 * (i - 0.5) + np.linspace(-0.04, 0.04, len(values))
            label = {"narrow": "10-7-5-4-3", "wide": "64-64"}[width] if j == 0 else None
            ax.plot(at, values, MARKERS[i], color=COLOURS[i], ms=3, label=label)
    ax.set_xticks(range(len(names)), list(names.values()), fontsize=SMALL)
    describe(ax, "", "accuracy on test patterns", "a point a replica")
    return figure


def _second_order(r: Arrays) -> Figure:
    """SNR of the gradients, by layer, and I(X;T) of the outputs, for natural gradient and plain descent."""
    figure, (left, right) = panels(2)
    for i, (name, prefix) in enumerate((("natural gradient", "newton_"), ("plain descent", "descent_"))):
        epochs = np.maximum(r[f"{prefix}epochs"], 0.5)
        middle = np.exp(np.log(r[f"{prefix}snr"]).mean(axis=0))
        for j in range(middle.shape[1]):
            left.loglog(epochs, middle[:, j], color=COLOURS[i], lw=0.8, alpha=0.7, label=name if j == 0 else None)
        x = r[f"{prefix}input"][:, :, -1]
        right.semilogx(epochs, np.median(x, axis=0), color=COLOURS[i], lw=1.2, label=name)
    left.axhline(1.0, color=GREY, lw=0.8, ls=":")
    describe(left, EPOCH, "‖mean‖ / std of the gradients", "a line a layer")
    describe(right, EPOCH, "I(X;T) of the outputs  [bits]", "medians over replicas", legend=False)
    return figure


def _batch_size(r: Arrays) -> Figure:
    """Test accuracy after equally many updates against the batch size, with B_simple and the replicas' best sizes."""
    figure, axes = panels(2, sharey=True)
    size = r["batch_size"]
    for k, (ax, step) in enumerate(zip(axes, r["steps"], strict=True)):
        _quartiles(ax, size, r["test_accuracy"][k].T, 0, "median, quartiles")
        best = size[best_size(r["test_accuracy"][k], r["test_loss"][k])]
        ax.axvline(np.exp(np.log(best).mean()), color=COLOURS[1], lw=1, ls="--", label="best size, mean")
        ax.axvline(np.median(r["noise_scale"][k]), color=COLOURS[2], lw=1, ls=":", label="B_simple")
        ax.set_xscale("log")
        ax.set_xticks(size, [str(int(one)) for one in size])
        ax.set_xticks([], minor=True)
        describe(ax, "batch size  [patterns]", "accuracy on test patterns" * (k == 0), f"step {step:g}", legend=k == 0)
    return figure


def _noise(n: Arrays) -> Figure:
    """Bits of the last hidden layer and accuracy at the end, against the strength of the noise, for either kind and width."""
    figure, axes = panels(2, 2, height=2.3)
    for column, (kind, name) in enumerate(KINDS.items()):
        for i, (width, label) in enumerate((("narrow", "10-7-5-4-3"), ("wide", "40-28-20-16-12"))):
            arms = [f"{width}_{name}_{k}_" for k in range(LEVELS)]
            bits = np.array([n[f"{arm}input"][:, -1, LAST_HIDDEN] for arm in arms]).T
            accuracy = np.array([n[f"{arm}accuracy"][:, -1] for arm in arms]).T
            _quartiles(axes[column], np.arange(LEVELS) + 0.05 * i, bits, i, label)
            _quartiles(axes[2 + column], np.arange(LEVELS) + 0.05 * i, accuracy, i, label)
        word = {"dropout": "dropout", "units": "std of the units' noise"}[kind]
        for ax, text in (
            (axes[column], "I(X;T), last hidden  [bits]"),
            (axes[2 + column], "accuracy on test patterns"),
        ):
            ax.set_xticks(range(LEVELS), STRENGTHS[kind])
            describe(ax, word, text * (column == 0), legend=ax is axes[0])
    return figure


def _iteration(r: Arrays) -> Figure:
    """Excess of the iteration over the proven optimum, start by start."""
    figure, (ax,) = panels()
    labels = {"toy": "toy joint", "random": "random joints", "random_fixed": "decoders fixed"}
    for i, (name, label) in enumerate(labels.items()):
        excess = np.sort(np.maximum(r[name], 1e-14).ravel())
        at = (np.arange(excess.size) + 0.5) / excess.size
        ax.semilogy(at, excess, DASHES[i], color=COLOURS[i], lw=1.4, label=label)
    ax.axhline(REACHED, color=GREY, lw=0.8, ls=":", label="reached")
    describe(ax, "share of the starts", "F over the proven optimum  [nats]")
    return figure
