"""Estimates of the information plane of a recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deepnets.estimators import Binning, ConditionalPlugin, LayerInformation, RangeBinning, SmoothedPlugin
from deepnets.planes.cautions import Worst, binned, separated
from deepnets.planes.plane import SIDES, InformationPlane, indices
from deepnets.planes.source import Cells, Source
from deepnets.recordings.recording import Recording, RepeatedPasses, accuracy_of
from dualib.core.estimate import Estimate, Estimates, Kind
from dualib.core.parallel import in_order
from dualib.core.special import entropy_nats
from dualib.core.typing import ArrayLike, FloatArray, IntArray


class Estimator(Protocol):
    """What :func:`information_plane` needs of an estimator: a class with this method, and nothing else, is one.

    Every layer is handed to it as it is, of a noisy network one noisy pass.

    Examples
    --------
    >>> import deepnets
    >>> estimator: Estimator = deepnets.Binning(30)
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


def default_estimator(recording: Recording, bins: int = 30, sampled: bool = False) -> Estimator | RangeBinning:
    """The estimator where none is given: of a noisy recording SmoothedPlugin, else binning, by range unless units fill [-1, 1].

    `sampled` says that the patterns are a sample of a population.
    """
    source = Source.of(recording)
    if source.noise_std > 0:
        return SmoothedPlugin(source.noise_std, sampled=sampled)
    return Binning(bins, sampled=sampled) if source.saturates else RangeBinning(bins, sampled)


def information_plane(
    recording: Recording,
    estimator: Estimator | RangeBinning | None = None,
    *,
    labels: ArrayLike | None = None,
    replicas: ArrayLike | None = None,
    snapshots: ArrayLike | None = None,
    passes: int = 8,
    seed: int = 0,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> InformationPlane:
    """Estimate I(X;T) and I(T;Y) of every layer, at every snapshot, for every replica of a recording.

    Parameters
    ----------
    recording : Recording
        Trained replicas: a :class:`deepnets.Run`, a :class:`deepnets.Recorded`, or anything with their attributes.
    estimator : estimator or None
        By default, for a deterministic network Binning(30) where its units are known to saturate at ±1, else
        RangeBinning(30); for a noisy one SmoothedPlugin of its σ. A noisy network's first layer is estimated with the
        estimator, deeper ones with ConditionalPlugin; binning is of one noisy pass. A deterministic run has the softmax
        outputs as its last layer, one trained by squared error the outputs, binned by their range over the replica's run.
        One's own is a class with the method of :class:`deepnets.planes.Estimator`.
    labels : array, shape (n,) or (n, k), or None
        Classes of the patterns, or their law p(y|x), to take in place of the recording's.
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
    executor : concurrent.futures.Executor or None
        Where layers are estimated, each by itself; by default here. Activations are made here, and only they travel: worth
        it for estimates that take longer than that, of noisy layers seconds each; binning takes milliseconds.

    Returns
    -------
    InformationPlane

    Raises
    ------
    ValueError
        If a replica or snapshot is not there, the estimator is one of added noise for a network without, passes < 2, or
        the deeper layers of a noisy recording cannot be passed repeatedly, or an estimator refuses a layer (its place is named).

    Examples
    --------
    >>> import deepnets
    >>> plane = deepnets.information_plane(recorded, deepnets.Binning(4), progress=False)
    >>> plane.rate.value.round(4)  # nats: replica, snapshot, layer
    array([[[0.    , 0.    ],
            [0.5623, 0.5623]]])
    """
    source = Source.of(recording, labels)
    task, size = source.task, len(recording.epochs)
    if replicas is None and source.replicas.size == 0:
        raise ValueError("no replica stayed finite, so that there is no plane: train with a lower learning rate")
    chosen = indices(replicas, recording.n_replicas, "replica", source.replicas)
    times = indices(snapshots, size, "snapshot", np.arange(size))
    used = default_estimator(recording) if estimator is None else estimator
    of = _layers(source, used, passes, times)
    entropy_x, shape = float(entropy_nats(task.p_x)), (len(chosen), len(times), len(source.layers))
    places = list(product(chosen.tolist(), times.tolist()))
    layers = (layer for r, s in places for layer in of(s, r, seed + r * size + s))
    law = task.p_y_given_x, task.p_x, task.n_classes, task.joint.mutual_information()
    estimates = in_order(
        partial(estimated, law=law),
        layers,
        progress=progress,
        description="information plane",
        executor=executor,
        total=math.prod(shape),
    )
    found = [separated(layer, entropy_x) for layer in estimates]
    sides = [[getattr(layer, side) for layer in found] for side in SIDES]
    if isinstance(used, RangeBinning):
        sides = [[replace(e, method=used.method) for e in side] for side in sides]
    rate, relevance = (_gathered(side, shape) for side in sides)
    warned = Worst(source.layers, recording.epochs)
    for (replica, snapshot), of_layers in zip(places, zip(*[iter(found)] * shape[-1], strict=True), strict=True):
        warned.add(of_layers, replica, snapshot)
    return InformationPlane(
        epochs=np.asarray(recording.epochs)[times],
        replicas=chosen,
        rate=rate,
        relevance=relevance,
        accuracy=accuracy_of(recording.scores, (size, recording.n_replicas))[times][:, chosen].T,
        layers=source.layers,
        entropy_x=entropy_x,
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


@dataclass(frozen=True, eq=False)
class LayerToEstimate:
    """One layer of one replica at one snapshot: what an executor works on.

    Attributes
    ----------
    t : array
        Its activations, as the estimator takes them.
    estimator : Estimator
    seed : int
    place : str
        Which it is, for messages.
    by_range : bool
        Whether the cells are between the extremes of the activations.
    """

    t: NDArray[np.floating]
    estimator: Estimator
    seed: int
    place: str
    by_range: bool = False


def estimated(layer: LayerToEstimate, law: tuple[FloatArray, FloatArray, int, float]) -> LayerInformation:
    """The estimate of a layer, by the law of the labels (p(y|x), p(x), |Y|, I(X;Y)); a ValueError names its place."""
    p_y_given_x, p_x, n_classes, information = law
    try:
        found = layer.estimator.layer(layer.t, p_y_given_x, p_x, seed=layer.seed)
    except ValueError as error:
        raise ValueError(f"{layer.place}: {error}") from None
    if isinstance(layer.estimator, Binning):
        return binned(found, layer.t, layer.estimator, layer.by_range, n_classes, information)
    return found


def _layers(
    source: Source, estimator: Estimator | RangeBinning, passes: int, times: IntArray
) -> Callable[[int, int, int], list[LayerToEstimate]]:
    """(snapshot, replica, seed) → its layers, with their estimators."""
    if isinstance(estimator, RangeBinning) or not isinstance(estimator, NoiseEstimator):
        return _layer_by_layer(source, estimator, times)
    if not source.noise_std:
        raise ValueError(
            f"{estimator!r} is for noisy networks: without noise I(X;T) is H(X) or infinite. Use Binning, or train a network "
            "with noise_std > 0"
        )
    if passes < 2:
        raise ValueError(f"passes must be at least 2, got {passes}")
    recording, deeper = source.recording, ConditionalPlugin(source.noise_std)

    def noisy(snapshot: int, replica: int, seed: int) -> list[LayerToEstimate]:
        places = source.places(snapshot, replica)
        found = [LayerToEstimate(source.activations(snapshot, replica)[0], estimator, seed, places[0])]
        if len(source.layers) > 1:
            if not isinstance(recording, RepeatedPasses):
                raise ValueError(
                    f"this recording has {len(source.layers)} noisy layers but no passes(snapshot, replica, count, seed), by which "
                    "the deeper ones are known: give that method, or record the first layer only"
                )
            centres = recording.passes(snapshot, replica, passes, seed)[1 : len(source.layers)]
            found += [LayerToEstimate(c, deeper, seed + k, places[k]) for k, c in enumerate(centres, 1)]
        return found

    return noisy


def _layer_by_layer(
    source: Source, estimator: Estimator | RangeBinning, times: IntArray
) -> Callable[[int, int, int], list[LayerToEstimate]]:
    cells = Cells(source, estimator, times) if isinstance(estimator, Binning | RangeBinning) else None
    by_range = isinstance(estimator, RangeBinning)

    def layers(snapshot: int, replica: int, seed: int) -> list[LayerToEstimate]:
        places = source.places(snapshot, replica)
        arrays = source.activations(snapshot, replica, noise_seed=seed if source.noise_std else None)
        if cells is None:
            assert not isinstance(estimator, RangeBinning)
            return [LayerToEstimate(t, estimator, seed, place) for t, place in zip(arrays, places, strict=True)]
        return [
            LayerToEstimate(t, binning, seed, place, by_range)
            for t, binning, place in zip(arrays, cells.of(replica), places, strict=True)
        ]

    return layers
