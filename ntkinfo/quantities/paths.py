r"""Fisher information, distances and path lengths of the parameters and, in the Fisher metric, of the training outputs."""

from __future__ import annotations

from functools import partial

import numpy as np

from dualib.core.arrays import times
from dualib.core.quantity import Relation
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Unit
from ntkinfo.ensemble import Ensemble
from ntkinfo.quantities.registry import REGISTRY, Condition, DataSets, Group
from ntkinfo.quantities.spectra import displacement, like, seen_modes

_QUADRATURE = 1e-9  # relative error of the path length's integral

_register = partial(REGISTRY.register, unit=Unit.ONE, group=Group.PATHS)
_exact = partial(_register, relation=Relation.EXACT)
_moved = partial(_register, assumption="infinite width", holds_for=DataSets.ONE)
_length = partial(_moved, of="E of the path length ∫ ‖dz/ds‖ ds")


@_exact(
    "Tr F, training",
    of="trace of the Fisher information at the training points",
    assumption="unit observation noise",
    source="[shwartzziv2019]_ eq. 15",
    shows=("fisher_trace", Relation.EXACT),
    holds_for=DataSets.ANY,
)
def fisher_trace(ensemble: Ensemble) -> float:
    """Trace of the Fisher information of the parameters, k Tr Θ, constant in time.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> float(fisher_trace(ensemble))
    4.0
    """
    return ensemble.n_outputs * float(ensemble.eigenvalues.sum())


@_exact(
    "Tr F, test",
    of="trace of the Fisher information at the test points",
    assumption="unit observation noise",
    source="[shwartzziv2019]_ eq. 15, with the test block",
    shows=("fisher_trace_test", Relation.EXACT),
    only=[Condition.TEST_POINTS],
    holds_for=DataSets.ANY,
)
def fisher_trace_test(ensemble: Ensemble) -> float:
    """Trace of the Fisher information at the test points, k Tr Θ(x_test, x_test): not that of the test-train block.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> one = np.eye(2)
    >>> test = {"ntk_test_train": one, "nngp_test_train": one / 2, "ntk_test": one, "nngp_test": one}
    >>> kernels = ntkinfo.Kernels(2 * one, one, **test)
    >>> ensemble = ntkinfo.Ensemble(kernels, [1.0, -1.0])
    >>> float(fisher_trace_test(ensemble))
    2.0
    """
    return ensemble.n_outputs * float(ensemble.theta_test_variance.sum())


@_moved(
    "E‖θ - θ₀‖²",
    relation=Relation.EXACT,
    of="E‖θ_τ - θ_0‖²",
    source="[shwartzziv2019]_ eq. 16, the distance itself",
    shows=("distance_squared", Relation.EXACT),
)
def parameter_distance_squared(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Mean squared distance of the parameters from their start: k Tr(KAΘA) + Tr(Y^T AΘA Y).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_distance_squared(ensemble, 0.5)), 6)
    0.799153
    """
    return like(displacement(ensemble, ensemble.spectrum(tau)).sum(axis=-1), tau)


@_moved(
    "E‖z - z₀‖²",
    relation=Relation.EXACT,
    of="E‖z_τ - z_0‖² at all training points",
    source="derived here",
    shows=("train_distance_squared", Relation.EXACT),
)
def fisher_distance_squared(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Mean squared displacement in the Fisher metric (of the training outputs): k Tr K(I - R)² + Tr Y^T(I - R)²Y.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(fisher_distance_squared(ensemble, 0.5)), 6)
    1.598306
    """
    return like((ensemble.spectrum(tau).fitted ** 2 * ensemble.mode_power).sum(axis=-1), tau)


