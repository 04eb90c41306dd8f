"""The gap of a variational fit to the proven optimum of its bottleneck: the parts of :mod:`~.excess` with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import dualib
from deepnets.variational.excess import pairwise_rate, parts_at, points_of
from deepnets.variational.fitted import Fitted
from deepnets.variational.objectives import RateTerm
from dualib.core import statistics
from dualib.core.estimate import Estimate, Estimates, Kind
from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.typing import Float
from dualib.core.units import Unit, Units, to_units
from dualib.joint import Joint
from dualib.solvers.options import Certify

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-12  # of a nat, in relation to 1 + β times the largest distortion


@dataclass(frozen=True, eq=False)
class Gap(Result):
    """The excess of an objective over the proven optimum in three parts, at S seeds and B values of β; nats.

    Attributes
    ----------
    name : str
        Of the objective.
    betas : array, shape (B,)
        Of the objective.
    marginal, decoder, encoder : Estimates, shape (S, B)
        Each at least 0. Of a categorical code they are sums, and the intervals hold rounding and the proven interval of F; of a
        normal code they are means over points z, with the interval of randomised quasi-Monte Carlo.
    total : Estimates, shape (S, B)
        L − F, their sum.
    optimum_low, optimum_high : array, shape (B,)
        The proven interval of F(β).
    rate, relevance : array, shape (S, B)
        I(X;Z) and I(Z;Y) of the encoder, with the Bayes decoder.

    Examples
    --------
    >>> gap = found.gap()  # doctest: +SKIP
    >>> gap.total.value, gap.marginal.value  # doctest: +SKIP
    """

    name: str
    betas: Float[np.ndarray, " n_betas"]
    marginal: Estimates
    decoder: Estimates
    encoder: Estimates
    total: Estimates
    optimum_low: Float[np.ndarray, " n_betas"]
    optimum_high: Float[np.ndarray, " n_betas"]
    rate: Float[np.ndarray, "n_seeds n_betas"]
    relevance: Float[np.ndarray, "n_seeds n_betas"]

    def parts(self) -> dict[str, Estimates]:
        """The three parts by name."""
        return {"marginal": self.marginal, "decoder": self.decoder, "encoder": self.encoder}

    def best(self) -> list[Estimate]:
        """The smallest total of all seeds at each β: starts matter, the dual's most of all."""
        return [self.total[int(s), i] for i, s in enumerate(self.total.value.argmin(axis=0))]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a seed and β; the unit is part of the column's name."""
        import pandas as pd

        s, i = np.indices(self.rate.shape).reshape(2, -1)
        data: dict[str, np.ndarray] = {"beta": self.betas[i], "seed": s}
        for name, values in {**self.parts(), "total": self.total}.items():
            shown = values.shown_in(units)
            for part, array in (("", shown.value), ("_low", shown.low), ("_high", shown.high)):
                data[f"{name}_gap{part}_{units}"] = array.ravel()
        for name, array in (("rate", self.rate), ("relevance", self.relevance)):
            data[f"{name}_{units}"] = to_units(array, units).ravel()
        return pd.DataFrame(data)

    def describe(self, units: Units = "bits") -> str:
        """One line a β: the best seed's total, and the medians of the parts."""
        lines = [f"{self.name}: L − F at the best of {len(self.rate)} seeds, and medians of its parts [{units}]"]
        for i, (beta, best) in enumerate(zip(self.betas, self.best(), strict=True)):
            medians = ", ".join(
                f"{name} {float(np.median(part.shown_in(units).value[:, i])):.4f}"
                for name, part in self.parts().items()
            )
            lines.append(f"  β = {beta:g}: {best.shown_in(units)}; {medians}")
        return "\n".join(lines)


