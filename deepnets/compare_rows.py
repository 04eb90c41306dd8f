"""Quantity by quantity: what ntkinfo predicts at infinite width, and what finite networks came to, with a standard error.

Quantities of the law of the outputs are taken of the networks' sample mean and covariance, by the very function that the
theory uses, with the jackknife over groups of networks for bias and standard error. What is linear in the networks is a mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

import ntkinfo
from deepnets.gradient_flow import FlowSample
from dualib.core.typing import FloatArray

GROUPS = 25


@dataclass(frozen=True)
class Row:
    """One quantity at one time and width.

    Attributes
    ----------
    quantity : name of ntkinfo's function (see ``ntkinfo.quantities()``), or what is compared.
    tau, width : of it.
    infinite : the prediction.
    finite, std_error : of the networks.
    relation : "=" for what must agree in the limit, "<=" where the prediction is a lower bound, ">=" an upper one.
    unit : "nats", "nats/tau" or "".
    least_width : below which corrections of higher order than 1/width are not small: such widths cannot refute.
    """

    quantity: str
    tau: float
    width: int
    infinite: float
    finite: float
    std_error: float
    relation: str = "="
    unit: str = ""
    least_width: float = 0.0

    @property
    def z(self) -> float:
        """Difference in standard errors."""
        return (self.finite - self.infinite) / self.std_error if self.std_error > 0 else np.nan


@dataclass(frozen=True, eq=False)
class Setting:
    """What both sides share: the ensemble at infinite width, its third kernel, the test labels and their law."""

    ensemble: ntkinfo.Ensemble
    omega: FloatArray
    y_test: FloatArray
    entropy_y: float
    label_noise: float

    @property
    def n(self) -> int:
        """The number of training points."""
        return self.ensemble.n_train


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


def _law_quantities(s: Setting) -> dict[str, tuple[Callable[[ntkinfo.Law, ntkinfo.Law], float], str]]:
    """name → (function of the law at τ and at the start on the test points, unit)."""
    y, h = s.y_test, s.entropy_y

    def of(function: Callable[..., object]) -> Callable[[ntkinfo.Law, ntkinfo.Law], float]:
        return lambda law, prior: float(function(law))  # type: ignore[arg-type]

    def against(function: Callable[..., object]) -> Callable[[ntkinfo.Law, ntkinfo.Law], float]:
        return lambda law, prior: float(function(law, y))  # type: ignore[arg-type]

    def bounding(function: Callable[..., object]) -> Callable[[ntkinfo.Law, ntkinfo.Law], float]:
        return lambda law, prior: float(function(law, y, h))  # type: ignore[arg-type]

    def moved(function: Callable[..., object]) -> Callable[[ntkinfo.Law, ntkinfo.Law], float]:
        return lambda law, prior: float(function(law, prior))  # type: ignore[arg-type]

    return {
        "expected_square_error": (against(ntkinfo.expected_square_error), ""),
        "ensemble_square_error": (against(ntkinfo.ensemble_square_error), ""),
        "gibbs_nll": (against(ntkinfo.gibbs_nll), "nats"),
        "bayes_nll": (against(ntkinfo.bayes_nll), "nats"),
        "bayes_nll_joint": (against(ntkinfo.bayes_nll_joint), "nats"),
        "clipped_square_risk": (against(ntkinfo.bounds.clipped_square_risk), ""),
        "label_information_unit_noise": (bounding(ntkinfo.label_information_unit_noise), "nats"),
        "label_information_best_noise": (bounding(ntkinfo.label_information_best_noise), "nats"),
        "label_information_affine": (bounding(ntkinfo.label_information_affine), "nats"),
        "input_information": (of(ntkinfo.input_information), "nats"),
        "input_information_leave_one_out": (of(ntkinfo.input_information_leave_one_out), "nats"),
        "input_information_kolchinsky_tracey_lower": (of(ntkinfo.input_information_kolchinsky_tracey_lower), "nats"),
        "input_information_kolchinsky_tracey_upper": (of(ntkinfo.input_information_kolchinsky_tracey_upper), "nats"),
        "data_information": (moved(ntkinfo.data_information), "nats"),
        "data_information_joint": (moved(ntkinfo.data_information_joint), "nats"),
        "output variance": (lambda law, prior: float(law.variance.mean()), ""),
    }


def sample_law(outputs: FloatArray) -> ntkinfo.Law:
    """Mean and covariance of networks' outputs (R, points)."""
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
    perturbed : (v, z(y + v) - z(y)): changes of the labels (R', n), and what they change in the outputs on the training
        points at each time, (R', T, n).
    """
    found: list[Row] = []
    e, n, prior = s.ensemble, s.n, s.ensemble.law(0.0)
    start = sample.start
    for t, tau in enumerate(map(float, taus)):
        law, outputs = e.law(tau), sample.outputs[:, t]
        joined = np.concatenate([outputs[:, n:], start[:, n:]], axis=1)
        for name, (function, unit) in _law_quantities(s).items():

            def value(rows: FloatArray, function: Callable[..., float] = function) -> float:
                m = rows.shape[1] // 2
                return function(sample_law(rows[:, :m]), sample_law(rows[:, m:]))

            found.append(Row(name, tau, width, function(law, prior), *jackknife(value, joined), unit=unit))
        found += _train_rows(s, outputs[:, :n], start[:, :n], tau, width)
        found += _parameter_rows(s, sample, t, tau, width)
        found += _freedom_rows(s, perturbed, t, tau, width)
    return [*found, _evidence_row(s, start[:, :n], width), *_trace_rows(s, sample, float(taus[0]), width)]


def _mean_row(
    name: str, tau: float, width: int, infinite: float, values: FloatArray, relation: str = "=", unit: str = ""
) -> Row:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return Row(name, tau, width, float(infinite), float(values.mean()), error, relation, unit)


def _train_rows(s: Setting, outputs: FloatArray, start: FloatArray, tau: float, width: int) -> list[Row]:
    e, n = s.ensemble, s.n
    law = e.law(tau, on="train")
    squares = ((outputs - e.y_train[:, 0]) ** 2).mean(axis=1)
    square_error = float(ntkinfo.expected_square_error(law, e.y_train))

    def kl(rows: FloatArray) -> float:
        return float(ntkinfo.data_information_joint(sample_law(rows[:, :n]), sample_law(rows[:, n:])))

    estimate = jackknife(kl, np.concatenate([outputs, start], axis=1))
    moved = ((outputs - start) ** 2).sum(axis=1)
    return [
        _mean_row("expected_square_error, training points", tau, width, square_error, squares),
        _mean_row("fisher_distance_squared", tau, width, float(ntkinfo.fisher_distance_squared(e, tau)), moved),
        Row(
            "data_information_train",
            tau,
            width,
            float(ntkinfo.data_information_train(e, tau)),
            *estimate,
            unit="nats",
            least_width=_leak_width(e, tau),
        ),
    ]


def _leak_width(e: ntkinfo.Ensemble, tau: float) -> float:
    """The width N at which a kernel's fluctuations, of order 1/√N, carry as much variance from the slowest mode of Θ into the
    fastest as that keeps of its own: e^{2(λ_max - λ_min)τ} = N.
    """
    spread = float(e.eigenvalues[-1] - e.eigenvalues[0])
    return float(np.exp(min(2 * spread * tau, 700.0)))


def _parameter_rows(s: Setting, sample: FlowSample, t: int, tau: float, width: int) -> list[Row]:
    e = s.ensemble
    kl, rate, length = sample.kl[:, t], sample.kl_rate[:, t], sample.length[:, t]
    exact = float(ntkinfo.parameter_kl_infinite_width(e, tau, s.omega))
    exact_rate = float(ntkinfo.parameter_kl_infinite_width_rate(e, tau, s.omega))
    return [
        _mean_row("parameter_kl_infinite_width", tau, width, exact, kl, unit="nats"),
        _mean_row("parameter_kl", tau, width, float(ntkinfo.parameter_kl(e, tau)), kl, unit="nats"),
        _mean_row("parameter_kl_published", tau, width, float(ntkinfo.parameter_kl_published(e, tau)), kl, unit="nats"),
        _mean_row("parameter_kl_infinite_width_rate", tau, width, exact_rate, rate, unit="nats/tau"),
        _mean_row("parameter_kl_rate", tau, width, float(ntkinfo.parameter_kl_rate(e, tau)), rate, unit="nats/tau"),
        _mean_row(
            "parameter_distance_squared",
            tau,
            width,
            float(ntkinfo.parameter_distance_squared(e, tau)),
            sample.distance_squared[:, t],
        ),
        _mean_row("fisher_action", tau, width, float(ntkinfo.fisher_action(e, tau)), sample.action[:, t]),
        _mean_row("path_length_lower", tau, width, float(ntkinfo.path_length_lower(e, tau)), length, "<="),
        _mean_row("path_length_upper", tau, width, float(ntkinfo.path_length_upper(e, tau)), length, ">="),
        _mean_row("path_length_upper_modes", tau, width, float(ntkinfo.path_length_upper_modes(e, tau)), length, ">="),
    ]


def _freedom_rows(s: Setting, perturbed: tuple[FloatArray, FloatArray], t: int, tau: float, width: int) -> list[Row]:
    """Tr ∂z/∂y = E v·∂z v / E v_i²: random changes of the labels, and what they change."""
    v, changed = perturbed
    traces = (v * changed[:, t]).sum(axis=1) / (v**2).mean(axis=1)
    e, scale = s.ensemble, 2 * s.label_noise / s.n
    return [
        _mean_row("degrees_of_freedom", tau, width, float(ntkinfo.degrees_of_freedom(e, tau)), traces),
        _mean_row(
            "expected_optimism", tau, width, float(ntkinfo.expected_optimism(e, tau, s.label_noise)), scale * traces
        ),
    ]


def _evidence_row(s: Setting, start: FloatArray, width: int) -> Row:
    """log E N(Y; z_0, 1) over networks at their start, against the NNGP's evidence at noise 1."""
    log_density = -0.5 * ((s.ensemble.y_train[:, 0] - start) ** 2).sum(axis=1) - 0.5 * s.n * np.log(2 * np.pi)
    infinite = ntkinfo.nngp_evidence(s.ensemble.kernels, s.ensemble.y_train, 1.0).log_evidence

    def value(rows: FloatArray) -> float:
        return float(logsumexp(rows) - np.log(len(rows)))

    return Row("nngp_evidence", 0.0, width, infinite, *jackknife(value, log_density), unit="nats")


def _trace_rows(s: Setting, sample: FlowSample, first: float, width: int) -> list[Row]:
    start = sample.kernel.trace(axis1=1, axis2=2)
    return [
        _mean_row("fisher_trace", 0.0, width, ntkinfo.fisher_trace(s.ensemble), start),
        _mean_row(
            "fisher_trace_test", first, width, ntkinfo.fisher_trace_test(s.ensemble), sample.fisher_trace_test[:, 0]
        ),
    ]
