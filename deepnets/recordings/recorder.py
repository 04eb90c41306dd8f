"""A recorder: what is called in anybody's training loop, and leaves a folder that is a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from deepnets.recordings.recorded import Recorded
from deepnets.recordings.records import (
    FORMAT,
    TASK,
    Array,
    GradientRecord,
    Range,
    Record,
    read_array,
    read_records,
    restore_replaced,
    write_record,
)
from deepnets.tasks import Task
from deepnets.tasks.files import own_task, write_task
from dualib.core.arrays import positive, whole
from dualib.core.store import Store
from dualib.core.typing import ArrayLike, FloatArray


class Recorder:
    """Writes layers' activations, and what else is known, at epochs of any training, of any number of replicas.

    The folder is gone on with by a recorder of the same settings, by one process for each replica if need be.

    Parameters
    ----------
    path : path
        A folder: new, empty, or of a recording that is gone on with.
    labels : Task, or array of shape (n,) or (n, k)
        Of the patterns whose activations are recorded, in their order: a task, classes, or the law p(y|x); see
        :func:`deepnets.tasks.own_task`.
    x : array, shape (n, …), or None
        The patterns, kept with the recording; not needed for a plane.
    noise_std : float
        σ of Gaussian noise at every layer, whose noiseless parts are recorded. 0 without noise.
    ranges : dict of str to (float, float), or None
        Layer → between which numbers its activations lie by construction: (-1, 1) for tanh, (0, 1) for a softmax,
        (-inf, inf) where nothing bounds them. They choose the default estimator and its cells.
    settings : dict or None
        Of the training, kept with the recording and in the record of every plane.

    Attributes
    ----------
    path : Path
    task : Task
    ranges : dict

    Raises
    ------
    ValueError
        If the folder cannot be written, holds other files, or a recording with other settings or labels (each is named).

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import deepnets
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recorder = Recorder(f"{folder}/run", labels=[0, 1, 0, 1])
    ...     for epoch in (1, 10):  # in your loop
    ...         recorder.add(epoch, {"hidden": np.tanh(epoch * np.array([[0.1], [0.2], [-0.1], [0.3]]))})
    ...     plane = deepnets.information_plane(recorder.recorded(), deepnets.Binning(4), progress=False)
    >>> plane.epochs, plane.layers
    (array([ 1, 10]), ('hidden',))
    """

    def __init__(
        self,
        path: str | PathLike[str],
        labels: Task | ArrayLike,
        x: ArrayLike | None = None,
        *,
        noise_std: float = 0.0,
        ranges: Mapping[str, Range] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.path, self.ranges = Path(path), dict(ranges or {})
        self.task = labels if isinstance(labels, Task) else own_task(labels, x)
        about = {
            "format": FORMAT,
            "patterns": self.task.n,
            "task_digest": self.task.digest(),
            "noise_std": positive(noise_std, "noise_std", zero=True),
            "training": dict(settings or {}),
        }
        Store.open(self.path, about, "recording")
        if not (self.path / TASK).is_file():
            write_task(self.path / TASK, self.task)
        restore_replaced(self.path)
        self._batches: dict[int, _Batches] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for place in sorted(self.path.glob("epoch_*"))[:1]:
            first = next(iter(read_records(self.path).values()))
            files = (place / f"layer_{i}.npy" for i in range(len(first.layers)))
            shapes = (read_array(file, self.task.n).shape[1:] for file in files)
            self._shapes = dict(zip(first.layers, shapes, strict=True))

    def add(
        self,
        epoch: int,
        activations: Mapping[str, ArrayLike],
        *,
        replica: int = 0,
        weights: Mapping[str, ArrayLike] | None = None,
        gradients: Mapping[str, ArrayLike] | None = None,
        batch_size: int | None = None,
        **scores: float,
    ) -> None:
        """Keep one replica at one epoch, whole or not at all. What was there of it is replaced.

        Parameters
        ----------
        epoch : int
            0 before training.
        activations : dict of str to array, shapes (n, width) or (n, …)
            Layer → activations of all patterns, first layer first; arrays of any framework. Layers of more axes, such as
            convolutional ones, are kept as they are and flattened when they are read; see :meth:`Recorded.by_channel`.
        replica : int
        weights : dict of str to array, or None
            Layer → its weights.
        gradients : dict of str to array, shape (n_batches, …), or None
            Layer of `weights` → the gradients of minibatches of the epoch, of `batch_size` patterns each; at least two. A loop
            that has not all of them at once calls :meth:`batch`.
        batch_size : int or None
        **scores
            "train_loss", "train_accuracy", "test_loss", "test_accuracy" or any other number.

        Raises
        ------
        ValueError
            If an array has other than n rows, or layers are not those that were added before, or weights are missing.
        OSError
            If a file cannot be written; what was added before is whole.
        """
        epoch, replica = whole(epoch, "epoch"), whole(replica, "replica")
        arrays = {str(name): self._checked(name, value) for name, value in activations.items()}
        shapes = {name: a.shape[1:] for name, a in arrays.items()}
        if not shapes or (self._shapes and list(shapes.items()) != list(self._shapes.items())):
            raise ValueError(
                f"layers {shapes} were added to {self.path}, which has {self._shapes or 'none yet'}: the same layers, at least "
                "one, are needed each time, in one order; record others in a folder of their own"
            )
        kept = {str(name): as_array(value, f"weights of {name}") for name, value in (weights or {}).items()}
        if gradients is not None:
            self._whole_epoch(epoch, replica, gradients, batch_size)
        batches = self._batches.pop(replica, None)
        record = Record(
            epoch,
            replica,
            tuple(arrays),
            tuple(self.ranges.get(name) for name in arrays),
            tuple(kept),
            {name: float(value) for name, value in scores.items()},
            all(bool(np.isfinite(a).all()) for a in arrays.values()),
            batches.record(kept) if batches is not None and batches.epoch == epoch else None,
        )
        write_record(self.path, record, list(arrays.values()), list(kept.values()))
        self._shapes = shapes

    def batch(self, epoch: int, gradients: Mapping[str, ArrayLike], size: int, *, replica: int = 0) -> None:
        """Count one minibatch's gradients towards what the next :meth:`add` of that epoch keeps.

        Parameters
        ----------
        epoch : int
            The epoch that will be added: 1 for the batches of the first. Those of an epoch that is not added are dropped.
        gradients : dict of str to array
            Layer → gradient of its weights, which are given to :meth:`add` under the same name.
        size : int
            Patterns in the batch.
        replica : int
        """
        epoch, replica = whole(epoch, "epoch"), whole(replica, "replica")
        if replica not in self._batches or self._batches[replica].epoch != epoch:
            self._batches[replica] = _Batches(epoch)
        found = {str(name): as_array(g, f"gradient of {name}").astype(np.float64) for name, g in gradients.items()}
        self._batches[replica].add(found, whole(size, "size", 1))

    def epochs(self, replica: int = 0) -> tuple[int, ...]:
        """The epochs that are kept of a replica: a training that goes on adds those after them."""
        if not any(self.path.glob("epoch_*")):
            return ()
        return tuple(epoch for epoch, of in read_records(self.path) if of == replica)

    def recorded(self) -> Recorded:
        """What is kept so far."""
        return Recorded.load(self.path)

    def _checked(self, name: str, value: ArrayLike) -> Array:
        array = as_array(value, f"activations of {name}")
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim == 0 or len(array) != self.task.n or array.size == 0:
            raise ValueError(
                f"the activations of {name} have shape {array.shape}, but there are {self.task.n} labels: record all patterns, in "
                "the labels' order"
            )
        return array

    def _whole_epoch(
        self, epoch: int, replica: int, gradients: Mapping[str, ArrayLike], batch_size: int | None
    ) -> None:
        arrays = {name: as_array(value, f"gradients of {name}") for name, value in gradients.items()}
        counts = {len(a) if a.ndim else 0 for a in arrays.values()}
        if batch_size is None or len(counts) != 1 or min(counts) < 2:
            raise ValueError(
                "gradients need batch_size, and shape (n_batches, …) with the same n_batches ≥ 2 of every layer, got "
                f"batch_size = {batch_size} and { ({name: a.shape for name, a in arrays.items()}) }"
            )
        self._batches.pop(replica, None)
        for b in range(counts.pop()):
            self.batch(epoch, {name: a[b] for name, a in arrays.items()}, batch_size, replica=replica)


@dataclass
class _Batches:
    """Sums over the minibatches of one epoch."""

    epoch: int

    def __post_init__(self) -> None:
        self.sizes: list[int] = []
        self.sums: dict[str, FloatArray] = {}
        self.squares: dict[str, float] = {}

    def add(self, gradients: Mapping[str, FloatArray], size: int) -> None:
        if self.sizes and self.sums.keys() != gradients.keys():
            raise ValueError(f"this batch has gradients of {list(gradients)}, those before of {list(self.sums)}")
        self.sizes.append(size)
        for name, g in gradients.items():
            self.sums[name] = size * g + self.sums.get(name, np.zeros(()))
            self.squares[name] = self.squares.get(name, 0.0) + size * float(np.vdot(g, g))

    def record(self, weights: Mapping[str, Array]) -> GradientRecord:
        missing = [name for name in self.sums if name not in weights]
        if missing or len(self.sizes) < 2:
            raise ValueError(
                f"gradients of {len(self.sizes)} batches need at least two, and the weights of every layer: give weights= of "
                f"{', '.join(missing) or 'all layers'}"
            )
        total = sum(self.sizes)
        norms = tuple(float(np.linalg.norm(np.asarray(weights[name], np.float64))) for name in self.sums)
        mean = tuple(float(np.vdot(g, g)) / total**2 for g in self.sums.values())
        square = tuple(value / total for value in self.squares.values())
        return GradientRecord(len(self.sizes), total, max(self.sizes), tuple(self.sums), mean, square, norms)


def as_array(value: Any, name: str) -> Array:
    """An array of any framework, torch's and JAX's on any device included, as NumPy's real one; whole numbers as float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"the {name} are no array: {error}") from None
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.kind == "V":  # bfloat16 and its kin, which .npy files do not know
        return array.astype(np.float32)
    if array.dtype.kind != "f":
        raise ValueError(f"the {name} must be real numbers, got dtype {array.dtype}")
    return array
