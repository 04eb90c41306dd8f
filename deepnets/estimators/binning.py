"""Informations of binned activations: exact for the binned variable, which measures clustering in a deterministic network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deepnets.estimators.binned_sample import of_cells, of_separation, sampled_information
from deepnets.estimators.layer import check_finite, check_layer, check_sample, row_sums, sums_by_code
from deepnets.estimators.layer_information import LayerInformation
from deepnets.estimators.sensitivity import Sensitivity
from dualib.core.arrays import row_codes
from dualib.core.estimate import Estimate
from dualib.core.special import entropy_nats
from dualib.core.typing import ArrayLike, Float, FloatArray, IntArray


@dataclass(frozen=True)
class Binning:
    r"""I(T̂;X) and I(T̂;Y) of activations quantised unit by unit, T̂ = (number of edges at or below t_k)_k.

    T̂ is a function of x, so that

    .. math:: I(X;\hat T) = H(\hat T), \qquad I(\hat T;Y) = H(\hat T) - \sum_y p(y) H(\hat T|y)

    computed from the exact cell probabilities. Codes come from comparing activations with the edges, exactly: multiplying
    and rounding in single precision puts the largest float32 below 1 into the cell of 1.

    **What it does not measure.** The network is deterministic: I(X;T) itself is H(X) for a finite set of patterns that
    the layer keeps apart, and infinite for continuous X. The binned value depends on the cells and follows how far the
    activations cluster; every estimate says so. Look at ``sensitivity`` before a single bin count.

    Parameters
    ----------
    bins : int
        Number of edges, linspace(low, high, bins) as in the code of Shwartz-Ziv and Tishby: 30 edges make 29 intervals
        [e_k, e_{k+1}) and the cell {t = high}, which saturated float32 tanh units do reach.
    low, high : float
        First and last edge.
    edges : tuple of float, or None
        Increasing edges to use instead of the three above, e.g. of unequal cells.
    sampled : bool
        Whether the patterns are an independent sample of a population (instead of all patterns, with probabilities p_x):
        values are then jackknifed, with a 95 % interval.

    Raises
    ------
    ValueError
        If there are fewer than 2 edges, they do not increase, or are more than float64 tells apart (the message says how
        many it does).

    References
    ----------
    [shwartzziv2017]_; [saxe2018]_; [goldfeld2019]_; [paninski2003]_ (bias of entropies of samples); [chao2003]_

    Examples
    --------
    >>> import numpy as np
    >>> t, labels = np.array([[-0.5], [-0.4], [0.9]]), np.eye(2)[[0, 0, 1]]
    >>> round(Binning(3).layer(t, labels).rate.value, 6)  # two cells, of 2/3 and 1/3
    0.636514
    """

    bins: int = 30
    low: float = -1.0
    high: float = 1.0
    edges: tuple[float, ...] | None = None
    sampled: bool = False

    def __post_init__(self) -> None:
        if self.edges is not None:
            edges = tuple(float(e) for e in self.edges)
            if len(edges) >= 2:
                for name, value in (("bins", len(edges)), ("low", edges[0]), ("high", edges[-1])):
                    object.__setattr__(self, name, value)
            object.__setattr__(self, "edges", edges)
        count = self.bins if self.edges is None else len(self.edges)
        if int(count) != count or count < 2:
            raise ValueError(
                f"bins = {count}: at least 2 edges are needed (bins counts edges; 2 of them make one interval)"
            )
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"the edges run from {self.low} to {self.high}, which is not finite")
        if not self.low < self.high:
            raise ValueError(f"low = {self.low} is not below high = {self.high}")
        if self.edges is not None and not (np.diff(self.edges) > 0).all():
            k = int(np.flatnonzero(~(np.diff(self.edges) > 0))[0])
            raise ValueError(f"edges do not increase: edge {k + 1} is {self.edges[k + 1]} after {self.edges[k]}")
        self._check_resolution(np.dtype(np.float64))

    @classmethod
    def from_range(cls, *activations: ArrayLike, bins: int = 30, sampled: bool = False) -> Binning:
        """Edges from the least to the largest activation over everything given, e.g. all layers of a whole run (ReLU).

        Raises
        ------
        ValueError
            If nothing is given, entries are not finite, or all activations are equal.

        References
        ----------
        [saxe2018]_
        """
        arrays = [np.asarray(a) for a in activations]
        if sum(a.size for a in arrays) == 0:
            raise ValueError("from_range needs activations: give those of all snapshots that are to be compared")
        for array in arrays:
            check_finite(array)
        low = min(float(a.min()) for a in arrays if a.size)
        high = max(float(a.max()) for a in arrays if a.size)
        if low == high:
            raise ValueError(f"all activations are {low}: there is no range to divide; give low and high")
        return cls(bins, low, high, sampled=sampled)

    @cached_property
    def edge_array(self) -> Float[np.ndarray, " bins"]:
        """The edges, increasing."""
        if self.edges is not None:
            return np.array(self.edges)
        return np.linspace(self.low, self.high, int(self.bins))

    def codes(self, t: ArrayLike) -> IntArray:
        """The cell of every activation: k where edge k <= t < edge k+1, shape of t.

        Raises
        ------
        ValueError
            If activations are not finite or outside the edges (how many, and the remedy), or cells are narrower than the
            spacing of the activations' own precision.
        """
        array = np.asarray(t)
        check_finite(array)
        self._check_resolution(array.dtype)
        edges = self.edge_array
        if array.size and (array.min() < edges[0] or array.max() > edges[-1]):
            below, above = int((array < edges[0]).sum()), int((array > edges[-1]).sum())
            raise ValueError(
                f"{below} activations are below the first edge {edges[0]:g} and {above} above the last {edges[-1]:g}, out of "
                f"{array.size}, which run from {array.min():g} to {array.max():g}; use Binning.from_range(activations), "
                "wider edges, or for a plane RangeBinning"
            )
        return _codes(array.astype(np.float64, copy=False), edges, uniform=self.edges is None)

    def _check_resolution(self, dtype: np.dtype[np.generic]) -> None:
        if dtype.kind != "f":
            return
        uniform = (self.high - self.low) / (self.bins - 1)
        narrowest = uniform if self.edges is None else float(np.diff(self.edges).min())
        spacing = float(np.finfo(dtype.name).eps) * max(abs(self.low), abs(self.high))
        if narrowest < spacing:
            raise ValueError(
                f"the narrowest of {self.bins - 1} cells is {narrowest:.3g} wide, under the spacing {spacing:.3g} of {dtype} at "
                f"the edges: more bins than float resolution; use at most {int((self.high - self.low) / spacing)} bins"
            )

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Binned informations of one layer.

        Parameters
        ----------
        t : array, shape (n, d)
            The layer's activations, one row a pattern, in the precision they were computed in.
        p_y_given_x : array, shape (n, n_y)
            Label probabilities, one-hot where labels are deterministic.
        p_x : array, shape (n,), or None
            Weights of the patterns; equal by default.
        seed : int
            Not used, nothing is random here.

        Returns
        -------
        LayerInformation
            In nats.

        Raises
        ------
        ValueError
            See ``codes``; or if shapes do not fit, laws do not sum to 1, or a sample has weights p_x.
        """
        layer = check_layer(t, p_y_given_x, p_x)
        cells, _ = row_codes(self.codes(layer.t))
        if self.sampled:
            check_sample(layer, p_x)
            most = layer.t.shape[1] * math.log(self.bins)  # all cells, equally likely
            return sampled_information(layer, cells, most, self._method)
        p_ty = sums_by_code(layer.p_xy, cells)  # p(t̂, y)
        rate = float(entropy_nats(row_sums(p_ty)))
        relevance = max(0.0, rate + layer.label_entropy - float(entropy_nats(p_ty.ravel())))
        estimates = (Estimate.exact(value, method=self._method) for value in (rate, relevance))
        return LayerInformation.of(estimates, (of_cells(layer),), of_separation(rate, layer))

    @property
    def _method(self) -> str:
        kind = f"{self.bins} edges" + (
            " given" if self.edges is not None else f" linspace({self.low + 0.0:g}, {self.high + 0.0:g})"
        )
        return f"binned activations, {kind}" + (", jackknife" if self.sampled else "")

    def sensitivity(
        self,
        t: ArrayLike,
        p_y_given_x: ArrayLike,
        p_x: ArrayLike | None = None,
        bins: Iterable[int] = (3, 5, 10, 20, 30, 50, 100, 300, 1000, 3000, 10000),
    ) -> Sensitivity:
        """The same layer at many bin counts, over the same range: how much of a value is the cells' doing.

        Parameters
        ----------
        t, p_y_given_x, p_x : array
            As for ``layer``.
        bins : iterable of int
            Numbers of edges.

        Returns
        -------
        Sensitivity
            In nats.

        Raises
        ------
        ValueError
            As ``layer``.
        """
        counts = sorted({int(b) for b in bins})
        found = [replace(self, bins=count, edges=None).layer(t, p_y_given_x, p_x) for count in counts]
        values = np.array([[f.rate.value, f.relevance.value] for f in found])
        return Sensitivity(np.array(counts), values[:, 0], values[:, 1])


def _codes(t: FloatArray, edges: FloatArray, uniform: bool) -> IntArray:
    if not uniform:
        return np.asarray(np.searchsorted(edges, t, side="right") - 1)
    # A guess from the step, off by at most one cell, then put right by comparing with the edges.
    last = len(edges) - 1
    scaled = t - edges[0]
    scaled *= last / (edges[-1] - edges[0])
    codes = scaled.astype(np.int64)
    np.minimum(codes, last, out=codes)
    codes -= t < edges[codes]
    codes += t >= np.append(edges[1:], np.inf)[codes]
    return np.asarray(codes)