@_moved(
    "action",
    relation=Relation.EXACT,
    of="∫ E‖dz/ds‖² ds at all training points",
    source="[shwartzziv2019]_ eqs. 16-18",
    shows=("action", Relation.EXACT),
)
def fisher_action(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""The action ∫_0^τ E‖Θ e^{-s(Θ+ρ)} r_0‖² ds, published as a path length, which it does not bound (see the errata).

    For discrete descent the sum over steps of squared displacements, divided by the step.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(fisher_action(ensemble, 0.5)), 6)
    3.458659
    """
    spectrum, values = ensemble.spectrum(tau), ensemble.eigenvalues
    rates = np.where(values > 0, values + ensemble.ridge, 1.0)
    moved = spectrum.response * rates
    factor = moved * (2 - moved) / (2 * rates)  # (1 - e²)/2s
    step = getattr(ensemble.learning_rule, "step", 0.0)
    return like((ensemble.mode_power * values * (values * factor) / (1 - 0.5 * step * rates)).sum(axis=-1), tau)


@_length("path length", relation=Relation.LOWER, source="derived here", shows=("length", Relation.LOWER))
def path_length_lower(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""A path is at least as long as its chord: E L ≥ E‖(I - R) r_0‖ ≥ max(‖(I - R)Y‖, √(2k Tr K(I - R)²/π)).

    The second step is Jensen's inequality, and the sharp constant of a Gaussian vector's mean norm.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(path_length_lower(ensemble, 0.5)), 6)
    0.893953
    """
    fitted2 = ensemble.spectrum(tau).fitted ** 2
    mean = (fitted2 * (ensemble.y_modes**2).sum(axis=1)).sum(axis=-1)
    spread = ensemble.n_outputs * (fitted2 * ensemble.kappa).sum(axis=-1)
    return like(np.sqrt(np.maximum(mean, 2 / np.pi * spread)), tau)


@_length("path length, by modes", relation=Relation.UPPER, source="derived here", shows=("length", Relation.UPPER))
def path_length_upper_modes(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Mode by mode: E L ≤ Σ_j λ_j a_j E‖r_j‖, with the mean norm of the Gaussian r_j ~ N(y_j, κ_j I_k) in closed form.

    For one output the folded normal √(2κ/π) e^{-y²/2κ} + |y| erf(|y|/√(2κ)). Discrete descent has (1 - |e|)/(1 - |1 -
    ηs|) η in place of a.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(path_length_upper_modes(ensemble, 0.5)), 6)
    1.474903
    """
    spectrum, values = ensemble.spectrum(tau), ensemble.eigenvalues
    length = spectrum.fitted
    step = getattr(ensemble.learning_rule, "step", 0.0)
    overshoot = step * (values + ensemble.ridge) > 1
    if step and overshoot.any():
        ratio = 1 - np.abs(1 - step * (values + ensemble.ridge))
        length = np.where(
            overshoot, step * values * (1 - np.abs(spectrum.decay)) / np.where(ratio > 0, ratio, 1), length
        )
    return like(length @ mean_norm(ensemble.y_modes, ensemble.kappa), tau)


def mean_norm(mean: Float[np.ndarray, "n k"], variance: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """E‖r‖ for r ~ N(mean, variance I_k), rows of `mean`.

    It is a Laguerre function, in its asymptotic form for a large ratio.

    Examples
    --------
    >>> import numpy as np
    >>> mean_norm(np.array([[0.0]]), np.array([1.0])).round(6)  # √(2/π)
    array([0.797885])
    """
    from scipy.special import gammaln, hyp1f1

    k = mean.shape[1]
    norm2, large = (mean**2).sum(axis=1), max(200.0, k)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = norm2 / (2 * variance)
        front = np.sqrt(2 * variance) * np.exp(gammaln((k + 1) / 2) - gammaln(k / 2))
        low = np.minimum(x, large)
        closed = front * (hyp1f1(-0.5, k / 2, -low) if k < 100 else _by_kummer(k, low))
    found = np.where(x > large, np.sqrt(norm2) * _asymptotic(k, np.maximum(x, large)), closed)
    return np.asarray(np.where(variance == 0, np.sqrt(norm2), found))


def _by_kummer(k: int, x: FloatArray) -> FloatArray:
    """1F1(-½, k/2, -x) = e^{-x} 1F1((k + 1)/2, k/2, x), whose terms are positive; scipy's overflows for k from 100 on."""
    from scipy.special import gammaln, xlogy

    value, largest = np.zeros_like(x), max(200, k)
    for s in range(int(largest + 12 * np.sqrt(largest))):
        ratio = gammaln(k / 2 + 0.5 + s) - gammaln(k / 2 + s) - gammaln(k / 2 + 0.5) + gammaln(k / 2)
        value += np.exp(xlogy(s, x) - x - gammaln(s + 1) + ratio)
    return value


