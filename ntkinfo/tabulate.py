"""Every quantity of an ensemble against training time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dualib.core.arrays import columns as as_labels
from dualib.core.progress import progress_bar
from ntkinfo import chaos, information_data, information_inputs, parameters, predictive
from ntkinfo._arrays import FloatArray, positive
from ntkinfo._quantity import Relation
from ntkinfo.bounds.table import ParameterModel, linear_or_linearised
from ntkinfo.columns import STANDARD_ERROR, Column, Where, make_column
from ntkinfo.curve import InformationCurve
from ntkinfo.ensemble import Ensemble
from ntkinfo.labels import check_not_classes, is_discrete
from ntkinfo.laws import Law, Marginals
from ntkinfo.learning import GradientFlow
from ntkinfo.times import as_times_or_default


class _Table:
    """Columns in the making, on the points and with the noise of one table."""

    def __init__(self, ensemble: Ensemble, where: Where, output_noise: float) -> None:
        self.values: dict[str, FloatArray] = {}
        self.columns: list[Column] = []
        self._where: Where = where
        self._n_points = ensemble.n_test if where == "test" else ensemble.n_train
        self._noise = output_noise
        self._linear = linear_or_linearised(ensemble) is ParameterModel.LINEAR

    def add(
        self, name: str, function: Callable[..., Any], value: ArrayLike, *, estimate: str = "", given: str = ""
    ) -> None:
        """A column; `given` is added to its assumption, and so is `estimate`, which takes its rank of a bound."""
        column = make_column(name, function, self._where, self._n_points, self._noise, self._linear)
        assumption = "; ".join(part for part in (column.assumption, given, estimate) if part)
        relation = Relation.ESTIMATE if estimate else column.relation
        self.values[name] = np.asarray(value, dtype=np.float64)
        self.columns.append(replace(column, relation=relation, assumption=assumption))


def information_curve(
    ensemble: Ensemble,
    taus: ArrayLike | None = None,
    *,
    x: Where | None = None,
    y_test: ArrayLike | None = None,
    omega: ArrayLike | None = None,
    entropy_y: float | None = None,
    label_noise: float = 1.0,
    output_noise: float = 0.0,
    weight_noise: float = 1e-2,
    seed: int = 0,
    progress: bool | None = None,
) -> InformationCurve:
    """Every quantity of an infinite ensemble against training time.

    Parameters
    ----------
    ensemble : Ensemble.
    taus : array, shape (T,), of times of the loss ½‖f - Y‖²; by default :func:`ntkinfo.default_times`.
    x : the inputs at which the outputs Z are taken, "test" or "train"; by default "test" where the kernels have test
        points. The training points cost 2n³ operations a time.
    y_test : labels at the test points, shape (m,) or (m, k), for losses and I(Z;Y|D). Training errors need none.
    omega : the third kernel on the training points, shape (n, n), of :func:`ntkinfo.kernels.dense`, for the columns
        parameter_kl_infinite_width and its rate (gradient flow of all layers without ridge only).
    entropy_y : H(Y) in nats, for the lower bounds on I(Z;Y|D). By default that of a Gaussian with the labels'
        covariance (the columns are then estimates, exact for Gaussian Y), or the classes' entropy for labels ±1 or
        one-hot.
    label_noise : s² of Y|X, for the optimism and for I(z;Y|X,x), I(θ;Y|X).
    output_noise : variance of Gaussian noise added to every output before its information is taken. Without it
        informations diverge as outputs become deterministic (a centred ensemble, training points after a long time),
        and are reported as infinite.
    weight_noise : variance of the noise added to the parameters in their finite KL.
    seed : of the samples that more than one output need (InfoNCE).
    progress : show a progress bar; by default only on a terminal.

    Returns
    -------
    InformationCurve

    Warns
    -----
    ClassLabelWarning: the labels are the numbers of three or more classes, 0, 1, 2, ...: they are regressed as numbers.

    Raises
    ------
    ValueError: labels that do not match (both shapes are printed), times out of range, a parameter out of range, or an
        `omega` for which :func:`ntkinfo.parameter_kl_infinite_width` has no value.
    """
    times = as_times_or_default(ensemble, taus)
    where: Where = x if x is not None else ("test" if ensemble.n_test else "train")
    if where not in ("test", "train"):
        raise ValueError(f'x must be "test" or "train", got {x!r}')
    labels = _labels(ensemble, where, y_test)
    check_not_classes(ensemble.y_train)
    positive("label_noise", label_noise, zero=True)
    positive("output_noise", output_noise, zero=True)
    positive("weight_noise", weight_noise)
    entropy = _entropy(labels, where, entropy_y)
    table = _Table(ensemble, where, output_noise)
    _parameter_columns(table, ensemble, times, label_noise, weight_noise, omega)
    law, joint = _laws(ensemble, times, where, labels, output_noise, progress)
    prior = _prior(ensemble, where).with_output_noise(output_noise)
    _predictive_columns(table, law, labels, entropy, given=entropy_y is not None)
    _input_columns(table, law, seed)
    table.add("i_zd_upper", information_data.data_information, information_data.data_information(law, prior))
    if where == "test" and output_noise == 0:
        function = information_data.gaussian_label_information
        value = information_data._gaussian_label_information(ensemble, times, label_noise, law.variance)
        table.add("i_zy_given_x_exact", function, value, given=f"s² = {label_noise:g}")
    for name, (function, value) in joint.items():
        table.add(name, function, value)
    settings = _settings(ensemble, where, times, label_noise, output_noise, weight_noise, entropy_y, seed)
    return InformationCurve(times, table.values, tuple(table.columns), settings)


def _labels(ensemble: Ensemble, where: str, y_test: ArrayLike | None) -> FloatArray | None:
    if where == "train":
        return ensemble.y_train
    ensemble.need_test()
    if y_test is None:
        return None
    labels = as_labels(y_test, "y_test", ensemble.n_test, f"{ensemble.n_test} test points")
    if labels.shape[1] != ensemble.n_outputs:
        raise ValueError(
            f"y_test has shape {np.shape(y_test)}, but y_train of shape {ensemble.y_train.shape} has "
            f"{ensemble.n_outputs} outputs"
        )
    return labels


def _entropy(labels: FloatArray | None, where: str, given: float | None) -> float | None:
    """H(Y): as given, else of the classes or of a Gaussian with the labels' covariance; None without labels."""
    if labels is None or given is not None:
        return given
    if is_discrete(labels):
        return predictive.class_entropy(labels)
    spread = labels - labels.mean(axis=0)
    if np.linalg.matrix_rank(spread, tol=1e-12 * float(np.linalg.norm(labels))) < labels.shape[1]:
        raise ValueError(
            f"the {where} labels of shape {labels.shape} are constant or linearly dependent, so that no Gaussian entropy "
            "H(Y) can be had from them: give entropy_y, or more labels"
        )
    return predictive.gaussian_plug_in_entropy(labels)


