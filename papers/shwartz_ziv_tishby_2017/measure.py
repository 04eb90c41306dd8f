"""The numbers that claims.toml judges, over replicas. A name ending in _100_bins or _noise is the same by another estimate."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import bootstrap, difference, mean, pair_mean, share, standard_deviation
from dualib.core.typing import BoolArray, FloatArray, IntArray
from dualib.core.units import NATS_PER_BIT, Unit
from ntkinfo.bounds import input_compression
from papers.experiments.program import Arrays, Results
from papers.experiments.readings import (
    compression,
    half_way_epoch,
    logarithmic_lead,
    mean_share,
    nats_per_efold,
    of_finite,
    ordered_share,
    peak_epoch,
    pick,
)

OUTPUT, LAST_HIDDEN = -1, -2
DELTA = 0.05  # the bound may fail with this probability
ESTIMATES = {"": "", "_noise": "second_"}  # suffix of a measure: prefix of the arrays


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    found: dict[str, Estimate] = {}
    for suffix, prefix in ESTIMATES.items():
        parts = _plane(results, prefix) | _side_runs(results, prefix)
        found |= {name + suffix: measurement for name, measurement in parts.items()}
    m = results["main"]
    for layer, where in (("output", OUTPUT), ("last_hidden", LAST_HIDDEN)):
        found[f"compression_{layer}_100_bins"] = mean(compression(m["finer_input"][:, :, where]), Unit.BITS)
    found["gain_of_width"] = difference(results["width"]["accuracy"][:, -1], m["accuracy"][:, -1], Unit.ONE)
    return (
        found
        | _gradients(m)
        | _weights(m)
        | _representations(m)
        | _bottleneck(results["bottleneck"])
        | _batches(results["batches"])
    )


def _plane(results: Results, prefix: str) -> dict[str, Estimate]:
    m = results["main"]
    epochs, x, y = (m[prefix + name] for name in ("epochs", "input", "label"))
    at400, full = pick(epochs, [400])[0], float(m["label"].max())
    lacking = y[:, 0].mean(axis=0) < 0.99 * full
    return {
        "path_rate": mean_share(ordered_share(x[:, 0])),
        "path_relevance": mean_share(ordered_share(y[:, 0])),
        "rise_by_400": mean((y[:, at400] - y[:, 0])[:, lacking].min(axis=1), Unit.BITS),
        "kept_at_the_end": mean(y[:, -1, OUTPUT] / full, Unit.ONE),
        "compression_output": mean(compression(x[:, :, OUTPUT]), Unit.BITS),
        "compression_last_hidden": mean(compression(x[:, :, LAST_HIDDEN]), Unit.BITS),
        "peak_of_output": mean(x[:, :, OUTPUT].max(axis=1), Unit.BITS),
        "peak_epoch_of_output": mean(peak_epoch(epochs, x[:, :, OUTPUT]), Unit.EPOCHS),
        "end_of_output": mean(x[:, -1, OUTPUT], Unit.BITS),
        "rise_of_label": mean(_at_peak(x, y) - y[:, 0, OUTPUT], Unit.BITS),
        "order_of_rate": mean_share(ordered_share(x)),
        "order_of_relevance": mean_share(ordered_share(y)),
        "compression_over_fit": mean(_half_way(epochs, x, OUTPUT) - _log_peak(epochs, x), Unit.LOG10),
        **of_finite("logarithmic_lead", logarithmic_lead(epochs, x[:, :, OUTPUT]), Unit.ONE),
        **of_finite("nats_per_efold", nats_per_efold(epochs, x[:, :, OUTPUT]), Unit.NATS),
        "deeper_first": mean(_half_way(epochs, x, LAST_HIDDEN) - _half_way(epochs, x, OUTPUT), Unit.LOG10),
        **of_finite("onset_ratio", _onset(m, epochs, x), Unit.LOG10),
    }


def _at_peak(x: FloatArray, y: FloatArray) -> FloatArray:
    """I(T;Y) of the outputs at their largest I(X;T)."""
    return np.take_along_axis(y[:, :, OUTPUT], x[:, :, OUTPUT].argmax(axis=1)[:, None], axis=1)[:, 0]


def _log_peak(epochs: IntArray, x: FloatArray) -> FloatArray:
    """log10 of the epoch of the outputs' largest I(X;T)."""
    return np.asarray(np.log10(np.maximum(peak_epoch(epochs, x[:, :, OUTPUT]), 1)))


