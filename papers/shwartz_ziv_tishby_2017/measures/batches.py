"""Does the gradient noise say when the transition comes at a batch size, and which batch size suits the training?"""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.typing import FloatArray, IntArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays
from papers.experiments.readings import of_finite

TARGET = 0.3
"""Nats of training loss, from log 2 = 0.69, that the race goes to: the fit, before compression."""


def transition_against_null(r: Arrays) -> dict[str, Estimate]:
    """Slope of log(updates until the transition) in log(batch size), and the same less that of the rescaled path.

    The null: on the one path of the middle size, whose std is that of another batch size but for √(B/B'), at which update would
    the SNR of the other size fall below 1? If the transition only followed from the noise's size, both slopes were equal.
    """
    size = np.asarray(r["batch_size"], dtype=np.float64)
    measured, same = (
        r["transition"] / size,
        rescaled_transitions(r),
    )  # an epoch has a number of updates in proportion to 1/B
    slopes = np.array([slope(size, row) for row in measured])
    excess = slopes - np.array([slope(size, row) for row in same])
    return of_finite("transition_against_batch", slopes, Unit.ONE) | of_finite("transition_over_null", excess, Unit.ONE)


def rescaled_transitions(r: Arrays) -> FloatArray:
    """Transitions of the middle size's path if its noise were that of the other sizes, (R, B), in epochs over its batch size."""
    size = np.asarray(r["batch_size"], dtype=np.float64)
    middle = len(size) // 2
    found = [[crossing(r["epochs"], path * np.sqrt(b / size[middle])) for b in size] for path in r["snr"][middle]]
    return np.asarray(np.array(found) / size[middle])


def slope(size: FloatArray, when: FloatArray) -> float:
    """Least squares on both logarithms; NaN where a transition is missing or at the start."""
    there = np.isfinite(when) & (when > 0)
    return float(np.polyfit(np.log(size), np.log(when), 1)[0]) if there.all() else float("nan")


def crossing(epochs: IntArray, snr: FloatArray) -> float:
    """The epoch at which the SNR first is below 1 after its maximum, log-linear between snapshots; NaN where it never is."""
    height, time = np.log(snr), np.log1p(epochs)
    top = int(height.argmax())
    below = np.flatnonzero(height[top:] < 0)
    if height[top] < 0 or below.size == 0:
        return float("nan")
    i = top + int(below[0]) - 1
    part = height[i] / (height[i] - height[i + 1])
    return float(np.expm1(time[i] + part * (time[i + 1] - time[i])))


def critical_batch(r: Arrays) -> dict[str, Estimate]:
    """log10 of the critical batch size over B_simple of all weights, the median along the race at its second-smallest size.

    The passes that a batch size B needs, at its best step, are E = E_min + U_min B / n for n patterns ([mccandlish2018]_): U_min updates
    with the largest batches, E_min passes with the smallest. The batch that suits is where both halves are equal, n E_min / U_min.
    """
    sizes, n = np.asarray(r["batch_size"], dtype=np.float64), float(r["n_train"])
    second = int(sizes[1])
    noise = np.median(r[f"{second}_noise_scale"][:, 1:], axis=1)
    critical = np.array([critical_size(sizes, column * n / sizes) for column in passes(r).T])
    return of_finite("critical_over_simple", np.log10(critical / noise), Unit.LOG10) | of_finite(
        "critical_batch", np.log10(critical), Unit.LOG10
    )


def passes(r: Arrays) -> FloatArray:
    """The fewest epochs over the steps until each replica's loss is below the target, (B, R); inf where it never is."""
    rows = []
    for size in np.asarray(r["batch_size"], dtype=int):
        epochs, losses = r[f"{size}_epochs"], r[f"{size}_loss"]
        rows.append(np.array([[_first_below(epochs, row) for row in step] for step in losses]).min(axis=0))
    return np.array(rows)


def _first_below(epochs: IntArray, loss: FloatArray) -> float:
    below = np.flatnonzero(loss <= TARGET)
    if below.size == 0 or below[0] == 0:
        return float("inf")
    k = int(below[0])
    part = (loss[k - 1] - TARGET) / (loss[k - 1] - loss[k])
    return float(epochs[k - 1] + part * (epochs[k] - epochs[k - 1]))


def critical_size(sizes: FloatArray, updates: FloatArray) -> float:
    """B_crit of updates = U_min (1 + B_crit / B), fitted with equal relative weights; NaN where it is not positive or not all are there."""
    if not np.isfinite(updates).all():
        return float("nan")
    design = np.stack([np.ones_like(sizes), 1.0 / sizes], axis=1) / updates[:, None]
    least, product = np.linalg.lstsq(design, np.ones_like(sizes), rcond=None)[0]
    return float(product / least) if least > 0 and product > 0 else float("nan")
