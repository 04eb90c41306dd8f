"""Quantity by quantity: what ntkinfo predicts at infinite width, and what finite networks came to, with a standard error.

Which quantities there are, their units, and which observable of finite networks each predicts or bounds, is read off ntkinfo's
registry. Quantities of the law of the outputs are taken of the networks' sample mean and covariance, by the very function that
the theory uses, with the jackknife over groups of networks for bias and standard error. What is linear in the networks is a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

import ntkinfo
from deepnets.widths.flow import FlowSample
from dualib.core.quantity import Quantity, Relation, needs
from dualib.core.result import Result
from dualib.core.statistics import mean
from dualib.core.typing import Float, FloatArray
from dualib.core.units import Unit
from ntkinfo.activations import Activation
from ntkinfo.quantities import REGISTRY, Condition, data_information_joint
from ntkinfo.quantities.evidence import Evidence
from ntkinfo.setting import Setting

GROUPS = 25
LEAST = 10
"""The fewest networks of a width: with fewer the jackknife's groups are too few for its error."""
FOR_A_POINT = 4
"""Networks it takes for each point of a joint law, whose sample covariance has to be inverted."""
EVIDENCE_NOISE = 1.0

OF_SAMPLES = frozenset({"law", "joint_law", "prior", "joint_prior", "y", "entropy_y"})
"""What finite networks offer, under the names of :data:`ntkinfo.setting.GLOSSARY`: of the outputs on the test points."""

DRAWS = "needs the law over label draws of networks from one start; the degrees of freedom measure the same Jacobian"
NOT_OFFERED = {
    "seed": "the sampled form of another quantity, whose mean it has",
    "ridge": "of training with a ridge; these networks are trained without",
    "weight_noise": "needs the density of the noisy parameters, in as many dimensions as there are parameters",
    "label_noise": DRAWS,
    "label_covariance": DRAWS,
}
"""Why a quantity that needs this, and has no observable, has no finite estimate."""

NOT_SHOWN = "no observable of finite networks shows it"
KINK = "this activation has a kink, so that the divergence of the parameters' flow has no finite estimate"


def why_not_measured(
    quantity: Quantity,
    activation: str | None,
    networks: int | None = None,
    n_points: tuple[int, int] = (0, 0),
    classes: bool = False,
) -> str:
    """Why a quantity has no rows in a comparison of so many networks of this activation, on so many points, in a sentence.

    `classes` says that the labels are classes.
    """
    wanted = needs(REGISTRY.function(quantity.name))
    least = FOR_A_POINT * n_points[int(quantity.shows is None)]
    if _is_joint(quantity) and networks is not None and networks < least:
        return f"takes {least} networks of every width, {FOR_A_POINT} for each point of the joint law, and there are {networks}"
    if quantity.shows is not None and quantity.shows[0] in ("kl", "kl_rate"):
        kink = activation is not None and not Activation.named(activation).has_third_kernel
        return KINK if kink else NOT_SHOWN
    labels = Condition.REAL_LABELS if classes else Condition.CLASS_LABELS
    if labels in quantity.only:
        return str(labels)
    return next((why for name, why in NOT_OFFERED.items() if name in wanted), NOT_SHOWN)


