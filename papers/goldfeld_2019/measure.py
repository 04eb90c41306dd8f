"""The numbers that expected.toml judges, over replicas and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from papers.frame import Measurement
from papers.intervals import exact, t_interval

NAMES = ("distance", "ratio", "scatter", "binned")  # the columns of clusters_noisy and clusters_twin
FITTED = 20  # epochs after which correlations are taken: before, I(X;T) rises while the label is learned


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    return _neuron(results["neuron"]) | _flow(results["flow"])


def _neuron(n: Mapping[str, Any]) -> dict[str, Measurement]:
    """The exponent of the spread over samples; its error from the relative error 1/√(2 draws) of each spread."""
    spread = n["estimates"].std(axis=1, ddof=1)
    slope, covariance = np.polyfit(np.log(n["sizes"]), np.log(spread), 1, cov="unscaled")
    draws = n["estimates"].shape[1]
    error = 2 * float(np.sqrt(covariance[0, 0] / (2 * draws)))
    return {
        **{f"single_neuron_{i}": exact(v, "nats") for i, v in enumerate(n["truth"], 1)},
        "error_exponent": Measurement(slope[0], slope[0] - error, slope[0] + error, "1", draws),
        "monte_carlo_share": exact(float(n["share"].max()), "1"),
    }


def _flow(f: Mapping[str, Any]) -> dict[str, Measurement]:
    late = f["epochs"] >= FITTED
    deep, noisy, twin = f["deep"][:, late, 0], f["clusters_noisy"][:, late], f["clusters_twin"][:, late]

    def correlation(a: np.ndarray, b: np.ndarray) -> Measurement:
        """Over snapshots, one a replica."""
        return t_interval([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)], "1")

    width = {name: f[name][:, -1, 2] - f[name][:, -1, 1] for name in ("first", "deep")}
    return {
        "least_true_information": exact(float(f["distinct"].min()), "bits"),
        "upper_end_last_hidden": t_interval(f["deep"][:, -1, 2], "bits"),
        "interval_width_first": t_interval(width["first"], "bits"),
        "interval_width_last": t_interval(width["deep"], "bits"),
        "accuracy_difference": t_interval(f["accuracy"] - f["twin_accuracy"], "1"),
        **{f"noisy_with_{name}": correlation(deep, noisy[:, :, i]) for i, name in enumerate(NAMES)},
        **{f"binned_with_{name}": correlation(noisy[:, :, 3], noisy[:, :, i]) for i, name in enumerate(NAMES[:3])},
        **{f"twin_binned_with_{name}": correlation(twin[:, :, 3], twin[:, :, i]) for i, name in enumerate(NAMES[:3])},
        "noisy_with_binned_twin": correlation(deep, twin[:, :, 3]),
    }
