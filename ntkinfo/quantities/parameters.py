r"""Information in the parameters: KL(p(θ_τ|D) ‖ p_0) of the linearised model, its published form, and its finite alternatives.

On averaging over data sets D each KL is an upper bound on I(θ_τ;D). The linearised model is exact where z_0 = Jθ_0,
hence K = Θ: for linear models, and for last-layer training of any infinitely wide network (mode="nngp"). For other
networks E‖Δθ‖² is exact, and the KL holds the initial output's covariance K but a linear network's divergence of the
flow; it is labelled "linearised". All values are in nats and have the shape of `tau`; k outputs have k times the
label-free terms.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from dualib.core.arrays import positive
from dualib.core.quantity import Relation
from dualib.core.typing import ArrayLike, Float
from dualib.core.units import Unit
from ntkinfo.ensemble import Ensemble
from ntkinfo.learning import GradientFlow
from ntkinfo.quantities.log_determinants import covariance_root, log_det_gain
from ntkinfo.quantities.registry import REGISTRY, Condition, DataSets, Group
from ntkinfo.quantities.spectra import displacement, entropy_gap, like, log_gain, log_gap

_LINEARISED = "linearised model; exact where K = Θ"
_KL = "I(θ;D), by KL(p(θ|D) ‖ p(θ at the start))"

_upper_bound = partial(
    REGISTRY.register,
    unit=Unit.NATS,
    relation=Relation.UPPER_IN_EXPECTATION,
    provided=[Condition.LINEAR],
    group=Group.PARAMETERS,
    holds_for=DataSets.MEAN,
)
_label_information = partial(
    REGISTRY.register,
    unit=Unit.NATS,
    relation=Relation.EXACT,
    of="I(θ;Y|X) of the parameters and the training labels Y",
    source="derived here",
    provided=[Condition.LINEAR],
    group=Group.PARAMETERS,
    holds_for=DataSets.LABELS,
)


@_upper_bound(
    "KL, linearised",
    of=_KL + ", linearised",
    assumption=_LINEARISED + "; a bound on averaging over D",
    source="derived here",
    shows=("kl", Relation.EXACT),
    main=True,
)
def parameter_kl(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""KL divergence of the trained parameters from the initial ones, linearised.

    .. math:: -k\log\det R - k\,\mathrm{Tr}\,\Theta A + \tfrac k2 \mathrm{Tr}\,K A\Theta A
              + \tfrac12 \mathrm{Tr}\,Y^\top A\Theta A Y

    For gradient flow -log det R = τ Tr Θ: it diverges, for the trained parameters keep no variance on the row space of
    J. A centred ensemble keeps it all, and has the last term only.

    Returns
    -------
    array of the shape of `tau`
        In nats; +inf at τ = ∞ without ridge.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_kl(ensemble, 0.5)), 6)
    1.135335
    """
    spectrum = ensemble.spectrum(tau)
    value = 0.5 * displacement(ensemble, spectrum).sum(axis=-1)
    if not ensemble.centred:
        value = value + ensemble.n_outputs * entropy_gap(spectrum).sum(axis=-1)
    return like(value, tau)


@_upper_bound(
    "KL, as published",
    of=_KL + ", as published",
    assumption=_LINEARISED + "; looser than parameter_kl",
    source="[shwartzziv2019]_ eq. 27",
    shows=("kl", Relation.EXACT),
)
def parameter_kl_published(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""The published parameter KL: a factor ½ and a cross term short of :func:`parameter_kl` (see the errata).

    .. math:: k\,\tau\,\mathrm{Tr}\,\Theta + k\,\mathrm{Tr}\,K A\Theta A + \mathrm{Tr}\,Y^\top A\Theta A Y

    Written for gradient flow; other rules have -k log det R in place of the first term. For linear models it is at
    least :func:`parameter_kl`; for deep nonlinear networks it is no safe bound.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_kl_published(ensemble, 0.5)), 6)
    2.799153
    """
    spectrum = ensemble.spectrum(tau)
    value = displacement(ensemble, spectrum).sum(axis=-1) - ensemble.n_outputs * spectrum.log_residual.sum(axis=-1)
    return like(value, tau)


@REGISTRY.register(
    "dKL/dτ, linearised",
    Unit.NATS_PER_TAU,
    Relation.EXACT,
    of="time derivative of parameter_kl",
    assumption=_LINEARISED + "; gradient flow",
    source="derived here",
    shows=("kl_rate", Relation.EXACT),
    only=[Condition.GRADIENT_FLOW],
    group=Group.RATES,
    holds_for=DataSets.ONE,
)
def parameter_kl_rate(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Time derivative of :func:`parameter_kl` under gradient flow, in nats per unit of τ.

    .. math:: \sum_j \lambda_j\left[k\,e_j \frac{1 - r_j}{r_j} + a_j e_j\,(k\kappa_j + \|y_j\|^2)\right]

    (without ridge e = r, and the first term is kλ(1 - e)).

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_kl_rate(ensemble, 0.5)), 6)
    3.458659
    """
    if not isinstance(ensemble.learning_rule, GradientFlow):
        raise ValueError("the time derivative is defined for GradientFlow()")
    spectrum, values = ensemble.spectrum(tau), ensemble.eigenvalues
    rate = spectrum.response * spectrum.decay * ensemble.mode_power
    if not ensemble.centred:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = spectrum.decay / spectrum.residual if ensemble.ridge else 1.0
        rate = rate + ensemble.n_outputs * ratio * spectrum.fitted
    return like((values * rate).sum(axis=-1), tau)


