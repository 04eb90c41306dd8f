r"""What a variational fit is worth on fresh patterns: three rates, label information, accuracy and calibration.

.. math:: \underbrace{E \log\frac{e(z|x)}{\frac1n\sum_j e(z|x_j)}}_{\text{lower: } x_j \text{ all evaluated patterns}} \le I(X;Z)
          \le \underbrace{E\log\frac{e(z|x)}{\frac1N\sum_j e(z|x_j)}}_{\text{mixture: } x_j \text{ the training patterns}},\;
          \underbrace{E_x D(e\|m)}_{\text{bound}}

in expectation over the patterns. The lower one is InfoNCE with the pattern itself in the mean, at most log n
([poole2019]_). Label information is I(Z;Y) ≥ H(Y) − E[−log d(y|z)] of the decoder at a single z; the mean of d over z is another
predictor, of X, which at a low rate is underconfident by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from deepnets.backend import jnp
from deepnets.tasks import as_labels
from deepnets.variational.calibration import Scores, scores_of, tempered
from deepnets.variational.excess import log_densities
from deepnets.variational.families import DTYPE, components, log_decoder, normal_code
from deepnets.variational.fitted import Fitted
from deepnets.variational.label_models import undo_link
from deepnets.variational.objectives import RateTerm
from dualib.core.arrays import finite_array
from dualib.core.estimate import Estimates, Kind
from dualib.core.progress import counted
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray, Int, IntArray
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd

RATE_DRAWS, DRAWS = 4, 16  # of z a pattern: for rates, and for predictions
CHUNK = 1 << 21  # densities at a time


@dataclass(frozen=True, eq=False)
class Readings(Result):
    """One predictor's scores as it is, after one temperature, after its labels' link is undone, and after both.

    The temperature is fitted on one half of the patterns and applied to the other. Without a model of label noise there is no
    link, and the last two are the first two.
    """

    raw: Scores
    tempered: Scores
    unlinked: Scores
    unlinked_tempered: Scores


@dataclass(frozen=True, eq=False)
class Evaluation(Result):
    """A fit's rates, label information and scores on fresh patterns, at S seeds and B values of β; nats.

    Attributes
    ----------
    name : str
        Of the objective.
    betas : array, shape (B,)
    rate_bound, rate_mixture, rate_lower : arrays, shape (S, B)
        D(e ‖ m); the training mixture as marginal; InfoNCE, at most log n. For the conditional rate m is the mean of b(·|y)
        over y, for the pairwise one the first is its bound by the pairwise distances to the training patterns.
    entropy_y : float
        H(Y) of the law, from which label information is counted.
    single, average : Readings
        The decoder at one z, and its mean over :data:`DRAWS` of them.
    n : int
        How many patterns a seed was evaluated on.

    Examples
    --------
    >>> found = deepnets.variational.fit_variational(VIB(), task, betas=[1.0, 10.0])  # doctest: +SKIP
    >>> evaluation = found.evaluate()  # doctest: +SKIP
    >>> evaluation.rate_mixture  # doctest: +SKIP
    """

    name: str
    betas: Float[np.ndarray, " n_betas"]
    rate_bound: Float[np.ndarray, "n_seeds n_betas"]
    rate_mixture: Float[np.ndarray, "n_seeds n_betas"]
    rate_lower: Float[np.ndarray, "n_seeds n_betas"]
    entropy_y: float
    single: Readings
    average: Readings
    n: int

    @property
    def rate(self) -> Estimates:
        """I(X;Z): the tighter upper bound, and the interval from the lower to it. The bounds hold in expectation."""
        high = np.minimum(self.rate_bound, self.rate_mixture)
        low = np.minimum(np.maximum(self.rate_lower, 0.0), high)
        return Estimates(high, low, high, Kind.HEURISTIC, n=self.n, method="upper bound, and InfoNCE from below")

    @property
    def relevance(self) -> Float[np.ndarray, "n_seeds n_betas"]:
        """H(Y) − E[−log d(y|z)], a lower bound of I(Z;Y) in expectation, of the decoder as it is."""
        return self.entropy_y - self.single.raw.nll

    def quantities(self) -> dict[str, tuple[FloatArray, bool]]:
        """Every score by name, shape (S, B), and whether it is an information in nats."""
        found = {
            "rate_bound": (self.rate_bound, True),
            "rate_mixture": (self.rate_mixture, True),
            "rate_lower": (self.rate_lower, True),
            "relevance": (self.relevance, True),
        }
        for predictor in ("single", "average"):
            for reading in ("raw", "tempered", "unlinked", "unlinked_tempered"):
                scores = getattr(getattr(self, predictor), reading)
                ending = "" if reading == "raw" else f"_{reading}"
                found[f"nll_{predictor}{ending}"] = (scores.nll, True)
                found[f"ece_{predictor}{ending}"] = (scores.ece, False)
                if reading == "raw":
                    found[f"accuracy_{predictor}"] = (scores.accuracy, False)
        return found

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a seed and β; the unit is part of an information's column."""
        import pandas as pd

        s, i = np.indices(self.rate_bound.shape).reshape(2, -1)
        data: dict[str, np.ndarray] = {"beta": self.betas[i], "seed": s}
        for name, (values, information) in self.quantities().items():
            column, shown = (f"{name}_{units}", to_units(values, units)) if information else (name, values)
            data[column] = shown.ravel()
        return pd.DataFrame(data)


