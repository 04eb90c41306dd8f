"""The single neuron, the last hidden layer against the epoch, noisy and deterministic, its clusters, the estimator's error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, SMALL, colour, describe, legend_above, line_style, panels
from dualib.core.typing import FloatArray, IntArray
from papers.experiments.program import Arrays, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figures(results: Results) -> dict[str, Figure]:
    """Every figure of the paper, by its name."""
    n, f = results["neuron"], results["flow"]
    return {
        "single_neuron": _neuron(n),
        "noise": _noise(n, results["exact"]),
        "clustering": _clustering(f),
        "layers": _layers(f),
        "estimator": _estimator(n),
        "dimension": _dimension(results["dimension"]),
    }


def _neuron(n: Arrays) -> Figure:
    """I(X;T) of tanh(w x + b) + noise of std 0.1 against w: it rises, then falls to the entropy of what stays apart."""
    figure, (ax,) = panels()
    for i, (values, text) in enumerate(zip(n["against_weight"], ("b = 0", "b = -2w"), strict=True)):
        ax.plot(n["weights"], values, label=text, **line_style(i))
    ax.axhline(np.log(4), color="0.6", lw=0.8, ls=":", label="H(X) = ln 4")
    ax.set_xscale("log")
    describe(ax, "weight w (no unit)", "I(X;T)  [nats]", "quadrature, σ = 0.1")
    return figure


def _noise(n: Arrays, exact: Arrays) -> Figure:
    """I(X;T) as noise vanishes: of Gaussian X without limit, of four points to H(X); and the bits that arithmetic loses."""
    figure, axes = panels(2, height=2.7)
    noises = n["noises"]
    axes[0].plot(noises, n["against_noise"], "o-", ms=4, lw=1.2, color=COLOURS[0], label="X Gaussian")
    start = n["against_noise"][0]
    axes[0].plot(noises, start + np.log(noises[0] / noises), "--", color="0.5", lw=1, label="one nat per e-fold")
    axes[0].plot(noises, n["against_noise_discrete"], "s-", ms=4, lw=1.2, color=COLOURS[1], label="X on four points")
    axes[0].set_xscale("log")
    axes[0].set_xticks(noises, [f"{v:g}" for v in noises])
    axes[0].minorticks_off()
    axes[0].invert_xaxis()
    describe(axes[0], "noise σ (less to the right)", "I(X;T)  [nats]", "one tanh neuron, quadrature")
    parts = {"single": "single precision", "double": "double precision", "exact": f"{int(exact['digits'])} digits"}
    for k, (name, text) in enumerate(parts.items()):
        lost = exact[name].max(axis=0)
        axes[1].plot(np.arange(1, len(lost) + 1), lost, "os^"[k] + "-", ms=4, lw=1.2, color=COLOURS[k], label=text)
    axes[1].axhline(0.1, color="k", lw=0.8, ls=":", label="threshold of the claim")
    axes[1].set_xticks(range(1, exact["exact"].shape[1] + 1))
    describe(
        axes[1], "hidden layer", "bits of H(X) lost", f"{int(exact['n'])} patterns, end of training, worst network"
    )
    return figure


def _clustering(f: Arrays) -> Figure:
    """Medians and quartiles over the replicas: noisy networks, with orthonormal weights, deterministic twins."""
    figure, axes = panels(3, height=2.7)
    epochs = np.maximum(f["epochs"], 0.5)
    arms = (
        ("noisy", "deep", "clusters_noisy"),
        ("orthonormal", "deep_blocked", "clusters_blocked"),
        ("twin", "", "clusters_twin"),
    )
    labels = ("I(X;T)  [bits]", "distance within over between", "H(Bin(T))  [bits]")
    for k, (ax, label) in enumerate(zip(axes, labels, strict=True)):
        for i, (name, deep, clusters) in enumerate(arms):
            if k == 0 and not deep:
                continue
            values = f[deep][:, :, 0] if k == 0 else f[clusters][:, :, 1 if k == 1 else 3]
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
            ax.fill_between(epochs, low, high, color=COLOURS[i], alpha=0.2, lw=0)
            ax.plot(epochs, middle, label=name if k == 1 else None, **line_style(i))
        ax.set_xscale("log")
        describe(ax, "epoch (0 at the left)", label, legend=False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
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
    _errors(ax, n["sizes"], np.abs(n["estimates"] - n["truth_gaussian"]), 0, "mean error, 2 standard errors")
    mean, sizes = np.abs(n["estimates"][0] - n["truth_gaussian"]).mean(), n["sizes"]
    ax.plot(sizes, mean * np.sqrt(sizes[0] / sizes), "--", color="0.4", lw=1, label="∝ n^(−1/2)")
    describe(ax, "samples n of X", "error of I(X;T)  [nats]", "tanh(X) + noise, σ = 0.1")
    return figure


def _dimension(r: Arrays) -> Figure:
    """The mean error against n, a line a dimension, with the claimed rate."""
    figure, (ax,) = panels(height=3.0)
    for k, (d, estimates) in enumerate(zip(r["dimensions"], r["estimates"], strict=True)):
        error = np.abs(estimates - r["truth"][k])
        _errors(ax, r["sizes"], error, k, f"d = {d}")
    sizes = r["sizes"]
    ax.plot(sizes, 0.1 * np.sqrt(sizes[0] / sizes), "--", color="0.4", lw=1, label="∝ n^(−1/2)")
    describe(ax, "samples n", "error of I(X;T)  [nats]", legend=False)
    legend_above(ax, title="d independent tanh(X) + noise, σ = 0.5")
    return figure


def _errors(ax: Axes, sizes: IntArray, error: FloatArray, k: int, label: str) -> None:
    """Mean errors (sizes, draws) with two standard errors, on logarithmic axes whose ticks are the sizes."""
    mean, spread = error.mean(axis=1), error.std(axis=1, ddof=1) / np.sqrt(error.shape[1])
    ax.errorbar(sizes, mean, 2 * spread, fmt="o-", color=colour(k), ms=3, lw=1, label=label)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(sizes, [f"{size}" for size in sizes])
    ax.minorticks_off()
