"""What the commands do: data, network and training from options; tables printed; tables and figures written."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from dualib.core.command import add_units, say, write_figure, write_table
from dualib.core.figure import check_matplotlib
from dualib.core.files import atomic_path, writable_directory
from dualib.core.typing import FloatArray
from dualib.plane import InPlane
from ntkinfo.bounds.table import Loss, generalisation_bounds
from ntkinfo.command_options import add_network, chosen_kernels, chosen_network
from ntkinfo.datasets import Dataset, digits, from_csv, from_npz, gaussian_task
from ntkinfo.ensemble import Ensemble
from ntkinfo.labels import ClassLabelWarning, Labels
from ntkinfo.learning import GradientDescent, GradientFlow
from ntkinfo.modes import mode_table
from ntkinfo.precision import FewDigitsWarning
from ntkinfo.timelines import timeline
from ntkinfo.times import default_times

if TYPE_CHECKING:
    import pandas as pd

N_TRAIN, N_TEST = 100, 200
"""Points of the tasks that are not files, where no number is asked for."""


def parser() -> argparse.ArgumentParser:
    """The options of all commands."""
    whole = argparse.ArgumentParser(
        prog="ntkinfo", description="Information in infinite ensembles of infinitely wide networks."
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, function: Callable[[argparse.Namespace], object], text: str, *aliases: str
    ) -> argparse.ArgumentParser:
        shown = argparse.ArgumentDefaultsHelpFormatter
        one = commands.add_parser(name, aliases=aliases, help=text, description=text, formatter_class=shown)
        one.set_defaults(run=function)
        _add_common(one)
        return one

    over_time = command("timeline", _timeline, "every quantity against training time: a table, files, figures", "curve")
    modes = command("modes", _modes, "what each eigenmode of the kernel contributes at one time")
    bounds = command("bounds", _bounds, "generalisation bounds against training time, with assumptions")
    for one in (over_time, modes, bounds):
        add_units(one)
    for one in (over_time, modes):
        one.add_argument("--label-noise", type=float, help="variance of Y given X; None: the task's, else 1")
    over_time.add_argument("--output-noise", type=float, default=0.0, help="variance of noise added to every output")
    text = "find how many digits the kernels' rounding leaves of each column by tables of changed kernels, not to first order: four times the work"
    over_time.add_argument("--digits", action="store_true", help=text)
    modes.add_argument("--tau", type=float, help="the time; None: that of the least test error")
    bounds.add_argument("--loss", choices=get_args(Loss), default="clipped_square", help="in [0, 1]")
    bounds.add_argument("--delta", type=float, default=0.05, help="probability of failure")
    bounds.add_argument("--scale", type=float, default=1.0, help="squared error at which the clipped loss reaches 1")
    return whole


def run(a: argparse.Namespace) -> None:
    """Run the command that was asked for."""
    with warnings.catch_warnings():
        if a.labels == "numbers":
            warnings.simplefilter("ignore", ClassLabelWarning)  # that is what was asked for
        warnings.simplefilter("ignore", FewDigitsWarning)  # tables are printed, which say it
        a.run(a)


def _add_common(one: argparse.ArgumentParser) -> None:
    data = one.add_argument_group("data")
    files = "gaussian, digits, or the path of an .npz file (x_train, y_train, x_test, y_test) or a .csv file (named columns)"
    data.add_argument("--task", default="gaussian", help=files)
    data.add_argument("--n-train", type=int, help=f"training points; None: {N_TRAIN}, or those of the file")
    data.add_argument("--n-test", type=int, help=f"test points; None: {N_TEST}, those of an .npz, a fifth of a .csv")
    data.add_argument("--y", metavar="COLUMN", help="the column of labels of a .csv file; None: its last")
    meaning = "classes: one output each; parity: +1 for even, -1 for odd; numbers: as they are; None: parity of digits"
    data.add_argument("--labels", choices=get_args(Labels), help=meaning)
    data.add_argument("--seed", type=int, default=0, help="of the data and of samples")
    data.add_argument(
        "--images", action="store_true", help="points as images (n, height, width, colours), not flattened"
    )
    network = one.add_argument_group("network")
    add_network(network)
    training = one.add_argument_group("training")
    text = "geometric times; None: 25 from the eigenvalues, dense where something moves"
    training.add_argument("--taus", nargs=3, type=float, metavar=("FROM", "TO", "COUNT"), help=text)
    training.add_argument("--ridge", type=float, default=0.0, help="towards the initialisation")
    training.add_argument("--step", type=float, help="of discrete gradient descent; None: gradient flow")
    training.add_argument("--last-layer", action="store_true", help="train the last layer only")
    training.add_argument("--centred", action="store_true", help="train f(θ) - f(θ₀)")
    one.add_argument("--out", type=Path, metavar="DIR", help="write tables and figures there")


@dataclass(frozen=True, eq=False)
class _Work:
    """Data, ensemble and times; whatever can be wrong with the options is found out when it is made."""

    data: Dataset
    ensemble: Ensemble
    times: FloatArray
    start: float
    options: argparse.Namespace

    @property
    def label_noise(self) -> float:
        """As asked for, else the task's, else 1."""
        for given in (self.options.label_noise, self.data.label_noise):
            if given is not None:
                return float(given)
        return 1.0

    def write(self, stem: str, frame: pd.DataFrame, units: dict[str, str], **more: object) -> None:
        """The table and its record, with the command."""
        settings = {name: value for name, value in vars(self.options).items() if name != "run"}
        write_table(self.options.out, stem, frame, settings=settings, units=units, start=self.start, **more)


