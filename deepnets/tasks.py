"""Tasks: patterns, their labels and the exact law of both, so that estimates can be set against the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr

from dualib import Joint
from dualib.core.typing import FloatArray
from dualib.examples import icosahedral_score

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Task:
    """Patterns x with labels y, and the law p(x) p(y|x) that information is measured under.

    Parameters
    ----------
    name : of the task.
    x : array, shape (n, d): the patterns.
    y : array, shape (n,): class labels 0..k-1, those networks are trained on.
    p_y_given_x : array, shape (n, k), rows summing to 1; a label whose probability is 0 is refused.
    p_x : array, shape (n,): weights of the patterns, summing to 1; by default all equal.
    symmetry_classes : array, shape (n,), or None: patterns with the same number go over into one another by a symmetry
        of the task.
    targets : array, shape (n, 1) or (n, k), or None: what outputs are compared with in training by squared error; by default
        one-hot labels. The class of a target, by :func:`classes_of`, is its label.
    settings : what it was made from.

    Raises
    ------
    ValueError: shapes that do not match (both are printed), entries that are not finite, labels outside 0..k-1 or
        impossible under p_y_given_x, rows that do not sum to 1, targets whose classes are not the labels.
    """

    name: str
    x: FloatArray
    y: IntArray
    p_y_given_x: FloatArray
    p_x: FloatArray = field(default_factory=lambda: np.empty(0))
    symmetry_classes: IntArray | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    targets: FloatArray | None = None

    def __post_init__(self) -> None:
        x = np.array(self.x, dtype=np.float64)
        if x.ndim != 2 or x.size == 0:
            raise ValueError(f"x must have shape (n, d), got {x.shape}")
        n = len(x)
        if not np.isfinite(x).all():
            raise ValueError(f"x has {np.count_nonzero(~np.isfinite(x))} entries that are not finite")
        rows = np.array(self.p_y_given_x, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != n or rows.shape[1] < 2:
            raise ValueError(
                f"p_y_given_x has shape {rows.shape}, but {n} patterns ask for ({n}, k) with k ≥ 2 classes"
            )
        p_x = np.array(self.p_x, dtype=np.float64) if np.size(self.p_x) else np.full(n, 1.0 / n)
        if p_x.shape != (n,):
            raise ValueError(f"p_x has shape {p_x.shape}, but there are {n} patterns")
        labels = as_labels(self.y, n, rows.shape[1])
        impossible = rows[np.arange(n), labels] == 0
        if impossible.any():
            i = int(np.argmax(impossible))
            raise ValueError(
                f"{np.count_nonzero(impossible)} labels have probability 0 under p_y_given_x, the first y[{i}] = "
                f"{labels[i]}: labels and law must be of one task"
            )
        arrays = {"x": x, "y": labels, "p_y_given_x": rows, "p_x": p_x}
        if self.symmetry_classes is not None:
            classes = np.array(self.symmetry_classes, dtype=np.int64)
            if classes.shape != (n,):
                raise ValueError(f"symmetry_classes has shape {classes.shape}, but there are {n} patterns")
            arrays["symmetry_classes"] = classes
        if self.targets is not None:
            arrays["targets"] = _checked_targets(self.targets, labels, rows.shape[1])
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        _ = self.joint  # which checks the law

    @property
    def n(self) -> int:
        """The number of patterns."""
        return len(self.x)

    @property
    def n_classes(self) -> int:
        """The number k of classes."""
        return self.p_y_given_x.shape[1]

    def regression_targets(self) -> FloatArray:
        """What outputs are compared with in training by squared error: ``targets``, or one-hot labels."""
        return one_hot(self.y, self.n_classes) if self.targets is None else self.targets

    @cached_property
    def joint(self) -> Joint:
        """The law p(x, y) of pattern and label; ``joint.merge_equal_rows()`` is as informative and much smaller."""
        return Joint.from_conditional(self.p_x, self.p_y_given_x)

    def digest(self) -> str:
        """A hash of patterns, labels, law and targets: equal for equal tasks."""
        content = hashlib.sha256()
        own = () if self.targets is None else (self.targets,)  # without targets, the hash of earlier versions
        for array in (self.x, self.y, self.p_y_given_x, self.p_x, *own):
            content.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return content.hexdigest()[:16]


def classes_of(values: ArrayLike) -> IntArray:
    """The class that targets or outputs, shape (n, 1) or (n, k), stand for: that of the largest; of a single one, 1 where it
    is positive.
    """
    array = np.asarray(values)
    return (array[:, 0] > 0 if array.shape[1] == 1 else array.argmax(axis=1)).astype(np.int64)


def _checked_targets(targets: ArrayLike, labels: IntArray, n_classes: int) -> FloatArray:
    array = np.array(targets, dtype=np.float64)
    n = len(labels)
    if array.ndim != 2 or len(array) != n or array.shape[1] not in ((1, 2) if n_classes == 2 else (n_classes,)):
        wanted = f"({n}, 1) or ({n}, 2)" if n_classes == 2 else f"({n}, {n_classes})"
        raise ValueError(f"targets have shape {array.shape}, but {n} patterns of {n_classes} classes ask for {wanted}")
    if not np.isfinite(array).all():
        raise ValueError(f"targets have {np.count_nonzero(~np.isfinite(array))} entries that are not finite")
    wrong = classes_of(array) != labels
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"{np.count_nonzero(wrong)} targets are of another class than their label, the first {array[i].tolist()} of "
            f"y[{i}] = {labels[i]}: a target's class is that of its largest entry, of a single entry its sign"
        )
    return array


def task_from_settings(settings: Mapping[str, Any]) -> Task:
    """The task whose ``settings`` these are.

    Raises
    ------
    ValueError: settings of no task of this package.
    """
    makers = {
        "icosahedral": icosahedral_task,
        "gaussian": gaussian_task,
        "regression": regression_task,
        "digits": digits_task,
    }
    name = settings.get("task")
    if name not in makers:
        raise ValueError(f"these settings make no task of deepnets: {dict(settings)}; pass the task itself")
    return makers[name](**{k: v for k, v in settings.items() if k != "task"})  # type: ignore[operator]


def as_labels(y: ArrayLike, n: int, n_classes: int) -> IntArray:
    """Class labels as integers in 0..n_classes-1, or a ValueError that names the first that is none."""
    array = np.asarray(y)
    if array.shape != (n,):
        raise ValueError(f"y has shape {array.shape}, but there are {n} patterns: one integer label each")
    labels = array.astype(np.int64) if np.issubdtype(array.dtype, np.number) else None
    if labels is None or not np.array_equal(labels, array):
        raise ValueError(f"y must hold whole numbers 0..{n_classes - 1}, got dtype {array.dtype}")
    outside = (labels < 0) | (labels >= n_classes)
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(
            f"{np.count_nonzero(outside)} labels lie outside 0..{n_classes - 1}, the first y[{i}] = {labels[i]}: number "
            "the classes from 0, or give p_y_given_x as many columns as there are classes"
        )
    return labels


def one_hot(y: ArrayLike, n_classes: int) -> FloatArray:
    """p(y|x) of labels without noise, shape (n, n_classes)."""
    labels = as_labels(y, len(np.asarray(y)), n_classes)
    return np.eye(n_classes)[labels]


def icosahedral_task(gamma: float | None = None, *, threshold: float = 7.63, seed: int = 0) -> Task:
    r"""Twelve binary inputs on the vertices v_i of an icosahedron; the label is invariant under its 120 symmetries.

    .. math:: y = 1[f(x) > \theta], \qquad f(x) = \sum_i x_i + \|\textstyle\sum_i x_i v_i\|

    All 4096 patterns, equally likely, bit 0 the most significant. 2118 of them have y = 1, I(X;Y) = H(Y) = 0.999157
    bits. The patterns fall into 82 orbits (symmetry_classes), on which (Σx, ‖Σxv‖) takes 64 values. It is the rule of
    the paper for θ in (7.5628, 7.7013).

    Parameters
    ----------
    gamma : None for this rule; a positive number for stochastic labels p(y=1|x) = 1/(1 + e^{-γ(f(x) - θ)}), of which y is
        one draw. I(X;Y) = 0.99 bits at γ = 53.826. Wherever a KL divergence must be finite, the labels must be stochastic.
    threshold : θ.
    seed : of the draw.

    Raises
    ------
    ValueError: gamma is not positive and finite.

    References
    ----------
    [shwartzziv2017]_ section 3.1
    """
    if gamma is not None and not 0.0 < gamma < np.inf:
        raise ValueError(f"gamma = {gamma} must be positive and finite, or None for labels without noise")
    score = icosahedral_score() - threshold
    patterns = (np.arange(4096)[:, None] >> np.arange(11, -1, -1)) & 1
    if gamma is None:
        y = (score > 0).astype(np.int64)
        rows = one_hot(y, 2)
    else:
        rows = np.column_stack([expit(-gamma * score), expit(gamma * score)])
        y = (np.random.default_rng(seed).random(4096) < rows[:, 1]).astype(np.int64)
    settings = {"task": "icosahedral", "gamma": gamma, "threshold": threshold}
    if gamma is not None:
        settings["seed"] = seed
    return Task(
        "icosahedral",
        patterns.astype(np.float64),
        y,
        rows,
        symmetry_classes=_orbits(patterns, score + threshold),
        settings=settings,
    )


def _orbits(patterns: IntArray, score: FloatArray) -> IntArray:
    """Number of each pattern's orbit under the symmetries of the icosahedron, recovered from the score alone."""
    bit = 1 << np.arange(11, -1, -1)
    pair_norm = score[bit[:, None] | bit] - 2.0  # ‖v_i + v_j‖ off the diagonal
    gram = np.where(np.eye(12, dtype=bool), 1.0, pair_norm**2 / 2 - 1)  # v_i·v_j
    gram = np.rint(gram * np.sqrt(5.0)).astype(int)  # its values are ±1 and ±1/√5
    neighbours = np.flatnonzero(gram[0] == 1)
    second = neighbours[0]
    third = next(k for k in neighbours if gram[second, k] == 1)  # 0, second, third: a face, hence a basis
    place = {tuple(row): v for v, row in enumerate(gram[:, [0, second, third]])}
    codes = np.arange(4096)
    least = codes.copy()
    faces = ((i, j, k) for i in range(12) for j in range(12) for k in range(12))
    for i, j, k in faces:
        if gram[i, j] == gram[j, k] == gram[i, k] == 1:
            moved_to = [place[tuple(row)] for row in gram[:, [i, j, k]]]
            least = np.minimum(least, patterns @ bit[moved_to])
    return np.unique(least, return_inverse=True)[1].astype(np.int64)


