r"""Information in the parameters: KL(p(θ_τ|D) ‖ p_0) of the linearised model, its published form, and its finite
alternatives.

On averaging over data sets D each KL is an upper bound on I(θ_τ;D). The linearised model is exact where z_0 = Jθ_0,
hence K = Θ: for linear models, and for last-layer training of any infinitely wide network (mode="nngp"). For other
networks E‖Δθ‖² is exact, and the KL holds the initial output's covariance K but a linear network's divergence of the
flow; it is labelled "linearised". All values are in nats and have the shape of `tau`; k outputs have k times the
label-free terms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ntkinfo._arrays import FloatArray, as_shape, as_symmetric, as_times, check_positive_semidefinite, positive
from ntkinfo._quantity import quantity
from ntkinfo.ensemble import Ensemble
from ntkinfo.laws import Spectrum
from ntkinfo.learning import GradientFlow
from ntkinfo.log_determinants import log_det_gain, square_root

_QUADRATURE = 1e-9  # relative error of the path length's integral
_LINEARISED = "linearised model; exact where K = Θ"


def _like(value: FloatArray, tau: ArrayLike) -> FloatArray:
    return value.reshape(np.shape(tau))


def displacement(ensemble: Ensemble, spectrum: Spectrum) -> FloatArray:
    """λa² of each mode, times which the mean squared initial error is the mode's part of E‖Δθ‖²."""
    return spectrum.fitted * spectrum.response * ensemble.mode_power


def entropy_gap(spectrum: Spectrum) -> FloatArray:
    """-log |r| - (1 - r) of each mode, accurate where little is fitted."""
    return _log_gap(spectrum.fitted, spectrum.log_residual)


def _log_gap(f: FloatArray, log_rest: FloatArray) -> FloatArray:
    """-log_rest - f, where log_rest is log |1 - f|: by its series for small f."""
    series = f**2 * (1 / 2 + f * (1 / 3 + f * (1 / 4 + f * (1 / 5 + f * (1 / 6 + f * (1 / 7 + f / 8))))))
    return np.where(np.abs(f) < 5e-3, series, -log_rest - f)


