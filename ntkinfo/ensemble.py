r"""Infinite ensembles of infinitely wide networks: the eigenmodes of Θ once, the Gaussian law at every training time.

With loss ½‖f - Y‖², learning rule and ridge ρ, mode j of Θ = V Λ V^T has rate s_j = λ_j + ρ, response a_j(τ) = (1 -
e_j(τ))/s_j and residual r_j = 1 - λ_j a_j. Writing A = V diag(a) V^T, the outputs at time τ are z(x) = z_0(x) - Θ_x A
(z_0 - Y), with z_0 ~ N(0, K).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import blas, lapack, qr, solve_triangular

from ntkinfo._arrays import BoolArray, FloatArray, IntArray, as_columns, as_times, positive
from ntkinfo.kernels import Kernels
from ntkinfo.laws import Law, Marginals, Rounding, Spectrum
from ntkinfo.learning import GradientFlow, LearningRule

Points = Literal["train", "test"]

_EPS = float(np.finfo(np.float64).eps)
_SAME = 8 * _EPS  # of the largest variance: rows of kernels that differ by less are of one point


@dataclass(frozen=True, eq=False)
class Ensemble:
    r"""An infinite ensemble: all infinitely wide networks that start from N(0, I) parameters and train on the same
    data.

    Parameters
    ----------
    kernels : Kernels on n training points (and m test points).
    y_train : array, shape (n,) or (n, k).
    ridge : ρ >= 0, penalty ½ρ‖θ - θ_0‖² towards the initialisation (neural-tangents' ``diag_reg`` on the absolute
        scale).
    learning_rule : GradientFlow() or GradientDescent(step).
    mode : "ntk" trains all layers, "nngp" the last layer only (then Θ is K, and τ → ∞ is the noise-free Gaussian
        process posterior).
    centred : train f(θ) - f(θ_0), a network whose output is zero at initialisation; its law has no variance.
    rank_tolerance : eigenvalues of Θ at most this fraction of the largest count as zero; by default n times machine
        precision, or the size of the most negative eigenvalue where that is larger.

    Raises
    ------
    ValueError: labels that do not match the kernels (both shapes are printed), an unstable step, a test-train kernel
        that sees the null space of Θ (so that the blocks cannot belong to one kernel), or a parameter out of range.

    References
    ----------
    [jacot2018]_, [lee2019]_, [shwartzziv2019]_ eqs. 4-6
    """

    kernels: Kernels
    y_train: FloatArray
    ridge: float = 0.0
    learning_rule: LearningRule = field(default_factory=GradientFlow)
    mode: Literal["ntk", "nngp"] = "ntk"
    centred: bool = False
    rank_tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("ntk", "nngp"):
            raise ValueError(f'mode must be "ntk" or "nngp", got {self.mode!r}')
        n = self.kernels.n_train
        object.__setattr__(
            self, "y_train", as_columns("y_train", self.y_train, n, f"a training kernel of shape ({n}, {n})")
        )
        object.__setattr__(self, "ridge", positive("ridge", self.ridge, zero=True))
        if self.rank_tolerance is not None:
            positive("rank_tolerance", self.rank_tolerance, zero=True)
        largest = float(np.abs(self._theta).sum(axis=0).max()) + self.ridge
        try:
            self.learning_rule.check(largest)
        except ValueError:  # the cheap bound on the largest eigenvalue does not clear the step: ask the spectrum
            self.learning_rule.check(float(self.eigenvalues[-1]) + self.ridge)

    # --- sizes and kernels ---

    @property
    def n_train(self) -> int:
        """The number n of training points."""
        return self.kernels.n_train

    @property
    def n_test(self) -> int:
        """The number m of test points."""
        return self.kernels.n_test

    @property
    def n_outputs(self) -> int:
        """The number k of outputs."""
        return self.y_train.shape[1]

    @property
    def _theta(self) -> FloatArray:
        return self.kernels.ntk if self.mode == "ntk" else self.kernels.nngp

    @property
    def theta_test(self) -> FloatArray:
        """Θ between test points, shape (m, m)."""
        self.need_test()
        return self.kernels.ntk_test if self.mode == "ntk" else self.kernels.nngp_test  # type: ignore[return-value]

    @property
    def _initial_test(self) -> FloatArray:
        self.need_test()
        return self.kernels.nngp_test  # type: ignore[return-value]

    def need_test(self) -> None:
        """Raise unless the kernels have test points."""
        if self.n_test == 0:
            raise ValueError(
                "these kernels have no test points: give all four test blocks to Kernels, or use on='train'"
            )

    # --- the eigenmodes, once ---

    @cached_property
    def _eigen(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        values, vectors = np.linalg.eigh(self._theta)
        return np.maximum(values, 0.0), vectors, values[values < 0]

    @cached_property
    def _null(self) -> BoolArray:
        """Which modes count as the null space of Θ, boolean, shape (n,)."""
        values = self.eigenvalues
        relative = self.n_train * _EPS if self.rank_tolerance is None else self.rank_tolerance
        threshold = relative * values[-1]
        if self.rank_tolerance is None and self.n_clipped:
            threshold = max(threshold, -float(self._eigen[2].min()))
        return values <= threshold

    @property
    def eigenvalues(self) -> FloatArray:
        """Eigenvalues of Θ, ascending, negative ones (rounding) set to 0, shape (n,)."""
        return self._eigen[0]

    @property
    def eigenvectors(self) -> FloatArray:
        """Eigenvectors of Θ in columns, shape (n, n)."""
        return self._eigen[1]

    @property
    def n_clipped(self) -> int:
        """How many eigenvalues of Θ came out negative by rounding and were set to 0."""
        return self._eigen[2].size

    @property
    def rank(self) -> int:
        """The numerical rank of Θ: modes outside it are never fitted."""
        return self.n_train - int(self._null.sum())

    @cached_property
    def y_modes(self) -> FloatArray:
        """The labels in the eigenbasis, V^T Y, shape (n, k)."""
        return self.eigenvectors.T @ self.y_train

    @cached_property
    def nngp_modes(self) -> FloatArray:
        """K in the eigenbasis of Θ, V^T K V, shape (n, n)."""
        if self.mode == "nngp":
            return np.diag(self.eigenvalues)
        v = self.eigenvectors
        half = blas.dtrmm(1.0, self.kernels.nngp.T, v.T, side=1, lower=1).T  # the upper triangle of K times V
        half -= 0.5 * np.diagonal(self.kernels.nngp)[:, None] * v
        product = v.T @ half
        half[:] = product.T
        product += half
        return product

    @cached_property
    def moving(self) -> BoolArray:
        """The modes that the outputs have: all but the null space of Θ where K vanishes too; boolean, shape (n,)."""
        seen, diagonal = ~self._null, np.diagonal(self.nngp_modes)
        if not seen.all() and diagonal[~seen].max() > 1e3 * self.n_train * _EPS * diagonal.max():
            return np.ones_like(seen)
        return seen

    def inverse_nngp_triangle(self) -> FloatArray | None:
        """A triangle T (n, n) with T + T^T = (V^T K V)^{-1}, zero on the null space of Θ where K vanishes too.

        None where K is singular on the rest.
        """
        modes, seen = self.nngp_modes, self.moving
        if not seen.any():
            return np.zeros_like(modes)
        block = modes if seen.all() else modes[np.ix_(seen, seen)]
        factor, info = lapack.dpotrf(block.T, lower=0, clean=1)
        if info != 0:
            return None
        inverse, _ = lapack.dpotri(factor, lower=0, overwrite_c=1)
        inverse[np.diag_indices_from(inverse)] *= 0.5
        if seen.all():
            return inverse
        whole = np.zeros_like(modes)
        whole[np.ix_(seen, seen)] = inverse
        return whole

    @cached_property
    def kappa(self) -> FloatArray:
        """The initial output variance in each mode, v_j^T K v_j, shape (n,); 0 for a centred ensemble."""
        return np.zeros(self.n_train) if self.centred else np.maximum(np.diagonal(self.nngp_modes), 0.0)

    @cached_property
    def mode_power(self) -> FloatArray:
        """E‖r_j‖², the mean squared initial error of each mode summed over outputs: k κ_j + ‖y_j‖², shape (n,)."""
        return self.n_outputs * self.kappa + (self.y_modes**2).sum(axis=1)

    @cached_property
    def test_modes(self) -> tuple[FloatArray, FloatArray]:
        """Θ_x V (zero on the null space) and K_x V, shape (m, n) each."""
        self.need_test()
        kernels = self.kernels
        theta = kernels.ntk_test_train if self.mode == "ntk" else kernels.nngp_test_train
        seen = theta @ self.eigenvectors  # type: ignore[operator]
        initial = seen if self.mode == "nngp" else kernels.nngp_test_train @ self.eigenvectors  # type: ignore[operator]
        scale = float(np.diagonal(self.theta_test).max()) * float(self.eigenvalues[-1])
        if self._null.any() and float(np.abs(seen[:, self._null]).max()) > 1e-3 * np.sqrt(scale):
            raise ValueError(
                "the test-train kernel has a component in the null space of the training kernel, which no kernel "
                "function has: check that the blocks come from one kernel on the same training points in the same order "
                "(or lower rank_tolerance)"
            )
        return np.where(self._null, 0.0, seen), initial

    @cached_property
    def twins(self) -> IntArray:
        """The training point that each test point is, to the rounding of both kernels' rows, or -1; shape (m,)."""
        self.need_test()
        kernels = self.kernels
        found = np.full(self.n_test, -1)
        blocks = [
            (
                getattr(kernels, name),
                getattr(kernels, name + "_test_train"),
                np.diagonal(getattr(kernels, name + "_test")),
            )
            for name in ("ntk", "nngp")
        ]
        diagonals = [np.diagonal(train) for train, _, _ in blocks]
        sizes = [
            _SAME * max(float(d.max()), float(test.max())) for d, (_, _, test) in zip(diagonals, blocks, strict=True)
        ]
        _, cross, variance = blocks[1]
        for x in range(self.n_test):
            i = int(np.abs(diagonals[1] + variance[x] - 2 * cross[x]).argmin())
            if all(
                abs(own[x] - d[i]) <= size and np.abs(rows[x] - whole[i]).max() <= size
                for (whole, rows, own), d, size in zip(blocks, diagonals, sizes, strict=True)
            ):
                found[x] = i
        return found

    # --- functions of the spectrum ---

    def spectrum(self, taus: ArrayLike) -> Spectrum:
        """The mode functions at `taus` (scalar or shape (T,)); each of shape (T, n), T = 1 for a scalar."""
        times = self.learning_rule.time(np.atleast_1d(as_times(taus)))
        values, seen = self.eigenvalues, ~self._null
        rates = np.where(seen, values + self.ridge, 0.0)
        safe = np.where(seen, rates, 1.0)
        log_decay = self.learning_rule.log_decay(rates, times)
        sign = self.learning_rule.decay_sign(rates, times)
        decay = sign * np.exp(log_decay)
        moved = np.where(sign > 0, -np.expm1(log_decay), 1.0 - decay)
        response = moved / safe
        if self.ridge == 0:
            return Spectrum(decay, response, moved, decay, log_decay)
        fitted = values / safe * moved
        residual = np.where(seen, (self.ridge + values * decay) / safe, 1.0)
        with np.errstate(divide="ignore"):
            log_residual = np.where(fitted < 0.5, np.log1p(-np.minimum(fitted, 0.5)), np.log(np.abs(residual)))
        return Spectrum(decay, response, fitted, residual, log_residual)

    # --- the predictive law ---

    def law(self, tau: float, on: Points = "test") -> Law:
        r"""The Gaussian law of the outputs at time `tau`. Exact.

        .. math:: \mu = \Theta_x A Y, \qquad
                  \Sigma = K_{xx} + \Theta_x A K A \Theta_x^\top - \Theta_x A K_{Dx} - (\Theta_x A K_{Dx})^\top

        On the training set μ = (I - R) Y and Σ = R K R, with R = I - ΘA.

        Parameters
        ----------
        tau : float >= 0, infinity included.
        on : "test" or "train".

        Returns
        -------
        Law, mean of shape (points, k), covariance of shape (points, points); it unpacks as ``mean, covariance``.

        Raises
        ------
        ValueError: no test points, or a time the learning rule does not reach.

        References
        ----------
        [shwartzziv2019]_ eqs. 4-6 (eq. 6 symmetrised; see the errata), [lee2019]_
        """
        if np.ndim(tau) != 0:
            raise ValueError(f"law takes one time, got shape {np.shape(tau)}; use laws or marginals for many")
        if on == "train":
            return self._train_law(tau)
        (law,) = (batch for _, batch in self.laws(tau))
        rounding = law.rounding and Rounding(law.rounding.mean[0], law.rounding.variance[0])
        return Law(law.mean[0], law.covariance[0], rounding)

    def _train_law(self, tau: float) -> Law:
        spectrum, v = self.spectrum(tau), self.eigenvectors
        mean = v @ (spectrum.fitted[0][:, None] * self.y_modes)
        if self.centred:
            return Law(mean, np.zeros((self.n_train, self.n_train)))
        left = v * spectrum.residual[0]
        covariance = left @ self.nngp_modes @ left.T
        return Law(mean, 0.5 * (covariance + covariance.T))

    def laws(self, taus: ArrayLike) -> Iterator[tuple[slice, Law]]:
        """The law on the test points at many times, in batches that bound the memory: pairs (slice of `taus`, Law with
        a time axis).
        """
        for where, projected, half, mean in self._test_batches(taus):
            if half is None:
                yield where, Law(mean, np.zeros((mean.shape[0], self.n_test, self.n_test)))
                continue
            # P K P^T - P C^T - C P^T = cross + cross^T with cross = (P U - C) P^T
            cross = np.stack([(a - self.test_modes[1]) @ b.T for a, b in zip(half, projected, strict=True)])
            covariance = self._initial_test + cross + cross.transpose(0, 2, 1)
            index = np.arange(self.n_test)
            times = np.atleast_1d(as_times(taus))[where]
            variance, rounding = self._above_rounding(covariance[:, index, index], projected, half, times)
            covariance[:, index, index] = variance
            yield where, Law(mean, covariance, rounding)

    def marginals(self, taus: ArrayLike, on: Points = "test") -> Marginals:
        """The law of single points at many times: mean (T, points, k), variance (T, points). On "train" it takes 2n³
        operations a time.
        """
        if on == "train":
            return self._train_marginals(taus)
        n_times = np.atleast_1d(as_times(taus)).size
        mean, variance = np.empty((n_times, self.n_test, self.n_outputs)), np.zeros((n_times, self.n_test))
        errors = Rounding(np.zeros_like(mean), np.zeros_like(variance))
        for where, projected, half, batch_mean in self._test_batches(taus):
            mean[where] = batch_mean
            if half is not None:
                times = np.atleast_1d(as_times(taus))[where]
                raw = (
                    np.diagonal(self._initial_test)
                    + 2 * _row_dots(half, projected)
                    - 2 * _row_dots(projected, self.test_modes[1])
                )
                variance[where], rounding = self._above_rounding(raw, projected, half, times)
                errors.mean[where], errors.variance[where] = rounding.mean, rounding.variance
        return Marginals(mean, variance, errors)

    def _train_marginals(self, taus: ArrayLike) -> Marginals:
        spectrum, v = self.spectrum(taus), self.eigenvectors
        mean = np.stack([v @ (fitted[:, None] * self.y_modes) for fitted in spectrum.fitted])
        if self.centred:
            return Marginals(mean, np.zeros(mean.shape[:2]))
        variance = np.empty(mean.shape[:2])
        for row, residual in zip(variance, spectrum.residual, strict=True):
            left = v * residual
            row[:] = np.maximum(np.einsum("ij,ij->i", left @ self.nngp_modes, left), 0.0)
        return Marginals(mean, variance)

    def log_train_variance(self, taus: ArrayLike, points: IntArray) -> FloatArray:
        r"""log Σ_ii = log (R K R)_ii at training points, shape (T, len(points)): it does not underflow, -inf at τ = ∞."""
        log_residual, kept = self.spectrum(taus).log_residual[:, self.moving], self.moving
        factor, info = lapack.dpotrf(self.nngp_modes[np.ix_(kept, kept)], lower=1, clean=1)
        rows = self.eigenvectors[np.ix_(points, kept)]
        found = np.empty((log_residual.shape[0], len(points)))
        with np.errstate(divide="ignore"):
            log_rows = np.log(np.abs(rows))
        for out, log_r in zip(found, log_residual, strict=True):
            logs = log_rows + log_r
            top = logs.max(axis=1, keepdims=True)
            flat = np.isneginf(top[:, 0])
            scaled = np.sign(rows) * np.exp(logs - np.where(np.isneginf(top), 0.0, top))
            squares = ((scaled @ factor) ** 2) if info == 0 else (scaled @ self.nngp_modes[np.ix_(kept, kept)]) * scaled
            with np.errstate(divide="ignore"):
                out[:] = np.where(flat, -np.inf, 2 * top[:, 0] + np.log(np.maximum(squares.sum(axis=1), 0.0)))
        return found

    def _of_twins(self, variance: FloatArray, times: FloatArray) -> FloatArray:
        """The variances (T, m), those of test points that are training points by the form without cancellation."""
        (twins,) = np.nonzero(self.twins >= 0)
        if twins.size:
            variance[:, twins] = np.exp(self.log_train_variance(times, self.twins[twins]))
        return variance

    def _times_half(self, rows: FloatArray) -> FloatArray:
        """rows U, where U is the upper triangle of V^T K V with half its diagonal: U + U^T is the whole, at half the work."""
        modes = self.nngp_modes
        flat = rows.reshape(-1, self.n_train)
        product = blas.dtrmm(1.0, modes.T, flat.T, lower=1).T
        product -= 0.5 * np.diagonal(modes) * flat
        return product.reshape(rows.shape)

    def _test_batches(self, taus: ArrayLike) -> Iterator[tuple[slice, FloatArray, FloatArray | None, FloatArray]]:
        """Batches of (slice, P = Θ_x V a, P U or None, mean), P of shape (batch, m, n)."""
        seen, _ = self.test_modes
        response = self.spectrum(taus).response
        m, n = seen.shape
        basis = None
        if not self.centred:
            size = np.abs(seen).max(axis=0) * np.sqrt(np.maximum(np.diagonal(self.nngp_modes), 0.0))
            pivots, coefficients = _time_basis(response * size)
            if len(pivots) < 0.7 * len(response) and len(pivots) * m <= 4 * n:
                shared = np.empty((len(pivots), m * n))
                for row, pivot in zip(shared, pivots, strict=True):
                    row[:] = self._times_half(response[pivot] * seen).ravel()
                basis = coefficients, shared
        step = max(1, n // (2 * m))
        for start in range(0, response.shape[0], step):
            where = slice(start, min(start + step, response.shape[0]))
            projected = response[where, None, :] * seen
            half = None
            if basis is not None:
                half = (basis[0][where] @ basis[1]).reshape(projected.shape)
            elif not self.centred:
                half = self._times_half(projected)
            yield where, projected, half, projected @ self.y_modes

    def _above_rounding(
        self, variance: FloatArray, projected: FloatArray, half: FloatArray, times: FloatArray
    ) -> tuple[FloatArray, Rounding]:
        r"""The variance, 0 where it is lost in its rounding (but for twins, whose own form loses none), and the rounding.

        The rounding is what the sums lose, and what Θ's eigenvectors lose, which are those of a Θ + δ with ‖δ‖ of the
        order of ε λ_max. To first order A moves by V (d ∘ V^T δ V) V^T with \|d_{ij}\| <= a_i a_j, hence z_τ(x) by at
        most ‖δ‖ Σ_i \|P_{xi}\| Σ_j a_j \|z_{0j} - y_j\|.
        """
        response, size = self.spectrum(times).response, np.sqrt(_row_dots(projected, projected))
        moved = 4 * _EPS * float(self.eigenvalues[-1]) * np.abs(projected).sum(axis=-1)
        mean = moved[..., None] * (response @ np.abs(self.y_modes))[:, None, :]
        mean += 4 * _EPS * size[..., None] * np.sqrt((self.y_modes**2).sum(axis=0))
        sums = 16 * _EPS * (np.diagonal(self._initial_test) + np.sqrt(_row_dots(half, half)) * size)
        spread = moved * (response @ np.sqrt(self.kappa))[:, None]
        kept = self._of_twins(np.where(variance > np.maximum(sums, 6 * spread**2), variance, 0.0), times)
        return kept, Rounding(mean, sums + spread * (2 * np.sqrt(kept) + spread))


def _row_dots(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.einsum("...ij,...ij->...i", a, np.broadcast_to(b, a.shape))


def _time_basis(rows: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Which rows span all of them to 1e-14, and the coefficients: rows ≈ coefficients @ rows[chosen].

    Sums of exponentials at many times are nearly dependent, the more so as most modes are either untouched or done:
    a pivoted QR of the rows, each scaled to norm one, finds a few tens among hundreds.
    """
    norms = np.linalg.norm(rows, axis=1)
    norms[norms == 0] = 1.0
    _, triangle, order = qr((rows / norms[:, None]).T, mode="economic", pivoting=True)
    sizes = np.abs(np.diagonal(triangle))
    if sizes[0] == 0.0:  # nothing moves at any of the times
        return order[:1], np.zeros((len(rows), 1))
    rank = int((sizes > 1e-14 * sizes[0]).sum())
    coefficients = np.empty((len(rows), rank))
    coefficients[order[:rank]] = np.eye(rank)
    coefficients[order[rank:]] = solve_triangular(triangle[:rank, :rank], triangle[:rank, rank:]).T
    return order[:rank], coefficients * norms[:, None] / norms[order[:rank]]
