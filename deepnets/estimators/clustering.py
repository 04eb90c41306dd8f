"""How a layer's activations cluster: what binned and noisy informations follow [goldfeld2019]_."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators.binning import Binning
from deepnets.estimators.layer import check_layer
from dualib.core.figure import axes_or_new, colour, describe, legend_above
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Clustering(Result):
    r"""Measures of clustering of one layer; see ``clustering``.

    Attributes
    ----------
    binned_entropy : float
        H(Bin(T)), in nats.
    within_mean, between_mean : float
        Mean distance of two different patterns of equal, and of different, label.
    distance_edges : array, shape (bins + 1,)
        Edges of the histograms, in units of the activations.
    within, between : array, shape (bins,)
        Share of those pairs in each bin, summing to 1 (0 where there are no such pairs).
    scatter_ratio : float
        tr S_B / tr S_T, the share of the activations' variance that lies between the label means.
    separation : float
        Probability that a pair of equal label is nearer than one of different label, ties counted half, at the resolution
        of the histograms: 1 apart, 1/2 no relation.

    Examples
    --------
    >>> import numpy as np
    >>> t, law = np.array([[-0.5], [-0.4], [0.8], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> found = clustering(t, law)
    >>> round(found.binned_entropy, 6), round(found.scatter_ratio, 6)
    (1.386294, 0.994118)
    """

    binned_entropy: float
    within_mean: float
    between_mean: float
    distance_edges: Float[np.ndarray, " edges"]
    within: Float[np.ndarray, " bins"]
    between: Float[np.ndarray, " bins"]
    scatter_ratio: float
    separation: float

    def to_record(self, units: Units = "bits") -> dict[str, float]:
        """Columns of a table, without the histograms."""
        return {
            f"H(Bin(T)) [{units}]": to_units(self.binned_entropy, units),
            "within-class distance": self.within_mean,
            "between-class distance": self.between_mean,
            "scatter ratio": self.scatter_ratio,
            "separation": self.separation,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Densities of the distances within and between labels; returns the axes."""
        ax = axes_or_new(ax)
        widths = np.diff(self.distance_edges)
        for i, (name, share) in enumerate((("within class", self.within), ("between classes", self.between))):
            ax.stairs(share / widths, self.distance_edges, label=name, fill=True, alpha=0.5, color=colour(i))
        describe(ax, "distance of two activations", "density", legend=False)
        legend_above(ax)
        return ax


def clustering(
    t: ArrayLike,
    p_y_given_x: ArrayLike,
    p_x: ArrayLike | None = None,
    binning: Binning | None = None,
    distance_bins: int = 100,
) -> Clustering:
    r"""Measures of clustering of one layer.

    A pair of different patterns i, j has weight p_i p_j, of which the part :math:`\sum_y p(y|i) p(y|j)` has equal labels. The
    scatter is :math:`S_B = \sum_y p(y) (μ_y - μ)(μ_y - μ)^T` within :math:`S_T = \mathrm{Cov}(t)`.

    Parameters
    ----------
    t : array, shape (n, d)
        Activations, one row a pattern; 2 patterns at least.
    p_y_given_x : array, shape (n, n_y)
    p_x : array, shape (n,), or None
        Weights of the patterns; equal by default.
    binning : Binning or None
        For H(Bin(T)); by default 30 edges over the range of t.
    distance_bins : int
        Bins of the histograms, from 0 to twice the largest distance from the mean.

    Returns
    -------
    Clustering
        A mean is NaN where there are no pairs of its kind; a scatter ratio is NaN where all activations are equal.

    Raises
    ------
    ValueError
        If arrays do not fit, or there are fewer than 2 patterns or distance bins.

    References
    ----------
    [goldfeld2019]_

    Examples
    --------
    >>> import numpy as np
    >>> t, law = np.array([[-0.5], [-0.4], [0.8], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> found = clustering(t, law)
    >>> round(found.within_mean, 6), round(found.between_mean, 6)  # distances within and between classes
    (0.1, 1.3)
    """
    layer = check_layer(t, p_y_given_x, p_x)
    if len(layer.t) < 2:
        raise ValueError("distances need at least 2 patterns, got 1")
    if distance_bins < 2:
        raise ValueError(f"distance_bins = {distance_bins} must be at least 2")
    constant = layer.t.min() == layer.t.max()
    if binning is None and not constant:
        binning = Binning.from_range(layer.t)
    entropy = 0.0 if binning is None else binning.layer(layer.t, p_y_given_x, p_x).rate.value

    points = layer.centres - layer.p_x @ layer.centres
    largest = 2.0 * float(np.sqrt((points * points).sum(axis=1).max())) or 1.0
    edges = np.linspace(0.0, largest, distance_bins + 1)
    counts, sums = _pair_histograms(points, layer.p_xy, layer.p_x, edges)
    pairs = counts.sum(axis=1)
    means = np.divide(sums, pairs, out=np.full(2, np.nan), where=pairs > 0)
    shares = np.divide(counts, pairs[:, None], out=np.zeros_like(counts), where=pairs[:, None] > 0)
    nearer = float(shares[1] @ (np.cumsum(shares[0]) - 0.5 * shares[0])) if (pairs > 0).all() else float("nan")

    seen = layer.p_y > 0
    class_means = (layer.p_xy.T @ points)[seen] / layer.p_y[seen, None]
    total = float(layer.p_x @ (points * points).sum(axis=1))
    between = float(layer.p_y[seen] @ (class_means**2).sum(axis=1))
    ratio = between / total if total > 0 else float("nan")
    return Clustering(entropy, float(means[0]), float(means[1]), edges, shares[0], shares[1], ratio, nearer)


def _pair_histograms(
    points: FloatArray, p_xy: FloatArray, p_x: FloatArray, edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights of the pairs i < j in each distance bin, (2, bins), and sums of their distances, (2,): equal, different labels."""
    n, bins = len(points), len(edges) - 1
    counts, sums = np.zeros((2, bins)), np.zeros(2)
    norms = (points * points).sum(axis=1)
    rows = p_xy / np.where(p_x > 0, p_x, 1.0)[:, None]
    size = max(1, 2**18 // n)
    for start in range(0, n - 1, size):
        stop = min(start + size, n)
        later = np.arange(start, n) > np.arange(start, stop)[:, None]
        square = norms[start:stop, None] + norms[start:] - 2.0 * points[start:stop] @ points[start:].T
        distance = np.sqrt(np.maximum(square[later], 0.0))
        weight = np.outer(p_x[start:stop], p_x[start:])[later]
        same = weight * (rows[start:stop] @ rows[start:].T)[later]
        index = np.minimum((distance * (bins / edges[-1])).astype(np.intp), bins - 1)
        for k, w in enumerate((same, np.maximum(weight - same, 0.0))):
            counts[k] += np.bincount(index, w, minlength=bins)
            sums[k] += float(w @ distance)
    return counts, sums
