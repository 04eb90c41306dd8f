"""The single neuron, the last hidden layer against the epoch, noisy and deterministic, its clusters, the estimator's error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, colour, describe, line_style, panels
from papers.experiments.program import Arrays, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(results: Results) -> dict[str, Figure]:
    """Every figure of the paper, by its name."""
    n, f = results["neuron"], results["flow"]
    return {"single_neuron": _neuron(n), "clustering": _clustering(f), "layers": _layers(f), "estimator": _estimator(n)}


def _neuron(n: Arrays) -> Figure:
    """I(X;T) of tanh(w x + b) + noise of std 0.1 against w: it rises, then falls to the entropy of what stays apart."""
    figure, (ax,) = panels()
    for i, (values, text) in enumerate(zip(n["against_weight"], ("b = 0", "b = -2w"), strict=True)):
        ax.plot(n["weights"], values, label=text, **line_style(i))
    ax.axhline(np.log(4), color="0.6", lw=0.8, ls=":", label="H(X) = ln 4")
    ax.set_xscale("log")
    describe(ax, "weight w (no unit)", "I(X;T)  [nats]", "quadrature, σ = 0.1")
    return figure


def _clustering(f: Arrays) -> Figure:
    """I(X;T) with its interval, and two measures of clustering, of the same networks; the twin's binned entropy."""
    figure, axes = panels(4, height=2.3)
    epochs = np.maximum(f["epochs"], 0.5)
    parts = (
        ("I(X;T), noisy  [bits]", f["deep"][:, :, 0]),
        ("scatter within classes", f["clusters_noisy"][:, :, 2]),
        ("H(Bin(T)), noisy  [bits]", f["clusters_noisy"][:, :, 3]),
        ("H(Bin(T)), twin  [bits]", f["clusters_twin"][:, :, 3]),
    )
    for k, (ax, (label, values)) in enumerate(zip(axes, parts, strict=True)):
        for r, row in enumerate(values):
            shade = colour(r)
            ax.plot(epochs, row, "o-", ms=2, lw=0.8, color=shade)
            if k == 0:
                ax.fill_between(epochs, f["deep"][r, :, 1], f["deep"][r, :, 2], color=shade, alpha=0.12, lw=0)
        ax.set_xscale("log")
        describe(ax, "epoch (0 at the left)", label, legend=False)
    figure.suptitle("last hidden layer, a line a replica; noisy networks and deterministic twins", fontsize=8)
    return figure


def _layers(f: Arrays) -> Figure:
    """Activations of the last hidden layer of the first replica, two of its three units, by label."""
    figure, axes = panels(3, height=2.5, sharex=True, sharey=True)
    parts = (("layers_start", "before training"), ("layers_noisy", "noisy, trained"), ("layers_twin", "twin, trained"))
    for ax, (name, title) in zip(axes, parts, strict=True):
        for label, marker in ((0, "o"), (1, "x")):
            chosen = f["pattern_labels"] == label
            points = f[name][chosen]
            ax.scatter(
                points[:, 0],
                points[:, 1],
                s=5,
                marker=marker,
                lw=0.5,
                color=COLOURS[label],
                alpha=0.5,
                label=f"y = {label}",
            )
        describe(
            ax,
            "unit 1 (before its noise)",
            "unit 2" if name == "layers_start" else "",
            title,
            legend=name == "layers_twin",
        )
    return figure


def _estimator(n: Arrays) -> Figure:
    figure, (ax,) = panels()
    sizes, error = n["sizes"], np.abs(n["estimates"] - n["truth_gaussian"])
    mean, spread = error.mean(axis=1), error.std(axis=1, ddof=1) / np.sqrt(error.shape[1])
    ax.errorbar(sizes, mean, 2 * spread, fmt="o-", color=COLOURS[0], ms=4, lw=1, label="E|Î − I|, 2 standard errors")
    ax.plot(sizes, mean[0] * np.sqrt(sizes[0] / sizes), "--", color="0.4", lw=1, label="∝ n^(-1/2)")
    ax.set(xscale="log", yscale="log")
    describe(ax, "samples n of X", "error of I(X;T)  [nats]", "tanh(X) + noise, σ = 0.1")
    return figure