def _asymptotic(k: int, x: FloatArray) -> FloatArray:
    """That function over its leading power, in powers of 1/x, for x of at least 200 and k."""
    term = value = np.ones_like(x)
    for s in range(40):
        term = term * (s - 0.5) * (s + 0.5 - k / 2) / ((s + 1) * x)
        value = value + term
    return value


@_length(
    "path length, by speed",
    relation=Relation.UPPER,
    source="[shwartzziv2019]_ eqs. 16-18, corrected",
    shows=("length", Relation.UPPER),
)
def path_length_upper(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Speed by Jensen's inequality: E L ≤ ∫_0^τ √Tr(M Θ² e^{-2s(Θ+ρ)}) ds with M = kK + YY^T.

    The integral is by Gauss-Legendre quadrature on a geometric grid, to 1e-9, which is added. For discrete descent the sum over steps
    is bounded by its first term plus the integral of the falling speed. At τ = ∞ it stops where nothing is left to
    move.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(path_length_upper(ensemble, 0.5)), 6)
    1.264241
    """
    at = np.atleast_1d(times(tau, "tau"))
    live = (ensemble.mode_power > 0) & seen_modes(ensemble)
    ensemble.learning_rule.time(at)
    if not live.any():
        return like(np.zeros(at.size), tau)
    scale = float(ensemble.eigenvalues[-1])  # the unit of rates, so that no square underflows
    values = ensemble.eigenvalues[live] / scale
    weight, rates = ensemble.mode_power[live] * values**2, values + ensemble.ridge / scale
    step = getattr(ensemble.learning_rule, "step", 0.0) * scale
    if step:
        with np.errstate(divide="ignore"):
            slow = np.minimum(step * rates, 0.5)  # whose logarithm would be lost beside 1
            rates = -np.where(step * rates < 0.5, np.log1p(-slow), np.log(np.abs(1 - step * rates))) / step
    with np.errstate(invalid="ignore"):
        at = np.where(at > 0, at * scale, 0.0)
    value = _integrated_speed(weight, rates, np.maximum(at - step, 0.0))
    first = step * np.sqrt(weight.sum())
    return like(np.where(at > 0, (value + first) * (1 + _QUADRATURE), 0.0), tau)


def _integrated_speed(weight: FloatArray, rates: FloatArray, at: FloatArray) -> FloatArray:
    """∫_0^t √(Σ w e^{-2 rate s}) ds at each of `at`."""
    finite = rates[np.isfinite(rates)]
    if finite.size == 0:
        return np.zeros(at.shape)
    end = min(float(at.max()), 40.0 / float(finite.min()))
    start = min(1e-3 / float(finite.max()), end)
    n_panels = max(1, int(np.ceil(3 * np.log(end / start) / np.log(2)))) if end > start > 0 else 0
    grid = np.geomspace(start, end, n_panels + 1) if n_panels else np.array([end])
    edges = np.unique(np.concatenate([[0.0], grid, at[at < end]]))
    nodes, node_weights = np.polynomial.legendre.leggauss(6)
    width = np.diff(edges)[:, None]
    points = (edges[:-1, None] + width * (nodes + 1) / 2).ravel()
    speed = np.concatenate(
        [_speed(weight, rates, part) for part in np.array_split(points, max(1, points.size * rates.size // 2**20))]
    )
    lengths = (width / 2 * speed.reshape(-1, nodes.size) * node_weights).sum(axis=1)
    cumulative = np.concatenate([[0.0], np.cumsum(lengths)])
    return cumulative[np.searchsorted(edges, np.minimum(at, end))]


def _speed(weight: FloatArray, rates: FloatArray, points: FloatArray) -> FloatArray:
    return np.sqrt(np.exp(-2 * np.outer(points, rates)) @ weight)
