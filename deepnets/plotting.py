"""Figures of the information plane. Each function draws on an Axes (or a figure of panels) and returns it; matplotlib is
imported on first use, its settings are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.trajectory import InformationPlane
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dualib import InformationCurve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def plot_plane(
    plane: InformationPlane, ax: Axes | None = None, units: Units = "bits", curve: InformationCurve | None = None
) -> Axes:
    """The layers' paths through the information plane, medians over replicas; colour is the epoch, a thin line joins
    the layers of one epoch ([shwartzziv2017]_ figure 3).

    Parameters
    ----------
    curve : of the task's exact bottleneck, drawn as the frontier.
    """
    ax = _axes(ax)
    x, y = _medians(plane, units)
    colours, mappable = _epoch_colours(plane.epochs, "cividis")
    for s in range(len(plane.epochs)):
        ax.plot(x[s], y[s], color=colours[s], linewidth=0.6, alpha=0.6, zorder=1)
    for j, layer in enumerate(plane.layers):
        marker = MARKERS[j % len(MARKERS)]
        ax.scatter(x[:, j], y[:, j], c=colours, s=14, marker=marker, zorder=2, linewidths=0)
        ax.scatter([], [], color="0.3", s=14, marker=marker, label=layer)
    _frontier(ax, plane, curve, units)
    ax.figure.colorbar(mappable, ax=ax, label="epoch")
    ax.legend(fontsize=6, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.0, handletextpad=0.3)
    _label_plane(ax, units)
    return ax


def plot_replicas(
    plane: InformationPlane, epoch: float, ax: Axes | None = None, units: Units = "bits", legend: bool = True
) -> Axes:
    """Every replica's layers at the snapshot nearest to `epoch`; colour is the layer ([shwartzziv2017]_ figure 2)."""
    ax = _axes(ax)
    s = plane.at(epoch)
    for j, layer in enumerate(plane.layers):
        x, y = (to_units(values[:, s, j], units) for values in (plane.input, plane.label))
        ax.scatter(
            x, y, s=12, color=COLOURS[j % len(COLOURS)], marker=MARKERS[j % len(MARKERS)], label=layer, alpha=0.8
        )
    ax.set_title(f"epoch {int(plane.epochs[s])}", fontsize=9)
    ax.set_xlim(0, 1.05 * to_units(plane.entropy_x, units))
    ax.set_ylim(-0.02, 1.06 * to_units(plane.information_xy, units))
    if legend:
        ax.legend(title="layer", fontsize=7, title_fontsize=7, loc="lower right")
    _label_plane(ax, units)
    return ax


def plot_snapshots(plane: InformationPlane, epochs: Sequence[float] = (0, 400, 9000), units: Units = "bits") -> Figure:
    """:func:`plot_replicas` at several epochs, side by side, on common axes."""
    figure, axes = _panels(len(epochs))
    for i, (epoch, ax) in enumerate(zip(epochs, axes, strict=True)):
        plot_replicas(plane, epoch, ax, units, legend=i == len(epochs) - 1)
        if i:
            ax.set_ylabel("")
    return figure


