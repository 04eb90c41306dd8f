r"""The information in the parameters of infinitely wide networks, by their third kernel Ω."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from dualib.core.arrays import times
from dualib.core.quantity import Relation
from dualib.core.special import EPS, expm1_gap
from dualib.core.typing import ArrayLike, Float, FloatArray
from dualib.core.units import Unit
from ntkinfo.ensemble import Ensemble
from ntkinfo.learning import GradientFlow
from ntkinfo.quantities.registry import REGISTRY, Bound, Condition, DataSets, Group, with_rounding
from ntkinfo.quantities.spectra import like, seen_modes
from ntkinfo.resources import PAIR_ROWS, column_blocks

_KNOWN_FOR = (
    Condition.GRADIENT_FLOW,
    Condition.NO_RIDGE,
    Condition.ALL_LAYERS,
    Condition.RANDOM_START,
    Condition.THIRD_KERNEL,
)
_register = partial(REGISTRY.register, source="derived here", only=_KNOWN_FOR)


def infinite_width_terms(
    values: Float[np.ndarray, " n"], tau: float, rows: slice = slice(None)
) -> tuple[Float[np.ndarray, "r n"], Float[np.ndarray, " n"]]:
    r"""∫_0^τ e^{-sλ_i} (1 - e^{-sλ_j})/λ_j ds of all pairs (i in `rows`), and τλ - (1 - e^{-τλ}) of each eigenvalue.

    With x = τλ_i, y = τλ_j and h(x) = (1 - e^{-x})/x the first is τ² [h(x) - e^{-x} h(y)]/(x + y), which loses digits only
    where x + y is small; there it is τ² ∫_0^1 e^{-xs} s h(ys) ds, by Gauss-Legendre quadrature.

    Examples
    --------
    >>> import numpy as np
    >>> pairs, own = infinite_width_terms(np.array([1.0, 2.0]), tau=0.5)
    >>> pairs.shape, own.round(6)  # τλ − (1 − e^{−τλ})
    ((2, 2), array([0.106531, 0.367879]))
    """
    x = tau * values
    h = np.where(x > 0, -np.expm1(-x) / np.where(x > 0, x, 1.0), 1.0)
    total = x[rows, None] + x
    wide = (h[rows, None] - np.exp(-x[rows, None]) * h) / np.where(total > 0, total, 1.0)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    s, weights = (nodes + 1) / 2, weights / 2
    sx = np.minimum(x, 1.0)[:, None] * s
    inner = s * np.where(sx > 0, -np.expm1(-sx) / np.where(sx > 0, sx, 1.0), 1.0)
    narrow = (np.exp(-sx[rows]) * weights) @ inner.T
    return tau**2 * np.where(total < 1.0, narrow, wide), expm1_gap(-x)


@_register(
    "KL, infinite width",
    Unit.NATS,
    Relation.UPPER_IN_EXPECTATION,
    of="I(θ;D), by KL(p(θ|D) ‖ p(θ at the start)) at infinite width",
    assumption="infinite width, smooth activation; a bound on averaging over D",
    shows=("kl", Relation.EXACT),
    group=Group.PARAMETERS,
    holds_for=DataSets.MEAN,
    main=True,
)
@with_rounding(lambda ensemble, tau: _infinite_width(ensemble, tau))
def parameter_kl_infinite_width(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""KL divergence of the trained parameters from the initial ones of an infinitely wide network, in nats.

    .. math:: k\left[\tau\,\mathrm{Tr}\,\Theta - \mathrm{Tr}(I - E)\right]
              + \int_0^\tau \mathrm{Tr}\left[(kK + YY^\top)\, e^{-s\Theta}\, \Omega\, A(s)\right] ds

    in closed form in the eigenbasis of Θ. The flow v = -J^T r carries the parameters' law, so that

    .. math:: \frac{d}{ds} KL = E[-\nabla\cdot v + \theta\cdot v] = k\,\mathrm{Tr}\,\Theta + E\, r_s \cdot \ell_s,
              \qquad \ell = (\Delta_\theta - \theta\cdot\nabla)\, z .

    Of the chaos of degree q of z, ℓ is -q times: E ℓ z^T = -Θ at the start, and E ∇ℓ ∇z^T = -Ω, so that at infinite width
    r_s = e^{-sΘ} r_0 and ℓ_s = ℓ_0 + Ω A(s) r_0. With Ω = Θ it is
    :func:`~ntkinfo.quantities.parameter_kl`, the linearised form.

    Parameters
    ----------
    ensemble : Ensemble
        Under gradient flow of all layers, without ridge, not centred, with kernels that have their Ω on the training points.
    tau : array_like
        Times >= 0.

    Returns
    -------
    array of the shape of `tau`
        +inf at τ = ∞.

    Raises
    ------
    ValueError
        If the learning rule, ridge, mode or start is another, or the kernels have no Ω.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.kernels.dense(np.eye(2), hidden_layers=1), [1.0, -1.0])
    >>> round(float(parameter_kl_infinite_width(ensemble, 0.5)), 6)
    2.195904
    """
    return _infinite_width(ensemble, tau)[0]


