"""A recording as estimates see it: its layers, its law, and the cells of its binned layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepnets.estimators import Binning, RangeBinning
from deepnets.recordings.recording import Details, Recording, finished
from deepnets.tasks import Task, relabelled
from dualib.core.typing import ArrayLike, IntArray

Activations = list[NDArray[np.floating]]
Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Source:
    """A recording with the labels that informations are about.

    Attributes
    ----------
    recording : Recording
    task : Task
        Its patterns with these labels.
    """

    recording: Recording
    task: Task

    @classmethod
    def of(cls, recording: Recording, labels: ArrayLike | None = None) -> Source:
        """A recording with its own labels or others: classes (n,), or the law p(y|x), (n, k)."""
        return cls(recording, recording.task if labels is None else relabelled(recording.task, labels))

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers of the plane."""
        return self.recording.plane_layers if isinstance(self.recording, Details) else tuple(self.recording.layers)

    @property
    def noise_std(self) -> float:
        """σ of the noise at every layer."""
        return float(self.recording.noise_std)

    @cached_property
    def ranges(self) -> tuple[Range | None, ...]:
        """Between which numbers the layers of the recording lie by construction; None where that is not known."""
        if isinstance(self.recording, Details):
            return self.recording.ranges
        return (None,) * len(self.recording.layers)

    @property
    def hidden_layers(self) -> int:
        """How many layers have their cells in common where these are chosen by range."""
        return self.recording.hidden_layers if isinstance(self.recording, Details) else len(self.layers) - 1

    @cached_property
    def replicas(self) -> IntArray:
        """The replicas that stayed finite."""
        return finished(self.recording)

    @property
    def saturates(self) -> bool:
        """Whether the hidden units fill [-1, 1]."""
        return self.hidden_layers > 0 and set(self.ranges[: self.hidden_layers]) == {(-1.0, 1.0)}

    @property
    def outputs_anywhere(self) -> bool:
        """Whether the last layer of the plane is known to be of outputs that nothing bounds."""
        last = self.ranges[-1]
        return last is not None and bool(np.isinf(last).any()) and self.hidden_layers < len(self.layers)

    def places(self, snapshot: int, replica: int) -> list[str]:
        """Which the layers are, for messages."""
        return [f"layer {name}, epoch {self.recording.epochs[snapshot]}, replica {replica}" for name in self.layers]

    def activations(self, snapshot: int, replica: int, *, noise_seed: int | None = None) -> Activations:
        """Of the layers of the plane."""
        return self.recording.activations(snapshot, replica, noise_seed=noise_seed)[: len(self.layers)]


class Cells:
    """The cells of a replica's layers, of edges between the extremes over some snapshots where they are not given."""

    def __init__(self, source: Source, estimator: Binning | RangeBinning, times: IntArray) -> None:
        self._source, self._estimator, self._times = source, estimator, times
        self._known: dict[int, list[Binning]] = {}

    def of(self, replica: int) -> list[Binning]:
        """A Binning a layer: of the common range of the hidden layers of one kind, and of the last layer's own.

        Hidden layers that nothing bounds are of one kind; bounded ones, as of tanh, of that of their bounds. Last layers that
        are known to lie in [-1, 1], such as a softmax, keep the edges of :class:`deepnets.Binning`, and layers of given edges
        those, but for outputs that nothing bounds.
        """
        if replica not in self._known:
            self._known[replica] = self._found(replica)
        return self._known[replica]

    def _found(self, replica: int) -> list[Binning]:
        source, given, hidden = self._source, self._estimator, self._source.hidden_layers
        fixed = isinstance(given, Binning)
        if isinstance(given, Binning) and not source.outputs_anywhere:
            return [given] * len(source.layers)
        whole = [source.recording.activations(int(s), replica) for s in self._times]
        if isinstance(given, Binning):
            cells = [given] * hidden
        else:
            kinds = [r if r is not None and np.isfinite(r).all() else None for r in source.ranges[:hidden]]
            together = {
                kind: [t for layers in whole for t, k in zip(layers, kinds, strict=False) if k == kind]
                for kind in kinds
            }
            of_kind = {kind: _between(arrays, given) for kind, arrays in together.items()}
            cells = [of_kind[kind] for kind in kinds]
        for k in range(hidden, len(source.layers)):
            known = source.ranges[k]
            bounded = known is not None and known[0] >= -1.0 and known[1] <= 1.0
            own = Binning(given.bins, sampled=given.sampled) if bounded and not fixed else None
            cells.append(own if own is not None else _between([layers[k] for layers in whole], given))
        return cells


def _between(arrays: Activations, like: Binning | RangeBinning) -> Binning:
    low, high = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    if low == high:  # layers that never vary: one cell, whatever its width
        return Binning(like.bins, low - 1.0, high + 1.0, sampled=like.sampled)
    return Binning.from_range(*arrays, bins=like.bins, sampled=like.sampled)