def _prepared(a: argparse.Namespace) -> _Work:
    start, times = perf_counter(), _times(a)
    if a.out is not None:
        writable_directory(a.out)
        check_matplotlib()
    rule = GradientFlow() if a.step is None else GradientDescent(a.step)
    if isinstance(rule, GradientDescent) and times is not None:
        times = np.unique(rule.round(times))
    network = chosen_network(a)
    data = _dataset(a)
    kernels = chosen_kernels(a, network, data)
    mode: Literal["ntk", "nngp"] = "nngp" if a.last_layer else "ntk"
    ensemble = Ensemble(kernels, data.y_train, a.ridge, rule, mode=mode, centred=a.centred)
    return _Work(data, ensemble, default_times(ensemble) if times is None else times, start, a)


def _dataset(a: argparse.Namespace) -> Dataset:
    images = a.images or a.architecture == "cnn"
    if a.y is not None and not a.task.endswith(".csv"):
        raise ValueError(f"--y names a column of a .csv file, but --task is {a.task}: leave it out")
    if a.task.endswith(".npz"):
        return from_npz(a.task, a.n_train, a.n_test, labels=a.labels, images=images, seed=a.seed)
    if a.task.endswith(".csv"):
        if images:
            raise ValueError("the rows of a .csv file are no images: leave --images and --architecture cnn out")
        return from_csv(a.task, a.n_train, a.n_test, y=a.y, labels=a.labels, seed=a.seed)
    n_train = N_TRAIN if a.n_train is None else a.n_train
    n_test = N_TEST if a.n_test is None else a.n_test
    if a.task == "gaussian":
        if images:
            raise ValueError("the Gaussian task has no images: use --architecture mlp, without --images")
        if a.labels is not None:
            raise ValueError("the Gaussian task has labels of its own: leave --labels out")
        return gaussian_task(n_train, n_test, seed=a.seed)
    if a.task == "digits":
        return digits(n_train, n_test, labels=a.labels or "parity", images=images, seed=a.seed)
    raise ValueError(f"unknown task {a.task!r}: use gaussian, digits, or the path of an .npz or a .csv file")


def _times(a: argparse.Namespace) -> FloatArray | None:
    """The times that were asked for, None for the default."""
    if a.taus is None:
        return None
    low, high, count = a.taus
    if not (0 < low <= high < np.inf and 1 <= count < 1e9 and count == np.rint(count)):
        raise ValueError(f"--taus needs 0 < FROM <= TO and a whole COUNT >= 1, got {low:g} {high:g} {count:g}")
    return np.geomspace(low, high, int(count))