def _infinite_width(ensemble: Ensemble, tau: ArrayLike) -> Bound:
    """The KL divergence with its rounding, and that rounding."""
    values, k = _eigenvalues(ensemble), ensemble.n_outputs
    at = np.atleast_1d(times(tau, "tau"))
    found = np.where(np.isinf(at), np.inf if values.size else 0.0, 0.0)
    errors, entries, sizes = np.zeros(at.shape), np.zeros((at.size, 2)), np.zeros(2)
    for rows, power, omega in _factors(ensemble):
        weight, power, omega = power * omega, power**2, omega**2
        sizes += omega.sum(), power.sum()
        for i in np.flatnonzero(np.isfinite(at)):
            integrals, gap = infinite_width_terms(values, float(at[i]), rows)
            terms, response = weight * integrals, -np.expm1(-at[i] * values) / values
            found[i] += k * gap[rows].sum() + terms.sum()
            # d log of an integral by each of its rates is at most its response
            moved = np.abs(terms) @ response + np.abs(terms).sum(axis=1) * response[rows]
            moved += k * at[i] * -np.expm1(-at[i] * values[rows])
            errors[i] += float(values[-1]) * moved.sum()
            integrals *= integrals
            entries[i] += np.vdot(power, integrals), np.vdot(omega, integrals)
    # of the entries' own errors: Σ_ij I_ij M_ij δΩ_ij is at most ‖I∘M‖ ‖δΩ‖, and ‖δΩ‖ some ε ‖Ω‖
    errors += np.sqrt(entries) @ np.sqrt(sizes)
    rounding = np.where(np.isinf(found), 0.0, 8 * EPS * errors + (8 + np.sqrt(values.size)) * 2 * EPS * found)
    return like(found + rounding, tau), like(rounding, tau)


@_register(
    "dKL/dτ, infinite width",
    Unit.NATS_PER_TAU,
    Relation.EXACT,
    of="time derivative of parameter_kl_infinite_width",
    assumption="infinite width, smooth activation",
    shows=("kl_rate", Relation.EXACT),
    group=Group.RATES,
    holds_for=DataSets.ONE,
)
def parameter_kl_infinite_width_rate(ensemble: Ensemble, tau: ArrayLike) -> Float[np.ndarray, "*t"]:
    r"""Time derivative of :func:`parameter_kl_infinite_width`, in nats per unit of τ; k Tr Θ at τ = ∞.

    .. math:: k\,\mathrm{Tr}\,\Theta(I - E) + \mathrm{Tr}\left[(kK + YY^\top)\, E\, \Omega\, A\right]

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.kernels.dense(np.eye(2), hidden_layers=1), [1.0, -1.0])
    >>> round(float(parameter_kl_infinite_width_rate(ensemble, 0.5)), 6)
    5.830555
    """
    values = _eigenvalues(ensemble)
    at = np.atleast_1d(times(tau, "tau"))[:, None]
    left, moved = np.exp(-at * values), -np.expm1(-at * values)
    rate: FloatArray = ensemble.n_outputs * moved @ values
    for rows, power, third in _factors(ensemble):
        weight = power * third
        rate += ((left[:, rows] @ weight) * (moved / values)).sum(axis=1)
    return like(rate, tau)


def conditions_of(ensemble: Ensemble) -> dict[Condition, bool]:
    """The conditions on an ensemble, and which of them it meets.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> [condition.name for condition, met in conditions_of(ensemble).items() if not met]
    ['THIRD_KERNEL']
    """
    return {
        Condition.GRADIENT_FLOW: isinstance(ensemble.learning_rule, GradientFlow),
        Condition.NO_RIDGE: ensemble.ridge == 0,
        Condition.ALL_LAYERS: ensemble.mode == "ntk",
        Condition.RANDOM_START: not ensemble.centred,
        Condition.THIRD_KERNEL: ensemble.kernels.omega is not None,
    }


def _eigenvalues(ensemble: Ensemble) -> FloatArray:
    """The eigenvalues of Θ above zero, of an ensemble for which these formulas hold."""
    missing = [condition for condition, met in conditions_of(ensemble).items() if not met]
    if missing:
        raise ValueError(
            "the infinite-width information in the parameters is known for gradient flow of all layers from a random start, "
            f"without ridge, of kernels with their Ω; here {', '.join(missing)}"
        )
    values: FloatArray = ensemble.eigenvalues[seen_modes(ensemble)]
    return values


def _factors(ensemble: Ensemble) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """M_ij and Ω_ij in the eigenvectors of Θ above zero, in blocks of rows i; on the null space of Θ Ω vanishes too."""
    first, k, omega = ensemble.n_train - ensemble.rank, ensemble.n_outputs, ensemble.omega_modes
    assert omega is not None
    y = ensemble.y_modes[first:]
    for rows in column_blocks(ensemble.rank, PAIR_ROWS):
        there = slice(first + rows.start, first + rows.stop)
        yield rows, k * ensemble.nngp_modes[there, first:] + y[rows] @ y.T, omega[there, first:]
