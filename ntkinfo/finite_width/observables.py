r"""The coefficient of 1/width of every quantity that the corrections determine, by the names of ntkinfo's registry.

Ensembles of networks of width N show q_N = q_∞ + b/N + O(1/N²); here b is predicted. A quantity of the law of the outputs moves by its
derivative along the coefficients of mean and covariance, others by formulas of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dualib.core.arrays import columns, positive
from dualib.core.quantity import Quantity, needs
from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo.ensemble import Points
from ntkinfo.finite_width.after import Trained, trained
from ntkinfo.finite_width.start import Corrections
from ntkinfo.laws import Law
from ntkinfo.quantities import REGISTRY, data_information_joint

OF_LAWS = frozenset({"law", "joint_law", "prior", "joint_prior", "y", "entropy_y"})
"""Needs of quantities of the law on the test points, under the names of :data:`ntkinfo.setting.GLOSSARY`."""

STEP = 1e-3
"""Of numerical derivatives, relative to the law."""


@dataclass(frozen=True)
class _Given:
    after: Trained
    label_noise: float
    noise: float


def width_coefficient(
    after: Trained,
    quantity: str | Quantity,
    *,
    y_test: ArrayLike | None = None,
    entropy_y: float | None = None,
    label_noise: float = 1.0,
    noise: float = 1.0,
) -> float:
    """The coefficient b of a quantity's q_N = q_∞ + b/N.

    Parameters
    ----------
    after : Trained
    quantity : str or Quantity
        Of ntkinfo's registry: one of the outputs' law at the test points, or one that shows an observable of :data:`OBSERVABLES`.
    y_test : array, shape (m,) or (m, 1), or None
        Labels of the test points, for quantities that need them.
    entropy_y : float or None
        Entropy of the labels in nats, for quantities that need it.
    label_noise : float
        Variance of the labels, of the optimism.
    noise : float
        Variance of the observation noise, of the evidence.

    Returns
    -------
    float
        In the quantity's unit (nats where it is an information).

    Raises
    ------
    ValueError
        If there is no such quantity, or its correction is not determined by these coefficients (the message says why).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> start = ntkinfo.finite_width.corrections(np.eye(2), hidden_layers=1, progress=False)
    >>> after = ntkinfo.finite_width.trained(start, [1.0, -1.0], tau=0.5)
    >>> round(width_coefficient(after, "train_square_error"), 4)
    0.5314
    """
    name = quantity.name if isinstance(quantity, Quantity) else quantity
    known = {q.name: q for q in REGISTRY.quantities}
    if name not in known:
        raise ValueError(f"unknown quantity {name!r}: the names are those of ntkinfo's registry")
    function, shows = REGISTRY.function(name), known[name].shows
    wanted = frozenset(needs(function))
    if shows is not None and shows[0] in OBSERVABLES:
        return OBSERVABLES[shows[0]](_Given(after, label_noise, noise))
    if not (wanted <= OF_LAWS and wanted & {"law", "joint_law"}):
        raise ValueError(
            f"{name} is no function of the outputs' law, nor of the kernels at the start: its correction of order 1/width takes more "
            "than the four-point function"
        )
    y = None if y_test is None else columns(y_test, "y_test", len(after.mean) - len(after.y_train), "the test points")
    other = {"y": y, "entropy_y": entropy_y}
    missing = [need for need in ("y", "entropy_y") if need in wanted and other[need] is None]
    if missing:
        raise ValueError(f"{name} needs {' and '.join({'y': 'y_test'}.get(need, need) for need in missing)}")

    def value(law: Law, prior: Law) -> float:
        laws = {"law": law, "joint_law": law, "prior": prior, "joint_prior": prior}
        return float(function(**{need: (laws | other)[need] for need in wanted}))

    return _along(after, value, "test")


def _along(after: Trained, value: Callable[[Law, Law], float], on: Points) -> float:
    """The derivative of a function of the law and of that at the start, along their coefficients of 1/width."""
    limit, where = after.limit(on), after.on(on)
    prior = after.start.full("nngp")[where, where]
    mean, covariance, start = (
        after.mean[where, None],
        after.covariance[where, where],
        after.start.nngp_bias[where, where],
    )
    step = STEP / max(_relative(covariance, limit.covariance), _relative(start, prior), 1e-9)

    def moved(h: float) -> float:
        return value(
            Law(limit.mean + h * mean, limit.covariance + h * covariance), Law(np.zeros_like(mean), prior + h * start)
        )

    near, far = (moved(k * step) - moved(-k * step) for k in (1, 2))
    return (8 * near - far) / (12 * step)


def _relative(change: FloatArray, matrix: FloatArray) -> float:
    """The largest eigenvalue of matrix^{-1/2} change matrix^{-1/2}, in absolute value, on the directions that matrix has."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > len(values) * np.finfo(float).eps * max(values[-1], 0.0)
    half = vectors[:, kept] / np.sqrt(values[kept])
    return float(np.abs(np.linalg.eigvalsh(half.T @ change @ half)).max(initial=0.0))


