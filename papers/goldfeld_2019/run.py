"""Estimating information flow in deep neural networks [goldfeld2019]_: noise, estimators, clustering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import deepnets
import dualib
from deepnets.estimators.clustering import clustering
from deepnets.plotting import COLOURS
from papers.frame import Measurement
from papers.intervals import exact, t_interval
from papers.planes import BITS, train

LAST = -2  # the last hidden layer, before the outputs
NEURONS = ((0.1, 0.0), (0.5, 0.0), (1.0, -2.0), (3.0, -6.0), (20.0, -40.0))


def neuron(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One noisy neuron, X uniform on {-3, -1, 1, 3}: I(X;T) by quadrature, and by the plug-in from samples of X."""
    x, label = np.array([-3.0, -1.0, 1.0, 3.0]), np.eye(2)[[0, 0, 0, 1]]
    truth = [deepnets.Quadrature(0.1).layer(np.tanh(w * x + b)[:, None], label).input.value for w, b in NEURONS]
    rng = np.random.default_rng(seed)
    errors, share = [], []
    for size in settings["sizes"]:
        values = []
        for draw in range(settings["draws"]):
            t = np.tanh(rng.normal(size=(int(size), 1)))
            estimate = deepnets.SmoothedPlugin(0.1).layer(t, np.eye(2)[np.zeros(int(size), int)], seed=seed + draw)
            values.append(estimate.input.value)
            share.append(estimate.input.std_error / deepnets.SmoothedPlugin(0.1).standard_error_bound(t))
        errors.append(values)
    sizes = np.array(settings["sizes"])
    return {"truth": np.array(truth), "sizes": sizes, "estimates": np.array(errors), "share": np.array(share)}


def flow(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The noisy network and its deterministic twin at some snapshots: informations, distances, binned entropies."""
    sigma = settings["sigma"]
    noisy, twin = train(settings, seed, noise_std=sigma), train(settings, seed)
    chosen = np.unique(np.linspace(0, len(noisy.epochs) - 1, settings["estimated"]).round().astype(int))
    rows, task = noisy.task.p_y_given_x, noisy.task
    first, deep, within, binned, distinct = [], [], [], [], []
    for replica in range(noisy.n_replicas):
        for snapshot in map(int, chosen):
            clean = noisy.activations(snapshot, replica)
            found = deepnets.PairwiseBounds(sigma).layer(clean[0], rows).input
            first.append((found.value, found.low, found.high))
            centres = noisy.passes(snapshot, replica, settings["passes"], seed + snapshot)[-1]
            found = deepnets.ConditionalPlugin(sigma).layer(centres, rows, seed=seed + snapshot).input
            deep.append((found.value, found.low, found.high))
            within.append(clustering(clean[LAST], rows).within_mean)
            layers = twin.activations(snapshot, replica)
            binned.append(deepnets.Binning().layer(layers[LAST], rows).input.value)
            counts = [np.unique(t, axis=0, return_counts=True)[1] for t in layers[:-1]]
            distinct.append([dualib.entropy(c / task.n) for c in counts])
    shape = (noisy.n_replicas, len(chosen))
    return {
        "epochs": noisy.epochs[chosen],
        "first": np.array(first).reshape(*shape, 3) * BITS,
        "deep": np.array(deep).reshape(*shape, 3) * BITS,
        "within": np.array(within).reshape(shape),
        "binned": np.array(binned).reshape(shape) * BITS,
        "distinct": np.array(distinct).reshape(*shape, -1) * BITS,
        "accuracy": noisy.accuracy[-1],
        "twin_accuracy": twin.accuracy[-1],
    }


EXPERIMENTS = {"neuron": neuron, "flow": flow}


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    """The numbers that expected.toml judges, over replicas and draws."""
    n, f = results["neuron"], results["flow"]
    sizes = np.log(n["sizes"])
    spread = np.log(n["estimates"].std(axis=1, ddof=1))
    slope, covariance = np.polyfit(sizes, spread, 1, cov="unscaled")
    error = 2 * float(np.sqrt(covariance[0, 0] / (2 * n["estimates"].shape[1])))
    late = f["epochs"] >= 20
    return {
        **{f"single_neuron_{i}": exact(v, "nats") for i, v in enumerate(n["truth"], 1)},
        "error_exponent": Measurement(slope[0], slope[0] - error, slope[0] + error, "1", n["estimates"].shape[1]),
        "monte_carlo_share": exact(float(n["share"].max()), "1"),
        "least_true_information": exact(float(f["distinct"].min()), "bits"),
        "upper_end_last_hidden": t_interval(f["deep"][:, -1, 2], "bits"),
        "interval_width_first": t_interval(f["first"][:, -1, 2] - f["first"][:, -1, 1], "bits"),
        "interval_width_last": t_interval(f["deep"][:, -1, 2] - f["deep"][:, -1, 1], "bits"),
        "accuracy_difference": t_interval(f["accuracy"] - f["twin_accuracy"], "1"),
        "correlation_with_distance": t_interval(_correlations(f["deep"][:, late, 0], f["within"][:, late]), "1"),
        "correlation_with_binned": t_interval(_correlations(f["deep"][:, late, 0], f["binned"][:, late]), "1"),
    }


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation over snapshots, one a replica."""
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)])


def figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The last hidden layer against the epoch, noisy and deterministic; the estimator's error."""
    from matplotlib.figure import Figure

    f, n = results["flow"], results["neuron"]
    clustered = Figure(figsize=(8.4, 3.2), layout="constrained")
    epochs = np.maximum(f["epochs"], 0.5)
    panels = (
        ("I(X;T), noisy, with its interval  [bits]", None),
        ("within-class distance", "within"),
        ("H(Bin(T)), twin  [bits]", "binned"),
    )
    for ax, (label, name) in zip(clustered.subplots(1, 3), panels, strict=True):
        for r in range(len(f["deep"])):
            if name is None:
                ax.plot(epochs, f["deep"][r, :, 0], "o-", ms=3, color=COLOURS[r % 7])
                ax.fill_between(epochs, f["deep"][r, :, 1], f["deep"][r, :, 2], color=COLOURS[r % 7], alpha=0.15, lw=0)
            else:
                ax.plot(epochs, f[name][r], "o-", ms=3, color=COLOURS[r % 7])
        ax.set(xscale="log", xlabel="epoch (0 at the left end)", ylabel=label)
    error = Figure(figsize=(4.4, 3.2), layout="constrained")
    ax = error.subplots()
    sizes = n["sizes"]
    ax.loglog(sizes, n["estimates"].std(axis=1, ddof=1), "o-", color=COLOURS[0], label="spread over samples")
    ax.loglog(
        sizes, n["estimates"].std(axis=1, ddof=1)[0] * np.sqrt(sizes[0] / sizes), "--", color="0.4", label="∝ n^{-1/2}"
    )
    ax.set(xlabel="samples n", ylabel="standard deviation of Î(X;T)  [nats]")
    ax.legend(fontsize=8)
    return {"clustering": clustered, "estimator": error}
