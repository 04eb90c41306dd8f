r"""Infinite ensembles of infinitely wide networks: the eigenmodes of Θ once, the Gaussian law at every training time.

With loss ½‖f - Y‖², learning rule and ridge ρ, mode j of Θ = V Λ V^T has rate s_j = λ_j + ρ, response a_j(τ) = (1 -
e_j(τ))/s_j and residual r_j = 1 - λ_j a_j. Writing A = V diag(a) V^T, the outputs at time τ are z(x) = z_0(x) - Θ_x A
(z_0 - Y), with z_0 ~ N(0, K).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dualib.core.arrays import times as times_of
from dualib.core.special import EPS
from dualib.core.typing import ArrayLike, FloatArray, Int
from ntkinfo.eigenmodes import Eigenmodes
from ntkinfo.half_products import half_products
from ntkinfo.laws import Collapse, Law, Marginals, Rounding, limit_covariances
from ntkinfo.resources import batch_size, column_blocks

Points = Literal["train", "test"]
_MOST = 300.0  # a logarithm whose number has a square, and that a product


@dataclass(frozen=True, eq=False)
class Ensemble(Eigenmodes):
    r"""An infinite ensemble: all infinitely wide networks that start from N(0, I) parameters and train on the same
    data.

    Parameters
    ----------
    kernels : Kernels
        On n training points (and m test points).
    y_train : array, shape (n,) or (n, k)
    ridge : float
        ρ >= 0 of the penalty ½ρ‖θ - θ_0‖² towards the initialisation (neural-tangents' ``diag_reg`` on the absolute scale).
    learning_rule : LearningRule
        GradientFlow() or GradientDescent(step).
    mode : {"ntk", "nngp"}
        "ntk" trains all layers, "nngp" the last layer only (then Θ is K, and τ → ∞ is the noise-free Gaussian process
        posterior).
    centred : bool
        Whether to train f(θ) - f(θ_0), a network whose output is zero at initialisation; its law has no variance.
    rank_tolerance : float or None
        Eigenvalues of Θ at most this fraction of the largest count as zero; by default n times machine precision, or the
        size of the most negative eigenvalue where that is larger. Given, it says that they are zero; by default they may be anything
        below :attr:`dropped_below`, and what that does to a table's columns counts as their rounding.

    Raises
    ------
    ValueError
        If labels do not match the kernels (both shapes are printed), the step is unstable, the test-train kernel sees the null
        space of Θ (so that the blocks cannot belong to one kernel), or a parameter is out of range.

    References
    ----------
    [jacot2018]_, [lee2019]_, [shwartzziv2019]_ eqs. 4-6

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> mean, covariance = ensemble.law(tau=0.5, on="train")
    >>> mean.ravel().round(6)  # (1 − e^{−2τ}) y
    array([ 0.632121, -0.632121])
    """

    def law(self, tau: float, on: Points = "test") -> Law:
        r"""The Gaussian law of the outputs at time `tau`. Exact.

        .. math:: \mu = \Theta_x A Y, \qquad
                  \Sigma = K_{xx} + \Theta_x A K A \Theta_x^\top - \Theta_x A K_{Dx} - (\Theta_x A K_{Dx})^\top

        On the training set μ = (I - R) Y and Σ = R K R, with R = I - ΘA.

        Parameters
        ----------
        tau : float
            At least 0, infinity included.
        on : {"test", "train"}

        Returns
        -------
        Law
            Mean of shape (points, k), covariance of shape (points, points); it unpacks as ``mean, covariance``.

        Raises
        ------
        ValueError
            If there are no test points, or the learning rule does not reach that time.

        References
        ----------
        [shwartzziv2019]_ eqs. 4-6 (eq. 6 symmetrised; see the errata), [lee2019]_
        """
        if np.ndim(tau) != 0:
            raise ValueError(f"law takes one time, got shape {np.shape(tau)}; use laws or marginals for many")
        if on == "train":
            return self._train_law(tau)
        (law,) = (batch for _, batch in self.laws(tau))
        return Law(law.mean[0], law.covariance[0], law.rounding and law.rounding[0], law.collapse and law.collapse[0])

    def _train_law(self, tau: float) -> Law:
        spectrum, v = self.spectrum(tau), self.eigenvectors
        mean, collapse = v @ (spectrum.fitted[0][:, None] * self.y_modes), self.collapse(tau)
        rounding, collapse = self._train_rounding(tau, collapse)[0], collapse[0]
        if self.centred:
            return Law(mean, np.zeros((self.n_train, self.n_train)), rounding, collapse)
        left = v * spectrum.residual[0]
        covariance = left @ self.nngp_modes @ left.T
        return Law(mean, 0.5 * (covariance + covariance.T), rounding, collapse)

    def collapse(self, taus: ArrayLike, points: Int[np.ndarray, " p"] | None = None) -> Collapse:
        """The law of single training points (all, or some) at many times as what it lacks of their labels."""
        spectrum, y = self.spectrum(taus), self.y_modes
        rows = np.arange(self.n_train) if points is None else points
        v = self.eigenvectors if points is None else self.eigenvectors[points]
        unseen = self.null & (np.abs(y).max(axis=1) <= self.n_train * EPS * np.linalg.norm(self.y_train))
        y = np.where(unseen[:, None], 0.0, y)
        with np.errstate(divide="ignore"):
            random = np.where(self.moving, self.n_outputs * self.kappa, 0.0)
            sizes = spectrum.log_residual + 0.5 * np.log(random + (y**2).sum(axis=1))
            log_size = sizes.max(axis=1)
            log_size[np.isneginf(log_size)] = 0.0
            # a mode that the law has not may be larger than all that it has by more than a number
            left = np.copysign(np.exp(np.minimum(spectrum.log_residual - log_size[:, None], _MOST)), spectrum.residual)
            left[:, unseen & (random == 0)] = 0.0
        shortfall = np.stack([v @ (weights[:, None] * y) for weights in left])
        spread = np.zeros(shortfall.shape[:2])
        if not self.centred:
            for row, weights in zip(spread, np.where(self.moving, left, 0.0), strict=True):
                for some in column_blocks(len(v)):
                    part = v[some] * weights
                    row[some] = np.maximum(np.einsum("ij,ij->i", part @ self.nngp_modes, part), 0.0)
        errors = self._collapse_rounding(taus, v, np.abs(left), log_size, spread)
        return Collapse(self.y_train[rows], shortfall, spread, np.tile(log_size[:, None], len(rows)), errors)

    def _collapse_rounding(
        self, taus: ArrayLike, v: FloatArray, left: FloatArray, log_size: FloatArray, spread: FloatArray
    ) -> Rounding:
        r"""What rounding does to shortfalls V r∘y and spreads, `left` being \|r\| in their unit.

        The r(Θ) of Θ + δ, ‖δ‖ of the order of η = ε λ_max, differs by V (r[λ_i, λ_j] ∘ V^T δ V) V^T with \|r[λ_i, λ_j]\| of the order of
        r_i a_j + a_i r_j, and of √(r'_i r'_j) where the two are near each other.
        """
        spectrum, eta = self.spectrum(taus), 4 * EPS * float(self.eigenvalues[-1])
        above = self.with_modes(
            np.where(self.null, self.eigenvalues, self.eigenvalues + eta), self.y_modes, self.kappa
        ).spectrum(taus)
        with np.errstate(invalid="ignore", over="ignore"):
            slope = np.nan_to_num(left * np.abs(np.expm1(above.log_residual - spectrum.log_residual)), posinf=1e300)
        y2, reach = self.y_modes**2, self._reach(spectrum.response)
        of_points = [np.empty(spread.shape) for _ in range(3)]
        for some in column_blocks(len(v)):
            rows = (v[some] ** 2).T
            for found, weights in zip(of_points, (left**2, reach**2, slope), strict=True):
                found[:, some] = np.sqrt(weights @ rows)

        def moved(power: FloatArray) -> FloatArray:
            """The size of the change of each point, of initial errors in the modes of that power (n, k)."""
            rests = [np.sqrt(w**p @ power)[:, None] for w, p in ((reach, 2), (left, 2), (slope, 1))]
            sizes = (4 * EPS, 4 * EPS, 1.0)
            return np.asarray(
                sum(size * a[..., None] * b for size, a, b in zip(sizes, of_points, rests, strict=True))
                + 4 * EPS * of_points[0][..., None] * np.sqrt(power.sum(axis=0))
            )

        wide = moved(self.kappa[:, None])[..., 0]
        own = 4 * EPS * float(self.kappa.max()) * of_points[0] ** 2
        return Rounding(moved(y2), wide * (2 * np.sqrt(spread) + wide) + own)

    def _test_collapse(
        self, times: FloatArray, mean: FloatArray, variance: FloatArray, errors: Rounding
    ) -> Collapse | None:
        """That of the test points, where some of them are training points, whose errors it puts in the place of others."""
        seen = self.twins >= 0
        if not seen.any():
            return None
        own = self.collapse(times, self.twins[seen])
        if own.rounding is not None:
            known = own.rounding.times(np.exp(own.log_size))
            errors.variance[..., seen] = known.variance
        return own.among(seen, mean, variance, errors)

    def laws(self, taus: ArrayLike) -> Iterator[tuple[slice, Law]]:
        """The law on the test points at many times, in batches that bound the memory: pairs (slice of `taus`, Law with
        a time axis).
        """
        times, m = np.atleast_1d(times_of(taus)), self.n_test
        responses, known = self.spectrum(times).response, self._twin_variances(times)
        prior = self.test_covariances("nngp_test")
        for where in column_blocks(times.size, max(1, batch_size(self.n_train) // m**2)):
            response = responses[where]
            mean, sizes = self._means(response), self._sizes(response)
            if self.centred:
                covariance = np.zeros((len(response), m, m))
                variance, rounding = covariance[:, 0], self._rounding(response, sizes, covariance[:, 0])
            else:
                # P K P^T - P C^T - C P^T = cross + cross^T with cross = (P U - C) P^T
                cross, (seen, initial, among, some) = np.empty((len(response), m, m)), self._seen()
                for points, half in half_products(seen, among, response[:, some]):
                    sizes.half[:, points] = np.sqrt(_row_dots(half, half))
                    half -= initial[points]
                    half *= response[:, None, some]
                    flat = half.reshape(-1, seen.shape[1]) @ seen.T
                    cross[:, points] = flat.reshape(len(half), -1, m)
                covariance = prior + cross + cross.transpose(0, 2, 1)
                del cross  # before the next ones are made
                index = np.arange(m)
                raw = covariance[:, index, index]
                variance, rounding = self._above_rounding(raw, sizes, response, known[where])
                covariance[:, index, index] = variance
            collapse = self._test_collapse(times[where], mean, variance, rounding)
            if collapse is not None:
                limit_covariances(covariance, variance + rounding.variance, np.flatnonzero(self.twins >= 0))
            yield where, Law(mean, covariance, rounding, collapse)
            del covariance

    def marginals(self, taus: ArrayLike, on: Points = "test") -> Marginals:
        """The law of single points at many times: mean (T, points, k), variance (T, points). On "train" it takes 2n³
        operations a time.
        """
        if on == "train":
            return self._train_marginals(taus)
        times = np.atleast_1d(times_of(taus))
        mean, variance = np.empty((times.size, self.n_test, self.n_outputs)), np.zeros((times.size, self.n_test))
        errors = Rounding(np.zeros_like(mean), np.zeros_like(variance))
        for points, part in self.test_parts:
            part._add_marginals(
                times,
                mean[:, points],
                variance[:, points],
                Rounding(errors.mean[:, points], errors.variance[:, points]),
            )
        return Marginals(mean, variance, errors, self._test_collapse(times, mean, variance, errors))

    def _add_marginals(self, times: FloatArray, mean: FloatArray, variance: FloatArray, errors: Rounding) -> None:
        """Write the law of each test point, and its rounding, into arrays of zeros."""
        response = self.spectrum(times).response
        mean[:], sizes = self._means(response), self._sizes(response)
        if self.centred:
            rounding = self._rounding(response, sizes, variance)
        else:
            seen, initial, among, some = self._seen()
            for points, half in half_products(seen, among, response[:, some]):
                sizes.half[:, points] = np.sqrt(_row_dots(half, half))
                half -= initial[points]
                variance[:, points] = 2 * _row_dots(half, response[:, None, some] * seen[points])
            variance += self.test_variance("nngp")
            variance[:], rounding = self._above_rounding(variance, sizes, response, self._twin_variances(times))
        errors.mean[:], errors.variance[:] = rounding.mean, rounding.variance

    def _seen(self) -> tuple[FloatArray, FloatArray, FloatArray, slice]:
        """Θ_x V, K_x V and V^T K V of the modes that are ever seen, and which these are: the last ones."""
        some = slice(self.n_train - max(self.rank, 1), None)
        seen, initial = self.test_modes
        return seen[:, some], initial[:, some], self.nngp_modes[some, some], some

    def _means(self, response: FloatArray) -> FloatArray:
        """The means Θ_x A Y of the test points (T, m, k)."""
        found = np.empty((len(response), self.n_test, self.n_outputs))
        for points in column_blocks(self.n_test):
            for output, labels in enumerate(self.y_modes.T):
                found[:, points, output] = response @ (self.test_modes[0][points] * labels).T
        return found

    def _sizes(self, response: FloatArray) -> _Sizes:
        found = _Sizes(*(np.zeros((len(response), self.n_test)) for _ in range(3)))
        unit = float(self.eigenvalues[-1]) or 1.0  # squares of responses without one may be no numbers
        for points in column_blocks(self.n_test):
            seen = self.test_modes[0][points]
            found.squares[:, points] = (response * unit) ** 2 @ ((seen / unit) ** 2).T
            found.absolute[:, points] = np.abs(response) @ np.abs(seen).T
        return found

    def _train_marginals(self, taus: ArrayLike) -> Marginals:
        spectrum, collapse = self.spectrum(taus), self.collapse(taus)
        mean = np.stack([self.eigenvectors @ (fitted[:, None] * self.y_modes) for fitted in spectrum.fitted])
        size = np.exp(collapse.log_size)
        return Marginals(mean, size**2 * collapse.spread, self._train_rounding(taus, collapse), collapse)

    def _train_rounding(self, taus: ArrayLike, collapse: Collapse) -> Rounding:
        """That of shortfalls and spreads, but of V^T Y the means round the part that is fitted, and the shortfalls what is left."""
        spectrum, found = self.spectrum(taus), np.zeros(collapse.log_size.shape)
        for some in column_blocks(self.n_train):
            rows = (self.eigenvectors[some] ** 2).T
            found[:, some] = np.sqrt(spectrum.fitted**2 @ rows) - np.sqrt(spectrum.residual**2 @ rows)
        assert collapse.rounding is not None
        known = collapse.rounding.times(np.exp(collapse.log_size))
        own = 4 * EPS * np.sqrt((self.y_modes**2).sum(axis=0))
        return Rounding(np.maximum(known.mean + found[..., None] * own, 0.0), known.variance)

    def _twin_variances(self, times: FloatArray) -> FloatArray:
        """The variances (T, twins) of the test points that are training points, by the form without cancellation."""
        twins = self.twins[self.twins >= 0]
        if self.centred or not twins.size:
            return np.zeros((times.size, twins.size))
        return np.asarray(np.exp(self.log_train_variance(times, twins)))

    def _above_rounding(
        self, variance: FloatArray, sizes: _Sizes, response: FloatArray, of_twins: FloatArray
    ) -> tuple[FloatArray, Rounding]:
        """The variance, 0 where it is lost in its rounding (but `of_twins`, whose form loses none), and the rounding: no less than what was
        lost.
        """
        moved = 4 * EPS * float(self.eigenvalues[-1]) * sizes.absolute
        sums = 16 * EPS * (self.test_variance("nngp") + sizes.half * np.sqrt(sizes.squares))
        spread = moved * (response @ np.sqrt(self.kappa))[:, None]
        kept = np.where(variance > np.maximum(sums, 6 * spread**2), variance, 0.0)
        lost = np.where(kept == 0, np.maximum(variance, 0.0), 0.0)
        kept[:, self.twins >= 0] = of_twins
        rounding = self._rounding(response, sizes, kept)
        return kept, Rounding(rounding.mean, sums + rounding.variance + lost)

    def _reach(self, response: FloatArray) -> FloatArray:
        """The responses λ_max a, without a unit: their squares are numbers."""
        return response * float(self.eigenvalues[-1])

    def _rounding(self, response: FloatArray, sizes: _Sizes, variance: FloatArray) -> Rounding:
        r"""What the rounding of Θ's eigenvectors does to means and variances, and that of the sums to means.

        They are those of a Θ + δ with ‖δ‖ of the order of ε λ_max. To first order A moves by V (d ∘ V^T δ V) V^T with
        \|d_{ij}\| <= a_i a_j, hence z_τ(x) by some ‖δ‖ √(1 + ‖P_x‖²) ‖a ∘ (z_0 - y)‖, the 1 being the rounding of Θ_x.
        """
        reach, squares = self._reach(response), sizes.squares
        moved = 4 * EPS * np.sqrt(1 + squares)
        mean = moved[..., None] * np.sqrt(reach**2 @ self.y_modes**2)[:, None, :]
        mean += 4 * EPS * np.sqrt(squares)[..., None] * np.sqrt((self.y_modes**2).sum(axis=0))
        spread = moved * np.sqrt(reach**2 @ self.kappa)[:, None]
        return Rounding(mean, spread * (2 * np.sqrt(variance) + spread))


@dataclass(frozen=True)
class _Sizes:
    """Of the rows P_x of test points at many times: ‖P_x‖², Σ_j |P_xj|, and ‖P_x U‖, shape (T, m) each."""

    squares: FloatArray
    absolute: FloatArray
    half: FloatArray


def _row_dots(a: FloatArray, b: FloatArray) -> FloatArray:
    found: FloatArray = np.einsum("...ij,...ij->...i", a, np.broadcast_to(b, a.shape))
    return found
