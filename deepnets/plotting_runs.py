"""Figures of several runs beside one another, for a column of 3.4 inches.

As in :mod:`deepnets.plotting`: an Axes or figure is drawn and returned; what is drawn was computed in
:mod:`deepnets.run_comparison`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.plotting import COLOURS, MARKERS
from deepnets.run_comparison import ClusteringPath, RunComparison
from deepnets.trajectory import InformationPlane
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN = 3.4
"""Width of a column of text, in inches."""

_SIZE = 7  # points
_EPOCHS = "epoch (0 at the left end)"


def plot_comparison(comparison: RunComparison, units: Units = "bits") -> Figure:
    """Where the runs end: I(X;T) and I(T;Y) of the last hidden layer and of the outputs, and accuracy; means over replicas
    with 95 % bootstrap intervals; dotted, the estimator's own interval of a noisy network. A noisy network's outputs are no layer of its plane.
    """
    from matplotlib.figure import Figure

    labels = list(comparison.planes)
    figure = Figure(figsize=(COLUMN, 1.1 + 3 * (0.3 + 0.22 * len(labels))), layout="constrained")
    axes = figure.subplots(3, 1)
    wanted = {"i_xt": f"I(X;T)  [{units}]", "i_ty": f"I(T;Y)  [{units}]", "accuracy": "accuracy"}
    found = comparison.final()
    for ax, (quantity, name) in zip(axes, wanted.items(), strict=True):
        for value in (v for v in found if v.quantity == quantity):
            output = value.layer.startswith("output")
            centre, low, high = (
                to_units(v, units) if value.is_information else v for v in (value.mean, value.low, value.high)
            )
            shift = 0.0 if quantity == "accuracy" else 0.14 if output else -0.14
            place = labels.index(value.run) + shift
            colour = "0.2" if quantity == "accuracy" else COLOURS[1] if output else COLOURS[0]
            marker = "D" if quantity == "accuracy" else "s" if output else "o"
            least, most = value.estimator_low, value.estimator_high
            if value.is_information and most > least:
                ends = [to_units(least, units), to_units(most, units)]
                ax.plot(ends, [place, place], ":", color=colour, linewidth=1, label="_estimator")
            ax.plot([low, high], [place, place], color=colour, linewidth=1.4)
            ax.plot([centre], [place], marker, color=colour, markersize=3.5)
        ax.set_yticks(range(len(labels)), labels)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.set_xlabel(name, fontsize=_SIZE)
        ax.grid(axis="x", color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.locator_params(axis="x", nbins=5)
        _small(ax)
    handles = [
        axes[0].plot([], [], marker, color=colour, markersize=3.5, label=text)[0]
        for marker, colour, text in (("o", COLOURS[0], "last hidden layer"), ("s", COLOURS[1], "output"))
    ]
    figure.legend(handles=handles, fontsize=_SIZE, ncols=2, loc="outside upper center", frameon=False)
    figure.supxlabel(
        "at the last epoch; mean, 95 % bootstrap over replicas\ndotted: the estimator's own interval", fontsize=6
    )
    return figure


def plot_bound(comparison: RunComparison, ax: Axes | None = None) -> Axes:
    """The input-compression bound and the measured accuracy gap against the epoch: medians and quartiles over replicas. The
    bound says nothing above 1, which is shaded.
    """
    ax = _column_axes() if ax is None else ax
    top, bottom = 1.0, 0.0
    for j, label in enumerate(comparison.planes):
        colour = COLOURS[j % len(COLOURS)]
        epochs = np.maximum(comparison.planes[label].epochs, 0.5)
        bound, gap = comparison.bound[label], comparison.gap[label]
        _band(ax, epochs, bound, colour, "-", f"{label}, m = {comparison.n_train[label]}")
        low, high = np.median(comparison.bound_range[label], axis=1)
        if (high > low).any():  # the estimator's interval
            ax.plot(epochs, np.stack([low, high], axis=1), ":", color=colour, linewidth=0.8, label="_range")
        top = max(top, float(bound.max()), float(high.max()))
        if np.isfinite(gap).all():  # there are test patterns
            _band(ax, epochs, gap, colour, "--", "_", alpha=0.1)
            bottom = min(bottom, float(np.quantile(gap, 0.25, axis=0).min()))
    top, bottom = 5 * top, min(1.3 * bottom, -0.003)
    ax.set_yscale("symlog", linthresh=0.01, linscale=0.6)
    ax.set_ylim(bottom, top)
    ax.axhspan(1.0, top, color="0.92", zorder=0)
    ax.text(0.98, 0.98, "bound vacuous: no gap exceeds 1", fontsize=6, ha="right", va="top", transform=ax.transAxes)
    ax.axhline(1.0, color="0.5", linewidth=0.8)
    ax.axhline(0.0, color="0.8", linewidth=0.6, zorder=0)
    ax.set_yticks([v for v in (-0.1, -0.01, 0, 0.01, 0.1, 1, 10) if bottom <= v <= top])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set(xscale="log")
    ax.set_xlabel(_EPOCHS, fontsize=_SIZE)
    ax.set_ylabel("accuracy gap, train − test", fontsize=_SIZE)
    ax.plot([], [], "-", color="0.3", label=r"bound $\sqrt{2^{I(X;T)}/2m}$")
    ax.plot([], [], "--", color="0.3", label="measured gap")
    if any((high > low).any() for low, high in comparison.bound_range.values()):
        ax.plot([], [], ":", color="0.3", label="bound, estimator's interval")
    ax.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    _small(ax)
    return ax


def plot_twins(
    planes: tuple[InformationPlane, InformationPlane],
    paths: tuple[ClusteringPath, ClusteringPath],
    units: Units = "bits",
) -> Figure:
    """A noisy network (left) beside its deterministic twin (right), layer by layer against the epoch: I(X;T) as estimated for
    each, H(Bin(T)), and the mean distance within a class. Medians over replicas, the estimator's
    interval of the noisy I(X;T) shaded ([goldfeld2019]_ section 5).
    """
    from matplotlib.figure import Figure

    names = paths[0].layers
    if paths[1].layers != names or any(plane.layers[: len(names)] != names for plane in planes):
        raise ValueError(f"planes and paths are not of twins: hidden layers {names} and {paths[1].layers}")
    figure = Figure(figsize=(COLUMN, 4.9), layout="constrained")
    axes = figure.subplots(3, 2, sharex=True, sharey="row")
    titles = ("noisy\nI(X;T) with its interval", "deterministic twin\nI(X;T) binned")
    for column, (plane, path, title) in enumerate(zip(planes, paths, titles, strict=True)):
        rows: Sequence[tuple[np.ndarray, FloatArray, str]] = (
            (plane.epochs, to_units(plane.input, units), f"I(X;T)  [{units}]"),
            (path.epochs, to_units(path.binned_entropy, units), f"H(Bin(T))  [{units}]"),
            (path.epochs, path.within, "distance within a class\n[activation]"),
        )
        for row, (epochs, values, label) in enumerate(rows):
            ax = axes[row, column]
            for k, name in enumerate(names):
                middle = np.median(values[:, :, k], axis=0)
                marker, colour = MARKERS[k % len(MARKERS)], COLOURS[k % len(COLOURS)]
                ax.plot(np.maximum(epochs, 0.5), middle, color=colour, marker=marker, markersize=2.5, linewidth=1,
                        label=name)  # fmt: skip
                if row == 0 and (plane.input_high > plane.input_low).any():
                    low, high = (
                        to_units(np.median(v[:, :, k], axis=0), units) for v in (plane.input_low, plane.input_high)
                    )
                    ax.fill_between(np.maximum(epochs, 0.5), low, high, color=colour, alpha=0.15, linewidth=0)
            ax.set(xscale="log")
            _small(ax)
            if column == 0:
                ax.set_ylabel(label, fontsize=_SIZE)
        axes[0, column].set_title(title, fontsize=_SIZE)
    figure.supxlabel(_EPOCHS, fontsize=_SIZE)
    handles, said = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, said, title="layer (units)", title_fontsize=_SIZE, fontsize=_SIZE, ncols=min(len(names), 5),
                  loc="outside upper center", frameon=False, columnspacing=1.0, handletextpad=0.3)  # fmt: skip
    return figure


def _band(
    ax: Axes, epochs: np.ndarray, values: FloatArray, colour: str, style: str, label: str, alpha: float = 0.2
) -> None:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    ax.plot(epochs, middle, style, color=colour, linewidth=1.2, label=label)
    ax.fill_between(epochs, low, high, color=colour, alpha=alpha, linewidth=0)


def _column_axes() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(COLUMN, 3.0), layout="constrained").subplots()


def _small(ax: Axes) -> None:
    ax.tick_params(labelsize=_SIZE)
