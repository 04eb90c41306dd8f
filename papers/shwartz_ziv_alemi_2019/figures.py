"""Figures from the results alone: losses, the plane with the exact frontier, time curves, sample sizes, finite widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.figure import COLOURS, describe, line_style, panels
from dualib.core.statistics import mean
from dualib.core.typing import FloatArray
from dualib.core.units import Unit, to_units
from papers.experiments.program import Arrays, Results
from papers.shwartz_ziv_alemi_2019.measure import ACTIVATIONS, LOW, at_index

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {
    "input_information": "I(Z;X|D), Monte Carlo",
    "label_information_affine": "I(Z;Y|D), lower bound",
    "data_information": "I(Z;D), upper bound",
    "gaussian_label_information": "I(Z;Y|X), exact",
    "parameter_kl": "KL of the parameters, linearised",
    "parameter_label_information": "I(θ;Y|X), exact",
    "parameter_kl_weight_noise": "KL, noise on the weights",
}
TIME = "training time τ (no unit)"


def figures(results: Results) -> dict[str, Figure]:
    """Every figure of the paper, by its name."""
    return {
        "loss": _loss(results["scales"], results["digits"]),
        "plane": _plane(results["scales"]),
        "quantities": _quantities(results["quantities"]),
        "sizes": _sizes(results["sizes"]),
        "finite": _finite(results["finite"]),
        "late": _late(results["late"]),
        "together": _together(results["scales"], results["sizes"]),
    }


def _loss(r: Arrays, digits: Arrays) -> Figure:
    figure, axes = panels(3, height=2.6)
    for i, activation in enumerate(ACTIVATIONS):
        _fan(axes[i], r["tau"], r["error"][i], r["w_std"])
        describe(
            axes[i], TIME, "test error of one network" if i == 0 else "", f"Gaussian task, {activation}", legend=i == 0
        )
    _fan(axes[2], digits["tau"], digits["error"], digits["w_std"])
    describe(axes[2], TIME, "", "digits parity, convolutional, erf")
    return figure


def _fan(ax: Axes, tau: FloatArray, values: FloatArray, w_std: FloatArray) -> None:
    """Mean over data seeds against time, one line a weight scale; the band is the range over seeds."""
    for k, scale in enumerate(w_std):
        ax.plot(tau, values[k].mean(axis=0), label=f"σ_w = {scale:g}", **line_style(k))
        ax.fill_between(tau, values[k].min(axis=0), values[k].max(axis=0), color=COLOURS[k], alpha=0.15, lw=0)
    ax.set(xscale="log", yscale="log")


def _plane(r: Arrays) -> Figure:
    """The information plane, means over data seeds, with the exact frontier; a dot where the test error is least."""
    figure, axes = panels(2, height=3.0, sharey=True)
    upper, relevance = (to_units(r[name], "bits").mean(axis=2) for name in ("rate_upper", "relevance"))
    frontier = to_units(r["frontier_rate"], "bits"), to_units(r["frontier"], "bits")
    for i, (ax, activation) in enumerate(zip(axes, ACTIVATIONS, strict=True)):
        ax.plot(*frontier, "k", lw=1.5, label="Gaussian IB, exact")
        ax.plot(frontier[0], 0.9 * frontier[1], "k:", lw=0.8, label="threshold of the claim")
        for k, scale in enumerate(r["w_std"]):
            best = int(r["error"][i, k].mean(axis=0).argmin())
            ax.plot(upper[i, k], relevance[i, k], label=f"σ_w = {scale:g}", **line_style(k))
            ax.plot(upper[i, k, best], relevance[i, k, best], "o", color=COLOURS[k], ms=5, mec="k")
        # Far below zero the bound says nothing: late outputs of wide weights are mostly noise.
        ax.set_ylim(-0.05, 0.7)
        y = "I(Z;Y|D), affine lower bound  [bits]" if i == 0 else ""
        describe(
            ax,
            "I(Z;X|D), upper bound  [bits]",
            y,
            f"{activation}; dots: least test error",
            legend=i == 1,
            loc="lower right",
        )
    return figure


def _quantities(q: Arrays) -> Figure:
    figure, (ax,) = panels(height=3.6, width=5.0)
    for i, (name, text) in enumerate(NAMES.items()):
        shown = np.where(q[name] > 1e-3, q[name], np.nan)
        ax.loglog(q["tau"], shown, label=text, **line_style(i))
    describe(ax, TIME, "information  [nats]", "erf, σ_w = 0.25, one data seed", loc="upper left")
    return figure


def _sizes(r: Arrays) -> Figure:
    """Error and rate against the number of training points, at fixed and at optimal time, with Student's intervals."""
    figure, axes = panels(2)
    best, fixed = r["error"].argmin(axis=-1), int(r["fixed"])
    for ax, (name, label, unit) in zip(
        axes,
        (
            ("error", "test error of one network", Unit.ONE),
            ("rate_upper", "I(Z;X|D), upper bound  [nats]", Unit.NATS),
        ),
        strict=True,
    ):
        arms = {"optimal time": at_index(r[name], best), f"τ = {r['tau'][fixed]:.3g}": r[name][..., fixed]}
        for k, (when, values) in enumerate(arms.items()):
            found = [mean(row, unit) for row in values]
            middle = np.array([m.value for m in found])
            spread = [middle - [m.low for m in found], [m.high for m in found] - middle]
            at = r["sizes"] * 1.03 ** (2 * k - 1)
            ax.errorbar(at, middle, spread, color=COLOURS[k], marker="os"[k], ms=4, lw=1, label=when)
        ax.set_xscale("log")
        describe(ax, "training points n", label, "mean and 95% interval over data seeds")
    return figure


