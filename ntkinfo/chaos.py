r"""The third kernel Ω of dense networks (:mod:`ntkinfo.kernels.dense`) and the information in their parameters at infinite width."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ntkinfo import _arrays
from ntkinfo._arrays import FloatArray
from ntkinfo._quantity import quantity
from ntkinfo.activations import Activation
from ntkinfo.activations.closed_forms import Expectations
from ntkinfo.ensemble import Ensemble
from ntkinfo.kernels.checks import third_kernel
from ntkinfo.learning import GradientFlow
from ntkinfo.parameters import parameter_kl, parameter_kl_published


def activation_expectations(activation: str | Activation) -> Expectations:
    """The expectations of an activation that has a third kernel."""
    phi = Activation.named(activation)
    phi.require_third_kernel()
    return phi.expectations


# --- the information in the parameters ---


def infinite_width_terms(values: FloatArray, tau: float) -> tuple[FloatArray, FloatArray]:
    r"""∫_0^τ e^{-sλ_i} (1 - e^{-sλ_j})/λ_j ds of all pairs, and τλ - (1 - e^{-τλ}) of each eigenvalue.

    With x = τλ_i, y = τλ_j and h(x) = (1 - e^{-x})/x the first is τ² [h(x) - e^{-x} h(y)]/(x + y), which loses digits only
    where x + y is small; there it is τ² ∫_0^1 e^{-xs} s h(ys) ds, by Gauss-Legendre quadrature.
    """
    x = tau * values
    h = np.where(x > 0, -np.expm1(-x) / np.where(x > 0, x, 1.0), 1.0)
    total = x[:, None] + x
    wide = (h[:, None] - np.exp(-x)[:, None] * h) / np.where(total > 0, total, 1.0)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    s, weights = (nodes + 1) / 2, weights / 2
    small = np.minimum(x, 1.0)
    sx = small[:, None] * s
    inner = s * np.where(sx > 0, -np.expm1(-sx) / np.where(sx > 0, sx, 1.0), 1.0)
    narrow = (np.exp(-sx) * weights) @ inner.T
    series = x**2 * (1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x / 720))))
    gap = np.where(x < 5e-3, series, x + np.expm1(-x))
    return tau**2 * np.where(total < 1.0, narrow, wide), gap


@quantity("upper bound", "I(θ;D)", "infinite width, smooth activation; a bound on averaging over D", "derived here")
def parameter_kl_infinite_width(ensemble: Ensemble, tau: ArrayLike, omega: ArrayLike) -> FloatArray:
    r"""KL divergence of the trained parameters from the initial ones of an infinitely wide network, in nats.

    .. math:: k\left[\tau\,\mathrm{Tr}\,\Theta - \mathrm{Tr}(I - E)\right]
              + \int_0^\tau \mathrm{Tr}\left[(kK + YY^\top)\, e^{-s\Theta}\, \Omega\, A(s)\right] ds

    in closed form in the eigenbasis of Θ. The flow v = -J^T r carries the parameters' law, so that

    .. math:: \frac{d}{ds} KL = E[-\nabla\cdot v + \theta\cdot v] = k\,\mathrm{Tr}\,\Theta + E\, r_s \cdot \ell_s,
              \qquad \ell = (\Delta_\theta - \theta\cdot\nabla)\, z .

    Of the chaos of degree q of z, ℓ is -q times: E ℓ z^T = -Θ at the start, and E ∇ℓ ∇z^T = -Ω, so that at infinite width
    r_s = e^{-sΘ} r_0 and ℓ_s = ℓ_0 + Ω A(s) r_0. With Ω = Θ it is :func:`ntkinfo.parameter_kl`, the linearised form.

    Parameters
    ----------
    ensemble : under gradient flow of all layers, without ridge, not centred.
    tau : float or array, >= 0.
    omega : array, shape (n, n): the third kernel on the training points, ``ensemble.kernels.omega``.

    Returns
    -------
    array of the shape of `tau`; +inf at τ = ∞.

    Raises
    ------
    ValueError: another learning rule, ridge, mode or a centred ensemble; an Ω of another shape, or not Ω ⪰ Θ (which the
        two kernels of one network have).
    """
    values, weight = _modes(ensemble, omega)
    times = np.atleast_1d(_arrays.as_times(tau))
    found = np.where(np.isinf(times), np.inf if values.size else 0.0, 0.0)
    for i in np.flatnonzero(np.isfinite(times)):
        integrals, gap = infinite_width_terms(values, float(times[i]))
        found[i] = ensemble.n_outputs * gap.sum() + (weight * integrals).sum()
    return found.reshape(np.shape(tau))


@quantity("exact", "d/dτ of parameter_kl_infinite_width", "infinite width, smooth activation", "derived here")
def parameter_kl_infinite_width_rate(ensemble: Ensemble, tau: ArrayLike, omega: ArrayLike) -> FloatArray:
    r"""Time derivative of :func:`parameter_kl_infinite_width`, in nats per unit of τ.

    .. math:: k\,\mathrm{Tr}\,\Theta(I - E) + \mathrm{Tr}\left[(kK + YY^\top)\, E\, \Omega\, A\right]

    Parameters, Raises
    ------------------
    as of :func:`parameter_kl_infinite_width`.

    Returns
    -------
    array of the shape of `tau`, k Tr Θ at τ = ∞.
    """
    values, weight = _modes(ensemble, omega)
    times = np.atleast_1d(_arrays.as_times(tau))[:, None]
    left = np.exp(-times * values)
    moved = -np.expm1(-times * values)
    rate: FloatArray = ensemble.n_outputs * moved @ values + np.einsum("ti,ij,tj->t", left, weight, moved / values)
    return rate.reshape(np.shape(tau))


def _modes(ensemble: Ensemble, omega: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The eigenvalues of Θ above zero, and M_ji Ω_ij in their eigenvectors; on the null space of Θ Ω vanishes too."""
    _require_flow(ensemble)
    third = third_kernel(omega, ensemble.kernels.ntk, "omega")
    seen = ~ensemble.null
    v, y = ensemble.eigenvectors[:, seen], ensemble.y_modes[seen]
    power = ensemble.n_outputs * ensemble.nngp_modes[np.ix_(seen, seen)] + y @ y.T
    return ensemble.eigenvalues[seen], power * (v.T @ third @ v)


