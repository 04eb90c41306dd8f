"""Training by other means: weights that are computed, a second-order optimiser, batches of other sizes."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import mean
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.phases import extreme_layer
from papers.experiments.program import Arrays
from papers.experiments.readings import compression

STEPS = ("", "_large_step")


def computed_weights(r: Arrays) -> dict[str, Estimate]:
    """Test accuracy with computed weights less that after training, from the same start; of the kernel's predictor as well."""
    found: dict[str, Estimate] = {}
    for width in ("narrow", "wide"):
        trained = r[f"{width}_trained"]
        found[f"kernel_weights_{width}"] = mean(r[f"{width}_network"] - trained, Unit.ONE)
        found[f"kernel_predictor_{width}"] = mean(r[f"{width}_predictor"] - trained, Unit.ONE)
        found[f"kernel_over_start_{width}"] = mean(r[f"{width}_network"] - r[f"{width}_start"], Unit.ONE)
    found["kernel_by_width"] = mean(
        (r["wide_network"] - r["wide_trained"]) - (r["narrow_network"] - r["narrow_trained"]), Unit.ONE
    )
    return found


def second_order(r: Arrays) -> dict[str, Estimate]:
    """log10 SNR over the later half of the training, of the layer where it is least; what the outputs compress by; the fit."""
    found: dict[str, Estimate] = {}
    for name, prefix in (("second_order", "newton_"), ("descent", "descent_")):
        epochs = r[f"{prefix}epochs"]
        later = np.log10(r[f"{prefix}snr"][:, epochs >= epochs[-1] / 2])
        found[f"snr_{name}"] = extreme_layer(later.mean(axis=1), least=True)
        found[f"compression_{name}"] = mean(compression(r[f"{prefix}input"][:, :, -1]), Unit.BITS)
        found[f"accuracy_{name}"] = mean(r[f"{prefix}accuracy"][:, -1], Unit.ONE)
    return found


def batch_size(r: Arrays) -> dict[str, Estimate]:
    """log10 of the batch size that generalises best, of each replica, over B_simple; and what the best gains over the worst."""
    size = np.log10(r["batch_size"])
    found: dict[str, Estimate] = {}
    best = []
    for accuracy, loss, scale, suffix in zip(r["test_accuracy"], r["test_loss"], r["noise_scale"], STEPS, strict=True):
        best.append(size[best_size(accuracy, loss)])
        found[f"best_over_simple{suffix}"] = mean(best[-1] - np.log10(scale), Unit.LOG10)
        found[f"gain_of_best_batch{suffix}"] = mean(gain_of_best(accuracy), Unit.ONE)
    found["best_by_step"] = mean(best[1] - best[0], Unit.LOG10)
    return found


def best_size(accuracy: FloatArray, loss: FloatArray) -> np.ndarray:
    """Index of the most accurate batch size of each replica; of equally accurate ones that of less loss."""
    top = accuracy == accuracy.max(axis=0)
    return np.asarray(np.where(top, loss, np.inf).argmin(axis=0))


def gain_of_best(accuracy: FloatArray) -> FloatArray:
    """Each replica's accuracy at the batch size that is best for the others less that at their worst: chance gains nothing.

    Parameters
    ----------
    accuracy : array, shape (B, R)
    """
    others = accuracy.sum(axis=1, keepdims=True) - accuracy
    columns = np.arange(accuracy.shape[1])
    return np.asarray(accuracy[others.argmax(axis=0), columns] - accuracy[others.argmin(axis=0), columns])
