r"""Training times worth a row: from the eigenvalues of Θ, dense where the networks move, ending where they do not.

Nothing moves before 0.1/s_max or after 10/s_min, with s_j = λ_j + ridge the rates of the modes. Between them the
progress of training and of the outputs at the test points,

.. math:: \frac{\sum_j w_j (1 - e_j(\tau))}{\sum_j w_j}, \qquad
          w_j = \mathrm{E}\,\|r_j\|^2 \quad\text{or}\quad \frac{\|\Theta_x v_j\|^2}{s_j^2}\,\mathrm{E}\,\|r_j\|^2,

share out the times: each interval has the same part of them and of log τ.
"""

from __future__ import annotations

import numpy as np

from dualib.core.arrays import times as times_of
from dualib.core.arrays import whole
from dualib.core.typing import ArrayLike, Float, FloatArray
from ntkinfo.ensemble import Ensemble
from ntkinfo.learning import GradientDescent
from ntkinfo.resources import column_blocks

_LEFT = 1e-4
"""The part of the progress that is left where the times end: it would change no printed digit."""

_GRID = 600


def default_times(ensemble: Ensemble, count: int = 25) -> Float[np.ndarray, " t"]:
    """Times at which the table of an ensemble has something new to say, ascending.

    Parameters
    ----------
    ensemble : Ensemble
    count : int
        How many; discrete descent may have fewer whole steps in that range.

    Returns
    -------
    array
        Shape (count,) or less; from about 0.1/λ_max to at most 10/λ_min.

    Raises
    ------
    ValueError
        If `count` is below 2, or Θ has rank zero, under which nothing moves.
    """
    whole(count, "count", 2)
    if ensemble.rank == 0:
        raise ValueError("Θ is zero: nothing is trained at any time, so that there are no times to choose")
    seen = slice(ensemble.n_train - ensemble.rank, None)
    rates = ensemble.eigenvalues[seen] + ensemble.ridge
    grid = np.geomspace(0.1 / rates[-1], 10 / rates[0], _GRID)
    rule = ensemble.learning_rule
    if isinstance(rule, GradientDescent):
        grid = np.unique(rule.round(grid))
    progress = _progress(ensemble, grid, seen, rates)
    left = np.flatnonzero((np.abs(1 - progress) > _LEFT).any(axis=0))
    end = min(int(left[-1]) + 2, grid.size) if left.size else grid.size
    grid, progress = grid[:end], progress[:, :end]
    if grid.size <= count:
        return grid
    moved = np.abs(np.diff(progress, axis=1)).sum(axis=0) / len(progress)
    step = np.concatenate([[0.0], np.cumsum(moved / moved.sum() + np.diff(np.log(grid)) / np.log(grid[-1] / grid[0]))])
    times = np.exp(np.interp(np.linspace(0, step[-1], int(count)), step, np.log(grid)))
    times[[0, -1]] = grid[[0, -1]]
    return np.unique(rule.round(times)) if isinstance(rule, GradientDescent) else times


def _progress(ensemble: Ensemble, grid: FloatArray, seen: slice, rates: FloatArray) -> FloatArray:
    """The progress of training, and of the test outputs where there are any, each from 0 to 1, shape (1 or 2, T)."""
    power = ensemble.mode_power[seen]
    weights = [power]
    if ensemble.n_test:
        weights.append(((ensemble.test_modes[0][:, seen] / rates) ** 2).sum(axis=0) * power)
    shares = np.stack([w / w.sum() if w.sum() > 0 else np.full(w.size, 1 / w.size) for w in weights])
    left = [ensemble.spectrum(grid[part]).decay[:, seen] for part in column_blocks(grid.size, 50)]
    return np.concatenate([(1 - decay) @ shares.T for decay in left]).T


def as_times_or_default(ensemble: Ensemble, taus: ArrayLike | None) -> Float[np.ndarray, " t"]:
    """`taus` as a vector of times, shape (T,); :func:`default_times` for None.

    Raises
    ------
    ValueError
        If there is no time, a negative one or NaN, or more than one axis.
    """
    if taus is None:
        return default_times(ensemble)
    times = np.atleast_1d(times_of(taus))
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"taus must be a time or a vector of times, got shape {np.shape(taus)}")
    return times
