"""``deepnets variational``: variational bottlenecks on images or on a law that is known, against one another and the optimum."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd

from deepnets.commands.shared import print_table, write_table
from deepnets.tasks import Task, task_from_settings
from deepnets.variational.equal_rate import WIDEST, at_equal_rate
from deepnets.variational.evaluation import Evaluation
from deepnets.variational.fit import VariationalFit, fit_variational
from deepnets.variational.gap import Gap
from deepnets.variational.label_models import Confusion, Exact, LabelModel, OneHot, Smoothed, Teacher
from deepnets.variational.objectives import OBJECTIVES, Distortion
from deepnets.variational.plotting import plot_gap, plot_planes
from deepnets.variational.settings import EncoderKind, VariationalSettings
from dualib.core.arrays import positive
from dualib.core.command import add_units, say, write_figure
from dualib.core.estimate import Estimate
from dualib.core.files import writable_directory
from dualib.core.store import Store
from dualib.core.units import NATS_PER_BIT
from dualib.examples import icosahedron
from dualib.joint import Joint

IMAGES = ("digits", "mnist")
LAW: dict[str, Any] = {
    "encoder": EncoderKind.GAUSSIAN,
    "code_dim": 2,
    "steps": 3000,
    "learning_rate": 0.05,
    "samples": 8,
    "seeds": 8,
}
"""How a law is fitted unless told otherwise: the best of 8 seeds comes within 0.02 nats of the icosahedral rule's IB at β = 4."""
SHOWN = ("rate_bound", "rate_mixture", "rate_lower", "relevance", "accuracy_single", "accuracy_average")
COMPARED = (
    "nll_single",
    "nll_single_tempered",
    "nll_single_unlinked",
    "ece_single",
    "accuracy_average",
    "nll_average_tempered",
)