@dataclass(frozen=True)
class Row(Result):
    """One quantity at one time and width.

    Attributes
    ----------
    quantity : str
        Name of the quantity in ntkinfo's registry.
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
    freedom : float
        Degrees of freedom of the standard error.

    Examples
    --------
    >>> import deepnets
    >>> row = Row("train_square_error", 0.5, width=64, infinite=0.2, finite=0.21, std_error=0.005)
    >>> abs(row.finite - row.infinite) < 3 * row.std_error
    True
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
    freedom: float = np.inf

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.finite - self.infinite) / self.std_error if self.std_error > 0 else np.nan


class Observed(NamedTuple):
    """An observable of the networks of one width at one time, its standard error, and the width above which it can refute."""

    observable: str
    tau: float
    value: float
    std_error: float
    freedom: float
    least_width: float = 0.0


LawFunction = Callable[[ntkinfo.Law, ntkinfo.Law], float]
"""A function of the law on the test points at a time, and at the start."""


def law_quantities(s: Setting) -> dict[Quantity, LawFunction]:
    """The quantities of the law of the outputs on the test points that need nothing but what finite networks offer."""
    found: dict[Quantity, LawFunction] = {}
    for quantity in REGISTRY.quantities:
        wanted = frozenset(needs(REGISTRY.function(quantity.name)))
        if quantity.only <= s.conditions and wanted & {"law", "joint_law"} and wanted <= OF_SAMPLES:
            found[quantity] = partial(_of_law, s, quantity)
    return found


def _of_law(s: Setting, quantity: Quantity, law: ntkinfo.Law, prior: ntkinfo.Law) -> float:
    laws = {"law": law, "joint_law": law, "prior": prior, "joint_prior": prior}
    offered: dict[str, object] = {**laws, "y": s.labels, "entropy_y": s.entropy}
    function = REGISTRY.function(quantity.name)
    return float(function(**{name: offered[name] for name in needs(function)}))


def predicted(s: Setting, quantity: Quantity, tau: float) -> float:
    """A quantity of the ensemble at a time."""
    e = s.ensemble
    given = {"ensemble": e, "tau": tau, "label_noise": s.label_noise, "noise": EVIDENCE_NOISE}
    offered: dict[str, object] = {**given, "kernels": e.kernels, "y_train": e.y_train}
    function = REGISTRY.function(quantity.name)
    found = function(**{name: offered[name] for name in needs(function)})
    return found.log_evidence if isinstance(found, Evidence) else float(found)


def sample_law(outputs: Float[np.ndarray, "n_networks n_points"]) -> ntkinfo.Law:
    """Mean and covariance of networks' outputs."""
    return ntkinfo.Law(outputs.mean(axis=0)[:, None], np.cov(outputs, rowvar=False))


def jackknife(value: Callable[[FloatArray], float], outputs: FloatArray) -> tuple[float, float, float]:
    """The bias-corrected value of a function of a sample (first axis), its standard error and its degrees of freedom.

    Groups of the sample, :data:`GROUPS` or as many as it has members, are left out.
    """
    count = min(GROUPS, len(outputs))
    whole = value(outputs)
    groups = np.array_split(np.arange(len(outputs)), count)
    left = np.array([value(np.delete(outputs, group, axis=0)) for group in groups])
    error = np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    return count * whole - (count - 1) * float(left.mean()), float(error), count - 1.0


def rows_of(
    s: Setting, sample: FlowSample, perturbed: tuple[FloatArray, FloatArray], taus: FloatArray, width: int
) -> list[Row]:
    """All rows of one width.

    Parameters
    ----------
    s : Setting
        The ensemble at infinite width, the test labels and their law.
    sample : FlowSample
    perturbed : pair of arrays, shapes (R', n) and (R', T, n)
        (v, z(y + v) - z(y)): changes of the labels, and what they change in the outputs on the training points.
    taus : array, shape (T,)
    width : int
    """
    found: list[Row] = []
    n, prior, start = s.ensemble.n_train, s.ensemble.law(0.0), sample.start
    functions = law_quantities(s)
    for t, tau in enumerate(map(float, taus)):
        law = s.ensemble.law(tau)
        joined = np.concatenate([sample.outputs[:, t, n:], start[:, n:]], axis=1)
        for quantity, function in functions.items():
            if _is_joint(quantity) and len(joined) < FOR_A_POINT * (start.shape[1] - n):
                continue
            value, error, freedom = jackknife(partial(_of_halves, function), joined)
            place = quantity.name, tau, width, function(law, prior)
            found.append(Row(*place, value, error, unit=quantity.unit, freedom=freedom))
    for seen in observed(s, sample, perturbed, taus):
        for quantity in REGISTRY.quantities:
            if quantity.shows is None or quantity.shows[0] != seen.observable or not quantity.only <= s.conditions:
                continue
            infinite = predicted(s, quantity, seen.tau)
            found.append(
                Row(
                    quantity.name,
                    seen.tau,
                    width,
                    infinite,
                    seen.value,
                    seen.std_error,
                    quantity.shows[1],
                    quantity.unit,
                    least_width=seen.least_width,
                    freedom=seen.freedom,
                )
            )
    return found


