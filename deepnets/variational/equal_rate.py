"""Fits against one another at equal rate, seed by seed: the only fair comparison, as equal β means different rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepnets.variational.evaluation import Evaluation
from dualib.core import statistics
from dualib.core.estimate import Estimate
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray
from dualib.core.units import Unit

WIDEST = 0.5  # nats between neighbouring β, across which nothing is interpolated


@dataclass(frozen=True, eq=False)
class EqualRate(Result):
    """Scores of several fits at one rate, and their differences to the first, paired by seed.

    Attributes
    ----------
    rate : float
        Nats, on the axis `axis`.
    axis : str
        Which rate was equal: "rate_mixture" or "rate_bound".
    values : dict
        Name of the fit → name of the score → array, shape (S,); NaN for seeds that do not have the rate.
    differences : dict
        Name of the fit → name of the score → its mean difference to the first fit, with Student's interval over seeds.
    """

    rate: float
    axis: str
    values: dict[str, dict[str, FloatArray]]
    differences: dict[str, dict[str, Estimate]]


def at_equal_rate(
    evaluations: Mapping[str, Evaluation], rate: float, *, axis: str = "rate_mixture", widest: float = WIDEST
) -> EqualRate:
    """Scores at one rate, each seed's interpolated linearly between neighbouring β, and differences paired by seed.

    Parameters
    ----------
    evaluations : mapping
        Name → evaluation, of the same seeds; the first is what the others are compared with.
    rate : float
        Nats.
    axis : str
        "rate_mixture", or "rate_bound".
    widest : float
        A seed whose neighbouring rates are further apart, nats, is left out and counted in the difference's warnings: the
        curve may jump between them.

    Raises
    ------
    ValueError
        If the numbers of seeds differ, or fewer than two seeds of some fit have the rate: the message says between which β
        more are needed.

    Examples
    --------
    >>> at_equal_rate({"VIB": vib, "dual": dual}, rate=1.5).differences  # doctest: +SKIP
    """
    sizes = {len(e.rate_bound) for e in evaluations.values()}
    if len(sizes) != 1:
        raise ValueError(f"differences are paired by seed: evaluations of {sorted(sizes)} seeds cannot be compared")
    values: dict[str, dict[str, FloatArray]] = {}
    for name, evaluation in evaluations.items():
        values[name] = scores_at_rate(evaluation, rate, axis=axis, widest=widest)
        if np.isfinite(values[name]["relevance"]).sum() < 2:
            raise ValueError(f"{name}: {_advice(evaluation, getattr(evaluation, axis), rate, widest)}")
    first, *others = values
    units = {key: Unit.NATS if nats else Unit.ONE for key, (_, nats) in evaluations[first].quantities().items()}
    differences: dict[str, dict[str, Estimate]] = {}
    for name in others:
        differences[name] = {}
        for key, unit in units.items():
            kept, lost = statistics.finite(values[name][key] - values[first][key])
            if len(kept) < 2:
                raise ValueError(f"fewer than two seeds have the rate {rate:g} nats in both {first} and {name}")
            differences[name][key] = statistics.mean(kept, unit).with_warnings(lost)
    return EqualRate(float(rate), axis, values, differences)


def scores_at_rate(
    evaluation: Evaluation, rate: float, *, axis: str = "rate_mixture", widest: float = WIDEST
) -> dict[str, Float[np.ndarray, " n_seeds"]]:
    """Every score of one fit at one rate, by name, a number a seed: what :func:`at_equal_rate` compares.

    Parameters
    ----------
    evaluation : Evaluation
    rate : float
        Nats.
    axis : str
        "rate_mixture", or "rate_bound".
    widest : float
        NaN stands for a seed that does not have the rate, or only between β whose rates are further apart than this, nats.

    Raises
    ------
    ValueError
        If there is no such axis.
    """
    if axis not in ("rate_mixture", "rate_bound"):
        raise ValueError(f'axis must be "rate_mixture" or "rate_bound", got {axis!r}')
    place = np.array([_place(row, rate, widest) for row in getattr(evaluation, axis)])
    return {key: _interpolated(table, place) for key, (table, _) in evaluation.quantities().items()}


def _place(rates: Float[np.ndarray, " n_betas"], rate: float, widest: float) -> float:
    """Where on the axis of the β's numbers the rate is first met from below, NaN where it is not."""
    for i in range(len(rates) - 1):
        low, high = rates[i], rates[i + 1]
        if low <= rate <= high and high - low <= widest:
            return i + (0.0 if high == low else (rate - low) / (high - low))
    return float("nan")


def _interpolated(table: FloatArray, place: FloatArray) -> FloatArray:
    found = np.full(len(place), np.nan)
    for s in np.flatnonzero(np.isfinite(place)):
        i = min(int(place[s]), table.shape[1] - 2)
        share = place[s] - i
        found[s] = (1.0 - share) * table[s, i] + share * table[s, i + 1]
    return found


def _advice(evaluation: Evaluation, rates: FloatArray, rate: float, widest: float) -> str:
    middle, betas = np.median(rates, axis=0), evaluation.betas
    if rate < middle[0]:
        return f"rate {rate:g} nats is below those reached, the median being {middle[0]:.2f} at β = {betas[0]:g}: add smaller β"
    if rate > middle[-1]:
        return f"rate {rate:g} nats is above those reached, the median being {middle[-1]:.2f} at β = {betas[-1]:g}: add larger β"
    i = int(np.flatnonzero(middle <= rate)[-1])
    j = min(i + 1, len(betas) - 1)
    return (
        f"the rate goes from {middle[i]:.2f} nats at β = {betas[i]:g} to {middle[j]:.2f} at {betas[j]:g}, more than the {widest:g} "
        f"across which it is interpolated: add β between them, or allow more by widest="
    )
