"""The numbers that expected.toml judges, over replicas. A name ending in _100_bins or _noise is the same by another estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepnets import input_compression_bound
from papers.frame import Measurement
from papers.intervals import (
    bootstrap_interval,
    bootstrap_std_interval,
    difference_interval,
    pair_interval,
    share_interval,
    t_interval,
    t_interval_of_some,
)
from papers.readings import (
    BITS,
    compression,
    half_way_epoch,
    logarithmic_lead,
    nats_per_efold,
    ordered_share,
    peak_epoch,
    pick,
)

OUTPUT, LAST_HIDDEN = -1, -2
ESTIMATES = {"": "", "_noise": "second_"}  # suffix of a measure: prefix of the arrays
Result = Mapping[str, Any]


def measure(results: Mapping[str, Result]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    for suffix, prefix in ESTIMATES.items():
        parts = _plane(results, prefix) | _side_runs(results, prefix)
        found |= {name + suffix: measurement for name, measurement in parts.items()}
    m = results["main"]
    for layer, where in (("output", OUTPUT), ("last_hidden", LAST_HIDDEN)):
        found[f"compression_{layer}_100_bins"] = t_interval(compression(m["finer_input"][:, :, where]), "bits")
    found["gain_of_width"] = difference_interval(results["width"]["accuracy"][:, -1], m["accuracy"][:, -1], "1")
    return (
        found
        | _gradients(m)
        | _weights(m)
        | _representations(m)
        | _bottleneck(results["bottleneck"])
        | _batches(results["batches"])
    )


def _plane(results: Mapping[str, Result], prefix: str) -> dict[str, Measurement]:
    m = results["main"]
    epochs, x, y = (m[prefix + name] for name in ("epochs", "input", "label"))
    at400, full = pick(epochs, [400])[0], float(m["label"].max())
    lacking = y[:, 0].mean(axis=0) < 0.99 * full
    return {
        "path_rate": t_interval(ordered_share(x[:, 0]), "1"),
        "path_relevance": t_interval(ordered_share(y[:, 0]), "1"),
        "rise_by_400": t_interval((y[:, at400] - y[:, 0])[:, lacking].min(axis=1), "bits"),
        "kept_at_the_end": t_interval(y[:, -1, OUTPUT] / full, "1"),
        "compression_output": t_interval(compression(x[:, :, OUTPUT]), "bits"),
        "compression_last_hidden": t_interval(compression(x[:, :, LAST_HIDDEN]), "bits"),
        "peak_of_output": t_interval(x[:, :, OUTPUT].max(axis=1), "bits"),
        "peak_epoch_of_output": t_interval(peak_epoch(epochs, x[:, :, OUTPUT]), "epochs"),
        "end_of_output": t_interval(x[:, -1, OUTPUT], "bits"),
        "rise_of_label": t_interval(_at_peak(x, y) - y[:, 0, OUTPUT], "bits"),
        "order_of_rate": t_interval(ordered_share(x), "1"),
        "order_of_relevance": t_interval(ordered_share(y), "1"),
        "compression_over_fit": t_interval(_half_way(epochs, x, OUTPUT) - _log_peak(epochs, x), "log10"),
        **t_interval_of_some("logarithmic_lead", logarithmic_lead(epochs, x[:, :, OUTPUT]), "1"),
        **t_interval_of_some("nats_per_efold", nats_per_efold(epochs, x[:, :, OUTPUT]), "nats"),
        "deeper_first": t_interval(_half_way(epochs, x, LAST_HIDDEN) - _half_way(epochs, x, OUTPUT), "log10"),
        **t_interval_of_some("onset_ratio", _onset(m, epochs, x), "log10"),
    }


def _at_peak(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """I(T;Y) of the outputs at their largest I(X;T)."""
    return np.take_along_axis(y[:, :, OUTPUT], x[:, :, OUTPUT].argmax(axis=1)[:, None], axis=1)[:, 0]


def _log_peak(epochs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log10 of the epoch of the outputs' largest I(X;T)."""
    return np.log10(np.maximum(peak_epoch(epochs, x[:, :, OUTPUT]), 1))


def _half_way(epochs: np.ndarray, x: np.ndarray, layer: int) -> np.ndarray:
    """log10 of the epoch at which a layer is half-way through its compression."""
    return np.log10(np.maximum(half_way_epoch(epochs, x[:, :, layer]), 1))


