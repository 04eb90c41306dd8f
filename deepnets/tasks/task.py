"""A task: patterns, their labels and the exact law of both, so that estimates can be set against the truth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dualib import Joint
from dualib.core.arrays import finite_array
from dualib.core.result import Brief
from dualib.core.typing import ArrayLike, Float, FloatArray, Int, IntArray


@dataclass(frozen=True, eq=False)
class Task(Brief):
    """Patterns x with labels y, and the law p(x) p(y|x) that information is measured under.

    Attributes
    ----------
    name : str
        Of the task.
    x : array, shape (n, d)
        The patterns.
    y : int array, shape (n,)
        Class labels 0..k-1, those networks are trained on.
    p_y_given_x : array, shape (n, k)
        Rows summing to 1; a label whose probability is 0 is refused.
    p_x : array, shape (n,)
        Weights of the patterns, summing to 1; by default all equal.
    symmetry_classes : int array, shape (n,), or None
        Patterns with the same number go over into one another by a symmetry of the task.
    settings : dict
        What it was made from.
    targets : array, shape (n, 1) or (n, k), or None
        What outputs are compared with in training by squared error; by default one-hot labels. The class of a target, by
        :func:`classes_of`, is its label.

    Raises
    ------
    ValueError
        If shapes do not match (both are printed), entries are not finite, labels lie outside 0..k-1 or are impossible under
        p_y_given_x, rows do not sum to 1, or the targets' classes are not the labels.

    Examples
    --------
    >>> import numpy as np
    >>> task = Task("mine", x=np.eye(2), y=np.array([0, 1]), p_y_given_x=np.array([[0.9, 0.1], [0.2, 0.8]]))
    >>> task.p_x, task.joint.p_xy
    (array([0.5, 0.5]), array([[0.45, 0.05],
           [0.1 , 0.4 ]]))
    """

    name: str
    x: Float[np.ndarray, "n d"]
    y: Int[np.ndarray, " n"]
    p_y_given_x: Float[np.ndarray, "n k"]
    p_x: Float[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0))
    symmetry_classes: Int[np.ndarray, " n"] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    targets: Float[np.ndarray, "n outputs"] | None = None

    def __post_init__(self) -> None:
        x = np.array(finite_array(self.x, "x"))
        if x.ndim != 2 or x.size == 0:
            raise ValueError(f"x must have shape (n, d), got {x.shape}")
        n = len(x)
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
        return int(self.p_y_given_x.shape[1])

    def regression_targets(self) -> Float[np.ndarray, "n outputs"]:
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


def classes_of(values: ArrayLike) -> Int[np.ndarray, " n"]:
    """The class that targets or outputs, shape (n, 1) or (n, k), stand for: the largest's; of one output, whether it is positive.

    Examples
    --------
    >>> classes_of([[0.1, 0.9], [0.8, 0.2]]), classes_of([[-1.0], [1.0]])
    (array([1, 0]), array([0, 1]))
    """
    array = np.asarray(values)
    return np.asarray(array[:, 0] > 0 if array.shape[1] == 1 else array.argmax(axis=1)).astype(np.int64)


def _checked_targets(targets: ArrayLike, labels: IntArray, n_classes: int) -> FloatArray:
    array = np.array(finite_array(targets, "targets"))
    n = len(labels)
    if array.ndim != 2 or len(array) != n or array.shape[1] not in ((1, 2) if n_classes == 2 else (n_classes,)):
        wanted = f"({n}, 1) or ({n}, 2)" if n_classes == 2 else f"({n}, {n_classes})"
        raise ValueError(f"targets have shape {array.shape}, but {n} patterns of {n_classes} classes ask for {wanted}")
    wrong = classes_of(array) != labels
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"{np.count_nonzero(wrong)} targets are of another class than their label, the first {array[i].tolist()} of "
            f"y[{i}] = {labels[i]}: a target's class is that of its largest entry, of a single entry its sign"
        )
    return array


def as_labels(y: ArrayLike, n: int, n_classes: int) -> Int[np.ndarray, " n"]:
    """Class labels as integers in 0..n_classes-1, or a ValueError that names the first that is none.

    Examples
    --------
    >>> as_labels([0, 1, 1], n=3, n_classes=2)
    array([0, 1, 1])
    """
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


def one_hot(y: ArrayLike, n_classes: int) -> Float[np.ndarray, "n n_classes"]:
    """p(y|x) of labels without noise, shape (n, n_classes).

    Examples
    --------
    >>> one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = as_labels(y, len(np.asarray(y)), n_classes)
    return np.asarray(np.eye(n_classes)[labels])
