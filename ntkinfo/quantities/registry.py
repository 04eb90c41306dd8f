"""What each column of the table against time is: of which variable, for which data sets, with which output noise.

The records of the functions say what a function gives; a column says what that is on the points of one table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from ntkinfo._quantity import Quantity, Relation


class DataSets(StrEnum):
    """For which data sets D a value holds."""

    ONE = "of this data set"
    MEAN = "of this data set; a bound once averaged over data sets"
    LABELS = "averaged over the training labels, given the training inputs"
    ANY = "of every data set with these training inputs"


class Group(StrEnum):
    """Columns that belong together in a table or a panel; each group's informations have one unit."""

    ERRORS = "errors"
    LIKELIHOODS = "likelihoods"
    INPUTS = "inputs"
    LABELS = "labels"
    DATA = "data"
    PARAMETERS = "parameters"
    RATES = "rates"
    PATHS = "paths"


TITLES = {
    Group.ERRORS: "errors",
    Group.LIKELIHOODS: "negative log likelihood per point",
    Group.INPUTS: "about the inputs: I(Z;X|D)",
    Group.LABELS: "about the labels: I(Z;Y|D)",
    Group.DATA: "about the training data: I(z;D|x), I(z;Y|X,x)",
    Group.PARAMETERS: "in the parameters: I(θ;D), I(θ;Y|X)",
    Group.RATES: "rates in time",
    Group.PATHS: "distances and paths",
}


class Meaning(NamedTuple):
    """What a column means, before the points and the noise of a table are known."""

    symbol: str
    group: Group
    unit: str
    of: str
    data_sets: DataSets
    on_outputs: bool


def _outputs(group: Group, unit: str, symbol: str, of: str, data_sets: DataSets = DataSets.ONE) -> Meaning:
    return Meaning(symbol, group, unit, of, data_sets, True)


def _training(group: Group, unit: str, symbol: str, of: str, data_sets: DataSets = DataSets.ONE) -> Meaning:
    return Meaning(symbol, group, unit, of, data_sets, False)


_E, _L, _X, _Y = Group.ERRORS, Group.LIKELIHOODS, Group.INPUTS, Group.LABELS
_D, _P, _R, _S = Group.DATA, Group.PARAMETERS, Group.RATES, Group.PATHS
_ONE, _MEAN, _OVER_LABELS, _ANY = DataSets.ONE, DataSets.MEAN, DataSets.LABELS, DataSets.ANY

_ON_POINTS = "I(Z;X|D) of X uniform on {points}"
_POPULATION = "I(Z;X|D) of the population of x that {points} are drawn from"
_RELEVANCE = "I(Z;Y|D) of the population of (x, y), in expectation over {points}"
_KL = "I(θ;D), by KL(p(θ|D) ‖ p(θ at the start))"

MEANINGS: dict[str, Meaning] = {
    "train_square_error": _training(_E, "", "training, one network", "E‖y - z‖² per training point, of one network"),
    "square_error": _outputs(_E, "", "one network", "E‖y - z‖² per point, mean over {points}, of one network"),
    "ensemble_square_error": _outputs(
        _E, "", "ensemble mean", "‖y - E z‖² per point, mean over {points}, of the ensemble's mean"
    ),
    "output_variance": _outputs(_E, "", "Σ_xx", "variance of an output, mean over {points}", _ANY),
    "expected_optimism": _training(
        _E, "", "optimism", "E[error on fresh labels - training error] per training point", _OVER_LABELS
    ),
    "degrees_of_freedom": _training(_E, "", "Tr ΘA", "effective degrees of freedom Tr ΘA", _ANY),
    "train_gibbs_nll": _training(_L, "nats", "training, one network", "-E log N(y; z, 1) per training point"),
    "gibbs_nll": _outputs(_L, "nats", "one network", "-E log N(y; z, 1) per point, mean over {points}"),
    "bayes_nll": _outputs(_L, "nats", "ensemble", "-log N(y; μ, 1 + Σ_xx) per point, mean over {points}"),
    "bayes_nll_joint": _outputs(_L, "nats", "ensemble, joint", "-log N(Y; μ, I + Σ) of {points} jointly, per point"),
    "i_zx_exact": _outputs(_X, "nats", "N points", _ON_POINTS),
    "i_zx_leave_one_out_upper": _outputs(_X, "nats", "population", _POPULATION),
    "i_zx_infonce_lower": _outputs(_X, "nats", "population, InfoNCE", _POPULATION),
    "i_zx_kolchinsky_tracey_lower": _outputs(_X, "nats", "N points, pairwise", _ON_POINTS),
    "i_zx_kolchinsky_tracey_upper": _outputs(
        _X, "nats", "N points only, pairwise", _ON_POINTS + " only; it bounds nothing of their population"
    ),
    "i_zy_unit_noise_lower": _outputs(_Y, "nats", "decoder N(z, 1)", _RELEVANCE),
    "i_zy_best_noise_lower": _outputs(_Y, "nats", "decoder N(z, s²)", _RELEVANCE),
    "i_zy_affine_lower": _outputs(_Y, "nats", "affine decoder", _RELEVANCE),
    "i_zy_discrete_lower": _outputs(_Y, "nats", "decoder over the classes", _RELEVANCE),
    "i_zd_upper": _outputs(_D, "nats", "I(z;D|x) per point", "I(z;D|x) of single points, mean over {points}", _MEAN),
    "i_zd_joint_upper": _outputs(_D, "nats", "I(z;D|X), joint", "I(z;D|X) of the outputs at {points} jointly", _MEAN),
    "i_zd_train_upper": _training(
        _D, "nats", "I(z;D|X), training", "I(z;D|X) of the outputs at all training points jointly", _MEAN
    ),
    "i_zy_given_x_exact": _outputs(
        _D,
        "nats",
        "I(z;Y|X,x) per point",
        "I(z;Y|X,x) of single points and the training labels Y, mean over {points}",
        _OVER_LABELS,
    ),
    "parameter_kl": _training(_P, "nats", "KL, linearised", _KL + ", linearised", _MEAN),
    "parameter_kl_published": _training(_P, "nats", "KL, as published", _KL + ", as published", _MEAN),
    "parameter_kl_infinite_width": _training(_P, "nats", "KL, infinite width", _KL + " at infinite width", _MEAN),
    "parameter_kl_weight_noise": _training(_P, "nats", "KL, noisy weights", "I(θ + noise;D), by its KL", _MEAN),
    "i_theta_y_exact": _training(
        _P, "nats", "I(θ;Y|X)", "I(θ;Y|X) of the parameters and the training labels Y", _OVER_LABELS
    ),
    "parameter_kl_rate": _training(_R, "nats/tau", "dKL/dτ, linearised", "time derivative of parameter_kl"),
    "parameter_kl_infinite_width_rate": _training(
        _R, "nats/tau", "dKL/dτ, infinite width", "time derivative of parameter_kl_infinite_width"
    ),
    "parameter_distance_squared": _training(_S, "", "E‖θ - θ₀‖²", "E‖θ_τ - θ_0‖²"),
    "fisher_distance_squared": _training(_S, "", "E‖z - z₀‖²", "E‖z_τ - z_0‖² at all training points"),
    "fisher_action": _training(_S, "", "action", "∫ E‖dz/ds‖² ds at all training points"),
    "path_length_lower": _training(_S, "", "path length", "E of the path length ∫ ‖dz/ds‖ ds"),
    "path_length_upper": _training(_S, "", "path length, by speed", "E of the path length ∫ ‖dz/ds‖ ds"),
    "path_length_upper_modes": _training(_S, "", "path length, by modes", "E of the path length ∫ ‖dz/ds‖ ds"),
    "fisher_trace": _training(_S, "", "Tr F, training", "trace of the Fisher information at the training points", _ANY),
    "fisher_trace_test": _training(_S, "", "Tr F, test", "trace of the Fisher information at the test points", _ANY),
}
"""The one list of columns; a column's standard error has the meaning of the column."""

