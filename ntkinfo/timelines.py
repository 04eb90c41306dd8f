"""Every quantity of an ensemble against training time: the registry in a loop over what a setting meets."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.estimate import Estimates
from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, BoolArray, Float, FloatArray
from dualib.core.units import Units, conversion
from dualib.plane import PlanePath
from ntkinfo.computed import compute_columns, errors_of_dropped, without_margins
from ntkinfo.ensemble import Ensemble, Points
from ntkinfo.precision import (
    FEW_DIGITS,
    LEAST,
    SIDES,
    TOO_FEW_DIGITS,
    FewDigitsWarning,
    digits_left,
    lost_beyond_first_order,
    outward,
    relative_loss,
    rounding_errors,
)
from ntkinfo.quantities import REGISTRY, Condition, Group
from ntkinfo.rounding import SAMPLES
from ntkinfo.setting import Column, Setting
from ntkinfo.text import NEGLIGIBLE, finite_networks, line_width, printed, text_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Timeline(Result):
    """All quantities of one ensemble against training time.

    Attributes
    ----------
    tau : array, shape (T,)
    columns : tuple of Column
        What each quantity is, group by group.
    values : dict
        Name → array of shape (T,); informations in nats.
    intervals : dict
        Name → Estimates of shape (T,), of those columns that are sampled.
    settings : dict
        What the computation used: sizes, rank and clipped eigenvalues of Θ, noises, versions, …; under ``"left_out"`` the
        quantities that have no value here, and why.
    rounding : dict
        Name → array of shape (T,), the relative error that rounding explains (inf: no digit is left), to first order
        (:mod:`ntkinfo.rounding`) or, where that was asked for, by :func:`ntkinfo.precision.rounding_errors`. Bounds have it in their values:
        lower ones are lowered by it, upper ones raised. What modes outside the rank of Θ may do is counted
        (:attr:`Ensemble.dropped_below`).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> found = ntkinfo.timeline(ensemble, [0.1, 1.0], progress=False)
    >>> found["parameter_kl"].round(4)
    array([0.0703, 3.0183])
    """

    tau: Float[np.ndarray, " t"]
    columns: tuple[Column, ...]
    values: dict[str, FloatArray]
    intervals: dict[str, Estimates]
    settings: dict[str, Any]
    rounding: dict[str, FloatArray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> FloatArray:
        self.column(name)  # refuses an unknown name
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __str__(self) -> str:
        return self.table()

    def column(self, name: str) -> Column:
        """The record of one column; a ValueError if there is none of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ValueError(f"the timeline has no column {name!r}; it has {', '.join(self.values)}")

    def shown(self, name: str, units: Units = "bits") -> FloatArray:
        """A column in the units a person asked for."""
        unit = self.column(name).unit
        return self.values[name] * conversion(unit, unit.shown_in(units))

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a time; the names of columns with a unit end in it, and sampled columns are followed by their intervals.

        ``attrs["rounding"]`` has the relative error that rounding explains, a list for each column that has one.
        """
        return self._frame(self.columns, units)

    def table(self, group: str | None = None, units: Units = "bits", width: int | None = None) -> str:
        """A table to print, of few columns: of the main ones by default. Columns that lost digits to rounding are named below it.

        Parameters
        ----------
        group : {"errors", "likelihoods", "inputs", "labels", "data", "parameters", "rates", "paths"} or None
        units : {"bits", "nats"}
        width : int or None
            Characters in a line, that of the terminal for None: long names are broken after underscores, and columns that do not
            fit follow in further blocks.

        Raises
        ------
        ValueError
            If there is no such group (the message lists them).
        """
        columns = self._main() if group is None else self._of_group(group)
        width = line_width(width)
        below = [*self._lost(columns), *finite_networks(self.settings, "kernels_")]
        below = [textwrap.fill(line, width) for line in below]
        return "\n".join([text_table(self._frame(columns, units), width), *below])

    def _lost(self, columns: Sequence[Column]) -> list[str]:
        """A line on the columns that have fewer than nine digits at some time, with the time of the least."""
        told = []
        for column in columns:
            loss = self.rounding.get(column.name, np.zeros(1))
            if loss.max() > FEW_DIGITS:
                told.append(f"{column.name} {digits_left(float(loss.max()))} (τ = {self.tau[loss.argmax()]:.3g})")
        return [f"digits that rounding leaves where they are fewest: {', '.join(told)}"] if told else []

    def describe(self, group: str | None = None, width: int | None = None) -> str:
        """What each column is, to print: which sort of bound, of which variable, under which assumption, for which data sets.

        Parameters
        ----------
        group : str or None
            The same as for :meth:`table`; None describes all.
        width : int or None
            Characters in a line; None takes 100, or what the terminal has.
        """
        width = line_width(width, most=100)
        columns = self.columns if group is None else self._of_group(group)
        told = [_paragraph(c, self.rounding.get(c.name), width) for c in columns]
        told += [textwrap.fill(line, width) for line in finite_networks(self.settings, "kernels_")]
        left_out = self.settings.get("left_out", {})  # not in every file
        if group is None and left_out:
            out = (f"{name}: {why}" for name, why in left_out.items())
            lines = (textwrap.fill(x, width, initial_indent="    ", subsequent_indent="      ") for x in out)
            told.append("\n".join(("not in this table:", *lines)))
        return "\n".join(told)

    def records(self) -> dict[str, dict[str, object]]:
        """The columns' records by name, as plain values."""
        return {
            c.name: {k: sorted(v) if isinstance(v, frozenset) else v for k, v in asdict(c).items()}
            for c in self.columns
        }

    def plane(self) -> tuple[Column, Column, BoolArray]:
        """The columns of rate and relevance in the information plane, and the times at which both are finite and τ > 0.

        Raises
        ------
        ValueError
            If there are no labels at the points, or no point of the plane is finite.
        """
        mains = [c for c in self.columns if c.main]
        rates, relevances = ([c for c in mains if c.group is group] for group in (Group.INPUTS, Group.LABELS))
        if not rates or not relevances:
            raise ValueError("the timeline has no information about the labels: give y_test to ntkinfo.timeline")
        finite = np.isfinite(self.values[rates[0].name]) & np.isfinite(self.values[relevances[0].name])
        kept = finite & np.isfinite(self.tau) & (self.tau > 0)
        if not kept.any():
            raise ValueError("no point of the plane is finite")
        return rates[0], relevances[0], kept

    def plane_paths(self) -> list[PlanePath]:
        """The line of the ensemble in the information plane, in the order of time; see :meth:`plane`.

        Its colour is the training time. A relevance below zero, of a lower bound, proves no information: the point is not
        proven, and lies at zero. Where I(X;Y) was not given, its place has H(Y) of classes, and infinity for real labels.
        """
        rate, relevance, kept = self.plane()
        x, y = self.values[rate.name][kept], self.values[relevance.name][kept]
        resolved = np.ones(len(x) - 1, dtype=bool)
        path = PlanePath(
            f"{self.settings['on']} points",
            np.maximum(x, 0.0),
            np.maximum(y, 0.0),
            resolved,
            y > 0,
            self.settings["information_xy"],
            clock=self.tau[kept],
            clock_name="training time τ",
            rate_is=f"I(Z;X|D), {rate.legend}",
            relevance_is=f"I(Z;Y|D), {relevance.legend}",
            unproven_is="no information proven",
            caveat="A point left of a frontier is no violation: its rate is no upper bound.",
        )
        return [path]

    def _main(self) -> list[Column]:
        """The main columns; an estimate gives way to a column that shows the same and is none."""
        mains = [c for c in self.columns if c.main]
        better = {c.shows for c in mains if c.relation is not Relation.ESTIMATE and c.shows is not None}
        return [c for c in mains if c.relation is not Relation.ESTIMATE or c.shows not in better]

    def _of_group(self, group: str) -> list[Column]:
        if group not in tuple(Group):
            raise ValueError(f"group must be one of {', '.join(Group)}, got {group!r}")
        return [column for column in self.columns if column.group == group]

    def _frame(self, columns: Iterable[Column], units: Units) -> pd.DataFrame:
        import pandas as pd

        data: dict[str, FloatArray] = {"tau": self.tau}
        for column in columns:
            unit = column.unit.shown_in(units)
            end = unit.suffix.replace(" ", "_").replace("/", "_per_")
            data[f"{column.name}{end}"] = self.shown(column.name, units)
            if column.name in self.intervals:
                found = self.intervals[column.name].shown_in(units)
                data |= {f"{column.name}_low{end}": found.low, f"{column.name}_high{end}": found.high}
        frame = pd.DataFrame(data)
        lost = {column.name: self.rounding[column.name] for column in columns if column.name in self.rounding}
        frame.attrs["rounding"] = {name: loss.tolist() for name, loss in lost.items()}
        return frame


