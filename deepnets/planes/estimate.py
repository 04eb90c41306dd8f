"""Estimates of the information plane of a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deepnets.estimators import (
    Binning,
    Caution,
    Concern,
    ConditionalPlugin,
    LayerInformation,
    RangeBinning,
    SmoothedPlugin,
)
from deepnets.planes.plane import InformationPlane, indices
from deepnets.recordings.recording import Recording, RepeatedPasses, accuracy_of, finished
from deepnets.recordings.run import Run
from dualib.core.estimate import Estimate, Estimates, Kind
from dualib.core.progress import progress_bar
from dualib.core.special import entropy_nats
from dualib.core.typing import ArrayLike, IntArray

Activations = list[NDArray[np.floating]]


class Estimator(Protocol):
    """What :func:`information_plane` needs of an estimator: a class with this method, and nothing else, is one.

    Every layer is handed to it as it is, of a noisy network one noisy pass.
    """

    def layer(
        self, t: ArrayLike, p_y_given_x: ArrayLike, p_x: ArrayLike | None = None, *, seed: int = 0
    ) -> LayerInformation:
        """Estimates for activations of shape (n, d)."""


@runtime_checkable
class NoiseEstimator(Estimator, Protocol):
    """An estimator of layers to which it adds Gaussian noise: it has a σ.

    It is for noisy networks alone, whose first layer it is handed without noise; :class:`ConditionalPlugin` has the deeper ones.
    """

    @property
    def sigma(self) -> float:
        """σ of the noise."""


@dataclass(frozen=True)
class Source:
    """A recording as the estimates see it, and what a :class:`deepnets.Run` tells beside.

    Attributes
    ----------
    recording : Recording or Run
    layers : tuple of str
        Names of the layers of the plane: a noisy run's outputs, which bear no noise, are none of them.
    noise_std : float
    replicas : int array
        Those whose training stayed finite.
    saturates : bool
        Whether the hidden units lie in [-1, 1] by their activation function.
    softmax : bool
        Whether the last layer is a softmax.
    """

    recording: Recording | Run
    layers: tuple[str, ...]
    noise_std: float
    replicas: IntArray
    saturates: bool = False
    softmax: bool = False

    @classmethod
    def of(cls, recording: Recording | Run) -> Source:
        """A recording, or a run, whose networks say more than a recording does."""
        if isinstance(recording, Run):
            net, names = recording.network, recording.network.layer_names
            names = names if net.noise_std == 0 else names[:-1]
            alive = np.flatnonzero(recording.failed < 0).astype(np.int64)
            saturates = net.ends_at_one
            softmax = recording.loss == "cross-entropy" and net.noise_std == 0
            return cls(recording, names, net.noise_std, alive, saturates, softmax)
        return cls(recording, tuple(recording.layers), float(recording.noise_std), finished(recording))

    def activations(self, snapshot: int, replica: int, *, noise_seed: int | None = None) -> Activations:
        """Of the layers of the plane."""
        return self.recording.activations(snapshot, replica, noise_seed=noise_seed)[: len(self.layers)]

    def default(self) -> Estimator | RangeBinning:
        """The estimator where none is given."""
        if self.noise_std > 0:
            return SmoothedPlugin(self.noise_std)
        return Binning() if self.saturates else RangeBinning()


def information_plane(
    recording: Recording | Run,
    estimator: Estimator | RangeBinning | None = None,
    *,
    replicas: ArrayLike | None = None,
    snapshots: ArrayLike | None = None,
    passes: int = 8,
    seed: int = 0,
    progress: bool | None = None,
) -> InformationPlane:
    """Estimate I(X;T) and I(T;Y) of every layer, at every snapshot, for every replica of a recording.

    Parameters
    ----------
    recording : Recording or Run
        Trained replicas: anything with the attributes of :class:`deepnets.recordings.Recording`.
    estimator : estimator or None
        By default, for a deterministic network Binning(30) where its units are known to saturate at ±1, else
        RangeBinning(30); for a noisy one SmoothedPlugin of its σ. A noisy network's first layer is estimated with the
        estimator, deeper ones with ConditionalPlugin; binning is of one noisy pass. A deterministic run has the softmax
        outputs as its last layer, one trained by squared error the outputs, binned by their range over the replica's run.
        One's own is a class with the method of :class:`deepnets.planes.Estimator`.
    replicas : int array or None
        Which; by default all whose training stayed finite.
    snapshots : int array or None
        Indices into ``recording.epochs``; by default all.
    passes : int
        Noisy passes from every pattern, at least 2, for the deeper layers of a noisy network.
    seed : int
        Seed of noise and Monte Carlo.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    InformationPlane

    Raises
    ------
    ValueError
        If a replica or snapshot is not there, the estimator is one of added noise for a network without, passes < 2, or
        the deeper layers of a noisy recording cannot be passed repeatedly.
    """
    source = Source.of(recording)
    task, size = recording.task, len(recording.epochs)
    chosen = indices(replicas, recording.n_replicas, "replica", source.replicas)
    times = indices(snapshots, size, "snapshot", np.arange(size))
    estimate = _layer_estimates(source, source.default() if estimator is None else estimator, passes, times)
    found: list[LayerInformation] = []
    warned = _Warned(source.layers, recording.epochs)
    with progress_bar(len(chosen) * len(times), "information plane", progress) as done:
        for replica in chosen.tolist():
            for snapshot in times.tolist():
                layers = estimate(snapshot, replica, seed + replica * size + snapshot)
                warned.add(layers, replica, snapshot)
                found += layers
                done(1)
    shape = (len(chosen), len(times), len(source.layers))
    return InformationPlane(
        epochs=np.asarray(recording.epochs)[times],
        replicas=chosen,
        rate=_gathered([f.rate for f in found], shape),
        relevance=_gathered([f.relevance for f in found], shape),
        accuracy=accuracy_of(recording.scores, (size, recording.n_replicas))[times][:, chosen].T,
        layers=source.layers,
        entropy_x=float(entropy_nats(task.p_x)),
        information_xy=task.joint.mutual_information(),
        warnings=warned.texts(),
        settings={
            "run": getattr(recording, "settings", {}),
            "estimator": repr(estimator),
            "passes": passes,
            "seed": seed,
        },
    )


def _gathered(estimates: list[Estimate], shape: tuple[int, ...]) -> Estimates:
    """Estimates of possibly several kinds, as those of the weakest promise among them; warnings are kept elsewhere."""
    order = list(Kind)
    kind = max((e.kind for e in estimates), key=order.index)
    level = min((e.level for e in estimates if e.level is not None), default=None)
    return Estimates.of([replace(e, kind=kind, level=level, warnings=()) for e in estimates], shape)


class _Warned:
    """The worst caution of each concern, with its place, and how often there was one."""

    def __init__(self, layers: tuple[str, ...], epochs: IntArray) -> None:
        self._layers, self._epochs = layers, epochs
        self._worst: dict[Concern, tuple[Caution, str]] = {}
        self._count: Counter[Concern] = Counter()

    def add(self, found: list[LayerInformation], replica: int, snapshot: int) -> None:
        for name, layer in zip(self._layers, found, strict=True):
            for caution in layer.cautions:
                concern = caution.concern
                self._count[concern] += 1
                if concern not in self._worst or caution.amount > self._worst[concern][0].amount:
                    place = f"layer {name}, epoch {int(self._epochs[snapshot])}, replica {replica}"
                    self._worst[concern] = caution, place

    def texts(self) -> dict[str, int]:
        return {f"{c.text} (worst at {place})": self._count[concern] for concern, (c, place) in self._worst.items()}


def _layer_estimates(
    source: Source, estimator: Estimator | RangeBinning, passes: int, times: IntArray
) -> Callable[[int, int, int], list[LayerInformation]]:
    """(snapshot, replica, seed) → the estimates of every layer."""
    if isinstance(estimator, RangeBinning) or not isinstance(estimator, NoiseEstimator):
        return _layer_by_layer(source, estimator, times)
    if not source.noise_std:
        raise ValueError(
            f"{estimator!r} is for noisy networks: without noise I(X;T) is H(X) or infinite. Use Binning, or train a network "
            "with noise_std > 0"
        )
    if passes < 2:
        raise ValueError(f"passes must be at least 2, got {passes}")
    recording, law = source.recording, (source.recording.task.p_y_given_x, source.recording.task.p_x)
    deeper = ConditionalPlugin(source.noise_std)

    def noisy(snapshot: int, replica: int, seed: int) -> list[LayerInformation]:
        found = [estimator.layer(source.activations(snapshot, replica)[0], *law, seed=seed)]
        if len(source.layers) > 1:
            if not isinstance(recording, RepeatedPasses):
                raise ValueError(
                    f"this recording has {len(source.layers)} noisy layers but no passes(snapshot, replica, count, seed), by which "
                    "the deeper ones are known: give that method, or record the first layer only"
                )
            centres = recording.passes(snapshot, replica, passes, seed)[1 : len(source.layers)]
            found += [deeper.layer(c, *law, seed=seed + k) for k, c in enumerate(centres, 1)]
        return found

    return noisy


def _layer_by_layer(
    source: Source, estimator: Estimator | RangeBinning, times: IntArray
) -> Callable[[int, int, int], list[LayerInformation]]:
    task = source.recording.task
    ranges: dict[int, list[Binning]] = {}

    def of_range(replica: int, bins: int) -> list[Binning]:
        """A Binning a layer: of the common range of the hidden layers over the run, and of the last layer's own."""
        if replica not in ranges:
            # Hidden layers and outputs of the noiseless pass, a noisy run's outputs among them.
            whole = [source.recording.activations(int(s), replica) for s in times]
            hidden = [t for layers in whole for t in layers[:-1]]
            count = len(source.layers) - (len(source.layers) == len(whole[0]))
            found = [Binning.from_range(*hidden, bins=bins)] * count if count else []
            if count < len(source.layers):
                last = [layers[-1] for layers in whole]
                found.append(Binning(bins) if source.softmax else Binning.from_range(*last, bins=bins))
            ranges[replica] = found
        return ranges[replica]

    def estimates(snapshot: int, replica: int, seed: int) -> list[LayerInformation]:
        layers = source.activations(snapshot, replica, noise_seed=seed if source.noise_std else None)
        each: Sequence[Estimator]
        if isinstance(estimator, RangeBinning):
            each = of_range(replica, estimator.bins)
        else:
            each = [estimator] * len(layers)
            unbounded = isinstance(source.recording, Run) and not source.softmax and not source.noise_std
            if isinstance(estimator, Binning) and unbounded:  # outputs trained by squared error may lie anywhere
                each = [*each[:-1], of_range(replica, estimator.bins)[-1]]
        return [e.layer(t, task.p_y_given_x, task.p_x, seed=seed) for e, t in zip(each, layers, strict=True)]

    return estimates