def _half_way(epochs: IntArray, x: FloatArray, layer: int) -> FloatArray:
    """log10 of the epoch at which a layer is half-way through its compression."""
    return np.asarray(np.log10(np.maximum(half_way_epoch(epochs, x[:, :, layer]), 1)))


def _onset(m: Arrays, epochs: IntArray, x: FloatArray) -> FloatArray:
    """log10 of the gradients' transition over the epoch of the outputs' largest I(X;T); NaN where there is no transition."""
    transition = m["transition"][: len(x), OUTPUT]
    there = np.isfinite(transition) & (transition > 0)
    return np.where(there, np.log10(np.maximum(transition, 1)) - _log_peak(epochs, x), np.nan)


def _side_runs(results: Results, prefix: str) -> dict[str, Estimate]:
    m, f, d, w = (results[name] for name in ("main", "fractions", "depth", "width"))

    def end(r: Arrays, percent: str = "") -> FloatArray:
        return np.asarray(compression(r[percent + prefix + "input"][:, :, LAST_HIDDEN]))

    at400 = pick(d["six_" + prefix + "epochs"], [400])[0]
    one, six = (_half_way(d[n + prefix + "epochs"], d[n + prefix + "input"], OUTPUT) for n in ("one_", "six_"))
    return {
        "six_at_400": mean(d["six_" + prefix + "label"][:, at400, OUTPUT], Unit.BITS),
        "one_at_400": mean(d["one_" + prefix + "label"][:, at400, OUTPUT], Unit.BITS),
        "sooner_above_six": difference(one, six, Unit.LOG10),
        "one_at_the_end": mean(d["one_" + prefix + "label"][:, -1, OUTPUT], Unit.BITS),
        "compression_wide": mean(end(w), Unit.BITS),
        "lost_at_5": mean(_lost(f[f"5_{prefix}label"]), Unit.BITS),
        "lost_at_85": mean(_lost(f[f"85_{prefix}label"]), Unit.BITS),
        "compression_slope": _slope(f, prefix),
        "gap_within_bound_at_5_percent": share(_within_bound(f, prefix)),
        "more_by_dropout": difference(end(results["noise"]), end(m), Unit.BITS),
    }


def _lost(label: FloatArray) -> FloatArray:
    """Label information that the outputs lose from their best epoch to the last, (R,)."""
    return np.asarray(label[:, :, OUTPUT].max(axis=1) - label[:, -1, OUTPUT])


def _slope(f: Arrays, prefix: str) -> Estimate:
    """Slope of the mean log2(2 m gap²) against the mean I(X;T) of the last hidden layer over the sample sizes: 1 by the claim."""
    bits = [f[f"{p}_{prefix}input"][:, -1, LAST_HIDDEN] for p in (5, 45, 85)]
    m = [float(f[f"{p}_n"]) for p in (5, 45, 85)]
    gaps = [f[f"{p}_gap"][: len(b), -1] for p, b in zip((5, 45, 85), bits, strict=True)]
    # No gap at all is less than one pattern.
    effect = [np.log2(2 * n * np.maximum(g, 1 / n) ** 2) for n, g in zip(m, gaps, strict=True)]

    def slope(pairs: list[FloatArray]) -> float:
        means = np.array([pair.mean(axis=0) for pair in pairs])
        return float(np.polyfit(means[:, 0], means[:, 1], 1)[0])

    return bootstrap(slope, [np.stack(pair, axis=1) for pair in zip(bits, effect, strict=True)], Unit.ONE)


