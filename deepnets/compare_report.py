"""``deepnets compare``: comparisons with infinite width as one report, in Markdown with a figure a quantity."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.compare import Comparison, compare_with_infinite_width
from deepnets.plotting import COLOURS, MARKERS
from dualib.core.command import say
from dualib.core.files import atomic_path, writable_directory
from dualib.core.tables import format_table
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUICK = {"replicas": 200, "widths": (64, 128, 256)}
FULL = {"replicas": 1000, "widths": (64, 128, 256, 512)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets compare``."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="of the report: go on with it, or begin it"
    )
    parser.add_argument("--activation", default="erf", help="erf, sin, tanh, gelu or linear")
    parser.add_argument("--depth", type=int, nargs="+", default=[1, 2, 3], help="hidden layers, a comparison each")
    parser.add_argument(
        "--full",
        action="store_true",
        help="1000 networks of width 512 and more of narrower ones (default: 200 of width 256)",
    )
    parser.add_argument(
        "--widths",
        type=int,
        nargs="+",
        help="at least three for a verdict; with three hidden layers a network of width 1024 takes three seconds",
    )
    parser.add_argument("--replicas", type=int, help="networks of the widest width")
    parser.add_argument("--taus", type=float, nargs="+", default=[0.5, 1.5], help="times of the loss ½‖f - Y‖²")
    parser.add_argument("--w-std", type=float, default=1.2)
    parser.add_argument("--b-std", type=float, default=0.3)
    parser.add_argument("--n-train", type=int, default=4, help="points of the Gaussian task")
    parser.add_argument("--n-test", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)


def run(a: argparse.Namespace) -> int:
    """Compare at every depth asked for, print the verdicts, write the report."""
    import ntkinfo

    writable_directory(a.out)
    size = FULL if a.full else QUICK
    data = ntkinfo.gaussian_task(a.n_train, a.n_test, x_dim=3, seed=a.seed)
    start, found = time.perf_counter(), {}
    for depth in dict.fromkeys(a.depth):
        name = f"{a.activation}, {depth} hidden layer{'s' if depth > 1 else ''}"
        found[name] = compare_with_infinite_width(
            data,
            hidden_layers=depth,
            activation=a.activation,
            w_std=a.w_std,
            b_std=a.b_std,
            widths=a.widths or size["widths"],  # type: ignore[arg-type]
            replicas=a.replicas or size["replicas"],  # type: ignore[arg-type]
            taus=a.taus,
            seed=a.seed,
            out=a.out / f"{a.activation}_{depth}",
        )
        say(f"{name}:")
        say(
            format_table([(c, "") for c in ("quantity", "verdict", "where it is tightest")], _cells(found[name]))
        )
        with atomic_path(a.out / f"{a.activation}_{depth}_plane.png") as temporary:
            plot_plane(found[name], data.gaussian_ib).savefig(temporary, dpi=130)
    write_report(found, a.out, time.perf_counter() - start)
    say(f"written: {a.out}/report.md, *.json, *.png; {time.perf_counter() - start:.0f} s")
    return 0


def _cells(comparison: Comparison) -> list[list[str]]:
    return [[v.quantity, v.verdict, v.detail] for v in comparison.verdicts() if v.verdict != "not measurable"]


def write_report(comparisons: Mapping[str, Comparison], out: Path, seconds: float) -> None:
    """report.md with one section a comparison, its figures, and its rows as JSON and CSV."""
    lines = ["# Finite networks against the theory of infinite width", "", _PREFACE, ""]
    for name, comparison in comparisons.items():
        stem = f"{comparison.settings['activation']}_{comparison.settings['hidden_layers']}"
        comparison.save(out / f"{stem}.json")
        with atomic_path(out / f"{stem}.csv") as temporary:
            comparison.to_frame().to_csv(temporary, index=False)
        lines += [
            f"## {name}",
            "",
            _settings_line(comparison),
            "",
            *_verdict_table(comparison),
            "",
            *_exponents(comparison),
            "",
        ]
        lines.append(f"![information plane]({stem}_plane.png)")
        lines.append("")
    lines += ["## Figures", "", "A page a quantity, a panel a depth.", ""]
    for quantity in dict.fromkeys(q for c in comparisons.values() for q in c.quantities()):
        figure_name = f"{_slug(quantity)}.png"
        with atomic_path(out / figure_name) as temporary:
            plot_quantity(comparisons, quantity).savefig(temporary, dpi=90)
        lines += [f"![{quantity}]({figure_name})", ""]
    lines.append(f"Computed in {seconds:.0f} s (networks that were already there are not trained again).")
    with atomic_path(out / "report.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


_PREFACE = (
    "A quantity *agrees at 1/width* if its values q(N) = a + b/N, fitted over the widths with their standard errors, have the "
    "predicted a within three standard errors (shared among the times; the error of the time step, measured by halving it, and "
    "that of the line, measured by leaving out the narrowest of four widths and more, are added). Bounds *hold* if the network's "
    "value lies on their right side. `parameter_kl` (linearised) and `parameter_kl_published` are set against the measured "
    "divergence as well; of nonlinear networks they are not expected to agree. "
    "`data_information_train` belongs to a law that collapses as e^{-2λτ}: widths below e^{2(λ_max - λ_min)τ} mix its modes at leading "
    "order, and a difference there says *not at these widths*."
)


def _settings_line(comparison: Comparison) -> str:
    s = comparison.settings
    widths, times = ", ".join(map(str, s["widths"])), ", ".join(f"{t:g}" for t in s["taus"])
    points = s["dataset"].get("n_train", "?")
    return (
        f"{s['replicas']} networks of the widest width, up to eight times as many of narrower ones; widths {widths}; "
        f"σ_w = {s['w_std']:g}, σ_b = {s['b_std']:g}; {points} training points; τ = {times}; midpoint steps of {s['step']:.3g}; "
        f"seed {s['seed']}."
    )


def _verdict_table(comparison: Comparison) -> list[str]:
    rows = [f"| `{v.quantity}` | {v.verdict} | {v.detail} |" for v in comparison.verdicts()]
    return ["| quantity | verdict | where it is tightest, or why not |", "|---|---|---|", *rows]


def _exponents(comparison: Comparison) -> list[str]:
    lines = ["| power of the width | fitted | 95 % interval | theory |", "|---|---|---|---|"]
    for x in comparison.exponents:
        fitted = ("–", x.note) if np.isnan(x.exponent) else (f"{x.exponent:.3f}", f"{x.low:.3f} to {x.high:.3f}")
        lines.append(f"| {x.name} | {fitted[0]} | {fitted[1]} | {x.expected:g} |")
    return lines


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def plot_quantity(comparisons: Mapping[str, Comparison], quantity: str) -> Figure:
    """One quantity against 1/width, a panel a comparison: networks with three standard errors, the fitted line, the
    prediction at 1/width = 0.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.0 + 3.4 * len(comparisons), 3.2))
    panels = figure.subplots(1, len(comparisons), squeeze=False)[0]
    # Fixed margins: measuring the texts takes as long as drawing them.
    width = figure.get_figwidth()
    figure.subplots_adjust(left=0.75 / width, right=1 - 0.15 / width, bottom=0.14, top=0.82, wspace=0.24)
    for ax, (name, comparison) in zip(panels, comparisons.items(), strict=True):
        _plot_panel(ax, comparison, quantity)
        ax.set_title(name, fontsize=8)
    row = next(r for c in comparisons.values() for r in c.select(quantity))
    sign = {"=": "", "<=": ", a lower bound", ">=": ", an upper bound"}[row.relation]
    figure.suptitle(f"{quantity}{sign} (★ infinite width; bars: 3 standard errors)", fontsize=9)
    panels[0].set_ylabel(f"value  [{row.unit}]" if row.unit else "value", fontsize=8)
    panels[0].legend(fontsize=7)
    return figure


