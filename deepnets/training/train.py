r"""Training many replicas of a network at once, with snapshots, resumable to the same bits.

All replicas are trained side by side (vmap), one compiled epoch at a time (scan over its batches). A replica's random
numbers are functions of (seed, replica, epoch): its start, its split into training and test patterns, the order of its
batches, its noise. So a replica does not depend on how many others there are, nor an epoch on what was interrupted before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from deepnets.networks import Network
from deepnets.recordings.run import Run, assemble
from deepnets.recordings.run_files import Store
from deepnets.tasks import Task
from deepnets.training.machine import ORDER, Machine, Observe, Plan, permutation, splits
from deepnets.training.steps import LOSSES

OPTIMISERS = ("sgd", "momentum", "adam")

_CHECKPOINT_SECONDS = 30.0


def snapshot_epochs(epochs: int, count: int = 100) -> tuple[int, ...]:
    """About `count` epochs between 0 and `epochs`, both included, evenly spaced on a logarithmic scale.

    Examples
    --------
    >>> snapshot_epochs(100, 6)
    (0, 1, 3, 10, 32, 100)
    """
    if epochs < 1 or count < 2:
        raise ValueError(f"epochs must be at least 1 and count at least 2, got {epochs} and {count}")
    later = np.rint(np.geomspace(1, epochs, count - 1)) if count > 2 else np.array([epochs])
    return tuple(sorted({0, *map(int, later)}))


def train(
    network: Network,
    task: Task,
    *,
    replicas: int = 1,
    epochs: int,
    optimiser: str = "adam",
    learning_rate: float = 4e-4,
    batch_size: int | None = 256,
    train_fraction: float = 0.8,
    snapshots: int | Sequence[int] = 100,
    seed: int = 0,
    orthonormality: float = 0.0,
    loss: str = "cross-entropy",
    observe: Observe | None = None,
    out: str | Path | None = None,
    progress: bool | None = None,
) -> Run:
    r"""Train replicas of a network by minimising a mean loss over patterns.

    .. math:: -\log \mathrm{softmax}(f(x))_y \quad \text{(cross-entropy, nats)}, \qquad
              \frac1k \sum_{j=1}^k (f_j(x) - z_j)^2 \quad \text{(mse)}

    Parameters
    ----------
    network, task : what is trained, and on what. A noisy network is noisy in training.
    replicas : R, each with its own start, split and batches.
    epochs : passes over the training patterns; the last batch of an epoch holds the patterns that are left.
    optimiser : "sgd", "momentum" (0.9) or "adam", as in optax.
    learning_rate : of the optimiser.
    batch_size : None for full-batch descent.
    train_fraction : of the patterns; the others are test patterns. In (0, 1].
    snapshots : how many, by :func:`snapshot_epochs`, or the epochs themselves (0 and the last are added).
    seed : of everything random.
    orthonormality : α ≥ 0 of the step W ← W - α(WWᵀ - I)W after each update, which draws the hidden weights' rows (of
        W with one row a unit) towards orthonormality; 0 for none.
    loss : "cross-entropy", of as many outputs as classes, or "mse", of as many as the task has targets z: one-hot labels
        unless it says otherwise, see :class:`deepnets.Task`. By squared error, accuracy is the share of outputs of their
        target's class, which for a single target is its sign, and the last layer of a plane are the outputs, not their softmax.
    observe : called at each snapshot with (epoch, parameters of all replicas); the arrays it returns are kept in
        ``Run.observed`` under their names: early estimates, as training goes.
    out : a directory. An interrupted training is taken up where it was left, to the same bits, by the same call; a
        finished one is loaded.
    progress : show a bar; by default only on a terminal.

    Returns
    -------
    Run

    Warns
    -----
    RuntimeWarning: a replica's loss is no longer finite (it and its epoch are named); the others go on.

    Raises
    ------
    ValueError: anything out of range, a network that does not fit the task (both shapes are printed), or a directory that
        holds something else; before any training.

    References
    ----------
    [shwartzziv2017]_ section 3.1 (protocol), [goldfeld2019]_ (noise in training; the orthonormality step, from
    [cisse2017]_)
    """
    plan = _checked(
        network, task, replicas, epochs, optimiser, learning_rate, batch_size, train_fraction, snapshots, seed,
        orthonormality, loss,
    )  # fmt: skip
    split = {"train_patterns": splits(plan)}
    memory: dict[int, Any] = {-1: split}
    store = Store(out) if out is not None else None
    if store is not None:
        store.begin(plan.settings(), split)
    failed = _advance(plan, split["train_patterns"], store, memory, observe, progress)
    for replica in np.flatnonzero(failed >= 0):
        warnings.warn(
            f"replica {replica}: its loss was no longer finite in epoch {failed[replica]}; the others went on. Lower "
            "learning_rate",
            RuntimeWarning,
            stacklevel=2,
        )
    return assemble(network, task, list(plan.snapshots), store or memory, plan.settings(), failed)


def _checked(
    network: Network, task: Task, replicas: int, epochs: int, optimiser: str, learning_rate: float,
    batch_size: int | None, train_fraction: float, snapshots: int | Sequence[int], seed: int, orthonormality: float,
    loss: str,
) -> Plan:  # fmt: skip
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}: choose one of {', '.join(LOSSES)}")
    squared = loss == "mse"
    n_outputs = task.regression_targets().shape[1] if squared else task.n_classes
    if network.widths[0] != task.x.shape[1] or network.widths[-1] != n_outputs:
        raise ValueError(
            f"a network of widths {network.widths} does not fit patterns of shape {task.x.shape} with {n_outputs} "
            f"{'targets' if squared else 'classes'}: it must begin with {task.x.shape[1]} and end with {n_outputs}"
        )
    for name, value in (("replicas", replicas), ("epochs", epochs)):
        if int(value) != value or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if optimiser not in OPTIMISERS:
        raise ValueError(f"unknown optimiser {optimiser!r}: choose one of {', '.join(OPTIMISERS)}")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate must be positive and finite, got {learning_rate}")
    if not 0 < train_fraction <= 1:
        raise ValueError(f"train_fraction must lie in (0, 1], got {train_fraction}")
    if not 0 <= orthonormality < np.inf:
        raise ValueError(f"orthonormality must be ≥ 0 and finite, got {orthonormality}")
    if int(seed) != seed or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number in 0..2^32 - 1, got {seed!r}")
    n_train = max(1, round(train_fraction * task.n))
    if batch_size is not None and not (int(batch_size) == batch_size and 1 <= batch_size <= n_train):
        raise ValueError(
            f"batch_size must be a whole number between 1 and the {n_train} training patterns, or None for full batches, "
            f"got {batch_size!r}"
        )
    if isinstance(snapshots, int):
        chosen = snapshot_epochs(epochs, max(snapshots, 2))
    else:
        chosen = tuple(sorted({0, int(epochs), *map(int, snapshots)}))
        if chosen[0] < 0 or chosen[-1] > epochs:
            raise ValueError(f"snapshots must lie between epoch 0 and {epochs}, got {chosen[0]} to {chosen[-1]}")
    return Plan(
        network, task, int(replicas), int(epochs), optimiser, float(learning_rate), batch_size, float(train_fraction),
        chosen, int(seed), float(orthonormality), loss,
    )  # fmt: skip


# --- the loop ---


def _advance(
    plan: Plan,
    train_patterns: np.ndarray,
    store: Store | None,
    memory: dict[int, Any],
    observe: Observe | None,
    progress: bool | None,
) -> np.ndarray:
    """Train from the last checkpoint to the end; the epoch in which each replica failed."""
    saved = store.checkpoint() if store is not None else None
    if saved is not None and saved[0] == plan.epochs:
        return saved[1][-1]
    machine = Machine(plan, train_patterns)
    epoch, state = (0, machine.start()) if saved is None else (saved[0], machine.restore(saved[1]))
    wanted, last_saved = set(plan.snapshots), monotonic()

    def keep(snapshot: bool) -> float:
        """Write the state; at a snapshot, its arrays before it. Returns the mean accuracy."""
        nonlocal last_saved
        accuracy = float("nan")
        if snapshot:
            arrays = machine.snapshot(state, epoch, observe)
            scores = arrays["train_accuracy"]
            accuracy = float(scores[np.isfinite(scores)].mean()) if np.isfinite(scores).any() else accuracy
            if store is None:
                memory[epoch] = arrays
            else:
                store.write_snapshot(epoch, arrays)
        if store is not None:
            store.write_checkpoint(epoch, machine.leaves(state))
            last_saved = monotonic()
        return accuracy

    with _bar(plan.epochs, epoch, progress) as bar:
        if saved is None:
            bar.set_postfix_str(f"accuracy {keep(True):.3f}")
        try:
            while epoch < plan.epochs:
                state, epoch = machine.epoch(state, epoch), epoch + 1
                bar.update()
                if epoch in wanted:
                    bar.set_postfix_str(f"accuracy {keep(True):.3f}")
                elif store is not None and monotonic() - last_saved > _CHECKPOINT_SECONDS:
                    keep(False)
        except KeyboardInterrupt:
            if store is not None and epoch not in wanted:
                keep(False)
            raise
    return machine.failed(state)


def _bar(total: int, initial: int, progress: bool | None) -> Any:
    from tqdm import tqdm

    disable = None if progress is None else not progress
    return tqdm(total=total, initial=initial, desc="training", unit="epoch", disable=disable, leave=False)


def batches_of_epoch(run: Run, replica: int, epoch: int) -> Iterator[np.ndarray]:
    """The patterns of each batch that a replica of a run was trained on in the epoch after `epoch` epochs."""
    s, order = run.settings, run.train_patterns[replica]
    size = s["batch_size"] or len(order)
    if size < len(order):
        order = order[permutation(s["seed"], replica, ORDER, epoch, len(order))]
    for start in range(0, len(order), size):
        yield order[start : start + size]
