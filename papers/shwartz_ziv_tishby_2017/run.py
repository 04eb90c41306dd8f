"""Opening the black box [shwartzziv2017]_: layers in the information plane, gradients, depth, width, sample size."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import deepnets
import dualib
from deepnets import plotting
from deepnets.estimators.clustering import clustering
from deepnets.gradients import GradientPhases, gradient_phases
from papers.frame import Measurement
from papers.intervals import exact, t_interval
from papers.planes import (
    BITS,
    WIDTHS,
    compression,
    half_way_epoch,
    ordered_share,
    peak_epoch,
    pick,
    plane_arrays,
    plane_from,
    train,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTPUT, LAST_HIDDEN = -1, -2


def main(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """80% of the patterns: planes under two binnings, gradients, weights' paths, label separation."""
    run = train(settings, seed)
    plane = deepnets.information_plane(run)
    phases = gradient_phases(run, seed=seed)
    last, task = len(run.epochs) - 1, run.task
    separation, changed = [], []
    for replica in range(run.n_replicas):
        layers = run.activations(last, replica)
        separation.append([clustering(t, task.p_y_given_x).separation for t in layers])
        hidden = layers[LAST_HIDDEN]
        values = [
            deepnets.Binning().layer(t, task.p_y_given_x).input.value * BITS
            for t in (hidden, np.sign(hidden) * hidden**4)
        ]
        changed.append(abs(values[1] - values[0]))
    flat = [layer["w"].reshape(len(run.epochs), run.n_replicas, -1) for layer in run.params[:-1]]
    weights = np.concatenate(flat, axis=2)
    start = pick(run.epochs, [float(np.median(phases.transition_epoch()[:, -1]))])[0]
    finer = deepnets.information_plane(run, deepnets.Binning(100))
    first = run.params[0]["w"][-1].reshape(run.n_replicas, -1)
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    return {
        **plane_arrays(plane),
        **plane_arrays(finer, "finer_"),
        "gradient_mean": phases.mean,
        "gradient_std": phases.std,
        "weight_norm": phases.weight_norm,
        "transition": phases.transition_epoch(),
        "separation": np.array(separation),
        "changed_by_map": np.array(changed),
        "diffusion_epochs": run.epochs[start + 1 :] - run.epochs[start],
        "displacement": ((weights[start + 1 :] - weights[start]) ** 2).sum(axis=2).T,
        "similarity": np.abs((unit @ unit.T)[np.triu_indices(run.n_replicas, 1)]),
    }


