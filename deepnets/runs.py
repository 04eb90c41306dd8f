"""A trained run: parameters and scores of every replica at every snapshot, and the activations they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets._store import Store
from deepnets.networks import Network
from deepnets.tasks import Task, task_from_settings
from dualib.core.typing import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
EPOCH_GRADIENTS = ("gradient_mean_square", "gradient_square_mean")


@dataclass(frozen=True, eq=False)
class Run:
    """R replicas of one network, trained on one task, at S snapshots.

    Attributes
    ----------
    network, task : what was trained, and on what.
    epochs : array, shape (S,): the snapshots' epochs; epoch 0 is before training.
    params : one {"w": (S, R, in, out), "b": (S, R, out)} a layer.
    scores : "train_loss", "train_accuracy", "test_loss", "test_accuracy" → array (S, R); losses are mean cross-entropies in
        nats, or mean squared errors of a run trained by them; NaN where there are no test patterns.
    train_patterns : array, shape (R, n_train): the patterns each replica was trained on.
    failed : array, shape (R,): the epoch in which a replica's loss was no longer finite, -1 where it stayed so.
    epoch_gradients : of the minibatch gradients g_b that the epoch before a snapshot was trained with, batches weighted by
        their size: "gradient_mean_square" ‖mean g_b‖² and "gradient_square_mean" mean ‖g_b‖² of each layer's weights, arrays
        (S, R, L); NaN at epoch 0. See :func:`deepnets.gradient_phases`.
    observed : what ``observe`` returned, name → array with the snapshots first.
    settings : of the training.
    """

    network: Network
    task: Task
    epochs: np.ndarray
    params: list[dict[str, np.ndarray]]
    scores: dict[str, FloatArray]
    train_patterns: np.ndarray
    failed: np.ndarray
    epoch_gradients: dict[str, FloatArray] = field(default_factory=dict)
    observed: dict[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def n_replicas(self) -> int:
        """The number R of replicas."""
        return len(self.train_patterns)

    @property
    def loss(self) -> str:
        """What was minimised: "cross-entropy" or "mse"."""
        return str(self.settings.get("loss", "cross-entropy"))

    @property
    def accuracy(self) -> FloatArray:
        """Accuracy on the test patterns, or on the training patterns where all are trained on: shape (S, R)."""
        test = self.scores["test_accuracy"]
        return np.where(np.isnan(test), self.scores["train_accuracy"], test)

    def parameters(self, snapshot: int, replica: int | None = None) -> list[dict[str, np.ndarray]]:
        """Parameters at a snapshot (an index into ``epochs``): of one replica, or of all with a leading axis R."""
        chosen = slice(None) if replica is None else replica
        return [{name: layer[name][snapshot][chosen] for name in ("w", "b")} for layer in self.params]

    def activations(self, snapshot: int, replica: int, seed: int | None = None) -> list[np.ndarray]:
        """Activations of all patterns at a snapshot: the hidden layers', and the softmax of the outputs (the
        outputs themselves of a run trained by squared error).

        Parameters
        ----------
        snapshot : index into ``epochs``.
        replica : which.
        seed : of the noise of a noisy network; None for its noiseless pass.

        Returns
        -------
        list of arrays, shapes (n, width), of the network's precision.
        """
        key = None if seed is None else _key(seed)
        layers = _activations(self.network, self.loss == "cross-entropy")(
            self.parameters(snapshot, replica), self.task.x, key
        )
        return [np.asarray(layer) for layer in layers]

    def passes(self, snapshot: int, replica: int, count: int, seed: int) -> list[np.ndarray]:
        """The noiseless parts S_l of `count` noisy passes from every pattern: arrays of shape (n, count, width).

        S_l = φ(W T_{l-1} + b) with T_{l-1} noisy, the centres of what T_l is given x; all alike at the first layer.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        run = _noisy_passes(self.network, count)
        return [np.asarray(layer) for layer in run(self.parameters(snapshot, replica), self.task.x, _key(seed))]

    def to_frame(self) -> pd.DataFrame:
        """Scores: one row a replica and snapshot."""
        import pandas as pd

        s, r = np.indices((len(self.epochs), self.n_replicas)).reshape(2, -1)
        return pd.DataFrame(
            {"epoch": self.epochs[s], "replica": r, **{n: v.ravel() for n, v in self.scores.items()}}
        ).rename(columns={name: self.score_name(name) for name in SCORES})

    def score_name(self, name: str) -> str:
        """The name of a column of ``scores``, with the unit of a cross-entropy."""
        return f"{name}_nats" if name.endswith("loss") and self.loss == "cross-entropy" else name

    @classmethod
    def load(cls, path: str | Path, task: Task | None = None) -> Run:
        """Read a run that :func:`deepnets.train` wrote; an unfinished one up to its last checkpoint.

        Parameters
        ----------
        path : its directory.
        task : needed where the task was not made by one of this package's functions.

        Raises
        ------
        ValueError: no run there, nothing trained yet, or a task other than the run's.
        """
        store = Store(path)
        settings = store.settings()
        checkpoint = store.checkpoint()
        if checkpoint is None:
            raise ValueError(f"{path} holds a run that has no snapshot yet: train it first")
        made = task if task is not None else task_from_settings(settings["task"])
        if made.digest() != settings["task_digest"]:
            raise ValueError(f"the run in {path} was trained on another task than {made.settings}")
        epochs = [e for e in settings["snapshots"] if e <= checkpoint[0]]
        return assemble(Network.from_settings(settings["network"]), made, epochs, store, settings, checkpoint[1][-1])


def assemble(
    network: Network, task: Task, epochs: list[int], store: Store | Mapping[int, Any], settings: Any, failed: Any
) -> Run:
    """A run from its snapshots, on disk or in memory (epoch → arrays; -1 → the split)."""
    read, split = (store.snapshot, store.split()) if isinstance(store, Store) else (store.__getitem__, store[-1])
    snapshots = [read(e) for e in epochs]
    stacked = {name: np.stack([s[name] for s in snapshots]) for name in snapshots[0]}
    layers = len(network.widths) - 1
    params = [{kind: stacked.pop(f"{kind}{i}") for kind in ("w", "b")} for i in range(layers)]
    scores = {name: stacked.pop(name) for name in SCORES}
    gradients = {name: stacked.pop(name) for name in EPOCH_GRADIENTS}
    observed = {name.removeprefix("observed_"): value for name, value in stacked.items()}
    patterns = split["train_patterns"]
    return Run(
        network, task, np.asarray(epochs), params, scores, patterns, np.asarray(failed), gradients, observed, settings
    )


def _key(seed: int) -> Any:
    import jax

    return jax.random.key(seed)


@lru_cache(maxsize=16)
def _activations(network: Network, softmax: bool) -> Any:
    import jax
    import jax.numpy as jnp

    def run(params: Any, x: Any, key: Any) -> list[Any]:
        columns = network.columns(params, jnp.asarray(x, network.dtype).T, key)
        outputs = columns[-1].T
        return [*(t.T for t in columns[:-1]), jax.nn.softmax(outputs, axis=-1) if softmax else outputs]

    return jax.jit(run)


@lru_cache(maxsize=16)
def _noisy_passes(network: Network, count: int) -> Any:
    import jax
    import jax.numpy as jnp

    def one(params: Any, x: Any, key: Any) -> list[Any]:
        return [t.T for t in network.noiseless_parts(params, jnp.asarray(x, network.dtype).T, key)]

    def run(params: Any, x: Any, key: Any) -> list[Any]:
        return jax.vmap(one, (None, None, 0), 1)(params, x, jax.random.split(key, count))

    return jax.jit(run)
