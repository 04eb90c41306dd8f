"""Figures from the results alone: label information against rate, and the differences at equal rate with their controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, GREY, MARKERS, describe, panels
from dualib.core.units import NATS_PER_BIT
from papers.experiments.program import Arrays, Results
from papers.piran_2020_variational.measure import RATES, measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = {
    "vib": "VIB, the labels",
    "ceb": "CEB, the labels",
    "vib_10": "VIB, smoothed by 0.1",
    "dual_01": "dual, smoothed by 0.01",
    "dual_10": "dual, smoothed by 0.1",
}
LABELS = {"01": "smoothed by 0.01", "10": "smoothed by 0.1", "confusion": "confusion matrix", "teacher": "teacher"}
DIFFERENCES = (
    *((f"same_labels_{key}", f"VIB, {name}") for key, name in LABELS.items()),
    ("over_vib_01", "0.01 − VIB, the labels"),
    ("over_vib_10", "0.1 − VIB, the labels"),
    ("tempered_over_vib_01", "0.01 − VIB, both tempered"),
    ("tempered_over_vib_10", "0.1 − VIB, both tempered"),
    ("over_ceb_01", "0.01 − CEB, the labels"),
    ("over_ceb_10", "0.1 − CEB, the labels"),
)
"""Measures of label information, and what the dual is compared with."""


def figures(results: Results) -> dict[str, Figure]:
    """Every figure, by its name."""
    return {"plane": _plane(results["digits"]), "differences": _differences(results)}


def _plane(r: Arrays) -> Figure:
    """H(Y) − NLL at one z against the rate, medians over seeds: the decoder as it is, and after one temperature."""
    figure, (left, right) = panels(2, height=2.9, sharey=True)
    _curves(left, r, "nll_single", "the decoder as it is", True)
    _curves(right, r, "nll_single_tempered", "after one temperature", False)
    right.set_ylabel("")
    return figure


def _curves(ax: Axes, r: Arrays, score: str, title: str, legend: bool) -> None:
    for k, (name, label) in enumerate(SHOWN.items()):
        rate = np.median(r[f"{name}_rate_mixture"], axis=0) / NATS_PER_BIT
        low, middle, high = np.quantile(r["entropy_y"] - r[f"{name}_{score}"], [0.25, 0.5, 0.75], axis=0) / NATS_PER_BIT
        ax.errorbar(
            rate, middle, [middle - low, high - middle], fmt=MARKERS[k] + "-", ms=3, lw=1, color=COLOURS[k], label=label
        )
    for nats in RATES.values():
        ax.axvline(float(nats) / NATS_PER_BIT, color=GREY, ls=":", lw=0.8)
    describe(ax, "rate, training mixture  [bits]", "H(Y) − E[−log d(y|z)]  [bits]", title, legend, loc="lower right")


def _differences(results: Results) -> Figure:
    """Label information of the dual less that of its controls at equal rate: means over seeds with 95 % intervals."""
    found = measure(results)
    figure, (ax,) = panels(height=4.2, width=5.2)
    rows = [
        (name, f"dual {text}" if name.startswith(("over", "tempered")) else f"dual − {text}")
        for name, text in DIFFERENCES
    ]
    for k, (ending, rate) in enumerate(RATES.items()):
        for i, (name, _) in enumerate(rows):
            if name + ending in found:
                e = found[name + ending]
                ends = [[(e.value - e.low) / NATS_PER_BIT], [(e.high - e.value) / NATS_PER_BIT]]
                ax.errorbar(
                    e.value / NATS_PER_BIT,
                    i + 0.24 * k - 0.12,
                    xerr=ends,
                    fmt=MARKERS[k],
                    ms=4,
                    lw=1,
                    color=COLOURS[k],
                    label=None if i else f"at {rate} nats",
                )
    ax.axvline(0.0, color=GREY, lw=0.8)
    ax.set_yticks(range(len(rows)), [text for _, text in rows])
    ax.invert_yaxis()
    x = "label information at equal rate, dual − control  [bits]"
    describe(ax, x, "", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
