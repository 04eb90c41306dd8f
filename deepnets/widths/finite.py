"""Quantity by quantity: what ntkinfo predicts at infinite width, and what finite networks came to, with a standard error.

Quantities of the law of the outputs are taken of the networks' sample mean and covariance, by the very function that the
theory uses, with the jackknife over groups of networks for bias and standard error. What is linear in the networks is a mean.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import logsumexp

import ntkinfo
from deepnets.widths.flow import FlowSample
from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.statistics import mean
from dualib.core.typing import Float, FloatArray
from dualib.core.units import Unit

GROUPS = 25

NOT_MEASURED = {
    "input_information_infonce": "sampled form of input_information, whose mean it has",
    "input_information_leave_one_out_sampled": "sampled form of input_information_leave_one_out, whose mean it has",
    "label_information_discrete": "for labels ±1 or one-hot; the labels here are real",
    "zero_one_risk": "for labels ±1 or one-hot; the labels here are real",
    "parameter_kl_ridge": "of training with a ridge; these networks are trained without",
    "parameter_kl_weight_noise": "needs the density of the noisy parameters, in as many dimensions as there are parameters",
    "parameter_label_information": "needs the law of the parameters over label draws, in as many dimensions",
    "parameter_label_information_correlated": "as parameter_label_information",
    "gaussian_label_information": "needs the law of the outputs over label draws at fixed start; degrees_of_freedom measures the "
    "same Jacobian",
    "gaussian_label_information_joint": "as gaussian_label_information",
}
"""Quantities of ntkinfo without a finite estimate here, and why."""

SHOWN: dict[str, tuple[Unit, dict[str, Relation]]] = {
    "kl": (
        Unit.NATS,
        dict.fromkeys(("parameter_kl_infinite_width", "parameter_kl", "parameter_kl_published"), Relation.EXACT),
    ),
    "kl_rate": (
        Unit.NATS_PER_TAU,
        dict.fromkeys(("parameter_kl_infinite_width_rate", "parameter_kl_rate"), Relation.EXACT),
    ),
    "distance_squared": (Unit.ONE, {"parameter_distance_squared": Relation.EXACT}),
    "action": (Unit.ONE, {"fisher_action": Relation.EXACT}),
    "length": (
        Unit.ONE,
        {
            "path_length_lower": Relation.LOWER,
            "path_length_upper": Relation.UPPER,
            "path_length_upper_modes": Relation.UPPER,
        },
    ),
}
"""Observables of :class:`~deepnets.widths.flow.FlowSample` whose mean is predicted: the unit, and what each quantity is of it."""

PURE_NUMBERS = frozenset({"expected_square_error", "ensemble_square_error", "clipped_square_risk"})
"""Quantities of the law of the outputs that are no information."""


@dataclass(frozen=True)
class Row(Result):
    """One quantity at one time and width.

    Attributes
    ----------
    quantity : str
        Name of ntkinfo's function (see ``ntkinfo.quantities()``), or what is compared.
    tau, width : float, int
    infinite : float
        The prediction.
    finite, std_error : float
        Of the networks.
    relation : Relation
        What the prediction is of the limit: exact, or a lower or upper bound.
    unit : Unit
    least_width : float
        Below it corrections of higher order than 1/width are not small: such widths cannot refute.
    step_error : float
        Error of the time step.
    """

    quantity: str
    tau: float
    width: int
    infinite: float
    finite: float
    std_error: float
    relation: Relation = Relation.EXACT
    unit: Unit = Unit.ONE
    least_width: float = 0.0
    step_error: float = 0.0

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.finite - self.infinite) / self.std_error if self.std_error > 0 else np.nan


@dataclass(frozen=True, eq=False)
class Setting:
    """What both sides share: the ensemble at infinite width, its third kernel, the test labels and their law."""

    ensemble: ntkinfo.Ensemble
    omega: Float[np.ndarray, "n_train n_train"]
    y_test: Float[np.ndarray, "n_test 1"]
    entropy_y: float
    label_noise: float

    @property
    def n(self) -> int:
        """The number of training points."""
        return self.ensemble.n_train

    def predicted(self, name: str, tau: float) -> float:
        """A quantity of the ensemble at a time, by its name."""
        offered: dict[str, object] = {
            "ensemble": self.ensemble,
            "tau": tau,
            "omega": self.omega,
            "label_noise": self.label_noise,
        }
        function = _function(name)
        return float(function(**{parameter: offered[parameter] for parameter in needs(function)}))

    def law_quantities(self) -> dict[str, Callable[[ntkinfo.Law, ntkinfo.Law], float]]:
        """Functions of the law on the test points at a time and at the start: ntkinfo's that need nothing else, and one more."""
        found: dict[str, Callable[[ntkinfo.Law, ntkinfo.Law], float]] = {}
        for record in ntkinfo.quantities():
            function = _function(record.name)
            wanted = needs(function)
            if (
                record.name not in NOT_MEASURED
                and "law" in wanted
                and set(wanted) <= {"law", "prior", *self._of_labels}
            ):
                found[record.name] = partial(self._of_law, function, wanted)
        return {**found, "output variance": lambda law, prior: float(law.variance.mean())}

    @property
    def _of_labels(self) -> dict[str, FloatArray | float]:
        return {"y": self.y_test, "entropy_y": self.entropy_y}

    def _of_law(
        self, function: Callable[..., FloatArray | float], wanted: list[str], law: ntkinfo.Law, prior: ntkinfo.Law
    ) -> float:
        offered: dict[str, object] = {"law": law, "prior": prior, **self._of_labels}
        return float(function(**{parameter: offered[parameter] for parameter in wanted}))