def _plot_panel(ax: Axes, comparison: Comparison, quantity: str) -> None:
    rows = comparison.select(quantity)
    for i, tau in enumerate(dict.fromkeys(r.tau for r in rows)):
        chosen = comparison.select(quantity, tau)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        inverse = np.array([1 / r.width for r in chosen])
        value, error = (np.array([getattr(r, name) for r in chosen]) for name in ("finite", "std_error"))
        ax.errorbar(inverse, value, 3 * error, fmt=marker, color=colour, capsize=2, markersize=4, label=f"τ = {tau:g}")
        if np.isfinite(chosen[0].infinite):
            a, _, _ = comparison.extrapolated(quantity, tau)
            slope = np.polyfit(inverse, value, 1, w=1 / np.maximum(error, 1e-300))[0] if len(chosen) > 1 else 0.0
            ax.plot([0, inverse.max()], [a, a + slope * inverse.max()], color=colour, linewidth=0.8)
            ax.plot([0], [chosen[0].infinite], "*", color=colour, markersize=12, markeredgecolor="black", clip_on=False)
    widths = sorted({r.width for r in rows}, reverse=True)
    ax.set_xticks([0, *(1 / w for w in widths)], ["∞", *map(str, widths)], fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("width (linear in 1/width)", fontsize=8)
    ax.set_xlim(0, None)


def plot_plane(comparison: Comparison, gaussian_ib: Any = None, units: Units = "nats") -> Figure:
    """I(Z;Y|D) against I(Z;X|D) of finite and of infinitely wide networks, with the exact Gaussian bottleneck frontier."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    ax = figure.subplots()
    x, y = (comparison.select(name) for name in ("input_information", "label_information_unit_noise"))
    for i, tau in enumerate(dict.fromkeys(r.tau for r in x)):
        at = [(a, b) for a, b in zip(x, y, strict=True) if a.tau == tau]
        colour = COLOURS[i % len(COLOURS)]
        for a, b in at:
            place = [to_units(v, units) for v in (a.finite, b.finite, 2 * a.std_error, 2 * b.std_error)]
            ax.errorbar(place[0], place[1], place[3], place[2], fmt="o", color=colour, markersize=3, alpha=0.7)
        ax.plot(
            to_units(at[0][0].infinite, units), to_units(at[0][1].infinite, units), "*", color=colour, markersize=13,
            markeredgecolor="black", label=f"τ = {tau:g}: ★ infinite, ● finite width",
        )  # fmt: skip
    if gaussian_ib is not None:
        rates = np.linspace(0, 1.1 * max(r.infinite for r in x), 200)
        ax.plot(
            to_units(rates, units),
            to_units(gaussian_ib.relevance_at(rates), units),
            color="0.3",
            label="Gaussian IB frontier",
        )
    ax.set(xlabel=f"I(Z;X|D)  [{units}]", ylabel=f"I(Z;Y|D), lower bound  [{units}]")
    ax.legend(fontsize=7)
    return figure
