"""The paper's figures measured again, and a figure for every claim beside, from the results alone."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from deepnets import plotting
from deepnets.gradients import GradientPhases
from deepnets.plotting import plot_gradient_phases
from deepnets.training.presets import WIDTHS
from dualib.core.figure import COLOURS, GREY, MARKERS, describe, panels
from dualib.core.units import NATS_PER_BIT
from ntkinfo.bounds import input_compression
from papers.experiments.planes import plane_from
from papers.experiments.program import Arrays, Results
from papers.shwartz_ziv_tishby_2017.drawings import (
    alignment,
    batches,
    decades,
    dropout,
    maps,
    random_rules,
    separation,
    weight_path,
)
from papers.shwartz_ziv_tishby_2017.measures.bound import DELTA, percentages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = (*(f"hidden {i}" for i in range(1, len(WIDTHS) - 1)), "output")


def figures(results: Results) -> dict[str, Figure]:
    """Every figure of the paper, by its name."""
    m, sgd, f, d, w = (results[name] for name in ("main", "sgd", "fractions", "depth", "width"))
    plane, (figure_3, (ax,)) = plane_from(m), panels()
    plotting.plot_plane(plane, ax=ax)
    return {
        "figure_2_snapshots": plotting.plot_snapshots(plane, (0, 400, float(plane.epochs[-1]))),
        "figure_3_plane": figure_3,
        "figure_3_descent": plotting.plot_planes({"Adam": plane, "plain descent": plane_from(sgd)}),
        "figure_3_rules": random_rules(results["rules"]),
        "figure_3_seven_layers": plotting.plot_planes(
            {"five hidden layers": plane, "seven hidden layers": plane_from(results["reading"])}
        ),
        "figure_3_sample_sizes": plotting.plot_planes(
            {f"{p}% of the patterns": plane_from(f, f"{p}_") for p in (5, 45, 85)}, columns=3
        ),
        "figure_4_gradients": _gradients(sgd),
        "figure_4_gradients_adam": _gradients(m),
        "figure_4_decades": decades({"plain descent": sgd, "Adam": m}, NAMES),
        "figure_5_depth": plotting.plot_planes(
            {"one hidden layer": plane_from(d, "one_"), "six hidden layers": plane_from(d, "six_")}
        ),
        "figure_5_relevance": _depth(d),
        "figure_6_bottleneck": _bottleneck(results["bottleneck"]),
        "figure_7_sample_size": _sample_sizes(f),
        "width": plotting.plot_planes(
            {"10-7-5-4-3": plane, "20-14-10-8-6": plane_from(w), "40-28-20-16-12": plane_from(w, "four_")}, columns=3
        ),
        "dropout": dropout(results["noise"]),
        "against_epochs": plotting.plot_against_epochs(plane),
        "against_epochs_noise": plotting.plot_against_epochs(plane_from(m, second=True)),
        "weights": weight_path({"plain descent": sgd, "Adam": m}),
        "alignment": alignment(m),
        "separation": separation(m, NAMES),
        "maps": maps(m),
        "batches": batches(results["batches"], results["race"]),
        "compression_bound": _compression_bound(f),
    }


def _gradients(m: Arrays) -> Figure:
    names = tuple(f"{a}→{b}" for a, b in pairwise(WIDTHS))
    parts = m["epochs"], m["gradient_mean"], m["gradient_std"], m["weight_norm"]
    return plot_gradient_phases(GradientPhases(*parts, 256, names))


def _depth(d: Arrays) -> Figure:
    """I(T;Y) of the outputs above one and above six hidden layers, by Adam and by plain descent."""
    figure, axes = panels(2, sharey=True)
    for ax, prefix, title in zip(axes, ("", "sgd_"), ("Adam", "plain descent"), strict=True):
        for i, name in enumerate(("one", "six")):
            epochs = np.maximum(d[f"{prefix}{name}_epochs"], 0.5)
            low, middle, high = np.quantile(d[f"{prefix}{name}_label"][:, :, -1], [0.25, 0.5, 0.75], axis=0)
            ax.fill_between(epochs, low, high, color=COLOURS[i], alpha=0.25, lw=0)
            ax.semilogx(epochs, middle, color=COLOURS[i], lw=1.2, label=f"{name} hidden layer{'s' * (name == 'six')}")
        ax.axvline(400, color=GREY, lw=0.8, ls=":")
        ax.axhline(0.95, color=GREY, lw=0.8, ls="--", label="full: 0.95 bits")
        ax.axhline(0.8, color=GREY, lw=0.8, ls="-.", label="good: 0.8 bits")
        describe(
            ax,
            "epoch (0 at the left end)",
            "I(T;Y) of the outputs  [bits]" * (prefix == ""),
            title,
            legend=prefix == "",
        )
    return figure


def _bottleneck(r: Arrays) -> Figure:
    """Each layer's median over replicas against the exact curve; how far its equations are violated, and a random encoder's."""
    figure, (left, right) = panels(2, height=3.0)
    for prefix, style, name in (("", "-", "exact IB curve, γ = 53.8"), ("dual_", "--", "exact dualIB curve")):
        order = np.argsort(r[prefix + "rate"])
        rate, relevance = (r[prefix + axis][order] / NATS_PER_BIT for axis in ("rate", "relevance"))
        left.plot(rate, relevance, style, color="0.3", lw=1.2, label=name)
    fits = np.median(r["fits"], axis=0)
    for j, name in enumerate(NAMES):
        beta = fits[j, 0]
        text = f"{name}: β* {'≥ 10⁴' if beta >= 1e4 else f'= {beta:.3g}'}"
        left.plot(fits[j, 4] / NATS_PER_BIT, fits[j, 5] / NATS_PER_BIT, MARKERS[j], color=COLOURS[j], ms=5, label=text)
    describe(left, "I(X;T)  [bits]", "I(T;Y)  [bits]", "medians over replicas, 30 edges", loc="lower right")
    arms = (("own β", "o", "black"), ("shared β", "s", GREY), ("random encoder", "x", "black"))  # colours are layers
    for k, (name, sign, shade) in enumerate(arms):
        column = 1 + k
        low, middle, high = np.quantile(r["fits"][:, :, column], [0.25, 0.5, 0.75], axis=0) / NATS_PER_BIT
        at = np.arange(len(NAMES)) + 0.2 * (k - 1)
        right.errorbar(at, middle, [middle - low, high - middle], fmt=sign, ms=4, lw=1, color=shade, label=name)
    right.set_xticks(range(len(NAMES)), [n.replace("hidden ", "h") for n in NAMES])
    describe(right, "layer", "violation of the equations  [bits]", "median and quartiles")
    return figure


def _sample_sizes(f: Arrays) -> Figure:
    figure, (ax,) = panels()
    for i, p in enumerate(percentages(f)):
        x, y = (np.median(f[f"{p}_{name}"][:, -1], axis=0) for name in ("input", "label"))
        ax.plot(x, y, "-", marker=MARKERS[i], color=COLOURS[i], ms=4, lw=1, label=f"{p}% of the patterns")
    describe(
        ax,
        "I(X;T) at the end  [bits]",
        "I(T;Y) at the end  [bits]",
        "layers, medians over replicas",
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    return figure


def _compression_bound(f: Arrays) -> Figure:
    """√((2^I(X;T) + ln 1/δ) / 2m) for the last hidden layer against the measured gap of the accuracies; above 1 it says nothing."""
    figure, (left, right) = panels(2, sharey=True)
    for ax, which, title in (
        (left, "input", "bound with 30 edges"),
        (right, "second_input", "bound with noise of std 0.1"),
    ):
        shown = percentages(f, which.removesuffix("input"))
        for i, p in ((i, p) for i, p in enumerate(percentages(f)) if p in shown):
            m, epochs = float(f[f"{p}_n"]), np.maximum(f[f"{p}_epochs"], 0.5)
            at = np.maximum(f[f"{p}_epochs" if which == "input" else f"{p}_second_epochs"], 0.5)
            nats = np.median(f[f"{p}_{which}"][:, :, -2], axis=0) * NATS_PER_BIT
            bound = [input_compression(one, int(m), DELTA).value for one in nats]
            gap = np.maximum(np.median(f[f"{p}_gap"], axis=0), 1e-4)
            ax.loglog(at, bound, color=COLOURS[i], lw=1.2, label=f"bound, {p}%")
            ax.loglog(epochs, gap, "--", color=COLOURS[i], lw=1, label=f"gap, {p}%")
        ax.axhline(1.0, color="0.5", ls=":", lw=0.8)
        describe(ax, "epoch (0 at the left end)", "", title, legend=False)
    right.legend(
        *left.get_legend_handles_labels(), fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    left.set_ylabel("bound on, or measured, accuracy gap", fontsize=8)
    return figure