def needs(function: Callable[..., FloatArray | float]) -> list[str]:
    """The parameters without default of a function: what a quantity needs."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]


def _function(name: str) -> Callable[..., FloatArray | float]:
    found: Callable[..., FloatArray | float] = getattr(ntkinfo, name, None) or getattr(ntkinfo.bounds, name)
    return found


def sample_law(outputs: Float[np.ndarray, "n_networks n_points"]) -> ntkinfo.Law:
    """Mean and covariance of networks' outputs."""
    return ntkinfo.Law(outputs.mean(axis=0)[:, None], np.cov(outputs, rowvar=False))


def jackknife(value: Callable[[FloatArray], float], outputs: FloatArray) -> tuple[float, float]:
    """The bias-corrected value of a function of a sample (first axis) and its standard error, leaving out groups."""
    groups = np.array_split(np.arange(len(outputs)), GROUPS)
    whole = value(outputs)
    left = np.array([value(np.delete(outputs, group, axis=0)) for group in groups])
    error = np.sqrt((GROUPS - 1) / GROUPS * ((left - left.mean()) ** 2).sum())
    return GROUPS * whole - (GROUPS - 1) * float(left.mean()), float(error)


def rows_of(
    s: Setting, sample: FlowSample, perturbed: tuple[FloatArray, FloatArray], taus: FloatArray, width: int
) -> list[Row]:
    """All rows of one width.

    Parameters
    ----------
    s : Setting
    sample : FlowSample
    perturbed : pair of arrays, shapes (R', n) and (R', T, n)
        (v, z(y + v) - z(y)): changes of the labels, and what they change in the outputs on the training points.
    taus : array, shape (T,)
    width : int
    """
    found: list[Row] = []
    n, prior, start = s.n, s.ensemble.law(0.0), sample.start
    for t, tau in enumerate(map(float, taus)):
        law, outputs = s.ensemble.law(tau), sample.outputs[:, t]
        joined = np.concatenate([outputs[:, n:], start[:, n:]], axis=1)
        for name, function in s.law_quantities().items():
            unit = Unit.ONE if name in PURE_NUMBERS or name not in _names() else Unit.NATS
            estimate = jackknife(partial(_of_halves, function), joined)
            found.append(Row(name, tau, width, function(law, prior), *estimate, unit=unit))
        found += _train_rows(s, outputs[:, :n], start[:, :n], tau, width)
        for observable, (unit, quantities) in SHOWN.items():
            values = getattr(sample, observable)[:, t]
            for name, relation in quantities.items():
                found.append(_mean_row(name, tau, width, s.predicted(name, tau), values, relation, unit))
        found += _freedom_rows(s, perturbed, t, tau, width)
    return [*found, _evidence_row(s, start[:, :n], width), *_trace_rows(s, sample, float(taus[0]), width)]