def _is_joint(quantity: Quantity) -> bool:
    """Whether a quantity is of the joint law of all points, or shows it."""
    shown = quantity.shows is not None and quantity.shows[0] == "train_data_information"
    return shown or not {"joint_law", "joint_prior"}.isdisjoint(needs(REGISTRY.function(quantity.name)))


def _of_halves(function: LawFunction, rows: FloatArray) -> float:
    """A function of two laws, of the samples in the left and in the right half of the columns."""
    m = rows.shape[1] // 2
    return function(sample_law(rows[:, :m]), sample_law(rows[:, m:]))


def observed(
    s: Setting, sample: FlowSample, perturbed: tuple[FloatArray, FloatArray], taus: FloatArray
) -> Iterator[Observed]:
    """The observables under the names of ``Quantity.shows``, at every time they depend on; what is not finite is left out."""
    n, y = s.ensemble.n_train, s.ensemble.y_train[:, 0]
    start, first = sample.start[:, :n], float(taus[0])
    log_density = -0.5 * ((y - start) ** 2).sum(axis=1) / EVIDENCE_NOISE - 0.5 * n * np.log(2 * np.pi * EVIDENCE_NOISE)
    log_mean = jackknife(lambda rows: float(logsumexp(rows) - np.log(len(rows))), log_density)
    yield Observed("log_evidence", 0.0, *log_mean)
    yield _mean("fisher_trace", 0.0, sample.kernel.trace(axis1=1, axis2=2))
    yield _mean("fisher_trace_test", first, sample.fisher_trace_test[:, 0])
    for t, tau in enumerate(map(float, taus)):
        outputs = sample.outputs[:, t, :n]
        for name in ("kl", "kl_rate", "distance_squared", "action", "length"):
            values = getattr(sample, name)[:, t]
            if not np.isnan(values).all():  # as the divergence of a network with a kink
                yield _mean(name, tau, values)
        yield _mean("train_square_error", tau, ((outputs - y) ** 2).mean(axis=1))
        yield _mean("train_distance_squared", tau, ((outputs - start) ** 2).sum(axis=1))
        if len(start) >= FOR_A_POINT * n:
            kl = partial(_of_halves, lambda law, prior: float(data_information_joint(law, prior)))
            value, error, freedom = jackknife(kl, np.concatenate([outputs, start], axis=1))
            yield Observed("train_data_information", tau, value, error, freedom, _leak_width(s.ensemble, tau))
        v, changed = perturbed  # Tr ∂z/∂y = E v·∂z v / E v_i²
        traces = (v * changed[:, t]).sum(axis=1) / (v**2).mean(axis=1)
        yield _mean("label_response", tau, traces)
        yield _mean("optimism", tau, 2 * s.label_noise / n * traces)


def _mean(observable: str, tau: float, values: FloatArray) -> Observed:
    found = mean(values, Unit.ONE)
    return Observed(observable, tau, found.value, found.std_error, found.n - 1.0)


def _leak_width(e: ntkinfo.Ensemble, tau: float) -> float:
    """The width at which fluctuations of the kernel drown its fastest mode.

    There they, of order 1/√N, carry as much variance from the slowest mode of Θ into the fastest as that keeps of its own:
    e^{2(λ_max - λ_min)τ} = N.
    """
    spread = float(e.eigenvalues[-1] - e.eigenvalues[0])
    return float(np.exp(min(2 * spread * tau, 700.0)))
