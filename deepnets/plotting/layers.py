"""Figures of single layers and of gradients: phases, the bottleneck equations, label separation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators import Side
from deepnets.gradients import GradientPhases
from deepnets.planes.bottleneck import BottleneckFit
from deepnets.plotting.planes import EPOCHS, band, legend_of_names, shown_epochs
from dualib import InformationCurve
from dualib.core.figure import (
    COLOURS,
    DASHES,
    MANY_COLOURS,
    axes_or_new,
    colour,
    describe,
    marker,
    rows_of_panels,
)
from dualib.core.typing import ArrayLike, FloatArray
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_gradient_phases(phases: GradientPhases) -> Figure:
    r"""Mean and noise of each layer's gradient against the epoch, medians with quartiles over replicas.

    The epoch at which the noise takes over stands with its interval as a vertical band ([shwartzziv2017]_ figure 4).

    Examples
    --------
    >>> import numpy as np
    >>> from deepnets.gradients import GradientPhases
    >>> one = np.ones((1, 2, 1))  # replica, snapshot, layer
    >>> phases = GradientPhases(np.array([1, 10]), one, 2 * one, one, 16, ("hidden",))
    >>> plot_gradient_phases(phases).axes[0].get_title()
    'hidden\nSNR < 1 at epoch 0'
    """
    layers = len(phases.layers)
    columns = min(layers, 3)
    figure, axes = rows_of_panels(layers, height=2.3, sharex=True, sharey=True)
    epochs, last = shown_epochs(phases.epochs), float(phases.epochs[-1])
    found = phases.transition()
    for j, ax in enumerate(axes):
        band(ax, epochs, phases.mean[:, :, j], colour(0), "-", "mean")
        band(ax, epochs, phases.std[:, :, j], colour(1), "--", "standard deviation")
        median, low, high = (float(a[j]) for a in (found.value, found.low, found.high))
        if 0 < median < np.inf:
            ax.axvspan(max(low, 0.5), min(high, 2 * last), color="0.85", zorder=0)
            ax.axvline(median, color="0.4", linewidth=1)
        said = "SNR ≥ 1 throughout" if median == np.inf else f"SNR < 1 at epoch {median:.0f}"
        ax.set(xscale="log", yscale="log", xlim=(0.5, max(last, 1.0)))
        x_label, y_label = EPOCHS * (j >= layers - columns), "gradient / weights" * (j % columns == 0)
        describe(ax, x_label, y_label, f"{phases.layers[j]}\n{said}", legend=j == 0)
    return figure


def plot_layers_against_bottleneck(
    fits: Sequence[BottleneckFit],
    layers: Sequence[str],
    curves: InformationCurve | Sequence[InformationCurve],
    controls: Sequence[BottleneckFit] = (),
    ax: Axes | None = None,
    units: Units = "bits",
) -> Axes:
    """Layers in the information plane beside the task's exact bottleneck curves ([shwartzziv2017]_ figure 6).

    Each layer stands with its β and the residual of the bottleneck equations; random encoders of the same cells are grey.

    Parameters
    ----------
    fits : sequence of BottleneckFit
    layers : sequence of str
        Their names.
    curves : InformationCurve or several
        Of IB, of dualIB.
    controls : sequence of BottleneckFit
        Random encoders.
    ax : Axes or None
    units : {"bits", "nats"}

    Raises
    ------
    ValueError
        If there are not as many names as fits.

    Examples
    --------
    >>> from dualib import IB, Joint, information_curve
    >>> from deepnets.planes import fit_beta
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> curve = information_curve(IB(joint), [2.0, 5.0, 20.0, 200.0], progress=False)
    >>> plot_layers_against_bottleneck([fit_beta([0, 0, 1, 1], joint)], ["hidden"], curve).get_xlabel()
    'I(X;T)  [bits]'
    """
    if len(fits) != len(layers):
        raise ValueError(f"{len(fits)} fits but {len(layers)} layers' names")
    ax = axes_or_new(ax, height=3.4)
    for i, curve in enumerate([curves] if isinstance(curves, InformationCurve) else curves):
        order, name = np.argsort(curve.rate), {"ib": "IB", "dual": "dualIB"}.get(curve.problem, curve.problem)
        x, y = (to_units(a[order], units) for a in (curve.rate, curve.relevance))
        ax.plot(x, y, color="0.3", linestyle=DASHES[i % len(DASHES)], label=f"exact {name} curve")
    for j, (fit, layer) in enumerate(zip(fits, layers, strict=True)):
        sign = "≥" if fit.at_the_edge else "="
        label = f"{layer}: β {sign} {fit.beta:.3g}, residual {to_units(fit.residual, units):.2g} {units}"
        place = (to_units(fit.rate, units), to_units(fit.relevance, units))
        ax.plot(*place, marker(j), color=colour(j), markersize=6, label=label)
    for i, fit in enumerate(controls):
        named = "random encoders" if i == 0 else "_"
        ax.plot(to_units(fit.rate, units), to_units(fit.relevance, units), "x", color="0.6", label=named)
    describe(ax, f"{Side.RATE}  [{units}]", f"{Side.RELEVANCE}  [{units}]", fontsize=6)
    return ax


def plot_label_separation(layers: Sequence[ArrayLike], y: ArrayLike, names: Sequence[str]) -> Figure:
    """The layers' activations on their first two principal axes, coloured by label, up to three a row.

    Parameters
    ----------
    layers : sequence of array, shapes (n, width)
    y : array, shape (n,)
        Labels.
    names : sequence of str
        Of the layers.

    Examples
    --------
    >>> import numpy as np
    >>> layers = [np.array([[0.0, 0.1], [1.0, 0.9], [0.1, 0.0], [0.9, 1.0]])]
    >>> plot_label_separation(layers, [0, 1, 0, 1], ["hidden"]).axes[0].get_title()
    'hidden'
    """
    labels = np.asarray(y)
    found, number = np.unique(labels, return_inverse=True)
    colours = COLOURS if len(found) <= len(COLOURS) else MANY_COLOURS
    figure, axes = rows_of_panels(len(names), height=2.2)
    order = np.random.default_rng(0).permutation(len(labels))  # so that no label lies over the others
    for ax, t, name in zip(axes, layers, names, strict=False):
        places, shares = _principal(np.asarray(t, dtype=np.float64))
        shown, x, y_axis = np.array(colours)[number[order] % len(colours)], places[order, 0], places[order, 1]
        ax.scatter(x, y_axis, s=4, c=shown, alpha=0.5, linewidths=0, rasterized=True)
        ax.set_xticks([])
        ax.set_yticks([])
        said = f"axis 1, {shares[0]:.0%} of the variance"
        describe(ax, said, f"axis 2, {shares[1]:.0%}", name, legend=False)
    handles = [axes[0].scatter([], [], s=12, color=colours[j % len(colours)]) for j in range(len(found))]
    legend_of_names(figure, handles, [str(label) for label in found], 10, title="label")
    return figure


def _principal(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Places on the first two principal axes, and the shares of the variance along them."""
    centred = t - t.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(t), 2))
    count = min(2, int((scale > 1e-3 * scale[0]).sum()))  # beyond the rounding of single precision
    places[:, :count] = (left * scale)[:, :count]
    total = float((scale**2).sum()) or 1.0
    return places, np.append(scale[:2] ** 2 / total, [0.0, 0.0])[:2]