def gaussian_task(n: int = 4096, *, x_dim: int = 12, separation: float = 2.0, seed: int = 0) -> Task:
    r"""Two classes of Gaussian patterns, x ~ N(±(Δ/2) u, I) with equal odds and a unit vector u of random direction.

    .. math:: p(y=1|x) = \frac{1}{1 + e^{-\Delta\,u\cdot x}}

    `n` patterns are drawn, with the label each was drawn with; the law of the task is the empirical one of the patterns
    with this exact posterior, so I(X;Y) of the joint tends to that of the two Gaussians as n grows.

    Parameters
    ----------
    n : number of patterns, at least 2.
    x_dim : dimension of x, at least 1.
    separation : Δ > 0, the distance of the means; the Bayes error is Φ(-Δ/2).
    seed : of u and the patterns.

    Raises
    ------
    ValueError: a size or the separation is out of range.
    """
    if n < 2 or x_dim < 1:
        raise ValueError(f"n = {n} must be at least 2, and x_dim = {x_dim} at least 1")
    if not 0.0 < separation < np.inf:
        raise ValueError(f"separation = {separation} must be positive and finite")
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(x_dim)
    direction /= np.linalg.norm(direction)
    y = rng.integers(2, size=n)
    x = rng.standard_normal((n, x_dim)) + np.outer((y - 0.5) * separation, direction)
    log_odds = separation * (x @ direction)
    rows = np.column_stack([expit(-log_odds), expit(log_odds)])
    settings = {"task": "gaussian", "n": n, "x_dim": x_dim, "separation": separation, "seed": seed}
    return Task("gaussian", x, y, rows, settings=settings)