MAIN = (
    "train_square_error",
    "square_error",
    "i_zx_exact",
    "i_zx_infonce_lower",
    "i_zy_affine_lower",
    "i_zy_discrete_lower",
    "i_zd_upper",
    "parameter_kl_infinite_width",
    "parameter_kl",
    "i_theta_y_exact",
)
"""The columns of the compact view, where they exist; the linearised KL gives way to that of infinite width."""


@dataclass(frozen=True)
class Column(Quantity):
    """What one column of an :class:`ntkinfo.InformationCurve` is: a quantity's record, and where it was taken.

    Attributes
    ----------
    name : without its unit.
    symbol, unit, relation, of, assumption, source : as of :class:`ntkinfo.Quantity`.
    function : the function of this package that gave it.
    group : which columns it belongs with.
    data_sets : for which data sets D it holds.
    output_noise : variance of the noise added to each output, or None for what is no function of noisy outputs.
    """

    function: str
    group: Group
    data_sets: DataSets
    output_noise: float | None

    @property
    def legend(self) -> str:
        """The symbol, which sort of bound it is, and the output noise where there is some."""
        noise = f", output noise {self.output_noise:g}" if self.output_noise else ""
        return f"{self.symbol} ({self.relation}{noise})"


Where = Literal["test", "train"]

STANDARD_ERROR = "_standard_error"


def make_column(
    name: str, function: Callable[..., Any], where: Where, n_points: int, output_noise: float, linear: bool
) -> Column:
    """The record of a column on `n_points` "test" or "train" points; `linear`: the network is linear in its parameters."""
    record: Quantity = function.quantity  # type: ignore[attr-defined]
    stem = name.removesuffix(STANDARD_ERROR)
    meaning = MEANINGS[stem]
    points = f"the {n_points} {'test' if where == 'test' else 'training'} points"
    relation, assumption, of = record.relation, record.assumption, meaning.of.format(points=points)
    data_sets = meaning.data_sets
    if meaning.data_sets is DataSets.MEAN and relation is Relation.UPPER:
        relation = Relation.UPPER_IN_EXPECTATION
    if where == "train" and (stem.startswith("i_zy") or "population" in meaning.symbol):
        relation = Relation.ESTIMATE
        assumption += "; D was drawn with these points, which are no fresh draws given D: no bound for the population"
    if meaning.group is Group.PARAMETERS and stem != "parameter_kl_infinite_width" and not linear:
        relation = Relation.ESTIMATE
        data_sets = DataSets.ONE if data_sets is DataSets.MEAN else data_sets
        assumption += "; this network is not linear in its parameters (K ≠ Θ): no bound for the network itself"
    if name != stem:
        relation, of = Relation.ESTIMATE, f"standard error of {stem}, over its samples"
    return Column(
        name,
        meaning.symbol,
        meaning.unit,
        relation,
        of,
        assumption,
        record.source,
        record.name,
        meaning.group,
        data_sets,
        output_noise if meaning.on_outputs else None,
    )
