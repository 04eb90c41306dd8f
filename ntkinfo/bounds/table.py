"""The generalisation bounds of an ensemble against training time, beside the risks they bound."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import numpy as np

from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Bool, Float, FloatArray
from dualib.core.units import Units, to_units
from ntkinfo.bounds import inequalities
from ntkinfo.bounds.inequalities import Bound, Subject
from ntkinfo.ensemble import Ensemble
from ntkinfo.labels import check_not_classes
from ntkinfo.laws import Marginals
from ntkinfo.quantities import risks
from ntkinfo.quantities.inputs import input_information, input_information_kolchinsky_tracey_upper
from ntkinfo.quantities.parameters import parameter_kl
from ntkinfo.quantities.spectra import is_linear
from ntkinfo.quantities.third_kernel import conditions_of, parameter_kl_infinite_width
from ntkinfo.text import finite_networks, line_width, printed, text_table
from ntkinfo.times import as_times_or_default

if TYPE_CHECKING:
    import pandas as pd

Loss = Literal["clipped_square", "zero_one"]


class ParameterModel(StrEnum):
    """For which network the parameters' KL is exact.

    Examples
    --------
    >>> [model.name for model in ParameterModel]
    ['INFINITE_WIDTH', 'LINEAR', 'LINEARISED']
    """

    INFINITE_WIDTH = "infinite width"
    LINEAR = "linear"
    LINEARISED = "linearised"


_MODEL_SAYS = {
    ParameterModel.INFINITE_WIDTH: "KL of the infinitely wide network, by the third kernel",
    ParameterModel.LINEAR: "KL exact: the network is linear in what it trains",
    ParameterModel.LINEARISED: "KL of the linearised model, which this network is not: no bound for the network itself",
}

_KL_COLUMN = {
    ParameterModel.INFINITE_WIDTH: "parameter_kl_infinite_width",
    ParameterModel.LINEAR: "parameter_kl",
    ParameterModel.LINEARISED: "parameter_kl_linearised",
}


@dataclass(frozen=True, eq=False)
class BoundsTable(Result):
    """Generalisation bounds at each time of training, with the risks beside them.

    Attributes
    ----------
    tau : array, shape (T,)
    train_risk : array, shape (T,)
        Gibbs risk on the training set, in [0, 1].
    test_risk : array, shape (T,), or None
        Gibbs risk on the test points; None without test labels.
    kl : array, shape (T,)
        The parameters' KL(p(θ_τ|D) ‖ p_0) of this one data set in nats, which the bounds use.
    kl_model : ParameterModel
        The network for which that KL is exact.
    bounds : dict of str to tuple of Bound
        Name → one :class:`ntkinfo.bounds.Bound` a time. The name ends in "(linearised KL)" where the KL is not the
        network's own; these are estimates.
    heuristics : dict of str to tuple of Bound
        Name → one a time, of what is no theorem and may lie below the risk.
    loss : {"clipped_square", "zero_one"}
    caveats : tuple of str
        What else is to be known of all of them: kernels that are means over finite networks.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> table = ntkinfo.generalisation_bounds(ensemble, [0.1, 1.0])
    >>> table.train_risk.round(4), len(table.bounds), table.kl_model.name
    (array([0.611 , 0.0366]), 4, 'LINEARISED')
    """

    tau: Float[np.ndarray, " t"]
    train_risk: Float[np.ndarray, " t"]
    test_risk: Float[np.ndarray, " t"] | None
    kl: Float[np.ndarray, " t"]
    kl_model: ParameterModel
    bounds: dict[str, tuple[Bound, ...]]
    heuristics: dict[str, tuple[Bound, ...]]
    loss: Loss
    caveats: tuple[str, ...] = ()

    def _row(self, name: str) -> tuple[Bound, ...]:
        rows = self.bounds | self.heuristics
        if name not in rows:
            raise ValueError(f"there is no bound {name!r}; there are {', '.join(rows)}")
        return rows[name]

    def risk_bound(self, name: str) -> Float[np.ndarray, " t"]:
        """The bound (or heuristic) `name` on the risk: one on the gap is added to the training risk."""
        row = self._row(name)
        values = np.array([b.value for b in row])
        return values if row[0].on is Subject.RISK else values + self.train_risk

    def vacuous(self, name: str) -> Bool[np.ndarray, " t"]:
        """Where the bound `name` says nothing about the risk."""
        found: Bool[np.ndarray, " t"] = np.array([b.vacuous for b in self._row(name)]) | (self.risk_bound(name) >= 1)
        return found

    def kl_column(self, units: Units = "bits") -> str:
        """The name of the KL's column in :meth:`to_frame`."""
        return f"{_KL_COLUMN[self.kl_model]}_{units}"

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a time: risks, the KL in `units`, each bound on the risk, and whether it is vacuous; heuristics last."""
        import pandas as pd

        data: dict[str, ArrayLike] = {"tau": self.tau, "train_risk": self.train_risk}
        if self.test_risk is not None:
            data["test_risk"] = self.test_risk
        data[self.kl_column(units)] = to_units(self.kl, units)
        for name in self.bounds:
            data[_column(name)], data[f"{_column(name)}_vacuous"] = self.risk_bound(name), self.vacuous(name)
        for name in self.heuristics:
            data[f"{_column(name)}_heuristic"] = self.risk_bound(name)
        return pd.DataFrame(data)

    def table(self, units: Units = "bits", width: int | None = None) -> str:
        """A table to print, in lines of `width` characters or of the terminal's: :meth:`to_frame` without the flags."""
        frame = self.to_frame(units)
        return text_table(frame[[name for name in frame.columns if not name.endswith("_vacuous")]], width)

    def __str__(self) -> str:
        return self.table()

    def describe(self, width: int | None = None) -> str:
        """To print: the model of the KL; what each bound bounds, which sort it is, what it assumes, and where it is vacuous."""
        width, says = line_width(width, most=100), _MODEL_SAYS[self.kl_model]
        lines = [f"Parameters' KL, {self.kl_model}: {says}. A bound of 1 or more on a loss in [0, 1] is vacuous."]
        for name, row in (self.bounds | self.heuristics).items():
            estimate = row[0].relation is Relation.ESTIMATE
            what = "estimate of a bound on" if estimate else f"{row[0].relation} on"
            what = "a heuristic, no bound, for" if name in self.heuristics else what
            vacuous = f"vacuous at {int(self.vacuous(name).sum())} of {self.tau.size} times"
            lines.append(f"{name}: {what} the {row[0].on}; {row[0].assumption}; {vacuous}; {printed(row[0].source)}")
        return "\n".join(textwrap.fill(line, width, subsequent_indent="    ") for line in (*lines, *self.caveats))

    def assumptions(self) -> pd.DataFrame:
        """One row a bound or heuristic: what it bounds, what it assumes, its source, and whether it is a bound."""
        import pandas as pd

        keep = [f.name for f in fields(Bound) if f.name not in ("name", "value", "vacuous")]
        rows = {name: {k: getattr(row[0], k) for k in keep} for name, row in (self.bounds | self.heuristics).items()}
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")
        return frame.assign(relation=frame["relation"].map(str))


