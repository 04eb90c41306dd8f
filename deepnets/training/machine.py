"""A training, run epoch by epoch: its replicas in groups, on all cores, devices and processes, with their states and snapshots."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from deepnets.backend import jax
from deepnets.networks import Network
from deepnets.recordings.run import EPOCH_GRADIENTS, SCORES
from deepnets.tasks import Task
from deepnets.training.losses import trained_on
from deepnets.training.orders import batches
from deepnets.training.processes import exchanged
from deepnets.training.settings import Training
from deepnets.training.steps import State, steps_of
from dualib.core.parallel import cores
from dualib.core.typing import Int, IntArray

States = tuple[State, ...]  # of this process's groups

GROUP = 13
"""Replicas that one compiled call trains on processors, at most: what full batches make of them stays in the caches of a core."""


def group_rows(replicas: int, count: int | None = None) -> Int[np.ndarray, "n_groups size"]:
    """The replicas of each of `count` groups of one size, the last replica repeated.

    By default as few groups as can be, but an even number, as of cores: of nothing but the replicas, as rounding depends on the size.
    """
    pairs = -(-replicas // (2 * GROUP))
    count = min(replicas, 2 * pairs if count is None else count)
    size = -(-replicas // count)
    return np.minimum(np.arange(count * size), replicas - 1).reshape(count, size)


@dataclass(frozen=True, eq=False)
class _Group:
    """Replicas that are trained side by side, and what they need, on their device."""

    rows: IntArray
    patterns: IntArray
    device: jax.Device
    keys: jax.Array
    x: jax.Array
    y: jax.Array
    trained: jax.Array


class Machine:
    """The epochs and snapshots of a training of R replicas.

    Groups of replicas are spread over the processes of ``jax.distributed``, their devices, and the cores. On processors their
    size is the same whatever there is of these, and so are the bits of all numbers.
    """

    def __init__(self, network: Network, task: Task, training: Training, train_patterns: IntArray) -> None:
        self.network, self.training, self._n = network, training, task.n
        self.steps = steps_of(
            network, training.optimiser, training.learning_rate, training.orthonormality, training.loss
        )
        devices, replicas = jax.local_devices(), training.replicas
        on_processors = devices[0].platform == "cpu"
        rows = group_rows(replicas, None if on_processors else jax.device_count())
        x, y = np.asarray(task.x, network.dtype), trained_on(task, training.loss, network.dtype)
        placed = [(device, jax.device_put(x, device), jax.device_put(y, device)) for device in devices]
        mine = rows[jax.process_index() :: jax.process_count()]
        self._groups = [self._group(of, train_patterns[of], *placed[i % len(placed)]) for i, of in enumerate(mine)]
        none = np.full((rows.shape[1], len(network.widths) - 1), np.nan)
        self._gradients: list[list[Any]] = [[none] * len(EPOCH_GRADIENTS) for _ in self._groups]  # of the last epoch
        threads = min(len(self._groups), cores()) if on_processors else len(devices)
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def _group(self, rows: IntArray, patterns: IntArray, device: jax.Device, x: jax.Array, y: jax.Array) -> _Group:
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(self.training.seed)))(rows)
        trained = np.zeros((len(rows), self._n), bool)
        np.put_along_axis(trained, patterns, True, axis=1)
        return _Group(rows, patterns, device, jax.device_put(keys, device), x, y, jax.device_put(trained, device))

    def start(self) -> States:
        """The states before the first epoch."""
        return tuple(self.steps.start(group.keys) for group in self._groups)

    def joined(self, states: States) -> State:
        """The state of all R replicas, of all processes, as arrays here."""
        found: State = self._gathered(list(states))
        return found

    def leaves(self, states: States) -> list[np.ndarray]:
        """A state of all R replicas as arrays, the epochs of failure last."""
        found: list[np.ndarray] = jax.tree.leaves(self.joined(states))
        return found

    def restore(self, leaves: list[np.ndarray]) -> States:
        """The inverse of :meth:`leaves`; a ValueError if they are of another training."""
        shapes = jax.eval_shape(self.steps.start, jax.random.split(jax.random.key(0), self.training.replicas))
        like, structure = jax.tree.flatten(shapes)
        if [a.shape for a in like] != [a.shape for a in leaves]:
            raise ValueError("the checkpoint's arrays do not fit these settings: it was written by another version")
        return tuple(
            jax.tree.unflatten(structure, [jax.device_put(leaf[group.rows], group.device) for leaf in leaves])
            for group in self._groups
        )

    def placed(self, states: States, vectors: np.ndarray) -> States:
        """The states with the parameters of all R replicas, one raveled vector each, in place of theirs."""
        return tuple(
            state._replace(vectors=jax.device_put(vectors[group.rows], group.device))
            for group, state in zip(self._groups, states, strict=True)
        )

    def _gathered(self, groups: list[Any]) -> Any:
        """What this process's groups have, as that of the R replicas of all processes: trees of arrays, with replicas first."""
        of_processes = exchanged(jax.tree.map(np.asarray, groups))
        count = sum(map(len, of_processes))
        ordered = [of_processes[i % len(of_processes)][i // len(of_processes)] for i in range(count)]
        return jax.tree.map(lambda *parts: np.concatenate(parts)[: self.training.replicas], *ordered)

    def failed(self, states: States) -> np.ndarray:
        """The epoch in which each replica failed, -1 where it did not."""
        found: np.ndarray = self._gathered([state.failed for state in states])
        return found

    def epoch(self, states: States, epoch: int) -> States:
        """The states after one more epoch than `epoch`."""

        def one(group: _Group, state: State) -> tuple[State, list[jax.Array]]:
            patterns, weights = batches(
                self.training, group.patterns, epoch, self.network.dtype, replicas=group.rows.tolist()
            )
            found: tuple[State, list[jax.Array]] = self.steps.epoch(
                state, group.keys, group.x, group.y, patterns, weights, epoch
            )
            if self._pool is not None:
                found[0].vectors.block_until_ready()  # in this thread: the others' groups have theirs
            return found

        done = list((map if self._pool is None else self._pool.map)(one, self._groups, states))
        self._gradients = [gradients for _, gradients in done]
        return tuple(state for state, _ in done)

    def snapshot(self, states: States) -> dict[str, np.ndarray]:
        """Parameters, scores and gradients of the last epoch, as named arrays."""
        params, scores, gradients = self._gathered(
            [
                (
                    self.steps.params(state.vectors),
                    self.steps.scores(state.vectors, group.trained, group.x, group.y),
                    last,
                )
                for group, state, last in zip(self._groups, states, self._gradients, strict=True)
            ]
        )
        named = (*zip(SCORES, scores, strict=True), *zip(EPOCH_GRADIENTS, gradients, strict=True))
        arrays = {name: value.astype(np.float64) for name, value in named}
        for i, layer in enumerate(params):
            arrays |= {f"{kind}{i}": layer[kind] for kind in ("w", "b")}
        return arrays
