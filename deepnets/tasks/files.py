"""Tasks in .npz files: one's own data, and the copies that runs and recordings keep of theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepnets.tasks.task import Task, classes_of, one_hot
from dualib.core.arrays import SUM_TOLERANCE, finite_array
from dualib.core.files import plain, read_npz, write_npz
from dualib.core.typing import ArrayLike, Float, FloatArray, Int

ABOUT = "about"
OPTIONAL = ("p_x", "symmetry_classes", "targets")


def task_from_npz(path: str | PathLike[str]) -> Task:
    """One's own data as a task.

    Parameters
    ----------
    path : path
        An .npz file with ``x``, shape (n, …), which is flattened to (n, d), and labels: ``y``, see :func:`own_task`, or the law
        ``p_y_given_x``, shape (n, k), or both. It may hold ``p_x``, weights of the patterns, ``targets`` and
        ``symmetry_classes`` beside, see :class:`deepnets.Task`.

    Raises
    ------
    ValueError
        If an array is missing, or they do not fit together; the message names file and remedy.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/mine.npz", x=np.eye(4), y=[0, 1, 0, 1])
    ...     task = task_from_npz(f"{folder}/mine.npz")
    >>> task.x.shape, task.n_classes
    ((4, 4), 2)
    """
    arrays = read_npz(path)
    if "x" not in arrays:
        raise ValueError(f"{Path(path)} has no x: it must hold x, shape (n, …), and labels y, shape (n,)")
    return _task(path, arrays)


def own_task(
    labels: ArrayLike, x: ArrayLike | None = None, *, p_y_given_x: ArrayLike | None = None, name: str = "own"
) -> Task:
    """A task of given labels.

    Parameters
    ----------
    labels : array
        Shape (n,) or (n, 1): classes, whole numbers or texts, numbered from 0 in their order; or real targets of a
        regression, whose class is their sign. Shape (n, k): rows p(y|x), which sum to 1.
    x : array, shape (n, …), or None
        The patterns, flattened; None numbers them, which is enough where the network is somebody else's.
    p_y_given_x : array, shape (n, k), or None
        The law of labels 0..k-1; by default they are certain.
    name : str
        Of the task.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are all equal or nearly all different, or rows do not sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> own_task([0, 1, 1], x=np.eye(3)).p_y_given_x
    array([[1., 0.],
           [0., 1.],
           [0., 1.]])
    """
    y = np.asarray(labels)
    n = len(y) if y.ndim else 0
    patterns = (
        np.arange(n, dtype=np.float64)[:, None] if x is None else finite_array(x, "x").reshape(len(np.asarray(x)), -1)
    )
    if len(patterns) != n:
        raise ValueError(f"labels have shape {y.shape}, but there are {len(patterns)} patterns: one label each")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    settings = {"task": name}
    if y.ndim == 2 and y.shape[1] > 1:
        rows = _law(y)
        return Task(name, patterns, rows.argmax(axis=1), rows, settings=settings)
    if y.ndim != 1 or n < 2:
        raise ValueError(f"labels must have shape (n,), or (n, k) for p(y|x), with n ≥ 2 patterns, got {y.shape}")
    if p_y_given_x is not None:
        return Task(name, patterns, y, finite_array(p_y_given_x, "p_y_given_x"), settings=settings)
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.rint(y)).all()):
        targets = finite_array(y, "labels")[:, None]
        classes = classes_of(targets)
        return Task(name, patterns, classes, one_hot(classes, 2), settings=settings, targets=targets)
    found, numbers = np.unique(y, return_inverse=True)
    if not 2 <= len(found) <= max(2, n // 2):
        raise ValueError(
            f"labels have {len(found)} different values among {n} patterns: at least 2 classes, of 2 patterns each in the mean, "
            "are needed; add a fraction to targets of a regression that are whole numbers"
        )
    return Task(name, patterns, numbers.ravel(), one_hot(numbers.ravel(), len(found)), settings=settings)


def relabelled(task: Task, labels: ArrayLike) -> Task:
    """The patterns of a task with other labels, (n,), or another law p(y|x), (n, k); see :func:`own_task`.

    Examples
    --------
    >>> import numpy as np
    >>> task = relabelled(own_task([0, 1, 0, 1], x=np.eye(4)), [0, 0, 1, 1])
    >>> task.y
    array([0, 0, 1, 1])
    """
    found = own_task(labels, task.x, name=task.name)
    return Task(task.name, task.x, found.y, found.p_y_given_x, task.p_x, settings=dict(task.settings))


def _law(rows: NDArray[np.generic]) -> FloatArray:
    law = finite_array(rows, "labels")
    off = np.abs(law.sum(axis=1) - 1)
    if (law < 0).any() or off.max() > SUM_TOLERANCE:
        raise ValueError(
            f"labels of shape {law.shape} are taken as rows p(y|x), which are at least 0 and sum to 1, but row {off.argmax()} "
            f"sums to {law[off.argmax()].sum():.6g}; give classes of shape ({len(law)},) instead"
        )
    return law


def write_task(path: str | PathLike[str], task: Task) -> None:
    """Keep a task in an .npz file, whole or not at all, for :func:`read_task`."""
    arrays: dict[str, NDArray[np.generic]] = {"x": task.x, "y": task.y, "p_y_given_x": task.p_y_given_x}
    arrays |= {name: getattr(task, name) for name in OPTIONAL if getattr(task, name) is not None}
    about = json.dumps(plain({"name": task.name, "settings": task.settings}))
    write_npz(path, {**arrays, ABOUT: np.array(about)})


def read_task(path: str | PathLike[str]) -> Task:
    """The task that :func:`write_task` kept, or one of the arrays of :func:`task_from_npz`, of which x may be left out.

    Raises
    ------
    ValueError
        If the file is missing or damaged, or its arrays do not fit together; the message names it.
    """
    return _task(path, read_npz(path))


def _task(path: str | PathLike[str], arrays: Mapping[str, NDArray[np.generic]]) -> Task:
    try:
        return _of_arrays(arrays, Path(path).stem)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{Path(path)}: {error}") from None


def _of_arrays(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Task:
    law, labels = arrays.get("p_y_given_x"), arrays.get("y")
    if labels is None and law is None:
        raise ValueError("it has neither labels y, shape (n,), nor their law p_y_given_x, shape (n, k)")
    if labels is None:
        task = own_task(np.asarray(law), arrays.get("x"), name=name)
    else:
        task = own_task(labels, arrays.get("x"), p_y_given_x=law, name=name)
    about = json.loads(str(arrays[ABOUT])) if ABOUT in arrays else {}
    p_x: Float[np.ndarray, " n"] = np.asarray(arrays.get("p_x", task.p_x))
    symmetry: Int[np.ndarray, " n"] | None = arrays.get("symmetry_classes")
    targets = arrays.get("targets", task.targets)
    settings = about.get("settings", task.settings)
    return Task(about.get("name", name), task.x, task.y, task.p_y_given_x, p_x, symmetry, settings, targets)