def bottleneck(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The last layers against the bottleneck equations, with the controls, and the exact curve of the stochastic rule."""
    run = train(settings, seed, replicas=settings["few"])
    joint = deepnets.icosahedral_task(53.826).joint
    curve = dualib.information_curve(dualib.IB(joint))
    binning, rows = deepnets.Binning(), []
    for replica in range(run.n_replicas):
        layers = run.activations(len(run.epochs) - 1, replica)
        codes = [np.unique(binning.codes(t), axis=0, return_inverse=True)[1].ravel() for t in layers]
        own, shared = [deepnets.fit_beta(c, joint) for c in codes], deepnets.fit_shared_beta(codes, joint)
        random = [deepnets.fit_random_encoder(c, joint, seed) for c in codes]
        rows.append([(o.beta, o.residual, s.residual, r.residual, o.rate, o.relevance)
                     for o, s, r in zip(own, shared, random, strict=True)])  # fmt: skip
    found = np.array(rows)
    needed = [[float(curve.at_relevance(min(v, curve.relevance.max())).rate) for v in row] for row in found[:, :, 5]]
    return {"fits": found, "needed_rate": np.array(needed), "rate": curve.rate, "relevance": curve.relevance}


def fractions(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """5, 45 and 85% of the patterns."""
    found: dict[str, Any] = {}
    for percent in (5, 45, 85):
        changes = {"replicas": settings["few"], "epochs": settings["side_epochs"]}
        run = train(settings, seed, train_fraction=percent / 100, batch_size=min(256, percent * 40), **changes)
        found |= plane_arrays(deepnets.information_plane(run), f"{percent}_")
        found[f"{percent}_gap"] = (run.scores["train_accuracy"] - run.scores["test_accuracy"]).T
        found[f"{percent}_n"] = run.train_patterns.shape[1]
    return found


def depth(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One hidden layer against five."""
    changes = {"replicas": settings["few"], "epochs": settings["side_epochs"]}
    one = train(settings, seed, widths=(12, 10, 2), **changes)
    six = train(settings, seed, widths=(12, 12, *WIDTHS[1:]), **changes)
    return {
        **plane_arrays(deepnets.information_plane(one), "one_"),
        **plane_arrays(deepnets.information_plane(six), "six_"),
    }


def width(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Hidden layers of twice the width."""
    run = train(settings, seed, widths=(12, 20, 14, 10, 8, 6, 2), replicas=settings["few"])
    return plane_arrays(deepnets.information_plane(run))


def batches(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The transition of the last layer's gradients at three batch sizes."""
    sizes = (64, 256, 1024)
    found = []
    for size in sizes:
        run = train(settings, seed, replicas=settings["few"], epochs=settings["side_epochs"], batch_size=size)
        found.append(gradient_phases(run, seed=seed).transition_epoch()[:, -1])
    return {"batch_size": np.array(sizes), "transition": np.array(found).T}


def noise(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Dropout of 10% in place of none."""
    changes = {"replicas": settings["few"]}
    return {
        **plane_arrays(deepnets.information_plane(train(settings, seed, **changes)), "plain_"),
        **plane_arrays(deepnets.information_plane(train(settings, seed, dropout=0.1, **changes)), "dropout_"),
    }


EXPERIMENTS = {
    "main": main, "bottleneck": bottleneck, "fractions": fractions, "depth": depth, "width": width, "batches": batches,
    "noise": noise,
}  # fmt: skip


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    """The numbers that expected.toml judges, over replicas."""
    m, f, d = results["main"], results["fractions"], results["depth"]
    epochs, x, y = m["epochs"], m["input"], m["label"]
    at400 = pick(epochs, [400])[0]
    full = float(y.max())
    unsaturated = y[:, 0].mean(axis=0) < 0.99 * full
    snr = m["gradient_mean"] / m["gradient_std"]
    start = np.isfinite(m["transition"][:, OUTPUT]) & (m["transition"][:, OUTPUT] > 0)
    onset = np.log10(
        np.maximum(m["transition"][start, OUTPUT], 1) / np.maximum(peak_epoch(epochs, x[start, :, OUTPUT]), 1)
    )
    diffusion = np.log(m["diffusion_epochs"])
    wiener = [np.polyfit(diffusion, np.log(row), 1)[0] for row in m["displacement"]]
    fits = results["bottleneck"]["fits"]
    found = {
        "path_rate": t_interval(ordered_share(x[:, 0]), "1"),
        "path_relevance": t_interval(ordered_share(y[:, 0]), "1"),
        "rise_by_400": t_interval((y[:, at400] - y[:, 0])[:, unsaturated].min(axis=1), "bits"),
        "kept_at_the_end": t_interval(y[:, -1, OUTPUT] / full, "1"),
        "compression_output": t_interval(compression(x[:, :, OUTPUT]), "bits"),
        "compression_last_hidden": t_interval(compression(x[:, :, LAST_HIDDEN]), "bits"),
        "compression_output_100_bins": t_interval(compression(m["finer_input"][:, :, OUTPUT]), "bits"),
        "compression_last_hidden_100_bins": t_interval(compression(m["finer_input"][:, :, LAST_HIDDEN]), "bits"),
        "peak_of_output": t_interval(x[:, :, OUTPUT].max(axis=1), "bits"),
        "peak_epoch_of_output": t_interval(peak_epoch(epochs, x[:, :, OUTPUT]), "epochs"),
        "end_of_output": t_interval(x[:, -1, OUTPUT], "bits"),
        "snr_first": t_interval(np.log10(snr[:, 0].min(axis=1)), "log10"),
        "snr_last": t_interval(np.log10(snr[:, -1].max(axis=1)), "log10"),
        "onset_ratio": t_interval(onset, "log10"),
        "wiener_exponent": t_interval(wiener, "1"),
        "similarity_of_weights": t_interval(m["similarity"], "1"),
        "spread_of_accuracy": exact(m["accuracy"][:, -1].std(), "1"),
        "residual_ratio": t_interval(fits[:, OUTPUT, 1] / fits[:, OUTPUT, 3], "1"),
        "excess_rate_output": t_interval((fits[:, OUTPUT, 4] - results["bottleneck"]["needed_rate"][:, OUTPUT]) * BITS, "bits"),
        "excess_rate_last_hidden": t_interval(
            (fits[:, LAST_HIDDEN, 4] - results["bottleneck"]["needed_rate"][:, LAST_HIDDEN]) * BITS, "bits"
        ),
        "six_at_400": t_interval(d["six_label"][:, pick(d["six_epochs"], [400])[0], OUTPUT], "bits"),
        "one_at_the_end": t_interval(d["one_label"][:, -1, OUTPUT], "bits"),
        "deeper_first": t_interval(
            np.log10(half_way_epoch(epochs, x[:, :, LAST_HIDDEN]) / np.maximum(half_way_epoch(epochs, x[:, :, OUTPUT]), 1)), "log10"
        ),
        "compression_wide": t_interval(compression(results["width"]["input"][:, :, LAST_HIDDEN]), "bits"),
        "gain_of_width": _difference(results["width"]["accuracy"][:, -1], m["accuracy"][:, -1], "1"),
        "lost_at_5": t_interval(_lost(f["5_label"]), "bits"),
        "lost_at_85": t_interval(_lost(f["85_label"]), "bits"),
        "compression_slope": t_interval(_slopes(f), "1"),
        "separation_grows": t_interval((np.diff(m["separation"], axis=1) > 0).mean(axis=1), "1"),
        "changed_by_invertible_map": t_interval(m["changed_by_map"], "bits"),
        "transition_against_batch": t_interval(
            [np.polyfit(np.log(results["batches"]["batch_size"]), np.log(np.maximum(row, 1)), 1)[0]
             for row in results["batches"]["transition"] if np.isfinite(row).all()], "1"
        ),
        "more_by_dropout": _difference(
            compression(results["noise"]["dropout_input"][:, :, LAST_HIDDEN]),
            compression(results["noise"]["plain_input"][:, :, LAST_HIDDEN]), "bits",
        ),
    }  # fmt: skip
    return found


def _difference(a: np.ndarray, b: np.ndarray, unit: str) -> Measurement:
    """Mean difference of two groups of replicas, with the intervals of both added in quadrature."""
    first, second = t_interval(a, unit), t_interval(b, unit)
    half = float(np.hypot(first.high - first.value, second.high - second.value))
    value = first.value - second.value
    return Measurement(value, value - half, value + half, unit, min(first.n, second.n))


def _lost(label: np.ndarray) -> np.ndarray:
    """Label information that the outputs lose from their best epoch to the last, (R,)."""
    return label[:, :, OUTPUT].max(axis=1) - label[:, -1, OUTPUT]


def _slopes(f: Mapping[str, Any]) -> np.ndarray:
    """Slope of log2(2 m gap²) against I(X;T) of the last hidden layer, over the sample sizes: 1 by the claim, a slope a replica."""
    bits = np.stack([f[f"{p}_input"][:, -1, LAST_HIDDEN] for p in (5, 45, 85)], axis=1)
    gap = np.stack([f[f"{p}_gap"][:, -1] for p in (5, 45, 85)], axis=1)
    m = np.array([float(f[f"{p}_n"]) for p in (5, 45, 85)])
    effect = np.log2(2 * m * np.maximum(gap, 1e-3) ** 2)
    return np.array([np.polyfit(b, e, 1)[0] for b, e in zip(bits, effect, strict=True)])


def figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Figures 2 to 7 of the paper, from the results alone."""
    m, f, d = results["main"], results["fractions"], results["depth"]
    plane = plane_from(m)
    phases = GradientPhases(
        m["epochs"], m["gradient_mean"], m["gradient_std"], m["weight_norm"], 256,
        tuple(f"{a}→{b}" for a, b in pairwise(WIDTHS)),
    )  # fmt: skip
    from deepnets.bottleneck_fit import BottleneckFit
    from deepnets.plotting_layers import plot_gradient_phases

    figure: dict[str, Any] = {
        "figure_2_snapshots": plotting.plot_snapshots(plane, (0, 400, float(plane.epochs[-1]))),
        "figure_3_sample_sizes": plotting.plot_planes(
            {f"{p}% of the patterns": plane_from(f, f"{p}_") for p in (5, 45, 85)}
        ),
        "figure_3_plane": plotting.plot_plane(plane).figure,
        "figure_4_gradients": plot_gradient_phases(phases),
        "figure_5_depth": plotting.plot_planes(
            {"one hidden layer": plane_from(d, "one_"), "six hidden layers": plane_from(d, "six_")}
        ),
        "against_epochs": plotting.plot_against_epochs(plane),
    }
    fits = [
        BottleneckFit(row[0], row[1], bool(row[0] >= 1e4), row[4], row[5]) for row in results["bottleneck"]["fits"][0]
    ]
    figure["figure_6_bottleneck"] = _figure_6(fits, results["bottleneck"])
    figure["figure_7_sample_size"] = _figure_7(f)
    return figure


def _figure_6(fits: Any, r: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    ax = figure.subplots()
    order = np.argsort(r["rate"])
    ax.plot(r["rate"][order] * BITS, r["relevance"][order] * BITS, color="0.3", label="exact IB curve, γ = 53.8")
    names = (*(f"{i} ({w})" for i, w in enumerate(WIDTHS[1:-1], 1)), "output (2)")
    for j, (fit, name) in enumerate(zip(fits, names, strict=True)):
        sign = "≥" if fit.at_the_edge else "="
        marker, colour = plotting.MARKERS[j], plotting.COLOURS[j]
        ax.plot(fit.rate * BITS, fit.relevance * BITS, marker, color=colour, label=f"{name}: β* {sign} {fit.beta:.3g}")
    ax.set(xlabel="I(X;T)  [bits]", ylabel="I(T;Y)  [bits]")
    ax.legend(fontsize=7)
    return figure


def _figure_7(f: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    ax = figure.subplots()
    for i, p in enumerate((5, 45, 85)):
        x, y = (np.median(f[f"{p}_{name}"][:, -1], axis=0) for name in ("input", "label"))
        ax.plot(x, y, "-" + plotting.MARKERS[i], color=plotting.COLOURS[i], label=f"{p}% of the patterns")
    ax.set(xlabel="I(X;T) at the end  [bits]", ylabel="I(T;Y) at the end  [bits]")
    ax.legend(fontsize=8)
    return figure
