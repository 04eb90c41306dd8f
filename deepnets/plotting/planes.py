"""Figures of the information plane. Each function draws on an Axes, or a figure of panels, and returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators import Side
from deepnets.gradients import GradientPhases
from deepnets.planes.phase_change import phase_change
from deepnets.planes.plane import SIDES, InformationPlane
from dualib.core.arrays import whole
from dualib.core.figure import (
    COLUMN,
    LABEL,
    MARKERS,
    PAGE,
    PANELS_A_ROW,
    SMALL,
    axes_or_new,
    colour,
    describe,
    legend_above,
    marker,
    panels,
    rows_of_panels,
)
from dualib.core.typing import FloatArray, IntArray
from dualib.core.units import Units, to_units
from dualib.plotting import plot_information_plane

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    from dualib import InformationCurve

EPOCHS = "epoch (0 at the left end)"


def plot_plane(
    plane: InformationPlane, ax: Axes | None = None, units: Units = "bits", curve: InformationCurve | None = None
) -> Axes:
    """The layers' paths through the information plane, medians over replicas ([shwartzziv2017]_ figure 3).

    :func:`dualib.plot_information_plane` draws them; a thin line joins the layers of one epoch.

    Parameters
    ----------
    plane : InformationPlane
    ax : Axes or None
    units : {"bits", "nats"}
    curve : InformationCurve or None
        Of the task's exact bottleneck, drawn as the frontier.

    Examples
    --------
    >>> plot_plane(plane).get_ylabel()
    'relevance I(T;Y) [bits]'
    """
    ax = plot_information_plane(
        [plane, *([] if curve is None else [curve])], ax=axes_or_new(ax, height=3.4), units=units
    )
    for x, y in zip(*plane.medians(units), strict=True):
        ax.plot(x, y, color="0.85", linewidth=0.5, zorder=1)
    return ax


def plot_replicas(
    plane: InformationPlane, epoch: float, ax: Axes | None = None, units: Units = "bits", legend: bool = True
) -> Axes:
    """Every replica's layers at the snapshot nearest to `epoch`; colour is the layer ([shwartzziv2017]_ figure 2).

    Examples
    --------
    >>> plot_replicas(plane, epoch=10).get_ylabel()
    'I(T;Y)  [bits]'
    """
    ax = axes_or_new(ax)
    s = plane.at(epoch)
    rate, relevance = (plane.side(side, units).value for side in SIDES)
    for j, layer in enumerate(plane.layers):
        ax.scatter(rate[:, s, j], relevance[:, s, j], s=12, color=colour(j), marker=marker(j), label=layer, alpha=0.8)
    set_limits(ax, [plane], units)
    said = f"epoch {int(plane.epochs[s])}"
    describe(ax, *axis_labels(units), said, legend=False)
    if legend:
        _legend_of_layers(ax)
    return ax


def plot_snapshots(plane: InformationPlane, epochs: Sequence[float] = (0, 400, 9000), units: Units = "bits") -> Figure:
    """:func:`plot_replicas` at several epochs on common axes, up to three side by side, a page wide.

    Examples
    --------
    >>> len(plot_snapshots(plane, epochs=(1, 10)).axes)
    2
    """
    shown = plane.epochs[list(dict.fromkeys(map(plane.at, epochs)))]  # several epochs may have one snapshot
    figure, axes = rows_of_panels(len(shown), height=2.6, sharex=True, sharey=True)
    for i, (epoch, ax) in enumerate(zip(shown.tolist(), axes, strict=True)):
        plot_replicas(plane, epoch, ax, units, legend=False)
        ax.set_ylabel(ax.get_ylabel() * (i % PANELS_A_ROW == 0))
        ax.set_xlabel(ax.get_xlabel() * (i + PANELS_A_ROW >= len(shown)))
    handles = [axes[0].scatter([], [], color=colour(j), s=12, marker=marker(j)) for j in range(len(plane.layers))]
    legend_of_names(figure, handles, plane.layers, 7)
    return figure


def plot_mean_path(
    plane: InformationPlane, phases: GradientPhases | None = None, ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    """The layers' mean paths over replicas, with the line of the phase change: their places when gradient noise takes over.

    Parameters
    ----------
    plane : InformationPlane
    phases : GradientPhases or None
        Of the same training; without them there is no line.
    ax : Axes or None
    units : {"bits", "nats"}

    Examples
    --------
    >>> plot_mean_path(plane).get_ylabel()
    'I(T;Y)  [bits]'
    """
    ax = axes_or_new(ax, height=3.2)
    x, y = (plane.side(side, units).value.mean(axis=0) for side in SIDES)
    colours, mappable = _epoch_colours(plane.epochs, "cividis")
    for j, layer in enumerate(plane.layers):
        ax.plot(x[:, j], y[:, j], color="0.75", linewidth=0.8, zorder=1)
        ax.scatter(x[:, j], y[:, j], c=colours, s=12, marker=marker(j), linewidths=0, zorder=2)
        ax.scatter([], [], color="0.3", s=12, marker=marker(j), label=layer)
    if phases is not None:
        change = phase_change(plane, phases)
        there = np.isfinite(change.epochs)
        if there.any():
            ends = (to_units(end[there], units) for end in (change.rate, change.relevance))
            low, high = change.epochs[there].min(), change.epochs[there].max()
            said = f"gradient noise takes over,\nepoch {low:.0f}" + f" to {high:.0f}" * (round(high) > round(low))
            ax.plot(*ends, "o-", color=colour(1), mfc="white", markersize=4, linewidth=1.4, zorder=3)
            ax.text(0.98, 0.02, said, color=colour(1), fontsize=SMALL, ha="right", transform=ax.transAxes)
    ax.axhline(to_units(plane.information_xy, units), color="0.4", linestyle=":", linewidth=1)
    _epoch_bar(ax, mappable)
    describe(ax, *axis_labels(units), legend=False)
    legend_above(ax)
    return ax


def plot_planes(planes: Mapping[str, InformationPlane], units: Units = "bits", columns: int = 2) -> Figure:
    """Layer paths of several experiments on common axes: label → plane.

    Up to two a row fit a column of 3.4 inches; with `columns` of three, a page, for six depths or three sample sizes
    ([shwartzziv2017]_ figures 5 and 3). Markers are layers' names; of many unlike networks their numbers.

    Raises
    ------
    ValueError
        If there are no planes or columns.

    Examples
    --------
    >>> figure = plot_planes({"mine": plane, "the same": plane})
    >>> [ax.get_title() for ax in figure.axes][:2]
    ['mine', 'the same']
    """
    if not planes:
        raise ValueError("give at least one plane")
    columns = min(len(planes), whole(columns, "columns", 1))
    rows = -(-len(planes) // columns)
    page = columns > 2
    height = (1.4 if page else 0.9) / rows + (2.6 if columns == 1 else 1.6)
    width = PAGE if page else COLUMN
    figure, axes = panels(columns, rows, height=height, width=width, sharex=True, sharey=True)
    end = max(int(plane.epochs[-1]) for plane in planes.values())
    names = _common_names(list(planes.values()))
    deepest_first = sorted(names, key=len, reverse=True)
    marker_of = {name: marker(i) for i, name in enumerate(dict.fromkeys(n for own in deepest_first for n in own))}
    for i, (ax, (label, plane)) in enumerate(zip(axes, planes.items(), strict=False)):
        x, y = plane.medians(units)
        colours, mappable = _epoch_colours(plane.epochs, "cividis", end)
        for j, layer in enumerate(names[i]):
            ax.plot(x[:, j], y[:, j], color="0.7", linewidth=0.6, zorder=1)
            ax.scatter(x[:, j], y[:, j], c=colours, s=8, marker=marker_of[layer], linewidths=0, zorder=2)
        ax.tick_params(labelbottom=i + columns >= len(planes))
        x_label, y_label = axis_labels(units)
        describe(ax, x_label * (i + columns >= len(planes)), y_label * (i % columns == 0), label, legend=False)
    set_limits(axes[0], list(planes.values()), units)
    for ax in axes[len(planes) :]:
        ax.set_visible(False)
    bar = figure.colorbar(mappable, ax=axes, location="bottom", aspect=80 if page else 40)
    bar.set_label("epoch", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    handles = [axes[0].scatter([], [], color="0.3", s=10, marker=shape) for shape in marker_of.values()]
    legend_of_names(figure, handles, list(marker_of), 8 if page else 4)
    return figure


def _common_names(planes: Sequence[InformationPlane]) -> list[tuple[str, ...]]:
    """A name for each plane's layers: their own; of more than there are markers, their number where not all have it."""
    own = [plane.layers for plane in planes]
    if len(set().union(*own)) <= len(MARKERS):
        return own
    shared = set(own[0]).intersection(*own)
    return [tuple(n if n in shared else f"{j + 1}" for j, n in enumerate(names)) for names in own]