def gap_of(
    fit: Fitted, joint: Joint | None = None, *, certify: bool | Certify = True, progress: bool | None = None
) -> Gap:
    """The gap of every fit to the proven optimum.

    Parameters
    ----------
    fit : Fitted
    joint : Joint or None
        The law to judge under, of the fit's patterns or merged rows in their order; None for their own. Fits to a p̃ other than
        p(y|x) are judged as they are.
    certify : bool or Certify
        As in :func:`dualib.solve`. Where the proof falls short of its tolerance the encoder's interval is as wide as F's.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Raises
    ------
    ValueError
        If the joint has other rows than the fit, or a p(y|x) of 0 meets the dual.
    """
    law = fit.patterns.joint if joint is None else joint
    if joint is not None and law.n_x != fit.patterns.n:
        law = joint.merge_equal_rows().joint
    if law.p_xy.shape != fit.patterns.p_y_given_x.shape:
        raise ValueError(
            f"the joint has {law.n_x} rows and {law.n_y} labels, but the fit {fit.patterns.p_y_given_x.shape}: judge a fit "
            "under a law of its own patterns"
        )
    objective, problem = fit.objective, fit.objective.problem(law)
    cells = [(s, i) for s in range(fit.n_seeds) for i in range(len(fit.betas))]
    optima = [
        dualib.solve(problem, float(b) + objective.shift, certify=certify)
        for b in counted(fit.betas, "proven optima", progress)
    ]
    found: dict[str, list[Estimate]] = {name: [] for name in ("marginal", "decoder", "encoder", "total")}
    planes = []
    largest = float(np.max(problem.distortion(problem.p_y_given_x), initial=0.0))
    for s, i in counted(cells, "gaps", progress):
        beta, optimum = float(fit.betas[i]), optima[i]
        drawn = [parts_at(problem, beta, points, objective.shift) for points in points_of(fit, s, i, law)]
        if objective.rate is RateTerm.PAIRWISE:
            pairwise = pairwise_rate(fit, s, i, law)
            drawn = [p._replace(marginal=pairwise - p.rate) for p in drawn]
        rounding = ROUNDING * (1.0 + (beta + objective.shift) * largest)
        ends = (optimum.lower_bound, optimum.objective)
        for name, values, between in (
            ("marginal", [p.marginal for p in drawn], (0.0, 0.0)),
            ("decoder", [p.decoder for p in drawn], (0.0, 0.0)),
            ("encoder", [p.code for p in drawn], ends),
            ("total", [p.marginal + p.decoder + p.code for p in drawn], ends),
        ):
            found[name].append(_above(values, between, rounding))
        planes.append([np.mean([p.rate for p in drawn]), np.mean([p.relevance for p in drawn])])
    shape = (fit.n_seeds, len(fit.betas))
    rate, relevance = np.array(planes).T.reshape(2, *shape)
    return Gap(
        name=str(objective),
        betas=fit.betas,
        **{name: Estimates.of(values, shape) for name, values in found.items()},
        optimum_low=np.array([o.lower_bound for o in optima]),
        optimum_high=np.array([o.objective for o in optima]),
        rate=rate,
        relevance=relevance,
    )


def _above(values: list[float], optimum: tuple[float, float], rounding: float) -> Estimate:
    """How far a number, by independent estimates of it, is above one that lies between the ends of `optimum`; at least 0."""
    low, high = optimum
    if len(values) == 1:
        interval = (values[0] - high - rounding, values[0] - low + rounding)
        kind, level, n, method = Kind.NUMERICAL, None, 1, "sum over the states"
        middle = values[0] - high
    else:
        mean = statistics.mean(values, Unit.NATS)
        interval = (mean.low - high - rounding, mean.high - low + rounding)
        kind, level, n, method = Kind.STATISTICAL, mean.level, mean.n, "randomised quasi-Monte Carlo"
        middle = mean.value - high
    ends = (max(interval[0], 0.0), max(interval[1], 0.0))
    return Estimate.within(middle, ends, kind, Unit.NATS, level=level, n=n, method=method)
