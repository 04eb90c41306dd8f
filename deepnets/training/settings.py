"""The settings of a training: their only list. Keywords of ``train``, presets, options and files are read off its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.core.arrays import choice, positive, whole

if TYPE_CHECKING:
    from deepnets.networks import Network
    from deepnets.tasks import Task


class Optimiser(StrEnum):
    """What takes the steps, as in optax; momentum is 0.9.

    Examples
    --------
    >>> print(*Optimiser)
    sgd momentum adam
    """

    SGD = "sgd"
    MOMENTUM = "momentum"
    ADAM = "adam"


class Loss(StrEnum):
    """What is minimised: the mean over patterns of cross-entropies in nats, or of squared errors.

    Examples
    --------
    >>> print(*Loss)
    cross-entropy mse
    """

    CROSS_ENTROPY = "cross-entropy"
    SQUARED_ERROR = "mse"


def snapshot_epochs(epochs: int, count: int = 100) -> tuple[int, ...]:
    """About `count` epochs between 0 and `epochs`, both included, evenly spaced on a logarithmic scale.

    Examples
    --------
    >>> snapshot_epochs(100, 6)
    (0, 1, 3, 10, 32, 100)
    """
    epochs, count = whole(epochs, "epochs", 1), whole(count, "snapshots", 2)
    later = np.rint(np.geomspace(1, epochs, count - 1)) if count > 2 else np.array([epochs])
    return tuple(sorted({0, *map(int, later)}))


@dataclass(frozen=True)
class Training:
    r"""The settings of a training, checked when they are made.

    The loss that is minimised is the mean over patterns of

    .. math:: -\log \mathrm{softmax}(f(x))_y \quad \text{(cross-entropy, nats)}, \qquad
              \frac1k \sum_{j=1}^k (f_j(x) - z_j)^2 \quad \text{(mse)}

    Attributes
    ----------
    epochs : int
        Passes over the training patterns; the last batch of an epoch holds the patterns that are left.
    replicas : int
        R, each with its own start, split and batches.
    optimiser : Optimiser
    learning_rate : float
    batch_size : int or None
        None for full-batch descent.
    train_fraction : float
        Share of the patterns that is trained on, in (0, 1]; the others are test patterns.
    snapshots : int or sequence of int
        How many, by :func:`snapshot_epochs`, or the epochs themselves (0 and the last are added).
    seed : int
        Seed of everything random, in 0 … 2³² - 1.
    orthonormality : float
        α ≥ 0 of the step W ← W - α(WWᵀ - I)W after each update, which draws the hidden weights' rows (of W with one row a
        unit) towards orthonormality ([goldfeld2019]_, from [cisse2017]_); 0 for none.
    loss : Loss
        "cross-entropy", of as many outputs as classes, or "mse", of as many as the task has targets z: one-hot labels unless
        it says otherwise, see :class:`deepnets.Task`. By squared error, accuracy is the share of outputs of their target's
        class, which for a single target is its sign, and the last layer of a plane are the outputs, not their softmax.

    Raises
    ------
    ValueError
        If a setting is out of range; the message names it, its value and what is allowed.

    Examples
    --------
    >>> Training(epochs=10, batch_size=None).optimiser.value
    'adam'
    """

    epochs: int = field(metadata={"help": "passes over the training patterns"})
    replicas: int = field(default=1, metadata={"help": "networks, each with its own start, split and batches"})
    optimiser: Optimiser = field(default=Optimiser.ADAM, metadata={"help": "what takes the steps"})
    learning_rate: float = field(default=4e-4, metadata={"help": "of the optimiser"})
    batch_size: int | None = field(default=256, metadata={"help": "patterns a step; 0 for full batches"})
    train_fraction: float = field(default=0.8, metadata={"help": "share of the patterns that is trained on"})
    snapshots: int | Sequence[int] = field(
        default=100, metadata={"help": "about how many, evenly spaced on a logarithmic scale"}
    )
    seed: int = field(default=0, metadata={"help": "seed of everything random"})
    orthonormality: float = field(
        default=0.0, metadata={"help": "α of a step towards orthonormal hidden weights; 0 for none"}
    )
    loss: Loss = field(default=Loss.CROSS_ENTROPY, metadata={"help": "what is minimised"})

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "epochs": whole(self.epochs, "epochs", 1),
            "replicas": whole(self.replicas, "replicas", 1),
            "optimiser": Optimiser(choice(self.optimiser, "optimiser", Optimiser)),
            "learning_rate": positive(self.learning_rate, "learning_rate"),
            "batch_size": None if self.batch_size is None else whole(self.batch_size, "batch_size", 1),
            "train_fraction": positive(self.train_fraction, "train_fraction"),
            "snapshots": _snapshots(self.snapshots, self.epochs),
            "seed": whole(self.seed, "seed"),
            "orthonormality": positive(self.orthonormality, "orthonormality", zero=True),
            "loss": Loss(choice(self.loss, "loss", Loss)),
        }
        if checked["train_fraction"] > 1:
            raise ValueError(f"train_fraction must lie in (0, 1], got {self.train_fraction}")
        if checked["seed"] >= 2**32:
            raise ValueError(f"seed must lie in 0..2^32 - 1, got {self.seed}")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, training: Training | None, settings: Mapping[str, Any]) -> Training:
        """A training with some settings changed, or one of these settings alone.

        Raises
        ------
        TypeError
            If there is no setting of that name (the names are listed), or no `epochs`.
        """
        names = [f.name for f in fields(cls)]
        unknown = [name for name in settings if name not in names]
        if unknown:
            raise TypeError(f"a training has no setting {unknown[0]!r}; its settings are {', '.join(names)}")
        if training is not None:
            return replace(training, **settings)
        if "epochs" not in settings:
            raise TypeError("a training needs its number of epochs: give epochs=, or a Training")
        return cls(**settings)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Training:
        """The inverse of :meth:`settings`; entries that are no settings of a training are left out."""
        return cls(**{f.name: settings[f.name] for f in fields(cls) if f.name in settings})

    def settings(self) -> dict[str, Any]:
        """The settings as a plain dictionary, the snapshots as their epochs."""
        return {**asdict(self), "snapshots": list(self.snapshot_epochs)}

    @property
    def snapshot_epochs(self) -> tuple[int, ...]:
        """The epochs of the snapshots, in order; 0 is before training."""
        if isinstance(self.snapshots, int):
            return snapshot_epochs(self.epochs, self.snapshots)
        return tuple(self.snapshots)

    def n_train(self, n: int) -> int:
        """How many of `n` patterns a replica is trained on: a share `train_fraction`, at least one."""
        return max(1, round(self.train_fraction * n))

    def check(self, network: Network, task: Task) -> None:
        """Refuse a network that does not fit the task, and batches larger than the training patterns.

        Raises
        ------
        ValueError
            With both shapes, or both numbers.
        """
        squared = self.loss is Loss.SQUARED_ERROR
        n_outputs = task.regression_targets().shape[1] if squared else task.n_classes
        if network.widths[0] != task.x.shape[1] or network.widths[-1] != n_outputs:
            raise ValueError(
                f"a network of widths {network.widths} does not fit patterns of shape {task.x.shape} with {n_outputs} "
                f"{'targets' if squared else 'classes'}: it must begin with {task.x.shape[1]} and end with {n_outputs}"
            )
        n_train = self.n_train(task.n)
        if self.batch_size is not None and self.batch_size > n_train:
            raise ValueError(
                f"batch_size must be between 1 and the {n_train} training patterns, or None for full batches, got "
                f"{self.batch_size}"
            )


def _snapshots(value: int | Sequence[int], epochs: int) -> int | tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return whole(value, "snapshots", 2)
    chosen = tuple(sorted({0, epochs, *(whole(epoch, f"snapshots[{i}]") for i, epoch in enumerate(value))}))
    if chosen[-1] > epochs:
        raise ValueError(f"snapshots must lie between epoch 0 and {epochs}, got {chosen[-1]}")
    return chosen
