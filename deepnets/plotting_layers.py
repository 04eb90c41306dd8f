"""Figures of single layers and of gradients: phases, the bottleneck equations, label separation.

As in :mod:`deepnets.plotting`: an Axes or figure is drawn and returned; nothing is computed here but what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from deepnets.bottleneck_fit import BottleneckFit
from deepnets.gradients import GradientPhases
from deepnets.plotting import COLOURS, MARKERS, _axes, _panels
from dualib import InformationCurve
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_gradient_phases(phases: GradientPhases, seed: int = 0) -> Figure:
    """Mean and noise of each layer's gradient against the epoch, medians with quartiles over replicas; the epoch at which
    the noise takes over, with its 95 % interval, as a vertical band ([shwartzziv2017]_ figure 4).
    """
    layers = len(phases.layers)
    columns = min(layers, 3)
    rows = -(-layers // columns)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 2.9 * columns, 0.6 + 2.3 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    epochs = np.maximum(phases.epochs, 0.5)
    low, median, high = phases.transition_interval(seed)
    for j, ax in enumerate(axes[:layers]):
        for values, label, colour, style in (
            (phases.mean, "mean", COLOURS[0], "-"),
            (phases.std, "standard deviation", COLOURS[1], "--"),
        ):
            q25, q50, q75 = np.quantile(values[:, :, j], [0.25, 0.5, 0.75], axis=0)
            ax.plot(epochs, q50, style, color=colour, label=label)
            ax.fill_between(epochs, q25, q75, color=colour, alpha=0.2, linewidth=0)
        if np.isfinite(median[j]) and median[j] > 0:
            end = min(high[j], 2 * float(epochs[-1]))
            ax.axvspan(max(low[j], 0.5), end, color="0.85", zorder=0)
            ax.axvline(median[j], color="0.4", linewidth=1)
        said = "never" if not np.isfinite(median[j]) else "0" if median[j] == 0 else f"{median[j]:.0f}"
        ax.set_title(f"weights {phases.layers[j]}, SNR < 1 at epoch {said}", fontsize=8)
        ax.set(xscale="log", yscale="log", xlim=(0.5, epochs[-1]))
    for ax in axes[layers:]:
        ax.set_visible(False)
    for ax in axes[max(layers - columns, 0) : layers]:
        ax.set_xlabel("epoch (0 at the left end)")
    for ax in axes[::columns]:
        ax.set_ylabel("gradient / weights")
    axes[0].legend(fontsize=7)
    return figure


def plot_layers_against_bottleneck(
    fits: Sequence[BottleneckFit],
    layers: Sequence[str],
    curves: InformationCurve | Sequence[InformationCurve],
    controls: Sequence[BottleneckFit] = (),
    ax: Axes | None = None,
    units: Units = "bits",
) -> Axes:
    """Layers in the information plane beside the task's exact bottleneck curves (of IB, of dualIB), each with its β and the
    residual of the bottleneck equations; random encoders of the same cells in grey ([shwartzziv2017]_ figure 6).
    """
    if len(fits) != len(layers):
        raise ValueError(f"{len(fits)} fits but {len(layers)} layers' names")
    ax = _axes(ax)
    for i, curve in enumerate([curves] if isinstance(curves, InformationCurve) else curves):
        order, name = np.argsort(curve.rate), {"ib": "IB", "dual": "dualIB"}.get(curve.problem, curve.problem)
        x, y = (to_units(a[order], units) for a in (curve.rate, curve.relevance))
        ax.plot(x, y, color="0.3", linestyle=("-", "--", "-.", ":")[i % 4], label=f"exact {name} curve")
    for j, (fit, layer) in enumerate(zip(fits, layers, strict=True)):
        sign = "≥" if fit.at_the_edge else "="
        label = f"{layer}: β {sign} {fit.beta:.3g}, residual {to_units(fit.residual, units):.2g} {units}"
        place = (to_units(fit.rate, units), to_units(fit.relevance, units))
        ax.plot(*place, MARKERS[j % len(MARKERS)], color=COLOURS[j % len(COLOURS)], markersize=6, label=label)
    for i, fit in enumerate(controls):
        named = "random encoders" if i == 0 else "_"
        ax.plot(to_units(fit.rate, units), to_units(fit.relevance, units), "x", color="0.6", label=named)
    ax.set(xlabel=f"I(X;T)  [{units}]", ylabel=f"I(T;Y)  [{units}]")
    ax.legend(fontsize=6)
    return ax


def plot_label_separation(layers: Sequence[ArrayLike], y: ArrayLike, names: Sequence[str]) -> Figure:
    """The layers' activations on their first two principal axes, coloured by label: (n, width) arrays, labels (n,)."""
    from sklearn.decomposition import PCA

    labels = np.asarray(y)
    figure, axes = _panels(len(names))
    for ax, t, name in zip(axes, layers, names, strict=True):
        array = np.asarray(t, dtype=np.float64)
        fitted = PCA(min(2, array.shape[1])).fit(array)
        places = fitted.transform(array)
        shares = fitted.explained_variance_ratio_
        for j, label in enumerate(np.unique(labels)):
            of = places[labels == label]
            second = of[:, 1] if len(shares) > 1 and shares[1] > 1e-6 else np.zeros(len(of))
            ax.scatter(
                of[:, 0], second, s=3, color=COLOURS[j % len(COLOURS)], alpha=0.4, label=f"y = {label}", linewidths=0
            )
        ax.set_title(name, fontsize=9)
        ax.set_xlabel(f"axis 1 ({shares[0]:.0%} of the variance)", fontsize=8)
        ax.set_ylabel("axis 2", fontsize=8)
    axes[0].legend(fontsize=7, markerscale=3)
    return figure
