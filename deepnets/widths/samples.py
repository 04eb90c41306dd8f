"""The networks of a comparison: batches that are trained on any executor, kept in a directory, and joined to samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event

import numpy as np

from deepnets.networks import Network
from deepnets.widths.flow import FlowSample, gradient_flow
from deepnets.widths.formulas import hidden_width
from dualib.core.parallel import cores, in_order
from dualib.core.store import Store
from dualib.core.typing import Float, FloatArray

IN_A_FILE = 100  # networks


@dataclass(frozen=True, eq=False)
class Batch:
    """Some networks to train: numbers first, …, first + count - 1 of a seed, all of one width.

    Attributes
    ----------
    name : str
        What they are for: batches of one name and width make one sample.
    network : Network
    labels : array, shape (n,) or (count, n)
    step : float
    first, count : int
    mirrored : bool
        See :func:`deepnets.widths.flow.gradient_flow`.
    """

    name: str
    network: Network
    labels: Float[np.ndarray, "*rows n_train"]
    step: float
    first: int
    count: int
    mirrored: bool = False

    @property
    def file(self) -> str:
        """The name under which it is kept; batches of other widths can be told by it."""
        return f"{self.name}_{hidden_width(self.network)}_{self.first}"


def batches(
    name: str, network: Network, labels: FloatArray, step: float, count: int, mirrored: bool = False
) -> Iterator[Batch]:
    """The first `count` networks, in files; `labels` (n,) for all of them, or (count, n)."""
    for first in range(0, count, IN_A_FILE):
        size = min(IN_A_FILE, count - first)
        rows = labels if labels.ndim == 1 else labels[first : first + size]
        yield Batch(name, network, rows, step, first, size, mirrored)


class Flows:
    """Trained networks, in memory and, where there is a store, on disk.

    Parameters
    ----------
    x : array, shape (n + m, d)
        Training points first.
    taus : tuple of float
    seed : int
    store : Store or None
    """

    def __init__(self, x: FloatArray, taus: tuple[float, ...], seed: int, store: Store | None) -> None:
        self.x, self.taus, self.seed, self.store = x, taus, seed, store
        self._parts: dict[tuple[str, int], list[FlowSample]] = {}

    def train(self, wanted: Sequence[Batch], *, progress: bool | None = None, executor: Executor | None = None) -> None:
        """Train the batches, or read those that are kept; the same bits on any executor, by default a thread a core.

        Compilation and training leave Python's lock. The widest networks, which take longest, come first.
        """
        ordered = sorted(wanted, key=lambda batch: -hidden_width(batch.network))
        stop = Event()  # which cannot travel to other processes
        inside = None if executor is not None else stop
        work = partial(train_batch, x=self.x, taus=self.taus, seed=self.seed, stop=inside)
        pool = ThreadPoolExecutor(cores()) if executor is None else None
        found: dict[str, FlowSample] = {}
        missing = []
        for batch in ordered:
            part = self._kept(batch)
            if part is None:
                missing.append(batch)
            else:
                found[batch.file] = part
        trained = in_order(
            work, missing, progress=progress, description="batches of finite networks", executor=pool or executor
        )
        try:
            for batch, part in zip(missing, trained, strict=True):
                if self.store is not None:
                    self.store.put(batch.file, part)
                found[batch.file] = part
        finally:  # after Ctrl-C, too, the batches under way end soon
            stop.set()
            if pool is not None:
                pool.shutdown(cancel_futures=True)
        for batch in wanted:
            key = batch.name, hidden_width(batch.network)
            self._parts.setdefault(key, []).append(found[batch.file].part(slice(batch.count)))

    def sample(self, name: str, network: Network) -> FlowSample:
        """All networks of that name and width."""
        return FlowSample.concatenate(self._parts[name, hidden_width(network)])

    def _kept(self, batch: Batch) -> FlowSample | None:
        """What is kept of a batch, or None; what is damaged, or of a call with fewer networks, is trained again."""
        try:
            part = None if self.store is None else self.store.get(batch.file, FlowSample)
        except ValueError:
            return None
        return None if part is None or part.n_networks < batch.count else part


def train_batch(
    batch: Batch, x: FloatArray, taus: tuple[float, ...], seed: int, stop: Event | None = None
) -> FlowSample:
    """The networks of a batch, trained; after `stop` an InterruptedError before the next of them."""

    def done(count: int) -> None:
        if stop is not None and stop.is_set():
            raise InterruptedError("stopped because another batch was")

    return gradient_flow(
        batch.network,
        x,
        batch.labels,
        taus,
        batch.step,
        replicas=batch.count,
        seed=seed,
        first=batch.first,
        mirrored=batch.mirrored,
        done=done,
    )
