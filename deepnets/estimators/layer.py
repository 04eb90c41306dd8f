"""A layer as estimators see it: checked activations, their weights and labels, equal rows merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dualib.core.arrays import SUM_TOLERANCE, row_codes
from dualib.core.special import entropy_nats, mutual_information_nats
from dualib.core.typing import ArrayLike, Float, FloatArray, IntArray, Shaped

ROUNDING = 1e-14
"""Relative error of an entropy in float64, added to what no information exceeds."""

LARGEST_SCALE = 1e140
"""Numbers whose squares, and sums of them, stay within float64."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Activations of n patterns and the joint law of pattern and label.

    Attributes
    ----------
    t : array, shape (n, d)
    p_xy : array, shape (n, n_y)
    """

    t: Shaped[np.ndarray, "n d"]
    p_xy: Float[np.ndarray, "n n_y"]

    @cached_property
    def p_x(self) -> Float[np.ndarray, " n"]:
        """Weights of the patterns."""
        return row_sums(self.p_xy)

    @cached_property
    def p_y(self) -> Float[np.ndarray, " n_y"]:
        """Label probabilities."""
        return np.asarray(self.p_xy.sum(axis=0))

    @cached_property
    def input_entropy(self) -> float:
        """H of the patterns, nats, rounded up: no I(X;T) is larger."""
        return (1.0 + ROUNDING) * max(0.0, float(entropy_nats(self.p_x)))

    @cached_property
    def label_information(self) -> float:
        """I(X;Y), nats, rounded up: no I(T;Y) is larger."""
        return (1.0 + ROUNDING) * mutual_information_nats(self.p_xy)

    @cached_property
    def label_entropy(self) -> float:
        """H(Y), nats."""
        return max(0.0, float(entropy_nats(self.p_y)))

    @cached_property
    def centres(self) -> Float[np.ndarray, "n d"]:
        """The activations in float64."""
        return np.asarray(self.t, dtype=np.float64)

    def merged(self) -> Layer:
        """Equal rows of t as one row with their joint weight, and rows without weight left out.

        I(X;T) and I(T;Y) of T = t(X) + noise do not change.
        """
        seen = self.p_x > 0
        t, p_xy = self.centres[seen], self.p_xy[seen]
        codes, counts = row_codes(t)
        rows = np.empty((len(counts), t.shape[1]))
        rows[codes] = t
        return Layer(rows, sums_by_code(p_xy, codes))


def check_layer(t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None) -> Layer:
    """The layer of an estimator's arguments.

    Raises
    ------
    ValueError
        If shapes do not fit (all are printed), entries are not finite, or laws do not sum to 1.
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
    _check_sums(rows, "p_y_given_x")
    _check_sums(weights, "p_x")
    return Layer(array, rows * weights[:, None])


def check_sample(layer: Layer, p_x: ArrayLike | None) -> None:
    """Refuse weights that differ: patterns of an independent sample have equal ones."""
    if p_x is not None and np.ptp(layer.p_x) > 1e-12:
        raise ValueError("p_x differs between patterns, but an independent sample has equal weights: leave p_x out")


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
    return np.asarray(value @ np.ones(value.shape[-1]))


def sums_by_code(rows: Float[np.ndarray, "n k"], codes: IntArray) -> Float[np.ndarray, "m k"]:
    """Sums of the rows with equal codes 0 … m − 1."""
    return np.column_stack([np.bincount(codes, column) for column in rows.T]).astype(np.float64, copy=False)


def check_sigma(sigma: float) -> float:
    """The noise's standard deviation as a positive finite float, or a ValueError."""
    sigma = float(sigma)
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(
            f"sigma = {sigma} is not a positive number: without noise I(X;T) is H(X) or infinite; give the standard "
            "deviation of the network's noise, or use Binning for a deterministic network"
        )
    if not 1.0 / LARGEST_SCALE < sigma < LARGEST_SCALE:
        raise ValueError(f"sigma = {sigma:.3g} has a square beyond float64; rescale the activations and their noise")
    return sigma


def check_reach(t: NDArray[np.floating], sigma: float) -> None:
    """Refuse activations that are so many σ large that squared distances overflow."""
    largest = float(np.abs(t).max())
    if largest / sigma > LARGEST_SCALE:
        raise ValueError(
            f"the largest activation is {largest:.3g}, which is {largest / sigma:.3g} sigma: squared distances go beyond "
            f"float64 from {LARGEST_SCALE:.0e} sigma on; use a larger sigma"
        )


def noise_generator(seed: int) -> np.random.Generator:
    """A stream that differs from ``default_rng(seed)``, of which the caller may have made the activations' noise."""
    if int(seed) != seed or seed < 0:
        raise ValueError(f"seed = {seed} must be a whole number, at least 0")
    return np.random.default_rng([int(seed), 0x5EED])


def _check_sums(value: FloatArray, name: str) -> None:
    if not (value >= 0).all():  # NaN fails too
        where = np.argwhere(~(value >= 0))[0].tolist()
        raise ValueError(f"{name}{where} is {value[tuple(where)]}, and a probability is at least 0")
    off = float(np.abs(row_sums(value) - 1.0).max())
    if not off <= SUM_TOLERANCE:
        raise ValueError(f"{name} sums to 1 only within {off:.3g} (allowed: {SUM_TOLERANCE:g}); divide it by its sum")