def _column(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").replace("(", "").replace(")", "").replace(",", "").split())


def generalisation_bounds(
    ensemble: Ensemble,
    taus: ArrayLike | None = None,
    *,
    loss: Loss = "clipped_square",
    y_test: ArrayLike | None = None,
    delta: float = 0.05,
    scale: float = 1.0,
) -> BoundsTable:
    """Compute the bounds that an ensemble's parameter KL gives, at each time, with the risks beside them.

    The PAC-Bayes bounds hold with the KL of the network itself: that of the third kernel Ω of its kernels, or without it where
    the network is linear in what it trains (``mode="nngp"``, or K = Θ). For other networks the KL is the linearised
    one; the names then say so, and the values are estimates. Each holds for one time that is fixed before the sample:
    the least over times is no bound. Xu-Raginsky's holds with the KL averaged over data sets, of which this is one.
    The input-compression value, from I(Z;X|D) of the training inputs, is a heuristic.

    Parameters
    ----------
    ensemble : Ensemble
        Not centred.
    taus : array, shape (T,), or None
        Times; by default :func:`ntkinfo.default_times`. Each costs 2n³ operations, for the variances at the
        training points.
    loss : {"clipped_square", "zero_one"}
        min((y - z)²/scale, 1), or the 0-1 error for labels ±1 or one-hot.
    y_test : array, shape (m,) or (m, k), or None
        Labels at the test points, for the test risk.
    delta : float
        Probability of failure of the PAC-Bayes bounds.
    scale : float
        The scale of the clipped squared error.

    Returns
    -------
    BoundsTable

    Warns
    -----
    ClassLabelWarning
        If the labels are the numbers of three or more classes, 0, 1, 2, ...: they are regressed as numbers.

    Raises
    ------
    ValueError
        If labels are outside the loss's assumption, a parameter is out of range, or the ensemble is centred; before the long
        work.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> table = ntkinfo.generalisation_bounds(ensemble, [0.1])
    >>> bool(table.to_frame()["train_risk"].between(0, 1).all())
    True
    """
    if loss not in ("clipped_square", "zero_one"):
        raise ValueError(f'loss must be "clipped_square" or "zero_one", got {loss!r}')
    if ensemble.centred:
        raise ValueError(
            "a centred ensemble's predictor f(θ) - f(θ_0) is a function of the data alone: its KL to any predictor fixed "
            "in advance is infinite, and no bound of this table says anything. Use centred=False"
        )
    check_not_classes(ensemble.y_train)
    times, n = as_times_or_default(ensemble, taus), ensemble.n_train
    start = Marginals(np.zeros((n, ensemble.n_outputs)), np.ones(n))

    def risk(law: Marginals, y: ArrayLike) -> FloatArray:
        return risks.clipped_square_risk(law, y, scale) if loss == "clipped_square" else risks.zero_one_risk(law, y)

    risk(start, ensemble.y_train)  # refuse labels and parameters before the long work
    if y_test is not None:
        m = ensemble.n_test
        risk(Marginals(np.zeros((m, ensemble.n_outputs)), np.ones(m)), y_test)
    inequalities.mcallester(0.0, 0.0, n, delta)
    kl, model = _parameter_kl(ensemble, times)
    law = ensemble.marginals(times, on="train")
    train = risk(law, ensemble.y_train)
    test = None if y_test is None else risk(ensemble.marginals(times), y_test)
    compressed = input_information(law) if ensemble.n_outputs == 1 else input_information_kolchinsky_tracey_upper(law)
    rows = (
        [inequalities.mcallester(r, d, n, delta) for r, d in zip(train, kl, strict=True)],
        [inequalities.seeger(r, d, n, delta) for r, d in zip(train, kl, strict=True)],
        [inequalities.catoni(r, d, n, delta) for r, d in zip(train, kl, strict=True)],
        [_of_one_data_set(inequalities.xu_raginsky(d, n)) for d in kl],
    )
    named = dict(_with_model(row, model) for row in rows)
    heuristics = {"input compression": tuple(inequalities.input_compression(i, n, delta) for i in compressed)}
    return BoundsTable(
        times, train, test, kl, model, named, heuristics, loss, tuple(finite_networks(ensemble.kernels.settings))
    )


def _parameter_kl(ensemble: Ensemble, times: FloatArray) -> tuple[FloatArray, ParameterModel]:
    if all(conditions_of(ensemble).values()):
        return parameter_kl_infinite_width(ensemble, times), ParameterModel.INFINITE_WIDTH
    return parameter_kl(ensemble, times), linear_or_linearised(ensemble)


def linear_or_linearised(ensemble: Ensemble) -> ParameterModel:
    """Whether the network is linear in what it trains: the last layer only, or K = Θ.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> linear_or_linearised(ensemble).name
    'LINEARISED'
    """
    return ParameterModel.LINEAR if is_linear(ensemble) else ParameterModel.LINEARISED


def _of_one_data_set(bound: Bound) -> Bound:
    """A bound whose information is an average over data sets, fed with that of one: an estimate."""
    says = "its KL is of this one data set, in place of the mean over data sets that the theorem needs"
    return replace(
        bound,
        name=f"{bound.name} (KL of one data set)",
        assumption=f"{bound.assumption}; {says}",
        relation=Relation.ESTIMATE,
    )


def _with_model(row: Sequence[Bound], model: ParameterModel) -> tuple[str, tuple[Bound, ...]]:
    """The row with the KL's model in its assumption, and in its name where the KL is not the network's own."""
    name, relation = row[0].name, row[0].relation
    if model is ParameterModel.LINEARISED:
        name = f"{name[:-1]}, linearised)" if name.endswith(")") else f"{name} (linearised KL)"
        relation = Relation.ESTIMATE
    says = _MODEL_SAYS[model]
    return name, tuple(replace(b, name=name, assumption=f"{b.assumption}; {says}", relation=relation) for b in row)
