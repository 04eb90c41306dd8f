"""``deepnets compare``: comparisons with infinite width as one report, in Markdown with a figure a quantity."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

import ntkinfo
from deepnets.plotting.widths import plot_finite_plane, plot_quantity
from deepnets.widths.agreement import WITHIN, Verdict, percent
from deepnets.widths.compare import compare_with_infinite_width
from deepnets.widths.comparison import Comparison
from deepnets.widths.finite import LEAST
from dualib.core.command import add_units, add_workers, say, write_figure
from dualib.core.files import atomic_path, writable_directory
from dualib.core.parallel import processes
from dualib.core.tables import format_table
from dualib.core.units import Units, to_units

QUICK_REPLICAS, QUICK_WIDTHS = 200, (64, 128, 256)
FULL_REPLICAS, FULL_WIDTHS = 1000, (64, 128, 256, 512)
PILOT = 100


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
    parser.add_argument("--replicas", type=int, help=f"networks of the widest width, {LEAST} at least")
    parser.add_argument(
        "--within",
        type=float,
        default=WITHIN,
        metavar="X",
        help="relative difference that the verdicts are about (default: %(default)s); how many networks that takes is said "
        f"after a pilot of {PILOT}",
    )
    parser.add_argument("--taus", type=float, nargs="+", default=[0.5, 1.5], help="times of the loss ½‖f - Y‖²")
    parser.add_argument("--w-std", type=float, default=1.2)
    parser.add_argument("--b-std", type=float, default=0.3)
    parser.add_argument(
        "--data", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test (default: the Gaussian task)"
    )
    parser.add_argument("--labels", choices=("classes", "parity", "numbers"), help="what the labels of --data are")
    parser.add_argument("--n-train", type=int, help="points (default: 4 of the Gaussian task, all of --data)")
    parser.add_argument("--n-test", type=int, help="points (default: 12 of the Gaussian task, all of --data)")
    parser.add_argument("--seed", type=int, default=0)
    add_workers(parser, "train batches of networks", "a thread a core")
    add_units(parser)


def run(a: argparse.Namespace) -> None:
    """Compare at every depth asked for, print the verdicts, write the report."""
    with processes(a.workers) as executor:
        _compare(a, executor)


def _compare(a: argparse.Namespace, executor: Executor | None) -> None:
    writable_directory(a.out)
    replicas, widths = (FULL_REPLICAS, FULL_WIDTHS) if a.full else (QUICK_REPLICAS, QUICK_WIDTHS)
    replicas = a.replicas if a.replicas is not None else replicas
    data = _data(a)
    start, found = time.perf_counter(), {}
    for depth in dict.fromkeys(a.depth):
        name = f"{a.activation}, {depth} hidden layer{'s' if depth > 1 else ''}"
        compared = partial(
            compare_with_infinite_width,
            data,
            hidden_layers=depth,
            activation=a.activation,
            w_std=a.w_std,
            b_std=a.b_std,
            widths=a.widths or widths,
            taus=a.taus,
            within=a.within,
            seed=a.seed,
            out=a.out / f"{a.activation}_{depth}",
            executor=executor,
        )
        if replicas > PILOT:
            say(
                f"{name}, from a pilot of {PILOT} networks: {compared(replicas=PILOT, exponents=False).plan().describe(replicas)}"
            )
        found[name] = comparison = compared(replicas=replicas)
        say(f"{name}:")
        say(_table(comparison, a.units))
        say(comparison.plan().describe(replicas))
        path = a.out / f"{_stem(comparison)}_plane.png"
        write_figure(path, lambda: plot_finite_plane(comparison, data.gaussian_ib, a.units), 130)  # noqa: B023
    write_report(found, a.out, time.perf_counter() - start, a.units)
    say(f"written: {a.out}/report.md, *.npz, *.csv, *.png; {time.perf_counter() - start:.0f} s")


def _data(a: argparse.Namespace) -> ntkinfo.Dataset:
    if a.data is not None:
        return ntkinfo.from_npz(a.data, a.n_train, a.n_test, labels=a.labels, seed=a.seed)
    n_train, n_test = (given if given is not None else size for given, size in ((a.n_train, 4), (a.n_test, 12)))
    return ntkinfo.gaussian_task(n_train, n_test, x_dim=3, seed=a.seed)


def _cells(comparison: Comparison, units: Units) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and a row a quantity, at its worst time."""
    measured = [v for v in comparison.verdicts() if v.verdict is not Verdict.NOT_MEASURABLE]
    names = ["quantity", "unit", "τ", "predicted", *map(str, comparison.settings["widths"])]
    rows = []
    for v in measured:
        scale = to_units(1.0, units) if v.unit.is_information else 1.0
        numbers = [f"{scale * x:.4g}" for x in (v.predicted, *v.measured, v.value)]
        errors = [f"{scale * x:.2g}" for x in (v.error, v.slope, v.slope_error)]
        slope = "–" if np.isnan(v.predicted_slope) else f"{scale * v.predicted_slope:.2g}"
        unit, tau = v.unit.shown_in(units).suffix.strip(), f"{v.tau:g}"
        rows.append([v.quantity, unit, tau, *numbers, *errors, slope, percent(v.detectable), v.said()])
    return [*names, "∞", "±", "slope", "±", "predicted", "would see", "verdict"], rows