def _names() -> set[str]:
    return {record.name for record in ntkinfo.quantities()}


def _of_halves(function: Callable[[ntkinfo.Law, ntkinfo.Law], float], rows: FloatArray) -> float:
    """A function of two laws, of the samples in the left and in the right half of the columns."""
    m = rows.shape[1] // 2
    return function(sample_law(rows[:, :m]), sample_law(rows[:, m:]))


def _mean_row(
    name: str,
    tau: float,
    width: int,
    infinite: float,
    values: FloatArray,
    relation: Relation = Relation.EXACT,
    unit: Unit = Unit.ONE,
) -> Row:
    found = mean(values, unit)
    return Row(name, tau, width, float(infinite), found.value, found.std_error, relation, unit)


def _train_rows(s: Setting, outputs: FloatArray, start: FloatArray, tau: float, width: int) -> Iterator[Row]:
    y, law = s.ensemble.y_train, s.ensemble.law(tau, on="train")
    square_error = float(ntkinfo.expected_square_error(law, y))
    squares = ((outputs - y[:, 0]) ** 2).mean(axis=1)
    yield _mean_row("expected_square_error, training points", tau, width, square_error, squares)
    moved = ((outputs - start) ** 2).sum(axis=1)
    name = "fisher_distance_squared"
    yield _mean_row(name, tau, width, s.predicted(name, tau), moved)
    name = "data_information_train"
    kl = partial(_of_halves, lambda law, prior: float(ntkinfo.data_information_joint(law, prior)))
    estimate = jackknife(kl, np.concatenate([outputs, start], axis=1))
    least = _leak_width(s.ensemble, tau)
    yield Row(name, tau, width, s.predicted(name, tau), *estimate, unit=Unit.NATS, least_width=least)


def _leak_width(e: ntkinfo.Ensemble, tau: float) -> float:
    """The width at which fluctuations of the kernel drown its fastest mode.

    There they, of order 1/√N, carry as much variance from the slowest mode of Θ into the fastest as that keeps of its own:
    e^{2(λ_max - λ_min)τ} = N.
    """
    spread = float(e.eigenvalues[-1] - e.eigenvalues[0])
    return float(np.exp(min(2 * spread * tau, 700.0)))


def _freedom_rows(
    s: Setting, perturbed: tuple[FloatArray, FloatArray], t: int, tau: float, width: int
) -> Iterator[Row]:
    """Tr ∂z/∂y = E v·∂z v / E v_i²: random changes of the labels, and what they change."""
    v, changed = perturbed
    traces = (v * changed[:, t]).sum(axis=1) / (v**2).mean(axis=1)
    for name, scale in (("degrees_of_freedom", 1.0), ("expected_optimism", 2 * s.label_noise / s.n)):
        yield _mean_row(name, tau, width, s.predicted(name, tau), scale * traces)


def _evidence_row(s: Setting, start: FloatArray, width: int) -> Row:
    """Mean density log E N(Y; z_0, 1) over networks at their start, against the NNGP's evidence at noise 1."""
    log_density = -0.5 * ((s.ensemble.y_train[:, 0] - start) ** 2).sum(axis=1) - 0.5 * s.n * np.log(2 * np.pi)
    infinite = ntkinfo.nngp_evidence(s.ensemble.kernels, s.ensemble.y_train, 1.0).log_evidence
    estimate = jackknife(lambda rows: float(logsumexp(rows) - np.log(len(rows))), log_density)
    return Row("nngp_evidence", 0.0, width, infinite, *estimate, unit=Unit.NATS)


def _trace_rows(s: Setting, sample: FlowSample, first: float, width: int) -> Iterator[Row]:
    start = sample.kernel.trace(axis1=1, axis2=2)
    yield _mean_row("fisher_trace", 0.0, width, s.predicted("fisher_trace", 0.0), start)
    name = "fisher_trace_test"
    yield _mean_row(name, first, width, s.predicted(name, first), sample.fisher_trace_test[:, 0])
