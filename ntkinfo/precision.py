r"""How many digits of each column the kernels' own last digits leave.

Kernels in double precision are known to ε = 2e-16 of their largest entry, and no algorithm knows their eigenvalues
better: with a condition number of 1e14 two digits of the smallest are left. What that does to a quantity is measured by
computing it again from kernels changed in their last digits, which is small-sample statistical condition estimation
[kenney1994]_: with three random changes an error is underestimated by more than a factor g with probability 1.1/g³.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from dualib.core.quantity import Relation
from dualib.core.special import EPS
from dualib.core.typing import FloatArray, IntArray
from ntkinfo.ensemble import Ensemble
from ntkinfo.text import NEGLIGIBLE

_CHANGE = 2.0  # standard deviation of the changes, in units of ε times the largest entry
_SAFETY = 10.0
_SAMPLES = 3

LEAST = 4e-15
"""Of a value: what the sums that make it lose whatever the kernels."""

FEW_DIGITS = 1e-9
"""A relative error above which a printed table says that a column has lost digits."""

TOO_FEW_DIGITS = 1e-4
"""A relative error above which a warning says it: four digits are printed."""


class FewDigitsWarning(UserWarning):
    """Rounding leaves few digits of a column."""


def digits_left(loss: float) -> int:
    """The digits that a relative error leaves.

    Examples
    --------
    >>> digits_left(3e-7), digits_left(float("inf"))
    (6, 0)
    """
    return max(int(-np.log10(min(loss, 1.0))), 0)


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
            blocks[name] = _changed(np.array(parts[0]), rng)
            continue
        if parts[2].ndim == 1:
            changed = _changed_with_variances(parts[0], parts[1], parts[2], rng)
            blocks |= {
                name + suffix: block for suffix, block in zip(("", "_test_train", "_test"), changed, strict=True)
            }
            continue
        joint = _changed(np.block([[parts[0], parts[1].T], parts[1:]]), rng)
        blocks |= {name: joint[:n, :n], f"{name}_test_train": joint[n:, :n], f"{name}_test": joint[n:, n:]}
    return replace(ensemble, kernels=replace(kernels, **blocks))


def _changed(kernel: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A kernel of all points, overwritten."""
    kernel += 0.0  # no zero has a sign
    size = _CHANGE * EPS * float(np.abs(kernel).max())
    same, noise = _first_of_each(kernel), _symmetric_noise(len(kernel), rng)
    for i, row in enumerate(kernel):
        row += size * noise[same[i], same]
    return kernel


def _changed_with_variances(
    train: FloatArray, cross: FloatArray, variance: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The same of kernels with the variances of the test points alone."""
    n, size = len(train), _CHANGE * EPS * max(float(np.abs(train).max()), float(variance.max()))
    same, noise, seed = _first_of_each(train, cross), _symmetric_noise(n, rng), int(rng.integers(2**32))
    changed, own, among = [cross + 0.0, variance + 0.0], np.diagonal(noise), same[:n]
    for x, first in enumerate(same[n:]):
        if first < n:  # a training point
            errors = np.append(noise[first, among], own[first])
        else:
            errors = np.random.default_rng([seed, first]).standard_normal(n + 1)[np.append(among, n)]
        changed[0][x] += size * errors[:n]
        changed[1][x] += size * errors[n]
    return train + size * noise[np.ix_(among, among)], changed[0], np.maximum(changed[1], 0.0)


def _first_of_each(*blocks: FloatArray) -> IntArray:
    """Of each row of the blocks, one below the other, the first one that is equal."""
    first: dict[bytes, int] = {}
    rows = (blake2b((row + 0.0).tobytes()).digest() for block in blocks for row in block)
    return np.array([first.setdefault(row, i) for i, row in enumerate(rows)])


def _symmetric_noise(n: int, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal((n, n))
    for i in range(n):  # the lower triangle above the diagonal, row by row
        noise[i, i + 1 :] = noise[i + 1 :, i]
    return noise


def rounding_errors(
    values: Mapping[str, FloatArray], again: Callable[[Ensemble], Mapping[str, FloatArray]], ensemble: Ensemble
) -> dict[str, FloatArray]:
    """The errors of each column of a table that the kernels' rounding explains.

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
        Name → array of the shape of the column and in its unit: ten times the largest difference, at least 4e-15 of the value;
        inf where the column itself says that it cannot be had (NaN, or inf in some of the tables).
    """
    found = {name: np.where(np.isfinite(value), LEAST * np.abs(value), 0.0) for name, value in values.items()}
    for seed in range(_SAMPLES):
        other = again(perturbed(ensemble, seed))
        for name, value in values.items():
            with np.errstate(invalid="ignore"):
                change = np.where(value == other[name], 0.0, np.abs(value - other[name]))
            found[name] = np.maximum(found[name], np.where(np.isnan(change), np.inf, _SAFETY * change))
    return found


def relative_loss(errors: FloatArray, value: FloatArray) -> FloatArray:
    """Errors as parts of the value, at least 4e-15; inf where no digit is left.

    Examples
    --------
    >>> import numpy as np
    >>> relative_loss(np.array([0.0, 0.5, 1e-9]), np.array([2.0, 2.0, 0.0]))
    array([4.0e-15, 2.5e-01,     inf])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.maximum(np.where(errors > 0, np.where(np.isinf(errors), np.inf, errors / np.abs(value)), 0.0), LEAST)


def lost_beyond_first_order(errors: FloatArray, value: FloatArray) -> FloatArray:
    """Errors of a bound; inf where one is as large as the bound itself, and not negligible: what is known to first order says no more there.

    Examples
    --------
    >>> import numpy as np
    >>> lost_beyond_first_order(np.array([0.5, 2.0, 1e-9]), np.array([1.0, 1.0, 0.0]))
    array([5.e-01,    inf, 1.e-09])
    """
    return np.where((errors >= np.abs(value)) & (errors > NEGLIGIBLE), np.inf, errors)


def outward(value: FloatArray, errors: FloatArray, relation: Relation) -> FloatArray:
    """Lower bounds less their errors, upper bounds plus theirs, and any other value as it is.

    Where an error is infinite a bound says nothing: it is ∓inf.

    Examples
    --------
    >>> import numpy as np
    >>> outward(np.array([1.0, np.inf]), np.array([0.25, np.inf]), Relation.LOWER)
    array([0.75, -inf])
    """
    side = SIDES.get(relation, 0)
    if side == 0:
        return value
    lost = np.isinf(errors) & ~np.isnan(value)
    return np.where(lost, side * np.inf, value + side * np.where(lost, 0.0, errors))


SIDES = {Relation.LOWER: -1, Relation.UPPER: 1, Relation.UPPER_IN_EXPECTATION: 1}
"""Where the truth must not lie beyond a bound: above upper ones, below lower ones."""
