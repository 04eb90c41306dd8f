r"""How many digits of each column the kernels' own last digits leave.

Kernels in double precision are known to ε = 2e-16 of their largest entry, and no algorithm knows their eigenvalues
better: with a condition number of 1e14 two digits of the smallest are left. What that does to a quantity is measured by
computing it again from kernels changed in their last digits, which is small-sample statistical condition estimation
[kenney1994]_: with three random changes an error is underestimated by more than a factor g with probability 1.1/g³.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dualib.core.special import EPS
from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo.ensemble import Ensemble

_CHANGE = 2.0  # standard deviation of the changes, in units of ε times the largest entry
_SAFETY = 10.0
_SAMPLES = 3


def perturbed(ensemble: Ensemble, seed: int) -> Ensemble:
    """The ensemble on kernels changed by independent symmetric Gaussian errors of 2ε of each kernel's largest entry.

    Points whose rows are equal stay so: they get the same change.
    """
    rng, kernels = np.random.default_rng(seed), ensemble.kernels
    names = ["ntk", "nngp"] if kernels.omega is None else ["ntk", "nngp", "omega"]
    blocks: dict[str, Any] = {}
    n = kernels.n_train
    for name in names:
        parts = [getattr(kernels, name + suffix) for suffix in ("", "_test_train", "_test")]
        if parts[1] is None:
            blocks[name] = _changed(parts[0], rng)
            continue
        joint = _changed(np.block([[parts[0], parts[1].T], parts[1:]]), rng)
        blocks |= {name: joint[:n, :n], f"{name}_test_train": joint[n:, :n], f"{name}_test": joint[n:, n:]}
    return replace(ensemble, kernels=replace(kernels, **blocks))


def _changed(kernel: ArrayLike, rng: np.random.Generator) -> FloatArray:
    matrix = np.array(kernel, dtype=np.float64) + 0.0  # no zero has a sign
    size = _CHANGE * EPS * float(np.abs(matrix).max())
    first: dict[bytes, int] = {}
    same = np.array([first.setdefault(row.tobytes(), i) for i, row in enumerate(matrix)])
    noise = rng.standard_normal(matrix.shape)
    for i in range(len(noise)):  # the lower triangle above the diagonal, row by row
        noise[i, i + 1 :] = noise[i + 1 :, i]
    for i, row in enumerate(matrix):
        row += size * noise[same[i], same]
    return matrix


def rounding_loss(
    values: Mapping[str, FloatArray], again: Callable[[Ensemble], Mapping[str, FloatArray]], ensemble: Ensemble
) -> dict[str, FloatArray]:
    """The relative error of each column of a table that the kernels' rounding explains.

    Parameters
    ----------
    values : mapping
        Name → column of the table of `ensemble`.
    again : ensemble -> mapping
        The same table of another ensemble; called for three of changed kernels.
    ensemble : Ensemble

    Returns
    -------
    dict
        Name → array of the shape of the column: ten times the largest relative difference, at least 1e-15; inf where no
        digit is left or the column itself says that it cannot be had (NaN, or inf in some of the tables).
    """
    found = {name: np.full(value.shape, 1e-15) for name, value in values.items()}
    for seed in range(_SAMPLES):
        other = again(perturbed(ensemble, seed))
        for name, value in values.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                change = np.where(value == other[name], 0.0, np.abs(value - other[name]) / np.abs(value))
            found[name] = np.maximum(found[name], np.where(np.isnan(change), np.inf, _SAFETY * change))
    return found