def timeline(
    ensemble: Ensemble,
    taus: ArrayLike | None = None,
    *,
    on: Points | None = None,
    y_test: ArrayLike | None = None,
    entropy_y: float | None = None,
    information_xy: float | None = None,
    label_noise: float = 1.0,
    output_noise: float = 0.0,
    weight_noise: float = 1e-2,
    seed: int = 0,
    digits: bool = False,
    progress: bool | None = None,
) -> Timeline:
    """Compute every quantity of an infinite ensemble against training time.

    A quantity stands in the table where its conditions are met and what it needs is known: those of the third kernel, for
    example, where the kernels have Ω and all layers are trained by gradient flow without ridge.

    Parameters
    ----------
    ensemble : Ensemble
    taus : array_like, shape (T,), or None
        Times of the loss ½‖f - Y‖²; None for :func:`ntkinfo.times.default_times`.
    on : {"test", "train"} or None
        The points at which the outputs Z are taken; by default the test points where the kernels have some. The training
        points cost 2n³ operations a time.
    y_test : array_like, shape (m,) or (m, k), or None
        Labels at the test points, for losses and I(Z;Y|D). Training errors need none.
    entropy_y : float or None
        H(Y) in nats, for the lower bounds on I(Z;Y|D). By default that of a Gaussian with the labels' covariance (the
        columns are then estimates, exact for Gaussian Y), or the classes' entropy for labels ±1 or one-hot.
    information_xy : float or None
        I(X;Y) in nats, if it is known: the ceiling of the relevance in the plane.
    label_noise : float
        s² of Y|X, for the optimism and for I(z;Y|X,x), I(θ;Y|X).
    output_noise : float
        Variance of Gaussian noise added to every output before its information is taken. Without it informations diverge
        as outputs become deterministic (a centred ensemble, training points after a long time), and are reported as
        infinite.
    weight_noise : float
        Variance of the noise added to the parameters in their finite KL.
    seed : int
        Seed of the samples that more than one output need (InfoNCE).
    digits : bool
        Whether to find how many digits of each column the kernels' rounding leaves by tables of kernels changed in their last
        digits, at four times the work, and not to first order only. With a condition number of 1e12 some columns keep few. Lower
        bounds are lowered by their loss and upper ones raised, either way.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    Timeline

    Warns
    -----
    ClassLabelWarning
        If the labels are the numbers of three or more classes, 0, 1, 2, …: they are regressed as numbers.
    FewDigitsWarning
        If rounding leaves fewer than four digits of a column at some time.

    Raises
    ------
    ValueError
        If labels do not match (both shapes are printed), or a time or a variance is out of range; before the work.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> frame = ntkinfo.timeline(ensemble, [0.0, 1.0], progress=False).to_frame(units="nats")
    >>> frame["parameter_distance_squared"].round(6).tolist()
    [0.0, 1.49529]
    """
    noises = {"label_noise": label_noise, "output_noise": output_noise, "weight_noise": weight_noise}
    setting = Setting(ensemble, taus, on, y_test, entropy_y, **noises, seed=seed)
    ensemble.prepare(progress=progress)
    met = [quantity for group in Group for quantity in REGISTRY.quantities if quantity.group is group]
    met = [quantity for quantity in met if setting.meets(quantity)]
    found = compute_columns(setting, met, progress, samples=SAMPLES)
    values, errors, intervals = found.values, found.errors, found.intervals
    columns = tuple(map(setting.column, met))
    classes = Condition.CLASS_LABELS in setting.conditions
    known = [v for v in (information_xy, setting.entropy if classes else np.inf) if v is not None]
    settings = setting.settings() | {"information_xy": float(known[0]), "left_out": setting.left_out()}

    def again(other: Ensemble) -> dict[str, FloatArray]:
        return compute_columns(replace(setting, ensemble=other, tau=setting.times), met, False, samples=0).values

    if digits:
        by_change = rounding_errors(values, again, ensemble)
        for name, error in errors.items():  # that of first order where no change is seen, as of a variance lost in all
            unseen = by_change[name] <= LEAST * np.abs(values[name])
            by_change[name] = np.where(unseen, np.maximum(error, by_change[name]), by_change[name])
        errors = by_change
    for others in (found.losses, errors_of_dropped(setting, met, values)):
        for name, error in others.items():
            errors[name] = np.maximum(error, errors.get(name, 0.0))
    errors |= {
        c.name: lost_beyond_first_order(errors[c.name], values[c.name])
        for c in columns
        if c.name in errors and c.relation in SIDES
    }
    plain, whole = without_margins(found.margins, values, columns), {**errors}
    for name, margin in found.margins.items():
        whole[name] = margin + errors.get(name, 0.0)
    rounding = {name: relative_loss(error, plain[name]) for name, error in whole.items()}
    _warn_of_few_digits(setting, plain, whole)
    for column in columns:
        name, relation = column.name, column.relation
        if name in errors:
            values[name] = outward(values[name], errors[name], relation)
        if name in intervals:
            intervals[name] = _outward_interval(intervals[name], errors[name], relation)
    return Timeline(setting.times, columns, values, intervals, settings, rounding)


