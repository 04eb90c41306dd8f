"""A plan of training, run: its random numbers, functions of (seed, replica, epoch) alone, its states and snapshots.

A replica's parameters are one packed vector, so that an optimiser's step is a few operations on one array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from deepnets.networks import Network
from deepnets.recordings.run import EPOCH_GRADIENTS, SCORES
from deepnets.tasks import Task
from deepnets.training.steps import steps_of

Observe = Callable[[int, list[dict[str, np.ndarray]]], Mapping[str, Any]]

SPLIT, ORDER = 1, 2  # purposes of random streams


@dataclass(frozen=True)
class Plan:
    """Checked settings of a training."""

    network: Network
    task: Task
    replicas: int
    epochs: int
    optimiser: str
    learning_rate: float
    batch_size: int | None
    train_fraction: float
    snapshots: tuple[int, ...]
    seed: int
    orthonormality: float
    loss: str = "cross-entropy"

    @property
    def n_train(self) -> int:
        return max(1, round(self.train_fraction * self.task.n))

    def settings(self) -> dict[str, Any]:
        return {
            "network": self.network.settings(),
            "task": self.task.settings,
            "task_digest": self.task.digest(),
            "replicas": self.replicas,
            "epochs": self.epochs,
            "optimiser": self.optimiser,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "train_fraction": self.train_fraction,
            "snapshots": list(self.snapshots),
            "seed": self.seed,
            "orthonormality": self.orthonormality,
            "loss": self.loss,
        }


def trained_on(task: Task, loss: str, dtype: str) -> np.ndarray:
    """What outputs are compared with: labels (n,), or for squared error targets (n, k)."""
    return task.y if loss == "cross-entropy" else task.regression_targets().astype(dtype)


# --- random numbers: functions of (seed, replica, purpose, epoch) ---


def permutation(seed: int, replica: int, purpose: int, epoch: int, n: int) -> np.ndarray:
    stream = np.random.Philox(key=[seed, replica], counter=[0, 0, purpose, epoch])
    return np.random.Generator(stream).permutation(n)


def splits(plan: Plan) -> np.ndarray:
    """The training patterns of each replica, shape (R, n_train)."""
    return np.stack([permutation(plan.seed, r, SPLIT, 0, plan.task.n)[: plan.n_train] for r in range(plan.replicas)])


def batches(plan: Plan, train_patterns: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Patterns (batches, R, size) of one epoch in its order, and their weights (batches, size), each batch's summing to 1.

    The last batch is filled up with patterns of weight 0.
    """
    n, size = plan.n_train, plan.batch_size or plan.n_train
    count = -(-n // size)
    if count == 1:
        order = train_patterns
    else:
        order = np.stack([row[permutation(plan.seed, r, ORDER, epoch, n)] for r, row in enumerate(train_patterns)])
    padded = np.concatenate([order, order[:, : count * size - n]], axis=1)
    weights = (np.arange(count * size) < n).reshape(count, size).astype(plan.network.dtype)
    return (
        padded.reshape(plan.replicas, count, size).transpose(1, 0, 2).astype(np.int32),
        weights / weights.sum(axis=1, keepdims=True),
    )


class Machine:
    """The epochs and snapshots of a plan. A state is (vectors (R', P), optimiser state, failed (R',)): R replicas, the last
    repeated until the devices have equally many.
    """

    def __init__(self, plan: Plan, train_patterns: np.ndarray) -> None:
        import jax
        import jax.numpy as jnp

        self.plan, self.train_patterns = plan, train_patterns
        network, task = plan.network, plan.task
        self.steps = steps_of(network, plan.optimiser, plan.learning_rate, plan.orthonormality, plan.loss)
        devices = min(jax.device_count(), plan.replicas)
        self._rows = np.minimum(np.arange(-(-plan.replicas // devices) * devices), plan.replicas - 1)
        self._mesh = None
        if devices > 1:
            self._mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("replicas",))
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(plan.seed)))(jnp.arange(plan.replicas))
        self.keys = self._place(keys)
        self.x = jnp.asarray(task.x, network.dtype)
        self.y = jnp.asarray(trained_on(task, plan.loss, network.dtype))
        trained = np.zeros((plan.replicas, task.n), bool)
        np.put_along_axis(trained, train_patterns, True, axis=1)
        self.trained = self._place(trained)
        layers = len(network.widths) - 1
        self._gradients: Any = [np.full((plan.replicas, layers), np.nan)] * len(EPOCH_GRADIENTS)  # of the last epoch

    def _place(self, array: Any, axis: int = 0) -> Any:
        """Spread one axis, the R replicas, over the devices."""
        import jax
        from jax.sharding import NamedSharding, PartitionSpec

        if self._mesh is None:
            return jax.numpy.asarray(array)
        parts = PartitionSpec(*[None] * axis, "replicas")
        return jax.device_put(array[(slice(None),) * axis + (self._rows,)], NamedSharding(self._mesh, parts))

    def _taken(self, array: Any) -> np.ndarray:
        """The R replicas of what lies on the devices."""
        return np.asarray(array)[: self.plan.replicas]

    def start(self) -> Any:
        import jax

        return jax.tree.map(self._place, self.steps.start(self.keys))

    def leaves(self, state: Any) -> list[np.ndarray]:
        import jax

        return [self._taken(leaf) for leaf in jax.tree.leaves(state)]

    def restore(self, leaves: list[np.ndarray]) -> Any:
        import jax

        like, structure = jax.tree.flatten(self.start())
        if [(self.plan.replicas, *a.shape[1:]) for a in like] != [a.shape for a in leaves]:
            raise ValueError("the checkpoint's arrays do not fit these settings: it was written by another version")
        return jax.tree.unflatten(structure, [self._place(leaf) for leaf in leaves])

    def failed(self, state: Any) -> np.ndarray:
        return self._taken(state[2])

    def epoch(self, state: Any, epoch: int) -> Any:
        patterns, weights = batches(self.plan, self.train_patterns, epoch)
        state, self._gradients = self.steps.epoch(
            state, self.keys, self.x, self.y, self._place(patterns, axis=1), weights, epoch
        )
        return state

    def snapshot(self, state: Any, epoch: int, observe: Observe | None) -> dict[str, np.ndarray]:
        import jax

        params = jax.tree.map(self._taken, self.steps.params(state[0]))
        scores = self.steps.scores(state[0], self.trained, self.x, self.y)
        named = (*zip(SCORES, scores, strict=True), *zip(EPOCH_GRADIENTS, self._gradients, strict=True))
        arrays = {name: self._taken(value).astype(np.float64) for name, value in named}
        for i, layer in enumerate(params):
            arrays |= {f"{kind}{i}": layer[kind] for kind in ("w", "b")}
        if observe is not None:
            arrays |= {f"observed_{name}": np.asarray(value) for name, value in observe(epoch, params).items()}
        return arrays
