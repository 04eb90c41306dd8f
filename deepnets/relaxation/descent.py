"""Gradient descent, gone on with: as it was, with another optimiser, or drawn to targets of its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import optax

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.recordings.run import Run
from deepnets.relaxation.energy import packed, packing
from deepnets.relaxation.methods import BottleneckTargets, ContinueTraining
from deepnets.relaxation.targets import layer_indices, targets_of
from deepnets.relaxation.walk import FORWARD, GRADIENT
from deepnets.training.losses import LOSSES, trained_on
from deepnets.training.machine import Machine
from deepnets.training.orders import batches
from deepnets.training.settings import Loss, Training
from deepnets.training.steps import State, optimiser_of
from dualib.core.progress import progress_bar


def state_of_training(run: Run, snapshot: int, progress: bool | None = None) -> State:
    """The state of a training's R replicas at a snapshot, the optimiser's too: by training again up to there.

    Raises
    ------
    ValueError
        If that does not lead to the run's parameters: this is another machine, or another version of JAX.
    """
    machine, until = Machine(run.network, run.task, run.training, run.train_patterns), int(run.epochs[snapshot])
    states = machine.start()
    with progress_bar(until, "optimiser's state", progress) as done:
        for epoch in range(until):
            states = machine.epoch(states, epoch)
            done(1)
    state, wanted = machine.joined(states), packed(run, snapshot)
    found = np.asarray(state.vectors)
    alive = run.failed < 0
    if not np.allclose(found[alive], wanted[alive], rtol=1e-3, atol=1e-3 * np.abs(wanted[alive]).max(initial=0.0)):
        raise ValueError(
            f"training again up to epoch {until} leads elsewhere, by {np.abs(found[alive] - wanted[alive]).max():.2g}: the "
            "optimiser's state cannot be had on this machine. Relax a run that was trained here, or give an optimiser"
        )
    return State(jnp.asarray(wanted), *state[1:])


class DescentWalk:
    """Epochs of training, from a snapshot on, with the run's batches of those epochs."""

    def __init__(self, run: Run, snapshot: int, method: ContinueTraining, progress: bool | None = None) -> None:
        self._run, self._snapshot, self._progress = run, snapshot, progress
        self._unchanged = method.unchanged
        self._first = int(run.epochs[snapshot])
        self._machine = Machine(run.network, run.task, changed(run.training, method), run.train_patterns)

    def start(self) -> State:
        """The run's state, with a fresh optimiser where it is another one."""
        if self._unchanged:
            return state_of_training(self._run, self._snapshot, self._progress)
        fresh = self._machine.joined(self._machine.start())
        return State(jnp.asarray(packed(self._run, self._snapshot)), *fresh[1:])

    def advance(self, state: State, begin: int, end: int) -> State:
        """After the epochs `begin` … `end` − 1 from the snapshot."""
        states = self._machine.restore(jax.tree.leaves(state))
        for epoch in range(begin, end):
            states = self._machine.epoch(states, self._first + epoch)
        return self._machine.joined(states)

    def vectors(self, state: State) -> np.ndarray:
        """The parameters."""
        return np.asarray(state.vectors)

    def cost(self, steps: int) -> float:
        """An epoch is a gradient of all patterns."""
        return GRADIENT * steps

    def counts(self, state: State) -> dict[str, np.ndarray]:
        """None."""
        return {}


def changed(training: Training, method: ContinueTraining) -> Training:
    """The settings that a method goes on with."""
    settings: dict[str, Any] = {}
    if method.optimiser is not None:
        settings["optimiser"] = method.optimiser
    if method.learning_rate is not None:
        settings["learning_rate"] = method.learning_rate
    if method.batch_size is not None:
        settings["batch_size"] = method.batch_size or None
    return replace(training, **settings)