def _timeline(a: argparse.Namespace) -> None:
    work = _prepared(a)
    data, ensemble = work.data, work.ensemble
    found = timeline(
        ensemble,
        work.times,
        y_test=data.y_test,
        entropy_y=data.entropy_y,
        information_xy=None if data.gaussian_ib is None else data.gaussian_ib.mutual_information(),
        label_noise=work.label_noise,
        output_noise=a.output_noise,
        seed=a.seed,
        digits=a.digits,
    )
    _tell(a, found.table(units=a.units))
    _say_labels(a, data)
    if ensemble.n_clipped or ensemble.rank < ensemble.n_train:
        _tell(
            a, f"rank of Θ: {ensemble.rank} of {ensemble.n_train}; {ensemble.n_clipped} negative eigenvalues set to 0"
        )
    if a.out is None:
        return
    from dualib.plotting import plot_information_plane
    from ntkinfo import plotting

    found.save(a.out / "timeline.npz")
    shown = {c.name: c.unit.shown_in(a.units).value for c in found.columns}
    work.write("timeline", found.to_frame(a.units), shown, columns=found.records(), ensemble=found.settings)
    with atomic_path(a.out / "columns.txt") as temporary:
        temporary.write_text(found.describe(width=100) + "\n", encoding="utf-8")
    write_figure(a.out / "loss.png", lambda: plotting.plot_loss(found))
    plane = a.out / "plane.png"
    drawn: list[InPlane] = [found, *([] if data.gaussian_ib is None else [data.gaussian_ib])]
    write_figure(plane, lambda: plot_information_plane(drawn, units=a.units))
    write_figure(a.out / "quantities.png", lambda: plotting.plot_quantities(found, units=a.units))
    _tell(
        a,
        f"written: {a.out}/timeline.npz .csv .json, columns.txt (what each column is), loss.png, plane.png, quantities.png",
    )


def _modes(a: argparse.Namespace) -> None:
    from ntkinfo.quantities import expected_square_error
    from ntkinfo.text import text_table

    work = _prepared(a)
    if a.tau is None:
        errors = expected_square_error(work.ensemble.marginals(work.times), work.data.y_test)
        a.tau = float(work.times[int(np.argmin(errors))])
    found = mode_table(work.ensemble, a.tau, label_noise=work.label_noise)
    frame = found.to_frame(a.units).reset_index()
    _tell(a, f"τ = {found.tau:.6g}")
    _tell(a, text_table(frame))
    _say_labels(a, work.data)
    if a.out is None:
        return
    from ntkinfo.plotting import plot_mode_table

    work.write("modes", frame, {str(name): a.units for name in frame.columns if str(name).endswith(f"_{a.units}")})
    write_figure(a.out / "modes.png", lambda: plot_mode_table(found, units=a.units))
    _tell(a, f"written: {a.out}/modes.csv .json .png")


def _bounds(a: argparse.Namespace) -> None:
    work = _prepared(a)
    options = {"loss": a.loss, "delta": a.delta, "scale": a.scale}
    table = generalisation_bounds(work.ensemble, work.times, y_test=work.data.y_test, **options)
    _tell(a, table.table(a.units))
    _say_labels(a, work.data)
    _tell(a, f"\n{table.describe()}")
    if a.out is None:
        return
    from ntkinfo.plotting import plot_bounds

    work.write(
        "bounds",
        table.to_frame(a.units),
        {table.kl_column(a.units): a.units},
        assumptions=table.assumptions().to_dict(orient="index"),
        heuristics=list(table.heuristics),
        parameter_kl=str(table.kl_model),
    )
    write_figure(a.out / "bounds.png", lambda: plot_bounds(table))
    _tell(a, f"written: {a.out}/bounds.csv .json .png")


def _say_labels(a: argparse.Namespace, data: Dataset) -> None:
    if "labels" in data.settings:
        _tell(a, f"labels: {data.settings['labels']}")


def _tell(a: argparse.Namespace, text: str) -> None:
    """Print it; with files to write a reader who went away is no reason not to write them."""
    say(text, go_on=a.out is not None)