def evaluation_of(
    fit: Fitted, x: ArrayLike | None = None, y: ArrayLike | None = None, *, progress: bool | None = None
) -> Evaluation:
    """Evaluate every seed and β.

    Parameters
    ----------
    fit : Fitted
        Of a task.
    x, y : arrays, shapes (n, d) and (n,), or None
        Patterns and labels; None for those that each seed was not trained on.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Raises
    ------
    ValueError
        If the fit is of tables, which know no fresh patterns, x and y do not fit, or all patterns were trained on.
    """
    patterns = fit.patterns
    if patterns.x is None:
        raise ValueError("a fit of tables knows no fresh patterns: judge it by fit.gap(joint)")
    if (x is None) != (y is None):
        raise ValueError("give both x and y, or neither for the patterns that were not trained on")
    if x is None and fit.trained.shape[1] == patterns.n:
        raise ValueError("all patterns were trained on: give fresh x and y, or fit with a smaller train_fraction")
    fresh = None if x is None or y is None else _checked(x, y, patterns.x.shape[1], patterns.n_classes)
    cells = [(s, i) for s in range(fit.n_seeds) for i in range(len(fit.betas))]
    rates, readings = [], []
    for s, i in counted(cells, "evaluation", progress):
        chosen = fit.held_out(s)
        data = (patterns.x[chosen], patterns.labels()[chosen]) if fresh is None else fresh
        of_cell, log_d = _drawn(fit, s, i, data[0])
        rates.append(of_cell)
        link = None if fit.log_confusion is None else fit.log_confusion[s]
        readings.append(_read(log_d, data[1], link, fit.settings.seed))
    shape = (fit.n_seeds, len(fit.betas))
    bound, mixture, lower = np.array(rates).T.reshape(3, *shape)
    single, average = (
        Readings(*(Scores.stacked([r[predictor][j] for r in readings], shape) for j in range(4)))
        for predictor in (0, 1)
    )
    n = patterns.n - fit.trained.shape[1] if fresh is None else len(fresh[1])
    return Evaluation(str(fit.objective), fit.betas, bound, mixture, lower, patterns.entropy_y, single, average, n)


def _checked(x: ArrayLike, y: ArrayLike, dim: int, n_classes: int) -> tuple[FloatArray, IntArray]:
    array = finite_array(x, "x")
    if array.ndim != 2 or array.shape[1] != dim:
        raise ValueError(f"x has shape {array.shape}, but the fit's patterns ask for (n, {dim})")
    return array, as_labels(y, len(array), n_classes)


def _drawn(fit: Fitted, seed: int, i: int, x: FloatArray) -> tuple[list[float], FloatArray]:
    """The three rates, and log d(y|z) at draws of z, shape (draws, n, k)."""
    assert fit.patterns.x is not None
    params = fit.parameters(seed, i)
    code, trained = (
        tuple(np.asarray(a, dtype=np.float64) for a in normal_code(params, jnp.asarray(inputs, DTYPE)))
        for inputs in (x, fit.patterns.x[fit.trained[seed]])
    )
    mean, std = code
    noise = np.random.default_rng([fit.settings.seed, seed]).standard_normal((DRAWS, *mean.shape))
    z = mean + std * noise
    log_d = np.asarray(log_decoder(params, jnp.asarray(z, DTYPE)), dtype=np.float64)
    few = z[:RATE_DRAWS].reshape(-1, mean.shape[1])
    log_e = (-0.5 * noise[:RATE_DRAWS] ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=2).ravel()
    mixture = log_e.mean() - _mean_log_mixture(few, *trained)
    lower = log_e.mean() - _mean_log_mixture(few, mean, std)
    if fit.objective.rate is RateTerm.PAIRWISE:
        bound = _pairwise_bound(mean, std, *trained)
    else:
        means, stds, log_weights = (np.asarray(a, dtype=np.float64) for a in components(params, fit.settings))
        if fit.objective.rate is RateTerm.CONDITIONAL:
            log_weights = np.log(fit.patterns.p_x @ fit.patterns.p_y_given_x)
        if len(means) == 1:
            ratio = (std / stds) ** 2
            bound = float(0.5 * (ratio - 1.0 - np.log(ratio) + ((mean - means) / stds) ** 2).sum(axis=1).mean())
        else:
            bound = log_e.mean() - float(logsumexp(log_densities(few, means, stds) + log_weights, axis=1).mean())
    return [bound, mixture, lower], log_d


def _mean_log_mixture(z: FloatArray, mean: FloatArray, std: FloatArray) -> float:
    """The mean over z of the log of the mean density of N(mean, std²)."""
    size, total = max(1, CHUNK // len(mean)), 0.0
    for start in range(0, len(z), size):
        table = log_densities(z[start : start + size], mean, std)
        largest = table.max(axis=1)
        total += float((largest + np.log(np.exp(table - largest[:, None]).mean(axis=1))).sum())
    return total / len(z)


def _pairwise_bound(mean: FloatArray, std: FloatArray, to_mean: FloatArray, to_std: FloatArray) -> float:
    """Minus the mean log of the mean exp(−D(e_x ‖ e_j)) over the training patterns j: above the rate of the mixture."""
    # D(e_x ‖ e_j) is minus the log density of N(μ_j, σ_j²) at μ_x, with σ_x²/2σ_j² more, less the entropy of e_x.
    table = log_densities(mean, to_mean, to_std) - 0.5 * (std**2) @ (to_std**-2.0).T
    entropy = (np.log(std) + 0.5 * np.log(2 * np.pi) + 0.5).sum(axis=1)
    return float(-(logsumexp(table, axis=1) + entropy - np.log(len(to_mean))).mean())


def _read(
    log_d: Float[np.ndarray, "draws n k"], y: Int[np.ndarray, " n"], log_confusion: FloatArray | None, seed: int
) -> tuple[list[Scores], list[Scores]]:
    """Of the single and of the averaged predictor the scores of each of the :class:`Readings`."""
    half = np.random.default_rng([seed, len(y)]).permutation(len(y)) % 2
    unlinked = log_d if log_confusion is None else np.log(undo_link(log_d, log_confusion))
    found = []
    for averaged in (False, True):
        scores = []
        for log_p in (log_d, unlinked):
            log_q = logsumexp(log_p, axis=0) - np.log(len(log_p)) if averaged else log_p
            scores += [scores_of(log_q, y), scores_of(tempered(log_q, y, half), y)]
        found.append(scores)
    return found[0], found[1]