def plot_against_epochs(plane: InformationPlane, units: Units = "bits") -> Figure:
    """I(X;T) and I(T;Y) of each layer against the epoch: medians with the quartiles over replicas as a band.

    Dotted: the medians of the ends of the estimator's own interval, where it has one.

    Examples
    --------
    >>> [ax.get_ylabel() for ax in plot_against_epochs(plane).axes]
    ['I(X;T)  [bits]', 'I(T;Y)  [bits]']
    """
    figure, axes = panels(2, height=3.2)
    epochs = shown_epochs(plane.epochs)
    for ax, side, label in zip(axes, SIDES, axis_labels(units), strict=True):
        for j, layer in enumerate(plane.layers):
            found = plane.side(side, units)
            band(ax, epochs, found.value[:, :, j], colour(j), label=layer)
            low, high = (np.median(end[:, :, j], axis=0) for end in (found.low, found.high))
            if (high > low).any():
                ax.plot(epochs, np.stack([low, high], axis=1), ":", color=colour(j), linewidth=0.8)
        ax.set_xscale("log")
        describe(ax, EPOCHS, label, legend=False)
    _legend_of_layers(axes[1])
    for ax, most in zip(axes, (plane.entropy_x, plane.information_xy), strict=True):
        ax.axhline(to_units(most, units), color="0.4", linestyle=":", linewidth=1)
    dotted = "; dotted: the estimator's interval" * any((s.high > s.low).any() for s in (plane.rate, plane.relevance))
    said = "\n".join((*plane.method.split("; "), f"median and quartiles of {len(plane.replicas)} replicas{dotted}"))
    figure.suptitle(said, fontsize=8)
    return figure


