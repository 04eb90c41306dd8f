"""A layer as estimators see it: checked activations, their weights and labels, equal rows merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dualib.core.arrays import SUM_TOLERANCE
from dualib.measures import entropy, mutual_information

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """Activations t (n, d) of n patterns, and p_xy (n, n_y), the joint law of pattern and label."""

    t: NDArray[np.floating]
    p_xy: FloatArray

    @cached_property
    def p_x(self) -> FloatArray:
        """Weights of the patterns, shape (n,)."""
        return row_sums(self.p_xy)

    @cached_property
    def p_y(self) -> FloatArray:
        """Label probabilities, shape (n_y,)."""
        return self.p_xy.sum(axis=0)

    @cached_property
    def input_entropy(self) -> float:
        """H of the patterns, in nats: no I(X;T) is larger."""
        return float(entropy(self.p_x))

    @cached_property
    def label_information(self) -> float:
        """I(X;Y) in nats: no I(T;Y) is larger."""
        return mutual_information(self.p_xy)

    def merged(self) -> Layer:
        """Equal rows of t as one row with their joint weight, and rows without weight left out.

        I(X;T) and I(T;Y) of T = t(X) + noise do not change.
        """
        t = np.ascontiguousarray(self.t, dtype=np.float64)[self.p_x > 0] + 0.0  # + 0.0: -0.0 becomes 0.0
        keys = t.view(np.dtype((np.void, t.dtype.itemsize * t.shape[1])))[:, 0]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        p_xy = np.zeros((len(first), self.p_xy.shape[1]))
        np.add.at(p_xy, inverse, self.p_xy[self.p_x > 0])
        return Layer(t[first], p_xy)

    @cached_property
    def centres(self) -> FloatArray:
        """t in float64."""
        return np.asarray(self.t, dtype=np.float64)


def check_layer(t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None) -> Layer:
    """The layer of an estimator's arguments.

    Raises
    ------
    ValueError: shapes that do not fit (all are printed), entries that are not finite, or laws that do not sum to 1.
    """
    array = np.asarray(t)
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f" or array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"t must be activations of shape (n, d), n, d >= 1, got dtype {array.dtype}, shape {array.shape}"
        )
    check_finite(array)
    n = len(array)
    rows = np.asarray(p_y_given_x, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != n or rows.shape[1] == 0:
        raise ValueError(
            f"t of shape {array.shape} asks for p_y_given_x of shape ({n}, n_y), got {rows.shape}; one-hot rows of "
            "integer labels y are numpy.eye(n_y)[y]"
        )
    weights = np.full(n, 1.0 / n) if p_x is None else np.asarray(p_x, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"t of shape {array.shape} asks for p_x of shape ({n},), got {weights.shape}")
    _check_sums("p_y_given_x", rows)
    _check_sums("p_x", weights)
    return Layer(array, rows * weights[:, None])


def check_finite(t: NDArray[np.floating]) -> None:
    """Refuse activations that are not finite, naming the first and how many there are."""
    if t.size == 0 or (math.isfinite(t.min()) and math.isfinite(t.max())):  # NaN goes through both
        return
    bad = ~np.isfinite(t)
    where = tuple(np.argwhere(bad)[0].tolist())
    raise ValueError(
        f"t{list(where)} is {t[where]}: {int(bad.sum())} of {t.size} activations are not finite; this network has "
        "diverged (lower its learning rate) or its activations overflow"
    )


def row_sums(value: FloatArray) -> FloatArray:
    """Sums over the last axis, as a matrix product: numpy's sum over a short last axis is several times slower."""
    return value @ np.ones(value.shape[-1])


def _check_sums(name: str, value: FloatArray) -> None:
    if not (value >= 0).all():  # NaN fails too
        where = np.argwhere(~(value >= 0))[0].tolist()
        raise ValueError(f"{name}{where} is {value[tuple(where)]}, and a probability is at least 0")
    off = float(np.abs(row_sums(value) - 1.0).max())
    if not off <= SUM_TOLERANCE:
        raise ValueError(f"{name} sums to 1 only within {off:.3g} (allowed: {SUM_TOLERANCE:g}); divide it by its sum")


def check_sigma(sigma: float) -> float:
    """The noise's standard deviation as a positive finite float, or a ValueError."""
    sigma = float(sigma)
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(
            f"sigma = {sigma} is not a positive number: without noise I(X;T) is H(X) or infinite; give the standard "
            "deviation of the network's noise, or use Binning for a deterministic network"
        )
    return sigma


def noise_generator(seed: int) -> np.random.Generator:
    """A stream that differs from ``default_rng(seed)``, of which the caller may have made the activations' noise."""
    if int(seed) != seed or seed < 0:
        raise ValueError(f"seed = {seed} must be a whole number, at least 0")
    return np.random.default_rng([int(seed), 0x5EED])