def _prior(ensemble: Ensemble, where: str) -> Marginals:
    kernel = ensemble.kernels.nngp if where == "train" else ensemble.kernels.nngp_test
    variance = np.zeros(len(kernel)) if ensemble.centred else np.diagonal(kernel)  # type: ignore[arg-type]
    return Marginals(np.zeros((variance.size, ensemble.n_outputs)), variance)


def _parameter_columns(
    table: _Table, ensemble: Ensemble, times: FloatArray, label_noise: float, weight_noise: float, omega: Any
) -> None:
    p = parameters
    n = ensemble.n_train
    error = (ensemble.spectrum(times).residual ** 2 * ensemble.mode_power).sum(axis=-1) / n
    table.add("train_square_error", predictive.expected_square_error, error)
    nll = 0.5 * error + 0.5 * ensemble.n_outputs * np.log(2 * np.pi)
    table.add("train_gibbs_nll", predictive.gibbs_nll, nll)
    table.add("degrees_of_freedom", predictive.degrees_of_freedom, predictive.degrees_of_freedom(ensemble, times))
    optimism = predictive.expected_optimism(ensemble, times, label_noise)
    table.add("expected_optimism", predictive.expected_optimism, optimism, given=f"s² = {label_noise:g}")
    for function in (
        p.parameter_kl,
        p.parameter_kl_published,
        p.parameter_distance_squared,
        p.fisher_distance_squared,
        p.fisher_action,
        p.path_length_lower,
        p.path_length_upper,
        p.path_length_upper_modes,
    ):
        table.add(function.__name__, function, function(ensemble, times))
    if omega is not None:
        for third in (chaos.parameter_kl_infinite_width, chaos.parameter_kl_infinite_width_rate):
            table.add(third.__name__, third, third(ensemble, times, omega))
    if isinstance(ensemble.learning_rule, GradientFlow):
        table.add("parameter_kl_rate", p.parameter_kl_rate, p.parameter_kl_rate(ensemble, times))
    noisy = p.parameter_kl_weight_noise(ensemble, times, weight_noise)
    given = f"noise of variance {weight_noise:g} on every parameter"
    table.add("parameter_kl_weight_noise", p.parameter_kl_weight_noise, noisy, given=given)
    labels = p.parameter_label_information(ensemble, times, label_noise)
    table.add("i_theta_y_exact", p.parameter_label_information, labels, given=f"s² = {label_noise:g}")
    table.add("fisher_trace", p.fisher_trace, np.full(times.size, p.fisher_trace(ensemble)))
    if ensemble.n_test:
        table.add("fisher_trace_test", p.fisher_trace_test, np.full(times.size, p.fisher_trace_test(ensemble)))
    train = information_data.data_information_train
    table.add("i_zd_train_upper", train, train(ensemble, times))


_Joint = dict[str, tuple[Callable[..., Any], FloatArray]]


