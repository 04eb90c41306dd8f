"""Figures of single claims, each from the arrays that its measure reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, GREY, MARKERS, describe, panels
from papers.experiments.program import Arrays
from papers.experiments.ticks import epochs_upwards
from papers.shwartz_ziv_tishby_2017.measures.batches import critical_size, passes, rescaled_transitions
from papers.shwartz_ziv_tishby_2017.measures.weights import random_like, similarities

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EPOCH = "epoch (0 at the left end)"


def decades(arms: Mapping[str, Arrays], names: Sequence[str]) -> Figure:
    """Mean SNR of every layer's gradients in each decade of epochs."""
    figure, axes = panels(2, sharey=True)
    for ax, (title, m) in zip(axes, arms.items(), strict=True):
        snr, epochs = np.log10(m["gradient_mean"] / m["gradient_std"]).mean(axis=0), m["epochs"]
        edges = [0, *(10**k for k in range(int(np.ceil(np.log10(epochs[-1]))) + 1))]
        parts = [(epochs >= a) & (epochs < b) for a, b in zip(edges, [*edges[1:], np.inf], strict=True)]
        kept = [(edge, part) for edge, part in zip(edges, parts, strict=True) if part.any()]
        for j, name in enumerate(names):
            values = [10 ** snr[part, j].mean() for _, part in kept]
            ax.semilogy(range(len(kept)), values, marker=MARKERS[j], color=COLOURS[j], ms=3, lw=1, label=name)
        ax.axhline(1.0, color=GREY, lw=0.8, ls=":")
        ax.set_xticks(range(len(kept)), [str(edge) for edge, _ in kept], rotation=30)
        first = ax is axes[0]
        describe(ax, "decade of epochs from", "‖mean‖ / std of the gradients" * first, title, legend=first, ncols=2)
    return figure


def random_rules(r: Arrays) -> Figure:
    """The outputs' paths, one random icosahedral rule each."""
    figure, (left, right) = panels(2)
    epochs = np.maximum(r["epochs"], 0.5)
    for k, (x, y) in enumerate(zip(r["input"][:, :, -1], r["label"][:, :, -1], strict=True)):
        left.plot(x, y, color=COLOURS[k % len(COLOURS)], lw=0.8)
        right.semilogx(epochs, x, color=COLOURS[k % len(COLOURS)], lw=0.8)
    describe(left, "I(X;T) of the outputs  [bits]", "I(T;Y)  [bits]", "a line a rule")
    describe(right, EPOCH, "I(X;T) of the outputs  [bits]")
    return figure


def weight_path(arms: Mapping[str, Arrays]) -> Figure:
    """Squared displacement since the peak of the outputs' I(X;T), and the cosine of successive increments."""
    figure, (left, right) = panels(2)
    for i, (name, m) in enumerate(arms.items()):
        for k, (t, d) in enumerate(zip(m["elapsed"], m["displacement"], strict=True)):
            left.loglog(t, d, color=COLOURS[i], lw=0.6, alpha=0.5, label=name if k == 0 else None)
        there = np.isfinite(m["increments_cosine"]).sum(axis=0) > 1
        middle = np.nanmean(m["increments_cosine"][:, there], axis=0)
        right.semilogx(np.maximum(m["epochs"][there], 0.5), middle, color=COLOURS[i], lw=1.2, label=name)
    t, d = next(iter(arms.values()))["elapsed"], next(iter(arms.values()))["displacement"]
    last = np.nanmedian(d[:, -1]) / np.nanmedian(t[:, -1])
    ends = np.array([np.nanmin(t), np.nanmax(t)])
    left.loglog(ends, last * ends, "--", color=GREY, lw=1, label="∝ time: Wiener process")
    describe(left, "epochs since the change of phase", "‖Δw‖², hidden layers  (no unit)")
    right.axhspan(-0.1, 0.1, color=GREY, alpha=0.15, lw=0)
    describe(right, "epoch", "cosine of successive increments", "independent: in the band")
    return figure


def alignment(m: Arrays) -> Figure:
    """Pairs of replicas: mean |cos| of units that correspond, and of random vectors that are aligned in the same way."""
    figure, (ax,) = panels()
    layers = [m[f"weights_{i}"] for i in range(sum(name.startswith("weights_") for name in m) - 1)]
    found = {"networks": similarities(layers), "random vectors": similarities(random_like(layers))}
    both = np.concatenate(list(found.values()))
    edges = np.linspace(both.min(), both.max(), 30).tolist()
    for i, (name, values) in enumerate(found.items()):
        ax.hist(values, edges, density=True, color=COLOURS[i], alpha=0.5, label=name)
    describe(ax, "mean |cos| of aligned units", "density over pairs")
    return figure


