"""Every quantity against training time, in one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dualib import _io
from dualib.measures import Units, to_units
from ntkinfo import chaos, information_data, information_inputs, parameters, predictive
from ntkinfo._arrays import FloatArray, as_columns, as_times, positive
from ntkinfo._quantity import Quantity
from ntkinfo.ensemble import Ensemble
from ntkinfo.laws import Law, Marginals

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """What one column of an :class:`InformationCurve` is.

    Attributes
    ----------
    name : without its unit.
    unit : "nats", "nats/tau", or "" for anything that is not an information.
    kind : exact, lower bound, upper bound, upper bound in expectation, or estimate.
    assumption, source : as of the quantity's function.
    function : the function of this package that gave it.
    """

    name: str
    unit: str
    kind: str
    assumption: str
    source: str
    function: str


@dataclass(frozen=True, eq=False)
class InformationCurve:
    """All quantities of one ensemble against training time.

    Attributes
    ----------
    tau : array, shape (T,).
    values : name → array of shape (T,); informations in nats.
    columns : what each is, in the same order.
    settings : of the computation (sizes, rank and clipped eigenvalues of Θ, label noise, versions, ...).
    """

    tau: FloatArray
    values: dict[str, FloatArray]
    columns: tuple[Column, ...]
    settings: dict[str, Any]

    def __getitem__(self, name: str) -> FloatArray:
        return self.values[name]

    def to_frame(self, units: Units = "nats") -> pd.DataFrame:
        """One row a time; the names of columns with a unit end in it. ``units="bits"`` converts the informations."""
        import pandas as pd

        data: dict[str, FloatArray] = {"tau": self.tau}
        for column in self.columns:
            unit = column.unit.replace("nats", units)
            label = f"{column.name}_{unit.replace('/', '_per_')}" if unit else column.name
            data[label] = to_units(self.values[column.name], units if unit else "nats")
        return pd.DataFrame(data)

    def describe(self) -> pd.DataFrame:
        """One row a column: its unit, kind, assumption, source equation, and the function that gives it."""
        import pandas as pd

        return pd.DataFrame([vars(column) for column in self.columns]).set_index("name")

    def save(self, path: str | Path) -> None:
        """Write an .npz file (arrays, with the settings and the columns' records as JSON inside), atomically."""
        record = json.dumps({"columns": [vars(column) for column in self.columns], "settings": self.settings})
        _io.write_npz(
            path, {"tau": self.tau, "record": np.array(record), **{f"value_{k}": v for k, v in self.values.items()}}
        )

    @classmethod
    def load(cls, path: str | Path) -> InformationCurve:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            if "record" not in file.files:
                raise ValueError(f"{path} is not an information curve: it has no entry 'record'")
            record = json.loads(str(file["record"]))
            columns = tuple(Column(**entry) for entry in record["columns"])
            return cls(file["tau"], {c.name: file[f"value_{c.name}"] for c in columns}, columns, record["settings"])


class _Table:
    """Columns in the making."""

    def __init__(self) -> None:
        self.values: dict[str, FloatArray] = {}
        self.columns: list[Column] = []

    def add(self, name: str, unit: str, function: Callable[..., Any], value: ArrayLike, **changes: str) -> None:
        record: Quantity = replace(function.quantity, **changes)  # type: ignore[attr-defined]
        self.values[name] = np.asarray(value, dtype=np.float64)
        self.columns.append(Column(name, unit, record.kind, record.assumption, record.source, record.name))


def information_curve(
    ensemble: Ensemble,
    taus: ArrayLike,
    *,
    x: Literal["test", "train"] | None = None,
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
    taus : array, shape (T,), of times of the loss ½‖f - Y‖².
    x : the inputs at which the outputs Z are taken, "test" or "train"; by default "test" where the kernels have test
        points. The training points cost 2n³ operations a time.
    y_test : labels at the test points, shape (m,) or (m, k), for losses and I(Z;Y|D). Training errors need none.
    omega : the third kernel on the training points, shape (n, n), of :func:`ntkinfo.chaos_kernels`, for the columns
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

    Raises
    ------
    ValueError: labels that do not match (both shapes are printed), times out of range, a parameter out of range, or an
        `omega` for which :func:`ntkinfo.parameter_kl_infinite_width` has no value.
    """
    times = np.atleast_1d(as_times(taus))
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"taus must be a time or a vector of times, got shape {np.shape(taus)}")
    where = x if x is not None else ("test" if ensemble.n_test else "train")
    if where not in ("test", "train"):
        raise ValueError(f'x must be "test" or "train", got {x!r}')
    labels = _labels(ensemble, where, y_test)
    positive("label_noise", label_noise, zero=True)
    positive("output_noise", output_noise, zero=True)
    positive("weight_noise", weight_noise)
    entropy = _entropy(labels, where, entropy_y)
    table = _Table()
    _parameter_columns(table, ensemble, times, label_noise, weight_noise, omega)
    law, joint = _laws(ensemble, times, where, labels, output_noise, progress)
    prior = _prior(ensemble, where).with_output_noise(output_noise)
    _predictive_columns(table, law, labels, entropy, given=entropy_y is not None)
    _input_columns(table, law, seed)
    table.add("i_zd_upper", "nats", information_data.data_information, information_data.data_information(law, prior))
    if where == "test" and output_noise == 0:
        function = information_data.gaussian_label_information
        value = information_data._gaussian_label_information(ensemble, times, label_noise, law.variance)
        table.add("i_zy_given_x_exact", "nats", function, value)
    for name, (unit, function, value) in joint.items():
        table.add(name, unit, function, value)
    settings = _settings(ensemble, where, times, label_noise, output_noise, weight_noise, entropy_y, seed)
    return InformationCurve(times, table.values, tuple(table.columns), settings)


def _labels(ensemble: Ensemble, where: str, y_test: ArrayLike | None) -> FloatArray | None:
    if where == "train":
        return ensemble.y_train
    ensemble.need_test()
    if y_test is None:
        return None
    labels = as_columns("y_test", y_test, ensemble.n_test, f"{ensemble.n_test} test points")
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
    if _discrete(labels):
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
    table.add("train_square_error", "", predictive.expected_square_error, error)
    table.add(
        "train_gibbs_nll", "nats", predictive.gibbs_nll, 0.5 * error + 0.5 * ensemble.n_outputs * np.log(2 * np.pi)
    )
    table.add("degrees_of_freedom", "", predictive.degrees_of_freedom, predictive.degrees_of_freedom(ensemble, times))
    optimism = predictive.expected_optimism(ensemble, times, label_noise)
    table.add("expected_optimism", "", predictive.expected_optimism, optimism)
    for unit, function in (
        ("nats", p.parameter_kl),
        ("nats", p.parameter_kl_published),
        ("", p.parameter_distance_squared),
        ("", p.fisher_distance_squared),
        ("", p.fisher_action),
        ("", p.path_length_lower),
        ("", p.path_length_upper),
        ("", p.path_length_upper_modes),
    ):
        table.add(function.__name__, unit, function, function(ensemble, times))
    if omega is not None:
        for unit, third in (
            ("nats", chaos.parameter_kl_infinite_width),
            ("nats/tau", chaos.parameter_kl_infinite_width_rate),
        ):
            table.add(third.__name__, unit, third, third(ensemble, times, omega))
    if isinstance(ensemble.learning_rule, p.GradientFlow):
        table.add("parameter_kl_rate", "nats/tau", p.parameter_kl_rate, p.parameter_kl_rate(ensemble, times))
    noisy = p.parameter_kl_weight_noise(ensemble, times, weight_noise)
    table.add("parameter_kl_weight_noise", "nats", p.parameter_kl_weight_noise, noisy)
    labels = p.parameter_label_information(ensemble, times, label_noise)
    table.add("i_theta_y_exact", "nats", p.parameter_label_information, labels)
    table.add("fisher_trace", "", p.fisher_trace, np.full(times.size, p.fisher_trace(ensemble)))
    if ensemble.n_test:
        table.add("fisher_trace_test", "", p.fisher_trace_test, np.full(times.size, p.fisher_trace_test(ensemble)))
    function = information_data.data_information_train
    table.add("i_zd_train_upper", "nats", function, function(ensemble, times))


_Joint = dict[str, tuple[str, Callable[..., Any], FloatArray]]


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
    with _io.progress_bar(times.size, "times", progress) as done:
        for batch, clean in ensemble.laws(times):
            law = clean.with_output_noise(noise) if noise else clean
            mean[batch], variance[batch] = law.mean, law.variance
            kl[batch] = information_data.data_information_joint(law, prior)
            if labels is not None:
                nll[batch] = predictive.bayes_nll_joint(law, labels)
            done(law.mean.shape[0])
    joint: _Joint = {"i_zd_joint_upper": ("nats", information_data.data_information_joint, kl)}
    if labels is not None:
        joint["bayes_nll_joint"] = ("nats", predictive.bayes_nll_joint, nll)
    return Marginals(mean, variance), joint


def _predictive_columns(
    table: _Table, law: Marginals, labels: FloatArray | None, entropy: float | None, *, given: bool
) -> None:
    table.add(
        "output_variance",
        "",
        predictive.expected_square_error,
        law.variance.mean(axis=-1),
        of="Σ_xx, averaged over points",
    )
    if labels is None or entropy is None:
        return
    p = predictive
    table.add("square_error", "", p.expected_square_error, p.expected_square_error(law, labels))
    table.add("ensemble_square_error", "", p.ensemble_square_error, p.ensemble_square_error(law, labels))
    table.add("gibbs_nll", "nats", p.gibbs_nll, p.gibbs_nll(law, labels))
    table.add("bayes_nll", "nats", p.bayes_nll, p.bayes_nll(law, labels))
    if _discrete(labels):
        value = p.label_information_discrete(law, labels, entropy_y=entropy)
        table.add("i_zy_discrete_lower", "nats", p.label_information_discrete, value)
        return
    gaussian = {
        "kind": "estimate",
        "assumption": "H(Y) is replaced by the entropy of a Gaussian: a lower bound where Y is Gaussian",
    }
    changes = {} if given else gaussian
    value = p.label_information_unit_noise(law, labels, entropy)
    table.add("i_zy_unit_noise_lower", "nats", p.label_information_unit_noise, value, **changes)
    if len(labels) >= 4:
        for name, function in (
            ("i_zy_best_noise_lower", p.label_information_best_noise),
            ("i_zy_affine_lower", p.label_information_affine),
        ):
            table.add(name, "nats", function, function(law, labels, entropy, fit="halves"), **changes)


def _discrete(labels: FloatArray) -> bool:
    if labels.shape[1] == 1:
        return bool(np.isin(labels, (-1.0, 1.0)).all())
    return bool(np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all())


def _input_columns(table: _Table, law: Marginals, seed: int) -> None:
    i = information_inputs
    if law.mean.shape[-1] == 1:
        inside, without = i._over_times(law, leave_one_out=True)
        table.add("i_zx_exact", "nats", i.input_information, inside)
        table.add("i_zx_leave_one_out_upper", "nats", i.input_information_leave_one_out, without)
    else:
        lower, upper = i.input_information_infonce, i.input_information_leave_one_out_sampled
        _sampled_columns(table, "i_zx_infonce_lower", lower, lower(law, seed))
        _sampled_columns(table, "i_zx_leave_one_out_upper", upper, upper(law, seed))
    low, high = i.input_information_kolchinsky_tracey_lower, i.input_information_kolchinsky_tracey_upper
    table.add("i_zx_kolchinsky_tracey_lower", "nats", low, low(law))
    table.add("i_zx_kolchinsky_tracey_upper", "nats", high, high(law))


def _sampled_columns(table: _Table, name: str, function: Callable[..., Any], result: tuple[FloatArray, ...]) -> None:
    table.add(name, "nats", function, result[0])
    table.add(f"{name}_standard_error", "nats", function, result[1], kind="estimate")


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


def information_columns(curve: InformationCurve, prefixes: Sequence[str]) -> list[Column]:
    """The columns of a curve in nats whose names start with one of `prefixes`."""
    return [
        c
        for c in curve.columns
        if c.unit == "nats" and c.name.startswith(tuple(prefixes)) and not c.name.endswith("standard_error")
    ]
