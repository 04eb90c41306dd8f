r"""Where p̃(y|x) comes from, and what a model of label noise makes of the objective.

The dual bottleneck needs p(y|x); data have one label an x. With rows C(·|y) of the observed label in place of p(y|x),

.. math:: E_{y\sim p_x} D(d\,\|\,C_y) = D(d\,\|\,q_x) + h(p_x), \quad q_x \propto \exp \sum_y p_x(y)\log C_y, \quad
          h(p) = -\log \sum_{y'} \exp \sum_y p(y) \log C(y'|y)

for any p_x: the dual on such labels does not estimate the dualIB of the data. It is an IB whose uncertainty is h in place of
Shannon's entropy, and its decoder tends to the link q of p(y|z), not to p(y|z). With uniform smoothing α,
q = softmax(Λp) with Λ = log[(1−α)(K−1)/α], and h is in units of Λ, which is why β is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from deepnets.tasks.task import one_hot
from deepnets.variational.patterns import Patterns
from dualib.core.arrays import positive
from dualib.core.parallel import one_thread
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray, IntArray

FLOOR = 1e-3  # probability below which an undone link is not taken at its word, as its inverse leaves the simplex
PSEUDOCOUNT = 0.5  # of every cell of a confusion matrix


class Rows(NamedTuple):
    """Log p̃(y|x) of the training patterns, shape (n, k), and where it is a model of label noise its log C, shape (k, k)."""

    log_rows: FloatArray
    log_confusion: FloatArray | None


@dataclass(frozen=True)
class LabelModel(Result, ABC):
    """A way to p̃(y|x)."""

    @abstractmethod
    def rows(self, patterns: Patterns, trained: IntArray, seed: int) -> Rows:
        """Log p̃(y|x) of the patterns `trained`, by what is known of them alone."""


@dataclass(frozen=True)
class OneHot(LabelModel):
    """The observed label itself. The dual is infinite on it.

    Examples
    --------
    >>> OneHot()
    OneHot()
    """

    def __str__(self) -> str:
        return "one-hot labels"

    def rows(self, patterns: Patterns, trained: IntArray, seed: int) -> Rows:
        """0 at the label, −∞ elsewhere."""
        with np.errstate(divide="ignore"):
            return Rows(np.log(one_hot(patterns.labels()[trained], patterns.n_classes)), None)


@dataclass(frozen=True)
class Exact(LabelModel):
    """The law p(y|x) of the task or joint. Of real data it is one-hot.

    Examples
    --------
    >>> Exact()
    Exact()
    """

    def __str__(self) -> str:
        return "the exact law"

    def rows(self, patterns: Patterns, trained: IntArray, seed: int) -> Rows:
        """Log p(y|x)."""
        with np.errstate(divide="ignore"):
            return Rows(np.log(patterns.p_y_given_x[trained]), None)


@dataclass(frozen=True)
class Smoothed(LabelModel):
    """The observed label with probability 1 − α, any other with α/(K − 1).

    Attributes
    ----------
    alpha : float
        Within (0, 1).

    Examples
    --------
    >>> Smoothed(alpha=0.05)
    Smoothed(alpha=0.05)
    """

    alpha: float = field(default=0.1)

    def __post_init__(self) -> None:
        if not 0.0 < positive(self.alpha, "alpha") < 1.0:
            raise ValueError(f"alpha = {self.alpha} must be within (0, 1): OneHot() is the label without smoothing")

    def confusion(self, n_classes: int) -> Float[np.ndarray, "k k"]:
        """C."""
        off = self.alpha / (n_classes - 1)
        return np.where(np.eye(n_classes, dtype=bool), 1.0 - self.alpha, off)

    def __str__(self) -> str:
        return f"labels smoothed by {self.alpha:g}"

    def rows(self, patterns: Patterns, trained: IntArray, seed: int) -> Rows:
        """The row of each label."""
        log_confusion = np.log(self.confusion(patterns.n_classes))
        return Rows(log_confusion[patterns.labels()[trained]], log_confusion)


@dataclass(frozen=True)
class Confusion(LabelModel):
    """The row C(·|y) of a confusion matrix: how often another classifier calls a pattern of class y each class.

    The classifier is cross-fitted: each half of the training patterns is classified by a logistic regression on the other.

    Examples
    --------
    >>> Confusion()
    Confusion()
    """

    def __str__(self) -> str:
        return "a confusion matrix"

    def rows(self, patterns: Patterns, trained: IntArray, seed: int) -> Rows:
        """Counts of (label, prediction) plus :data:`PSEUDOCOUNT`, each row divided by its own sum."""
        y = patterns.labels()[trained]
        counts = np.full((patterns.n_classes, patterns.n_classes), PSEUDOCOUNT)
        np.add.at(counts, (y, _cross_fitted(patterns, trained, seed).argmax(axis=1)), 1.0)
        log_confusion = np.log(counts / counts.sum(axis=1, keepdims=True))
        return Rows(log_confusion[y], log_confusion)


@dataclass(frozen=True)
class Teacher(LabelModel):
    """Another classifier's p(y|x) of every pattern, cross-fitted as in :class:`Confusion`.

    Never of a classifier that saw the pattern: that one's p(y|x) is the label again.

    Examples
    --------
    >>> Teacher()
    Teacher()
    """

    def __str__(self) -> str:
        return "a teacher"

    def rows(self, patterns: Patterns, trained: IntArray, seed: int) -> Rows:
        """The classifier's log probabilities."""
        return Rows(_cross_fitted(patterns, trained, seed), None)