def shown_epochs(epochs: IntArray) -> FloatArray:
    """Epochs for a logarithmic axis, epoch 0 at its left end."""
    return np.maximum(epochs, 0.5)


def band(
    ax: Axes,
    epochs: FloatArray,
    values: FloatArray,
    of_colour: str,
    style: str = "-",
    label: str = "",
    alpha: float = 0.2,
) -> None:
    """Draw the median over replicas, values of shape (R, S), and the quartiles as a band."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    ax.plot(epochs, middle, style, color=of_colour, linewidth=1.2, label=label)
    ax.fill_between(epochs, low, high, color=of_colour, alpha=alpha, linewidth=0)


def legend_of_names(
    figure: Figure, handles: Sequence[Artist], names: Sequence[str], columns: int, title: str = ""
) -> None:
    """A legend over all panels, of the layers' names unless a title says of what."""
    figure.legend(
        handles,
        names,
        title=title or ("layer (units)" if any(name.endswith(")") for name in names) else "layer"),
        title_fontsize=SMALL,
        fontsize=SMALL,
        ncols=min(len(names), columns),
        loc="outside upper center",
        columnspacing=1.0,
        handletextpad=0.3,
        frameon=False,
    )


def axis_labels(units: Units) -> tuple[str, str]:
    """What stands at the two axes of a plane."""
    return f"{Side.RATE}  [{units}]", f"{Side.RELEVANCE}  [{units}]"


def _legend_of_layers(ax: Axes) -> None:
    ax.legend(title="layer", fontsize=SMALL, title_fontsize=SMALL, frameon=False)


def set_limits(ax: Axes, planes: Sequence[InformationPlane], units: Units) -> None:
    """Axes that hold all that the informations of some planes can be; of a sample the rates may exceed its own H(X)."""
    most = max(max(plane.entropy_x, float(plane.rate.value.max(initial=0.0))) for plane in planes)
    ax.set_xlim(0, 1.05 * to_units(most, units))
    ax.set_ylim(-0.02, 1.06 * max(to_units(plane.information_xy, units) for plane in planes))


def _epoch_bar(ax: Axes, mappable: ScalarMappable) -> None:
    bar = ax.figure.colorbar(mappable, ax=ax)
    bar.set_label("epoch", fontsize=LABEL)
    bar.ax.tick_params(labelsize=SMALL)


def _epoch_colours(epochs: IntArray, cmap: str, end: int | None = None) -> tuple[FloatArray, ScalarMappable]:
    """A colour for each epoch, on a logarithmic scale that has a place for epoch 0; and what a colour bar needs."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import SymLogNorm

    norm = SymLogNorm(linthresh=1.0, vmin=0.0, vmax=float(end if end is not None else max(epochs[-1], 1)))
    mappable = ScalarMappable(norm=norm, cmap=cmap)
    return np.asarray(mappable.to_rgba(np.asarray(epochs, dtype=float))), mappable