def parameter_information(
    ensemble: Ensemble,
    tau: ArrayLike,
    model: Literal["infinite-width", "linearised", "published"] = "linearised",
    omega: ArrayLike | None = None,
) -> FloatArray:
    """The information in the parameters, KL(p(θ_τ|D) ‖ p_0) ≥ I(θ_τ;D) on averaging over D, in nats.

    Parameters
    ----------
    model : "infinite-width", exact for infinitely wide networks of a smooth activation (needs `omega`):
        :func:`parameter_kl_infinite_width`; "linearised", exact for linear models: :func:`ntkinfo.parameter_kl`;
        "published", [shwartzziv2019]_ eq. 27, exact for neither: :func:`ntkinfo.parameter_kl_published`.
    omega : the third kernel on the training points, ``ensemble.kernels.omega``.

    Raises
    ------
    ValueError: an unknown model, or omega missing where it is needed or given where it is not.
    """
    if model not in ("infinite-width", "linearised", "published"):
        raise ValueError(f'model must be "infinite-width", "linearised" or "published", got {model!r}')
    if (omega is not None) != (model == "infinite-width"):
        need = (
            "needs omega, such as ensemble.kernels.omega" if omega is None else "has no third kernel: leave omega out"
        )
        raise ValueError(f"model {model!r} {need}")
    if model == "infinite-width":
        return parameter_kl_infinite_width(ensemble, tau, omega)  # type: ignore[arg-type]
    return parameter_kl(ensemble, tau) if model == "linearised" else parameter_kl_published(ensemble, tau)


def _require_flow(ensemble: Ensemble) -> None:
    wrong = {
        "learning_rule": not isinstance(ensemble.learning_rule, GradientFlow),
        "ridge": ensemble.ridge != 0,
        "mode": ensemble.mode != "ntk",
        "centred": ensemble.centred,
    }
    if any(wrong.values()):
        names = ", ".join(name for name, is_wrong in wrong.items() if is_wrong)
        raise ValueError(
            f"the infinite-width information in the parameters is known for gradient flow of all layers from a random start, "
            f"without ridge; this ensemble has another {names}"
        )
