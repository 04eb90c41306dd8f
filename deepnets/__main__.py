"""Command line: ``deepnets train``, ``plane``, ``planes``, ``gradients``, ``layers`` and ``compare``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepnets._command import add_plane_options, estimated_plane, print_table, write_figure, write_table

if TYPE_CHECKING:
    import pandas as pd

    from deepnets import Run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: 0, 2 for bad input, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        print("deepnets: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("deepnets: interrupted; the same command goes on where it was left", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deepnets", description="Finite networks and their information flow.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train the replicas of a preset; resumable", description=_PRESETS)
    train.add_argument("preset", help="szt2017, saxe2018 or goldfeld2019")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the run: go on with it, or begin it")
    train.add_argument("--full", action="store_true", help="at the paper's size (default: a quick run)")
    train.add_argument("--activation", help="tanh, relu, erf, linear, sin or gelu")
    train.add_argument("--hidden", type=int, nargs="+", metavar="WIDTH", help="widths of the hidden layers")
    train.add_argument("--noise-std", type=float, help="σ of the noise at every hidden layer")
    train.add_argument("--replicas", type=int)
    train.add_argument("--epochs", type=int)
    train.add_argument("--snapshots", type=int, help="about how many, evenly spaced on a logarithmic scale")
    train.add_argument("--optimiser", help="adam, sgd or momentum")
    train.add_argument("--loss", help="cross-entropy (default) or mse")
    train.add_argument("--learning-rate", type=float)
    train.add_argument("--batch-size", type=int, help="0 for full batches")
    train.add_argument("--train-fraction", type=float)
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=_run_train)
    for name, run, text in (
        ("plane", _run_plane, "information plane of a run: table, files, figures"),
        ("gradients", _run_gradients, "gradient phases of a run, layer by layer: table, files, figure"),
        ("layers", _run_layers, "the last layers of a run against the exact bottleneck, and by label: table, figures"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("directory", type=Path, help="of the run")
        command.add_argument("--out", type=Path, metavar="DIR", help="of the results (default: the run's)")
        if name == "plane":
            add_plane_options(command)
        else:
            command.add_argument("--seed", type=int, default=0)
        if name == "layers":
            command.add_argument("--units", choices=("nats", "bits"), default="bits")
            command.add_argument("--bins", type=int, default=30, help="edges of the cells, for a deterministic network")
        if name == "plane":
            command.add_argument("--epochs", type=int, nargs="+", help="of the rows of the table (default: a few)")
        if name == "gradients":
            command.add_argument("--batch-size", type=int, help="(default: the run's)")
        if name == "layers":
            command.add_argument(
                "--gamma", type=float, default=53.826, help="sharpness of the labels for the bottleneck"
            )
            command.add_argument("--replica", type=int, default=0)
        command.set_defaults(run=run)
    from deepnets import compare_report, planes_report

    text = "information planes of several runs beside one another: table, figures, generalisation, noisy twins"
    planes = commands.add_parser("planes", help=text, description=text)
    planes_report.add_arguments(planes)
    planes.set_defaults(run=planes_report.run)
    text = "finite networks against every quantity of infinite width: verdicts and a report; resumable"
    compare = commands.add_parser("compare", help=text, description=text)
    compare_report.add_arguments(compare)
    compare.set_defaults(run=compare_report.run)
    return parser


_PRESETS = (
    "Presets: szt2017 (12-10-7-5-4-3-2, tanh), saxe2018 (the same with ReLU), goldfeld2019 (noise 0.01 at every hidden layer); "
    "all on the icosahedral task. Every option overrides the preset's."
)


def _run_train(a: argparse.Namespace) -> int:
    from dataclasses import replace

    import deepnets
    from deepnets.presets import preset

    chosen = preset(a.preset)
    network, task = chosen.network, chosen.task()
    if a.hidden is not None:
        network = replace(network, widths=(network.widths[0], *a.hidden, network.widths[-1]))
    changes = {"activation": a.activation, "noise_std": a.noise_std}
    network = replace(network, **{k: v for k, v in changes.items() if v is not None})
    names = (
        "replicas",
        "epochs",
        "snapshots",
        "optimiser",
        "learning_rate",
        "batch_size",
        "train_fraction",
        "seed",
        "loss",
    )
    settings = chosen.settings(a.full, **{name: getattr(a, name) for name in names})
    settings["batch_size"] = settings["batch_size"] or None
    start = time.perf_counter()
    run = deepnets.train(network, task, out=a.out, **settings)
    print_table(_scores(run))
    print(f"{run.n_replicas} replicas, {run.epochs[-1]} epochs, {time.perf_counter() - start:.1f} s; run in {a.out}")
    return 0


def _scores(run: Run) -> pd.DataFrame:
    """Median scores over replicas at a few snapshots."""
    import numpy as np
    import pandas as pd

    rows = np.unique(np.linspace(0, len(run.epochs) - 1, 8).astype(int))
    columns = {run.score_name(name): np.median(v[rows], axis=1) for name, v in run.scores.items()}
    return pd.DataFrame({"epoch": run.epochs[rows], **columns})


def _ready(a: argparse.Namespace) -> tuple[Run, Path]:
    """The run, and a directory that can be written: found out before the work."""
    import deepnets
    from dualib.core.files import writable_directory

    run = deepnets.Run.load(a.directory)
    return run, writable_directory(a.out if a.out is not None else a.directory / "results")


def _run_plane(a: argparse.Namespace) -> int:
    from deepnets import plotting

    run, out = _ready(a)
    start = time.perf_counter()
    plane = estimated_plane(run, a)
    print_table(plane.summary(a.units, a.epochs))
    violations = plane.processing_violations()
    print(f"\n{plane.method}; median and quartiles of {len(plane.replicas)} replicas")
    for text, count in plane.warnings.items():
        print(f"  {count} times: {text}")
    if violations.max(initial=0.0) > 0:
        pairs = ", ".join(f"{share:.0%} into {n}" for n, share in zip(plane.layers[1:], violations, strict=True))
        print(f"  estimates that rise from a layer to the next, as informations cannot: {pairs}")
    plane.save(out / "plane.npz")
    write_table(a, out, "plane", plane.to_frame(a.units), start, {"warnings": plane.warnings, **plane.settings})
    write_figure(out / "plane.png", lambda: plotting.plot_plane(plane, units=a.units).figure)
    epochs = [0, 400, int(plane.epochs[-1])]
    write_figure(out / "snapshots.png", lambda: plotting.plot_snapshots(plane, epochs, a.units))
    write_figure(out / "epochs.png", lambda: plotting.plot_against_epochs(plane, a.units))
    print(f"written: {out}/plane.npz .csv .json .png, snapshots.png, epochs.png")
    return 0


def _run_gradients(a: argparse.Namespace) -> int:
    import numpy as np
    import pandas as pd

    from deepnets.gradients import gradient_phases
    from deepnets.plotting_layers import plot_gradient_phases

    run, out = _ready(a)
    start = time.perf_counter()
    phases = gradient_phases(run, batch_size=a.batch_size, seed=a.seed)
    low, median, high = phases.transition_interval(a.seed)
    snr, scale = np.median(phases.snr, axis=0), np.median(phases.simple_noise_scale, axis=0)
    columns = {"snr_first": snr[0], "snr_last": snr[-1], "b_simple_last_patterns": scale[-1]}
    table = pd.DataFrame(
        {"weights": phases.layers, "transition_epoch": median, "low_95%": low, "high_95%": high, **columns}
    )
    print_table(table)
    print(
        f"medians over {run.n_replicas} replicas, batches of {phases.batch_size}; the interval is a bootstrap over replicas"
    )
    phases.save(out / "gradients.npz")
    write_table(a, out, "gradients", phases.to_frame(), start, {"run": run.settings, "batch_size": phases.batch_size})
    write_figure(out / "gradients.png", lambda: plot_gradient_phases(phases, a.seed))
    print(f"written: {out}/gradients.npz .csv .json .png")
    return 0


def _run_layers(a: argparse.Namespace) -> int:
    import numpy as np
    import pandas as pd

    import deepnets
    from deepnets import plotting_layers
    from dualib.core.units import to_units

    run, out = _ready(a)
    if run.task.name != "icosahedral":
        raise ValueError(
            f"deepnets layers is for the icosahedral task, whose labels can be made noisy; not {run.task.name}"
        )
    if not 0 <= a.replica < run.n_replicas:
        raise ValueError(f"--replica must lie in 0..{run.n_replicas - 1}, got {a.replica}")
    start = time.perf_counter()
    joint = deepnets.icosahedral_task(a.gamma).joint
    binning, last = deepnets.Binning(a.bins), len(run.epochs) - 1
    layers = run.activations(last, a.replica)
    codes = [np.unique(binning.codes(t), axis=0, return_inverse=True)[1].ravel() for t in layers]
    own = [deepnets.fit_beta(c, joint) for c in codes]
    shared = deepnets.fit_shared_beta(codes, joint)
    random = [deepnets.fit_random_encoder(c, joint, a.seed) for c in codes]
    names = run.network.layer_names
    table = pd.DataFrame({"layer": names, "beta": [f.beta for f in own]})
    for name, fits in (("residual", own), ("residual_shared_beta", shared), ("residual_random", random)):
        table[f"{name}_{a.units}"] = to_units(np.array([f.residual for f in fits]), a.units)
    curves = deepnets.exact_curves(joint)
    for name, curve in zip(("ib", "dualib"), curves, strict=True):
        excess = np.array([deepnets.excess_rate(f, curve) for f in own])
        table[f"excess_rate_{name}_{a.units}"] = to_units(excess, a.units)
    print_table(table)
    print(
        f"epoch {run.epochs[last]}, replica {a.replica}; shared β = {shared[0].beta:.4g}; labels of sharpness γ = {a.gamma:g}"
    )
    write_table(a, out, "layers", table, start, {"run": run.settings, "gamma": a.gamma, "bins": a.bins})
    write_figure(
        out / "bottleneck.png",
        lambda: plotting_layers.plot_layers_against_bottleneck(own, names, curves, random, units=a.units).figure,
    )
    write_figure(out / "separation.png", lambda: plotting_layers.plot_label_separation(layers, run.task.y, names))
    print(f"written: {out}/layers.csv .json, bottleneck.png, separation.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
