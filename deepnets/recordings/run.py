"""A trained run: parameters and scores of every replica at every snapshot, and the activations they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network, Params
from deepnets.recordings.recorded import is_recording
from deepnets.recordings.run_files import RunFiles, RunMemory
from deepnets.tasks import Task
from deepnets.training.settings import Loss, Training
from dualib.core.result import Brief
from dualib.core.typing import Float, Int
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
EPOCH_GRADIENTS = ("gradient_mean_square", "gradient_square_mean")


@dataclass(frozen=True, eq=False)
class Run(Brief):
    """R replicas of one network, trained on one task, at S snapshots; a :class:`~deepnets.recordings.recording.Recording`.

    Attributes
    ----------
    network, task, training : Network, Task, Training
        What was trained, on what, and how.
    epochs : array, shape (S,)
        The snapshots' epochs; epoch 0 is before training.
    params : list of dict
        One {"w": (S, R, in, out), "b": (S, R, out)} a layer.
    scores : dict of arrays, shape (S, R)
        "train_loss", "train_accuracy", "test_loss", "test_accuracy"; losses are mean cross-entropies in nats, or mean squared
        errors of a run trained by them; NaN where there are no test patterns.
    train_patterns : array, shape (R, n_train)
        The patterns each replica was trained on.
    failed : array, shape (R,)
        The epoch in which a replica's loss was no longer finite, -1 where it stayed so.
    epoch_gradients : dict of arrays, shape (S, R, L)
        Of the minibatch gradients g_b that the epoch before a snapshot was trained with, batches weighted by their size:
        "gradient_mean_square" ‖mean g_b‖² and "gradient_square_mean" mean ‖g_b‖² of each layer's weights; NaN at epoch 0. See
        :func:`deepnets.gradient_phases`.
    observed : dict of arrays
        What ``observe`` returned, by name, with the snapshots first.

    Examples
    --------
    >>> run = deepnets.train(deepnets.Network((12, 4, 2)), deepnets.icosahedral_task(), epochs=2)  # doctest: +SKIP
    >>> run.epochs, run.scores["test_accuracy"].shape  # doctest: +SKIP
    """

    network: Network
    task: Task
    training: Training
    epochs: Int[np.ndarray, " n_snapshots"]
    params: list[dict[str, Float[np.ndarray, "n_snapshots n_replicas ..."]]]
    scores: dict[str, Float[np.ndarray, "n_snapshots n_replicas"]]
    train_patterns: Int[np.ndarray, "n_replicas n_train"]
    failed: Int[np.ndarray, " n_replicas"]
    epoch_gradients: dict[str, Float[np.ndarray, "n_snapshots n_replicas n_layers"]] = field(default_factory=dict)
    observed: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the run depends on, as a plain dictionary."""
        return run_settings(self.network, self.task, self.training)

    @property
    def n_replicas(self) -> int:
        """The number R of replicas."""
        return len(self.train_patterns)

    @property
    def layers(self) -> tuple[str, ...]:
        """A name a layer of :meth:`activations`, the output last."""
        return self.network.layer_names

    @property
    def noise_std(self) -> float:
        """σ of the noise in every hidden layer."""
        return self.network.noise_std

    @property
    def ranges(self) -> tuple[tuple[float, float] | None, ...]:
        """Between which numbers the layers lie without noise: (-1, 1) for tanh, (0, 1) for a softmax; None for other units."""
        hidden = (-1.0, 1.0) if self.network.ends_at_one else None
        last = (0.0, 1.0) if self.loss is Loss.CROSS_ENTROPY else (-np.inf, np.inf)
        return (*[hidden] * self.network.hidden_layers, last)

    @property
    def hidden_layers(self) -> int:
        """How many layers are hidden."""
        return self.network.hidden_layers

    @property
    def plane_layers(self) -> tuple[str, ...]:
        """The layers of the plane: all, or of a noisy network those with noise, which its outputs do not have."""
        return self.layers if self.noise_std == 0 else self.layers[:-1]

    @property
    def loss(self) -> Loss:
        """What was minimised."""
        return self.training.loss

    @property
    def unfinished(self) -> str:
        """What is missing of the training, in a sentence; "" of a finished one."""
        last, epochs = int(self.epochs[-1]), self.training.epochs
        if last == epochs:
            return ""
        return f"this training is not finished: its last snapshot is of epoch {last} of {epochs}"

    @property
    def accuracy(self) -> Float[np.ndarray, "n_snapshots n_replicas"]:
        """Accuracy on the test patterns, or on the training patterns where all are trained on."""
        test = self.scores["test_accuracy"]
        return np.where(np.isnan(test), self.scores["train_accuracy"], test)

    def parameters(
        self, snapshot: int, replica: int | None = None
    ) -> list[dict[str, Float[np.ndarray, "n_replicas ..."]]]:
        """Parameters at a snapshot (an index into ``epochs``): of one replica, or of all with a leading axis R."""
        chosen = slice(None) if replica is None else replica
        return [{name: layer[name][snapshot][chosen] for name in ("w", "b")} for layer in self.params]

    def activations(
        self, snapshot: int, replica: int, *, noise_seed: int | None = None
    ) -> list[Float[np.ndarray, "n_patterns width"]]:
        """Activations of all patterns at a snapshot.

        Those of the hidden layers, and the softmax of the outputs (the outputs themselves of a run trained by squared error).

        Parameters
        ----------
        snapshot : int
            An index into ``epochs``.
        replica : int
        noise_seed : int or None
            Seed of the noise of a noisy network; None for its noiseless pass.

        Returns
        -------
        list of arrays, shapes (n, width)
            Of the network's precision.
        """
        key = None if noise_seed is None else jax.random.key(noise_seed)
        run = _activations(self.network, self.loss is Loss.CROSS_ENTROPY)
        return [np.asarray(layer) for layer in run(self.parameters(snapshot, replica), self.task.x, key)]

    def passes(
        self, snapshot: int, replica: int, count: int, seed: int
    ) -> list[Float[np.ndarray, "n_patterns n_passes width"]]:
        """The noiseless parts S_l of `count` noisy passes from every pattern.

        S_l = φ(W T_{l-1} + b) with T_{l-1} noisy, the centres of what T_l is given x; all alike at the first layer.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        run, key = _noisy_passes(self.network, count), jax.random.key(seed)
        return [np.asarray(layer) for layer in run(self.parameters(snapshot, replica), self.task.x, key)]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """Scores: one row a replica and snapshot; a column of cross-entropies bears their unit."""
        import pandas as pd

        s, r = np.indices((len(self.epochs), self.n_replicas)).reshape(2, -1)
        data: dict[str, np.ndarray] = {"epoch": self.epochs[s], "replica": r}
        for name, value in self.scores.items():
            in_nats = name.endswith("loss") and self.loss is Loss.CROSS_ENTROPY
            data[f"{name}_{units}" if in_nats else name] = (to_units(value, units) if in_nats else value).ravel()
        return pd.DataFrame(data)

    @classmethod
    def load(cls, path: str | Path, task: Task | None = None) -> Run:
        """Read a run that :func:`deepnets.train` wrote; an unfinished one up to its last checkpoint.

        Parameters
        ----------
        path : path
            Its directory.
        task : Task or None
            Its own, by default: made again by the function of this package that made it, or read from its copy in the directory.

        Raises
        ------
        ValueError
            If there is no run, nothing is trained yet, a file is missing or damaged (it is named, with what makes it again),
            or the task is another than the run's.
        """
        if is_recording(path):
            raise ValueError(f"{path} holds a recording, not a run: deepnets.Recorded.load reads it")
        files = RunFiles(path)
        settings, checkpoint = files.settings(), files.reached()
        if checkpoint is None:
            raise ValueError(f"{path} holds a training that has no snapshot yet: the command that began it goes on")
        made = task if task is not None else files.task(settings["task"])
        if made.digest() != settings["task_digest"]:
            raise ValueError(f"the run in {path} was trained on another task than {made.settings}")
        epochs = [e for e in settings["snapshots"] if e <= checkpoint[0]]
        return assemble(Network.from_settings(settings["network"]), made, settings, files, epochs, checkpoint[1][-1])


def run_settings(network: Network, task: Task, training: Training) -> dict[str, Any]:
    """Everything a run depends on, as a plain dictionary."""
    about = {"network": network.settings(), "task": task.settings, "task_digest": task.digest()}
    return {**about, **training.settings()}


def assemble(
    network: Network,
    task: Task,
    settings: Mapping[str, Any],
    place: RunFiles | RunMemory,
    epochs: Sequence[int],
    failed: np.ndarray,
) -> Run:
    """A run from its snapshots, on disk or in memory."""
    snapshots = [place.snapshot(epoch) for epoch in epochs]
    stacked = {name: np.stack([s[name] for s in snapshots]) for name in snapshots[0]}
    params = [{kind: stacked.pop(f"{kind}{i}") for kind in ("w", "b")} for i in range(len(network.widths) - 1)]
    scores = {name: stacked.pop(name) for name in SCORES}
    gradients = {name: stacked.pop(name) for name in EPOCH_GRADIENTS}
    observed = {name.removeprefix("observed_"): value for name, value in stacked.items()}
    training, patterns = Training.from_settings(settings), place.patterns()
    return Run(
        network, task, training, np.asarray(epochs), params, scores, patterns, np.asarray(failed), gradients, observed
    )


Pass = Callable[[list[dict[str, np.ndarray]], np.ndarray, jax.Array | None], list[jax.Array]]


@lru_cache(maxsize=16)
def _activations(network: Network, softmax: bool) -> Pass:
    def run(params: Params, x: jax.Array, key: jax.Array | None) -> list[jax.Array]:
        columns = network.columns(params, jnp.asarray(x, network.dtype).T, key)
        outputs = columns[-1].T
        return [*(t.T for t in columns[:-1]), jax.nn.softmax(outputs, axis=-1) if softmax else outputs]

    return jax.jit(run)


@lru_cache(maxsize=16)
def _noisy_passes(network: Network, count: int) -> Pass:
    def one(params: Params, x: jax.Array, key: jax.Array) -> list[jax.Array]:
        return [t.T for t in network.noiseless_parts(params, jnp.asarray(x, network.dtype).T, key)]

    def run(params: Params, x: jax.Array, key: jax.Array) -> list[jax.Array]:
        return jax.vmap(one, (None, None, 0), 1)(params, x, jax.random.split(key, count))

    return jax.jit(run)
