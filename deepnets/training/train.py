r"""Training many replicas of a network at once, with snapshots, resumable to the same bits.

Replicas are trained side by side (vmap) in groups, on all cores, one compiled epoch at a time (scan over its batches). A replica's random
numbers are functions of (seed, replica, epoch): its start, its split into training and test patterns, the order of its
batches, its noise. So a replica does not depend on how many others there are (but for the rounding of sums that are taken
in another order), nor an epoch on what was interrupted before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deepnets.backend import jax
from deepnets.networks import Network
from deepnets.recordings.run import Run, assemble, run_settings
from deepnets.recordings.run_files import CHECKPOINT, REPAIR, RunFiles, RunMemory
from deepnets.tasks import Task
from deepnets.training.machine import Machine
from deepnets.training.orders import batch_order, splits
from deepnets.training.processes import by_first, is_first
from deepnets.training.settings import Training
from dualib.core.progress import progress_bar
from dualib.core.typing import IntArray

CHECKPOINT_SECONDS = 30.0
EPOCHS_BETWEEN = 16  # after which several processes ask the first one's clock
Observe = Callable[[int, list[dict[str, np.ndarray]]], Mapping[str, ArrayLike]]


def train(
    network: Network,
    task: Task,
    training: Training | None = None,
    *,
    out: str | Path | None = None,
    observe: Observe | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Run:
    r"""Train replicas of a network, on all cores and devices, and on all processes of ``jax.distributed`` where these are several.

    Each of several processes makes the same call and returns the same run; the first alone reads and writes `out`, calls
    `observe` and shows the bar. On processors their number changes no bit.

    Parameters
    ----------
    network : Network
        What is trained. A noisy network is noisy in training.
    task : Task
        What it is trained on.
    training : Training or None
        The settings; None where `settings` has them all.
    out : path or None
        A directory. An interrupted training is taken up where it was left, to the same bits, by the same call; a finished
        one is loaded. What is missing or damaged there is made again.
    observe : callable or None
        Called at each snapshot with (epoch, parameters of all replicas); the arrays it returns are kept in
        ``Run.observed`` under their names: early estimates, as training goes.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    **settings
        Fields of :class:`Training`; those given here take the place of `training`'s.

    Returns
    -------
    Run

    Warns
    -----
    RuntimeWarning
        If a replica's loss is no longer finite (it and its epoch are named); the others go on. If a file of the run is
        damaged or missing, and is made again.

    Raises
    ------
    ValueError
        If a setting is out of range, the network does not fit the task (both shapes are printed), or the directory holds
        something else; before any training.
    TypeError
        If there is no setting of a given name.
    OSError
        If a file cannot be written; what was kept before is whole.

    Examples
    --------
    >>> network, task = deepnets.Network((12, 10, 7, 5, 4, 3, 2)), deepnets.icosahedral_task()  # doctest: +SKIP
    >>> run = deepnets.train(network, task, epochs=300, replicas=4, out="runs/szt")  # doctest: +SKIP
    >>> run.scores["test_accuracy"].shape  # doctest: +SKIP

    References
    ----------
    [shwartzziv2017]_ section 3.1 (protocol), [goldfeld2019]_ (noise in training)
    """
    chosen = Training.of(training, settings)
    chosen.check(network, task)
    about, patterns = run_settings(network, task, chosen), splits(chosen, task.n)
    place = by_first(lambda: RunMemory(patterns) if out is None else RunFiles.begin(out, about, patterns, task))
    loop = _Loop(network, task, chosen, patterns, place, observe, progress)
    loop.repair()
    failed = loop.advance(CHECKPOINT, chosen.epochs, chosen.snapshot_epochs)
    for replica in np.flatnonzero(failed >= 0):
        warnings.warn(
            f"replica {replica}: its loss was no longer finite in epoch {failed[replica]}; the others went on. Lower "
            "learning_rate",
            RuntimeWarning,
            stacklevel=2,
        )
    return by_first(lambda: assemble(network, task, about, place, chosen.snapshot_epochs, failed))


class _Loop:
    """A training between its files and its machine, which is made when there is something to train."""

    def __init__(
        self,
        network: Network,
        task: Task,
        training: Training,
        patterns: IntArray,
        place: RunFiles | RunMemory,
        observe: Observe | None,
        progress: bool | None,
    ) -> None:
        self.network, self.task, self.training, self.patterns = network, task, training, patterns
        self.place, self.observe, self.progress = place, observe, progress if is_first() else False

    @cached_property
    def machine(self) -> Machine:
        return Machine(self.network, self.task, self.training, self.patterns)

    def repair(self) -> None:
        """Make snapshots again that should be there and are not, or are damaged: by training from the start up to them."""
        saved = by_first(lambda: self.place.checkpoint(CHECKPOINT))
        reached = -1 if saved is None else saved[0]
        lost = by_first(lambda: self.place.damaged([e for e in self.training.snapshot_epochs if e <= reached]))
        if lost:
            text = f"snapshots of epochs {', '.join(map(str, lost))} are missing or damaged and are made again"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
            begun = by_first(lambda: self.place.checkpoint(REPAIR))
            if begun is not None and begun[0] >= lost[0]:
                by_first(lambda: self.place.forget(REPAIR))
            self.advance(REPAIR, lost[-1], lost)
        by_first(lambda: self.place.forget(REPAIR))

    def advance(self, name: str, until: int, wanted: Collection[int]) -> np.ndarray:
        """Train from the checkpoint of that name on, keeping the wanted snapshots; the epoch in which each replica failed."""
        saved = by_first(lambda: self.place.checkpoint(name))
        if saved is not None and saved[0] >= until:
            return saved[1][-1]
        machine, place, together = self.machine, self.place, jax.process_count() > 1
        epoch, state = (0, machine.start()) if saved is None else (saved[0], machine.restore(saved[1]))
        last_saved = monotonic()

        def keep() -> None:
            """Write a wanted snapshot, and after it the checkpoint that counts it."""
            nonlocal last_saved
            if epoch in wanted:
                arrays = machine.snapshot(state)
                by_first(lambda: place.write_snapshot(epoch, self._observed(epoch, arrays)))
            leaves = machine.leaves(state)
            by_first(lambda: place.write_checkpoint(name, epoch, leaves))
            last_saved = monotonic()

        def due() -> bool:
            """Whether to keep the state: of several processes, by the first one's clock, asked for now and then."""
            if together and epoch % EPOCHS_BETWEEN:
                return False
            return by_first(lambda: monotonic() - last_saved > CHECKPOINT_SECONDS)

        with progress_bar(until, "training" if name == CHECKPOINT else name, self.progress, initial=epoch) as done:
            if saved is None:
                keep()
            try:
                while epoch < until:
                    state, epoch = machine.epoch(state, epoch), epoch + 1
                    done(1)
                    if epoch in wanted or due():
                        keep()
            except KeyboardInterrupt:
                if epoch not in wanted and not together:
                    keep()
                raise
        return machine.failed(state)

    def _observed(self, epoch: int, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of a snapshot, with what is observed."""
        if self.observe is None:
            return arrays
        layers = range(len(self.network.widths) - 1)
        params = [{kind: arrays[f"{kind}{i}"] for kind in ("w", "b")} for i in layers]
        seen = self.observe(epoch, params)
        return arrays | {f"observed_{name}": np.asarray(value) for name, value in seen.items()}


def batches_of_epoch(run: Run, replica: int, epoch: int) -> Iterator[IntArray]:
    """The patterns of each batch that a replica of a run was trained on in the epoch after `epoch` epochs.

    Examples
    --------
    >>> for batch in batches_of_epoch(run, replica=0, epoch=10):  # doctest: +SKIP
    ...     inputs = run.task.x[batch]
    """
    order = batch_order(run.training, replica, run.train_patterns[replica], epoch)
    size = run.training.batch_size or len(order)
    for start in range(0, len(order), size):
        yield order[start : start + size]
