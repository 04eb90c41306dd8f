"""Figures of several runs beside one another, for a column of 3.4 inches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators import Side
from deepnets.planes.clusters import ClusteringPath
from deepnets.planes.plane import InformationPlane
from deepnets.planes.runs import Compared, FinalValue, RunComparison
from deepnets.plotting.planes import EPOCHS, band, legend_of_names, shown_epochs
from dualib.core.figure import COLUMN, SMALL, axes_or_new, colour, describe, legend_above, marker, panels
from dualib.core.typing import FloatArray, IntArray
from dualib.core.units import Units, conversion, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_comparison(comparison: RunComparison, units: Units = "bits") -> Figure:
    """Where the runs end: I(X;T) and I(T;Y) of the last hidden layer and of the outputs, and accuracy.

    Means over replicas with Student's 95 % intervals; dotted, the estimator's own interval of a noisy network, whose outputs
    are no layer of its plane.

    Examples
    --------
    >>> import deepnets
    >>> comparison = deepnets.compare_runs({"mine": recorded}, {"mine": plane})
    >>> len(plot_comparison(comparison).axes)  # no accuracy was recorded
    2
    """
    labels = list(comparison.runs)
    found = comparison.final()
    there = {value.quantity for value in found}
    figure, axes = panels(1, 2 + (Compared.ACCURACY in there), height=1.1 / 3 + 0.3 + 0.22 * len(labels), width=COLUMN)
    wanted = {
        Compared.RATE: f"{Side.RATE}  [{units}]",
        Compared.RELEVANCE: f"{Side.RELEVANCE}  [{units}]",
        Compared.ACCURACY: "accuracy",
    }
    for ax, (quantity, name) in zip(axes, ((q, name) for q, name in wanted.items() if q in there), strict=True):
        for value in (v for v in found if v.quantity is quantity):
            run = comparison.runs[value.run]
            output = run.output is not None and value.layer == run.plane.layers[run.output]
            _draw_final(ax, value, labels.index(value.run), output, units)
        ax.set_yticks(range(len(labels)), labels)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.grid(axis="x", color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.locator_params(axis="x", nbins=5)
        describe(ax, name, "", legend=False)
    handles = [
        axes[0].plot([], [], shape, color=of, markersize=3.5, label=text)[0]
        for shape, of, text in (("o", colour(0), "last hidden layer"), ("s", colour(1), "output"))
    ]
    figure.legend(handles=handles, fontsize=SMALL, ncols=2, loc="outside upper center", frameon=False)
    figure.supxlabel(
        "at the last epoch; mean, Student's 95 % over replicas\ndotted: the estimator's own interval", fontsize=6
    )
    return figure


def _draw_final(ax: Axes, value: FinalValue, row: int, output: bool, units: Units) -> None:
    shown, scale = value.mean.shown_in(units), conversion(value.mean.unit, value.mean.unit.shown_in(units))
    alone = value.quantity is Compared.ACCURACY
    place = row + (0.0 if alone else 0.14 if output else -0.14)
    of = "0.2" if alone else colour(int(output))
    if value.estimator_high > value.estimator_low:
        ends = [scale * value.estimator_low, scale * value.estimator_high]
        ax.plot(ends, [place, place], ":", color=of, linewidth=1, label="_estimator")
    if np.isfinite(shown.width):
        ax.plot([shown.low, shown.high], [place, place], color=of, linewidth=1.4)
    ax.plot([shown.value], [place], "D" if alone else "s" if output else "o", color=of, markersize=3.5)


def plot_bound(comparison: RunComparison, ax: Axes | None = None) -> Axes:
    """The input-compression bound and the measured accuracy gap against the epoch: medians and quartiles over replicas.

    The bound says nothing above 1, which is shaded.

    Examples
    --------
    >>> import deepnets
    >>> comparison = deepnets.compare_runs({"mine": recorded}, {"mine": plane})
    >>> plot_bound(comparison).get_xlabel()
    'epoch (0 at the left end)'
    """
    ax = axes_or_new(ax, height=3.0)
    top, bottom, ranges = 1.0, 0.0, False
    for j, (label, run) in enumerate(comparison.runs.items()):
        epochs, bound = shown_epochs(run.plane.epochs), run.bound
        if bound is None:  # a recording, whose training patterns are not known
            continue
        band(ax, epochs, bound.value, colour(j), "-", f"{label}, m = {run.n_train}")
        low, high = np.median(bound.low, axis=0), np.median(bound.high, axis=0)
        if (high > low).any():  # the estimator's interval
            ranges = True
            ax.plot(epochs, np.stack([low, high], axis=1), ":", color=colour(j), linewidth=0.8, label="_range")
        top = max(top, float(bound.value.max()), float(high.max()))
        if np.isfinite(run.gap).all():  # there are test patterns
            band(ax, epochs, run.gap, colour(j), "--", "_", alpha=0.1)
            bottom = min(bottom, float(np.quantile(run.gap, 0.25, axis=0).min()))
    _shade_vacuous(ax, 5 * top, min(1.3 * bottom, -0.003))
    ax.plot([], [], "-", color="0.3", label=r"bound $\sqrt{2^{I(X;T)}/2m}$")
    ax.plot([], [], "--", color="0.3", label="measured gap")
    if ranges:
        ax.plot([], [], ":", color="0.3", label="bound, estimator's interval")
    describe(ax, EPOCHS, "accuracy gap, train − test", legend=False)
    legend_above(ax, columns=2)
    return ax


def _shade_vacuous(ax: Axes, top: float, bottom: float) -> None:
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=0.01, linscale=0.6)
    ax.set_ylim(bottom, top)
    ax.axhspan(1.0, top, color="0.92", zorder=0)
    ax.text(0.98, 0.98, "bound vacuous: no gap exceeds 1", fontsize=6, ha="right", va="top", transform=ax.transAxes)
    ax.axhline(1.0, color="0.5", linewidth=0.8)
    ax.axhline(0.0, color="0.8", linewidth=0.6, zorder=0)
    ax.set_yticks([v for v in (-0.1, -0.01, 0, 0.01, 0.1, 1, 10) if bottom <= v <= top])
    ax.yaxis.set_major_formatter("{x:g}")


def plot_twins(
    planes: tuple[InformationPlane, InformationPlane],
    paths: tuple[ClusteringPath, ClusteringPath],
    units: Units = "bits",
) -> Figure:
    """A noisy network (left) beside its deterministic twin (right), layer by layer ([goldfeld2019]_ section 5).

    Against the epoch: I(X;T) as estimated for each, H(Bin(T)), and the mean distance within a class. Medians over replicas,
    the estimator's interval of the noisy I(X;T) shaded.

    Raises
    ------
    ValueError
        If the hidden layers of planes and paths are not the same.

    Examples
    --------
    >>> plot_twins((plane, of_its_twin), paths).savefig("twins.pdf")  # doctest: +SKIP
    """
    names = paths[0].layers
    if paths[1].layers != names or any(plane.layers[: len(names)] != names for plane in planes):
        raise ValueError(f"planes and paths are not of twins: hidden layers {names} and {paths[1].layers}")
    figure, axes = panels(2, 3, height=4.9 / 3, width=COLUMN, sharex=True, sharey="row")
    titles = ("noisy\nI(X;T) with its interval", "deterministic twin\nI(X;T) binned")
    for column, (plane, path, title) in enumerate(zip(planes, paths, titles, strict=True)):
        rate = plane.side("rate", units)
        rows: list[tuple[IntArray, FloatArray, str]] = [
            (plane.epochs, rate.value, f"{Side.RATE}  [{units}]"),
            (path.epochs, to_units(path.binned_entropy, units), f"H(Bin(T))  [{units}]"),
            (path.epochs, path.within, "distance within a class\n[activation]"),
        ]
        for row, (epochs, values, label) in enumerate(rows):
            ax = axes[2 * row + column]
            for k, name in enumerate(names):
                middle = np.median(values[:, :, k], axis=0)
                ax.plot(
                    shown_epochs(epochs), middle, marker(k) + "-", color=colour(k), markersize=2.5, lw=1, label=name
                )
                if row == 0 and (rate.high > rate.low).any():
                    low, high = (np.median(v[:, :, k], axis=0) for v in (rate.low, rate.high))
                    ax.fill_between(shown_epochs(epochs), low, high, color=colour(k), alpha=0.15, linewidth=0)
            ax.set_xscale("log")
            describe(ax, "", label * (column == 0), title * (row == 0), legend=False)
    figure.supxlabel(EPOCHS, fontsize=SMALL)
    handles, said = axes[0].get_legend_handles_labels()
    legend_of_names(figure, handles, said, 5)
    return figure
