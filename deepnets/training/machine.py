"""A training, run epoch by epoch on all devices: its states and snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import ArrayLike

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.recordings.run import EPOCH_GRADIENTS, SCORES
from deepnets.tasks import Task
from deepnets.training.losses import trained_on
from deepnets.training.orders import batches
from deepnets.training.settings import Training
from deepnets.training.steps import State, steps_of
from dualib.core.typing import IntArray

Observe = Callable[[int, list[dict[str, np.ndarray]]], Mapping[str, ArrayLike]]

_axes: Callable[..., PartitionSpec] = PartitionSpec  # which JAX leaves untyped


class Machine:
    """The epochs and snapshots of a training of R replicas, the last repeated until the devices have equally many."""

    def __init__(self, network: Network, task: Task, training: Training, train_patterns: IntArray) -> None:
        self.network, self.training, self.train_patterns = network, training, train_patterns
        self.steps = steps_of(
            network, training.optimiser, training.learning_rate, training.orthonormality, training.loss
        )
        replicas = training.replicas
        devices = min(jax.device_count(), replicas)
        self._rows = np.minimum(np.arange(-(-replicas // devices) * devices), replicas - 1)
        self._mesh = Mesh(np.array(jax.devices()[:devices]), ("replicas",)) if devices > 1 else None
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(training.seed)))(jnp.arange(replicas))
        self.keys = self._place(keys)
        self.x = jnp.asarray(task.x, network.dtype)
        self.y = jnp.asarray(trained_on(task, training.loss, network.dtype))
        trained = np.zeros((replicas, task.n), bool)
        np.put_along_axis(trained, train_patterns, True, axis=1)
        self.trained = self._place(trained)
        none = jnp.full((replicas, len(network.widths) - 1), jnp.nan)
        self._gradients = [none] * len(EPOCH_GRADIENTS)  # of the last epoch

    def _place(self, array: np.ndarray | jax.Array, axis: int = 0) -> jax.Array:
        """Spread one axis, the R replicas, over the devices."""
        if self._mesh is None:
            return jnp.asarray(array)
        parts = _axes(*[None] * axis, "replicas")
        rows = array[(slice(None),) * axis + (self._rows,)]
        placed: jax.Array = jax.device_put(rows, NamedSharding(self._mesh, parts))
        return placed

    def _taken(self, array: jax.Array) -> np.ndarray:
        """The R replicas of what lies on the devices."""
        return np.asarray(array)[: self.training.replicas]

    def start(self) -> State:
        """The state before the first epoch."""
        return State(*jax.tree.map(self._place, self.steps.start(self.keys)))

    def leaves(self, state: State) -> list[np.ndarray]:
        """A state as arrays, the epochs of failure last."""
        return [self._taken(leaf) for leaf in jax.tree.leaves(state)]

    def restore(self, leaves: list[np.ndarray]) -> State:
        """The inverse of :meth:`leaves`; a ValueError if they are of another training."""
        like, structure = jax.tree.flatten(self.start())
        if [(self.training.replicas, *a.shape[1:]) for a in like] != [a.shape for a in leaves]:
            raise ValueError("the checkpoint's arrays do not fit these settings: it was written by another version")
        return State(*jax.tree.unflatten(structure, [self._place(leaf) for leaf in leaves]))

    def failed(self, state: State) -> np.ndarray:
        """The epoch in which each replica failed, -1 where it did not."""
        return self._taken(state.failed)

    def epoch(self, state: State, epoch: int) -> State:
        """The state after one more epoch than `epoch`."""
        patterns, weights = batches(self.training, self.train_patterns, epoch, self.network.dtype)
        state, self._gradients = self.steps.epoch(
            state, self.keys, self.x, self.y, self._place(patterns, axis=1), weights, epoch
        )
        return state

    def snapshot(self, state: State, epoch: int, observe: Observe | None) -> dict[str, np.ndarray]:
        """Parameters, scores, gradients of the last epoch, and what `observe` returns, as named arrays."""
        params = jax.tree.map(self._taken, self.steps.params(state.vectors))
        scores = self.steps.scores(state.vectors, self.trained, self.x, self.y)
        named = (*zip(SCORES, scores, strict=True), *zip(EPOCH_GRADIENTS, self._gradients, strict=True))
        arrays = {name: self._taken(value).astype(np.float64) for name, value in named}
        for i, layer in enumerate(params):
            arrays |= {f"{kind}{i}": layer[kind] for kind in ("w", "b")}
        if observe is not None:
            arrays |= {f"observed_{name}": np.asarray(value) for name, value in observe(epoch, params).items()}
        return arrays
