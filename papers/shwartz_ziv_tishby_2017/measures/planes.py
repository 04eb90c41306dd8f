"""What one training's plane shows: paths of the layers, the two phases, their order and their lengths."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import mean, share
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.phases import has_two_phases
from papers.experiments.program import Arrays
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


def plane(m: Arrays, prefix: str) -> dict[str, Estimate]:
    """Of one training, by the estimate whose arrays begin with `prefix`."""
    epochs, x, y = (m[prefix + name] for name in ("epochs", "input", "label"))
    at400, full = pick(epochs, [400])[0], float(m["label"].max())
    lacking = y[:, 0].mean(axis=0) < 0.99 * full
    output = x[:, :, OUTPUT]
    peak = np.log10(np.maximum(peak_epoch(epochs, output), 1))
    half, half_below = (
        np.log10(np.maximum(half_way_epoch(epochs, x[:, :, layer]), 1)) for layer in (OUTPUT, LAST_HIDDEN)
    )
    return {
        "path_rate": mean_share(ordered_share(x[:, 0])),
        "path_relevance": mean_share(ordered_share(y[:, 0])),
        "rise_by_400": mean((y[:, at400] - y[:, 0])[:, lacking].min(axis=1), Unit.BITS),
        "kept_at_the_end": mean(y[:, -1, OUTPUT] / full, Unit.ONE),
        "compression_output": mean(compression(output), Unit.BITS),
        "compression_last_hidden": mean(compression(x[:, :, LAST_HIDDEN]), Unit.BITS),
        "peak_of_output": mean(output.max(axis=1), Unit.BITS),
        "peak_epoch_of_output": mean(peak_epoch(epochs, output), Unit.EPOCHS),
        "end_of_output": mean(output[:, -1], Unit.BITS),
        "rise_of_label": mean(_at_peak(output, y[:, :, OUTPUT]) - y[:, 0, OUTPUT], Unit.BITS),
        "order_of_rate": mean_share(ordered_share(x)),
        "order_of_relevance": mean_share(ordered_share(y)),
        "compression_over_fit": mean(half - peak, Unit.LOG10),
        "deeper_first": mean(half_below - half, Unit.LOG10),
        **of_finite("logarithmic_lead", logarithmic_lead(epochs, output), Unit.ONE),
        **of_finite("nats_per_efold", nats_per_efold(epochs, output), Unit.NATS),
        **(of_finite("onset_ratio", _onset(m, peak), Unit.LOG10) if "transition" in m else {}),
    }


def _at_peak(rate: FloatArray, relevance: FloatArray) -> FloatArray:
    """I(T;Y) at the largest I(X;T)."""
    return np.asarray(np.take_along_axis(relevance, rate.argmax(axis=1)[:, None], axis=1)[:, 0])


def _onset(m: Arrays, peak: FloatArray) -> FloatArray:
    """log10 of the gradients' transition over the epoch of the outputs' largest I(X;T); NaN where there is no transition."""
    transition = m["transition"][: len(peak), OUTPUT]
    there = np.isfinite(transition) & (transition > 0)
    return np.where(there, np.log10(np.where(there, np.maximum(transition, 1), 1)) - peak, np.nan)


def finer_bins(m: Arrays) -> dict[str, Estimate]:
    """Compression with a hundred edges."""
    layers = (("output", OUTPUT), ("last_hidden", LAST_HIDDEN))
    return {
        f"compression_{name}_100_bins": mean(compression(m["finer_input"][:, :, where]), Unit.BITS)
        for name, where in layers
    }


def random_rules(m: Arrays) -> dict[str, Estimate]:
    """Over random icosahedral rules, a network each: the share with two phases in the outputs, and what they keep."""
    x, y = m["input"], m["label"]
    return {
        "two_phases_rules": share(has_two_phases(x[:, :, OUTPUT], y[:, :, OUTPUT])),
        "compression_output_rules": mean(compression(x[:, :, OUTPUT]), Unit.BITS),
        "compression_last_hidden_rules": mean(compression(x[:, :, LAST_HIDDEN]), Unit.BITS),
        "kept_at_the_end_rules": mean(y[:, -1, OUTPUT] / m["entropy"], Unit.ONE),
    }