def _onset(m: Result, epochs: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log10 of the gradients' transition over the epoch of the outputs' largest I(X;T), where there is a transition."""
    transition = m["transition"][: len(x), OUTPUT]
    kept = np.isfinite(transition) & (transition > 0)
    return np.log10(np.maximum(transition[kept], 1)) - _log_peak(epochs, x)[kept]


def _side_runs(results: Mapping[str, Result], prefix: str) -> dict[str, Measurement]:
    m, f, d, w = (results[name] for name in ("main", "fractions", "depth", "width"))

    def end(r: Result, percent: str = "") -> np.ndarray:
        return np.asarray(compression(r[percent + prefix + "input"][:, :, LAST_HIDDEN]))

    at400 = pick(d["six_" + prefix + "epochs"], [400])[0]
    one, six = (_half_way(d[n + prefix + "epochs"], d[n + prefix + "input"], OUTPUT) for n in ("one_", "six_"))
    return {
        "six_at_400": t_interval(d["six_" + prefix + "label"][:, at400, OUTPUT], "bits"),
        "one_at_400": t_interval(d["one_" + prefix + "label"][:, at400, OUTPUT], "bits"),
        "sooner_above_six": difference_interval(one, six, "log10"),
        "one_at_the_end": t_interval(d["one_" + prefix + "label"][:, -1, OUTPUT], "bits"),
        "compression_wide": t_interval(end(w), "bits"),
        "lost_at_5": t_interval(_lost(f[f"5_{prefix}label"]), "bits"),
        "lost_at_85": t_interval(_lost(f[f"85_{prefix}label"]), "bits"),
        "compression_slope": _slope(f, prefix),
        "gap_within_bound": share_interval(_within_bound(f, prefix)),
        "more_by_dropout": difference_interval(end(results["noise"]), end(m), "bits"),
    }


def _lost(label: np.ndarray) -> np.ndarray:
    """Label information that the outputs lose from their best epoch to the last, (R,)."""
    return np.asarray(label[:, :, OUTPUT].max(axis=1) - label[:, -1, OUTPUT])


def _slope(f: Result, prefix: str) -> Measurement:
    """Slope of the mean log2(2 m gap²) against the mean I(X;T) of the last hidden layer over the sample sizes: 1 by the claim."""
    bits = [f[f"{p}_{prefix}input"][:, -1, LAST_HIDDEN] for p in (5, 45, 85)]
    m = [float(f[f"{p}_n"]) for p in (5, 45, 85)]
    gaps = [f[f"{p}_gap"][: len(b), -1] for p, b in zip((5, 45, 85), bits, strict=True)]
    # No gap at all is less than one pattern.
    effect = [np.log2(2 * n * np.maximum(g, 1 / n) ** 2) for n, g in zip(m, gaps, strict=True)]

    def slope(pairs: list[np.ndarray]) -> float:
        means = np.array([pair.mean(axis=0) for pair in pairs])
        return float(np.polyfit(means[:, 0], means[:, 1], 1)[0])

    return bootstrap_interval(slope, [np.stack(pair, axis=1) for pair in zip(bits, effect, strict=True)], "1")


def _within_bound(f: Result, prefix: str) -> np.ndarray:
    """Whether a replica's accuracy gap ends within sqrt(2^I(X;T) / 2m), last hidden layer, over all sample sizes."""
    held = []
    for p in (5, 45, 85):
        bits = f[f"{p}_{prefix}input"][:, -1, LAST_HIDDEN]
        held.append(f[f"{p}_gap"][: len(bits), -1] <= input_compression_bound(bits, int(f[f"{p}_n"]), "bits"))
    return np.concatenate(held)


def _gradients(m: Result) -> dict[str, Measurement]:
    """The least SNR of any layer before training, and the largest at the end, as log10."""
    snr = m["gradient_mean"] / m["gradient_std"]
    return {
        "snr_first": t_interval(np.log10(snr[:, 0].min(axis=1)), "log10"),
        "snr_last": t_interval(np.log10(snr[:, -1].max(axis=1)), "log10"),
    }


def _weights(m: Result) -> dict[str, Measurement]:
    time = np.log(m["diffusion_epochs"])
    exponents = [np.polyfit(time, np.log(row), 1)[0] for row in m["displacement"]]
    return {
        "wiener_exponent": t_interval(exponents, "1"),
        "similarity_of_weights": pair_interval(m["similarity"], "1"),
        "spread_of_accuracy": bootstrap_std_interval(m["accuracy"][:, -1], "1"),
    }


def _representations(m: Result) -> dict[str, Measurement]:
    steps = np.diff(m["separation"], axis=1)
    return {
        "separation_grows": t_interval((steps > 0).mean(axis=1), "1"),
        "separation_first_to_last": share_interval(m["separation"][:, -1] > m["separation"][:, 0]),
        "changed_by_invertible_map": t_interval(m["changed_by_map"][:, 0], "bits"),
        "changed_by_invertible_map_noise": t_interval(m["changed_by_map"][:, 1], "bits"),
    }


def _bottleneck(r: Result) -> dict[str, Measurement]:
    """Residual of the layer's equations over that of a random encoder of the same sizes; rate above the exact curve."""
    found: dict[str, Measurement] = {}
    for suffix, prefix in (("", ""), ("_100_bins", "finer_")):
        fits, excess = r[f"{prefix}fits"], r[f"{prefix}excess_rate"] * BITS
        found |= {
            f"residual_ratio{suffix}": t_interval(fits[:, OUTPUT, 1] / fits[:, OUTPUT, 3], "1"),
            f"residual_ratio_shared{suffix}": t_interval(fits[:, OUTPUT, 2] / fits[:, OUTPUT, 3], "1"),
            f"excess_rate_output{suffix}": t_interval(excess[:, OUTPUT], "bits"),
            f"excess_rate_last_hidden{suffix}": t_interval(excess[:, LAST_HIDDEN], "bits"),
        }
    return found


def _batches(r: Result) -> dict[str, Measurement]:
    """Slope of the log of the transition's epoch, and of its step, in the log of the batch size."""
    rows = [row for row in np.maximum(r["transition"], 1) if np.isfinite(row).all()]
    size = np.log(r["batch_size"])
    slopes = np.array([np.polyfit(size, np.log(row), 1)[0] for row in rows])
    return t_interval_of_some("transition_against_batch", slopes, "1") | t_interval_of_some(
        "transition_step_against_batch", slopes - 1, "1"
    )