def separation(m: Arrays, names: Sequence[str]) -> Figure:
    """P(a pair of equal label is nearer), layer by layer, of the trained and of the untrained network."""
    figure, (ax,) = panels()
    for i, (name, arm) in enumerate((("trained", "separation"), ("untrained", "separation_before"))):
        low, middle, high = np.quantile(m[arm], [0.25, 0.5, 0.75], axis=0)
        at = np.arange(len(middle)) + 0.1 * i
        ax.errorbar(
            at, middle, [middle - low, high - middle], fmt=MARKERS[i] + "-", color=COLOURS[i], ms=4, lw=1, label=name
        )
    ax.set_xticks(range(1 + len(names)), ["in", *(n.replace("hidden ", "h").replace("output", "out") for n in names)])
    ax.axhline(0.5, color=GREY, ls=":", lw=0.8)
    describe(ax, "layer", "P(pair of equal label is nearer)", "median and quartiles")
    return figure


def maps(m: Arrays) -> Figure:
    """What an invertible map of the last hidden layer changes of two estimates, and what chance in the estimate does."""
    figure, (ax,) = panels()
    for k, (name, arm) in enumerate((("invertible map", "mapped"), ("other edges, other noise", "null"))):
        for j in range(2):
            values = np.abs(m[f"map_{arm}"] - m["map_own"])[:, j]
            at = j + 0.25 * (k - 0.5) + np.linspace(-0.06, 0.06, len(values))
            ax.plot(at, values, MARKERS[k], color=COLOURS[k], ms=3, label=name if j == 0 else None)
    ax.set_xticks(range(2), ["binned", "noise added"])
    describe(ax, "estimate", "change of I(X;T)  [bits]", "a point a replica")
    return figure


def batches(r: Arrays, race: Arrays) -> Figure:
    """Updates until the transition, measured and rescaled from one path; passes until the loss, with the fitted critical size."""
    figure, (left, right) = panels(2)
    size = np.asarray(r["batch_size"], dtype=np.float64)
    measured, same = r["transition"] / size, rescaled_transitions(r)
    for i, (values, name) in enumerate(((measured, "measured"), (same, "rescaled from one path"))):
        for k, row in enumerate(np.asarray(values)):
            left.loglog(
                size,
                row * size[1],
                MARKERS[i] + "-",
                color=COLOURS[i],
                ms=3,
                lw=0.6,
                alpha=0.6,
                label=name if k == 0 else None,
            )
    _sizes(left, size)
    epochs_upwards(left)
    describe(left, "batch size  [patterns]", f"transition  [epochs of batches of {int(size[1])}]")
    sizes, n = np.asarray(race["batch_size"], dtype=np.float64), float(race["n_train"])
    needed = passes(race)
    for k, column in enumerate(needed.T):
        right.loglog(
            sizes, column, "o-", color=COLOURS[0], ms=3, lw=0.6, alpha=0.6, label="measured" if k == 0 else None
        )
    critical = [critical_size(sizes, column * n / sizes) for column in needed.T]
    noise = np.median(race[f"{int(sizes[1])}_noise_scale"][:, 1:], axis=1)
    for i, (values, name) in enumerate(((np.array(critical), "critical size"), (noise, "B_simple"))):
        if np.isfinite(values).any():
            right.axvline(float(np.nanmedian(values)), color=COLOURS[i + 1], lw=1, ls=("--", ":")[i], label=name)
    _sizes(right, sizes)
    describe(right, "batch size  [patterns]", "epochs to a loss of 0.3 nats")
    return figure


def dropout(n: Arrays) -> Figure:
    """I(X;T) of the last hidden layer over the epochs at each rate of dropout, narrow and wide."""
    figure, axes = panels(2)
    for ax, arm, title in zip(axes, ("", "wide_"), ("10-7-5-4-3", "40-28-20-16-12"), strict=True):
        rates = sorted(
            {k.split("_")[-2] for k in n if k.endswith("_input") and k.startswith(arm or "0") and "second" not in k}
        )
        for i, rate in enumerate(rates):
            x, epochs = n[f"{arm}{rate}_input"][:, :, -2], np.maximum(n[f"{arm}{rate}_epochs"], 0.5)
            low, middle, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
            ax.fill_between(epochs, low, high, color=COLOURS[i], alpha=0.15, lw=0)
            ax.semilogx(epochs, middle, color=COLOURS[i], lw=1.2, label=f"{float(rate):.0%}")
        describe(ax, EPOCH, "I(X;T), last hidden  [bits]" * (arm == ""), title, legend=arm == "")
    return figure


def _sizes(ax: Axes, size: np.ndarray) -> None:
    ax.set_xticks(size, [f"{int(one)}" for one in size])
    ax.set_xticks([], minor=True)
