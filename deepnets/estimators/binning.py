"""Informations of binned activations: exact for the binned variable, which measures clustering in a deterministic network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from deepnets.estimators.layer import Layer, check_finite, check_layer, row_sums
from deepnets.estimators.layer_information import Z_95, Estimate, LayerInformation, make_estimate
from deepnets.estimators.sensitivity import Sensitivity
from dualib.measures import entropy

FloatArray = NDArray[np.float64]


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
    bins : number of edges, linspace(low, high, bins) as in the code of Shwartz-Ziv and Tishby: 30 edges make 29 intervals
        [e_k, e_{k+1}) and the cell {t = high}, which saturated float32 tanh units do reach.
    low, high : first and last edge.
    edges : increasing edges to use instead of the three above, e.g. of unequal cells.
    sampled : the patterns are an independent sample of a population (instead of all patterns, with probabilities p_x): values
        are then jackknifed, with a 95 % interval.

    Raises
    ------
    ValueError: fewer than 2 edges, edges that do not increase, or more edges than float64 tells apart (the message says how
        many it does).

    References
    ----------
    [shwartzziv2017]_; [saxe2018]_; [goldfeld2019]_; [paninski2003]_ (bias of entropies of samples)
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
        ValueError: nothing given, entries that are not finite, or activations that are all equal.

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
    def edge_array(self) -> FloatArray:
        """The edges, increasing, shape (bins,)."""
        if self.edges is not None:
            return np.array(self.edges)
        return np.linspace(self.low, self.high, int(self.bins))

    def codes(self, t: ArrayLike) -> NDArray[np.int64]:
        """The cell of every activation: k where edge k <= t < edge k+1, shape of t.

        Raises
        ------
        ValueError: activations that are not finite or outside the edges (how many, and the remedy), or cells narrower than
        the spacing of the activations' own precision.
        """
        array = np.asarray(t)
        check_finite(array)
        self._check_resolution(array.dtype)
        edges = self.edge_array
        if array.size and (array.min() < edges[0] or array.max() > edges[-1]):
            below, above = int((array < edges[0]).sum()), int((array > edges[-1]).sum())
            raise ValueError(
                f"{below} activations are below the first edge {edges[0]:g} and {above} above the last {edges[-1]:g}, out of "
                f"{array.size}, which run from {array.min():g} to {array.max():g}; use Binning.from_range(activations) or "
                "wider edges"
            )
        return _codes(array.astype(np.float64, copy=False), edges, uniform=self.edges is None)

    def _check_resolution(self, dtype: np.dtype) -> None:
        if dtype.kind != "f":
            return
        uniform = (self.high - self.low) / (self.bins - 1)
        narrowest = uniform if self.edges is None else float(np.diff(self.edges).min())
        spacing = float(np.finfo(dtype).eps) * max(abs(self.low), abs(self.high))
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
        t : array, shape (n, d): the layer's activations, one row a pattern, in the precision they were computed in.
        p_y_given_x : array, shape (n, n_y): label probabilities, one-hot where labels are deterministic.
        p_x : array, shape (n,): weights of the patterns; equal by default.
        seed : not used, nothing is random here.

        Returns
        -------
        LayerInformation, in nats.

        Raises
        ------
        ValueError: see ``codes``; shapes that do not fit, laws that do not sum to 1, weights p_x for a sample.
        """
        layer = check_layer(t, p_y_given_x, p_x)
        cells = group_rows(self.codes(layer.t))
        if self.sampled:
            if p_x is not None and np.ptp(layer.p_x) > 1e-12:
                raise ValueError(
                    "p_x differs between patterns, but an independent sample has equal weights: leave it out"
                )
            return _sampled(layer, cells, self._method)
        p_ty = _sums_by_cell(layer.p_xy, cells)  # p(t̂, y)
        input_value = float(entropy(row_sums(p_ty)))
        label_value = max(0.0, input_value + float(entropy(layer.p_y)) - float(entropy(p_ty.ravel())))
        return LayerInformation(
            *(
                Estimate(value, value, value, self._method, "exact", warnings=warnings)
                for value, warnings in (
                    (input_value, (_DETERMINISTIC.format(layer.input_entropy),)),
                    (label_value, _label_warnings(input_value, layer)),
                )
            )
        )

    @property
    def _method(self) -> str:
        kind = f"{self.bins} edges" + (
            " given" if self.edges is not None else f" linspace({self.low:g}, {self.high:g})"
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
        t, p_y_given_x, p_x : as for ``layer``.
        bins : numbers of edges.

        Returns
        -------
        Sensitivity, in nats.

        Raises
        ------
        ValueError: as ``layer``.
        """
        counts = sorted({int(b) for b in bins})
        found = [replace(self, bins=count, edges=None).layer(t, p_y_given_x, p_x) for count in counts]
        return Sensitivity(
            np.array(counts), np.array([f.input.value for f in found]), np.array([f.label.value for f in found])
        )


_DETERMINISTIC = (
    "of a deterministic layer: I(X;T) itself is H(X) = {:.4g} nats where the layer keeps all patterns apart (infinite for "
    "continuous X); this value depends on the cells and measures clustering"
)


def _label_warnings(input_value: float, layer: Layer) -> tuple[str, ...]:
    if input_value < 0.9 * layer.input_entropy:
        return ()
    return (
        f"H of the cells, {input_value:.4g} nats, is near H(X) = {layer.input_entropy:.4g}: most patterns have a cell of their "
        "own, which makes I(T;Y) nearly I(X;Y) whatever the layer does",
    )


def _codes(t: FloatArray, edges: FloatArray, uniform: bool) -> NDArray[np.int64]:
    if not uniform:
        return np.searchsorted(edges, t, side="right") - 1
    # A guess from the step, off by at most one cell, then put right by comparing with the edges.
    last = len(edges) - 1
    scaled = t - edges[0]
    scaled *= last / (edges[-1] - edges[0])
    codes = scaled.astype(np.int64)
    np.minimum(codes, last, out=codes)
    codes -= t < edges[codes]
    codes += t >= np.append(edges[1:], np.inf)[codes]
    return codes


def group_rows(codes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number the distinct rows: equal numbers for equal rows, 0, 1, …; exact, without hashing.

    Rows are packed into 64-bit words with mixed radix; after a full word the rows seen so far are numbered, and the numbers
    become the first digit of the next.

    Parameters
    ----------
    codes : non-negative int array, shape (n, d).

    Returns
    -------
    int array, shape (n,).
    """
    radix = int(codes.max()) + 1
    digits = (codes[:, k] for k in range(codes.shape[1]))
    word, size = next(digits).astype(np.uint64), radix
    for digit in digits:
        if size * radix > 2**64:
            word = _number(word).astype(np.uint64)
            size = len(word)
        word = word * np.uint64(radix) + digit.astype(np.uint64)
        size *= radix
    return _number(word)


def _number(word: NDArray[np.uint64]) -> NDArray[np.int64]:
    order = np.argsort(word)
    ordered = word[order]
    rank = np.zeros(len(word), dtype=np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=rank[1:])
    numbers = np.empty_like(rank)
    numbers[order] = rank
    return numbers


def _sums_by_cell(rows: FloatArray, cells: NDArray[np.int64]) -> FloatArray:
    """Sums of the rows (n, n_y) over each cell, shape (n_cells, n_y)."""
    return np.column_stack([np.bincount(cells, column) for column in rows.T]).astype(np.float64, copy=False)


def _sampled(layer: Layer, cells: NDArray[np.int64], method: str) -> LayerInformation:
    """Jackknifed informations of a sample; the interval holds plug-in and jackknife and 1.96 standard errors of either."""
    n = len(cells)
    rows = layer.p_xy * n
    counts_ty = _sums_by_cell(rows, cells)
    counts_t, counts_y = counts_ty.sum(axis=1), rows.sum(axis=0)
    h_t, less_t = _jackknife(counts_t, counts_t[cells][:, None], np.ones((n, 1)), n)
    h_y, less_y = _jackknife(counts_y, np.broadcast_to(counts_y, rows.shape), rows, n)
    h_ty, less_ty = _jackknife(counts_ty.ravel(), counts_ty[cells], rows, n)
    surprise = -np.log(counts_t[cells] / n)
    ratio = counts_ty[cells] / counts_t[cells, None] / np.maximum(counts_y / n, 1e-300)
    gain = xlogy(rows, np.where(rows > 0, ratio, 1.0)).sum(axis=1)
    alone = float((counts_t[cells] == 1).mean())
    warnings: tuple[str, ...] = ()
    if alone > 0.05:
        warnings = (
            f"{alone:.0%} of the samples are alone in their cell, so that about that much probability lies in cells not seen: "
            "the interval may miss; take more samples or wider cells",
        )
    found = []
    for plug_in, less, influence, most in (
        (h_t, less_t, surprise, math.inf),
        (h_t + h_y - h_ty, less_t + less_y - less_ty, gain, math.log(max(rows.shape[1], 1))),
    ):
        corrected = min(most, max(0.0, n * plug_in - (n - 1) * less))
        error = float(influence.std(ddof=1) / math.sqrt(n)) if n > 1 else math.inf
        ends = sorted((min(most, max(0.0, plug_in)), corrected))
        interval = max(0.0, ends[0] - Z_95 * error), min(most, ends[1] + Z_95 * error)
        found.append(make_estimate(corrected, interval, method, "95%", std_error=error, warnings=warnings))
    return LayerInformation(
        found[0].with_warnings(_DETERMINISTIC.format(layer.input_entropy)),
        found[1].with_warnings(*_label_warnings(h_t, layer)),
    )


def _jackknife(counts: FloatArray, own: FloatArray, removed: FloatArray, n: int) -> tuple[float, float]:
    """Entropy of counts (sum n), and its mean after one sample, which counts `removed` in cells of counts `own`, is left out."""
    total = xlogy(counts, counts).sum()
    if n == 1:
        return 0.0, 0.0
    rest = np.maximum(own - removed, 0.0)
    left = total - (xlogy(own, own) - xlogy(rest, rest)).sum(axis=1)
    return float(math.log(n) - total / n), float(math.log(n - 1) - left.mean() / (n - 1))