@_upper_bound(
    "KL, ridge",
    of=_KL + ", linearised, at the fixed point with a ridge",
    assumption=_LINEARISED + "; infinite time with that ridge; a bound on averaging over D",
    source="derived here",
)
def parameter_kl_ridge(ensemble: Ensemble, ridge: float) -> float:
    r"""KL at the fixed point of training with a ridge: a finite alternative, in nats.

    .. math:: k\log\det(I + \Theta/\rho) - k\,\mathrm{Tr}\,\Theta(\Theta+\rho)^{-1}
              + \tfrac k2\mathrm{Tr}\,K\Theta(\Theta+\rho)^{-2}
              + \tfrac12\mathrm{Tr}\,Y^\top(\Theta+\rho)^{-1}\Theta(\Theta+\rho)^{-1}Y

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_kl_ridge(ensemble, ridge=0.1)), 6)
    5.091312
    """
    rho, values, k = positive(ridge, "ridge"), ensemble.eigenvalues, ensemble.n_outputs
    moved = 0.5 * float((values / (values + rho) ** 2 * ensemble.mode_power).sum())
    if ensemble.centred:
        return moved
    return moved + k * float((np.log1p(values / rho) - values / (values + rho)).sum())


@_upper_bound(
    "KL, noisy weights",
    of="I(θ + noise;D), by its KL",
    assumption="linear model (K = Θ); independent noise on every parameter; a bound on averaging over D",
    source="derived here",
)
def parameter_kl_weight_noise(ensemble: Ensemble, tau: ArrayLike, weight_noise: float) -> Float[np.ndarray, "*t"]:
    r"""KL between trained and initial parameters, each with independent Gaussian noise of variance σ² added, in nats.

    It is finite at all times.

    .. math:: \frac k2\sum_j\left[\frac{r_j^2+\sigma^2}{1+\sigma^2} - 1 + \log\frac{1+\sigma^2}{r_j^2+\sigma^2}\right]
              + \frac12 \sum_j \frac{\lambda_j a_j^2\|y_j\|^2}{1+\sigma^2}

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_kl_weight_noise(ensemble, 0.5, weight_noise=0.1)), 6)
    0.937621
    """
    s2, spectrum = positive(weight_noise, "weight_noise"), ensemble.spectrum(tau)
    shift = spectrum.fitted * spectrum.response * (ensemble.y_modes**2).sum(axis=1)
    value = 0.5 * shift.sum(axis=-1) / (1 + s2)
    if not ensemble.centred:
        lost = spectrum.fitted * (1 + spectrum.residual) / (1 + s2)  # (1 - r²)/(1 + σ²)
        rest = np.log(spectrum.residual**2 + s2) - np.log1p(
            s2
        )  # all its digits, which 1 - lost has not where little is left
        value = value + 0.5 * ensemble.n_outputs * log_gap(lost, rest).sum(axis=-1)
    return like(value, tau)


@_label_information("I(θ;Y|X)", assumption="linear model (K = Θ), Y|X ~ N(m, s² I), whatever m", main=True)
def parameter_label_information(ensemble: Ensemble, tau: ArrayLike, label_noise: float) -> Float[np.ndarray, "*t"]:
    r"""Mutual information between the trained parameters and the training labels, in nats.

    .. math:: I(\theta;Y|X) = \frac k2\sum_j\log\left(1 + \frac{s^2\lambda_j a_j^2}{r_j^2}\right)

    For gradient flow ½ log det(I + s² Θ^{-1}(e^{τΘ} - I)²): it diverges as k τ Tr Θ, its mode terms being added in
    logarithms.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_label_information(ensemble, 0.5, label_noise=0.1)), 6)
    0.137694
    """
    s2, spectrum = positive(label_noise, "label_noise", zero=True), ensemble.spectrum(tau)
    if s2 == 0:
        return np.zeros(np.shape(tau))
    if ensemble.centred:
        return like(np.where(spectrum.fitted.max(axis=-1) > 0, np.inf, 0.0), tau)
    return like(0.5 * ensemble.n_outputs * np.logaddexp(0.0, log_gain(spectrum) + np.log(s2)).sum(axis=-1), tau)


@_label_information("I(θ;Y|X), correlated labels", assumption="linear model (K = Θ), Y|X ~ N(m, C), whatever m")
def parameter_label_information_correlated(ensemble: Ensemble, tau: float, label_covariance: ArrayLike) -> float:
    r"""As :func:`parameter_label_information`, for labels of any covariance C (n, n), in nats.

    .. math:: I(\theta;Y|X) = \frac k2\log\det\left(I + C\,\Theta A^2 R^{-2}\right)

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> round(float(parameter_label_information_correlated(ensemble, 0.5, 0.1 * np.eye(2))), 6)
    0.137694
    """
    c = covariance_root(label_covariance, ensemble.n_train)
    spectrum = ensemble.spectrum(float(tau))
    if ensemble.centred:
        return float("inf") if np.any(c) and spectrum.fitted.max() > 0 else 0.0
    return 0.5 * ensemble.n_outputs * log_det_gain(None, 0.5 * log_gain(spectrum)[0], ensemble.eigenvectors.T @ c)
