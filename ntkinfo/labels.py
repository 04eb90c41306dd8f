"""Labels: any real numbers, signs for two classes, one-hot rows for more."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from dualib.core.arrays import columns, real_array
from dualib.core.typing import ArrayLike, Float, FloatArray, Shaped
from ntkinfo.laws import Law, Marginals

Labels = Literal["parity", "classes", "numbers"]


class ClassLabelWarning(UserWarning):
    """Class numbers are regressed as numbers."""


def labels_of(law: Law | Marginals, y: ArrayLike) -> Float[np.ndarray, "m k"]:
    """Labels at the points of a law, of any real dtype; their k must be the law's."""
    labels = columns(y, "y", law.mean.shape[-2], f"a law of mean shape {law.mean.shape}")
    if labels.shape[1] != law.mean.shape[-1]:
        raise ValueError(
            f"y has shape {np.shape(y)}, but the law's mean of shape {law.mean.shape} has {law.mean.shape[-1]} outputs"
        )
    return labels


def is_discrete(labels: FloatArray) -> bool:
    """Whether labels are signs ±1 (one output) or one-hot rows (several)."""
    if labels.shape[1] == 1:
        return bool(np.isin(labels, (-1.0, 1.0)).all())
    return bool(np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all())


def looks_like_classes(labels: ArrayLike) -> bool:
    """Whether labels are one whole number a point, and as a set {0, ..., K - 1} or {1, ..., K} with 3 ≤ K < n."""
    values = np.asarray(labels)
    if values.size != len(values) or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        return False
    distinct = np.unique(values)
    return bool(
        3 <= distinct.size < values.size
        and distinct[0] in (0, 1)
        and np.array_equal(distinct, np.arange(distinct.size) + distinct[0])
    )


def check_not_classes(labels: FloatArray) -> None:
    """Warn that class numbers are regressed as numbers."""
    if looks_like_classes(labels):
        k = np.unique(labels).size
        warnings.warn(
            f"the training labels are the whole numbers of {k} classes, and are regressed as numbers, so that class "
            f"{k - 1} is far from class 0: ntkinfo.one_hot(y_train, y_test) gives one output a class",
            ClassLabelWarning,
            stacklevel=3,
        )


def one_hot(*labels: ArrayLike) -> tuple[FloatArray, ...]:
    """Class labels as outputs, with the classes of all arrays together: ±1 for two classes (-1 the first, in sorted
    order), one-hot rows for more.

    Parameters
    ----------
    labels : arrays, shape (n,) or (n, 1)
        Whole numbers, booleans or strings: those of training and of test, say.

    Returns
    -------
    tuple of arrays, shapes (n, 1) or (n, K)

    Raises
    ------
    ValueError
        If there is more than one label a point, a number that is not whole, or fewer than two classes.

    Examples
    --------
    >>> one_hot([0, 2, 1], [1])[1]
    array([[0., 1., 0.]])
    """
    arrays = [np.asarray(y) for y in labels]
    for array in arrays:
        if array.ndim == 0 or array.size != len(array):
            raise ValueError(f"class labels must be one a point, got shape {array.shape}")
        if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
            raise ValueError(f"class labels must be whole numbers, got {array[array != np.rint(array)][0]}")
    flat = np.concatenate([array.ravel() for array in arrays])
    classes, index = np.unique(flat, return_inverse=True)
    if classes.size < 2:
        raise ValueError(f"there must be at least two classes, got {classes.size}")
    rows = np.eye(classes.size)[index] if classes.size > 2 else np.where(index == 0, -1.0, 1.0)[:, None]
    return tuple(np.split(rows, np.cumsum([array.size for array in arrays])[:-1]))


def encode_labels(
    arrays: tuple[Shaped[np.ndarray, ...], ...], labels: Labels | None
) -> tuple[tuple[FloatArray, ...], str]:
    """Labels of several arrays as outputs, and what was done in words.

    Raises
    ------
    ValueError
        If the way is unknown, labels may be numbers or classes and None does not say which, or they are none of what was
        asked for (the message has the first such label).

    Examples
    --------
    >>> import numpy as np
    >>> (outputs,), how = encode_labels((np.array([3, 4, 4]),), "parity")
    >>> outputs.ravel(), how
    (array([-1.,  1.,  1.]), 'parity: +1 even, -1 odd')
    """
    if labels not in (None, "parity", "classes", "numbers"):
        raise ValueError(f'labels must be "classes", "parity" or "numbers", got {labels!r}')
    if labels == "parity":
        return tuple(_parity(y) for y in arrays), "parity: +1 even, -1 odd"
    if labels == "classes":
        encoded = one_hot(*arrays)
        k = encoded[0].shape[1]
        return encoded, "2 classes: -1 and +1" if k == 1 else f"{k} classes: one-hot"
    if labels is None and _ambiguous(arrays[0]):
        distinct = np.unique(arrays[0])
        raise ValueError(
            f"the labels are {len(distinct)} values from {distinct[0]} to {distinct[-1]} of type {distinct.dtype}: are they "
            'classes? Use labels="classes" (one output a class), "parity", or "numbers" to regress them as they are; with a '
            "command, --labels classes, parity or numbers"
        )
    return tuple(_column(y) for y in arrays), "numbers"


def _ambiguous(y: np.ndarray) -> bool:
    whole = y.dtype.kind in "iu" and y.size == len(y) and np.unique(y).size >= 3
    return bool(whole or y.dtype.kind in "US" or looks_like_classes(y))


def _column(y: np.ndarray) -> FloatArray:
    try:
        return real_array(y, "labels").reshape(len(y), -1)
    except ValueError:
        first = next((str(v) for v in np.ravel(y) if not _is_number(v)), "")
        raise ValueError(f'labels that are numbers are needed, got {first!r}: use labels="classes"') from None


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _parity(y: np.ndarray) -> FloatArray:
    integers = _column(y)
    if integers.shape[1] != 1:
        raise ValueError(f"parity needs one integer label a point, got labels of shape {np.shape(y)}")
    off = integers[integers != np.rint(integers)]
    if off.size:
        raise ValueError(f'parity needs whole numbers for labels, got {off[0]:g}: use labels="numbers"')
    return np.where(integers % 2 == 0, 1.0, -1.0)