# --- observables that are no functions of the law at the test points ---


def log_evidence_coefficient(start: Corrections, y_train: ArrayLike, noise: float = 1.0) -> float:
    r"""The coefficient of 1/width of log p(y), p(y) = E N(y; z_0, σ²) over networks at the start.

    .. math:: b = \tfrac12 M_{ab} (v_a v_b - P_{ab}) + \tfrac1{24} \kappa_{abcd} (v_a v_b v_c v_d - 6 P_{ab} v_c v_d + 3 P_{ab} P_{cd})

    with P = (K + σ²)^{-1}, v = Py, M the bias of K and κ the fourth cumulant: Edgeworth's expansion of the outputs' density.

    Parameters
    ----------
    start : Corrections
    y_train : array, shape (n,) or (n, 1)
    noise : float
        σ².

    Returns
    -------
    float, in nats

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> start = ntkinfo.finite_width.corrections(np.eye(2), hidden_layers=1, progress=False)
    >>> round(log_evidence_coefficient(start, [1.0, -1.0]), 4)
    0.0477
    """
    n = start.kernels.n_train
    y = columns(y_train, "y_train", n, f"{n} training points")[:, 0]
    p = np.linalg.inv(np.asarray(start.kernels.nngp) + positive(noise, "noise") * np.eye(n))
    v, m, kappa = p @ y, start.nngp_bias[:n, :n], start.fourth_cumulant[:n, :n, :n, :n]
    by_v, by_p = np.einsum("abcd,c,d->ab", kappa, v, v), np.einsum("abcd,cd->ab", kappa, p)
    second = v @ m @ v - (m * p).sum()
    fourth = v @ by_v @ v - 6 * (p * by_v).sum() + 3 * (p * by_p).sum()
    return float(second / 2 + fourth / 24)


def _square_error(given: _Given) -> float:
    a, where = given.after, given.after.on("train")
    mean = a.limit("train").mean[:, 0]
    return float((2 * (mean - a.y_train) * a.mean[where] + np.diagonal(a.covariance)[where]).mean())


def _distance(given: _Given) -> float:
    a, where = given.after, given.after.on("train")
    spread = a.covariance - 2 * a.start_covariance + a.start.nngp_bias
    return float(2 * a.limit("train").mean[:, 0] @ a.mean[where] + np.diagonal(spread)[where].sum())


def _response(given: _Given) -> float:
    """The trace of the mean's derivative in the labels; it is a cubic polynomial of these, whose differences are exact."""
    a, step = given.after, max(1.0, float(np.abs(given.after.y_train).max()))

    def moved(i: int, k: int) -> float:
        y = a.y_train.copy()
        y[i] += k * step
        return float(trained(a.start, y, a.tau).mean[i])

    differences = [8 * (moved(i, 1) - moved(i, -1)) - (moved(i, 2) - moved(i, -2)) for i in range(len(a.y_train))]
    return sum(differences) / (12 * step)


def _fisher(given: _Given) -> float:
    return float(np.trace(given.after.start.ntk_bias[given.after.on("train"), given.after.on("train")]))


def _fisher_test(given: _Given) -> float:
    where = given.after.on("test")
    return float(np.trace(given.after.ntk[where, where]))


def _data_information(given: _Given) -> float:
    after = given.after
    return _along(after, lambda law, prior: float(data_information_joint(law, prior)), "train")


def _optimism(given: _Given) -> float:
    return 2 * positive(given.label_noise, "label_noise", zero=True) / len(given.after.y_train) * _response(given)


def _evidence(given: _Given) -> float:
    return log_evidence_coefficient(given.after.start, given.after.y_train, given.noise)


OBSERVABLES: dict[str, Callable[[_Given], float]] = {
    "fisher_trace": _fisher,
    "fisher_trace_test": _fisher_test,
    "label_response": _response,
    "log_evidence": _evidence,
    "optimism": _optimism,
    "train_data_information": _data_information,
    "train_distance_squared": _distance,
    "train_square_error": _square_error,
}
"""Observables of finite networks whose coefficient has a formula of its own, by the names of ``Quantity.shows``."""
