"""``deepnets compare``: comparisons with infinite width as one report, in Markdown with a figure a quantity."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import ntkinfo
from deepnets.plotting.widths import plot_finite_plane, plot_quantity
from deepnets.widths.agreement import Comparison, Verdict
from deepnets.widths.compare import compare_with_infinite_width
from dualib.core.command import add_units, say, write_figure
from dualib.core.files import atomic_path, writable_directory
from dualib.core.tables import format_table
from dualib.core.units import Units

QUICK_REPLICAS, QUICK_WIDTHS = 200, (64, 128, 256)
FULL_REPLICAS, FULL_WIDTHS = 1000, (64, 128, 256, 512)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets compare``."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="of the report: go on with it, or begin it"
    )
    parser.add_argument("--activation", default="erf", help=", ".join(ntkinfo.activations.names()))
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
    add_units(parser)


def run(a: argparse.Namespace) -> None:
    """Compare at every depth asked for, print the verdicts, write the report."""
    writable_directory(a.out)
    replicas, widths = (FULL_REPLICAS, FULL_WIDTHS) if a.full else (QUICK_REPLICAS, QUICK_WIDTHS)
    data = ntkinfo.gaussian_task(a.n_train, a.n_test, x_dim=3, seed=a.seed)
    start, found = time.perf_counter(), {}
    for depth in dict.fromkeys(a.depth):
        name = f"{a.activation}, {depth} hidden layer{'s' if depth > 1 else ''}"
        found[name] = comparison = compare_with_infinite_width(
            data,
            hidden_layers=depth,
            activation=a.activation,
            w_std=a.w_std,
            b_std=a.b_std,
            widths=a.widths or widths,
            replicas=a.replicas if a.replicas is not None else replicas,
            taus=a.taus,
            seed=a.seed,
            out=a.out / f"{a.activation}_{depth}",
        )
        said = [v for v in comparison.verdicts() if v.verdict is not Verdict.NOT_MEASURABLE]
        header = [(column, "") for column in ("quantity", "verdict", "where it is tightest")]
        say(f"{name}:")
        say(format_table(header, [[v.quantity, v.verdict, v.describe(a.units)] for v in said]))
        path = a.out / f"{_stem(comparison)}_plane.png"
        write_figure(path, lambda: plot_finite_plane(comparison, data.gaussian_ib, a.units), 130)  # noqa: B023
    write_report(found, a.out, time.perf_counter() - start, a.units)
    say(f"written: {a.out}/report.md, *.npz, *.csv, *.png; {time.perf_counter() - start:.0f} s")


def write_report(comparisons: Mapping[str, Comparison], out: Path, seconds: float, units: Units = "bits") -> None:
    """Write report.md with one section a comparison, its figures, and its rows as .npz and .csv."""
    lines = ["# Finite networks against the theory of infinite width", "", _PREFACE, ""]
    for name, comparison in comparisons.items():
        stem = _stem(comparison)
        comparison.save(out / f"{stem}.npz")
        with atomic_path(out / f"{stem}.csv") as temporary:
            comparison.to_frame(units).to_csv(temporary, index=False)
        lines += [f"## {name}", "", _settings_line(comparison), "", *_verdict_table(comparison, units), ""]
        lines += [*_exponents(comparison), "", f"![information plane]({stem}_plane.png)", ""]
    lines += ["## Figures", "", "A page a quantity, a panel a depth.", ""]
    for quantity in dict.fromkeys(q for c in comparisons.values() for q in c.quantities()):
        file = "".join(c if c.isalnum() else "_" for c in quantity) + ".png"
        figure = plot_quantity(comparisons, quantity, units)
        write_figure(out / file, lambda: figure, 90)  # noqa: B023
        lines += [f"![{quantity}]({file})", ""]
    lines.append(f"Computed in {seconds:.0f} s (networks that were already there are not trained again).")
    with atomic_path(out / "report.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


_PREFACE = (
    "A quantity *agrees at 1/width* if its values q(N) = a + b/N, fitted over the widths with their standard errors, have the "
    "predicted a within three standard errors (shared among the times; the error of the time step, measured by halving it, and "
    "that of the line, measured by leaving out the narrowest of four widths and more, are added). Bounds *hold* if the network's "
    "value lies on their right side. Divergences of the linearised parameters are set against the measured one as well; of "
    "nonlinear networks they are not expected to agree. A law that collapses as e^{-2λτ} has widths, those below "
    "e^{2(λ_max - λ_min)τ}, that mix its modes at leading order: a difference there says *not at these widths*."
)


def _stem(comparison: Comparison) -> str:
    return f"{comparison.settings['activation']}_{comparison.settings['hidden_layers']}"


def _settings_line(comparison: Comparison) -> str:
    s = comparison.settings
    widths, times = ", ".join(map(str, s["widths"])), ", ".join(f"{t:g}" for t in s["taus"])
    points = s["dataset"].get("n_train", "?")
    return (
        f"{s['replicas']} networks of the widest width, up to eight times as many of narrower ones; widths {widths}; "
        f"σ_w = {s['w_std']:g}, σ_b = {s['b_std']:g}; {points} training points; τ = {times}; midpoint steps of {s['step']:.3g}; "
        f"seed {s['seed']}."
    )


def _verdict_table(comparison: Comparison, units: Units) -> list[str]:
    rows = [f"| `{v.quantity}` | {v.verdict} | {v.describe(units)} |" for v in comparison.verdicts()]
    return ["| quantity | verdict | where it is tightest, or why not |", "|---|---|---|", *rows]


def _exponents(comparison: Comparison) -> list[str]:
    lines = ["| power of the width | fitted | 95 % interval | theory |", "|---|---|---|---|"]
    for x in comparison.exponents:
        fitted = ("–", x.note) if np.isnan(x.exponent) else (f"{x.exponent:.3f}", f"{x.low:.3f} to {x.high:.3f}")
        lines.append(f"| {x.name} | {fitted[0]} | {fitted[1]} | {x.expected:g} |")
    return lines