def plot_planes(planes: Mapping[str, InformationPlane], units: Units = "bits") -> Figure:
    """Layer paths of several experiments in a column of 3.4 inches, two a row, on common axes: label → plane."""
    if not planes:
        raise ValueError("give at least one plane")
    from matplotlib.figure import Figure

    columns = min(len(planes), 2)
    rows = -(-len(planes) // columns)
    figure = Figure(figsize=(3.4, 0.9 + (2.6 if columns == 1 else 1.6) * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    end = max(int(plane.epochs[-1]) for plane in planes.values())
    named: dict[str, Any] = {}
    marker_of: dict[str, str] = {}
    for i, (ax, (label, plane)) in enumerate(zip(axes, planes.items(), strict=False)):
        x, y = _medians(plane, units)
        colours, mappable = _epoch_colours(plane.epochs, "cividis", end)
        for j, layer in enumerate(plane.layers):
            if layer not in marker_of:  # by name: the outputs of a deep and a shallow network are alike
                marker_of[layer] = MARKERS[len(marker_of) % len(MARKERS)]
                named[layer] = ax.scatter([], [], color="0.3", s=10, marker=marker_of[layer])
            ax.plot(x[:, j], y[:, j], color="0.7", linewidth=0.6, zorder=1)
            ax.scatter(x[:, j], y[:, j], c=colours, s=8, marker=marker_of[layer], linewidths=0, zorder=2)
        ax.set_title(label, fontsize=8)
        ax.tick_params(labelsize=7, labelbottom=i + columns >= len(planes))
        if i + columns >= len(planes):
            ax.set_xlabel(f"I(X;T)  [{units}]", fontsize=7)
        if i % columns == 0:
            ax.set_ylabel(f"I(T;Y)  [{units}]", fontsize=7)
    axes[0].set_xlim(0, 1.05 * max(to_units(plane.entropy_x, units) for plane in planes.values()))
    axes[0].set_ylim(-0.02, 1.06 * max(to_units(plane.information_xy, units) for plane in planes.values()))
    for ax in axes[len(planes) :]:
        ax.set_visible(False)
    bar = figure.colorbar(mappable, ax=list(axes), location="bottom", aspect=40)
    bar.set_label("epoch", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    figure.legend(named.values(), named, title="layer (units)", fontsize=7, title_fontsize=7, ncols=min(len(named), 4),
                  loc="outside upper center", frameon=False, columnspacing=1.0, handletextpad=0.2)  # fmt: skip
    return figure


def plot_against_epochs(plane: InformationPlane, units: Units = "bits") -> Figure:
    """I(X;T) and I(T;Y) of each layer against the epoch: medians with the quartiles over replicas as a band."""
    figure, axes = _panels(2)
    epochs = np.maximum(plane.epochs, 0.5)  # epoch 0 at the left end of a logarithmic axis
    for ax, name, label in zip(axes, ("input", "label"), ("I(X;T)", "I(T;Y)"), strict=True):
        low, mid, high = to_units(plane.quantiles(name), units)  # type: ignore[arg-type]
        for j, layer in enumerate(plane.layers):
            colour = COLOURS[j % len(COLOURS)]
            ax.plot(epochs, mid[:, j], color=colour, label=layer)
            ax.fill_between(epochs, low[:, j], high[:, j], color=colour, alpha=0.2, linewidth=0)
        ax.set(xscale="log", xlabel="epoch (0 at the left end)", ylabel=f"{label}  [{units}]")
    axes[0].axhline(to_units(plane.entropy_x, units), color="0.4", linestyle=":", linewidth=1)
    axes[1].axhline(to_units(plane.information_xy, units), color="0.4", linestyle=":", linewidth=1)
    axes[1].legend(title="layer", fontsize=7, title_fontsize=7, loc="lower right")
    said = "\n".join((*plane.method.split("; "), f"median and quartiles of {len(plane.replicas)} replicas"))
    figure.suptitle(said, fontsize=8)
    return figure


def _axes(ax: Axes | None) -> Axes:
    return ax if ax is not None else _panels(1)[1][0]


def _panels(count: int) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 3.3 * count, 3.4), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, count))


def _medians(plane: InformationPlane, units: Units) -> tuple[FloatArray, FloatArray]:
    """Medians over replicas of I(X;T) and I(T;Y), shape (S, L) each."""
    return tuple(to_units(np.median(values, axis=0), units) for values in (plane.input, plane.label))


def _epoch_colours(epochs: np.ndarray, cmap: str, end: int | None = None) -> tuple[FloatArray, Any]:
    """A colour for each epoch, on a logarithmic scale that has a place for epoch 0; and what a colour bar needs."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import SymLogNorm

    norm = SymLogNorm(linthresh=1.0, vmin=0.0, vmax=float(end if end is not None else max(epochs[-1], 1)))
    mappable = ScalarMappable(norm=norm, cmap=cmap)
    return mappable.to_rgba(np.asarray(epochs, dtype=float)), mappable


def _frontier(ax: Axes, plane: InformationPlane, curve: InformationCurve | None, units: Units) -> None:
    if curve is not None:
        order = np.argsort(curve.rate)
        rate, relevance = (to_units(a[order], units) for a in (curve.rate, curve.relevance))
        ax.plot(rate, relevance, color=COLOURS[1], linewidth=1.2, label="exact IB curve")
    ax.axhline(to_units(plane.information_xy, units), color="0.4", linestyle=":", linewidth=1, label="I(X;Y)")


def _label_plane(ax: Axes, units: Units) -> None:
    ax.set(xlabel=f"I(X;T)  [{units}]", ylabel=f"I(T;Y)  [{units}]")
