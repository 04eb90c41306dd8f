"""What estimators of representations need of a training: the protocol that runs trained here or elsewhere meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from deepnets.tasks import Task
from dualib.core.typing import Float, Int


@runtime_checkable
class Recording(Protocol):
    """R replicas of a network, recorded at S snapshots of their training."""

    @property
    def task(self) -> Task:
        """What was trained on."""
        ...

    @property
    def epochs(self) -> Int[np.ndarray, " n_snapshots"]:
        """The snapshots' epochs, in order."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """A name a layer, in the order of :meth:`activations`."""
        ...

    @property
    def n_replicas(self) -> int:
        """The number R of replicas."""
        ...

    @property
    def noise_std(self) -> float:
        """σ of the noise in every hidden layer; 0 for deterministic networks."""
        ...

    @property
    def scores(self) -> Mapping[str, Float[np.ndarray, "n_snapshots n_replicas"]]:
        """Losses and accuracies by name, "test_accuracy" for one."""
        ...

    def activations(
        self, snapshot: int, replica: int, *, seed: int | None = None
    ) -> list[Float[np.ndarray, "n_patterns width"]]:
        """Every layer's activations of all patterns; `seed` is of the noise, None for a pass without."""
        ...
