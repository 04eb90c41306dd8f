"""Layers near the transitions of the bottleneck's curve, against chance; the iteration against the curve."""

from __future__ import annotations

import numpy as np

from deepnets.planes.bottleneck import BETA_MAX
from dualib.core.estimate import Estimate
from dualib.core.statistics import mean, share
from dualib.core.typing import Float, FloatArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays
from papers.experiments.readings import mean_correlation, mean_share, of_finite

REACHED = 1e-6
"""Nats over the proven optimum at which an iteration has reached it."""


def near_transitions(r: Arrays) -> dict[str, Estimate]:
    """How near the layers' β lie to a transition, as a rank among β drawn at random; and whether they are slower near one.

    transition_rank: the share of β, log-uniform from the first transition to the largest β that is fitted, that lie nearer to a
    transition than the layer's at the end: 1/2 by chance. nearer_at_the_end: the distance in log10 β over the first half of the
    snapshots less that at the end. slower_near: the correlation over time of a layer's speed in log β with its distance.
    """
    found: dict[str, Estimate] = {}
    for suffix, prefix in (("", ""), ("_smooth", "smooth_")):
        places, beta = r[f"{prefix}transitions"], inside(r[f"{prefix}beta"])
        away = distance(beta, places)
        speed = np.abs(np.diff(np.log10(beta), axis=1)) / np.diff(np.log10(1.0 + r["epochs"]))[:, None]
        found |= of_finite(f"transition_rank{suffix}", _means(rank(beta[:, -1], places)), Unit.ONE)
        early = _means(away[:, : away.shape[1] // 2])
        found |= of_finite(f"nearer_at_the_end{suffix}", early - _means(away[:, -1]), Unit.LOG10)
        pairs = zip(speed, away[:, 1:], strict=True)
        found |= mean_correlation(f"slower_near{suffix}", [_correlation(s, a) for s, a in pairs])
    return found


def inside(beta: FloatArray) -> FloatArray:
    """β of layers that have a best one; NaN where it is 0 or beyond the largest that is fitted."""
    return np.where((beta > 0) & (beta < 0.999 * BETA_MAX), beta, np.nan)


def distance(beta: FloatArray, places: Float[np.ndarray, " n"]) -> FloatArray:
    """|log10 β - log10 of the nearest transition|."""
    return np.asarray(np.abs(np.log10(beta)[..., None] - np.log10(places)).min(axis=-1))


def rank(beta: FloatArray, places: Float[np.ndarray, " n"]) -> FloatArray:
    """The share of log-uniform β that are nearer to a transition than these; NaN of NaN."""
    chance = np.sort(distance(np.geomspace(places.min(), BETA_MAX, 4001), places))
    own = distance(beta, places)
    return np.where(np.isnan(own), np.nan, np.searchsorted(chance, own) / len(chance))


def _means(values: FloatArray) -> FloatArray:
    """Over all but the first axis, of what is there; NaN where nothing is."""
    flat = values.reshape(len(values), -1)
    there = np.isfinite(flat)
    count = there.sum(axis=1)
    total = np.where(there, flat, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _correlation(a: FloatArray, b: FloatArray) -> float:
    there = np.isfinite(a) & np.isfinite(b)
    x, y = a[there], b[there]
    if x.size < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def iteration(r: Arrays) -> dict[str, Estimate]:
    """The share of random starts from which the iteration reaches the proven optimum: of all on the toy, case by case on random joints."""
    reached = {name: r[name] < REACHED for name in ("toy", "random", "toy_fixed", "random_fixed")}
    cases = {name: reached[name].mean(axis=1) for name in ("random", "random_fixed")}
    return {
        **{f"reached_{name}": share(reached[name]) for name in ("toy", "toy_fixed")},
        **{f"reached_{name}": mean_share(values) for name, values in cases.items()},
        "reached_random_everywhere": share(reached["random"].all(axis=1)),
        "reached_by_atoms": mean(cases["random_fixed"] - cases["random"], Unit.ONE),
    }
