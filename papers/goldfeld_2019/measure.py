"""The numbers that expected.toml judges, over replicas and draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from papers.frame import Measurement
from papers.intervals import exact, t_interval, t_interval_of_some

NAMES = ("distance", "ratio", "scatter", "binned")  # the columns of clusters_noisy and clusters_twin
UNSATURATED = 400  # epochs until which the twin's activations are far from where single precision rounds to 1
FITTED = 20  # epochs after which correlations are taken: before, I(X;T) rises while the label is learned


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    return _neuron(results["neuron"]) | _flow(results["flow"])


def _neuron(n: Mapping[str, Any]) -> dict[str, Measurement]:
    """The exponent of the mean absolute error over the sample sizes, with a bootstrap interval over the draws."""
    error, sizes = np.abs(n["estimates"] - n["truth_gaussian"]), np.log(n["sizes"])
    draws, rng = error.shape[1], np.random.default_rng(0)

    def slope(rows: np.ndarray) -> float:
        return float(np.polyfit(sizes, np.log(rows.mean(axis=1)), 1)[0])

    found = np.quantile([slope(error[:, rng.integers(draws, size=draws)]) for _ in range(500)], [0.025, 0.975])
    return {
        **{f"single_neuron_{i}": exact(v, "nats") for i, v in enumerate(n["truth"], 1)},
        "error_exponent": Measurement(slope(error), float(found[0]), float(found[1]), "1", draws),
        "error_at_the_largest_sample": t_interval(error[-1], "nats"),
        "monte_carlo_share": exact(float(n["share"].max()), "1"),
    }


def _flow(f: Mapping[str, Any]) -> dict[str, Measurement]:
    late = f["epochs"] >= FITTED
    deep, noisy, twin = f["deep"][:, late, 0], f["clusters_noisy"][:, late], f["clusters_twin"][:, late]

    falling = [slice(int(x.argmax()), None) for x in deep]
    found: dict[str, Measurement] = {}
    for i, name in enumerate(NAMES):
        found |= _correlation(f"noisy_with_{name}", deep, noisy[:, :, i])
        found |= _correlation(f"falling_with_{name}", deep, noisy[:, :, i], falling)
        if name != "binned":
            found |= _correlation(f"binned_with_{name}", noisy[:, :, 3], noisy[:, :, i])
            found |= _correlation(f"twin_binned_with_{name}", twin[:, :, 3], twin[:, :, i])
    found |= _correlation("noisy_with_binned_twin", deep, twin[:, :, 3])
    early = f["epochs"] <= UNSATURATED
    width = {name: f[name][:, -1, 2] - f[name][:, -1, 1] for name in ("first", "deep")}
    return {
        "least_information_early": exact(float(f["distinct"][:, early].min()), "bits"),
        "least_information_double": exact(float(f["distinct_double"].min()), "bits"),
        "least_information_single": exact(float(f["distinct"].min()), "bits"),
        "noisy_compression": t_interval(f["deep"][:, :, 0].max(axis=1) - f["deep"][:, -1, 0], "bits"),
        "upper_end_last_hidden": t_interval(f["deep"][:, -1, 2], "bits"),
        "interval_width_first": t_interval(width["first"], "bits"),
        "interval_width_last": t_interval(width["deep"], "bits"),
        "accuracy_difference": t_interval(f["accuracy"] - f["twin_accuracy"], "1"),
        **found,
    }


def _correlation(
    name: str, a: np.ndarray, b: np.ndarray, parts: Sequence[slice] | None = None
) -> dict[str, Measurement]:
    """Over snapshots, one a replica, in those replicas that have at least four (in their part)."""
    parts = [slice(None)] * len(a) if parts is None else parts
    pairs = [(x[part], y[part]) for x, y, part in zip(a, b, parts, strict=True)]
    values = [np.corrcoef(x, y)[0, 1] for x, y in pairs if len(x) > 3 and np.ptp(x) > 0 and np.ptp(y) > 0]
    return t_interval_of_some(name, values, "1")