def _table(comparison: Comparison, units: Units) -> str:
    names, rows = _cells(comparison, units)
    table = format_table([(name, "") for name in names], rows)
    return f"{table}\n{comparison.slopes.note}" if comparison.slopes.note else table


def write_report(comparisons: Mapping[str, Comparison], out: Path, seconds: float, units: Units = "bits") -> None:
    """Write report.md with one section a comparison, its figures, and its rows as .npz and .csv."""
    lines = ["# Finite networks against the theory of infinite width", "", _PREFACE, ""]
    for name, comparison in comparisons.items():
        stem = _stem(comparison)
        comparison.save(out / f"{stem}.npz")
        for end, frame in (("", comparison.to_frame(units)), ("_verdicts", comparison.to_table(units))):
            with atomic_path(out / f"{stem}{end}.csv") as temporary:
                frame.to_csv(temporary, index=False)
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
    "Values q(N) = a + b/N are fitted over the widths with their standard errors; ∞ is a, ± its standard error, of the spread of "
    "networks, of the next term c/N² of the series, and of the time step. A quantity *agrees to within ±x* if the 95 % interval "
    "of a lies within a factor 1 + x of the prediction (an equivalence test: a prediction that is off by more is called "
    "agreement in 2.5 % of the cases at most), *does not* if three standard errors lie outside (by chance in one case of 370); "
    "otherwise the networks "
    "*cannot tell*, and what would is said. *Would see* is the relative difference that would have been found in 95 % of the "
    "cases. Bounds *hold* if a lies on their right side. Of several times the worst is shown; all of them are in the files "
    "`*_verdicts.csv`. Divergences of the linearised parameters are set against the measured one as well; of nonlinear networks "
    "they are not expected to agree. *Slope* is b, beside what theory predicts for it where it does. "
    "*Not at these widths* is said where b/N at the widest, measured or predicted, exceeds what is claimed, where leaving "
    "out the narrowest moves a by more than its error, and of a law that collapses as e^{-2λτ}, whose modes widths below "
    "e^{2(λ_max - λ_min)τ} mix at leading order."
)


def _stem(comparison: Comparison) -> str:
    return f"{comparison.settings['activation']}_{comparison.settings['hidden_layers']}"


def _settings_line(comparison: Comparison) -> str:
    s = comparison.settings
    widths, times = ", ".join(map(str, s["widths"])), ", ".join(f"{t:g}" for t in s["taus"])
    points = " and ".join(f"{n} {kind}" for n, kind in zip(s["n_points"], ("training", "test"), strict=True))
    return (
        f"{s['replicas']} networks of the widest width, up to eight times as many of narrower ones; widths {widths}; "
        f"σ_w = {s['w_std']:g}, σ_b = {s['b_std']:g}; {points} points; τ = {times}; midpoint steps of {s['step']:.3g}; "
        f"seed {s['seed']}." + f" {comparison.slopes.note}." * bool(comparison.slopes.note)
    )


def _verdict_table(comparison: Comparison, units: Units) -> list[str]:
    names, rows = _cells(comparison, units)
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [f"| `{name}` | {' | '.join(cells)} |" for name, *cells in rows]
    without = [v for v in comparison.verdicts() if v.verdict is Verdict.NOT_MEASURABLE]
    lines += ["", comparison.plan().describe(comparison.settings["replicas"]).capitalize() + ".", ""]
    return [*lines, "Not measured:", "", *(f"- `{v.quantity}`: {v.reason}" for v in without)]


def _exponents(comparison: Comparison) -> list[str]:
    lines = ["| power of the width | fitted | 95 % interval | theory |", "|---|---|---|---|"]
    for x in comparison.exponents:
        fitted = ("–", x.note) if np.isnan(x.exponent) else (f"{x.exponent:.3f}", f"{x.low:.3f} to {x.high:.3f}")
        lines.append(f"| {x.name} | {fitted[0]} | {fitted[1]} | {x.expected:g} |")
    return lines