WORDS = {
    "expected_square_error": "test error",
    "input_information": "I(Z;X|D)",
    "label_information_unit_noise": "I(Z;Y|D)",
    "fisher_trace": "Fisher trace",
    "parameter_distance_squared": "distance of weights",
    "parameter_kl_infinite_width": "KL, third kernel",
    "parameter_kl": "KL, linearised",
    "parameter_kl_published": "KL, as published",
}


def _finite(r: Arrays) -> Figure:
    """Finite networks over the prediction of infinite width, against the width, two depths; two standard errors."""
    figure, axes = panels(len(r["widths"]), height=3.0, sharey=True)
    names, time = list(map(str, r["quantity"])), (len(r["taus"]) - 1) // 2
    for d, (ax, widths) in enumerate(zip(axes, r["widths"], strict=True)):
        for k, name in enumerate(n for n in WORDS if n in names):
            at = (d, time, names.index(name))
            ratio, error = r["finite"][at] / r["infinite"][at], 2 * r["std_error"][at] / abs(r["infinite"][at])
            place = widths * 1.03 ** (k - 3)
            style: dict[str, Any] = {"fmt": "os^vDPX*"[k], "color": COLOURS[k % len(COLOURS)], "ms": 4, "lw": 1}
            ax.errorbar(place, ratio, error, label=WORDS[name] if d == 0 else None, **style)
        ax.axhspan(0.95, 1.05, color="0.9", lw=0)
        ax.axhline(1.0, color="0.5", lw=0.8, ls=":")
        ax.set_xscale("log", base=2)
        ax.set_xticks(widths, map(str, widths))
        ax.minorticks_off()
        ax.set_ylim(0.4, 2.0)
        title = f"{d + 1} hidden layer{'s' if d else ''}, erf, τ = {r['taus'][time]:g}; grey: ±5 %"
        describe(ax, "width", "networks over prediction" if d == 0 else "", title, legend=False)
    figure.legend(loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def _late(r: Arrays) -> Figure:
    """The bracket of I(Z;X|D) at the end against the number of test points; the upper bound knows no number of points."""
    figure, (ax,) = panels(height=3.0)
    points = r["points"]
    for k, w_std in enumerate(r["w_std"]):
        upper = r["upper"][k, :, -1].mean()
        style: dict[str, Any] = {"color": COLOURS[k]}
        ax.plot(points, r["lower"][k].mean(axis=0), "o-", ms=4, lw=1, label=f"lower bound, σ_w = {w_std:g}", **style)
        ax.axhline(upper, ls="--", lw=1, label=f"upper bound: {upper:.2f}", **style)
    ax.plot(points, np.log(points), ":", color="0.5", lw=1, label="log N, the most N points can show")
    ax.set_xscale("log")
    ax.set_xticks(points, map(str, points))
    ax.minorticks_off()
    describe(
        ax, "test points N", "I(Z;X|D) at the last time  [nats]", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    return figure


def _together(r: Arrays, n: Arrays) -> Figure:
    """The rate's upper bound against the gap between test and training error: along time, and along the sample size."""
    figure, axes = panels(2, height=2.7)
    low = int(np.flatnonzero(r["w_std"] == LOW)[0])
    gap = (r["error"] - r["train_error"])[0, low].mean(axis=0)
    rate = r["rate_upper"][0, low].mean(axis=0)
    axes[0].plot(rate, gap, "o-", color=COLOURS[0], ms=3, lw=1)
    best = n["error"].argmin(axis=-1)
    for k, size in enumerate(n["sizes"]):
        x, y = at_index(n["rate_upper"], best)[k].mean(), at_index(n["error"] - n["train_error"], best)[k].mean()
        axes[1].plot(x, y, "o", color=COLOURS[1], ms=4)
        place, side = ((4, 4), "left") if k % 2 == 0 else ((-4, -8), "right")
        axes[1].annotate(f"n = {size}", (x, y), xytext=place, ha=side, textcoords="offset points", fontsize=6)
    for ax, title in zip(axes, (f"over time, σ_w = {LOW:g}", "over sample size, at the best time"), strict=True):
        describe(ax, "I(Z;X|D), upper bound  [nats]", "test less training error" if ax is axes[0] else "", title)
    return figure