def _within_bound(f: Arrays, prefix: str) -> BoolArray:
    """Whether a replica's accuracy gap ends within the input-compression bound, last hidden layer, over all sample sizes."""
    held = []
    for p in (5, 45, 85):
        nats = f[f"{p}_{prefix}input"][:, -1, LAST_HIDDEN] * NATS_PER_BIT
        bound = np.array([input_compression(one, int(f[f"{p}_n"]), DELTA).value for one in nats])
        held.append(f[f"{p}_gap"][: len(nats), -1] <= bound)
    return np.concatenate(held)


def _gradients(m: Arrays) -> dict[str, Estimate]:
    """The least SNR of any layer before training, and the largest at the end, as log10."""
    snr = m["gradient_mean"] / m["gradient_std"]
    return {
        "snr_first": mean(np.log10(snr[:, 0].min(axis=1)), Unit.LOG10),
        "snr_last": mean(np.log10(snr[:, -1].max(axis=1)), Unit.LOG10),
    }


def _weights(m: Arrays) -> dict[str, Estimate]:
    time = np.log(m["diffusion_epochs"])
    exponents = [np.polyfit(time, np.log(row), 1)[0] if len(time) > 1 else np.nan for row in m["displacement"]]
    return {
        **of_finite("wiener_exponent", exponents, Unit.ONE),
        "similarity_of_weights": pair_mean(m["similarity"], Unit.ONE),
        "spread_of_accuracy": standard_deviation(m["accuracy"][:, -1], Unit.ONE),
    }


def _representations(m: Arrays) -> dict[str, Estimate]:
    steps = np.diff(m["separation"], axis=1)
    return {
        "separation_grows": mean_share((steps > 0).mean(axis=1)),
        "separation_first_to_last": share(m["separation"][:, -1] > m["separation"][:, 0]),
        "changed_by_invertible_map": mean(m["changed_by_map"][:, 0], Unit.BITS),
        "changed_by_invertible_map_noise": mean(m["changed_by_map"][:, 1], Unit.BITS),
    }


def _bottleneck(r: Arrays) -> dict[str, Estimate]:
    """Residual of the layer's equations over that of a random encoder of the same sizes; rate above the exact curve."""
    found: dict[str, Estimate] = {}
    for suffix, prefix in (("", ""), ("_100_bins", "finer_")):
        fits, excess = r[f"{prefix}fits"], r[f"{prefix}excess_rate"] / NATS_PER_BIT
        found |= {
            f"residual_ratio{suffix}": mean(fits[:, OUTPUT, 1] / fits[:, OUTPUT, 3], Unit.ONE),
            f"residual_ratio_shared{suffix}": mean(fits[:, OUTPUT, 2] / fits[:, OUTPUT, 3], Unit.ONE),
            f"excess_rate_output{suffix}": mean(excess[:, OUTPUT], Unit.BITS),
            f"excess_rate_last_hidden{suffix}": mean(excess[:, LAST_HIDDEN], Unit.BITS),
            f"excess_rate_by_layer{suffix}": mean(excess[:, LAST_HIDDEN] - excess[:, OUTPUT], Unit.BITS),
        }
    return found


def _batches(r: Arrays) -> dict[str, Estimate]:
    """Slope of the log of the transition's epoch, and of its step, in the log of the batch size."""
    size, rows = np.log(r["batch_size"]), np.log(np.maximum(r["transition"], 1))
    slopes = np.array([np.polyfit(size, row, 1)[0] if np.isfinite(row).all() else np.nan for row in rows])
    steps = of_finite("transition_step_against_batch", slopes - 1, Unit.ONE)
    return of_finite("transition_against_batch", slopes, Unit.ONE) | steps