def _cross_fitted(patterns: Patterns, trained: IntArray, seed: int) -> FloatArray:
    """Log p(y|x) of the training patterns by a logistic regression on the half they are not in, shape (n, k)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    y = patterns.labels()[trained]
    if patterns.x is None:
        raise ValueError("a joint has no patterns x to fit another classifier to: use Exact()")
    counts = np.bincount(y, minlength=patterns.n_classes)
    if counts.min() < 2:
        raise ValueError(
            f"cross-fitting needs two training patterns of every class, but class {int(counts.argmin())} has "
            f"{counts.min()}: raise train_fraction"
        )
    folds = StratifiedKFold(2, shuffle=True, random_state=seed)
    with one_thread():
        found = cross_val_predict(
            LogisticRegression(max_iter=1000), patterns.x[trained], y, cv=folds, method="predict_log_proba"
        )
    return np.asarray(found, dtype=np.float64)


def link(p: Float[np.ndarray, "*n k"], log_confusion: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "*n k"]:
    """The link q ∝ exp Σ_y p(y) log C(·|y): the best decoder where the Bayes one would be p."""
    exponent = p @ log_confusion
    return np.asarray(np.exp(exponent - logsumexp(exponent, axis=-1, keepdims=True)))


def uncertainty(p: Float[np.ndarray, "*n k"], log_confusion: Float[np.ndarray, "k k"]) -> FloatArray:
    """The uncertainty h(p) = −log Σ_y' exp Σ_y p(y) log C(y'|y) ≥ 0 that stands in the place of Shannon's entropy, nats."""
    return np.asarray(-logsumexp(p @ log_confusion, axis=-1))


def undo_link(
    log_d: Float[np.ndarray, "*n k"], log_confusion: Float[np.ndarray, "k k"], floor: float = FLOOR
) -> Float[np.ndarray, "*n k"]:
    r"""The p whose link is d, moved into the simplex where d is none.

    Solves log d = p log C + c with Σp = 1, for uniform smoothing :math:`p = (\log d - \overline{\log d})/\Lambda + 1/K`;
    negative entries are set to `floor`, which is added to all, and the rows divided by their sums.

    Raises
    ------
    ValueError
        If the link is not one-to-one, so that nothing can undo it.
    """
    k = len(log_confusion)
    system = np.block([[log_confusion.T, np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
    if np.linalg.cond(system) > 1e12:
        raise ValueError("the link of this label model is not one-to-one: several p(y|z) have one decoder")
    right = np.concatenate([log_d, np.ones((*log_d.shape[:-1], 1))], axis=-1)
    p = np.maximum((right @ np.linalg.inv(system).T)[..., :k], 0.0) + floor
    return np.asarray(p / p.sum(axis=-1, keepdims=True))
