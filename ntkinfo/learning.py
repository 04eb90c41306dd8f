r"""Learning rules: how each mode of the kernel is fitted in time; and the units of training time.

Every quantity of an infinite ensemble depends on the learning rule through one function of the eigenvalues only. A mode
with decay rate s = λ + ridge has at time τ the decay e(s), and the response a(s) = (1 - e(s))/s.

The time τ of this package belongs to the loss ½‖f - Y‖² (a sum over points and outputs), so that gradient flow is dz/dτ
= -Θ(z - Y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dualib.core.arrays import positive
from dualib.core.typing import ArrayLike, FloatArray


class LearningRule(Protocol):
    """What the rest of the package needs from a learning rule.

    Examples
    --------
    >>> import numpy as np
    >>> rules: list[LearningRule] = [GradientFlow(), GradientDescent(0.1)]
    >>> [rule.time(np.array([0.5])) for rule in rules]  # both at the times asked for
    [array([0.5]), array([0.5])]
    """

    def check(self, largest_rate: float) -> None:
        """Refuse a spectrum for which training diverges."""

    def time(self, taus: FloatArray) -> FloatArray:
        """The times at which the rule is evaluated."""

    def log_decay(self, rates: FloatArray, taus: FloatArray) -> FloatArray:
        """Logarithm of |e|, shape (T, n)."""

    def decay_sign(self, rates: FloatArray, taus: FloatArray) -> FloatArray:
        """The sign of e, broadcastable to (T, n)."""


@dataclass(frozen=True)
class GradientFlow:
    """Gradient descent in the limit of small steps: decay e^{-sτ}.

    Examples
    --------
    >>> import numpy as np
    >>> np.exp(GradientFlow().log_decay(np.array([2.0]), np.array([0.5]))).round(6)  # e^{−1}
    array([[0.367879]])
    """

    def check(self, largest_rate: float) -> None:
        """Gradient flow is stable for every spectrum."""

    def time(self, taus: FloatArray) -> FloatArray:
        """The times at which the rule is evaluated: `taus` themselves."""
        return taus

    def log_decay(self, rates: FloatArray, taus: FloatArray) -> FloatArray:
        """Logarithm of |e|, shape (T, n); at s = 0 it is 0 at every time, infinity included."""
        with np.errstate(invalid="ignore"):
            return np.where(rates > 0, -rates * taus[:, None], 0.0)

    def decay_sign(self, rates: FloatArray, taus: FloatArray) -> FloatArray:
        """The sign of e, broadcastable to (T, n): always +1."""
        return np.ones((1, 1))


@dataclass(frozen=True)
class GradientDescent:
    r"""Full-batch gradient descent with a fixed step η: decay (1 - ηs)^t after t = τ/η whole steps.

    Parameters
    ----------
    step : float
        η > 0 of the loss ½‖f - Y‖². For neural-tangents' loss (a mean over n points and k outputs) it is
        learning_rate / (n k).

    Raises
    ------
    ValueError
        When an ensemble is made, if η times the largest rate is 2 or more (descent would diverge); at a time that is
        no whole number of steps (use :meth:`round` to get admissible times).

    Examples
    --------
    >>> import numpy as np
    >>> np.exp(GradientDescent(0.1).log_decay(np.array([2.0]), np.array([0.5]))).round(6)  # (1 − 0.2)⁵
    array([[0.32768]])
    """

    step: float

    def __post_init__(self) -> None:
        positive(self.step, "step")

    def check(self, largest_rate: float) -> None:
        """Raise unless η λ_max < 2."""
        if self.step * largest_rate >= 2:
            raise ValueError(
                f"gradient descent diverges: step * largest eigenvalue = {self.step * largest_rate:.4g} >= 2. "
                f"Use a step below {2 / largest_rate:.6g}."
            )

    def round(self, taus: ArrayLike) -> FloatArray:
        """The nearest times that are a whole number of steps (at least one step for τ > 0)."""
        times = np.asarray(taus, dtype=np.float64)
        return np.where(times > 0, np.maximum(np.rint(times / self.step), 1.0), 0.0) * self.step

    def time(self, taus: FloatArray) -> FloatArray:
        """`taus`, after a check that each is a whole number of steps to 1e-6 of a step, or 1e-12 in relative terms."""
        steps = taus / self.step
        finite = np.isfinite(steps)
        error = np.abs(steps[finite] - np.rint(steps[finite]))
        wrong = error > np.maximum(1e-6, 1e-12 * steps[finite])
        if wrong.any():
            first = taus[finite][wrong][0]
            raise ValueError(
                f"τ = {first:.8g} is {first / self.step:.6g} steps of {self.step:.6g}, not a whole number; the nearest is "
                f"τ = {float(self.round(first)):.8g} (GradientDescent.round gives the nearest times of an array)"
            )
        return taus

    def log_decay(self, rates: FloatArray, taus: FloatArray) -> FloatArray:
        """Logarithm of |e| = |1 - ηs|^t, shape (T, n); -inf where ηs = 1."""
        x = self.step * rates
        with np.errstate(divide="ignore", invalid="ignore"):
            log_factor = np.where(x < 0.5, np.log1p(-np.minimum(x, 0.5)), np.log(np.abs(1.0 - x)))
            steps = _rounded(taus / self.step)[:, None]
            return np.where((rates > 0) & (steps > 0), steps * log_factor, 0.0)

    def decay_sign(self, rates: FloatArray, taus: FloatArray) -> FloatArray:
        """-1 where ηs > 1 after an odd number of steps, else +1."""
        odd = np.mod(_rounded(np.minimum(taus / self.step, 2.0**53)), 2.0)[:, None] == 1.0
        return np.where(odd & (self.step * rates > 1.0), -1.0, 1.0)


def _rounded(steps: FloatArray) -> FloatArray:
    return np.where(np.isfinite(steps), np.rint(steps), steps)


def tau_from_steps(steps: ArrayLike, learning_rate: float) -> FloatArray:
    """τ after `steps` steps at `learning_rate` on the loss ½‖f - Y‖² (a sum): their product.

    Examples
    --------
    >>> float(tau_from_steps(100, 0.01))
    1.0
    """
    return np.asarray(steps, dtype=np.float64) * positive(learning_rate, "learning_rate")


def steps_from_tau(tau: ArrayLike, learning_rate: float) -> FloatArray:
    """The number of steps (not rounded) that τ takes at `learning_rate` on the loss ½‖f - Y‖².

    Examples
    --------
    >>> float(steps_from_tau(1.0, 0.01))
    100.0
    """
    return np.asarray(tau, dtype=np.float64) / positive(learning_rate, "learning_rate")


def tau_from_neural_tangents(t: ArrayLike, n_train: int, n_outputs: int = 1, learning_rate: float = 1.0) -> FloatArray:
    r"""τ of neural-tangents' time t, whose loss is ½ mean (f - Y)² over points and outputs.

    .. math:: \tau = \frac{\text{learning rate} \cdot t}{n k}

    Examples
    --------
    >>> float(tau_from_neural_tangents(100.0, n_train=20))
    5.0
    """
    return np.asarray(t, dtype=np.float64) * positive(learning_rate, "learning_rate") / _size(n_train, n_outputs)


def neural_tangents_from_tau(
    tau: ArrayLike, n_train: int, n_outputs: int = 1, learning_rate: float = 1.0
) -> FloatArray:
    """neural-tangents' t of a time τ: the inverse of :func:`tau_from_neural_tangents`.

    Examples
    --------
    >>> float(neural_tangents_from_tau(5.0, n_train=20))
    100.0
    """
    return np.asarray(tau, dtype=np.float64) * _size(n_train, n_outputs) / positive(learning_rate, "learning_rate")


def _size(n_train: int, n_outputs: int) -> int:
    if n_train < 1 or n_outputs < 1:
        raise ValueError(f"n_train and n_outputs must be at least 1, got {n_train} and {n_outputs}")
    return n_train * n_outputs
