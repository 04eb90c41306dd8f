"""Networks of finite width after training by gradient flow: what the order 1/width adds to the law of infinite ensembles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dualib.core.arrays import columns, positive
from dualib.core.arrays import times as times_of
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float
from ntkinfo.ensemble import Ensemble, Points
from ntkinfo.finite_width.refine import relative_change
from ntkinfo.finite_width.start import Corrections
from ntkinfo.finite_width.training import Coefficients, coefficients
from ntkinfo.laws import Law


@dataclass(frozen=True, eq=False)
class Trained(Result):
    r"""Coefficients of 1/width at time τ of the loss ½‖z - y‖², on p = n + m points, training points first.

    Attributes
    ----------
    start : Corrections
        Of the networks at the start.
    y_train : array, shape (n,)
    tau : float
    mean : array, shape (p,)
        n (E z_τ - μ): the sum of the next four.
    bias, fluctuation, third, fourth : array, shape (p,)
        What the mean owes to the bias of Θ, to its fluctuations, and to the third and the fourth kernel of the hierarchy.
    covariance : array, shape (p, p)
        n (Cov(z_τ, z_τ) - Σ). It outlives its limit: trust it where n is far above its ratio to Σ.
    start_covariance : array, shape (p, p)
        n (Cov(z_τ(a), z_0(b)) - (E_τ K)_ab), with E_τ = e^{-τΘP} and P the projection on the training points.
    mirrored_covariance : array, shape (p, p)
        n Cov of (z_τ + z'_τ)/2, where z' is the network whose readout was negated at the start; its limit is 0.
    ntk : array, shape (p, p)
        n (E Θ̂_τ - Θ).
    errors : dict
        The largest change of each array at the last doubling of the nodes, over its largest entry.

    References
    ----------
    derived here; [huang2020]_ (hierarchy), [roberts2022]_ chapter ∞ (training), [dyer2020]_ (orders), [bordelon2023]_ (fluctuations)

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> start = ntkinfo.finite_width.corrections(np.eye(2), hidden_layers=1, progress=False)
    >>> after = trained(start, [1.0, -1.0], tau=0.5)
    >>> after.predicted_at(100, on="train").mean.shape
    (2, 1)
    """

    start: Corrections
    y_train: Float[np.ndarray, " n"]
    tau: float
    mean: Float[np.ndarray, " p"]
    covariance: Float[np.ndarray, "p p"]
    start_covariance: Float[np.ndarray, "p p"]
    mirrored_covariance: Float[np.ndarray, "p p"]
    ntk: Float[np.ndarray, "p p"]
    bias: Float[np.ndarray, " p"]
    fluctuation: Float[np.ndarray, " p"]
    third: Float[np.ndarray, " p"]
    fourth: Float[np.ndarray, " p"]
    errors: Mapping[str, float] = field(default_factory=dict)

    def on(self, points: Points) -> slice:
        """Where the training or the test points are."""
        n = len(self.y_train)
        return slice(None, n) if points == "train" else slice(n, None)

    def limit(self, on: Points = "test") -> Law:
        """The law at infinite width."""
        return Ensemble(self.start.kernels, self.y_train).law(self.tau, on)

    def predicted_at(self, width: float, on: Points = "test") -> Law:
        """The law to the order 1/width: that of infinite width plus the coefficients over `width`.

        It need not be positive semi-definite where `width` is too small (:meth:`least_width`).

        Raises
        ------
        ValueError
            If `width` is not positive, or there are no such points.
        """
        n, limit, where = positive(width, "width"), self.limit(on), self.on(on)
        return Law(limit.mean + self.mean[where, None] / n, limit.covariance + self.covariance[where, where] / n)

    def least_width(self, relative_error: float, on: Points = "test") -> float:
        """The least width at which mean and covariance are off their limits by at most `relative_error` of their norms, to the
        order 1/width; infinite where a limit is 0 and its correction is not.
        """
        limit, where = self.limit(on), self.on(on)
        pairs = ((self.mean[where], limit.mean), (self.covariance[where, where], limit.covariance))
        sizes = [(float(np.linalg.norm(c)), float(np.linalg.norm(q))) for c, q in pairs]
        widths = [0.0 if c == 0 else np.inf if q == 0 else c / q for c, q in sizes]
        return float(np.ceil(max(1.0, max(widths) / positive(relative_error, "relative_error"))))


def trained(start: Corrections, y_train: ArrayLike, tau: float) -> Trained:
    r"""All corrections of order 1/width of networks trained by gradient flow for the time `tau`.

    .. math:: r_\tau = E_\tau r_0 - \int E_{\tau-s}\,\delta\Theta_s P r_s\,ds, \qquad
              \delta\Theta_s = \hat\Theta_0 - \Theta - O_3 A_s r_0 + O_4 \int_0^s (E_v r_0)(A_v r_0)\,dv

    to second order in the fluctuations of order 1/√n and first in O_3, O_4, of order 1/n (A_s = P∫_0^s E), averaged over the start. Θ̂ of
    order 1/√n and the outputs are Gaussian to this order. Memory p n³ and p² n².

    Parameters
    ----------
    start : Corrections
        Of the networks at the start, on training and test points.
    y_train : array, shape (n,) or (n, 1)
        One output.
    tau : float
        At least 0; infinity where Θ has no null space.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        If the labels do not match the training points or have several columns, or τ is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from ntkinfo.finite_width import corrections, trained
    >>> x = np.array([[1.0, 0.5, -0.3], [-0.2, 0.8, 1.1], [0.6, 0.2, 0.5]])
    >>> after = trained(corrections(x[:2], x[2:], hidden_layers=1, b_std=0.3), [1.0, -0.7], 1.0)
    >>> after.mean.round(3), after.least_width(0.1)
    (array([-0.374,  0.288, -0.066]), 4.0)
    """
    n = start.kernels.n_train
    y = columns(y_train, "y_train", n, f"{n} training points")
    if y.shape[1] != 1:
        raise ValueError(
            f"y_train has {y.shape[1]} columns: corrections of training are known for networks of one output"
        )
    if np.ndim(tau) != 0:
        raise ValueError(f"trained takes one time, got shape {np.shape(tau)}")
    time = float(times_of(tau, "tau"))
    fine = coefficients(start, {name: getattr(start, name) for name in start.coarse}, y[:, 0], time)
    coarse = coefficients(start, start.coarse, y[:, 0], time)
    errors = {name: relative_change(getattr(fine, name), getattr(coarse, name)) for name in Coefficients._fields}
    return Trained(start, y[:, 0], time, **fine._asdict(), errors=errors)