def _laws(
    ensemble: Ensemble, times: FloatArray, where: str, labels: FloatArray | None, noise: float, progress: bool | None
) -> tuple[Marginals, _Joint]:
    """The law of single points at all times; and, on the test points, what needs their covariances, batch by batch."""
    if where == "train":
        return ensemble.marginals(times, on="train").with_output_noise(noise), {}
    m, k = ensemble.n_test, ensemble.n_outputs
    mean, variance = np.empty((times.size, m, k)), np.empty((times.size, m))
    kl, nll = np.empty(times.size), np.empty(times.size)
    covariance = np.zeros((m, m)) if ensemble.centred else np.asarray(ensemble.kernels.nngp_test)
    prior = Law(np.zeros((m, k)), covariance).with_output_noise(noise)
    with progress_bar(times.size, "times", progress) as done:
        for batch, clean in ensemble.laws(times):
            law = clean.with_output_noise(noise) if noise else clean
            mean[batch], variance[batch] = law.mean, law.variance
            kl[batch] = information_data.data_information_joint(law, prior)
            if labels is not None:
                nll[batch] = predictive.bayes_nll_joint(law, labels)
            done(law.mean.shape[0])
    joint: _Joint = {"i_zd_joint_upper": (information_data.data_information_joint, kl)}
    if labels is not None:
        joint["bayes_nll_joint"] = (predictive.bayes_nll_joint, nll)
    return Marginals(mean, variance), joint


def _predictive_columns(
    table: _Table, law: Marginals, labels: FloatArray | None, entropy: float | None, *, given: bool
) -> None:
    table.add("output_variance", predictive.expected_square_error, law.variance.mean(axis=-1))
    if labels is None or entropy is None:
        return
    p = predictive
    table.add("square_error", p.expected_square_error, p.expected_square_error(law, labels))
    table.add("ensemble_square_error", p.ensemble_square_error, p.ensemble_square_error(law, labels))
    table.add("gibbs_nll", p.gibbs_nll, p.gibbs_nll(law, labels))
    table.add("bayes_nll", p.bayes_nll, p.bayes_nll(law, labels))
    if is_discrete(labels):
        value = p.label_information_discrete(law, labels, entropy_y=entropy)
        table.add("i_zy_discrete_lower", p.label_information_discrete, value)
        return
    gaussian = "" if given else "H(Y) is replaced by the entropy of a Gaussian: a lower bound where Y is Gaussian"
    value = p.label_information_unit_noise(law, labels, entropy)
    table.add("i_zy_unit_noise_lower", p.label_information_unit_noise, value, estimate=gaussian)
    if len(labels) >= 4:
        for name, function in (
            ("i_zy_best_noise_lower", p.label_information_best_noise),
            ("i_zy_affine_lower", p.label_information_affine),
        ):
            table.add(name, function, function(law, labels, entropy, fit="halves"), estimate=gaussian)


def _input_columns(table: _Table, law: Marginals, seed: int) -> None:
    i = information_inputs
    if law.mean.shape[-1] == 1:
        inside, without = i._over_times(law, leave_one_out=True)
        table.add("i_zx_exact", i.input_information, inside)
        table.add("i_zx_leave_one_out_upper", i.input_information_leave_one_out, without)
    else:
        lower, upper = i.input_information_infonce, i.input_information_leave_one_out_sampled
        _sampled_columns(table, "i_zx_infonce_lower", lower, lower(law, seed))
        _sampled_columns(table, "i_zx_leave_one_out_upper", upper, upper(law, seed))
    low, high = i.input_information_kolchinsky_tracey_lower, i.input_information_kolchinsky_tracey_upper
    table.add("i_zx_kolchinsky_tracey_lower", low, low(law))
    table.add("i_zx_kolchinsky_tracey_upper", high, high(law))


def _sampled_columns(table: _Table, name: str, function: Callable[..., Any], result: tuple[FloatArray, ...]) -> None:
    table.add(name, function, result[0])
    table.add(f"{name}{STANDARD_ERROR}", function, result[1])


def _settings(
    ensemble: Ensemble,
    where: str,
    times: FloatArray,
    label_noise: float,
    output_noise: float,
    weight_noise: float,
    entropy_y: Any,
    seed: int,
) -> dict[str, Any]:
    import scipy

    return {
        "n_train": ensemble.n_train,
        "n_test": ensemble.n_test,
        "n_outputs": ensemble.n_outputs,
        "mode": ensemble.mode,
        "centred": ensemble.centred,
        "ridge": ensemble.ridge,
        "learning_rule": repr(ensemble.learning_rule),
        "rank": ensemble.rank,
        "clipped_eigenvalues": ensemble.n_clipped,
        "smallest_eigenvalue": float(ensemble.eigenvalues[0]),
        "largest_eigenvalue": float(ensemble.eigenvalues[-1]),
        "x": where,
        "n_times": int(times.size),
        "label_noise": float(label_noise),
        "output_noise": float(output_noise),
        "weight_noise": float(weight_noise),
        "entropy_y": None if entropy_y is None else float(entropy_y),
        "seed": int(seed),
        "units": "nats",
        "versions": {"numpy": np.__version__, "scipy": scipy.__version__},
    }
