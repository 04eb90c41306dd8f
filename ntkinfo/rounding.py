r"""What rounding may have done to each column, to first order: known beside every table, at a small part of its cost.

Θ's eigenvectors and eigenvalues are those of a Θ + δ with ‖δ‖ of the order of ε λ_max. A sum Tr W g(Θ) over a positive W then moves
by Σ_ij W_ij g[λ_i, λ_j] δ_ij (Daleckii and Krein), of whose size Σ_j W_jj |g'(λ_j)| ‖δ‖ is the largest, which is what it moves by
if all eigenvalues move together. So each column is computed again of eigenvalues, labels and variances of modes, and of laws of
outputs, that are moved by their rounding: once all in one direction, and in random ones. No second decomposition is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dualib.core.factor import BLOCK
from dualib.core.special import EPS
from dualib.core.typing import BoolArray, FloatArray, IntArray
from ntkinfo.ensemble import Ensemble
from ntkinfo.laws import Collapse, Law, Marginals
from ntkinfo.resources import column_blocks

SAMPLES = 3
_FACTOR = 3.0  # between a column's largest change and what is called its error
SAME_RATE = 1e-6  # by how much of itself rounding may change an eigenvalue that is called known
TOGETHER = 64  # modes that are turned into one another at most
CHANGE = 2.0  # of eigenvalues, labels and variances of modes, in ε of the largest one


def moved_modes(ensemble: Ensemble, sample: int) -> Ensemble:
    """The ensemble with eigenvalues, labels, initial variances and Θ_x of its modes moved by their rounding; nothing else changes."""
    draw, values, (y, kappa) = _Directions(sample), ensemble.eigenvalues, _turned(ensemble, sample)
    moved = np.maximum(values + CHANGE * EPS * float(values[-1]) * draw(values.shape), 0.1 * values)
    labels = y + CHANGE * EPS * np.linalg.norm(ensemble.y_train, axis=0) * draw(y.shape)
    variances = _moved_variance(kappa, np.full(kappa.shape, CHANGE * EPS * float(kappa.max())), draw)
    other = ensemble.with_modes(np.where(ensemble.null, values, moved), labels, variances)
    if "test_modes" in ensemble.__dict__:  # which very many test points have a part at a time
        seen, initial = ensemble.test_modes
        size = CHANGE * EPS * np.linalg.norm(seen, axis=1, keepdims=True) * ~ensemble.null
        other.__dict__["test_modes"] = (seen + size * draw(seen.shape), initial)
    return other


def _turned(ensemble: Ensemble, sample: int) -> tuple[FloatArray, FloatArray]:
    """Labels and variances of the modes in eigenvectors V(1 + S), with S_ij = δ_ij/(λ_j - λ_i) of a random symmetric δ; as they are in the
    first sample.
    """
    y, kappa, values = ensemble.y_modes.copy(), ensemble.kappa.copy(), ensemble.eigenvalues
    size = CHANGE * EPS * float(values[-1]) / np.sqrt(len(values))
    for rows in column_blocks(len(values), BLOCK) if sample else ():
        others = slice(rows.start, None)
        turn = np.random.default_rng([sample, rows.start]).standard_normal((len(values[rows]), len(values[others])))
        apart = values[others] - values[rows, None]
        apart[np.abs(apart) <= 4 * size] = np.inf  # what is nearer has no axes of its own: below
        turn *= size / apart
        turn[:, : len(turn)] = np.triu(turn[:, : len(turn)])
        y[others] += turn.T @ ensemble.y_modes[rows]
        y[rows] -= turn @ ensemble.y_modes[others]
        if not ensemble.centred:
            both = 2 * turn * ensemble.nngp_modes[rows, others]
            kappa[others] += both.sum(axis=0)
            kappa[rows] -= both.sum(axis=1)
    for group in _undetermined(ensemble, 4 * size) if sample else ():
        turn = np.linalg.qr(np.random.default_rng([sample, int(group[0]), 1]).standard_normal((group.size,) * 2))[0]
        y[group] = turn @ y[group]
        if not ensemble.centred:
            among = ensemble.nngp_modes[np.ix_(group, group)]
            kappa[group] += ((turn @ among) * turn).sum(axis=1) - np.diagonal(among)
    return y, np.maximum(kappa, 0.1 * ensemble.kappa)


def _undetermined(ensemble: Ensemble, near: float) -> Iterator[IntArray]:
    """Groups of modes whose eigenvalues lie nearer to their neighbours than `near`, and whose rates that changes: any axes are theirs.

    Where it does not change the rates, all axes give one path of the outputs, and every bound from any of them holds.
    """
    values = ensemble.eigenvalues
    slow = np.flatnonzero(~ensemble.null & (values < near / SAME_RATE))
    for group in np.split(slow, np.flatnonzero(np.diff(values[slow]) > near) + 1):
        yield from (group[i : i + TOGETHER] for i in range(0, len(group), TOGETHER) if len(group[i:]) > 1)


def moved_law(law: Law | Marginals, sample: int) -> Law | Marginals:
    """The law with means, variances and covariances moved by its rounding, as far as that is known."""
    draw, known = _Directions(sample), law.rounding
    collapse = None if law.collapse is None else _moved_collapse(law.collapse, sample)
    if known is None:
        return replace(law, collapse=collapse)
    mean = law.mean + known.mean * draw(law.mean.shape)
    if isinstance(law, Marginals):
        return replace(law, mean=mean, variance=_moved_variance(law.variance, known.variance, draw), collapse=collapse)
    size = np.sqrt(known.variance)
    change = draw(law.covariance.shape)
    change = 0.5 * (change + np.swapaxes(change, -1, -2)) * size[..., :, None] * size[..., None, :]
    covariance, index = law.covariance + change, np.arange(law.mean.shape[-2])
    covariance[..., index, index] = _moved_variance(law.variance, known.variance, draw)
    return replace(law, mean=mean, covariance=covariance, collapse=collapse)


def _moved_collapse(collapse: Collapse, sample: int) -> Collapse:
    known, draw = collapse.rounding, _Directions(sample)
    if known is None:
        return collapse
    shortfall = collapse.shortfall - known.mean * draw(collapse.shortfall.shape)
    return replace(collapse, shortfall=shortfall, spread=_moved_variance(collapse.spread, known.variance, draw))


def _moved_variance(variance: FloatArray, error: FloatArray, draw: _Directions) -> FloatArray:
    """Variances moved by their error, none of which becomes less than a tenth of what it was."""
    return np.maximum(variance + error * draw(variance.shape), 0.1 * variance)


class _Directions:
    """Directions of a sample: all up for the first one, random ones for the others."""

    def __init__(self, sample: int) -> None:
        self._rng = np.random.default_rng(sample) if sample else None

    def __call__(self, shape: tuple[int, ...]) -> FloatArray:
        return np.ones(shape) if self._rng is None else self._rng.standard_normal(shape)


_RATES = 10.0  # between two rates at which the modes outside the rank are tried
_MOST_RATES = 9


def rates_of_dropped(ensemble: Ensemble, times: FloatArray) -> Iterator[tuple[float, BoolArray]]:
    """Rates that the modes outside the rank of Θ may have, with the times at which they are tried: the largest one at all times, and
    smaller ones at times later than the larger ones' relaxation, since what a mode of rate λ gives is largest at λτ of the order of 1.
    """
    rate, at = ensemble.dropped_below, np.asarray(ensemble.learning_rule.time(times), dtype=np.float64)
    tried = np.full(at.shape, rate > 0)
    for _ in range(_MOST_RATES):
        if not tried.any():
            return
        yield rate, tried
        tried = at * rate > 1
        rate /= _RATES


def error_of_dropped(changes: FloatArray) -> FloatArray:
    """The error of a column of which `changes` (rates, times) has what each of those rates changes: some times the largest change, and
    inf where the last of all rates changes most, so that one still smaller may change it more.

    Examples
    --------
    >>> error_of_dropped(np.array([[1e-3, 0.0], [2e-3, 0.0]]))
    array([0.006, 0.   ])
    """
    largest = changes.max(axis=0)
    grows = len(changes) == _MOST_RATES and changes[-1] > 1.5 * changes[:-1].max(axis=0)
    return np.where(grows, np.inf, _FACTOR * largest)


def error_of(value: FloatArray, moved: FloatArray, n: int) -> FloatArray:
    """The error of a column of sums over n modes, from what it is after a move; inf where only one of both is finite.

    Examples
    --------
    >>> error_of(np.array([1.0, 2.0]), np.array([1.0, 2.5]), n=4) > 1e-3
    array([False,  True])
    """
    least = np.where(np.isfinite(value), 2 * EPS * (8 + np.sqrt(n)) * np.abs(value), 0.0)
    with np.errstate(invalid="ignore"):
        change = np.where(value == moved, 0.0, np.abs(value - moved))
    return np.maximum(least, np.where(np.isnan(change), np.inf, _FACTOR * change))