@quantity("upper bound", "I(θ;D)", _LINEARISED + "; a bound on averaging over D", "derived here")
def parameter_kl(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""KL divergence of the trained parameters from the initial ones, linearised.

    .. math:: -k\log\det R - k\,\mathrm{Tr}\,\Theta A + \tfrac k2 \mathrm{Tr}\,K A\Theta A
              + \tfrac12 \mathrm{Tr}\,Y^\top A\Theta A Y

    For gradient flow -log det R = τ Tr Θ: it diverges, for the trained parameters keep no variance on the row space of
    J. A centred ensemble keeps it all, and has the last term only.

    Returns
    -------
    array of the shape of `tau`, in nats; +inf at τ = ∞ without ridge.
    """
    spectrum = ensemble.spectrum(tau)
    value = 0.5 * displacement(ensemble, spectrum).sum(axis=-1)
    if not ensemble.centred:
        value = value + ensemble.n_outputs * entropy_gap(spectrum).sum(axis=-1)
    return _like(value, tau)


@quantity("upper bound", "I(θ;D)", _LINEARISED + "; looser than parameter_kl", "[shwartzziv2019]_ eq. 27")
def parameter_kl_published(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""The published parameter KL: a factor ½ and a cross term short of :func:`parameter_kl` (see the errata).

    .. math:: k\,\tau\,\mathrm{Tr}\,\Theta + k\,\mathrm{Tr}\,K A\Theta A + \mathrm{Tr}\,Y^\top A\Theta A Y

    Written for gradient flow; other rules have -k log det R in place of the first term. For linear models it is at
    least :func:`parameter_kl`; for deep nonlinear networks it is no safe bound.
    """
    spectrum = ensemble.spectrum(tau)
    value = displacement(ensemble, spectrum).sum(axis=-1) - ensemble.n_outputs * spectrum.log_residual.sum(axis=-1)
    return _like(value, tau)


@quantity("exact", "d/dτ of parameter_kl", _LINEARISED + "; gradient flow", "derived here")
def parameter_kl_rate(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""Time derivative of :func:`parameter_kl` under gradient flow, in nats per unit of τ.

    .. math:: \sum_j \lambda_j\left[k\,e_j \frac{1 - r_j}{r_j} + a_j e_j\,(k\kappa_j + \|y_j\|^2)\right]

    (without ridge e = r, and the first term is kλ(1 - e)).
    """
    if not isinstance(ensemble.learning_rule, GradientFlow):
        raise ValueError("the time derivative is defined for GradientFlow()")
    spectrum, values = ensemble.spectrum(tau), ensemble.eigenvalues
    rate = spectrum.response * spectrum.decay * ensemble.mode_power
    if not ensemble.centred:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = spectrum.decay / spectrum.residual if ensemble.ridge else 1.0
        rate = rate + ensemble.n_outputs * ratio * spectrum.fitted
    return _like((values * rate).sum(axis=-1), tau)


@quantity(
    "upper bound",
    "I(θ;D)",
    _LINEARISED + "; infinite time with that ridge; a bound on averaging over D",
    "derived here",
)
def parameter_kl_ridge(ensemble: Ensemble, ridge: float) -> float:
    r"""KL at the fixed point of training with a ridge: a finite alternative, in nats.

    .. math:: k\log\det(I + \Theta/\rho) - k\,\mathrm{Tr}\,\Theta(\Theta+\rho)^{-1}
              + \tfrac k2\mathrm{Tr}\,K\Theta(\Theta+\rho)^{-2}
              + \tfrac12\mathrm{Tr}\,Y^\top(\Theta+\rho)^{-1}\Theta(\Theta+\rho)^{-1}Y
    """
    rho, values, k = positive("ridge", ridge), ensemble.eigenvalues, ensemble.n_outputs
    moved = 0.5 * float((values / (values + rho) ** 2 * ensemble.mode_power).sum())
    if ensemble.centred:
        return moved
    return moved + k * float((np.log1p(values / rho) - values / (values + rho)).sum())


@quantity("upper bound", "I(θ + noise;D)", "linear model (K = Θ); a bound on averaging over D", "derived here")
def parameter_kl_weight_noise(ensemble: Ensemble, tau: ArrayLike, weight_noise: float) -> FloatArray:
    r"""KL between trained and initial parameters, each with independent Gaussian noise of variance σ² added: finite at
    all times, in nats.

    .. math:: \frac k2\sum_j\left[\frac{r_j^2+\sigma^2}{1+\sigma^2} - 1 + \log\frac{1+\sigma^2}{r_j^2+\sigma^2}\right]
              + \frac12 \sum_j \frac{\lambda_j a_j^2\|y_j\|^2}{1+\sigma^2}
    """
    s2, spectrum = positive("weight_noise", weight_noise), ensemble.spectrum(tau)
    shift = spectrum.fitted * spectrum.response * (ensemble.y_modes**2).sum(axis=1)
    value = 0.5 * shift.sum(axis=-1) / (1 + s2)
    if not ensemble.centred:
        lost = spectrum.fitted * (1 + spectrum.residual) / (1 + s2)  # (1 - r²)/(1 + σ²)
        value = value + 0.5 * ensemble.n_outputs * _log_gap(lost, np.log1p(-lost)).sum(axis=-1)
    return _like(value, tau)


@quantity("exact", "I(θ;Y|X)", "linear model (K = Θ), Y|X ~ N(m, s² I), whatever m", "derived here")
def parameter_label_information(ensemble: Ensemble, tau: ArrayLike, label_noise: float) -> FloatArray:
    r"""Mutual information between the trained parameters and the training labels, in nats.

    .. math:: I(\theta;Y|X) = \frac k2\sum_j\log\left(1 + \frac{s^2\lambda_j a_j^2}{r_j^2}\right)

    For gradient flow ½ log det(I + s² Θ^{-1}(e^{τΘ} - I)²): it diverges as k τ Tr Θ, its mode terms being added in
    logarithms.
    """
    s2, spectrum = positive("label_noise", label_noise, zero=True), ensemble.spectrum(tau)
    if ensemble.centred:
        return _like(np.where(spectrum.fitted.max(axis=-1) > 0, np.inf if s2 > 0 else 0.0, 0.0), tau)
    log_noise = np.log(s2) if s2 else -np.inf
    return _like(0.5 * ensemble.n_outputs * np.logaddexp(0.0, log_gain(spectrum) + log_noise).sum(axis=-1), tau)


def log_gain(spectrum: Spectrum) -> FloatArray:
    """log of λa²/r² of each mode."""
    with np.errstate(divide="ignore"):
        return np.log(spectrum.fitted) + np.log(spectrum.response) - 2 * spectrum.log_residual


@quantity("exact", "I(θ;Y|X)", "linear model (K = Θ), Y|X ~ N(m, C), whatever m", "derived here")
def parameter_label_information_correlated(ensemble: Ensemble, tau: float, label_covariance: ArrayLike) -> float:
    r"""As :func:`parameter_label_information`, for labels of any covariance C (n, n), in nats.

    .. math:: I(\theta;Y|X) = \frac k2\log\det\left(I + C\,\Theta A^2 R^{-2}\right)
    """
    n = ensemble.n_train
    c = as_symmetric("label_covariance", as_shape("label_covariance", label_covariance, (n, n), f"{n} training points"))
    check_positive_semidefinite("label_covariance", c)
    spectrum = ensemble.spectrum(float(tau))
    if ensemble.centred:
        return float("inf") if np.any(c) and spectrum.fitted.max() > 0 else 0.0
    root = ensemble.eigenvectors.T @ square_root(c)
    return 0.5 * ensemble.n_outputs * log_det_gain(None, 0.5 * log_gain(spectrum)[0], root)


# --- Fisher information, distances and path lengths ---


@quantity("exact", "Tr F on the training set", "unit observation noise", "[shwartzziv2019]_ eq. 15")
def fisher_trace(ensemble: Ensemble) -> float:
    """Trace of the Fisher information of the parameters, k Tr Θ, constant in time."""
    return ensemble.n_outputs * float(ensemble.eigenvalues.sum())


@quantity("exact", "Tr F on the test set", "unit observation noise", "[shwartzziv2019]_ eq. 15, with the test block")
def fisher_trace_test(ensemble: Ensemble) -> float:
    """Trace of the Fisher information at the test points, k Tr Θ(x_test, x_test): not that of the test-train block."""
    return ensemble.n_outputs * float(np.trace(ensemble.theta_test))


@quantity("exact", "E‖θ_τ - θ_0‖²", "infinite width", "[shwartzziv2019]_ eq. 16, the distance itself")
def parameter_distance_squared(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""Mean squared distance of the parameters from their start: k Tr(KAΘA) + Tr(Y^T AΘA Y)."""
    return _like(displacement(ensemble, ensemble.spectrum(tau)).sum(axis=-1), tau)


@quantity("exact", "E‖z_τ - z_0‖² on the training set", "infinite width", "derived here")
def fisher_distance_squared(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""Mean squared displacement in the Fisher metric (of the training outputs): k Tr K(I - R)² + Tr Y^T(I - R)²Y."""
    return _like((ensemble.spectrum(tau).fitted ** 2 * ensemble.mode_power).sum(axis=-1), tau)


@quantity("exact", "∫ E‖dz/ds‖² ds", "infinite width", "[shwartzziv2019]_ eqs. 16-18")
def fisher_action(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""The action ∫_0^τ E‖Θ e^{-s(Θ+ρ)} r_0‖² ds, published as a path length, which it does not bound (see the errata).

    For discrete descent the sum over steps of squared displacements, divided by the step.
    """
    spectrum, values = ensemble.spectrum(tau), ensemble.eigenvalues
    rates = np.where(values > 0, values + ensemble.ridge, 1.0)
    moved = spectrum.response * rates
    factor = moved * (2 - moved) / (2 * rates)  # (1 - e²)/2s
    step = getattr(ensemble.learning_rule, "step", 0.0)
    return _like((ensemble.mode_power * values * (values * factor) / (1 - 0.5 * step * rates)).sum(axis=-1), tau)


@quantity("lower bound", "E of the Fisher path length", "infinite width", "derived here")
def path_length_lower(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""A path is at least as long as its chord: E L ≥ E‖(I - R) r_0‖ ≥ max(‖(I - R)Y‖, √(2k Tr K(I - R)²/π)).

    The second step is Jensen's inequality, and the sharp constant of a Gaussian vector's mean norm.
    """
    fitted2 = ensemble.spectrum(tau).fitted ** 2
    mean = (fitted2 * (ensemble.y_modes**2).sum(axis=1)).sum(axis=-1)
    spread = ensemble.n_outputs * (fitted2 * ensemble.kappa).sum(axis=-1)
    return _like(np.sqrt(np.maximum(mean, 2 / np.pi * spread)), tau)


@quantity("upper bound", "E of the Fisher path length", "infinite width", "derived here")
def path_length_upper_modes(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""Mode by mode: E L ≤ Σ_j λ_j a_j E‖r_j‖, with the mean norm of the Gaussian r_j ~ N(y_j, κ_j I_k) in closed form.

    For one output the folded normal √(2κ/π) e^{-y²/2κ} + |y| erf(|y|/√(2κ)). Discrete descent has (1 - |e|)/(1 - |1 -
    ηs|) η in place of a.
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
    return _like(length @ _mean_norm(ensemble.y_modes, ensemble.kappa), tau)


def _mean_norm(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """E‖r‖ for r ~ N(mean, variance I_k), rows of `mean`: a Laguerre function, in its asymptotic form for a large
    ratio.
    """
    from scipy.special import gammaln, hyp1f1

    k = mean.shape[1]
    norm2 = (mean**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = norm2 / (2 * variance)
        front = np.sqrt(2 * variance) * np.exp(gammaln((k + 1) / 2) - gammaln(k / 2))
        exact = front * hyp1f1(-0.5, k / 2, -np.minimum(x, 200.0))
        far = np.sqrt(norm2) * (1 + (k - 1) / (4 * x) * (1 + (3 - k) / (8 * x) * (1 + (5 - k) / (4 * x))))
    return np.where(variance == 0, np.sqrt(norm2), np.where(x > 200.0, far, exact))


@quantity("upper bound", "E of the Fisher path length", "infinite width", "[shwartzziv2019]_ eqs. 16-18, corrected")
def path_length_upper(ensemble: Ensemble, tau: ArrayLike) -> FloatArray:
    r"""Speed by Jensen's inequality: E L ≤ ∫_0^τ √Tr(M Θ² e^{-2s(Θ+ρ)}) ds with M = kK + YY^T.

    The integral is by Gauss-Legendre quadrature on a geometric grid, to 1e-9, which is added. For discrete descent the sum over steps
    is bounded by its first term plus the integral of the falling speed. At τ = ∞ it stops where nothing is left to
    move.
    """
    times = np.atleast_1d(as_times(tau))
    live = (ensemble.mode_power > 0) & ~ensemble.null
    ensemble.learning_rule.time(times)
    if not live.any():
        return _like(np.zeros(times.size), tau)
    scale = float(ensemble.eigenvalues[-1])  # the unit of rates, so that no square underflows
    values = ensemble.eigenvalues[live] / scale
    weight, rates = ensemble.mode_power[live] * values**2, values + ensemble.ridge / scale
    step = getattr(ensemble.learning_rule, "step", 0.0) * scale
    if step:
        with np.errstate(divide="ignore"):
            rates = -np.log(np.abs(1 - step * rates)) / step
    with np.errstate(invalid="ignore"):
        times = np.where(times > 0, times * scale, 0.0)
    value = _integrated_speed(weight, rates, np.maximum(times - step, 0.0))
    first = step * np.sqrt(weight.sum())
    return _like(np.where(times > 0, (value + first) * (1 + _QUADRATURE), 0.0), tau)


def _integrated_speed(weight: FloatArray, rates: FloatArray, times: FloatArray) -> FloatArray:
    """∫_0^t √(Σ w e^{-2 rate s}) ds at each of `times`."""
    finite = rates[np.isfinite(rates)]
    if finite.size == 0:
        return np.zeros(times.shape)
    end = min(float(times.max()), 40.0 / float(finite.min()))
    start = min(1e-3 / float(finite.max()), end)
    n_panels = max(1, int(np.ceil(3 * np.log(end / start) / np.log(2)))) if end > start > 0 else 0
    grid = np.geomspace(start, end, n_panels + 1) if n_panels else np.array([end])
    edges = np.unique(np.concatenate([[0.0], grid, times[times < end]]))
    nodes, node_weights = np.polynomial.legendre.leggauss(6)
    width = np.diff(edges)[:, None]
    points = (edges[:-1, None] + width * (nodes + 1) / 2).ravel()
    speed = np.concatenate(
        [_speed(weight, rates, part) for part in np.array_split(points, max(1, points.size * rates.size // 2**20))]
    )
    lengths = (width / 2 * speed.reshape(-1, nodes.size) * node_weights).sum(axis=1)
    cumulative = np.concatenate([[0.0], np.cumsum(lengths)])
    return cumulative[np.searchsorted(edges, np.minimum(times, end))]


def _speed(weight: FloatArray, rates: FloatArray, points: FloatArray) -> FloatArray:
    return np.sqrt(np.exp(-2 * np.outer(points, rates)) @ weight)
