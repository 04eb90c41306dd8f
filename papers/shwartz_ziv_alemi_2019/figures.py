"""Figures from the results alone: losses, the plane with the exact frontier, time curves, sample sizes, finite widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, describe, line_style, panels
from dualib.core.statistics import mean
from dualib.core.typing import FloatArray
from dualib.core.units import Unit, to_units
from papers.experiments.program import Arrays, Results
from papers.shwartz_ziv_alemi_2019.measure import ACTIVATIONS, JUDGED, at_index

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
    rate, relevance = to_units(r["rate"], "bits").mean(axis=2), to_units(r["relevance"], "bits").mean(axis=2)
    for i, (ax, activation) in enumerate(zip(axes, ACTIVATIONS, strict=True)):
        ax.plot(
            to_units(r["frontier_rate"], "bits"),
            to_units(r["frontier"], "bits"),
            "k",
            lw=1.5,
            label="Gaussian IB, exact",
        )
        for k, scale in enumerate(r["w_std"]):
            best = int(r["error"][i, k].mean(axis=0).argmin())
            ax.plot(rate[i, k], relevance[i, k], label=f"σ_w = {scale:g}", **line_style(k))
            ax.plot(rate[i, k, best], relevance[i, k, best], "o", color=COLOURS[k], ms=5, mec="k")
        ax.axvline(to_units(r["log_n_rate"], "bits"), color="0.5", ls=":", lw=1, label="log N, largest measurable")
        # Far below zero the bound says nothing: late outputs of wide weights are mostly noise.
        ax.set_ylim(-0.05, 0.7)
        y = "I(Z;Y|D), affine lower bound  [bits]" if i == 0 else ""
        describe(ax, "I(Z;X|D)  [bits]", y, f"{activation}; dots: least test error", legend=i == 1, loc="lower right")
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
        axes, (("error", "test error of one network", Unit.ONE), ("rate", "I(Z;X|D)  [nats]", Unit.NATS)), strict=True
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


def _finite(r: Arrays) -> Figure:
    """Finite networks over the prediction of infinite width, against 1/width; two standard errors."""
    figure, (ax,) = panels(height=3.6, width=5.0)
    names = list(map(str, r["quantity"]))
    for k, name in enumerate(n for n in JUDGED if n in names):
        i = names.index(name)
        ratio, error = r["finite"][i] / r["infinite"][i], 2 * r["std_error"][i] / abs(r["infinite"][i])
        at = (1 / r["widths"]) * 1.02 ** (k - 3)
        ax.errorbar(at, ratio, error, fmt="os^vDPX*"[k], color=COLOURS[k % len(COLOURS)], ms=4, lw=1, label=name)
    ax.axhline(1.0, color="0.5", lw=0.8, ls=":")
    ax.set_xscale("log")
    ax.set_xticks(1 / r["widths"], map(str, r["widths"]))
    ax.minorticks_off()
    describe(
        ax,
        "width (wider to the left)",
        "networks over prediction (no unit)",
        "one hidden layer, erf; bars: 2 standard errors",
    )
    ax.legend(fontsize=7, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure
