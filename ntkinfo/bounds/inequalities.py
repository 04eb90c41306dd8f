r"""Generalisation bounds. Each result says what it bounds, what it assumes, and whether it is vacuous.

Squared error is unbounded, so the bounds for losses in [0, 1] are applied to the clipped squared error or to the 0-1
error, whose means under the Gaussian law of an ensemble :mod:`ntkinfo.quantities.risks` has. Informations are in nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from dualib.core.arrays import positive, whole
from dualib.core.quantity import Relation
from dualib.core.result import Result
from dualib.core.special import EPS, log1p_gap
from dualib.core.typing import ArrayLike


class Subject(StrEnum):
    """What a bound is on.

    Examples
    --------
    >>> print(Subject.RISK, "/", Subject.GAP)
    risk / generalisation gap
    """

    RISK = "risk"
    """The population risk."""
    GAP = "generalisation gap"
    """The population risk minus the empirical risk, in absolute value."""


@dataclass(frozen=True)
class Bound(Result):
    """One bound.

    Attributes
    ----------
    name : str
    value : float
        The bound; +inf is possible.
    on : Subject
    assumption : str
        What it needs.
    vacuous : bool
        Whether it says no more than that the loss lies in [0, 1] (value of 1 or more).
    source : str
        A key of the references.
    relation : Relation
        An upper bound with the stated probability, an upper bound in expectation, or an estimate: what is no theorem, or is
        fed with a number that is none.

    Examples
    --------
    >>> bound = mcallester(0.1, 2.0, 1000)
    >>> bound.name, bound.vacuous, bound.on.name
    ('McAllester', False, 'RISK')
    """

    name: str
    value: float
    on: Subject
    assumption: str
    vacuous: bool
    source: str
    relation: Relation = Relation.UPPER


def _bound(
    name: str,
    value: float,
    on: Subject,
    assumption: str,
    source: str,
    trivial: float = 1.0,
    relation: Relation = Relation.UPPER,
) -> Bound:
    return Bound(name, float(value), on, assumption, bool(value >= trivial), source, relation)


def _confidence(delta: float) -> float:
    if not 0 < delta < 1:
        raise ValueError(f"delta is the probability of failure and must be strictly between 0 and 1, got {delta!r}")
    return float(delta)


def _information(value: float, name: str) -> float:
    if np.isnan(value) or value < 0:
        raise ValueError(f"{name} is an information in nats and must be >= 0, got {value!r}")
    return float(value)


def _risk(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(
            f"the empirical risk must lie in [0, 1], as the loss does, got {value!r}: clip the loss or use the 0-1 error"
        )
    return float(value)


def xu_raginsky(information: float, n: int, *, sigma: float = 0.5) -> Bound:
    r"""Expected generalisation gap from the information I(W;S) between weights and sample.

    .. math:: |E\,\mathrm{gen}| \le \sqrt{2\sigma^2 I(W;S)/n}

    Parameters
    ----------
    information : float
        I(W;S) in nats, or an upper bound on it.
    n : int
        Sample size.
    sigma : float
        Sub-Gaussian parameter of the loss; a loss in [0, 1] has ½.

    References
    ----------
    [xu2017]_ theorem 1

    Examples
    --------
    >>> round(xu_raginsky(2.0, 1000).value, 6)
    0.031623
    """
    value = np.sqrt(
        2
        * positive(sigma, "sigma") ** 2
        * _information(information, "information")
        / whole(n, "n, the sample size,", 1)
    )
    assumption = f"loss is {sigma:g}-sub-Gaussian; independent samples; in expectation over S and W"
    return _bound(
        "Xu-Raginsky",
        value,
        Subject.GAP,
        assumption,
        "[xu2017]_ theorem 1",
        trivial=2 * sigma,
        relation=Relation.UPPER_IN_EXPECTATION,
    )


def bu(informations: ArrayLike, *, sigma: float = 0.5) -> Bound:
    r"""Expected generalisation gap from the information I(W;Z_i) about each single sample; never worse than
    :func:`xu_raginsky`.

    .. math:: |E\,\mathrm{gen}| \le \frac1n \sum_i \sqrt{2\sigma^2 I(W;Z_i)}

    References
    ----------
    [bu2020]_ proposition 1

    Examples
    --------
    >>> round(bu([0.02, 0.08]).value, 6)  # ½ E √(2I)
    0.15
    """
    values = np.asarray(informations, dtype=np.float64).ravel()
    if values.size == 0 or np.isnan(values).any() or (values < 0).any():
        raise ValueError("informations must be one information >= 0 in nats for each sample")
    value = np.sqrt(2 * positive(sigma, "sigma") ** 2 * values).mean()
    assumption = f"loss is {sigma:g}-sub-Gaussian; independent samples; in expectation over S and W"
    return _bound(
        "Bu-Zou-Veeravalli",
        value,
        Subject.GAP,
        assumption,
        "[bu2020]_ proposition 1",
        trivial=2 * sigma,
        relation=Relation.UPPER_IN_EXPECTATION,
    )


def conditional_mutual_information(cmi: float, n: int) -> Bound:
    r"""Expected generalisation gap from the conditional mutual information of a supersample; CMI ≤ n log 2.

    .. math:: |E\,\mathrm{gen}| \le \sqrt{2\,\mathrm{CMI}/n}

    References
    ----------
    [steinke2020]_ theorem 2

    Examples
    --------
    >>> round(conditional_mutual_information(5.0, 1000).value, 6)  # √(2 · 5/1000)
    0.1
    """
    size, value = whole(n, "n, the sample size,", 1), _information(cmi, "cmi")
    if value > size * np.log(2) * (1 + 1e-12):
        raise ValueError(f"CMI is at most n log 2 = {size * np.log(2):.6g} nats, got {value:.6g}")
    assumption = "loss in [0, 1]; in expectation over the supersample and W"
    return _bound(
        "Steinke-Zakynthinou",
        np.sqrt(2 * value / size),
        Subject.GAP,
        assumption,
        "[steinke2020]_ theorem 2",
        relation=Relation.UPPER_IN_EXPECTATION,
    )


def mcallester(risk: float, kl: float, n: int, delta: float = 0.05) -> Bound:
    r"""PAC-Bayes bound on the Gibbs risk, in McAllester's form with Maurer's constant.

    .. math:: L \le \hat L + \sqrt{\frac{\mathrm{KL} + \log(2\sqrt n/\delta)}{2n}}

    References
    ----------
    [mcallester1999]_, [maurer2004]_

    Examples
    --------
    >>> round(mcallester(0.1, 2.0, 1000).value, 6)
    0.167612
    """
    size = whole(n, "n, the sample size,", 1)
    value = _risk(risk) + np.sqrt(_complexity(kl, size, delta) / (2 * size))
    return _bound("McAllester", value, Subject.RISK, _pac(delta), "[mcallester1999]_, [maurer2004]_")


def seeger(risk: float, kl: float, n: int, delta: float = 0.05) -> Bound:
    r"""PAC-Bayes-kl bound on the Gibbs risk; never worse than :func:`mcallester`.

    .. math:: \mathrm{kl}(\hat L \| L) \le \frac{\mathrm{KL} + \log(2\sqrt n/\delta)}{n}, \qquad
              \mathrm{kl}(p\|q) = p\log\tfrac pq + (1-p)\log\tfrac{1-p}{1-q}

    References
    ----------
    [seeger2002]_, [maurer2004]_

    Examples
    --------
    >>> round(seeger(0.1, 2.0, 1000).value, 6)
    0.145371
    """
    size = whole(n, "n, the sample size,", 1)
    value = binary_kl_inverse(_risk(risk), _complexity(kl, size, delta) / size)
    return _bound("Seeger-Maurer", value, Subject.RISK, _pac(delta), "[seeger2002]_, [maurer2004]_")


def catoni(risk: float, kl: float, n: int, delta: float = 0.05, lam: float | None = None) -> Bound:
    r"""PAC-Bayes bound linear in the KL, for a temperature λ fixed before the sample is seen.

    .. math:: L \le \hat L + \frac{\mathrm{KL} + \log(1/\delta)}{\lambda} + \frac{\lambda}{8n}

    Parameters
    ----------
    lam : float or None
        λ > 0; by default √(8n log(1/δ)), which depends on n and δ only.

    References
    ----------
    [catoni2007]_, [alquier2016]_ theorem 4.1

    Examples
    --------
    >>> round(catoni(0.1, 2.0, 1000).value, 6)
    0.151621
    """
    size, log_delta = whole(n, "n, the sample size,", 1), np.log(1 / _confidence(delta))
    temperature = np.sqrt(8 * size * log_delta) if lam is None else positive(lam, "lam")
    value = _risk(risk) + (_information(kl, "kl") + log_delta) / temperature + temperature / (8 * size)
    assumption = f"{_pac(delta)}; λ = {temperature:.4g} fixed before the sample"
    return _bound("Catoni-Alquier", value, Subject.RISK, assumption, "[catoni2007]_, [alquier2016]_ theorem 4.1")


def _complexity(kl: float, n: int, delta: float) -> float:
    return float(_information(kl, "kl") + np.log(2 * np.sqrt(n) / _confidence(delta)))


def _pac(delta: float) -> str:
    return (
        f"loss in [0, 1]; independent samples; prior and time fixed before the sample; "
        f"with probability at least {1 - delta:g}"
    )


def binary_kl_inverse(p: float, c: float) -> float:
    """The largest q in [p, 1] with kl(p ‖ q) ≤ c, rounded upwards: never below it, and at most 2e-12 above.

    Examples
    --------
    >>> round(float(binary_kl_inverse(0.0, 0.1)), 6)  # 1 − e^{−0.1}
    0.095163
    """
    if not 0 <= p <= 1 or np.isnan(c) or c < 0:
        raise ValueError(f"need 0 <= p <= 1 and c >= 0, got p = {p!r}, c = {c!r}")
    if p == 1 or c == 0:
        return float(p)
    if c < 0.1:  # in d = q - p, at most √(c/2) by Pinsker's inequality: nothing cancels
        largest = min(float(np.sqrt(c / 2)), 1 - p)
        if largest < 1e-12 or _binary_kl_step(p, largest) <= c:
            return _upwards(p + largest, 0.0)
        d = float(brentq(lambda d: _binary_kl_step(p, d) - c, 0.0, largest, xtol=1e-16))
        return _upwards(p + d, 1e-15 + 1e-12 * d)

    def excess(log_rest: float) -> float:  # in log(1 - q), which resolves q near 1
        return float(rel_entr(p, -np.expm1(log_rest)) + (1 - p) * (np.log1p(-p) - log_rest)) - c

    if excess(-700.0) <= 0:
        return 1.0
    root = float(brentq(excess, -700.0, np.log1p(-p), xtol=1e-13))
    return max(p, _upwards(float(-np.expm1(root - 1e-12 * (1 - root))), 0.0))


def _upwards(q: float, error: float) -> float:
    """The number q plus `error` and the rounding of a sum, at most 1."""
    return min(q * (1 + 4 * EPS) + error, 1.0)


def _binary_kl_step(p: float, d: float) -> float:
    """kl(p ‖ p + d) = p g(d/p) + (1 - p) g(-d/(1 - p)) with g(x) = x - log(1 + x), whose linear terms have cancelled."""
    return (p * float(log1p_gap(d / p)) if p > d * 1e-300 else d) + (1 - p) * float(log1p_gap(-d / (1 - p)))


def input_compression(information: float, n: int, delta: float = 0.05) -> Bound:
    r"""The input-compression bound, a heuristic: 2^{I(X;T)} cells in place of a hypothesis class.

    .. math:: \mathrm{gap} \le \sqrt{\frac{2^{I(X;T)} + \log(1/\delta)}{2n}}, \qquad I(X;T)\ \text{in bits}

    Parameters
    ----------
    information : float
        I(X;T) in nats (2 to the information in bits is e to that in nats).

    References
    ----------
    [shwartzziv2019b]_ theorem 1

    Examples
    --------
    >>> round(input_compression(0.0, 1000).value, 6)
    0.044697
    """
    size = whole(n, "n, the sample size,", 1)
    with np.errstate(over="ignore"):
        cells = np.exp(np.float64(_information(information, "information")))
    value = np.sqrt((cells + np.log(1 / _confidence(delta))) / (2 * size))
    assumption = (
        "0-1 loss; heuristic: T is fixed before the sample and its typical cells are equally likely; "
        "not a theorem for a learned T"
    )
    return _bound(
        "input compression",
        value,
        Subject.GAP,
        assumption,
        "[shwartzziv2019b]_ theorem 1",
        relation=Relation.ESTIMATE,
    )


def finite_cells(n_cells: int, n: int, delta: float = 0.05) -> Bound:
    r"""The exact finite form of :func:`input_compression`: all 2^{|T|} labellings of |T| cells, by Hoeffding and a
    union bound.

    .. math:: \mathrm{gap} \le \sqrt{\frac{|T|\log 2 + \log(1/\delta)}{2n}}

    Examples
    --------
    >>> round(finite_cells(4, 1000).value, 6)
    0.053704
    """
    size = whole(n, "n, the sample size,", 1)
    value = np.sqrt((whole(n_cells, "n_cells", 1) * np.log(2) + np.log(1 / _confidence(delta))) / (2 * size))
    assumption = f"0-1 loss; independent samples; T fixed before the sample; with probability at least {1 - delta:g}"
    return _bound("finite cells", value, Subject.GAP, assumption, "derived here")