def _warn_of_few_digits(setting: Setting, values: dict[str, FloatArray], errors: dict[str, FloatArray]) -> None:
    """Say it of columns without the digits that a table prints, to who reads them without printing it."""
    lost, ensemble = {}, setting.ensemble
    for name, error in errors.items():
        size = np.maximum(np.abs(values[name]), NEGLIGIBLE)  # below which a table prints "~0"
        lost[name] = np.where(np.isfinite(size), error, 0.0) / np.where(np.isfinite(size), size, 1.0)
    few = {name: loss for name, loss in lost.items() if loss.max() > TOO_FEW_DIGITS}
    if few:
        worst = max(few, key=lambda name: float(few[name].max()))
        dropped = (
            f" Of the eigenvalues of Θ {ensemble.n_train - ensemble.rank} are known only to be below {ensemble.dropped_below:.3g}: "
            "if they are zero, rank_tolerance says so."
            if ensemble.dropped_below
            else ""
        )
        warnings.warn(
            f"rounding leaves fewer than four digits of {len(few)} columns, the fewest of {worst}: "
            f"{digits_left(float(few[worst].max()))} at τ = {setting.times[few[worst].argmax()]:.3g}.{dropped} Earlier times, a ridge, or "
            "points that differ more keep more; Timeline.rounding and the attrs of to_frame() have the relative error of each column at "
            "each time",
            FewDigitsWarning,
            stacklevel=3,
        )


