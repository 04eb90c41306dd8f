"""The signal-to-noise ratio of every layer's gradients before compression starts, and decades of epochs later."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from papers.experiments.phases import extreme_layer
from papers.experiments.program import Arrays


def gradients(m: Arrays) -> dict[str, Estimate]:
    """log10 of the SNR: of the layer where it is least while the outputs' I(X;T) rises, and where it is largest in the last decade."""
    snr = np.log10(m["gradient_mean"] / m["gradient_std"])  # (R, S, L)
    epochs, top = m["epochs"], m["input"][:, :, -1].argmax(axis=1)
    last = epochs >= epochs[-1] / 10
    before = epochs >= epochs[-1] / 100
    drift = np.array([row[: max(int(k), 1)].mean(axis=0) for row, k in zip(snr, top, strict=True)])
    return {
        "snr_drift": extreme_layer(drift, least=True),
        "snr_last_decade": extreme_layer(snr[:, last].mean(axis=1), least=False),
        "snr_decade_before": extreme_layer(snr[:, before & ~last].mean(axis=1), least=False),
    }
