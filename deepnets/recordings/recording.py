"""What a training, anybody's, has to offer for its information plane to be estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deepnets.tasks import Task
from dualib.core.typing import Float, FloatArray, Int


@runtime_checkable
class Recording(Protocol):
    """Layers' activations of R replicas at S snapshots of a training on a task.

    Examples
    --------
    >>> isinstance(recorded, Recording), recorded.n_replicas, recorded.noise_std
    (True, 1, 0.0)
    """

    @property
    def task(self) -> Task:
        """Patterns, labels and their law."""

    @property
    def epochs(self) -> Int[np.ndarray, " S"]:
        """The snapshots' epochs, increasing; epoch 0 is before training."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers whose activations are given, first layer first."""

    @property
    def n_replicas(self) -> int:
        """The number R of replicas."""

    @property
    def noise_std(self) -> float:
        """σ of the Gaussian noise at every layer, 0 without noise."""

    @property
    def scores(self) -> Mapping[str, FloatArray]:
        """Name → array (S, R): "train_accuracy" and the like, as far as they are known; NaN where they are not."""

    def activations(self, snapshot: int, replica: int, *, noise_seed: int | None = None) -> list[NDArray[np.floating]]:
        """The layers' activations of all patterns of the task.

        Parameters
        ----------
        snapshot : int
            Index into ``epochs``.
        replica : int
        noise_seed : int or None
            Seed of the noise of a noisy network; None for its pass without noise.

        Returns
        -------
        list of arrays, shapes (n, width)
        """


@runtime_checkable
class RepeatedPasses(Protocol):
    """What a recording of noisy layers has beside: the deeper layers are known by repeated passes.

    Examples
    --------
    >>> isinstance(run, RepeatedPasses)  # doctest: +SKIP
    """

    def passes(self, snapshot: int, replica: int, count: int, seed: int) -> list[NDArray[np.floating]]:
        """The noiseless parts S_l of T_l = S_l + Z_l in `count` noisy passes from every pattern: shapes (n, count, width)."""


@runtime_checkable
class Details(Protocol):
    """What a :class:`deepnets.Run` and a :class:`deepnets.Recorded` tell beside, from which defaults are chosen."""

    @property
    def ranges(self) -> tuple[tuple[float, float] | None, ...]:
        """Between which numbers each layer's activations lie by construction, without noise; None where that is not known."""

    @property
    def plane_layers(self) -> tuple[str, ...]:
        """The layers of the plane, the first ones of ``layers``: a noisy run's outputs, which bear no noise, are none of them."""

    @property
    def hidden_layers(self) -> int:
        """How many of the first layers are hidden ones, whose cells are common where they are chosen by range."""

    @property
    def failed(self) -> Int[np.ndarray, " R"]:
        """The epoch in which a replica was no longer finite, -1 where it stayed so."""


def accuracy_of(scores: Mapping[str, FloatArray], shape: tuple[int, int]) -> Float[np.ndarray, "S R"]:
    """Accuracy on the test patterns, or on the training patterns where that is not known; NaN where neither is."""
    train, test = (scores.get(f"{part}_accuracy", np.full(shape, np.nan)) for part in ("train", "test"))
    return np.where(np.isnan(test), train, test)


def finished(recording: Recording) -> Int[np.ndarray, " r"]:
    """The replicas that stayed finite: that did not fail, or none of whose training losses is infinite; where none is known, all."""
    if isinstance(recording, Details):
        return np.flatnonzero(recording.failed < 0).astype(np.int64)
    losses = recording.scores.get("train_loss", np.zeros((1, recording.n_replicas)))
    return np.flatnonzero(np.isfinite(losses).all(axis=0)).astype(np.int64)
