"""The numbers that claims.toml judges, over replicas and draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import bootstrap, mean
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays, Results
from papers.experiments.readings import compression, mean_correlation, of_finite

NAMES = ("distance", "ratio", "scatter", "binned")  # the columns of clusters_noisy and clusters_twin
UNSATURATED = 400  # epochs until which the twin's activations are far from where single precision rounds to 1
FITTED = 20  # epochs after which correlations are taken: before, I(X;T) rises while the label is learned


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    parts = (
        _neuron(results["neuron"]),
        _dimension(results["dimension"]),
        _flow(results["flow"]),
        _exact(results["exact"]),
    )
    return {name: estimate for part in parts for name, estimate in part.items()}


def _neuron(n: Arrays) -> dict[str, Estimate]:
    """The exponent of the mean absolute error over the sample sizes, with a bootstrap interval over the draws."""
    error, sizes = np.abs(n["estimates"] - n["truth_gaussian"]), np.log(n["sizes"])

    def slope(draws: list[FloatArray]) -> float:
        return float(np.polyfit(sizes, np.log(draws[0].mean(axis=0)), 1)[0])

    return {
        **{f"single_neuron_{i}": Estimate.exact(v, Unit.NATS) for i, v in enumerate(n["truth"], 1)},
        "error_exponent": bootstrap(slope, [error.T], Unit.ONE),
        "error_at_the_largest_sample": mean(error[-1], Unit.NATS),
        "monte_carlo_share": Estimate.exact(float(n["share"].max()), Unit.ONE),
        "nats_per_efold_of_noise": Estimate.exact(
            float(-np.polyfit(np.log(n["noises"]), n["against_noise"], 1)[0]), Unit.ONE
        ),
        "discrete_limit": Estimate.exact(abs(float(n["against_noise_discrete"][-1]) - float(np.log(4))), Unit.NATS),
    }


def _dimension(r: Arrays) -> dict[str, Estimate]:
    """Exponents of the mean absolute error in n by dimension, and of the error at the most samples in the dimension."""
    error, sizes, dimensions = np.abs(r["estimates"] - r["truth"][:, None, None]), np.log(r["sizes"]), r["dimensions"]

    def slope(draws: list[FloatArray]) -> float:
        return float(np.polyfit(sizes, np.log(draws[0].mean(axis=0)), 1)[0])

    def growth(draws: list[FloatArray]) -> float:
        return float(np.polyfit(dimensions, np.log([d.mean() for d in draws]), 1)[0])

    found = {
        f"rate_in_{d}_dimensions": bootstrap(slope, [e.T], Unit.ONE) for d, e in zip(dimensions, error, strict=True)
    }
    return found | {"error_growth_by_dimension": bootstrap(growth, list(error[:, -1]), Unit.ONE)}


def _exact(r: Arrays) -> dict[str, Estimate]:
    """The most bits that a layer of any network loses at the end of training."""
    return {
        f"lost_bits_{name}": Estimate.exact(float(r[name].max()), Unit.BITS) for name in ("exact", "single", "double")
    }


def _flow(f: Arrays) -> dict[str, Estimate]:
    late = f["epochs"] >= FITTED
    deep, noisy, twin = f["deep"][:, late, 0], f["clusters_noisy"][:, late], f["clusters_twin"][:, late]

    falling = [slice(int(x.argmax()), None) for x in deep]
    always = [slice(None)] * len(deep)
    found: dict[str, Estimate] = {}
    for i, name in enumerate(NAMES):
        both = [_correlations(deep, noisy[:, :, i], parts) for parts in (falling, always)]
        found |= mean_correlation(f"falling_with_{name}", both[0]) | mean_correlation(f"noisy_with_{name}", both[1])
        found |= of_finite(f"phase_with_{name}", both[0] - both[1], Unit.ONE)
        if name != "binned":
            found |= mean_correlation(f"binned_with_{name}", _correlations(noisy[:, :, 3], noisy[:, :, i], always))
            found |= mean_correlation(f"twin_binned_with_{name}", _correlations(twin[:, :, 3], twin[:, :, i], always))
    found |= mean_correlation("noisy_with_binned_twin", _correlations(deep, twin[:, :, 3], always))
    early = f["epochs"] <= UNSATURATED
    fall = {name: compression(f[name][:, :, 0]) for name in ("deep", "deep_blocked")}
    width = {name: f[name][:, -1, 2] - f[name][:, -1, 1] for name in ("first", "deep")}
    return {
        "least_information_early": Estimate.exact(float(f["distinct"][:, early].min()), Unit.BITS),
        "least_information_double": Estimate.exact(float(f["distinct_double"].min()), Unit.BITS),
        "least_information_single": Estimate.exact(float(f["distinct"].min()), Unit.BITS),
        "noisy_compression": mean(fall["deep"], Unit.BITS),
        "blocked_compression": mean(fall["deep_blocked"], Unit.BITS),
        "compression_stopped": mean(fall["deep"] - fall["deep_blocked"], Unit.BITS),
        "clustering_blocked": mean(f["clusters_blocked"][:, -1, 1] - f["clusters_noisy"][:, -1, 1], Unit.ONE),
        "accuracy_blocked": mean(f["blocked_accuracy"], Unit.ONE),
        "change_over_training": mean(np.ptp(f["deep"][:, :, 0], axis=1) / width["deep"], Unit.ONE),
        **mean_correlation("likeness", f["likeness"]),
        **mean_correlation("likeness_others", f["likeness_others"]),
        "upper_end_last_hidden": mean(f["deep"][:, -1, 2], Unit.BITS),
        "interval_width_first": mean(width["first"], Unit.BITS),
        "interval_width_last": mean(width["deep"], Unit.BITS),
        "accuracy_difference": mean(f["accuracy"] - f["twin_accuracy"], Unit.ONE),
        **found,
    }


def _correlations(a: FloatArray, b: FloatArray, parts: Sequence[slice]) -> FloatArray:
    """Over the snapshots of each replica's part; NaN where those are fewer than four, or one of the two does not vary."""
    pairs = [(x[part], y[part]) for x, y, part in zip(a, b, parts, strict=True)]
    varies = [len(x) > 3 and np.ptp(x) > 0 and np.ptp(y) > 0 for x, y in pairs]
    return np.array([np.corrcoef(x, y)[0, 1] if yes else np.nan for yes, (x, y) in zip(varies, pairs, strict=True)])