LABELS: dict[str, type[LabelModel]] = {
    "onehot": OneHot,
    "smoothed": Smoothed,
    "confusion": Confusion,
    "teacher": Teacher,
    "exact": Exact,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``deepnets variational``: the data, the objectives, and one a field of the settings."""
    parser.add_argument(
        "--data",
        required=True,
        help="digits (scikit-learn's), mnist (5000 images, by the extra 'images'), icosahedron (its exact law), or a joint in "
        "a .csv or .npz file; images are evaluated on fresh patterns, laws against the proven optimum",
    )
    parser.add_argument("--objective", nargs="+", default=["vib", "dual"], choices=list(OBJECTIVES), metavar="NAME")
    parser.add_argument("--betas", type=float, nargs="+", help="default: 0.3 to 300 for images, 1 to 16 for laws")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="of the fits: go on with them, or begin them"
    )
    parser.add_argument(
        "--labels",
        choices=list(LABELS),
        help="where p(y|x) is from; of images the dual's default is smoothed, the others' onehot, of laws it is exact",
    )
    parser.add_argument("--alpha", type=float, default=0.1, help="of smoothed labels")
    parser.add_argument("--gamma", type=float, default=10.0, help="sharpness of the icosahedral rule's labels")
    parser.add_argument("--rate", type=float, help="compare the objectives where all have this rate, in --units")
    parser.add_argument(
        "--widest",
        type=float,
        help="how far apart rates of neighbouring β may lie there, in --units (default: 0.5 nats)",
    )
    for setting in fields(VariationalSettings):
        default: Any = setting.default
        name, of = f"--{setting.name.replace('_', '-')}", type(default)
        text = ", ".join(of) if issubclass(of, StrEnum) else "0 for all" if setting.name == "batch_size" else None
        if of is tuple:
            parser.add_argument(
                name, type=int, nargs="+", metavar="WIDTH", help="widths of the encoder's hidden layers"
            )
        elif default is not None:
            parser.add_argument(name, type=of, help=text)
    add_units(parser)


def run(a: argparse.Namespace) -> None:
    """Fit, or go on; then evaluate on fresh patterns, or against the proven optimum."""
    writable_directory(a.out)
    start, data = time.perf_counter(), _data(a)
    settings = _settings(a, isinstance(data, Task))
    betas = a.betas or ([0.3, 1, 3, 10, 30, 100, 300] if isinstance(data, Task) else [1, 2, 4, 8, 16])
    names = list(dict.fromkeys(a.objective))
    fits: dict[str, VariationalFit] = {}
    for name in names:
        model = _labels(a, name, isinstance(data, Task))
        objective = OBJECTIVES[name](model)
        fits[str(objective)] = fit_variational(objective, data, settings, betas=betas, out=a.out / name)
    if isinstance(data, Task):
        _evaluate(a, fits, start)
    else:
        _judge(a, fits, start)


def _data(a: argparse.Namespace) -> Task | Joint:
    if a.data in IMAGES:
        return task_from_settings({"task": a.data})
    if a.data == "icosahedron":
        return icosahedron(a.gamma)
    if Path(a.data).suffix not in (".csv", ".npz"):
        raise ValueError(f"--data must be {', '.join(IMAGES)}, icosahedron, or a .csv or .npz file, got {a.data!r}")
    return Joint.from_csv(a.data) if a.data.endswith(".csv") else Joint.from_npz(a.data)


def _settings(a: argparse.Namespace, images: bool) -> VariationalSettings:
    given = {f.name: getattr(a, f.name, None) for f in fields(VariationalSettings)}
    chosen: dict[str, Any] = ({} if images else LAW) | {k: v for k, v in given.items() if v is not None}
    if chosen.get("batch_size") == 0:
        chosen["batch_size"] = None
    return VariationalSettings.of(None, chosen)


def _labels(a: argparse.Namespace, objective: str, images: bool) -> LabelModel:
    if a.labels is None and not images:
        return Exact()
    usual = "smoothed" if OBJECTIVES[objective].distortion is Distortion.REVERSE else "onehot"
    kind = LABELS[a.labels or usual]
    return Smoothed(a.alpha) if kind is Smoothed else kind()


def _evaluate(a: argparse.Namespace, fits: dict[str, VariationalFit], start: float) -> None:
    found: dict[str, Evaluation] = {}
    for name, fit in fits.items():
        store = Store(a.out / fit.objective.name)
        kept = store.get("evaluation", Evaluation)
        found[name] = fit.evaluate() if kept is None else kept
        store.put("evaluation", found[name])
    _write(a, "variational", {name: e.to_frame(a.units) for name, e in found.items()}, fits, start, SHOWN)
    write_figure(a.out / "plane.png", lambda: plot_planes(found, a.units))
    written = "variational.csv .json, plane.png"
    if a.rate is not None and len(found) > 1:
        nats = NATS_PER_BIT if a.units == "bits" else 1.0
        widest = WIDEST if a.widest is None else nats * positive(a.widest, "--widest")
        compared = at_equal_rate(found, nats * positive(a.rate, "--rate"), widest=widest)
        say(f"\nat {a.rate:g} {a.units} (training mixture), less {next(iter(found))}, paired by seed:")
        rows = [(name, key, e.shown_in(a.units)) for name, of in compared.differences.items() for key, e in of.items()]
        for name, key, estimate in rows:
            if key in COMPARED:
                say(f"  {name}, {key}: {estimate}")
        table = pd.DataFrame([{"objective": n, "score": k, "unit": str(e.unit), **_interval(e)} for n, k, e in rows])
        write_table(a, a.out, "equal_rate", table, start, {"rate_nats": compared.rate, "axis": compared.axis})
        written += ", equal_rate.csv .json"
    say(f"written: {a.out}/{written}, and a directory of .npz for each objective")


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"difference": estimate.value, "low": estimate.low, "high": estimate.high, "seeds": estimate.n}


def _judge(a: argparse.Namespace, fits: dict[str, VariationalFit], start: float) -> None:
    found: dict[str, Gap] = {}
    for name, fit in fits.items():
        store = Store(a.out / fit.objective.name)
        kept = store.get("gap", Gap)
        found[name] = fit.gap() if kept is None else kept
        store.put("gap", found[name])
    shown = ("rate", "relevance", "marginal_gap", "decoder_gap", "encoder_gap", "total_gap")
    _write(a, "variational", {name: g.to_frame(a.units) for name, g in found.items()}, fits, start, shown)
    for gap in found.values():
        say(gap.describe(a.units))
    write_figure(a.out / "gap.png", lambda: plot_gap(found, a.units))
    say(f"written: {a.out}/variational.csv .json, gap.png, and a directory of .npz for each objective")


def _write(
    a: argparse.Namespace,
    stem: str,
    frames: dict[str, pd.DataFrame],
    fits: dict[str, VariationalFit],
    start: float,
    shown: tuple[str, ...],
) -> None:
    """All frames as one table, and on the terminal medians over seeds of a few columns."""
    table = pd.concat([frame.assign(objective=name) for name, frame in frames.items()], ignore_index=True)
    medians = table.groupby(["objective", "beta"], sort=False).median(numeric_only=True).reset_index()
    columns = [c for c in (name + end for name in shown for end in ("", f"_{a.units}")) if c in medians]
    print_table(medians[["objective", "beta", *columns]])
    settings = {name: {"betas": fit.betas, **asdict(fit.settings)} for name, fit in fits.items()}
    write_table(a, a.out, stem, table, start, settings)
