"""Training on patterns, and from parameters, that are given: what `deepnets.train` draws by itself."""

from __future__ import annotations

import numpy as np
from jax.flatten_util import ravel_pytree

from deepnets.backend import jax
from deepnets.networks import Network
from deepnets.recordings.run import SCORES, Run
from deepnets.tasks import Task
from deepnets.training.machine import Machine
from deepnets.training.settings import Training
from dualib.core.progress import counted
from dualib.core.typing import Float, Int

Parameters = list[dict[str, Float[np.ndarray, "n_replicas ..."]]]


def follow(
    network: Network,
    task: Task,
    training: Training,
    patterns: Int[np.ndarray, "n_replicas n_train"],
    start: Parameters | None = None,
) -> Run:
    """Train replicas on given patterns from given parameters on; the optimiser begins anew.

    Parameters
    ----------
    network, task, training : Network, Task, Training
        As for :func:`deepnets.train`; the batches' orders, dropout and noise are its own.
    patterns : int array, shape (R, n)
        The patterns that each replica is trained on.
    start : list of dict or None
        One {"w": (R, in, out), "b": (R, out)} a layer; None for the network's own random start.
    """
    machine = Machine(network, task, training, patterns)
    state = machine.start()
    if start is not None:
        state = machine.placed(state, np.asarray(jax.vmap(lambda one: ravel_pytree(one)[0])(start)))
    epochs, kept = training.snapshot_epochs, []
    for epoch in counted(range(training.epochs + 1), "training"):
        if epoch in epochs:
            kept.append(machine.snapshot(state))
        if epoch < training.epochs:
            state = machine.epoch(state, epoch)
    stacked = {name: np.stack([one[name] for one in kept]) for name in kept[0]}
    params = [{kind: stacked[f"{kind}{i}"] for kind in ("w", "b")} for i in range(len(network.widths) - 1)]
    scores = {name: stacked[name] for name in SCORES}
    return Run(network, task, training, np.array(epochs), params, scores, patterns, machine.failed(state))
