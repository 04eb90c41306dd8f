"""Numbers read off information planes (arrays over replicas, snapshots, layers), and their means over replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import finite, mean, share
from dualib.core.typing import ArrayLike, Float, FloatArray, Int, IntArray
from dualib.core.units import NATS_PER_BIT, Unit

SLACK = 0.02
"""Bits: a rise from layer to layer by less is within the second estimator's Monte Carlo error."""


def compression(values: Float[np.ndarray, "n_replicas n_snapshots"]) -> Float[np.ndarray, " n_replicas"]:
    """How far each replica's I(X;T) falls to the last epoch from where the mean of the other half of the replicas is largest.

    The largest value of a line that only fluctuates lies above its last one. At an epoch that others choose, among all but
    the last, its fluctuation has mean zero; a line that still rises has a negative fall. Replicas that peak at different
    epochs fall by more than this. At least two replicas and snapshots.
    """
    half = np.arange(len(values)) % 2
    top = np.array([values[half != one, :-1].mean(axis=0).argmax() for one in (0, 1)])
    return np.asarray(values[np.arange(len(values)), top[half]] - values[:, -1])


def peak_epoch(
    epochs: Int[np.ndarray, " n_snapshots"], values: Float[np.ndarray, "n_replicas n_snapshots"]
) -> Int[np.ndarray, " n_replicas"]:
    """The epoch of the largest value of each replica."""
    return np.asarray(epochs[values.argmax(axis=1)])


def half_way_epoch(
    epochs: Int[np.ndarray, " n_snapshots"], values: Float[np.ndarray, "n_replicas n_snapshots"]
) -> Float[np.ndarray, " n_replicas"]:
    """The epoch after its peak at which each replica's I(X;T) first has made half of its way from the peak to the end.

    Between snapshots linear in log(1 + epoch).
    """
    found, time = [], np.log1p(epochs)
    for row in values:
        top = int(row.argmax())
        half = (row[top] + row[-1]) / 2
        k = top + int(np.flatnonzero(row[top:] <= half)[0])
        part = 1.0 if k == top else (row[k - 1] - half) / (row[k - 1] - row[k])
        found.append(np.expm1(time[k - 1] + part * (time[k] - time[k - 1])) if k else epochs[0])
    return np.array(found, dtype=np.float64)


def ordered_share(values: Float[np.ndarray, "n_replicas *more n_layers"]) -> Float[np.ndarray, " n_replicas"]:
    """Share of neighbouring layers (and snapshots) along which each replica's bits do not rise."""
    kept = np.diff(values, axis=-1) <= SLACK
    return np.asarray(kept.reshape(len(kept), -1).mean(axis=1))


def after_peak(
    epochs: Int[np.ndarray, " n_snapshots"], row: Float[np.ndarray, " n_snapshots"]
) -> tuple[IntArray, FloatArray] | None:
    """Epochs and bits of one replica from its largest I(X;T) on; None where those are fewer than four snapshots."""
    top = int(row.argmax())
    return (np.maximum(epochs[top:], 1), row[top:]) if len(row) - top > 3 else None


def nats_per_efold(
    epochs: Int[np.ndarray, " n_snapshots"], values: Float[np.ndarray, "n_replicas n_snapshots"]
) -> Float[np.ndarray, " n_replicas"]:
    """Nats by which I(X;T) falls per e-fold of time from its peak on, by least squares, NaN without a fall."""
    parts = [after_peak(epochs, row) for row in values]
    return np.array([np.nan if p is None else -np.polyfit(np.log(p[0]), p[1] * NATS_PER_BIT, 1)[0] for p in parts])


def logarithmic_lead(
    epochs: Int[np.ndarray, " n_snapshots"], values: Float[np.ndarray, "n_replicas n_snapshots"]
) -> Float[np.ndarray, " n_replicas"]:
    """How much better a line in log time than one in time fits the fall of I(X;T), NaN without a fall.

    It is the difference of the shares of variance that the two lines explain.
    """

    def lead(part: tuple[IntArray, FloatArray] | None) -> float:
        if part is None or np.ptp(part[1]) == 0:
            return np.nan
        return float(np.corrcoef(np.log(part[0]), part[1])[0, 1] ** 2 - np.corrcoef(*part)[0, 1] ** 2)

    return np.array([lead(after_peak(epochs, row)) for row in values])


def pick(epochs: Int[np.ndarray, " n_snapshots"], wanted: Sequence[float]) -> list[int]:
    """Indices of the snapshots nearest to some epochs on a logarithmic scale."""
    return [int(np.abs(np.log1p(epochs) - np.log1p(e)).argmin()) for e in wanted]


def of_finite(name: str, values: ArrayLike, unit: Unit) -> dict[str, Estimate]:
    """{name: the mean of the finite repetitions, with a warning that counts the others}, or {} where fewer than two are."""
    kept, lost = finite(values)
    return {name: mean(kept, unit).with_warnings(lost)} if kept.size > 1 else {}


def mean_share(values: ArrayLike) -> Estimate:
    """The mean of repetitions that lie between 0 and 1, with an interval that stays there.

    Where all repetitions are 0 or all are 1, their spread says nothing; the mean is then at most (at least) the probability
    of another value (of this value), which Clopper and Pearson's interval bounds.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if np.all(x == 0.0) or np.all(x == 1.0):
        return share(x == 1.0)
    found = mean(x, Unit.ONE)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def mean_correlation(name: str, values: ArrayLike) -> dict[str, Estimate]:
    """{name: the mean of the repetitions' correlations on Fisher's z scale, whose interval stays within ±1}.

    Correlations that are not finite are left out and counted; {} where fewer than two are finite.
    """
    bounded = np.clip(np.asarray(values, dtype=np.float64), -1 + 1e-12, 1 - 1e-12)
    found = of_finite(name, np.arctanh(bounded), Unit.ONE)
    return {
        name: replace(z, value=np.tanh(z.value), low=np.tanh(z.low), high=np.tanh(z.high), std_error=0.0)
        for name, z in found.items()
    }


def rank_correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Spearman's correlation of two lines without ties; NaN where they are shorter than three or one does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    first, second = (np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])