def _outward_interval(found: Estimates, errors: FloatArray, relation: Relation) -> Estimates:
    """A sampled bound moved by the errors of its rounding, and its interval widened by them."""
    low, high = outward(found.low, errors, Relation.LOWER), outward(found.high, errors, Relation.UPPER)
    return replace(found, value=outward(found.value, errors, relation), low=low, high=high)


def _paragraph(column: Column, rounding: FloatArray | None, width: int) -> str:
    noise = "no output noise applies" if column.output_noise is None else f"output noise {column.output_noise:g}"
    unit = f" [{column.unit}]" if column.unit.is_information else ""
    lines = [
        f"{column.relation}: {column.of}",
        f"assumes: {column.assumption}",
        f"{column.holds_for}; {noise}",
        f"ntkinfo.quantities.{column.name}, {printed(column.source)}",
    ]
    side = SIDES.get(column.relation)
    if rounding is not None:
        worst = float(rounding.max())
        left = digits_left(worst)
        told = f"of the kernels' rounding at least {left} digits are left" if left else "at some time no digit is left"
        lines.append(f"{told}; the bound is {'raised' if side > 0 else 'lowered'} by the loss" if side else told)
    elif side:
        lines.append("its rounding is in it")
    body = (textwrap.fill(line, width, initial_indent="    ", subsequent_indent="      ") for line in lines)
    return "\n".join((f"{column.name}{unit}", *body))
