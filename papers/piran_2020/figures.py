"""Figures from the results alone: the plane with the gap, bifurcations, transitions, the iteration, small samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import dualib
from dualib.core.figure import COLOURS, describe, panels
from dualib.core.units import to_units
from papers.experiments.curves import curve_from
from papers.experiments.program import Arrays, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROBLEMS = ("ib", "dual")


def figures(results: Results) -> dict[str, Figure]:
    """Every figure of the paper, by its name."""
    ib, dual = (curve_from(results["curves"], f"{name}_curve_") for name in PROBLEMS)
    splits, axes = panels(2, sharey=True)
    for panel, curve in zip(axes, (ib, dual), strict=True):
        dualib.plot_bifurcation(curve, ax=panel)
    return {
        "plane": _plane_figure(ib, dual, results["curves"]),
        "bifurcations": splits,
        "transitions": _transitions_figure(results["random_joints"], results["curves"]),
        "iteration": _iteration_figure(results["iteration"]),
        "samples": _samples_figure(results["samples"]),
    }


def _plane_figure(ib: dualib.InformationCurve, dual: dualib.InformationCurve, r: Arrays) -> Figure:
    """The two curves, which a line's width hides from each other, and their gap at equal rate with the claim's threshold."""
    figure, axes = panels(2, height=2.7)
    styles: tuple[dict[str, Any], ...] = (
        {"color": COLOURS[0], "lw": 4, "alpha": 0.35},
        {"color": COLOURS[1], "lw": 1.2, "ls": "--"},
    )
    for curve, name, style in zip((ib, dual), ("IB", "dualIB"), styles, strict=True):
        axes[0].plot(to_units(curve.rate, "bits"), to_units(curve.relevance, "bits"), label=name, **style)
    describe(axes[0], "I(X;T)  [bits]", "I(T;Y)  [bits]", "the paper's joint", loc="lower right")
    axes[1].plot(to_units(r["gap_rate"], "bits"), 100 * r["gap"] / r["mutual_information"], color=COLOURS[0], lw=1.2)
    axes[1].axhline(1.0, color="k", lw=0.8, ls=":", label="threshold of the claim")
    describe(axes[1], "I(X;T)  [bits]", "gap at equal rate  [% of I(X;Y)]", "IB less dualIB", loc="center right")
    return figure


def _transitions_figure(r: Arrays, toy: Arrays) -> Figure:
    """First transitions of random joints, dual against IB; and all of the toy joint. Brackets are narrower than a dot."""
    figure, (ax,) = panels(height=3.0)
    ib, dual = (r[name].mean(axis=1) for name in PROBLEMS)
    later = dual > ib
    ends = [0.8 * min(ib.min(), dual.min()), 1.25 * max(ib.max(), dual.max())]
    ax.plot(ends, ends, color="0.5", lw=0.8, ls="--", label="equal")
    for i, (chosen, marker, label) in enumerate(((~later, "o", "dual earlier"), (later, "^", "dual later"))):
        text = f"{label}: {chosen.sum()} of {len(ib)} random joints"
        ax.plot(ib[chosen], dual[chosen], marker, color=COLOURS[i], ms=4, alpha=0.7, mew=0, label=text)
    first = (toy["ib_transitions"][0, 1], toy["dual_transitions"][0, 1])
    ax.plot(*first, "*", color="k", ms=9, label="toy joint of the paper")
    ax.set(xscale="log", yscale="log")
    describe(ax, "first transition of IB, β (no unit)", "first transition of dualIB, β (no unit)")
    return figure


def _iteration_figure(r: Arrays) -> Figure:
    """Excess of every iterated start over the proven upper bound of F; a hundred-millionth of a nat is drawn for none."""
    figure, (ax,) = panels(height=3.0)
    places = [f"{where}_{name}" for where in ("toy", "hamming") for name in PROBLEMS]
    for k, kind in enumerate(("fixed", "moving")):
        for i, place in enumerate(places):
            rows = r[f"{place}_{kind}"]
            excess = np.maximum(rows[:, 2] - rows[:, 4], 1e-8)
            at = i + 0.3 * k - 0.15 + np.linspace(-0.1, 0.1, len(excess))
            label = ("atoms of the optimum, fixed", "random atoms, moving")[k] if i == 0 else None
            ax.plot(at, excess, "os"[k], color=COLOURS[k], ms=3, alpha=0.6, mew=0, label=label)
    ax.axhline(1e-6, color="0.5", lw=0.8, ls=":", label="threshold of the claim")
    ax.set_yscale("log")
    ax.set_xticks(
        range(len(places)), [p.replace("_", "\n").replace("dual", "dualIB").replace("ib", "IB") for p in places]
    )
    describe(
        ax, "joint and problem", "excess over the proven F  [nats]", ncols=1, loc="lower left", bbox_to_anchor=(0, 1)
    )
    return figure


def _samples_figure(r: Arrays) -> Figure:
    """Error against the number of samples, with the standard error over the batches."""
    figure, (ax,) = panels()
    for i, (name, marker) in enumerate(zip(r["arms"], "os^v", strict=True)):
        error = r["error"][:, i]
        spread = error.std(axis=0, ddof=1) / np.sqrt(len(error))
        # Side by side, because two pairs of arms nearly coincide.
        at = r["sizes"] * 1.03 ** (2 * i - 3)
        ax.errorbar(at, error.mean(axis=0), spread, color=COLOURS[i], marker=marker, ms=4, lw=1, label=str(name))
    ax.set(xscale="log", yscale="log")
    title = f"mean ± standard error, {len(r['error'])} batches of 2 samples"
    describe(ax, "samples N", "E D(p(y|x) ‖ prediction)  [nats]", title)
    return figure
