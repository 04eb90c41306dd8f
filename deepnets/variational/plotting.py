"""Figures of variational fits: label information against rate, and the parts of the gap against β."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from deepnets.variational.evaluation import Evaluation
from deepnets.variational.gap import Gap
from dualib.core.figure import GREY, LABEL, PANELS_A_ROW, axes_or_new, colour, describe, marker, panels, rows_of_panels
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_rate_relevance(
    evaluations: Mapping[str, Evaluation],
    ax: Axes | None = None,
    units: Units = "bits",
    reading: str = "raw",
    legend: bool = True,
) -> Axes:
    """Label information of the single-sample decoder against the rate, medians over seeds, joined over β.

    The horizontal bars go from the lower to the tighter upper bound of the rate, the vertical ones over the quartiles of the
    seeds. Dotted is H(Y).

    Parameters
    ----------
    evaluations : mapping
        Name → evaluation.
    ax : Axes or None
    units : {"bits", "nats"}
    reading : str
        Which predictions: "raw", "tempered", "unlinked" or "unlinked_tempered".
    legend : bool

    Raises
    ------
    ValueError
        If there is no evaluation.
    """
    if not evaluations:
        raise ValueError("give at least one evaluation")
    ax = axes_or_new(ax, height=2.9)
    for j, (name, found) in enumerate(evaluations.items()):
        relevance = to_units(found.entropy_y - getattr(found.single, reading).nll, units)
        rate = found.rate.shown_in(units)
        x, low, high = (np.median(a, axis=0) for a in (rate.value, rate.low, rate.high))
        quartiles = np.quantile(relevance, [0.25, 0.5, 0.75], axis=0)
        y, spread = quartiles[1], np.stack([quartiles[1] - quartiles[0], quartiles[2] - quartiles[1]])
        across = np.stack([np.maximum(x - low, 0.0), np.maximum(high - x, 0.0)])
        ax.errorbar(x, y, yerr=spread, xerr=across, fmt="none", ecolor=colour(j), elinewidth=0.8, capsize=2.5)
        ax.plot(x, y, marker(j) + "-", color=colour(j), markersize=3.5, linewidth=1.0, label=name)
    entropy = to_units(next(iter(evaluations.values())).entropy_y, units)
    ax.axhline(entropy, color=GREY, linestyle=":", linewidth=0.8)
    ax.annotate(
        "H(Y)", (1.0, entropy), xycoords=("axes fraction", "data"), fontsize=6, ha="right", va="bottom", color=GREY
    )
    ax.set_ylim(bottom=min(-0.05 * entropy, ax.get_ylim()[0]), top=1.1 * entropy)
    describe(
        ax,
        f"rate I(X;Z): lower to upper bound  [{units}]",
        f"H(Y) − E[−log d(y|z)]  [{units}]",
        legend=legend,
        loc="lower right",
    )
    return ax


def plot_planes(evaluations: Mapping[str, Evaluation], units: Units = "bits") -> Figure:
    """:func:`plot_rate_relevance` of the decoders as they are, and after one temperature."""
    figure, axes = panels(2, height=3.1, sharey=True)
    titles = {"raw": "the decoder as it is", "tempered": "after one temperature"}
    for i, (reading, title) in enumerate(titles.items()):
        plot_rate_relevance(evaluations, axes[i], units, reading, legend=i == 0)
        axes[i].set_title(title, fontsize=LABEL)
    axes[1].set_ylabel("")
    return figure


def plot_gap(gaps: Mapping[str, Gap], units: Units = "bits") -> Figure:
    """The three parts of the gap to the proven optimum against β, stacked, a panel a fit: of the seed with the least total.

    The bar is the interval of the total.

    Parameters
    ----------
    gaps : mapping
        Name → gap.
    units : {"bits", "nats"}

    Raises
    ------
    ValueError
        If there is no gap.
    """
    if not gaps:
        raise ValueError("give at least one gap")
    figure, axes = rows_of_panels(len(gaps), height=2.8, sharey=True)
    for i, (ax, (name, gap)) in enumerate(zip(axes, gaps.items(), strict=True)):
        best = gap.total.value.argmin(axis=0)
        at, columns, base = np.arange(len(gap.betas)), range(len(gap.betas)), np.zeros(len(gap.betas))
        for j, (part, values) in enumerate(gap.parts().items()):
            heights = to_units(values.value[best, columns], units)
            ax.bar(at, heights, 0.7, base, color=colour(j), label=part)
            base = base + heights
        low, high = (to_units(a[best, columns], units) for a in (gap.total.low, gap.total.high))
        ax.errorbar(
            at,
            base,
            yerr=[np.maximum(base - low, 0.0), np.maximum(high - base, 0.0)],
            fmt="none",
            ecolor="0.2",
            elinewidth=0.8,
        )
        ax.set_xticks(at, [f"{beta:g}" for beta in gap.betas])
        ax.tick_params(axis="x", rotation=90 * (len(at) > 5))
        y_label = f"L − F(β), best of {len(gap.rate)} seeds  [{units}]"
        describe(ax, "β", y_label * (i % PANELS_A_ROW == 0), name, legend=i == 0)
    return figure