def regression_task(n: int = 4096, *, x_dim: int = 12, noise_std: float = 0.5, seed: int = 0) -> Task:
    r"""Gaussian patterns with a linear target in noise, z = u·x + σε with x ~ N(0, I), ε ~ N(0, 1) and a unit vector u of random
    direction. Its label is the target's sign, so that information is about

    .. math:: y = 1[z > 0], \qquad p(y=1|x) = \Phi(u\cdot x/\sigma)

    Networks of one output are trained on z by ``deepnets.train(..., loss="mse")``; no predictor's expected squared error is
    below σ². The law is the empirical one of the patterns with this exact posterior.

    Parameters
    ----------
    n : number of patterns, at least 2.
    x_dim : dimension of x, at least 1.
    noise_std : σ > 0.
    seed : of u, the patterns and the noise.

    Raises
    ------
    ValueError: a size or the noise is out of range.
    """
    if n < 2 or x_dim < 1:
        raise ValueError(f"n = {n} must be at least 2, and x_dim = {x_dim} at least 1")
    if not 0.0 < noise_std < np.inf:
        raise ValueError(f"noise_std = {noise_std} must be positive and finite")
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(x_dim)
    direction /= np.linalg.norm(direction)
    x = rng.standard_normal((n, x_dim))
    mean = x @ direction
    z = mean + noise_std * rng.standard_normal(n)
    rows = np.column_stack([ndtr(-mean / noise_std), ndtr(mean / noise_std)])
    settings = {"task": "regression", "n": n, "x_dim": x_dim, "noise_std": noise_std, "seed": seed}
    return Task("regression", x, (z > 0).astype(np.int64), rows, settings=settings, targets=z[:, None])


def digits_task(*, parity: bool = False) -> Task:
    """scikit-learn's 1797 handwritten digits of 8×8 pixels in [0, 1], with their ten classes or their parity (1: odd).

    Real data: the law is the empirical one, and every pattern's label is taken to be certain.
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    y = digits % 2 if parity else digits
    rows = one_hot(y, 2 if parity else 10)
    return Task("digits", images / 16.0, y, rows, settings={"task": "digits", "parity": parity})
