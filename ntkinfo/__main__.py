"""Command line: ``ntkinfo curve`` and ``ntkinfo bounds``."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ntkinfo import Dataset, Ensemble
    from ntkinfo.datasets import Labels


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            if arguments.labels == "numbers":
                from ntkinfo import ClassLabelWarning

                warnings.simplefilter("ignore", ClassLabelWarning)  # that is what was asked for
            return int(arguments.run(arguments))
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"ntkinfo: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ntkinfo: interrupted; files already written are whole", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ntkinfo", description="Information in infinite ensembles of infinitely wide networks."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    curve = commands.add_parser("curve", help="every quantity against training time: a table, files, figures")
    _add_common(curve)
    curve.add_argument(
        "--units", choices=("nats", "bits"), default="nats", help="of informations in tables and figures"
    )
    curve.add_argument("--label-noise", type=float, help="variance of Y given X (default: the task's, else 1)")
    curve.add_argument("--output-noise", type=float, default=0.0, help="variance of noise added to every output")
    curve.add_argument("--ledger-tau", type=float, help="time of the per-mode ledger (default: least test error)")
    curve.set_defaults(run=_run_curve)
    bounds = commands.add_parser("bounds", help="generalisation bounds against training time, with assumptions")
    _add_common(bounds)
    bounds.add_argument("--loss", choices=("clipped_square", "zero_one"), default="clipped_square")
    bounds.add_argument("--delta", type=float, default=0.05, help="probability of failure")
    bounds.add_argument("--scale", type=float, default=1.0, help="squared error at which the clipped loss reaches 1")
    bounds.set_defaults(run=_run_bounds)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--task",
        default="gaussian",
        help="gaussian, digits, or the path of an .npz file (x_train, y_train, x_test, y_test)",
    )
    data.add_argument("--n-train", type=int, default=100)
    data.add_argument("--n-test", type=int, default=200)
    data.add_argument(
        "--labels",
        choices=("classes", "parity", "numbers"),
        help="classes: one output each; parity: +1 for even, -1 for odd; numbers: as they are (default: parity of digits)",
    )
    data.add_argument("--parity", action="store_true", help="the same as --labels parity")
    data.add_argument("--seed", type=int, default=0)
    network = parser.add_argument_group("network")
    network.add_argument("--architecture", choices=("mlp", "cnn"), default="mlp")
    network.add_argument("--layers", type=int, default=2, help="hidden (or convolutional) layers")
    network.add_argument("--activation", default="erf", help="erf, relu, gelu, sin or linear")
    network.add_argument("--w-std", type=float, default=1.5)
    network.add_argument("--b-std", type=float, default=0.1)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--taus",
        nargs=3,
        type=float,
        metavar=("FROM", "TO", "COUNT"),
        help="geometric times (default: 25 from the eigenvalues, dense where something moves)",
    )
    training.add_argument("--ridge", type=float, default=0.0)
    training.add_argument(
        "--step", type=float, help="discrete gradient descent with that step (default: gradient flow)"
    )
    training.add_argument("--last-layer", action="store_true", help="train the last layer only")
    training.add_argument("--centred", action="store_true", help="train f(θ) - f(θ₀)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write .npz, .csv, .json and figures there")


def _dataset(a: argparse.Namespace) -> Dataset:
    from ntkinfo import digits, from_npz, gaussian_task

    images = a.architecture == "cnn"
    if a.task == "gaussian":
        if images:
            raise ValueError("the Gaussian task has no images: use --architecture mlp")
        if a.labels is not None or a.parity:
            raise ValueError("the Gaussian task has labels of its own: leave --labels and --parity out")
        return gaussian_task(a.n_train, a.n_test, seed=a.seed)
    labels: Labels | None = "parity" if a.parity and a.labels is None else a.labels
    if a.task == "digits":
        return digits(a.n_train, a.n_test, labels=labels or "parity", images=images, seed=a.seed)
    if not a.task.endswith(".npz"):
        raise ValueError(f"unknown task {a.task!r}: use gaussian, digits, or the path of an .npz file")
    return from_npz(a.task, a.n_train, a.n_test, labels=labels, parity=a.parity, images=images, seed=a.seed)


def _times(a: argparse.Namespace) -> Any:
    """The times that were asked for, None for the default."""
    import numpy as np

    if a.taus is None:
        return None
    low, high, count = a.taus
    if not (0 < low <= high < np.inf and 1 <= count < 1e9 and count == np.rint(count)):
        raise ValueError(f"--taus needs 0 < FROM <= TO and a whole COUNT >= 1, got {low:g} {high:g} {count:g}")
    return np.geomspace(low, high, int(count))


def _prepare(a: argparse.Namespace) -> tuple[Dataset, Ensemble, Any, Any]:
    """Data, ensemble, times and the third kernel; whatever can be wrong with the arguments is found here, before the work."""
    import numpy as np

    import ntkinfo
    from dualib.core.files import writable_directory

    times = _times(a)
    if a.out is not None:
        writable_directory(a.out)
    rule = ntkinfo.GradientFlow() if a.step is None else ntkinfo.GradientDescent(a.step)
    if isinstance(rule, ntkinfo.GradientDescent) and times is not None:
        times = np.unique(rule.round(times))
    build = ntkinfo.mlp if a.architecture == "mlp" else ntkinfo.cnn
    network = build(a.layers, a.activation, a.w_std, a.b_std)
    data = _dataset(a)
    kernels = ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test)
    mode: Literal["ntk", "nngp"] = "nngp" if a.last_layer else "ntk"
    omega = None
    if a.architecture == "mlp" and a.activation != "relu" and mode == "ntk" and not (a.step or a.ridge or a.centred):
        scales = {"activation": a.activation, "w_std": a.w_std, "b_std": a.b_std}
        third = ntkinfo.kernels.dense(data.x_train, data.x_test, hidden_layers=a.layers, **scales)
        omega = third.omega
        names = ("omega", "omega_test_train", "omega_test")
        kernels = replace(kernels, **{name: getattr(third, name) for name in names})
    ensemble = ntkinfo.Ensemble(kernels, data.y_train, a.ridge, rule, mode=mode, centred=a.centred)
    return data, ensemble, times if times is not None else ntkinfo.default_times(ensemble), omega


def _run_curve(a: argparse.Namespace) -> int:
    import numpy as np

    import ntkinfo

    start = time.perf_counter()
    data, ensemble, times, omega = _prepare(a)
    noise = a.label_noise if a.label_noise is not None else (data.label_noise if data.label_noise is not None else 1.0)
    curve = ntkinfo.information_curve(
        ensemble,
        times,
        y_test=data.y_test,
        omega=omega,
        entropy_y=data.entropy_y,
        label_noise=noise,
        output_noise=a.output_noise,
        seed=a.seed,
    )
    best = float(times[int(np.argmin(curve["square_error"]))]) if a.ledger_tau is None else a.ledger_tau
    ledger = ntkinfo.mode_table(ensemble, best, label_noise=noise or 1.0)
    print(curve.table(units=a.units))
    _say_labels(data)
    if ensemble.n_clipped or ensemble.rank < ensemble.n_train:
        print(f"rank of Θ: {ensemble.rank} of {ensemble.n_train}; {ensemble.n_clipped} negative eigenvalues set to 0")
    if a.out is not None:
        curve.save(a.out / "curve.npz")
        _write_tables(
            a, "curve", curve.to_frame(a.units), {"columns": curve.records(), "settings": curve.settings}, start
        )
        _write_csv(a.out / "ledger.csv", ledger.to_frame(a.units))
        _write_text(a.out / "columns.txt", curve.describe() + "\n")
        _save_figure(a.out / "loss.png", lambda figure: ntkinfo.plot_loss(curve, figure.subplots()))
        _save_figure(
            a.out / "plane.png",
            lambda figure: ntkinfo.plot_information_plane(curve, data.gaussian_ib, figure.subplots(), a.units),
        )
        _save_figure(
            a.out / "quantities.png",
            lambda figure: ntkinfo.plot_quantities(curve, figure=figure, units=a.units),
            size=(8.6, 6.4),
        )
        _save_figure(
            a.out / "ledger.png", lambda figure: ntkinfo.plot_mode_ledger(ledger, figure, a.units), size=(7.2, 5.4)
        )
        figures = "loss.png, plane.png, quantities.png, ledger.png"
        print(f"written: {a.out}/curve.npz .csv .json, columns.txt (what each column is), ledger.csv, {figures}")
    return 0


def _say_labels(data: Dataset) -> None:
    if "labels" in data.settings:
        print(f"labels: {data.settings['labels']}")


def _run_bounds(a: argparse.Namespace) -> int:
    import ntkinfo

    start = time.perf_counter()
    data, ensemble, times, _ = _prepare(a)
    table = ntkinfo.generalisation_bounds(
        ensemble, times, loss=a.loss, y_test=data.y_test, delta=a.delta, scale=a.scale
    )
    print(table)
    _say_labels(data)
    print(f"\n{table.describe()}")
    if a.out is not None:
        record = {
            "assumptions": json.loads(table.assumptions().to_json(orient="index")),
            "heuristics": list(table.heuristics),
            "settings": {"loss": a.loss, "delta": a.delta, "parameter_kl": table.kl_model},
        }
        _write_tables(a, "bounds", table.to_frame(), record, start)
        _save_figure(a.out / "bounds.png", lambda figure: ntkinfo.plot_bounds(table, figure.subplots()))
        print(f"written: {a.out}/bounds.csv .json .png")
    return 0


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    from dualib.core.files import atomic_path

    with atomic_path(path) as temporary:
        frame.to_csv(temporary)


def _write_text(path: Path, text: str) -> None:
    from dualib.core.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_tables(a: argparse.Namespace, stem: str, frame: pd.DataFrame, record: dict[str, Any], start: float) -> None:
    from dualib.core.files import write_json

    _write_csv(a.out / f"{stem}.csv", frame.set_index("tau"))
    command = {k: str(v) if isinstance(v, Path) else v for k, v in vars(a).items() if k != "run"}
    wall = time.perf_counter() - start
    write_json(a.out / f"{stem}.json", {**record, "command": command, "wall_seconds": round(wall, 3)})


def _save_figure(path: Path, draw: Callable[[Figure], Any], size: tuple[float, float] = (6.0, 4.2)) -> None:
    from matplotlib.figure import Figure

    from dualib.core.files import atomic_path

    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