class TargetsWalk:
    """Epochs of the run's own optimiser on the loss and the distance to targets."""

    def __init__(
        self, run: Run, snapshot: int, method: BottleneckTargets, seed: int, progress: bool | None = None
    ) -> None:
        self._run, self._snapshot, self._method, self._seed, self._progress = run, snapshot, method, seed, progress
        self._first = int(run.epochs[snapshot])
        self._layers = layer_indices(run.network, method.layers)
        network, training = run.network, run.training
        self._x = jnp.asarray(run.task.x, network.dtype)
        self._y = jnp.asarray(trained_on(run.task, training.loss, network.dtype))
        self._epoch = _epoch(
            network, training.loss, training.optimiser, training.learning_rate, self._layers, method.weight
        )

    def start(self) -> tuple[Any, ...]:
        """Parameters, the optimiser's memory, and targets that are not there yet."""
        state = state_of_training(self._run, self._snapshot, self._progress)
        n, r, widths = self._run.task.n, self._run.n_replicas, self._run.network.widths[1:]
        none = [jnp.zeros((r, n, widths[layer]), self._run.network.dtype) for layer in self._layers]
        return (state.vectors, state.inner, none)

    def advance(self, state: tuple[Any, ...], begin: int, end: int) -> tuple[Any, ...]:
        """After the epochs `begin` … `end` − 1 from the snapshot."""
        vectors, inner, wanted = state
        for epoch in range(begin, end):
            if epoch % self._method.refresh == 0:
                found = targets_of(self._run, np.asarray(vectors), self._layers, self._method, self._seed)
                wanted = [jnp.asarray(target, self._run.network.dtype) for target in found]
            order, weights = batches(
                self._run.training, self._run.train_patterns, self._first + epoch, self._run.network.dtype
            )
            vectors, inner = self._epoch(vectors, inner, wanted, self._x, self._y, order, weights)
        return vectors, inner, wanted

    def vectors(self, state: tuple[Any, ...]) -> np.ndarray:
        """The parameters."""
        return np.asarray(state[0])

    def cost(self, steps: int) -> float:
        """An epoch is a gradient of all patterns; an iteration of the targets is a forward pass."""
        return GRADIENT * steps + FORWARD * -(-steps // self._method.refresh)

    def counts(self, state: tuple[Any, ...]) -> dict[str, np.ndarray]:
        """None."""
        return {}


@lru_cache(maxsize=8)
def _epoch(
    network: Network, loss: Loss, optimiser: Any, learning_rate: float, layers: tuple[int, ...], weight: float
) -> Callable[..., tuple[jax.Array, Any]]:
    """One epoch of all replicas: (vectors, inner, targets, x, y, order, weights) → (vectors, inner); compiled."""
    unravel, losses, rule = packing(network).unravel, LOSSES[loss], optimiser_of(optimiser, learning_rate)

    def step(
        vector: jax.Array,
        inner: Any,
        wanted: list[jax.Array],
        x: jax.Array,
        y: jax.Array,
        chosen: jax.Array,
        share: jax.Array,
    ) -> tuple[jax.Array, Any]:
        def objective(at: jax.Array) -> jax.Array:
            columns = network.columns(unravel(at), x[chosen].T)
            apart = sum(((columns[i].T - t[chosen]) ** 2).mean(axis=1) for i, t in zip(layers, wanted, strict=True))
            return ((losses(columns[-1], y[chosen]) + weight * apart) * share).sum()

        update, inner = rule.update(jax.grad(objective)(vector), inner, vector)
        return optax.apply_updates(vector, update), inner

    def epoch(
        vectors: jax.Array,
        inner: Any,
        wanted: list[jax.Array],
        x: jax.Array,
        y: jax.Array,
        order: jax.Array,
        weights: jax.Array,
    ) -> tuple[jax.Array, Any]:
        def batch(carry: tuple[jax.Array, Any], one: tuple[jax.Array, jax.Array]) -> tuple[tuple[jax.Array, Any], None]:
            moved = jax.vmap(step, (0, 0, 0, None, None, 0, None))(*carry, wanted, x, y, *one)
            return moved, None

        return jax.lax.scan(batch, (vectors, inner), (order, weights))[0]

    return jax.jit(epoch)
