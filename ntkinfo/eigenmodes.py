r"""The eigenmodes of Θ, once: what an ensemble's laws at all times are made of.

With loss ½‖f - Y‖², learning rule and ridge ρ, mode j of Θ = V Λ Vᵀ has rate s_j = λ_j + ρ, response a_j(τ) = (1 - e_j(τ))/s_j and
residual r_j = 1 - λ_j a_j.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Literal, Self

import numpy as np
from scipy.linalg import blas, eigh, lapack

from dualib.core.arrays import columns, positive
from dualib.core.arrays import times as times_of
from dualib.core.factor import cholesky_factor
from dualib.core.progress import is_shown, progress_bar
from dualib.core.result import Brief
from dualib.core.special import EPS
from dualib.core.typing import ArrayLike, Bool, BoolArray, Float, FloatArray, Int
from ntkinfo.kernels import Kernels
from ntkinfo.kernels.checks import check_size
from ntkinfo.laws import Spectrum
from ntkinfo.learning import GradientFlow, LearningRule
from ntkinfo.resources import EIGENVECTORS, LARGE, LARGEST_BATCH, LARGEST_EVD, column_blocks, need, needs

SAME = 8 * EPS  # of the largest variance: rows of kernels that differ by less are of one point


@dataclass(frozen=True, eq=False)
class Eigenmodes(Brief):
    """Kernels, labels and a way to learn, in the eigenvectors of Θ; :class:`ntkinfo.Ensemble` has the parameters' meaning."""

    kernels: Kernels
    y_train: Float[np.ndarray, "n k"]
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
            self, "y_train", columns(self.y_train, "y_train", n, f"a training kernel of shape ({n}, {n})")
        )
        check_size(self.y_train, "y_train", "take labels in another unit")
        object.__setattr__(self, "ridge", positive(self.ridge, "ridge", zero=True))
        if self.rank_tolerance is not None:
            positive(self.rank_tolerance, "rank_tolerance", zero=True)
        largest = float(np.abs(self.theta).sum(axis=0).max()) + self.ridge
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
        return int(self.y_train.shape[1])

    @property
    def theta(self) -> Float[np.ndarray, "n n"]:
        """Θ between training points: the NTK, or K where the last layer alone is trained."""
        return self.kernels.ntk if self.mode == "ntk" else self.kernels.nngp

    @property
    def theta_test(self) -> Float[np.ndarray, "m m"]:
        """Θ between test points, shape (m, m); refused where their variances alone are known."""
        return self.test_covariances("ntk_test" if self.mode == "ntk" else "nngp_test")

    @property
    def theta_test_variance(self) -> Float[np.ndarray, " m"]:
        """Θ of each test point with itself, shape (m,)."""
        return self.test_variance("ntk" if self.mode == "ntk" else "nngp")

    def test_variance(self, name: Literal["ntk", "nngp"]) -> Float[np.ndarray, " m"]:
        """The kernel of that name of each test point with itself, shape (m,)."""
        own = self.test_block(f"{name}_test")
        return own if own.ndim == 1 else np.diagonal(own)

    def test_covariances(self, name: str) -> Float[np.ndarray, "m m"]:
        """The kernels' block of that name between test points; refused where their variances alone are known."""
        block = self.test_block(name)
        if block.ndim == 1:
            raise ValueError(
                f"{name} has shape {block.shape}, the variances of the test points alone, but the law of all of them together "
                "needs their covariances: give kernels of shape (m, m), or use marginals"
            )
        return block

    @property
    def test_parts(self) -> Iterator[tuple[slice, Self]]:
        """The ensemble on some test points after another: all at once, but few where their variances alone are known."""
        self.need_test()
        if self.kernels.has_test_covariances or self.n_test * self.n_train <= LARGEST_BATCH:
            yield slice(0, self.n_test), self
            return
        for name in ("nngp_modes", "y_modes"):  # of which all parts make use, with the eigenvectors
            getattr(self, name)
        for points in column_blocks(self.n_test, max(1, LARGEST_BATCH // self.n_train)):
            part = copy(self)
            for name in ("test_modes", "twins"):
                part.__dict__.pop(name, None)
            object.__setattr__(part, "kernels", self.kernels.test_part(points))
            yield points, part

    def test_block(self, name: str) -> FloatArray:
        """The kernels' block of that name; refused without test points."""
        self.need_test()
        block: FloatArray = getattr(self.kernels, name)
        return block

    def need_test(self) -> None:
        """Refuse kernels without test points."""
        if self.n_test == 0:
            raise ValueError(
                "these kernels have no test points: give all four test blocks to Kernels, or use on='train'"
            )

    # --- the eigenmodes, once ---

    @cached_property
    def _eigen(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        need(self.n_train, EIGENVECTORS, "the eigenvectors of Θ")
        driver = "evd" if self.n_train <= LARGEST_EVD else "evr"
        own = np.array(self.theta.T, order="F")  # overwritten by the eigenvectors: Θ has no third matrix beside it
        values, vectors = eigh(own, overwrite_a=True, check_finite=False, driver=driver)
        return np.maximum(values, 0.0), vectors, values[values < 0]

    @cached_property
    def null(self) -> Bool[np.ndarray, " n"]:
        """Which modes count as the null space of Θ."""
        values = self.eigenvalues
        relative = self.n_train * EPS if self.rank_tolerance is None else self.rank_tolerance
        threshold = relative * values[-1]
        if self.rank_tolerance is None and self.n_clipped:
            threshold = max(threshold, -float(self._eigen[2].min()))
        null: BoolArray = values <= threshold
        return null

    @property
    def eigenvalues(self) -> Float[np.ndarray, " n"]:
        """Eigenvalues of Θ, ascending, negative ones (rounding) set to 0, shape (n,)."""
        return self._eigen[0]

    @property
    def eigenvectors(self) -> Float[np.ndarray, "n n"]:
        """Eigenvectors of Θ in columns, shape (n, n)."""
        return self._eigen[1]

    @property
    def n_clipped(self) -> int:
        """How many eigenvalues of Θ came out negative by rounding and were set to 0."""
        return self._eigen[2].size

    @property
    def rank(self) -> int:
        """The numerical rank of Θ: modes outside it are never fitted."""
        return self.n_train - int(self.null.sum())

    @cached_property
    def dropped_below(self) -> float:
        """The largest eigenvalue that a mode outside the rank may have: 0 where it is known to have none.

        That is so if a `rank_tolerance` says it, and where every one of them is a row of Θ that repeats another.
        """
        count = int(self.null.sum())
        if not count or self.rank_tolerance is not None:
            return 0.0
        if count <= self.n_train - len({blake2b((row + 0.0).tobytes()).digest() for row in self.theta}):
            return 0.0
        negative = -float(self._eigen[2].min()) if self.n_clipped else 0.0
        return float(self.eigenvalues[self.null].max()) + negative + 4 * EPS * float(self.eigenvalues[-1])

    def with_dropped_at(self, rate: float) -> Self:
        """The same with the modes outside the rank among those that are trained, with `rate` for their eigenvalue."""
        other, values = copy(self), np.where(self.null, rate, self.eigenvalues)
        stale = ["mode_power", "_last_spectrum", "moving", "test_modes", "_dropped_rows", "dropped_below"]
        for name in stale + (["nngp_modes", "kappa"] if self.mode == "nngp" else []):
            other.__dict__.pop(name, None)
        other.__dict__.update(_eigen=(values, *self._eigen[1:]), null=np.zeros_like(self.null))
        if "test_modes" in self.__dict__:  # which very many test points have a part at a time
            seen, initial = self.test_modes
            rows = np.hstack([self._dropped_rows, seen[:, self._dropped_rows.shape[1] :]])
            other.__dict__["test_modes"] = (rows, initial)
        return other

    @cached_property
    def _dropped_rows(self) -> FloatArray:
        """Θ_x V of the modes outside the rank, the first ones, whatever their rate is."""
        block = self.test_block("nngp_test_train" if self.mode == "nngp" else "ntk_test_train")
        return np.asarray(block @ self.eigenvectors[:, : self.n_train - self.rank])

    @cached_property
    def y_modes(self) -> Float[np.ndarray, "n k"]:
        """The labels in the eigenbasis, V^T Y, shape (n, k)."""
        modes: FloatArray = self.eigenvectors.T @ self.y_train
        return modes

    @cached_property
    def nngp_modes(self) -> Float[np.ndarray, "n n"]:
        """K in the eigenbasis of Θ, V^T K V, shape (n, n)."""
        if self.mode == "nngp":
            return np.diag(self.eigenvalues)
        return self._in_modes(self.kernels.nngp)

    @cached_property
    def omega_modes(self) -> Float[np.ndarray, "n n"] | None:
        """Ω in the eigenbasis of Θ, V^T Ω V, shape (n, n); None for kernels without it."""
        return None if self.kernels.omega is None else self._in_modes(self.kernels.omega)

    def _in_modes(self, matrix: FloatArray) -> FloatArray:
        """V^T M V of a symmetric matrix, by the triangle with half the diagonal, in one array."""
        need(self.n_train, 1.0, "a kernel among the eigenvectors of Θ")
        v = self.eigenvectors
        product: FloatArray = blas.dtrmm(1.0, matrix.T, v)  # the upper triangle of M times V
        for part in column_blocks(self.n_train):
            product[:, part] -= 0.5 * np.diagonal(matrix)[:, None] * v[:, part]
            product[:, part] = v.T @ product[:, part]
        for rows in column_blocks(self.n_train):
            for part in column_blocks(rows.stop):
                both = product[rows, part] + product[part, rows].T
                product[rows, part], product[part, rows] = both, both.T
        return product.T  # in C order

    def prepare(self, *, progress: bool | None = None) -> None:
        """Compute what all times share: the eigenvectors of Θ, K among them, and the test points' rows.

        Parameters
        ----------
        progress : bool or None
            Whether to show a bar of the steps; None shows it on a terminal.
        """
        kernels = self.kernels
        steps = ["eigenvalues", "nngp_modes"] + (["test_modes"] if self.n_test and kernels.has_test_covariances else [])
        options = {"third_kernel": kernels.omega is not None, "test_variances": not kernels.has_test_covariances}
        what = "eigenmodes"
        if self.n_train >= LARGE and is_shown(progress):
            what += f" ({needs(self.n_train, self.n_test, **options).describe()})"
        with progress_bar(len(steps), what, progress) as done:
            for name in steps:
                getattr(self, name)
                done(1)

    @cached_property
    def moving(self) -> Bool[np.ndarray, " n"]:
        """The modes that the outputs have: all but the null space of Θ where K vanishes too; boolean, shape (n,)."""
        seen, diagonal = ~self.null, np.diagonal(self.nngp_modes)
        if not seen.all() and diagonal[~seen].max() > 1e3 * self.n_train * EPS * diagonal.max():
            return np.ones_like(seen)
        return seen

    @property
    def n_still(self) -> int:
        """How many modes do not move: the first ones."""
        return self.n_train - int(self.moving.sum())

    def inverse_nngp_triangle(self) -> Float[np.ndarray, "p p"] | None:
        """A triangle T with T + T^T = (V^T K V)^{-1} on the p modes that move, the last ones.

        None where K is singular on them.
        """
        factor = self._nngp_factor()
        if factor is None:
            return None
        inverse: FloatArray = lapack.dpotri(factor.T, lower=0, overwrite_c=1)[0]
        inverse[np.diag_indices_from(inverse)] *= 0.5
        return inverse

    def _nngp_factor(self) -> Float[np.ndarray, "p p"] | None:
        """The Cholesky factor of V^T K V on the modes that move; None where K is singular on them, or none moves."""
        own = np.array(self.nngp_modes[self.n_still :, self.n_still :], order="C")
        return cholesky_factor(own, overwrite=True) if own.size else None

    @cached_property
    def kappa(self) -> Float[np.ndarray, " n"]:
        """The initial output variance in each mode, v_j^T K v_j, shape (n,); 0 for a centred ensemble."""
        return np.zeros(self.n_train) if self.centred else np.maximum(np.diagonal(self.nngp_modes), 0.0)

    @cached_property
    def mode_power(self) -> Float[np.ndarray, " n"]:
        """E‖r_j‖², the mean squared initial error of each mode summed over outputs: k κ_j + ‖y_j‖², shape (n,)."""
        power: FloatArray = self.n_outputs * self.kappa + (self.y_modes**2).sum(axis=1)
        return power

    @cached_property
    def test_modes(self) -> tuple[Float[np.ndarray, "m n"], Float[np.ndarray, "m n"]]:
        """Θ_x V (zero on the null space) and K_x V, shape (m, n) each."""
        initial = self.test_block("nngp_test_train") @ self.eigenvectors
        seen = initial if self.mode == "nngp" else self.test_block("ntk_test_train") @ self.eigenvectors
        scale = float(self.theta_test_variance.max()) * float(self.eigenvalues[-1])
        if self.null.any() and float(np.abs(seen[:, self.null]).max()) > 1e-3 * np.sqrt(scale):
            raise ValueError(
                "the test-train kernel has a component in the null space of the training kernel, which no kernel "
                "function has: check that the blocks come from one kernel on the same training points in the same order "
                "(or lower rank_tolerance)"
            )
        return np.where(self.null, 0.0, seen), initial

    @cached_property
    def twins(self) -> Int[np.ndarray, " m"]:
        """The training point that each test point is, to the rounding of both kernels' rows, or -1."""
        found = np.full(self.n_test, -1)
        blocks = []
        names: tuple[Literal["ntk", "nngp"], ...] = ("ntk", "nngp")
        for name in names:
            cross, own = self.test_block(name + "_test_train"), self.test_variance(name)
            train: FloatArray = getattr(self.kernels, name)
            size = SAME * max(float(np.diagonal(train).max()), float(own.max()))
            blocks.append((train, cross, own, size))
        train, cross, own, _ = blocks[1]
        for x in range(self.n_test):
            i = int(np.abs(np.diagonal(train) + own[x] - 2 * cross[x]).argmin())
            if all(
                abs(variance[x] - whole[i, i]) <= size and np.abs(rows[x] - whole[i]).max() <= size
                for whole, rows, variance, size in blocks
            ):
                found[x] = i
        return found

    def with_modes(
        self, values: Float[np.ndarray, " n"], y_modes: Float[np.ndarray, "n k"], kappa: Float[np.ndarray, " n"]
    ) -> Self:
        """The same with other eigenvalues, labels and initial variances in the same eigenvectors, of the same rank."""
        other, known = copy(self), {"null": self.null, "moving": self.moving, "y_modes": y_modes, "kappa": kappa}
        for name in ("mode_power", "_last_spectrum"):
            other.__dict__.pop(name, None)
        other.__dict__.update(known, _eigen=(values, *self._eigen[1:]))
        return other

    # --- functions of the spectrum ---

    def spectrum(self, taus: ArrayLike) -> Spectrum:
        """The mode functions at `taus` (scalar or shape (T,)); each of shape (T, n), T = 1 for a scalar, and read-only."""
        times = self.learning_rule.time(np.atleast_1d(times_of(taus)))
        known = self.__dict__.get("_last_spectrum")  # many quantities ask for the same times
        if known is None or not np.array_equal(known[0], times):
            known = times, self._spectrum_at(times)
            self.__dict__["_last_spectrum"] = known
        return known[1]

    def _spectrum_at(self, times: FloatArray) -> Spectrum:
        values, seen = self.eigenvalues, ~self.null
        rates = np.where(seen, values + self.ridge, 0.0)
        safe = np.where(seen, rates, 1.0)
        log_decay = self.learning_rule.log_decay(rates, times)
        sign = self.learning_rule.decay_sign(rates, times)
        decay = sign * np.exp(log_decay)
        moved = np.where(sign > 0, -np.expm1(log_decay), 1.0 - decay)
        response = moved / safe
        fitted, residual, log_residual = moved, decay, log_decay
        if self.ridge > 0:
            fitted = values / safe * moved
            residual = np.where(seen, (self.ridge + values * decay) / safe, 1.0)
            with np.errstate(divide="ignore"):
                log_residual = np.where(fitted < 0.5, np.log1p(-np.minimum(fitted, 0.5)), np.log(np.abs(residual)))
        found = Spectrum(decay, response, fitted, residual, log_residual)
        for array in (decay, response, fitted, residual, log_residual):
            array.flags.writeable = False
        return found

    def log_train_variance(self, taus: ArrayLike, points: Int[np.ndarray, " p"]) -> Float[np.ndarray, "t p"]:
        r"""Logarithm of Σ_ii = (R K R)_ii at training points, shape (T, len(points)): it does not underflow, -inf at τ = ∞."""
        spectrum, factor, moving = self.spectrum(taus), self._nngp_factor(), slice(self.n_still, None)
        own = np.diagonal(self.nngp_modes)
        # 1, unless the variances are moved by their rounding
        size = np.sqrt(np.divide(self.kappa, own, out=np.ones_like(own), where=own > 0))
        rows = np.where(self.moving, self.eigenvectors[points] * size, 0.0)
        found = np.empty((len(spectrum.residual), len(points)))
        with np.errstate(divide="ignore"):
            log_rows = np.log(np.abs(rows))
        for out, log_r, r in zip(found, spectrum.log_residual, spectrum.residual, strict=True):
            logs = log_rows + log_r
            top = logs.max(axis=1, keepdims=True)
            flat = np.isneginf(top[:, 0])
            scaled = np.sign(rows) * np.copysign(1.0, r) * np.exp(logs - np.where(np.isneginf(top), 0.0, top))
            squares = (scaled[:, moving] @ factor) ** 2 if factor is not None else (scaled @ self.nngp_modes) * scaled
            with np.errstate(divide="ignore"):
                out[:] = np.where(flat, -np.inf, 2 * top[:, 0] + np.log(np.maximum(squares.sum(axis=1), 0.0)))
        return found
